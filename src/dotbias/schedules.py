"""A schedule is a function: progress through the fit, in [0, 1], to a value (a rate, usually).

``cosine(0.01)(0.5)`` is the rate half-way. The loop asks before every batch; nothing here counts batches or knows an
optimizer. Where an optimizer has several groups, give a list of schedules, one per group.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from .errors import SettingError

Schedule = Callable[[float], float]


def constant(value: float) -> Schedule:
    """Always ``value``."""
    return lambda progress: value


def linear(start: float, end: float = 0.0) -> Schedule:
    """Straight from ``start`` to ``end``."""
    return lambda progress: start + (end - start) * progress


def exponential(start: float, end: float) -> Schedule:
    """From ``start`` to ``end`` by equal factors: the learning-rate sweep's."""
    return lambda progress: start * (end / start) ** progress


def cosine(start: float, end: float = 0.0) -> Schedule:
    """From ``start`` to ``end`` along half a cosine: flat, steep, flat (Loshchilov & Hutter 2017, eq. 5)."""
    return lambda progress: end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def step(start: float, *, at: Sequence[float], factor: float = 0.1) -> Schedule:
    """``start``, multiplied by ``factor`` at each of the points ``at`` (ascending, in [0, 1])."""
    return lambda progress: start * factor ** bisect_right(at, progress)


def one_cycle(peak: float, *, warm_up: float = 0.25, start: float = 25.0, end: float = 1e5) -> Schedule:
    """Up from peak/start in the first ``warm_up`` of the fit, then down to peak/end, both by cosine (Smith 2018)."""
    up, down = cosine(peak / start, peak), cosine(peak, peak / end)

    def rate(progress: float) -> float:
        return up(progress / warm_up) if progress < warm_up else down((progress - warm_up) / (1 - warm_up))

    return rate


def cycle_lengths(n_cycles: int, *, cycle_len: int = 1, cycle_mult: int = 1) -> list[int]:
    """Epochs of each cycle: cycle_len, cycle_len·mult, cycle_len·mult², … Their sum is the fit's length."""
    if n_cycles < 1 or cycle_len < 1 or cycle_mult < 1:
        got = f"n_cycles={n_cycles}, cycle_len={cycle_len}, cycle_mult={cycle_mult}"
        raise SettingError(f"restarts need whole numbers from 1 up, not {got}.", hint="cycle_len=1, cycle_mult=1.")
    return [cycle_len * cycle_mult**k for k in range(n_cycles)]


def restarts(start: float, *, n_cycles: int, cycle_len: int = 1, cycle_mult: int = 1, end: float = 0.0) -> Schedule:
    """Cosine annealing with warm restarts (SGDR, Loshchilov & Hutter 2017); see ``cycle_lengths``."""
    lengths = cycle_lengths(n_cycles, cycle_len=cycle_len, cycle_mult=cycle_mult)
    ends = [sum(lengths[: k + 1]) / sum(lengths) for k in range(n_cycles)]
    anneal = cosine(start, end)

    def rate(progress: float) -> float:
        k = min(bisect_right(ends, progress), n_cycles - 1)
        begin = ends[k - 1] if k else 0.0
        return anneal(min((progress - begin) / (ends[k] - begin), 1.0))

    return rate
