"""What the commands share beside options and printing: settings from text, seconds, threads, a report shown."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from ._show import Column, Page, count

if TYPE_CHECKING:
    from ..evaluation import Report
    from ..ratings import Ratings


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the wall-clock seconds of the block to ``seconds[name]``."""
    start = time.perf_counter()
    yield
    seconds[name] = round(seconds.get(name, 0.0) + time.perf_counter() - start, 4)


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """``["n_factors=50", "lr=0.01"]`` -> {"n_factors": 50, "lr": 0.01}: values are JSON, or else text.

    Raises:
        SettingError: for text without ``=``.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise SettingError(f"--set {pair!r} has no '='.", hint="such as --set n_factors=50.")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        settings[name.strip()] = tuple(value) if isinstance(value, list) else value
    return settings


def duration(text: str) -> float:
    """``"5m"`` -> 300.0 seconds; also ``90s``, ``1.5h``, ``90``.

    Raises:
        SettingError: for anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(s|m|min|h)?", text.strip())
    if found is None or not float(found[1]):
        raise SettingError(f"--budget {text} is no duration.", hint="such as 90s, 5m or 1h.")
    return float(found[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[found[2] or "s"]


def use_threads(n: int | None) -> None:
    """Let every fit of this process use at most ``n`` threads; None, 0: as it finds best."""
    if not n:
        return
    from ..solvers import _threads

    use = getattr(_threads, "use", None)
    if use is not None:
        use(n)
    else:
        import numba

        numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    os.environ["OMP_NUM_THREADS"] = str(n)  # torch reads it when it is loaded


def describe(ratings: Ratings) -> str:
    """One line about the data."""
    kind = "rating" if ratings.values is not None else "interaction"
    sides = f"{count(ratings.n_users, 'user')} and {count(ratings.n_items, 'item')}"
    return f"{count(len(ratings), kind)} of {sides}"


def show_report(page: Page, report: Report) -> None:
    """The errors as a table, and what they are of."""

    def show(x: float | None) -> str:
        return "-" if x is None else f"{x:.4f}"

    rows = []
    for name, value in report.values.items():
        span = " to ".join(show(x) for x in report.interval[name]) if name in report.interval else "-"
        rows.append((name.upper(), show(value), span, show(report.warm.get(name))))
    page.table(["", *(Column(name, right=True) for name in ("all rows", "95 % interval", "warm rows"))], rows)
    for line in repr(report).split("\n")[1 + len(rows) :]:
        page.say(line)
