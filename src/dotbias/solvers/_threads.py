"""How many threads: all of numba's, or one where a pass is short. The bits are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba


@contextmanager
def threads(work: int, least: int) -> Iterator[None]:
    """Within it, one thread where a pass has less work than ``least``.

    Threads meet many times in a pass. On a quiet machine two are faster than one from 10,000 ratings on; on a busy
    one each meeting waits for a time slice, and what a short pass could gain is less than what it could lose.
    """
    before = numba.get_num_threads()
    numba.set_num_threads(1 if work < least else before)
    try:
        yield
    finally:
        numba.set_num_threads(before)
