"""Ratings laid out for conflict-free passes: a grid of blocks of users × items, in memory or in a scratch folder.

How many blocks there are is chosen from the counts alone, never from the threads, so that the layout, and every bit
after it, is the same on any machine. Users and items are renumbered so that a block's rows lie together.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..ratings import Ratings
from ..rng import stream
from . import _sgd_kernels as kernels
from ._columns import frozen
from ._threads import share
from ._units import Units

CACHE = 1 << 19  # bytes of factors that a block's users may take: part of a core's own cache
LEAST = 16  # blocks a side: as many threads find work
MOST = 256
FULL = 1024  # ratings a block should hold on average: below, threads would wait more than work
SLICES = 16  # of the columns, counted and copied side by side


class Blocks(NamedTuple):
    """Ratings by block.

    Attributes:
        users, items: (N,) int32 positions of their rows.
        values: (N,) float32, in the solver's units.
        starts: (B² + 1,) int64: block (a, b) is starts[a B + b] : starts[a B + b + 1].
        user_at, item_at: (U,), (I,) int32: row -> position.
    """

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    user_at: np.ndarray
    item_at: np.ndarray

    @property
    def side(self) -> int:
        """B."""
        return math.isqrt(len(self.starts) - 1)


def blocks_a_side(n_ratings: int, n_users: int, n_items: int, width: int) -> int:
    """B: users' factors of a block fit the cache, blocks hold enough to be worth a thread's while."""
    wanted = max(LEAST, math.ceil(4 * width * max(n_users, n_items) / CACHE))
    return max(1, min(wanted, MOST, math.isqrt(n_ratings // FULL), n_users, n_items))


def lay_out(
    ratings: Ratings,
    user_counts: np.ndarray,
    item_counts: np.ndarray,
    units: Units,
    *,
    width: int,
    key: int,
    folder: Path | None,
) -> Blocks:
    """Copy the ratings, block by block, each block in random order; into files in ``folder``, or into memory.

    Args:
        ratings: N ratings; columns may be memory-mapped.
        user_counts: (U,) ratings per user row.
        item_counts: (I,) ratings per item row.
        units: that the values are copied into.
        width: padded factors per row.
        key: of all that is random.
        folder: an empty folder to hold 12 N bytes, or None.
    """
    B, (user_at, user_block), (item_at, item_block), order = grid(len(ratings), user_counts, item_counts, width, key)
    users, items, values = (frozen(c) for c in (ratings.users, ratings.items, ratings.explicit()))
    per_slice = np.zeros((SLICES, B * B), np.int64)
    share(kernels.count_blocks, SLICES, users, items, user_block, item_block, B, per_slice)
    starts = np.concatenate([[0], np.cumsum(per_slice.sum(0))])
    place = starts[:-1] + np.cumsum(per_slice, 0) - per_slice
    u, i, v = (_empty(name, c, folder) for name, c in (("users", users), ("items", items), ("values", values)))
    rows = user_at, item_at, user_block, item_block, B
    share(kernels.scatter, SLICES, (users, items, values), *rows, units.mean, units.unit, place, (u, i, v))
    share(kernels.shuffle, B * B, starts, order, u, i, v)
    return Blocks(u, i, v, starts, user_at, item_at)


class Grid(NamedTuple):
    """Which block each row belongs to.

    Attributes:
        side: B.
        users, items: position (R,) and block (R,) of each row, both int32; a block's positions lie together.
        order: the key of the order of the ratings in each block.
    """

    side: int
    users: tuple[np.ndarray, np.ndarray]
    items: tuple[np.ndarray, np.ndarray]
    order: int


def grid(n_ratings: int, user_counts: np.ndarray, item_counts: np.ndarray, width: int, key: int) -> Grid:
    """The grid: from the counts and the key alone."""
    B = blocks_a_side(n_ratings, len(user_counts), len(item_counts), width)
    rng = stream(key, 0)
    users, items = places(user_counts, B, rng), places(item_counts, B, rng)
    return Grid(B, users, items, int(rng.integers(2**62)))


def places(counts: np.ndarray, B: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows in random order, cut into B blocks of about equal ratings: position (R,), block (R,), both int32."""
    order = rng.permutation(len(counts))
    middle = np.cumsum(counts[order]) - counts[order] / 2
    position, block = np.empty(len(counts), np.int32), np.empty(len(counts), np.int32)
    position[order] = np.arange(len(counts))
    block[order] = np.minimum(middle * B / max(counts.sum(), 1), B - 1)
    return position, block


def _empty(name: str, like: np.ndarray, folder: Path | None) -> np.ndarray:
    if folder is None:
        return np.empty(len(like), like.dtype)
    file = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=like.dtype, shape=like.shape)
    return np.asarray(file).view(np.ndarray)
