"""Most popular: the same list for everybody, ordered by how many people rated or took an item.

It is what every ranking has to beat. It guesses no ratings: asked for one, it says train's mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, SettingError
from ..ids import Tables
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng
from ..scorer import Account, Case, Chances, Explains, FoldsIn, Ranks, Scorer, State, Stored
from ..settings import Positive, checked
from ..times import filled

DAY = 86_400  # seconds


@dataclass(frozen=True, eq=False, repr=False)
class Popular:
    """How often each item was rated or taken, and what it says when asked for a rating.

    Attributes:
        counts: (I,) float64, decayed where ``half_life`` was given.
        guesses: (I,) float32: of ratings train's mean, for all items alike; of clicks the share of users who took it.
        otherwise: the guess for an item that train never saw: the mean, or no user.
        n_users: U of train's id table.
        tables: fingerprint of the id tables whose rows these are; None where nobody said.
        offers: see ``scorer``.
    """

    counts: np.ndarray
    guesses: np.ndarray
    otherwise: float
    n_users: int
    tables: Tables | None = None

    offers = (Scorer, Ranks, Chances, FoldsIn, Explains, Stored)

    def __repr__(self) -> str:
        return f"Popular({len(self.counts):,} items)"

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The guess for each item (B,), whoever asks -> (B,) float32."""
        return _of(items, self.guesses, self.otherwise)

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The guess for every item, for each of the users (B,) -> (B, I) float32."""
        return np.tile(self.guesses, (len(users), 1))

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The items' counts (B,) float32; 0 for a cold item."""
        return _of(items, self.counts.astype(np.float32), 0.0)

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """All counts, for each of the users (B,) -> (B, I) float32."""
        return np.tile(self.counts.astype(np.float32), (len(users), 1))

    def fold_in_user(
        self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> PopularPart:
        """A newcomer, who gets what everybody gets."""
        return PopularPart(self.guesses, self.counts.astype(np.float32))

    def fold_in_item(
        self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> PopularPart:
        """A new item that the user rows ``users`` (n,) rated: the same for everybody."""
        guess = self.otherwise or len(users) / max(self.n_users, 1)  # a mean of ratings, or the share of clicks
        return PopularPart(np.full(self.n_users, guess, np.float32), np.full(self.n_users, len(users), np.float32))

    def explain(self, case: Case) -> Account:
        """What it says to everybody."""
        name = "mean" if self.otherwise else "share of users who took it"
        said = float(self.score(np.zeros(1, np.int32), np.array([case.item]))[0])
        return Account(((name, said),), 0.0, np.zeros(len(case.items)), "the same for everybody")

    def state(self) -> State:
        """What ``storage`` keeps."""
        settings = {"otherwise": self.otherwise, "n_users": self.n_users}
        return State("popular", {"counts": self.counts, "guesses": self.guesses}, settings)

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None = None
    ) -> Popular:
        """The Popular whose :meth:`state` this is, to the bit."""
        return cls(arrays["counts"], arrays["guesses"], settings["otherwise"], settings["n_users"], tables)


@dataclass(frozen=True, eq=False)
class PopularPart:
    """A newcomer: guesses and ranks of all rows of the other side."""

    guesses: np.ndarray
    counts: np.ndarray

    offers = ()

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Guesses for rows of the other side (n,), all by default -> (n,) float32."""
        return self.guesses if others is None else self.guesses[others]

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """Counts of rows of the other side (n,), all by default -> (n,) float32."""
        return self.counts if others is None else self.counts[others]


@checked
def popular(
    train: Ratings,
    *,
    half_life: Positive | None = None,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
) -> Popular:
    """Rank items by their number of ratings or clicks, whatever the ratings say.

    Args:
        train: the ratings, or clicks.
        half_life: in days: a rating this much older than train's latest counts half. None: all count alike.
        valid: not used.
        rng: not used.
        progress: not used: it is done at once.
        checkpoint: not used.

    Raises:
        DataError: for no ratings, or a half-life without times.
        SettingError: for a half-life that is not above 0.
    """
    if not len(train):
        raise DataError("there are no ratings here.", hint="look at the filter or split that left none.")
    counts = train.item_counts.astype(np.float64)
    if half_life is not None:
        if train.times is None:
            raise SettingError(f"half_life is {half_life!r}, but these ratings have no times.", hint="name time=….")
        known = filled(train.times)
        age = (known.max() - known) / (DAY * half_life)  # in half-lives
        counts = np.bincount(train.items, np.exp2(-age), train.n_items)
    if train.values is None:
        otherwise, guesses = 0.0, train.item_counts / (train.user_counts > 0).sum()
    else:
        otherwise = float(train.values.mean(dtype=np.float64))
        guesses = np.full(train.n_items, otherwise)
    return Popular(counts, guesses.astype(np.float32), otherwise, train.n_users, train.tables)


def _of(rows: np.ndarray, values: np.ndarray, otherwise: float) -> np.ndarray:
    """Values of rows (B,) float32; another where a row lies outside the table."""
    rows = np.asarray(rows)
    known = (rows >= 0) & (rows < len(values))
    return np.where(known, values[np.where(known, rows, 0)], np.float32(otherwise)).astype(np.float32)
