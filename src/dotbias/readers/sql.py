"""A table of a database as a source of ratings: SQLite, PostgreSQL, and what else SQLAlchemy has a driver for.

Only the chosen columns are read, in batches, within one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from ..errors import DataError, FileError, SettingError, arg, did_you_mean, install_command, require
from .columns import Columns, Source, choose_columns, clean
from .tables import as_text
from .times import overlooked

if TYPE_CHECKING:
    import sqlalchemy

BATCH = 100_000  # rows at a time
TABLE = "ratings"
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def is_url(text: str) -> bool:
    """Whether this names a database: ``sqlite:///ratings.db``, ``postgresql://…``."""
    scheme, found, _ = text.partition("://")
    return bool(found) and scheme.split("+")[0] in ("sqlite", "postgresql", "postgres", "mysql", "mariadb", "duckdb")


def engine_of(url: str) -> sqlalchemy.Engine:
    """SQLAlchemy's engine for a URL; PostgreSQL by psycopg. Nothing is opened yet.

    Raises:
        SettingError: for what is no URL of a database.
        MissingExtraError: where SQLAlchemy or the driver is not installed.
    """
    sa = require("sqlalchemy", extra="web")
    scheme, found, rest = url.partition("://")
    try:
        return sa.create_engine(f"{DRIVERS.get(scheme, scheme)}://{rest}" if found else url)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ValueError) as e:
        raise SettingError(
            "this is no URL of a database.", hint="sqlite:///FILE or postgresql://user@host/name."
        ) from e
    except ModuleNotFoundError as e:
        from ..errors import MissingExtraError

        raise MissingExtraError(f"this needs {e.name}, which is not installed.", hint=install_command("web")) from e


def read_sql(url: str, table: str | None, columns: Columns) -> Source:
    """Clean columns of a table or view.

    Args:
        url: as in :func:`engine_of`; of SQLite, the file must be there.
        table: its name, by default ``ratings``, or the only one there is; ``schema.name`` where it is in another.
        columns: role -> what was asked for.
    """
    sa, engine = require("sqlalchemy", extra="web"), engine_of(url)
    _there(engine)
    try:
        with engine.connect() as connection:
            schema, name = _chosen(sa.inspect(connection), table)
            names = [c["name"] for c in sa.inspect(connection).get_columns(name, schema=schema)]
            chosen = choose_columns(names, columns, f"table {name}")
            frame = _frame(connection, name, schema, list(dict.fromkeys(chosen.values())))
    except sa.exc.DBAPIError as e:
        reason = str(e.orig).strip() or type(e.orig).__name__
        raise FileError(f"{engine.url.render_as_string()} cannot be read: {reason}") from e
    finally:
        engine.dispose()
    notes = overlooked(names, chosen, columns.get("time"), frame)
    frame = frame.with_columns(as_text(frame[chosen[role]]).alias(chosen[role]) for role in ("user", "item"))
    return clean(frame, chosen, f"table {name}", lambda i: f"table {name}, row {int(i)}", notes, text=True)


def _there(engine: Any) -> None:
    """SQLite makes a file that is not there: an empty one would be read as a database without tables."""
    from pathlib import Path

    path = engine.url.database
    if engine.dialect.name == "sqlite" and (not path or not Path(path).is_file()):
        raise FileError(f"there is no file {path}.", hint="three slashes and a path: sqlite:///ratings.db.")


def _chosen(inspector: Any, table: str | None) -> tuple[str | None, str]:
    """(schema, name) of the table to read."""
    if table is not None and "." in table:
        schema, _, name = table.partition(".")
        return schema, name
    there = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
    name = table or (TABLE if TABLE in there or len(there) != 1 else there[0])
    if name not in there:
        hint = (
            did_you_mean(name, there)
            if table
            else f"name it: {arg('table')}…; there are: {', '.join(there) or 'none'}."
        )
        raise DataError(f"the database has no table {name!r}.", hint=hint)
    return None, name


def _frame(connection: Any, name: str, schema: str | None, columns: list[str]) -> pl.DataFrame:
    """The columns, whatever their types, in batches."""
    sa: Any = require("sqlalchemy", extra="web")
    chosen = sa.select(*(sa.column(c) for c in columns)).select_from(sa.table(name, schema=schema))
    rows = connection.execution_options(stream_results=True, yield_per=BATCH).execute(chosen)
    parts = [
        {c: list(cells) for c, cells in zip(columns, zip(*part, strict=True), strict=True)}
        for part in rows.partitions()
    ]
    return pl.DataFrame({c: _series(c, [cell for part in parts for cell in part[c]]) for c in columns})


def _series(name: str, cells: list[Any]) -> pl.Series:
    """Cells as a column; SQLite lets every cell have a type of its own, and NUMERIC comes as Decimal."""
    from decimal import Decimal

    plain = [float(x) if isinstance(x, Decimal) else x for x in cells]
    try:
        return pl.Series(name, plain, strict=True)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        return pl.Series(name, [None if x is None else str(x) for x in plain], dtype=pl.String)
