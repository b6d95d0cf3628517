"""Embeddings along few axes: PCA of the items, the course's transposed reading, and a canonical form of both sides.

A fit determines factors only up to a rotation: turn users and items alike, and no prediction changes. So the factors
themselves mean nothing; the components below do, and are the same for any rotation. Each one's sign is free, too; here
the item with the largest number (in absolute value) on a component is on its positive side. Two components of nearly
the same strength may still mix or change places between fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import SettingError, check_positive
from ..factors import Factors
from ..ratings import Ratings
from .listing import Half, factors_of, half

if TYPE_CHECKING:
    import polars as pl

MOST_RATED = 3000  # as the course does


@dataclass(frozen=True, eq=False)
class Components:
    """M items along n components.

    Attributes:
        reading: "items" (PCA over items) or "transposed" (the course's).
        ids: M ids, most rated first.
        titles: M titles, or None each.
        counts: M numbers of ratings.
        scores: (M, n) float64, each item's place on each component.
        shares: n shares of the variance, of all that the reading sees.
        n_rated: how many items have ratings: M, unless only the most rated were looked at; None: not said.
    """

    reading: str
    ids: tuple[int | str, ...]
    titles: tuple[str | None, ...]
    counts: tuple[int, ...]
    scores: np.ndarray
    shares: tuple[float, ...]
    n_rated: int | None = None

    def about(self) -> str:
        """Which items these are: ``all 1,650 rated items``, or ``the 3,000 most rated items``."""
        which = "all {:,} rated items" if len(self.ids) == self.n_rated else "the {:,} most rated items"
        return which.format(len(self.ids))

    def to_frame(self) -> pl.DataFrame:
        """A polars frame: id, title, count, component_1 …"""
        import polars as pl

        columns = {f"component_{k + 1}": x for k, x in enumerate(self.scores.T)}
        return pl.DataFrame({"id": self.ids, "title": self.titles, "count": self.counts, **columns})

    def ends(self, component: int = 1, n: int = 5) -> tuple[list[str], list[str]]:
        """The names (title, else id) of the n items farthest up and the n farthest down a component, counted from 1."""
        if not 1 <= component <= self.scores.shape[1]:
            raise SettingError(f"component is {component}.", hint=f"from 1 to {self.scores.shape[1]}.")
        order = np.argsort(-self.scores[:, component - 1], kind="stable")
        names = [t or str(i) for t, i in zip(self.titles, self.ids, strict=True)]
        return [names[k] for k in order[:n]], [names[k] for k in order[::-1][:n]]


def components(scorer: Any, train: Ratings, *, n: int = 3, most_rated: int = MOST_RATED) -> Components:
    """PCA of the item embeddings, centred over items: the axes along which items differ most from one another.

    A row is an item, a column a factor; ``sklearn.decomposition.PCA(n).fit_transform(items)`` but for signs. Does not
    depend on how the fit happened to rotate its factors. Places are in units of the embeddings.

    Args:
        scorer: anything with ``factors()``.
        train: what it was fitted on.
        n: number of components.
        most_rated: only the items with most ratings, at most so many (ties by row): few ratings, mostly chance.

    Raises:
        SettingError: for a scorer without factors, or more components than there are factors or items.
    """
    side, rows = _chosen(scorer, train, n, most_rated)
    x = side.factors[rows].astype(np.float64)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return _components("items", side, rows, u[:, :n] * s[:n], s[:n] ** 2 / max(float(s @ s), 1e-300))


def course_components(scorer: Any, train: Ratings, *, n: int = 3, most_rated: int = MOST_RATED) -> Components:
    """The course's reading: ``PCA(n).fit(items.T).components_``, but for signs. Every *factor* is a sample here.

    It differs from :func:`components` in three ways. It is centred per item over the K factors, not per factor over the
    items, so what all items share stays in, and the first component mostly says how long an item's vector is along
    that; it depends on how the fit happened to rotate its factors (the mean over factors does); and each component is a
    unit vector over the items, so places are small (about 1/√M) and do not show a component's strength.

    Arguments and errors as in :func:`components`.
    """
    side, rows = _chosen(scorer, train, n, most_rated)
    x = side.factors[rows].astype(np.float64).T  # (K, M)
    _, s, vt = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return _components("transposed", side, rows, vt[:n].T, s[:n] ** 2 / max(float(s @ s), 1e-300))


def _chosen(scorer: Any, train: Ratings, n: int, most_rated: int) -> tuple[Half, np.ndarray]:
    """The item side and the rows of the most rated items, most rated first."""
    check_positive(n=n, most_rated=most_rated)
    side = half(factors_of(scorer, train, need_factors=True), train, "item")
    rows = np.argsort(-side.counts, kind="stable")[:most_rated]
    rows = rows[side.counts[rows] > 0]
    limit = min(len(rows), side.factors.shape[1])
    if n > limit:
        raise SettingError(
            f"{n} components of {side.factors.shape[1]} factors of {len(rows)} items.", hint=f"at most n={limit}."
        )
    return side, rows


def _components(reading: str, side: Half, rows: np.ndarray, scores: np.ndarray, shares: np.ndarray) -> Components:
    titles, counts = tuple(side.titles[r] for r in rows), tuple(side.counts[rows].tolist())
    places, n_rated = scores * signs(scores), int((side.counts > 0).sum())
    return Components(reading, tuple(side.ids.take(rows)), titles, counts, places, tuple(shares.tolist()), n_rated)


def signs(scores: np.ndarray) -> np.ndarray:
    """±1 per column of (M, n), so that its largest absolute value (the first of equals) is positive: (n,)."""
    if not len(scores):
        return np.ones(scores.shape[1])
    size = np.abs(scores)
    largest = (size >= size.max(axis=0) * (1 - 1e-9)).argmax(axis=0)  # (n,)
    return np.where(scores[largest, np.arange(scores.shape[1])] < 0, -1.0, 1.0)


# Both sides ----------------------------------------------------------------------------------------------------


class Canonical(NamedTuple):
    """The same predictions, in the one form that does not depend on how the factors were turned, shifted or scaled.

    Attributes:
        mean: what the average user gives the average item, on the inner scale.
        user_bias: (U,) float64, zero on average over rated rows; ``item_bias`` (I,).
        users: (U, C) float64; ``items`` (I, C), strongest component first, both sides of one size on each.
        shares: (C,) each component's share of the variance of taste (users · items), over all pairs of rated rows.
    """

    mean: float
    user_bias: np.ndarray
    item_bias: np.ndarray
    users: np.ndarray
    items: np.ndarray
    shares: np.ndarray


def canonical(factors: Factors, train: Ratings) -> Canonical:
    """Factors in canonical form: both sides centred over their rated rows, then the SVD of users · itemsᵀ.

    What centring takes off goes to the biases, and theirs to the mean, so that the sum stays exactly what it was:
    p·q = (p - p̄)·(q - q̄) + p̄·q + q̄·p - p̄·q̄. The SVD comes from two small QR factors, without a U × I matrix.
    C is the rank, at most K.
    """
    side = half(factors, train, "item")
    seen_users, seen_items = side.other_counts > 0, side.counts > 0
    p, q = factors.users.astype(np.float64), factors.items.astype(np.float64)
    p_mean, q_mean = (
        x[seen].mean(axis=0) if seen.any() else x[:0].sum(axis=0) for x, seen in ((p, seen_users), (q, seen_items))
    )
    user_bias, item_bias = factors.user_bias + p @ q_mean, factors.item_bias + q @ p_mean
    levels = [
        float(b[seen].mean()) if seen.any() else 0.0 for b, seen in ((user_bias, seen_users), (item_bias, seen_items))
    ]
    mean = factors.mean - float(p_mean @ q_mean) + sum(levels)
    users, items, shares = _turned(p - p_mean, q - q_mean, seen_users, seen_items)
    return Canonical(mean, user_bias - levels[0], item_bias - levels[1], users, items, shares)


def _turned(
    p: np.ndarray, q: np.ndarray, seen_users: np.ndarray, seen_items: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centred factors (U, K), (I, K) -> (U, C), (I, C) along the singular vectors, and their shares (C,).

    With p = A a and q = B b (QR), p qᵀ = A (a bᵀ) Bᵀ, and for a bᵀ = L S Rᵀ the left vectors times S are p bᵀ R.
    """
    if not (seen_users.any() and seen_items.any() and p.shape[1]):
        return p[:, :0], q[:, :0], np.zeros(0)
    a, b = np.linalg.qr(p[seen_users])[1], np.linalg.qr(q[seen_items])[1]
    left, s, right = np.linalg.svd(a @ b.T)
    c = int((s > 1e-10 * max(s[0], 1e-300)).sum())
    root = np.sqrt(s[:c])
    balance = (seen_users.sum() / seen_items.sum()) ** 0.25
    users = p @ (b.T @ right[:c].T) / root * balance
    items = q @ (a.T @ left[:, :c]) / root / balance
    sign = signs(items[seen_items])
    return users * sign, items * sign, s[:c] ** 2 / (s @ s if s.any() else 1.0)
