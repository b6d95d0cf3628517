"""Kernels are compiled once per machine and then read from numba's cache; the first time takes seconds: say so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


class _Told(event.Listener):
    """Writes one line when the first real compilation begins; loading from the cache is none."""

    told = False

    def on_start(self, event: Any) -> None:
        if not _Told.told:
            _Told.told = True
            print(
                "dotbias: compiling for this machine; this happens once and takes seconds …",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def announce_compile() -> Iterator[None]:
    """Within it, the process's first compilation of a kernel is announced on stderr."""
    listener = _Told()
    with event.install_listener("numba:compile", listener):
        yield
