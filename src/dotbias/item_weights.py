"""Items weigh items: what a user clicked says, item by item, what they click next.

    score(u, i) = Σ_j weights[j, i]   over the items j that u clicked

Nothing is known of a user but their clicks, so a newcomer is folded in without a solve. This module knows rows, not
ids, and numpy only; how the weights come about is the fitter's business (``solvers.ease``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .errors import DataError
from .ids import Tables
from .scorer import Account, Case, Chances, Explains, FoldsIn, Ranks, Scorer, State, Stored, ties

FEW = 8  # users: for so few, rows of the weights are gathered; more are one matrix product
ARRAYS = ("rows", "weights", "precision", "starts", "items")


@dataclass(frozen=True, eq=False, repr=False)
class ItemWeights:
    """Weights between M of I items, and who clicked them. The other items score 0, and so does everything for nobody.

    To each rank is added a millionth of the item's share of the clicks, so that of equals the more popular is first.

    Attributes:
        rows: (M,) int32 item rows, rising: the items that have weights. Position m stands for the item rows[m].
        weights: (M, M) float32: what a click on j adds to the score of i is weights[j, i]; 0 on the diagonal.
        precision: (M,) float32: the diagonal of P, of which weights[j, i] = -P[j, i] / P[i, i].
        starts: (U + 1,) int64: user u's clicks are those from starts[u] to starts[u + 1].
        items: (N,) int32: positions of the items clicked, by user.
        n_items: I.
        tables: fingerprint of the id tables whose rows these are; None where nobody said.
    """

    rows: np.ndarray
    weights: np.ndarray
    precision: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    n_items: int
    tables: Tables | None = None

    offers = (Scorer, Ranks, Chances, FoldsIn, Explains, Stored)

    def __repr__(self) -> str:
        weighted = f"{len(self.rows):,} of {self.n_items:,} items"
        return f"ItemWeights({len(self.starts) - 1:,} users, {weighted})"

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Ranks clipped to 0..1, for pairs of rows (B,), (B,) -> (B,) float32. Times are ignored."""
        return np.clip(self.rank(users, items), 0, 1)

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each user row (B,) -> (B, I) float32."""
        return np.clip(self.rank_all(users), 0, 1)

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Summed weights of pairs of rows (B,), (B,) -> (B,) float32; next to 0 for cold rows."""
        users, at = np.asarray(users), self._positions(items)
        out = np.zeros(len(users), np.float32)
        order = np.argsort(users, kind="stable")
        for block in np.split(order, np.flatnonzero(np.diff(users[order])) + 1) if len(order) else ():
            clicked, known = self._clicked(int(users[block[0]])), block[at[block] >= 0]
            out[known] = self.weights[np.ix_(clicked, at[known])].sum(axis=0) + self._ties[at[known]]
        return out

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each user row (B,) -> (B, I) float32."""
        out = np.zeros((len(users), self.n_items), np.float32)
        if len(users) <= FEW:
            for k, user in enumerate(users):
                out[k, self.rows] = self.weights[self._clicked(int(user))].sum(axis=0) + self._ties
            return out
        clicks = np.zeros((len(users), len(self.rows)), np.float32)
        for k, user in enumerate(users):
            clicks[k, self._clicked(int(user))] = 1
        out[:, self.rows] = clicks @ self.weights + self._ties
        return out

    # Newcomers -------------------------------------------------------------------------------------------------

    def fold_in_user(
        self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> ItemWeightsPart:
        """A new user who clicked the item rows ``items`` (n,); how often does not matter."""
        _check_pairs(items, values)
        at = np.unique(self._positions(items))
        ranks = np.zeros(self.n_items, np.float32)
        ranks[self.rows] = self.weights[at[at >= 0]].sum(axis=0) + self._ties
        return ItemWeightsPart(ranks)

    def fold_in_item(
        self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> ItemWeightsPart:
        """A new item that the user rows ``users`` (n,) clicked: the regression of its clicks on those of the others.

        Its column of weights is P Xᵀy, with P the inverse of XᵀX + ridge, X the clicks and y the new item's.
        """
        _check_pairs(users, values)
        clicked = [self._clicked(int(u)) for u in np.unique(users)]
        common = np.bincount(np.concatenate([np.zeros(0, np.int64), *clicked]), minlength=len(self.rows))
        scaled = self.precision * common  # P = -weights · diag(P), off its diagonal
        column = (scaled - self.weights @ scaled).astype(np.float64)
        sums = np.concatenate([[0.0], np.cumsum(column[self.items])])
        return ItemWeightsPart((sums[self.starts[1:]] - sums[self.starts[:-1]]).astype(np.float32))

    # Reasons ---------------------------------------------------------------------------------------------------

    def explain(self, case: Case) -> Account:
        """The weights of what the user clicked, each its own share; and the item's popularity, next to nothing."""
        at, (item,) = self._positions(case.items), self._positions(np.array([case.item]))
        shares, popular = np.zeros(len(at)), 0.0
        if item >= 0:
            shares = np.where(at >= 0, self.weights[np.maximum(at, 0), item], 0).astype(np.float64)
            popular = float(self._ties[item])
        total = float(shares.sum())
        return Account((("clicks", total), ("popularity", popular)), total, shares, "the weight of each click")

    # On disk ---------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """What ``storage`` keeps."""
        return State("item_weights", {name: getattr(self, name) for name in ARRAYS}, {})

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None = None
    ) -> ItemWeights:
        """The ItemWeights whose :meth:`state` this is, to the bit."""
        n_items = int(arrays["rows"].max(initial=-1)) + 1 if tables is None else tables.n_items
        return cls(**{name: arrays[name] for name in ARRAYS}, n_items=n_items, tables=tables)

    @cached_property
    def _ties(self) -> np.ndarray:
        """What is added to ranks (M,) float32."""
        return ties(np.bincount(self.items, minlength=len(self.rows)))

    def _clicked(self, user: int) -> np.ndarray:
        """Positions of what a user clicked; none for a cold user."""
        if not 0 <= user < len(self.starts) - 1:
            return self.items[:0]
        return self.items[self.starts[user] : self.starts[user + 1]]

    def _positions(self, items: np.ndarray) -> np.ndarray:
        """Positions of item rows (B,); -1 where an item has no weights."""
        items = np.asarray(items)
        if not len(self.rows):
            return np.full(len(items), -1)
        at = np.minimum(np.searchsorted(self.rows, items), len(self.rows) - 1)
        return np.where(self.rows[at] == items, at, -1)


@dataclass(frozen=True, eq=False)
class ItemWeightsPart:
    """A newcomer: the ranks (R,) float32 of all rows of the other side."""

    ranks: np.ndarray

    offers = ()

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Ranks clipped to 0..1, of rows of the other side (n,), all by default -> (n,) float32."""
        return np.clip(self.rank(others), 0, 1)

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """Ranks of rows of the other side (n,), all by default -> (n,) float32; 0 for rows past the end."""
        if others is None:
            return self.ranks
        rows = np.asarray(others)
        known = (rows >= 0) & (rows < len(self.ranks))
        return np.where(known, self.ranks[np.where(known, rows, 0)], np.float32(0)).astype(np.float32)


def _check_pairs(rows: np.ndarray, values: np.ndarray) -> None:
    if np.shape(rows) != np.shape(values) or np.ndim(rows) != 1:
        raise DataError(f"rows of shape {np.shape(rows)} and values of shape {np.shape(values)}: both must be (n,).")
