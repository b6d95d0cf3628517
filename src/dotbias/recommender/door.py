"""The Recommender: ids become rows here, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np

from ..interpret import Measure
from ..orders import Order, find_order
from ..progress import Progress
from ..ratings import Ratings
from ..scorer import Part, Ranks, check_rows
from ..settings import Count, Positive, check
from ..times import Times, as_times
from . import predictions, recommendations
from .answers import Answer, Id, Prediction, Recommendation, Similar, SimilarUser
from .everybody import MEMORY, blocks_of, frame_of, rows_asked
from .filters import Filters
from .folds import Folds, newcomer
from .histories import History, Known
from .lists import Wish
from .names import Unknown, is_many, plain
from .neighbours import items_near, users_near
from .questions import Question, noise_of, questions, told_by
from .reasons import Explanation, why_newcomer, why_user
from .record import Record
from .staying import Grown, read_like, scorer_with, with_item, with_ratings, with_user
from .titles import found_item, item_row
from .where import Where
from .wishes import Asked, check_n, check_order, filters_of, wish_of, with_defaults

if TYPE_CHECKING:
    import polars as pl


class Recommender:
    """A scorer and the ratings it was fitted on, behind ids.

    Args:
        scorer: any Scorer; rows mean what they mean in ``train``.
        train: the ratings it was fitted on: ids, titles, and what each user has seen.
        settings: the fit's settings, kept when saved.
        metrics: its measured errors, kept when saved.
        log: its training log, kept when saved.
        clicks: for the order "liked": a scorer of clicks that was fitted on who rated what, such as
            ``fit_clicks(train)``; by default an item's share of the users is its P(rated). Kept when saved.
        n_since_fit: how many of train's ratings came after the fit (see :meth:`update`).

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
        clicks: Ranks | None = None,
        n_since_fit: int = 0,
    ):
        check(Recommender.__init__, {"settings": settings, "metrics": metrics, "log": log})
        self.scorer, self.train = scorer, train
        self.settings, self.metrics, self.log = dict(settings or {}), dict(metrics or {}), log
        check_rows(scorer, train, "train")
        if clicks is not None:
            check_rows(clicks, train, "train")
        self.record, self.clicks, self.n_since_fit = Record(train), clicks, n_since_fit
        self._orders: dict[tuple[str, float | None], Order] = {}
        self._folds = Folds()

    def __repr__(self) -> str:
        since = f", {100 * self.share_since_fit:.2g} % of them since the fit" if self.n_since_fit else ""
        return f"Recommender({self.scorer!r}, {self.train!r}{since})"

    # Predicting ------------------------------------------------------------------------------------------------

    @overload
    def predict(self, users: Id, items: Id, *, times: Times = None, unknown: Unknown = "raise") -> Prediction: ...
    @overload
    def predict(
        self,
        users: Id | Sequence[Id] | np.ndarray | None = None,
        items: Id | Sequence[Id] | np.ndarray = (),
        *,
        history: History | None = None,
        times: Times = None,
        unknown: Unknown = "raise",
    ) -> list[Prediction]: ...
    def predict(
        self,
        users: Any = None,
        items: Any = (),
        *,
        history: History | None = None,
        times: Times = None,
        unknown: Unknown = "raise",
    ) -> Any:
        """What users would give items: a Prediction for two ids, else a list of them, pair by pair.

        Args:
            users: one id, or several.
            items: one id, or several; of two lists, pairs are made, and a single one is paired with each of the other.
            history: in the place of ``users``, a newcomer by what they tell, as in :meth:`recommend`.
            times: when they rate it: unknown by default, "now" (after everything in train), or seconds since 1970 UTC,
                one for all or one for each. Scorers whose guesses do not depend on the time ignore it; so do newcomers.
            unknown: an id that train does not name is an error ("raise"), or counts as a user or an item without a
                rating ("baseline"). Each prediction's ``path`` says what was known.

        Raises:
            UnknownIdError: for an id that train does not name, with a near miss, unless ``unknown`` allows it.
            SettingError: for lists of different lengths, users and a history at once, or times that are none.
        """
        check(Recommender.predict, {"unknown": unknown})
        if users is None or history is not None:
            part, _ = self._newcomer(users, history)
            return predictions.of_history(self.record, part, items, unknown)
        found = predictions.of_ids(self.scorer, self.record, users, items, times, unknown)
        return found if is_many(users) or is_many(items) else found[0]

    def _newcomer(self, users: Any, history: History | None) -> tuple[Part, Known]:
        """A history folded into the scorer, and its rows."""
        return newcomer(self._folds, self.scorer, self.record, users, history)

    # Recommending ----------------------------------------------------------------------------------------------

    @overload
    def recommend(self, users: Id, n: int = 10, **asked: Unpack[Asked]) -> Answer[Recommendation]: ...
    @overload
    def recommend(
        self, users: Sequence[Id] | np.ndarray, n: int = 10, **asked: Unpack[Asked]
    ) -> dict[Id, Answer[Recommendation]]: ...
    @overload
    def recommend(
        self, users: None = None, n: int = 10, *, history: History, **asked: Unpack[Asked]
    ) -> Answer[Recommendation]: ...
    def recommend(
        self,
        users: Any = None,
        n: int = 10,
        *,
        history: History | None = None,
        order: str = "liked",
        like: float | None = None,
        times: Times = "now",
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        where: Where | None = None,
        keep_seen: bool = False,
        keep_unrated: bool = False,
        filters: Filters | None = None,
        popularity: float = 0.0,
        diversity: float = 0.0,
    ) -> Any:
        """The n items that a user is most likely to rate and like, best first; ties go to the item train named first.

        A user's list does not depend on who else is asked about.

        Args:
            users: one id -> a list of Recommendations; a list of ids -> a dict from each to its list.
            n: how many. Where fewer can be had, the list is shorter and its ``note`` says why.
            history: in the place of ``users``, a newcomer who is not in train, by what they tell: item -> rating, each
                item by its id or its title (of clicks, items alone will do). Nothing is refitted or kept: the scorer
                folds the history in. With none at all: what anybody would get.
            order: "liked": by P(rating >= like | rated) · P(rated); or "rating": by the predicted rating before any
                clip. See ``orders``. Scores are predicted ratings in either order.
            like: the rating from which an item is liked; by default the highest value that at least 40 % of train's
                ratings reach. The list's ``order`` states it.
            times: when: "now" (after everything in train), "unknown", or seconds since 1970 UTC for all, or for each
                user. Scorers whose guesses do not depend on the time ignore it; so do newcomers.
            exclude: ids of items to leave out.
            only: ids of the items to choose among; by default all.
            where: what the item table must say: "genres: Comedy, Drama; year: 1990-1999", a dict, or a polars
                expression (see ``recommender.where``).
            keep_seen: also items that the user has rated.
            keep_unrated: also items without a rating in train, for which nothing but the user's mean is known.
            filters: what :meth:`filters` made of the five above, in their place.
            popularity: from -1 (only the least rated of the best) by 0 (as they are) to 1 (only the most rated).
            diversity: from 0 (as they are) to 1 (as unlike each other as can be): maximal marginal relevance, over
                the best 100, or 10 n where that is more (see ``recommender.dials``).

        Raises:
            UnknownIdError: for a user or item that train does not name, with a near miss.
            SettingError: for an n that is no whole number from 1 up, an order, a threshold, times or a dial that are
                none, users and a history at once, or a scorer that does not support fold-in or has no item factors.
            DataError: for an item that a history names twice, or a rating that is no number on train's scale.
        """
        asked: dict[str, Any] = {"order": order, "like": like, "exclude": exclude, "only": only, "where": where}
        asked |= {"keep_seen": keep_seen, "keep_unrated": keep_unrated, "filters": filters}
        wish = self._wish(n, asked | {"popularity": popularity, "diversity": diversity})
        if users is None or history is not None:
            return recommendations.of_newcomer(self.record, *self._newcomer(users, history), wish)
        return recommendations.of_ids(self.scorer, self.record, users, wish, times)

    def recommend_for(self, history: History, n: int = 10, **asked: Unpack[Asked]) -> Answer[Recommendation]:
        """Recommendations for a newcomer: another name of ``recommend(history=…)``."""
        return self.recommend(n=n, history=history, **asked)

    def recommend_all(
        self,
        n: int = 10,
        *,
        users: Iterable[Id] | None = None,
        memory: Positive = MEMORY,
        threads: Count | None = None,
        progress: Progress = False,
        **asked: Unpack[Asked],
    ) -> pl.DataFrame:
        """Everybody's list, each as :meth:`recommend` makes it: a frame of user, place (from 1), item, score[, title].

        Args:
            n: how many items for each; a user for whom fewer can be had has fewer rows.
            users: ids of the users to recommend to; by default all of train's.
            memory: bytes that may be taken beside the model and the answer.
            threads: blocks of users at work at a time; by default as many as the machine has.
            progress: a function to be told of each block; True: a bar; None: a bar on a terminal; False: nothing.
            asked: as in :meth:`recommend`.

        Raises:
            As :meth:`recommend`.
        """
        check(Recommender.recommend_all, {"memory": memory, "threads": threads})
        whole = with_defaults(asked, "recommend_all")
        wish, rows = self._wish(n, whole), rows_asked(self.train, users)
        when = as_times(whole["times"], len(rows))
        blocks = blocks_of(self.scorer, self.record, wish, rows, when, memory=memory, threads=threads)
        return frame_of(self.train, wish, rows, blocks, progress)

    def filters(
        self,
        *,
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        where: Where | None = None,
        keep_seen: bool = False,
        keep_unrated: bool = False,
    ) -> Filters:
        """Which items may be answered, made once for any number of lists: ``recommend(15, filters=…)``.

        Arguments as in :meth:`recommend`.

        Raises:
            UnknownIdError: for an item that train does not name.
            SettingError: for ids that are none, or a ``where`` that makes no sense.
            DataError: for a ``where`` that no item fits, or without an item table.
        """
        return filters_of(self.record, exclude, only, where, keep_seen=keep_seen, keep_unrated=keep_unrated)

    def _wish(self, n: Any, asked: Mapping[str, Any]) -> Wish:
        """What is asked of every list, checked; an order is made once for each threshold."""
        order, like = asked["order"], asked["like"]
        check_order(order, like, self.train)
        if (order, like) not in self._orders:
            self._orders[order, like] = find_order(order)(self.scorer, self.train, like, self.clicks)
        return wish_of(n, self.scorer, self._orders[order, like], self.record, asked)

    # Reasons and questions -------------------------------------------------------------------------------------

    def explain(
        self, user: Id | None = None, item: Id = "", *, history: History | None = None, n: int = 5, times: Times = None
    ) -> Explanation:
        """Why a user is predicted to give an item what they are: its parts, and the ratings of theirs that weigh most.

        Args:
            user: an id.
            item: an id, or a title.
            history: in the place of ``user``, a newcomer by what they tell, as in :meth:`recommend`.
            n: how many of their ratings to name.
            times: when they rate it, as in :meth:`predict`.

        Raises:
            As :meth:`predict`.
        """
        check_n(n)
        row = item_row(plain([item])[0], self.train, self.record.titles)
        if user is None or history is not None:
            return why_newcomer(self.scorer, self.record, *self._newcomer(user, history), row, n)
        return why_user(self.scorer, self.record, user, row, n, times)

    def to_ask(
        self,
        history: History | None = None,
        n: int = 10,
        *,
        user: Id | None = None,
        exclude: Iterable[Id] = (),
        where: Where | None = None,
        only: Iterable[Id] | None = None,
    ) -> Answer[Question]:
        """The n items whose rating would teach most about a user, times the chance that they know them, best first.

        Args:
            history: what a newcomer has told so far, as in :meth:`recommend`; nothing yet, if it is left out.
            n: how many.
            user: in the place of a history, a user of train, who is not asked about what they rated.
            exclude: as in :meth:`recommend`.
            where: likewise.
            only: likewise.

        Raises:
            As :meth:`recommend`.
        """
        check_n(n)
        told = told_by(self.record, history, user)
        filters = self.filters(exclude=exclude, where=where, only=only)
        return questions(self.scorer, self.record, self.clicks, told, n, filters, self._noise)

    @cached_property
    def _noise(self) -> np.ndarray:
        """Variance of a rating of each item around its score (I,)."""
        return noise_of(self.scorer, self.train)

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
        check_n(n)
        return items_near(self.scorer, self.record, item_id, n, measure, shrink, 0 if keep_unrated else 1)

    def similar_users(
        self, user_id: Id, n: int = 10, *, measure: Measure = "cosine", shrink: float | None = None
    ) -> Answer[SimilarUser]:
        """The n users whose factors are nearest, nearest first; arguments and errors as in :meth:`similar_items`."""
        check_n(n)
        return users_near(self.scorer, self.record, user_id, n, measure, shrink)

    def find_item(self, text: str) -> Id:
        """The id of an item, by its id, its title (with or without the year), or a part of it that no other title has.

        Args:
            text: an id as text, a title, or a part of one; case does not matter.

        Raises:
            UnknownIdError: if it is neither.
            DataError: if several titles have it.
        """
        return found_item(text, self.train, self.record.titles)

    def seen(self, user_id: Id) -> dict[Id, float | None]:
        """What the user rated in train: item id -> rating (None for implicit feedback), in train's order."""
        at = self.record.positions(self.train.user_ids.row(user_id))
        values = [None] * len(at) if self.train.values is None else self.train.values[at].tolist()
        return dict(zip(self.record.ids(self.train.items[at]), values, strict=True))

    # Newcomers that stay ---------------------------------------------------------------------------------------

    def add_user(self, user_id: Id, history: History = (), *, features: Mapping[str, Any] | None = None) -> Recommender:
        """A new Recommender that knows one more user; this one stays as it is. Nothing is refitted.

        The user's row is what fold-in makes of the history; then they are a user like any other, also on disk, and
        the next fit on its ``train`` counts them in. Each call copies the model's tables: many at once are
        quicker by :meth:`update`.

        Args:
            user_id: of the kind that train's ids are.
            history: item -> rating, each item by its id or its title; of clicks, items alone will do.
            features: column of train's user table -> value. Models that use the column (gibbs) reckon with it.

        Raises:
            DataError: for an id that is taken, nothing told at all, an item named twice, a rating off the scale, or a
                column or a value that the table or the fit does not have.
            UnknownIdError: for an item that train does not name, with a near miss.
            SettingError: for a scorer that does not support it.
        """
        return self._after(with_user(self.scorer, self.record, user_id, history, features))

    def add_item(
        self,
        item_id: Id,
        ratings: Mapping[Id, float] | Iterable[Id] = (),
        *,
        features: Mapping[str, Any] | None = None,
        title: str | None = None,
    ) -> Recommender:
        """A new Recommender that knows one more item; this one stays as it is. As :meth:`add_user`.

        An item that nobody has rated is what its features imply, in models that use them (gibbs); in others it is an
        average item. Lists hold it with ``keep_unrated=True`` or ``only=``.

        Args:
            item_id: of the kind that train's ids are.
            ratings: user id -> rating; of clicks, users alone will do.
            features: column of train's item table -> value; several labels as a list, or "Comedy|Drama".
            title: for people.

        Raises:
            DataError: for an id that is taken, an item without ratings and features, or as in :meth:`add_user`.
            UnknownIdError: for a user that train does not name.
            SettingError: for a scorer that does not support it, or a title where train's items have none.
        """
        return self._after(with_item(self.scorer, self.record, item_id, ratings, features, title))

    def update(self, ratings: Any) -> Recommender:
        """A new Recommender that knows more ratings; this one stays as it is. Nothing is refitted.

        Items that were rated are folded in anew by all their ratings, and then users who rated; new ids get rows at
        the end. All else stays as fitted: what that loses, ``share_since_fit`` hints at. A rating of a pair that train
        holds takes the older one's place; clicks are added up.

        Args:
            ratings: Ratings, read with ``like=`` train or not, or a table (pandas, polars, pyarrow).

        Raises:
            DataError: for clicks in the place of ratings, ids of another kind, or a rating off train's scale.
            SettingError: for a scorer that does not support it.
        """
        more = read_like(self.train, ratings)
        return self._after(with_ratings(self.train, more)) if len(more) else self

    @property
    def share_since_fit(self) -> float:
        """The share of train's ratings that the fit has not seen, 0 to 1: towards a fifth, think of a refit."""
        return self.n_since_fit / max(len(self.train), 1)

    def _after(self, grown: Grown) -> Recommender:
        return Recommender(
            scorer_with(self.scorer, grown),
            grown.train,
            settings=self.settings,
            metrics=self.metrics,
            log=self.log,
            clicks=None if self.clicks is None else scorer_with(self.clicks, grown.as_clicks()),
            n_since_fit=min(self.n_since_fit + grown.n_new, len(grown.train)),
        )

    # On disk ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write everything to a folder (see ``storage``); an older model there is replaced in one step."""
        from .. import storage

        kept = {"settings": self.settings, "metrics": self.metrics, "log": self.log, "clicks": self.clicks}
        return storage.save(folder, self.scorer, self.train, **kept, n_since_fit=self.n_since_fit)

    @classmethod
    def load(cls, folder: str | Path) -> Recommender:
        """The Recommender saved in a folder.

        Raises:
            ModelFileError: if it is missing, cut, altered, hostile or too new.
        """
        from .. import storage

        s = storage.load(folder)
        kept = {"settings": s.settings, "metrics": s.metrics, "log": s.log, "clicks": s.clicks}
        return cls(s.scorer, s.ratings, **kept, n_since_fit=s.n_since_fit)
