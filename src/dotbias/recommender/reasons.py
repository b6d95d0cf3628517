"""Why a prediction is what it is: its parts, and the user's own ratings that weigh most.

The scorer takes the prediction apart (``scorer.Explains``). One that cannot, such as a net, is taken apart by averages:
what the items say of anybody, what the user says of any item, and what is left for the two together; then no rating
has a share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..orders import timed
from ..scorer import Account, Case, Explains, Part, Ranks, offers
from ..times import Times, as_times
from .answers import Id
from .histories import Known
from .names import plain
from .predictions import of_ids, of_newcomer
from .record import Record

SAMPLE = 4096  # ratings of train whose average stands for all pairs
AVERAGES = "this model has no shares of ratings; its parts are averages over users and items"


class Reason(NamedTuple):
    """One of the user's own ratings, and what it adds.

    Attributes:
        item_id: the item that they rated.
        title: its title, where the item table has one.
        rating: what they gave it; None for a click.
        share: what it adds to the prediction, below 0 where it takes away.
    """

    item_id: Id
    title: str | None
    rating: float | None
    share: float


class Explanation(NamedTuple):
    """A prediction taken apart.

    Attributes:
        user_id: for whom; None for a newcomer.
        item_id: of what.
        title: its title, where the item table has one.
        value: the prediction before any clip, sigmoid or slicing into stars: the sum of ``parts``.
        served: the prediction as ``predict`` gives it.
        parts: (name, value) of each part.
        personal: what of the value is this user's alone.
        because: the n of the user's own ratings that weigh most, in either direction, the strongest first.
        others: what their other ratings add together.
        rest: what of ``personal`` is no rating's: shares, ``others`` and ``rest`` sum to ``personal``.
        how: how the shares come about.
    """

    user_id: Id | None
    item_id: Id
    title: str | None
    value: float
    served: float
    parts: tuple[tuple[str, float], ...]
    personal: float
    because: tuple[Reason, ...]
    others: float
    rest: float
    how: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: names for all numbers."""
        parts = [{"name": name, "value": value} for name, value in self.parts]
        return {**self._asdict(), "parts": parts, "because": [r._asdict() for r in self.because]}


def why_user(scorer: Ranks, record: Record, user: Any, item: int, n: int, times: Times) -> Explanation:
    """Why a user of train, by id, is predicted to give an item row what they are; at ``times``, as in ``predict``.

    Raises:
        UnknownIdError: for a user that train does not name.
    """
    user_id = plain([user])[0]
    row = record.train.user_ids.row(user_id)
    served = of_ids(scorer, record, user, record.item_ids[item], times)[0].value
    when = timed(scorer, as_times(times, 1)).get("times")
    account, because, others = explained(scorer, record, row, item, record.rated(row), n, when)
    return _explanation(record, user_id, item, served, account, because, others)


def why_newcomer(scorer: Ranks, record: Record, part: Part, known: Known, item: int, n: int) -> Explanation:
    """Why a newcomer who told ``known``, folded in as ``part``, is predicted to give an item row what they are."""
    served = of_newcomer(part, np.array([item], np.int32), np.zeros(1, bool))[0].value
    account, because, others = explained(scorer, record, None, item, known, n, None)
    return _explanation(record, None, item, served, account, because, others)


def _explanation(
    record: Record, user_id: Id | None, item: int, served: float, account: Account, because: list[Reason], others: float
) -> Explanation:
    value = sum(part for _, part in account.parts)
    sums = account.personal, tuple(because), others, account.personal - float(account.shares.sum())
    about = user_id, record.item_ids[item], record.item_titles[item]
    return Explanation(*about, value, served, account.parts, *sums, account.how)


def explained(
    scorer: Ranks, record: Record, user: int | None, item: int, known: Known, n: int, times: np.ndarray | None
) -> tuple[Account, list[Reason], float]:
    """The account of a prediction, the n reasons that weigh most, and what the other ratings add.

    Args:
        scorer: what predicts.
        record: its train.
        user: row, or None for a newcomer.
        item: row.
        known: what they rated.
        n: how many reasons.
        times: (1,) seconds, or None where they are unknown.
    """
    train = record.train
    tables = features_of(train.user_table, user), features_of(train.item_table, item)
    case = Case(user, item, known.rows, known.values, times, *tables)
    account = scorer.explain(case) if offers(scorer, Explains) else averages(scorer, record, case)
    order = np.argsort(-np.abs(account.shares), kind="stable")
    first = order[:n][account.shares[order[:n]] != 0]
    ratings = [None] * len(first) if train.values is None else known.values[first].tolist()
    rows = known.rows[first]
    columns = record.ids(rows), record.titles_of(rows), ratings, account.shares[first].tolist()
    others = float(account.shares.sum() - account.shares[first].sum())
    return account, [Reason(*row) for row in zip(*columns, strict=True)], others


def averages(scorer: Ranks, record: Record, case: Case) -> Account:
    """A prediction as mean + user + item + both together, of a scorer that does not explain itself.

    The mean is over ratings of train, evenly spread; the user's part is what they get on average for these items, the
    item's what these users get for it.
    """
    train = record.train
    at = np.unique(np.linspace(0, max(len(train) - 1, 0), min(len(train), SAMPLE)).astype(np.int64))
    users, items = train.users[at], train.items[at]
    own, item = np.full(len(at), -1 if case.user is None else case.user), np.full(len(at), case.item)
    mean, of_user, of_item, value = (
        float(scorer.rank(u, i).mean(dtype=np.float64))
        for u, i in ((users, items), (own, items), (users, item), (own[:1], item[:1]))
    )
    both = value - of_user - of_item + mean
    parts = ("mean", mean), ("user", of_user - mean), ("item", of_item - mean), ("user and item together", both)
    return Account(parts, of_user - mean + both, np.zeros(len(case.items)), AVERAGES)


def features_of(table: pl.DataFrame | None, row: int | None) -> Mapping[str, Any]:
    """A row of a side table, column -> value, without what is empty; labels are text, as for ``features.encode``."""
    if table is None or row is None or not 0 <= row < len(table):
        return {}
    found: dict[str, Any] = {}
    for column in table[row]:
        plain = column.dtype.is_numeric() or isinstance(column.dtype, pl.List)
        value = (column if plain else column.cast(pl.String))[0]
        if isinstance(value, pl.Series):
            value = value.cast(pl.String).drop_nulls().to_list()
        if value is not None and value == value and value not in ("", []):
            found[column.name] = value
    return found
