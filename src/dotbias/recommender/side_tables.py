"""Side tables that get rows for newcomers; what is not said of one is null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ..errors import DataError, SettingError, did_you_mean
from ..ids import Ids
from ..readers import TITLES


def titled(table: pl.DataFrame | None, features: Mapping[str, Any] | None, title: str | None) -> dict[str, Any]:
    """Features, and the title in its column.

    Raises:
        SettingError: for a title where no column holds titles, or features that are no mapping.
    """
    if features is not None and not isinstance(features, Mapping):
        raise SettingError(f"features is a {type(features).__name__}.", hint="a dict: {column: value, …}.")
    cells = dict(features or {})
    if title is None:
        return cells
    column = next((c for c in TITLES if table is not None and c in table.columns), None)
    if column is None:
        raise SettingError("train's items have no titles.", hint="attach them before the fit: with_item_table(…).")
    return cells | {column: title}


def with_row(table: pl.DataFrame | None, ids: Ids, new_id: Any, cells: Mapping[str, Any]) -> pl.DataFrame | None:
    """A side table with one more row; what is not said is null."""
    if table is None:
        if cells:
            raise DataError(f"train has no side table, so {min(cells)!r} means nothing.", hint="leave it out.")
        return None
    for name in cells:
        if name not in table.columns:
            raise DataError(f"the side table has no column {name!r}.", hint=did_you_mean(name, table.columns))
    own = {name: _cell(cells.get(name), kind) for name, kind in table.schema.items()}
    first = table.columns[0]
    if first not in cells and table[first].equals(ids.values):
        own[first] = new_id
    try:
        return pl.concat([table, pl.DataFrame({k: [v] for k, v in own.items()}, schema=table.schema, strict=True)])
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as e:
        raise DataError(f"{dict(cells)!r} does not fit the side table: {e}", hint=f"{dict(table.schema)}") from e


def continued(old: pl.DataFrame | None, new: pl.DataFrame | None, n: int) -> pl.DataFrame | None:
    """The old table's rows, and the new one's for rows that came later, in the old one's columns."""
    if old is None or len(old) == n:
        return old
    later = old.clear(n - len(old))
    if new is not None:
        shared = [name for name in old.columns if name in new.columns]
        try:
            later = later.with_columns(new[len(old) :].select(shared).cast({name: old.schema[name] for name in shared}))
        except pl.exceptions.PolarsError as e:
            raise DataError(f"the new side table does not fit train's: {e}", hint=f"{dict(old.schema)}") from e
    return pl.concat([old, later])


def _cell(value: Any, kind: Any) -> Any:
    """Several labels as a column of text has them; whole numbers for a column of floats."""
    if kind == pl.String and isinstance(value, (list, tuple)):
        return "|".join(map(str, value))
    return float(value) if kind in (pl.Float64, pl.Float32) and isinstance(value, int) else value
