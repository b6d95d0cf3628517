"""One Gibbs chain: where it stands (Chain), and one sweep over a Problem.

    r = mean + b_u + b_i + b_d + (P_u + D_d)·Q_i + noise,

where d is the session (what this user rated that day) and P_u, Q_i are sums of factors of the row and of its features:
a factorization machine (Rendle 2010) without the products inside one side, which would only be another bias. Own rows
and each feature column are *groups*, each with its own prior N(μ, 1/λ) on biases and on every factor, and a
normal-gamma prior on (μ, λ). Two kinds have μ = 0: a history, whose mean would be a function of the number of ratings,
which nothing holds where train has none so few; and sessions, whose mean is the user's.

Every draw of a sweep is keyed by (key, sweep), so a chain is resumed from its arrays alone.
This module works on standardised ratings and does not know when to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import DivergedError
from ...rng import stream
from .._threads import share
from . import kernels, ordinal
from .problem import Problem, ProblemSide

START_SD = 0.1  # of the first factors


class HyperPrior(NamedTuple):
    """Priors of the hyper-parameters: λ ~ Gamma(shape, rate), μ ~ N(0, 1/(count λ)), noise precision like λ."""

    shape: float = 0.5
    rate: float = 0.5
    count: float = 1.0


@dataclass
class SideWeights:
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
    """Where a chain stands.

    Attributes:
        mean: of the ratings.
        precision: of the noise, α.
        sweep: the number of the next sweep, from 1.
        n_factors: K, before padding.
        sides: the parameters of users, items[, sessions].
        cutpoints: (L + 1,) with infinite ends; empty if gaussian.
        steps: (L - 1,) of the cutpoints' proposals.
    """

    mean: float
    precision: float
    sweep: int
    n_factors: int
    sides: list[SideWeights]
    cutpoints: np.ndarray
    steps: np.ndarray


def start(p: Problem, *, n_factors: int, key: int, precision: float, cutpoints: np.ndarray) -> Chain:
    """A chain at its beginning: biases zero, factors small and random."""
    rng = stream(key, 0)
    return Chain(
        mean=0.0,
        precision=precision,
        sweep=1,
        n_factors=n_factors,
        sides=[_first_weights(s, n_factors, rng) for s in p.sides],
        cutpoints=cutpoints.astype(np.float64),
        steps=np.full(max(len(cutpoints) - 2, 0), 0.02),
    )


def _first_weights(s: ProblemSide, K: int, rng: np.random.Generator) -> SideWeights:
    F, G, padded = len(s.group), 1 + len(s.groups), (K + 7) // 8 * 8

    def small(n: int) -> np.ndarray:
        x = np.zeros((n, padded), np.float32)
        x[:, :K] = START_SD * rng.standard_normal((n, K), dtype=np.float32)
        return x

    first = np.full((G, padded), START_SD**-2, np.float32)
    return SideWeights(
        bias=np.zeros(s.n_rows, np.float32),
        factors=small(s.n_rows),
        feature_bias=np.zeros(F, np.float32),
        feature_factors=small(F),
        bias_mean=np.zeros(G),
        bias_precision=np.full(G, START_SD**-2),
        factor_mean=np.zeros((G, padded), np.float32),
        factor_precision=first,
    )


def sweep(p: Problem, c: Chain, *, key: int, noise: float | None, prior: HyperPrior, learn_steps: bool = False) -> None:
    """Draw everything once, in place. ``noise``: the precision to hold, or None to draw it from the residuals.

    Raises:
        DivergedError: if a number is no longer finite.
    """
    rng = stream(key, c.sweep)
    effects = [effective(s, w) for s, w in zip(p.sides, c.sides, strict=True)]
    e = residuals(p, c, effects)
    if len(c.cutpoints):
        ordinal.draw(p.levels, c.cutpoints, c.steps, e, rng, precision=c.precision, sweep=c.sweep, learn=learn_steps)
    e -= draw_shared(p, c, row_sums(p.sides[0], e), rng, noise=noise, prior=prior)
    for j in range(len(p.sides)):
        draw_side(p, c, j, effects, e, keys_of(c, rng))
        effects[j] = effective(p.sides[j], c.sides[j])
    c.sweep += 1


def draw_shared(
    p: Problem, c: Chain, sums: np.ndarray, rng: np.random.Generator, *, noise: float | None, prior: HyperPrior
) -> np.float32:
    """Draw what all rows share, noise, mean and priors, given each user's Σ e and Σ e² (U, 2); the mean's step.

    Raises:
        DivergedError: if a number is no longer finite.
    """
    total, squares = sums.sum(0)
    n = int(p.sides[0].starts[-1])
    c.precision = draw_precision(squares, n, prior, rng) if noise is None else noise
    _check(c, total)
    step = float(total) / n + rng.standard_normal() / np.sqrt(c.precision * n)  # under a flat prior
    c.mean += step
    for s, w in zip(p.sides, c.sides, strict=True):
        draw_priors(s, w, c.n_factors, prior, rng)
    return np.float32(step)


def row_sums(s: ProblemSide, e: np.ndarray) -> np.ndarray:
    """Each row's Σ e and Σ e² (R, 2), of residuals (N,) in its order."""
    sums = np.empty((s.n_rows, 2))
    share(kernels.row_sums, s.n_rows, s.starts, e, sums)
    return sums


def effective(s: ProblemSide, w: SideWeights, *, held_out: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Each row's bias (R,) and factors (R, K), features included.

    ``held_out``: as pairs outside the ratings see them. Histories have grown by the pair; a row without ratings is at
    its prior's mean, not at a draw of it, and has the history of the average row, since its own is only not known yet.
    """
    own_bias, own = _own_at_prior(s, w) if held_out else (w.bias, w.factors)
    if not len(s.group):
        return own_bias.copy(), own.copy()
    weight = s.held_out_weight if held_out else s.weight
    bias, factors = np.empty_like(w.bias), np.empty_like(w.factors)
    share(kernels.collapse_bias, s.n_rows, s.entry, s.index, weight, own_bias, w.feature_bias, bias)
    share(kernels.collapse, s.n_rows, s.entry, s.index, weight, own, w.feature_factors, factors)
    return bias, factors


def _own_at_prior(s: ProblemSide, w: SideWeights) -> tuple[np.ndarray, np.ndarray]:
    """Own bias (R,) and factors (R, K); of rows without ratings the prior's mean, and the average row's history."""
    cold = np.diff(s.starts) == 0
    if not cold.any():
        return w.bias, w.factors
    history = slice(0, s.groups[0][2] if s.has_history else 0)
    mean = w.bias_mean[0] + s.typical[history] @ w.feature_bias[history]
    factors = w.factor_mean[0] + s.typical[history] @ w.feature_factors[history]
    bias = np.where(cold, mean, w.bias).astype(np.float32)
    return bias, np.where(cold[:, None], factors.astype(np.float32), w.factors)


def residuals(p: Problem, c: Chain, effects: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """What the chain leaves unexplained (N,) float32; for ordinal output, minus what it says."""
    K = effects[0][1].shape[1]
    nothing = np.zeros(0, np.float32), np.zeros((0, K), np.float32)
    padded = [*effects, nothing][:3]
    values = np.zeros_like(p.values) if len(c.cutpoints) else p.values
    e = np.empty(len(values), np.float32)
    bias, factors = tuple(b for b, _ in padded), tuple(v for _, v in padded)
    share(kernels.residuals, len(e), values, *p.columns, np.float32(c.mean), bias, factors, e)
    return e


def draw_precision(squares: float, n: int, prior: HyperPrior, rng: np.random.Generator) -> float:
    """Noise precision from the sum of n squared residuals: Gamma(shape + n/2, rate + Σ e²/2)."""
    return float(rng.gamma(prior.shape + n / 2) / (prior.rate + float(squares) / 2))


def draw_priors(s: ProblemSide, w: SideWeights, K: int, prior: HyperPrior, rng: np.random.Generator) -> None:
    """Every group's (μ, λ) of biases and factors, given its members."""
    own = (("own", 0, s.n_rows),)
    for g, (_, first, last) in enumerate((*own, *s.groups)):
        bias = (w.feature_bias if g else w.bias)[:, None]
        factors = w.feature_factors if g else w.factors
        mean, precision = normal_gamma(bias, first, last, prior, rng, centred=s.centred[g])
        w.bias_mean[g], w.bias_precision[g] = mean[0], precision[0]
        mean, precision = normal_gamma(factors, first, last, prior, rng, centred=s.centred[g])
        w.factor_mean[g, :K], w.factor_precision[g, :K] = mean[:K], precision[:K]


def normal_gamma(
    x: np.ndarray, first: int, last: int, prior: HyperPrior, rng: np.random.Generator, *, centred: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Draw (μ, λ) per column of x[first:last] (n, K) from their joint conditional.

    λ ~ Gamma(a + n/2, b + ½ Σ (x - x̄)² + ½ n κ/(n + κ) x̄²),  μ ~ N(n x̄/(n + κ), 1/((n + κ) λ)); ``centred``: μ is 0,
    and λ ~ Gamma(a + n/2, b + ½ Σ x²).
    """
    n, kappa, K = last - first, prior.count, x.shape[1]
    sums = np.empty((2, K))
    if centred:
        kernels.moments(x, np.zeros(K), first, last, sums)
        return np.zeros(K), rng.gamma(prior.shape + n / 2, size=K) / (prior.rate + sums[1] / 2)
    centre = x[first].astype(np.float64)
    kernels.moments(x, centre, first, last, sums)
    mean = centre + sums[0] / n
    scatter = np.maximum(sums[1] - sums[0] ** 2 / n, 0.0)
    rate = prior.rate + (scatter + n * kappa / (n + kappa) * mean**2) / 2
    precision = rng.gamma(prior.shape + n / 2, size=K) / rate
    return n * mean / (n + kappa) + rng.standard_normal(K) / np.sqrt((n + kappa) * precision), precision


def keys_of(c: Chain, rng: np.random.Generator) -> np.ndarray:
    """The keys of one side's draws: two, own and features', for the biases and for each block of eight factors."""
    return np.array([_keys(rng) for _ in range(1 + len(range(0, c.sides[0].factors.shape[1], 8)))])


def draw_side(p: Problem, c: Chain, j: int, effects: list, e: np.ndarray, keys: np.ndarray) -> None:
    """Draw side j's biases and factors, own and features'; the residuals ``e`` (N,) follow."""
    s, own_order = p.sides[j], e[p.sides[j].order]
    near = effects[0 if j == 1 else 1][1]
    far = effects[2][1] if j == 1 and len(effects) > 2 else np.zeros((0, near.shape[1]), np.float32)
    draw_rows(s, c.sides[j], near, far, own_order, c.precision, c.n_factors, keys)
    e[s.order] = own_order


def draw_rows(
    s: ProblemSide,
    w: SideWeights,
    near: np.ndarray,
    far: np.ndarray,
    e: np.ndarray,
    precision: float,
    n_factors: int,
    keys: np.ndarray,
    *,
    at: int = 0,
    stride: int = 1,
) -> None:
    """Draw the biases and factors ``w`` of some rows; the residuals ``e`` (n,), in the rows' order, follow.

    A row's bits depend on its own ratings, in their order, and on its number among all rows, ``at + r · stride`` (of
    rows without features).

    Args:
        s: the rows.
        w: their parameters; changed in place.
        near, far: factors (I, K) that ``s.near`` and ``s.far`` are rows of; far may be empty.
        e: changed in place.
        precision: α.
        n_factors: K, before padding.
        keys: as :func:`keys_of` draws them.
        at, stride: of the rows' numbers.
    """
    _draw_bias(s, w, e, precision, keys[0], at, stride)
    R, K = w.factors.shape
    G, b, shift = np.empty((R, 64), np.float32), np.empty((R, 8), np.float32), np.zeros((R, 8), np.float32)
    alpha, active = np.float32(precision), (np.arange(K) < n_factors).astype(np.float32)
    before = -1
    for of_block, k in zip(keys[1:], range(0, K, 8), strict=True):
        share(kernels.statistics, R, s.starts, s.near, s.far, near, far, e, before, shift, k, G, b)
        prior = w.factor_mean[:, k : k + 8].copy(), w.factor_precision[:, k : k + 8].copy()
        own, live = (prior[0][:1], prior[1][:1]), active[k : k + 8].copy()
        share(kernels.draw_factors, R, G, b, w.factors, shift, k, alpha, *own, live, of_block[0], at, stride)
        if len(s.group):
            features = s.first, s.rows, s.row_weight, s.group, G, b, w.feature_factors, shift, k, alpha
            kernels.draw_feature_factors(*features, prior[0][1:], prior[1][1:], live, of_block[1])
        before = k
    share(kernels.statistics, R, s.starts, s.near, s.far, near, far, e, before, shift, -1, G, b)


def _draw_bias(
    s: ProblemSide, w: SideWeights, e: np.ndarray, alpha: float, keys: np.ndarray, at: int, stride: int
) -> None:
    b, shift = np.empty(s.n_rows), np.zeros(s.n_rows)
    share(kernels.bias_statistics, s.n_rows, s.starts, e, b)
    own = w.bias_mean[0], w.bias_precision[0]
    kernels.draw_biases(s.starts, b, w.bias, shift, alpha, *own, keys[0], at, stride)
    if len(s.group):
        prior = w.bias_mean[1:], w.bias_precision[1:]
        features = s.first, s.rows, s.row_weight, s.group, b, w.feature_bias, shift
        kernels.draw_feature_biases(s.starts, *features, alpha, *prior, keys[1])
    share(kernels.subtract, s.n_rows, s.starts, e, shift)


def _check(c: Chain, total: float) -> None:
    if not (np.isfinite(c.precision) and np.isfinite(c.mean) and np.isfinite(total)):
        raise DivergedError(
            f"sweep {c.sweep} left the finite numbers (mean {c.mean:g}, noise precision {c.precision:g}).",
            hint="look for extreme values in numeric feature columns, or give noise= a larger number.",
        )


def _keys(rng: np.random.Generator) -> np.ndarray:
    """Two keys for kernels (2,) uint64."""
    return rng.integers(2**63, size=2).astype(np.uint64)
