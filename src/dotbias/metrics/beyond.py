"""What lists are like, apart from being right: how much of the catalogue they show, and how popular it is.

All take the first k places of every user's list; users whose list is empty do not count. Popularity is an item's number
of ratings in train. These need ``Lists.catalogue``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import SettingError
from .kinds import Better, Catalogue, Lists, Metric, Values, each, same

FEW = 5  # ratings: an item with fewer is known by little


def coverage(k: int = 10) -> Metric:
    """The share of the items rated in train that stand in at least one list.

    It is no mean over users, and grows with their number. Its values per user are the jackknife's (Efron & Stein
    1981): their mean is the coverage, and their spread how far it hangs on single users.
    """

    def values(top: np.ndarray, catalogue: Catalogue) -> Values:
        items = _items(top)
        shown = np.bincount(items, minlength=len(catalogue.item_counts))
        alone = _per_list(top, shown == 1).sum(1)  # (G,) items that no other list shows
        some = _lengths(top) > 0
        n, n_items = max(int(some.sum()), 1), max(int((catalogue.item_counts > 0).sum()), 1)
        mean, away = (shown > 0).sum() / n_items, (alone - alone.sum() / n) * (n - 1) / n_items
        return each(np.where(some, mean + away, np.nan))

    return _metric("coverage", k, values, "neither", "share of rated items in some list", most=1.0)._replace(joint=True)


def gini(k: int = 10) -> Metric:
    """How unequally the items rated in train are shown: 0 if all equally often, near 1 if a few take every place.

    Σ (2r - I - 1) c_r / (I Σ c), for the I items' numbers of lists c_1 <= … <= c_I. A user's value is the part that
    their list has in that sum.
    """

    def values(top: np.ndarray, catalogue: Catalogue) -> Values:
        rated = catalogue.item_counts > 0
        shown = np.bincount(_items(top), minlength=len(rated))
        weight = np.zeros(len(rated))
        weight[rated] = (2 * _mid_rank(shown[rated]) - rated.sum() - 1) / max(int(rated.sum()), 1)
        return Values(_per_list(top, weight).sum(1), _lengths(top))

    return _metric("gini", k, values, "low", "inequality of how often items are shown", most=1.0)._replace(joint=True)


def novelty(k: int = 10) -> Metric:
    """Mean self-information of the items shown: -log₂ of the share of users who rated each (Zhou et al. 2010)."""

    def values(top: np.ndarray, catalogue: Catalogue) -> Values:
        bits = np.log2(max(catalogue.n_users, 1)) - np.log2(np.maximum(catalogue.item_counts, 1))
        return _mean(top, bits)

    return _metric("novelty", k, values, "neither", "mean surprise of the items shown, in bits")


def diversity(k: int = 10) -> Metric:
    """Mean distance 1 - cosine of all pairs of items in a list; an item is the set of users who rated it in train.

    The cosine is users in common / √(users of one · users of the other). Lists of fewer than two items do not count.
    """

    def values(top: np.ndarray, catalogue: Catalogue) -> Values:
        a, b = np.triu_indices(top.shape[1], 1)
        left, right = top[:, a], top[:, b]  # (G, pairs)
        there = (left >= 0) & (right >= 0)
        distance = np.zeros(there.shape)
        distance[there] = 1 - _cosines(left[there], right[there], catalogue)
        n = there.sum(1)
        return each(np.where(n > 0, distance.sum(1) / np.maximum(n, 1), np.nan))

    return _metric("diversity", k, values, "neither", "mean distance of the items in a list", most=1.0)


def popularity_lift(k: int = 10) -> Metric:
    """Mean popularity of the lists over that of the users' histories, less 1 (Abdollahpouri et al. 2019, ΔGAP).

    0: the lists are as popular as what people rated; 1: twice as popular. Users without a history do not count.
    """

    def values(top: np.ndarray, catalogue: Catalogue) -> Values:
        shown, counts = _mean(top, catalogue.item_counts.astype(np.float64))
        history = np.where(counts > 0, catalogue.history_popularity, np.nan)
        known = ~np.isnan(history)
        return Values(np.where(known, shown, 0.0), np.where(known, history, 0.0))

    return _metric(
        "popularity_lift", k, values, "neither", "popularity of lists over that of histories, less 1", _less_1
    )


def few_ratings(k: int = 10) -> Metric:
    """The share of places taken by items with fewer than 5 ratings in train."""

    def values(top: np.ndarray, catalogue: Catalogue) -> Values:
        return Values(_per_list(top, catalogue.item_counts < FEW).sum(1), _lengths(top))

    return _metric("few_ratings", k, values, "neither", f"share of items with under {FEW} ratings", most=1.0)


BEYOND: dict[str, Callable[[int], Metric]] = {
    "coverage": coverage,
    "gini": gini,
    "novelty": novelty,
    "diversity": diversity,
    "popularity_lift": popularity_lift,
    "few_ratings": few_ratings,
}


def _metric(
    name: str,
    k: int,
    values: Callable[[np.ndarray, Catalogue], Values],
    better: Better,
    about: str,
    finish: Callable[[Any], Any] = same,
    most: float = np.inf,
) -> Metric:
    def found(x: Lists) -> Values:
        if x.catalogue is None:
            raise SettingError(f"{name}@{k} needs to know train.", hint="evaluate(…, train=train)")
        return values(x.top[:, :k], x.catalogue)

    return Metric(f"{name}@{k}", "lists", found, better, finish, most, k, about)


def _less_1(x: Any) -> Any:
    return x - 1


def _items(top: np.ndarray) -> np.ndarray:
    """The item rows in all lists, each as often as it stands there."""
    return top[top >= 0]


def _lengths(top: np.ndarray) -> np.ndarray:
    """(G,) items of each list."""
    return (top >= 0).sum(1).astype(np.float64)


def _per_list(top: np.ndarray, of_item: np.ndarray) -> np.ndarray:
    """A number of each item (I,) -> of each place (G, k), 0 where a list has ended."""
    return np.where(top >= 0, of_item[top], 0).astype(np.float64)


def _mean(top: np.ndarray, of_item: np.ndarray) -> Values:
    """The mean over each list."""
    n = _lengths(top)
    return each(np.where(n > 0, _per_list(top, of_item).sum(1) / np.maximum(n, 1), np.nan))


def _mid_rank(counts: np.ndarray) -> np.ndarray:
    """Ranks (n,) from 1; equal numbers share the mean of theirs."""
    _, inverse, n = np.unique(counts, return_inverse=True, return_counts=True)
    return (np.cumsum(n) - (n - 1) / 2)[inverse]


def _cosines(left: np.ndarray, right: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    """Of pairs of item rows (P,), (P,) -> (P,), each distinct pair computed once."""
    n = len(catalogue.item_counts)
    pairs, inverse = np.unique(
        np.minimum(left, right).astype(np.int64) * n + np.maximum(left, right), return_inverse=True
    )
    used, rows = np.unique(np.stack([pairs // n, pairs % n]), return_inverse=True)
    bits, (a, b) = catalogue.raters(used), rows.reshape(2, -1)
    common = np.empty(len(pairs))
    step = max(1, (1 << 21) // max(bits.shape[1], 1))
    for k in range(0, len(pairs), step):
        at = slice(k, k + step)
        common[at] = np.bitwise_count(bits[a[at]] & bits[b[at]]).sum(1)
    size = np.bitwise_count(bits).sum(1).astype(np.float64)
    return (common / np.sqrt(np.maximum(size[a] * size[b], 1)))[inverse.reshape(-1)]
