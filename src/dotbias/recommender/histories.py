"""What a newcomer tells of themselves: items, by id or by title, and what they gave them.

An item is its id; or text that is an id; or its whole title, with or without the year at its end, whatever the case. An
id goes before a title. A title that several items have is refused, and so is an item that is named twice, a rating that
is no number on train's scale, and a history longer than the catalogue, which must repeat itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, SettingError, UnknownIdError, did_you_mean
from ..ratings import Ratings
from ..settings import fits
from .answers import Id
from .names import rows_of

SEVERAL = -1  # items have this title
NEAR = 20_000  # titles among which a near miss is looked for
_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")


class Known(NamedTuple):
    """Rated items.

    Attributes:
        rows: (n,) int32 item rows.
        values: (n,) float32 what was given; ones for clicks.
    """

    rows: np.ndarray
    values: np.ndarray


class Titles:
    """From titles to rows.

    Args:
        titles: by row, or None.
    """

    def __init__(self, titles: Sequence[str | None]):
        self.titles = titles
        self.row_of: dict[str, int] = {}
        for names in (_plain, _without_year):  # a title as it is goes before one that has lost its year
            found: dict[str, int] = {}
            for row, title in enumerate(titles):
                if title:
                    name = names(title)
                    found[name] = SEVERAL if name in found else row
            self.row_of = {**found, **self.row_of}

    def like(self, text: str, n: int = 5) -> list[int]:
        """The first rows whose title begins as this text does."""
        start = _plain(text)
        return [row for row, title in enumerate(self.titles) if title and _plain(title).startswith(start)][:n]


def _plain(title: str) -> str:
    return title.strip().casefold()


def _without_year(title: str) -> str:
    return _YEAR.sub("", _plain(title))


def read(history: Mapping[Id, float] | Iterable[Id], train: Ratings, titles: Titles) -> Known:
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


def read_raters(ratings: Mapping[Id, float] | Iterable[Id], train: Ratings) -> Known:
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


def item_row(name: Any, train: Ratings, titles: Titles) -> int:
    """The row of an item named by its id or its title.

    Raises:
        UnknownIdError: for neither, with a near miss.
        DataError: for a title that several items have.
    """
    ids = train.item_ids
    if not isinstance(name, str):
        if not isinstance(name, (int, float, np.integer)) or isinstance(name, bool):
            raise SettingError(f"among the items is {name!r}, which is no id.", hint="ids are whole numbers or text.")
        return ids.row(name)
    if (typed := ids.typed(name)) in ids:
        return ids.row(typed)
    row = titles.row_of.get(_plain(name))
    if row is None:
        names = [t for t in titles.titles[:NEAR] if t]
        short = [i for i in ids.values.head(NEAR).to_list() if isinstance(i, str)]
        raise UnknownIdError(f"no item has the id or the title {name!r}.", hint=did_you_mean(name, [*short, *names]))
    if row == SEVERAL:
        shown = ", ".join(f"{ids[r]} {titles.titles[r]}" for r in titles.like(name))
        raise DataError(f"several items have the title {name!r}: {shown}.", hint="give the id, or the year too.")
    return row


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
