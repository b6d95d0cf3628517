"""Ids in, ids out: what to recommend to whom, from any scorer.

``Recommender(scorer, train)`` translates ids into rows once, at this door, and answers in native Python types that
``json.dumps`` takes. One user is scored at a time, whether one is asked for or a million, so the answer does not depend
on who else is asked about, to the bit. It meets models through the protocols of ``scorer`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np

from .errors import DataError, SettingError, UnknownIdError
from .interpret import Measure, nearest_items
from .interpret import top as _top
from .interpret.listing import to_html
from .ratings import Ids, Ratings
from .scorer import FoldsIn, Intervals, Ranks, check_rows, demand, offers
from .settings import Count, check, fits

Id = int | str
T = TypeVar("T")
FEW = 5  # ratings: an item with fewer has neighbours by chance


class Prediction(NamedTuple):
    """What a user would give an item.

    Attributes:
        value: the guess, in stars.
        low: lower end of its interval, or None where the scorer knows none.
        high: upper end, or None.
        path: how it was made: "fitted", "cold user", "cold item" or "mean" (both cold).
    """

    value: float
    low: float | None
    high: float | None
    path: str


class Recommendation(NamedTuple):
    """One item of a list, best first.

    Attributes:
        item_id: the item's own id.
        score: the predicted rating, the same number that ``predict`` gives.
        title: its title, where the item table has one.
    """

    item_id: Id
    score: float
    title: str | None


class Similar(NamedTuple):
    """One neighbour, nearest first.

    Attributes:
        item_id: the item's own id.
        similarity: by the measure asked for, shrunk (see ``similar_items``); for "euclidean" it is the distance, so
            small is near.
        title: its title, where the item table has one.
    """

    item_id: Id
    similarity: float
    title: str | None


class Filters(NamedTuple):
    """Which items may be answered.

    Attributes:
        allowed: (I,) bool: the candidates, before those that the user has rated are left out.
        keep_seen: whether items that the user has rated are candidates, too.
    """

    allowed: np.ndarray
    keep_seen: bool

    def candidates(self, seen: np.ndarray) -> np.ndarray:
        """The candidates (I,) bool of a user who has rated the item rows ``seen`` (n,)."""
        if self.keep_seen:
            return self.allowed
        left = self.allowed.copy()
        left[seen] = False
        return left

    def note(self, n: int, found: int, candidates: np.ndarray) -> str | None:
        """Why fewer than n were found; None where they were not."""
        if found >= n:
            return None
        n_allowed = int(self.allowed.sum())
        return (
            f"{found} of the {n} asked for: of {len(self.allowed):,} items, {n_allowed:,} could be chosen (rated in "
            f"train, in only=, not in exclude=); {n_allowed - int(candidates.sum()):,} of them are seen."
        )


class Answer(list[T]):
    """A list that says why it is shorter than asked, or little to be trusted: ``note`` is None where it is neither."""

    note: str | None = None

    def _repr_html_(self) -> str:
        """The list as a table, for notebooks."""
        return to_html(self, note=self.note)


class Recommender:
    """A scorer and the ratings it was fitted on, behind ids.

    Args:
        scorer: any Scorer; rows mean what they mean in ``train``.
        train: the ratings it was fitted on: ids, titles, and what each user has seen.
        settings: the fit's settings, kept when saved.
        metrics: its measured errors, kept when saved.
        log: its training log, kept when saved.

    Raises:
        DataError: if the scorer was fitted on other id tables.
        SettingError: for settings or metrics that are no dicts, or a log that is no list of dicts.
    """

    def __init__(
        self,
        scorer: Ranks,
        train: Ratings,
        *,
        settings: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        log: list[dict[str, Any]] | None = None,
    ):
        check(Recommender.__init__, {"settings": settings, "metrics": metrics, "log": log})
        self.scorer, self.train = scorer, train
        self.settings, self.metrics, self.log = dict(settings or {}), dict(metrics or {}), log
        check_rows(scorer, train, "train")

    def __repr__(self) -> str:
        return f"Recommender({self.scorer!r}, {self.train!r})"

    # Predicting ------------------------------------------------------------------------------------------------

    @overload
    def predict(self, user_id: Id, item_id: Id) -> Prediction: ...
    @overload
    def predict(self, user_id: Sequence[Id] | np.ndarray, item_id: Sequence[Id] | np.ndarray) -> list[Prediction]: ...
    def predict(self, user_id: Any, item_id: Any) -> Any:
        """What a user would give an item; of two lists of one length, a list of Predictions, pair by pair.

        Raises:
            UnknownIdError: for an id that train does not name, with a near miss.
            SettingError: for lists of different lengths.
        """
        if not _is_many(user_id) and not _is_many(item_id):
            return self._predict([user_id], [item_id])[0]
        pairs = [list(ids) for ids in (user_id, item_id) if _is_many(ids)]
        if len(pairs) != 2 or len(pairs[0]) != len(pairs[1]):
            raise SettingError("predict takes two ids, or two lists of the same length.", hint="repeat the single id.")
        return self._predict(*pairs)

    def _predict(self, user_ids: list[Id], item_ids: list[Id]) -> list[Prediction]:
        users, items = self._user_rows(user_ids), self._item_rows(item_ids)
        values = _finite(self.scorer.score(users, items)).tolist()
        lows: list[float | None] = [None] * len(values)
        highs = lows
        if offers(self.scorer, Intervals):
            lows, highs = (side.tolist() for side in self.scorer.interval(users, items))
        cold = (2 * (self._user_counts[users] == 0) + (self._item_counts[items] == 0)).tolist()
        paths = ("fitted", "cold item", "cold user", "mean")
        return [Prediction(v, low, high, paths[c]) for v, low, high, c in zip(values, lows, highs, cold, strict=True)]

    # Recommending ----------------------------------------------------------------------------------------------

    @overload
    def recommend(
        self,
        user_id: Id,
        n: int = 10,
        *,
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        keep_seen: bool = False,
        keep_unrated: bool = False,
    ) -> Answer[Recommendation]: ...
    @overload
    def recommend(
        self,
        user_id: Sequence[Id] | np.ndarray,
        n: int = 10,
        *,
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        keep_seen: bool = False,
        keep_unrated: bool = False,
    ) -> dict[Id, Answer[Recommendation]]: ...
    def recommend(
        self,
        user_id: Any,
        n: int = 10,
        *,
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        keep_seen: bool = False,
        keep_unrated: bool = False,
    ) -> Any:
        """The n items with the highest predicted rating, best first; ties go to the item that train named first.

        Args:
            user_id: one id -> a list of Recommendations; a list of ids -> a dict from each to its list.
            n: how many. Where fewer can be had, the list is shorter and its ``note`` says why.
            exclude: ids of items to leave out.
            only: ids of the items to choose among; by default all.
            keep_seen: also items that the user rated in train.
            keep_unrated: also items without a rating in train, for which nothing but the user's mean is known.

        Raises:
            UnknownIdError: for a user or item that train does not name, with a near miss.
            SettingError: for an n that is no whole number from 1 up.
        """
        _check_n(n)
        filters = self._filters(exclude, only, keep_seen, keep_unrated)
        if not _is_many(user_id):
            self._user_rows([user_id])
            return self._recommend(user_id, n, filters)
        users = _plain(user_id)
        self._user_rows(users)  # an unknown id is found before the work begins
        self._by_user  # noqa: B018  sort once, not search for each
        return {u: self._recommend(u, n, filters) for u in users}

    def recommend_for(
        self,
        history: Mapping[Id, float],
        n: int = 10,
        *,
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        keep_seen: bool = False,
        keep_unrated: bool = False,
    ) -> Answer[Recommendation]:
        """Recommendations for a newcomer who is not in train, from what they tell: item id -> rating.

        Nothing is refitted or kept: the scorer folds the history in. Other arguments as in :meth:`recommend`.

        Raises:
            SettingError: if the scorer does not support fold-in.
            UnknownIdError: for an item that train does not name.
            DataError: for a rating that is no number on train's scale.
        """
        _check_n(n)
        hint = "fit a model that does: als, sgd, dot_bias, gibbs or knn."
        scorer = demand(self.scorer, FoldsIn, why="fold-in: newcomers need a refit", hint=hint)
        values = self._check_history(history)
        rows = self._item_rows(history)
        part = scorer.fold_in_user(rows, values)
        filters = self._filters(exclude, only, keep_seen, keep_unrated)
        candidates = filters.candidates(rows)
        rank = _finite(part.rank())
        top = _top(rank, np.flatnonzero(candidates), n)
        note = filters.note(n, len(top), candidates)
        if not history:
            note = " ".join(filter(None, ["the history is empty: this is what anybody would get.", note]))
        return self._answer(top, rank, _finite(part.score(top)), n, note)

    def _check_history(self, history: Mapping[Id, float]) -> np.ndarray:
        """The ratings of a newcomer's history (n,) float32, each a number on train's scale."""
        if not isinstance(history, Mapping):
            raise SettingError(f"the history is a {type(history).__name__}.", hint="a dict: {item id: rating, …}.")
        low, high = (-np.inf, np.inf) if self.train.values is None else self.train.scale()
        slack = 0.0 if self.train.values is None else float(np.spacing(np.float32(max(abs(low), abs(high)))))
        for item_id, value in history.items():
            if not fits(value, float) or not math.isfinite(value):
                raise DataError(f"the history's rating of item {item_id!r} is {value!r}.", hint="give a number.")
            if not low - slack <= value <= high + slack:
                declared = "" if self.train.y_range else "; Ratings read with y_range=(low, high) may declare another"
                what = f"the history's rating of item {item_id!r} is {value:g}; the scale is from {low:g} to {high:g}."
                raise DataError(what, hint=f"give ratings on that scale{declared}.")
        return np.fromiter(history.values(), np.float32, len(history))

    def _recommend(self, user_id: Id, n: int, filters: Filters) -> Answer[Recommendation]:
        row = self.train.user_ids.row(user_id)
        candidates = filters.candidates(self.train.items[self._positions(row)])
        rank = _finite(self.scorer.rank_all(np.array([row], np.int32))[0])
        top = _top(rank, np.flatnonzero(candidates), n)
        scores = _finite(self.scorer.score(np.full(len(top), row, np.int32), top))  # as predict gives them
        return self._answer(top, rank, scores, n, filters.note(n, len(top), candidates))

    def _answer(
        self, top: np.ndarray, rank: np.ndarray, scores: np.ndarray, n: int, note: str | None
    ) -> Answer[Recommendation]:
        order = np.lexsort((top, -rank[top]))
        answer = Answer(map(Recommendation, self._ids(top[order]), scores[order].tolist(), self._titles(top[order])))
        answer.note = note
        return answer

    def _filters(
        self, exclude: Iterable[Id], only: Iterable[Id] | None, keep_seen: bool, keep_unrated: bool
    ) -> Filters:
        check(Recommender.recommend, {"keep_seen": keep_seen, "keep_unrated": keep_unrated})
        allowed = np.ones(self.train.n_items, bool) if keep_unrated else self._item_counts > 0
        if only is not None:
            chosen = np.zeros_like(allowed)
            chosen[self._item_rows(only)] = True
            allowed &= chosen
        allowed = allowed.copy()
        allowed[self._item_rows(exclude)] = False
        return Filters(allowed, keep_seen)

    # Items like it ---------------------------------------------------------------------------------------------

    def similar_items(
        self,
        item_id: Id,
        n: int = 10,
        *,
        measure: Measure = "cosine",
        shrink: float | None = None,
        keep_unrated: bool = False,
    ) -> Answer[Similar]:
        """The n items whose factors are nearest, nearest first; ties go to the item that train named first.

        Args:
            item_id: the item to compare with; it is not in the answer.
            n: how many; the answer's ``note`` says why where there are fewer.
            measure: "cosine" of the factors' angle (taste alone), "dot" (favours items with strong factors), or
                "euclidean" (distance: small is near).
            shrink: the similarity of an item with c ratings counts c/(c + shrink), since factors of few ratings are
                mostly chance: by default 10 for the cosine, else 0 (see ``interpret.nearest_items``).
            keep_unrated: also items without a rating in train, whose factors mean nothing.

        Raises:
            SettingError: for an unknown measure, or a scorer without item factors (mean, bias, knn, nets).
            DataError: for an item without factors of its own.
        """
        _check_n(n)
        self._item_rows([item_id])
        neighbours = nearest_items(
            self.scorer,
            self.train,
            item_id=item_id,
            n=n,
            measure=measure,
            shrink=shrink,
            min_ratings=0 if keep_unrated else 1,
        )
        answer = Answer(Similar(x.id, x.similarity, x.title) for x in neighbours)
        notes, count = [], int(self._item_counts[self.train.item_ids.row(item_id)])
        if count < FEW:
            notes.append(f"train holds {count} ratings of {item_id!r}: its neighbours are little more than chance.")
        if len(answer) < n:
            notes.append(f"{len(answer)} of the {n} asked for: no more items have ratings in train.")
        answer.note = " ".join(notes) or None
        return answer

    def find_item(self, text: str) -> Id:
        """The id of an item, by its id or by a part of its title that no other title has.

        Args:
            text: an id as text, or a part of a title; case does not matter.

        Raises:
            UnknownIdError: if it is neither.
            DataError: if several titles have it.
        """
        ids, text = self.train.item_ids, str(text)
        if not text.strip():
            raise UnknownIdError("no item is named: the text is empty.", hint="an item's id, or a part of its title.")
        if (typed := ids.typed(text)) in ids:
            return typed
        found = [r for r, title in enumerate(self._all_titles) if title and text.casefold() in title.casefold()]
        if len(found) > 1:
            shown = ", ".join(f"{ids[r]} {self._all_titles[r]}" for r in found[:5]) + ", …" * (len(found) > 5)
            raise DataError(f"{len(found)} titles contain {text!r}: {shown}", hint="give an id, or more of the title.")
        if not found:
            raise UnknownIdError(
                f"no item has the id {text!r}, and no title contains it.", hint="look at the item table."
            )
        return ids[found[0]]

    # What train holds ------------------------------------------------------------------------------------------

    def seen(self, user_id: Id) -> dict[Id, float | None]:
        """What the user rated in train: item id -> rating (None for implicit feedback), in train's order.

        With ``_positions`` beneath it, the one seam to stored interactions: arrays today, a database later.
        """
        at = self._positions(self.train.user_ids.row(user_id))
        values = [None] * len(at) if self.train.values is None else self.train.values[at].tolist()
        return dict(zip(self._ids(self.train.items[at]), values, strict=True))

    def _positions(self, row: int) -> np.ndarray:
        """Where in train a user's ratings stand: a search, or a look-up once they are sorted."""
        if "_by_user" not in self.__dict__:
            return np.flatnonzero(self.train.users == row)
        order, ends = self._by_user
        return order[ends[row] : ends[row + 1]]

    @cached_property
    def _by_user(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.train.users, kind="stable")
        return order, np.r_[0, np.cumsum(self._user_counts)]

    @cached_property
    def _user_counts(self) -> np.ndarray:
        return self.train.user_counts

    @cached_property
    def _item_counts(self) -> np.ndarray:
        return self.train.item_counts

    @cached_property
    def _all_ids(self) -> list[Id]:
        return list(self.train.item_ids)

    @cached_property
    def _all_titles(self) -> list[str | None]:
        return self.train.item_titles or [None] * self.train.n_items

    def _ids(self, rows: np.ndarray) -> list[Id]:
        return [self._all_ids[row] for row in rows.tolist()]

    def _titles(self, rows: np.ndarray) -> list[str | None]:
        return [self._all_titles[row] for row in rows.tolist()]

    def _user_rows(self, ids: Iterable[Id]) -> np.ndarray:
        return _rows(self.train.user_ids, ids, "users")

    def _item_rows(self, ids: Iterable[Id]) -> np.ndarray:
        return _rows(self.train.item_ids, ids, "items")

    # On disk ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write everything to a folder (see ``storage``); an older model there is replaced in one step."""
        from . import storage

        return storage.save(folder, self.scorer, self.train, settings=self.settings, metrics=self.metrics, log=self.log)

    @classmethod
    def load(cls, folder: str | Path) -> Recommender:
        """The Recommender saved in a folder.

        Raises:
            ModelFileError: if it is missing, cut, altered, hostile or too new.
        """
        from . import storage

        s = storage.load(folder)
        return cls(s.scorer, s.ratings, settings=s.settings, metrics=s.metrics, log=s.log)


def _is_many(ids: Any) -> bool:
    """Whether these are several ids: anything iterable but text."""
    return isinstance(ids, Iterable) and not isinstance(ids, (str, bytes))


def _plain(ids: Iterable[Any]) -> list[Id]:
    return [i.item() if isinstance(i, np.generic) else i for i in ids]


def _rows(known: Ids, ids: Iterable[Id], what: str) -> np.ndarray:
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise SettingError(f"{what} are given as {ids!r}.", hint=f"a list: [{ids!r}].")
    plain = _plain(ids)
    for i in plain:
        if not isinstance(i, (int, str, float, type(None))):
            raise SettingError(f"among the {what} is {i!r}, which is no id.", hint="ids are whole numbers or text.")
    return known.rows(plain)


def _check_n(n: Any) -> None:
    if not fits(n, Count):
        raise SettingError(f"n is {n!r}; it must be a whole number, 1 or more.", hint="try n=10.")


def _finite(scores: np.ndarray) -> np.ndarray:
    if not np.isfinite(scores).all():
        raise DataError(f"{int((~np.isfinite(scores)).sum()):,} scores are no finite numbers.", hint="refit the model.")
    return scores
