"""Held-out ratings, scored in blocks: guesses, intervals, and the probability of each star."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import DataError
from ..metrics import LEVEL, Bounds, Guesses, Probabilities, difference
from ..ratings import Ratings
from ..rng import stream
from ..scorer import Intervals, Scorer, Stars, demand

BLOCK = 1 << 16  # rows scored at once


Times = np.ndarray | None


def guesses(scorer: Scorer, test: Ratings, times: Times) -> Guesses:
    """Of all held-out ratings; the scorer is told ``times`` (N,), or that they are unknown (None)."""
    actual = test.explicit()
    predicted = np.empty(len(test), np.float32)
    for at in _blocks(test):
        guess = scorer.score(*_asked(test, times, at))
        difference(guess, actual[at])  # for its checks
        predicted[at] = guess
    return Guesses(predicted, actual)


def bounds(scorer: Scorer, test: Ratings, times: Times) -> Bounds:
    """The 80 % interval of each held-out rating."""
    hint = "fit gibbs, or leave out coverage80 and width80."
    sure = demand(scorer, Intervals, why="intervals", hint=hint)
    low, high = np.empty((2, len(test)), np.float32)
    for at in _blocks(test):
        low[at], high[at] = sure.interval(*_asked(test, times, at), level=LEVEL)
    return Bounds(low, high, test.explicit())


def probabilities(scorer: Scorer, test: Ratings, times: Times) -> Probabilities:
    """Of each star, for each held-out rating: (N, L) float32."""
    hint = "fit gibbs with ordinal=True, or leave out log_loss, rps and pit."
    sure = demand(scorer, Stars, why="probabilities of stars", hint=hint)
    stars, actual = np.asarray(sure.stars), test.explicit()
    star = np.minimum(np.searchsorted(stars, actual), len(stars) - 1)
    wrong = stars[star] != actual
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} ratings are no star that the scorer knows: the first is {actual[wrong.argmax()]:g}.",
            hint=f"it knows {', '.join(f'{s:g}' for s in stars)}: leave out log_loss, rps and pit.",
        )
    p = np.empty((len(test), len(stars)), np.float32)
    for at in _blocks(test):
        p[at] = sure.star_probabilities(*_asked(test, times, at))
    return Probabilities(p, stars, star, stream(0, 0).random(len(test)))


BY_KIND: dict[str, Callable[[Scorer, Ratings, Times], Guesses | Bounds | Probabilities]] = {
    "guesses": guesses,
    "intervals": bounds,
    "stars": probabilities,
}


def _blocks(test: Ratings) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, len(test), BLOCK)]


def _asked(test: Ratings, times: Times, at: slice) -> tuple[np.ndarray, np.ndarray, Times]:
    return test.users[at], test.items[at], None if times is None else times[at]
