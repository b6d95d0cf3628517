"""Ctrl-C during a fit: the first ends it after the current step, a second one at once.

A fitter asks between its steps:

    with stoppable() as stop:
        for number in range(n_epochs):
            ...
            if stop.asked:
                break
    if stop.asked:
        warn_stopped("after epoch 3 of 30")

This module knows nothing of what a step is.
"""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .errors import StoppedWarning


class Stop:
    """Whether Ctrl-C was pressed.

    Attributes:
        asked: True from the first time on.
    """

    def __init__(self) -> None:
        self.asked = False

    def note(self, *_: Any) -> None:
        """Take note of Ctrl-C.

        Raises:
            KeyboardInterrupt: the second time.
        """
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stoppable() -> Generator[Stop]:
    """Within it, the first Ctrl-C sets ``asked`` and a second raises KeyboardInterrupt; nested ones share one Stop.

    Only in the main thread, and only where Python's own handler of SIGINT is in place: no other program's is replaced.
    A compiled kernel is not interrupted; Ctrl-C is noted when it returns.
    """
    before, stop = signal.getsignal(signal.SIGINT), Stop()
    outer = getattr(before, "__self__", None)
    if isinstance(outer, Stop):
        yield outer
    elif threading.current_thread() is threading.main_thread() and before is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop.note)
        try:
            yield stop
        finally:
            signal.signal(signal.SIGINT, before)
    else:
        yield stop


def warn_stopped(where: str, *, stacklevel: int = 4) -> None:
    """Issue the :class:`~dotbias.errors.StoppedWarning`: ``warn_stopped("after epoch 3 of 30")``.

    Args:
        where: where the fit stood.
        stacklevel: as of ``warnings.warn``; the default shows the line that called a fitter behind ``@checked``.
    """
    warnings.warn(f"stopped by Ctrl-C {where}; what is fitted so far is returned.", StoppedWarning, stacklevel)
