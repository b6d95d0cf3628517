"""Which items may be answered, as one value: built once, used for any number of lists."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Filters(NamedTuple):
    """Which items may be answered; ``Recommender.filters`` makes it.

    Attributes:
        allowed: (I,) bool: the candidates, before those that the user has rated are left out.
        keep_seen: whether items that the user has rated are candidates, too.
        words: what the candidates must be, for people.
    """

    allowed: np.ndarray
    keep_seen: bool
    words: str = "rated in train"

    def note(self, n: int, found: int, n_candidates: int) -> str | None:
        """Why fewer than n were found; None where they were not."""
        if found >= n:
            return None
        n_allowed = int(self.allowed.sum())
        return (
            f"{found} of the {n} asked for: of {len(self.allowed):,} items, {n_allowed:,} could be chosen "
            f"({self.words}); {n_allowed - n_candidates:,} of them are seen."
        )
