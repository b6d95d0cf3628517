"""times: given, unknown, now."""

import numpy as np
import polars as pl
import pytest

from dotbias import Ratings
from dotbias.errors import SettingError
from dotbias.times import DAY, NOW, UNKNOWN, as_times, days_of


def test_days_keep_what_is_no_moment():
    times = np.array([0, DAY - 1, DAY, -1, UNKNOWN, NOW])
    assert days_of(times).tolist() == [0, 0, 1, -1, UNKNOWN, NOW]


def test_words_and_numbers():
    assert as_times(None, 2) is None
    assert as_times("unknown", 2) is None
    assert np.array_equal(as_times("now", 2), [NOW, NOW])  # pyright: ignore[reportArgumentType]
    assert np.array_equal(as_times(7, 3), [7, 7, 7])  # pyright: ignore[reportArgumentType]
    assert np.array_equal(as_times([7, UNKNOWN], 2), [7, UNKNOWN])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrong", ["today", 1.5, [1.5], [1, 2, 3], [[1, 2]]])
def test_other_times_are_refused(wrong):
    with pytest.raises(SettingError, match="times"):
        as_times(wrong, 2)


@pytest.mark.parametrize("kind", [pl.Int16, pl.Int32, pl.UInt32, pl.Int64, pl.Float32])
def test_narrow_columns_of_times(kind):
    numbers = [100, 200] if kind in (pl.Int16,) else [890_000_000, 890_000_064]
    frame = pl.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [1.0, 2.0], "time": pl.Series(numbers, dtype=kind)})
    assert Ratings.from_frame(frame).times.tolist() == numbers
