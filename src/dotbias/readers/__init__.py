"""From files and frames to clean columns: what each column is, and the checks on bad input.

Every complaint names the file, the line and the value. This module knows columns of ids, numbers and times; it numbers
nothing (``ratings`` does). ``text`` reads lines, ``columns`` chooses and checks,
``tables`` takes frames and side tables.
"""

from __future__ import annotations

from pathlib import Path

from . import parquet, times
from .columns import NAMES, Columns, Source, check_values, checked_range, choose_columns, clean, recognise
from .opening import neighbours, open_text
from .tables import (
    TITLES,
    align_table,
    as_text,
    guarded,
    native_columns,
    read_frame,
    read_parquet,
    read_table,
    unguarded,
)
from .text import SEPARATORS, open_sheet

__all__ = [
    "NAMES",
    "SEPARATORS",
    "TITLES",
    "Columns",
    "Source",
    "align_table",
    "as_text",
    "check_values",
    "checked_range",
    "choose_columns",
    "clean",
    "guarded",
    "native_columns",
    "neighbours",
    "open_sheet",
    "open_text",
    "parquet",
    "read_csv",
    "read_frame",
    "read_parquet",
    "read_table",
    "recognise",
    "times",
    "unguarded",
]


def read_csv(
    path: Path, columns: Columns, *, separator: str | None, header: bool | None, encoding: str | None
) -> Source:
    """Clean columns of a text file; see ``Ratings.from_csv`` for the arguments."""
    sheet = open_sheet(path, separator=separator, header=header, encoding=encoding, names=_positional(columns))
    chosen = choose_columns(sheet.names, columns, sheet.name, header=sheet.header)
    frame = sheet.typed(chosen)
    notes = (*sheet.notes, *times.overlooked(sheet.names, chosen, columns.get("time"), frame))
    return clean(frame, chosen, sheet.name, sheet.where, notes, text=True)


def _positional(columns: Columns) -> list[str]:
    """Names for a file without a header: user, item, rating, time, less what is refused."""
    return ["user", "item", *(role for role in ("rating", "time") if columns.get(role) is not False)]
