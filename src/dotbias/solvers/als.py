"""Alternating least squares for explicit ratings: no learning rate, and every half-step is exact.

    score(u, i) = mean + b_u + b_i + p_u · q_i

Given the items, each user's (b_u, p_u) is a ridge regression, and given the users each item's (Zhou et al. 2008). A
sweep does items, then users, so that at the end every user is the exact answer to the items: folding in a known
user returns the stored row. This module knows arrays and Ratings; the loops are ``_als_kernels``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checkpoint import key_of
from ..errors import check_not_negative, check_positive
from ..factors import Factors
from ..objective import Objective, Ridge
from ..ratings import Ratings
from ..rng import Rng
from ..settings import checked
from . import _als_kernels as kernels
from ._blocks import counts, frozen, stream
from ._compile import announce_compile
from ._passes import Pass, check_finite, check_whole, clip_range, mean_of, run
from ._progress import Progress

START_SD = 0.3  # of the users' first factors, over √K
PARTS = 256  # of the work: many times the threads


@checked
def als(
    ratings: Ratings,
    *,
    n_factors: int = 64,
    n_sweeps: int = 10,
    reg: float = 0.05,
    reg_once: float = 5.0,
    reg_bias: float = 0.01,
    reg_bias_once: float = 2.0,
    y_range: tuple[float, float] | None = None,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress[Pass] = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
) -> Factors:
    """Fit biases and factors by alternating least squares.

    Minimises  Σ (value - score)² + Σ_rows (reg_once + n reg) ‖factors‖² + (reg_bias_once + n reg_bias) bias²,  n the
    row's number of ratings. The mean rating is held fixed. Defaults were chosen by cross-validation inside the train
    parts of the lesson's split and of ML-1M (bench/LOG.md).

    Args:
        ratings: the training ratings.
        n_factors: K.
        n_sweeps: how often both sides are solved.
        reg: ridge on a row's factors, for each of its ratings.
        reg_once: ridge on a row's factors, once.
        reg_bias: ridge on a row's bias, for each of its ratings.
        reg_bias_once: ridge on a row's bias, once.
        y_range: where scores are clipped; by default the scale of train.
        valid: watched after every sweep; the sweep that is best on it is returned.
        rng: draws the users' first factors; the same rng gives the same bits for any number of threads.
        progress: told of every sweep (:class:`~dotbias.solvers._passes.Pass`); True shows a bar on stderr (lines
            where that is no terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` sweeps; if it is there, the fit goes on from it, to
            the same bits. It must be the same fit: ratings, settings, rng.
        checkpoint_every: in sweeps.

    Returns:
        Factors with ``reg`` as asked for; rows without ratings are zero. Ctrl-C returns what is fitted so far.

    Raises:
        DataError: no ratings, or no finite ones.
        SettingError: a setting that makes no sense.
        DivergedError: if a number is no longer finite.
    """
    path = None if checkpoint is None else Path(checkpoint)
    check_whole(n_factors=n_factors, n_sweeps=n_sweeps, checkpoint_every=checkpoint_every)
    check_not_negative(reg=reg, reg_once=reg_once, reg_bias=reg_bias, reg_bias_once=reg_bias_once)
    check_positive(**{"reg + reg_once": reg + reg_once})
    ridge = Ridge(reg_bias_once, reg_once, reg_bias, reg)
    y_range = clip_range(ratings, y_range)
    with announce_compile():
        fit = Alternation(ratings, n_factors, ridge, y_range, key_of(rng, path), valid)
        return run(fit, n_sweeps, valid=valid, progress=progress, path=path, every=checkpoint_every)


class Side(NamedTuple):
    """One side's ratings by row: starts (R + 1,), others (N,), values (N,); the work's cuts (J + 1,)."""

    starts: np.ndarray
    others: np.ndarray
    values: np.ndarray
    cuts: np.ndarray


class Alternation:
    """A fit under way; see ``_passes.Fit``. Rows are (1, factors, 0 ..): ``users`` (U, W), ``items`` (I, W)."""

    def __init__(
        self,
        ratings: Ratings,
        n_factors: int,
        reg: Ridge,
        y_range: tuple[float, float],
        key: int,
        valid: Ratings | None = None,
    ):
        self.ratings, self.valid, self.key = ratings, valid, key
        self.n_factors, self.reg, self.y_range = n_factors, reg, y_range
        self.mean = mean_of(ratings)
        columns = frozen(ratings.users), frozen(ratings.items), frozen(ratings.explicit())
        self.by_user = side(columns[0], columns[1], columns[2], ratings.n_users, n_factors)
        self.by_item = side(columns[1], columns[0], columns[2], ratings.n_items, n_factors)
        once, once_and_each = reg.diagonal(n_factors, 0), reg.diagonal(n_factors, 1)
        self.once, self.each = once, once_and_each - once
        self.users = first_rows(np.diff(self.by_user.starts), n_factors, stream(key, 0))
        self.user_bias = np.zeros(ratings.n_users, np.float32)
        self.items = np.zeros((ratings.n_items, self.users.shape[1]), np.float32)
        self.item_bias = np.zeros(ratings.n_items, np.float32)

    def step(self, number: int) -> float:
        """Items given users, then users given items; RMSE on train."""
        items, item_bias, _ = self.solve(self.by_item, self.users, self.user_bias)
        users, user_bias, squares = self.solve(self.by_user, items, item_bias)
        self.items, self.item_bias, self.users, self.user_bias = items, item_bias, users, user_bias  # whole sweeps only
        check_finite(self.factors(), hint="raise reg=.")
        return math.sqrt(max(float(squares.sum()), 0.0) / len(self.ratings))

    def solve(self, own: Side, other: np.ndarray, other_bias: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One side's rows (R, W), biases (R,) and squared errors (R,), given the other's."""
        R = len(own.starts) - 1
        rows, bias = np.empty((R, other.shape[1]), np.float32), np.empty(R, np.float32)
        squares, mean = np.empty(R), np.float32(self.mean)
        given = mean, other, other_bias, self.once, self.each
        kernels.half_step(own.cuts, own.starts, own.others, own.values, *given, rows, bias, squares)
        return rows, bias, squares

    def factors(self) -> Factors:
        """What is fitted so far."""
        k = slice(1, 1 + self.n_factors)
        parts = self.user_bias, self.item_bias, self.users[:, k], self.items[:, k]
        objective = Objective("squared", "identity", self.y_range, self.reg, self.reg)
        return Factors(self.mean, *parts, objective, self.ratings.tables)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that sweeps change."""
        return {name: getattr(self, name) for name in ("users", "items", "user_bias", "item_bias")}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Undo :meth:`state`."""
        for name, array in state.items():
            setattr(self, name, array)

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same."""
        valid = None if self.valid is None else self.valid.fingerprint()
        fit = {"solver": "als", "n_factors": self.n_factors, "reg": list(self.reg), "y_range": str(self.y_range)}
        return {**fit, "train": self.ratings.fingerprint(), "valid": valid, "key": self.key}


def side(rows: np.ndarray, others: np.ndarray, values: np.ndarray, n_rows: int, n_factors: int) -> Side:
    """Ratings (N,) by row, and the rows cut into parts of about equal work."""
    n = counts(rows, n_rows)
    starts = np.concatenate([[0], np.cumsum(n)])
    out = np.empty_like(others), np.empty_like(values)
    kernels.sort_by(rows, others, values, starts[:-1].copy(), *out)
    short = n <= n_factors // 2
    work = np.cumsum(np.where(short, n * n / n_factors, n + n_factors))  # in K²: see _als_kernels
    cuts = np.searchsorted(work, np.linspace(0, work[-1], PARTS + 1)[1:-1])
    return Side(starts, *out, np.concatenate([[0], cuts, [n_rows]]))


def first_rows(n: np.ndarray, n_factors: int, rng: np.random.Generator) -> np.ndarray:
    """Rows to begin with (R, W): 1, then small random factors; zeros without ratings."""
    lanes = kernels.LANES
    x = np.zeros((len(n), -(-(n_factors + 2) // lanes) * lanes), np.float32)
    x[:, 0] = 1
    x[:, 1 : 1 + n_factors] = START_SD / math.sqrt(n_factors) * rng.standard_normal((len(n), n_factors), np.float32)
    return x * (n > 0)[:, None].astype(np.float32)
