"""Losses: (prediction (B,), target (B,)) -> scalar, a mean over the batch.

A target of shape (B, 1) against a prediction of shape (B,) would broadcast to (B, B) in torch and train on nonsense
without a word; here it is an error that says so.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from .errors import DataError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def mse(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error (not halved)."""
    check_shapes(prediction, target)
    return F.mse_loss(prediction, target)


def bce(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy of targets in [0, 1] against predictions *before* the sigmoid (log-odds, any number).

    With it a model without ``y_range`` is a classifier: its scores are log-odds.
    """
    check_shapes(prediction, target)
    return F.binary_cross_entropy_with_logits(prediction, target)


def check_shapes(prediction: torch.Tensor, target: torch.Tensor) -> None:
    """Refuse a prediction and a target of different shapes.

    Raises:
        DataError: naming both shapes.
    """
    if prediction.shape != target.shape:
        raise DataError(
            f"the prediction has shape {tuple(prediction.shape)}, the target {tuple(target.shape)}; torch would "
            "broadcast them against each other and the loss would mean nothing.",
            hint="end forward() with .view(-1, 1) for a column target, or .squeeze(1) for a flat one.",
        )
