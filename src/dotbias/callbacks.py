"""What may happen around the loop: eight moments, each a no-op method to override.

    before_fit, before_epoch, before_batch, after_loss, after_backward, after_batch, after_epoch, after_fit

Every method gets the learner, and may read and change what it likes: ``learner.opt``, ``learner.loss``,
``learner.history`` … To end a fit early, raise :class:`StopFitting`.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from . import checkpoint
from .checkpoint import under
from .errors import DivergedError, SettingError
from .schedules import Schedule

if TYPE_CHECKING:
    from .learner import Learner

MOMENTS = (
    *("before_fit", "before_epoch", "before_batch", "after_loss"),
    *("after_backward", "after_batch", "after_epoch", "after_fit"),
)


class StopFitting(Exception):
    """Raised by a callback: the fit ends here, in good order."""


class OverfitWarning(UserWarning):
    """Train and validation loss have parted."""


class Callback:
    """Override the moments you need. ``state`` and ``restore`` let a checkpoint carry what a callback remembers."""

    def before_fit(self, learner: Learner) -> None:
        """The optimizer is made; nothing has run."""

    def before_epoch(self, learner: Learner) -> None:
        """The model is in training mode."""

    def before_batch(self, learner: Learner) -> None:
        """``learner.batch`` is the batch to come, ``learner.progress`` how much of the fit is done, in [0, 1)."""

    def after_loss(self, learner: Learner) -> None:
        """``learner.loss`` is the batch's loss, a scalar tensor; add to it what you like."""

    def after_backward(self, learner: Learner) -> None:
        """The gradients are there."""

    def after_batch(self, learner: Learner) -> None:
        """The parameters have moved."""

    def after_epoch(self, learner: Learner) -> None:
        """``learner.history[-1]`` is the epoch's row."""

    def after_fit(self, learner: Learner) -> None:
        """The fit is over: finished or stopped."""

    def state(self) -> dict[str, torch.Tensor]:
        """Tensors that a checkpoint must carry."""
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take back what ``state`` gave."""


class Rates(Callback):
    """Sets the rate before every batch, from a schedule per group of parameters."""

    def __init__(self, schedules: Sequence[Schedule]):
        self.schedules = schedules
        self.history: list[float] = []

    def before_batch(self, learner: Learner) -> None:  # noqa: D102
        for group, schedule in zip(learner.opt.param_groups, self.schedules, strict=True):
            group["lr"] = schedule(learner.progress)
        self.history.append(learner.opt.param_groups[-1]["lr"])


class RunningLoss(Callback):
    """The bias-corrected exponentially weighted mean of the batch losses: what a progress bar shows.

    mean_t = beta·mean_{t-1} + (1-beta)·loss_t, divided by 1 - beta^t (Kingma & Ba 2015, §3).
    """

    def __init__(self, beta: float = 0.98):
        self.beta, self.mean, self.t = beta, 0.0, 0
        self.losses: list[float] = []

    def after_batch(self, learner: Learner) -> None:  # noqa: D102
        loss = float(learner.loss.detach())
        self.t += 1
        self.mean = self.beta * self.mean + (1 - self.beta) * loss
        self.losses.append(loss)

    @property
    def value(self) -> float:
        """The corrected mean so far; NaN before the first batch."""
        return self.mean / (1 - self.beta**self.t) if self.t else math.nan


class Progress(Callback):
    """A bar with the running loss while an epoch runs, then a row: epoch, train, valid, metrics. On stderr."""

    bar: Any = None

    def before_fit(self, learner: Learner) -> None:  # noqa: D102
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.running = RunningLoss()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Bar(*columns, console=Console(file=sys.stderr), transient=True)
        self.task = self.bar.add_task("", total=learner.n_batches)
        self.bar.start()
        names = ["epoch", "train", *(["valid"] if learner.valid is not None else []), *learner.metrics]
        self.bar.console.print("  ".join(f"{n:>9}" for n in names))

    def before_epoch(self, learner: Learner) -> None:  # noqa: D102
        self.bar.reset(self.task)

    def after_batch(self, learner: Learner) -> None:  # noqa: D102
        self.running.after_batch(learner)
        text = f"epoch {learner.epoch + 1}/{learner.n_epochs}  loss {self.running.value:.4f}"
        self.bar.update(self.task, advance=1, description=text)

    def after_epoch(self, learner: Learner) -> None:  # noqa: D102
        epoch, *numbers = learner.history[-1].values()
        self.bar.console.print("  ".join([f"{epoch:>9}", *(f"{x:>9.4f}" for x in numbers)]))

    def after_fit(self, learner: Learner) -> None:  # noqa: D102
        if self.bar is not None:  # None: an earlier callback refused the fit
            self.bar.stop()


class GapWarning(Callback):
    """Says once, with numbers, when valid has risen for ``patience`` epochs while train went on falling."""

    def __init__(self, patience: int = 2, tolerance: float = 0.01):
        self.patience, self.tolerance, self.said = patience, tolerance, False

    def after_epoch(self, learner: Learner) -> None:  # noqa: D102
        rows = learner.history
        if self.said or learner.valid is None or len(rows) <= self.patience:
            return
        best = min(range(len(rows)), key=lambda k: rows[k]["valid"])
        risen = rows[-1]["valid"] > rows[best]["valid"] * (1 + self.tolerance)
        if risen and len(rows) - 1 - best >= self.patience and rows[-1]["train"] < rows[best]["train"]:
            self.said = True
            warnings.warn(
                f"overfitting: since epoch {rows[best]['epoch']} train went {rows[best]['train']:.4f} -> "
                f"{rows[-1]['train']:.4f} while valid went {rows[best]['valid']:.4f} -> {rows[-1]['valid']:.4f}. "
                "Stop there (EarlyStop), or raise the weight decay or the dropout.",
                OverfitWarning,
                stacklevel=2,
            )


class EarlyStop(Callback):
    """Stops when valid has not improved for ``patience`` epochs, and puts the best epoch's parameters back."""

    def __init__(self, patience: int = 3):
        self.patience = patience
        self.best: dict[str, torch.Tensor] = {}

    def before_fit(self, learner: Learner) -> None:  # noqa: D102
        if learner.valid is None:
            raise SettingError("EarlyStop needs a validation set.", hint="Learner(model, train, valid).")

    def after_epoch(self, learner: Learner) -> None:  # noqa: D102
        losses = [row["valid"] for row in learner.history[-learner.epoch - 1 :]]
        best = min(range(len(losses)), key=losses.__getitem__)
        if best == len(losses) - 1:
            self.best = {k: v.detach().clone() for k, v in learner.model.state_dict().items()}
        elif len(losses) - 1 - best >= self.patience:
            raise StopFitting

    def after_fit(self, learner: Learner) -> None:  # noqa: D102
        if self.best:
            learner.model.load_state_dict(self.best)

    def state(self) -> dict[str, torch.Tensor]:  # noqa: D102
        return self.best

    def restore(self, state: dict[str, torch.Tensor]) -> None:  # noqa: D102
        self.best = state


class Stats(NamedTuple):
    """What an epoch saw of one layer: mean, standard deviation, share of exact zeros, and a histogram.

    ``counts[k]`` numbers fall between ``edges[k]`` and ``edges[k + 1]``.
    """

    mean: float
    std: float
    zeros: float
    counts: np.ndarray
    edges: np.ndarray


EDGES = np.r_[-(10.0 ** np.linspace(1, -7, 33)), 10.0 ** np.linspace(-7, 1, 33)]  # log-spaced either side of 0


def describe(values: np.ndarray) -> Stats:
    """Statistics of numbers of any shape, outliers counted in the end bins."""
    values = values.ravel()
    counts = np.histogram(np.clip(values, EDGES[0], EDGES[-1]), EDGES)[0]
    return Stats(float(values.mean()), float(values.std()), float((values == 0).mean()), counts, EDGES)


class GradientStats(Callback):
    """Statistics of every parameter's gradient, per epoch (its last batch): ``history[epoch][name]``.

    Of a row-sparse gradient only the touched rows count.
    """

    def __init__(self) -> None:
        self.history: list[dict[str, Stats]] = []

    def after_backward(self, learner: Learner) -> None:  # noqa: D102
        if learner.batch_number == learner.n_batches - 1:
            gradients = {n: p.grad for n, p in learner.model.named_parameters() if p.grad is not None}
            whole = {n: g.coalesce().values() if g.is_sparse else g for n, g in gradients.items()}
            self.history.append({n: describe(g.detach().cpu().numpy()) for n, g in whole.items()})


class ActivationStats(Callback):
    """Statistics of every layer's output, per epoch (its last batch): ``history[epoch][name]``."""

    def __init__(self) -> None:
        self.history: list[dict[str, Stats]] = []
        self._hooks: list[Any] = []

    def before_batch(self, learner: Learner) -> None:  # noqa: D102
        if learner.batch_number == learner.n_batches - 1:
            self.history.append({})
            leaves = [(n, m) for n, m in learner.model.named_modules() if n and not list(m.children())]
            self._hooks = [m.register_forward_hook(self._note(n)) for n, m in leaves]

    def after_loss(self, learner: Learner) -> None:  # noqa: D102
        while self._hooks:
            self._hooks.pop().remove()

    def _note(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            self.history[-1][name] = describe(output.detach().cpu().numpy())

        return hook


class Log(Callback):
    """What ``dotbias fit`` keeps with a model: ``rows``, a flat dict per epoch, of plain numbers and short lists.

    ``epoch``, ``train``[, ``valid``, metrics] as in ``Learner.history``; ``lr`` and ``batch_loss``: at most ``points``
    means of consecutive batches; ``gradient NAME`` and ``activation NAME``: counts of the histograms of GradientStats
    and ActivationStats, between the ``edges`` that the first row holds. It watches, and changes nothing in the fit.
    Every fitter of ``learner`` takes it: ``fit_dot_bias(train, callbacks=[log])``.
    """

    def __init__(self, points: int = 40):
        self.points = points
        self.rows: list[dict[str, Any]] = []
        self._gradients, self._activations = GradientStats(), ActivationStats()

    def before_epoch(self, learner: Learner) -> None:  # noqa: D102
        self._rates: list[float] = []
        self._losses: list[float] = []

    def before_batch(self, learner: Learner) -> None:  # noqa: D102
        self._activations.before_batch(learner)

    def after_loss(self, learner: Learner) -> None:  # noqa: D102
        self._activations.after_loss(learner)

    def after_backward(self, learner: Learner) -> None:  # noqa: D102
        self._gradients.after_backward(learner)

    def after_batch(self, learner: Learner) -> None:  # noqa: D102
        self._rates.append(float(learner.opt.param_groups[-1]["lr"]))
        self._losses.append(float(learner.loss.detach()))

    def after_epoch(self, learner: Learner) -> None:  # noqa: D102
        row: dict[str, Any] = {**learner.history[-1], "lr": self._thinned(self._rates)}
        row["batch_loss"] = self._thinned(self._losses)
        for kind, stats in (("gradient", self._gradients), ("activation", self._activations)):
            row |= {f"{kind} {name}": s.counts.tolist() for name, s in stats.history[-1].items()}
        self.rows.append(row if self.rows else {**row, "edges": EDGES.tolist()})

    def _thinned(self, values: list[float]) -> list[float]:
        parts = np.array_split(np.array(values), min(self.points, len(values)))
        return [float(part.mean()) for part in parts]


class Sweep(NamedTuple):
    """A learning-rate sweep.

    Attributes:
        lrs: rates tried, one per batch, growing by equal factors.
        losses: each batch's loss.
        smooth: their bias-corrected running mean.
        suggestion: the rate where the loss, averaged over a fifth of the sweep, falls steepest per factor of the rate.
    """

    lrs: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    suggestion: float


class RateSweep(Callback):
    """Watches a fit whose rate grows, and stops it after ``n_batches``, or when the loss explodes (Smith 2017)."""

    def __init__(self, n_batches: int, *, stop_at: float = 4.0):
        self.n_batches, self.stop_at, self.running = n_batches, stop_at, RunningLoss()
        self.smooth: list[float] = []

    def after_batch(self, learner: Learner) -> None:  # noqa: D102
        self.running.after_batch(learner)
        self.smooth.append(self.running.value)
        if len(self.smooth) == self.n_batches or self.smooth[-1] > self.stop_at * min(self.smooth):
            raise StopFitting

    def result(self, lrs: Sequence[float]) -> Sweep:
        """The sweep, given the rates that were set."""
        n = len(self.smooth)
        if n < 5:
            raise DivergedError(
                f"the loss exploded after {n} batches of the sweep.", hint="begin lower: start_lr=1e-7."
            )
        losses, rates = np.array(self.running.losses), np.array(lrs[:n])
        trend = _centred_mean(losses, max(n // 10, 2))
        first, lowest = n // 10, max(int(trend.argmin()), n // 10 + 2)  # the first tenth is noise, not slope
        slope = np.gradient(trend, np.log(rates))[first : lowest + 1]
        return Sweep(rates, losses, np.array(self.smooth), float(rates[first + slope.argmin()]))


def _centred_mean(x: np.ndarray, half: int) -> np.ndarray:
    """The mean of up to ``half`` values either side of each: (n,) -> (n,)."""
    total = np.r_[0.0, np.cumsum(x)]
    k = np.arange(len(x))
    low, high = np.maximum(k - half, 0), np.minimum(k + half + 1, len(x))
    return (total[high] - total[low]) / (high - low)


class Checkpoint(Callback):
    """Saves the fit after each epoch, and goes on from there when the same fit is started again.

    A fit that was killed and resumed ends with the same bits as an unbroken one (on the CPU). One file,
    ``checkpoint.safetensors``, replaced atomically.

    Args:
        folder: where the file lies; made if need be.
        every: epochs between savings.
    """

    def __init__(self, folder: str | Path, *, every: int = 1):
        self.path, self.every = Path(folder) / "checkpoint.safetensors", every

    def before_fit(self, learner: Learner) -> None:  # noqa: D102
        if self.path.exists():
            self._load(learner)

    def after_epoch(self, learner: Learner) -> None:  # noqa: D102
        if (learner.epoch + 1) % self.every == 0 or learner.epoch + 1 == learner.n_epochs:
            self._save(learner)

    def _save(self, learner: Learner) -> None:
        tensors = {f"model/{k}": v for k, v in learner.model.state_dict().items()}
        scalars = {}
        for k, p in enumerate(_parameters(learner)):
            for name, value in learner.opt.state[p].items():
                (tensors if torch.is_tensor(value) else scalars)[f"opt/{k}/{name}"] = value
        for k, callback in enumerate(learner.running_callbacks):
            tensors |= {f"callback/{k}/{name}": v for name, v in callback.state().items()}
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        log = {"epoch": learner.epoch + 1, "history": learner.history, "opt": scalars}
        checkpoint.save(self.path, tensors, learner.describe_fit(), log, framework="torch")

    def _load(self, learner: Learner) -> None:
        tensors, log = checkpoint.load(self.path, learner.describe_fit(), framework="torch")
        learner.model.load_state_dict(under("model/", tensors))
        for k, p in enumerate(_parameters(learner)):
            state = {**under(f"opt/{k}/", tensors), **under(f"opt/{k}/", log["opt"])}
            learner.opt.state[p] = {n: v.to(p.device) if torch.is_tensor(v) else v for n, v in state.items()}
        for k, callback in enumerate(learner.running_callbacks):
            callback.restore(under(f"callback/{k}/", tensors))
        learner.first_epoch, learner.history[:] = log["epoch"], log["history"]


def _parameters(learner: Learner) -> list[torch.nn.Parameter]:
    return [p for group in learner.opt.param_groups for p in group["params"]]
