"""What follows from the loss on valid: a warning, the best epoch's parameters, an early end."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from ..errors import SettingError
from .moments import Callback, Loop, StopFitting


class OverfitWarning(UserWarning):
    """Train and validation loss have parted."""


class GapWarning(Callback):
    """Says once, with numbers, when valid has risen for ``patience`` epochs while train went on falling."""

    def __init__(self, patience: int = 2, tolerance: float = 0.01):
        self.patience, self.tolerance, self.said = patience, tolerance, False

    def after_epoch(self, learner: Loop) -> None:  # noqa: D102
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


class KeepBest(Callback):
    """Puts the parameters of the epoch that was best on valid back when the fit is over."""

    def __init__(self) -> None:
        self.best: dict[str, torch.Tensor] = {}

    def before_fit(self, learner: Loop) -> None:
        """Refuse a fit without valid.

        Raises:
            SettingError: there is nothing to choose by.
        """
        if learner.valid is None:
            hint = "give valid=, held-out ratings that may steer the fit."
            raise SettingError(f"{type(self).__name__} needs a validation set.", hint=hint)

    def after_epoch(self, learner: Loop) -> None:  # noqa: D102
        if _since_best(learner) == 0:
            self.best = {k: v.detach().clone() for k, v in learner.model.state_dict().items()}

    def after_fit(self, learner: Loop) -> None:  # noqa: D102
        if self.best:
            learner.model.load_state_dict(self.best)

    def describe(self) -> dict[str, Any] | None:  # noqa: D102
        return {}

    def state(self) -> dict[str, torch.Tensor]:  # noqa: D102
        return self.best

    def restore(self, state: dict[str, torch.Tensor]) -> None:  # noqa: D102
        self.best = state


class EarlyStop(KeepBest):
    """Stops when valid has not improved for ``patience`` epochs, and puts the best epoch's parameters back."""

    def __init__(self, patience: int = 3):
        super().__init__()
        self.patience = patience

    def after_epoch(self, learner: Loop) -> None:  # noqa: D102
        super().after_epoch(learner)
        if _since_best(learner) >= self.patience:
            raise StopFitting

    def describe(self) -> dict[str, Any] | None:  # noqa: D102
        return {"patience": self.patience}


def _since_best(learner: Loop) -> int:
    """Epochs of this fit since the one that was best on valid."""
    losses = [row["valid"] for row in learner.history[-learner.epoch - 1 :]]
    return len(losses) - 1 - min(range(len(losses)), key=losses.__getitem__)
