"""Choosing items by the columns of their table: ``"genres: Comedy, Drama; year: 1990-1999"``.

All clauses must hold, and of a clause's values any. Text is compared whole, by labels (``Comedy`` in
``Action|Comedy``), whatever its case. A range is ``1990-1999``, ``1990..`` or ``..1999``, its ends inside. Where the
table has no column ``year``, it is what stands in parentheses at the end of a title.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl

from ..errors import DataError, SettingError, did_you_mean
from ..ratings import Ratings

Where: TypeAlias = str | Mapping[str, Any] | pl.Expr
_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})?\s*\.\.\s*({_NUMBER})?|({_NUMBER})\s*-\s*({_NUMBER})?")
_YEAR = r"\((\d{4})\)\s*$"


class Between(NamedTuple):
    """From low to high, both inside; None: no end."""

    low: float | None
    high: float | None


def chosen(train: Ratings, where: Where) -> np.ndarray:
    """The items that fit, (I,) bool.

    Args:
        train: for the item table.
        where: text as in the module's example; column -> a value, a list of values, or a pair (low, high); or a polars
            expression over the item table.

    Raises:
        DataError: if there is no item table, or no item has such a value.
        SettingError: for a column that it does not have, or text that is no clause.
    """
    table = _table(train)
    if isinstance(where, pl.Expr):
        return _by_expression(table, where)
    if not isinstance(where, (str, Mapping)):
        raise SettingError(f"where is a {type(where).__name__}.", hint='where="genres: Comedy", or a dict of columns.')
    clauses = _clauses(where) if isinstance(where, str) else [(c, _values(v)) for c, v in where.items()]
    fits = np.ones(len(table), bool)
    for column, values in clauses:
        fits &= _by_clause(table, column, values)
    return fits


def _table(train: Ratings) -> pl.DataFrame:
    """The item table, with the years of its titles."""
    if train.item_table is None:
        raise DataError("there is no item table to choose by.", hint="attach one: ratings.with_item_table(path).")
    titles = train.item_titles
    if "year" in train.item_table.columns or titles is None:
        return train.item_table
    return train.item_table.with_columns(
        pl.Series("year", titles, dtype=pl.String).str.extract(_YEAR).cast(pl.Int32, strict=False)
    )


def _clauses(text: str) -> list[tuple[str, list[Any]]]:
    """``"genres: Comedy, Drama; year: 1990-1999"`` -> [("genres", ["Comedy", "Drama"]), ("year", ["1990-1999"])]."""
    found = []
    for clause in filter(None, map(str.strip, text.split(";"))):
        column, colon, values = clause.partition(":")
        labels = [v.strip() for v in values.split(",") if v.strip()]
        if not colon or not labels:
            raise SettingError(f"{clause!r} in where names no column and value.", hint='such as "genres: Comedy".')
        found.append((column.strip(), labels))
    if not found:
        raise SettingError("where is empty.", hint='such as "genres: Comedy; year: 1990-1999".')
    return found


def _values(value: Any) -> list[Any]:
    """What a dict says of a column: one value, a list of them, or a tuple (low, high)."""
    if isinstance(value, tuple):
        if len(value) != 2 or not all(v is None or isinstance(v, (int, float)) for v in value):
            raise SettingError(f"{value!r} in where is no range.", hint="(low, high); None where it has no end.")
        return [Between(*value)]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return list(value)
    return [value]


def _by_expression(table: pl.DataFrame, where: pl.Expr) -> np.ndarray:
    try:
        fits = table.select(where.alias("fits"))["fits"]
    except pl.exceptions.PolarsError as e:
        what = f"the expression cannot be computed: {str(e).splitlines()[0]}"
        raise SettingError(what, hint=f"columns: {', '.join(table.columns)}.") from e
    if fits.dtype != pl.Boolean or len(fits) != len(table):
        raise SettingError("the expression gives no true or false for each item.", hint='pl.col("year") > 1990.')
    return fits.fill_null(False).to_numpy()


def _by_clause(table: pl.DataFrame, name: str, values: Sequence[Any]) -> np.ndarray:
    """The items of which a column holds any of the values (I,) bool."""
    named = {c.casefold(): c for c in reversed(table.columns)}
    if name.casefold() not in named:
        raise SettingError(f"the item table has no column {name!r}.", hint=did_you_mean(name, table.columns))
    column = table[named[name.casefold()]]
    fits = np.zeros(len(table), bool)
    for value in values:
        fits |= _numbers(column, name, value) if column.dtype.is_numeric() else _labels(column, name, value)
    return fits


def _numbers(column: pl.Series, name: str, value: Any) -> np.ndarray:
    wanted = value if isinstance(value, Between) else _as_range(name, value)
    cells = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    fits = np.isfinite(cells)
    if wanted.low is not None:
        fits &= cells >= wanted.low
    if wanted.high is not None:
        fits &= cells <= wanted.high
    return fits


def _as_range(name: str, value: Any) -> Between:
    """A number as the range from it to itself; text as a range.

    Raises:
        SettingError: for text that is neither.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Between(value, value)
    text = str(value).strip()
    if re.fullmatch(_NUMBER, text):
        return Between(float(text), float(text))
    found = _RANGE.fullmatch(text)
    if found is None or not any(found.groups()):
        raise SettingError(f"{name} holds numbers, and {text!r} is none.", hint=f"{name}: 1995, or {name}: 1990-1999.")
    low, high = found[1] or found[3], found[2] or found[4]
    return Between(None if low is None else float(low), None if high is None else float(high))


def _labels(column: pl.Series, name: str, value: Any) -> np.ndarray:
    """Whether each cell, one label or several, holds a label (I,) bool."""
    if isinstance(value, Between):
        raise SettingError(f"{name} holds text, and has no range.", hint=f"{name}: one or more of its values.")
    if isinstance(column.dtype, pl.List):
        cells = column.cast(pl.List(pl.String), strict=False)
    else:
        cells = column.cast(pl.String, strict=False).str.split("|")
    low = cells.list.eval(pl.element().str.strip_chars().str.to_lowercase())
    fits = low.list.contains(str(value).strip().lower()).fill_null(False).to_numpy()
    if not fits.any():
        known = cells.explode().drop_nulls().unique(maintain_order=True).to_list()
        raise DataError(f"no item has {name} {str(value)!r}.", hint=did_you_mean(value, known))
    return fits
