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
from . import places
from .known import padded

CELLS = 1 << 21  # users × items ranked at once: 20 MB

Order = Callable[[Ranks, np.ndarray], np.ndarray]
Every = Callable[[np.ndarray], np.ndarray]  # user rows (B,) -> (B, I), higher is better


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
    order: Every | Alike, test: Ratings, seen: Seen, users: np.ndarray, *, metrics: Sequence[Metric], like: float | None
) -> Lists:
    """The lists of the user rows (G,), as deep as the metrics need them."""
    depths = [m.depth for m in metrics]
    depth = None if None in depths else max((d for d in depths if d is not None), default=1)
    n_items = len(seen.item_counts)
    shown = min(max((d for d in depths if d is not None), default=1), n_items)
    liked = np.ones(len(test), bool) if test.values is None or like is None else test.values >= like
    owner, items = np.searchsorted(users, test.users[liked]), test.items[liked]
    by_user = np.argsort(owner, kind="stable")
    owner, items = owner[by_user], items[by_user]
    gain = np.ones(len(owner)) if test.values is None else test.values[liked][by_user]
    place = np.empty(len(owner), np.int64)
    top, n_candidates = np.empty((len(users), shown), np.int32), np.empty(len(users), np.int64)
    ranking = _alike if isinstance(order, Alike) else _each
    step = max(1, CELLS // max(n_items, 1))
    room = np.empty((min(step, len(users)), n_items), np.float32)
    for start in range(0, len(users), step):
        at, mine = slice(start, start + step), slice(*np.searchsorted(owner, (start, start + step)))
        wanted = Wanted(owner[mine] - start, items[mine], depth)
        top[at], n_candidates[at], place[mine] = ranking(order, seen, users[at], wanted, shown, room)  # type: ignore[arg-type]
    return Lists(top, n_candidates, owner, place, gain, _catalogue(seen, users))


class Wanted(NamedTuple):
    """Pairs of a block of users whose places are asked for.

    Attributes:
        owner: (P,) position in the block, rising.
        items: (P,) item rows.
        depth: down to which place; None: all.
    """

    owner: np.ndarray
    items: np.ndarray
    depth: int | None


Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # first items (B, shown), candidates (B,), places (P,)


def _each(order: Every, seen: Seen, users: np.ndarray, wanted: Wanted, shown: int, room: np.ndarray) -> Found:
    """A block of users, each with ranks of their own, written into ``room`` (at least B, I)."""
    z, n_candidates = _candidates(order(users), users, seen, room)
    owner, items, depth = wanted
    known = items < z.shape[1]
    ranks = np.where(known, z[owner, np.where(known, items, 0)], places.NONE)
    top = places.first(z, shown)
    if depth is None:
        return top, n_candidates, places.counted(z, owner, items, ranks)
    return top, n_candidates, places.within(top, owner, items, ranks)


def _candidates(rank: np.ndarray, users: np.ndarray, seen: Seen, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ranks (B, I), NONE where an item is no candidate; and how many are (B,)."""
    n_items = len(seen.item_counts)
    if rank.shape != (len(users), n_items):
        raise DataError(f"the order has the shape {rank.shape} for {len(users)} users and {n_items} items of train.")
    z = room[: len(users)]
    with np.errstate(over="ignore"):
        np.copyto(z, rank, casting="same_kind")
    if not (np.isfinite(z.max(initial=0)) and np.isfinite(z.min(initial=0))):
        raise DataError(f"{int((~np.isfinite(z)).sum()):,} ranks are no finite numbers.", hint="refit the model.")
    unrated = seen.item_counts == 0
    if unrated.any():
        z[:, unrated] = places.NONE
    owner, items = seen.pairs(users)
    z[owner, items] = places.NONE
    n_seen = np.bincount(np.unique(owner * n_items + items) // max(n_items, 1), minlength=len(users))
    return z, n_items - int(unrated.sum()) - n_seen


class Alike(NamedTuple):
    """An order that is the same for everybody, sorted once.

    Attributes:
        items: (M,) rows of the items rated in train, best first.
        place: (I,) where each stands among them; M and more for the others.
    """

    items: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, rank: np.ndarray, seen: Seen) -> Alike:
        """Of one rank for each item (I,), higher is better."""
        ordered = np.lexsort((-rank.astype(np.float32), seen.item_counts == 0))  # stable: ties by row
        place = np.empty(len(rank), np.int64)
        place[ordered] = np.arange(len(rank))
        return cls(ordered[: int((seen.item_counts > 0).sum())], place)


def _alike(order: Alike, seen: Seen, users: np.ndarray, wanted: Wanted, shown: int, room: np.ndarray) -> Found:
    """A block of users with one order for all: what each has seen is taken out of it."""
    n_items, n_rated = len(order.place), len(order.items)
    pairs, items = seen.pairs(users)
    taken = np.unique(pairs * n_items + order.place[items])  # sorted by user, then by place
    owner, place = np.divmod(taken, max(n_items, 1))
    n_seen = np.bincount(owner, minlength=len(users))
    head = min(n_rated, shown + int(n_seen.max(initial=0)))
    free = np.ones((len(users), head), bool)
    free[owner[place < head], place[place < head]] = False
    rows, column = np.nonzero(free)
    nth = np.arange(len(rows)) - np.searchsorted(rows, np.arange(len(users)))[rows]
    top = np.full((len(users), shown), -1, np.int32)
    top[rows[nth < shown], nth[nth < shown]] = order.items[column[nth < shown]]
    return top, n_rated - n_seen, _places_alike(order, taken, wanted)


def _places_alike(order: Alike, taken: np.ndarray, wanted: Wanted) -> np.ndarray:
    """Places (P,) of the wanted, but for what was taken, user · I + place (n,) rising."""
    n_items, n_rated = len(order.place), len(order.items)
    known = wanted.items < n_items
    place = np.where(known, order.place[np.where(known, wanted.items, 0)], n_items)
    key = wanted.owner * n_items + np.minimum(place, n_items - 1)
    at = np.searchsorted(taken, key)
    seen = np.append(taken, -1)[at] == key
    before = at - np.searchsorted(taken, wanted.owner * n_items)
    deepest = n_rated if wanted.depth is None else min(wanted.depth, n_items)
    return np.where(known & (place < n_rated) & ~seen, np.minimum(place - before, deepest), NOWHERE)


def _catalogue(seen: Seen, users: np.ndarray) -> Catalogue:
    owner, items = seen.pairs(users)
    n = np.bincount(owner, minlength=len(users))
    total = np.bincount(owner, seen.item_counts[items], len(users))
    popularity = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    return Catalogue(seen.item_counts, seen.n_users, popularity, seen.raters)
