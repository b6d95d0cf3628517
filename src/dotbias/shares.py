"""A user's row taken apart: what each of their ratings adds to it, and what one more rating would teach.

At the answer x of a half-step (see ``objective``), with a_j = (1, q_j), z = offset + a x, half the loss' downhill
gradient g_j and half its curvature c_j in z_j, the row's normal equation is

    H x = Σ_j a_j (c_j a_j·x + g_j),        H = Σ_j c_j a_j a_jᵀ + ridge,

so each rating j adds H⁻¹ a_j (c_j a_j·x + g_j) to x, and nothing is left over. For squares and the identity this is
H⁻¹ a_j (y_j - offset_j): linear in what a rating leaves. For clicks it is Hu, Koren & Volinsky 2008, section 5. Of
pairs (BPR) a click's sum is over its pairs with what was not clicked, and a is q_i - q_j.

H⁻¹ is, in units of the noise's variance, the covariance of x. One rating of item i takes (a_j·H⁻¹a_i)² / (1/c_i +
a_i·H⁻¹a_i) from the variance of z_j; summed over the items j, this is the expected information of A-optimal design
(MacKay 1992; Rubens et al. 2015, section 24.4). This module knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .objective import MOST_PAIRS, Objective, sigmoid


@dataclass(frozen=True, eq=False)
class HalfStep:
    """A user's half-step at its answer.

    Attributes:
        x: (1 + K,) the answer: bias, then factors.
        information: (1 + K, 1 + K) H without the ridge.
        pulls: (n, 1 + K) what each rating adds to H x.
        penalty: (1 + K,) the ridge's diagonal.
    """

    x: np.ndarray
    information: np.ndarray
    pulls: np.ndarray
    penalty: np.ndarray

    @cached_property
    def covariance(self) -> np.ndarray:
        """(1 + K, 1 + K) of x under the ridge, in units of the noise's variance; 0 where the ridge holds x."""
        return inverse(self.information, self.penalty)

    @property
    def added(self) -> np.ndarray:
        """(n, 1 + K) what each rating adds to x; they sum to it."""
        return self.pulls @ self.covariance


def step_of(
    objective: Objective,
    offset: np.ndarray,
    other: np.ndarray,
    values: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    gram: np.ndarray | None = None,
    count: float | None = None,
) -> HalfStep:
    """A user's half-step, taken apart; arguments as in ``Objective.half_step``."""
    offset, values = np.asarray(offset, np.float64), np.asarray(values, np.float64)
    a = np.c_[np.ones(len(other)), other].astype(np.float64)  # (n, 1 + K)
    x = np.zeros(a.shape[1])
    if len(a):
        x = objective.half_step(offset, other, values, weights=weights, gram=gram, count=count)
    penalty = objective.penalty("user", other.shape[1], len(other) if count is None else count)
    if objective.confidence is not None:
        penalty[0] = np.inf  # there is no bias
        w = values**objective.confidence.count_power
        h = (a.T * w) @ a
        if gram is not None:
            h[1:, 1:] += objective.confidence.unseen * gram
        return HalfStep(x, h, a * w[:, None], penalty)
    if objective.loss == "pairs":
        penalty[0] = np.inf
        return HalfStep(x, *_of_pairs(a, offset, x, values > 0), penalty)
    w = np.ones(len(other)) if weights is None else np.asarray(weights, np.float64)
    pull, bend = objective.bend(offset + a @ x, values, w)
    return HalfStep(x, (a.T * bend) @ a, a * (bend * (a @ x) + pull)[:, None], penalty)


def inverse(h: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """(h + diagonal of the penalty)⁻¹; 0 in rows and columns that an infinite penalty holds."""
    held = np.isinf(penalty)
    out = np.zeros_like(h)
    free = np.ix_(~held, ~held)
    out[free] = np.linalg.pinv(h[free] + np.diag(penalty[~held]), hermitian=True)
    return out


def _of_pairs(a: np.ndarray, offset: np.ndarray, x: np.ndarray, clicked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of pairs of a click and what was not clicked: H without the ridge, and what each click adds to H x (n, 1 + K)."""
    positive, others = np.flatnonzero(clicked), np.flatnonzero(~clicked)
    h, pulls = np.zeros((len(x), len(x))), np.zeros_like(a)
    if not len(positive) or not len(others):
        return h, pulls
    others = others[:: -(-len(positive) * len(others) // MOST_PAIRS)]
    own, other, dot = a[positive], a[others], a @ x
    gap = dot[positive][:, None] - dot[others]  # (p, m)
    s = sigmoid(-gap - offset[positive][:, None] + offset[others])
    bend = s * (1 - s) / (2 * len(others))
    both = bend * gap + s / (2 * len(others))
    pulls[positive] = own * both.sum(1)[:, None] - both @ other
    cross = own.T @ bend @ other
    h = (own.T * bend.sum(1)) @ own + (other.T * bend.sum(0)) @ other - cross - cross.T
    return h, pulls


def gains(covariance: np.ndarray, asked: np.ndarray, total: np.ndarray, information: np.ndarray) -> np.ndarray:
    """What share of the variance of all scores one more rating takes away.

    Args:
        covariance: (1 + K, 1 + K) of the row, in units of the noise's variance.
        asked: (m, 1 + K) items that may be asked for: 1, then factors.
        total: (1 + K, 1 + K) of all items, as :func:`moments` gives it.
        information: (m,) half the curvature of each answer's loss: 1 for squares and the identity.

    Returns:
        (m,) float64, from 0 to 1.
    """
    whole = float((covariance * total).sum())
    if whole <= 0:
        return np.zeros(len(asked))
    reach = asked @ covariance  # (m, 1 + K)
    taken = information * np.einsum("mk,mk->m", reach @ total, reach)
    return taken / (1 + information * np.einsum("mk,mk->m", reach, asked)) / whole


def known(information: np.ndarray, spread: np.ndarray, noise: float) -> np.ndarray:
    """(information + noise · spread⁻¹)⁻¹: what is still open of a row, in units of the noise's variance.

    Args:
        information: (1 + K, 1 + K) of the ratings so far.
        spread: (1 + K, 1 + K) the covariance of such rows among people.
        noise: variance of a rating around its score.
    """
    return spread @ np.linalg.inv(information @ spread + noise * np.eye(len(spread)))


def moments(factors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Σ_j w_j a_j a_jᵀ with a = (1, q), of factors (I, K) and weights (I,): (1 + K, 1 + K) float64."""
    w = weights.astype(factors.dtype)
    weighed, out = factors * w[:, None], np.empty((1 + factors.shape[1],) * 2)
    out[0, 0], out[1:, 1:] = weights.sum(dtype=np.float64), factors.T @ weighed
    out[0, 1:] = out[1:, 0] = weighed.sum(0, dtype=np.float64)
    return out
