"""Frames and Parquet as sources, and side tables brought into the order of ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..errors import DataError, SettingError, arg, did_you_mean
from ..files import as_path
from ..ids import Ids, as_ids, texts
from . import parquet
from .columns import NAMES, SPELL_MISSING, WHOLE, Columns, Source, choose_columns, clean, recognise
from .opening import open_source
from .text import open_sheet
from .times import overlooked

TITLES = ("title", "name")  # columns that name rows for people


def read_parquet(path: Path, columns: Columns, *, content: bytes | None = None) -> Source:
    """Clean columns of a Parquet file; ``content`` where it has been fetched already, and the path only names it."""
    source = open_source(path) if content is None else content
    names = parquet.names(source, path.name)
    chosen = choose_columns(names, columns, path.name)
    frame = parquet.read(source, path.name, list(dict.fromkeys(chosen.values())))
    notes = overlooked(names, chosen, columns.get("time"))
    return clean(frame, chosen, path.name, lambda i: f"{path.name}, row {int(i)}", notes)


def read_frame(frame: Any, columns: Columns) -> Source:
    """Clean columns of a pandas, polars or pyarrow table."""
    table = native_columns(frame)
    chosen = choose_columns(list(table), columns, "the frame")
    used = pl.DataFrame({name: _as_series(table[name], name) for name in chosen.values()})
    notes = overlooked(list(table), chosen, columns.get("time"))
    return clean(used, chosen, "the frame", lambda i: f"the frame, row {int(i)}", notes)


def native_columns(frame: Any) -> dict[str, Any]:
    """Column name -> narwhals Series, of any eager frame that narwhals knows."""
    import narwhals as nw

    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError as e:
        hint = "collect() it first." if isinstance(frame, pl.LazyFrame) else "give a pandas, polars or pyarrow one."
        raise DataError(f"a {type(frame).__name__} is no table known here.", hint=hint) from e
    except nw.exceptions.NarwhalsError as e:
        raise DataError(f"this {type(frame).__name__} cannot be used: {e}", hint="are its columns distinct?") from e
    columns = {str(name): table.get_column(name) for name in table.columns}  # names may be numbers
    if len(columns) < len(table.columns):
        raise DataError("two columns of the frame have names that print alike.", hint="rename one of them.")
    return columns


def _as_series(column: Any, name: str) -> pl.Series:
    """A narwhals Series as a polars one, without pyarrow's help (pandas text columns would need it)."""
    native = column.to_native()
    if isinstance(native, pl.Series):
        return native.alias(name)
    if type(native).__module__.startswith("pyarrow"):
        return pl.Series(name, native)
    try:
        values = column.to_numpy()
    except (AttributeError, TypeError, ValueError):  # cells that are arrays
        values = np.empty(0, object)
    if values.dtype.kind in "mM":  # polars takes only some of their units
        values = values.astype(f"{values.dtype.kind}8[us]")
    if values.dtype != object:
        return pl.Series(name, values)
    cells = [None if _is_nothing(v) else v for v in (values.tolist() or column.to_list())]
    try:
        return pl.Series(name, cells, strict=True)
    except (TypeError, ValueError, AttributeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, cells, dtype=pl.Object)


def _is_nothing(cell: Any) -> bool:
    """None, NaN, pandas' NA and NaT."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell)


# Text that a spreadsheet would run ------------------------------------------------------------------------------

_FORMULA = (
    r"^'*[=+\-@\t\r\n＝＋－＠]"  # OWASP, "CSV Injection"; with apostrophes before it, so that both ways are exact
)


def guarded(table: pl.DataFrame) -> pl.DataFrame:
    """A table fit for CSV: text that a spreadsheet would take for a formula gets an apostrophe in front.

    That is text beginning with = + - @ (or their full-width forms), tab or line end, as OWASP recommends, and text
    that so guarded would be taken for guarded already. Numbers stay numbers. :func:`unguarded` undoes it exactly.
    """
    text = pl.col(pl.String)
    return table.with_columns(pl.when(text.str.contains(_FORMULA)).then("'" + text).otherwise(text).name.keep())


def unguarded(table: pl.DataFrame) -> pl.DataFrame:
    """A table read from CSV, without the apostrophes of :func:`guarded` (which spreadsheets hide, too)."""
    text = pl.col(pl.String)
    marked = text.str.contains(_FORMULA) & text.str.starts_with("'")
    return table.with_columns(pl.when(marked).then(text.str.slice(1)).otherwise(text).name.keep())


# Side tables ---------------------------------------------------------------------------------------------------


def align_table(table: Any, ids: Ids, role: str, id: str | None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """A side table's rows in the order of ``ids`` (nulls where it has none), and notes that count what fits.

    NaN is a missing value, as are words for one (NA, NULL, nan) among the numbers of a text file. From a text file,
    ``'=x`` is read as ``=x``: see :func:`guarded`.
    """
    is_path = isinstance(table, (str, Path))
    frame, notes = read_table(table, text=lambda names: [_id_column(names, role, id), *TITLES]), ()
    if is_path and Path(table).suffix != ".parquet":
        frame, notes = _numbers_between_words(unguarded(frame), role)
    frame = frame.with_columns(pl.selectors.float().fill_nan(None))
    column = _id_column(frame.columns, role, id)
    keys = _keys(frame[column], ids, role, from_text=is_path)
    twice = keys.filter(keys.is_duplicated() & keys.is_not_null())
    if len(twice):
        raise DataError(f"the {role} table names {twice[0]!r} twice.", hint="one row an id.")
    known = int(keys.is_in(ids.values.implode()).fill_null(False).sum())
    if not known:
        raise DataError(
            f"no row of the {role} table, by its column {column!r}, is a {role} of the ratings.",
            hint=f"name the right one with {arg('id')}; its columns are {', '.join(map(repr, frame.columns))}.",
        )
    frame = frame.with_columns(keys.alias(column)).filter(keys.is_not_null())
    aligned = ids.values.alias(column).to_frame().join(frame, on=column, how="left", maintain_order="left")
    left_out = f"; {len(keys) - known:,} rows of other {role}s left out" if known < len(keys) else ""
    return aligned, (*notes, f"{role} table: {known:,} of {len(ids):,} {role}s described{left_out}.")


def _numbers_between_words(frame: pl.DataFrame, role: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Text columns that hold numbers but for words for "missing", as numbers; noted."""
    notes, changed = [], []
    for column in frame.get_columns():
        if column.dtype != pl.String:
            continue
        word = column.str.strip_chars().str.to_lowercase().is_in(SPELL_MISSING).fill_null(False)
        numbers = pl.select(pl.when(~word).then(column.str.strip_chars())).to_series().cast(pl.Float64, strict=False)
        n_words, n_cells = int(word.sum()), int(column.is_not_null().sum())
        if n_words and n_cells > n_words and int(numbers.is_not_null().sum()) == n_cells - n_words:
            changed.append(numbers.alias(column.name))
            example = column.filter(word)[0]
            notes.append(f"{role} table, {column.name!r}: {n_words:,} cells such as {example!r} are missing values.")
    return frame.with_columns(changed), tuple(notes)


def as_text(column: pl.Series) -> pl.Series:
    """A column as text, whatever it holds; whole numbers among floats without their ``.0``."""
    if column.dtype == pl.String:
        return column
    if column.dtype.is_float() and bool((column.drop_nulls() == column.drop_nulls().floor()).all()):
        column = column.cast(pl.Int64, strict=False)
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:  # lists, structures, Python's objects
        return texts(column.to_list(), column.name)


def _id_column(names: list[str], role: str, id: str | None) -> str:
    if id is not None and not isinstance(id, str):
        raise SettingError(f"id is {id!r}, no column's name.", hint=did_you_mean(id, names))
    if not names:
        raise DataError(f"the {role} table has no columns.", hint="it needs one of ids.")
    column = id or recognise([n for n in names if n != "title"], (*NAMES[role], "id")) or names[0]
    if column not in names:
        raise DataError(f"the {role} table has no column {column!r}.", hint=did_you_mean(column, names))
    return column


def _keys(column: pl.Series, ids: Ids, role: str, *, from_text: bool) -> pl.Series:
    """The table's ids in the type of the ratings' ids; text from a file that is no such id becomes null."""
    if from_text and column.dtype == pl.String and ids.values.dtype == pl.Int64:
        bare = column.str.strip_chars().str.replace(r"\.0+$", "")
        return pl.select(pl.when(bare.str.contains(WHOLE)).then(bare)).to_series().cast(pl.Int64)
    keys = as_ids(column, f"the {role} table, column {column.name!r}")
    if not len(keys):
        return keys.cast(ids.values.dtype)
    if keys.dtype != ids.values.dtype:
        raise DataError(
            f"the {role} table's ids are {keys.dtype}, the ratings' are {ids.values.dtype}: "
            f"{keys[0]!r} beside {ids[0]!r}.",
            hint="make both the same type.",
        )
    return keys


def read_table(
    table: Any,
    *,
    names: Sequence[str] = (),
    separator: str | None = None,
    encoding: str | None = None,
    text: Any = None,
) -> pl.DataFrame:
    """A polars frame from a path (Parquet, or CSV, by default with a header) or any frame.

    Args:
        table: a path, or a pandas, polars or pyarrow table.
        names: column names of a text file without a header.
        separator: as in ``Ratings.from_csv``.
        encoding: as in ``Ratings.from_csv``.
        text: names -> the columns to leave as text; the rest of a text file is typed by what it holds.
    """
    if not isinstance(table, (str, Path)):
        return pl.DataFrame({name: _as_series(column, name) for name, column in native_columns(table).items()})
    path = as_path(table)
    if path.suffix == ".parquet":
        return parquet.read(open_source(path), path.name)
    sheet = open_sheet(path, separator=separator, header=not names, encoding=encoding, names=names)
    kept = [name for name in (text(sheet.names) if text else ()) if name in sheet.names]
    return sheet.frame(dict.fromkeys(kept, pl.String), infer=True)
