"""How sure we are of a figure: the studentised bootstrap over users.

Whole users are drawn with replacement, since the ratings of one person err together (Efron & Tibshirani 1993, ch. 12
and 13). A figure is a ratio of two sums over users. Its error is estimated in every resample, too, by the ratio's
linearisation; what is drawn is the resample's distance from the figure in units of its own error. With few users
and long-tailed counts this covers what it promises where percentiles do not (``python -m bench coverage``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..metrics import Metric
from ..rng import Rng, numpy_rng

RESAMPLE_BLOCK = 1 << 21  # users × resamples drawn at once
LEVEL = (2.5, 97.5)  # percent
UNSURE = 0.01  # share of resamples without an error of their own, above which percentiles are taken

Interval = tuple[float, float]


class Sums(NamedTuple):
    """What metrics found, summed by user.

    Attributes:
        users: (M,) which of the G users measured.
        values: (M, C) sums of values of C metrics.
        counts: (M, C) sums of counts.
    """

    users: np.ndarray
    values: np.ndarray
    counts: np.ndarray

    def mean(self, c: int) -> float:
        """Σ values / Σ counts of one metric; NaN where nothing counts."""
        total = self.counts[:, c].sum()
        return float(self.values[:, c].sum() / total) if total else float("nan")


class Resamples(NamedTuple):
    """Sums over users of m columns, and of the products of each two, under R resamples of the users.

    Attributes:
        first: (R, m).
        second: (R, m, m).
    """

    first: np.ndarray
    second: np.ndarray


Job = tuple[np.ndarray, Sequence[np.ndarray]]  # users (M,), and sets of columns (M, m) of theirs


def resample(jobs: Sequence[Job], n_users: int, n: int, rng: Rng) -> list[list[Resamples]]:
    """For each set of columns of each job its Resamples: all under the same n resamples of G users."""
    generator = numpy_rng(rng)
    stacked = [(users, *_distinct([c for x in sets for c in _products(x)])) for users, sets in jobs]
    sums = [np.empty((n, x.shape[1])) for _, x, _ in stacked]
    step = max(1, RESAMPLE_BLOCK // max(n_users, 1))
    for start in range(0, n, step):
        b = min(step, n - start)
        drawn = generator.integers(n_users, size=(b, n_users)) + n_users * np.arange(b)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=b * n_users).reshape(b, n_users).astype(np.float64)
        for (users, x, _), out in zip(stacked, sums, strict=True):
            w = weights if len(users) == n_users else weights[:, users]
            out[start : start + b] = np.einsum("bg,gc->bc", w, x)  # not BLAS: same bits for any threads
    whole = (out[:, at] for out, (_, _, at) in zip(sums, stacked, strict=True))
    return [_unstacked(out, [x.shape[1] for x in sets]) for out, (_, sets) in zip(whole, jobs, strict=True)]


def _products(x: np.ndarray) -> list[np.ndarray]:
    """(M, m) -> m + m (m + 1) / 2 of (M,): the columns, then the products of each two, each with itself, too."""
    a, b = np.triu_indices(x.shape[1])
    return [*x.T, *(x[:, i] * x[:, j] for i, j in zip(a, b, strict=True))]


def _distinct(columns: list[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """Columns (M,), each once: (M, C), and which of them each is. Counts are mostly the same in all metrics."""
    found: dict[bytes, int] = {}
    at = [found.setdefault(c.tobytes(), len(found)) for c in columns]
    return np.stack([np.frombuffer(c) for c in found], 1), at


def _unstacked(sums: np.ndarray, widths: Sequence[int]) -> list[Resamples]:
    """Resamples of sets of m columns each, from sums (R, all their products)."""
    out, start = [], 0
    for m in widths:
        a, b = np.triu_indices(m)
        second = np.empty((len(sums), m, m))
        second[:, a, b] = second[:, b, a] = sums[:, start + m : start + m + len(a)]
        out.append(Resamples(sums[:, start : start + m], second))
        start += m + len(a)
    return out


def columns(sums: Sums, c: int) -> np.ndarray:
    """(M, 2): how far each user's value lies from what the mean gives their count, and the count."""
    counts = sums.counts[:, c]
    return np.stack([sums.values[:, c] - sums.mean(c) * counts, counts], 1)


def interval(sums: Sums, c: int, draws: Resamples, metric: Metric) -> Interval | None:
    """The 95 % interval of one metric; None with fewer than two users that count."""
    x = columns(sums, c)
    if (x[:, 1] != 0).sum() < 2 or not len(draws.first):
        return None
    shift, spread = _ratio(draws.first, draws.second)
    own = _ratio(x.sum(0)[None], np.einsum("gi,gj->ij", x, x)[None])[1][0]
    mean = sums.mean(c)
    low, high = _ends(mean, own, shift, spread)
    ends = sorted(float(metric.finish(min(max(end, 0.0), metric.most))) for end in (low, high))
    return ends[0], ends[1]


def difference(first: tuple[float, Metric], second: tuple[float, Metric], x: np.ndarray, draws: Resamples) -> Interval:
    """The 95 % interval of the second figure less the first, both drawn with the same users.

    Args:
        first: a mean, and its metric.
        second: another mean, and its metric.
        x: (M, 4) the columns of both, as :func:`columns` gives them.
        draws: of these four.
    """
    sides = (first, second)
    value = second[1].finish(second[0]) - first[1].finish(first[0])
    if not len(draws.first):
        return float("nan"), float("nan")
    whole = Resamples(x.sum(0)[None], np.einsum("gi,gj->ij", x, x)[None])
    shift, spread = _gap(sides, draws)
    return _ends(float(value), _gap(sides, whole)[1][0], shift - value, spread)


def p_value(first: tuple[float, Metric], second: tuple[float, Metric], x: np.ndarray, draws: Resamples) -> float:
    """How unlikely a difference as large is if there is none: 2 · P(|t*| beyond t) on the worse side.

    The inverse of :func:`difference`: below 0.05 where that interval leaves 0 out. With R resamples the least is
    2 / (R + 1) (Davison & Hinkley 1997, eq. 4.11). Arguments as :func:`difference`.
    """
    sides = (first, second)
    value = float(second[1].finish(second[0]) - first[1].finish(first[0]))
    if value == 0:
        return 1.0
    if not len(draws.first):
        return float("nan")
    whole = Resamples(x.sum(0)[None], np.einsum("gi,gj->ij", x, x)[None])
    shift, spread = _gap(sides, draws)
    return _tail(value, _gap(sides, whole)[1][0], shift - value, spread)


def _gap(sides: tuple[tuple[float, Metric], tuple[float, Metric]], draws: Resamples) -> tuple[np.ndarray, np.ndarray]:
    """(R,) the differences under resamples, and their errors."""
    weights, values = [], []
    for k, (mean, metric) in enumerate(sides):
        total = draws.first[:, 2 * k + 1]
        shift = draws.first[:, 2 * k] / total
        slope = _slope(metric.finish, mean + shift) / total
        weights += [slope, -slope * shift]
        values.append(metric.finish(mean + shift))
    w = np.stack(weights, 1) * np.array([-1, -1, 1, 1])  # (R, 4)
    return values[1] - values[0], np.sqrt(np.maximum(np.einsum("bi,bij,bj->b", w, draws.second, w), 0))


def _ratio(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R,) how far the ratios lie from the mean, and their errors by linearisation (Σ (value - ratio · count)²)."""
    with np.errstate(all="ignore"):
        shift = first[:, 0] / first[:, 1]
        square = second[:, 0, 0] - 2 * shift * second[:, 0, 1] + shift**2 * second[:, 1, 1]
        return shift, np.sqrt(np.maximum(square, 0)) / first[:, 1]


def _ends(value: float, own: float, shift: np.ndarray, spread: np.ndarray) -> Interval:
    """The studentised interval around a value; percentiles where too many resamples are all of one kind."""
    shift, spread = shift[np.isfinite(shift)], spread[np.isfinite(shift)]
    if own == 0 or not len(shift):
        return value, value
    sure = spread > 1e-9 * own
    if (~sure).mean() > UNSURE:
        low, high = np.percentile(value + shift, LEVEL)
        return float(low), float(high)
    low, high = np.percentile(shift[sure] / spread[sure], LEVEL)
    return float(value - high * own), float(value - low * own)


def _tail(value: float, own: float, shift: np.ndarray, spread: np.ndarray) -> float:
    """Twice the share of resamples beyond a difference of 0, of the same kind as :func:`_ends` takes."""
    shift, spread = shift[np.isfinite(shift)], spread[np.isfinite(shift)]
    sure = spread > 1e-9 * own
    if own == 0 or not sure.any():
        beyond = np.zeros(2)
    elif (~sure).mean() > UNSURE:
        beyond = np.array([(value + shift <= 0).sum(), (value + shift >= 0).sum()])
    else:
        t = shift[sure] / spread[sure]
        beyond = np.array([(t >= value / own).sum(), (t <= value / own).sum()])
    return float(min(2 * (1 + beyond.min()) / (len(shift) + 1), 1.0))


def _slope(finish: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """The derivative of a metric's finish at x (R,)."""
    step = 1e-5 * np.maximum(np.abs(x), 1e-12)
    return (finish(x + step) - finish(x - step)) / (2 * step)
