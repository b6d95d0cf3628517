"""What a fit minimised: a loss, a link, and a ridge for each side. It owns the half-step, and so the fold-in.

    Σ_r w_r ℓ(y_r, link(z_r)) + Σ_rows ridge,        z = mean + b_u + b_i + p_u · q_i

and of clicks, every pair counts:  Σ_clicks count^a (1 - z)² + unseen Σ_all z² + Σ_rows ridge,  z = p_u · q_i.

One row's best (bias, factors), given the other side's, is the *half-step*: alternating solvers do it in bulk, fold-in
does it for one newcomer, and tests hold both against :meth:`Objective.half_step`. This module knows arrays only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from .errors import SettingError

Link = Literal["identity", "sigmoid"]
Loss = Literal["squared", "logistic", "clicks", "pairs"]
Side = Literal["user", "item"]
Quadratic = tuple[float, np.ndarray, np.ndarray]  # cost, its gradient's pull (n,) and its curvature (n,), by rating
MOST_PAIRS = 1 << 20  # of a click and an item not clicked, in one half-step


class Ridge(NamedTuple):
    """What a row is shrunk by, in units of the *summed* loss (not halved, not averaged).

    Attributes:
        bias: weight of bias², once.
        factors: weight of ‖factors‖², once.
        bias_each: weight of bias² for each of the row's ratings, on top.
        factors_each: weight of ‖factors‖² for each of them, on top.
    """

    bias: float
    factors: float
    bias_each: float = 0.0
    factors_each: float = 0.0

    def diagonal(self, n_factors: int, count: float) -> np.ndarray:
        """The penalty's diagonal, bias first: (1 + K,) float64, for a row with ``count`` ratings."""
        bias, factors = self.bias + count * self.bias_each, self.factors + count * self.factors_each
        return np.r_[bias, np.full(n_factors, factors)].astype(np.float64)

    def rescaled(self, spread: float) -> Ridge:
        """The ridge on the ratings' scale, of one that was given for ratings divided by ``spread``.

        Biases are multiplied by the spread, both sides' factors by its root, and the summed squared error by its
        square; so a bias' weight stays and a factor's is multiplied by the spread.
        """
        return Ridge(self.bias, self.factors * spread, self.bias_each, self.factors_each * spread)


class Confidence(NamedTuple):
    """How clicks, and pairs without one, are weighed (Hu, Koren & Volinsky 2008; Rendle et al. 2021, eq. 3).

    Attributes:
        unseen: weight of z² for every pair of a user and an item, clicked or not.
        count_power: a click of a count c weighs c^count_power; 0: each weighs 1.
        reg_power: to which the ridge on a row's factors, made of both its parts, is raised.
    """

    unseen: float = 0.1
    count_power: float = 0.0
    reg_power: float = 1.0


@dataclass(frozen=True)
class Objective:
    """Loss, link and ridges of a bilinear model.

    Attributes:
        loss: "squared": (y - f)². "logistic": cross entropy of the sigmoid, for y scaled to 0..1 by ``y_range``.
            "clicks": squared, to 1 for each click and to 0 for every pair, as ``confidence`` weighs them.
            "pairs": -ln σ(z_ui - z_uj) of each click i and the mean item j that u did not click (Rendle et al. 2009);
            of an item, whose clicks are no pairs among its users, the logistic loss.
        link: from z to a score f: "identity" (clipped to ``y_range``) or "sigmoid" (``y_range`` are its asymptotes).
        y_range: (low, high) on the ratings' scale.
        user_reg: what a user is shrunk by.
        item_reg: what an item is shrunk by.
        confidence: the weights of "clicks"; other losses have none.
        negatives: of clicks (1): how many pairs that are not clicked (0) were drawn for each; 0 for ratings.
    """

    loss: Loss = "squared"
    link: Link = "identity"
    y_range: tuple[float, float] = (-np.inf, np.inf)
    user_reg: Ridge = Ridge(1.0, 1.0)
    item_reg: Ridge = Ridge(1.0, 1.0)
    confidence: Confidence | None = field(default=None, kw_only=True)
    negatives: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        for name, value, known in (
            ("link", self.link, ("identity", "sigmoid")),
            ("loss", self.loss, ("squared", "logistic", "clicks", "pairs")),
        ):
            if value not in known:
                raise SettingError(f"{name} is {value!r}.", hint=" or ".join(map(repr, known)))
        low, high = map(float, self.y_range)  # a np.float64 here would turn float32 scores into float64
        if not low < high:
            raise SettingError(f"y_range is {self.y_range}.", hint="its first number must be below its second.")
        odds = self.loss in ("logistic", "pairs")
        if (self.link == "sigmoid" or odds) and not np.isfinite(high - low):
            raise SettingError(f"a sigmoid has no range from {low} to {high}.", hint="y_range=(0, 1), say.")
        if odds and self.link != "sigmoid":
            raise SettingError(f"the loss {self.loss!r} needs the sigmoid.", hint="link='sigmoid'.")
        if (self.loss == "clicks") != (self.confidence is not None):
            raise SettingError(f"the loss {self.loss!r} and confidence={self.confidence}.", hint="clicks have one.")
        if self.loss == "clicks" and self.link != "identity":
            raise SettingError("the loss of clicks is squared, without a sigmoid.", hint="link='identity'.")
        object.__setattr__(self, "y_range", (low, high))

    def squash(self, z: np.ndarray) -> np.ndarray:
        """From z to scores: clipped (identity), or low + (high - low)·σ(z) (sigmoid)."""
        low, high = self.y_range
        if self.link == "identity":
            return np.clip(z, low, high)
        return (low + (high - low) * sigmoid(z)).astype(z.dtype)

    def reg(self, side: Side) -> Ridge:
        """The ridge of a side's rows."""
        return self.user_reg if side == "user" else self.item_reg

    def half_step(
        self,
        offset: np.ndarray,
        other: np.ndarray,
        values: np.ndarray,
        *,
        side: Side = "user",
        weights: np.ndarray | None = None,
        gram: np.ndarray | None = None,
        count: float | None = None,
    ) -> np.ndarray:
        """One row's best (bias, factors), given the other side's.

        Minimises  Σ_j w_j ℓ(values_j, f(offset_j + b + p · other_j)) + Σ_k ridge_k (b, p)_k²  over x = (b, p): one
        ridge solve for squares and the identity (Hu, Koren & Volinsky 2008, eq. 4), damped Gauss-Newton for squares
        and the sigmoid, damped Newton for the logistic loss; both start at zero (Nocedal & Wright 2006, § 10.3, 3.3).

        Args:
            offset: (n,) mean plus the other side's biases.
            other: (n, K) the other side's factors.
            values: (n,) ratings; of clicks, how often each.
            side: whose row it is.
            weights: (n,) confidence of each rating; by default 1. The ridge for each rating does not count them.
            gram: (K, K) the sum of q qᵀ over all rows of the other side, which only the loss "clicks" needs.
            count: of how many ratings the ridge for each is; by default n.

        Returns:
            (1 + K,) float64, bias first.

        Raises:
            SettingError: for clicks without ``gram``.
        """
        if self.confidence is not None:
            if gram is None:
                raise SettingError("a half-step of clicks needs the other side's gram.", hint="gram=q.T @ q.")
            return self._of_clicks(np.asarray(other, np.float64), np.asarray(values, np.float64), side, gram)
        a = np.c_[np.ones(len(other)), other].astype(np.float64)  # (n, 1 + K)
        penalty = self.reg(side).diagonal(other.shape[1], len(other) if count is None else count)
        w = np.ones(len(other)) if weights is None else np.asarray(weights, np.float64)
        offset, values = np.asarray(offset, np.float64), np.asarray(values, np.float64)
        if self.link == "identity":
            return _ridge(a, values - offset, penalty, w)
        if self.loss == "pairs" and side == "user":
            return _pairs(a, offset, values > 0, penalty)
        return _newton(a, penalty, lambda x: self._expand(offset + a @ x, values, w))

    def penalty(self, side: Side, n_factors: int, count: float) -> np.ndarray:
        """The ridge's diagonal, bias first: (1 + K,) float64, for a row with ``count`` ratings or clicks."""
        diagonal = self.reg(side).diagonal(n_factors, count)
        return diagonal if self.confidence is None else diagonal**self.confidence.reg_power

    def _of_clicks(self, other: np.ndarray, counts: np.ndarray, side: Side, gram: np.ndarray) -> np.ndarray:
        """Factors of a row that clicked others (n, K) so often (n,): one solve (Hu et al. 2008, eq. 4); no bias."""
        assert self.confidence is not None
        w = counts**self.confidence.count_power
        ridge = self.penalty(side, other.shape[1], len(other))[1:]
        h = (other.T * w) @ other + self.confidence.unseen * gram + np.diag(ridge)
        return np.r_[0.0, np.linalg.solve(h, other.T @ w)]

    def pull(self, z: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Half the downhill gradient of each rating's loss in z: (n,), (n,) -> (n,) float64."""
        if self.link == "identity":
            return values.astype(np.float64) - z
        return self._expand(z.astype(np.float64), values.astype(np.float64), np.ones(len(z)))[1]

    def bend(self, z: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half the downhill gradient of each rating's weighted loss in z, and half its curvature: (n,) float64 each."""
        if self.link == "identity":
            return weights * (values - z), weights
        return self._expand(z, values, weights)[1:]

    def slope(self, z: np.ndarray) -> np.ndarray:
        """How steeply scores rise with z, of any shape: 1, or the sigmoid's slope."""
        if self.link == "identity":
            return np.ones_like(z)
        low, high = self.y_range
        s = sigmoid(z)
        return (high - low) * s * (1 - s)

    def _expand(self, z: np.ndarray, values: np.ndarray, w: np.ndarray) -> Quadratic:
        """Under a sigmoid: the summed loss, half its downhill gradient in z, half its curvature (n,)."""
        low, high = self.y_range
        s = sigmoid(z)
        if self.loss in ("logistic", "pairs"):
            t = (values - low) / (high - low)
            cost = float(w @ (np.logaddexp(0.0, z) - t * z))  # -t ln s - (1 - t) ln(1 - s)
            return cost, w * (t - s) / 2, w * s * (1 - s) / 2
        slope = (high - low) * s * (1 - s)
        e = values - (low + (high - low) * s)
        return float(w @ e**2), w * e * slope, w * slope**2

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it: None stands for infinity."""
        regs = {
            f"{side}_reg": {k: _finite(v) for k, v in self.reg(side)._asdict().items()} for side in ("user", "item")
        }
        own = {"negatives": self.negatives} if self.negatives else {}
        own |= {} if self.confidence is None else {"confidence": self.confidence._asdict()}
        return {"loss": self.loss, "link": self.link, "y_range": list(map(_finite, self.y_range)), **regs, **own}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Objective:
        """Undo :meth:`to_json`; also of version 0.1, which kept ``reg`` and ``item_reg`` (None: as ``reg``)."""
        low, high = state["y_range"]
        user = state.get("user_reg") or state["reg"]
        ridges = (
            Ridge(**{k: np.inf if v is None else v for k, v in r.items()}) for r in (user, state["item_reg"] or user)
        )
        y_range = (-np.inf if low is None else low, np.inf if high is None else high)
        loss, negatives = state.get("loss", "squared"), state.get("negatives", 0.0)
        confidence = Confidence(**state["confidence"]) if "confidence" in state else None
        return cls(loss, state["link"], y_range, *ridges, negatives=negatives, confidence=confidence)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), without overflow at either end; keeps the floating type."""
    return 0.5 * (1 + np.tanh(0.5 * z))


def _ridge(a: np.ndarray, y: np.ndarray, penalty: np.ndarray, w: np.ndarray) -> np.ndarray:
    """argmin Σ w (y - a x)² + Σ penalty x²: (1 + K,)."""
    held = np.isinf(penalty)  # an infinite penalty holds its coefficient at zero
    if held.any():
        x = np.zeros(len(penalty))
        x[~held] = _ridge(a[:, ~held], y, penalty[~held], w)
        return x
    h, g = (a.T * w) @ a + np.diag(penalty), a.T @ (w * y)
    try:
        return np.linalg.solve(h, g)
    except np.linalg.LinAlgError:  # a zero penalty and too few ratings: the least-norm solution
        return np.linalg.lstsq(h, g, rcond=None)[0]


def _newton(
    a: np.ndarray, penalty: np.ndarray, expand: Callable[[np.ndarray], Quadratic], *, n_steps: int = 50
) -> np.ndarray:
    """argmin of a smooth loss plus Σ penalty x², by Levenberg-Marquardt steps from zero: (1 + K,)."""
    held = np.isinf(penalty)
    a, penalty = np.where(held, 0.0, a), np.where(held, 1.0, penalty)
    x, damping = np.zeros(a.shape[1]), 1e-3
    cost, pull, bend = expand(x)
    for _ in range(n_steps):
        h, g = (a.T * bend) @ a + np.diag(penalty), a.T @ pull - penalty * x
        step = np.linalg.solve(h + damping * np.diag(np.diag(h) + 1e-12), g)
        new = expand(x + step)
        before, after = cost + penalty @ x**2, new[0] + penalty @ (x + step) ** 2
        if after <= before:
            x, (cost, pull, bend), damping = x + step, new, damping / 10
            if before - after <= 1e-12 * before:
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    return x


def _pairs(a: np.ndarray, offset: np.ndarray, clicked: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """argmin Σ_i mean_j softplus(-(z_i - z_j)) + Σ penalty x², z = offset + a x, i clicked, j not: (1 + K,).

    A constant cancels, so the bias is 0. Of very many pairs, every k-th j stands for all.
    """
    positive, others = np.flatnonzero(clicked), np.flatnonzero(~clicked)
    if not len(positive) or not len(others):
        return np.zeros(len(penalty))
    others = others[:: -(-len(positive) * len(others) // MOST_PAIRS)]
    own: np.ndarray = a[positive, 1:]  # (n, K)
    other: np.ndarray = a[others, 1:]  # (m, K)
    gap: np.ndarray = offset[positive][:, None] - offset[others]
    ridge: np.ndarray = penalty[1:]

    def expand(x: np.ndarray) -> tuple[float, np.ndarray]:
        z = gap + (own @ x)[:, None] - other @ x  # (n, m)
        return float(np.logaddexp(0.0, -z).sum()) / len(others) + float(ridge @ x**2), sigmoid(-z)

    x, damping = np.zeros(len(ridge)), 1e-3
    cost, s = expand(x)
    for _ in range(50):
        half, bend = s / (2 * len(others)), s * (1 - s) / (2 * len(others))  # of gradient and curvature, as the ridge
        pulled: np.ndarray = half.sum(1)
        pushed: np.ndarray = half.sum(0)
        bent: np.ndarray = bend.sum(1)
        bent_back: np.ndarray = bend.sum(0)
        cross, g = own.T @ bend @ other, own.T @ pulled - other.T @ pushed - ridge * x
        h = (own.T * bent) @ own + (other.T * bent_back) @ other - cross - cross.T + np.diag(ridge)
        step = np.linalg.solve(h + damping * np.diag(np.diag(h) + 1e-12), g)
        after, new = expand(x + step)
        if after > cost:
            damping *= 10
            if damping > 1e12:
                break
            continue
        small = cost - after <= 1e-10 * cost
        x, cost, s, damping = x + step, after, new, damping / 10
        if small:
            break
    return np.r_[0.0, x]


def _finite(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
