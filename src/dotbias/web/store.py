"""What people rated in the app, kept: SQLite in a file, or PostgreSQL by URL, through SQLAlchemy core.

A rating is in the database when ``rate`` returns: SQLite commits with ``synchronous=FULL`` (asserted), PostgreSQL as it
is set up. Ids are kept as text, so that one table serves models of any ids; ``Ratings.from_sql`` reads it back. This
module knows no model.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from ..errors import FileError, SettingError
from ..readers.sql import engine_of

FULL = 2  # what PRAGMA synchronous answers
INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_meta = sa.MetaData()
_key: Any = lambda name: sa.Column(name, sa.Text, primary_key=True)  # noqa: E731
RATINGS = sa.Table(
    "ratings",
    _meta,
    _key("user_id"),
    _key("item_id"),
    sa.Column("rating", sa.Float(53), nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
)
NOT_SEEN = sa.Table("not_seen", _meta, _key("user_id"), _key("item_id"), sa.Column("time", sa.BigInteger))
SETTINGS = sa.Table("settings", _meta, _key("name"), sa.Column("value", sa.Text, nullable=False))


class Word(NamedTuple):
    """One thing that a user said.

    Attributes:
        item_id: as text.
        rating: the stars, or None: "not seen".
        time: seconds since 1970 UTC.
    """

    item_id: str
    rating: float | None
    time: int


class Store:
    """Ratings in a database.

    Args:
        url: ``sqlite:///ratings.db`` (a path relative to here; four slashes: absolute), or
            ``postgresql://user:password@host/name``.

    Raises:
        SettingError: for another kind of database.
        MissingExtraError: where its driver is not installed.
        FileError: where it cannot be opened.
    """

    def __init__(self, url: str):
        self.engine = engine_of(url)
        self.kind = self.engine.dialect.name
        if self.kind not in INSERT:
            raise SettingError(f"a store in {self.kind} is not possible.", hint="sqlite:///FILE or postgresql://…")
        if self.kind == "sqlite":
            event.listen(self.engine, "connect", _durable)
        with self._begin() as connection:
            _meta.create_all(connection)

    @contextmanager
    def _begin(self) -> Any:
        """A transaction; what the database refuses becomes a clear error."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as e:
            what = f"the store {self.engine.url.render_as_string()} cannot be used: {str(e.orig).strip()}"
            raise FileError(
                what, hint="is the database running, the folder there and writable, the disk not full?"
            ) from e

    def rate(self, user: str, ratings: Iterable[tuple[str, float | None]], *, now: int | None = None) -> None:
        """Keep what a user gave items; None stands for "not seen". The last word on an item counts."""
        when = int(time.time()) if now is None else now
        said = dict(ratings)
        rated = [_row(user, item, when) | {"rating": value} for item, value in said.items() if value is not None]
        unseen = [_row(user, item, when) for item, value in said.items() if value is None]
        with self._begin() as connection:
            for table, rows, other in ((RATINGS, rated, NOT_SEEN), (NOT_SEEN, unseen, RATINGS)):
                if rows:
                    items = [row["item_id"] for row in rows]
                    connection.execute(other.delete().where(other.c.user_id == user, other.c.item_id.in_(items)))
                    connection.execute(self._upsert(table), rows)

    def _upsert(self, table: sa.Table) -> Any:
        insert = INSERT[self.kind](table)
        new = {c.name: insert.excluded[c.name] for c in table.c if not c.primary_key}
        return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)

    def forget(self, user: str, item: str | None = None) -> int:
        """Remove what a user said of an item, or everything; how many rows went."""
        gone = 0
        with self._begin() as connection:
            for table in (RATINGS, NOT_SEEN):
                which = table.c.user_id == user
                which = which if item is None else which & (table.c.item_id == item)
                gone += connection.execute(table.delete().where(which)).rowcount
        return gone

    def history(self, user: str) -> list[Word]:
        """All that a user said, oldest first."""
        seen = sa.select(RATINGS.c.item_id, RATINGS.c.rating, RATINGS.c.time).where(RATINGS.c.user_id == user)
        nothing = sa.cast(sa.null(), sa.Float(53)).label("rating")
        unseen = sa.select(NOT_SEEN.c.item_id, nothing, NOT_SEEN.c.time).where(NOT_SEEN.c.user_id == user)
        with self._begin() as connection:
            rows = connection.execute(sa.union_all(seen, unseen)).all()
        return sorted((Word(*row) for row in rows), key=lambda s: (s.time, s.item_id))

    def ratings(self) -> list[tuple[str, str, float, int]]:
        """(user, item, rating, time) of everybody, by user and item."""
        with self._begin() as connection:
            rows = connection.execute(sa.select(*RATINGS.c).order_by(RATINGS.c.user_id, RATINGS.c.item_id)).all()
        return [tuple(row) for row in rows]

    def count(self) -> int:
        """Ratings of all users."""
        with self._begin() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(RATINGS)).scalar_one()

    def setting(self, name: str, value: str) -> str:
        """The value kept under a name; at the first time, this one is kept."""
        insert = INSERT[self.kind](SETTINGS).on_conflict_do_nothing(index_elements=[SETTINGS.c.name])
        with self._begin() as connection:
            connection.execute(insert, {"name": name, "value": value})
            return connection.execute(sa.select(SETTINGS.c.value).where(SETTINGS.c.name == name)).scalar_one()

    def close(self) -> None:
        """Let the connections go."""
        self.engine.dispose()


def _row(user: str, item: str, when: int) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "time": when}


def _durable(connection: Any, _: Any) -> None:
    """A write-ahead log that is on the disk before a commit returns."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]
    cursor.close()
    if synchronous != FULL:
        raise FileError(f"this SQLite does not wait for the disk (synchronous={synchronous}).")
