"""Columns: which is which, and what their cells must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..errors import DataError, SettingError, arg, did_you_mean
from ..ids import as_ids, missing, refuse, texts
from .times import NOTHING as SPELL_MISSING
from .times import seconds

NAMES = {
    "user": (
        "userid",
        "user",
        "uid",
        "username",
        "useridx",
        "reviewerid",
        "customer",
        "customerid",
        "member",
        "reader",
    ),
    "item": (
        *("itemid", "item", "iid", "movieid", "movie", "productid", "product", "bookid", "book", "isbn", "asin"),
        *(
            "artistid",
            "artist",
            "songid",
            "trackid",
            "businessid",
            "articleid",
            "article",
            "gameid",
            "animeid",
            "title",
        ),
    ),
    "rating": ("rating", "ratings", "score", "stars", "star", "value", "bookrating", "overall", "grade", "points"),
    "time": ("timestamp", "time", "ts", "date", "datetime", "unixreviewtime", "ratedat", "createdat"),
    "count": (
        *("count", "counts", "plays", "playcount", "clicks", "views", "listens", "visits", "purchases", "quantity"),
        *("qty", "frequency", "weight", "weights"),
    ),
}
Columns = dict[str, Any]  # role -> the name or position asked for; None: recognise it; False: there is none
EITHER = {"rating": "count", "count": "rating"}  # there is the one or the other
MOST_STARS = 100  # no scale of ratings goes further
WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"  # text that a whole number prints as: not 007


class Source(NamedTuple):
    """Clean columns of one length, and where they came from.

    Attributes:
        user: ids: Int64 or String.
        item: ids: Int64 or String.
        rating: Float64 or None.
        time: Int64 seconds UTC or None.
        name: what messages call the source.
        where: position of a rating -> its place, for messages.
        notes: what was found or changed, for people.
        count: Float64, how often or how much, where there are no ratings; or None.
    """

    user: pl.Series
    item: pl.Series
    rating: pl.Series | None
    time: pl.Series | None
    name: str
    where: Callable[[int], str]
    notes: tuple[str, ...] = ()
    count: pl.Series | None = None


# Which column is which -----------------------------------------------------------------------------------------


def choose_columns(names: list[str], columns: Columns, source: str, *, header: bool = True) -> dict[str, str]:
    """Role -> column name, as asked for or recognised. User and item must be found; ratings or else clicks.

    There is a rating, or no rating and perhaps a count. Where neither is named or recognised, these are clicks if no
    other column is left over; if one is, it might hold the ratings.

    Raises:
        DataError: for a role without a column, with the near misses, or one column in two roles.
    """
    unknown = set(columns) - set(NAMES)
    if unknown:
        raise DataError(f"no column can be a {min(unknown)!r}.", hint="user, item, rating, time, count.")
    for role in ("user", "item"):
        if columns.get(role) is False:
            raise DataError(f"{source}: every rating needs a {role}.", hint=f"name its column: {arg(role)}…")
    if _is_asked(columns.get("rating")) and _is_asked(columns.get("count")):
        raise DataError(f"{source}: there cannot be ratings and counts at once.", hint="name one of the two columns.")
    chosen = {role: _asked(names, columns[role], role, source) for role in NAMES if _is_asked(columns.get(role))}
    for role, known in NAMES.items():
        if role in chosen or columns.get(role) is False or EITHER.get(role) in chosen:
            continue
        found = recognise([n for n in names if n not in chosen.values()], known)
        if found is not None:
            chosen[role] = found
    unclear = columns.get("rating") is not False and "count" not in chosen and len(chosen) < len(names)
    lacking = [role for role in ("user", "item") if role not in chosen]
    if "rating" not in chosen and unclear:
        lacking.append("rating")
    if lacking:
        raise _not_found(names, lacking, source, header)
    twice = [name for name in chosen.values() if list(chosen.values()).count(name) > 1]
    if twice:
        roles = " and ".join(role for role, name in chosen.items() if name == twice[0])
        raise DataError(f"{source}: column {twice[0]!r} cannot be {roles} at once.", hint="name another.")
    return chosen


def _is_asked(column: object) -> bool:
    return column is not None and column is not False


def _asked(names: list[str], asked: Any, role: str, source: str) -> str:
    """The column of that name or position; a whole number may be either, where columns are named by numbers."""
    if isinstance(asked, (int, np.integer)) and not isinstance(asked, bool):
        at = int(asked)
        there, named = names[at] if 0 <= at < len(names) else None, str(at) if str(at) in names else None
        if there is not None and named is not None and there != named:
            raise DataError(
                f"{source}: {at} may be the column at position {at}, {there!r}, or the one named {named!r} ({role}).",
                hint=f"give the name as text: {arg(role, there)} or {arg(role, named)}.",
            )
        if there is None and named is None:
            raise DataError(
                f"{source} has {len(names)} columns, none at position {at} ({role}).", hint="positions count from 0."
            )
        return there if there is not None else str(at)
    if not isinstance(asked, str) or asked not in names:
        raise DataError(f"{source} has no column {asked!r} ({role}).", hint=did_you_mean(asked, names))
    return asked


def _not_found(names: list[str], roles: list[str], source: str, header: bool) -> DataError:
    shown = " or the ".join([", the ".join(roles[:-1]), roles[-1]] if len(roles) > 1 else roles)
    what = f"{source}: no column looks like the {shown}; its columns are {', '.join(map(repr, names[:12]))}."
    if len(names) == 1:
        return DataError(what, hint=f"one column only: name the right {arg('separator')}.")
    if not header:
        return DataError(what, hint="without a header, columns are user, item, rating, time; or give positions.")
    free = [n for n in names if all(recognise([n], known) is None for known in NAMES.values())]
    near = {r: next((n for n in free if did_you_mean(n, NAMES[r]).startswith("did you mean")), None) for r in roles}
    if len(roles) == 1 and near[roles[0]]:
        guess = f"did you mean {arg(roles[0], near[roles[0]])}?"
    else:
        near = {r: n for r, n in near.items() if list(near.values()).count(n) == 1}
        all_of = ", ".join(arg(r, near[r]) if near.get(r) else f"{arg(r)}…" for r in roles)
        guess = f"name {'it' if len(roles) == 1 else 'them'}: {all_of}"
    implicit = f"; {arg('rating', False)} or {arg('count')}… if these are clicks" if "rating" in roles else ""
    return DataError(what, hint=f"{guess}{implicit}; {arg('header', False)} if the first line is a rating.")


def recognise(names: list[str], known: Iterable[str]) -> str | None:
    """The first of the ``known`` plain names that a column has, whatever its case and punctuation."""
    plain = {re.sub(r"[^a-z0-9]", "", n.casefold()): n for n in reversed(names)}
    return next((plain[k] for k in known if k in plain), None)


# What cells must be --------------------------------------------------------------------------------------------


MARKS = "\0|\ufeff"  # no id has them: a file was damaged, or made of several, each with its mark
UNMARKED = "was the file damaged, or put together from several? take these characters off."


def clean(
    frame: pl.DataFrame,
    chosen: dict[str, str],
    name: str,
    where: Callable[[int], str],
    notes: tuple[str, ...],
    *,
    text: bool = False,
) -> Source:
    """Checked and typed columns of a frame; ``text``: from a text file, where ids that look whole are numbers.

    A count of 0 says that nothing happened: such rows are left out, and noted.
    """
    if not len(frame):
        raise DataError(f"{name} holds no ratings.", hint="a rating a line is expected.")
    ids = {}
    for role in ("user", "item"):
        column = frame[chosen[role]]
        refuse(missing(column), column, where, f"the {role} is missing", "every rating needs a user and an item.")
        if text:
            column, note = whole_if_all(column, role)
            notes += note
            if column.dtype == pl.String:
                marked = column.str.contains(MARKS)
                refuse(marked, column, where, f"the {role} holds a NUL or a byte order mark", UNMARKED)
        ids[role] = as_ids(column, f"{name}, column {chosen[role]!r}")
        notes += odd_ids(ids[role], role)
    rating, count = (_numbers(frame[chosen[r]], where, chosen[r]) if r in chosen else None for r in ("rating", "count"))
    time, note = seconds(frame[chosen["time"]], where, chosen["time"]) if "time" in chosen else (None, ())
    notes += note + (kind_of_clicks(chosen) if rating is None else odd_ratings(rating, chosen["rating"]))
    source = Source(ids["user"], ids["item"], rating, time, name, where, notes, count)
    return source if count is None else _counted(source, count, chosen["count"])


def kind_of_clicks(chosen: dict[str, str]) -> tuple[str, ...]:
    """A note on what stands for a rating where there is none."""
    if "count" not in chosen:
        return ("there are no ratings: these are clicks, and that a pair is there is all that is known.",)
    return (f"there are no ratings: these are clicks, and column {chosen['count']!r} says how often or how much.",)


def odd_ratings(rating: pl.Series, name: str) -> tuple[str, ...]:
    """Notes on ratings that may be clicks: all equal, or whole numbers without a sign that no scale has."""
    low, high = rating.min(), rating.max()
    if len(rating) > 1 and low == high:
        return (f"every {name} is {low:g}: if these are clicks, leave the column out (rating=False, --no-rating).",)
    if low >= 0 and high > MOST_STARS and bool((rating == rating.floor()).all()):  # type: ignore[operator]
        return (f"{name} goes from {low:g} to {high:g}: if it counts clicks or plays, name it so (count=, --count).",)
    return ()


def _counted(source: Source, count: pl.Series, name: str) -> Source:
    """The source with its counts checked, without the rows whose count is 0."""
    hint = f"a count says how often or how much, from 0 up; {arg('rating', name)} if it holds ratings."
    refuse(count < 0, count, source.where, f"{name} is negative", hint)
    kept = np.flatnonzero((count > 0).to_numpy())
    if len(kept) == len(count):
        return source
    if not len(kept):
        raise DataError(f"{source.name}: every {name} is 0, so nothing happened.", hint=hint)
    columns = {role: None if c is None else c.gather(kept) for role, c in source._asdict().items() if role in NAMES}
    note = f"{len(count) - len(kept):,} rows with a {name} of 0 were left out: nothing happened."
    return source._replace(**columns, where=lambda i: source.where(int(kept[i])), notes=(*source.notes, note))


def whole_if_all(column: pl.Series, role: str) -> tuple[pl.Series, tuple[str, ...]]:
    """A text column as Int64 if every cell is a whole number as it prints (1, not 01).

    Spaces around numbers and a ``.0`` behind them (which pandas writes) are taken off, and noted.
    """
    if column.str.contains(WHOLE).all():
        return column.cast(pl.Int64), ()
    bare = column.str.strip_chars()
    whole = bare.str.replace(r"\.0+$", "")
    if not whole.str.contains(WHOLE).all():
        return column, ()
    notes = []
    if n := int((bare != column).sum()):
        notes.append(f"spaces around {role} numbers were taken off: {n:,} cells.")
    if n := int((whole != bare).sum()):
        notes.append(f"{role} ids such as {bare.filter(whole != bare)[0]!r} were read as whole numbers: {n:,} cells.")
    return whole.cast(pl.Int64), tuple(notes)


def odd_ids(ids: pl.Series, role: str) -> tuple[str, ...]:
    """Notes on text ids that look alike, or that spell a missing value: they are left as they are."""
    if ids.dtype != pl.String:
        return ()
    distinct, notes = ids.unique(maintain_order=True), []
    if n := int(distinct.str.contains(MARKS).sum()):
        notes.append(f"{n:,} {role} ids hold a NUL or a byte order mark, which nobody sees: they are kept as they are.")
    plain = distinct.str.strip_chars().str.replace(r"^(-?\d+)\.0+$", "$1")
    if n := len(plain) - plain.n_unique():
        twins = distinct.filter(plain == plain.filter(plain.is_duplicated())[0]).head(2).to_list()
        notes.append(
            f"{n:,} {role} ids differ from another one only in spaces or a '.0', such as {twins[0]!r} beside "
            f"{twins[1]!r}: they count as different {role}s."
        )
    for spelled in distinct.filter(distinct.str.to_lowercase().is_in(SPELL_MISSING)).to_list():
        n = int((ids == spelled).sum())
        notes.append(f"{n:,} ratings have the {role} {spelled!r}: it counts as a {role}, not as a missing id.")
    return tuple(notes)


def _numbers(column: pl.Series, where: Callable[[int], str], name: str) -> pl.Series:
    """A column of finite Float64 that float32 can hold."""
    hint = "ratings are numbers with a point, such as 3.5; mend or drop such rows first."
    if column.dtype == pl.Object:
        column = texts(column.to_list(), name)
    if column.dtype == pl.String:
        bare = column.str.strip_chars()
        refuse(missing(bare), column, where, f"{name} is missing", hint)
        numbers = bare.cast(pl.Float64, strict=False)
        refuse(numbers.is_null(), column, where, f"{name} is not a number", hint)
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64)
    else:
        raise DataError(f"{name} holds {column.dtype}, not numbers.", hint=f"name the rating column: {arg('rating')}…")
    refuse(numbers.is_null(), column, where, f"{name} is missing", hint)
    refuse(~numbers.is_finite(), column, where, f"{name} is not finite", hint)
    refuse(numbers.abs() > 1e30, column, where, f"{name} is too large", hint)
    return numbers


def check_values(source: Source, y_range: tuple[float, float] | None) -> None:
    """Refuse ratings outside the declared scale."""
    if y_range is not None and source.rating is not None:
        low, high = y_range
        outside = (source.rating < low) | (source.rating > high)
        hint = f"mend these rows, or declare another scale than {arg('y_range', y_range)}."
        refuse(outside, source.rating, source.where, f"the rating lies outside {low:g} to {high:g}", hint)


def checked_range(y_range: Any) -> tuple[float, float]:
    """A declared scale as two floats.

    Raises:
        SettingError: if it is not two finite numbers, the lower one first.
    """
    try:
        low, high = (float(y) for y in y_range)
    except (TypeError, ValueError) as e:
        raise SettingError(f"y_range is {y_range!r}.", hint="two numbers, such as (1, 5).") from e
    if not (np.isfinite(low) and np.isfinite(high)):
        raise SettingError(f"y_range is {y_range!r}.", hint="two finite numbers, such as (1, 5).")
    if not low < high:
        raise SettingError(f"y_range is {y_range!r}; its first number must be below its second.", hint="(1, 5), say.")
    return low, high
