"""What a metric is, and the four kinds of things that metrics take: guesses, intervals, stars, lists.

A metric of ratings gives a value per rating; a metric of lists gives one per user. Each value has a count: what it
weighs. The metric is ``finish(Σ values / Σ counts)``, so that sums per user are all that an interval over users needs.
This module knows arrays, neither users' ids nor models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

Better = Literal["low", "high", "neither"]
Takes = Literal["guesses", "intervals", "stars", "lists"]


class Guesses(NamedTuple):
    """What was predicted, and what was given.

    Attributes:
        predicted: (N,), in stars.
        actual: (N,), in stars.
    """

    predicted: np.ndarray
    actual: np.ndarray

    def take(self, which: np.ndarray) -> Guesses:
        """Those of a mask (N,)."""
        return Guesses(self.predicted[which], self.actual[which])


class Bounds(NamedTuple):
    """Intervals, and the ratings that may lie in them.

    Attributes:
        low: (N,) lower ends, in stars.
        high: (N,) upper ends.
        actual: (N,) ratings.
    """

    low: np.ndarray
    high: np.ndarray
    actual: np.ndarray

    def take(self, which: np.ndarray) -> Bounds:
        """Those of a mask (N,)."""
        return Bounds(self.low[which], self.high[which], self.actual[which])


class Probabilities(NamedTuple):
    """The probability of each star, and the star that was given.

    Attributes:
        p: (N, L), rows summing to 1.
        stars: (L,) their values, rising.
        star: (N,) which of them was given: 0 to L - 1.
        uniform: (N,) draws from 0 to 1, for the randomised transform.
    """

    p: np.ndarray
    stars: np.ndarray
    star: np.ndarray
    uniform: np.ndarray

    def take(self, which: np.ndarray) -> Probabilities:
        """Those of a mask (N,)."""
        return self._replace(p=self.p[which], star=self.star[which], uniform=self.uniform[which])


class Catalogue(NamedTuple):
    """What train says of the items, and of the users whose lists are measured.

    Attributes:
        item_counts: (I,) ratings of each item in train.
        n_users: users with a rating in train.
        history_popularity: (G,) mean count of the items in each list's user's history; NaN for an empty history.
        raters: (m,) item rows -> (m, words) uint64: who rated each item in train, a bit per user.
    """

    item_counts: np.ndarray
    n_users: int
    history_popularity: np.ndarray
    raters: Callable[[np.ndarray], np.ndarray]


class Lists(NamedTuple):
    """The ranked items of G users, and where their relevant ones stand.

    Attributes:
        top: (G, k) item rows, best first; -1 where a user has fewer candidates.
        n_candidates: (G,) how many items were ranked.
        owner: (P,) for each relevant pair, whose it is: 0 to G - 1.
        place: (P,) for each relevant pair, how many candidates stand before its item; NOWHERE if it was no candidate.
            Where only the first k places are known, the others have k.
        gain: (P,) the rating; 1 for a click.
        catalogue: for metrics beyond accuracy; None where nobody asked for one.
    """

    top: np.ndarray
    n_candidates: np.ndarray
    owner: np.ndarray
    place: np.ndarray
    gain: np.ndarray
    catalogue: Catalogue | None = None

    @property
    def n_relevant(self) -> np.ndarray:
        """(G,) relevant items of each user, candidates or not."""
        return np.bincount(self.owner, minlength=len(self.top))

    def take(self, which: np.ndarray) -> Lists:
        """The lists of a mask of users (G,)."""
        new, pairs = np.cumsum(which) - 1, which[self.owner]
        catalogue = self.catalogue
        if catalogue is not None:
            catalogue = catalogue._replace(history_popularity=catalogue.history_popularity[which])
        relevant = new[self.owner[pairs]], self.place[pairs], self.gain[pairs]
        return Lists(self.top[which], self.n_candidates[which], *relevant, catalogue)


NOWHERE = int(np.iinfo(np.int32).max)  # the place of an item that was not ranked


class Values(NamedTuple):
    """What a metric found.

    Attributes:
        values: (n,) float64, one per rating or user, each already multiplied by its count.
        counts: (n,) float64: what each weighs; 0 where it does not count.
    """

    values: np.ndarray
    counts: np.ndarray


def each(values: np.ndarray) -> Values:
    """Values that count once each; NaN does not count."""
    counts = ~np.isnan(values)
    return Values(np.where(counts, values, 0.0).astype(np.float64), counts.astype(np.float64))


def same(x: Any) -> Any:
    """x itself."""
    return x


class Metric(NamedTuple):
    """A metric: one of a list, or made by hand.

    Attributes:
        name: as people ask for it, and as reports show it.
        takes: which of the four kinds it is computed from.
        values: from a value of that kind to Values.
        better: whether low or high values are better, or neither.
        finish: from the mean to the metric; monotone. It takes numbers and arrays.
        most: the largest mean that there can be. The smallest is 0.
        depth: for lists: how many first places it looks at; None for all.
        about: what it is, in a line.
        joint: whether a value depends on the others that are measured with it, so that groups are measured apart.
    """

    name: str
    takes: Takes
    values: Callable[[Any], Values]
    better: Better
    finish: Callable[[Any], Any] = same
    most: float = np.inf
    depth: int | None = None
    about: str = ""
    joint: bool = False

    def of(self, given: Any) -> float:
        """The metric of Guesses, Bounds, Probabilities or Lists; NaN where nothing counts."""
        found = self.values(given)
        total = found.counts.sum()
        return float(self.finish(found.values.sum() / total)) if total else float("nan")
