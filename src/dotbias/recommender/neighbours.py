"""Items and users near one of them, by their factors."""

from __future__ import annotations

from ..interpret import Measure, nearest_items, nearest_users
from ..scorer import Ranks
from .answers import Answer, Id, Similar, SimilarUser
from .names import rows_of
from .record import Record

FEW = 5  # ratings: an item with fewer has neighbours by chance


def items_near(
    scorer: Ranks, record: Record, item_id: Id, n: int, measure: Measure, shrink: float | None, least: int
) -> Answer[Similar]:
    """The n items nearest to one, among those with ``least`` ratings or more: see ``Recommender.similar_items``."""
    train = record.train
    record.item_rows([item_id])
    found = nearest_items(scorer, train, item_id=item_id, n=n, measure=measure, shrink=shrink, min_ratings=least)
    answer = Answer(Similar(x.id, x.similarity, x.title) for x in found)
    answer.note = _note(item_id, int(record.item_counts[train.item_ids.row(item_id)]), len(answer), n, "items")
    return answer


def users_near(
    scorer: Ranks, record: Record, user_id: Id, n: int, measure: Measure, shrink: float | None
) -> Answer[SimilarUser]:
    """The n users nearest to one: see ``Recommender.similar_users``."""
    train = record.train
    rows_of(train.user_ids, [user_id], "users")
    found = nearest_users(scorer, train, user_id=user_id, n=n, measure=measure, shrink=shrink)
    answer = Answer(SimilarUser(x.id, x.similarity) for x in found)
    answer.note = _note(user_id, int(record.user_counts[train.user_ids.row(user_id)]), len(answer), n, "users")
    return answer


def _note(id: Id, count: int, found: int, n: int, what: str) -> str | None:
    """Why neighbours are few, or little to be trusted."""
    notes = []
    if count < FEW:
        notes.append(f"train holds {count} ratings of {id!r}: its neighbours are little more than chance.")
    if found < n:
        notes.append(f"{found} of the {n} asked for: no more {what} have ratings in train.")
    return " ".join(notes) or None
