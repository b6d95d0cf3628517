"""What solvers share around their loops: passes, valid, the best on it, checkpoints, Ctrl-C, divergence.

A fit is an :class:`Underway`: it can make a pass, say what it has fitted, and be put away and back. This module knows
nothing of how a pass is made.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from .. import checkpoint
from ..errors import DivergedError, SettingError
from ..factors import Factors
from ..progress import Progress, Step, telling
from ..ratings import Ratings
from ..stopping import stoppable, warn_stopped

CHUNK = 1 << 16  # ratings scored at a time


class Underway(Protocol):
    """A fit under way.

    Attributes:
        train: the ratings it is fitted to.
    """

    train: Ratings

    def step(self, number: int) -> float:
        """Make pass ``number`` (from 0); its error on train (of ratings the RMSE, on their scale)."""
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


class Watch(NamedTuple):
    """What is reported of valid.

    Attributes:
        of: of factors and valid.
        higher: whether a higher number is better.
    """

    of: Callable[[Factors, Ratings], float]
    higher: bool = False


class Best:
    """The factors with the best figure on valid so far."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.error, self.factors = math.inf, None

    def see(self, figure: float, factors: Factors) -> None:
        """Keep these if they are better."""
        error = -figure if self.watch.higher else figure
        if error < self.error:
            self.error, self.factors = error, factors


def run(
    fit: Underway,
    n_epochs: int,
    *,
    valid: Ratings | None,
    keep_best: bool,
    progress: Progress,
    path: Path | None,
    every: int,
    watch: Watch | None = None,
) -> Factors:
    """Make the passes that are left to make; Ctrl-C ends them early, with a StoppedWarning.

    ``watch`` says what of valid is reported, and with ``keep_best`` decides: by default the RMSE.

    Returns:
        The last pass's factors, or with ``keep_best`` those that were best on ``valid``.
    """
    best = Best(watch or Watch(rmse))
    about = {**fit.describe(), "best_on": valid.fingerprint() if keep_best and valid is not None else None}
    done = saved = load(path, about, fit, best, n_epochs) if path is not None and path.exists() else 0
    with stoppable() as stop, telling(progress, n_epochs - done) as tell:
        while done < n_epochs and not stop.asked:
            values = make_pass(fit, done, valid, best, keep_best=keep_best)
            done += 1
            if path is not None and (done % every == 0 or done == n_epochs):
                save(path, about, fit, best, done)
                saved = done
            try:
                tell(Step("pass", done, n_epochs, values))
            except KeyboardInterrupt:
                stop.asked = True
    if path is not None and saved < done:
        save(path, about, fit, best, done)
    if done < n_epochs:
        warn_stopped(f"after pass {done} of {n_epochs}", stacklevel=5)
    factors = best.factors or fit.factors()
    check_finite(factors)
    return factors


def make_pass(fit: Underway, number: int, valid: Ratings | None, best: Best, *, keep_best: bool) -> dict[str, float]:
    """One pass; "train" and "valid" (where there is a valid), and "seconds" that the pass took."""
    began = time.perf_counter()
    values, seconds = {"train": fit.step(number)}, time.perf_counter() - began
    if valid is not None:
        factors = fit.factors()
        values["valid"] = best.watch.of(factors, valid)
        if keep_best:
            best.see(values["valid"], factors)
    return {**values, "seconds": seconds}


def rmse(factors: Factors, ratings: Ratings) -> float:
    """Root mean squared error, in chunks."""
    values, squares = ratings.explicit(), 0.0
    for k in range(0, len(values), CHUNK):
        at = slice(k, k + CHUNK)
        e = factors.score(ratings.users[at], ratings.items[at]) - values[at]
        squares += float(np.square(e, dtype=np.float64).sum())
    return math.sqrt(squares / len(values))


# What can be wrong -------------------------------------------------------------------------------------------------


def check_valid(valid: Ratings | None, *, keep_best: bool) -> None:
    """Refuse a valid without ratings, and ``keep_best`` without a valid.

    Raises:
        DataError: for a valid that holds no numbers.
        SettingError: for ``keep_best`` without a valid.
    """
    if valid is not None:
        valid.explicit()
    elif keep_best:
        raise SettingError("keep_best is True, but there is no valid.", hint="give valid=…, or leave keep_best out.")


def check_finite(factors: Factors, *, hint: str = "lower the rate (lr=), or raise reg=.") -> None:
    """Refuse factors that hold NaN or infinities.

    Raises:
        DivergedError: if they do.
    """
    arrays = factors.user_bias, factors.item_bias, factors.users, factors.items
    if not all(math.isfinite(float(a.sum(dtype=np.float64))) for a in arrays):
        raise DivergedError("the fit left the finite numbers in its last pass.", hint=hint)


# Checkpoints -------------------------------------------------------------------------------------------------------


def save(path: Path, about: dict[str, Any], fit: Underway, best: Best, done: int) -> None:
    """Put a fit away after ``done`` passes."""
    arrays = {f"fit/{name}": a for name, a in fit.state().items()}
    log: dict[str, Any] = {"done": done, "best": None}
    if best.factors is not None:
        state = best.factors.state()
        arrays |= {f"best/{name}": a for name, a in state.arrays.items()}
        log["best"] = {"error": best.error, "settings": state.settings}
    checkpoint.save(path, arrays, about, log)


def load(path: Path, about: dict[str, Any], fit: Underway, best: Best, n_epochs: int) -> int:
    """Put a fit back to where :func:`save` left it; how many passes it had made.

    Raises:
        ModelFileError: if it is damaged, or its arrays are not of this fit's shapes.
        SettingError: if it is of another fit, or had made more passes than are asked for.
    """
    arrays, log = checkpoint.load(path, about, like={f"fit/{name}": a for name, a in fit.state().items()})
    if log["done"] > n_epochs:
        what = f"{path} has made {log['done']} passes already; n_epochs is {n_epochs}."
        raise SettingError(what, hint=f"n_epochs={log['done']} returns it as it is; or delete it.")
    fit.restore(checkpoint.under("fit/", arrays))
    if log["best"] is not None:
        best.error, settings = log["best"]["error"], log["best"]["settings"]
        best.factors = Factors.from_state(checkpoint.under("best/", arrays), settings, fit.train.tables)
    return log["done"]
