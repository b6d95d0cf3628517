"""The rate before every batch: from a schedule, and the sweep that looks for a good one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import DivergedError
from ..schedules import Schedule
from .moments import Callback, Loop, StopFitting
from .watch import RunningLoss

FALLEN = 0.75  # of a sweep's whole fall, at the suggested rate


class Rates(Callback):
    """Sets the rate before every batch, from a schedule per group of parameters.

    Args:
        schedules: one per group; None: the optimizer's rates stay as they are.

    Attributes:
        history: the last group's rate, a number per batch.
    """

    def __init__(self, schedules: Sequence[Schedule] | None):
        self.schedules = schedules
        self.history: list[float] = []

    def before_batch(self, learner: Loop) -> None:  # noqa: D102
        if self.schedules is not None:
            for group, schedule in zip(learner.opt.param_groups, self.schedules, strict=True):
                group["lr"] = schedule(learner.progress)
        self.history.append(learner.opt.param_groups[-1]["lr"])


class Sweep(NamedTuple):
    """A learning-rate sweep.

    Attributes:
        lrs: rates tried, one per batch, growing by equal factors.
        losses: each batch's loss.
        smooth: their bias-corrected running mean.
        suggestion: the last rate at which the loss, averaged over a fifth of the sweep, had made less than three
            quarters of its whole fall: still falling fast, well below where it explodes.
    """

    lrs: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    suggestion: float


class RateSweep(Callback):
    """Watches a fit whose rate grows, and stops it after ``n_batches``, or when the loss explodes (Smith 2017)."""

    def __init__(self, n_batches: int, *, stop_at: float = 4.0):
        self.n_batches, self.stop_at, self.running = n_batches, stop_at, RunningLoss()

    def after_batch(self, learner: Loop) -> None:  # noqa: D102
        self.running.after_batch(learner)
        smooth = self.running.smooth
        if len(smooth) == self.n_batches or smooth[-1] > self.stop_at * min(smooth):
            raise StopFitting

    def result(self, lrs: Sequence[float]) -> Sweep:
        """The sweep, given the rates that were set."""
        n = len(self.running.losses)
        if n < 5:
            raise DivergedError(
                f"the loss exploded after {n} batches of the sweep.", hint="begin lower: start_lr=1e-7."
            )
        losses, rates = np.array(self.running.losses), np.array(lrs[:n])
        return Sweep(rates, losses, np.array(self.running.smooth), suggest(rates, losses))


def suggest(lrs: np.ndarray, losses: np.ndarray) -> float:
    """A rate from a sweep's rates (n,) and losses (n,): see :class:`Sweep`.

    The steepest slope, the usual rule, hangs on noise where the curve is flat: over eight seeds its suggestions lay up
    to a factor of 700 apart, those of this one up to 1.6 (bench/LOG.md).

    Raises:
        DivergedError: if the loss falls nowhere.
    """
    trend = _centred_mean(losses, max(len(losses) // 10, 2))
    lowest, start = int(trend.argmin()), float(np.median(losses[: max(len(losses) // 5, 3)]))
    fall = start - trend[lowest]
    if lowest == 0 or not fall > 0:
        raise DivergedError("the loss falls nowhere in the sweep.", hint="begin lower: start_lr=1e-7.")
    early = np.flatnonzero(start - trend[: lowest + 1] < FALLEN * fall)
    return float(lrs[early[-1] if len(early) else 0])


def _centred_mean(x: np.ndarray, half: int) -> np.ndarray:
    """The mean of up to ``half`` values either side of each: (n,) -> (n,)."""
    total = np.r_[0.0, np.cumsum(x)]
    k = np.arange(len(x))
    low, high = np.maximum(k - half, 0), np.minimum(k + half + 1, len(x))
    return (total[high] - total[low]) / (high - low)
