"""Stochastic gradient descent on the model of the lesson, fused into loops that run as fast as the memory answers.

    score(u, i) = f(mean + b_u + b_i + p_u · q_i)        f: the identity, or a sigmoid onto a range

minimising  Σ (value - score)² + Σ_rows (reg·n + reg_once)·‖factors‖² + (reg_bias·n + reg_bias_once)·bias²,  n a row's
number of ratings, values in units of their standard deviation in train (``_units``). Every pass visits the ratings in
blocks that share no row (``_sgd_blocks``), so that one thread and sixteen give the same bits; ratings may lie on disk,
and be more than memory holds. This module knows arrays and Ratings; its loops are in ``_sgd_kernels``.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import key_of
from ..errors import DataError, DivergedError
from ..factors import Factors
from ..files import as_path, clear_errors
from ..objective import Link, Objective, Ridge
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng, stream
from ..schedules import Schedule, cosine
from ..settings import Count, NotNegative, Positive, checked
from . import _sgd_blocks as blocks
from . import _sgd_kernels as kernels
from ._columns import counts, on_disk
from ._compile import announce_compile
from ._passes import check_valid, run
from ._threads import sharing
from ._units import Units, check_size, clip_range, units_of

PADDING = 0.05  # of the scale's width: by how much a sigmoid's asymptotes exceed it at both ends
START_SD = 0.1  # of the first factors
ALONE = 3_000_000  # ratings × factors: with fewer, one thread
EXPLODED = 10.0  # standard deviations of the ratings: a larger RMSE is no fit any more


@checked
def sgd(
    train: Ratings,
    *,
    n_factors: Count = 64,
    n_epochs: Count = 30,
    lr: Positive | Schedule = 0.04,
    reg: NotNegative = 0.05,
    reg_once: NotNegative = 3.0,
    reg_bias: NotNegative = 0.01,
    reg_bias_once: NotNegative = 2.0,
    link: Link = "identity",
    y_range: tuple[float, float] | None = None,
    keep_best: bool = False,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
    scratch: str | Path | None = None,
) -> Factors:
    """Fit biases and factors by stochastic gradient descent, in fused passes over blocks of users × items.

    Rates and ridges are in units of the ratings' standard deviation in train, so that the same settings suit any
    scale. The defaults were chosen by cross-validation inside the train parts of the lesson's split and of ML-1M
    (bench/LOG.md); they suit the identity link and stars.

    Args:
        train: the training ratings; columns may be memory-mapped files.
        n_factors: K.
        n_epochs: passes over the ratings.
        lr: the first rate, annealed to 0 along half a cosine; or a schedule (``dotbias.schedules``). In units of the
            gradient of half the squared error of one rating.
        reg: ridge on a row's factors, for each of its ratings.
        reg_once: ridge on a row's factors, once.
        reg_bias: ridge on a row's bias, for each of its ratings.
        reg_bias_once: ridge on a row's bias, once.
        link: "identity", or "sigmoid" onto ``y_range``.
        y_range: where scores are clipped (identity), or the sigmoid's asymptotes; by default train's scale, which the
            sigmoid's exceed by a twentieth at both ends. On the ratings' scale.
        keep_best: return the pass that is best on ``valid``, not the last.
        valid: ratings whose error is reported after every pass. They decide nothing, unless ``keep_best``.
        rng: draws the first factors and all orders; the same rng gives the same bits for any number of threads.
        progress: called with a :class:`~dotbias.progress.Step` after every pass: ``train`` and ``valid`` (RMSE, on
            train as the pass went along, each rating before it was learned from) and ``seconds``. True shows a bar on
            stderr (lines where that is no terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` passes; if it is there, the fit goes on from it, to
            the same bits. It must be the same fit: ratings, settings, rng.
        checkpoint_every: in passes.
        scratch: folder for a copy of the ratings by block, 12 bytes each, deleted at the end. By default it is held
            in memory, or where the ratings are memory-mapped in the system's folder for temporary files.

    Returns:
        Factors; rows without ratings are zero. Their objective holds the ridges of the fit, on the ratings' scale.

    Warns:
        StoppedWarning: after Ctrl-C; what is fitted after the current pass is returned.

    Raises:
        DataError: no ratings, no finite ones, or for a sigmoid without ``y_range`` all of one value.
        SettingError: a setting that makes no sense, a checkpoint of another fit.
        DivergedError: if the error explodes.
    """
    path = None if checkpoint is None else as_path(checkpoint)
    check_valid(valid, keep_best=keep_best)
    ridge = Ridge(reg_bias_once, reg_once, reg_bias, reg)
    schedule = lr if callable(lr) else cosine(lr)
    with announce_compile(), sharing(len(train) * n_factors, ALONE), _folder(train, scratch) as folder:
        key = key_of(rng, path)
        fit = Descent(train, n_factors, ridge, schedule, n_epochs, key, link=link, y_range=y_range, folder=folder)
        return run(
            fit, n_epochs, valid=valid, keep_best=keep_best, progress=progress, path=path, every=checkpoint_every
        )


class Descent:
    """A fit under way; see ``_passes.Underway``. Its rows lie in the blocks' order, not in the ratings'.

    Attributes:
        units: that the ratings in ``blocks``, the ridge and the arrays are in.
        n: ratings.
        spread: how large an error of 1 in these units is on the ratings' scale.
        objective: what is minimised, on the ratings' scale.
        P, Q: (U, W), (I, W) float32 factors, padded.
        user, item: (U, 4), (I, 4) float32 biases and decays, as ``_sgd_kernels.learn_pass`` takes them.
    """

    def __init__(
        self,
        train: Ratings,
        n_factors: int,
        reg: Ridge,
        schedule: Schedule,
        n_epochs: int,
        key: int,
        *,
        link: Link = "identity",
        y_range: tuple[float, float] | None = None,
        folder: Path | None = None,
    ):
        self.measure(train, train, n_factors, reg, schedule, n_epochs, key, link, y_range)
        n_users, n_items = counts(train.users, train.n_users), counts(train.items, train.n_items)
        width = padded(n_factors)
        self.blocks = blocks.lay_out(train, n_users, n_items, self.units, width=width, key=key, folder=folder)
        self.begin((n_users, self.blocks.user_at), (n_items, self.blocks.item_at))

    def measure(
        self,
        train: Ratings,
        values: Ratings,
        n_factors: int,
        reg: Ridge,
        schedule: Schedule,
        n_epochs: int,
        key: int,
        link: Link,
        y_range: tuple[float, float] | None,
    ) -> None:
        """Units and objective: of the ids of ``train`` and the column of ``values``, in its order."""
        self.train, self.n_factors, self.key = train, n_factors, key
        self.reg, self.schedule, self.n_epochs = reg, schedule, n_epochs
        check_size(train, n_factors)
        self.units, self.n = units_of(values), len(values)
        self.spread = self.units.spread if link == "identity" else self.units.unit
        ridge = self.units.ridge(reg, link)
        self.objective = Objective("squared", link, _range(values, link, y_range), ridge, ridge)

    def begin(self, users: tuple[np.ndarray, np.ndarray], items: tuple[np.ndarray, np.ndarray]) -> None:
        """First rows, of users and of items: their counts and their positions (R,)."""
        parts, rng = (users, items), stream(self.key, 1)
        self.user_at, self.item_at = users[1], items[1]
        self.P, self.Q = (first_factors(n, at, self.n_factors, padded(self.n_factors), rng) for n, at in parts)
        self.user, self.item = (first_biases(n, at, self.reg) for n, at in parts)

    def step(self, number: int) -> float:
        """Pass ``number`` over all ratings."""
        strata, rates = self.plan(number)
        squares = self.learn(strata, rates)
        error = math.sqrt(squares.sum() / self.n)
        if not error <= EXPLODED:
            rate = float(rates.max())
            raise DivergedError(
                f"the RMSE is {error * self.spread:.3g} in pass {number + 1}, at lr {rate:.3g}.",
                hint=f"lower the rate: lr={rate / 4:.1g}.",
            )
        return error * self.spread

    def plan(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The strata of pass ``number`` in their order, and the rate of each: (B,), (B,)."""
        B = self.side
        strata = stream(self.key, 2 + number).permutation(B)
        return strata, np.array([self.schedule((number + t / B) / self.n_epochs) for t in range(B)], np.float32)

    @property
    def side(self) -> int:
        """B, blocks a side."""
        return self.blocks.side

    def learn(self, strata: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Learn from all blocks, stratum by stratum; each block's squared errors (B²,), at its place in the grid."""
        b, squares = self.blocks, np.zeros(self.side**2)
        columns, state = (b.users, b.items, b.values, b.starts), (self.P, self.Q, self.user, self.item)
        kernels.learn_pass(*columns, strata, rates, *kernel_link(self.objective, self.units), *state, squares)
        return squares

    def factors(self) -> Factors:
        """What is fitted so far, in the ratings' order and on their scale."""
        k, u, i = slice(self.n_factors), self.user_at, self.item_at
        sigmoid = self.objective.link == "sigmoid"
        mean, spread = (_centre(self.objective, self.units), 1.0) if sigmoid else self.units
        biases, root = (self.user[u, kernels.BIAS] * spread, self.item[i, kernels.BIAS] * spread), math.sqrt(spread)
        return Factors(mean, *biases, self.P[u, k] * root, self.Q[i, k] * root, self.objective, self.train.tables)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that passes change."""
        return {name: getattr(self, name) for name in ("P", "Q", "user", "item")}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Undo :meth:`state`."""
        for name, array in state.items():
            getattr(self, name)[:] = array

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same."""
        rates = [self.schedule(p / 16) for p in range(17)]
        fit = {"solver": "sgd", "n_epochs": self.n_epochs, "rates": rates, "reg": list(self.reg), "key": self.key}
        model = {"n_factors": self.n_factors, "link": self.objective.link, "y_range": str(self.objective.y_range)}
        return {**fit, **model, "units": list(self.units), "train": self.train.fingerprint()}


def padded(n_factors: int) -> int:
    """W: the factors, up to whole vectors."""
    return -(-n_factors // kernels.LANES) * kernels.LANES


def first_factors(n: np.ndarray, at: np.ndarray, n_factors: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Small random factors (R, W) at the positions ``at``, zero where n (R,) is; each row begins a cache line."""
    raw = np.zeros(4 * len(n) * width + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    x = raw[skip : skip + 4 * len(n) * width].view(np.float32).reshape(len(n), width)
    drawn = np.float32(START_SD) * rng.standard_normal((len(n), n_factors), np.float32)
    x[at, :n_factors] = drawn * (n > 0)[:, None]
    return x


def first_biases(n: np.ndarray, at: np.ndarray, reg: Ridge) -> np.ndarray:
    """Zero biases (R, 4) at the positions ``at``, beside what each of a row's n (R,) ratings shrinks it by."""
    x = np.zeros((len(n), 4), np.float32)
    x[at, kernels.DECAY], x[at, kernels.BIAS_DECAY] = (
        each + once / np.maximum(n, 1) for once, each in ((reg.factors, reg.factors_each), (reg.bias, reg.bias_each))
    )
    return x


# The link --------------------------------------------------------------------------------------------------------


def _range(train: Ratings, link: Link, y_range: tuple[float, float] | None) -> tuple[float, float]:
    """Where scores are clipped, or the sigmoid's asymptotes."""
    if y_range is not None:
        return y_range
    low, high = clip_range(train)
    if link == "identity":
        return low, high
    if not math.isfinite(high - low):
        raise DataError(
            f"every rating in train is {train.explicit()[0]:g}; a sigmoid has no range.", hint="declare y_range=(…, …)."
        )
    padding = PADDING * (high - low)
    return low - padding, high + padding


def _centre(objective: Objective, units: Units) -> float:
    """Where a sigmoid answers train's mean: the mean of Factors."""
    low, high = objective.y_range
    share = min(max((units.mean - low) / (high - low), 1e-3), 1 - 1e-3)
    return math.log(share / (1 - share))


def kernel_link(objective: Objective, units: Units) -> tuple[np.float32, np.float32, np.float32]:
    """The kernel's (mean, low, width), in the units; width 0 is the identity."""
    if objective.link == "identity":
        return np.float32(0), np.float32(0), np.float32(0)
    low, high = map(units.inside, objective.y_range)
    return np.float32(_centre(objective, units)), np.float32(low), np.float32(high - low)


@contextmanager
def _folder(train: Ratings, scratch: str | Path | None) -> Iterator[Path | None]:
    """An empty folder for the copy by block, gone afterwards; None to hold it in memory."""
    if scratch is None and not on_disk(train.users):
        yield None
        return
    parent = as_path(tempfile.gettempdir() if scratch is None else scratch)
    with clear_errors(parent, "used as scratch"):
        folder = tempfile.TemporaryDirectory(dir=parent, prefix="dotbias-")
    with folder as name:
        yield Path(name)
