"""Alternating least squares for explicit ratings: no learning rate, and every half-step is exact.

    score(u, i) = mean + b_u + b_i + p_u · q_i

Given the items, each user's (b_u, p_u) is a ridge regression, and given the users each item's (Zhou et al. 2008). A
pass does items, then users, so that at the end every user is the exact answer to the items: folding in a known
user returns the stored row. This module knows arrays and Ratings; the loops are ``_als_kernels``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checkpoint import key_of
from ..errors import DivergedError, SettingError
from ..factors import Factors
from ..files import as_path
from ..objective import Objective, Ridge
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng, stream
from ..settings import Count, NotNegative, checked
from . import _als_kernels as kernels
from ._columns import counts, frozen
from ._compile import announce_compile
from ._passes import check_valid, run
from ._threads import sharing
from ._units import Units, check_size, clip_range, units_of

START_SD = 0.3  # of the users' first factors, over √K
PARTS = 256  # of the work: many times the threads
ALONE = 300_000  # ratings × factors: with fewer, one thread


@checked
def als(
    train: Ratings,
    *,
    n_factors: Count = 64,
    n_epochs: Count = 10,
    reg: NotNegative = 0.045,
    reg_once: NotNegative = 5.0,
    reg_bias: NotNegative = 0.01,
    reg_bias_once: NotNegative = 2.0,
    y_range: tuple[float, float] | None = None,
    keep_best: bool = False,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
) -> Factors:
    """Fit biases and factors by alternating least squares.

    Minimises  Σ (value - score)² + Σ_rows (reg_once + n reg) ‖factors‖² + (reg_bias_once + n reg_bias) bias²,  n the
    row's number of ratings, values in units of their standard deviation in train: the same settings suit any scale.
    The mean rating is held fixed. The defaults were chosen by cross-validation inside the train parts of the lesson's
    split and of ML-1M (bench/LOG.md).

    Args:
        train: the training ratings.
        n_factors: K.
        n_epochs: passes over the ratings; each solves every item, then every user.
        reg: ridge on a row's factors, for each of its ratings.
        reg_once: ridge on a row's factors, once.
        reg_bias: ridge on a row's bias, for each of its ratings.
        reg_bias_once: ridge on a row's bias, once.
        y_range: where scores are clipped, on the ratings' scale; by default train's scale.
        keep_best: return the pass that is best on ``valid``, not the last.
        valid: ratings whose error is reported after every pass. They decide nothing, unless ``keep_best``.
        rng: draws the users' first factors; the same rng gives the same bits for any number of threads.
        progress: called with a :class:`~dotbias.progress.Step` after every pass: ``train`` and ``valid`` (RMSE) and
            ``seconds``. True shows a bar on stderr (lines where that is no terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` passes; if it is there, the fit goes on from it, to
            the same bits. It must be the same fit: ratings, settings, rng; ``n_epochs`` may have grown.
        checkpoint_every: in passes.

    Returns:
        Factors; rows without ratings are zero. Their objective holds the ridges of the fit, on the ratings' scale.

    Warns:
        StoppedWarning: after Ctrl-C; what is fitted after the current pass is returned.

    Raises:
        DataError: no ratings, or no finite ones.
        SettingError: a setting that makes no sense, a checkpoint of another fit.
        DivergedError: if a number is no longer finite.
    """
    path = None if checkpoint is None else as_path(checkpoint)
    check_valid(valid, keep_best=keep_best)
    if not reg + reg_once:
        raise SettingError("reg and reg_once are both 0: rows with few ratings have no answer.", hint="try reg=0.05.")
    ridge = Ridge(reg_bias_once, reg_once, reg_bias, reg)
    with announce_compile(), sharing(len(train) * n_factors, ALONE):
        fit = Alternation(train, n_factors, ridge, key_of(rng, path), y_range=y_range)
        return run(
            fit, n_epochs, valid=valid, keep_best=keep_best, progress=progress, path=path, every=checkpoint_every
        )


class ByRow(NamedTuple):
    """Ratings sorted by one side's row: starts (R + 1,), others (N,), values (N,); the work's cuts (J + 1,)."""

    starts: np.ndarray
    others: np.ndarray
    values: np.ndarray
    cuts: np.ndarray


class Alternation:
    """A fit under way; see ``_passes.Underway``. Rows are (1, factors, 0 ..): ``users`` (U, W), ``items`` (I, W).

    Attributes:
        n: ratings.
        units: that the sorted ratings, the ridge and the rows are in.
        objective: what is minimised, on the ratings' scale.
    """

    def __init__(
        self, train: Ratings, n_factors: int, reg: Ridge, key: int, *, y_range: tuple[float, float] | None = None
    ):
        self.measure(train, train, n_factors, reg, key, y_range)
        users, items, values = frozen(train.users), frozen(train.items), frozen(train.explicit())
        self.by_user: Any = by_row(users, items, values, self.units, train.n_users, n_factors)
        self.by_item: Any = by_row(items, users, values, self.units, train.n_items, n_factors)
        self.begin(np.diff(self.by_user.starts))

    def measure(
        self,
        train: Ratings,
        values: Ratings,
        n_factors: int,
        reg: Ridge,
        key: int,
        y_range: tuple[float, float] | None,
    ) -> None:
        """Units, objective and ridges: of the ids of ``train`` and the column of ``values``, in its order."""
        self.train, self.n_factors, self.reg, self.key = train, n_factors, reg, key
        check_size(train, n_factors)
        self.units, self.n = units_of(values), len(values)
        ridge = self.units.ridge(reg, "identity")
        self.objective = Objective("squared", "identity", y_range or clip_range(values), ridge, ridge)
        self.once = reg.diagonal(n_factors, 0)
        self.each = reg.diagonal(n_factors, 1) - self.once

    def begin(self, n: np.ndarray) -> None:
        """First rows, of users with n (U,) ratings."""
        self.users = first_rows(n, self.n_factors, stream(self.key, 0))
        self.user_bias = np.zeros(self.train.n_users, np.float32)
        self.items = np.zeros((self.train.n_items, self.users.shape[1]), np.float32)
        self.item_bias = np.zeros(self.train.n_items, np.float32)

    def step(self, number: int) -> float:
        """Items given users, then users given items; RMSE on train."""
        self.items, self.item_bias, _ = self.solve(self.by_item, self.users, self.user_bias)
        self.users, self.user_bias, squares = self.solve(self.by_user, self.items, self.item_bias)
        total = float(squares.sum())
        if not math.isfinite(total):
            raise DivergedError(f"the fit left the finite numbers in pass {number + 1}.", hint="raise reg=.")
        return self.units.spread * math.sqrt(max(total, 0.0) / self.n)

    def solve(self, own: Any, other: np.ndarray, other_bias: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One side's rows (R, W), biases (R,) and squared errors (R,), given the other's; ``own``: its ratings."""
        return solve(own, other, other_bias, self.once, self.each)

    def factors(self) -> Factors:
        """What is fitted so far, on the ratings' scale."""
        k, (mean, spread) = slice(1, 1 + self.n_factors), self.units
        biases, root = (self.user_bias * spread, self.item_bias * spread), math.sqrt(spread)
        return Factors(
            mean, *biases, self.users[:, k] * root, self.items[:, k] * root, self.objective, self.train.tables
        )

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that sweeps change."""
        return {name: getattr(self, name) for name in ("users", "items", "user_bias", "item_bias")}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Undo :meth:`state`."""
        for name, array in state.items():
            setattr(self, name, array)

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same."""
        fit = {"solver": "als", "n_factors": self.n_factors, "reg": list(self.reg), "key": self.key}
        model = {"y_range": str(self.objective.y_range), "units": list(self.units)}
        return {**fit, **model, "train": self.train.fingerprint()}


def solve(
    own: ByRow, other: np.ndarray, other_bias: np.ndarray, once: np.ndarray, each: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The half-step of some rows: rows (R, W), biases (R,) and squared errors (R,), given the whole other side.

    A row's bits depend on its own ratings, in their order, and on the other side: not on the rows beside it.

    Args:
        own: the rows' ratings.
        other: (I, W) rows (1, factors, 0 ..) of the other side.
        other_bias: (I,).
        once: (1 + K,) ridge on the bias, then on each factor.
        each: (1 + K,) what is added to it for each of a row's ratings.
    """
    R = len(own.starts) - 1
    rows, bias, squares = np.empty((R, other.shape[1]), np.float32), np.empty(R, np.float32), np.empty(R)
    given = other, other_bias, once, each
    kernels.half_step(own.cuts, own.starts, own.others, own.values, *given, rows, bias, squares)
    return rows, bias, squares


def by_row(
    rows: np.ndarray, others: np.ndarray, values: np.ndarray, units: Units, n_rows: int, n_factors: int
) -> ByRow:
    """Ratings (N,) by row, in the units, and the rows cut into parts of about equal work."""
    n = counts(rows, n_rows)
    starts = np.concatenate([[0], np.cumsum(n)])
    out = np.empty_like(others), np.empty_like(values)
    kernels.sort_by(rows, others, values, units.mean, units.unit, starts[:-1].copy(), *out)
    short = n <= n_factors // 2
    work = np.cumsum(np.where(short, n * n / n_factors, n + n_factors))  # in K²: see _als_kernels
    cuts = np.searchsorted(work, np.linspace(0, work[-1], PARTS + 1)[1:-1])
    return ByRow(starts, *out, np.concatenate([[0], cuts, [n_rows]]))


def first_rows(n: np.ndarray, n_factors: int, rng: np.random.Generator) -> np.ndarray:
    """Rows to begin with (R, W): 1, then small random factors; zeros without ratings."""
    lanes = kernels.LANES
    x = np.zeros((len(n), -(-(n_factors + 2) // lanes) * lanes), np.float32)
    x[:, 0] = 1
    x[:, 1 : 1 + n_factors] = START_SD / math.sqrt(n_factors) * rng.standard_normal((len(n), n_factors), np.float32)
    return x * (n > 0)[:, None].astype(np.float32)
