"""Ratings on the sampler's scale, with their features encoded: from here the problems and probes of a fit are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import DataError, SettingError
from ...features import Features, encode
from ...features import histories as history_features
from ...ratings import Ratings
from ...times import UNKNOWN as UNKNOWN_TIME
from ...times import Sessions
from .probe import NEW, UNKNOWN, Probe
from .problem import Problem, problem
from .settings import GibbsSettings

MOST_STARS = 20  # more distinct values than this are numbers, not stars
MOST_NOISE = 1e4  # times the ratings' standard deviation, and the least is that part of it


@dataclass(frozen=True)
class Prepared:
    """Train, standardised: value = centre + spread · standardised.

    Attributes:
        settings: of the fit.
        train: the ratings.
        centre, spread: their mean and standard deviation (1 where all are equal).
        stars: (L,) their distinct values, rising; empty where these are many.
        tables: the side tables' features of users and of items, None where none are used.
        sessions: of train; none where they are not used.
    """

    settings: GibbsSettings
    train: Ratings
    centre: float
    spread: float
    stars: np.ndarray
    tables: tuple[Features | None, Features | None]
    sessions: Sessions

    def standard(self, values: np.ndarray) -> np.ndarray:
        """Values on the sampler's scale."""
        return (values - self.centre) / self.spread

    @property
    def timed(self) -> bool:
        """Whether sessions are used."""
        return bool(len(self.sessions.users))

    @property
    def star_edges(self) -> np.ndarray:
        """(L - 1,) the middles between neighbouring stars, on the ratings' scale; none where values are many."""
        return (self.stars[1:] + self.stars[:-1]) / 2

    def edges(self) -> np.ndarray:
        """The same, standardised."""
        return self.standard(self.star_edges)

    def problem(self, ratings: Ratings) -> Problem:
        """What a chain sees of these ratings: all of train, or train without the slice."""
        own = self.sessions.find(ratings.users, ratings.times) if len(self.sessions.users) else np.zeros(0)  # type: ignore[arg-type]
        y, columns = ratings.explicit(), (ratings.users, ratings.items, own)
        n_rows = ratings.n_users, ratings.n_items, len(self.sessions.users)
        used = self.settings.histories
        histories = [history_features(ratings, of=f"{j}s") if j in used else None for j in ("user", "item")]
        return problem(self.standard(y), self._levels(y), columns, n_rows, histories, self.tables)

    def probe(self, ratings: Ratings, *, times: Literal["given", "unknown", "now"] = "given") -> Probe:
        """Pairs to score after every sweep. If a value is none of train's stars, none has a level."""
        y = ratings.explicit()
        levels = self._levels(y) if np.isin(y, self.stars).all() else np.zeros(0, np.int32)
        rows = self._session_rows(ratings)
        if times != "given":
            rows = np.full_like(rows, {"unknown": UNKNOWN, "now": NEW}[times])
        return Probe(ratings.users, ratings.items, rows, self.sessions, self.standard(y), levels)

    def rmse(self, values: np.ndarray, expected: np.ndarray) -> float:
        """The error of expected ratings (n,), clipped as a Posterior's scores are; both standardised, RMSE is not."""
        scores = np.clip(self.centre + self.spread * expected, *self.train.scale())
        return float(np.sqrt(np.mean((scores - (self.centre + self.spread * values)) ** 2)))

    def _levels(self, y: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.stars, y).astype(np.int32) if len(self.stars) else np.zeros(0, np.int32)

    def _session_rows(self, ratings: Ratings) -> np.ndarray:
        """The session of each rating (N,): its row, NEW or UNKNOWN; empty where sessions are not used."""
        if not len(self.sessions.users):
            return np.zeros(0, np.int32)
        if ratings.times is None:
            return np.full(len(ratings), UNKNOWN, np.int32)
        rows = np.where(ratings.times == UNKNOWN_TIME, UNKNOWN, self.sessions.find(ratings.users, ratings.times))
        return rows.astype(np.int32)


def prepare(settings: GibbsSettings, train: Ratings) -> Prepared:
    """Standardise train, and encode its features.

    Raises:
        DataError: for a feature column that is not there, or ordinal output of more than 20 distinct ratings.
        SettingError: for a noise that is out of all proportion to the ratings' standard deviation.
    """
    y = train.explicit().astype(np.float64)
    columns = (train.user_table, settings.user_features), (train.item_table, settings.item_features)
    user_table, item_table = (encode(table, names) if names else None for table, names in columns)
    spread = float(y.std()) or 1.0
    _check_noise(settings.noise, spread)
    return Prepared(
        settings,
        train,
        centre=float(y.mean()),
        spread=spread,
        stars=_stars(np.unique(y), ordinal=settings.ordinal),
        tables=(user_table, item_table),
        sessions=sessions_of(train) if settings.sessions else Sessions.none(),
    )


def sessions_of(train: Ratings) -> Sessions:
    """Train's sessions; none where no user has two of them, so that they would be the users again."""
    if train.times is None:
        return Sessions.none()
    found = Sessions.of(train.users, train.times)
    return found if (found.users[1:] == found.users[:-1]).any() else Sessions.none()


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
