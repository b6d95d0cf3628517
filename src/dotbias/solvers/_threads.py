"""How many threads a fit uses, and how a compiled loop is shared between them. The bits are the same for any number.

The threads are Python's, each in a compiled loop that needs no lock of the interpreter. Numba's own parallel loops are
not used: under OpenMP a thread that waits spins (beside one busy process a core, 8 ms for what one thread does in 0.3),
a process forked after one of them is killed, and its other back end aborts where two threads call it. Here a loop is
cut into more parts than there are threads, each takes the next part when it is free, and waiting sleeps.

``DOTBIAS_THREADS`` in the environment, or :func:`use`, sets the number for every fit; 0 means by the counts.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from numba import njit

from ..errors import SettingError

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

VARIABLE = "DOTBIAS_THREADS"
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processors per microseconds, or "max"
PARTS = 4  # of a loop for each thread: so many that one which waits for a processor holds nobody up for long
_asked = 0  # by `use`


class Ranged(NamedTuple):
    """A compiled loop over first .. last - 1.

    Attributes:
        whole: holds the interpreter's lock, as short loops should: giving it up and taking it costs more than they.
        part: gives it up, so that parts run side by side.
    """

    whole: Callable[..., None]
    part: Callable[..., None]


class Team(NamedTuple):
    """Threads that share loops."""

    n: int
    others: ThreadPoolExecutor


_team: ContextVar[Team | None] = ContextVar("dotbias_threads", default=None)


def use(n: int) -> None:
    """Use ``n`` threads in every fit of this process from now on; 0: by the counts, or as the environment says.

    Raises:
        SettingError: if ``n`` is no whole number from 0 up.
    """
    global _asked
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise SettingError(f"threads is {n!r}.", hint="a whole number; 0: by the counts.")
    _asked = n


def how_many(work: int, least: int) -> int:
    """How many threads to use for so much work a pass: what was asked for, else all processors from ``least`` on.

    Raises:
        SettingError: if the environment holds no number.
    """
    value = os.environ.get(VARIABLE, "0") or "0"
    if not value.isdecimal():
        raise SettingError(f"{VARIABLE} is {value!r}.", hint="a whole number; 0 or unset: by the counts.")
    return _asked or int(value) or (processors() if work >= least else 1)


def processors() -> int:
    """How many processors this process may use: by its affinity, and by its container's quota."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text().split()
        return max(1, min(n, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return n


@contextmanager
def sharing(work: int, least: int) -> Iterator[int]:
    """Within it, :func:`share` uses :func:`how_many` threads."""
    n = how_many(work, least)
    team = Team(n, ThreadPoolExecutor(n - 1, "dotbias")) if n > 1 else None
    token = _team.set(team)
    try:
        yield n
    finally:
        _team.reset(token)
        if team is not None:
            team.others.shutdown()


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process, found once."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread_blas() -> AbstractContextManager[object]:
    """Within it, BLAS and LAPACK use one thread: for small matrices, whose bits must not depend on the threads.

    Beside a busy process, OpenBLAS on two threads takes 65 ms for the eigenvectors of 64 × 64, on one 0.4.
    """
    return _libraries().limit(limits=1, user_api="blas")


def ranged(function: Callable[..., None]) -> Ranged:
    """Compile ``function(first, last, …)``, a loop over first .. last - 1 whose turns write to different places."""
    assert isinstance(function, FunctionType)
    twin = FunctionType(function.__code__, function.__globals__, f"{function.__name__}_part")
    twin.__qualname__ = twin.__name__  # numba's cache on disk goes by name, and knows nothing of nogil
    return Ranged(njit(cache=True)(function), njit(cache=True, nogil=True)(twin))


def share(loop: Ranged, n: int, *arguments: Any) -> None:
    """Run a loop over 0 .. n - 1, in parts side by side within :func:`sharing`; returns when all of it is done."""
    team = _team.get()
    if team is None:
        return loop.whole(0, n, *arguments)
    parts = max(1, min(n, PARTS * team.n))
    left = deque((n * k // parts, n * (k + 1) // parts) for k in range(parts))

    def work() -> None:
        while left:
            try:
                first, last = left.popleft()
            except IndexError:  # another thread was faster
                return
            loop.part(first, last, *arguments)

    helping = [team.others.submit(work) for _ in range(min(team.n, parts) - 1)]
    try:
        work()
    finally:
        left.clear()  # after an error or Ctrl-C nobody begins another part
        for thread in helping:
            if not thread.cancel():
                thread.result()
    return None
