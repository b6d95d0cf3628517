"""One call of ``gibbs``: its settings, its ratings on the sampler's scale, its runs, and the posterior made of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import DataError, SettingError, did_you_mean
from ..features import bags as bag_features
from ..features import days as day_rows
from ..features import encode
from ..posterior import SECONDS_PER_DAY, Posterior
from ..ratings import Ratings
from ..trace import Trace
from ._gibbs_chain import Prior, Problem, Side, problem, start
from ._gibbs_run import Probe, Run
from ._gibbs_sample import posterior, take

MOST_STARS = 20  # more distinct values than this are numbers, not stars
SLICE = 0.1, 10_000  # share of train held out for the search, and at most how many ratings
LEAST_RATINGS = 400  # fewer are not worth a slice: the noise is drawn in sample
LARGEST = 4 << 30  # bytes of samples

Bag = Literal["user", "item"]


class Settings(NamedTuple):
    """What the caller chose, as documented at :func:`dotbias.solvers.gibbs`."""

    n_factors: int
    n_sweeps: int | None
    item_features: tuple[str, ...]
    user_features: tuple[str, ...]
    bags: tuple[str, ...]
    days: bool
    ordinal: bool
    noise: float | str
    keep: int
    chains: int


def which_bags(bags: bool | Sequence[Bag]) -> tuple[str, ...]:
    """True, False, "user" or ("user", "item") -> the bags by name."""
    if isinstance(bags, bool):
        return ("user", "item") if bags else ()
    chosen = (bags,) if isinstance(bags, str) else tuple(bags)
    for name in chosen:
        if name not in ("user", "item"):
            raise SettingError(f"bags names {name!r}.", hint=did_you_mean(name, ("user", "item")))
    return chosen


def check(s: Settings, ratings: Ratings) -> None:
    """Refuse what cannot be fitted, before anything is computed."""
    y = ratings.explicit()
    for name in ("n_factors", "n_sweeps", "keep", "chains"):
        value = getattr(s, name)
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not (whole and value > 0) and not (value is None and name == "n_sweeps"):
            raise SettingError(f"{name} is {value!r}.", hint="a whole number above 0.")
    if isinstance(s.noise, str):
        if s.noise not in ("auto", "sampled"):
            raise SettingError(f"noise is {s.noise!r}.", hint="'auto', 'sampled', or a standard deviation.")
    elif not (np.isfinite(s.noise) and s.noise > 0):
        raise SettingError(f"noise is {s.noise!r}.", hint="a standard deviation above 0, on the ratings' scale.")
    if not np.isfinite(y).all():
        raise DataError("some ratings are not finite numbers.", hint="drop them, or look at how they were read.")
    if s.days and ratings.times is None:
        raise DataError("days=True, and these ratings have no times.", hint="name a time column, or days=False.")
    _check_size(s, ratings)


def _check_size(s: Settings, ratings: Ratings) -> None:
    size = s.chains * nbytes(ratings, n_factors=s.n_factors, keep=s.keep, bags=s.bags, days=s.days)
    if size > LARGEST:
        fits = max(1, int(s.keep * LARGEST / size))
        what = f"{s.keep} samples of {s.n_factors} factors would take {size / 2**30:.1f} GB."
        raise SettingError(what, hint=f"keep={fits}, or fewer factors.")


def nbytes(ratings: Ratings, *, n_factors: int, keep: int, bags: tuple[str, ...], days: bool) -> int:
    """About how many bytes ``keep`` samples take."""
    U, I = ratings.n_users, ratings.n_items
    D = len(day_rows(ratings.times)[1]) if days and ratings.times is not None else 0
    effective = (U + I) * (1 + n_factors + len(bags)) + D * (1 + n_factors)
    return 4 * keep * (effective + (1 + n_factors) * (I * ("user" in bags) + U * ("item" in bags)))


def describe(s: Settings, ratings: Ratings, valid: Ratings | None, key: int) -> dict[str, Any]:
    """What makes two fits the same."""
    of_valid = None if valid is None else valid.fingerprint()
    return {"solver": "gibbs", **s._asdict(), "train": ratings.fingerprint(), "valid": of_valid, "key": key}


class Fit:
    """Ratings, standardised, with their features encoded."""

    def __init__(self, settings: Settings, ratings: Ratings):
        y = ratings.explicit().astype(np.float64)
        self.settings, self.ratings, self.y_range = settings, ratings, ratings.scale()
        self.centre, self.spread = float(y.mean()), float(y.std()) or 1.0
        self.stars = self._stars(np.unique(y))
        columns = ((ratings.user_table, settings.user_features), (ratings.item_table, settings.item_features))
        self.tables = tuple(encode(table, names) if names else None for table, names in columns)
        timed = settings.days and ratings.times is not None
        self.days = day_rows(ratings.times)[1] if timed else np.zeros(0, np.int64)  # type: ignore[arg-type]

    def _stars(self, distinct: np.ndarray) -> np.ndarray:
        few = 2 <= len(distinct) <= MOST_STARS
        if self.settings.ordinal and not few:
            what = f"ordinal=True takes 2 to {MOST_STARS} distinct ratings; here are {len(distinct)}."
            raise DataError(what, hint="ordinal=False, or round the ratings.")
        return distinct if few else np.zeros(0)

    def standard(self, values: np.ndarray) -> np.ndarray:
        """Values on the sampler's scale."""
        return (values - self.centre) / self.spread

    def problem(self, ratings: Ratings) -> Problem:
        """What a chain sees of these ratings: all of train, or train without the slice."""
        y, columns = ratings.explicit(), (ratings.users, ratings.items, self._day_rows(ratings))
        n_rows = ratings.n_users, ratings.n_items, len(self.days)
        wanted = self.settings.bags
        bags = [bag_features(ratings, of=f"{name}s") if name in wanted else None for name in ("user", "item")]
        return problem(self.standard(y), self._levels(y), columns, n_rows, bags, self.tables)

    def run(self, key: int, valid: Ratings | None) -> Run:
        """The first run, before its first sweep."""
        s, full = self.settings, self.problem(self.ratings)
        search = s.noise == "auto" and (valid is not None or len(self.ratings) >= LEAST_RATINGS)
        searching, watched = full, valid
        if valid is None:
            out = self._slice(key)
            watched = self.ratings.take(out)
            searching = self.problem(self.ratings.take(~out)) if search else full
        precision = None if isinstance(s.noise, str) else (self.spread / s.noise) ** 2
        return self._start(full, searching if search else None, self._probe(watched), key, s.n_sweeps, precision)

    def again(self, first: Run, key: int) -> Run:
        """Another chain, from its own start, as long as the first and under the noise that it found."""
        return self._start(first.full, None, first.probe, key, len(first.trace), first.precision)

    def _start(
        self,
        full: Problem,
        searching: Problem | None,
        probe: Probe,
        key: int,
        n_sweeps: int | None,
        precision: float | None,
    ) -> Run:
        s, edges = self.settings, self.standard((self.stars[1:] + self.stars[:-1]) / 2)
        cutpoints = np.r_[-np.inf, edges, np.inf] if s.ordinal else np.zeros(0)
        chain = start(full, n_factors=s.n_factors, key=key, precision=precision or 1.0, cutpoints=cutpoints)
        sample = partial(take, centre=self.centre, spread=self.spread)
        run = Run(searching, full, probe, key, n_sweeps, s.keep, precision, Prior(), sample, chain)
        run.begin(self.standard(self.stars), edges)
        return run

    def _slice(self, key: int) -> np.ndarray:
        """Which ratings are held out for the search: (N,) bool."""
        N = len(self.ratings)
        out = np.zeros(N, bool)
        n = max(1, min(int(SLICE[0] * N), SLICE[1]))
        out[np.random.default_rng(key).choice(N, n, replace=False)] = True
        return out

    def _probe(self, ratings: Ratings | None) -> Probe:
        """Pairs to watch. If a value is none of train's stars, none has a level."""
        assert ratings is not None
        y = ratings.explicit()
        levels = self._levels(y) if np.isin(y, self.stars).all() else np.zeros(0, np.int32)
        return Probe(ratings.users, ratings.items, self._day_rows(ratings, missing=-1), self.standard(y), levels)

    def posterior(self, runs: list[Run], notes: Sequence[str]) -> Posterior:
        """The samples of all runs, with noise and stars as the first one read them off the slice."""
        run, m, s = runs[0], runs[0].memory, self.settings
        samples = [x for r in runs for x in r.samples] or [run.take(run.full, run.chain)]
        fitted = float(np.mean([x["fit_noise"] for x in samples]))
        cutpoints, star_noise = self.centre + self.spread * m["cutpoints"], self.spread * m["star_noise"]
        if s.ordinal and not len(cutpoints):
            cutpoints, star_noise = np.mean([x["cutpoints"] for x in samples], 0), fitted
        return posterior(
            samples,
            run.full.sides,
            tuple(self._names(j, side) for j, side in enumerate(run.full.sides[:2])),
            tuple(() if table is None else table.scales for table in self.tables),
            days=self.days,
            noise=float(self.spread * m["noise"]) if np.isfinite(m["noise"]) else fitted,
            star_noise=float(star_noise) if len(cutpoints) else fitted,
            stars=self.stars if len(cutpoints) else np.zeros(0),
            cutpoints=cutpoints,
            ordinal=s.ordinal,
            y_range=self.y_range,
            tables=self.ratings.tables,
            trace=_trace(runs),
            notes=(*_story(runs, fitted), *notes),
        )

    def _names(self, j: int, side: Side) -> tuple[str, ...]:
        ids, table = (self.ratings.item_ids, self.ratings.user_ids)[j], self.tables[j]
        bag = [f"rated={i}" for i in ids] if side.has_bag else []
        return (*bag, *(table.names if table is not None else ()))

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


def _trace(runs: list[Run]) -> Trace:
    length = min(len(r.trace) for r in runs)
    names = ["mean", "noise precision"]
    for side, word in zip(runs[0].full.sides, ("users", "items", "days"), strict=False):
        groups = ["own", *(name for name, _, _ in side.groups)]
        names += [f"{word}: sd of {part} of {g}" for part in ("bias", "factors") for g in groups]
    names += [f"score of pair {j}" for j in range(min(8, len(runs[0].probe.values)))]
    values = np.array([r.trace[:length] for r in runs], np.float32)
    return Trace(tuple(names), values.reshape(len(runs), length, len(names)))


def _story(runs: list[Run], fitted: float) -> list[str]:
    """What happened, for people."""
    first, kept = runs[0], [len(r.trace) for r in runs]
    before = [r.chain.sweep - 1 - n for r, n in zip(runs, kept, strict=True)]
    told = [f"{n} sweeps count, after {b} of search and warming up." for n, b in zip(kept, before, strict=True)]
    tried = len(first.memory["errors"])
    if tried:
        held_out = len(first.probe.values)
        told.append(f"noise {fitted:.3g}, from {tried} noises tried on {held_out} ratings held out of train.")
    return told
