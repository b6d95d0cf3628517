"""What to ask a newcomer: items whose rating would teach most, times the chance that they know them.

What a rating teaches is the share of the variance of all the user's scores, each item weighed by its popularity, that
it is expected to take away: A-optimal design on the user's row (``shares.gains``), where the scorer knows it
(``scorer.Asks``). For another scorer it is how much people disagree on the item (Rashid et al. 2002): the variance of
its ratings, of clicks p (1 - p), as a share of the sum over all items. The chance that they know an item is P(rated).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import SettingError
from ..orders import SAMPLE, chance_of
from ..ratings import Ratings
from ..scorer import Asks, Ranks, offers
from .answers import Answer, Id
from .filters import Filters
from .histories import History, Known, read
from .lists import finite
from .names import plain
from .record import Record

DIVISIVE = "this model does not know what a rating would teach: the gain is how much people disagree on the item."
ORDER = "what their rating would teach, times the chance that they know it"
DAMPING = 5.0  # ratings of average variance that an item is thought to have besides its own


class Question(NamedTuple):
    """An item to ask a newcomer about, the most telling first.

    Attributes:
        item_id: the item's own id.
        title: its title, where the item table has one.
        gain: what share of what is not known of this user its rating would settle, if they know it.
        chance: how likely they know it.
    """

    item_id: Id
    title: str | None
    gain: float
    chance: float


def told_by(record: Record, history: History | None, user: Id | None) -> tuple[int | None, Known]:
    """The row of a user of train, None for a newcomer, and what they have told so far.

    Raises:
        SettingError: for a user and a history at once.
        UnknownIdError: for a user that train does not name.
    """
    if user is None:
        return None, read({} if history is None else history, record.train, record.titles)
    if history is not None:
        raise SettingError("there are a user and a history.", hint="give one of them.")
    row = record.train.user_ids.row(plain([user])[0])
    return row, record.rated(row)


def questions(
    scorer: Ranks,
    record: Record,
    clicks: Ranks | None,
    told: tuple[int | None, Known],
    n: int,
    filters: Filters,
    noise: np.ndarray,
) -> Answer[Question]:
    """The n items whose rating would teach most, times the chance that they know them, best first.

    Args:
        scorer: what predicts.
        record: its train.
        clicks: a scorer of clicks, for P(rated); None: popularity.
        told: what :func:`told_by` says.
        n: how many.
        filters: which items may be asked for.
        noise: what :func:`noise_of` says.
    """
    row, known = told
    allowed = filters.allowed.copy()
    allowed[known.rows] = False
    items = np.flatnonzero(allowed)
    chance = chance_of(record.train, clicks)
    p_rated = chance.newcomer(known.rows) if row is None else chance.every(np.array([row]))[0]
    gain, p = gains_and_chances(scorer, record.train, known, items, p_rated, noise)
    best = np.argsort(-finite(gain * p), kind="stable")[:n]
    rows = items[best]
    answer = Answer(map(Question, record.ids(rows), record.titles_of(rows), gain[best].tolist(), p[best].tolist()))
    notes = [None if offers(scorer, Asks) else DIVISIVE, filters.note(n, len(answer), len(items))]
    answer.note, answer.order = " ".join(filter(None, notes)) or None, ORDER
    return answer


def gains_and_chances(
    scorer: Ranks, train: Ratings, known: Known, items: np.ndarray, chance: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a rating of each of the items (m,) would teach of a user who told ``known``; how likely they know it.

    Args:
        scorer: what predicts.
        train: what it was fitted on.
        known: what the user has told.
        items: candidates.
        chance: (I,) P(rated) of every item.
        noise: what :func:`noise_of` says.

    Returns:
        (m,) float64 each.
    """
    if offers(scorer, Asks):
        gain = scorer.gains((known.rows, known.values), items, train.item_counts / max(len(train), 1), noise)
    else:
        gain = divisive(train)[items]
    return gain, np.minimum(chance[items].astype(np.float64), 1.0)


def noise_of(scorer: Ranks, train: Ratings) -> np.ndarray:
    """How far a rating of each item lies from its score: the mean square (I,), more for an item with few ratings.

    Of at most 65,536 of train's ratings, damped towards their mean; times 1 + 5 / n of n ratings, since the item itself
    is not sure then. Ones for clicks.
    """
    if train.values is None or not len(train):
        return np.ones(train.n_items)
    at = np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(np.int64)
    left = train.values[at] - scorer.score(train.users[at], train.items[at])
    squares, whole = np.square(left, dtype=np.float64), max(float(np.square(left, dtype=np.float64).mean()), 1e-9)
    n = np.bincount(train.items[at], minlength=train.n_items)
    damped = (np.bincount(train.items[at], squares, train.n_items) + DAMPING * whole) / (n + DAMPING)
    return damped * (1 + DAMPING / np.maximum(train.item_counts, 1))


def divisive(train: Ratings) -> np.ndarray:
    """How much people disagree on each item (I,), as a share of the sum: the damped variance; of clicks p (1 - p)."""
    n = train.item_counts.astype(np.float64)
    if train.values is None:
        p = (n + 1) / (int((train.user_counts > 0).sum()) + 2)
        spread = p * (1 - p)
    else:
        y = train.values.astype(np.float64)
        means = np.bincount(train.items, y, train.n_items) / np.maximum(n, 1)
        squares = np.bincount(train.items, (y - means[train.items]) ** 2, train.n_items)
        spread = (squares + DAMPING * float(y.var())) / (n + DAMPING)
    spread = spread * (n > 0)
    return spread / max(float(spread.sum()), 1e-300)
