"""What every adapter does alike: read the split, time the fit, report; or fit, and guess what it is asked.

Needs numpy alone. Called with a third word, "guess", an adapter gets a split without a test part, and answers for each
file of pairs whose name it reads on stdin (``joined`` is the other end).
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np


def split() -> tuple[SimpleNamespace, dict[str, Any]]:
    """(arrays of the split by name, settings) from the command line."""
    return SimpleNamespace(**dict(np.load(sys.argv[1]))), json.loads(sys.argv[2])


def report(
    fit: Callable[[], Any],
    predict: Callable[[Any], np.ndarray],
    s: SimpleNamespace,
    *,
    warm_up: Callable[[], Any] | None = None,
    **more: Callable[[], float],
) -> None:
    """Time ``fit()``, predict the held-out part with its result, and print one line of JSON.

    ``warm_up``, a call that compiles what fit will use, is timed apart; ``more`` are further figures to print. Memory
    is the peak while fitting, above what the process held just before, whatever its preparations had taken before.
    """
    compile_s = 0.0
    if warm_up is not None:
        start = time.perf_counter()
        warm_up()
        compile_s = time.perf_counter() - start
    before = forget_peak()
    start = time.perf_counter()
    model = fit()
    fit_s = time.perf_counter() - start
    memory = (status("VmHWM") - before) / 1e3
    found = {"fit_s": fit_s, "compile_s": compile_s, "memory_mb": memory}
    if sys.argv[3:] == ["guess"]:
        return answer(lambda: guesses(predict(model), s), s)
    found["mse"] = float(((guesses(predict(model), s) - s.test_values) ** 2).mean())
    return print(json.dumps(found | {name: measure() for name, measure in more.items()}))


def guesses(predicted: Any, s: SimpleNamespace) -> np.ndarray:
    """Within the ratings' scale, all finite (N,)."""
    guess = np.clip(np.asarray(predicted, np.float64), s.low, s.high)
    if not np.isfinite(guess).all():
        raise SystemExit(f"{(~np.isfinite(guess)).sum()} predictions are not finite")
    return guess


def answer(guess: Callable[[], np.ndarray], s: SimpleNamespace) -> None:
    """For each file of pairs, one of guesses beside it; of a pair's day nothing is known."""
    print("fitted", flush=True)
    for line in sys.stdin:
        pairs = np.load(line.strip())
        s.test_users, s.test_items, s.test_days = pairs["users"], pairs["items"], np.full(len(pairs["users"]), -1)
        np.save(f"{line.strip()}.npy", guess())
        print("guessed", flush=True)


def forget_peak() -> int:
    """Give free memory back and let the peak start again from here (proc(5), clear_refs); what is held, in kB."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(field: str) -> int:
    """A line of this process's status, in kB."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0])
