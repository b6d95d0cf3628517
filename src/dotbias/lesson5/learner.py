"""The course's learner: a thin face of ``dotbias.Learner``, with torch's optimizers in the place of our rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from .. import schedules
from ..callbacks import Callback
from ..errors import ModelFileError, SettingError, check_not_negative, check_positive, did_you_mean
from ..files import write
from ..learner import Learner
from ..ratings import Ratings
from ..rng import Rng
from .loop import TensorMetric, course_rows, on_arrays

OptFn = Callable[[Any], torch.optim.Optimizer]


@dataclass(frozen=True)
class CollabData:
    """What a learner learns from: ratings to fit, and those held out (or None)."""

    path: Path
    train: Ratings
    valid: Ratings | None
    bs: int

    @property
    def trn_y(self) -> np.ndarray:
        """(N,) float32, in the file's order."""
        return self.train.explicit()

    @property
    def val_y(self) -> np.ndarray:
        """(N,) float32, in the file's order, as ``learn.predict()``."""
        return np.zeros(0, np.float32) if self.valid is None else self.valid.explicit()


class DecoupledDecay(Callback):
    """Shrinks every parameter by 1 - lr·wds before each step (Loshchilov & Hutter 2019)."""

    def __init__(self, wds: float):
        self.wds = wds

    @torch.no_grad()
    def after_backward(self, learner: Any) -> None:  # noqa: D102
        for group in learner.opt.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * self.wds)

    def describe(self) -> dict[str, Any] | None:  # noqa: D102
        return {"wds": self.wds}


@dataclass(frozen=True)
class Sched:
    """What a fit or a sweep went through, batch by batch.

    Attributes:
        lrs: rates.
        losses: the bias-corrected running mean of the batches' losses.
        suggestion: of a sweep, a rate at which the loss still falls fast; else None.
    """

    lrs: np.ndarray
    losses: np.ndarray
    suggestion: float | None = None

    def plot(self, n_skip: int = 10, n_skip_end: int = 5) -> Any:
        """Loss against rate (``lr_find``'s picture), its first and last points left out where there are enough."""
        part = slice(n_skip, -n_skip_end or None) if len(self.lrs) > n_skip + n_skip_end + 1 else slice(None)
        axes = self._plot(self.lrs[part], self.losses[part], "learning rate (log scale)", "loss")
        axes.set_xscale("log")
        return axes

    def plot_lr(self) -> Any:
        """Rate against batch."""
        return self._plot(np.arange(len(self.lrs)), self.lrs, "iterations", "learning rate")

    def plot_loss(self) -> Any:
        """Loss against batch."""
        return self._plot(np.arange(len(self.losses)), self.losses, "iterations", "loss")

    def _plot(self, x: np.ndarray, y: np.ndarray, x_label: str, y_label: str) -> Any:
        axes = plt.subplots()[1]
        axes.plot(x, y)
        axes.set(xlabel=x_label, ylabel=y_label)
        return axes


class CollabFilterLearner:
    """A model, its data and an optimizer.

    Args:
        data: from ``CollabFilterDataset.get_data``.
        model: called as ``model(users, items)``.
        opt_fn: groups of parameters -> a torch optimizer; by default SGD with momentum 0.9.
        metrics: for every fit: functions of (predictions, targets), tensors.
        rng: shuffles.

    Attributes:
        learner: ours underneath: ``learn.learner.scorer()`` leads on to the rest of dotbias.
        sched: what the last ``fit`` or ``lr_find`` went through, or None.
    """

    def __init__(
        self,
        data: CollabData,
        model: torch.nn.Module,
        *,
        opt_fn: OptFn | None = None,
        metrics: Sequence[TensorMetric] | None = None,
        rng: Rng = None,
    ):
        self.data, self.metrics, self.sched = data, metrics, None
        opt = opt_fn or partial(torch.optim.SGD, momentum=0.9)
        self.learner = Learner(model, data.train, data.valid, opt=opt, bs=data.bs, rng=rng)

    @property
    def model(self) -> Any:
        """The model, with its embeddings ``u i ub ib``."""
        return self.learner.model

    def __repr__(self) -> str:
        return repr(self.model)

    def fit(
        self,
        lrs: Any,
        n_cycle: int,
        wds: float | None = None,
        cycle_len: int | None = None,
        cycle_mult: int = 1,
        metrics: Sequence[TensorMetric] | None = None,
        callbacks: Sequence[Callback] | None = None,
        use_wd_sched: bool = False,
    ) -> list[float]:
        """Fit, printing a row per epoch: epoch, running train loss, validation loss, metrics.

        Args:
            lrs: the rate at the beginning of each cycle, or a list of one.
            n_cycle: cycles; without ``cycle_len`` (and ``cycle_mult``), epochs.
            wds: weight decay, in the loss (torch's ``weight_decay``).
            cycle_len: epochs of the first cycle, each cycle's rate falling to 0 along a cosine; None: a constant rate.
            cycle_mult: each cycle is this much longer than the one before.
            metrics: functions of (predictions, targets) of the validation set, tensors.
            callbacks: dotbias's own.
            use_wd_sched: decoupled decay instead (the notebook as published).

        Returns:
            The last validation loss and metrics.
        """
        n_epochs = sum(schedules.cycle_lengths(n_cycle, cycle_len=cycle_len or 1, cycle_mult=cycle_mult))
        rates: list[Any] = np.ravel(lrs).tolist()
        check_positive(lrs=min(rates))
        check_not_negative(wds=wds or 0.0)
        if cycle_len:
            more = {"n_cycles": n_cycle, "cycle_len": cycle_len, "cycle_mult": cycle_mult}
            rates = [schedules.restarts(rate, **more) for rate in rates]
        self.learner.metrics = on_arrays(metrics or self.metrics)
        rows, *bar = course_rows()
        decay = [DecoupledDecay(wds)] if wds and use_wd_sched else []
        watching, settings = [rows, *bar, *decay, *(callbacks or [])], {} if decay else _in_the_loss(wds)
        history = self.learner.fit(n_epochs, rates, callbacks=watching, progress=False, **settings)
        self.sched = Sched(np.array(self.learner.rates), np.array(rows.smooth))
        return list(history[-1].values())[2:]

    def lr_find(self, start_lr: float = 1e-5, end_lr: float = 10.0, wds: float | None = None) -> None:
        """Sweep the rate up until the loss explodes, then put the model back; look at it with ``sched.plot()``."""
        sweep = self.learner.lr_find(start_lr, end_lr, progress=False, **_in_the_loss(wds))
        self.sched = Sched(sweep.lrs, sweep.smooth, sweep.suggestion)

    def predict(self) -> np.ndarray:
        """Predictions for the validation set (N,), in the file's order."""
        return self.predict_with_targs()[0]

    def predict_with_targs(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and ratings of the validation set, (N,) each."""
        if self.learner.valid_batches is None:
            raise SettingError("this learner has no validation set.", hint="get_learner(…, get_cv_idxs(n), …).")
        return self.learner.predict_valid()[0].cpu().numpy(), self.data.val_y

    def save(self, name: str) -> None:
        """Keep the model's parameters as ``models/NAME.safetensors`` under the data's path."""
        from safetensors.torch import save

        path = self._file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, save({k: v.cpu().contiguous() for k, v in self.model.state_dict().items()}))

    def load(self, name: str) -> None:
        """Take the parameters that ``save`` kept.

        Raises:
            ModelFileError: if they are not there, or another model's.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        path = self._file(name)
        if not path.exists():
            kept = [p.stem for p in path.parent.glob("*.safetensors")]
            raise ModelFileError(f"{path} is not there.", hint=did_you_mean(name, kept))
        try:
            self.model.load_state_dict(load(path.read_bytes()))
        except (SafetensorError, RuntimeError) as e:
            raise ModelFileError(f"{path} does not fit this model: {e}", hint="same data and n_factors?") from e

    def summary(self) -> dict[str, dict[str, Any]]:
        """Each layer's output shape (-1: the batch), number of parameters and whether they learn."""
        seen: dict[str, dict[str, Any]] = {}

        def look(layer: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
            own = list(layer.parameters(recurse=False))
            seen[f"{type(layer).__name__}-{len(seen) + 1}"] = {
                "input_shape": [-1, *inputs[0].shape[1:]],
                "output_shape": [-1, *output.shape[1:]],
                "trainable": any(p.requires_grad for p in own),
                "nb_params": sum(p.numel() for p in own),
            }

        hooks = [m.register_forward_hook(look) for m in self.model.modules() if not list(m.children())]
        rows = torch.zeros(3, dtype=torch.int64, device=self.learner.device)
        with torch.no_grad():
            self.model(rows, rows)
        for hook in hooks:
            hook.remove()
        return seen

    def _file(self, name: str) -> Path:
        return self.data.path / "models" / f"{name}.safetensors"


def _in_the_loss(wds: float | None) -> dict[str, Any]:
    """Weight decay as torch's optimizers take it."""
    return {"weight_decay": wds} if wds else {}
