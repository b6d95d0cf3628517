"""Side tables and histories as sparse features of rows.

A user's or an item's features are a few (feature, weight) entries per row, in CSR arrays; a category is one entry, a
multi-label column (genres) several, a number one entry whose weight is the standardised number. A history is, for each
user, the items of their training ratings, and for each item its users, weighted as :func:`history_weight` says. This
module knows tables and rows, no model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl

from .errors import DataError, did_you_mean
from .ratings import Ratings

SHRINK = 20.0  # ratings that a history must have to count half as much as a long one: see history_weight


class Features(NamedTuple):
    """Sparse features of R rows.

    Attributes:
        starts: (R + 1,) int64: row r's entries are those from starts[r] to starts[r + 1].
        index: (E,) int32: which feature.
        weight: (E,) float32: its value.
        names: feature -> "column=value", or "column" of numbers.
        groups: (column, first feature, one past its last): each group gets a prior of its own.
        scales: (column, mean, standard deviation) of each column of numbers, by which its weights were standardised.
    """

    starts: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    names: tuple[str, ...]
    groups: tuple[tuple[str, int, int], ...]
    scales: tuple[tuple[str, float, float], ...] = ()

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.groups[-1][2] if self.groups else 0

    def dense(self) -> np.ndarray:
        """(R, n_features) float32. For few features only: it is dense."""
        out = np.zeros((len(self.starts) - 1, self.n_features), np.float32)
        np.add.at(out, (np.repeat(np.arange(len(out)), np.diff(self.starts)), self.index), self.weight)
        return out


def encode(table: pl.DataFrame | None, columns: Sequence[str]) -> Features:
    """Features from the named columns of a side table, a group per column.

    Text, booleans and categories become one feature per value (multi-label where any value holds ``|``, or the column
    holds lists; m labels weigh 1/√m each), numbers one standardised feature. Nulls and NaN have no entry.

    Raises:
        DataError: for a column that is not there.
    """
    if table is None:
        raise DataError("there is no side table to take features from.", hint="attach one: ratings.with_item_table(…).")
    blocks = []
    for column in columns:
        if column not in table.columns:
            raise DataError(f"the side table has no column {column!r}.", hint=did_you_mean(column, table.columns))
        blocks.append(_encode_column(table[column]))
    return stack(blocks) if blocks else _block(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), len(table), "", ())


def histories(ratings: Ratings, *, of: str = "users") -> Features:
    """Histories: for each user row its items (``of="users"``), or for each item row its users."""
    by_user = of == "users"
    rows, others = (ratings.users, ratings.items) if by_user else (ratings.items, ratings.users)
    n_rows, n_others = (ratings.n_users, ratings.n_items) if by_user else (ratings.n_items, ratings.n_users)
    count = np.bincount(rows, minlength=n_rows)
    names = tuple(f"rated={i}" for i in (ratings.item_ids if by_user else ratings.user_ids))
    group = "items rated" if by_user else "users who rated"
    block = _block(rows, others, history_weight(count[rows]), n_rows, group, names)
    return block._replace(groups=((group, 0, n_others),))


def history_weight(n: np.ndarray | float, shrink: float = SHRINK) -> np.ndarray:
    """The weight of each entry of a history of n ratings: 1/√(n + shrink).

    Koren (2008) has |R(u)|^-½, under which the sum of n weights of variance v has the variance v for any n: a history
    of one rating says as much as one of a thousand. Here its variance is v · n/(n + shrink): a short one says little.
    """
    return 1 / np.sqrt(np.asarray(n, np.float64) + shrink)


def stack(blocks: Sequence[Features]) -> Features:
    """Several blocks of the same rows side by side, features renumbered."""
    offsets = np.cumsum([0, *(b.n_features for b in blocks)])
    n_rows = len(blocks[0].starts) - 1
    rows = np.concatenate([np.repeat(np.arange(n_rows), np.diff(b.starts)) for b in blocks])
    index = np.concatenate([b.index + o for b, o in zip(blocks, offsets, strict=False)])
    weight = np.concatenate([b.weight for b in blocks])
    names = tuple(name for b in blocks for name in b.names)
    groups = tuple((g, a + int(o), z + int(o)) for b, o in zip(blocks, offsets, strict=False) for g, a, z in b.groups)
    scales = tuple(scale for b in blocks for scale in b.scales)
    return _block(rows, index, weight, n_rows, "", names)._replace(groups=groups, scales=scales)


def entries(
    names: Sequence[str],
    groups: Sequence[tuple[str, int, int]],
    scales: Sequence[tuple[str, float, float]],
    features: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Which features column -> value(s) name (n,), and their weights (n,), as :func:`encode` gives them.

    A number is standardised; m labels of a column weigh 1/√m each.

    Args:
        names: of all features, as in :class:`Features`.
        groups: the columns that may be named.
        scales: of the columns of numbers.
        features: of a newcomer.

    Raises:
        DataError: for a column or a label that the fit did not have, or a number that is none.
    """
    place = {name: f for f, name in enumerate(names)}
    numbers = {column: (mean, spread) for column, mean, spread in scales}
    columns = [g for g, _, _ in groups]
    found: list[int] = []
    weight: list[float] = []
    for column, value in features.items():
        if column not in columns:
            raise DataError(f"the fit used no feature column {column!r}.", hint=did_you_mean(column, columns))
        if column in numbers:
            mean, spread = numbers[column]
            found.append(place[column])
            weight.append((_number(column, value) - mean) / spread)
            continue
        for label in _labels(value):
            name = f"{column}={label}"
            if name not in place:
                known = [x.split("=", 1)[1] for x in names if x.startswith(f"{column}=")]
                raise DataError(f"column {column!r} has no value {label!r}.", hint=did_you_mean(label, known))
            found.append(place[name])
        m = len(found) - len(weight)
        weight += [m**-0.5] * m
    return np.array(found, np.int64), np.array(weight)


def _number(column: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise DataError(f"column {column!r} holds numbers; {value!r} is none.", hint="leave out what is not known.")
    return number


def _labels(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        return [v for v in value.split("|") if v]
    return list(cast("Sequence[Any]", value)) if isinstance(value, Sequence) else [value]


def _encode_column(column: pl.Series) -> Features:
    rows = np.arange(len(column))
    if column.dtype.is_numeric():
        column = column.fill_nan(None) if column.dtype.is_float() else column
        known = column.is_not_null().to_numpy()
        numbers = column.drop_nulls().to_numpy().astype(np.float64)
        mean, spread = (float(numbers.mean()), float(numbers.std()) or 1.0) if len(numbers) else (0.0, 1.0)
        block = _block(
            rows[known], np.zeros(known.sum()), (numbers - mean) / spread, len(column), column.name, (column.name,)
        )
        return block._replace(scales=((column.name, mean, spread),))
    labels = column
    if not isinstance(column.dtype, pl.List):
        text = column.cast(pl.String)
        labels = text.str.split("|")
    long = pl.DataFrame({"row": rows, "label": labels}).explode("label").drop_nulls().filter(pl.col("label") != "")
    values = sorted(set(long["label"].cast(pl.String)))
    index = np.searchsorted(np.array(values, object), long["label"].cast(pl.String).to_numpy().astype(object))
    row = long["row"].to_numpy()
    count = np.bincount(row, minlength=len(column))
    names = tuple(f"{column.name}={v}" for v in values)
    return _block(row, index, 1 / np.sqrt(count[row]), len(column), column.name, names)


def _block(
    rows: np.ndarray, index: np.ndarray, weight: np.ndarray, n_rows: int, group: str, names: tuple[str, ...]
) -> Features:
    """CSR arrays from (row, feature, weight) triples."""
    order = np.lexsort((index, rows))
    starts = np.r_[0, np.cumsum(np.bincount(rows, minlength=n_rows))].astype(np.int64)
    groups = ((group, 0, len(names)),)
    return Features(starts, index[order].astype(np.int32), weight[order].astype(np.float32), names, groups)


def cells_of(table: pl.DataFrame | None, row: int, columns: Sequence[str], numbers: Collection[str]) -> dict[str, Any]:
    """What a side table says of a row, column -> value as fold-in takes it; without what is missing.

    Args:
        table: of one side, or None.
        row: which.
        columns: of the table.
        numbers: which of them hold numbers; the others are read as text.
    """
    cells: dict[str, Any] = {}
    for name in columns if table is not None else ():
        cell = table[name].slice(row, 1)  # type: ignore[index]
        if not isinstance(cell.dtype, pl.List) and name not in numbers:
            cell = cell.cast(pl.String)
        cells[name] = cell.to_list()[0]
    return {name: cell for name, cell in cells.items() if cell is not None and cell != ""}
