"""Any fitted ``nn.Module`` as a Scorer: numpy in, numpy out, streamed in blocks."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import nn

from .errors import DataError, ModelFileError
from .factors import State
from .models import EmbeddingNet, SideFeatures

BLOCK = 1 << 18  # pairs scored at once


def takes_times(model: nn.Module) -> bool:
    """Whether ``model.forward`` has a third argument, for the time of the rating."""
    parameters = inspect.signature(model.forward).parameters.values()
    return len([p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]) > 2


class ModuleScorer:
    """Scores by a module's forward pass, in evaluation mode.

    Args:
        model: called as ``model(users, items[, times])`` with rows (B,).
        user_seen: (U,) bool: rows that the fit has seen. Unseen rows of an EmbeddingNet get zero embeddings.
        item_seen: (I,) bool.
        y_range: predictions are clipped to it.
    """

    def __init__(self, model: nn.Module, user_seen: np.ndarray, item_seen: np.ndarray, *, y_range: tuple[float, float]):
        self.model = with_cold_rows(model, user_seen, item_seen) if isinstance(model, EmbeddingNet) else model.eval()
        self.n_users, self.n_items, self.y_range = len(user_seen), len(item_seen), y_range
        self.uses_times = takes_times(model) and getattr(model, "times", None) is not None

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of pairs of rows (B,), (B,), seconds (B,) or None -> (B,) float32."""
        out = np.empty(len(users), np.float32)
        for start in range(0, len(users), BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = self._block(users[part], items[part], None if times is None else times[part])
        return out

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of every item for each user row (B,) -> (B, I) float32."""
        items = np.arange(self.n_items)
        rows = [
            self.score(np.full(self.n_items, u), items, None if times is None else np.full(self.n_items, times[k]))
            for k, u in enumerate(users)
        ]
        return np.stack(rows) if rows else np.empty((0, self.n_items), np.float32)

    @torch.no_grad()
    def _block(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        device = next(self.model.parameters()).device
        u, i = (self._rows(r, n, device) for r, n in ((users, self.n_users), (items, self.n_items)))
        arguments: list[Any] = [u, i]
        if takes_times(self.model):
            arguments.append(None if times is None else torch.as_tensor(times, device=device))
        return self.model(*arguments).clamp(*self.y_range).cpu().numpy()

    def _rows(self, rows: np.ndarray, n: int, device: torch.device) -> torch.Tensor:
        """Rows for the embedding; those outside the table become the zero row at its end."""
        rows = np.asarray(rows, np.int64)
        outside = (rows < 0) | (rows >= n)
        if outside.any() and not isinstance(self.model, EmbeddingNet):
            raise DataError(f"row {rows[outside][0]} lies outside the model's table of {n}.", hint="fit on all ids.")
        return torch.as_tensor(np.where(outside, n, rows), device=device)

    def state(self) -> State:
        """What ``storage`` keeps: the weights and how to build the net again."""
        if not isinstance(self.model, EmbeddingNet):
            raise ModelFileError(
                f"a {type(self.model).__name__} of your own cannot be kept: its code is not ours to store.",
                hint="save its state_dict with safetensors beside your code.",
            )
        arrays = {k: v.cpu().numpy() for k, v in self.model.state_dict().items()}
        settings = {"config": self.model.config, "y_range": list(self.y_range)}
        return State("net", arrays, settings)

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> ModuleScorer:
        """The scorer that ``state`` described."""
        tensors = {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()}
        net = EmbeddingNet.from_config(settings["config"], tensors)
        n_users, n_items = (len(tensors[f"{k}.weight"]) - 1 for k in ("u", "i"))
        scorer = cls.__new__(cls)
        scorer.model, scorer.n_users, scorer.n_items = net.eval(), n_users, n_items
        scorer.y_range = (settings["y_range"][0], settings["y_range"][1])
        scorer.uses_times = net.times is not None
        return scorer


def with_cold_rows(net: EmbeddingNet, user_seen: np.ndarray, item_seen: np.ndarray) -> EmbeddingNet:
    """A copy in which unseen rows are zero, and one more zero row stands for rows outside the table."""
    tensors = {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
    for name, seen in (("u", user_seen), ("i", item_seen)):
        weight = tensors[f"{name}.weight"]
        weight[~torch.from_numpy(seen)] = 0
        tensors[f"{name}.weight"] = torch.cat([weight, weight.new_zeros(1, weight.shape[1])])
    for side in ("user_side", "item_side"):
        if isinstance(getattr(net, side), SideFeatures):
            table = tensors[f"{side}.table"]
            tensors[f"{side}.table"] = torch.cat([table, table.new_zeros(1, table.shape[1])])
    return EmbeddingNet.from_config(net.config, tensors).to(next(net.parameters()).device).eval()
