"""Splits in which train holds what is to be guessed are refused."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..evaluation.cold import with_cold
from ..ratings import Ratings
from ..split import NEXT, TOMORROW, Split
from ..times import UNKNOWN


def checked_test(parts: Split) -> Ratings:
    """The test part, if train holds nothing of it.

    Raises:
        DataError: without a test part; for test ratings that are in train or valid, too; and in a split by time for
            ratings of train that are later than what is held out.
    """
    if parts.test is None:
        raise DataError("the split has no test part.", hint="compare measures on test: split.random(ratings, test=0.1)")
    test = with_cold(parts.test, parts.train)
    if parts.valid is not None:
        with_cold(parts.test, parts.valid)
    if parts.question == TOMORROW:
        _refuse_later(parts.train, int(_known(test).min(initial=np.iinfo(np.int64).max)))
    if parts.question == NEXT and test.times is not None and parts.train.times is not None:
        _refuse_later_of_users(parts.train, test)
    return test


def _known(ratings: Ratings) -> np.ndarray:
    """The times that are known (N',)."""
    if ratings.times is None:
        raise DataError("a split by time of ratings without times.", hint="name the column: time=…")
    return ratings.times[ratings.times != UNKNOWN]


def _refuse_later(train: Ratings, first: int) -> None:
    """No rating of train after the first of test."""
    later = int((_known(train) >= first).sum())
    if later:
        what = (
            f"{later:,} of {len(train):,} train ratings are not before the first held-out one: train knows the future."
        )
        raise DataError(what, hint="cut by time: split.by_time(ratings).")


def _refuse_later_of_users(train: Ratings, test: Ratings) -> None:
    """No rating of a user in train after the user's first held-out one."""
    assert train.times is not None and test.times is not None
    first = np.full(max(train.n_users, test.n_users), np.iinfo(np.int64).max)
    np.minimum.at(first, test.users, np.where(test.times == UNKNOWN, first[test.users], test.times))
    later = (train.times != UNKNOWN) & (train.times > first[train.users])
    if later.any():
        user = train.user_ids[int(train.users[int(later.argmax())])]
        n = int(later.sum())
        what = f"{n:,} train ratings are later than their user's held-out ones; the first is user {user!r}'s."
        raise DataError(what, hint="hold out each user's last ones: split.last(ratings).")
