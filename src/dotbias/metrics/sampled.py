"""The sampled metrics of the NCF protocol (He et al. 2017): one held-out item among a hundred candidates.

They depend on how the candidates were drawn, and order models differently from full ranking (Krichene & Rendle 2020):
so each carries the word in its name, and stands apart from the metrics of full lists.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import DataError
from . import lists
from .kinds import Lists, Metric


def sampled_hit_rate(k: int = 10) -> Metric:
    """1 if the held-out item is among the first k of its candidates: HR@k of the NCF protocol."""
    return lists.hit_rate(k)._replace(name=f"sampled_hit_rate@{k}")


def sampled_ndcg(k: int = 10) -> Metric:
    """1 / log₂(place + 1) if the held-out item is among the first k of its candidates: NDCG@k of the NCF protocol."""
    return lists.ndcg(k)._replace(name=f"sampled_ndcg@{k}")


SAMPLED: dict[str, Callable[[int], Metric]] = {"sampled_hit_rate": sampled_hit_rate, "sampled_ndcg": sampled_ndcg}


def sampled_lists(positive: np.ndarray, negatives: np.ndarray) -> Lists:
    """Lists of one relevant item and its sampled candidates.

    A negative that scores as high as the held-out item stands before it: a constant scorer finds nothing.

    Args:
        positive: (G,) what the held-out item of each list is ordered by.
        negatives: (G, n) the same of its negatives.

    Raises:
        DataError: for shapes that do not fit, or what is no finite number.
    """
    if positive.ndim != 1 or negatives.ndim != 2 or len(positive) != len(negatives):
        raise DataError(f"positives of shape {positive.shape} and negatives of {negatives.shape}: (G,) and (G, n).")
    if not (np.isfinite(positive).all() and np.isfinite(negatives).all()):
        raise DataError("a score is no finite number.", hint="refit the model.")
    n_lists = len(positive)
    place = (negatives >= positive[:, None]).sum(1)
    n_candidates = np.full(n_lists, negatives.shape[1] + 1)
    return Lists(np.full((n_lists, 0), -1), n_candidates, np.arange(n_lists), place, np.ones(n_lists))
