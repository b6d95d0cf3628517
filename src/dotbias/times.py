"""What is known of a rating's time: given, unknown, or now.

Times are int64 seconds since 1970 UTC. Two values stand for no moment:

    UNKNOWN   nobody said when: scorers average over what train knows of the user's times
    NOW       after everything in train, in a session that train did not see: what a recommendation is for

A *session* is a user's ratings of one day (UTC). This module knows numbers alone, no ratings and no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from .errors import SettingError

DAY = 86_400  # seconds
UNKNOWN = np.iinfo(np.int64).min
NOW = np.iinfo(np.int64).max

Times: TypeAlias = Literal["unknown", "now"] | int | Sequence[int] | np.ndarray | None


def days_of(times: np.ndarray) -> np.ndarray:
    """Days since 1970 UTC (N,) int64; UNKNOWN and NOW stay what they are."""
    times = np.asarray(times, np.int64)
    return np.where((times == UNKNOWN) | (times == NOW), times, times // DAY)


def as_times(times: Times, n: int) -> np.ndarray | None:
    """Times of n ratings (n,) int64, or None where all are unknown.

    Args:
        times: "unknown" or None; "now"; seconds for all; or seconds for each, UNKNOWN and NOW among them.
        n: how many.

    Raises:
        SettingError: for another word, numbers that are not whole, or another number of them.
    """
    if times is None or (isinstance(times, str) and times == "unknown"):
        return None
    if isinstance(times, str):
        if times != "now":
            raise SettingError(f"times is {times!r}.", hint="'unknown', 'now', or seconds since 1970 UTC.")
        return np.full(n, NOW)
    numbers = np.asarray(times)
    if numbers.dtype.kind not in "iu" or numbers.ndim > 1:
        raise SettingError("times are no whole numbers.", hint="seconds since 1970 UTC, one for each rating.")
    if numbers.ndim and len(numbers) != n:
        raise SettingError(f"{len(numbers)} times for {n} ratings.", hint="one for each, or one for all.")
    return np.broadcast_to(numbers.astype(np.int64), (n,)).copy()
