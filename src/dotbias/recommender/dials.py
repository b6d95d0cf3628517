"""Two dials on a finished order: more or less popular items, and items unlike each other.

The best M of the order are chosen again, one after the other, by maximal marginal relevance (Carbonell & Goldstein
1998):

    next = argmax over i of  (1 - diversity) · relevance(i) - diversity · max over j chosen of similarity(i, j)

Relevance is an item's place in the order, from 1 (first) to 0 (last of the M); the popularity dial p mixes into it the
item's place by its number of ratings: (1 - |p|) · relevance ± |p| · popularity. Similarity is the cosine of the items'
factors. With both dials at zero nothing is chosen again, so the plain order stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import SettingError
from ..settings import fits

LEAST = 100  # items to choose again among
TIMES = 10  # as many as are asked for, so often


class Dials(NamedTuple):
    """How a list departs from its plain order.

    Attributes:
        popularity: from -1 (only the least rated of the best) by 0 (as they are) to 1 (only the most rated).
        diversity: from 0 (as they are) to 1 (as unlike each other as can be).
    """

    popularity: float = 0.0
    diversity: float = 0.0

    def check(self) -> Dials:
        """Itself.

        Raises:
            SettingError: for a dial that is no number within its range.
        """
        for name, value, low in (("popularity", self.popularity, -1), ("diversity", self.diversity, 0)):
            if not fits(value, float) or not low <= value <= 1:
                raise SettingError(f"{name} is {value!r}.", hint=f"a number from {low} to 1; 0 changes nothing.")
        return self

    def depth(self, n: int) -> int:
        """How many of the best a list of n is chosen from."""
        return max(LEAST, TIMES * n) if any(self) else n


def chosen_again(best: np.ndarray, n: int, dials: Dials, counts: np.ndarray, vectors: np.ndarray | None) -> np.ndarray:
    """n of the rows ``best`` (M,), which stand in their order, by the dials; best first.

    Args:
        best: (M,) item rows.
        n: how many.
        dials: popularity and diversity.
        counts: (I,) ratings of each item.
        vectors: (I, K) factors of each item; None where ``diversity`` is 0.
    """
    relevance = _places(-np.arange(len(best)))
    p = abs(dials.popularity)
    relevance = (1 - p) * relevance + np.sign(dials.popularity) * p * _places(counts[best])
    unit = np.zeros((len(best), 1)) if vectors is None else _unit(vectors[best])
    nearest, left = np.zeros(len(best)), np.ones(len(best), bool)
    out: list[int] = []
    for _ in range(min(n, len(best))):
        value = np.where(left, (1 - dials.diversity) * relevance - dials.diversity * nearest, -np.inf)
        k = int(value.argmax())  # of equal ones, the first in the order
        out.append(k)
        left[k] = False
        near = unit @ unit[k]
        nearest = near if len(out) == 1 else np.maximum(nearest, near)
    return best[out]


def _places(values: np.ndarray) -> np.ndarray:
    """From 1 (highest) to 0 (lowest) by place; equal values share the mean of their places."""
    if len(values) < 2:
        return np.ones(len(values))
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(size) - size
    return (below + (size - 1) / 2)[group] / (len(values) - 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Each row at length 1; a row of zeros stays."""
    norms = np.sqrt((vectors.astype(np.float64) ** 2).sum(1, keepdims=True))
    return vectors / np.maximum(norms, 1e-12)
