"""Lists for many users at once, each the same as if it were made alone.

A block of users' values of all items is one product of matrices, whose rounding depends on the block. So it only makes
the shortlist: a few more items than are asked for. Their values are then computed pair by pair, which does not depend
on who else is there, and settle the order. Of a scorer that is a mean over samples (``Sampled``) the shortlist comes
from its compressed factors, and is longer. Equal values go by item row. This module knows rows, no ids.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import numpy as np

from ..errors import DataError
from ..interpret import top
from ..orders import Order, timed
from ..scorer import Part, Ranks, Sampled, offers
from .dials import Dials, chosen_again
from .filters import Filters

MARGIN = 16  # items on a shortlist beyond those asked for
NEAR = 2  # times as many, and NEAR_MARGIN more, are on a shortlist by compressed factors
NEAR_MARGIN = 50
PARTS = 16  # into which a user's values are cut to find a bound
WIDE = 4  # times as many as asked for may reach the bound
CELLS = 1 << 18  # users × items in a block: what a processor's cache holds; but
USERS = 64  # together, where memory allows: the items' factors are read once for all of them
CELL_BYTES = 48  # that a cell takes at most while a block is worked on

Seen = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # users (B,) -> (position in them, item row), both (n,)


class Wish(NamedTuple):
    """What is asked of every list.

    Attributes:
        n: how many items.
        order: what they are ordered by.
        filters: which items may be there.
        dials: how the list departs from its order.
        counts: (I,) ratings of each item, for the dials.
        vectors: (I, K) factors of each item, for diversity; else None.
    """

    n: int
    order: Order
    filters: Filters
    dials: Dials
    counts: np.ndarray
    vectors: np.ndarray | None


class Found(NamedTuple):
    """Lists of B users.

    Attributes:
        items: (B, n) int32 item rows, best first; -1 where a list is shorter.
        scores: (B, n) float32 predicted ratings; NaN there.
        n_candidates: (B,) how many items each list was chosen from.
    """

    items: np.ndarray
    scores: np.ndarray
    n_candidates: np.ndarray


def lists_of(scorer: Ranks, wish: Wish, seen: Seen, users: np.ndarray, times: np.ndarray | None) -> Found:
    """The lists of the user rows (B,), at times (B,) or None."""
    quick = wish.order.near or wish.order
    values = finite(quick.every(users, times)).astype(np.float32, copy=True)  # (B, I)
    _mask(values, wish.filters, seen, users)
    depth = wish.dials.depth(wish.n)
    short = shortlist(values, NEAR * depth + NEAR_MARGIN if wish.order.near else depth + MARGIN)  # (B, M)
    m = short.shape[1]
    possible = np.take_along_axis(values, short, 1) > -np.inf
    exact = finite(wish.order.pairs(np.repeat(users, m), short.reshape(-1), _repeat(times, m))).reshape(short.shape)
    by = np.lexsort((short, np.where(possible, -exact, np.inf)))[:, : min(depth, m)]
    best = np.where(np.take_along_axis(possible, by, 1), np.take_along_axis(short, by, 1), -1)
    items = _dialled(best, wish) if any(wish.dials) else best
    return Found(items, _scores(scorer, users, items, times), (values > -np.inf).sum(1))


def list_to(part: Part, wish: Wish, rated: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """A newcomer's list, before the dials, of the items that are ``allowed`` (I,): item rows (n,), best first.

    Of a mean over samples, the shortlist comes from its compressed factors, as for users that train knows.
    """
    order, depth, knows = wish.order, wish.dials.depth(wish.n), cast("Any", part)
    items, m = np.flatnonzero(allowed), NEAR * depth + NEAR_MARGIN
    if order.near is None or not offers(knows, Sampled) or len(items) <= m:
        return top(finite(order.part(part, rated)), items, depth)
    items = np.sort(top(finite(order.near.part(cast("Any", part).near(), rated)), items, m))
    exact = finite(order.part(part, rated, items))
    return items[np.lexsort((items, -exact))[:depth]]


def finite(values: np.ndarray) -> np.ndarray:
    """The values, if all are numbers.

    Raises:
        DataError: if one is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise DataError(f"{int((~np.isfinite(values)).sum()):,} scores are no finite numbers.", hint="refit the model.")
    return values


def _mask(values: np.ndarray, filters: Filters, seen: Seen, users: np.ndarray) -> None:
    """-inf where an item is no candidate."""
    values[:, ~filters.allowed] = -np.inf
    if not filters.keep_seen:
        values[seen(users)] = -np.inf


def shortlist(values: np.ndarray, m: int) -> np.ndarray:
    """The rows of the m highest values of each user (B, I) -> (B, m), in no order; of equal values, the lower rows.

    The m-th highest of the maxima of parts of a user's values has m values or more that reach it. These are few, and
    found by comparing; only they are partitioned.
    """
    n_items = values.shape[1]
    if m >= n_items:
        return np.broadcast_to(np.arange(n_items), values.shape)
    width = n_items // PARTS  # of each part; the part's k-th maximum is that of column k of all parts
    if width < 2 * m:
        return _highest(values, m)
    maxima = values[:, :width].copy()
    for start in range(width, width * PARTS, width):
        np.maximum(maxima, values[:, start : start + width], out=maxima)
    bound = np.partition(maxima, width - m, axis=1)[:, width - m, None]
    owner, item = np.nonzero(values >= bound)
    n = np.bincount(owner, minlength=len(values))
    if len(owner) > WIDE * m * len(values):  # too many are equal, or no candidates
        return _highest(values, m)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(n) - n, n)
    few, rows = np.full((len(values), n.max()), -np.inf, np.float32), np.zeros((len(values), n.max()), np.int64)
    few[owner, place], rows[owner, place] = values[owner, item], item
    return np.take_along_axis(rows, _highest(few, m), 1)


def _highest(values: np.ndarray, m: int) -> np.ndarray:
    """The positions of the m highest of each row (B, W) -> (B, m), in no order; of equal ones, the first."""
    n = values.shape[1]
    at = np.argpartition(values, n - m, axis=1)[:, n - m :] if m < n else np.broadcast_to(np.arange(n), values.shape)
    found = np.take_along_axis(values, at, 1)
    edge = found.min(1, keepdims=True)
    tied = ((values == edge).sum(1) > (found == edge).sum(1)) & (edge[:, 0] > -np.inf)
    for k in np.flatnonzero(tied):
        at[k] = top(values[k], np.arange(n), m)
    return at


def _dialled(best: np.ndarray, wish: Wish) -> np.ndarray:
    """n of each user's best (B, M), chosen again by the dials -> (B, n)."""
    out = np.full((len(best), min(wish.n, best.shape[1])), -1, best.dtype)
    for row, items in zip(out, best, strict=True):
        again = chosen_again(items[items >= 0], wish.n, wish.dials, wish.counts, wish.vectors)
        row[: len(again)] = again
    return out


def _scores(scorer: Ranks, users: np.ndarray, items: np.ndarray, times: np.ndarray | None) -> np.ndarray:
    """Predicted ratings of the items (B, n), as ``predict`` gives them; NaN where there is none."""
    owner, place = np.nonzero(items >= 0)
    out = np.full(items.shape, np.nan, np.float32)
    given = timed(scorer, None if times is None else times[owner])
    out[owner, place] = finite(scorer.score(users[owner], items[owner, place], **given))
    return out


def _repeat(times: np.ndarray | None, m: int) -> np.ndarray | None:
    return None if times is None else np.repeat(times, m)


def processors() -> int:
    """How many of the machine's processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_blocks(
    make: Callable[[slice], Found], n_users: int, n_items: int, *, memory: float, threads: int | None = None
) -> Iterator[tuple[slice, Found]]:
    """Blocks of users and their lists, in order; several blocks at a time, within so many bytes of memory.

    Args:
        make: the lists of a block.
        n_users: in all.
        n_items: in the catalogue.
        memory: bytes that all blocks at work may take; one user is worked on in any case.
        threads: at a time; by default as many as there are processors to use.
    """
    workers = threads or processors()
    most = int(memory / workers / CELL_BYTES) // max(n_items, 1)
    size = max(1, min(most, max(CELLS // max(n_items, 1), USERS)))
    blocks = [slice(start, min(start + size, n_users)) for start in range(0, n_users, size)]
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(blocks), 4 * workers):  # so that results do not pile up
            some = blocks[start : start + 4 * workers]
            yield from zip(some, pool.map(make, some), strict=True)
