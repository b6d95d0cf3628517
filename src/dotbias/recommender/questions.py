"""What to ask a newcomer: items whose rating would teach most, times the chance that they know them.

What a rating teaches is the share of the variance of all the user's scores, each item weighed by its popularity, that
it is expected to take away: A-optimal design on the user's row (``shares.gains``), where the scorer knows it
(``scorer.Asks``). For another scorer it is how much people disagree on the item (Rashid et al. 2002): the variance of
its ratings, of clicks p (1 - p), as a share of the sum over all items. The chance that they know an item is P(rated).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..orders import SAMPLE, Chance
from ..ratings import Ratings
from ..scorer import Asks, Ranks, offers
from .answers import Id
from .histories import Known

DIVISIVE = "this model does not know what a rating would teach: the gain is how much people disagree on the item."
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


def gains_and_chances(
    scorer: Ranks, train: Ratings, known: Known, items: np.ndarray, chance: Chance, user: int, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """What a rating of each of the items (m,) would teach of a user who told ``known``; how likely they know it.

    Args:
        scorer: what predicts.
        train: what it was fitted on.
        known: what the user has told.
        items: candidates.
        chance: P(rated).
        user: their row, -1 for a newcomer.
        noise: what :func:`noise_of` says.

    Returns:
        (m,) float64 each.
    """
    every = chance.newcomer(known.rows) if user < 0 else chance.every(np.array([user]))[0]
    if offers(scorer, Asks):
        gain = scorer.gains((known.rows, known.values), items, train.item_counts / max(len(train), 1), noise)
    else:
        gain = divisive(train)[items]
    return gain, np.minimum(every[items].astype(np.float64), 1)


def noise_of(scorer: Ranks, train: Ratings) -> float:
    """The mean square of what the scorer leaves of train's ratings, at most 65,536 of them; 1 for clicks."""
    if train.values is None or not len(train):
        return 1.0
    at = np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(np.int64)
    left = train.values[at] - scorer.score(train.users[at], train.items[at])
    return max(float(np.mean(left.astype(np.float64) ** 2)), 1e-9)


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
