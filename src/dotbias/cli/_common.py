"""What the commands share beside options and printing: settings from text, seconds, threads, a report shown."""

from __future__ import annotations

import json
import os
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


def use_threads(n: int | None) -> None:
    """Let every fit of this process use at most ``n`` threads; None, 0: as it finds best."""
    if not n:
        return
    from ..solvers import _threads

    _threads.use(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    os.environ["OMP_NUM_THREADS"] = str(n)  # torch reads it when it is loaded


def describe(ratings: Ratings) -> str:
    """One line about the data."""
    kind = "rating" if ratings.values is not None else "click"
    sides = f"{count(ratings.n_users, 'user')} and {count(ratings.n_items, 'item')}"
    return f"{count(len(ratings), kind)} of {sides}"


def measured(
    scorer: Any, held: Ratings, train: Ratings, *, times: str | None, **asked: Any
) -> tuple[Report, dict[str, float]]:
    """(the report as the model is served, its errors with the rating's time given).

    Unless ``times`` says otherwise, held-out ratings that all came after train are guessed for now, and others without
    their times. The second is empty where the scorer uses no times, or was just told them.
    """
    from ..evaluation import DEFAULT, evaluate, served_times
    from ..scorer import Timed, offers

    times = served_times(held, train) if times is None else times
    report = evaluate(scorer, held, train=train, times=times, **asked)  # type: ignore[arg-type]
    errors = [name for name in report.values if name in DEFAULT]
    if times == "given" or not errors or held.times is None or not offers(scorer, Timed):
        return report, {}
    return report, dict(evaluate(scorer, held, train=train, metrics=errors, times="given", n_resamples=0).values)


def say_given(page: Page, given: dict[str, float]) -> None:
    """The errors with the rating's time given, beside those that were served."""
    if given:
        page.say(f"With the rating's time given: {', '.join(f'{n.upper()} {x:.4f}' for n, x in given.items())}.")


def show_report(page: Page, report: Report) -> None:
    """The figures as a table, and what they are of."""
    heads, *rows = report.rows()
    page.table([heads[0], *(Column(name, right=True) for name in heads[1:])], rows)
    for line in report.footer():
        page.say(line)
