"""Places in rows of ranks: the first items of each row, and how many stand before a given one, without sorting rows.

Ranks are float32, higher is better; of equal ones the lower item row stands first. ``NONE``, below every rank, marks an
item that is no candidate. This module knows arrays only.
"""

from __future__ import annotations

import numpy as np

from ..metrics import NOWHERE

NONE = np.float32(-np.inf)
CHUNK = 64  # items
FEW = 64  # wanted items of a row: for so few, counting is faster than sorting
TIES = 16  # times the items asked for: with more as high as the bound, rows are partitioned


def first(ranks: np.ndarray, depth: int) -> np.ndarray:
    """The highest items of each row of ranks (B, I), best first: (B, depth) int32, -1 where candidates have ended.

    Of each row cut into chunks, the depth-th highest of the chunks' heads is a bound that few ranks reach. Only chunks
    whose heads reach it are looked into, and only what reaches it is sorted.
    """
    depth = min(depth, ranks.shape[1])
    n_chunks = ranks.shape[1] // CHUNK
    top = np.full((len(ranks), depth), -1, np.int32)
    if not 0 < depth < n_chunks:
        return _partitioned(ranks, depth) if depth else top
    heads = _chunks(ranks).max(axis=1)  # (B, n_chunks)
    bound = np.partition(heads, n_chunks - depth, axis=1)[:, n_chunks - depth]
    rows, items, found = _reaching(ranks, heads, bound, np.flatnonzero(bound > NONE))
    n = np.bincount(rows, minlength=len(ranks))
    quick = (n >= depth) & (n <= TIES * depth)
    kept = quick[rows]
    rows, items, found = rows[kept], items[kept], found[kept]
    ordered = items[np.lexsort((items, -found, rows))]
    ends = np.cumsum(np.where(quick, n, 0))[quick]
    top[quick] = ordered[(ends - n[quick])[:, None] + np.arange(depth)]
    if not quick.all():
        top[~quick] = _partitioned(ranks[~quick], depth)
    return top


def _chunks(ranks: np.ndarray) -> np.ndarray:
    """Rows (B, I) cut into chunks (B, CHUNK, n): item c · n + k is in chunk k; what does not fill them is left out."""
    n = ranks.shape[1] // CHUNK
    return ranks[:, : CHUNK * n].reshape(len(ranks), CHUNK, n)


def _reaching(
    ranks: np.ndarray, heads: np.ndarray, bound: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What reaches the bound (B,) of its row, of the given rows: (rows, items, ranks), each (n,).

    A row in which more chunks reach it than TIES allows is left out.
    """
    n_chunks = heads.shape[1]
    high = heads[rows] >= bound[rows, None]
    few = high.sum(1) <= TIES * CHUNK
    rows, high = rows[few], high[few]
    at, chunk = np.nonzero(high)
    cells = _chunks(ranks)[rows[at], :, chunk]  # (m, CHUNK)
    m, place = np.nonzero(cells >= bound[rows[at], None])
    rest = ranks[rows, CHUNK * n_chunks :]
    row, last = np.nonzero(rest >= bound[rows, None])
    items = np.concatenate([place * n_chunks + chunk[m], CHUNK * n_chunks + last])
    return np.concatenate([rows[at[m]], rows[row]]), items, np.concatenate([cells[m, place], rest[row, last]])


def _partitioned(ranks: np.ndarray, depth: int) -> np.ndarray:
    """The same as :func:`first` for any ranks: whole numbers that order as ranks and rows do, partitioned."""
    n_items = ranks.shape[1]
    bits = (ranks + np.float32(0)).view(np.int32)  # + 0: -0.0 becomes 0.0
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)  # now these order as the floats do
    keys = bits.astype(np.int64)
    keys <<= 32
    keys |= np.arange(n_items - 1, -1, -1)
    if depth < n_items:
        keys = np.partition(keys, n_items - depth, axis=1)[:, n_items - depth :]
    keys.sort(axis=1)
    items = n_items - 1 - (keys[:, ::-1] & 0xFFFFFFFF)
    return np.where(np.take_along_axis(ranks, items, 1) > NONE, items, -1).astype(np.int32)


def within(top: np.ndarray, owner: np.ndarray, items: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places (P,) of pairs in the first items (B, depth) of their rows ``owner``; depth where they come later.

    Args:
        top: (B, depth) from :func:`first`.
        owner: (P,) rows.
        items: (P,) item rows.
        wanted: (P,) their ranks; NOWHERE is the place of NONE.
    """
    there = top[owner] == items[:, None]
    place = np.where(there.any(1), there.argmax(1), top.shape[1]) if top.shape[1] else np.zeros(len(items), np.int64)
    return np.where(wanted > NONE, place, NOWHERE)


def counted(ranks: np.ndarray, owner: np.ndarray, items: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many items of its row stand before each pair (P,), sorted by ``owner``: counted for few, else by sorting.

    Arguments as in :func:`within`, but for the ranks (B, I).
    """
    above, ends = np.empty(len(wanted), np.int64), np.searchsorted(owner, np.arange(len(ranks) + 1))
    for row, begin, end in zip(ranks, ends[:-1], ends[1:], strict=True):
        mine, rows = wanted[begin:end], items[begin:end]
        if len(mine) <= FEW:
            above[begin:end] = [np.count_nonzero(row > z) for z in mine]
            equal = np.ones(len(mine), bool)
        else:
            rising = np.sort(row)
            after = np.searchsorted(rising, mine, side="right")
            above[begin:end] = len(row) - after
            equal = after - np.searchsorted(rising, mine) > 1
        for k in np.flatnonzero(equal):
            above[begin + k] += np.count_nonzero(row[: rows[k]] == mine[k])
    return np.where(wanted > NONE, above, NOWHERE)
