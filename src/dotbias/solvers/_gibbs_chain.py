"""One Gibbs chain: what it knows (Problem), where it stands (Chain), and one sweep.

    r = mean + b_u + b_i + b_d + P_u·Q_i + P_u·D_d + Q_i·D_d + noise,

where P_u, Q_i are sums of factors of the row and of its features: a factorization machine (Rendle 2010) without the
products inside one side, which would only be another bias. Own rows and each feature column are *groups*, each with
its own prior N(μ, 1/λ) on biases and on every factor, and a normal-gamma prior on (μ, λ).

Every draw of a sweep is keyed by (key, sweep), so a chain is resumed from its arrays alone.
This module works on standardised ratings and does not know when to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import DivergedError
from ..features import Features
from . import _gibbs_kernels as kernels
from . import _gibbs_ordinal as ordinal

START_SD = 0.1  # of the first factors


class Prior(NamedTuple):
    """Priors of the hyper-parameters: λ ~ Gamma(shape, rate), μ ~ N(0, 1/(count λ)), noise precision like λ."""

    shape: float = 0.5
    rate: float = 0.5
    count: float = 1.0


class Side(NamedTuple):
    """One side's unchanging part: its ratings in its own order, and its rows' features both ways.

    Attributes:
        starts: (R + 1,) where each row's ratings begin.
        order: (N,) its ratings, as positions in the problem's columns.
        near, far: (N,) int32, in that order: the rows of the two other sides (far = near where there is but one).
        entry, index, weight: features by row, as in Features.
        held_out_weight: (E,) the weights for a pair outside the ratings: its bag grows by the pair itself.
        first, rows, row_weight: the same entries by feature.
        group: (F,) int32 which group a feature is of, from 0.
        groups: (name, first feature, one past its last), the bag first where there is one.
        has_bag: whether the first group is a bag.
    """

    starts: np.ndarray
    order: np.ndarray
    near: np.ndarray
    far: np.ndarray
    entry: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    held_out_weight: np.ndarray
    first: np.ndarray
    rows: np.ndarray
    row_weight: np.ndarray
    group: np.ndarray
    groups: tuple[tuple[str, int, int], ...]
    has_bag: bool

    @property
    def n_rows(self) -> int:
        """R."""
        return len(self.starts) - 1


class Problem(NamedTuple):
    """Ratings as a chain sees them: standardised, sorted by user.

    Attributes:
        values: (N,) float32 standardised; ``levels`` (N,) int32 which star, for ordinal output.
        columns: users, items, days (N,) int32 each (days empty if unused).
        sides: users, items[, days].
    """

    values: np.ndarray
    levels: np.ndarray
    columns: tuple[np.ndarray, np.ndarray, np.ndarray]
    sides: tuple[Side, ...]


@dataclass
class Weights:
    """One side's parameters: own (R, …), of features (F, …), and each group's prior (1 + groups, …), own first."""

    bias: np.ndarray
    factors: np.ndarray
    feature_bias: np.ndarray
    feature_factors: np.ndarray
    bias_mean: np.ndarray
    bias_precision: np.ndarray
    factor_mean: np.ndarray
    factor_precision: np.ndarray


@dataclass
class Chain:
    """Where a chain stands. ``cutpoints`` (L + 1,) with infinite ends, and their proposal steps; empty if gaussian."""

    mean: float
    precision: float
    sweep: int
    n_factors: int
    sides: list[Weights]
    cutpoints: np.ndarray
    steps: np.ndarray


def side(
    rows: np.ndarray, near: np.ndarray, far: np.ndarray, n_rows: int, bag: Features | None, table: Features | None
) -> Side:
    """Lay out one side. rows, near, far: (N,); ``bag`` and ``table`` have ``n_rows`` rows."""
    order = np.argsort(rows, kind="stable")
    count = np.bincount(rows, minlength=n_rows)
    blocks = [b for b in (bag, table) if b is not None and b.n_features]
    offsets = np.cumsum([0, *(b.n_features for b in blocks)])
    row = np.concatenate([np.zeros(0, np.int64), *(np.repeat(np.arange(n_rows), np.diff(b.starts)) for b in blocks)])
    index = np.concatenate([np.zeros(0, np.int64), *(b.index + o for b, o in zip(blocks, offsets, strict=False))])
    weight = np.concatenate([np.zeros(0, np.float32), *(b.weight for b in blocks)]).astype(np.float32)
    groups = [(g, a + int(o), z + int(o)) for b, o in zip(blocks, offsets, strict=False) for g, a, z in b.groups]
    groups = [g for g in groups if g[2] > g[1]]
    in_bag = index < (bag.n_features if bag is not None else 0)
    held_out = np.where(in_bag, weight * np.sqrt(count / (count + 1.0))[row], weight).astype(np.float32)
    by_row, by_feature = np.lexsort((index, row)), np.lexsort((row, index))
    return Side(
        starts=_starts(count),
        order=order,
        near=near[order].astype(np.int32),
        far=far[order].astype(np.int32) if len(far) else near[order].astype(np.int32),
        entry=_starts(np.bincount(row, minlength=n_rows)),
        index=index[by_row].astype(np.int32),
        weight=weight[by_row],
        held_out_weight=held_out[by_row],
        first=_starts(np.bincount(index, minlength=int(offsets[-1]))),
        rows=row[by_feature].astype(np.int64),
        row_weight=weight[by_feature],
        group=np.repeat(np.arange(len(groups)), [z - a for _, a, z in groups]).astype(np.int32),
        groups=tuple(groups),
        has_bag=bag is not None and bag.n_features > 0,
    )


def problem(
    values: np.ndarray,
    levels: np.ndarray,
    columns: Sequence[np.ndarray],
    n_rows: Sequence[int],
    bags: Sequence[Features | None],
    tables: Sequence[Features | None],
) -> Problem:
    """Lay out a problem from (N,) columns users, items, days; ``n_rows`` = (U, I, D), D = 0 for no days."""
    by_user = np.argsort(columns[0], kind="stable")
    users, items, days = (c[by_user].astype(np.int32) if len(c) else np.zeros(0, np.int32) for c in columns)
    sides = [
        side(users, items, days, n_rows[0], bags[0], tables[0]),
        side(items, users, days, n_rows[1], bags[1], tables[1]),
    ]
    if n_rows[2]:
        sides.append(side(days, users, items, n_rows[2], None, None))
    levels = levels[by_user].astype(np.int32) if len(levels) else np.zeros(0, np.int32)
    return Problem(values[by_user].astype(np.float32), levels, (users, items, days), tuple(sides))


def start(p: Problem, *, n_factors: int, key: int, precision: float, cutpoints: np.ndarray) -> Chain:
    """A chain at its beginning: biases zero, factors small and random."""
    rng = _stream(key, 0)
    return Chain(
        mean=0.0,
        precision=precision,
        sweep=1,
        n_factors=n_factors,
        sides=[_first_weights(s, n_factors, rng) for s in p.sides],
        cutpoints=cutpoints.astype(np.float64),
        steps=np.full(max(len(cutpoints) - 2, 0), 0.02),
    )


def _first_weights(s: Side, K: int, rng: np.random.Generator) -> Weights:
    F, G, padded = len(s.group), 1 + len(s.groups), (K + 7) // 8 * 8

    def small(n: int) -> np.ndarray:
        x = np.zeros((n, padded), np.float32)
        x[:, :K] = START_SD * rng.standard_normal((n, K), dtype=np.float32)
        return x

    first = np.full((G, padded), START_SD**-2, np.float32)
    return Weights(
        bias=np.zeros(s.n_rows, np.float32),
        factors=small(s.n_rows),
        feature_bias=np.zeros(F, np.float32),
        feature_factors=small(F),
        bias_mean=np.zeros(G),
        bias_precision=np.full(G, START_SD**-2),
        factor_mean=np.zeros((G, padded), np.float32),
        factor_precision=first,
    )


def sweep(p: Problem, c: Chain, *, key: int, noise: float | None, prior: Prior, learn_steps: bool = False) -> None:
    """Draw everything once, in place. ``noise``: the precision to hold, or None to draw it from the residuals.

    Raises:
        DivergedError: if a number is no longer finite.
    """
    rng = _stream(key, c.sweep)
    effects = [effective(s, w) for s, w in zip(p.sides, c.sides, strict=True)]
    e = residuals(p, c, effects)
    if len(c.cutpoints):
        ordinal.draw(p.levels, c, e, rng, learn=learn_steps)
    c.precision = draw_precision(e, prior, rng) if noise is None else noise
    _check(c, e)
    _draw_mean(c, e, rng)
    for s, w in zip(p.sides, c.sides, strict=True):
        draw_priors(s, w, c.n_factors, prior, rng)
    for j in range(len(p.sides)):
        draw_side(p, c, j, effects, e, rng)
        effects[j] = effective(p.sides[j], c.sides[j])
    c.sweep += 1


def effective(s: Side, w: Weights, *, held_out: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Each row's bias (R,) and factors (R, K), features included."""
    if not len(s.group):
        return w.bias.copy(), w.factors.copy()
    weight = s.held_out_weight if held_out else s.weight
    bias, factors = np.empty_like(w.bias), np.empty_like(w.factors)
    kernels.collapse_bias(s.entry, s.index, weight, w.bias, w.feature_bias, bias)
    kernels.collapse(s.entry, s.index, weight, w.factors, w.feature_factors, factors)
    return bias, factors


def residuals(p: Problem, c: Chain, effects: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """What the chain leaves unexplained (N,) float32; for ordinal output, minus what it says."""
    K = effects[0][1].shape[1]
    nothing = np.zeros(0, np.float32), np.zeros((0, K), np.float32)
    padded = [*effects, nothing][:3]
    values = np.zeros_like(p.values) if len(c.cutpoints) else p.values
    e = np.empty(len(values), np.float32)
    bias, factors = tuple(b for b, _ in padded), tuple(v for _, v in padded)
    kernels.residuals(values, *p.columns, np.float32(c.mean), bias, factors, e)
    return e


def draw_precision(e: np.ndarray, prior: Prior, rng: np.random.Generator) -> float:
    """Noise precision from residuals (N,): Gamma(shape + N/2, rate + Σ e²/2)."""
    squares = float(np.square(e, dtype=np.float64).sum())
    return float(rng.gamma(prior.shape + len(e) / 2) / (prior.rate + squares / 2))


def _draw_mean(c: Chain, e: np.ndarray, rng: np.random.Generator) -> None:
    """The mean, under a flat prior: N(mean + ē, 1/(α N)); residuals follow."""
    step = float(e.mean(dtype=np.float64)) + rng.standard_normal() / np.sqrt(c.precision * len(e))
    c.mean += step
    e -= np.float32(step)


def draw_priors(s: Side, w: Weights, K: int, prior: Prior, rng: np.random.Generator) -> None:
    """Every group's (μ, λ) of biases and factors, given its members."""
    own = (("own", 0, s.n_rows),)
    for g, (_, first, last) in enumerate((*own, *s.groups)):
        bias = (w.feature_bias if g else w.bias)[:, None]
        factors = w.feature_factors if g else w.factors
        mean, precision = normal_gamma(bias, first, last, prior, rng)
        w.bias_mean[g], w.bias_precision[g] = mean[0], precision[0]
        mean, precision = normal_gamma(factors, first, last, prior, rng)
        w.factor_mean[g, :K], w.factor_precision[g, :K] = mean[:K], precision[:K]


def normal_gamma(
    x: np.ndarray, first: int, last: int, prior: Prior, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw (μ, λ) per column of x[first:last] (n, K) from their joint conditional.

    λ ~ Gamma(a + n/2, b + ½ Σ (x - x̄)² + ½ n κ/(n + κ) x̄²),  μ ~ N(n x̄/(n + κ), 1/((n + κ) λ)).
    """
    n, kappa, K = last - first, prior.count, x.shape[1]
    sums = np.empty((2, K))
    centre = x[first].astype(np.float64)
    kernels.moments(x, centre, first, last, sums)
    mean = centre + sums[0] / n
    scatter = np.maximum(sums[1] - sums[0] ** 2 / n, 0.0)
    rate = prior.rate + (scatter + n * kappa / (n + kappa) * mean**2) / 2
    precision = rng.gamma(prior.shape + n / 2, size=K) / rate
    return n * mean / (n + kappa) + rng.standard_normal(K) / np.sqrt((n + kappa) * precision), precision


def draw_side(p: Problem, c: Chain, j: int, effects: list, e: np.ndarray, rng: np.random.Generator) -> None:
    """Draw side j's biases and factors, own and features'; the residuals ``e`` (N,) follow."""
    s, w = p.sides[j], c.sides[j]
    own_order = e[s.order]
    _draw_bias(s, w, own_order, c.precision, rng)
    others = [effects[i][1] for i in range(len(effects)) if i != j]
    near, far = others[0], (others[1] if len(others) > 1 else np.zeros((0, others[0].shape[1]), np.float32))
    R, K = w.factors.shape
    G, b, shift = np.empty((R, 64), np.float32), np.empty((R, 8), np.float32), np.zeros((R, 8), np.float32)
    alpha, active = np.float32(c.precision), (np.arange(K) < c.n_factors).astype(np.float32)
    before = -1
    for k in range(0, K, 8):
        kernels.statistics(s.starts, s.near, s.far, near, far, own_order, before, shift, k, G, b)
        prior = w.factor_mean[:, k : k + 8].copy(), w.factor_precision[:, k : k + 8].copy()
        keys = _keys(rng)
        own = prior[0][:1], prior[1][:1]
        kernels.draw_factors(G, b, w.factors, shift, k, alpha, *own, active[k : k + 8].copy(), keys[0])
        if len(s.group):
            features = s.first, s.rows, s.row_weight, s.group, G, b, w.feature_factors, shift, k, alpha
            kernels.draw_feature_factors(*features, prior[0][1:], prior[1][1:], active[k : k + 8].copy(), keys[1])
        before = k
    kernels.statistics(s.starts, s.near, s.far, near, far, own_order, before, shift, -1, G, b)
    e[s.order] = own_order


def _draw_bias(s: Side, w: Weights, e: np.ndarray, alpha: float, rng: np.random.Generator) -> None:
    b, shift, keys = np.empty(s.n_rows), np.zeros(s.n_rows), _keys(rng)
    kernels.bias_statistics(s.starts, e, b)
    kernels.draw_biases(s.starts, b, w.bias, shift, alpha, w.bias_mean[0], w.bias_precision[0], keys[0])
    if len(s.group):
        prior = w.bias_mean[1:], w.bias_precision[1:]
        features = s.first, s.rows, s.row_weight, s.group, b, w.feature_bias, shift
        kernels.draw_feature_biases(s.starts, *features, alpha, *prior, keys[1])
    kernels.subtract(s.starts, e, shift)


def _check(c: Chain, e: np.ndarray) -> None:
    if not (np.isfinite(c.precision) and np.isfinite(c.mean) and np.isfinite(e.sum(dtype=np.float64))):
        raise DivergedError(
            f"sweep {c.sweep} left the finite numbers (mean {c.mean:g}, noise precision {c.precision:g}).",
            hint="look for extreme values in numeric feature columns, or give noise= a larger number.",
        )


def _keys(rng: np.random.Generator) -> np.ndarray:
    """Two keys for kernels (2,) uint64."""
    return rng.integers(2**63, size=2).astype(np.uint64)


def _stream(key: int, sweep: int) -> np.random.Generator:
    """The sweep's own generator: nothing of it survives the sweep."""
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, sweep]))


def _starts(count: np.ndarray) -> np.ndarray:
    return np.r_[0, np.cumsum(count)].astype(np.int64)
