"""The Gibbs sampler's result: S samples of a factor model, whose predictions are averaged and know their spread.

For sample s, with a row's features and bags already folded into its bias and factors,

    f_s(u, i) = mean_s + user_bias_s[u] + item_bias_s[i] + users_s[u] · items_s[i],

and, where the rating's day is given and was seen in training, + bias_s[d] + D_s[d] · (users_s[u] + items_s[i]) over the
first factors. The rating is f + noise; with ordered-probit output, noise and cutpoints slice f into stars. The bags
hold the scored pair itself, as they do for every training rating: "what would they give, if they rated it?", hence
one more column of factors for each bag. This module knows rows, not ids, and numpy; no sampler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .errors import DataError, SettingError, did_you_mean
from .factors import Factors, Ridge, State
from .trace import Trace

SECONDS_PER_DAY = 86_400
BLOCK = 1 << 22  # floats gathered at a time


class SidePosterior(NamedTuple):
    """What newcomers of one side need, per sample: features' weights and the prior of own factors, bias first.

    Attributes:
        names: feature -> "column=value", or "column" of numbers; bags first.
        groups: (column, first feature, one past its last).
        scales: (column, mean, standard deviation) of each column of numbers.
        features: (S, F, 1 + K) bias and factors of every feature.
        prior_mean: (S, 1 + G, 1 + K) of the own group, then of each feature group.
        prior_precision: the same shape.
        has_bag: whether the first group is a bag.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, int, int], ...]
    scales: tuple[tuple[str, float, float], ...]
    features: np.ndarray
    prior_mean: np.ndarray
    prior_precision: np.ndarray
    has_bag: bool


class PosteriorPart(NamedTuple):
    """A newcomer: bias (S,) and factors (S, K), a row for each sample."""

    bias: np.ndarray
    factors: np.ndarray


@dataclass(frozen=True, eq=False)
class Posterior:
    """S samples of biases and factors of U users, I items and D days.

    Attributes:
        mean: (S,) float32.
        user_bias: (S, U) float32; ``item_bias`` (S, I).
        users: (S, U, K) float32, bag columns last; ``items`` (S, I, K).
        days: (D,) int64 days since 1970 UTC, sorted; empty where days are not used.
        day_bias: (S, D); ``day_factors`` (S, D, K without the bag columns).
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

    @property
    def n_samples(self) -> int:
        """S."""
        return len(self.mean)

    @property
    def uses_times(self) -> bool:
        """Whether the day of a rating changes its score."""
        return self.day_bias.shape[1] > 0

    @property
    def nbytes(self) -> int:
        """Memory that the samples take, in bytes."""
        return sum(a.nbytes for a in self.state().arrays.values())

    # Scoring ---------------------------------------------------------------------------------------------------

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The posterior's guess for pairs of rows (B,), (B,), optionally at times (B,) -> (B,) float32."""
        return self._centre(*self.moments(users, items, times))

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The guess of every item for each user row (B,) -> (B, I) float32."""
        users = np.asarray(users)
        size = max(1, BLOCK // max(self.item_bias.shape[1], 1))
        days = self._day_rows(times, len(users))
        blocks = [self._score_rows(users[a : a + size], days[a : a + size]) for a in range(0, len(users), size)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.item_bias.shape[1]), np.float32)

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

    def _score_rows(self, users: np.ndarray, days: np.ndarray) -> np.ndarray:
        bu, p = self._user_rows(users)
        _, d = bd_d = _rows(days, self.day_bias, self.day_factors)
        k = d.shape[2]
        total = np.zeros((2, len(users), self.item_bias.shape[1]))
        for s in range(self.n_samples):
            own = p[s].copy()
            own[:, :k] += d[s]
            base = self.mean[s] + bu[s] + bd_d[0][s] + np.einsum("bk,bk->b", d[s], p[s, :, :k])
            f = own @ self.items[s].T + base[:, None] + self.item_bias[s]
            total[0] += f
            if self.ordinal:
                total[1] += np.square(f, dtype=np.float64)
        mean = total[0] / self.n_samples
        return self._centre(mean, np.maximum(total[1] / self.n_samples - mean**2, 0))

    def _centre(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
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
        return self.fold_in_user(np.zeros(0, np.int64), np.zeros(0))

    @cached_property
    def _stranger_item(self) -> PosteriorPart:
        return self.fold_in_item(np.zeros(0, np.int64), np.zeros(0))

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
        if not 0 < level < 1:
            raise SettingError(f"level is {level!r}.", hint="a probability between 0 and 1, such as 0.8.")
        mean, variance = self.moments(users, items, times)
        if self.ordinal:
            below = np.cumsum(self._slices(mean, variance), 1)
            at = [(below < q).sum(1).clip(max=len(self.stars) - 1) for q in ((1 - level) / 2, (1 + level) / 2)]
            return self.stars[at[0]].astype(np.float32), self.stars[at[1]].astype(np.float32)
        from scipy.special import ndtri

        reach = ndtri((1 + level) / 2) * np.sqrt(variance + self.noise**2)
        low, high = (np.clip(mean + sign * reach, *self.y_range).astype(np.float32) for sign in (-1, 1))
        return low, high

    def star_probabilities(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The probability of each of ``stars`` -> (B, L) float64, rows summing to 1.

        Raises:
            DataError: where ratings are not a few distinct values.
        """
        if not len(self.stars):
            raise DataError("this posterior knows no stars.", hint="fit with ordinal=True, or noise='auto'.")
        return self._slices(*self.moments(users, items, times))

    def _slices(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        return slices(mean, variance + self.star_noise**2, self.cutpoints)

    # Newcomers -------------------------------------------------------------------------------------------------

    def fold_in_user(
        self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> PosteriorPart:
        """A new user who gave ``values`` (n,) to the item rows ``items`` (n,); ``features``: column -> value(s).

        In every sample: what the history and the features say, plus the mean of the own bias' and factors'
        conditional. With neither ratings nor features: the prior's mean.
        """
        return self._fold_in(items, values, features, self.user_side, self.item_bias, self.items, of_user=True)

    def fold_in_item(
        self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> PosteriorPart:
        """A new item to which the user rows ``users`` (n,) gave ``values`` (n,); ``features``: column -> value(s)."""
        return self._fold_in(users, values, features, self.item_side, self.user_bias, self.users, of_user=False)

    def score_user(self, part: PosteriorPart, items: np.ndarray | None = None) -> np.ndarray:
        """The guess of a folded-in user for item rows (n,), all items by default -> (n,) float32."""
        rows = np.arange(self.item_bias.shape[1]) if items is None else np.asarray(items)
        return self._score_part(part, *self._item_rows(rows))

    def score_item(self, part: PosteriorPart, users: np.ndarray) -> np.ndarray:
        """The guess of a folded-in item for user rows (n,) -> (n,) float32."""
        return self._score_part(part, *self._user_rows(users))

    def _score_part(self, part: PosteriorPart, bias: np.ndarray, factors: np.ndarray) -> np.ndarray:
        f = (self.mean + part.bias)[:, None] + bias + np.einsum("sk,snk->sn", part.factors, factors)
        return self._centre(f.mean(0), f.var(0))

    def _fold_in(
        self,
        rows: np.ndarray,
        values: np.ndarray,
        features: Mapping[str, Any] | None,
        side: SidePosterior,
        other_bias: np.ndarray,
        other: np.ndarray,
        *,
        of_user: bool,
    ) -> PosteriorPart:
        rows, n = np.asarray(rows, np.int64), len(rows)
        if np.shape(values) != (n,):
            raise DataError(f"{n} rows and values of shape {np.shape(values)}: both must be (n,).")
        K = side.prior_mean.shape[2] - 1
        place, weight = _feature_rows(side, features or {})
        given = np.einsum("sfk,f->sk", side.features[:, place], weight)  # (S, 1 + K)
        bag = side.features[:, rows].sum(1) if side.has_bag and n else np.zeros((self.n_samples, 1 + K))
        own = self._own(rows, np.asarray(values, np.float64), given + bag / np.sqrt(max(n, 1)), side, other_bias, other)
        x = own + given + bag / np.sqrt(n + 1)  # as for any held-out pair, the bag grows by the pair
        extra = []
        if self.user_side.has_bag:
            extra.append(self._bag_column(x, n, own_bag=of_user, strangers=self.user_side))
        if self.item_side.has_bag:
            extra.append(self._bag_column(x, n, own_bag=not of_user, strangers=self.item_side))
        return PosteriorPart(x[:, 0], np.concatenate([x[:, 1:], *extra], 1))

    def _own(
        self,
        rows: np.ndarray,
        values: np.ndarray,
        known: np.ndarray,
        side: SidePosterior,
        other_bias: np.ndarray,
        other: np.ndarray,
    ) -> np.ndarray:
        """The conditional mean of own bias and factors (S, 1 + K), given ``known`` from features and bag."""
        mean, lam = side.prior_mean[:, 0].astype(np.float64), side.prior_precision[:, 0].astype(np.float64)
        if not len(rows):
            return mean
        bias, q = _rows(rows, other_bias, other)
        a = np.concatenate([np.ones((*bias.shape, 1)), q[:, :, : known.shape[1] - 1]], 2)  # (S, n, 1 + K)
        e = values - self.mean[:, None] - bias - np.einsum("snk,sk->sn", a, known)
        alpha = (1 / self.fit_noise.astype(np.float64) ** 2)[:, None]
        P = alpha[:, :, None] * np.einsum("snk,snl->skl", a, a) + lam[:, :, None] * np.eye(lam.shape[1])
        return np.linalg.solve(P, (lam * mean + alpha * np.einsum("snk,sn->sk", a, e))[:, :, None])[:, :, 0]

    def _bag_column(self, x: np.ndarray, n: int, *, own_bag: bool, strangers: SidePosterior) -> np.ndarray:
        """A newcomer's entry in a bag's column (S, 1): of the own bag 1/√(n+1), of the others' what a stranger adds."""
        if own_bag:
            return np.full((self.n_samples, 1), 1 / np.sqrt(n + 1))
        mean = strangers.prior_mean[:, 1]  # (S, 1 + K) of the bag's group
        return mean[:, :1] + np.einsum("sk,sk->s", mean[:, 1:], x[:, 1:])[:, None]

    # Smaller, and on disk --------------------------------------------------------------------------------------

    def factors(self) -> Factors:
        """Plain Factors that score nearly alike: :meth:`compress` to twice a sample's factors."""
        return self.compress()

    def compress(self, n_factors: int | None = None) -> Factors:
        """Plain Factors: the mean biases, and the best ``n_factors``-dimensional approximation of the mean of P·Q.

        Days, uncertainty and features are left behind. The truncated SVD (Eckart & Young 1936) is found by subspace
        iteration on the samples, without a dense U × I matrix. By default as many factors as a sample has, twice.
        """
        U, I, K = self.users.shape[1], self.items.shape[1], self.users.shape[2]
        rank = min(2 * K if n_factors is None else n_factors, U, I)
        width = min(rank + 10, U, I)
        right = np.random.default_rng(0).standard_normal((I, width)).astype(np.float32)
        left = np.zeros((U, width), np.float32)
        for _ in range(6):
            left = np.linalg.qr(self._times(right))[0]
            right = np.linalg.qr(self._times(left, transposed=True))[0]
        product = self._times(right)  # (U, width): M ≈ product @ right.T
        a, values, b = np.linalg.svd(product, full_matrices=False)
        root = np.sqrt(values[:rank])
        users, items = a[:, :rank] * root, (right @ b.T)[:, :rank] * root
        return self._plain(users, items)

    def _times(self, x: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        """The mean over samples of P Qᵀ x, or of Q Pᵀ x."""
        a, b = (self.items, self.users) if transposed else (self.users, self.items)
        total = np.zeros((a.shape[1], x.shape[1]), np.float32)
        for p, q in zip(a, b, strict=True):
            total += p @ (q.T @ x)
        return total / np.float32(self.n_samples)

    def _plain(self, users: np.ndarray, items: np.ndarray) -> Factors:
        noise = float(np.mean(self.fit_noise.astype(np.float64) ** 2))
        bias = [float(s.prior_precision[:, 0, 0].mean()) for s in (self.user_side, self.item_side)]
        spread = [max(float(x.var()), 1e-6) if x.size else 1.0 for x in (users, items)]
        return Factors(
            mean=float(self.mean.mean()),
            user_bias=self.user_bias.mean(0),
            item_bias=self.item_bias.mean(0),
            users=users,
            items=items,
            y_range=self.y_range,
            reg=Ridge(noise * bias[0], noise / spread[0]),
            item_reg=Ridge(noise * bias[1], noise / spread[1]),
        )

    def thin(self, keep: int) -> Posterior:
        """Every so-maniest sample, ``keep`` in all: smaller, a little less exact."""
        at = np.unique(np.linspace(0, self.n_samples - 1, min(keep, self.n_samples)).round().astype(int))
        names = ("mean", "user_bias", "item_bias", "users", "items", "day_bias", "day_factors", "fit_noise")
        sides = {
            name: side._replace(
                features=side.features[at], prior_mean=side.prior_mean[at], prior_precision=side.prior_precision[at]
            )
            for name, side in (("user_side", self.user_side), ("item_side", self.item_side))
        }
        return replace(self, **{name: getattr(self, name)[at] for name in names}, **sides)

    def state(self) -> State:
        """What ``storage`` keeps: everything but the trace."""
        names = ("mean", "user_bias", "item_bias", "users", "items", "days", "day_bias", "day_factors")
        arrays = {name: getattr(self, name) for name in (*names, "fit_noise", "stars", "cutpoints")}
        settings: dict[str, Any] = {
            "noise": self.noise,
            "star_noise": self.star_noise,
            "ordinal": self.ordinal,
            "notes": list(self.notes),
        }
        settings["y_range"] = [x if np.isfinite(x) else None for x in self.y_range]
        for name, side in (("user_side", self.user_side), ("item_side", self.item_side)):
            arrays |= {f"{name}.{part}": getattr(side, part) for part in _SIDE_ARRAYS}
            settings[name] = {
                "names": list(side.names),
                "groups": [list(g) for g in side.groups],
                "scales": [list(s) for s in side.scales],
                "has_bag": side.has_bag,
            }
        return State("posterior", arrays, settings)

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> Posterior:
        """The Posterior whose :meth:`state` this is, to the bit; its trace is gone."""
        sides = {}
        for name in ("user_side", "item_side"):
            words = settings[name]
            parts = {part: arrays[f"{name}.{part}"] for part in _SIDE_ARRAYS}
            groups = tuple((str(g), int(a), int(z)) for g, a, z in words["groups"])
            scales = tuple((str(c), float(m), float(s)) for c, m, s in words["scales"])
            sides[name] = SidePosterior(tuple(words["names"]), groups, scales, has_bag=words["has_bag"], **parts)
        low, high = settings["y_range"]
        return cls(
            **{name: a for name, a in arrays.items() if "." not in name},
            **sides,
            noise=settings["noise"],
            star_noise=settings["star_noise"],
            ordinal=settings["ordinal"],
            y_range=(-np.inf if low is None else low, np.inf if high is None else high),
            notes=tuple(settings["notes"]),
        )


_SIDE_ARRAYS = ("features", "prior_mean", "prior_precision")


def slices(mean: np.ndarray, variance: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    """How much of N(mean, variance) (B,) falls between each two neighbours of -∞, cutpoints (L - 1,), ∞: (B, L)."""
    from scipy.special import ndtr

    below = ndtr((cutpoints - mean[..., None]) / np.sqrt(variance)[..., None])
    ends = np.zeros((*mean.shape, 1)), np.ones((*mean.shape, 1))
    return np.diff(np.concatenate([ends[0], below, ends[1]], -1), axis=-1)


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


def _feature_rows(side: SidePosterior, features: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Which features column -> value(s) name (n,), and their weights (n,), as ``features.encode`` gives them.

    A number is standardised; m labels of a column weigh 1/√m each.
    """
    place = {name: f for f, name in enumerate(side.names)}
    scales = {column: (mean, spread) for column, mean, spread in side.scales}
    columns = [g for g, _, _ in side.groups[int(side.has_bag) :]]
    found: list[int] = []
    weight: list[float] = []
    for column, value in features.items():
        if column not in columns:
            raise DataError(f"the fit used no feature column {column!r}.", hint=did_you_mean(column, columns))
        if column in scales:
            mean, spread = scales[column]
            found.append(place[column])
            weight.append((_number(column, value) - mean) / spread)
            continue
        for label in _labels(value):
            name = f"{column}={label}"
            if name not in place:
                known = [x.split("=", 1)[1] for x in side.names if x.startswith(f"{column}=")]
                raise DataError(f"column {column!r} has no value {label!r}.", hint=did_you_mean(label, known))
            found.append(place[name])
        m = len(found) - len(weight)
        weight += [m**-0.5] * m
    return np.array(found, np.int64), np.array(weight)


def _number(column: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise DataError(f"column {column!r} holds numbers; {value!r} is none.", hint="leave out what is not known.")
    return number


def _labels(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        return [v for v in value.split("|") if v]
    return list(value) if isinstance(value, Sequence) else [value]
