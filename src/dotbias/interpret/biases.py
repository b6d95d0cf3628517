"""Items and users by their bias: the best and the worst, corrected for who rated them.

The raw mean of an item's ratings also says who rated it: a film seen only by the generous looks good. The bias is what
is left once each user's own bias and taste are taken off, shrunk towards zero where ratings are few; so an item with
one 5-star rating has the highest mean, and hardly a bias. Here a bias says where the item stands with the *average
user* of train (each counting once), above the average item: b_i + p̄·q_i, less its mean over the rated items. That sum,
and not b_i alone, is what the data determine: p_u + c with b_i - c·q_i is the same model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError, check_positive
from ..factors import Factors
from ..objective import Side, sigmoid
from ..ratings import Ratings
from ..scorer import Bilinear, Sampled, offers
from .listing import Half, Listing, factors_of, half


class Bias(NamedTuple):
    """One item (or user) in the ranking.

    Attributes:
        id: its own id.
        title: where train knows one.
        count: its ratings in train.
        mean: their raw mean, or None for implicit feedback.
        bias: how far it stands above the average, on the link's inner scale (stars for the identity link).
        stars: the prediction for it and the average user (for a user: and the average item).
        low: lower end of the interval of ``stars``, or None where it is not known.
        high: upper end.
    """

    id: int | str
    title: str | None
    count: int
    mean: float | None
    bias: float
    stars: float
    low: float | None
    high: float | None


def item_biases(
    scorer: Any, train: Ratings, *, min_ratings: int = 1, level: float | None = 0.95, noise: float | None = None
) -> Listing[Bias]:
    """Items by bias, best first; ties by row.

    The interval: of a Posterior, from the spread of its samples. Of Factors, from the ridge posterior of the item's
    half-step, everything else held fixed: with a row (1, p_u) times the link's slope for each of its ratings,
    Cov(b_i, q_i) = noise²·(AᵀA + Λ)⁻¹ (Bishop 2006, eq. 3.54), of which Var(b_i + p̄·q_i) is taken. It leaves out the
    uncertainty of the users' side: read it as a lower bound.

    Args:
        scorer: anything with ``factors()``.
        train: what it was fitted on.
        min_ratings: leave out items with fewer.
        level: of the interval; None: no interval (faster).
        noise: standard deviation of a rating around its prediction, in stars. By default from the residuals on train,
            divided by N less the degrees of freedom; that still flatters: better give the RMSE on held-out ratings.

    Raises:
        SettingError: for a scorer that is not bilinear, or a level outside (0, 1).
    """
    return _ranking(scorer, train, "item", min_ratings, level, noise)


def user_biases(
    scorer: Any, train: Ratings, *, min_ratings: int = 1, level: float | None = 0.95, noise: float | None = None
) -> Listing[Bias]:
    """Users by bias, the most generous first. As :func:`item_biases`, with the sides exchanged."""
    return _ranking(scorer, train, "user", min_ratings, level, noise)


def _ranking(
    scorer: Any, train: Ratings, side: Side, min_ratings: int, level: float | None, noise: float | None
) -> Listing[Bias]:
    from statistics import NormalDist  # slow to import, and serving needs it not

    if level is not None and not 0 < level < 1:
        raise SettingError(f"level is {level!r}.", hint="a probability between 0 and 1, such as 0.95.")
    factors = factors_of(scorer, train)
    counts, spread = half(factors, train, side), None
    if offers(scorer, Sampled):
        base, bias, spread = _of_samples(scorer, counts, side)
    else:
        base, bias = _centred(factors.mean, counts)
        if level is not None and train.values is not None and len(train):
            spread = _spread(factors, train, side, noise)
    reach = None if spread is None or level is None else NormalDist().inv_cdf((1 + level) / 2) * spread
    return _listed(scorer, train, counts, min_ratings, base, bias, reach)


def _listed(
    scorer: Any, train: Ratings, side: Half, min_ratings: int, base: float, bias: np.ndarray, reach: np.ndarray | None
) -> Listing[Bias]:
    """The rows, sorted; ``reach`` (R,) is half the interval's width on the inner scale."""
    kept = np.flatnonzero(side.counts >= max(min_ratings, 1))
    kept = kept[np.lexsort((kept, -bias[kept]))]
    n, stars = len(kept), _on_scale(scorer, base + bias[kept])
    nothing: list[Any] = [None] * n
    low = nothing if reach is None else _on_scale(scorer, base + bias[kept] - reach[kept])
    high = nothing if reach is None else _on_scale(scorer, base + bias[kept] + reach[kept])
    sums = None if train.values is None else np.bincount(side.rows, train.values, len(bias))
    mean = nothing if sums is None else (sums[kept] / side.counts[kept]).tolist()
    titles, counts = [side.titles[r] for r in kept], side.counts[kept].tolist()
    columns = (side.ids.take(kept), titles, counts, mean, bias[kept].tolist(), stars, low, high)
    return Listing(map(Bias, *columns))


def _on_scale(scorer: Bilinear, inner: np.ndarray) -> list[float]:
    """From the inner scale to the ratings'."""
    return scorer.squash(inner).tolist()


def _centred(mean: float, side: Half) -> tuple[float, np.ndarray]:
    """(what the average user gives the average item, how far above it each row stands (R,)), on the inner scale."""
    seen, other_seen = side.counts > 0, side.other_counts > 0
    centre = _mean(side.other.astype(np.float64), other_seen)
    bias = side.bias + side.factors @ centre  # (R,)
    level = float(_mean(bias, seen))
    return mean + float(_mean(side.other_bias.astype(np.float64), other_seen)) + level, bias - level


def _mean(x: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The mean over chosen rows; zeros where there are none."""
    return x[which].mean(axis=0) if which.any() else np.zeros(x.shape[1:])


# The interval --------------------------------------------------------------------------------------------------


def _spread(factors: Factors, train: Ratings, side: Side, noise: float | None) -> np.ndarray:
    """Standard deviation of each row's centred bias, (R,) float64 on the inner scale; NaN for rows without ratings."""
    slope, residual = _linearised(factors, train)
    own = half(factors, train, side)
    variance, used = _half_steps(own, slope)
    if noise is None:
        other = half(factors, train, "user" if side == "item" else "item")
        free = max(len(residual) - used - _half_steps(other, slope)[1], 0.05 * len(residual))
        noise = float(np.sqrt(residual @ residual / free))
    else:
        check_positive(noise=noise)
    return noise * np.sqrt(variance)


def _linearised(factors: Factors, train: Ratings) -> tuple[np.ndarray, np.ndarray]:
    """The link's slope at each rating's prediction, and the residual in stars: two (N,) float64."""
    z = factors.rank(train.users, train.items).astype(np.float64)
    objective = factors.objective
    low, high = objective.y_range
    if objective.link == "identity":
        return np.ones_like(z), train.explicit() - z
    s = sigmoid(z)
    return (high - low) * s * (1 - s), train.explicit() - (low + (high - low) * s)


def _half_steps(side: Half, slope: np.ndarray) -> tuple[np.ndarray, float]:
    """(aᵀ(AᵀA + Λ)⁻¹a of every row (R,), degrees of freedom Σ tr((AᵀA + Λ)⁻¹AᵀA)).

    a = (1, mean of the other side). An infinite ridge takes its column out: that parameter is not free.
    """
    n_rows, k = side.factors.shape
    a = np.r_[1.0, _mean(side.other.astype(np.float64), side.other_counts > 0)]
    order, ends = np.argsort(side.rows, kind="stable"), np.r_[0, np.cumsum(side.counts)]
    variance, freedom = np.full(n_rows, np.nan), 0.0
    for row in np.flatnonzero(side.counts):
        at = order[ends[row] : ends[row + 1]]
        penalty = side.reg.diagonal(k, len(at))
        free = np.isfinite(penalty)
        rows = np.c_[np.ones(len(at)), side.other[side.others[at]]].astype(np.float64)[:, free] * slope[at][:, None]
        inverse = np.linalg.inv(rows.T @ rows + np.diag(penalty[free] + 1e-9))
        variance[row] = a[free] @ inverse @ a[free]
        freedom += free.sum() - float(np.diag(inverse) @ penalty[free])
    return variance, freedom


def _of_samples(scorer: Sampled, side: Half, which: Side) -> tuple[float, np.ndarray, np.ndarray]:
    """(base, centred bias (R,), its standard deviation (R,)), over the samples."""
    other: Side = "user" if which == "item" else "item"
    names = ("bias", "factors", "other_bias", "other")
    draws = [
        _centred(f.mean, side._replace(**dict(zip(names, (*f.side(which), *f.side(other)), strict=True))))
        for f in scorer.draws()
    ]
    bias = np.stack([b for _, b in draws])  # (S, R)
    spread = bias.std(axis=0, ddof=1) if len(bias) > 1 else np.full(bias.shape[1], np.nan)
    return float(np.mean([base for base, _ in draws])), bias.mean(axis=0), spread
