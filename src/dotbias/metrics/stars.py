"""Do probabilities and intervals mean what they say? One value per rating.

``log_loss`` and ``rps`` judge the probability of each star; both are proper scoring rules (Gneiting & Raftery 2007).
``pit`` is the distance of the randomised probability integral transform from the uniform distribution (Czado, Gneiting
& Held 2009, eq. 1): 0 if the probabilities are right. ``coverage80`` and ``width80`` are of 80 % intervals.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .kinds import Bounds, Metric, Probabilities, Values, each

LEVEL = 0.8


def transform(given: Probabilities) -> np.ndarray:
    """The randomised transform of each rating: P(below its star) + uniform · P(its star), (N,) from 0 to 1."""
    own = _own(given)
    below = np.cumsum(given.p, 1)[np.arange(len(own)), given.star] - own
    return np.clip(below + given.uniform * own, 0.0, 1.0)


def _own(given: Probabilities) -> np.ndarray:
    """The probability of the star that was given (N,)."""
    return given.p[np.arange(len(given.star)), given.star].astype(np.float64)


def _log_loss(given: Probabilities) -> Values:
    own = _own(given)
    if (own <= 0).any():
        i = int((own <= 0).argmax())
        raise DataError(
            f"rating {i} is {given.stars[given.star[i]]:g}, which had the probability 0: its log loss is infinite.",
            hint="ask for rps, which is always finite.",
        )
    return each(-np.log(own))


def _rps(given: Probabilities) -> Values:
    reached = given.star[:, None] <= np.arange(len(given.stars))  # (N, L) 1 from the given star on
    return each(((np.cumsum(given.p, 1) - reached)[:, :-1] ** 2).sum(1))


def _pit(given: Probabilities) -> Values:
    """Each rating's part in the distance at the point where it is largest (the Kolmogorov-Smirnov distance)."""
    u = transform(given)
    n = len(u)
    if not n:
        return each(u)
    at = np.sort(u)
    above, below = np.arange(1, n + 1) / n - at, at - np.arange(n) / n
    if above.max() >= below.max():
        t = at[above.argmax()]
        return each((u <= t) - t)
    t = at[below.argmax()]
    return each(t - (u < t))


def _covered(given: Bounds) -> Values:
    return each(((given.low <= given.actual) & (given.actual <= given.high)).astype(np.float64))


def _width(given: Bounds) -> Values:
    return each(np.asarray(given.high, np.float64) - given.low)


STARS = {
    m.name: m
    for m in (
        Metric("log_loss", "stars", _log_loss, "low", about="-log of the given star's probability, natural logarithm"),
        Metric("rps", "stars", _rps, "low", about="ranked probability score: squared distance of cumulative sums"),
        Metric(
            "pit", "stars", _pit, "low", most=1.0, joint=True, about="distance of the transformed ratings from uniform"
        ),
        Metric(
            "coverage80", "intervals", _covered, "neither", most=1.0, about="share inside the 80 % interval, ends in"
        ),
        Metric("width80", "intervals", _width, "low", about="mean width of the 80 % interval, in stars"),
    )
}
