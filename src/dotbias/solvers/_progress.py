"""Telling of a fit under way: the caller's own function, a bar on a terminal, lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Progress = bool | Callable[[T], None] | None


@contextmanager
def telling(
    progress: Progress[Any], line: Callable[[Any], str], n_steps: int | None
) -> Iterator[Callable[[Any], None]]:
    """The function to call with each step.

    Args:
        progress: a function to be told of every step; True, False; None: True where stderr is a terminal.
        line: a step -> what is shown of it.
        n_steps: how many there will be; None: not known.
    """
    if callable(progress):
        yield progress
    elif not (sys.stderr.isatty() if progress is None else progress):
        yield lambda _: None
    elif not sys.stderr.isatty():
        yield lambda step: print(line(step), file=sys.stderr, flush=True)
    else:
        with _bar(line, n_steps) as tell:
            yield tell


@contextmanager
def _bar(line: Callable[[Any], str], n_steps: int | None) -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    ends = (BarColumn(), TimeRemainingColumn()) if n_steps is not None else (SpinnerColumn(), TimeElapsedColumn())
    with Progress(*ends, TextColumn("{task.description}"), console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=n_steps)
        yield lambda step: bar.update(task, advance=1, description=line(step))
