"""The memory of a command's processes: peaks by kind, read from /proc.

A process's own memory is RssAnon; the object store's is what lies in /dev/shm (RssShmem of the raylet), which all
workers of a machine map and share. Ray's processes are children of the one that started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

PERIOD = 0.02  # seconds between looks
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def run(command: list[str], *, threads: int = 1) -> dict[str, Any]:
    """Run a command whose last line is JSON; that, with ``peaks``: kind of process -> bytes of its largest."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "DOTBIAS_THREADS": str(threads)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    watch = Watch(process.pid)
    with watch:
        out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"bench: {' '.join(command[-6:])} ended with {process.returncode}")
    return {**json.loads(out.strip().splitlines()[-1]), "peaks": watch.peaks}


class Watch:
    """Peaks of a process and its descendants while within, in bytes: "driver", "worker", "ray", "store", "java"."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peaks, self.done = pid, {}, threading.Event()
        self.thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.done.wait(PERIOD):
            for pid in descendants(self.pid):
                self._see(pid)

    def _see(self, pid: int) -> None:
        try:
            status, name = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/cmdline").read_bytes()
            anon, shared = (1024 * int(status.split(f"{field}:")[1].split()[0]) for field in ("RssAnon", "RssShmem"))
        except (OSError, IndexError):  # it has ended
            return
        kind = "driver" if pid == self.pid else kind_of(name.split(b"\0"))
        self.peaks[kind] = max(self.peaks.get(kind, 0), anon)
        if kind == "ray":
            self.peaks["store"] = max(self.peaks.get("store", 0), shared)


def kind_of(command: list[bytes]) -> str:
    """What a descendant is, by its command line."""
    if command[0].endswith(b"java"):
        return "java"
    whole = b" ".join(command)
    return "worker" if command[0].startswith(b"ray::") or b"default_worker.py" in whole else "ray"


def descendants(pid: int) -> list[int]:
    """A process, its children, theirs …"""
    found, left = [], [pid]
    while left:
        pid = left.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                left += [int(child) for child in task.read_text().split()]
            except OSError:  # the thread has ended
                continue
    return found
