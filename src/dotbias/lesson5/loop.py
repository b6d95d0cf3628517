"""``fit``: the course's function of any model, any torch optimizer and any loss; and the row it prints per epoch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ..batches import Batch
from ..callbacks import Bar, Callback, Checkpoint, RunningLoss
from ..errors import SettingError
from ..learner import Learner
from ..losses import Function

TensorMetric = Callable[[torch.Tensor, torch.Tensor], Any]


def fit(
    model: torch.nn.Module,
    data: Any,
    n_epochs: int,
    opt: torch.optim.Optimizer,
    crit: Function,
    metrics: Sequence[TensorMetric] | None = None,
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
    if any(isinstance(c, Checkpoint) for c in callbacks or ()):
        raise SettingError("the plain loop cannot resume from a checkpoint.", hint="use dotbias.Learner.")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    learner = CourseLearner(
        model,
        Loader(data.trn_dl, device),
        None if data.val_dl is None else Loader(data.val_dl, device),
        loss=crit,
        opt=lambda groups: opt,
        metrics=on_arrays(metrics),
        device=device,
        threads=torch.get_num_threads(),
    )
    rows = learner.fit(n_epochs, None, callbacks=[*course_rows(), *(callbacks or [])], progress=False)
    return list(rows[-1].values())[2:] if rows else []


class CourseLearner(Learner):
    """A Learner that draws from torch's global generator, as the course does."""

    def randomness(self, seed: int) -> contextlib.AbstractContextManager[None]:
        """Nothing is seeded."""
        return contextlib.nullcontext()


class Loader:
    """Batches as the loop takes them, from ones as the course has them: ``(*inputs, y)``, shuffled by themselves."""

    def __init__(self, loader: Any, device: torch.device):
        self.loader, self.device = loader, device

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.loader:
            *inputs, y = (column.to(self.device) for column in batch)
            yield Batch(tuple(inputs), y)

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """An epoch; the loader draws its order."""
        return iter(self)


class CourseRows(RunningLoss):
    """Prints an epoch's row as the course did, on stdout, and keeps the running loss."""

    def after_epoch(self, learner: Any) -> None:  # noqa: D102
        row = learner.history[-1]
        if learner.epoch == 0:
            names = ["epoch", "trn_loss", *("val_loss" if n == "valid" else n for n in list(row)[2:])]
            print(" ".join(f"{name:<10}" for name in names))
        numbers = [self.value, *list(row.values())[2:]]
        print(f"{learner.epoch:^10}", *(f"{round(x, 6)!s:<10}" for x in numbers))


def course_rows() -> list[Any]:
    """CourseRows, and while an epoch runs a bar on stderr where that is a terminal."""
    return [CourseRows(), *([Bar(rows=False)] if sys.stderr.isatty() else [])]


def on_arrays(metrics: Sequence[TensorMetric] | None) -> dict[str, Callable[[Any, Any], float]]:
    """Functions of tensors as functions of arrays, by name; of two with one name, the second gets a number."""
    named: dict[str, Callable[[Any, Any], float]] = {}
    for metric in metrics or ():
        name = getattr(metric, "__name__", type(metric).__name__)
        named[name if name not in named else f"{name}_{len(named) + 1}"] = _on_arrays(metric)
    return named


def _on_arrays(metric: TensorMetric) -> Callable[[Any, Any], float]:
    return lambda guess, target: float(metric(torch.from_numpy(guess), torch.from_numpy(target)))
