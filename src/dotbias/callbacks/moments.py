"""The eight moments of the loop, and what a callback sees of the loop in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

MOMENTS = (
    *("before_fit", "before_epoch", "before_batch", "after_loss"),
    *("after_backward", "after_batch", "after_epoch", "after_fit"),
)


class StopFitting(Exception):
    """Raised by a callback: the fit ends here, in good order."""


class Loop(Protocol):
    """What a callback sees of a fit under way, and may change.

    Attributes:
        model: what is fitted.
        opt: the optimizer; its groups are those of the learner, in order.
        valid: what the fit is watched on, or None.
        metrics: those measured on valid after each epoch, by name.
        history: a row per epoch of every fit so far: epoch (from 1), train[, valid, metrics].
        running_callbacks: all callbacks of this fit, in the order in which they are called.
        key: what the fit's random numbers are drawn from.
        has_own_key: whether the caller gave an rng; a checkpoint may set ``key`` where not.
        n_epochs: of this fit.
        first_epoch: the epoch that the fit begins with, from 0; above 0 when it is resumed.
        epoch: the one under way, from 0.
        n_batches: of an epoch.
        batch_number: of the batch under way, from 0.
        batch: the batch under way.
        progress: how much of the fit is done before this batch, in [0, 1).
        loss: the batch's loss, a scalar tensor.
    """

    model: torch.nn.Module
    opt: torch.optim.Optimizer
    valid: Any
    metrics: Mapping[str, Any]
    history: list[dict[str, float]]
    running_callbacks: Sequence[Callback]
    key: int
    has_own_key: bool
    n_epochs: int
    first_epoch: int
    epoch: int
    n_batches: int
    batch_number: int
    batch: Any
    progress: float
    loss: torch.Tensor

    def describe_fit(self) -> dict[str, Any]:
        """What makes two fits one and the same: JSON values."""
        ...


class Callback:
    """Override the moments you need.

    ``state`` and ``restore`` let a checkpoint carry what a callback remembers; ``describe`` lets it tell apart two fits
    that differ by a callback.
    """

    def before_fit(self, learner: Loop) -> None:
        """The optimizer is made; nothing has run."""

    def before_epoch(self, learner: Loop) -> None:
        """The model is in training mode."""

    def before_batch(self, learner: Loop) -> None:
        """``learner.batch`` is the batch to come, ``learner.progress`` how much of the fit is done, in [0, 1)."""

    def after_loss(self, learner: Loop) -> None:
        """``learner.loss`` is the batch's loss, a scalar tensor; add to it what you like."""

    def after_backward(self, learner: Loop) -> None:
        """The gradients are there."""

    def after_batch(self, learner: Loop) -> None:
        """The parameters have moved."""

    def after_epoch(self, learner: Loop) -> None:
        """``learner.history[-1]`` is the epoch's row."""

    def after_fit(self, learner: Loop) -> None:
        """The fit is over: finished or stopped."""

    def describe(self) -> dict[str, Any] | None:
        """What of it makes a fit what it is, in JSON values; None (the default) if it only watches."""
        return None

    def state(self) -> dict[str, torch.Tensor]:
        """Tensors that a checkpoint must carry."""
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take back what ``state`` gave."""
