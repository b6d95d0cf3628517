"""Times: a column of seconds, milliseconds, dates written as numbers or text, as seconds since 1970 UTC.

What the numbers alone can tell is read and noted; what may be two things is refused, and both are named.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from ..errors import DataError, arg
from ..ids import refuse, texts
from ..times import UNKNOWN

UNITS = (  # up to which size (the year 5138), what a number counts, how many of them a second has
    (10**11, "seconds", 1),
    (10**14, "milliseconds", 10**3),
    (10**17, "microseconds", 10**6),
    (2**63, "nanoseconds", 10**9),
)
WRITTEN = (  # dates as numbers: lowest, highest, how they are written, the same for polars
    (1900, 2100, "YYYY", "%Y%m%d"),
    (19000101, 21001231, "YYYYMMDD", "%Y%m%d"),
    (190001010000, 210012312359, "YYYYMMDDhhmm", "%Y%m%d%H%M"),
    (19000101000000, 21001231235959, "YYYYMMDDhhmmss", "%Y%m%d%H%M%S"),
)
NAMED = {  # words in the names of columns that may hold times
    *("time", "timestamp", "date", "datetime", "day", "when", "created", "updated"),
    *("datum", "zeit", "zeitpunkt", "fecha", "tijd", "heure"),
}
NOTHING = ("null", "na", "n/a", "nan", "none", "<na>", "nat")  # words for no time, in lower case
EPOCH = 10**8  # seconds: smaller ones, of 1970 to 1973, are no times of today
YEAR_1 = -62_135_596_800  # seconds from 1970 to 0001-01-01
DAY = 86_400
Where = Callable[[int], str]


def seconds(column: pl.Series, where: Where, name: str) -> tuple[pl.Series, tuple[str, ...]]:
    """Times (N,) as Int64 seconds since 1970 UTC, UNKNOWN where there is none, and what was found, for people.

    Args and errors as in :func:`all_seconds`; a column without a single time is refused.
    """
    empty = _empty(column)
    n = int(empty.sum())
    if not n or n == len(column):
        return all_seconds(column, where, name)
    known = np.flatnonzero(~empty.to_numpy())
    found, notes = all_seconds(column.gather(known), lambda i: where(int(known[i])), name)
    out = np.full(len(column), UNKNOWN)
    out[known] = found.to_numpy()
    said = f"{n:,} of {len(column):,} ratings have no {name}: their time is taken as unknown."
    return pl.Series(column.name, out), (said, *notes)


def _empty(column: pl.Series) -> pl.Series:
    """Where a column has no time at all: null, NaN, blank text or a word for nothing."""
    if column.dtype == pl.Object:
        column = texts(column.to_list(), column.name)
    if column.dtype.is_float():
        return column.is_null() | column.is_nan().fill_null(False)
    if column.dtype != pl.String:
        return column.is_null()
    bare = column.str.strip_chars().str.to_lowercase()
    return (column.is_null() | bare.is_in(["", *NOTHING])).fill_null(True)


def all_seconds(column: pl.Series, where: Where, name: str) -> tuple[pl.Series, tuple[str, ...]]:
    """Times (N,) as Int64 seconds since 1970 UTC, and what was found, for people.

    Args:
        column: seconds, milli-, micro- or nanoseconds since 1970; dates written YYYY, YYYYMMDD, YYYYMMDDhhmm or
            YYYYMMDDhhmmss; dates and datetimes; ISO 8601 text (UTC unless it says).
        where: position -> its place, for messages.
        name: the column's name.

    Raises:
        DataError: for what is no time, lies before the year 1, or may be read in two ways.
    """
    hint = (
        "times are seconds since 1970 UTC, or ISO 8601 such as 2026-11-21T09:30:00 (21/11/2026 could be either day or "
        f"month first); {arg('time', False)} leaves them out."
    )
    parsed, notes = _parsed(column), ()
    if parsed.dtype == pl.Date:
        parsed = parsed.cast(pl.Datetime("us"))
    if isinstance(parsed.dtype, pl.Datetime):
        parsed = parsed.dt.epoch("s")
    elif parsed.dtype.is_float():
        parsed = pl.select(pl.when(parsed.is_finite()).then(parsed.floor())).to_series()
    elif parsed.dtype.is_integer():  # narrow ones cannot even be compared with what is wide
        parsed = parsed.cast(pl.Int64, strict=False)
    else:
        raise DataError(f"{name} holds {column.dtype}, not times.", hint=hint)
    refuse(parsed.is_null(), column, where, f"{name} is no time", hint)
    if column.dtype == pl.String or column.dtype.is_numeric() or column.dtype == pl.Object:
        parsed, notes = _counted(parsed, where, name) if parsed.dtype.is_numeric() else (parsed, ())
    refuse(parsed < YEAR_1, column, where, f"{name} lies before the year 1", hint)
    return parsed.cast(pl.Int64), (*notes, *_future(parsed, name))


def _parsed(column: pl.Series) -> pl.Series:
    """Text as numbers if the first cell is one, else as ISO 8601; what does not parse becomes null."""
    if column.dtype == pl.Object:
        column = texts(column.to_list(), column.name)
    if column.dtype != pl.String:
        return column
    bare = column.str.strip_chars()
    numbers = bare.cast(pl.Float64, strict=False)
    if numbers.null_count() < len(numbers) and numbers[0] is not None:
        whole = bare.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == numbers.null_count() else numbers
    iso = bare.str.contains(r"^\d{4}-\d\d-\d\d([T ]|$)")
    bare = pl.select(pl.when(iso).then(bare)).to_series()
    if not iso.fill_null(False).any():
        return pl.Series(column.name, [None] * len(column), dtype=pl.Int64)
    return bare.str.to_datetime(time_zone="UTC", strict=False, time_unit="us")


def _counted(numbers: pl.Series, where: Where, name: str) -> tuple[pl.Series, tuple[str, ...]]:
    """Numbers as seconds: dates where all are such, else by their size."""
    if len(numbers) == 0:
        return numbers, ()
    written = _written(numbers, where, name)
    if written is not None:
        return written
    size = numbers.cast(pl.Float64).abs()
    units = [next((u for u in UNITS if x < u[0]), UNITS[-1]) for x in (size.filter(size > 0).min() or 0, size.max())]  # type: ignore[operator]
    _, unit, per_second = units[1]
    if units[0] != units[1]:
        small, large = numbers[int(size.replace(0, None).arg_min() or 0)], numbers[int(size.arg_max() or 0)]
        raise DataError(
            f"{where(int(size.arg_max() or 0))}: {name} holds {large:.0f} beside {small:.0f}: {unit} or {units[0][1]}?",
            hint=f"bring all times to seconds since 1970 UTC; {arg('time', False)} leaves them out.",
        )
    _refuse_dates_among(numbers, where, name, unit, per_second)
    if per_second == 1:
        return numbers, ()
    return (numbers / per_second).floor() if numbers.dtype.is_float() else numbers // per_second, (
        f"{name} was read as {unit} since 1970.",
    )


def _written(numbers: pl.Series, where: Where, name: str) -> tuple[pl.Series, tuple[str, ...]] | None:
    """Numbers that are dates as people write them, as seconds; None where they are none.

    Raises:
        DataError: where half of them or more are such dates, and others are not.
    """
    low, high = numbers.min(), numbers.max()
    style = next((w for w in WRITTEN if w[0] <= low and high <= w[1]), None)  # type: ignore[operator]
    if style is None or (numbers.dtype.is_float() and bool((numbers != numbers.floor()).any())):
        return None
    text = numbers.cast(pl.Int64).cast(pl.String)
    text = text + "0101" if style[2] == "YYYY" else text
    dates = text.str.to_datetime(style[3], strict=False, time_unit="us")
    wrong = dates.is_null()
    if wrong.any():
        if 2 * int(wrong.sum()) > len(dates):
            return None
        i = int(wrong.arg_max() or 0)
        raise DataError(
            f"{where(i)}: {name} holds {numbers[i]}: seconds since 1970, or a date {style[2]}? Most others are.",
            hint=f"write dates as 2026-11-21; {arg('time', False)} leaves times out.",
        )
    first, last = (str(d)[:10] for d in (dates.min(), dates.max()))
    return dates.dt.epoch("s"), (f"{name} was read as dates written {style[2]}, from {first} to {last}.",)


def _refuse_dates_among(numbers: pl.Series, where: Where, name: str, unit: str, per_second: int) -> None:
    """Refuse numbers that are dates as people write them beside counts that lie far from all such dates.

    Raises:
        DataError: naming both readings of the first.
    """
    size = numbers.cast(pl.Float64).abs()
    for low, high, style, pattern in WRITTEN:
        inside = numbers.is_between(low, high) & (size == size.floor())
        others = size.filter(~inside & (size > 0))
        if not inside.any() or not len(others) or others.min() < EPOCH:  # type: ignore[operator]
            continue
        if others.is_between(low / 5, high * 5).any():  # counts that merely pass through here
            continue
        text = numbers.filter(inside).cast(pl.Int64).cast(pl.String) + ("0101" if style == "YYYY" else "")
        dates, i = text.str.to_datetime(pattern, strict=False, time_unit="us"), int(inside.arg_max() or 0)
        if not dates.null_count():
            as_count = datetime.fromtimestamp(int(numbers[i]) // per_second, UTC)
            more = f" ({n:,} such rows in all)" if (n := int(inside.sum())) > 1 else ""
            raise DataError(
                f"{where(i)}: {name} holds {numbers[i]:.0f} beside {others[0]:.0f}{more}: {str(dates[0])[:10]}, "
                f"a date written {style}, or {as_count:%Y-%m-%d}, {unit} since 1970?",
                hint=f"bring all times to seconds since 1970 UTC; {arg('time', False)} leaves them out.",
            )


def overlooked(
    names: Sequence[str], chosen: dict[str, str], asked: object, frame: pl.DataFrame | None = None
) -> tuple[str, ...]:
    """A note on a column that looks like times, by its name or its first cells, where no column was chosen for them.

    Args:
        names: of all columns.
        chosen: role -> column.
        asked: what the caller said of the time column; False: there is none.
        frame: the cells, where they are at hand.
    """
    if "time" in chosen or asked is False:
        return ()
    free = [n for n in names if n not in chosen.values()]
    found = next((n for n in free if _is_named_so(n) or (frame is not None and _looks_so(frame[n].head(100)))), None)
    if found is None:
        return ()
    return (f"column {found!r} looks like times and is left out; name it as the time column to use it.",)


def _is_named_so(name: str) -> bool:
    return bool(NAMED & {word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)})


def _looks_so(cells: pl.Series) -> bool:
    """Whether text cells are all ISO dates, or seconds of 2001 to 2033."""
    bare = cells.drop_nulls().str.strip_chars() if cells.dtype == pl.String else cells.clear()
    return len(bare) > 0 and any(bare.str.contains(p).all() for p in (r"^\d{4}-\d\d-\d\d([T ]|$)", r"^1\d{9}$"))


def _future(parsed: pl.Series, name: str) -> tuple[str, ...]:
    later = parsed > time.time() + DAY
    n = int(later.sum() or 0)
    if not n:
        return ()
    latest = datetime.fromtimestamp(int(parsed.max()), UTC)  # type: ignore[arg-type]
    return (f"{n:,} of {len(parsed):,} times ({name}) lie in the future, the latest on {latest:%Y-%m-%d}.",)
