"""Items by their titles.

An item is its id; or text that is an id; or its whole title, with or without the year at its end, whatever the case. An
id goes before a title. A title that several items have is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError, SettingError, UnknownIdError, did_you_mean
from ..ratings import Ratings
from .answers import Id

SEVERAL = -1  # items have this title
NEAR = 20_000  # titles among which a near miss is looked for
_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")


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

    def holding(self, text: str) -> list[int]:
        """The rows whose title contains this text."""
        part = text.casefold()
        return [row for row, title in enumerate(self.titles) if title and part in title.casefold()]


def _plain(title: str) -> str:
    return title.strip().casefold()


def _without_year(title: str) -> str:
    return _YEAR.sub("", _plain(title))


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


def found_item(text: Any, train: Ratings, titles: Titles) -> Id:
    """The id of an item, by its id, its title, or a part of it that no other title has.

    Raises:
        UnknownIdError: if it is neither.
        DataError: if several titles have it.
    """
    ids, text = train.item_ids, str(text)
    if not text.strip():
        raise UnknownIdError("no item is named: the text is empty.", hint="an item's id, or a part of its title.")
    if (typed := ids.typed(text)) in ids:
        return typed
    if (whole := titles.row_of.get(_plain(text), SEVERAL)) != SEVERAL:
        return ids[whole]
    found = titles.holding(text)
    if len(found) > 1:
        shown = ", ".join(f"{ids[r]} {titles.titles[r]}" for r in found[:5]) + ", …" * (len(found) > 5)
        raise DataError(f"{len(found)} titles contain {text!r}: {shown}", hint="give an id, or more of the title.")
    if not found:
        raise UnknownIdError(f"no item has the id {text!r}, and no title contains it.", hint="look at the item table.")
    return ids[found[0]]
