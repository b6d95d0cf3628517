"""The data: a table of (user, item, rating[, time]) whose ids have become contiguous rows, once.

``Ratings`` is frozen; every operation returns a new one. ``take`` keeps the id tables whole, so that a row number means
the same thing in train, valid, test, model and file. Reading files is ``readers``' work; this module knows no model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from . import readers
from .errors import DataError, SettingError, arg, check_not_negative, check_positive
from .files import as_path
from .ids import Ids, Tables
from .times import UNKNOWN

if TYPE_CHECKING:
    import scipy.sparse

Duplicates = Literal["error", "last", "mean", "sum"]
Feedback = Literal["stars", "clicks"]
KINDS = {
    **{"users": np.int32, "items": np.int32, "values": np.float32, "times": np.int64, "counts": np.float32},
    "cold": np.bool_,
}


@dataclass(frozen=True, eq=False, repr=False)
class Ratings:
    """N ratings of U users and I items.

    Attributes:
        users: (N,) int32 rows into ``user_ids``.
        items: (N,) int32 rows into ``item_ids``.
        values: (N,) float32, or None for implicit feedback (that a pair is here is all that is known).
        times: (N,) int64 seconds since 1970 UTC, ``times.UNKNOWN`` where nobody said when; or None.
        user_ids: row -> the user's own id.
        item_ids: row -> the item's own id.
        user_table: side table, row for row with ``user_ids``, or None.
        item_table: side table, row for row with ``item_ids``, or None.
        y_range: the declared scale (low, high), or None where none was declared (never taken from held-out rows).
        counts: (N,) float32, how often or how much, for implicit feedback only; None: once each, and for ratings.
        cold: (N,) bool: in a held-out part, the ratings whose user or item train never saw; None elsewhere.
        notes: what reading and filtering changed or found, counted, for people.
        question: in a held-out part, which question its split asks (see ``split``); None elsewhere.
    """

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray | None
    times: np.ndarray | None
    user_ids: Ids
    item_ids: Ids
    user_table: pl.DataFrame | None = None
    item_table: pl.DataFrame | None = None
    y_range: tuple[float, float] | None = None
    counts: np.ndarray | None = None
    cold: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    question: str | None = None

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            column = getattr(self, name)
            if column is None and name not in ("users", "items"):
                continue
            column = _column(column, name, np.dtype(kind))
            if column.shape != np.shape(self.users) or column.ndim != 1:
                raise DataError(
                    f"{name} has the shape {column.shape}, users {np.shape(self.users)}.", hint="all are (N,)."
                )
            object.__setattr__(self, name, column)
        self._check_counts()
        for name in ("user_ids", "item_ids"):
            if not isinstance(getattr(self, name), Ids):
                raise DataError(
                    f"{name} is a {type(getattr(self, name)).__name__}.", hint="Ids(…) makes one of a list."
                )
        for name in ("user_table", "item_table"):
            if not isinstance(getattr(self, name), pl.DataFrame | None):
                what = f"{name} is a {type(getattr(self, name)).__name__}, no polars frame."
                raise DataError(what, hint=f"attach it by with_{name}().")
        if self.y_range is not None:
            object.__setattr__(self, "y_range", readers.checked_range(self.y_range))
        for name, n in (("users", self.n_users), ("items", self.n_items)):
            rows = getattr(self, name)
            if len(rows) and not 0 <= rows.min() <= rows.max() < n:
                raise DataError(f"{name} holds rows from {rows.min()} to {rows.max()}, but there are {n} ids.")
        for name, n in (("user_table", self.n_users), ("item_table", self.n_items)):
            table = getattr(self, name)
            if table is not None and len(table) != n:
                raise DataError(f"{name} has {len(table)} rows for {n} ids.", hint=f"attach it by with_{name}().")

    def _check_counts(self) -> None:
        if self.counts is None:
            return
        if self.values is not None:
            raise DataError("there are values and counts.", hint="ratings have values, clicks have counts.")
        if len(self.counts) and not bool(np.isfinite(self.counts).all() and self.counts.min() >= 0):
            raise DataError("counts are negative or not finite.", hint="a count says how often or how much: from 0 up.")

    # Reading ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        user: str | int | None = None,
        item: str | int | None = None,
        rating: str | int | Literal[False] | None = None,
        time: str | int | Literal[False] | None = None,
        count: str | int | Literal[False] | None = None,
        lists: bool | None = None,
        separator: str | None = None,
        header: bool | None = None,
        encoding: str | None = None,
        duplicates: Duplicates | None = None,
        y_range: tuple[float, float] | None = None,
        like: Ratings | None = None,
        user_table: Any = None,
        item_table: Any = None,
    ) -> Ratings:
        """Ratings from a text file, plain or gzipped; what is not said is recognised, or an error says what to say.

        Args:
            path: a file with a rating a line (a pipe is read whole; ``-`` is standard input), never a pattern.
            user: the column of users: its name, or its position from 0. By default names like ``userId``, ``user``.
                Ids that all print as whole numbers (1, not 01) are numbers; else all are text.
            item: the column of items; by default names like ``movieId``, ``item``, ``product_id``.
            rating: the column of numbers; False for clicks (implicit feedback). By default names like ``rating``,
                ``stars``. A file with neither ratings nor counts nor columns left over holds clicks, and ``notes``
                says so.
            time: the column of times, False for none: seconds since 1970 UTC, ISO 8601, and what ``readers.times``
                recognises. By default names like ``timestamp``.
            count: of clicks, the column that says how often or how much; False for none. By default names like
                ``plays``, ``count``, ``quantity``, ``weight``, where no column of ratings is found.
            lists: whether each line is a user and then items, ``user item item …``; by default, whether it looks so.
            separator: ``,`` tab ``;`` ``|`` or ``::``; by default the one that splits the first line most.
            header: whether the first line names the columns; by default yes unless it holds a number.
                Without one, columns are user, item, rating, time in this order.
            encoding: by default UTF-8, and Latin-1 (noted) if it is not that.
            duplicates: what to do with several rows of one pair: "error", "last" (by time, then by line), "mean", or,
                of clicks only, "sum". By default ratings are refused ("error"), and clicks are summed; either way
                ``notes`` says so.
            y_range: the declared scale; a rating outside it is an error.
            like: number ids as these ratings do; new ids get new rows at the end.
            user_table: a side table of users, or its path, as in :meth:`with_user_table`.
            item_table: a side table of items, or its path.

        Raises:
            SettingError: for arguments that make no sense.
            FileError: where the file cannot be read, or takes more memory than ``files.max_bytes()``.
            DataError: naming file, line and value: missing columns, text or nothing where a number belongs, NaN,
                infinities, an empty or cut file, ragged lines, duplicate pairs.
        """
        source = readers.read_csv(
            as_path(path),
            {"user": user, "item": item, "rating": rating, "time": time, "count": count},
            separator=separator,
            header=header,
            encoding=encoding,
            lists=lists,
        )
        return cls._from_source(source, duplicates, y_range, like)._with_tables(user_table, item_table)

    @classmethod
    def from_parquet(
        cls,
        path: str | Path,
        *,
        user: str | int | None = None,
        item: str | int | None = None,
        rating: str | int | Literal[False] | None = None,
        time: str | int | Literal[False] | None = None,
        count: str | int | Literal[False] | None = None,
        duplicates: Duplicates | None = None,
        y_range: tuple[float, float] | None = None,
        like: Ratings | None = None,
        user_table: Any = None,
        item_table: Any = None,
    ) -> Ratings:
        """Ratings from a Parquet file. Arguments and errors as in :meth:`from_csv`."""
        columns = {"user": user, "item": item, "rating": rating, "time": time, "count": count}
        source = readers.read_parquet(as_path(path), columns)
        return cls._from_source(source, duplicates, y_range, like)._with_tables(user_table, item_table)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        user: str | int | None = None,
        item: str | int | None = None,
        rating: str | int | Literal[False] | None = None,
        time: str | int | Literal[False] | None = None,
        count: str | int | Literal[False] | None = None,
        duplicates: Duplicates | None = None,
        y_range: tuple[float, float] | None = None,
        like: Ratings | None = None,
        user_table: Any = None,
        item_table: Any = None,
    ) -> Ratings:
        """Ratings from a pandas, polars or pyarrow table; text ids stay text. Else as :meth:`from_csv`."""
        columns = {"user": user, "item": item, "rating": rating, "time": time, "count": count}
        source = readers.read_frame(frame, columns)
        return cls._from_source(source, duplicates, y_range, like)._with_tables(user_table, item_table)

    @classmethod
    def from_sql(
        cls,
        url: str,
        *,
        table: str | None = None,
        user: str | int | None = None,
        item: str | int | None = None,
        rating: str | int | Literal[False] | None = None,
        time: str | int | Literal[False] | None = None,
        count: str | int | Literal[False] | None = None,
        duplicates: Duplicates | None = None,
        y_range: tuple[float, float] | None = None,
        like: Ratings | None = None,
        user_table: Any = None,
        item_table: Any = None,
    ) -> Ratings:
        """Ratings from a table of a database, such as the app's store; needs the extra ``web``.

        Text ids that all print as whole numbers (1, not 01) are numbers, as in a text file.

        Args:
            url: ``sqlite:///ratings.db`` or ``postgresql://user:password@host/name``, as SQLAlchemy writes them.
            table: the table or view, ``schema.name`` where it is in another schema; by default ``ratings``, or the
                only one there is.

        Other arguments and errors as in :meth:`from_csv`.

        Raises:
            FileError: where the database cannot be opened or read.
            MissingExtraError: where SQLAlchemy or the driver is not installed.
        """
        columns = {"user": user, "item": item, "rating": rating, "time": time, "count": count}
        source = readers.read_sql(url, table, columns)
        return cls._from_source(source, duplicates, y_range, like)._with_tables(user_table, item_table)

    @classmethod
    def from_sparse(
        cls, matrix: Any, *, implicit: bool = False, counts: bool = False, y_range: tuple[float, float] | None = None
    ) -> Ratings:
        """Ratings from a scipy sparse matrix (U, I): its stored entries, explicit zeros included; ids are positions.

        Entries stored twice are summed, as scipy does.

        Args:
            matrix: of scipy.
            implicit: they are clicks: that an entry is stored is all that is read.
            counts: they are clicks, and the entries say how often; those that are 0 are left out.
            y_range: the declared scale of ratings.

        Raises:
            DataError: if it is no sparse matrix, holds nothing, or holds NaN or infinities.
        """
        if not hasattr(matrix, "tocsr"):
            raise DataError(f"a {type(matrix).__name__} is no sparse matrix.", hint="scipy.sparse.csr_matrix(array).")
        coo = matrix.tocsr(copy=True)
        coo.sum_duplicates()
        coo = coo.tocoo()
        frame = pl.DataFrame({"user": coo.row.astype(np.int64), "item": coo.col.astype(np.int64)})
        number = "count" if counts else "rating"
        if counts or not implicit:
            frame = frame.with_columns(pl.Series(number, coo.data.astype(np.float64)))
        ids = [Ids(pl.Series(np.arange(n, dtype=np.int64))) for n in matrix.shape]
        nothing = np.empty(0, np.int32)
        like = cls(nothing, nothing, None, None, ids[0], ids[1])
        columns = {"rating": False} if implicit and not counts else {number: number}
        source = readers.read_frame(frame, {**columns, "time": False})
        return dataclasses.replace(cls._from_source(source, "error", y_range, like), cold=None)

    @classmethod
    def _from_source(
        cls,
        source: readers.Source,
        duplicates: Duplicates | None,
        y_range: tuple[float, float] | None,
        like: Ratings | None,
    ) -> Ratings:
        duplicates = _policy(duplicates, "clicks" if source.rating is None else "stars")
        if like is not None and not isinstance(like, Ratings):
            raise SettingError(f"like is a {type(like).__name__}.", hint="give Ratings.")
        declared = (None if like is None else like.y_range) if y_range is None else readers.checked_range(y_range)
        readers.check_values(source, declared)
        user_ids = _number(source.user, None if like is None else like.user_ids, "user", source)
        item_ids = _number(source.item, None if like is None else like.item_ids, "item", source)
        ratings = cls(
            user_ids.find(source.user),
            item_ids.find(source.item),
            None if source.rating is None else source.rating.to_numpy().astype(np.float32),
            None if source.time is None else source.time.to_numpy().copy(),
            user_ids,
            item_ids,
            counts=_counts(source),
            y_range=declared,
            notes=source.notes,
        )
        if like is not None:
            tables = (_grown(like.user_table, user_ids), _grown(like.item_table, item_ids))
            ratings = dataclasses.replace(
                ratings, cold=cold_rows(like, ratings), user_table=tables[0], item_table=tables[1]
            )
        return _without_duplicates(ratings, duplicates, source)

    def _with_tables(self, user_table: Any, item_table: Any) -> Ratings:
        ratings = self if user_table is None else self.with_user_table(user_table)
        return ratings if item_table is None else ratings.with_item_table(item_table)

    # Reading it back -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        times = ", with times" if self.times is not None else ""
        return f"Ratings({self._counted()}{self._scaled()}{times})"

    def _repr_html_(self) -> str:
        """What a notebook shows: counts, scale, times, the first five ratings."""
        when = ""
        if self.times is not None and len(known := self.times[self.times != UNKNOWN]):
            first, last = (str(np.datetime64(int(t), "s"))[:10] for t in (known.min(), known.max()))
            when = f", rated from {first} to {last}"
        frame = self.take(np.arange(min(5, len(self)))).to_frame()
        titles = self.item_titles
        if titles is not None:
            frame = frame.with_columns(pl.Series("title", [titles[row] for row in self.items[:5]], dtype=pl.String))
        head = "".join(f"<th>{html.escape(name)}</th>" for name in frame.columns)
        cells = ("".join(f"<td>{html.escape('' if x is None else str(x))}</td>" for x in row) for row in frame.rows())
        rows = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<p>{html.escape(self._counted() + self._scaled() + when)}</p><table><tr>{head}</tr>{rows}</table>"

    def _counted(self) -> str:
        kind = "rating" if self.values is not None else "click"
        counts = ((len(self), kind), (self.n_users, "user"), (self.n_items, "item"))
        return "{} of {} and {}".format(*(f"{n:,} {name}{'s' * (n != 1)}" for n, name in counts))

    def _scaled(self) -> str:
        if self.values is None or not len(self):
            return ""
        return f", from {self.values.min():g} to {self.values.max():g}"

    @property
    def feedback(self) -> Feedback:
        """ "stars": ratings with values; "clicks": implicit feedback, with counts or without."""
        return "clicks" if self.values is None else "stars"

    @property
    def n_users(self) -> int:
        """U: rows of the user table, rated or not."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """I: rows of the item table, rated or not."""
        return len(self.item_ids)

    @property
    def user_counts(self) -> np.ndarray:
        """Ratings per user row: (U,) int64."""
        return np.bincount(self.users, minlength=self.n_users)

    @property
    def item_counts(self) -> np.ndarray:
        """Ratings per item row: (I,) int64."""
        return np.bincount(self.items, minlength=self.n_items)

    @property
    def item_titles(self) -> list[str | None] | None:
        """Titles by item row, from the item table's column ``title`` or ``name``; None where there is none.

        Always text: a title that is a number, such as 1984, is written out.
        """
        if self.item_table is None:
            return None
        column = next((c for c in readers.TITLES if c in self.item_table.columns), None)
        return None if column is None else readers.as_text(self.item_table[column]).to_list()

    def scale(self) -> tuple[float, float]:
        """The declared y_range, or else the lowest and highest value here. Ask train, never a held-out part.

        Raises:
            DataError: for implicit feedback, or no ratings.
        """
        if self.y_range is not None:
            return self.y_range
        return float(self.explicit().min()), float(self.explicit().max())

    def explicit(self) -> np.ndarray:
        """The values (N,), for code that needs numbers.

        Raises:
            DataError: for implicit feedback, or where there are no ratings.
        """
        if self.values is None:
            hint = f"name their column: {arg('rating')}…"
            raise DataError("these are clicks, without ratings; this needs ratings.", hint=hint)
        if not len(self):
            raise DataError("there are no ratings here.", hint="look at the filter or split that left none.")
        return self.values

    def joined(self, other: Ratings) -> Ratings:
        """These and then ``other``'s, which was read with ``like=`` these: on its id tables, with its side tables.

        Raises:
            DataError: where a row means two things, or one has values or times and the other has none.
        """
        check_same_tables(other, self.tables, "other", "these")
        columns = {
            name: (getattr(self, name), getattr(other, name)) for name in KINDS if name not in ("cold", "counts")
        }
        for name, (mine, theirs) in columns.items():
            if (mine is None) != (theirs is None):
                raise DataError(f"of the two, one has {name} and the other has none.", hint="read both alike.")
        if self.counts is not None or other.counts is not None:
            once = [np.ones(len(part), np.float32) if part.counts is None else part.counts for part in (self, other)]
            columns["counts"] = once[0], once[1]
        both = {name: None if pair[0] is None else np.concatenate(pair) for name, pair in columns.items()}
        return dataclasses.replace(other, **both, cold=None, notes=(*self.notes, *other.notes))

    def to_csr(self) -> scipy.sparse.csr_matrix:
        """A scipy CSR matrix (U, I) float32 of the values; of implicit feedback, the counts, or ones."""
        from scipy.sparse import csr_matrix

        data = self.counts if self.values is None else self.values
        data = np.ones(len(self), np.float32) if data is None else data
        return csr_matrix((data, (self.users, self.items)), shape=(self.n_users, self.n_items))

    def to_frame(self) -> pl.DataFrame:
        """The ratings as a polars frame with the user's own ids: user, item[, rating or count][, time UTC]."""
        columns = {
            "user": self.user_ids.values.gather(self.users),
            "item": self.item_ids.values.gather(self.items),
        }
        if self.values is not None:
            columns["rating"] = pl.Series(self.values)
        if self.counts is not None:
            columns["count"] = pl.Series(self.counts)
        if self.times is not None:
            columns["time"] = pl.Series(self.times).replace(UNKNOWN, None)
        return pl.DataFrame(columns)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of ids, rows, values, times and counts: two data sets are one if these agree."""
        digest = hashlib.sha256()
        for ids in (self.user_ids, self.item_ids):
            digest.update(f"{ids.values.dtype}\x1e".encode() + "\x1f".join(map(str, ids)).encode())
        for column in (self.users, self.items, self.values, self.times):
            digest.update(b"\x1e" if column is None else np.ascontiguousarray(column).data)
        if self.counts is not None:
            digest.update(b"counts" + np.ascontiguousarray(self.counts).data)
        return digest.hexdigest()

    @cached_property
    def tables(self) -> Tables:
        """Which id tables the rows here refer to: their lengths and digests, for :meth:`extends`."""
        return Tables(self.n_users, self.user_ids.digest(), self.n_items, self.item_ids.digest())

    def extends(self, tables: Tables) -> bool:
        """Whether a row of those id tables is the same user or item here: these tables begin with the same ids."""
        if tables is self.__dict__.get("tables"):
            return True
        if tables.n_users > self.n_users or tables.n_items > self.n_items:
            return False
        same_users = self.user_ids.digest(tables.n_users) == tables.users
        return same_users and self.item_ids.digest(tables.n_items) == tables.items

    def pairs(self) -> np.ndarray:
        """One int64 per rating that names its (user, item) pair: (N,)."""
        return self.users.astype(np.int64) * max(self.n_items, 1) + self.items

    # Choosing ratings ------------------------------------------------------------------------------------------

    def take(self, which: np.ndarray) -> Ratings:
        """The ratings chosen by a boolean mask (N,) or positions (n,); id and side tables stay whole.

        Raises:
            SettingError: for what is neither, or a position that is not there; negative ones count from the end.
            DataError: for a mask of another length.
        """
        which = _choice(which, len(self))
        chosen = {
            name: None if column is None else column[which] for name in KINDS for column in (getattr(self, name),)
        }
        return dataclasses.replace(self, **chosen)

    def drop_rare(self, *, users: int = 1, items: int = 1) -> Ratings:
        """Without users of fewer than ``users`` ratings and items of fewer than ``items``, counted once, together.

        Those who keep no rating leave the id tables; what went is counted in ``notes``.

        Raises:
            DataError: if nothing is left.
        """
        check_not_negative(users=users, items=items)
        keep = (self.user_counts >= users)[self.users] & (self.item_counts >= items)[self.items]
        why = f"dropped users of fewer than {users} and items of fewer than {items} ratings"
        return self.take(keep)._compact(why, before=len(self))

    def k_core(self, k: int) -> Ratings:
        """The largest part in which every user and every item has at least ``k`` ratings; counted in ``notes``.

        Raises:
            DataError: if nothing is left.
        """
        check_positive(k=k)
        core = self
        while True:
            keep = (core.user_counts >= k)[core.users] & (core.item_counts >= k)[core.items]
            if keep.all():
                return core._compact(f"the {k}-core", before=len(self))
            core = core.take(keep)

    def as_clicks(self, *, at_least: float | None = None) -> Ratings:
        """Who rated what, without the values: clicks. Columns are shared, not copied; clicks stay as they are.

        Args:
            at_least: only what was rated so high, as :meth:`binarize`; None: every rating.

        Raises:
            DataError: if no rating is that high, or ``at_least`` is asked of clicks.
        """
        if at_least is not None:
            return self.binarize(at_least)
        return self if self.values is None else dataclasses.replace(self, values=None, y_range=None)

    def binarize(self, threshold: float) -> Ratings:
        """Implicit feedback: the pairs rated ``threshold`` or more, without their values. Id tables stay whole.

        Raises:
            DataError: if no rating is that high, or there are no values.
        """
        if not isinstance(threshold, Real) or threshold != threshold:
            raise SettingError(f"threshold is {threshold!r}.", hint="a number, such as 4.")
        positive = self.take(self.explicit() >= min(max(float(threshold), -1e38), 1e38))
        if not len(positive):
            raise DataError(f"no rating is {threshold:g} or more.", hint=f"the highest is {self.explicit().max():g}.")
        note = f"{len(positive):,} of {len(self):,} ratings are {threshold:g} or more and count as positive."
        return dataclasses.replace(positive, values=None, y_range=None, notes=(*self.notes, note))

    def _compact(self, why: str, *, before: int) -> Ratings:
        """Renumber so that only rows with ratings remain."""
        if not len(self):
            raise DataError(f"{why}: of {before:,} ratings, none is left.", hint="ask for less.")
        n_before = self.user_ids, self.item_ids
        users, user_rows = _renumber(self.users, self.n_users)
        items, item_rows = _renumber(self.items, self.n_items)
        note = (
            f"{why}: {len(user_rows):,} of {len(n_before[0]):,} users, {len(item_rows):,} of {len(n_before[1]):,} "
            f"items, {len(self):,} of {before:,} ratings remain."
        )
        return dataclasses.replace(
            self,
            users=users,
            items=items,
            user_ids=Ids(self.user_ids.values.gather(user_rows)),
            item_ids=Ids(self.item_ids.values.gather(item_rows)),
            user_table=None if self.user_table is None else self.user_table[user_rows],
            item_table=None if self.item_table is None else self.item_table[item_rows],
            notes=(*self.notes, note),
        )

    # Side tables -----------------------------------------------------------------------------------------------

    def with_user_table(self, table: Any, *, id: str | None = None) -> Ratings:
        """With a side table of users (pandas, polars, pyarrow or a path to CSV/Parquet), attached by its id column.

        Rows of unknown users are left out and counted in ``notes``; users without a row get nulls. By default ``id``
        is the column named like the users' (``userId``, ``user``, ``id`` …), else the first.

        Raises:
            DataError: for an id that comes twice, ids of another type, or none that the ratings know.
        """
        aligned, notes = readers.align_table(table, self.user_ids, "user", id)
        return dataclasses.replace(self, user_table=aligned, notes=(*self.notes, *notes))

    def with_item_table(self, table: Any, *, id: str | None = None) -> Ratings:
        """With a side table of items; as :meth:`with_user_table`. Its column ``title`` names items for people."""
        aligned, notes = readers.align_table(table, self.item_ids, "item", id)
        if not set(readers.TITLES) & set(aligned.columns):
            named = ", ".join(map(str, aligned.columns))
            notes = (*notes, f"item table: no column is called title or name, so items have no titles ({named}).")
        return dataclasses.replace(self, item_table=aligned, notes=(*self.notes, *notes))


def check_is_ratings(value: Any, name: str) -> None:
    """Refuse what is no Ratings, such as a DataFrame.

    Raises:
        DataError: naming the type, and how Ratings are made of it.
    """
    if not isinstance(value, Ratings):
        raise DataError(
            f"{name} is a {type(value).__name__}, not Ratings.", hint="Ratings.from_frame(frame) makes them."
        )


def check_same_tables(part: Ratings, tables: Tables | None, name: str, of: str) -> None:
    """Refuse ratings whose row numbers mean other users or items. They may know more: new ids have rows at the end.

    Args:
        part: the ratings.
        tables: the id tables that their rows are held against; None: nobody said which.
        name: what ``part`` is called.
        of: what the tables are of: an argument's name.

    Raises:
        DataError: with the line that mends it.
    """
    check_is_ratings(part, name)
    if tables is not None and not part.extends(tables):
        raise DataError(
            f"{name} and {of} number their users or items differently: a row means two things.",
            hint=f"split one Ratings, or read the second file with like=: Ratings.from_csv(path, like={of}).",
        )


def cold_rows(train: Ratings, part: Ratings) -> np.ndarray:
    """Which ratings of a held-out part are of a user or an item without a rating in train -> (N,) bool.

    The two must number their ids alike (:meth:`Ratings.extends`); rows past the end of train's tables are cold.
    """
    users, items = (
        np.pad(counts > 0, (0, max(0, n - len(counts))))
        for counts, n in ((train.user_counts, part.n_users), (train.item_counts, part.n_items))
    )
    return ~(users[part.users] & items[part.items])


def _column(column: Any, name: str, kind: np.dtype) -> np.ndarray:
    """A column as an array of one type, contiguous; no value may change by it, but for the precision of floats."""
    try:
        array = np.asarray(column)
        fits = array.dtype.kind in {"i": "iu", "f": "fiu", "b": "b"}[kind.kind] or not array.size
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(array, kind) if fits else array
    except (TypeError, ValueError, OverflowError) as e:
        raise DataError(f"{name} is no column of {kind}: {e}", hint="all columns are arrays (N,).") from e
    wrapped = kind.kind == "i" and cast.dtype != array.dtype and not np.array_equal(cast, array)
    if not fits or wrapped or (kind.kind == "f" and bool((np.isinf(cast) & np.isfinite(array)).any())):
        raise DataError(f"{name} holds {array.dtype} that is no {kind}.", hint="all columns are arrays (N,).")
    return cast


def _choice(which: Any, n: int) -> np.ndarray:
    """A boolean mask (n,), or positions (m,) among n ratings, checked."""
    hint = "a boolean mask, one for each rating, or an array of positions."
    try:
        array = np.asarray(which)
    except (TypeError, ValueError) as e:
        raise SettingError(f"{which!r} chooses no ratings: {e}", hint=hint) from e
    if array.dtype == bool and array.shape != (n,):
        raise DataError(f"a mask of shape {array.shape} cannot choose among {n} ratings.", hint=hint)
    if array.ndim == 1 and not array.size and array.dtype != bool:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise SettingError(f"{which!r} chooses no ratings.", hint=hint)
    if array.dtype != bool and array.size and not -n <= int(array.min()) <= int(array.max()) < n:
        what = f"there are {n:,} ratings, and among the positions are {array.min()} to {array.max()}."
        raise SettingError(what, hint="positions count from 0.")
    return array


def _number(ids: pl.Series, known: Ids | None, role: str, source: readers.Source) -> Ids:
    """The ids' numbering: by first appearance, or after ``known``."""
    if known is None:
        return Ids(ids.unique(maintain_order=True))
    if len(known) and known.values.dtype != ids.dtype:
        raise DataError(
            f"{source.name}: the {role} ids are {_kind(ids)}, where the ratings they join have {_kind(known.values)}: "
            f"{ids[0]!r} beside {known[0]!r}.",
            hint="make both columns the same type; 42 and '42' are two different ids.",
        )
    return known.extend(ids)


def _counts(source: readers.Source) -> np.ndarray | None:
    """Counts (N,) float32; None where there are none, or all are 1: once each."""
    if source.count is None or bool((source.count == 1).all()):
        return None
    return source.count.to_numpy().astype(np.float32)


def _kind(ids: pl.Series) -> str:
    return "whole numbers" if ids.dtype.is_integer() else "text"


def _grown(table: pl.DataFrame | None, ids: Ids) -> pl.DataFrame | None:
    """A side table with null rows for ids that came later."""
    if table is None or len(table) == len(ids):
        return table
    return pl.concat([table, table.clear(len(ids) - len(table))])


def _renumber(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows renumbered without gaps, the old row of each new one)."""
    used = np.zeros(n, bool)
    used[rows] = True
    return (np.cumsum(used, dtype=np.int32) - np.int32(1))[rows], np.flatnonzero(used)


def _policy(duplicates: Any, feedback: Feedback) -> Duplicates:
    """What to do with several rows of one pair, where nothing is said: refuse ratings, sum clicks."""
    if duplicates is None:
        return "sum" if feedback == "clicks" else "error"
    if not isinstance(duplicates, str) or duplicates not in ("error", "last", "mean", "sum"):
        raise SettingError(f"duplicates is {duplicates!r}.", hint="'error', 'last', 'mean' or 'sum'.")
    if duplicates == "sum" and feedback == "stars":
        raise SettingError("duplicates is 'sum', but ratings have no sum.", hint="'last' or 'mean'; clicks have one.")
    return duplicates


def _without_duplicates(ratings: Ratings, policy: Duplicates, source: readers.Source) -> Ratings:
    """Apply the policy for several rows of one pair."""
    pairs = ratings.pairs()
    ordered = np.sort(pairs)
    n_extra = int((ordered[1:] == ordered[:-1]).sum())
    if not n_extra:
        return ratings
    if policy == "error":
        raise _repeated(ratings, n_extra, source)
    order = np.lexsort((np.arange(len(pairs)), pairs if ratings.times is None else ratings.times, pairs))
    last = np.r_[pairs[order][1:] != pairs[order][:-1], True]
    keep = np.sort(order[last])
    kept = ratings.take(keep)
    if policy != "last":
        kept = dataclasses.replace(kept, **_combined(ratings, pairs, keep, policy))
    note = f"pairs rated more than once: {n_extra:,} ratings too many; kept the {policy} of each pair."
    if kept.feedback == "clicks":
        once = "" if policy != "sum" else f"; counts go from {kept.counts.min():g} to {kept.counts.max():g}"  # type: ignore[union-attr]
        note = f"pairs that come more than once: {n_extra:,} rows too many; kept the {policy} of each pair{once}."
    return dataclasses.replace(kept, notes=(*ratings.notes, note))


def _combined(ratings: Ratings, pairs: np.ndarray, keep: np.ndarray, policy: Duplicates) -> dict[str, np.ndarray]:
    """The mean or sum of each pair's values or counts, at the positions ``keep``; without counts, each row is one."""
    name = "values" if ratings.values is not None else "counts"
    column = getattr(ratings, name)
    if column is None and policy == "mean":
        return {}
    _, inverse = np.unique(pairs, return_inverse=True)
    total = np.bincount(inverse, column)
    total = total / np.bincount(inverse) if policy == "mean" else total
    return {name: total[inverse[keep]].astype(np.float32)}


def _repeated(ratings: Ratings, n_extra: int, source: readers.Source) -> DataError:
    pairs = ratings.pairs()
    order = np.argsort(pairs, kind="stable")
    repeat = np.flatnonzero(pairs[order][1:] == pairs[order][:-1])
    second = order[repeat + 1].min()
    first = np.flatnonzero(pairs == pairs[second])[0]
    user, item = ratings.user_ids[int(ratings.users[second])], ratings.item_ids[int(ratings.items[second])]
    choices = ("last", "mean") if ratings.feedback == "stars" else ("sum", "last")
    return DataError(
        f"{source.where(second)}: user {user!r} rates item {item!r} again (first in {source.where(first)}); "
        f"repeated pairs in all: {n_extra:,}.",
        hint=f"choose what counts: {arg('duplicates', choices[0])} or {arg('duplicates', choices[1])}.",
    )
