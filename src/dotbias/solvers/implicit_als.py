"""Implicit alternating least squares: clicks against everything that was not clicked.

    score(u, i) = p_u · q_i,   to 1 for a click and, more weakly, to 0 for every pair

(Hu, Koren & Volinsky 2008), with the weights as Rendle, Krichene, Zhang & Koren 2021 ("Revisiting the performance of
iALS on item recommendation benchmarks") tune them: a small weight of the unseen, and a ridge that grows with a row's
clicks. A pass does items, then users, so that at the end every user is the exact answer to the items: folding in a
known user returns the stored row. This module knows arrays and Ratings; the loops are ``_implicit_kernels``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl

from ..checkpoint import key_of
from ..errors import DivergedError
from ..factors import Factors
from ..feature_vectors import FeatureVectors
from ..features import Features, encode
from ..files import as_path
from ..objective import Confidence, Objective, Ridge, Side
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng, stream
from ..scorer import ties
from ..settings import Count, NotNegative, Positive, Within, checked
from . import _implicit_kernels as kernels
from ._clicks import check_clicks, check_valid, clicks_by_row, ndcg, weights_of
from ._columns import counts, frozen
from ._compile import announce_compile
from ._passes import Watch, run
from ._threads import one_thread_blas, sharing

START_SD = 0.1  # of the first factors, over √K (Rendle et al. 2021, section 4)
PARTS = 256  # of the work: many times the threads
REG = 4.0  # over √clicks
ALONE = 300_000  # clicks × factors: with fewer, one thread
CONVERGED = 1e-10  # of the squared residual, at the end
Steps = Annotated[int, Within(0, "a whole number, 0 or more")]


@checked
def implicit_als(
    train: Ratings,
    *,
    n_factors: Count = 64,
    n_epochs: Count = 12,
    unseen: Positive | None = None,
    reg: Positive | None = None,
    reg_power: NotNegative = 1.0,
    count_power: NotNegative = 0.5,
    cg_steps: Steps = 3,
    item_features: Sequence[str] = (),
    user_features: Sequence[str] = (),
    keep_best: bool = False,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
) -> Factors:
    """Fit factors to clicks by alternating least squares over all pairs, clicked or not.

    Minimises  Σ_clicks c (1 - z)² + unseen Σ_all z² + Σ_rows reg (n + unseen m)^reg_power ‖factors‖²,  z = p_u · q_i, c
    a click's weight, n the row's number of clicks and m the number of rows of the other side (Rendle et al. 2021,
    eq. 3 to 6). A pass costs some 4 · cg_steps · clicks · n_factors multiplications, however many pairs there are.

    Args:
        train: clicks, with counts or without. Of ratings: ``train.as_clicks()``.
        n_factors: K.
        n_epochs: passes; each solves every item, then every user.
        unseen: weight of a pair without a click, where a click has weight 1 (α₀ of Rendle et al.): the denser the
            clicks, the more. None: the root of the share of pairs that were clicked, 0.026 for Gowalla and 0.21 for
            ML-1M.
        reg: ridge on a row's factors, for each of its clicks, and by ``unseen`` for each row of the other side. None:
            4 / √clicks, which with the default of ``unseen`` is a ridge of about 4 beside that for each click.
        reg_power: power of the number it grows by (ν): 1 suits rows alike whatever their clicks, 0 is one ridge for
            all, times ``reg``.
        count_power: a click of count c weighs c^count_power; without counts each weighs 1.
        cg_steps: steps of conjugate gradient for each row and half pass, from the row of the pass before; 0: Cholesky,
            exact. At the end the users are solved to convergence either way.
        item_features: columns of the item table. An item's factors are then shrunk towards what its features say, each
            feature a vector of its own, instead of towards 0; an item without a click stands where they put it, and
            can be recommended (``keep_unrated=True``), and a new one is folded in with its features.
        user_features: columns of the user table, alike: newcomers get what their features say, before any click.
        keep_best: return the pass that is best on ``valid``, not the last.
        valid: clicks on which NDCG@10 of full lists is reported after every pass. They decide nothing, unless
            ``keep_best``.
        rng: draws the first factors; the same rng gives the same bits for any number of threads.
        progress: called with a :class:`~dotbias.progress.Step` after every pass: ``train`` (what is minimised, for
            each click), ``valid`` (NDCG@10) and ``seconds``. True shows a bar on stderr (lines where that is no
            terminal), None does so on a terminal only.
        checkpoint: file written after every ``checkpoint_every`` passes; if it is there, the fit goes on from it, to
            the same bits. It must be the same fit: clicks, settings, rng; ``n_epochs`` may have grown.
        checkpoint_every: in passes.

    Returns:
        Factors, scores clipped to 0..1; rows without clicks are zero. An item's bias is a millionth of its share of
        the clicks: it decides only where ranks are equal, so that a user of whom nothing is known gets what is popular.

    Warns:
        StoppedWarning: after Ctrl-C; what is fitted after the current pass is returned.

    Raises:
        DataError: no clicks, or ratings with values; no such column.
        SettingError: a setting that makes no sense, a checkpoint of another fit.
        DivergedError: if a number is no longer finite.
    """
    path = None if checkpoint is None else as_path(checkpoint)
    check_clicks(train)
    check_valid(valid, keep_best=keep_best)
    watch = Watch(lambda factors, clicks: ndcg(factors, train, clicks), higher=True)
    confidence = Confidence(unseen or root_density(train), count_power, reg_power)
    reg = reg or REG / math.sqrt(len(train))
    with announce_compile(), sharing(len(train) * n_factors, ALONE):
        columns: dict[Side, tuple[str, ...]] = {"item": tuple(item_features), "user": tuple(user_features)}
        fit = ClickAlternation(train, n_factors, confidence, reg, key_of(rng, path), n_steps=cg_steps, columns=columns)
        going = partial(run, fit, n_epochs, valid=valid, keep_best=keep_best, watch=watch)
        return going(progress=progress, path=path, every=checkpoint_every)


class ByClicks(NamedTuple):
    """Clicks by one side's row: starts (R + 1,), others (N,), weights (N,) or (0,); ridges (R,); cuts (J + 1,)."""

    starts: np.ndarray
    others: np.ndarray
    weights: np.ndarray
    ridge: np.ndarray
    cuts: np.ndarray


class ClickAlternation:
    """A fit under way; see ``_passes.Underway``. Rows are (factors, 0 ..): ``users`` (U, W), ``items`` (I, W).

    Attributes:
        objective: what is minimised.
    """

    def __init__(
        self,
        train: Ratings,
        n_factors: int,
        confidence: Confidence,
        reg: float,
        key: int,
        *,
        n_steps: int = 3,
        columns: Mapping[Side, tuple[str, ...]] | None = None,
    ):
        weights = weights_of(train, confidence.count_power)
        self.weigh(train, len(train), weights, n_factors, confidence, reg, key, n_steps)
        self.by_user: Any = self.sorted(train.users, train.items, weights, train.n_users, "user")
        self.by_item: Any = self.sorted(train.items, train.users, weights, train.n_items, "item")
        self.columns: dict[Side, tuple[str, ...]] = {side: names for side, names in (columns or {}).items() if names}
        known: dict[Side, tuple[pl.DataFrame | None, ByClicks]] = {
            "user": (train.user_table, self.by_user),
            "item": (train.item_table, self.by_item),
        }
        self.said: dict[Side, Said] = {
            s: Said(encode(known[s][0], names), known[s][1]) for s, names in self.columns.items()
        }
        self.begin(np.diff(self.by_user.starts), np.diff(self.by_item.starts))

    def weigh(
        self,
        train: Ratings,
        n: int,
        weights: np.ndarray,
        n_factors: int,
        confidence: Confidence,
        reg: float,
        key: int,
        n_steps: int,
    ) -> None:
        """The objective, of the ids of ``train``, n clicks and their weights: (N,), or (0,) where each is 1."""
        self.train, self.n_factors, self.key, self.n_steps = train, n_factors, key, n_steps
        self.clicks = n if not len(weights) else float(weights.sum(dtype=np.float64))
        power = confidence.reg_power
        regs = (_ridge(reg, power, confidence.unseen * m) for m in (train.n_items, train.n_users))
        confidence = confidence if power else confidence._replace(reg_power=1.0)
        self.objective = Objective("clicks", "identity", (0.0, 1.0), *regs, confidence=confidence)

    def begin(self, n_users: np.ndarray, n_items: np.ndarray) -> None:
        """First rows, of users (U,) and items (I,) with so many clicks."""
        counts, rng = (n_users, n_items), stream(self.key, 0)
        self.users, self.items = (first_rows(n, self.n_factors, rng) for n in counts)
        self.item_counts, self.item_ridge = n_items, ridges(self.objective, "item", n_items)

    def sorted(self, rows: np.ndarray, others: np.ndarray, weights: np.ndarray, n_rows: int, side: Side) -> ByClicks:
        """The clicks by row of a side, and what each row is shrunk by."""
        return by_clicks(rows, others, weights, n_rows, self.objective, side)

    def step(self, number: int) -> float:
        """Items given users, then users given items; what is minimised, for each click."""
        item, user = self.said.get("item"), self.said.get("user")
        prior = None if item is None else item.of(self.items)
        self.solve(self.by_item, self.items, self.users, self.n_steps, prior=prior)
        prior = None if user is None else user.of(self.users)
        cost = self.solve(self.by_user, self.users, self.items, self.n_steps, prior=prior)
        away = self.items if item is None else self.items - item.of(self.items)
        cost += float(np.einsum("rk,rk->r", away, away) @ (self.item_ridge * (self.item_counts > 0)))
        if not math.isfinite(cost):
            raise DivergedError(f"the fit left the finite numbers in pass {number + 1}.", hint="raise reg=.")
        return cost / self.clicks

    def solve(
        self,
        own: Any,
        X: np.ndarray,
        other: np.ndarray,
        n_steps: int,
        *,
        prior: np.ndarray | None = None,
        beside: np.ndarray | None = None,
        tolerance: float = 0.0,
    ) -> float:
        """Solve X (R, W) given the other side, in place; both are turned into the eigenvectors of the other's gram.

        So are ``prior`` (R, W), what X is shrunk towards, and rows ``beside`` it (F, W).

        Returns:
            Σ c (1 - z)² + unseen Σ_all z² + Σ ridge ‖X - prior‖².
        """
        assert self.objective.confidence is not None
        with one_thread_blas():
            sizes, vectors = np.linalg.eigh(kernels.gram(other))
        turned = np.ascontiguousarray(vectors[:, ::-1], np.float32)
        kernels.turn(other, turned)
        kernels.turn(X, turned)
        prior = np.empty((0, X.shape[1]), np.float32) if prior is None else prior
        kernels.turn(prior, turned)
        if beside is not None:
            kernels.turn(beside, turned)
        base = (self.objective.confidence.unseen * np.maximum(sizes[::-1], 0)).astype(np.float32)
        return float(self.half(own, X, other, base, prior, n_steps, tolerance).sum())

    def half(
        self,
        own: Any,
        X: np.ndarray,
        other: np.ndarray,
        base: np.ndarray,
        prior: np.ndarray,
        n_steps: int,
        tolerance: float,
    ) -> np.ndarray:
        """:func:`half` of all rows, in place; their costs (R,)."""
        return half(own, X, other, base, prior, n_steps, tolerance)

    def factors(self) -> Factors:
        """What is fitted so far, the users solved to convergence."""
        users, items, said = self.users.copy(), self.items.copy(), self.said
        if "item" in said:
            said["item"].place_cold(items, said["item"].of(items))
        rows: dict[Side, np.ndarray] = {"user": users, "item": items}
        vectors: dict[Side, np.ndarray] = {s: said[s].vectors(rows[s]) for s in said}
        prior = said["user"].rows_of(vectors["user"]) if "user" in said else None
        if self.n_steps or said:
            room = 3 * self.n_factors + 20
            self.solve(self.by_user, users, items, room, prior=prior, beside=vectors.get("user"), tolerance=CONVERGED)
        if prior is not None:
            said["user"].place_cold(users, prior)
        if "item" in said:
            vectors["item"] = said["item"].vectors(items)  # in the axes of the last turn
        k, biases = slice(self.n_factors), (np.zeros(len(users), np.float32), ties(self.item_counts))
        features: dict[Side, FeatureVectors] = {s: said[s].known(v[:, k]) for s, v in vectors.items()}
        return Factors(0.0, *biases, users[:, k], items[:, k], self.objective, self.train.tables, features)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that passes change."""
        return {"users": self.users, "items": self.items}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Undo :meth:`state`."""
        self.users, self.items = state["users"], state["items"]

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same."""
        fit = {"solver": "implicit_als", "n_factors": self.n_factors, "cg_steps": self.n_steps, "key": self.key}
        for side in ("item", "user"):
            fit[f"{side}_features"] = [
                *self.columns.get(side, ()),
                *(self.said[side].features.names if side in self.said else ()),
            ]
        return {**fit, "objective": self.objective.to_json(), "train": self.train.fingerprint()}


def by_clicks(
    rows: np.ndarray, others: np.ndarray, weights: np.ndarray, n_rows: int, objective: Objective, side: Side
) -> ByClicks:
    """Clicks (N,) by row of a side, and what each row is shrunk by."""
    starts, others, weights = clicks_by_row(frozen(rows), frozen(others), frozen(weights), n_rows)
    n = np.diff(starts)
    work = np.cumsum(n + 8)
    cuts = np.searchsorted(work, np.linspace(0, work[-1], PARTS + 1)[1:-1])
    return ByClicks(starts, others, weights, ridges(objective, side, n), np.concatenate([[0], cuts, [n_rows]]))


def ridges(objective: Objective, side: Side, n: np.ndarray) -> np.ndarray:
    """The ridge (R,) float32 of rows with n (R,) clicks."""
    ridge, assumed = objective.reg(side), objective.confidence
    assert assumed is not None
    return ((ridge.factors + n * ridge.factors_each) ** assumed.reg_power).astype(np.float32)


def half(
    own: ByClicks,
    X: np.ndarray,
    other: np.ndarray,
    base: np.ndarray,
    prior: np.ndarray,
    n_steps: int,
    tolerance: float,
) -> np.ndarray:
    """The half-step of some rows X (R, W), in place, given the whole other side; see ``kernels.half_step``.

    A row's bits depend on its own clicks, in their order, and on the other side: not on the rows beside it.

    Returns:
        Each row's cost (R,).
    """
    costs = np.empty(len(X))
    given = own.starts, own.others, own.weights, other, base, own.ridge, prior
    kernels.half_step(own.cuts, *given, X, costs, n_steps, tolerance)
    return costs


class Said:
    """What a side's features say of its factors: the ridge regression of the rows that have clicks on their features.

    It minimises  Σ_i ridge_i ‖q_i - Σ_f x_if w_f‖² + r Σ_f ‖w_f‖²,  r the mean of the rows' ridges: so rows and the
    features' vectors w together minimise one sum, in turn.

    Args:
        features: of the rows.
        own: their clicks and ridges.
    """

    def __init__(self, features: Features, own: ByClicks):
        from scipy.linalg import cho_factor
        from scipy.sparse import csr_matrix

        self.features, R = features, len(own.ridge)
        weights = features.weight.astype(np.float64)
        self.rows = csr_matrix((weights, features.index, features.starts), (R, max(features.n_features, 1)))
        self.clicked = np.diff(own.starts) > 0
        self.ridge = own.ridge * self.clicked
        whole = (self.rows.T @ self.rows.multiply(self.ridge[:, None])).toarray()
        with one_thread_blas():
            self.factor = cho_factor(whole + float(own.ridge.mean()) * np.eye(len(whole)))

    def vectors(self, X: np.ndarray) -> np.ndarray:
        """The features' vectors (F, W) float32, given the rows (R, W)."""
        from scipy.linalg import cho_solve

        pulled = self.rows.T @ (self.ridge[:, None] * X)
        with one_thread_blas():
            return np.ascontiguousarray(cho_solve(self.factor, pulled), np.float32)

    def rows_of(self, vectors: np.ndarray) -> np.ndarray:
        """What features of these vectors (F, W) say of all rows: (R, W) float32."""
        return np.ascontiguousarray(self.rows @ vectors, np.float32)

    def of(self, X: np.ndarray) -> np.ndarray:
        """Rows (R, W) float32 that the features of all rows say, given the rows (R, W)."""
        return self.rows_of(self.vectors(X))

    def place_cold(self, X: np.ndarray, said: np.ndarray) -> None:
        """Put rows without clicks where their features say, in place."""
        X[~self.clicked] = said[~self.clicked]

    def known(self, vectors: np.ndarray) -> FeatureVectors:
        """The vectors (F, K), with their features' names."""
        f = self.features
        return FeatureVectors(f.names, f.groups, f.scales, np.ascontiguousarray(vectors[: f.n_features]))


def root_density(train: Ratings) -> float:
    """The root of the share of pairs that were clicked, of users and items with clicks."""
    sides = (train.users, train.n_users), (train.items, train.n_items)
    users, items = (int(np.count_nonzero(counts(rows, n))) for rows, n in sides)
    return root_share(len(train), users, items)


def root_share(n: int, n_users: int, n_items: int) -> float:
    """The root of the share of pairs that n clicks are of."""
    return math.sqrt(min(1.0, n / (n_users * n_items)))


def _ridge(reg: float, power: float, more: float) -> Ridge:
    """The ridge reg (n + more)^power as Ridge has it, before that power: parts once and for each click; no bias."""
    each = reg ** (1 / power) if power else 0.0
    return Ridge(math.inf, each * more if power else reg, 0.0, each)


def first_rows(n: np.ndarray, n_factors: int, rng: np.random.Generator) -> np.ndarray:
    """Small random rows to begin with (R, W), W the next multiple of 8; zeros without clicks."""
    x = np.zeros((len(n), -(-n_factors // kernels.LANES) * kernels.LANES), np.float32)
    x[:, :n_factors] = rng.standard_normal((len(n), n_factors), np.float32)
    x *= (START_SD / math.sqrt(n_factors) * (n > 0)).astype(np.float32)[:, None]
    return x
