"""Lines of a user and then items, ``user item item …``, as many data sets of clicks are published (Gowalla's, say)."""

from __future__ import annotations

import io
import re
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from ..errors import DataError, arg
from ..files import clear_errors
from ..ids import as_ids
from .columns import WHOLE, Source, odd_ids, whole_if_all
from .text import STAND_IN, TextTable

LOOK = 1_000  # lines by which such a file is recognised


def is_lists(sheet: TextTable) -> bool:
    """Whether lines without a separator hold whole numbers between spaces, and not all of them as many.

    Raises:
        DataError: where all have as many, three or more: they may be columns.
    """
    if len(sheet.names) > 1:
        return False
    with sheet.text.open("rb") if isinstance(sheet.text, Path) else io.BytesIO(sheet.text) as stream:
        lines = [line.split() for line in islice(stream, LOOK)]
    if not all(re.fullmatch(WHOLE.encode(), word) for line in lines for word in line):
        return False
    counts = {len(line) for line in lines} - {0}
    if len(counts) == 1 and max(counts) > 2:
        raise DataError(
            f"{sheet.name}: each line has {max(counts)} numbers between spaces: columns, or a user and items?",
            hint=f"{arg('separator', ' ')} for columns, or {arg('lists', True)}.",
        )
    return len(counts) > 1 or counts == {2}


def read_lists(sheet: TextTable, separator: str | None) -> Source:
    """Clean columns of such lines; what stands between the words is any run of spaces where none is named.

    Raises:
        DataError: where nobody has an item, or an id is missing.
    """
    with clear_errors(Path(sheet.name), "read"):
        lines = _lines(sheet, separator)
    words = lines["words"].list
    n_items = lines.select(n=pl.col("words").list.len() - 1)["n"].to_numpy()
    if not n_items.sum():
        raise DataError(f"{sheet.name}: no line has a user and an item.", hint="lines are: user item item …")
    user, item = words.first().gather(np.repeat(np.arange(len(lines)), n_items)), words.slice(1).explode().drop_nulls()
    notes = (*sheet.notes, f"{sheet.name} was read as lines of a user and then items: these are clicks.")
    if n := int((n_items == 0).sum()):
        notes += (f"{n:,} lines have a user and no items: they were left out.",)
    ids = {}
    for role, column in (("user", user), ("item", item)):
        whole, note = whole_if_all(column, role)
        ids[role] = as_ids(whole, f"{sheet.name}, the {role}s")
        notes += note + odd_ids(ids[role], role)
    at = lines["line"].to_numpy()[np.repeat(np.arange(len(lines)), n_items)]
    where = f"{sheet.name}, line "
    return Source(ids["user"], ids["item"], None, None, sheet.name, lambda i: f"{where}{at[i]}", notes)


def _lines(sheet: TextTable, separator: str | None) -> pl.DataFrame:
    """Each line that is not blank: its number, and its words (a list column)."""
    content = sheet.text.read_bytes() if isinstance(sheet.text, Path) else sheet.text
    frame = pl.DataFrame({"text": content.decode("utf-8-sig").split("\n")})
    frame = frame.with_columns(line=pl.int_range(1, pl.len() + 1) + sheet.skipped)
    if separator is None:
        words = pl.col("text").str.extract_all(r"\S+")
    else:
        mark = STAND_IN if len(separator.encode()) > 1 else separator  # as open_sheet replaced it
        words = pl.col("text").str.split(mark).list.eval(pl.element().str.strip_chars()).list.filter(pl.element() != "")
    return frame.with_columns(words=words).filter(pl.col("words").list.len() > 0)
