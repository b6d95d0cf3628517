"""What SGD and ALS share around their loops: passes, progress, the best on valid, checkpoints, Ctrl-C, divergence.

A fit is a :class:`Fit`: it can make a pass, say what it has fitted, and be put away and back. This module knows
nothing of how a pass is made.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numba
import numpy as np

from ..errors import DataError, DivergedError, ModelFileError, SettingError
from ..factors import Factors
from ..ratings import Ratings

CHUNK = 1 << 16  # ratings scored at a time
ALONE = 10_000_000  # ratings × factors of a pass: with fewer, threads cost more than they bring


class Pass(NamedTuple):
    """What a progress function is told after each pass over the ratings.

    Attributes:
        number: of this pass, from 1.
        of: how many there will be.
        train: RMSE on train; for SGD as it went along, each rating before it was learned from.
        valid: RMSE on valid, NaN without one.
        seconds: that the pass took.
    """

    number: int
    of: int
    train: float
    valid: float
    seconds: float


Progress = bool | Callable[[Pass], None] | None


class Fit(Protocol):
    """A fit under way."""

    def step(self, number: int) -> float:
        """Make pass ``number`` (from 0); RMSE on train."""
        ...

    def factors(self) -> Factors:
        """What is fitted so far, as arrays of its own."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything that passes change."""
        ...

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Undo :meth:`state`."""
        ...

    def describe(self) -> dict[str, Any]:
        """What makes two fits one and the same: JSON values."""
        ...


class Best:
    """The factors with the lowest RMSE on valid so far."""

    def __init__(self) -> None:
        self.error, self.factors = math.inf, None

    def see(self, error: float, factors: Factors) -> None:
        """Keep these if they are better."""
        if error < self.error:
            self.error, self.factors = error, factors


def run(
    fit: Fit, n_passes: int, *, valid: Ratings | None, progress: Progress, checkpoint: str | Path | None, every: int
) -> Factors:
    """Make the passes that are left to make; Ctrl-C ends them early.

    Returns:
        The last pass's factors, or with ``valid`` those that were best on it.
    """
    best, path = Best(), None if checkpoint is None else Path(checkpoint)
    first = load(path, fit, best) if path is not None and path.exists() else 0
    tell = teller(progress)
    try:
        for number in range(first, n_passes):
            began = time.perf_counter()
            train = fit.step(number)
            error = math.nan
            if valid is not None:
                factors = fit.factors()
                error = rmse(factors, valid)
                best.see(error, factors)
            if path is not None and ((number + 1) % every == 0 or number + 1 == n_passes):
                save(path, fit, best, number + 1)
            tell(Pass(number + 1, n_passes, train, error, time.perf_counter() - began))
    except KeyboardInterrupt:
        print("dotbias: stopped by hand; what is fitted so far is kept.", file=sys.stderr)
    factors = best.factors or fit.factors()
    check_finite(factors)
    return factors


def teller(progress: Progress) -> Callable[[Pass], None]:
    """The function that is told of passes: the caller's own, a line on stderr, or nothing."""
    if callable(progress):
        return progress
    shown = sys.stderr.isatty() if progress is None else progress
    return _print if shown else lambda _: None


def _print(p: Pass) -> None:
    valid = "" if math.isnan(p.valid) else f"  valid {p.valid:.4f}"
    print(f"pass {p.number}/{p.of}  train {p.train:.4f}{valid}  {p.seconds:.2f} s", file=sys.stderr, flush=True)


def rmse(factors: Factors, ratings: Ratings) -> float:
    """Root mean squared error, in chunks."""
    values, squares = ratings.explicit(), 0.0
    for k in range(0, len(values), CHUNK):
        at = slice(k, k + CHUNK)
        e = factors.score(ratings.users[at], ratings.items[at]) - values[at]
        squares += float(np.square(e, dtype=np.float64).sum())
    return math.sqrt(squares / len(values))


# What can be wrong -------------------------------------------------------------------------------------------------


def check_whole(**settings: Any) -> None:
    """Refuse counts that are no whole numbers from 1 up: ``check_whole(n_factors=n_factors)``."""
    for name, value in settings.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < 1:
            raise SettingError(f"{name} is {value!r}.", hint="a whole number, 1 or more.")


def clip_range(ratings: Ratings, y_range: tuple[float, float] | None) -> tuple[float, float]:
    """Where scores are clipped: as asked for, else train's scale, else (all ratings one number) nowhere."""
    low, high = ratings.scale() if y_range is None else y_range
    if y_range is None and low == high:
        return -math.inf, math.inf
    if not low < high:
        raise SettingError(f"y_range is {y_range}.", hint="(low, high), such as (0.5, 5).")
    return float(low), float(high)


@contextmanager
def threads(work: int) -> Iterator[None]:
    """Within it, one thread where the work of a pass is too little for more to pay. The bits are the same."""
    before = numba.get_num_threads()
    numba.set_num_threads(1 if work < ALONE else before)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def mean_of(ratings: Ratings) -> float:
    """The mean rating, summed in float64.

    Raises:
        DataError: where there are none, or one is no finite number.
    """
    mean = float(np.mean(ratings.explicit(), dtype=np.float64))
    if not math.isfinite(mean):
        raise DataError("among the ratings are NaN or infinities.", hint="leave them out.")
    return mean


def check_finite(factors: Factors, *, hint: str = "lower the rate (lr=), or raise reg=.") -> None:
    """Refuse factors that hold NaN or infinities.

    Raises:
        DivergedError: if they do.
    """
    arrays = factors.user_bias, factors.item_bias, factors.users, factors.items
    if not all(math.isfinite(float(a.sum(dtype=np.float64))) for a in arrays):
        raise DivergedError("the fit left the finite numbers in its last pass.", hint=hint)


# Checkpoints -------------------------------------------------------------------------------------------------------


def save(path: Path, fit: Fit, best: Best, done: int) -> None:
    """Put a fit away after ``done`` passes; the file is replaced atomically."""
    from safetensors.numpy import save as pack

    arrays = {f"fit/{name}": a for name, a in fit.state().items()}
    log: dict[str, Any] = {"fit": fit.describe(), "done": done, "best": None}
    if best.factors is not None:
        state = best.factors.state()
        arrays |= {f"best/{name}": a for name, a in state.arrays.items()}
        log["best"] = {"error": best.error, "settings": state.settings}
    blob = pack({name: np.ascontiguousarray(a) for name, a in arrays.items()}, {"log": json.dumps(log)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as f:
        f.write(blob)
        f.flush()
        os.fsync(f.fileno())
    part.replace(path)


def load(path: Path, fit: Fit, best: Best) -> int:
    """Put a fit back to where :func:`save` left it; how many passes it had made.

    Raises:
        ModelFileError: if the file is no checkpoint.
        SettingError: if it is of another fit.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as f:
            log = json.loads((f.metadata() or {})["log"])
            arrays = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as e:
        raise ModelFileError(f"{path} is no checkpoint: {e}", hint="delete it to start afresh.") from e
    mine, saved = json.loads(json.dumps(fit.describe())), log["fit"]
    if mine != saved:
        other = ", ".join(f"{k}: {saved.get(k)} there, {mine[k]} here" for k in mine if mine[k] != saved.get(k))
        raise SettingError(f"{path} is of another fit ({other}).", hint="give the same settings and rng, or delete it.")
    fit.restore(_under("fit/", arrays))
    if log["best"] is not None:
        best.error = log["best"]["error"]
        best.factors = Factors.from_state(_under("best/", arrays), log["best"]["settings"])
    return log["done"]


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
