"""Columns of ratings, read where they lie, in memory or on disk: counts of rows, and views that kernels take."""

from __future__ import annotations

import numpy as np
from numba import njit


def frozen(array: np.ndarray) -> np.ndarray:
    """A read-only view: kernels are compiled for these only, whatever the caller's columns are."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def counts(rows: np.ndarray, n: int) -> np.ndarray:
    """How often each of n rows comes (n,) int64, without a copy of the column (N,)."""
    out = np.zeros(n, np.int64)
    _count(frozen(rows), out)
    return out


def on_disk(array: np.ndarray) -> bool:
    """Whether an array is a view of a memory-mapped file."""
    base: object = array
    while base is not None:
        if isinstance(base, np.memmap):
            return True
        base = getattr(base, "base", None)
    return False


@njit(cache=True)
def _count(rows, out):
    """out[row] += 1 for each of rows (N,)."""
    for row in rows:
        out[row] += 1
