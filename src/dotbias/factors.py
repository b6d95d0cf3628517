"""Biases and factors: the bilinear scorer, small enough to save, serve and take apart.

    score(u, i) = link( mean + user_bias[u] + item_bias[i] + users[u] · items[i] )

This module knows rows, not ids, and numpy only. A cold row's bias and factors are zero, so its score is that of the
other side alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .errors import DataError
from .ids import Tables
from .objective import Objective, Ridge, Side
from .scorer import Account, Asks, Bilinear, Case, Explains, FoldsIn, Ranks, Scorer, State, Stored
from .shares import HalfStep, gains, known, moments, step_of

_BLOCK = 1 << 18  # pairs whose factors are gathered at once
ARRAYS = ("user_bias", "item_bias", "users", "items")
HOW = {  # how shares come about, by loss
    "squared": "each rating's share of the ridge solve for this user",
    "logistic": "each click's share of the last Newton step for this user; the rest is what was not clicked",
    "clicks": "each click's share of the ridge solve for this user",
    "pairs": "each click's share of the last Newton step for this user",
}


@dataclass(frozen=True, eq=False, repr=False)
class Factors:
    """Biases and factors of U users and I items; K may be 0 (a bias model).

    Attributes:
        mean: scalar, on the link's inner scale (for the sigmoid: before squashing).
        user_bias: (U,) float32.
        item_bias: (I,) float32.
        users: (U, K) float32.
        items: (I, K) float32.
        objective: what they minimise: loss, link and range, and what a newcomer of each side is shrunk by.
        tables: fingerprint of the id tables whose rows these are; None where nobody said.
        offers: see ``scorer``.
    """

    mean: float
    user_bias: np.ndarray
    item_bias: np.ndarray
    users: np.ndarray
    items: np.ndarray
    objective: Objective = field(default_factory=Objective)
    tables: Tables | None = None

    offers = (Scorer, Ranks, Bilinear, FoldsIn, Explains, Asks, Stored)

    def __post_init__(self) -> None:
        (n_users, k), (n_items, k2) = self.users.shape, self.items.shape
        if k != k2 or self.user_bias.shape != (n_users,) or self.item_bias.shape != (n_items,):
            shapes = [a.shape for a in (self.user_bias, self.item_bias, self.users, self.items)]
            raise DataError(f"factors of shapes {shapes} do not fit (U,), (I,), (U, K), (I, K).")
        for name in ARRAYS:
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))
        object.__setattr__(self, "mean", float(self.mean))

    def __repr__(self) -> str:
        (U, K), I = self.users.shape, len(self.items)
        return f"Factors({U:,} users, {I:,} items, {K} factors, {self.objective.link})"

    @property
    def n_factors(self) -> int:
        """K."""
        return self.users.shape[1]

    def factors(self) -> Factors:
        """Itself."""
        return self

    def squash(self, z: np.ndarray) -> np.ndarray:
        """From mean + biases + dot product to the ratings' scale: the objective's link."""
        return self.objective.squash(z)

    # Scoring and ranking ---------------------------------------------------------------------------------------

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Guesses for pairs of rows (B,), (B,) -> (B,) float32. Times are ignored."""
        return self.objective.squash(self.rank(users, items))

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Guesses of every item for each user row (B,) -> (B, I) float32."""
        return self.objective.squash(self.rank_all(users))

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Mean + biases + dot product of pairs of rows (B,), (B,) -> (B,) float32: the score before its link."""
        bu, p = gather(users, self.user_bias, self.users)  # (B,), (B, K)
        bi, q = gather(items, self.item_bias, self.items)
        return np.float32(self.mean) + bu + bi + np.einsum("bk,bk->b", p, q)

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each user row (B,) -> (B, I) float32."""
        bu, p = gather(users, self.user_bias, self.users)
        z = p @ self.items.T
        z += (np.float32(self.mean) + bu)[:, None]
        z += self.item_bias
        return z

    # Newcomers -------------------------------------------------------------------------------------------------

    def fold_in_user(
        self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> FactorsPart:
        """A new user who gave ``values`` (n,) to the item rows ``items`` (n,): the objective's half-step.

        Of clicks, the values say how often: 1 for once.

        With no ratings: zeros. Features are ignored: Factors know none.
        """
        return self._fold_in("user", items, values)

    def fold_in_item(
        self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> FactorsPart:
        """A new item to which the user rows ``users`` (n,) gave ``values`` (n,)."""
        return self._fold_in("item", users, values)

    def _fold_in(self, side: Side, rows: np.ndarray, values: np.ndarray) -> FactorsPart:
        if np.shape(rows) != np.shape(values) or np.ndim(rows) != 1:
            raise DataError(
                f"rows of shape {np.shape(rows)} and values of shape {np.shape(values)}: both must be (n,)."
            )
        if not len(rows):
            return FactorsPart(self, side, 0.0, np.zeros(self.n_factors, np.float32))
        offset, factors, values, more = self._told(side, rows, values)
        x = self.objective.half_step(offset, factors, values, side=side, **more)
        return FactorsPart(self, side, float(x[0]), x[1:].astype(np.float32))

    def _told(
        self, side: Side, rows: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """What a half-step takes: offset, the other side's factors, values; weights, gram and count where needed."""
        whose: Side = "item" if side == "user" else "user"
        others = self.side(whose)
        more: dict[str, Any] = {}
        if self.objective.negatives:
            rows, values, more = _clicked(rows, len(others[0]), self.objective.negatives)
        elif self.objective.confidence is not None:
            more = {"gram": self._grams[whose]}
        bias, factors = gather(rows, *others)  # (n,), (n, K)
        return self.mean + bias.astype(np.float64), factors, values, more

    # Reasons ---------------------------------------------------------------------------------------------------

    def explain(self, case: Case) -> Account:
        """Mean, biases and dot product, and each rating's share of the user's half-step (see ``shares``).

        A user's row that is not quite the half-step's answer, as gradient fits leave it, differs from their sum.
        """
        bi, q = (x[0] for x in gather(np.array([case.item]), self.item_bias, self.items))
        if case.user is None:
            part = self.fold_in_user(case.items, case.values)
            bu, p = part.bias, part.factors
        else:
            bu, p = (x[0] for x in gather(np.array([case.user]), self.user_bias, self.users))
        parts = [("mean", self.mean), ("user bias", float(bu)), ("item bias", float(bi))]
        if self.n_factors:
            parts.append(("factors", float(p.astype(np.float64) @ q)))
        shares = self._step(case.items, case.values).added @ np.r_[1.0, q]
        if self.objective.negatives:
            shares = shares[np.searchsorted(np.union1d(case.items, np.arange(len(self.items))), case.items)]
        return Account(tuple(parts), float(bu) + float(p.astype(np.float64) @ q), shares, HOW[self.objective.loss])

    def gains(
        self, told: tuple[np.ndarray, np.ndarray], items: np.ndarray, weights: np.ndarray, noise: float
    ) -> np.ndarray:
        """The expected share of the variance of all scores that a rating of each item would take away (see ``shares``).

        What is known of a newcomer before they say anything is how users differ (``spread``); of clicks, the ridge.

        Args:
            told: item rows (n,) and their ratings (n,).
            items: (m,) item rows that may be asked for.
            weights: (I,) how much it matters to know what the user would give each item.
            noise: variance of a rating around its score.
        """
        step, (bias, factors) = self._step(*told), gather(np.asarray(items), self.item_bias, self.items)
        squared = self.objective.loss == "squared"
        covariance = known(step.information, self.spread, noise) if squared else step.covariance
        asked, one = np.c_[np.ones(len(factors)), factors].astype(np.float64), np.ones(len(factors))
        if self.objective.link == "identity":
            return gains(covariance, asked, self._moments(weights), one)
        z = self.mean + bias + asked @ step.x
        slope = self.objective.slope(self.mean + step.x[0] + self.item_bias + self.items @ step.x[1:])
        information = self.objective.bend(z, self.objective.squash(z), one)[1]
        return gains(covariance, asked, moments(self.items, weights * slope**2), information)

    @cached_property
    def spread(self) -> np.ndarray:
        """How users differ: the covariance of their bias and factors, bias first, (1 + K, 1 + K) float64."""
        rows = np.c_[self.user_bias, self.users].astype(np.float64)
        rows = rows[rows.any(1)]  # cold ones are zero
        return np.cov(rows.T, bias=True).reshape((1 + self.n_factors,) * 2) if len(rows) > 1 else np.eye(rows.shape[1])

    def _moments(self, weights: np.ndarray) -> np.ndarray:
        """``shares.moments`` of the items, kept for the weights that were asked for last."""
        key = weights.tobytes()
        found = self._kept.get(key)
        if found is None:
            found = moments(self.items, weights)
            self._kept.clear()
            self._kept[key] = found
        return found

    @cached_property
    def _kept(self) -> dict[bytes, np.ndarray]:
        return {}

    def _step(self, rows: np.ndarray, values: np.ndarray) -> HalfStep:
        """A user's half-step."""
        offset, factors, values, more = self._told("user", rows, values)
        return step_of(self.objective, offset, factors, values, **more)

    @cached_property
    def _grams(self) -> dict[Side, np.ndarray]:
        """Of each side, the sum over its rows of q qᵀ (K, K), for newcomers among clicks."""
        return {"user": _gram(self.users), "item": _gram(self.items)}

    def side(self, side: Side) -> tuple[np.ndarray, np.ndarray]:
        """Bias (R,) and factors (R, K) of one side."""
        return (self.user_bias, self.users) if side == "user" else (self.item_bias, self.items)

    # On disk ---------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """What ``storage`` keeps."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return State("factors", arrays, {"mean": self.mean, **self.objective.to_json()})

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None = None
    ) -> Factors:
        """The Factors whose :meth:`state` this is, to the bit."""
        parts = {name: arrays[name] for name in ARRAYS}
        return cls(mean=settings["mean"], **parts, objective=Objective.from_json(settings), tables=tables)


@dataclass(frozen=True, eq=False)
class FactorsPart:
    """A newcomer to Factors.

    Attributes:
        of: the factors it was folded into.
        side: "user" or "item".
        bias: the newcomer's.
        factors: (K,) the newcomer's.
    """

    of: Factors
    side: Side
    bias: float
    factors: np.ndarray

    offers = ()

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Guesses for rows of the other side (n,), all by default -> (n,) float32."""
        return self.of.objective.squash(self.rank(others))

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """Mean + biases + dot products (n,) float32."""
        bias, factors = self.of.side("item" if self.side == "user" else "user")
        if others is not None:
            bias, factors = gather(others, bias, factors)
        return (self.of.mean + self.bias + bias + factors @ self.factors).astype(np.float32)


def gather(rows: np.ndarray, bias: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bias (B,) and factors (B, K) of rows (B,); zeros where a row lies outside the table."""
    rows = np.asarray(rows)
    known = (rows >= 0) & (rows < len(bias))
    if known.all():
        return bias[rows], factors[rows]
    safe = np.where(known, rows, 0)
    if not len(bias):
        return np.zeros(len(rows), np.float32), np.zeros((len(rows), factors.shape[1]), np.float32)
    return np.where(known, bias[safe], np.float32(0)), np.where(known[:, None], factors[safe], np.float32(0))


def _gram(factors: np.ndarray) -> np.ndarray:
    """Σ q qᵀ over rows (R, K): (K, K) float64, by blocks."""
    blocks = (factors[k : k + 8192].astype(np.float64) for k in range(0, len(factors), 8192))
    return sum((q.T @ q for q in blocks), np.zeros((factors.shape[1],) * 2))


def _clicked(rows: np.ndarray, n_rows: int, negatives: float) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Clicks on ``rows`` (n,) as values of all rows of the other side, and their weights.

    In expectation the fit saw ``negatives`` rows that were not clicked for each click, drawn from all of them alike.
    """
    every = np.union1d(rows, np.arange(n_rows))  # rows past the end of the table are nobody's, and zero
    clicked = np.isin(every, rows)
    n, rest = int(clicked.sum()), int((~clicked).sum())
    weights = np.where(clicked, 1.0, negatives * n / max(rest, 1))
    return every, clicked.astype(np.float32), {"weights": weights, "count": (1 + negatives) * n}


def implied_ridge(factors: Factors, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> Factors:
    """The same factors, with the ridge that their fit amounted to in their objective.

    Gradient fits decay weights by a rule of their own; what ridge would a newcomer need to be treated alike? At a
    minimum of Σ e² + λ Σ_u n_u ‖p_u‖² every user row has  Σ_j e_j f'_j q_j = λ n_u p_u  (n_u = 1 for a ridge that does
    not grow with the count). Least squares over all rows gives λ, for the biases and for the factors apart; of the two
    forms, the one that explains more is kept. Items alike.

    Args:
        factors: fitted.
        users: (N,) the user rows it was fitted to.
        items: (N,) their item rows.
        values: (N,) their ratings.
    """
    parts = [slice(k, k + _BLOCK) for k in range(0, len(users), _BLOCK)]
    z = np.concatenate([factors.rank(users[part], items[part]) for part in parts] or [np.zeros(0, np.float32)])
    pull = factors.objective.pull(z, values)
    regs = {
        "user_reg": _implied(pull, users, items, factors.user_bias, factors.users, factors.items),
        "item_reg": _implied(pull, items, users, factors.item_bias, factors.items, factors.users),
    }
    return replace(factors, objective=replace(factors.objective, **regs))


def _implied(
    pull: np.ndarray, rows: np.ndarray, others: np.ndarray, bias: np.ndarray, own: np.ndarray, other: np.ndarray
) -> Ridge:
    """One side's ridge: rows (N,) into ``bias`` (R,) and ``own`` (R, K), others (N,) into ``other``."""
    n = np.bincount(rows, minlength=len(bias)).astype(np.float64)  # (R,)
    bias_pull = np.bincount(rows, pull, minlength=len(bias))
    columns = [np.bincount(rows, pull * other[others, k], minlength=len(bias)) for k in range(own.shape[1])]
    factor_pull = np.stack(columns, 1) if columns else own
    forms: list[tuple[float, Ridge]] = []
    for each in (True, False):
        scale = n if each else np.ones_like(n)
        b, b_left = _slope(scale * bias, bias_pull)
        k, k_left = _slope(scale[:, None] * own, factor_pull)
        forms.append((b_left + k_left, Ridge(0.0, 0.0, b, k) if each else Ridge(b, k)))
    return min(forms, key=lambda form: form[0])[1]


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(λ, unexplained share) of the least-squares line y = λ x through the origin; λ is at least 0.001."""
    xx, xy, yy = float((x * x).sum()), float((x * y).sum()), float((y * y).sum())
    slope = max(xy / xx, 1e-3) if xx > 0 else 1.0
    return slope, (yy - 2 * slope * xy + slope**2 * xx) / yy if yy > 0 else 0.0
