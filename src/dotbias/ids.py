"""Ids: the user's own labels, and the row that each of them is.

Row numbers mean something only beside an id table. ``Tables`` says in a few bytes which two tables rows are of, so that
a model can refuse rows of other ones. This module knows columns of ids, and no ratings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl

from .errors import DataError, SettingError, UnknownIdError, did_you_mean


class Tables(NamedTuple):
    """Which id tables row numbers refer to; see ``Ratings.tables``.

    Attributes:
        n_users: U.
        users: SHA-256 (hex) of the U user ids in row order, as :meth:`Ids.digest` gives it.
        n_items: I.
        items: SHA-256 (hex) of the I item ids.
    """

    n_users: int
    users: str
    n_items: int
    items: str


class Ids:
    """The user's own labels, one per row: row -> id by indexing, id -> row by ``row`` and ``rows``.

    Whole numbers stay numbers and text stays text; anything else (dates, UUIDs) is known by its ``str``.

    Args:
        values: distinct ids in row order.

    Raises:
        DataError: for an id that is missing or comes twice, and for 42 beside "42".
    """

    __slots__ = ("_digests", "_row_of", "values")

    def __init__(self, values: pl.Series | Iterable[Any]):
        self.values = as_ids(values, "ids").alias("id")
        self._row_of: dict[Any, int] | None = None
        self._digests: dict[int, str] = {}
        if self.values.n_unique() < len(self.values):
            twice = self.values.filter(self.values.is_duplicated())[0]
            raise DataError(f"the id {twice!r} comes twice.", hint="each row has its own id.")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> Any:
        return self.take(np.array([row]))[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values.to_list())

    def __contains__(self, id: object) -> bool:
        return self._native(id) in self._lookup()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids) and self.values.dtype == other.values.dtype and self.values.equals(other.values)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Ids({len(self)}: {', '.join(map(repr, self.values.head(3).to_list()))}{', …' * (len(self) > 3)})"

    def take(self, rows: np.ndarray) -> list[Any]:
        """Ids of many rows (n,), as native Python values.

        Raises:
            IndexError: for a row that is negative (which stands for no id) or past the end.
        """
        rows = np.asarray(rows, np.int64)
        wrong = rows[(rows < 0) | (rows >= len(self))]
        if wrong.size:
            raise IndexError(f"row {wrong[0]} is not among the {len(self)} rows.")
        return self.values.gather(rows).to_list()

    def row(self, id: Any) -> int:
        """The row of one id.

        Raises:
            UnknownIdError: for an id that is not here, with a near miss (42 for "42", too).
            SettingError: for a list, or whatever else cannot be an id.
        """
        row = self._lookup().get(self._native(id))
        if row is None:
            raise UnknownIdError(f"the id {id!r} is not among the {len(self)} known ones.", hint=self._hint(id))
        return row

    def typed(self, text: str) -> int | str:
        """An id that came as text, such as a typed one, in the type that the ids here have."""
        number = _number(text) if self.values.dtype.is_integer() else None
        return text if number is None else number

    def rows(self, ids: Iterable[Any]) -> np.ndarray:
        """Rows of many ids -> (n,) int32; unknown ones raise, as in ``row``."""
        return np.fromiter((self.row(i) for i in ids), np.int32)

    def find(self, ids: pl.Series) -> np.ndarray:
        """Rows of a whole column of ids -> (n,) int32, -1 where unknown. The column's type must be the ids'."""
        table = pl.DataFrame({"id": self.values, "row": np.arange(len(self), dtype=np.int32)})
        joined = ids.alias("id").to_frame().join(table, on="id", how="left", maintain_order="left")
        return joined["row"].fill_null(-1).to_numpy().copy()

    def extend(self, ids: pl.Series) -> Ids:
        """These ids, then those of ``ids`` that are new, in order of appearance."""
        new = ids.unique(maintain_order=True)
        return Ids(pl.concat([self.values, new.filter(self.find(new) < 0).alias("id")]))

    def digest(self, n: int | None = None) -> str:
        """SHA-256 (hex) of the first ``n`` ids in row order, all by default: equal where these ids are the same.

        Whole numbers are hashed as their int64 bytes, text as the lengths of all ids and then their UTF-8, so that no
        two lists share a digest by their borders. Each length asked for is computed once.

        Raises:
            IndexError: if there are fewer than ``n`` ids.
        """
        n = len(self) if n is None else n
        if not 0 <= n <= len(self):
            raise IndexError(f"there are {len(self)} ids, not {n}.")
        if n not in self._digests:
            self._digests[n] = _digest(self.values.head(n))
        return self._digests[n]

    def _lookup(self) -> dict[Any, int]:
        if self._row_of is None:
            self._row_of = {id: row for row, id in enumerate(self.values.to_list())}
        return self._row_of

    @staticmethod
    def _native(id: Any) -> Any:
        """np.int64(3) and 3 are one id; True and 1 are not."""
        plain: Any = cast(Any, id).item() if isinstance(id, np.generic) else id
        if not isinstance(plain, Hashable):
            raise SettingError(f"{plain!r} is no id.", hint="an id is a whole number or text.")
        return str(plain).lower() if isinstance(plain, bool) else plain

    def _hint(self, id: Any) -> str:
        known = self._lookup()
        if isinstance(id, str) and self.values.dtype.is_integer():
            number = _number(id)
            return f"ids here are whole numbers{f'; did you mean {number}?' if number in known else '.'}"
        if not isinstance(id, str) and str(id) in known:
            return f"ids here are text; did you mean {str(id)!r}?"
        return did_you_mean(id, self.values.head(20_000).to_list())


def _number(text: str) -> int | None:
    """The whole number of 64 bits that the text is: not 1_0, nor digits of other scripts; None where it is none."""
    return int(text) if re.fullmatch(r"\s*-?[0-9]{1,19}\s*", text) else None


def _digest(ids: pl.Series) -> str:
    digest = hashlib.sha256()
    if not len(ids):  # no ids are of any kind
        return digest.hexdigest()
    if ids.dtype.is_integer():
        digest.update(b"int64" + np.ascontiguousarray(ids.to_numpy(), "<i8").tobytes())
    else:
        lengths = ids.str.len_bytes().to_numpy().astype("<i8")
        digest.update(b"text" + np.int64(len(ids)).astype("<i8").tobytes() + lengths.tobytes())
        digest.update("".join(ids.to_list()).encode())
    return digest.hexdigest()


# Columns of ids ------------------------------------------------------------------------------------------------


def as_ids(values: pl.Series | Iterable[Any], name: str) -> pl.Series:
    """Ids as Int64 where they are whole numbers, else as text (dates, UUIDs and the like by their ``str``).

    Raises:
        DataError: where 42 and "42" stand side by side, a number is not whole, or an id is missing.
    """
    if not isinstance(values, pl.Series):
        if not isinstance(cast(object, values), Iterable) or (isinstance(values, np.ndarray) and values.ndim == 0):
            raise DataError(f"{name}: {values!r} is no list of ids.", hint="give a list, an array or a column.")
        values = _series(list(cast(Iterable[Any], values)), name)
    refuse(missing(values), values, lambda i: f"{name}, row {i}", "the id is missing", "every row needs an id.")
    dtype = values.dtype
    if dtype == pl.Object:
        _one_kind(values.to_list(), name)
        return texts(values.to_list(), name).alias(values.name)
    if dtype.is_float():
        return _whole(values, name)
    try:
        return values.cast(pl.Int64 if dtype.is_integer() else pl.String)
    except pl.exceptions.PolarsError:  # whole numbers beyond 64 bits
        try:
            return values.cast(pl.String)
        except pl.exceptions.PolarsError as e:
            raise DataError(f"{name}: {dtype} cannot be an id.", hint="whole numbers or text can.") from e


def _series(values: list[Any], name: str) -> pl.Series:
    if not values:
        return pl.Series(values, dtype=pl.Int64)
    _one_kind(values, name)
    try:
        return pl.Series(values, strict=True)
    except UnicodeEncodeError:
        return texts(values, name)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(values, dtype=pl.Object)


def texts(values: list[Any], name: str) -> pl.Series:
    """Python's objects by their ``str``, None as null.

    Raises:
        DataError: for text that is no Unicode.
    """
    try:
        return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    except UnicodeEncodeError as e:
        raise DataError(f"{name}: {e.object[:40]!r} cannot be written as UTF-8.", hint="mend its encoding.") from e


def _whole(values: pl.Series, name: str) -> pl.Series:
    """Float64 ids as Int64, if each is whole and small enough to be exact."""
    wrong = values.filter((values != values.floor()) | ~values.is_finite() | (values.abs() > 2.0**53))
    if len(wrong):
        raise DataError(f"{name}: ids such as {wrong[0]!r} are not whole numbers.", hint="give whole numbers or text.")
    return values.cast(pl.Int64)


def _one_kind(values: list[Any], name: str) -> None:
    """Refuse whole numbers beside text."""
    whole: Any = (int, np.integer)
    number = next((v for v in values if isinstance(v, whole) and not isinstance(v, bool)), None)
    text = next((v for v in values if isinstance(v, str)), None)
    if number is not None and text is not None:
        twin = next((v for v in values if isinstance(v, str) and v == str(number)), text)
        raise DataError(
            f"{name} mixes numbers and text: {number!r} beside {twin!r}.",
            hint="make them one kind first, such as frame[column].astype(str): 42 and '42' are two different ids.",
        )


def missing(column: pl.Series) -> pl.Series:
    """(N,) bool: null, NaN or empty text."""
    if column.dtype == pl.Object:
        return pl.Series([v is None or (isinstance(v, str) and not v) for v in column.to_list()], dtype=pl.Boolean)
    nothing = column.is_null()
    if column.dtype.is_float():
        return nothing | column.is_nan().fill_null(True)
    return nothing | (column == "").fill_null(True) if column.dtype == pl.String else nothing


def refuse(bad: pl.Series, column: pl.Series, where: Callable[[int], str], what: str, hint: str) -> None:
    """Raise a DataError that names the first bad cell and how many there are, if any is.

    Args:
        bad: (N,) bool.
        column: (N,) the cells.
        where: position -> the cell's place, for people.
        what: what is wrong with it.
        hint: the likely fix.
    """
    n = int(bad.sum() or 0)
    if n:
        i = int(bad.arg_max())  # type: ignore[arg-type]
        more = f" ({n:,} such rows in all)" if n > 1 else ""
        raise DataError(f"{where(i)}: {what}: {column[i]!r}{more}.", hint=hint)
