"""The Recommender: ids become rows here, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from ..errors import DataError, SettingError, UnknownIdError
from ..interpret import Measure, nearest_items
from ..interpret import top as top_rows
from ..orders import Order, find_order, timed
from ..ratings import Ids, Ratings
from ..scorer import FoldsIn, Intervals, Ranks, check_rows, demand, offers
from ..settings import Count, fits
from ..times import Times, as_times
from .answers import Answer, Id, Prediction, Recommendation, Similar
from .filters import Filters

FEW = 5  # ratings: an item with fewer has neighbours by chance


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
        self.scorer, self.train = scorer, train
        self.settings, self.metrics, self.log = dict(settings or {}), dict(metrics or {}), log
        check_rows(scorer, train, "train")
        self._orders: dict[tuple[str, float | None], Order] = {}

    def __repr__(self) -> str:
        return f"Recommender({self.scorer!r}, {self.train!r})"

    # Predicting ------------------------------------------------------------------------------------------------

    @overload
    def predict(self, user_id: Id, item_id: Id, *, times: Times = None) -> Prediction: ...
    @overload
    def predict(
        self, user_id: Sequence[Id] | np.ndarray, item_id: Sequence[Id] | np.ndarray, *, times: Times = None
    ) -> list[Prediction]: ...
    def predict(self, user_id: Any, item_id: Any, *, times: Times = None) -> Any:
        """What a user would give an item; of two lists of one length, a list of Predictions, pair by pair.

        Args:
            user_id: one id, or several.
            item_id: one id, or as many.
            times: when they rate it: unknown by default, "now" (after everything in train), or seconds since 1970 UTC,
                one for all or one for each. Scorers whose guesses do not depend on the time ignore it.

        Raises:
            UnknownIdError: for an id that train does not name, with a near miss.
            SettingError: for lists of different lengths, or times that are none.
        """
        if not _is_many(user_id) and not _is_many(item_id):
            return self._predict([user_id], [item_id], times)[0]
        pairs = [list(ids) for ids in (user_id, item_id) if _is_many(ids)]
        if len(pairs) != 2 or len(pairs[0]) != len(pairs[1]):
            raise SettingError("predict takes two ids, or two lists of the same length.", hint="repeat the single id.")
        return self._predict(pairs[0], pairs[1], times)

    def _predict(self, user_ids: list[Id], item_ids: list[Id], times: Times) -> list[Prediction]:
        users, items = self._user_rows(user_ids), self._item_rows(item_ids)
        given = timed(self.scorer, as_times(times, len(users)))
        values = _finite(self.scorer.score(users, items, **given)).tolist()
        lows: list[float | None] = [None] * len(values)
        highs = lows
        if offers(self.scorer, Intervals):
            lows, highs = (side.tolist() for side in self.scorer.interval(users, items, **given))
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
        order: str = "liked",
        like: float | None = None,
        times: Times = "now",
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
        order: str = "liked",
        like: float | None = None,
        times: Times = "now",
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
        order: str = "liked",
        like: float | None = None,
        times: Times = "now",
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        keep_seen: bool = False,
        keep_unrated: bool = False,
    ) -> Any:
        """The n items that a user is most likely to rate and like, best first; ties go to the item train named first.

        Args:
            user_id: one id -> a list of Recommendations; a list of ids -> a dict from each to its list.
            n: how many. Where fewer can be had, the list is shorter and its ``note`` says why.
            order: "liked": by P(rating >= like | rated) · P(rated); or "rating": by the predicted rating before any
                clip. See ``orders``. Scores are predicted ratings in either order.
            like: the rating from which an item is liked; by default the highest value that at least 40 % of train's
                ratings reach. The list's ``order`` states it.
            times: when: "now" (after everything in train), "unknown", or seconds since 1970 UTC for all, or for each
                user. Scorers whose guesses do not depend on the time ignore it.
            exclude: ids of items to leave out.
            only: ids of the items to choose among; by default all.
            keep_seen: also items that the user rated in train.
            keep_unrated: also items without a rating in train, for which nothing but the user's mean is known.

        Raises:
            UnknownIdError: for a user or item that train does not name, with a near miss.
            SettingError: for an n that is no whole number from 1 up, or an order, a threshold or times that are none.
        """
        _check_n(n)
        filters, by = self._filters(exclude, only, keep_seen, keep_unrated), self._order(order, like)
        users = _plain(user_id) if _is_many(user_id) else [user_id]
        rows = self._user_rows(users)  # an unknown id is found before the work begins
        when = as_times(times, len(rows))
        if not _is_many(user_id):
            return self._recommend(rows, n, filters, by, when)
        self._by_user  # noqa: B018  sort once, not search for each
        each = [None if when is None else when[[k]] for k in range(len(rows))]
        return {u: self._recommend(rows[[k]], n, filters, by, each[k]) for k, u in enumerate(users)}

    def recommend_for(
        self,
        history: Mapping[Id, float],
        n: int = 10,
        *,
        order: str = "liked",
        like: float | None = None,
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
        rows, by = self._item_rows(history), self._order(order, like)
        part = scorer.fold_in_user(rows, values)
        filters = self._filters(exclude, only, keep_seen, keep_unrated)
        candidates = filters.candidates(rows)
        top = top_rows(_finite(by.part(part)), np.flatnonzero(candidates), n)
        note = filters.note(n, len(top), candidates)
        if not history:
            note = " ".join(filter(None, ["the history is empty: this is what anybody would get.", note]))
        return self._answer(top, _finite(part.score(top)), note, by)

    def _order(self, name: str, like: float | None) -> Order:
        """The order of that name, made once for each threshold.

        Raises:
            SettingError: for a name that is none, or a threshold that is no number or above train's scale.
        """
        make = find_order(name)
        if like is not None and not fits(like, float):
            raise SettingError(f"like is {like!r}.", hint="the rating from which an item is liked, such as 4.")
        if like is not None and self.train.values is not None and like > self.train.scale()[1]:
            high = self.train.scale()[1]
            raise SettingError(f"like is {like:g}; no rating is above {high:g}.", hint=f"like={high:g}, or lower.")
        if (name, like) not in self._orders:
            self._orders[name, like] = make(self.scorer, self.train, like)
        return self._orders[name, like]

    def _check_history(self, history: Mapping[Id, float]) -> np.ndarray:
        """The ratings of a newcomer's history (n,) float32, each a number on train's scale."""
        if not isinstance(history, Mapping):
            raise SettingError(f"the history is a {type(history).__name__}.", hint="a dict: {item id: rating, …}.")
        low, high = (-np.inf, np.inf) if self.train.values is None else self.train.scale()
        for item_id, value in history.items():
            if not fits(value, float) or not np.isfinite(value):
                raise DataError(f"the history's rating of item {item_id!r} is {value!r}.", hint="give a number.")
            if not low <= value <= high:
                declared = "" if self.train.y_range else "; Ratings read with y_range=(low, high) may declare another"
                what = f"the history's rating of item {item_id!r} is {value:g}; the scale is from {low:g} to {high:g}."
                raise DataError(what, hint=f"give ratings on that scale{declared}.")
        return np.fromiter(history.values(), np.float32, len(history))

    def _recommend(
        self, row: np.ndarray, n: int, filters: Filters, by: Order, times: np.ndarray | None
    ) -> Answer[Recommendation]:
        candidates = filters.candidates(self.train.items[self._positions(int(row[0]))])
        top = top_rows(_finite(by.every(row, times)[0]), np.flatnonzero(candidates), n)
        users, when = np.repeat(row, len(top)), None if times is None else np.repeat(times, len(top))
        scores = _finite(self.scorer.score(users, top, **timed(self.scorer, when)))  # as predict gives them
        return self._answer(top, scores, filters.note(n, len(top), candidates), by)

    def _answer(self, top: np.ndarray, scores: np.ndarray, note: str | None, by: Order) -> Answer[Recommendation]:
        answer = Answer(map(Recommendation, self._ids(top), scores.tolist(), self._titles(top)))
        answer.note, answer.order = note, by.words
        return answer

    def _filters(
        self, exclude: Iterable[Id], only: Iterable[Id] | None, keep_seen: bool, keep_unrated: bool
    ) -> Filters:
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
        from .. import storage

        return storage.save(folder, self.scorer, self.train, settings=self.settings, metrics=self.metrics, log=self.log)

    @classmethod
    def load(cls, folder: str | Path) -> Recommender:
        """The Recommender saved in a folder.

        Raises:
            ModelFileError: if it is missing, cut, altered, hostile or too new.
        """
        from .. import storage

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
