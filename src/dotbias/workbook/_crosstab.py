"""The crosstab of the users and items with most ratings. This module knows no model and no sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import DataError, SettingError
from ..ratings import Ratings

LONGEST = 80  # characters of a title or id in a cell


class Crosstab(NamedTuple):
    """The ratings between the users and the items with most ratings.

    Attributes:
        users: (U,) rows into the ratings' users, by ascending id.
        items: (I,) rows into the ratings' items, by ascending id.
        ratings: (U, I) float64, NaN where there is none.
        user_labels: (U,) what a sheet calls a user; unique to MATCH, which ignores case and knows wildcards.
        item_labels: (I,) what a sheet calls an item.
        titles: (I,) what people call an item; unique.
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    user_labels: Sequence[int | str]
    item_labels: Sequence[int | str]
    titles: list[str]


def most_rated(ratings: Ratings, n: int) -> Crosstab:
    """The crosstab of the n users and n items with most ratings, counted over all ratings (ties: the lower id).

    Raises:
        SettingError: if n is not between 2 and 40.
        DataError: without values, or where these users and items share fewer than two ratings.
    """
    if not 2 <= n <= 40:
        raise SettingError(f"n is {n!r}; a crosstab has 2 to 40 users and items.", hint="try n=15, the lesson's.")
    values = ratings.explicit()
    users = _busiest(ratings.user_counts, n, ratings.user_ids.take)
    items = _busiest(ratings.item_counts, n, ratings.item_ids.take)
    place_u, place_i = np.full(ratings.n_users, -1), np.full(ratings.n_items, -1)
    place_u[users], place_i[items] = np.arange(len(users)), np.arange(len(items))
    u, i = place_u[ratings.users], place_i[ratings.items]
    inside = (u >= 0) & (i >= 0)
    if inside.sum() < 2:
        what = f"the {len(users)} users and {len(items)} items with most ratings share {inside.sum()} ratings."
        raise DataError(what, hint="a larger n reaches more of them.")
    table = np.full((len(users), len(items)), np.nan)
    table[u[inside], i[inside]] = values[inside]
    titles = ratings.item_titles or [None] * ratings.n_items
    item_ids = ratings.item_ids.take(items)
    return Crosstab(
        users,
        items,
        table,
        _labels(ratings.user_ids.take(users)),
        _labels(item_ids),
        _unique([titles[row] or str(id) for row, id in zip(items, item_ids, strict=True)]),
    )


def _busiest(counts: np.ndarray, n: int, ids_of: Callable[[np.ndarray], list]) -> np.ndarray:
    """The n rows with the highest counts, of equal ones those with the lower ids; by ascending id."""
    nth = np.sort(counts)[::-1][: n + 1][-1] if len(counts) > n else 0
    rows = np.flatnonzero(counts >= nth)  # few: only their ids are read
    ids = dict(zip(rows.tolist(), ids_of(rows), strict=True))
    chosen = sorted(rows.tolist(), key=lambda row: (-counts[row], ids[row]))[:n]
    return np.array(sorted(chosen, key=ids.__getitem__))


def _labels(ids: list) -> Sequence[int | str]:
    """Whole numbers that a sheet holds exactly (15 digits), or texts."""
    if all(isinstance(id, int) and abs(id) < 10**15 for id in ids):
        return ids
    texts = [str(id) for id in ids]
    return _unique(texts, always=any(set(text) & set("*?~") for text in texts))


def _unique(texts: list[str], *, always: bool = False) -> list[str]:
    """Texts that fit a cell, numbered where two would look the same to a sheet (which ignores case)."""
    cut = [text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in texts]
    if not always and len({text.casefold() for text in cut}) == len(cut):
        return cut
    wild = str.maketrans("*?~", "···") if always else {}
    return [f"{k}: {text.translate(wild)}" for k, text in enumerate(cut, start=1)]
