"""Times as people write them: read and noted where the numbers alone can tell, else refused with both readings."""

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias.errors import DataError
from dotbias.ratings import Ratings

SECONDS = [1_537_799_250, 1_537_899_250, 946_684_800]


def read(times, text=False):
    frame = pl.DataFrame({"user": range(len(times)), "item": 1, "rating": 3.0, "time": times})
    frame = frame.with_columns(pl.col("time").cast(pl.String)) if text else frame
    ratings = Ratings.from_frame(frame)
    return ratings.times.tolist(), " ".join(ratings.notes)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("unit", "per_second"), [("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)]
)
def test_finer_units_are_recognised(unit, per_second, text):
    times, notes = read([s * per_second + 1 for s in SECONDS], text)
    assert times == SECONDS and f"time was read as {unit}" in notes


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("written", "style", "expected"),
    [
        ([20180924, 20180925, 20000101], "YYYYMMDD", ["2018-09-24", "2018-09-25", "2000-01-01"]),
        ([2018, 1997, 2000], "YYYY", ["2018-01-01", "1997-01-01", "2000-01-01"]),
        ([201809241530, 200001010000], "YYYYMMDDhhmm", ["2018-09-24T15:30", "2000-01-01"]),
        ([20180924153059, 20000101000000], "YYYYMMDDhhmmss", ["2018-09-24T15:30:59", "2000-01-01"]),
    ],
)
def test_dates_written_as_numbers_are_recognised(written, style, expected, text):
    times, notes = read(written, text)
    assert times == [
        datetime.datetime.fromisoformat(e + ("" if "T" in e else "T00:00") + "+00:00").timestamp() for e in expected
    ]
    assert f"time was read as dates written {style}, from " in notes


@given(st.lists(st.dates(datetime.date(1901, 1, 1), datetime.date(2020, 1, 1)), min_size=1, max_size=9))
def test_the_same_day_however_written(days):
    seconds = [int(datetime.datetime(d.year, d.month, d.day, tzinfo=datetime.UTC).timestamp()) for d in days]
    assert read([int(d.strftime("%Y%m%d")) for d in days])[0] == seconds
    assert read([d.isoformat() for d in days])[0] == seconds
    assert read(days)[0] == seconds


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=9))
def test_plain_seconds_stay_seconds(times):
    if all(1900 <= t <= 2100 or 19_000_000 <= t <= 22_000_000 for t in times):
        return
    assert read(times) == (times, "")


@pytest.mark.parametrize(
    ("times", "complaint"),
    [
        (
            [1_537_799_250, 1_537_799_250_000],
            "time holds 1537799250000 beside 1537799250: milliseconds or seconds",
        ),
        ([20180924, 20180931, 20180925], "row 1: time holds 20180931: seconds since 1970, or a date YYYYMMDD"),
        ([-62_135_596_801], "row 0: time lies before the year 1"),
        (["0000-05-05", "2000-01-01"], "row 0: time lies before the year 1"),
        (["-0044-03-15"], "row 0: time is no time"),
        (["21/11/2026"], "row 0: time is no time"),
        ([float("inf"), 1.0], "row 0: time is no time"),
    ],
)
def test_refused(times, complaint):
    with pytest.raises(DataError, match=complaint) as e:
        read(times)
    assert "time=False" in e.value.hint or "21/11/2026" in e.value.hint


def test_zero_is_of_every_unit():
    assert read([0, 1_537_799_250_000])[0] == [0, 1_537_799_250]


def test_the_future_is_noted():
    later = int(datetime.datetime(2999, 5, 1, tzinfo=datetime.UTC).timestamp())
    times, notes = read([later, 5, later + 86_400])
    assert times[0] == later and "2 of 3 times (time) lie in the future, the latest on 2999-05-02" in notes
