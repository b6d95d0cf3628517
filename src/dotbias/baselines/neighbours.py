"""Item neighbours: what the user said of the items most like this one; of clicks, how many of them they clicked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..factors import Factors, FactorsPart
from ..ids import Tables
from ..objective import Objective, Ridge
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng
from ..scorer import Account, Case, Explains, FoldsIn, Ranks, Scorer, State, Stored, ties
from ..settings import Count, NotNegative, Positive, checked
from .biases import bias, dot

BLOCK = 1 << 22  # item × item cells held at once
DEFAULTS = {"stars": (200, 60.0, 1.5), "clicks": (50, 0.0, 1.0)}  # n_neighbours, shrink, amplify (bench/LOG.md)
HOW = "each rating's weight among the item's neighbours, and its share of the user's bias"
_KNN_SETTINGS = ("shrink", "amplify", "damping")


@checked
def knn(
    train: Ratings,
    *,
    n_neighbours: Count | None = None,
    shrink: NotNegative | None = None,
    amplify: Positive | None = None,
    damping: Positive = 0.02,
    reg_bias_once: NotNegative | tuple[NotNegative, NotNegative] = 3.0,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
) -> Knn:
    """Damped biases, corrected by how the user rated the most alike items (Koren 2010, eq. 3, positive weights only).

    Two items are alike as the cosine of what their ratings leave after the biases, shrunk by n / (n + shrink) for n
    common users and amplified (Breese, Heckerman & Kadie 1998, § 2.2.3: w^ρ), so that the nearest count most. Blocks of
    items bound the memory; items × items is never held whole.

    Of clicks there are no biases, and each leaves a 1: the score x / (x + damping) rises with x, the summed similarity
    of the neighbours that the user clicked (Deshpande & Karypis 2004). Counts are ignored.

    Args:
        train: the ratings, or clicks.
        n_neighbours: neighbours kept per item, M. None: 200; of clicks 50.
        shrink: how many common users make a similarity count half. None: 60; of clicks 0.
        amplify: the power to which a similarity is raised. None: 1.5; of clicks 1.
        damping: weight, in amplified similarity, of "no correction" in the weighted mean.
        reg_bias_once: ridge on a row's bias, once: a number, or (users', items').
        valid: not used.
        rng: not used.
        progress: not used.
        checkpoint: not used.

    Raises:
        DataError: for no ratings.
        SettingError: for a setting that makes no sense.
    """
    base = _nothing(train) if train.feedback == "clicks" else bias(train, reg_bias_once=reg_bias_once)
    order = np.lexsort((train.items, train.users))
    users, items = train.users[order], train.items[order]
    residuals = _ones(items) if of_clicks(base) else train.explicit()[order] - base.rank(users, items)
    starts = np.r_[0, np.cumsum(train.user_counts)]
    chosen = DEFAULTS[train.feedback]
    n_neighbours = int(chosen[0]) if n_neighbours is None else n_neighbours
    shrink, amplify = (d if x is None else x for x, d in zip((shrink, amplify), chosen[1:], strict=True))
    neighbours, weights = _alike(starts, items, residuals, train.n_items, n_neighbours, shrink, amplify)
    return Knn(base, neighbours, weights, starts, items, residuals, shrink, amplify, damping)


@dataclass(frozen=True, eq=False, repr=False)
class Knn:
    """Scores of :func:`knn`:  b_ui + Σ_j w_ij e_uj / (Σ_j w_ij + damping)  over the neighbours j that u rated.

    Attributes:
        base: the biases, K = 0.
        neighbours: (I, M) int32 item rows.
        weights: (I, M) float32 similarity, from 0 up; 0 where an item has fewer neighbours.
        starts: (U + 1,) int64: user u's training ratings are those from starts[u] to starts[u + 1].
        items: (N,) int32 item row of each training rating, by user.
        residuals: (N,) float32: what the biases leave of it, e.
        shrink: as in :func:`knn`, for new items.
        amplify: likewise.
        damping: as in :func:`knn`.
    """

    base: Factors
    neighbours: np.ndarray
    weights: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    residuals: np.ndarray
    shrink: float
    amplify: float
    damping: float

    offers = (Scorer, Ranks, FoldsIn, Explains, Stored)

    @property
    def tables(self) -> Tables | None:
        """Fingerprint of the id tables whose rows these are."""
        return self.base.tables

    def __repr__(self) -> str:
        n_items, n_neighbours = self.neighbours.shape
        return f"Knn({len(self.starts) - 1:,} users, {n_items:,} items, {n_neighbours} neighbours)"

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of pairs of rows (B,), (B,) -> (B,) float32. Times are ignored; cold rows get the biases' score."""
        return self.base.objective.squash(self.rank(users, items))

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of every item for each user row (B,) -> (B, I) float32."""
        return self.base.objective.squash(self.rank_all(users))

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The score before it is clipped, for pairs of rows (B,), (B,) -> (B,) float32."""
        users, items = np.asarray(users), np.asarray(items)
        scores = self.base.rank(users, items)
        order = np.argsort(users, kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(users[order])) + 1) if len(order) else ():
            scores[at] += self.correction(*self.rated(int(users[at[0]])), items[at])
        return scores

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each user row (B,) -> (B, I) float32."""
        everything = np.arange(len(self.neighbours))
        scores = self.base.rank_all(users)
        for k, user in enumerate(users):
            scores[k] += self.correction(*self.rated(user), everything)
        return scores

    def fold_in_user(self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None) -> KnnUser:
        """A new user's bias, and what it leaves of their ratings."""
        values = _ones(values) if of_clicks(self.base) else values
        part = self.base.fold_in_user(items, values)
        return KnnUser(self, part, items, values - part.rank(items))

    def fold_in_item(self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None) -> KnnItem:
        """A new item's bias and its neighbours, from who rated it how."""
        values = _ones(values) if of_clicks(self.base) else values
        part = self.base.fold_in_item(users, values)
        mine = values - part.rank(users)  # (n,)
        rated = [self.rated(u) for u in users]
        rows = np.concatenate([np.empty(0, np.int32), *(r for r, _ in rated)])
        theirs = np.concatenate([np.empty(0, np.float32), *(e for _, e in rated)])
        n_items = len(self.neighbours)
        dots = np.bincount(rows, theirs * np.repeat(mine, [len(r) for r, _ in rated]), n_items)
        norms = np.sqrt(np.bincount(self.items, self.residuals.astype(np.float64) ** 2, n_items))
        how = self.shrink, self.amplify
        weights = _similarity(dots, np.sqrt(dot(mine, mine)) * norms, np.bincount(rows, minlength=n_items), *how)
        return KnnItem(self, part, *_strongest(weights[None], self.neighbours.shape[1]))

    def explain(self, case: Case) -> Account:
        """The biases, and what neighbours add; a rating's share is that of the user's bias, and its weight as one."""
        values = _ones(case.items) if of_clicks(self.base) else case.values
        case = case._replace(values=values)
        found, item = self.base.explain(case), np.array([case.item])
        if case.user is None:
            left = values - self.base.fold_in_user(case.items, values).rank(case.items)
        else:
            left = values - self.base.rank(np.full(len(values), case.user), case.items)
        left = values if of_clicks(self.base) else left
        weight = self._weights(case.item, case.items)  # (n,)
        shares = weight * left / (weight.sum() + self.damping)
        added = float(self.correction(case.items, left.astype(np.float32), item)[0])
        parts = (*found.parts, ("neighbours", added))
        return Account(parts, found.personal + added, found.shares + shares, HOW)

    def _weights(self, item: int, rated: np.ndarray) -> np.ndarray:
        """(n,) float64 of rated item rows (n,) as neighbours of an item; 0 where they are none."""
        out = np.zeros(len(self.neighbours))
        if 0 <= item < len(self.neighbours):
            out[self.neighbours[item]] = self.weights[item]
        return np.array([out[r] if 0 <= r < len(out) else 0.0 for r in rated.tolist()])

    def state(self) -> State:
        """What ``storage`` keeps."""
        base = self.base.state()
        own = {name: getattr(self, name) for name in ("neighbours", "weights", "starts", "items", "residuals")}
        arrays = own | {f"base.{name}": array for name, array in base.arrays.items()}
        return State("knn", arrays, {"base": base.settings} | {k: getattr(self, k) for k in _KNN_SETTINGS})

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None = None
    ) -> Knn:
        """The Knn whose :meth:`state` this is, to the bit."""
        base = {name.removeprefix("base."): a for name, a in arrays.items() if name.startswith("base.")}
        own = {name: a for name, a in arrays.items() if not name.startswith("base.")}
        return cls(
            base=Factors.from_state(base, settings["base"], tables),
            **own,
            **{k: settings[k] for k in _KNN_SETTINGS},
        )

    def rated(self, user: int | np.integer) -> tuple[np.ndarray, np.ndarray]:
        """Item rows and residuals of a user's training ratings; none for a cold user."""
        if not 0 <= user < len(self.starts) - 1:
            return self.items[:0], self.residuals[:0]
        at = slice(self.starts[user], self.starts[user + 1])
        return self.items[at], self.residuals[at]

    def correction(self, rated: np.ndarray, residuals: np.ndarray, items: np.ndarray) -> np.ndarray:
        """What neighbours add to the biases' score of item rows (n,) -> (n,) float32; 0 for cold items."""
        out = np.zeros(len(items), np.float32)
        inside = np.flatnonzero((items >= 0) & (items < len(self.neighbours)))
        step = max(1, BLOCK // max(self.neighbours.shape[1], 1))
        for start in range(0, len(inside), step):
            at = inside[start : start + step]
            rows = items[at]
            out[at] = self.weighted_mean(rated, residuals, self.neighbours[rows], self.weights[rows])
        return out

    def weighted_mean(
        self, rated: np.ndarray, residuals: np.ndarray, neighbours: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """The damped mean of residuals over neighbours (n, M) that were rated -> (n,)."""
        known = (rated >= 0) & (rated < len(self.neighbours))
        e, has = np.zeros((2, len(self.neighbours)), np.float32)
        e[rated[known]], has[rated[known]] = residuals[known], 1
        return (weights * e[neighbours]).sum(axis=1) / ((weights * has[neighbours]).sum(axis=1) + self.damping)


@dataclass(frozen=True, eq=False)
class KnnUser:
    """A new user: the biases' part, the item rows (n,) they rated, and what the biases leave of those ratings (n,)."""

    of: Knn
    part: FactorsPart
    items: np.ndarray
    residuals: np.ndarray

    offers = ()

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Scores for item rows (n,), all items by default -> (n,) float32."""
        return self.of.base.objective.squash(self.rank(others))

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """The same before it is clipped."""
        rows = np.arange(len(self.of.neighbours)) if others is None else np.asarray(others)
        return self.part.rank(rows) + self.of.correction(self.items, self.residuals, rows)


@dataclass(frozen=True, eq=False)
class KnnItem:
    """A new item: the biases' part, and its neighbours (1, M) with their weights."""

    of: Knn
    part: FactorsPart
    neighbours: np.ndarray
    weights: np.ndarray

    offers = ()

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Scores for user rows (n,), all users by default -> (n,) float32."""
        return self.of.base.objective.squash(self.rank(others))

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """The same before it is clipped."""
        rows = np.arange(len(self.of.starts) - 1) if others is None else np.asarray(others)
        scores = self.part.rank(rows)
        for k, user in enumerate(rows):
            scores[k] += self.of.weighted_mean(*self.of.rated(user), self.neighbours, self.weights)[0]
        return scores


def _nothing(train: Ratings) -> Factors:
    """The base of clicks: next to 0 for every pair, so that of equals the more popular is first.

    Newcomers' too: an infinite ridge holds their bias at 0.

    Raises:
        DataError: where there are no clicks.
    """
    if not len(train):
        raise DataError("there are no clicks here.", hint="look at the filter or split that left none.")
    users, items = np.zeros(train.n_users, np.float32), ties(train.item_counts)
    held = Ridge(np.inf, np.inf)
    objective = Objective(y_range=(0.0, 1.0), user_reg=held, item_reg=held)
    return Factors(0.0, users, items, users[:, None][:, :0], items[:, None][:, :0], objective, train.tables)


def of_clicks(base: Factors) -> bool:
    """Whether nobody may have a bias: so it is of clicks."""
    return bool(np.isinf(base.objective.user_reg.bias))


def _ones(of: np.ndarray) -> np.ndarray:
    return np.ones(len(of), np.float32)


def _alike(
    starts: np.ndarray,
    items: np.ndarray,
    residuals: np.ndarray,
    n_items: int,
    n_neighbours: int,
    shrink: float,
    amplify: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Each item's strongest neighbours and their weights, (I, M) both, by blocks of items."""
    from scipy.sparse import csr_matrix

    shape = len(starts) - 1, n_items
    left = csr_matrix((residuals, items, starts), shape)  # (U, I)
    ones = csr_matrix((np.ones_like(residuals), items, starts), shape)
    norms = np.sqrt(np.bincount(items, residuals.astype(np.float64) ** 2, n_items))
    left_t, ones_t = left.T.tocsr(), ones.T.tocsr()
    parts = []
    step = max(1, BLOCK // max(n_items, 1))
    for start in range(0, n_items, step):
        block = slice(start, start + step)
        dots, common = (left_t[block] @ left).toarray(), (ones_t[block] @ ones).toarray()  # (block, I)
        weights = _similarity(dots, norms[block, None] * norms, common, shrink, amplify)
        np.fill_diagonal(weights[:, start:], 0)  # an item is no neighbour of itself
        parts.append(_strongest(weights, n_neighbours))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _similarity(dots: np.ndarray, norms: np.ndarray, common: np.ndarray, shrink: float, amplify: float) -> np.ndarray:
    """Shrunk cosine to a power, negative ones as 0."""
    tiny = 1e-12
    cosine = np.maximum(dots, 0) / np.maximum(norms, tiny)
    return ((cosine * (common / np.maximum(common + shrink, tiny))) ** amplify).astype(np.float32)


def _strongest(weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n greatest of each row, by column: columns (R, n) int32 and weights (R, n) float32."""
    n = min(n, weights.shape[1])
    columns = np.sort(np.argpartition(-weights, n - 1, axis=1)[:, :n], axis=1).astype(np.int32)
    return columns, np.take_along_axis(weights, columns, axis=1)
