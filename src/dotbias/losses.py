"""Losses: values that compute, (prediction (B,), target (B,)) -> scalar, and say what the predictions then mean.

A target of shape (B, 1) against a prediction of shape (B,) would broadcast to (B, B) in torch and train on nonsense
without a word; here it is an error that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F

from .batches import Batch
from .errors import DataError

Function = Callable[[torch.Tensor, torch.Tensor], Any]
StepLoss = Callable[[torch.nn.Module, Batch], torch.Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss of predictions, a mean over the batch, with the link that belongs to it.

    Called as ``loss(prediction, target)``.

    Attributes:
        function: what computes it.
        name: what a checkpoint knows it by.
        kind: "squared", or "logistic" for a cross entropy of log-odds; as in ``Objective.loss``.
        link: what makes a score of the model's output: "identity" (the output is one), or "sigmoid".
        y_range: where such scores lie; None: as the ratings do.
    """

    function: Function
    name: str
    kind: Literal["squared", "logistic"] = "squared"
    link: Literal["identity", "sigmoid"] = "identity"
    y_range: tuple[float, float] | None = None

    def __call__(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss, a scalar.

        Raises:
            DataError: where the shapes differ.
        """
        check_shapes(prediction, target)
        return self.function(prediction, target)

    def of_batch(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """The loss of a model on a batch: a ``StepLoss``, which is what the loop calls."""
        return self(model(*batch.inputs), batch.values)


mse = Loss(F.mse_loss, "mse")
"""Mean squared error (not halved)."""

bce = Loss(F.binary_cross_entropy_with_logits, "bce", "logistic", "sigmoid", (0.0, 1.0))
"""Cross entropy of targets in [0, 1] against predictions *before* the sigmoid (log-odds, any number).

With it a model without ``y_range`` is a classifier: its output are log-odds, its scores probabilities.
"""


def _pairwise(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    n = int(target.sum())  # clicks, and the length of each block of negatives
    if n == 0 or len(target) == n or len(target) % n or not bool((target[:n] == 1).all()):
        raise DataError("this batch is not made of clicks followed by as many negatives.", hint="use ClickBatches.")
    return F.softplus(prediction[n:].view(-1, n) - prediction[:n]).mean()  # -ln σ(click - negative)


bpr = Loss(_pairwise, "bpr", "logistic", "sigmoid", (0.0, 1.0))
"""Bayesian personalised ranking (Rendle et al. 2009, § 4.1): -ln σ(click - negative), a mean over all such pairs.

For batches as ``negatives.ClickBatches`` makes them. It orders items and says nothing of what their scores mean: the
sigmoid of one is shown as a score all the same.
"""


def as_loss(loss: Loss | Function) -> Loss:
    """A plain function as a Loss of scores."""
    return loss if isinstance(loss, Loss) else Loss(loss, name_of(loss))


def name_of(function: Any) -> str:
    """A function's or a class' full name, by which a checkpoint tells two of them apart."""
    function = getattr(function, "func", function)  # functools.partial
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


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
