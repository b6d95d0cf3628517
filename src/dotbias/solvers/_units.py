"""The units that solvers work in: ratings less their mean, over their standard deviation; and what fits in memory.

In them, a ridge or a rate means the same whatever the ratings' scale. This module knows ratings and ridges, no solver.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..files import check_memory
from ..objective import Link, Ridge
from ..ratings import Ratings

CHUNK = 1 << 16  # ratings at a time


class Units(NamedTuple):
    """What ratings are measured in: z = (rating - mean) / unit.

    Attributes:
        mean: of train's ratings.
        spread: their standard deviation. Biases are multiplied by it at the end, factors by its root: where all
            ratings are equal it is 0, and every score is the mean.
    """

    mean: float
    spread: float

    @property
    def unit(self) -> float:
        """What differences of ratings are divided by: the spread, or 1 where that is 0."""
        return self.spread or 1.0

    def inside(self, rating: float) -> float:
        """A number on the ratings' scale, in these units."""
        return (rating - self.mean) / self.unit

    def ridge(self, ridge: Ridge, link: Link) -> Ridge:
        """A ridge given in these units, of the same minimum on the ratings' scale.

        Under the identity, biases and factors grow with the ratings. Under a sigmoid only its asymptotes do, so the
        ridge grows like the squared error.
        """
        return ridge.rescaled(self.unit) if link == "identity" else Ridge(*(self.unit**2 * r for r in ridge))


def units_of(train: Ratings) -> Units:
    """Mean and standard deviation of the ratings, summed in float64 without a copy of the column.

    Raises:
        DataError: where there are none, or among them are NaN or infinities.
    """
    values = train.explicit()
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(high - low):
        raise DataError("among the ratings are NaN or infinities.", hint="leave them out.")
    if low == high:
        return Units(low, 0.0)
    mean = float(np.mean(values, dtype=np.float64))
    chunks = (values[k : k + CHUNK].astype(np.float64) - mean for k in range(0, len(values), CHUNK))
    return Units(mean, math.sqrt(math.fsum(float(c @ c) for c in chunks) / len(values)))


def check_size(train: Ratings, n_factors: int) -> None:
    """Refuse factors that this machine's memory cannot hold.

    Raises:
        SettingError: naming their size.
    """
    n_rows = train.n_users + train.n_items
    what = f"{n_factors:,} factors of {train.n_users:,} users and {train.n_items:,} items"
    check_memory(4 * n_rows * n_factors, what, "choose a smaller n_factors.")


def clip_range(train: Ratings) -> tuple[float, float]:
    """Where scores are clipped if nobody says: train's scale; nowhere if all ratings are one number."""
    low, high = train.scale()
    return (low, high) if low < high else (-math.inf, math.inf)
