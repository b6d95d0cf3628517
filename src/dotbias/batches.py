"""Shuffled slices of tensors that already live on the device: a loader process would cost more than the step.

This module knows the columns of ``Ratings`` and torch's devices, no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from .errors import SettingError
from .ratings import Ratings


class Batch(NamedTuple):
    """B ratings: user rows, item rows, seconds or None (the model's arguments), and values, all (B,)."""

    users: torch.Tensor
    items: torch.Tensor
    times: torch.Tensor | None
    values: torch.Tensor


class Batches:
    """The ratings on a device, in batches.

    Args:
        ratings: with values.
        bs: ratings per batch; the last may be smaller.
        device: where the columns live.
    """

    def __init__(self, ratings: Ratings, *, bs: int, device: torch.device | str = "cpu"):
        if bs < 1:
            raise SettingError(f"bs is {bs}.", hint="a batch size from 1 up, such as 64.")
        self.bs = int(bs)
        self.values = torch.tensor(ratings.explicit(), device=device)
        self.users, self.items = (torch.tensor(c, device=device) for c in (ratings.users, ratings.items))
        self.times = None if ratings.times is None else torch.tensor(ratings.times, device=device)

    def __len__(self) -> int:
        return -(-len(self.users) // self.bs)

    def __iter__(self) -> Iterator[Batch]:
        return self._slices(self.users, self.items, self.times, self.values)

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """All ratings once, in an order drawn from ``seed`` alone (on the CPU: the same on every device)."""
        order = torch.randperm(len(self.users), generator=torch.Generator().manual_seed(seed)).to(self.users.device)
        times = None if self.times is None else self.times[order]
        return self._slices(self.users[order], self.items[order], times, self.values[order])

    def _slices(
        self, users: torch.Tensor, items: torch.Tensor, times: torch.Tensor | None, values: torch.Tensor
    ) -> Iterator[Batch]:
        for start in range(0, len(users), self.bs):
            part = slice(start, start + self.bs)
            when = None if times is None else times[part]
            yield Batch(users[part].long(), items[part].long(), when, values[part])
