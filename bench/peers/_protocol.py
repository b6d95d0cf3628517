"""What every adapter does alike: read the split, time the fit, report. Needs numpy alone."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np


def split() -> tuple[SimpleNamespace, dict[str, Any]]:
    """(arrays of the split by name, settings) from the command line."""
    return SimpleNamespace(**dict(np.load(sys.argv[1]))), json.loads(sys.argv[2])


def report(
    fit: Callable[[], Any], predict: Callable[[Any], np.ndarray], s: SimpleNamespace, *, warm_up: Any = None
) -> None:
    """Time ``fit()``, predict the held-out part with its result, and print one line of JSON.

    ``warm_up``, a call that compiles what fit will use, is timed apart.
    """
    compile_s = 0.0
    if warm_up is not None:
        start = time.perf_counter()
        warm_up()
        compile_s = time.perf_counter() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    model = fit()
    fit_s = time.perf_counter() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    guess = np.clip(np.asarray(predict(model), np.float64), s.low, s.high)
    if not np.isfinite(guess).all():
        raise SystemExit(f"{(~np.isfinite(guess)).sum()} predictions are not finite")
    mse = float(((guess - s.test_values) ** 2).mean())
    print(json.dumps({"mse": mse, "fit_s": fit_s, "compile_s": compile_s, "memory_mb": memory}))
