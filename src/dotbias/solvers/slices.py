"""Which ratings a fit holds out of train for itself: to search, to be calibrated, to compare candidates.

Three kinds, disjoint: ratings at random; all ratings of a few users, who so are new; of others, where times are used,
the last fifth, as if asked for tomorrow. The same key holds out the same, so that what is compared is compared on the
same ratings. This module knows ratings, no model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..ratings import Ratings

SLICE = 0.1, 10_000  # share of train held out at random for the search, and at most how many ratings
NEW_USERS = 0.03, 300  # share of the users all of whose ratings are held out, and at most how many
LAST_USERS = 0.2, 1_000  # share of the users whose last fifth is held out


class HeldOut(NamedTuple):
    """Ratings at random; the last of some users; all of others: (N,) bool each."""

    random: np.ndarray
    last: np.ndarray
    new: np.ndarray

    @property
    def rest(self) -> np.ndarray:
        """(N,) bool: what is left to learn from."""
        return ~(self.random | self.last | self.new)


def hold_out(train: Ratings, key: int, *, timed: bool) -> HeldOut:
    """The slices; ``timed``: whether last ratings are held out, too."""
    rng, new_users, last_users = drawn(train.user_counts, key, timed=timed)
    new = np.isin(train.users, new_users)
    last = _last_fifth(train, last_users)
    random, left = np.zeros(len(train), bool), np.flatnonzero(~new & ~last)
    random[left[at_random(len(left), rng)]] = True
    return HeldOut(random, last, new)


def drawn(counts: np.ndarray, key: int, *, timed: bool) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """(what draws on; rows of users all of whose ratings are held out; of those whose last are), by counts (U,)."""
    rng = np.random.default_rng(key)
    active = rng.permutation(np.flatnonzero(counts))
    n_new = int(min(NEW_USERS[0] * len(active), NEW_USERS[1]))
    n_last = int(min(LAST_USERS[0] * len(active), LAST_USERS[1])) if timed else 0
    return rng, active[:n_new], active[n_new : n_new + n_last]


def at_random(n_left: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of those held out at random, among the n that are left."""
    return rng.choice(n_left, max(1, min(int(SLICE[0] * n_left), SLICE[1])), replace=False)


def _last_fifth(train: Ratings, users: np.ndarray) -> np.ndarray:
    """The last fifth of the ratings of each of these users (N,) bool: by time, then as they stand."""
    out = np.zeros(len(train), bool)
    if not len(users) or train.times is None:
        return out
    order = np.lexsort((train.times, train.users))
    counts = train.user_counts[train.users[order]]
    place = np.arange(len(order)) - np.repeat(np.cumsum(train.user_counts) - train.user_counts, train.user_counts)
    out[order] = (place >= np.ceil(0.8 * counts)) & np.isin(train.users[order], users)
    return out
