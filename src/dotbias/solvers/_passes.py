"""What SGD and ALS share around their loops: passes, progress, the best on valid, checkpoints, Ctrl-C, divergence.

A fit is a :class:`Fit`: it can make a pass, say what it has fitted, and be put away and back. This module knows
nothing of how a pass is made.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from .. import checkpoint
from ..errors import DataError, DivergedError, SettingError
from ..factors import Factors
from ..ratings import Ratings
from ._progress import Progress, telling

CHUNK = 1 << 16  # ratings scored at a time


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
    fit: Fit, n_passes: int, *, valid: Ratings | None, progress: Progress[Pass], path: Path | None, every: int
) -> Factors:
    """Make the passes that are left to make; Ctrl-C ends them early.

    Returns:
        The last pass's factors, or with ``valid`` those that were best on it.
    """
    best = Best()
    first = load(path, fit, best) if path is not None and path.exists() else 0
    try:
        with telling(progress, line, n_passes) as tell:
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


def line(p: Pass) -> str:
    """What is shown of a pass."""
    valid = "" if math.isnan(p.valid) else f"  valid {p.valid:.4f}"
    return f"pass {p.number}/{p.of}  train {p.train:.4f}{valid}  {p.seconds:.2f} s"


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
    """Put a fit away after ``done`` passes."""
    arrays = {f"fit/{name}": a for name, a in fit.state().items()}
    log: dict[str, Any] = {"done": done, "best": None}
    if best.factors is not None:
        state = best.factors.state()
        arrays |= {f"best/{name}": a for name, a in state.arrays.items()}
        log["best"] = {"error": best.error, "settings": state.settings}
    checkpoint.save(path, arrays, fit.describe(), log)


def load(path: Path, fit: Fit, best: Best) -> int:
    """Put a fit back to where :func:`save` left it; how many passes it had made."""
    arrays, log = checkpoint.load(path, fit.describe())
    fit.restore(checkpoint.under("fit/", arrays))
    if log["best"] is not None:
        best.error = log["best"]["error"]
        best.factors = Factors.from_state(checkpoint.under("best/", arrays), log["best"]["settings"])
    return log["done"]
