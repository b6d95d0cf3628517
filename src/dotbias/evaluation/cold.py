"""What train never saw of the held-out ratings, and the refusal of what it did."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..ratings import Ratings, check_is_ratings, check_same_tables, cold_rows


class ColdCounts(NamedTuple):
    """Distinct users, distinct items and ratings that train never saw; None where that cannot be told."""

    users: int | None
    items: int | None
    rows: int | None


def with_cold(test: Ratings, train: Ratings | None) -> Ratings:
    """The checks on what is measured; ``cold`` filled from train where it is given."""
    check_is_ratings(test, "test")
    if test.values is not None or not len(test):
        test.explicit()
    if train is None:
        return test
    check_is_ratings(train, "train")
    check_same_tables(test, train.tables, "test", "train")
    width = max(test.n_items, 1)
    pairs = test.users.astype(np.int64) * width + test.items
    theirs = np.sort(train.users.astype(np.int64) * width + train.items)
    shared = theirs[np.minimum(np.searchsorted(theirs, pairs), len(theirs) - 1)] == pairs if len(theirs) else pairs < 0
    if shared.any():
        i = int(shared.argmax())
        raise DataError(
            f"{int(shared.sum()):,} of {len(test):,} test ratings are in train, too: the first is user "
            f"{test.user_ids[test.users[i]]!r}, item {test.item_ids[test.items[i]]!r}.",
            hint="hold them out before fitting: an error on known ratings says nothing.",
        )
    return dataclasses.replace(test, cold=cold_rows(train, test))


def _known(rows: np.ndarray, n: int) -> np.ndarray:
    known = np.zeros(n, bool)
    known[rows] = True
    return known


def cold_counts(test: Ratings, train: Ratings | None) -> ColdCounts:
    """Counts of cold users, items and rows. From ``test.cold`` alone, whose fault it is can mostly be inferred:
    a user with a warm row is known, and then the item of any cold row of theirs is not; where neither is: None."""
    if test.cold is None:
        return ColdCounts(None, None, None)
    n_rows = int(test.cold.sum())
    if train is not None:
        known_users, known_items = _known(train.users, test.n_users), _known(train.items, test.n_items)
        return ColdCounts(
            int((~known_users[np.unique(test.users)]).sum()), int((~known_items[np.unique(test.items)]).sum()), n_rows
        )
    users, items = test.users[test.cold], test.items[test.cold]
    user_known = _known(test.users[~test.cold], test.n_users)[users]  # (cold rows,)
    item_known = _known(test.items[~test.cold], test.n_items)[items]
    cold_users, cold_items = np.unique(users[item_known]), np.unique(items[user_known])
    doubtful = ~(user_known | item_known)
    users_told = np.isin(users[doubtful], cold_users).all()
    items_told = np.isin(items[doubtful], cold_items).all()
    return ColdCounts(len(cold_users) if users_told else None, len(cold_items) if items_told else None, n_rows)
