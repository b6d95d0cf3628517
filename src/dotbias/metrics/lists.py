"""How good is the order? One value per user, from the places of the relevant items in the user's ranked list.

Conventions, for all: the mean over users with at least one relevant item; other users do not count. A relevant item
that was no candidate (train never saw it) can never be found, and counts against the list. A list that is empty or
shorter than k is as if filled with items that are not relevant. Places count from 1 below. ``k`` is how many first
places are looked at; None for the whole list, and then the name has no ``@``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from .kinds import NOWHERE, Lists, Metric, Values, each

Gain = Literal["binary", "linear", "exp"]
_GAINS: dict[Gain, Callable[[np.ndarray], np.ndarray]] = {
    "binary": np.ones_like,
    "linear": np.positive,
    "exp": lambda r: np.exp2(r) - 1,
}


def recall(k: int | None = 10) -> Metric:
    """Of the user's relevant items, the share among the first k (the divisor is their number, even above k)."""
    return _metric("recall", k, lambda x: _hits(x, k) / _some(x.n_relevant), "share of the relevant found")


def precision(k: int | None = 10) -> Metric:
    """Of the first k places, the share that is relevant; k places, however short the list (None: the candidates)."""

    def values(x: Lists) -> np.ndarray:
        return np.where(x.n_relevant > 0, _hits(x, k) / (np.maximum(x.n_candidates, 1) if k is None else k), np.nan)

    return _metric("precision", k, values, "share of the first places that is relevant")


def hit_rate(k: int | None = 10) -> Metric:
    """1 if a relevant item is among the first k, else 0."""
    return _metric(
        "hit_rate", k, lambda x: np.where(x.n_relevant > 0, _hits(x, k) > 0, np.nan), "share of users with a hit"
    )


def ndcg(k: int | None = 10, *, gain: Gain = "binary") -> Metric:
    """Discounted cumulative gain over that of the ideal order (Järvelin & Kekäläinen 2002).

    Σ gain / log₂(place + 1) over the first k places, divided by its maximum: the relevant items in the order of their
    gains, the first k of them.

    Args:
        k: how many first places.
        gain: of a relevant item, "binary" (1), "linear" (its rating) or "exp" (2^rating - 1, Burges et al. 2005). The
            last two are named in the metric: ``ndcg_linear@10``, ``ndcg_exp@10``.
    """

    def values(x: Lists) -> np.ndarray:
        gains = _GAINS[gain](x.gain.astype(np.float64))
        order = np.lexsort((-gains, x.owner))
        ideal = _sum(x, _discounted(gains[order], _rank(x.owner[order]), k), x.owner[order])
        return np.where(
            x.n_relevant > 0, _sum(x, _discounted(gains, x.place, k)) / np.where(ideal > 0, ideal, 1), np.nan
        )

    name = "ndcg" if gain == "binary" else f"ndcg_{gain}"
    return _metric(name, k, values, f"discounted gain ({gain}) over the ideal's")


def average_precision(k: int | None = 10) -> Metric:
    """Mean average precision: the precision at each relevant item of the first k, over min(k, relevant items)."""

    def values(x: Lists) -> np.ndarray:
        order = np.lexsort((x.place, x.owner))
        owner, place = x.owner[order], x.place[order]
        found = place < (NOWHERE if k is None else k)
        at_each = np.where(found, (_rank(owner) + 1) / (place.astype(np.float64) + 1), 0.0)
        most = x.n_relevant if k is None else np.minimum(x.n_relevant, k)
        return _sum(x, at_each, owner) / _some(most)

    return _metric("map", k, values, "mean precision at each relevant item")


def reciprocal_rank(k: int | None = 10) -> Metric:
    """1 / place of the first relevant item; 0 if none is among the first k."""

    def values(x: Lists) -> np.ndarray:
        first = np.full(len(x.top), NOWHERE, np.int64)
        np.minimum.at(first, x.owner, x.place)
        found = first < (NOWHERE if k is None else k)
        return np.where(x.n_relevant > 0, found / (first + 1.0), np.nan)

    return _metric("mrr", k, values, "1 / place of the first relevant item")


def auc(k: int | None = None) -> Metric:
    """Of the pairs of a relevant item and a candidate that is not, the share in which the relevant one stands first.

    With k, what lies below the first k places counts as if in random order (limited AUC, Schröder, Thiele & Lehner
    2011). A relevant item that was no candidate loses every pair. Users all of whose candidates are relevant do not
    count.
    """

    def values(x: Lists) -> np.ndarray:
        order = np.lexsort((x.place, x.owner))
        owner, place = x.owner[order], x.place[order].astype(np.int64)
        found, ranked = place < (NOWHERE if k is None else k), place < NOWHERE
        others = x.n_candidates - _sum(x, ranked, owner)  # (G,) candidates that are not relevant
        won = np.where(found, others[owner] - (place - _rank(owner)), 0.0)
        below = 0.0
        if k is not None:
            n_found, n_ranked = _sum(x, found, owner), _sum(x, ranked, owner)
            left = np.maximum(others - (np.minimum(k, x.n_candidates) - n_found), 0)
            below = (n_ranked - n_found) * left / 2
        pairs = others * x.n_relevant
        return np.where(pairs > 0, (_sum(x, won, owner) + below) / np.maximum(pairs, 1), np.nan)

    return _metric("auc", k, values, "share of pairs in the right order")


LISTS: dict[str, Callable[[int | None], Metric]] = {
    "recall": recall,
    "precision": precision,
    "hit_rate": hit_rate,
    "ndcg": ndcg,
    "ndcg_linear": lambda k: ndcg(k, gain="linear"),
    "ndcg_exp": lambda k: ndcg(k, gain="exp"),
    "map": average_precision,
    "mrr": reciprocal_rank,
    "auc": auc,
}


def _metric(name: str, k: int | None, values: Callable[[Lists], np.ndarray], about: str) -> Metric:
    def counted(x: Lists) -> Values:
        return each(values(x))

    named = name if k is None else f"{name}@{k}"
    return Metric(named, "lists", counted, "high", most=1.0, depth=k, about=about)


def _sum(x: Lists, values: np.ndarray, owner: np.ndarray | None = None) -> np.ndarray:
    """Sums (G,) of values (P,) by owner."""
    return np.bincount(x.owner if owner is None else owner, values, len(x.top))


def _hits(x: Lists, k: int | None) -> np.ndarray:
    """(G,) relevant items among the first k."""
    return _sum(x, x.place < (NOWHERE if k is None else k))


def _some(n: np.ndarray) -> np.ndarray:
    """n, and NaN where it is 0."""
    return np.where(n > 0, n, np.nan)


def _rank(owner: np.ndarray) -> np.ndarray:
    """0, 1, 2 … within each run of an owner (P,), sorted."""
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]) if len(owner) else np.zeros(0, np.int64)
    return np.arange(len(owner)) - np.repeat(starts, np.diff(np.r_[starts, len(owner)]))


def _discounted(gains: np.ndarray, place: np.ndarray, k: int | None) -> np.ndarray:
    """gain / log₂(place + 2) for places counted from 0; 0 from the k-th on."""
    return np.where(place < (NOWHERE if k is None else k), gains / np.log2(place.astype(np.float64) + 2), 0.0)
