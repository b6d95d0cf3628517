"""The mean, and how far each user and each item lies above it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DivergedError
from ..factors import Factors
from ..objective import Objective, Ridge
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng
from ..settings import NotNegative, checked


@checked
def mean(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
) -> Factors:
    """The mean rating, whoever asks, whatever for. It is done at once: progress and checkpoint are not used."""
    return _biases(train, float(train.explicit().mean(dtype=np.float64)), 0.0, 0.0, (np.inf, np.inf))


@checked
def bias(
    train: Ratings,
    *,
    reg_bias_once: NotNegative | tuple[NotNegative, NotNegative] = 3.0,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
) -> Factors:
    """A mean, and how far each user and each item lies above it, damped.

    Minimises, jointly and to convergence,  Σ (r - μ - b_u - b_i)² + λ_u Σ b_u² + λ_i Σ b_i²  (Koren, Bell & Volinsky
    2009, eq. 4 without factors; the sum is not halved): a λ of 3 counts like three ratings at the mean.

    Args:
        train: the ratings.
        reg_bias_once: ridge on a row's bias, once: λ, or (λ_u, λ_i).
        valid: not used.
        rng: not used.
        progress: not used: it is done at once.
        checkpoint: not used.

    Raises:
        DataError: for implicit feedback, or no ratings.
        SettingError: for a ridge below 0.
    """
    reg_user, reg_item = sides(reg_bias_once)
    values = train.explicit().astype(np.float64)
    n_users, n_items = train.n_users, train.n_items
    split = np.cumsum([1, n_users])

    def normal(x: np.ndarray) -> np.ndarray:
        """(AᵀA + ridge) x, for x = (μ, user biases, item biases)."""
        m, u, i = np.split(x, split)
        return _summed(m + u[train.users] + i[train.items], train) + ridge * x

    ridge = np.r_[0.0, np.full(n_users, reg_user), np.full(n_items, reg_item)]
    diagonal = np.r_[len(values), train.user_counts, train.item_counts] + ridge
    centre = values.mean()  # solved for what lies above it: better conditioned
    x = _conjugate_gradient(normal, _summed(values - centre, train), np.where(diagonal > 0, diagonal, 1.0))
    m, u, i = np.split(x, split)
    return _biases(train, float(centre + m[0]), u, i, (reg_user, reg_item))


def sides(reg: float | tuple[float, float]) -> tuple[float, float]:
    """(users', items') of a setting that is one number or a pair."""
    return (float(reg[0]), float(reg[1])) if isinstance(reg, (tuple, list)) else (float(reg), float(reg))


def _biases(train: Ratings, mean: float, user: Any, item: Any, reg: tuple[float, float]) -> Factors:
    """Factors with K = 0."""
    n_users, n_items = train.n_users, train.n_items
    ridges = (Ridge(r, np.inf) for r in reg)
    return Factors(
        mean,
        np.broadcast_to(user, n_users),
        np.broadcast_to(item, n_items),
        np.empty((n_users, 0)),
        np.empty((n_items, 0)),
        Objective("squared", "identity", _wide(train.scale()), *ridges),
        train.tables,
    )


def _wide(scale: tuple[float, float]) -> tuple[float, float]:
    """The scale, or no bounds where all ratings are one number."""
    return scale if scale[0] < scale[1] else (-np.inf, np.inf)


def _summed(values: np.ndarray, train: Ratings) -> np.ndarray:
    """Aᵀ values: the sum over all, per user, per item: (N,) -> (1 + U + I,)."""
    users = np.bincount(train.users, values, train.n_users)
    return np.r_[values.sum(), users, np.bincount(train.items, values, train.n_items)]


def _conjugate_gradient(
    product: Callable[[np.ndarray], np.ndarray], target: np.ndarray, diagonal: np.ndarray, *, n_steps: int = 1000
) -> np.ndarray:
    """x with product(x) = target, for a symmetric, semi-definite product (Shewchuk 1994, B3; Jacobi preconditioner)."""
    x, residual = np.zeros_like(target), target.copy()
    direction = residual / diagonal
    square = dot(residual, direction)
    goal = 1e-20 * square  # ten digits
    for _ in range(n_steps):
        if square <= goal:
            return x
        image = product(direction)
        length = square / dot(direction, image)
        x += length * direction
        residual -= length * image
        scaled = residual / diagonal
        square, before = dot(residual, scaled), square
        direction = scaled + square / before * direction
    raise DivergedError(f"the biases did not settle in {n_steps} steps.", hint="raise reg_bias_once.")


def dot(a: np.ndarray, b: np.ndarray) -> np.floating:
    """a · b without BLAS, whose last bits depend on its number of threads."""
    return (a * b).sum()
