"""A training log: what is told of every epoch, as plain numbers and short lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..progress import Step, Tell
from .moments import Callback, Loop
from .stats import EDGES, ActivationStats, GradientStats


class Telling(Callback):
    """Tells a function of every epoch, as a :class:`~dotbias.progress.Step` of the kind "epoch".

    Its values: ``train``[, ``valid``, metrics] as in ``Learner.history``; ``lr`` and ``batch_loss``: at most ``points``
    means of consecutive batches; ``gradient NAME`` and ``activation NAME``: counts of the histograms of GradientStats
    and ActivationStats, between the ``edges`` that the first step holds. It changes nothing in the fit.

    Args:
        tell: the function.
        points: how long ``lr`` and ``batch_loss`` may be.
    """

    def __init__(self, tell: Tell, *, points: int = 40):
        self.tell, self.points, self.first = tell, points, True
        self._gradients, self._activations = GradientStats(), ActivationStats()

    def before_epoch(self, learner: Loop) -> None:  # noqa: D102
        self._rates: list[float] = []
        self._losses: list[float] = []

    def before_batch(self, learner: Loop) -> None:  # noqa: D102
        self._activations.before_batch(learner)

    def after_loss(self, learner: Loop) -> None:  # noqa: D102
        self._activations.after_loss(learner)

    def after_backward(self, learner: Loop) -> None:  # noqa: D102
        self._gradients.after_backward(learner)

    def after_batch(self, learner: Loop) -> None:  # noqa: D102
        self._rates.append(float(learner.opt.param_groups[-1]["lr"]))
        self._losses.append(float(learner.loss.detach()))

    def after_epoch(self, learner: Loop) -> None:  # noqa: D102
        values: dict[str, Any] = {k: v for k, v in learner.history[-1].items() if k != "epoch"}
        values |= {"lr": self._thinned(self._rates), "batch_loss": self._thinned(self._losses)}
        for kind, stats in (("gradient", self._gradients), ("activation", self._activations)):
            values |= {f"{kind} {name}": s.counts.tolist() for name, s in stats.history[-1].items()}
        if self.first:
            values["edges"], self.first = EDGES.tolist(), False
        self.tell(Step("epoch", int(learner.history[-1]["epoch"]), learner.n_epochs, values))

    def _thinned(self, values: list[float]) -> list[float]:
        parts = np.array_split(np.array(values), min(self.points, len(values)))
        return [float(part.mean()) for part in parts]


class Log(Telling):
    """Keeps what :class:`Telling` tells: ``rows``, a flat dict per epoch."""

    def __init__(self, *, points: int = 40):
        self.rows: list[dict[str, Any]] = []
        super().__init__(lambda step: self.rows.append(step.row()), points=points)
