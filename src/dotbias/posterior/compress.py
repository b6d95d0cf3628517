"""The best low-rank approximation of a mean of products, without the dense U × I matrix."""

from __future__ import annotations

import numpy as np

OVERSAMPLING = 10  # columns beyond the wanted rank
ITERATIONS = 6
TOGETHER = 16  # samples a product: few large products wait less for other processes than many small ones


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
