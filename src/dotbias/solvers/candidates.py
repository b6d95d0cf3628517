"""Candidates compared on a slice inside train: the default must not lose to its own baselines.

Biases, als and sgd are fitted to what gibbs searches on, and guess the ratings that it holds out at random, whose time
they are not told. Least mean squared error wins. This module fits, and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..ratings import Ratings
from .als import als
from .gibbs.fit import LEAST_RATINGS
from .gibbs.prepare import sessions_of
from .sgd import sgd
from .slices import hold_out

NS_RATING = {"bias": 50.0, "als": 3000.0, "sgd": 1000.0}  # of a whole fit (bench/LOG.md)


def baseline_errors(train: Ratings, key: int, *, seconds: float) -> dict[str, float]:
    """The mean squared error of each baseline on the slice of that key.

    Args:
        train: the training ratings.
        key: as the fit's own: the same slices.
        seconds: what the fits may take together, by an estimate; the dearest are left out first.

    Returns:
        fitter -> error; of few ratings, or of more than the seconds allow, nothing.
    """
    if len(train) < LEAST_RATINGS:
        return {}
    from ..baselines import bias  # not above: the fitters of this room are ready before those of that one

    baselines = {"bias": bias, "als": als, "sgd": sgd}
    out = hold_out(train, key, timed=bool(len(sessions_of(train).users)))  # as gibbs does
    rest, part, left = train.take(out.rest), train.take(out.random), seconds
    found: dict[str, float] = {}
    for name, ns in sorted(NS_RATING.items(), key=lambda pair: pair[1]):
        if (left := left - 1e-9 * ns * len(train)) < 0:
            break
        given = {} if name == "bias" else {"rng": key, "progress": False}
        guesses = baselines[name](rest, **given).score(part.users, part.items)
        found[name] = float(np.mean((guesses - part.explicit()) ** 2))
    return found


def best(errors: Mapping[str, float]) -> str:
    """The candidate with the least error."""
    return min(errors, key=lambda name: errors[name])


def table(errors: Mapping[str, float]) -> str:
    """The errors for people, a line each, the best first."""
    rows = sorted(errors.items(), key=lambda pair: pair[1])
    return "\n".join(f"{name:>8}  {error:.4f}" for name, error in rows)
