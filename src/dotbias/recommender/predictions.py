"""Predicted ratings with their intervals, and the path that made each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..orders import timed
from ..scorer import Intervals, Part, Ranks, offers
from .answers import Prediction
from .lists import finite

PATHS = ("fitted", "cold item", "cold user", "mean")
FOLDED = ("folded in", "folded in, cold item")


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
