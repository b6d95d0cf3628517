"""Predicted ratings with their intervals, and the path that made each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..orders import timed
from ..scorer import Intervals, Part, Ranks, offers
from ..times import Times, as_times
from .answers import Prediction
from .lists import finite
from .names import Unknown, is_many, paired, rows_of
from .record import Record

PATHS = ("fitted", "cold item", "cold user", "mean")
FOLDED = ("folded in", "folded in, cold item")


def of_ids(
    scorer: Ranks, record: Record, users: Any, items: Any, times: Times, unknown: Unknown = "raise"
) -> list[Prediction]:
    """Of one id or several, pair by pair; arguments and errors as in ``Recommender.predict``."""
    user_ids, item_ids = paired(users, items)
    rows = (
        rows_of(record.train.user_ids, user_ids, "users", unknown),
        rows_of(record.train.item_ids, item_ids, "items", unknown),
    )
    cold = without(rows[0], record.user_counts), without(rows[1], record.item_counts)
    return of_pairs(scorer, *rows, as_times(times, len(user_ids)), cold)


def of_history(record: Record, part: Part, items: Any, unknown: Unknown) -> list[Prediction]:
    """Of a newcomer and one item's id or several."""
    rows = rows_of(record.train.item_ids, items if is_many(items) else [items], "items", unknown)
    return of_newcomer(part, rows, without(rows, record.item_counts))


def of_pairs(
    scorer: Ranks, users: np.ndarray, items: np.ndarray, times: np.ndarray | None, cold: tuple[np.ndarray, np.ndarray]
) -> list[Prediction]:
    """Of pairs of rows (B,), (B,) at times (B,) or None.

    Args:
        scorer: what guesses.
        users: rows; -1 for a user that train does not name.
        items: rows, likewise.
        times: seconds, or None where they are unknown.
        cold: which users, and which items, have no rating in train, (B,) bool each.
    """
    given = timed(scorer, times)
    values = scorer.score(users, items, **given)
    sides = scorer.interval(users, items, **given) if offers(scorer, Intervals) else None
    return _listed(values, sides, [PATHS[k] for k in 2 * cold[0] + cold[1]])


def of_newcomer(part: Part, items: np.ndarray, cold: np.ndarray) -> list[Prediction]:
    """Of a newcomer and item rows (B,), of which some are ``cold`` (B,)."""
    knows: Any = part
    sure = offers(part, Intervals)
    sides = knows.interval(items) if sure else None
    return _listed(knows.score(items), sides, [FOLDED[k] for k in cold.astype(int)])


def without(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Which rows (B,), -1 for unknown ones, have no rating."""
    return (rows < 0) | (counts[rows] == 0)


def _listed(values: np.ndarray, sides: tuple[np.ndarray, np.ndarray] | None, paths: list[str]) -> list[Prediction]:
    nothing = [None] * len(values)
    lows, highs = (nothing, nothing) if sides is None else (side.tolist() for side in sides)
    return [Prediction(*row) for row in zip(finite(values).tolist(), lows, highs, paths, strict=True)]
