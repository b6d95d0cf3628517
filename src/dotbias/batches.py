"""Shuffled slices of tensors that already live on the device: a loader process would cost more than the step.

This module knows the columns of ``Ratings`` and torch's devices, no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch

from .errors import SettingError
from .ratings import Ratings
from .times import filled


class Batch(NamedTuple):
    """B examples: what the model is called with, and what it should predict.

    Attributes:
        inputs: the model's arguments, (B, …) each; of ratings: user rows, item rows[, seconds or None].
        values: the target, (B,); of ratings: their values.
    """

    inputs: tuple[Any, ...]
    values: torch.Tensor

    @property
    def users(self) -> torch.Tensor:
        """User rows (B,), in a batch of ratings."""
        return self.inputs[0]

    @property
    def items(self) -> torch.Tensor:
        """Item rows (B,), in a batch of ratings."""
        return self.inputs[1]


class BatchSource(Protocol):
    """What the loop learns from: anything that yields batches.

    The rows may be ratings (:class:`Batches`), a table's columns, or pairs with items drawn beside them.
    """

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """All batches, in an order that is always the same."""
        ...

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """An epoch: all rows once, in an order drawn from ``seed`` alone."""
        ...


class Batches:
    """The ratings on a device, in batches.

    Args:
        ratings: with values.
        bs: ratings per batch; the last may be smaller.
        device: where the columns live.
        times: whether the seconds (None where the ratings have none) are a third input.
    """

    def __init__(self, ratings: Ratings, *, bs: int, device: torch.device | str = "cpu", times: bool = False):
        self.ratings, self.bs, self.with_times = ratings, check_bs(bs), times
        self.values = torch.tensor(ratings.explicit(), device=device)
        self.users, self.items = (torch.tensor(c, device=device) for c in (ratings.users, ratings.items))
        self.times = None if ratings.times is None or not times else torch.tensor(filled(ratings.times), device=device)

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
            when = () if not self.with_times else (None if times is None else times[part],)
            yield Batch((users[part].long(), items[part].long(), *when), values[part])


def check_bs(bs: int) -> int:
    """A batch size.

    Raises:
        SettingError: below 1.
    """
    if bs < 1:
        raise SettingError(f"bs is {bs}.", hint="a batch size from 1 up, such as 64.")
    return int(bs)


def fingerprint(batches: BatchSource) -> str:
    """A SHA-256 of all batches in their own order: which data they hold, and how they are cut."""
    sha = hashlib.sha256()
    for batch in batches:
        for tensor in (*batch.inputs, batch.values):
            sha.update(b"none" if tensor is None else digest(tensor).encode())
    return sha.hexdigest()


def digest(tensor: torch.Tensor) -> str:
    """A SHA-256 of a tensor: type, shape and numbers."""
    array = tensor.detach().cpu().contiguous()
    sha = hashlib.sha256(f"{array.dtype} {tuple(array.shape)} ".encode())
    sha.update(array.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
