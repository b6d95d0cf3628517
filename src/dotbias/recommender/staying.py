"""Newcomers that stay: train with what was told since the fit, and a scorer that has rows for it.

Nothing is fitted again. The scorer folds in the rows that the new ratings are of (``scorer.Keeps``), items and then
users: a half-step of each side, for these rows alone. A rating of a pair that train holds takes its place; of clicks,
counts are added up. This module knows ids and tables, and asks the scorer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..ids import Ids, as_ids
from ..objective import Side
from ..ratings import Ratings
from ..scorer import Keeps, Ranks, demand
from ..times import UNKNOWN
from .answers import Id
from .histories import History, read, read_raters
from .record import Record
from .side_tables import continued, titled, with_row


class Grown(NamedTuple):
    """Train with more in it.

    Attributes:
        train: all ratings, the new ones last.
        users: rows to be folded in: those that the new ratings are of; of one new item none.
        items: likewise; of one new user none.
        n_new: how many ratings are new, or in the place of older ones.
    """

    train: Ratings
    users: np.ndarray
    items: np.ndarray
    n_new: int

    def as_clicks(self) -> Grown:
        """The same of who rated what."""
        return self._replace(train=self.train.as_clicks())


def with_user(
    scorer: Ranks, record: Record, user_id: Id, history: History, features: Mapping[str, Any] | None
) -> Grown:
    """Train with one more user: arguments and errors as in ``Recommender.add_user``."""
    told = {} if isinstance(history, tuple) and not history else history
    known = read(told, record.train, record.titles)
    cells = titled(None, features, None)
    _check_one(scorer, "user", user_id, known.rows, cells)
    return with_one(record.train, "user", user_id, known.rows, known.values, cells)


def with_item(
    scorer: Ranks,
    record: Record,
    item_id: Id,
    ratings: History,
    features: Mapping[str, Any] | None,
    title: str | None,
) -> Grown:
    """Train with one more item: arguments and errors as in ``Recommender.add_item``."""
    users, values = read_raters(ratings, record.train)
    cells = titled(record.train.item_table, features, title)
    if features is None and not len(users):
        raise _nothing_known("item", item_id)
    _check_one(scorer, "item", item_id, users, cells)
    return with_one(record.train, "item", item_id, users, values, cells)


def _check_one(scorer: Ranks, side: Side, new_id: Id, others: np.ndarray, cells: Mapping[str, Any]) -> None:
    demand(scorer, Keeps, why="newcomers that stay", hint="refit it, or fit als, sgd, dot_bias, net or gibbs.")
    if not len(others) and not cells:
        raise _nothing_known(side, new_id)


def _nothing_known(side: Side, new_id: Id) -> DataError:
    return DataError(f"nothing is known of the {side} {new_id!r}.", hint="give ratings, features or both.")


def with_one(
    train: Ratings, side: Side, new_id: Any, others: np.ndarray, values: np.ndarray, cells: Mapping[str, Any]
) -> Grown:
    """Train with one more user or item, who gave ``values`` (n,) to rows ``others`` (n,), or got them.

    Args:
        train: what there was.
        side: of the newcomer.
        new_id: the newcomer's id.
        others: rows of the other side.
        values: ratings; of clicks, how often.
        cells: column of the side's table -> value.

    Raises:
        DataError: for an id that train has, or one of the other kind; a column that the table does not have.
        SettingError: for what is no id.
    """
    ids, table = (train.user_ids, train.user_table) if side == "user" else (train.item_ids, train.item_table)
    row, mine = len(ids), np.full(len(others), len(ids), np.int32)
    tables = {f"{side}_ids": _extended(ids, new_id, side), f"{side}_table": with_row(table, ids, new_id, cells)}
    pairs = (mine, others) if side == "user" else (others, mine)
    stars = train.values is not None
    more = dataclasses.replace(
        train,
        **tables,
        users=pairs[0],
        items=pairs[1],
        values=values if stars else None,
        times=None if train.times is None else np.full(len(others), UNKNOWN),
        counts=None if stars or bool((values == 1).all()) else values,
        cold=None,
        notes=(),
    )
    found, one, nobody = with_ratings(train, more), np.array([row]), np.zeros(0, np.int64)
    return found._replace(users=one if side == "user" else nobody, items=nobody if side == "user" else one)


def read_like(train: Ratings, ratings: Any) -> Ratings:
    """More ratings, or a table of them, on train's rows; new ids get rows at the end.

    Raises:
        DataError: for ids of another kind.
    """
    more = ratings if isinstance(ratings, Ratings) else Ratings.from_frame(ratings, like=train)
    if more.extends(train.tables):
        return more
    clicks: dict[str, Any] = {} if more.values is not None else {"rating": False}
    return Ratings.from_frame(more.to_frame(), like=train, **clicks)


def with_ratings(train: Ratings, more: Ratings) -> Grown:
    """Train with ratings that were read with ``like=`` train.

    Raises:
        DataError: where one holds clicks and the other ratings, or a rating is off train's scale.
    """
    if train.feedback != more.feedback:
        what = f"train holds {train.feedback}, the new ratings are {more.feedback}."
        raise DataError(what, hint="read both alike.")
    _check_scale(train, more)
    more = _as_train(train, more)
    width = more.n_items
    old, new = (r.users.astype(np.int64) * width + r.items for r in (train, more))
    again = np.isin(old, new)
    if more.feedback == "clicks":
        more = dataclasses.replace(more, counts=_added(train, more, old, new, again))
    users = np.unique(more.users)
    return Grown(train.take(~again).joined(more), users, np.unique(more.items), len(more))


def scorer_with(scorer: Ranks, grown: Grown) -> Any:
    """The scorer with these rows folded in: items, then users.

    The users come first as well, so that the items are made of what users are now.

    Raises:
        SettingError: for a scorer that does not support it.
    """
    hint = "refit it on all ratings, or fit als, sgd, dot_bias, net, gibbs or knn."
    keeps = demand(scorer, Keeps, why="newcomers that stay", hint=hint)
    if len(grown.items):
        if len(grown.users):
            keeps = keeps.keeping(grown.train, "user", grown.users)
        keeps = keeps.keeping(grown.train, "item", grown.items)
    return keeps.keeping(grown.train, "user", grown.users) if len(grown.users) else keeps


def _extended(ids: Ids, new_id: Any, side: Side) -> Ids:
    found = as_ids([new_id], f"{side}_id")
    if len(ids) and found.dtype != ids.values.dtype:
        kind = "whole numbers" if ids.values.dtype.is_integer() else "text"
        what = f"the {side}'s id is {new_id!r}; ids here are {kind}."
        raise DataError(what, hint="42 and '42' are two different ids.")
    if new_id in ids:
        what = f"the {side} {new_id!r} is there already."
        raise DataError(what, hint="update(…) takes new ratings of what is known.")
    return ids.extend(found)


def _check_scale(train: Ratings, more: Ratings) -> None:
    if more.values is None or not len(more):
        return
    low, high = train.scale()
    off = np.flatnonzero((more.values < low) | (more.values > high))
    if len(off):
        k = off[0]
        what = f"user {more.user_ids[int(more.users[k])]!r} gives item {more.item_ids[int(more.items[k])]!r}"
        raise DataError(
            f"{what} {more.values[k]:g}; train's scale is from {low:g} to {high:g}.", hint="mend it, or refit on all."
        )


def _as_train(train: Ratings, more: Ratings) -> Ratings:
    """The new ratings with times where train has them, and with train's side tables, continued."""
    times = more.times if train.times is not None else None
    if train.times is not None and times is None:
        times = np.full(len(more), UNKNOWN)
    tables = {
        name: continued(getattr(train, name), getattr(more, name), n)
        for name, n in (("user_table", more.n_users), ("item_table", more.n_items))
    }
    return dataclasses.replace(more, times=times, cold=None, **tables)


def _added(train: Ratings, more: Ratings, old: np.ndarray, new: np.ndarray, again: np.ndarray) -> np.ndarray | None:
    """Counts of the new clicks (n,), with what train held of the same pairs; None where all are 1."""
    if not again.any() and train.counts is None and more.counts is None:
        return None
    mine = np.ones(len(more), np.float32) if more.counts is None else more.counts.copy()
    theirs = np.ones(len(train), np.float32) if train.counts is None else train.counts
    order = np.argsort(new)
    mine[order[np.searchsorted(new[order], old[again])]] += theirs[again]
    return mine
