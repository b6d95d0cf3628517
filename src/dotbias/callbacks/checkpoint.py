"""A fit by gradient put away after its epochs, and back. The file is ``dotbias.checkpoint``'s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import checkpoint
from ..batches import digest
from ..checkpoint import under
from ..errors import ModelFileError
from ..files import as_path
from ..losses import name_of
from ..optim import Optimizer
from .moments import Callback, Loop


class Checkpoint(Callback):
    """Saves the fit after its epochs, and goes on from there when the same fit is started again.

    A fit that was killed and resumed ends with the same bits as an unbroken one (on the CPU). A learner without an rng
    of its own takes the one that the fit was begun with. The file is replaced atomically.

    Args:
        path: the file; its folder is made if need be.
        every: epochs between savings; the last is always saved.
    """

    def __init__(self, path: str | Path, *, every: int = 1):
        self.path, self.every = as_path(path), every

    def before_fit(self, learner: Loop) -> None:
        """Go on from the file, if it is there.

        Raises:
            ModelFileError: the file is no checkpoint, is damaged or does not fit the model.
            SettingError: it is of another fit; what differs is named.
        """
        if not learner.has_own_key:
            learner.key = checkpoint.key_of(None, self.path) if self.path.exists() else learner.key
        self.fit = _describe(learner)  # now, since a learned padding will move
        if self.path.exists():
            self._load(learner)

    def after_epoch(self, learner: Loop) -> None:  # noqa: D102
        if (learner.epoch + 1) % self.every == 0 or learner.epoch + 1 == learner.n_epochs:
            self._save(learner)

    def _save(self, learner: Loop) -> None:
        tensors = {f"model/{k}": v for k, v in learner.model.state_dict().items()}
        scalars: dict[str, Any] = {}
        for k, state in learner.opt.state_dict()["state"].items():
            for name, value in state.items():
                (tensors if torch.is_tensor(value) else scalars)[f"opt/{k}/{name}"] = value
        for k, callback in enumerate(_changing(learner)):
            tensors |= {f"callback/{k}/{name}": v for name, v in callback.state().items()}
        log = {"epoch": learner.epoch + 1, "history": learner.history, "opt": scalars}
        checkpoint.save(self.path, _arrays(tensors), self.fit, log)

    def _load(self, learner: Loop) -> None:
        like = _arrays({f"model/{k}": v for k, v in learner.model.state_dict().items()})
        arrays, log = checkpoint.load(self.path, self.fit, like=like)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        learner.model.load_state_dict(under("model/", tensors))
        learner.opt.load_state_dict(self._optimizer_state(learner, tensors, log["opt"]))
        for k, callback in enumerate(_changing(learner)):
            callback.restore(under(f"callback/{k}/", tensors))
        learner.first_epoch, learner.history[:] = log["epoch"], log["history"]

    def _optimizer_state(self, learner: Loop, tensors: dict[str, Any], scalars: dict[str, Any]) -> dict[str, Any]:
        """The saved averages under the groups of today, whose settings ``describe_fit`` has compared."""
        state = learner.opt.state_dict()
        parameters = [p for group in learner.opt.param_groups for p in group["params"]]
        for k, p in enumerate(parameters):
            own = {**under(f"opt/{k}/", tensors), **under(f"opt/{k}/", scalars)}
            for name, value in own.items():
                if torch.is_tensor(value) and value.dim() and len(value) != len(p):
                    what = f"{self.path}: opt/{k}/{name} has {len(value)} rows for a parameter of {len(p)}."
                    raise ModelFileError(what, hint="delete the file to start afresh.")
            if own:
                state["state"][k] = own
        return state


def _describe(learner: Loop) -> dict[str, Any]:
    """What makes two fits one and the same: all that the learner says, model, optimizer and callbacks."""
    callbacks = {f"{k} {name_of(type(c))}": c.describe() for k, c in enumerate(_changing(learner))}
    parts = {"model": describe_model(learner.model), "optimizer": describe_optimizer(learner.opt, learner.model)}
    return {**learner.describe_fit(), **parts, "callbacks": callbacks}


def describe_model(model: torch.nn.Module) -> dict[str, Any]:
    """Every layer's class, settings and buffers, and its parameters' shapes (of single numbers the number)."""
    return {name or "whole": _describe_layer(layer) for name, layer in model.named_modules()}


def _describe_layer(layer: torch.nn.Module) -> dict[str, Any]:
    settings = {n: _plain(v) for n, v in vars(layer).items() if not n.startswith("_") and n != "training"}
    parameters = {n: f"{p.dtype} {tuple(p.shape)}" for n, p in layer.named_parameters(recurse=False)}
    numbers = {f"{n} at first": float(p.detach()) for n, p in layer.named_parameters(recurse=False) if p.numel() == 1}
    buffers = {n: digest(b) for n, b in layer.named_buffers(recurse=False)}
    return {"class": name_of(type(layer)), **settings, **parameters, **numbers, **buffers}


def describe_optimizer(opt: torch.optim.Optimizer, model: torch.nn.Module) -> dict[str, Any]:
    """An optimizer's class and rule, and for each group its parameters and every setting but the rate."""
    names = {id(p): name for name, p in model.named_parameters()}
    rule = name_of(opt.rule) if isinstance(opt, Optimizer) else None
    about: dict[str, Any] = {"class": name_of(type(opt)), "rule": rule}
    for k, group in enumerate(opt.param_groups):
        settings = {name: _plain(v) for name, v in group.items() if name not in ("params", "lr")}
        about[f"group {k}"] = {**settings, "params": [names.get(id(p), "?") for p in group["params"]]}
    return about


def _plain(value: Any) -> Any:
    if torch.is_tensor(value):
        return digest(value)
    if callable(value):
        return name_of(value)
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


def _changing(learner: Loop) -> list[Callback]:
    """Callbacks that make the fit what it is, or have something to carry."""
    return [c for c in learner.running_callbacks if c.describe() is not None]


def _arrays(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: t.detach().cpu().numpy() for name, t in tensors.items()}
