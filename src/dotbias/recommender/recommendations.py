"""Lists as they are answered: rows become ids here, with titles and a note of why a list is short."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..scorer import Part, Ranks
from ..times import Times, as_times
from .answers import Answer, Id, Recommendation
from .dials import chosen_again
from .everybody import blocks_of
from .histories import Known
from .lists import Found, Wish, finite, list_to, lists_of
from .names import is_many, plain, rows_of
from .record import Record

EMPTY = "the history is empty: this is what anybody would get."


def of_ids(
    scorer: Ranks, record: Record, users: Any, wish: Wish, times: Times
) -> Answer[Recommendation] | dict[Id, Answer[Recommendation]]:
    """One user's list, or of several ids a dict from each to its list; errors as in ``Recommender.recommend``."""
    ids = plain(users) if is_many(users) else [users]
    rows = rows_of(record.train.user_ids, ids, "users")  # an unknown id is found before the work begins
    when = as_times(times, len(rows))
    if not is_many(users):
        return of_users(record, lists_of(scorer, wish, record.seen, rows, when), wish)[0]
    blocks = blocks_of(scorer, record, wish, rows, when)
    return dict(zip(ids, (a for _, found in blocks for a in of_users(record, found, wish)), strict=True))


def of_users(record: Record, found: Found, wish: Wish) -> list[Answer[Recommendation]]:
    """Each user's list."""
    answers = []
    for items, scores, n_candidates in zip(found.items, found.scores, found.n_candidates.tolist(), strict=True):
        length = int((items >= 0).sum())
        note = wish.filters.note(wish.n, length, n_candidates)
        answers.append(_answer(record, items[:length], scores[:length], note, wish))
    return answers


def of_newcomer(record: Record, part: Part, known: Known, wish: Wish) -> Answer[Recommendation]:
    """A newcomer's list."""
    allowed = wish.filters.allowed.copy()
    if not wish.filters.keep_seen:
        allowed[known.rows] = False
    best = list_to(part, wish, known.rows, allowed)
    if any(wish.dials):
        best = chosen_again(best, wish.n, wish.dials, wish.counts, wish.vectors)
    note = wish.filters.note(wish.n, len(best), int(allowed.sum()))
    if not len(known.rows):
        note = " ".join(filter(None, [EMPTY, note]))
    return _answer(record, best, finite(part.score(best)), note, wish)


def _answer(
    record: Record, items: np.ndarray, scores: np.ndarray, note: str | None, wish: Wish
) -> Answer[Recommendation]:
    answer = Answer(map(Recommendation, record.ids(items), scores.tolist(), record.titles_of(items)))
    answer.note, answer.order = note, wish.order.words
    return answer
