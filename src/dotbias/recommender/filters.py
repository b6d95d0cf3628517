"""Which items may be answered."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Filters(NamedTuple):
    """Which items may be answered.

    Attributes:
        allowed: (I,) bool: the candidates, before those that the user has rated are left out.
        keep_seen: whether items that the user has rated are candidates, too.
    """

    allowed: np.ndarray
    keep_seen: bool

    def candidates(self, seen: np.ndarray) -> np.ndarray:
        """The candidates (I,) bool of a user who has rated the item rows ``seen`` (n,)."""
        if self.keep_seen:
            return self.allowed
        left = self.allowed.copy()
        left[seen] = False
        return left

    def note(self, n: int, found: int, candidates: np.ndarray) -> str | None:
        """Why fewer than n were found; None where they were not."""
        if found >= n:
            return None
        n_allowed = int(self.allowed.sum())
        return (
            f"{found} of the {n} asked for: of {len(self.allowed):,} items, {n_allowed:,} could be chosen (rated in "
            f"train, in only=, not in exclude=); {n_allowed - int(candidates.sum()):,} of them are seen."
        )
