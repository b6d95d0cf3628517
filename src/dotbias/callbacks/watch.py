"""The running loss, and a bar that shows it."""

from __future__ import annotations

import math
import sys
from typing import Any

from .moments import Callback, Loop


class RunningLoss(Callback):
    """The bias-corrected exponentially weighted mean of the batch losses: what a progress bar shows.

    mean_t = beta·mean_{t-1} + (1-beta)·loss_t, divided by 1 - beta^t (Kingma & Ba 2015, §3).

    Attributes:
        losses: each batch's loss.
        smooth: the corrected mean after each batch.
    """

    def __init__(self, beta: float = 0.98):
        self.beta, self.mean, self.t = beta, 0.0, 0
        self.losses: list[float] = []
        self.smooth: list[float] = []

    def after_batch(self, learner: Loop) -> None:  # noqa: D102
        loss = float(learner.loss.detach())
        self.t += 1
        self.mean = self.beta * self.mean + (1 - self.beta) * loss
        self.losses.append(loss)
        self.smooth.append(self.value)

    @property
    def value(self) -> float:
        """The corrected mean so far; NaN before the first batch."""
        return self.mean / (1 - self.beta**self.t) if self.t else math.nan


class Bar(Callback):
    """A bar with the running loss while an epoch runs, then a row: epoch, train, valid, metrics. On stderr.

    Args:
        rows: whether the rows are printed.
    """

    bar: Any = None

    def __init__(self, *, rows: bool = True):
        self.rows = rows

    def before_fit(self, learner: Loop) -> None:  # noqa: D102
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.running = RunningLoss()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=Console(file=sys.stderr), transient=True, redirect_stdout=False)
        self.task = self.bar.add_task("", total=learner.n_batches)
        self.bar.start()
        self._print(["epoch", "train", *(["valid"] if learner.valid is not None else []), *learner.metrics])

    def before_epoch(self, learner: Loop) -> None:  # noqa: D102
        self.bar.reset(self.task)

    def after_batch(self, learner: Loop) -> None:  # noqa: D102
        self.running.after_batch(learner)
        text = f"epoch {learner.epoch + 1}/{learner.n_epochs}  loss {self.running.value:.4f}"
        self.bar.update(self.task, advance=1, description=text)

    def after_epoch(self, learner: Loop) -> None:  # noqa: D102
        epoch, *numbers = learner.history[-1].values()
        self._print([str(epoch), *(f"{x:.4f}" for x in numbers)])

    def after_fit(self, learner: Loop) -> None:  # noqa: D102
        if self.bar is not None:  # None: an earlier callback refused the fit
            self.bar.stop()

    def _print(self, cells: list[str]) -> None:
        if self.rows:
            self.bar.console.print("  ".join(f"{cell:>9}" for cell in cells), markup=False)
