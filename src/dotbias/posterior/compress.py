"""Plain Factors of a Posterior: the best low-rank approximation of the mean product, without a dense U × I matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..factors import Factors
from ..objective import Objective, Ridge

if TYPE_CHECKING:
    from .samples import Posterior

OVERSAMPLING = 10  # columns beyond the wanted rank
ITERATIONS = 6
TOGETHER = 16  # samples a product: few large products wait less for other processes than many small ones


def compressed(of: Posterior, n_factors: int | None) -> Factors:
    """The Factors of ``n_factors`` that score most alike: see ``Posterior.compress``."""
    U, I, K = of.users.shape[1], of.items.shape[1], of.users.shape[2]
    user_bias, left = of.user_rows(np.arange(len(of.user_bias[0])))
    users, items = best_product(left, of.items, min(2 * K if n_factors is None else n_factors, U, I))
    noise = float(np.mean(of.fit_noise.astype(np.float64) ** 2))
    bias = [float(s.prior_precision[:, 0, 0].mean()) for s in (of.user_side, of.item_side)]
    spread = [max(float(x.var()), 1e-6) if x.size else 1.0 for x in (users, items)]
    regs = [Ridge(noise * b, noise / s) for b, s in zip(bias, spread, strict=True)]
    objective = Objective("squared", "identity", of.y_range, *regs)
    biases = user_bias.mean(0), of.item_bias.mean(0)
    return Factors(float(of.mean.mean()), *biases, users, items, objective, of.tables)


def onto(rows: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Rows' factors (S, R, K) onto their compressed factors (R, J): (S, K, J), such that near ≈ mean of rows · it."""
    scaled = near @ np.linalg.pinv(near.T.astype(np.float64) @ near).astype(np.float32)
    return np.stack([x.T @ scaled for x in rows]) / np.float32(len(rows))


def best_product(left: np.ndarray, right: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """A (U, rank), B (I, rank) float32 whose A·Bᵀ comes nearest to the mean over s of left_s·right_sᵀ.

    The truncated SVD (Eckart & Young 1936), found by randomised subspace iteration (Halko, Martinsson & Tropp 2011,
    algorithm 4.4), its factors split evenly.

    Args:
        left: (S, U, K).
        right: (S, I, K).
        rank: at most min(U, I).
    """
    (_, U, _), (_, I, _) = left.shape, right.shape
    width = min(rank + OVERSAMPLING, U, I)
    b = np.random.default_rng(0).standard_normal((I, width)).astype(np.float32)
    for _ in range(ITERATIONS):
        a = np.linalg.qr(_product(left, right, b))[0]
        b = np.linalg.qr(_product(right, left, a))[0]
    u, values, v = np.linalg.svd(_product(left, right, b), full_matrices=False)  # M ≈ (M b) bᵀ
    root = np.sqrt(values[:rank])
    return u[:, :rank] * root, (b @ v.T)[:, :rank] * root


def _product(left: np.ndarray, right: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The mean over samples of left_s (right_sᵀ x): (R, n), several samples in one matrix product."""
    total = np.zeros((left.shape[1], x.shape[1]), np.float32)
    for s in range(0, len(left), TOGETHER):
        p, q = (np.concatenate(list(side[s : s + TOGETHER]), 1) for side in (left, right))  # (R, TOGETHER · K)
        total += p @ (q.T @ x)
    return total / np.float32(len(left))
