"""What lists are ordered by: how likely a user rates an item and likes it, or the predicted rating alone.

    liked     P(rating >= like | rated) · P(rated)
    rating    the scorer's own rank: the predicted rating before any clip

Guessing a rating and making a list are two questions. Ordered by the rating alone, a list is full of items that few
people ever choose; what they choose is what a list is for.

P(rated) is the score of a second scorer, of clicks, fitted on who rated what (``solvers.fit_clicks``). Without one it
is an item's share of train's users, (n + 1) / (U + 2) of n ratings (Laplace's rule of succession), the same for
everybody. P(rating >= like | rated) is the scorer's, where it knows it (``Likes``, or ``Stars``). For other scorers
train's ratings are regressed on the scorer's rank z: the rating is taken as normal around a + b z, with the standard
deviation of what the regression leaves over. A scorer whose rank says how likely an item is chosen (``Chances``), and
any scorer of clicks, is ordered by that rank.

This module knows scorers, rows and ratings, no ids. What is recommended and what ``evaluate`` measures is ordered here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from .errors import SettingError, did_you_mean
from .ratings import Ratings
from .scorer import Chances, FoldsIn, Likes, Part, Ranks, Sampled, Stars, Timed, check_rows, demand, offers

LIKED = 0.4  # of train's ratings reach the default threshold, at least
TAKEN = "how likely they take it"
SAMPLE = 1 << 16  # ratings of train that the regression looks at


class Chance(Protocol):
    """P(rated)."""

    def every(self, users: np.ndarray) -> np.ndarray:
        """Of every item for each of the user rows (B,) -> (B, I), or (1, I) where it is the same for all."""
        ...

    def pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Of pairs of rows (P,), (P,) -> (P,)."""
        ...

    def newcomer(self, items: np.ndarray) -> np.ndarray:
        """Of every item for a newcomer who rated the item rows (n,) -> (I,)."""
        ...


class Order(Protocol):
    """What one scorer's lists are ordered by; higher comes first.

    Attributes:
        words: what that is, for people.
        near: the same order of a scorer that is nearly alike, and much quicker for all items at once; or None.
    """

    @property
    def words(self) -> str:
        """What that is, for people."""
        ...

    @property
    def near(self) -> Order | None:
        """The same order of a scorer that is nearly alike and quicker, or None."""
        ...

    def every(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For every item and each of the user rows (B,) -> (B, I) float32."""
        ...

    def pairs(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For pairs of rows (P,), (P,) -> (P,) float32."""
        ...

    def part(self, part: Part, rated: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """For a newcomer who rated the item rows ``rated`` (n,), and item rows (m,), all by default -> (m,) float32."""
        ...


class Normal(NamedTuple):
    """P(rating >= like | rank): a rating is normal around ``offset + slope · rank``.

    Attributes:
        offset, slope: of the regression of train's ratings on the rank.
        sd: standard deviation of what it leaves over.
        cut: from here on a rating counts as liked: halfway between ``like`` and train's next lower rating.
    """

    offset: float
    slope: float
    sd: float
    cut: float

    def likely(self, rank: np.ndarray) -> np.ndarray:
        """Ranks of any shape -> probabilities of that shape, float32."""
        scale, shift = np.float32(self.slope / self.sd), np.float32((self.offset - self.cut) / self.sd)
        return below(rank.astype(np.float32, copy=False) * scale + shift)


def below(x: np.ndarray) -> np.ndarray:
    """The normal distribution function of x, any shape, float32, within 3e-7.

    Abramowitz & Stegun 1964, eq. 26.2.17; scipy, which has it too, takes longer to load than a list to make.
    """
    far = np.abs(x)
    t = np.float32(1) / (np.float32(1) + np.float32(0.2316419) * far)
    rest = np.float32(1.330274429) * t  # Horner's rule, in place: these are the large arrays
    for b in (-1.821255978, 1.781477937, -0.356563782, 0.319381530):
        rest += np.float32(b)
        rest *= t
    far *= far
    far *= np.float32(-0.5)
    np.exp(far, out=far)
    rest *= far
    rest *= np.float32(0.3989422804)
    return np.where(x < 0, rest, np.float32(1) - rest)


def normal_of(scorer: Ranks, train: Ratings, like: float) -> Normal:
    """Least squares of train's ratings (at most 65,536, evenly spaced) on the scorer's rank; the slope is 0 or more."""
    at = np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(np.int64)
    return normal_on(scorer, train.users[at], train.items[at], train.explicit()[at], cut_of(train, like))


def normal_on(scorer: Ranks, users: np.ndarray, items: np.ndarray, values: np.ndarray, cut: float) -> Normal:
    """Least squares of these ratings (n,) on the scorer's rank, and the cut."""
    y, z = values.astype(np.float64), scorer.rank(users, items).astype(np.float64)
    variance = float(z.var())
    slope = max(float(np.mean((z - z.mean()) * (y - y.mean()))) / variance, 0.0) if variance > 0 else 0.0
    offset = float(y.mean() - slope * z.mean())
    return Normal(offset, slope, float(np.std(y - slope * z)) or 1.0, cut)


def cut_of(train: Ratings, like: float) -> float:
    """Halfway between ``like`` and train's next lower rating, or ``like`` where there is none."""
    lower = train.explicit()[train.explicit() < like]
    return (like + float(lower.max())) / 2 if len(lower) else like


class ByCounts(NamedTuple):
    """P(rated), the same for everybody.

    Attributes:
        share: (I,) float32.
    """

    share: np.ndarray

    def every(self, users: np.ndarray) -> np.ndarray:
        """Of every item -> (1, I)."""
        return self.share[None]

    def pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Of item rows (P,) -> (P,)."""
        return self.share[items]

    def newcomer(self, items: np.ndarray) -> np.ndarray:
        """Of every item -> (I,)."""
        return self.share


class ByScorer(NamedTuple):
    """P(rated) by a scorer of clicks: its score from 0 up, and a hundredth of the popularity.

    The popularity orders the items for which the scorer has no number.

    Attributes:
        clicks: the scorer, fitted on who rated what.
        popular: the popularity.
    """

    clicks: Ranks
    popular: ByCounts

    def every(self, users: np.ndarray) -> np.ndarray:
        """Of every item for each of the user rows (B,) -> (B, I)."""
        return self._of(self.clicks.score_all(users), self.popular.share)

    def pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Of pairs of rows (P,), (P,) -> (P,)."""
        return self._of(self.clicks.score(users, items), self.popular.share[items])

    def newcomer(self, items: np.ndarray) -> np.ndarray:
        """Of every item for a newcomer who rated the item rows (n,) -> (I,); for none, the popularity."""
        if not len(items) or not offers(self.clicks, FoldsIn):
            return self.popular.share
        part = self.clicks.fold_in_user(items, np.ones(len(items), np.float32))
        return self._of(part.score(), self.popular.share)

    def _of(self, scores: np.ndarray, share: np.ndarray) -> np.ndarray:
        return np.maximum(scores, 0) + np.float32(0.01) * share


def popularity(train: Ratings) -> ByCounts:
    """P(rated), the same for everybody: (n + 1) / (U + 2) of an item with n ratings of U users."""
    n_users = int((train.user_counts > 0).sum())
    return ByCounts(((train.item_counts + 1) / (n_users + 2)).astype(np.float32))


def chance_of(train: Ratings, clicks: Ranks | None) -> Chance:
    """P(rated) by a scorer of clicks, or the popularity.

    Raises:
        DataError: if the scorer was fitted on other id tables.
    """
    if clicks is None:
        return popularity(train)
    check_rows(clicks, train, "train")
    return ByScorer(clicks, popularity(train))


@dataclass(frozen=True, eq=False)
class ByRating:
    """The scorer's own rank.

    Attributes:
        scorer: what ranks.
        words: what that is, for people.
    """

    scorer: Ranks
    words: str = "the predicted rating"

    @property
    def near(self) -> ByRating | None:
        """By the compressed factors of a mean over samples."""
        return ByRating(self.scorer.factors(), self.words) if offers(self.scorer, Sampled) else None

    def every(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For every item and each of the user rows (B,) -> (B, I) float32."""
        return self.scorer.rank_all(users, **timed(self.scorer, times))

    def pairs(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For pairs of rows (P,), (P,) -> (P,) float32."""
        return self.scorer.rank(users, items, **timed(self.scorer, times))

    def part(self, part: Part, rated: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """For a newcomer and item rows (m,), all by default -> (m,) float32."""
        return part.rank(items)


@dataclass(frozen=True, eq=False)
class ByLiking:
    """P(rating >= like | rated) · P(rated).

    Attributes:
        scorer: what ranks.
        train: what it was fitted on.
        like: the rating from which an item is liked.
        chance: P(rated).
        given: the regression of train's ratings, where train is not all here.
        quicker: ``near``, likewise.
    """

    scorer: Ranks
    train: Ratings
    like: float
    chance: Chance
    given: Normal | None = None
    quicker: ByLiking | None = None

    @cached_property
    def normal(self) -> Normal:
        """For ranks of a scorer, or of a newcomer, that knows no such probability itself; made when first needed."""
        return self.given or normal_of(self.scorer, self.train, self.like)

    @property
    def words(self) -> str:
        """What that is, for people."""
        return f"how likely they rate it, and give it {self.like:g} or more"

    @property
    def near(self) -> ByLiking | None:
        """By the compressed factors of a mean over samples."""
        return self._near

    @cached_property
    def _near(self) -> ByLiking | None:
        if self.quicker is not None or not offers(self.scorer, Sampled):
            return self.quicker
        return ByLiking(self.scorer.factors(), self.train, self.like, self.chance)

    def every(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For every item and each of the user rows (B,) -> (B, I) float32."""
        given = timed(self.scorer, times)
        if offers(self.scorer, Likes):
            p = self.scorer.p_like_all(users, self.like, **given)
        elif offers(self.scorer, Stars):
            p = self._by_stars(users, times)
        else:
            p = self.normal.likely(self.scorer.rank_all(users, **given))
        return (p * self.chance.every(users)).astype(np.float32)

    def pairs(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For pairs of rows (P,), (P,) -> (P,) float32."""
        given = timed(self.scorer, times)
        if offers(self.scorer, Likes):
            p = self.scorer.p_like(users, items, self.like, **given)
        elif offers(self.scorer, Stars):
            p = p_of_stars(self.scorer, self.scorer.star_probabilities(users, items, **given), self.like)
        else:
            p = self.normal.likely(self.scorer.rank(users, items, **given))
        return (p * self.chance.pairs(users, items)).astype(np.float32)

    def part(self, part: Part, rated: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """For a newcomer who rated the item rows ``rated`` (n,), and item rows (m,), all by default -> (m,) float32."""
        knows: Any = part
        p = knows.p_like(self.like, items) if offers(part, Likes) else self.normal.likely(part.rank(items))
        chance = self.chance.newcomer(rated)
        return (p * (chance if items is None else chance[items])).astype(np.float32)

    def _by_stars(self, users: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        """Pair by pair, a user at a time: (B, I)."""
        scorer = demand(self.scorer, Stars, why="probabilities of stars", hint="fit gibbs.")
        n_items = self.train.n_items
        items, out = np.arange(n_items), np.empty((len(users), n_items))
        for k, user in enumerate(users):
            given = timed(scorer, None if times is None else np.full(n_items, times[k]))
            stars = scorer.star_probabilities(np.full(n_items, user), items, **given)
            out[k] = p_of_stars(scorer, stars, self.like)
        return out


def p_of_stars(scorer: Stars, p: np.ndarray, like: float) -> np.ndarray:
    """From probabilities of stars (B, L) to that of ``like`` and more: (B,)."""
    return p[:, np.asarray(scorer.stars) >= like].sum(1)


def timed(scorer: Any, times: np.ndarray | None) -> dict[str, Any]:
    """Times as an argument for a scorer that uses them, else none."""
    return {"times": times} if times is not None and offers(scorer, Timed) else {}


def liked(scorer: Ranks, train: Ratings, like: float | None = None, clicks: Ranks | None = None) -> Order:
    """By P(rating >= like | rated) · P(rated); ``like`` by default the :func:`threshold`.

    Args:
        scorer: what ranks.
        train: what it was fitted on.
        like: the rating from which an item is liked.
        clicks: for P(rated): a scorer of clicks, fitted on who rated what; None: an item's share of the users.
    """
    if train.values is None or offers(scorer, Chances):
        return rating(scorer, train)
    at = like_of(train) if like is None else like
    return ByLiking(scorer, train, at, chance_of(train, clicks))


def rating(scorer: Ranks, train: Ratings, like: float | None = None, clicks: Ranks | None = None) -> Order:
    """By the scorer's own rank; ``like`` and ``clicks`` have no part in it."""
    return ByRating(scorer, TAKEN) if train.values is None or offers(scorer, Chances) else ByRating(scorer)


ORDERS: dict[str, Callable[..., Order]] = {"liked": liked, "rating": rating}


def find_order(name: str) -> Callable[..., Order]:
    """An order by its name: a function of a scorer, train and ``like``.

    Raises:
        SettingError: for a name that is none.
    """
    if not isinstance(name, str) or name not in ORDERS:
        raise SettingError(f"there is no order {name!r}.", hint=did_you_mean(name, ORDERS))
    return ORDERS[name]


def threshold(train: Ratings) -> float | None:
    """The default of ``like``: the highest value that at least 40 % of train's ratings reach; None for clicks."""
    return None if train.values is None else like_of(train)


def like_of(train: Ratings) -> float:
    """The :func:`threshold` of ratings."""
    ordered = np.sort(train.explicit())
    return float(ordered[len(ordered) - int(np.ceil(LIKED * len(ordered)))])
