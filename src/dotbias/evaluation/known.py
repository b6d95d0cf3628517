"""What is known of a held-out rating: the groups by which figures are broken down.

    user_ratings   ratings of its user in train
    item_ratings   ratings of its item in train: its popularity
    known          warm: train knows user and item; or which of them it does not
    session        known: the user has a rating in train of the same day (UTC); new: not
    since_train    time since the latest rating in train

A list belongs to a user, so lists are grouped by ``user_ratings`` alone, and count as warm if their user is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..ratings import Ratings
from ..times import UNKNOWN

DAY = 86_400  # seconds
COUNTS = ("0", "1-4", "5-19", "20-99", "100+")
_COUNT_EDGES = (1, 5, 20, 100)
SINCE = ("before its end", "within a day", "within a week", "within 30 days", "later")
_SINCE_EDGES = (1, DAY + 1, 7 * DAY + 1, 30 * DAY + 1)
KNOWN = ("warm", "cold user", "cold item", "both cold")


class Group(NamedTuple):
    """Some of the held-out ratings, and the users whose lists belong to them.

    Attributes:
        facet: one of the five above.
        label: the group's name within it.
        ratings: (N,) bool.
        users: (G,) bool; None where a user's list does not belong to one group.
    """

    facet: str
    label: str
    ratings: np.ndarray
    users: np.ndarray | None


class Facet(NamedTuple):
    """One way to divide the held-out ratings.

    Attributes:
        name: as in the module's table.
        labels: of its groups.
        of: (N,) the group of each rating, a position in ``labels``.
        of_users: (G,) the group of each user's list, or None.
    """

    name: str
    labels: tuple[str, ...]
    of: np.ndarray
    of_users: np.ndarray | None = None

    def groups(self) -> Iterator[Group]:
        """Those that hold a rating."""
        for k, label in enumerate(self.labels):
            mask = self.of == k
            if mask.any():
                yield Group(self.name, label, mask, None if self.of_users is None else self.of_users == k)


def facets(test: Ratings, train: Ratings | None, users: np.ndarray) -> list[Facet]:
    """All that can be told.

    Args:
        test: N held-out ratings; without train, their ``cold`` says what little is known.
        train: what was learnt from.
        users: (G,) user rows of test, rising.
    """
    if train is None:
        return [] if test.cold is None else [Facet("known", ("warm", "cold"), test.cold.astype(np.int8))]
    user_counts, item_counts = padded(train.user_counts, test.n_users), padded(train.item_counts, test.n_items)
    of_user = np.digitize(user_counts, _COUNT_EDGES).astype(np.int8)
    known = (user_counts == 0)[test.users] + 2 * (item_counts == 0)[test.items].astype(np.int8)
    found = [
        Facet("user_ratings", COUNTS, of_user[test.users], of_user[users]),
        Facet("item_ratings", COUNTS, np.digitize(item_counts, _COUNT_EDGES).astype(np.int8)[test.items]),
        Facet("known", KNOWN, known, np.where(user_counts[users] == 0, 1, 0)),
    ]
    if test.times is None or train.times is None or (test.times == UNKNOWN).any() or (train.times == UNKNOWN).any():
        return found
    since = np.digitize(test.times - train.times.max(), _SINCE_EDGES).astype(np.int8)
    return [*found, Facet("session", ("known", "new"), _new_session(test, train)), Facet("since_train", SINCE, since)]


def _new_session(test: Ratings, train: Ratings) -> np.ndarray:
    """1 where the user has no rating in train of that day, else 0: (N,)."""
    assert test.times is not None and train.times is not None
    first = min(int(test.times.min()), int(train.times.min())) // DAY
    n_days = max(int(test.times.max()), int(train.times.max())) // DAY - first + 1
    theirs, ours = (r.users.astype(np.int64) * n_days + r.times // DAY - first for r in (train, test))  # type: ignore[operator]
    return (~np.isin(ours, theirs)).astype(np.int8)


def padded(counts: np.ndarray, n: int) -> np.ndarray:
    """Counts of the first n rows, 0 for rows past the end of the table."""
    return np.pad(counts, (0, max(0, n - len(counts))))[:n]
