"""Many users' lists at once: in blocks, within a bound of memory, and as one frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..progress import Progress, Step, telling
from ..ratings import Ratings
from ..scorer import Ranks
from .answers import Id
from .lists import Found, Wish, in_blocks, lists_of
from .names import rows_of
from .record import Record

if TYPE_CHECKING:
    import polars as pl

MEMORY = 200e6  # bytes that many lists may take while they are made


def blocks_of(
    scorer: Ranks,
    record: Record,
    wish: Wish,
    rows: np.ndarray,
    times: np.ndarray | None,
    *,
    memory: float = MEMORY,
    threads: int | None = None,
) -> Iterator[tuple[slice, Found]]:
    """The lists of user rows (B,), at times (B,) or None, in blocks; memory and threads as in ``lists.in_blocks``."""
    _ = record.by_user, wish.order.near  # made once, not in each thread

    def make(at: slice) -> Found:
        return lists_of(scorer, wish, record.seen, rows[at], None if times is None else times[at])

    return in_blocks(make, len(rows), record.train.n_items, memory=memory, threads=threads)


def rows_asked(train: Ratings, users: Iterable[Id] | None) -> np.ndarray:
    """The rows of these users, by default of all."""
    known = train.user_ids
    return np.arange(len(known), dtype=np.int32) if users is None else rows_of(known, users, "users")


def frame_of(
    train: Ratings, wish: Wish, rows: np.ndarray, blocks: Iterable[tuple[slice, Found]], progress: Progress
) -> pl.DataFrame:
    """The lists of user rows (B,), made block by block: a frame of user, place (from 1), item, score[, title]."""
    shape = len(rows), min(wish.n, train.n_items)
    items, scores = np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32)
    with telling(progress) as tell:
        for k, (at, found) in enumerate(blocks, 1):
            width = found.items.shape[1]
            items[at, :width], scores[at, :width] = found.items, found.scores
            tell(Step("block", k, None, {"users": at.stop}))
    return _frame(train, rows, items, scores)


def _frame(train: Ratings, rows: np.ndarray, items: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
    """Lists (B, n) as a frame, without what is not there."""
    import polars as pl

    owner, place = np.nonzero(items >= 0)
    found = items[owner, place]
    columns = {
        "user": train.user_ids.values.gather(rows[owner]),
        "place": pl.Series(place + 1, dtype=pl.Int32),
        "item": train.item_ids.values.gather(found),
        "score": pl.Series(scores[owner, place]),
    }
    if (titles := train.item_titles) is not None:
        columns["title"] = pl.Series(titles, dtype=pl.String).gather(found)
    return pl.DataFrame(columns)
