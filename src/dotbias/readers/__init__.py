"""From files and frames to clean columns: what each column is, and the checks on bad input.

Every complaint names the file, the line and the value. This module knows columns of ids, numbers and times; it numbers
nothing (``ratings`` does). ``text`` reads lines, ``columns`` chooses and checks,
``tables`` takes frames and side tables.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import SettingError
from . import parquet, times
from .columns import NAMES, Columns, Source, check_values, checked_range, choose_columns, clean, recognise
from .lists import is_lists, read_lists
from .opening import neighbours, open_text
from .sql import is_url, read_sql
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
    "is_url",
    "native_columns",
    "neighbours",
    "open_sheet",
    "open_text",
    "parquet",
    "read_csv",
    "read_frame",
    "read_parquet",
    "read_sql",
    "read_table",
    "recognise",
    "times",
    "unguarded",
]


def read_csv(
    path: Path,
    columns: Columns,
    *,
    separator: str | None,
    header: bool | None,
    encoding: str | None,
    lists: bool | None = False,
) -> Source:
    """Clean columns of a text file; see ``Ratings.from_csv`` for the arguments."""
    sheet = open_sheet(path, separator=separator, header=header, encoding=encoding, names=_positional(columns))
    said = header is not None or any(asked is not None for asked in columns.values())
    if lists or (lists is None and not said and separator is None and is_lists(sheet)):
        if said:
            raise SettingError("lines of a user and items have no columns and no header.", hint="lists=False, then.")
        return read_lists(sheet, separator)
    chosen = choose_columns(sheet.names, columns, sheet.name, header=sheet.header)
    frame = sheet.typed(chosen)
    notes = (*sheet.notes, *times.overlooked(sheet.names, chosen, columns.get("time"), frame))
    return clean(frame, chosen, sheet.name, sheet.where, notes, text=True)


def _positional(columns: Columns) -> list[str]:
    """Names for a file without a header: user, item, rating (or count), time, less what is refused."""
    number = "rating" if columns.get("count") in (None, False) else "count"
    return ["user", "item", *(role for role in (number, "time") if columns.get(role) is not False)]
