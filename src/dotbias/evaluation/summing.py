"""What is asked of a scorer, and the answer: sums by user of every metric, over all and by what is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import DataError, SettingError
from ..metrics import Lists, Metric, Values, find_metrics
from ..orders import find_order, threshold
from ..ratings import Ratings
from ..scorer import Chances, Ranks, Scorer, Timed, offers
from ..times import NOW, UNKNOWN
from . import ranked, scored
from .bootstrap import Sums
from .cold import ColdCounts, cold_counts
from .known import Group, facets

Metrics = Sequence[str | Metric]
Asked = Literal["given", "unknown", "now"]
DEFAULT = ("rmse", "mse", "mae")
SHOWN = (*DEFAULT, "ndcg@10")  # what the command line shows
OF_CLICKS = ("ndcg@10", "recall@20", "hit_rate@10")
POPULAR = "popular"
ALL = ("", "")
Key = tuple[str, str]  # (facet, label)


class Ask(NamedTuple):
    """The metrics asked for, how lists are made, and what scorers are told of times."""

    metrics: list[Metric]
    order: str | ranked.Order
    like: float | None
    times: Asked = "given"
    clicks: Ranks | None = None

    @property
    def order_name(self) -> str:
        """The order, for people."""
        return self.order if isinstance(self.order, str) else getattr(self.order, "__name__", "a function")

    @property
    def lists(self) -> list[Metric]:
        """The metrics of lists among them."""
        return [m for m in self.metrics if m.takes == "lists"]


def ask_for(
    metrics: Metrics, order: str | ranked.Order, like: float | None, train: Ratings | None, times: Asked = "given"
) -> Ask:
    """What is asked, checked."""
    found = find_metrics(metrics)
    if not found:
        raise SettingError("there is no metric to measure.", hint=f"metrics={SHOWN!r}")
    sampled = [m.name for m in found if m.name.startswith("sampled_")]
    if sampled:
        raise SettingError(f"{sampled[0]} needs given negatives.", hint="evaluate_sampled(…), or ndcg@10.")
    lists = [m.name for m in found if m.takes == "lists"]
    if lists and train is None:
        raise SettingError(f"{lists[0]} ranks what the user has not seen: it needs train.", hint="train=train.")
    if not callable(order):
        find_order(order)
    if lists and like is None and train is not None:
        like = threshold(train)
    return Ask(found, order, like, times)


def metrics_for(test: Ratings, train: Ratings | None = None, *, shown: bool = False) -> tuple[str, ...]:
    """The metrics by default: of ratings errors (and, ``shown``, a list's), of clicks lists'."""
    if _are_clicks(test, train):
        return OF_CLICKS
    return SHOWN if shown else DEFAULT


def check_kind(ask: Ask, test: Ratings, train: Ratings | None) -> None:
    """Refuse metrics of ratings where there are clicks.

    Raises:
        DataError: naming the metric, and those that measure clicks.
    """
    wrong = next((m.name for m in ask.metrics if m.takes != "lists"), None)
    if wrong is not None and _are_clicks(test, train):
        hint = f"measure lists: {', '.join(OF_CLICKS)}."
        raise DataError(f"{wrong} measures guesses of ratings, and these are clicks.", hint=hint)


def _are_clicks(test: Ratings, train: Ratings | None) -> bool:
    return "clicks" in (test.feedback, test.feedback if train is None else train.feedback)


class GroupSize(NamedTuple):
    """Held-out ratings of a group, and users."""

    ratings: int
    users: int


class Measured(NamedTuple):
    """Sums by user, for each group of what is known.

    Attributes:
        users: (G,) user rows.
        sums: (facet, label) -> Sums of the metrics, in their order; ("", "") is all.
        sizes: the same keys -> ratings and users.
        cold: what train never saw.
        notes: circumstances a reader should know.
        question: which one the split asks.
        times: what the scorer was told of them, in words; None where it uses none.
    """

    users: np.ndarray
    sums: dict[Key, Sums]
    sizes: dict[Key, GroupSize]
    cold: ColdCounts
    notes: tuple[str, ...]
    question: str | None
    times: str | None = None


class MostPopular:
    """Ranks every user's items by their number of ratings: what lists are held against."""

    offers, tables = (Scorer, Ranks, Chances), None

    def __init__(self, counts: np.ndarray):
        self.counts = counts.astype(np.float32)

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The counts (I,) for each of the users (B,) -> (B, I)."""
        return np.broadcast_to(self.counts, (len(users), len(self.counts)))

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The counts of items (B,)."""
        return self.counts[items]

    score, score_all = rank, rank_all


def measure(
    scorer: Scorer, test: Ratings, train: Ratings | None, ask: Ask, *, alike: np.ndarray | None = None
) -> Measured:
    """Score and rank once; sums by user of every metric, over all and by group.

    With ``alike`` (I,), everybody's lists are ordered by these numbers.
    """
    users = np.unique(test.users)
    owner = np.searchsorted(users, test.users)
    given: dict[str, Any] = {}
    words, times = told(scorer, test, ask.times)
    for kind in dict.fromkeys(m.takes for m in ask.metrics):
        if kind == "lists":
            assert train is not None  # ask_for has seen to it
            seen = ranked.Seen.of(train, test.n_users)
            order = ranked.every(scorer, train, ask.order, ask.like, ask.clicks)
            order = order if alike is None else ranked.Alike.of(alike, seen)
            given[kind] = ranked.rank(order, test, seen, users, metrics=ask.lists, like=ask.like)
        else:
            given[kind] = scored.BY_KIND[kind](scorer, test, times)
    every = Group(*ALL, np.ones(len(test), bool), np.ones(len(users), bool))
    groups = [every, *(g for facet in facets(test, train, users) for g in facet.groups())]
    whole = [m.values(given[m.takes]) for m in ask.metrics]
    sums, sizes = {}, {}
    for g in groups:
        parts = [_part(m, given[m.takes], values, g, owner) for m, values in zip(ask.metrics, whole, strict=True)]
        sums[g.facet, g.label] = summed([v for v, _ in parts], [o for _, o in parts], len(users))
        sizes[g.facet, g.label] = GroupSize(int(g.ratings.sum()), int((np.bincount(owner[g.ratings]) > 0).sum()))
    words = words if len(ask.lists) < len(ask.metrics) else None
    return Measured(users, sums, sizes, cold_counts(test, train), (words,) if words else (), test.question, words)


def popularity(test: Ratings, train: Ratings | None, ask: Ask) -> Measured | None:
    """The metrics of lists for the most popular items; None where no metric of lists is asked for."""
    if not ask.lists or train is None:
        return None
    counts, asked = train.item_counts, ask._replace(metrics=ask.lists, order="rating")
    return measure(MostPopular(counts), test, train, asked, alike=counts)


def of_sampled(metrics: list[Metric], lists: Lists, users: np.ndarray) -> tuple[Measured, Ask]:
    """Sampled metrics of one list for each of the user rows (G,), and the question they answer."""
    n = len(users)
    sums = summed([m.values(lists) for m in metrics], [np.arange(n)] * len(metrics), n)
    found = Measured(np.asarray(users), {ALL: sums}, {ALL: GroupSize(n, n)}, ColdCounts(None, None, None), (), None)
    return found, Ask(metrics, "rank, among sampled negatives", None)


def _part(metric: Metric, given: Any, whole: Values, group: Group, owner: np.ndarray) -> tuple[Values, np.ndarray]:
    """A metric's values in a group, and the user (0 to G - 1) of each."""
    which = group.users if metric.takes == "lists" else group.ratings
    if which is None:
        return Values(np.zeros(0), np.zeros(0)), np.zeros(0, np.int64)
    owners = np.flatnonzero(which) if metric.takes == "lists" else owner[which]
    if metric.joint and not which.all():
        return metric.values(given.take(which)), owners
    return Values(whole.values[which], whole.counts[which]), owners


def summed(found: Sequence[Values], owners: Sequence[np.ndarray], n_users: int) -> Sums:
    """Sums by user of several metrics; users without a value of any are left out."""
    values = np.stack([np.bincount(o, v.values, n_users) for v, o in zip(found, owners, strict=True)], 1)
    counts = np.stack([np.bincount(o, v.counts, n_users) for v, o in zip(found, owners, strict=True)], 1)
    used = np.flatnonzero(counts.any(1))
    return Sums(used, values[used], counts[used])


def pooled(tables: Sequence[Measured]) -> Measured:
    """All folds' rows together: sums added by user."""
    users = np.unique(np.concatenate([t.users for t in tables]))
    sums, sizes = {}, {}
    for k in dict.fromkeys(k for t in tables for k in t.sums):
        parts = [(np.searchsorted(users, t.users[t.sums[k].users]), t.sums[k]) for t in tables if k in t.sums]
        shape = len(users), parts[0][1].values.shape[1]
        values, counts = np.zeros(shape), np.zeros(shape)
        for rows, part in parts:
            values[rows] += part.values
            counts[rows] += part.counts
        used = np.flatnonzero(counts.any(1))
        sums[k] = Sums(used, values[used], counts[used])
        sizes[k] = GroupSize(sum(t.sizes[k].ratings for t in tables if k in t.sizes), len(used))
    cold = ColdCounts(*(_total([getattr(t.cold, f) for t in tables]) for f in ColdCounts._fields))
    return Measured(users, sums, sizes, cold, tables[0].notes, tables[0].question, tables[0].times)


def told(scorer: Scorer, test: Ratings, asked: Asked) -> tuple[str | None, np.ndarray | None]:
    """What a scorer is told of times, in words and as (N,); nothing where it uses none."""
    if not offers(scorer, Timed):
        return None, None
    if asked == "now":
        return "now", np.full(len(test), NOW)
    if asked == "unknown" or test.times is None:
        return "time unknown", None
    unknown = int((test.times == UNKNOWN).sum())
    return "rating's time given" + (f", but for {unknown:,} of them" if unknown else ""), test.times


def _total(counts: Sequence[int | None]) -> int | None:
    return None if None in counts else sum(c for c in counts if c is not None)
