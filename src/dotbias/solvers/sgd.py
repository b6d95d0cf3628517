"""Stochastic gradient descent on the model of the lesson, fused into loops that run as fast as the memory answers.

    score(u, i) = f(mean + b_u + b_i + p_u · q_i)        f: the identity, or a sigmoid onto a range

minimising  Σ (value - score)² + Σ_rows (reg·n + reg_once)·‖factors‖² + (reg_bias·n + reg_bias_once)·bias²,  n a row's
number of ratings (as ``learner.fit_dot_bias``). Every pass visits the ratings in blocks that share no row
(``_blocks``), so that one thread and sixteen give the same bits; ratings may lie on disk, and be more than memory
holds. This module knows arrays and Ratings; its loops are in ``_kernels``.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checkpoint import key_of
from ..errors import DataError, DivergedError, SettingError, check_not_negative, check_positive
from ..factors import Factors
from ..objective import Link, Objective, Ridge
from ..ratings import Ratings
from ..rng import Rng
from ..schedules import Schedule, cosine
from ..settings import checked
from . import _blocks
from . import _kernels as kernels
from ._compile import announce_compile
from ._passes import Pass, check_whole, clip_range, mean_of, run
from ._progress import Progress
from ._threads import threads

PADDING = 0.05  # of the scale's width: by how much a sigmoid's asymptotes exceed it at both ends
START_SD = 0.1  # of the first factors
ALONE = 3_000_000  # ratings × factors: with fewer, one thread
EXPLODED = 10.0  # widths of the scale: a larger RMSE is no fit any more


@checked
def sgd(
    ratings: Ratings,
    *,
    n_factors: int = 64,
    n_epochs: int = 30,
    lr: float | Schedule = 0.04,
    reg: float = 0.05,
    reg_once: float = 3.0,
    reg_bias: float = 0.01,
    reg_bias_once: float = 2.0,
    link: Link = "identity",
    y_range: tuple[float, float] | None = None,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress[Pass] = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    scratch: str | Path | None = None,
) -> Factors:
    """Fit biases and factors by stochastic gradient descent, in fused passes over blocks of users × items.

    The defaults were chosen by cross-validation inside the lesson's train part, with an eye on one inside ML-1M's
    (bench/LOG.md); they suit the identity link and stars.

    Args:
        ratings: the training ratings; columns may be memory-mapped files.
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
            sigmoid's exceed by a twentieth at both ends.
        valid: watched after every pass; the pass that is best on it is returned.
        rng: draws the first factors and all orders; the same rng gives the same bits for any number of threads.
        progress: told of every pass (:class:`~dotbias.solvers._passes.Pass`); True shows a bar on stderr (lines
            where that is no terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` passes; if it is there, the fit goes on from it, to
            the same bits. It must be the same fit: ratings, settings, rng.
        checkpoint_every: in passes.
        scratch: folder for a copy of the ratings by block, 12 bytes each, deleted at the end. By default it is held
            in memory, or where the ratings are memory-mapped in the system's folder for temporary files.

    Returns:
        Factors; rows without ratings are zero. Their ``reg`` is the ridge of the
        fit. Ctrl-C returns what is fitted so far.

    Raises:
        DataError: no ratings, no finite ones, or for a sigmoid all of one value.
        SettingError: a setting that makes no sense, a checkpoint of another fit.
        DivergedError: if the error explodes.
    """
    path = None if checkpoint is None else Path(checkpoint)
    check_whole(n_factors=n_factors, n_epochs=n_epochs, checkpoint_every=checkpoint_every)
    check_not_negative(reg=reg, reg_once=reg_once, reg_bias=reg_bias, reg_bias_once=reg_bias_once)
    ridge = Ridge(reg_bias_once, reg_once, reg_bias, reg)
    shape = Shape(n_factors, *_link(ratings, link, y_range))
    schedule = _schedule(lr)
    with announce_compile(), threads(len(ratings) * n_factors, ALONE), _folder(ratings, scratch) as folder:
        fit = Descent(ratings, shape, ridge, schedule, n_epochs, key_of(rng, path), valid=valid, folder=folder)
        return run(fit, n_epochs, valid=valid, progress=progress, path=path, every=checkpoint_every)


class Shape(NamedTuple):
    """What is fitted: K, the link, its range, and the mean on the link's inner scale."""

    n_factors: int
    link: Link
    y_range: tuple[float, float]
    mean: float

    @property
    def squash(self) -> tuple[np.float32, np.float32]:
        """The kernel's (low, width); width 0 is the identity."""
        low, high = self.y_range if self.link == "sigmoid" else (0.0, 0.0)
        return np.float32(low), np.float32(high - low)


class Descent:
    """A fit under way; see ``_passes.Fit``. Its rows lie in the blocks' order, not in the ratings'.

    Attributes:
        P, Q: (U, W), (I, W) float32 factors, padded.
        user, item: (U, 4), (I, 4) float32 biases and decays, as ``_kernels.learn_pass`` takes them.
    """

    def __init__(
        self,
        ratings: Ratings,
        shape: Shape,
        reg: Ridge,
        schedule: Schedule,
        n_epochs: int,
        key: int,
        *,
        valid: Ratings | None = None,
        folder: Path | None = None,
    ):
        self.ratings, self.valid, self.shape, self.key = ratings, valid, shape, key
        self.reg, self.schedule, self.n_epochs = reg, schedule, n_epochs
        low, high = ratings.scale()
        self.exploded = EXPLODED * max(high - low, 1e-3)
        self.user_counts = _blocks.counts(ratings.users, ratings.n_users)
        self.item_counts = _blocks.counts(ratings.items, ratings.n_items)
        width = -(-shape.n_factors // kernels.LANES) * kernels.LANES
        self.blocks = _blocks.lay_out(ratings, self.user_counts, self.item_counts, width=width, key=key, folder=folder)
        rng = _blocks.stream(key, 1)
        parts = (self.user_counts, self.blocks.user_at), (self.item_counts, self.blocks.item_at)
        self.P, self.Q = (first_factors(n, at, shape.n_factors, width, rng) for n, at in parts)
        self.user, self.item = (first_biases(n, at, reg) for n, at in parts)

    def step(self, number: int) -> float:
        """Pass ``number`` over all ratings."""
        b, B = self.blocks, self.blocks.side
        strata = _blocks.stream(self.key, 2 + number).permutation(B)
        rates = np.array([self.schedule((number + t / B) / self.n_epochs) for t in range(B)], np.float32)
        columns, squares = (b.users, b.items, b.values, b.starts), np.zeros(B * B)
        state = self.P, self.Q, self.user, self.item
        kernels.learn_pass(*columns, strata, rates, np.float32(self.shape.mean), *self.shape.squash, *state, squares)
        error = math.sqrt(squares.sum() / len(b.values))
        if not error <= self.exploded:
            rate = float(rates.max())
            raise DivergedError(
                f"the RMSE is {error:.3g} in pass {number + 1}, at lr {rate:.3g}.",
                hint=f"lower the rate: lr={rate / 4:.1g}.",
            )
        return error

    def factors(self) -> Factors:
        """What is fitted so far, in the ratings' order."""
        s, u, i = self.shape, self.blocks.user_at, self.blocks.item_at
        biases = self.user[u, kernels.BIAS], self.item[i, kernels.BIAS]
        parts = *biases, self.P[u, : s.n_factors], self.Q[i, : s.n_factors]
        objective = Objective("squared", s.link, s.y_range, self.reg, self.reg)
        return Factors(s.mean, *parts, objective, self.ratings.tables)

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
        valid = None if self.valid is None else self.valid.fingerprint()
        fit = {"solver": "sgd", "n_epochs": self.n_epochs, "rates": rates, "reg": list(self.reg), "key": self.key}
        shape = {"n_factors": self.shape.n_factors, "link": self.shape.link, "y_range": str(self.shape.y_range)}
        return {**fit, **shape, "train": self.ratings.fingerprint(), "valid": valid}


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


def _schedule(lr: float | Schedule) -> Schedule:
    if callable(lr):
        return lr
    check_positive(lr=lr)
    return cosine(lr)


def _link(ratings: Ratings, link: Link, y_range: tuple[float, float] | None) -> tuple[Link, tuple[float, float], float]:
    """(link, its range, the mean on its inner scale)."""
    mean = mean_of(ratings)
    if link == "identity":
        return link, clip_range(ratings, y_range), mean
    if link != "sigmoid":
        raise SettingError(f"link is {link!r}.", hint="'identity' or 'sigmoid'.")
    low, high = clip_range(ratings, y_range)
    if not math.isfinite(high - low):
        raise DataError(f"every rating in train is {mean:g}; a sigmoid has no range.", hint="declare y_range=(…, …).")
    padding = PADDING * (high - low) if y_range is None else 0.0
    low, high = low - padding, high + padding
    share = min(max((mean - low) / (high - low), 1e-3), 1 - 1e-3)
    return link, (low, high), math.log(share / (1 - share))


@contextmanager
def _folder(ratings: Ratings, scratch: str | Path | None) -> Iterator[Path | None]:
    """An empty folder for the copy by block, gone afterwards; None to hold it in memory."""
    if scratch is None and not _blocks.on_disk(ratings.users):
        yield None
        return
    with tempfile.TemporaryDirectory(dir=scratch, prefix="dotbias-") as folder:
        yield Path(folder)
