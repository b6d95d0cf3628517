"""What train holds, looked up by row: what each user has rated, counts, ids and titles."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..ratings import Ratings
from .answers import Id
from .histories import Known
from .names import rows_of
from .titles import Titles


class Record:
    """The ratings that a model was fitted on.

    ``seen``, with ``positions`` beneath it, is the one seam to stored interactions: arrays today, a database later.

    Args:
        train: the ratings.
    """

    def __init__(self, train: Ratings):
        self.train = train

    def seen(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What user rows (B,) have rated: (position among them, item row), both (n,)."""
        parts = [self.train.items[self.positions(row)] for row in rows.tolist()]
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return owner, np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def positions(self, row: int) -> np.ndarray:
        """Where in train a user's ratings stand: a search, or a look-up once they are sorted."""
        if "by_user" not in self.__dict__:
            return np.flatnonzero(self.train.users == row)
        order, ends = self.by_user
        return order[ends[row] : ends[row + 1]]

    def rated(self, row: int) -> Known:
        """What a user has rated, and how; ones for clicks."""
        at = self.positions(row)
        values = np.ones(len(at), np.float32) if self.train.values is None else self.train.values[at]
        return Known(self.train.items[at], values)

    @cached_property
    def by_user(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions in train, sorted by user, (N,), and where each user's begin (U + 1,)."""
        order = np.argsort(self.train.users, kind="stable")
        return order, np.r_[0, np.cumsum(self.user_counts)]

    @cached_property
    def user_counts(self) -> np.ndarray:
        """Ratings of each user (U,)."""
        return self.train.user_counts

    @cached_property
    def item_counts(self) -> np.ndarray:
        """Ratings of each item (I,)."""
        return self.train.item_counts

    @cached_property
    def item_ids(self) -> list[Id]:
        """The id of each item row."""
        return list(self.train.item_ids)

    @cached_property
    def item_titles(self) -> list[str | None]:
        """The title of each item row, or None."""
        return self.train.item_titles or [None] * self.train.n_items

    @cached_property
    def titles(self) -> Titles:
        """From titles to rows."""
        return Titles(self.item_titles)

    def ids(self, rows: np.ndarray) -> list[Id]:
        """Ids of item rows."""
        return [self.item_ids[row] for row in rows.tolist()]

    def titles_of(self, rows: np.ndarray) -> list[str | None]:
        """Titles of item rows."""
        return [self.item_titles[row] for row in rows.tolist()]

    def item_rows(self, ids: Any) -> np.ndarray:
        """Rows of item ids."""
        return rows_of(self.train.item_ids, ids, "items")
