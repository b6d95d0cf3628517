"""What is known of a rating's time (given, unknown, or now), and the sessions that times make of ratings.

Times are int64 seconds since 1970 UTC. Two values stand for no moment:

    UNKNOWN   nobody said when: scorers average over what train knows of the user's times
    NOW       after everything in train, in a session that train did not see: what a recommendation is for

A *session* is a user's ratings of one day (UTC). This module knows numbers alone, no ratings and no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

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


def filled(times: np.ndarray) -> np.ndarray:
    """Times (N,) whose unknown ones are the mean of the others, for models that need a number; all unknown: 0."""
    unknown = times == UNKNOWN
    if not unknown.any():
        return times
    return np.where(unknown, 0 if unknown.all() else int(times[~unknown].mean()), times)


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


class Sessions(NamedTuple):
    """The distinct (user, day) of some ratings: D rows, sorted by user, then by day.

    Ratings whose time is unknown make a session of their own for each user, of the day UNKNOWN.

    Attributes:
        users: (D,) int32 user rows.
        days: (D,) int64 days since 1970 UTC.
        counts: (D,) int32 ratings of each.
    """

    users: np.ndarray
    days: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, users: np.ndarray, times: np.ndarray) -> Sessions:
        """Of ratings' user rows (N,) and times (N,)."""
        pairs = np.stack([np.asarray(users, np.int64), days_of(times)], 1)
        distinct, counts = np.unique(pairs, axis=0, return_counts=True)
        return cls(distinct[:, 0].astype(np.int32), distinct[:, 1], counts.astype(np.int32))

    @classmethod
    def none(cls) -> Sessions:
        """No sessions at all."""
        return cls(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int32))

    def find(self, users: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The session of each pair of user rows (B,) and times (B,): its row (B,), -1 for one that is not here."""
        days, at, end = days_of(times), *(np.searchsorted(self.users, users, side=s) for s in ("left", "right"))
        last = end
        while (at < end).any():  # bisection of all at once, within each user's sessions
            middle = (at + end) // 2
            later = (at < end) & (self.days[np.minimum(middle, len(self.days) - 1)] < days)
            at, end = np.where(later, middle + 1, at), np.where(later, end, np.minimum(middle, end))
        found = at < last
        found[found] = self.days[at[found]] == days[found]
        return np.where(found, at, -1)

    def average(self, x: np.ndarray, users: np.ndarray) -> np.ndarray:
        """The average of what sessions have, over all sessions of each user, each weighing as many ratings as it has.

        Args:
            x: (…, D, M) of every session.
            users: (B,) user rows, within the tables or not.

        Returns:
            (…, B, M); 0 for a user without a session.
        """
        first, end = (np.searchsorted(self.users, users, side=side) for side in ("left", "right"))
        out = np.zeros((*x.shape[:-2], len(users), x.shape[-1]), x.dtype)
        has = end > first
        if not has.any():
            return out
        n = (end - first)[has]
        starts = np.r_[0, np.cumsum(n)[:-1]]
        rows = np.arange(n.sum()) + np.repeat(first[has] - starts, n)
        weight = self.counts[rows] / np.repeat(np.add.reduceat(self.counts[rows], starts), n)
        out[..., has, :] = np.add.reduceat(x[..., rows, :] * weight[:, None].astype(x.dtype), starts, axis=-2)
        return out

    def last(self, users: np.ndarray) -> np.ndarray:
        """The last session of each of the user rows (B,), -1 for a user without one."""
        at = np.searchsorted(self.users, users, side="right") - 1
        return np.where((at >= 0) & (self.users[np.maximum(at, 0)] == users), at, -1) if len(self.users) else at
