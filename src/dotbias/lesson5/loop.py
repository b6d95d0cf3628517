"""``fit``: the plain loop, with any model, any torch optimizer and any loss; and the row that it prints per epoch."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..callbacks import Callback, Checkpoint, RunningLoss, StopFitting
from ..errors import DivergedError, SettingError, check_positive
from ..losses import Loss, check_shapes

Metric = Callable[[torch.Tensor, torch.Tensor], Any]


def fit(
    model: torch.nn.Module,
    data: Any,
    n_epochs: int,
    opt: torch.optim.Optimizer,
    crit: Loss,
    metrics: Sequence[Metric] | None = None,
    callbacks: Sequence[Callback] | None = None,
) -> list[float]:
    """Fit ``model`` for ``n_epochs``, printing a row after each: epoch, train loss, validation loss, metrics.

    The train loss is the bias-corrected running mean of the batches' (momentum 0.98), the validation loss a mean over
    its rows. Shuffling and dropout draw from torch's global generator.

    Args:
        model: called with a batch's inputs, such as ``model(cats, conts)``.
        data: has ``trn_dl`` and ``val_dl`` (or None), which yield ``(*inputs, y)``; see ``ColumnarModelData``.
        n_epochs: passes over ``trn_dl``.
        opt: over the model's parameters.
        crit: (prediction, y) -> scalar, a mean over the batch, such as ``F.mse_loss``.
        metrics: functions of (predictions, targets) of the whole validation set.
        callbacks: dotbias's own.

    Returns:
        The last validation loss and metrics.

    Raises:
        DataError: if prediction and target differ in shape, which torch would broadcast without a word.
        DivergedError: when the loss is no longer a finite number.
    """
    loop = Loop(model, data, opt, crit, metrics)
    loop.fit(n_epochs, [CourseRows(), *(callbacks or [])])
    return list(loop.history[-1].values())[2:] if loop.history else []


class Loop:
    """What a callback sees during ``fit``: the attributes that it would find on a ``Learner``."""

    def __init__(
        self,
        model: torch.nn.Module,
        data: Any,
        opt: torch.optim.Optimizer,
        crit: Loss,
        metrics: Sequence[Metric] | None = None,
    ):
        self.model, self.data, self.opt, self.crit = model, data, opt, crit
        self.train, self.valid, self.metrics = data.trn_dl, data.val_dl, by_name(metrics)
        self.device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self.n_batches = len(data.trn_dl)
        self.history: list[dict[str, float]] = []

    def fit(self, n_epochs: int, callbacks: Sequence[Callback]) -> None:
        """All epochs."""
        check_positive(n_epochs=n_epochs)
        if any(isinstance(c, Checkpoint) for c in callbacks):
            raise SettingError("the plain loop cannot resume from a checkpoint.", hint="use dotbias.Learner.")
        self.n_epochs, self.running_callbacks = n_epochs, callbacks
        try:
            self._call("before_fit")
            for self.epoch in range(n_epochs):
                self._fit_epoch()
        except StopFitting:
            pass
        finally:
            self._call("after_fit")

    def _fit_epoch(self) -> None:
        self.model.train()
        self._call("before_epoch")
        total, n = 0.0, 0
        for self.batch_number, batch in enumerate(self.train):
            self.batch = *inputs, y = [column.to(self.device) for column in batch]
            self.progress = (self.epoch + self.batch_number / self.n_batches) / self.n_epochs
            self._call("before_batch")
            self.prediction = self.model(*inputs)
            self.loss = self.loss_function(self.prediction, y)
            self._call("after_loss")
            total, n = total + self._finite(self.loss) * len(y), n + len(y)
            self.opt.zero_grad()
            self.loss.backward()
            self._call("after_backward")
            self.opt.step()
            self._call("after_batch")
        self.history.append({"epoch": len(self.history) + 1, "train": total / n, **self.validate()})
        self._call("after_epoch")

    def loss_function(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """``crit``, its arguments of one shape."""
        check_shapes(prediction, target)
        return self.crit(prediction, target)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The mean loss over the rows of valid, and the metrics."""
        if self.valid is None:
            return {}
        self.model.eval()
        batches = [[column.to(self.device) for column in batch] for batch in self.valid]
        pairs = [(self.model(*inputs), y) for *inputs, y in batches]
        guess, target = (torch.cat(part) for part in zip(*pairs, strict=True))
        loss = sum(float(self.loss_function(p, y)) * len(y) for p, y in pairs) / len(target)
        return {"valid": loss, **{name: float(f(guess, target)) for name, f in self.metrics.items()}}

    def _call(self, moment: str) -> None:
        for callback in self.running_callbacks:
            getattr(callback, moment)(self)

    def _finite(self, loss: torch.Tensor) -> float:
        if not math.isfinite(value := float(loss.detach())):
            raise DivergedError(
                f"the loss is {value} in epoch {self.epoch}, batch {self.batch_number}.",
                hint="lower the rate: set_lrs(opt, …), and begin with a fresh model.",
            )
        return value


class CourseRows(Callback):
    """Prints an epoch's row as the course did, on stdout; while it runs, a bar on stderr where that is a terminal.

    Attributes:
        smooth: the running loss after each batch.
    """

    def __init__(self) -> None:
        self.running, self.bar = RunningLoss(0.98), None
        self.smooth: list[float] = []

    def before_epoch(self, learner: Any) -> None:  # noqa: D102
        if sys.stderr.isatty():
            self.bar = _bar(learner.n_batches)

    def after_batch(self, learner: Any) -> None:  # noqa: D102
        self.running.after_batch(learner)
        self.smooth.append(self.running.value)
        if self.bar:
            self.bar.update(self.bar.task_ids[0], advance=1, description=f"loss {self.running.value:.4f}")

    def after_epoch(self, learner: Any) -> None:  # noqa: D102
        self._stop()
        row = learner.history[-1]
        if learner.epoch == 0:
            names = ["epoch", "trn_loss", *("val_loss" if n == "valid" else n for n in list(row)[2:])]
            print(" ".join(f"{name:<10}" for name in names))
        numbers = [self.running.value, *list(row.values())[2:]]
        print(f"{learner.epoch:^10}", *(f"{round(x, 6)!s:<10}" for x in numbers))

    def after_fit(self, learner: Any) -> None:  # noqa: D102
        self._stop()

    def _stop(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None


def by_name(metrics: Sequence[Metric] | None) -> dict[str, Metric]:
    """Functions by their names; of two with one name, the second gets a number."""
    named: dict[str, Metric] = {}
    for metric in metrics or ():
        name = getattr(metric, "__name__", type(metric).__name__)
        named[name if name not in named else f"{name}_{len(named) + 1}"] = metric
    return named


def _bar(n_batches: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    bar.add_task("", total=n_batches)
    bar.start()
    return bar
