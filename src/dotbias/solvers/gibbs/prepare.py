"""Ratings on the sampler's scale, with their features encoded: from here the problems and probes of a fit are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import DataError, SettingError
from ...features import Features, encode
from ...features import days as day_rows
from ...features import histories as history_features
from ...posterior import SECONDS_PER_DAY
from ...ratings import Ratings
from .probe import Probe
from .problem import Problem, problem
from .settings import GibbsSettings

MOST_STARS = 20  # more distinct values than this are numbers, not stars
MOST_NOISE = 1e4  # times the ratings' standard deviation, and the least is that part of it
SLICE = 0.1, 10_000  # share of train held out for the search, and at most how many ratings


@dataclass(frozen=True)
class Prepared:
    """Train, standardised: value = centre + spread · standardised.

    Attributes:
        settings: of the fit.
        train: the ratings.
        centre, spread: their mean and standard deviation (1 where all are equal).
        stars: (L,) their distinct values, rising; empty where these are many.
        tables: the side tables' features of users and of items, None where none are used.
        days: (D,) the distinct days, sorted; empty where days are not used.
    """

    settings: GibbsSettings
    train: Ratings
    centre: float
    spread: float
    stars: np.ndarray
    tables: tuple[Features | None, Features | None]
    days: np.ndarray

    def standard(self, values: np.ndarray) -> np.ndarray:
        """Values on the sampler's scale."""
        return (values - self.centre) / self.spread

    def edges(self) -> np.ndarray:
        """(L - 1,) the middles between neighbouring stars, standardised."""
        return self.standard((self.stars[1:] + self.stars[:-1]) / 2)

    def problem(self, ratings: Ratings) -> Problem:
        """What a chain sees of these ratings: all of train, or train without the slice."""
        y, columns = ratings.explicit(), (ratings.users, ratings.items, self._day_rows(ratings))
        n_rows = ratings.n_users, ratings.n_items, len(self.days)
        used = self.settings.histories
        histories = [history_features(ratings, of=f"{j}s") if j in used else None for j in ("user", "item")]
        return problem(self.standard(y), self._levels(y), columns, n_rows, histories, self.tables)

    def probe(self, ratings: Ratings) -> Probe:
        """Pairs to score after every sweep. If a value is none of train's stars, none has a level."""
        y = ratings.explicit()
        levels = self._levels(y) if np.isin(y, self.stars).all() else np.zeros(0, np.int32)
        return Probe(ratings.users, ratings.items, self._day_rows(ratings, missing=-1), self.standard(y), levels)

    def rmse(self, values: np.ndarray, expected: np.ndarray) -> float:
        """The error of expected ratings (n,), clipped as a Posterior's scores are; both standardised, RMSE is not."""
        scores = np.clip(self.centre + self.spread * expected, *self.train.scale())
        return float(np.sqrt(np.mean((scores - (self.centre + self.spread * values)) ** 2)))

    def slice(self, key: int) -> np.ndarray:
        """Which ratings of train are held out for the search: (N,) bool."""
        N = len(self.train)
        out = np.zeros(N, bool)
        n = max(1, min(int(SLICE[0] * N), SLICE[1]))
        out[np.random.default_rng(key).choice(N, n, replace=False)] = True
        return out

    def _levels(self, y: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.stars, y).astype(np.int32) if len(self.stars) else np.zeros(0, np.int32)

    def _day_rows(self, ratings: Ratings, missing: int = 0) -> np.ndarray:
        """The day of each rating as a row of ``days`` (N,); empty where days are not used."""
        if not len(self.days):
            return np.zeros(0, np.int32)
        if ratings.times is None:
            return np.full(len(ratings), missing, np.int32)
        day = ratings.times // SECONDS_PER_DAY
        at = np.minimum(np.searchsorted(self.days, day), len(self.days) - 1)
        return np.where(self.days[at] == day, at, missing).astype(np.int32)


def prepare(settings: GibbsSettings, train: Ratings) -> Prepared:
    """Standardise train, and encode its features.

    Raises:
        DataError: for a feature column that is not there, or ordinal output of more than 20 distinct ratings.
        SettingError: for a noise that is out of all proportion to the ratings' standard deviation.
    """
    y = train.explicit().astype(np.float64)
    columns = (train.user_table, settings.user_features), (train.item_table, settings.item_features)
    user_table, item_table = (encode(table, names) if names else None for table, names in columns)
    timed = settings.days and train.times is not None
    spread = float(y.std()) or 1.0
    _check_noise(settings.noise, spread)
    return Prepared(
        settings,
        train,
        centre=float(y.mean()),
        spread=spread,
        stars=_stars(np.unique(y), ordinal=settings.ordinal),
        tables=(user_table, item_table),
        days=day_rows(train.times)[1] if timed else np.zeros(0, np.int64),  # type: ignore[arg-type]
    )


def _check_noise(noise: float | str, spread: float) -> None:
    low, high = spread / MOST_NOISE, spread * MOST_NOISE
    if not isinstance(noise, str) and not low <= noise <= high:
        what = f"noise is {noise!r}, and the ratings' standard deviation is {spread:.3g}."
        raise SettingError(what, hint=f"a number from {low:.1g} to {high:.1g}, or 'auto', which finds it.")


def _stars(distinct: np.ndarray, *, ordinal: bool) -> np.ndarray:
    few = 2 <= len(distinct) <= MOST_STARS
    if ordinal and not few:
        what = f"ordinal=True supports 2 to {MOST_STARS} distinct ratings; here are {len(distinct)}."
        raise DataError(what, hint="ordinal=False, or round the ratings.")
    return distinct if few else np.zeros(0)
