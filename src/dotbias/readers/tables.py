"""Frames and Parquet as sources, and side tables brought into the order of ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ..errors import DataError, did_you_mean
from ..ids import Ids, as_ids
from .columns import NAMES, WHOLE, Columns, Source, choose_columns, clean, recognise
from .text import must_exist, open_sheet


def read_parquet(path: Path, columns: Columns) -> Source:
    """Clean columns of a Parquet file."""
    must_exist(path)
    try:
        chosen = choose_columns(list(pl.read_parquet_schema(path)), columns, path.name)
        frame = pl.read_parquet(path, columns=list(chosen.values()))
    except pl.exceptions.PolarsError as e:
        raise DataError(f"{path.name} is no readable Parquet file: {e}", hint="was the download complete?") from e
    return clean(frame, chosen, path.name, lambda i: f"{path.name}, row {int(i)}", ())


def read_frame(frame: Any, columns: Columns) -> Source:
    """Clean columns of a pandas, polars or pyarrow table."""
    table = native_columns(frame)
    chosen = choose_columns(list(table), columns, "the frame")
    used = pl.DataFrame({name: _as_series(table[name], name) for name in chosen.values()})
    return clean(used, chosen, "the frame", lambda i: f"the frame, row {int(i)}", ())


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
    return {str(name): table[name] for name in table.columns}


def _as_series(column: Any, name: str) -> pl.Series:
    """A narwhals Series as a polars one, without pyarrow's help (pandas text columns would need it)."""
    native = column.to_native()
    if isinstance(native, pl.Series):
        return native.alias(name)
    if type(native).__module__.startswith("pyarrow"):
        return pl.Series(name, native)
    values = column.to_numpy()
    if values.dtype != object:
        return pl.Series(name, values)
    cells = [None if _is_nothing(v) else v for v in values.tolist()]
    try:
        return pl.Series(name, cells, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
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


def align_table(table: Any, ids: Ids, role: str, id: str | None) -> tuple[pl.DataFrame, str]:
    """A side table's rows in the order of ``ids`` (nulls where it has none), and a note that counts what fits.

    From a text file, ``'=x`` is read as ``=x``: see :func:`guarded`.
    """
    frame = read_table(table, text=lambda names: [_id_column(names, role, id)])
    if isinstance(table, (str, Path)) and Path(table).suffix != ".parquet":
        frame = unguarded(frame)
    column = _id_column(frame.columns, role, id)
    keys = _keys(frame[column], ids, role, from_text=isinstance(table, (str, Path)))
    twice = keys.filter(keys.is_duplicated() & keys.is_not_null())
    if len(twice):
        raise DataError(f"the {role} table names {twice[0]!r} twice.", hint="one row an id.")
    known = int(keys.is_in(ids.values.implode()).fill_null(False).sum())
    if not known:
        raise DataError(
            f"no row of the {role} table, by its column {column!r}, is a {role} of the ratings.",
            hint=f"name the right one with id=; its columns are {', '.join(map(repr, frame.columns))}.",
        )
    frame = frame.with_columns(keys.alias(column)).filter(keys.is_not_null())
    aligned = ids.values.alias(column).to_frame().join(frame, on=column, how="left", maintain_order="left")
    left_out = f"; {len(keys) - known:,} rows of other {role}s left out" if known < len(keys) else ""
    return aligned, f"{role} table: {known:,} of {len(ids):,} {role}s described{left_out}."


def _id_column(names: list[str], role: str, id: str | None) -> str:
    column = id or recognise([n for n in names if n != "title"], (*NAMES[role], "id")) or names[0]
    if column not in names:
        raise DataError(f"the {role} table has no column {column!r}.", hint=did_you_mean(column, names))
    return column


def _keys(column: pl.Series, ids: Ids, role: str, *, from_text: bool) -> pl.Series:
    """The table's ids in the type of the ratings' ids; text from a file that is no such id becomes null."""
    if from_text and column.dtype == pl.String and ids.values.dtype == pl.Int64:
        bare = column.str.strip_chars()
        return pl.select(pl.when(bare.str.contains(WHOLE)).then(bare)).to_series().cast(pl.Int64)
    keys = as_ids(column, f"the {role} table, column {column.name!r}")
    if keys.dtype != ids.values.dtype and len(keys):
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
    path = Path(table)
    if path.suffix == ".parquet":
        must_exist(path)
        try:
            return pl.read_parquet(path)
        except pl.exceptions.PolarsError as e:
            raise DataError(f"{path.name} is no readable Parquet file: {e}", hint="fetch it again.") from e
    sheet = open_sheet(path, separator=separator, header=not names, encoding=encoding, names=names)
    return sheet.frame(dict.fromkeys(text(sheet.names) if text else [], pl.String), infer=True)
