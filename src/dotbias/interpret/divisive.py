"""Items on which tastes divide: how far users' predictions for one item lie apart, their own generosity taken off.

The prediction for user u and item i departs from what biases say by (p_u - p̄)·q_i. Over the users of train its
variance is q_iᵀ C q_i, C the covariance of the users' factors. It does not depend on how a fit rotated its factors, and
it is shrunk as they are: an item with few ratings divides hardly anybody, where the raw spread of three ratings is
mostly chance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..ratings import Ratings
from .listing import Listing, factors_of, half


class Divided(NamedTuple):
    """One item in the ranking.

    Attributes:
        id: its own id.
        title: where train knows one.
        count: its ratings in train.
        spread: standard deviation over users of what their taste adds, on the link's inner scale.
    """

    id: int | str
    title: str | None
    count: int
    spread: float


def divisive(scorer: Any, train: Ratings, *, n: int = 10, min_ratings: int = 1) -> Listing[Divided]:
    """The n items on which the users' tastes differ most, most divisive first; ties by row.

    Args:
        scorer: anything with ``factors()``.
        train: what it was fitted on.
        n: how many, at most.
        min_ratings: leave out items with fewer.

    Raises:
        SettingError: for a scorer without factors.
    """
    side = half(factors_of(scorer, train, need_factors=True), train, "item")
    users = side.other[side.other_counts > 0].astype(np.float64)  # (U, K)
    kept = np.flatnonzero(side.counts >= max(min_ratings, 1))
    apart = users - users.mean(0)
    covariance = apart.T @ apart / max(len(users), 1)
    items = side.factors[kept].astype(np.float64)
    spread = np.sqrt(np.einsum("ik,kl,il->i", items, covariance, items).clip(0))
    best = np.lexsort((kept, -spread))[:n]
    rows = kept[best]
    return Listing(
        map(
            Divided,
            side.ids.take(rows),
            [side.titles[r] for r in rows],
            side.counts[rows].tolist(),
            spread[best].tolist(),
        )
    )
