"""Ids in, ids out: what to recommend to whom, from any scorer.

``Recommender(scorer, train)`` translates ids into rows once, at this door, and answers in native Python types that
``json.dumps`` takes. One user is scored at a time, whether one is asked for or a million, so the answer does not depend
on who else is asked about, to the bit. Adding or updating returns a new Recommender; this one never changes. It meets
models through ``Scorer`` and ``FoldsIn`` and never looks inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np

from .errors import DataError, SettingError, check_positive
from .factors import FoldsIn, Scorer
from .interpret import Measure, nearest
from .interpret import top as _top
from .ratings import Ids, Ratings

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


class Answer(list[T]):
    """A list that says why it is shorter than asked, or little to be trusted: ``note`` is None where it is neither."""

    note: str | None = None


class Recommender:
    """A scorer and the ratings it was fitted on, behind ids.

    Args:
        scorer: any Scorer; rows mean what they mean in ``train``.
        train: the ratings it was fitted on: ids, titles, and what each user has seen.
        settings: the fit's settings, kept when saved.
        metrics: its measured errors, kept when saved.
        log: its training log, kept when saved.
    """

    def __init__(
        self,
        scorer: Scorer,
        train: Ratings,
        *,
        settings: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        log: list[dict[str, Any]] | None = None,
    ):
        self.scorer, self.train = scorer, train
        self.settings, self.metrics, self.log = dict(settings or {}), dict(metrics or {}), log
        # Clipped scores tie at the end of the scale: rank by what lies before the clip, where the scorer offers it.
        self._ranker: Any = scorer.unbounded() if hasattr(scorer, "unbounded") else scorer  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"Recommender({type(self.scorer).__name__}, {self.train!r})"

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
        if not (_is_many(user_id) and _is_many(item_id) and len(user_id) == len(item_id)):
            raise SettingError("predict takes two ids, or two lists of the same length.", hint="repeat the single id.")
        return self._predict(list(user_id), list(item_id))

    def _predict(self, user_ids: list[Id], item_ids: list[Id]) -> list[Prediction]:
        users, items = self._user_rows(user_ids), self._item_rows(item_ids)
        values = _finite(self.scorer.score(users, items)).tolist()
        lows: list[float | None] = [None] * len(values)
        highs = lows
        if hasattr(self.scorer, "interval"):
            lows, highs = (side.tolist() for side in self.scorer.interval(users, items))  # type: ignore[attr-defined]
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
        """
        check_positive(n=n)
        allowed = self._allowed(exclude, only, keep_unrated)
        if not _is_many(user_id):
            return self._recommend(user_id, n, allowed, keep_seen)
        self._user_rows(user_id)  # an unknown id is found before the work begins
        self._by_user  # noqa: B018  sort once, not search for each
        return {u: self._recommend(u, n, allowed, keep_seen) for u in _plain(user_id)}

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
            SettingError: if the scorer takes no newcomers.
            UnknownIdError: for an item that train does not name.
        """
        check_positive(n=n)
        if not isinstance(self.scorer, FoldsIn) or not isinstance(self._ranker, FoldsIn):
            raise SettingError(
                f"a {type(self.scorer).__name__} takes no newcomers.", hint="fit one that does: any Factors, or knn."
            )
        rows = self._item_rows(history)
        part = self.scorer.fold_in_user(rows, np.fromiter(history.values(), np.float32, len(history)))
        allowed = self._allowed(exclude, only, keep_unrated)
        candidates = allowed if keep_seen else _without(allowed, rows)
        rank = _finite(self._ranker.score_user(part))
        top = _top(rank, np.flatnonzero(candidates), n)
        return self._answer(top, rank, _finite(self.scorer.score_user(part, top)), n, allowed, candidates)

    def _recommend(self, user_id: Id, n: int, allowed: np.ndarray, keep_seen: bool) -> Answer[Recommendation]:
        row = self.train.user_ids.row(user_id)
        candidates = allowed if keep_seen else _without(allowed, self.train.items[self._positions(row)])
        rank = _finite(self._ranker.score_all(np.array([row], np.int32))[0])
        top = _top(rank, np.flatnonzero(candidates), n)
        scores = _finite(self.scorer.score(np.full(len(top), row, np.int32), top))  # as predict gives them
        return self._answer(top, rank, scores, n, allowed, candidates)

    def _answer(
        self, top: np.ndarray, rank: np.ndarray, scores: np.ndarray, n: int, allowed: np.ndarray, candidates: np.ndarray
    ) -> Answer[Recommendation]:
        order = np.lexsort((top, -rank[top], -scores))
        answer = Answer(map(Recommendation, self._ids(top[order]), scores[order].tolist(), self._titles(top[order])))
        if len(answer) < n:
            n_allowed = int(allowed.sum())
            answer.note = (
                f"{len(answer)} of the {n} asked for: of {self.train.n_items:,} items, {n_allowed:,} could be chosen "
                f"(rated in train, in only=, not in exclude=); {n_allowed - int(candidates.sum()):,} of them are seen."
            )
        return answer

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
        check_positive(n=n)
        row, vectors = self.train.item_ids.row(item_id), self._item_factors()
        if row >= len(vectors) or not vectors[row].any():
            raise DataError(f"item {item_id!r} has no factors: train holds no rating of it.", hint="name a rated item.")
        candidates = np.flatnonzero(self._allowed((), None, keep_unrated)[: len(vectors)])
        candidates = candidates[candidates != row]
        counts = self._item_counts[: len(vectors)]
        rows, values = nearest(vectors, row, candidates, n, measure=measure, shrink=shrink, counts=counts)
        answer = Answer(map(Similar, self._ids(rows), values.tolist(), self._titles(rows)))
        notes = []
        if counts[row] < FEW:
            notes.append(
                f"train holds {counts[row]} ratings of {item_id!r}: its neighbours are little more than chance."
            )
        if len(answer) < n:
            notes.append(f"{len(answer)} of the {n} asked for: no more items have ratings in train.")
        answer.note = " ".join(notes) or None
        return answer

    def _item_factors(self) -> np.ndarray:
        """(I, K) float32 of a bilinear scorer."""
        if not hasattr(self.scorer, "factors") or not self.scorer.factors().n_factors:  # type: ignore[attr-defined]
            raise SettingError(
                f"a {type(self.scorer).__name__} without factors knows no likeness of items.",
                hint="fit a model with factors, such as dot_bias.",
            )
        return self.scorer.factors().items  # type: ignore[attr-defined]

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

    def _allowed(self, exclude: Iterable[Id], only: Iterable[Id] | None, keep_unrated: bool) -> np.ndarray:
        """Which items may be answered: (I,) bool."""
        allowed = np.ones(self.train.n_items, bool) if keep_unrated else self._item_counts > 0
        if only is not None:
            chosen = np.zeros_like(allowed)
            chosen[self._item_rows(only)] = True
            allowed &= chosen
        return _without(allowed, self._item_rows(exclude))

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
    if isinstance(ids, (str, bytes, int)):
        raise SettingError(f"{what} are given as {ids!r}, one id.", hint=f"a list: [{ids!r}].")
    return known.rows(ids)


def _without(allowed: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mask (I,), without some rows."""
    left = allowed.copy()
    left[rows] = False
    return left


def _finite(scores: np.ndarray) -> np.ndarray:
    if not np.isfinite(scores).all():
        raise DataError(f"{int((~np.isfinite(scores)).sum()):,} scores are no finite numbers.", hint="refit the model.")
    return scores
