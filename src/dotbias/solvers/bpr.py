"""Bayesian personalised ranking by stochastic gradient descent, fused: what was clicked before what was not.

    score(u, i) = σ(b_i + p_u · q_i),   so that a click's rank exceeds that of an item drawn from the others

(Rendle, Freudenthaler, Gantner & Schmidt-Thieme 2009). Every pass holds each click against one item that the user did
not click, in an order that depends on the counts and the rng alone: one thread and sixteen give the same bits. It says
nothing of how likely a click is, only which is likelier. This module knows arrays and Ratings; its loops are in
``_bpr_kernels``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import key_of
from ..errors import DivergedError
from ..factors import Factors
from ..files import as_path
from ..objective import Objective, Ridge
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng, stream
from ..schedules import Schedule, cosine
from ..settings import Count, NotNegative, Positive, checked
from . import _bpr_kernels as kernels
from ._clicks import check_clicks, check_valid, clicks_by_row, ndcg
from ._columns import counts, frozen
from ._compile import announce_compile
from ._passes import Watch, run
from ._sgd_blocks import CACHE, MOST, SLICES, places
from ._sgd_kernels import count_blocks
from ._threads import share, sharing

START_SD = 0.1  # of the first factors, over √K
SIDE = 16  # blocks of users; of items twice as many
ALONE = 3_000_000  # clicks × factors: with fewer, one thread


@checked
def bpr(
    train: Ratings,
    *,
    n_factors: Count = 64,
    n_epochs: Count = 60,
    lr: Positive | Schedule = 0.2,
    reg: NotNegative = 0.01,
    reg_bias: NotNegative = 0.001,
    keep_best: bool = False,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
) -> Factors:
    """Fit item biases and factors so that clicked items stand before others (BPR-Opt, Rendle et al. 2009, eq. 4).

    Minimises the expectation of  -ln σ(x_ui - x_uj) + ½ reg (‖p_u‖² + ‖q_i‖² + ‖q_j‖²) + ½ reg_bias (b_i² + b_j²)  over
    clicks (u, i) and items j that u did not click, drawn alike. Counts are ignored: a click is a click.

    Args:
        train: clicks. Of ratings: ``train.as_clicks()``.
        n_factors: K.
        n_epochs: passes; each draws one item for each click.
        lr: the first rate, annealed to 0 along half a cosine; or a schedule (``dotbias.schedules``).
        reg: ridge on the factors of the three rows of a draw.
        reg_bias: ridge on the biases of its two items.
        keep_best: return the pass that is best on ``valid``, not the last.
        valid: clicks on which NDCG@10 of full lists is reported after every pass. They decide nothing, unless
            ``keep_best``.
        rng: draws factors, orders and items; the same rng gives the same bits for any number of threads.
        progress: called with a :class:`~dotbias.progress.Step` after every pass: ``train`` (the share of its draws
            that were in the wrong order, each before it was learned from), ``valid`` (NDCG@10) and ``seconds``. True
            shows a bar on stderr (lines where that is no terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` passes; if it is there, the fit goes on from it, to
            the same bits. It must be the same fit: clicks, settings, rng.
        checkpoint_every: in passes.

    Returns:
        Factors, whose scores are a sigmoid of the ranks and no probabilities; rows without clicks are zero. A new
        user is folded in by the same loss of all their pairs, a new item by the logistic loss.

    Warns:
        StoppedWarning: after Ctrl-C; what is fitted after the current pass is returned.

    Raises:
        DataError: no clicks, or ratings with values.
        SettingError: a setting that makes no sense, a checkpoint of another fit.
        DivergedError: if a number is no longer finite.
    """
    path = None if checkpoint is None else as_path(checkpoint)
    check_clicks(train)
    check_valid(valid, keep_best=keep_best)
    watch = Watch(lambda factors, clicks: ndcg(factors, train, clicks), higher=True)
    schedule = lr if callable(lr) else cosine(lr)
    with announce_compile(), sharing(len(train) * n_factors, ALONE):
        fit = PairDescent(train, n_factors, (reg, reg_bias), schedule, n_epochs, key_of(rng, path))
        return run(
            fit,
            n_epochs,
            valid=valid,
            keep_best=keep_best,
            progress=progress,
            path=path,
            every=checkpoint_every,
            watch=watch,
        )


class PairDescent:
    """A fit under way; see ``_passes.Underway``. Its rows lie in the blocks' order.

    Attributes:
        objective: by which newcomers are folded in.
        P, Q: (U, W), (I, W) float32 factors, padded; ``bias``: (I,) float32.
    """

    def __init__(
        self,
        train: Ratings,
        n_factors: int,
        reg: tuple[float, float],
        schedule: Schedule,
        n_epochs: int,
        key: int,
    ):
        self.train, self.n_factors, self.key = train, n_factors, key
        self.reg, self.schedule, self.n_epochs = reg, schedule, n_epochs
        each = Ridge(1e-3, 1e-3, reg[1] / 4, reg[0] / 4)  # ½ reg a draw, and a click is counted with an item beside it
        ridges = each._replace(bias=math.inf), each
        self.objective = Objective("pairs", "sigmoid", (0.0, 1.0), *ridges, negatives=1.0)
        n_users, n_items = counts(train.users, train.n_users), counts(train.items, train.n_items)
        self.width = -(-n_factors // kernels.LANES) * kernels.LANES
        self._lay_out(n_users, n_items)
        rng = stream(key, 1)
        self.P, self.Q = (
            first_rows(n, at, n_factors, self.width, rng)
            for n, at in ((n_users, self.user_at), (n_items, self.item_at))
        )
        self.bias = np.zeros(train.n_items, np.float32)

    def _lay_out(self, n_users: np.ndarray, n_items: np.ndarray) -> None:
        """Copy the clicks by block, each block in random order; and each user's items, rising."""
        train, rng = self.train, stream(self.key, 0)
        B = side_of(n_users, n_items, self.width)
        self.user_at, user_block = places(n_users, B, rng)
        self.item_at, item_block, self.item_starts = item_places(n_items, 2 * B, rng)
        users, items = frozen(train.users), frozen(train.items)
        per_slice = np.zeros((SLICES, 2 * B * B), np.int64)
        share(count_blocks, SLICES, users, items, user_block, item_block, 2 * B, per_slice)
        starts = np.concatenate([[0], np.cumsum(per_slice.sum(0))])
        place = starts[:-1] + np.cumsum(per_slice, 0) - per_slice
        u, i = np.empty(len(users), np.int32), np.empty(len(items), np.int32)
        rows = self.user_at, self.item_at, user_block, item_block
        share(kernels.scatter, SLICES, users, items, *rows, 2 * B, place, u, i)
        self.seen_starts, self.seen = seen(u, i, train.n_users, train.n_items)
        share(kernels.shuffle, 2 * B * B, starts, int(rng.integers(2**62)), u, i)
        self.side, self.clicks = B, (u, i, starts)

    def step(self, number: int) -> float:
        """Pass ``number`` over all clicks; the share of its draws that were in the wrong order."""
        B, rng = self.side, stream(self.key, 2 + number)
        strata, pairs, key = rng.permutation(B), rng.permutation(2 * B), np.uint64(rng.integers(2**63))
        rates = np.array([self.schedule((number + t / B) / self.n_epochs) for t in range(B)], np.float32)
        told = np.zeros((2 * B * B, 2), np.int64)
        state = self.P, self.Q, self.bias, told
        drawn = self.clicks, self.item_starts, self.seen_starts, self.seen, strata, pairs, key
        kernels.learn_pass(*drawn, rates, *self.reg, *state)
        wrong, n = told.sum(0)
        if not math.isfinite(float(self.bias.sum(dtype=np.float64) + self.Q.sum(dtype=np.float64))):
            rate = float(rates.max())
            raise DivergedError(f"the fit left the finite numbers in pass {number + 1}.", hint=f"lr={rate / 4:.1g}.")
        return float(wrong) / max(int(n), 1)

    def factors(self) -> Factors:
        """What is fitted so far, in the ratings' order."""
        k, nobody = slice(self.n_factors), np.zeros(self.train.n_users, np.float32)
        rows = self.P[self.user_at, k], self.Q[self.item_at, k]
        return Factors(0.0, nobody, self.bias[self.item_at], *rows, self.objective, self.train.tables)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that passes change."""
        return {name: getattr(self, name) for name in ("P", "Q", "bias")}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Undo :meth:`state`."""
        for name, array in state.items():
            getattr(self, name)[:] = array

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same."""
        rates = [self.schedule(p / 16) for p in range(17)]
        fit = {"solver": "bpr", "n_epochs": self.n_epochs, "rates": rates, "reg": list(self.reg), "key": self.key}
        return {**fit, "n_factors": self.n_factors, "train": self.train.fingerprint()}


def side_of(n_users: np.ndarray, n_items: np.ndarray, width: int) -> int:
    """B: users' factors of a block fit the cache, and every block of items can hold some."""
    wanted = max(SIDE, math.ceil(4 * width * max(len(n_users), len(n_items)) / CACHE))
    return max(1, min(wanted, MOST // 2, int((n_items > 0).sum()) // 4))


def item_places(n: np.ndarray, n_blocks: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items in random order, cut into blocks of about equal clicks; items without clicks behind them, in no block.

    Returns:
        Position (I,) int32, block (I,) int32, and where each block's positions begin (n_blocks + 1,).
    """
    clicked = np.flatnonzero(n > 0)
    at, block = np.empty(len(n), np.int32), np.zeros(len(n), np.int32)
    at[clicked], block[clicked] = places(n[clicked], n_blocks, rng)
    at[n == 0] = np.arange(len(clicked), len(n))
    sizes = np.bincount(block[clicked], minlength=n_blocks)
    return at, block, np.concatenate([[0], np.cumsum(sizes)])


def seen(users: np.ndarray, items: np.ndarray, n_users: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Each user's items, rising: starts (U + 1,), items (N,) int32. Sorted by counting, twice."""
    nothing = np.empty(0, np.float32)
    starts, by_item, _ = clicks_by_row(items, users, nothing, n_items)
    rising = np.repeat(np.arange(n_items, dtype=np.int32), np.diff(starts))
    return clicks_by_row(by_item, rising, nothing, n_users)[:2]


def first_rows(n: np.ndarray, at: np.ndarray, n_factors: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Small random factors (R, W) at the positions ``at``, zero where n (R,) is."""
    x = np.zeros((len(n), width), np.float32)
    drawn = np.float32(START_SD / math.sqrt(n_factors)) * rng.standard_normal((len(n), n_factors), np.float32)
    x[at, :n_factors] = drawn * (n > 0)[:, None]
    return x
