"""Which ratings are learnt from, and which are held out: ``Split(train, valid, test)``.

All parts share the id tables of the ratings they came from, and keep their order. ``valid`` may steer a fit (when to
stop, which settings), ``test`` never does. Each split answers one question, and says which: in its docstring, in
``Split.question``, in the held-out parts, and so in every report on them.

    lesson, random, per_user, folds    HOLES     fill the holes: the rest of what these people rated
    last, last_share                   NEXT      the next ratings of people we know
    by_time                            TOMORROW  tomorrow, newcomers included

Ratings of one second stand in the order of the file, which is the same on every machine. This module knows ratings, and
nothing of models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
import polars as pl

from .errors import DataError, SettingError
from .ratings import Ids, Ratings, check_is_ratings
from .rng import Rng, numpy_rng
from .times import UNKNOWN

HOLES = "fill the holes: what would people give to the rest of what they rated?"
NEXT = "the next ratings of people we know: what do they give to what they rate last?"
TOMORROW = "tomorrow, newcomers included: what is given after a moment, by whomever, to whatever?"


class Cold(NamedTuple):
    """What a held-out part holds that train never saw.

    Attributes:
        users: distinct users without a rating in train.
        items: distinct items without a rating in train.
        rows: ratings whose user or item is one of these.
    """

    users: int
    items: int
    rows: int


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint parts of one table of ratings; unpacks as ``train, valid, test = split``.

    Attributes:
        train: what is learnt from.
        valid: what may steer the fit, or None where not asked for.
        test: what is only reported, or None where not asked for.
        question: which question the held-out parts answer, for reports; None where nobody said.

    ``valid.cold`` and ``test.cold`` are masks (N,) of the ratings whose user or item train never saw;
    ``valid.question`` and ``test.question`` are the split's.

    Raises:
        DataError: if a part is empty, or the parts number their ids differently.
    """

    train: Ratings
    valid: Ratings | None = None
    test: Ratings | None = None
    question: str | None = None

    def __post_init__(self) -> None:
        known = self.train.user_counts > 0, self.train.item_counts > 0
        for name, part in self.parts().items():
            if not len(part):
                raise DataError(f"the {name} part is empty.", hint="there are too few ratings for this split.")
            if part.n_users != self.train.n_users or part.n_items != self.train.n_items:
                raise DataError(f"train and {name} have different id tables.", hint="split.predefined(train, test)")
            cold = None if name == "train" else ~(known[0][part.users] & known[1][part.items])
            question = None if name == "train" else self.question
            object.__setattr__(self, name, dataclasses.replace(part, cold=cold, question=question))

    def __iter__(self) -> Iterator[Ratings | None]:
        return iter((self.train, self.valid, self.test))

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {len(part):,}" for name, part in self.parts().items())
        cold = "".join(f"; {name}: {c.rows:,} cold rows" for name, c in self.cold().items() if c.rows)
        return f"Split({parts}{cold})" + (f"\nIt asks: {self.question}" if self.question else "")

    def parts(self) -> dict[str, Ratings]:
        """The parts that were asked for, by name."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def cold(self) -> dict[str, Cold]:
        """By held-out part: how many users, items and ratings of it train never saw."""
        known_users, known_items = self.train.user_counts > 0, self.train.item_counts > 0
        return {
            name: Cold(
                int(((part.user_counts > 0) & ~known_users).sum()),
                int(((part.item_counts > 0) & ~known_items).sum()),
                int((~(known_users[part.users] & known_items[part.items])).sum()),
            )
            for name, part in self.parts().items()
            if name != "train"
        }


# At random -----------------------------------------------------------------------------------------------------


def lesson_rows(n: int, *, cv_idx: int = 0, val_pct: float = 0.2, seed: int = 42) -> np.ndarray:
    """The course's held-out rows of a table of n, in its order (shuffled): fastai 0.7's ``get_cv_idxs``, bit for bit.

    The ``cv_idx``-th slice of ``int(val_pct * n)`` rows of a permutation by numpy's legacy generator, whose global
    state stays untouched. -> (int(val_pct * n),) int64.
    """
    shuffled = np.random.RandomState(seed).permutation(n)
    size = int(val_pct * n)
    return shuffled[cv_idx * size : (cv_idx + 1) * size]


def lesson(ratings: Ratings, fraction: float = 0.2, *, seed: int = 42) -> Split:
    """The lesson's random split of rows in file order; the held-out rows are ``test``.

    Its question: fill the holes.

    Args:
        ratings: in the file's order.
        fraction: of the rows, rounded down.
        seed: of numpy's legacy generator (the course's is 42).

    Raises:
        SettingError: for a fraction or a seed that makes no sense.
        DataError: if a part would be empty.
    """
    _check(ratings, fraction)
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise SettingError(f"seed is {seed!r}.", hint="a whole number from 0 to 2**32 - 1; the course's is 42.")
    held = np.zeros(len(ratings), np.int8)
    held[lesson_rows(len(ratings), val_pct=fraction, seed=seed)] = 2
    return _cut(ratings, held, ask=(None, fraction), question=HOLES)


def random(ratings: Ratings, *, test: float | None = 0.1, valid: float | None = None, rng: Rng = None) -> Split:
    """Ratings drawn at random, whoever's they are.

    Its question: fill the holes. Sessions, and what comes later, are cut through: train holds ratings of the same day.

    Args:
        ratings: N ratings.
        test: fraction for test, rounded to the nearest count; None for none.
        valid: fraction for valid.
        rng: seed or Generator.

    Raises:
        SettingError: for fractions that leave nothing to learn from.
        DataError: if a part would be empty.
    """
    _check(ratings, test, valid)
    n_test, n_valid = (_count(f, len(ratings)) for f in (test, valid))
    held = np.zeros(len(ratings), np.int8)
    shuffled = numpy_rng(rng).permutation(len(ratings))
    held[shuffled[:n_test]] = 2
    held[shuffled[n_test : n_test + n_valid]] = 1
    return _cut(ratings, held, ask=(valid, test), question=HOLES)


def per_user(ratings: Ratings, *, test: float | None = 0.2, valid: float | None = None, rng: Rng = None) -> Split:
    """Of each user's ratings a fraction, drawn at random and rounded to the nearest count; one at least stays in train.

    Its question: fill the holes, of each user alike.

    Args:
        ratings: N ratings.
        test: fraction of each user's ratings; None for none.
        valid: fraction of each user's ratings.
        rng: seed or Generator.

    Raises:
        SettingError: for fractions that leave nothing to learn from.
        DataError: if a part would be empty.
    """
    _check(ratings, test, valid)
    rank = _rank(ratings.users, numpy_rng(rng).permutation(len(ratings)))
    return _cut(ratings, _hold(ratings, rank, *_shares(ratings, test, valid)), ask=(valid, test), question=HOLES)


def folds(ratings: Ratings, k: int = 5, *, rng: Rng = None) -> Iterator[Split]:
    """k splits, one after the other; each rating is in ``test`` exactly once, at random.

    Their question: fill the holes.

    Sizes differ by one at most. The draw happens at the call, the parts are made as they are asked for.

    Raises:
        SettingError: if k is below 2 or above the number of ratings.
    """
    check_is_ratings(ratings, "ratings")
    if not isinstance(k, (int, np.integer)) or not 2 <= k <= len(ratings):
        raise SettingError(f"k is {k!r}, for {len(ratings):,} ratings.", hint="from 2 to the number of ratings.")
    fold = numpy_rng(rng).permutation(len(ratings)) % k
    return (_cut(ratings, 2 * (fold == j), ask=(None, 1), question=HOLES) for j in range(k))


# By time -------------------------------------------------------------------------------------------------------


def last(ratings: Ratings, *, n: int = 1, valid: int | None = None) -> Split:
    """Of each user the last ``n`` ratings by time for test, the ``valid`` before them for valid; one stays in train.

    Its question: the next ratings of people we know. Ratings of one second stand in file order; without times, all do.

    Args:
        ratings: N ratings.
        n: ratings of each user for test.
        valid: ratings of each user for valid.

    Raises:
        SettingError: if n or valid is no positive whole number.
        DataError: if a part would be empty.
    """
    for name, value in (("n", n), ("valid", 1 if valid is None else valid)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise SettingError(f"{name} is {value!r}.", hint="a whole number, 1 or more.")
    backwards = _by_time(ratings)[::-1]
    rank = _rank(ratings.users, backwards)
    n_test, n_valid = (np.full(ratings.n_users, k or 0, np.int64) for k in (n, valid))
    return _cut(ratings, _hold(ratings, rank, n_test, n_valid), ask=(valid, n), question=NEXT)


def last_share(ratings: Ratings, *, test: float | None = 0.2, valid: float | None = None) -> Split:
    """Of each user the last fraction by time for test, the fraction before it for valid; one rating stays in train.

    Its question: the next ratings of people we know; each user counts by how much they rated. Counts are rounded to the
    nearest (a half: up). Ratings of one second stand in file order; without times, all do.

    Args:
        ratings: N ratings.
        test: fraction of each user's ratings; None for none.
        valid: fraction of each user's ratings.

    Raises:
        SettingError: for fractions that leave nothing to learn from.
        DataError: if a part would be empty.
    """
    _check(ratings, test, valid)
    rank = _rank(ratings.users, _by_time(ratings)[::-1])
    return _cut(ratings, _hold(ratings, rank, *_shares(ratings, test, valid)), ask=(valid, test), question=NEXT)


def by_time(ratings: Ratings, *, test: float | None = 0.2, valid: float | None = None) -> Split:
    """The latest ratings of all for test, those before them for valid.

    Its question: tomorrow, newcomers included. Every rating of a later part is later than every rating of an earlier
    one: ratings of one second stay together, so that a part can be larger than asked for.

    Args:
        ratings: N ratings with times.
        test: fraction for test; None for none.
        valid: fraction for valid.

    Raises:
        SettingError: for fractions that leave nothing to learn from.
        DataError: without times, or if a part would be empty.
    """
    _check(ratings, test, valid)
    if ratings.times is None:
        raise DataError("these ratings have no times.", hint="name the column: time=…; or use split.random.")
    if n_unknown := int((ratings.times == UNKNOWN).sum()):
        what = f"{n_unknown:,} of {len(ratings):,} ratings have no time, so they are neither early nor late."
        raise DataError(what, hint="leave them out: ratings.take(ratings.times != times.UNKNOWN); or use split.random.")
    ordered, n = np.sort(ratings.times), len(ratings)
    held = np.zeros(n, np.int8)
    n_test = _count(test, n)
    if n_test:
        held[ratings.times >= ordered[n - n_test]] = 2
    n_valid, left = _count(valid, n), int((held == 0).sum())
    if n_valid and left:
        held[(held == 0) & (ratings.times >= ordered[max(left - n_valid, 0)])] = 1
    return _cut(ratings, held, ask=(valid, test), question=TOMORROW)


# Predefined ----------------------------------------------------------------------------------------------------


def predefined(
    train: Ratings, test: Ratings | None, *, valid: Ratings | None = None, question: str | None = None
) -> Split:
    """Parts that were read from files of their own, brought onto one set of id tables: train's, then what is new.

    Which question it asks, only those who made the files know: say it by ``question``.

    Args:
        train: what is learnt from; its side tables and scale hold for all, others fill in for ids it lacks.
        test: what is only reported (read with ``like=train`` or without).
        valid: what may steer the fit.
        question: which question it asks, for reports: such as ``split.HOLES``.

    Raises:
        DataError: if a pair is in two parts, ids are of different types, a part is empty, or one has ratings and
            another has none.
    """
    parts = {"train": train, "valid": valid, "test": test}
    given = {name: part for name, part in parts.items() if part is not None}
    for name, part in given.items():
        check_is_ratings(part, name)
    check_is_ratings(train, "train")
    if question is not None and not isinstance(question, str):
        raise SettingError(f"question is {question!r}.", hint="text, such as split.HOLES.")
    if len(given) == 1:
        raise SettingError("there is no held-out part.", hint="give test, or valid=.")
    for name, part in given.items():
        if (part.values is None) != (train.values is None):
            raise DataError(f"of train and {name}, one has ratings and the other has none.", hint="name rating=….")
    aligned = _on_one_table(given)
    _refuse_overlap(aligned)
    return Split(aligned["train"], aligned.get("valid"), aligned.get("test"), question)


def _on_one_table(parts: dict[str, Ratings]) -> dict[str, Ratings]:
    train = parts["train"]
    shared: dict[str, object] = {"y_range": next((p.y_range for p in parts.values() if p.y_range), None)}
    rows: dict[str, list[np.ndarray]] = {}
    for side in ("user", "item"):
        ids: Ids = getattr(train, f"{side}_ids")
        for name, part in parts.items():
            theirs = getattr(part, f"{side}_ids").values
            if theirs.dtype != ids.values.dtype:
                raise DataError(
                    f"the {side} ids of train and {name} are {ids.values.dtype} and {theirs.dtype}: "
                    f"{ids[0]!r} beside {theirs[0]!r}.",
                    hint="42 and '42' are two different ids; read the second with like=train.",
                )
            ids = ids.extend(theirs)
        shared[f"{side}_ids"] = ids
        shared[f"{side}_table"] = _joined_table(parts, side, ids)
        rows[side] = [ids.find(getattr(part, f"{side}_ids").values) for part in parts.values()]
    return {
        name: dataclasses.replace(part, users=u[part.users], items=i[part.items], cold=None, **shared)
        for (name, part), u, i in zip(parts.items(), rows["user"], rows["item"], strict=True)
    }


def _joined_table(parts: dict[str, Ratings], side: str, ids: Ids) -> pl.DataFrame | None:
    """A side table for all ids: from each part's table of the same columns, the first that has a row; else nulls."""
    tables = [(getattr(p, f"{side}_ids"), getattr(p, f"{side}_table")) for p in parts.values()]
    tables = [(theirs, table) for theirs, table in tables if table is not None]
    if not tables:
        return None
    schema = tables[0][1].schema
    stacked = pl.concat([t.with_columns(i.values.alias("__id")) for i, t in tables if t.schema == schema])
    empty = pl.all_horizontal(pl.exclude("__id", stacked.columns[0]).is_null()) if stacked.width > 2 else pl.lit(False)
    described_first = pl.concat([stacked.filter(~empty), stacked])
    first = described_first.unique("__id", keep="first", maintain_order=True)
    wanted = ids.values.alias("__id").to_frame()
    return wanted.join(first, on="__id", how="left", maintain_order="left").drop("__id")


def _refuse_overlap(parts: dict[str, Ratings]) -> None:
    """No pair may be in two parts."""
    seen: list[tuple[str, np.ndarray]] = []
    for name, part in parts.items():
        pairs = part.pairs()
        for other, theirs in seen:
            both = np.isin(pairs, theirs)
            if both.any():
                k = int(both.argmax())
                user, item = part.user_ids[part.users[k]], part.item_ids[part.items[k]]
                raise DataError(
                    f"{int(both.sum()):,} ratings of {name} are in {other}, too; the first is user {user!r}, "
                    f"item {item!r}.",
                    hint=f"drop them from {other}: what was learnt from cannot be held out.",
                )
        seen.append((name, pairs))


# Parts ---------------------------------------------------------------------------------------------------------


def _check(ratings: Ratings, *fractions: float | None) -> None:
    check_is_ratings(ratings, "ratings")
    asked = [f for f in fractions if f is not None]
    if not asked or not all(isinstance(f, Real) and 0 < f < 1 for f in asked) or not sum(asked) < 1:
        shown = ", ".join(map(repr, asked)) or "nothing"
        raise SettingError(f"{shown} cannot be held out.", hint="fractions above 0 whose sum is below 1, such as 0.1.")


def _count(fraction: float | None, n: int) -> int:
    return int((fraction or 0) * n + 0.5)


def _shares(ratings: Ratings, *fractions: float | None) -> list[np.ndarray]:
    """Of each user's number of ratings these fractions, rounded to the nearest count: (U,) each."""
    return [np.floor((f or 0) * ratings.user_counts + 0.5).astype(np.int64) for f in fractions]


def _by_time(ratings: Ratings) -> np.ndarray:
    """Positions (N,) from the earliest to the latest, file order within a second and where there are no times."""
    return np.arange(len(ratings)) if ratings.times is None else np.argsort(ratings.times, kind="stable")


def _rank(users: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Each rating's rank (N,) among its user's, 0 for the one that comes first in ``order`` (N,)."""
    grouped = order[np.argsort(users[order], kind="stable")]
    starts = np.r_[0, np.cumsum(np.bincount(users))[:-1]] if len(users) else np.zeros(0, np.int64)
    rank = np.empty(len(users), np.int64)
    rank[grouped] = np.arange(len(users)) - starts[users[grouped]]
    return rank


def _hold(ratings: Ratings, rank: np.ndarray, n_test: np.ndarray, n_valid: np.ndarray) -> np.ndarray:
    """2 for test, 1 for valid, 0 for train (N,), given counts per user (U,); one rating at least stays in train."""
    spare = np.maximum(ratings.user_counts - 1, 0)
    n_test = np.minimum(n_test, spare)
    n_valid = np.minimum(n_valid, spare - n_test)
    tested, steered = n_test[ratings.users], n_valid[ratings.users]
    return np.where(rank < tested, 2, np.where(rank < tested + steered, 1, 0))


def _cut(
    ratings: Ratings, held: np.ndarray, *, ask: tuple[float | None, float | None], question: str | None = None
) -> Split:
    """The parts: ``held`` (N,) is 0 for train, 1 for valid, 2 for test; ``ask`` says which of (valid, test) to make."""
    counts = np.bincount(held, minlength=3)
    for name, k, asked in (("train", 0, 1), ("valid", 1, ask[0]), ("test", 2, ask[1])):
        if asked is not None and not counts[k]:
            raise DataError(
                f"of {len(ratings):,} rating{'s' * (len(ratings) != 1)}, this split leaves none for {name}.",
                hint="hold out another share, or use more ratings.",
            )
    valid, test = (None if a is None else ratings.take(held == k) for k, a in zip((1, 2), ask, strict=True))
    return Split(ratings.take(held == 0), valid, test, question)
