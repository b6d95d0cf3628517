"""The Recommender: ids become rows here, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, overload

import numpy as np

from ..errors import DataError, SettingError, UnknownIdError
from ..interpret import Measure, nearest_items, nearest_users
from ..objective import Side
from ..orders import Order, chance_of, find_order, timed
from ..progress import Progress, Step, telling
from ..ratings import Ratings
from ..scorer import Asks, FoldsIn, Keeps, Part, Ranks, check_rows, demand, offers
from ..settings import Count, Positive, check
from ..times import Times, as_times
from .answers import Answer, Id, Prediction, Recommendation, Similar, SimilarUser
from .dials import Dials, chosen_again
from .filters import Filters
from .folds import Folds
from .histories import SEVERAL, Known, item_row, read, read_raters
from .lists import Found, Wish, finite, in_blocks, list_to, lists_of
from .names import Unknown, is_many, paired, plain, rows_of
from .predictions import of_newcomer, of_pairs, without
from .questions import DIVISIVE, Question, gains_and_chances, noise_of
from .reasons import Explanation, explained
from .record import Record
from .staying import Grown, scorer_with, titled, with_one, with_ratings
from .where import Where
from .wishes import PLAIN, Asked, check_n, check_order, filters_of, wish_of

if TYPE_CHECKING:
    import polars as pl

FEW = 5  # ratings: an item with fewer has neighbours by chance
MEMORY = 200e6  # bytes that many lists may take while they are made
History: TypeAlias = Mapping[Id, float] | Iterable[Id]


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
            rows = rows_of(self.train.item_ids, items if is_many(items) else [items], "items", unknown)
            return of_newcomer(part, rows, without(rows, self.record.item_counts))
        user_ids, item_ids = paired(users, items)
        rows = (
            rows_of(self.train.user_ids, user_ids, "users", unknown),
            rows_of(self.train.item_ids, item_ids, "items", unknown),
        )
        cold = without(rows[0], self.record.user_counts), without(rows[1], self.record.item_counts)
        found = of_pairs(self.scorer, *rows, as_times(times, len(user_ids)), cold)
        return found if is_many(users) or is_many(items) else found[0]

    def _newcomer(self, users: Any, history: History | None) -> tuple[Part, Known]:
        """A history folded into the scorer, and its rows."""
        if users is not None or history is None:
            what = "there are users and a history." if users is not None else "there are neither users nor a history."
            raise SettingError(what, hint="give one of them.")
        hint = "fit a model that does: als, sgd, dot_bias, gibbs or knn."
        scorer = demand(self.scorer, FoldsIn, why="fold-in: newcomers need a refit", hint=hint)
        known = read(history, self.train, self.record.titles)
        return self._folds.part(scorer, known), known

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
        given = exclude, only, where, keep_seen, keep_unrated
        choice = dict(zip(PLAIN, given, strict=True))
        dials = Dials(popularity, diversity)
        wish = self._wish(n, order, like, dials, filters, choice)
        if users is None or history is not None:
            return self._recommend_to(*self._newcomer(users, history), wish)
        ids = plain(users) if is_many(users) else [users]
        rows = rows_of(self.train.user_ids, ids, "users")  # an unknown id is found before the work begins
        when = as_times(times, len(rows))
        if not is_many(users):
            return self._answers(lists_of(self.scorer, wish, self.record.seen, rows, when), wish)[0]
        blocks = self._blocks(wish, rows, when, MEMORY, None)
        return dict(zip(ids, (a for _, found in blocks for a in self._answers(found, wish)), strict=True))

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
        more: dict[str, Any] = dict(asked)
        times = more.pop("times", "now")
        dials = Dials(*(more.pop(name, 0.0) for name in Dials._fields))
        choice = {k: more.pop(k, default) for k, default in PLAIN.items()}
        order, like, filters = (more.pop(k, d) for k, d in (("order", "liked"), ("like", None), ("filters", None)))
        if more:
            raise TypeError(f"recommend_all() got an unexpected keyword argument {min(more)!r}")
        wish = self._wish(n, order, like, dials, filters, choice)
        known = self.train.user_ids
        rows = np.arange(len(known), dtype=np.int32) if users is None else rows_of(known, users, "users")
        shape = len(rows), min(n, self.train.n_items)
        items, scores = np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32)
        with telling(progress) as tell:
            blocks = self._blocks(wish, rows, as_times(times, len(rows)), memory, threads)
            for k, (at, found) in enumerate(blocks, 1):
                width = found.items.shape[1]
                items[at, :width], scores[at, :width] = found.items, found.scores
                tell(Step("block", k, None, {"users": at.stop}))
        return self._frame(rows, items, scores)

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

        Args:
            exclude: as in :meth:`recommend`.
            only: likewise.
            where: likewise.
            keep_seen: likewise.
            keep_unrated: likewise.

        Raises:
            UnknownIdError: for an item that train does not name.
            SettingError: for ids that are none, or a ``where`` that makes no sense.
            DataError: for a ``where`` that no item fits, or without an item table.
        """
        return filters_of(self.record, exclude, only, where, keep_seen=keep_seen, keep_unrated=keep_unrated)

    def _wish(
        self, n: Any, order: str, like: float | None, dials: Dials, filters: Filters | None, choice: Mapping[str, Any]
    ) -> Wish:
        """What is asked of every list, checked; an order is made once for each threshold."""
        check_order(order, like, self.train)
        if (order, like) not in self._orders:
            self._orders[order, like] = find_order(order)(self.scorer, self.train, like, self.clicks)
        return wish_of(n, self.scorer, self._orders[order, like], self.record, dials, filters, choice)

    def _blocks(
        self, wish: Wish, rows: np.ndarray, times: np.ndarray | None, memory: float, threads: int | None
    ) -> Iterator[tuple[slice, Found]]:
        """The lists of user rows (B,) in blocks."""
        _ = self.record.by_user, wish.order.near  # made once, not in each thread

        def make(at: slice) -> Found:
            return lists_of(self.scorer, wish, self.record.seen, rows[at], None if times is None else times[at])

        return in_blocks(make, len(rows), self.train.n_items, memory=memory, threads=threads)

    def _recommend_to(self, part: Part, known: Known, wish: Wish) -> Answer[Recommendation]:
        """A newcomer's list."""
        allowed = wish.filters.allowed.copy()
        if not wish.filters.keep_seen:
            allowed[known.rows] = False
        best = list_to(part, wish, known.rows, allowed)
        if any(wish.dials):
            best = chosen_again(best, wish.n, wish.dials, wish.counts, wish.vectors)
        note = wish.filters.note(wish.n, len(best), int(allowed.sum()))
        if not len(known.rows):
            note = " ".join(filter(None, ["the history is empty: this is what anybody would get.", note]))
        return self._answer(best, finite(part.score(best)), note, wish)

    def _answers(self, found: Found, wish: Wish) -> list[Answer[Recommendation]]:
        answers = []
        for items, scores, n_candidates in zip(found.items, found.scores, found.n_candidates.tolist(), strict=True):
            length = int((items >= 0).sum())
            note = wish.filters.note(wish.n, length, n_candidates)
            answers.append(self._answer(items[:length], scores[:length], note, wish))
        return answers

    def _answer(self, items: np.ndarray, scores: np.ndarray, note: str | None, wish: Wish) -> Answer[Recommendation]:
        answer = Answer(map(Recommendation, self.record.ids(items), scores.tolist(), self.record.titles_of(items)))
        answer.note, answer.order = note, wish.order.words
        return answer

    def _frame(self, rows: np.ndarray, items: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
        """Lists (B, n) as a frame, without what is not there."""
        import polars as pl

        owner, place = np.nonzero(items >= 0)
        found = items[owner, place]
        columns = {
            "user": self.train.user_ids.values.gather(rows[owner]),
            "place": pl.Series(place + 1, dtype=pl.Int32),
            "item": self.train.item_ids.values.gather(found),
            "score": pl.Series(scores[owner, place]),
        }
        titles = self.train.item_titles
        if titles is not None:
            columns["title"] = pl.Series(titles, dtype=pl.String).gather(found)
        return pl.DataFrame(columns)

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
        item_id = self.record.item_ids[row]
        if user is None or history is not None:
            of, (part, known) = None, self._newcomer(user, history)
            found = of_newcomer(part, np.array([row], np.int32), np.zeros(1, bool))[0]
        else:
            of, found = self.train.user_ids.row(plain([user])[0]), self.predict(user, item_id, times=times)
            known = self._rated(of)
        when = None if of is None else timed(self.scorer, as_times(times, 1)).get("times")
        account, because, others = explained(self.scorer, self.record, of, row, known, n, when)
        sums = account.personal, tuple(because), others, account.personal - float(account.shares.sum())
        value = sum(part for _, part in account.parts)
        about = (None if of is None else plain([user])[0]), item_id, self.record.item_titles[row]
        return Explanation(*about, value, found.value, account.parts, *sums, account.how)

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
        if user is not None and history is not None:
            raise SettingError("there are a user and a history.", hint="give one of them.")
        row = -1 if user is None else self.train.user_ids.row(plain([user])[0])
        known = (
            read({} if history is None else history, self.train, self.record.titles) if row < 0 else self._rated(row)
        )
        filters = self.filters(exclude=exclude, where=where, only=only)
        allowed = filters.allowed.copy()
        allowed[known.rows] = False
        items = np.flatnonzero(allowed)
        chance = chance_of(self.train, self.clicks)
        p_rated = chance.newcomer(known.rows) if row < 0 else chance.every(np.array([row]))[0]
        gain, p = gains_and_chances(self.scorer, self.train, known, items, p_rated, self._noise)
        best = np.argsort(-finite(gain * p), kind="stable")[:n]
        rows = items[best]
        names = self.record.ids(rows), self.record.titles_of(rows)
        answer = Answer(map(Question, *names, gain[best].tolist(), p[best].tolist()))
        notes = [None if offers(self.scorer, Asks) else DIVISIVE, filters.note(n, len(answer), len(items))]
        answer.note = " ".join(filter(None, notes)) or None
        answer.order = "what their rating would teach, times the chance that they know it"
        return answer

    @cached_property
    def _noise(self) -> np.ndarray:
        """Variance of a rating of each item around its score (I,)."""
        return noise_of(self.scorer, self.train)

    def _rated(self, row: int) -> Known:
        """What a user of train has rated."""
        at = self.record.positions(row)
        values = np.ones(len(at), np.float32) if self.train.values is None else self.train.values[at]
        return Known(self.train.items[at], values)

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
        self.record.item_rows([item_id])
        least = 0 if keep_unrated else 1
        found = nearest_items(
            self.scorer, self.train, item_id=item_id, n=n, measure=measure, shrink=shrink, min_ratings=least
        )
        answer = Answer(Similar(x.id, x.similarity, x.title) for x in found)
        count = int(self.record.item_counts[self.train.item_ids.row(item_id)])
        answer.note = _near_note(item_id, count, len(answer), n, "items")
        return answer

    def similar_users(
        self, user_id: Id, n: int = 10, *, measure: Measure = "cosine", shrink: float | None = None
    ) -> Answer[SimilarUser]:
        """The n users whose factors are nearest, nearest first; arguments and errors as in :meth:`similar_items`."""
        check_n(n)
        rows_of(self.train.user_ids, [user_id], "users")
        found = nearest_users(self.scorer, self.train, user_id=user_id, n=n, measure=measure, shrink=shrink)
        answer = Answer(SimilarUser(x.id, x.similarity) for x in found)
        count = int(self.record.user_counts[self.train.user_ids.row(user_id)])
        answer.note = _near_note(user_id, count, len(answer), n, "users")
        return answer

    def find_item(self, text: str) -> Id:
        """The id of an item, by its id, its title (with or without the year), or a part of it that no other title has.

        Args:
            text: an id as text, a title, or a part of one; case does not matter.

        Raises:
            UnknownIdError: if it is neither.
            DataError: if several titles have it.
        """
        ids, text = self.train.item_ids, str(text)
        if not text.strip():
            raise UnknownIdError("no item is named: the text is empty.", hint="an item's id, or a part of its title.")
        if (typed := ids.typed(text)) in ids:
            return typed
        if (whole := self.record.titles.row_of.get(text.strip().casefold(), SEVERAL)) != SEVERAL:
            return ids[whole]
        found = [r for r, title in enumerate(self.record.item_titles) if title and text.casefold() in title.casefold()]
        if len(found) > 1:
            shown = ", ".join(f"{ids[r]} {self.record.item_titles[r]}" for r in found[:5]) + ", …" * (len(found) > 5)
            raise DataError(f"{len(found)} titles contain {text!r}: {shown}", hint="give an id, or more of the title.")
        if not found:
            raise UnknownIdError(
                f"no item has the id {text!r}, and no title contains it.", hint="look at the item table."
            )
        return ids[found[0]]

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
        known = read({} if isinstance(history, tuple) and not history else history, self.train, self.record.titles)
        cells = titled(None, features, None)
        return self._after(self._with_one("user", user_id, known.rows, known.values, cells))

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
        users, values = read_raters(ratings, self.train)
        cells = titled(self.train.item_table, features, title)
        if features is None and not len(users):
            raise DataError(f"nothing is known of the item {item_id!r}.", hint="give ratings, features or both.")
        return self._after(self._with_one("item", item_id, users, values, cells))

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
        more = ratings if isinstance(ratings, Ratings) else Ratings.from_frame(ratings, like=self.train)
        if not more.extends(self.train.tables):
            clicks: dict[str, Any] = {} if more.values is not None else {"rating": False}
            more = Ratings.from_frame(more.to_frame(), like=self.train, **clicks)
        return self._after(with_ratings(self.train, more)) if len(more) else self

    @property
    def share_since_fit(self) -> float:
        """The share of train's ratings that the fit has not seen, 0 to 1: towards a fifth, think of a refit."""
        return self.n_since_fit / max(len(self.train), 1)

    def _with_one(
        self, side: Side, new_id: Id, others: np.ndarray, values: np.ndarray, cells: Mapping[str, Any]
    ) -> Grown:
        demand(self.scorer, Keeps, why="newcomers that stay", hint="refit it, or fit als, sgd, dot_bias, net or gibbs.")
        if not len(others) and not cells:
            raise DataError(f"nothing is known of the {side} {new_id!r}.", hint="give ratings, features or both.")
        return with_one(self.train, side, new_id, others, values, cells)

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


def _near_note(id: Id, count: int, found: int, n: int, what: str) -> str | None:
    """Why neighbours are few, or little to be trusted."""
    notes = []
    if count < FEW:
        notes.append(f"train holds {count} ratings of {id!r}: its neighbours are little more than chance.")
    if found < n:
        notes.append(f"{found} of the {n} asked for: no more {what} have ratings in train.")
    return " ".join(notes) or None
