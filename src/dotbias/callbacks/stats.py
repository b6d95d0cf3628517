"""Means, spreads and histograms of gradients and activations, layer by layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .moments import Callback, Loop


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

    def after_backward(self, learner: Loop) -> None:  # noqa: D102
        if learner.batch_number == learner.n_batches - 1:
            gradients = {n: p.grad for n, p in learner.model.named_parameters() if p.grad is not None}
            whole = {n: g.coalesce().values() if g.is_sparse else g for n, g in gradients.items()}
            self.history.append({n: describe(g.detach().cpu().numpy()) for n, g in whole.items()})


class ActivationStats(Callback):
    """Statistics of every layer's output, per epoch (its last batch): ``history[epoch][name]``."""

    def __init__(self) -> None:
        self.history: list[dict[str, Stats]] = []
        self._hooks: list[Any] = []

    def before_batch(self, learner: Loop) -> None:  # noqa: D102
        if learner.batch_number == learner.n_batches - 1:
            self.history.append({})
            leaves = [(n, m) for n, m in learner.model.named_modules() if n and not list(m.children())]
            self._hooks = [m.register_forward_hook(self._note(n)) for n, m in leaves]

    def after_loss(self, learner: Loop) -> None:  # noqa: D102
        while self._hooks:
            self._hooks.pop().remove()

    def _note(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            self.history[-1][name] = describe(output.detach().cpu().numpy())

        return hook
