"""What a newcomer tells of themselves: items, by id or by title, and what they gave them.

An item is named as ``titles`` says. An item that is named twice is refused, and so is a rating that is no number on
train's scale, and a history longer than the catalogue, which must repeat itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import DataError, SettingError
from ..ratings import Ratings
from ..settings import fits
from .answers import Id
from .names import rows_of
from .titles import Titles, item_row

History: TypeAlias = Mapping[Id, float] | Iterable[Id]


class Known(NamedTuple):
    """Rated items.

    Attributes:
        rows: (n,) int32 item rows.
        values: (n,) float32 what was given; ones for clicks.
    """

    rows: np.ndarray
    values: np.ndarray


def read(history: History, train: Ratings, titles: Titles) -> Known:
    """A history as rows and values.

    Args:
        history: item -> rating; of clicks, items alone will do.
        train: whose items and scale these are.
        titles: of its items.

    Raises:
        SettingError: for what is no history.
        UnknownIdError: for an item that train does not name, with a near miss.
        DataError: for a title of several items, an item named twice, or a rating off the scale.
    """
    if train.values is None and isinstance(history, Iterable) and not isinstance(history, (str, bytes, Mapping)):
        history = dict.fromkeys(history, 1.0)
    if not isinstance(history, Mapping):
        raise SettingError(f"the history is a {type(history).__name__}.", hint="a dict: {item id: rating, …}.")
    if len(history) > train.n_items:
        what = f"the history has {len(history):,} entries, and train knows {train.n_items:,} items."
        raise DataError(what, hint="each item once.")
    values = ratings_of(history, train)
    rows = np.fromiter((item_row(name, train, titles) for name in history), np.int32, len(history))
    _once(rows, list(history), train)
    return Known(rows, values)


def read_raters(ratings: History, train: Ratings) -> Known:
    """Who gave a new item what: user rows and ratings.

    Raises:
        SettingError: for what is no mapping.
        UnknownIdError: for a user that train does not name, with a near miss.
        DataError: for a user named twice, or a rating off the scale.
    """
    if train.values is None and isinstance(ratings, Iterable) and not isinstance(ratings, (str, bytes, Mapping)):
        ratings = dict.fromkeys(ratings, 1.0)
    if not isinstance(ratings, Mapping):
        if not isinstance(ratings, tuple) or ratings:
            raise SettingError(f"the ratings are a {type(ratings).__name__}.", hint="a dict: {user id: rating, …}.")
        ratings = {}
    values = ratings_of(ratings, train, whose="the rating of user")
    rows = rows_of(train.user_ids, list(ratings), "users")
    if len(np.unique(rows)) < len(rows):
        raise DataError("the ratings name a user twice.", hint="keep one of them.")
    return Known(rows, values)


def ratings_of(history: Mapping[Id, float], train: Ratings, whose: str = "the history's rating of item") -> np.ndarray:
    """The ratings (n,) float32, each a number on train's scale; ``whose`` they are, where one is not."""
    low, high = (-np.inf, np.inf) if train.values is None else train.scale()
    slack = 0.0 if train.values is None else float(np.spacing(np.float32(max(abs(low), abs(high)))))
    for name, value in history.items():
        if not fits(value, float) or not math.isfinite(value):
            raise DataError(f"{whose} {name!r} is {value!r}.", hint="give a number.")
        if not low - slack <= value <= high + slack:
            declared = "" if train.y_range else "; Ratings read with y_range=(low, high) may declare another"
            what = f"{whose} {name!r} is {value:g}; the scale is from {low:g} to {high:g}."
            raise DataError(what, hint=f"give ratings on that scale{declared}.")
    return np.fromiter(history.values(), np.float32, len(history))


def _once(rows: np.ndarray, names: list[Any], train: Ratings) -> None:
    """Refuse an item that was named twice: by its id and by its title, say."""
    first: dict[int, Any] = {}
    for row, name in zip(rows.tolist(), names, strict=True):
        if row in first:
            what = f"the history names item {train.item_ids[row]!r} twice: as {first[row]!r} and as {name!r}."
            raise DataError(what, hint="keep one of them.")
        first[row] = name
