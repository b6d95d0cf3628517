"""A fit as the command line runs it: told step by step, logged, and stopped by Ctrl-C without harm."""

from __future__ import annotations

import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import StoppedWarning
from ..fitters import Fitter
from ..progress import Step
from ..stopping import Stop, stoppable
from ._show import Page

if TYPE_CHECKING:
    from ..ratings import Ratings

QUIET = 3.0  # seconds after which a fit says how long it will take, where no bar shows it
MOST_SWEEPS = 900  # of a fit that stops by itself, nearly always


class Fitted(NamedTuple):
    """What a fit came to.

    Attributes:
        scorer: the model.
        log: a row for each step, as ``Step.row``; None where the fitter tells of none.
        stopped: whether it was ended before it was done.
    """

    scorer: Any
    log: list[dict[str, Any]] | None
    stopped: bool


def run_fitter(
    fitter: Fitter, train: Ratings, valid: Ratings | None, seed: int, settings: dict[str, Any], page: Page
) -> Fitted:
    """Fit, showing how far it is.

    Args:
        fitter: of the list.
        train: to learn from.
        valid: the error on it goes into the log and nowhere else.
        seed: of everything random.
        settings: of the fitter.
        page: where to say what it says.

    Raises:
        KeyboardInterrupt: at a second Ctrl-C, or at the first where the fitter has nothing to show for itself.
    """
    from ..scorer import Noted, offers

    steps = Recorder(fitter.name)
    with warnings.catch_warnings(record=True) as caught, stoppable() as stop, steps:
        warnings.simplefilter("always")
        steps.stop = stop
        try:
            scorer = fitter.fit(train, valid=valid, rng=seed, progress=steps, **settings)
        except KeyboardInterrupt:
            page.say("stopped: nothing was saved.")
            raise
    stopped = stop.asked or any(issubclass(w.category, StoppedWarning) for w in caught)
    for text in dict.fromkeys([*(str(w.message) for w in caught), *(scorer.notes if offers(scorer, Noted) else ())]):
        page.note(text)
    return Fitted(scorer, steps.rows or None, stopped)


class Recorder:
    """Told of every step: keeps its row, moves a bar on a terminal, elsewhere says once how long it will take.

    Args:
        name: of the fitter.
    """

    def __init__(self, name: str):
        self.name = name
        self.rows: list[dict[str, Any]] = []
        self.stop: Stop | None = None
        self._bar: Any = None
        self._said = self._warned = False
        self._first: tuple[int, float] | None = None  # the first step, and when it was over

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: Step) -> None:
        """Take note of a step."""
        self.rows.append(step.row())
        self._first = self._first or (step.number, time.monotonic())
        if sys.stderr.isatty():
            self._show(step)
        elif not self._said and step.number - self._first[0] >= 2 and time.monotonic() - self._first[1] > QUIET:
            self._said = True
            Page(err=True).say(f"{self.name}: {self.outlook(step)}.")
        if self.stop is not None and self.stop.asked:
            if self._warned:  # another step after it was asked: this fitter does not ask for itself
                raise KeyboardInterrupt
            self._warned = True

    def outlook(self, step: Step) -> str:
        """What the steps so far say of the rest: ``0.11 s a sweep, about 12 s more for this fit``.

        The first step also compiles.
        """
        number, since = self._first or (step.number, time.monotonic())
        if step.number == number:
            return f"{step.kind} {step.number}"
        each = (time.monotonic() - since) / (step.number - number)
        a = "an" if step.kind[0] in "aeiou" else "a"
        most = MOST_SWEEPS if step.of is None and step.kind == "sweep" else step.of
        if most is None or most < step.number:
            return f"{_seconds(each)} {a} {step.kind}"
        left = _seconds(each * (most - step.number))
        return f"{_seconds(each)} {a} {step.kind}, {'at most' if step.of is None else 'about'} {left} more for this fit"

    def _show(self, step: Step) -> None:
        if self._bar is None:
            self._bar, self._task = _bar()
        total = step.of or (MOST_SWEEPS if step.kind == "sweep" else None)
        text = f"{self.outlook(step)}  {_short(step)}"
        self._bar.update(self._task, total=total, completed=step.number, description=text)


def _bar() -> tuple[Any, Any]:
    from rich import progress
    from rich.console import Console

    columns = progress.BarColumn(bar_width=20), progress.TextColumn("{task.description}", markup=False)
    bar = progress.Progress(*columns, console=Console(file=sys.stderr, soft_wrap=True), transient=True)
    bar.start()
    return bar, bar.add_task("", total=None)


def _short(step: Step) -> str:
    """The few numbers of a step that a line has room for."""
    names = ("phase", "train", "valid", "noise")
    shown = ((n, step.values[n]) for n in names if n in step.values)
    return "  ".join(f"{n} {v:.4g}" if isinstance(v, float) else str(v) for n, v in shown)


def _seconds(s: float) -> str:
    if s >= 120:
        return f"{s / 60:.0f} min"
    return f"{s:.0f} s" if s >= 10 else f"{s:.2g} s"


@contextmanager
def term_as_ctrl_c() -> Iterator[None]:
    """Within it, SIGTERM does what Ctrl-C does, the second time too."""

    def handle(number: int, frame: Any) -> None:
        ctrl_c = signal.getsignal(signal.SIGINT)
        if callable(ctrl_c):
            ctrl_c(signal.SIGINT, frame)
        else:
            raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, handle)
    except ValueError:  # not in the main thread: signals are another's business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
