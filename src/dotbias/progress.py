"""Telling of a fit under way: the caller's own function, a bar on a terminal, lines elsewhere, or nothing.

Every fitter tells the same :class:`Step`. What its numbers mean is the fitter's business.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias


class Step(NamedTuple):
    """One step of a fit, after it was made.

    Attributes:
        kind: what a step is: "epoch", "pass" or "sweep".
        number: of this step, from 1.
        of: how many there will be; None where that is not known.
        values: what is known after it, by name: "train" and "valid" (errors), "seconds" …; numbers, text, short lists.
    """

    kind: str
    number: int
    of: int | None
    values: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """A row of a training log: ``{"epoch": 3, "train": 0.81, …}``."""
        return {self.kind: self.number, **self.values}

    def __str__(self) -> str:
        of = "" if self.of is None else f"/{self.of}"
        shown = (
            f"{name} {_short(value)}" for name, value in self.values.items() if isinstance(value, (float, int, str))
        )
        return "  ".join([f"{self.kind} {self.number}{of}", *shown])


Tell: TypeAlias = Callable[[Step], None]
Progress: TypeAlias = bool | Tell | None


@contextmanager
def telling(progress: Progress, n_steps: int | None = None) -> Generator[Tell]:
    """The function to call with each step.

    Args:
        progress: a function to be told of every step; True: a bar on stderr, lines where that is no terminal; False:
            nothing; None: a bar where stderr is a terminal, else nothing.
        n_steps: how many there will be; None: not known.
    """
    if callable(progress):
        yield progress
    elif not (sys.stderr.isatty() if progress is None else progress):
        yield lambda step: None
    elif not sys.stderr.isatty():
        yield lambda step: print(step, file=sys.stderr, flush=True)
    else:
        with _bar(n_steps) as tell:
            yield tell


@contextmanager
def _bar(n_steps: int | None) -> Generator[Tell]:
    from rich import progress
    from rich.console import Console

    known = (progress.BarColumn(), progress.TimeRemainingColumn())
    unknown = (progress.SpinnerColumn(), progress.TimeElapsedColumn())
    columns = *(unknown if n_steps is None else known), progress.TextColumn("{task.description}", markup=False)
    with progress.Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=n_steps)
        yield lambda step: bar.update(task, advance=1, description=str(step))


def _short(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
