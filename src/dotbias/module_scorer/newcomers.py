"""One row of a module's embeddings, fitted with everything else frozen: damped Gauss-Newton on any forward pass.

    min over u   Σ_j w_j ℓ(y_j, model(x, other_j)) + weight · ‖u‖²,     x = mean + spread · u

x are the vectors that a row has in all embeddings of its side, one after the other, and mean and spread those of the
fitted rows: the prior is the normal distribution that they have. Which embeddings these are, a
forward pass shows: those that are looked up by that side's rows. Nothing is drawn, so the same ratings give the same
row. This module knows modules and arrays, no scorer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from ..objective import Objective, Side

STEPS, ENOUGH = 30, 1e-7  # Gauss-Newton steps at most; the share of the cost that one more has to save
LEAST = 1e-3  # of the greatest variance: a direction in which rows vary less is left out


class Looked(NamedTuple):
    """What each side's rows look up: names of embeddings, and of tables (buffers) with a row for each of them."""

    user: tuple[str, ...]
    item: tuple[str, ...]
    tables: dict[str, str]  # name -> side
    more: tuple[None, ...]  # arguments after the rows: no time

    def of(self, side: Side) -> tuple[str, ...]:
        """The embeddings of one side."""
        return self.user if side == "user" else self.item


class Prior(NamedTuple):
    """Where a row lies before anything is told of it: mean + spread · u, u standard normal.

    Attributes:
        mean: (A,) float64.
        spread: (A, R) float64: directions in which fitted rows differ, as long as they differ there.
        weight: of ‖u‖², in units of the summed loss.
    """

    mean: np.ndarray
    spread: np.ndarray
    weight: float


def prior_of(rows: np.ndarray, weight: float) -> Prior:
    """The normal distribution that fitted rows (n, A) float64 have (empirical Bayes), without directions of no weight.

    Args:
        rows: of one side, those that the fit has seen.
        weight: of squared loss its mean in train, the noise's variance; of log loss ½.
    """
    if len(rows) < 2:
        return Prior(rows.sum(0), np.zeros((rows.shape[1], 0)), weight)
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh(np.cov(rows.T).reshape(rows.shape[1], -1))
    keep = values > LEAST * max(float(values[-1]), 1e-12)
    return Prior(mean, vectors[:, keep] * np.sqrt(values[keep]), weight)


def looked_up(model: nn.Module, tables: dict[str, str], more: tuple[None, ...] = ()) -> Looked | None:
    """The embeddings that user rows and item rows look up; None where there are none, or a row does not tell which."""
    seen: dict[str, list[int]] = {}
    names = {id(m): name for name, m in model.named_modules() if isinstance(m, nn.Embedding)}

    def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
        seen.setdefault(names[id(module)], []).extend(given[0].reshape(-1).tolist())

    hooks = [m.register_forward_pre_hook(hook) for m in model.modules() if isinstance(m, nn.Embedding)]
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            model(torch.tensor([0, 0, 0], device=device), torch.tensor([0, 0, 1], device=device), *more)
    except (IndexError, RuntimeError, TypeError):
        return None
    finally:
        for h in hooks:
            h.remove()
    users = tuple(name for name, rows in seen.items() if rows == [0, 0, 0])
    items = tuple(name for name, rows in seen.items() if rows == [0, 0, 1])
    return Looked(users, items, tables, more) if users and items and len(users) + len(items) == len(seen) else None


class Frozen:
    """A module of which one row is to be found, for given rows of the other side; everything in float64.

    Args:
        model: in evaluation mode.
        looked: what its rows look up.
        side: of the row.
    """

    def __init__(self, model: nn.Module, looked: Looked, side: Side):
        self.model, self.side, self.more = model, side, looked.more
        self.own = looked.of(side)
        self.other = looked.of("item" if side == "user" else "user")
        state = dict(model.named_parameters()) | dict(model.named_buffers())
        moved = {f"{name}.weight" for name in (*self.own, *self.other)} | set(looked.tables)
        here = {k: v.detach().cpu() for k, v in state.items()}
        self.rest = {k: v.double() if v.is_floating_point() else v for k, v in here.items() if k not in moved}
        self.weights = {k: here[k] for k in moved}
        self.tables = looked.tables
        self.sizes = [self.weights[f"{name}.weight"].shape[1] for name in self.own]

    def vectors(self, rows: np.ndarray | slice) -> np.ndarray:
        """What rows of its side have in all embeddings (n, A) float64."""
        return np.concatenate([self.weights[f"{name}.weight"][rows].double().numpy() for name in self.own], 1)

    def given(self, others: np.ndarray) -> dict[str, torch.Tensor]:
        """What the module needs beside the row, for rows of the other side (n,)."""
        rows = torch.as_tensor(np.asarray(others, np.int64))
        found = {f"{name}.weight": self.weights[f"{name}.weight"][rows].double() for name in self.other}
        for name, side in self.tables.items():
            table = self.weights[name]
            own = table.new_zeros(len(rows), table.shape[1])
            found[name] = (own if side == self.side else table[rows]).double()
        return self.rest | found

    def outputs(self, x: torch.Tensor, given: dict[str, torch.Tensor]) -> torch.Tensor:
        """The module's outputs (n,) for rows (n, A), one for each of the given."""
        parts = dict(zip((f"{name}.weight" for name in self.own), x.split(self.sizes, 1), strict=True))
        rows = torch.arange(len(x), device=x.device)
        return functional_call(self.model, given | parts, (rows, rows, *self.more))

    def slopes(self, x: np.ndarray, given: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (n,) and their gradients (n, A), of rows (n, A)."""
        leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        z = self.outputs(leaf, given)
        (gradient,) = torch.autograd.grad(z.sum(), leaf)
        return z.detach().numpy(), gradient.numpy()


def fitted_row(
    frozen: Frozen,
    objective: Objective,
    prior: Prior,
    others: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The row (A,) float64 that explains ``values`` (n,) of its ratings of rows ``others`` (n,); the prior without any.

    Levenberg-Marquardt steps from the prior's mean (Nocedal & Wright 2006, § 10.3).

    Args:
        frozen: the module.
        objective: loss and link.
        prior: of the row.
        others: rows of the other side, within the module's tables.
        values: ratings.
        weights: (n,) of each; by default 1.
    """
    n, u, damping = len(others), np.zeros(prior.spread.shape[1]), 1e-3
    if not n or not len(u):
        return prior.mean
    given, y = frozen.given(others), np.asarray(values, np.float64)
    w = np.ones(n) if weights is None else np.asarray(weights, np.float64)

    def at(u: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The cost, half its downhill gradient (R,) and half its curvature (R, R)."""
        z, slopes = frozen.slopes(np.tile(prior.mean + prior.spread @ u, (n, 1)), given)
        a = slopes @ prior.spread
        cost, pull, bend = objective.expanded(z, y, w)
        h = (a.T * bend) @ a + prior.weight * np.eye(len(u))
        return cost + prior.weight * float(u @ u), a.T @ pull - prior.weight * u, h

    cost, g, h = at(u)
    for _ in range(STEPS):
        step = np.linalg.solve(h + damping * np.diag(np.diag(h)), g)
        after, *rest = at(u + step)
        if after > cost:
            damping *= 10
            if damping > 1e9:
                break
            continue
        small = cost - after <= ENOUGH * cost
        u, cost, (g, h), damping = u + step, after, rest, damping / 10
        if small:
            break
    return prior.mean + prior.spread @ u
