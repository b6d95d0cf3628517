"""Everybody's ranked list, in blocks of users: the places of what they liked, and the first places.

A list holds the whole catalogue as ``Recommender.recommend`` does by default: not what the user rated in train, and no
item without a rating in train. Of equal ranks, the lower item row stands first. A held-out item is relevant if its
rating reaches ``like``; each click is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from .. import orders
from ..errors import DataError
from ..metrics import NOWHERE, Catalogue, Lists, Metric
from ..ratings import Ratings
from ..scorer import Ranks, Scorer, demand
from ..times import as_times
from .known import padded

FEW = 64  # wanted items of a user: for so few, counting is faster than sorting
CHUNK = 64  # items
CELLS = 1 << 21  # users × items ranked at once: 60 MB

Order = Callable[[Ranks, np.ndarray], np.ndarray]
Every = Callable[[np.ndarray], np.ndarray]  # user rows (B,) -> (B, I), higher is better
_LAST = np.int64(np.iinfo(np.int64).min)


def every(scorer: Scorer, train: Ratings, order: str | Order, like: float | None, clicks: Ranks | None = None) -> Every:
    """What one scorer's lists are ordered by: an order by its name, now, as ``recommend`` asks it; or one's own."""
    ranks = demand(scorer, Ranks, why="ranking", hint="give it what a fitter returns.")
    if not isinstance(order, str):
        return partial(order, ranks)
    named = orders.find_order(order)(ranks, train, like, clicks)
    return lambda users: named.every(users, as_times("now", len(users)))


class Seen(NamedTuple):
    """Train, by user.

    Attributes:
        items: (N,) item rows, sorted by user.
        starts: (U + 1,) where each user's begin.
        item_counts: (I,) ratings of each item.
        n_users: users with a rating.
    """

    items: np.ndarray
    starts: np.ndarray
    item_counts: np.ndarray
    n_users: int

    @classmethod
    def of(cls, train: Ratings, n_users: int) -> Seen:
        """Of train, for user rows up to ``n_users``."""
        counts = padded(train.user_counts, n_users)
        items = train.items[np.argsort(train.users, kind="stable")]
        return cls(items, np.r_[0, np.cumsum(counts)], train.item_counts, int((counts > 0).sum()))

    def pairs(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the users (B,) have rated: (position in ``users``, item row), both (n,)."""
        sizes = self.starts[users + 1] - self.starts[users]
        owner = np.repeat(np.arange(len(users)), sizes)
        at = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(self.starts[users], sizes)
        return owner, self.items[at]

    def raters(self, items: np.ndarray) -> np.ndarray:
        """Who rated each of the item rows (m,): (m, words) uint64, a bit per user."""
        n_users = len(self.starts) - 1
        flags = np.zeros((len(items), -(-n_users // 64) * 8), np.uint8)  # bytes
        row = np.full(len(self.item_counts), -1)
        row[items] = np.arange(len(items))
        users = np.repeat(np.arange(n_users), np.diff(self.starts))
        at = row[self.items]
        users, at = users[at >= 0], at[at >= 0]
        np.bitwise_or.at(flags, (at, users >> 3), np.left_shift(1, users & 7).astype(np.uint8))
        return flags.view(np.uint64)


def rank(
    order: Every, test: Ratings, seen: Seen, users: np.ndarray, *, metrics: Sequence[Metric], like: float | None
) -> Lists:
    """The lists of the user rows (G,), as deep as the metrics need them."""
    depths = [m.depth for m in metrics]
    depth = None if None in depths else max((d for d in depths if d is not None), default=1)
    shown = max((d for d in depths if d is not None), default=1)
    liked = np.ones(len(test), bool) if test.values is None or like is None else test.values >= like
    owner, items = np.searchsorted(users, test.users[liked]), test.items[liked]
    by_user = np.argsort(owner, kind="stable")
    owner, items = owner[by_user], items[by_user]
    gain = np.ones(len(owner)) if test.values is None else test.values[liked][by_user]
    place = np.full(len(owner), NOWHERE, np.int64)
    n_items = len(seen.item_counts)
    top, n_candidates = np.full((len(users), min(shown, n_items)), -1, np.int32), np.empty(len(users), np.int64)
    step = max(1, CELLS // max(n_items, 1))
    for start in range(0, len(users), step):
        at = slice(start, start + step)
        keys = _keys(order(users[at]), users[at], seen)
        mine = slice(*np.searchsorted(owner, (start, start + step)))
        wanted = _wanted(keys, owner[mine] - start, items[mine])
        n_candidates[at] = (keys > _LAST).sum(1)
        place[mine], keys = _placed(keys, owner[mine] - start, wanted, depth, shown)
        best = keys[:, : -top.shape[1] - 1 : -1] if top.shape[1] else keys[:, :0]
        top[at] = np.where(best > _LAST, n_items - 1 - (best & 0xFFFFFFFF), -1)
    return Lists(top, n_candidates, owner, place, gain, _catalogue(seen, users))


def _keys(rank: np.ndarray, users: np.ndarray, seen: Seen) -> np.ndarray:
    """Distinct whole numbers (B, I) that order as the ranks do, ties by row; _LAST where an item is no candidate."""
    n_items = len(seen.item_counts)
    if rank.shape != (len(users), n_items):
        raise DataError(f"the order has the shape {rank.shape} for {len(users)} users and {n_items} items of train.")
    if not np.isfinite(rank).all():
        raise DataError(f"{int((~np.isfinite(rank)).sum()):,} ranks are no finite numbers.", hint="refit the model.")
    bits = (rank.astype(np.float32) + np.float32(0)).view(np.int32)  # + 0: -0.0 becomes 0.0
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)  # now these order as the floats do
    keys = bits.astype(np.int64)
    keys <<= 32
    keys |= np.arange(n_items - 1, -1, -1)
    keys[:, seen.item_counts == 0] = _LAST
    keys[seen.pairs(users)] = _LAST
    return keys


def _wanted(keys: np.ndarray, owner: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The keys of pairs (P,); _LAST for items that train's tables do not have."""
    known = items < keys.shape[1]
    return np.where(known, keys[owner, np.where(known, items, 0)], _LAST)


def _placed(
    keys: np.ndarray, owner: np.ndarray, wanted: np.ndarray, depth: int | None, shown: int
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the wanted (P,), down to ``depth`` or all of them; and the first keys of each row, rising."""
    if depth is not None:
        keys = _first(keys, min(depth, keys.shape[1]))
        return _places(keys, owner, wanted), keys
    return _counted(keys, owner, wanted), _first(keys, min(shown, keys.shape[1]))


def _counted(keys: np.ndarray, owner: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many keys of its row (B, I) are higher than each wanted one (P,): one by one for few, else by sorting."""
    above, ends = np.empty(len(wanted), np.int64), np.searchsorted(owner, np.arange(len(keys) + 1))
    for row, begin, end in zip(keys, ends[:-1], ends[1:], strict=True):
        mine = wanted[begin:end]
        if len(mine) <= FEW:
            above[begin:end] = [np.count_nonzero(row > key) for key in mine]
        else:
            above[begin:end] = len(row) - np.searchsorted(np.sort(row), mine, side="right")
    return np.where(wanted > _LAST, above, NOWHERE)


def _first(keys: np.ndarray, depth: int) -> np.ndarray:
    """The highest keys of each row, rising (B, depth).

    Of each row cut into chunks, the depth-th highest of the chunks' heads is a bound that few keys reach: only those
    are sorted, an eighth of the time of a partition.
    """
    n_chunks = keys.shape[1] // CHUNK
    if depth < n_chunks:
        heads = keys[:, : n_chunks * CHUNK].reshape(len(keys), n_chunks, CHUNK).max(axis=2)
        bound = np.partition(heads, n_chunks - depth, axis=1)[:, [n_chunks - depth]]
        if (bound > _LAST).all():
            rows, columns = np.nonzero(keys >= bound)
            found = keys[rows, columns]
            ends = np.searchsorted(rows, np.arange(1, len(keys) + 1))
            return found[np.lexsort((found, rows))][ends[:, None] - np.arange(depth, 0, -1)]
    if depth < keys.shape[1]:
        keys = np.partition(keys, keys.shape[1] - depth, axis=1)[:, -depth:]
    keys.sort(axis=1)
    return keys


def _places(keys: np.ndarray, owner: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many keys of its row (B, depth), rising, are higher than each wanted one (P,): bisection of all at once."""
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), keys.shape[1])
    while (low < high).any():
        middle = (low + high) // 2
        right = keys[owner, np.minimum(middle, keys.shape[1] - 1)] > wanted
        high = np.where(right & (low < high), middle, high)
        low = np.where(~right & (low < high), middle + 1, low)
    return np.where(wanted > _LAST, keys.shape[1] - low, NOWHERE)


def _catalogue(seen: Seen, users: np.ndarray) -> Catalogue:
    owner, items = seen.pairs(users)
    n = np.bincount(owner, minlength=len(users))
    total = np.bincount(owner, seen.item_counts[items], len(users))
    popularity = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    return Catalogue(seen.item_counts, seen.n_users, popularity, seen.raters)
