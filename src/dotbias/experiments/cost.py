"""What a call costs: seconds on the clock and of the processor, and the peak of memory while it runs."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost(NamedTuple):
    """Of one call or several.

    Attributes:
        seconds: on the clock.
        processor: seconds of the processor, all threads together.
        memory: the peak in bytes above what the process held before; None where the system does not tell (it is
            Linux's to tell).
    """

    seconds: float
    processor: float
    memory: int | None


def costing(call: Callable[[], T]) -> tuple[T, Cost]:
    """What a call returns, and what it cost."""
    before = _forget_peak()
    clock, processor = time.perf_counter(), time.process_time()
    result = call()
    seconds, processor = time.perf_counter() - clock, time.process_time() - processor
    return result, Cost(seconds, processor, None if before is None else max(_status("VmHWM") - before, 0))


def together(costs: list[Cost]) -> Cost:
    """Several calls, one after the other: times are added, of memory the largest counts."""
    memory = [c.memory for c in costs if c.memory is not None]
    return Cost(sum(c.seconds for c in costs), sum(c.processor for c in costs), max(memory) if memory else None)


def _forget_peak() -> int | None:
    """Give free memory back and let the peak start from here (proc(5), clear_refs); the bytes held, or None."""
    gc.collect()
    try:
        CLEAR.write_text("5")
    except OSError:  # no Linux, or not allowed
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return _status("VmRSS")


def _status(field: str) -> int:
    """A line of this process's status, in bytes."""
    return int(STATUS.read_text().split(f"{field}:")[1].split()[0]) * 1024
