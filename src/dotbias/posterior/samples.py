"""S samples of biases and factors, and what they say of a pair: a guess, its spread, its stars.

For sample s, with a row's features and history already folded into its bias and factors,

    f_s(u, i) = mean_s + user_bias_s[u] + item_bias_s[i] + users_s[u] · items_s[i],

and, where the rating's day is given and was seen in training, + bias_s[d] + D_s[d] · (users_s[u] + items_s[i]) over the
first factors. The rating is f + noise; with ordered-probit output, noise and cutpoints slice f into stars. The
histories hold the scored pair itself, as they do for every training rating: "what would they give, if they rated it?",
hence one more column of factors for each history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from ..errors import DataError, SettingError
from ..factors import Factors
from ..ids import Tables
from ..objective import Objective, Ridge, Side
from ..scorer import Bilinear, FoldsIn, Intervals, Noted, Ranks, Sampled, Scorer, Stars, State, Stored, Timed
from ..trace import Trace
from .compress import best_product
from .newcomers import Given, PosteriorPart, SidePosterior, fold_in
from .stars import central_stars, slices

SECONDS_PER_DAY = 86_400
BLOCK = 1 << 22  # floats gathered at a time
_SIDE_ARRAYS = ("features", "prior_mean", "prior_precision")
_SAMPLED = ("mean", "user_bias", "item_bias", "users", "items", "day_bias", "day_factors", "fit_noise")


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """S samples of biases and factors of U users, I items and D days.

    Attributes:
        mean: (S,) float32.
        user_bias: (S, U) float32; ``item_bias`` (S, I).
        users: (S, U, K) float32, the columns of histories last; ``items`` (S, I, K).
        days: (D,) int64 days since 1970 UTC, sorted; empty where days are not used.
        day_bias: (S, D); ``day_factors`` (S, D, K without the columns of histories).
        noise: standard deviation of a rating around f, as gaussian predictions state it.
        star_noise: the same for stars: of f + noise, before ``cutpoints`` slice it.
        fit_noise: (S,) the same, as each sample was drawn with (tempered: see ``gibbs``).
        stars: (L,) the values that ratings take, rising, where star probabilities are known; else empty.
        cutpoints: (L - 1,) where f + noise passes from one star to the next.
        ordinal: whether scores are expected stars (True) or the mean of f, clipped to ``y_range``.
        y_range: (low, high).
        user_side, item_side: for newcomers.
        trace: what was traced along the chains; None once loaded from disk.
        notes: how the fit went, for people.
        tables: fingerprint of the id tables whose rows these are; None where nobody said.
        kept: the compressed Factors, where they were made before and kept on disk.
    """

    mean: np.ndarray
    user_bias: np.ndarray
    item_bias: np.ndarray
    users: np.ndarray
    items: np.ndarray
    days: np.ndarray
    day_bias: np.ndarray
    day_factors: np.ndarray
    noise: float
    star_noise: float
    fit_noise: np.ndarray
    stars: np.ndarray
    cutpoints: np.ndarray
    ordinal: bool
    y_range: tuple[float, float]
    user_side: SidePosterior
    item_side: SidePosterior
    trace: Trace | None = None
    notes: tuple[str, ...] = field(default=())
    tables: Tables | None = None
    kept: Factors | None = None

    def __repr__(self) -> str:
        S, U, K = self.users.shape
        output = "ordered probit" if self.ordinal else "gaussian"
        return f"Posterior({S} samples, {U:,} users, {self.items.shape[1]:,} items, {K} factors, {output})"

    @property
    def offers(self) -> tuple[type, ...]:
        """See ``scorer``; stars where ratings are a few distinct values, times where days are used."""
        always = (Scorer, Ranks, Noted, Intervals, Bilinear, Sampled, FoldsIn, Stored)
        return (*always, *((Stars,) if len(self.stars) else ()), *((Timed,) if self.day_bias.shape[1] else ()))

    @property
    def n_samples(self) -> int:
        """S."""
        return len(self.mean)

    @property
    def nbytes(self) -> int:
        """Memory that the samples take, in bytes."""
        return sum(a.nbytes for a in self.state().arrays.values())

    # Scoring ---------------------------------------------------------------------------------------------------

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The posterior's guess for pairs of rows (B,), (B,), optionally at times (B,) -> (B,) float32."""
        return self.centre(*self.moments(users, items, times))

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The guess of every item for each user row (B,) -> (B, I) float32."""
        return self.centre(*self._moments_all(users, times))

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The mean of f over the samples, unclipped, for pairs of rows (B,), (B,) -> (B,) float32."""
        return self.moments(users, items, times)[0].astype(np.float32)

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each user row (B,) -> (B, I) float32."""
        return self._moments_all(users, times)[0].astype(np.float32)

    def moments(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance over the samples of f, unclipped and without noise: two (B,) float64."""
        users, items = np.atleast_1d(users), np.atleast_1d(items)
        days, out = self._day_rows(times, len(users)), np.empty((2, len(users)))
        size = max(1, BLOCK // (self.n_samples * (self.users.shape[2] + 1)))
        for a in range(0, len(users), size):
            f = self.samples(users[a : a + size], items[a : a + size], days[a : a + size])
            out[:, a : a + size] = f.mean(0), f.var(0)
        return out[0], out[1]

    def samples(self, users: np.ndarray, items: np.ndarray, days: np.ndarray) -> np.ndarray:
        """f of every sample for pairs of rows (B,); days are rows of ``days``, -1 for none -> (S, B) float64."""
        (bu, p), (bi, q) = self._user_rows(users), self._item_rows(items)
        f = self.mean[:, None] + bu + bi + np.einsum("sbk,sbk->sb", p, q)
        if len(self.days):
            bd, d = _rows(days, self.day_bias, self.day_factors)  # an unknown day has no effect
            k = d.shape[2]
            f = f + bd + np.einsum("sbk,sbk->sb", d, p[:, :, :k] + q[:, :, :k])
        return f.astype(np.float64)

    def _moments_all(self, users: np.ndarray, times: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of f for every item and each user row: two (B, I) float64."""
        users = np.asarray(users)
        n_items = self.item_bias.shape[1]
        size, days = max(1, BLOCK // max(n_items, 1)), self._day_rows(times, len(users))
        parts = [self._moments_rows(users[a : a + size], days[a : a + size]) for a in range(0, len(users), size)]
        if not parts:
            return np.zeros((0, n_items)), np.zeros((0, n_items))
        return np.concatenate([mean for mean, _ in parts]), np.concatenate([variance for _, variance in parts])

    def _moments_rows(self, users: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bu, p = self._user_rows(users)
        bd, d = _rows(days, self.day_bias, self.day_factors)
        k = d.shape[2]
        total, squares = np.zeros((2, len(users), self.item_bias.shape[1]))
        for s in range(self.n_samples):
            own = p[s].copy()
            own[:, :k] += d[s]
            base = self.mean[s] + bu[s] + bd[s] + np.einsum("bk,bk->b", d[s], p[s, :, :k])
            f = own @ self.items[s].T + base[:, None] + self.item_bias[s]
            total += f
            if self.ordinal:
                squares += np.square(f, dtype=np.float64)
        mean = total / self.n_samples
        return mean, np.maximum(squares / self.n_samples - mean**2, 0)

    def centre(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """The guess for f of that mean and variance (…,) -> (…,) float32: the mean, clipped, or the expected star."""
        if self.ordinal:
            return (self._slices(mean, variance) @ self.stars).astype(np.float32)
        return np.clip(mean, *self.y_range).astype(np.float32)

    def _day_rows(self, times: np.ndarray | None, n: int) -> np.ndarray:
        """Times (B,) -> rows of ``days``, -1 for a day unseen in training or no time."""
        if times is None or not len(self.days):
            return np.full(n, -1)
        day = np.atleast_1d(times) // SECONDS_PER_DAY
        at = np.minimum(np.searchsorted(self.days, day), len(self.days) - 1)
        return np.where(self.days[at] == day, at, -1)

    def _user_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _rows(rows, self.user_bias, self.users, self._stranger_user)

    def _item_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _rows(rows, self.item_bias, self.items, self._stranger_item)

    @cached_property
    def _stranger_user(self) -> PosteriorPart:
        return self._fold_in("user", np.zeros(0, np.int64), np.zeros(0))

    @cached_property
    def _stranger_item(self) -> PosteriorPart:
        return self._fold_in("item", np.zeros(0, np.int64), np.zeros(0))

    # Uncertainty -----------------------------------------------------------------------------------------------

    def sd(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Standard deviation of the rating itself: posterior spread of f and noise -> (B,) float32."""
        mean, variance = self.moments(users, items, times)
        if self.ordinal:
            p = self._slices(mean, variance)
            return np.sqrt(np.maximum(p @ self.stars**2 - (p @ self.stars) ** 2, 0)).astype(np.float32)
        return np.sqrt(variance + self.noise**2).astype(np.float32)

    def interval(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None, *, level: float = 0.8
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the rating lies with probability ``level``: (low, high), (B,) float32 each, cut to the scale.

        Gaussian output: the central interval of N(mean, sd²). Ordinal output: quantiles of the stars, which, being
        few, cover at least ``level``.
        """
        return self.central(*self.moments(users, items, times), level)

    def central(self, mean: np.ndarray, variance: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The central interval of a rating whose f has that mean and variance (B,): (low, high), (B,) float32 each."""
        if not 0 < level < 1:
            raise SettingError(f"level is {level!r}.", hint="a probability between 0 and 1, such as 0.8.")
        if self.ordinal:
            return central_stars(self._slices(mean, variance), self.stars, level)
        from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs]

        reach = ndtri((1 + level) / 2) * np.sqrt(variance + self.noise**2)
        low, high = (np.clip(mean + sign * reach, *self.y_range).astype(np.float32) for sign in (-1, 1))
        return low, high

    def star_probabilities(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The probability of each of ``stars`` -> (B, L) float64, rows summing to 1.

        Raises:
            DataError: where ratings are not a few distinct values.
        """
        if not len(self.stars):
            raise DataError("this posterior does not support stars.", hint="fit with ordinal=True, or noise='auto'.")
        return self._slices(*self.moments(users, items, times))

    def _slices(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        return slices(mean, variance + self.star_noise**2, self.cutpoints)

    # Newcomers -------------------------------------------------------------------------------------------------

    def fold_in_user(
        self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> Newcomer:
        """A new user who gave ``values`` (n,) to the item rows ``items`` (n,); ``features``: column -> value(s).

        In every sample: what the history and the features say, plus the mean of the own bias' and factors'
        conditional. With neither ratings nor features: the prior's mean.

        Raises:
            DataError: for shapes that differ, or features that the fit did not have.
        """
        return Newcomer(self, "user", self._fold_in("user", items, values, features))

    def fold_in_item(
        self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> Newcomer:
        """A new item to which the user rows ``users`` (n,) gave ``values`` (n,); ``features``: column -> value(s)."""
        return Newcomer(self, "item", self._fold_in("item", users, values, features))

    def _fold_in(
        self, side: Side, rows: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> PosteriorPart:
        own, bias, factors = (
            (self.user_side, self.item_bias, self.items)
            if side == "user"
            else (self.item_side, self.user_bias, self.users)
        )
        rows = np.asarray(rows, np.int64)
        histories = [(side == name, s) for name, s in (("user", self.user_side), ("item", self.item_side))]
        columns = [(mine, s) for mine, s in histories if s.has_history]
        given = Given(self.mean, self.fit_noise, *_rows(rows, bias, factors))
        return fold_in(rows, values, features, own, given, columns)

    def part_moments(self, side: Side, part: PosteriorPart, others: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance over the samples of f between a newcomer and rows of the other side: two (n,) float64."""
        if side == "user":
            bias, factors = self._item_rows(_all_or(others, self.item_bias.shape[1]))
        else:
            bias, factors = self._user_rows(_all_or(others, self.user_bias.shape[1]))
        f = (self.mean + part.bias)[:, None] + bias + np.einsum("sk,snk->sn", part.factors, factors)
        return f.mean(0), f.var(0)

    # Smaller, and on disk --------------------------------------------------------------------------------------

    def factors(self) -> Factors:
        """Plain Factors that score nearly alike: :meth:`compress` to twice a sample's factors; made once and kept."""
        return self._compressed

    @cached_property
    def _compressed(self) -> Factors:
        return self.kept or self.compress()

    def squash(self, z: np.ndarray) -> np.ndarray:
        """From the scale of f to the ratings': clipped, or the expected star under the noise alone."""
        if self.ordinal:
            return self._slices(z, np.zeros(np.shape(z))) @ self.stars
        return np.clip(z, *self.y_range)

    def draws(self) -> Iterator[Factors]:
        """Each sample as Factors, without days."""
        objective = Objective(y_range=self.y_range)
        for s in range(self.n_samples):
            parts = self.user_bias[s], self.item_bias[s], self.users[s], self.items[s]
            yield Factors(float(self.mean[s]), *parts, objective, self.tables)

    def compress(self, n_factors: int | None = None) -> Factors:
        """Plain Factors: the mean biases, and the best ``n_factors``-dimensional approximation of the mean of P·Q.

        Days, uncertainty and features are left behind. By default as many factors as a sample has, twice.
        """
        U, I, K = self.users.shape[1], self.items.shape[1], self.users.shape[2]
        users, items = best_product(self.users, self.items, min(2 * K if n_factors is None else n_factors, U, I))
        noise = float(np.mean(self.fit_noise.astype(np.float64) ** 2))
        bias = [float(s.prior_precision[:, 0, 0].mean()) for s in (self.user_side, self.item_side)]
        spread = [max(float(x.var()), 1e-6) if x.size else 1.0 for x in (users, items)]
        regs = [Ridge(noise * b, noise / s) for b, s in zip(bias, spread, strict=True)]
        objective = Objective("squared", "identity", self.y_range, *regs)
        biases = self.user_bias.mean(0), self.item_bias.mean(0)
        return Factors(float(self.mean.mean()), *biases, users, items, objective, self.tables)

    def thin(self, keep: int) -> Posterior:
        """Thin to ``keep`` samples, evenly spread: smaller, a little less exact."""
        at = np.unique(np.linspace(0, self.n_samples - 1, min(keep, self.n_samples)).round().astype(int))
        sides = {
            name: side._replace(
                features=side.features[at], prior_mean=side.prior_mean[at], prior_precision=side.prior_precision[at]
            )
            for name, side in (("user_side", self.user_side), ("item_side", self.item_side))
        }
        return replace(self, **{name: getattr(self, name)[at] for name in _SAMPLED}, **sides, kept=None)

    def state(self) -> State:
        """What ``storage`` keeps: everything but the trace; the compressed Factors, too."""
        names = (*_SAMPLED, "days", "stars", "cutpoints")
        arrays: dict[str, np.ndarray] = {name: getattr(self, name) for name in names}
        compressed = self.factors().state()
        arrays |= {f"compressed.{name}": array for name, array in compressed.arrays.items()}
        settings: dict[str, Any] = {
            "noise": self.noise,
            "star_noise": self.star_noise,
            "ordinal": self.ordinal,
            "notes": list(self.notes),
            "y_range": [x if np.isfinite(x) else None for x in self.y_range],  # JSON knows no infinity
            "compressed": compressed.settings,
        }
        for name, side in (("user_side", self.user_side), ("item_side", self.item_side)):
            arrays |= {f"{name}.{part}": getattr(side, part) for part in _SIDE_ARRAYS}
            words = ("names", "groups", "scales", "has_history")
            settings[name] = {word: _listed(getattr(side, word)) for word in words}
        return State("posterior", arrays, settings)

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None = None
    ) -> Posterior:
        """The Posterior whose :meth:`state` this is, to the bit; its trace is gone. Also of version 0.1."""
        low, high = settings["y_range"]
        kept = None
        if "compressed" in settings:
            own = {k.removeprefix("compressed."): a for k, a in arrays.items() if k.startswith("compressed.")}
            kept = Factors.from_state(own, settings["compressed"], tables)
        return cls(
            **{name: arrays[name] for name in (*_SAMPLED, "days", "stars", "cutpoints")},  # type: ignore[arg-type]
            user_side=_side_from("user_side", arrays, settings),
            item_side=_side_from("item_side", arrays, settings),
            noise=settings["noise"],
            star_noise=settings["star_noise"],
            ordinal=settings["ordinal"],
            y_range=(-np.inf if low is None else low, np.inf if high is None else high),
            notes=tuple(settings["notes"]),
            tables=tables,
            kept=kept,
        )


@dataclass(frozen=True, eq=False)
class Newcomer:
    """A user or an item that was folded into a Posterior.

    Attributes:
        of: the posterior.
        side: "user" or "item".
        part: the newcomer's bias and factors, in every sample.
    """

    of: Posterior
    side: Side
    part: PosteriorPart

    offers = (Intervals,)

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Guesses for rows of the other side (n,), all by default -> (n,) float32."""
        return self.of.centre(*self.of.part_moments(self.side, self.part, others))

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """The mean of f over the samples, unclipped (n,) float32."""
        return self.of.part_moments(self.side, self.part, others)[0].astype(np.float32)

    def interval(self, others: np.ndarray | None = None, *, level: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
        """Where each rating lies with probability ``level``: (low, high), (n,) float32 each."""
        return self.of.central(*self.of.part_moments(self.side, self.part, others), level)


def _side_from(name: str, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> SidePosterior:
    words = settings[name]
    parts = {part: arrays[f"{name}.{part}"] for part in _SIDE_ARRAYS}
    groups = tuple((str(g), int(a), int(z)) for g, a, z in words["groups"])
    scales = tuple((str(c), float(m), float(s)) for c, m, s in words["scales"])
    has_history = words["has_history"] if "has_history" in words else words["has_bag"]  # version 0.1 said bag
    return SidePosterior(tuple(words["names"]), groups, scales, has_history=has_history, **parts)


def _listed(value: Any) -> Any:
    """Tuples as JSON's lists."""
    return [_listed(v) for v in cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value


def _all_or(rows: np.ndarray | None, n: int) -> np.ndarray:
    """The rows asked for, or all n."""
    return np.arange(n) if rows is None else np.asarray(rows)


def _rows(
    rows: np.ndarray, bias: np.ndarray, factors: np.ndarray, stranger: PosteriorPart | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bias (S, B) and factors (S, B, K) of rows (B,); the stranger's, or zeros, where a row lies outside the table."""
    rows, (S, R, K) = np.asarray(rows), factors.shape
    known = (rows >= 0) & (rows < R)
    if known.all():
        return bias[:, rows], factors[:, rows]
    out = np.zeros((S, len(rows)), np.float32), np.zeros((S, len(rows), K), np.float32)
    out[0][:, known], out[1][:, known] = bias[:, rows[known]], factors[:, rows[known]]
    if stranger is not None:
        out[0][:, ~known], out[1][:, ~known] = stranger.bias[:, None], stranger.factors[:, None]
    return out
