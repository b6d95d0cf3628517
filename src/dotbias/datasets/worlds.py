"""Planted worlds: ratings made by the model itself, so that the truth is known and a fit can be held against it.

    value(u, i, t) = mean + b_u + b_i + p_u · q_i + (d_u + d_i) s(t) + noise · ε        s(t) from -1 (first) to 1 (last)

then, if asked, rounded to a scale's steps and kept within it. Who rates what follows the skew of real data: items by
Zipf's law, users by a log-normal; with ``mnar``, people rate what they like. This module fits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ..errors import SettingError, check_not_negative, check_positive
from ..ratings import Ids, Ratings
from ..rng import Rng, numpy_rng
from . import titles

START, SPAN = 946_684_800, 20 * 365 * 86_400  # from 2000-01-01 UTC, 20 years, in seconds
BLOCK = 1 << 21  # ratings at a time: bounds the memory


@dataclass(frozen=True, eq=False)
class World:
    """Ratings, and the truth that made them. It scores, too: ``score`` and ``score_all`` tell the truth.

    Attributes:
        ratings: N ratings of U users and I items, by user, then by time; item table: item, title, year, genres.
        expected: (N,) float32, each rating without noise, rounding and limits.
        mean: scalar.
        user_bias: (U,) float32.
        item_bias: (I,) float32.
        users: (U, K) float32.
        items: (I, K) float32.
        user_drift: (U,) float32: change of a user's bias from the middle of the time to its end.
        item_drift: (I,) float32: the same of an item.
        genre_factors: (G, K) float32: what each genre adds to its items' factors (averaged over an item's genres).
        noise: standard deviation of ε's part, before rounding.
        floor: RMSE of the truth itself (within the scale's limits) on these ratings: nothing fits better but by chance.
    """

    ratings: Ratings
    expected: np.ndarray = field(repr=False)
    mean: float
    user_bias: np.ndarray = field(repr=False)
    item_bias: np.ndarray = field(repr=False)
    users: np.ndarray = field(repr=False)
    items: np.ndarray = field(repr=False)
    user_drift: np.ndarray = field(repr=False)
    item_drift: np.ndarray = field(repr=False)
    genre_factors: np.ndarray = field(repr=False)
    noise: float
    floor: float

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The truth for pairs of rows (B,), (B,) -> (B,) float32, within the scale; drift counts if times are given."""
        z = self.mean + self.user_bias[users] + self.item_bias[items]
        z = z + np.einsum("bk,bk->b", self.users[users], self.items[items])
        if times is not None:
            z = z + (self.user_drift[users] + self.item_drift[items]) * progress_of(times)
        return _within(z.astype(np.float32), self.ratings.y_range)

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The truth for every item and each user row (B,) -> (B, I) float32."""
        z = self.users[users] @ self.items.T + (self.mean + self.user_bias[users])[:, None] + self.item_bias
        if times is not None:
            z = z + (self.user_drift[users][:, None] + self.item_drift) * progress_of(times)[:, None]
        return _within(z.astype(np.float32), self.ratings.y_range)


def planted(
    n_users: int = 300,
    n_items: int = 200,
    *,
    n_ratings: int = 10_000,
    n_factors: int = 4,
    noise: float = 0.5,
    signal_sd: float = 0.8,
    bias_share: float = 0.5,
    genre_share: float = 0.5,
    mean: float = 3.5,
    y_range: tuple[float, float] | None = (0.5, 5.0),
    step: float | None = 0.5,
    mnar: float = 0.0,
    drift: float = 0.0,
    zipf: float = 0.9,
    activity_sd: float = 1.0,
    times: bool = True,
    odd_titles: bool = False,
    rng: Rng = None,
) -> World:
    """A world whose truth is known.

    Args:
        n_users: U.
        n_items: I.
        n_ratings: N distinct pairs.
        n_factors: K; 0 for a world of biases.
        noise: standard deviation of what cannot be known.
        signal_sd: standard deviation, over all pairs, of biases and dot product together. Exact.
        bias_share: the part of the signal's variance that is bias, half the users', half the items'.
        genre_share: the part of the items' factors' variance that their genres fix.
        mean: of all pairs.
        y_range: the scale's limits; None for none.
        step: the scale's step from its lower end (from 0 without one); None for continuous ratings.
        mnar: how much more people rate what they like: a pair's odds of being rated go with σ(2 · mnar · its signal, in
            standard deviations). 0: at random.
        drift: standard deviation of the users' and of the items' drift.
        zipf: items' popularity falls as (rank + 10)^-zipf.
        activity_sd: standard deviation of the log of users' activity.
        times: False leaves them out (and then there is no drift).
        odd_titles: some titles begin with = + - @ or hold quotes and commas.
        rng: seed or Generator; the same gives the same bits.

    Raises:
        SettingError: for settings that make no sense, or more ratings than pairs.
    """
    check_positive(n_users=n_users, n_items=n_items, n_ratings=n_ratings, activity_sd=activity_sd, signal_sd=signal_sd)
    check_not_negative(noise=noise, mnar=mnar, drift=drift, zipf=zipf, n_factors=n_factors)
    _check(n_users * n_items, n_ratings, y_range, step, {"bias_share": bias_share, "genre_share": genre_share})
    rng = numpy_rng(rng)
    names, genres, flags = titles.make(n_items, rng, odd=odd_titles)
    share = bias_share if n_factors else 1.0
    user_bias = _scaled(rng.standard_normal(n_users), signal_sd * np.sqrt(share / 2))
    item_bias = _scaled(rng.standard_normal(n_items), signal_sd * np.sqrt(share / 2))
    users, items, genre_factors = _factors(n_users, flags, n_factors, genre_share, rng)
    scale = np.sqrt(signal_sd * np.sqrt(1 - share) / max(_dot_sd(users, items), 1e-12))
    users, items, genre_factors = (np.float32(scale) * a for a in (users, items, genre_factors))
    drifts = [_scaled(rng.standard_normal(n), drift if times else 0.0) for n in (n_users, n_items)]
    truth = _Truth(mean, user_bias, item_bias, users, items, drifts[0], drifts[1])

    counts = _counts(n_ratings, rng.lognormal(0, activity_sd, n_users), n_items, rng)
    columns = _Columns(n_ratings, times)
    popularity = rng.permutation((np.arange(n_items) + 10.0) ** -zipf)
    likes = mnar / signal_sd
    for first, last in _blocks(counts):
        who, what = _pairs(counts, first, last, popularity, truth, likes, rng)
        when = _times(counts, first, last, who, rng) if times else None
        columns.add(who, what, when, truth, noise, y_range, step, rng)

    ids = [Ids(pl.Series(np.arange(1, n + 1, dtype=np.int64))) for n in (n_users, n_items)]
    years = pl.Series(names).str.extract(r"\((\d{4})\)$").cast(pl.Int32)
    table = pl.DataFrame({"item": ids[1].values, "title": names, "year": years, "genres": genres})
    who, what, values, when = columns.users, columns.items, columns.values, columns.times
    ratings = Ratings(who, what, values, when, ids[0], ids[1], item_table=table, y_range=y_range)
    floor = float(np.sqrt(columns.squares / n_ratings))
    return World(ratings, columns.expected, **vars(truth), genre_factors=genre_factors, noise=noise, floor=floor)


def _check(
    n_pairs: int, n_ratings: int, y_range: tuple[float, float] | None, step: float | None, shares: dict[str, float]
) -> None:
    if n_ratings > n_pairs:
        raise SettingError(f"{n_ratings:,} ratings do not fit {n_pairs:,} pairs.", hint="a pair is rated once.")
    if step is not None:
        check_positive(step=step)
    if y_range is not None and not y_range[0] < y_range[1]:
        raise SettingError(f"y_range is {y_range}.", hint="(low, high), such as (0.5, 5).")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise SettingError(f"{name} is {share!r}.", hint="from 0 to 1.")


# The truth -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Truth:
    mean: float
    user_bias: np.ndarray
    item_bias: np.ndarray
    users: np.ndarray
    items: np.ndarray
    user_drift: np.ndarray
    item_drift: np.ndarray

    def signal(self, u: np.ndarray, i: np.ndarray) -> np.ndarray:
        """Biases and dot product of pairs (B,) float32, in blocks."""
        out = self.user_bias[u] + self.item_bias[i]
        for k in range(0, len(u), 1 << 18):
            at = slice(k, k + (1 << 18))
            out[at] += np.einsum("bk,bk->b", self.users[u[at]], self.items[i[at]])
        return out

    def drift(self, u: np.ndarray, i: np.ndarray, times: np.ndarray) -> np.ndarray:
        return (self.user_drift[u] + self.item_drift[i]) * progress_of(times)


def progress_of(times: np.ndarray) -> np.ndarray:
    """Times in seconds (B,) on the world's own clock: -1 at its beginning, 1 at its end. (B,) float32."""
    return (2 * (np.asarray(times) - START) / SPAN - 1).astype(np.float32)


def _scaled(x: np.ndarray, sd: float) -> np.ndarray:
    """x centred and brought to that standard deviation exactly (a single number becomes 0)."""
    x = x - x.mean()
    return (x * (sd / max(x.std(), 1e-12))).astype(np.float32)


def _factors(
    n_users: int, flags: np.ndarray, k: int, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users' factors (U, K), items' (I, K), genres' (G, K), before scaling; users' and items' centred."""
    users = rng.standard_normal((n_users, k), np.float32)
    genres = rng.standard_normal((flags.shape[1], k), np.float32)
    mixed = (flags / flags.sum(1, keepdims=True)) @ genres  # (I, K)
    spread = np.sqrt(share) / np.maximum(mixed.std(0), 1e-6)
    genres = (genres - mixed.mean(0)) * spread
    items = (mixed - mixed.mean(0)) * spread + np.sqrt(1 - share) * rng.standard_normal(mixed.shape, np.float32)
    return users - users.mean(0), (items - items.mean(0)).astype(np.float32), genres.astype(np.float32)


def _dot_sd(users: np.ndarray, items: np.ndarray) -> float:
    """Standard deviation of p_u · q_i over all U × I pairs, without making them (both sides centred)."""
    p, q = users.astype(np.float64), items.astype(np.float64)
    return float(np.sqrt(np.sum((p.T @ p) * (q.T @ q)) / (len(p) * len(q))))


# Who rates what, and when --------------------------------------------------------------------------------------


def _counts(n: int, weights: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Ratings per user (U,): proportional to the weights, from 1 (if n allows) to ``most``; they sum to n."""
    least = 1 if n >= len(weights) else 0
    low, high = 0.0, 2.0 * n / weights.min() if most * len(weights) > n else np.inf
    if not np.isfinite(high):
        return np.full(len(weights), most)
    for _ in range(100):
        scale = (low + high) / 2
        counts = np.clip(np.floor(weights * scale), least, most).astype(np.int64)
        low, high = (scale, high) if counts.sum() <= n else (low, scale)
    counts = np.clip(np.floor(weights * low), least, most).astype(np.int64)
    while (rest := n - counts.sum()) > 0:
        room = np.flatnonzero(counts < most)
        counts[rng.choice(room, min(rest, len(room)), replace=False)] += 1
    return counts


def _blocks(counts: np.ndarray) -> list[tuple[int, int]]:
    """User rows [first, last) of about BLOCK ratings each."""
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(BLOCK, ends[-1] + BLOCK, BLOCK), side="left") + 1
    cuts = np.unique(np.r_[0, np.minimum(cuts, len(counts)), len(counts)])
    return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))


def _pairs(
    counts: np.ndarray,
    first: int,
    last: int,
    popularity: np.ndarray,
    truth: _Truth,
    likes: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs of the users [first, last) -> users (n,), items (n,), by user.

    Each user draws items by popularity, without putting back: by redrawing what is double, or where a user takes a
    tenth of all items or more, by exponential races over all of them (Efraimidis & Spirakis 2006): the same law.
    """
    n_items = len(popularity)
    heavy = counts[first:last] * 10 >= n_items
    found = [_race(int(u), counts[u], popularity, truth, likes, rng) for u in first + np.flatnonzero(heavy)]
    want = np.where(heavy, 0, counts[first:last])
    table = _draw_table(popularity)
    keys = np.empty(0, np.int64)
    while want.any():
        users = np.repeat(np.arange(first, last), want)
        items = table[rng.integers(len(table), size=len(users), dtype=np.int32)]
        new = users * n_items + items
        if likes:
            new = new[rng.random(len(new), np.float32) < _sigmoid(2 * likes * truth.signal(users, items))]
        keys, new = _merged(keys, new)
        want = want - np.bincount(new // n_items - first, minlength=last - first)
    keys = np.sort(np.concatenate([keys, *found]))
    return (keys // n_items).astype(np.int32), (keys % n_items).astype(np.int32)


def _merged(keys: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(both, sorted and without doubles; what of ``new`` was not in ``keys``)."""
    new = np.sort(new)
    new = new[np.r_[True, new[1:] != new[:-1]]] if len(new) else new
    if not len(keys):
        return new, new
    at = np.searchsorted(keys, new)
    fresh = keys[np.minimum(at, len(keys) - 1)] != new
    return np.insert(keys, at[fresh], new[fresh]), new[fresh]


def _draw_table(popularity: np.ndarray) -> np.ndarray:
    """Item rows, each as often as its popularity asks, once at least: a uniform draw of them is one by popularity."""
    size = max(1 << 20, 8 * len(popularity))
    times = np.maximum(np.rint(popularity / popularity.sum() * size), 1).astype(np.int64)
    return np.repeat(np.arange(len(popularity), dtype=np.int32), times)


def _race(u: int, n: int, popularity: np.ndarray, truth: _Truth, likes: float, rng: np.random.Generator) -> np.ndarray:
    """n items of one user, as keys (n,)."""
    n_items = len(popularity)
    arrival = rng.standard_exponential(n_items) / popularity
    if likes:
        rows = np.arange(n_items, dtype=np.int32)
        arrival = arrival / _sigmoid(2 * likes * truth.signal(np.full(n_items, u), rows)).clip(1e-12)
    winners = np.argpartition(arrival, n - 1)[:n] if n < n_items else np.arange(n_items)
    return u * n_items + winners


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * z))


def _times(counts: np.ndarray, first: int, last: int, who: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Times (n,) int64, ascending within a user: each user comes, stays a while, and rates in sittings of about 20."""
    n = last - first
    joins = rng.random(n) * 0.95
    stays = np.minimum(rng.lognormal(-4.0, 1.5, n), 1 - joins)  # as parts of SPAN
    sittings = 1 + counts[first:last] // 20
    local = who - first
    sitting = np.floor(rng.random(len(who)) * sittings[local]) / sittings[local]
    seconds = (joins[local] + sitting * stays[local]) * (SPAN - 7200) + rng.random(len(who)) * 7200
    order = np.sort(local.astype(np.int64) * (1 << 34) + seconds.astype(np.int64))  # by user, then by time
    return START + (order & ((1 << 34) - 1))


# Ratings -------------------------------------------------------------------------------------------------------


class _Columns:
    """The columns, filled block by block."""

    def __init__(self, n: int, times: bool):
        self.users, self.items = np.empty(n, np.int32), np.empty(n, np.int32)
        self.values, self.expected = np.empty(n, np.float32), np.empty(n, np.float32)
        self.times = np.empty(n, np.int64) if times else None
        self.n, self.squares = 0, 0.0

    def add(
        self,
        who: np.ndarray,
        what: np.ndarray,
        when: np.ndarray | None,
        truth: _Truth,
        noise: float,
        y_range: tuple[float, float] | None,
        step: float | None,
        rng: np.random.Generator,
    ) -> None:
        """Rate a block of pairs, by user; a user's items come in random order."""
        at = slice(self.n, self.n + len(who))
        shuffled = np.argsort(who.astype(np.int64) * (1 << 31) + rng.integers(1 << 31, size=len(who)))
        what = what[shuffled]
        expected = np.float32(truth.mean) + truth.signal(who, what)
        if when is not None:
            expected += truth.drift(who, what, when)
            self.times[at] = when  # type: ignore[index]
        values = expected + np.float32(noise) * rng.standard_normal(len(who), np.float32)
        if step is not None:
            low = np.float32(0 if y_range is None else y_range[0])
            values = low + np.float32(step) * np.rint((values - low) / np.float32(step))
        values = _within(values, y_range)
        self.users[at], self.items[at], self.values[at], self.expected[at] = who, what, values, expected
        self.squares += float(np.sum((values - _within(expected, y_range)).astype(np.float64) ** 2))
        self.n += len(who)


def _within(z: np.ndarray, y_range: tuple[float, float] | None) -> np.ndarray:
    return z if y_range is None else np.clip(z, np.float32(y_range[0]), np.float32(y_range[1]))
