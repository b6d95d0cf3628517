"""Item neighbours over the biases: what the user said of the items most like this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import check_not_negative, check_positive
from ..factors import Factors, Part, State
from ..ratings import Ratings
from ..rng import Rng
from .biases import bias, dot

BLOCK = 1 << 22  # item × item cells held at once
_KNN_SETTINGS = ("shrink", "amplify", "damping")


def knn(
    train: Ratings,
    *,
    n_neighbours: int = 200,
    shrink: float = 60.0,
    amplify: float = 1.5,
    damping: float = 0.02,
    reg_user: float = 3.0,
    reg_item: float = 3.0,
    valid: Ratings | None = None,
    rng: Rng = None,
) -> Knn:
    """Damped biases, corrected by how the user rated the most alike items (Koren 2010, eq. 3, positive weights only).

    Two items are alike as the cosine of what their ratings leave after the biases, shrunk by n / (n + shrink) for n
    common users and amplified (Breese, Heckerman & Kadie 1998, § 2.2.3: w^ρ), so that the nearest count most. Blocks of
    items bound the memory; items × items is never held whole.

    Args:
        train: the ratings.
        n_neighbours: neighbours kept per item, M.
        shrink: how many common users make a likeness half believed.
        amplify: the power to which a likeness is raised.
        damping: weight, in amplified likeness, of "no correction" in the weighted mean.
        reg_user: ridge on users' biases.
        reg_item: ridge on items' biases.
        valid: not used.
        rng: not used.
    """
    check_positive(n_neighbours=n_neighbours, amplify=amplify, damping=damping)
    check_not_negative(shrink=shrink)
    base = bias(train, reg_user=reg_user, reg_item=reg_item)
    order = np.lexsort((train.items, train.users))
    users, items = train.users[order], train.items[order]
    residuals = train.explicit()[order] - base.unbounded().score(users, items)
    starts = np.r_[0, np.cumsum(train.user_counts)]
    neighbours, weights = _alike(starts, items, residuals, train.n_items, n_neighbours, shrink, amplify)
    return Knn(base, neighbours, weights, starts, items, residuals, shrink, amplify, damping)


class KnnUser(NamedTuple):
    """A newcomer to :class:`Knn`: bias, the item rows they rated, and what the biases leave of those ratings."""

    bias: float
    items: np.ndarray
    residuals: np.ndarray


class KnnItem(NamedTuple):
    """A new item to :class:`Knn`: bias, the item rows it is like, and how much."""

    bias: float
    neighbours: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Knn:
    """Scores of :func:`knn`:  b_ui + Σ_j w_ij e_uj / (Σ_j w_ij + damping)  over the neighbours j that u rated.

    Attributes:
        base: the biases, K = 0.
        neighbours: (I, M) int32 item rows.
        weights: (I, M) float32 likeness, from 0 up; 0 where an item has fewer neighbours.
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

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of pairs of rows (B,), (B,) -> (B,) float32. Times are ignored; cold rows get the biases' score."""
        users, items = np.asarray(users), np.asarray(items)
        scores = self.base.unbounded().score(users, items)
        order = np.argsort(users, kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(users[order])) + 1) if len(order) else ():
            scores[at] += self._correction(*self._rated(int(users[at[0]])), items[at])
        return self.base.squash(scores)

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of every item for each user row (B,) -> (B, I) float32."""
        everything = np.arange(len(self.neighbours))
        scores = self.base.unbounded().score_all(users)
        for k, user in enumerate(users):
            scores[k] += self._correction(*self._rated(user), everything)
        return self.base.squash(scores)

    def unbounded(self) -> Knn:
        """The same without the clip: what to rank by."""
        return Knn(**{**self.__dict__, "base": self.base.unbounded()})

    def fold_in_user(self, items: np.ndarray, values: np.ndarray) -> KnnUser:
        """A new user's bias, and what it leaves of their ratings."""
        part = self.base.fold_in_user(items, values)
        return KnnUser(part.bias, items, values - self.base.unbounded().score_user(part, items))

    def fold_in_item(self, users: np.ndarray, values: np.ndarray, features: Any = None) -> KnnItem:
        """A new item's bias and its neighbours, from who rated it how."""
        part = self.base.fold_in_item(users, values)
        mine = values - self.base.unbounded().score_item(part, users)  # (n,)
        rated = [self._rated(u) for u in users]
        rows = np.concatenate([np.empty(0, np.int32), *(r for r, _ in rated)])
        theirs = np.concatenate([np.empty(0, np.float32), *(e for _, e in rated)])
        n_items = len(self.neighbours)
        dots = np.bincount(rows, theirs * np.repeat(mine, [len(r) for r, _ in rated]), n_items)
        norms = np.sqrt(np.bincount(self.items, self.residuals.astype(np.float64) ** 2, n_items))
        like = self.shrink, self.amplify
        weights = _likeness(dots, np.sqrt(dot(mine, mine)) * norms, np.bincount(rows, minlength=n_items), *like)
        return KnnItem(part.bias, *_strongest(weights[None], self.neighbours.shape[1]))

    def score_user(self, part: KnnUser, items: np.ndarray | None = None) -> np.ndarray:
        """Scores of a folded-in user for item rows (n,), all items by default -> (n,) float32."""
        rows = np.arange(len(self.neighbours)) if items is None else np.asarray(items)
        plain = self.base.unbounded().score_user(Part(part.bias, np.empty(0, np.float32)), rows)
        return self.base.squash(plain + self._correction(part.items, part.residuals, rows))

    def score_item(self, part: KnnItem, users: np.ndarray) -> np.ndarray:
        """Scores of a folded-in item for user rows (n,) -> (n,) float32."""
        scores = self.base.unbounded().score_item(Part(part.bias, np.empty(0, np.float32)), users)
        for k, user in enumerate(users):
            scores[k] += self._weighted_mean(*self._rated(user), part.neighbours, part.weights)[0]
        return self.base.squash(scores)

    def state(self) -> State:
        """What ``storage`` keeps."""
        base = self.base.state()
        own = {name: getattr(self, name) for name in ("neighbours", "weights", "starts", "items", "residuals")}
        arrays = own | {f"base.{name}": array for name, array in base.arrays.items()}
        return State("knn", arrays, {"base": base.settings} | {k: getattr(self, k) for k in _KNN_SETTINGS})

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> Knn:
        """The Knn whose :meth:`state` this is, to the bit."""
        base = {name.removeprefix("base."): a for name, a in arrays.items() if name.startswith("base.")}
        own = {name: a for name, a in arrays.items() if not name.startswith("base.")}
        return cls(
            base=Factors.from_state(base, settings["base"]),
            **own,
            **{k: settings[k] for k in _KNN_SETTINGS},
        )

    def _rated(self, user: int | np.integer) -> tuple[np.ndarray, np.ndarray]:
        """Item rows and residuals of a user's training ratings; none for a cold user."""
        if not 0 <= user < len(self.starts) - 1:
            return self.items[:0], self.residuals[:0]
        at = slice(self.starts[user], self.starts[user + 1])
        return self.items[at], self.residuals[at]

    def _correction(self, rated: np.ndarray, residuals: np.ndarray, items: np.ndarray) -> np.ndarray:
        """What neighbours add to the biases' score of item rows (n,) -> (n,) float32; 0 for cold items."""
        out = np.zeros(len(items), np.float32)
        inside = np.flatnonzero((items >= 0) & (items < len(self.neighbours)))
        step = max(1, BLOCK // max(self.neighbours.shape[1], 1))
        for start in range(0, len(inside), step):
            at = inside[start : start + step]
            rows = items[at]
            out[at] = self._weighted_mean(rated, residuals, self.neighbours[rows], self.weights[rows])
        return out

    def _weighted_mean(
        self, rated: np.ndarray, residuals: np.ndarray, neighbours: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """The damped mean of residuals over neighbours (n, M) that were rated -> (n,)."""
        known = (rated >= 0) & (rated < len(self.neighbours))
        e, has = np.zeros((2, len(self.neighbours)), np.float32)
        e[rated[known]], has[rated[known]] = residuals[known], 1
        return (weights * e[neighbours]).sum(axis=1) / ((weights * has[neighbours]).sum(axis=1) + self.damping)


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
        weights = _likeness(dots, norms[block, None] * norms, common, shrink, amplify)
        np.fill_diagonal(weights[:, start:], 0)  # an item is no neighbour of itself
        parts.append(_strongest(weights, n_neighbours))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _likeness(dots: np.ndarray, norms: np.ndarray, common: np.ndarray, shrink: float, amplify: float) -> np.ndarray:
    """Shrunk cosine to a power, negative ones as 0."""
    tiny = 1e-12
    cosine = np.maximum(dots, 0) / np.maximum(norms, tiny)
    return ((cosine * (common / np.maximum(common + shrink, tiny))) ** amplify).astype(np.float32)


def _strongest(weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n greatest of each row, by column: columns (R, n) int32 and weights (R, n) float32."""
    n = min(n, weights.shape[1])
    columns = np.sort(np.argpartition(-weights, n - 1, axis=1)[:, :n], axis=1).astype(np.int32)
    return columns, np.take_along_axis(weights, columns, axis=1)
