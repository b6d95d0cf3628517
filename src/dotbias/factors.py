"""The waist: every fitter ends here, everything after reads only this.

A *scorer* guesses ratings for rows; ``Factors`` is the bilinear one,

    score(u, i) = link( mean + user_bias[u] + item_bias[i] + users[u] · items[i] ),

small enough to save, serve and take apart. This module knows rows, not ids, and numpy only.

A row that a scorer has never seen (negative, or at or past the end of its table) is *cold*: its bias and factors are
zero, so its score is that of the other side alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from .errors import DataError, SettingError

Link = Literal["identity", "sigmoid"]


@runtime_checkable
class Scorer(Protocol):
    """Anything that guesses ratings: numpy in, numpy out, rows for ids."""

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of pairs of rows: users (B,), items (B,), times (B,) in seconds UTC or None -> (B,) float32."""
        ...

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of every item for each of the user rows (B,) -> (B, I) float32."""
        ...


@runtime_checkable
class FoldsIn(Protocol):
    """A scorer that takes newcomers without refitting. A *part* is what it learns of one; only it can read it."""

    def fold_in_user(self, items: np.ndarray, values: np.ndarray) -> Any:
        """The part of a new user who gave ``values`` (n,) to the item rows ``items`` (n,)."""
        ...

    def fold_in_item(self, users: np.ndarray, values: np.ndarray, features: Any = None) -> Any:
        """The part of a new item to which the user rows ``users`` (n,) gave ``values`` (n,)."""
        ...

    def score_user(self, part: Any, items: np.ndarray | None = None) -> np.ndarray:
        """Scores of a folded-in user for item rows (n,), all items by default."""
        ...

    def score_item(self, part: Any, users: np.ndarray) -> np.ndarray:
        """Scores of a folded-in item for user rows (n,)."""
        ...


class Ridge(NamedTuple):
    """What a newcomer is shrunk by, in units of the *summed* squared error (not halved, not averaged).

    Attributes:
        bias: weight of bias², once.
        factors: weight of ‖factors‖², once.
        bias_each: weight of bias² for each of the newcomer's ratings, on top.
        factors_each: weight of ‖factors‖² for each of them, on top.
    """

    bias: float
    factors: float
    bias_each: float = 0.0
    factors_each: float = 0.0

    def diagonal(self, n_factors: int, count: int) -> np.ndarray:
        """The penalty's diagonal, bias first: (1 + K,) float64, for a newcomer with ``count`` ratings."""
        bias, factors = self.bias + count * self.bias_each, self.factors + count * self.factors_each
        return np.r_[bias, np.full(n_factors, factors)].astype(np.float64)


class State(NamedTuple):
    """A scorer taken apart for the disk: ``storage`` writes it, the class's ``from_state(arrays, settings)`` undoes it.

    Attributes:
        kind: which loader reads it, as in ``storage.LOADERS``.
        arrays: name -> numpy array, exact to the bit.
        settings: what JSON can hold: numbers, text, lists, None.
    """

    kind: str
    arrays: dict[str, np.ndarray]
    settings: dict[str, Any]


class Part(NamedTuple):
    """A newcomer's bias and factors (K,), as :meth:`Factors.fold_in_user` and ``fold_in_item`` return them."""

    bias: float
    factors: np.ndarray


@dataclass(frozen=True, eq=False)
class Factors:
    """Biases and factors of U users and I items; K may be 0 (a bias model).

    Attributes:
        mean: scalar, on the link's inner scale (for the sigmoid: before squashing).
        user_bias: (U,) float32.
        item_bias: (I,) float32.
        users: (U, K) float32.
        items: (I, K) float32.
        link: "identity" (predictions are clipped to ``y_range``) or "sigmoid" (``y_range`` are its two asymptotes).
        y_range: (low, high) on the ratings' scale.
        reg: what a newcomer is shrunk by.
        item_reg: what a new item is shrunk by, where that differs; None: as ``reg``.
    """

    mean: float
    user_bias: np.ndarray
    item_bias: np.ndarray
    users: np.ndarray
    items: np.ndarray
    link: Link = "identity"
    y_range: tuple[float, float] = (-np.inf, np.inf)
    reg: Ridge = Ridge(1.0, 1.0)
    item_reg: Ridge | None = None

    def __post_init__(self) -> None:
        (n_users, k), (n_items, k2) = self.users.shape, self.items.shape
        if k != k2 or self.user_bias.shape != (n_users,) or self.item_bias.shape != (n_items,):
            shapes = [a.shape for a in (self.user_bias, self.item_bias, self.users, self.items)]
            raise DataError(f"factors of shapes {shapes} do not fit (U,), (I,), (U, K), (I, K).")
        if self.link not in ("identity", "sigmoid"):
            raise SettingError(f"link is {self.link!r}.", hint="'identity' or 'sigmoid'.")
        for name in ("user_bias", "item_bias", "users", "items"):
            array = np.ascontiguousarray(getattr(self, name), np.float32)
            object.__setattr__(self, name, array)
        low, high = map(float, self.y_range)  # a np.float64 here would turn float32 scores into float64
        if not low < high:
            raise SettingError(f"y_range is {self.y_range}.", hint="its first number must be below its second.")
        object.__setattr__(self, "mean", float(self.mean))
        object.__setattr__(self, "y_range", (low, high))

    @property
    def n_factors(self) -> int:
        """K."""
        return self.users.shape[1]

    def factors(self) -> Factors:
        """Itself: the hook by which any bilinear scorer offers its Factors."""
        return self

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of pairs of rows (B,), (B,) -> (B,) float32. Times are ignored; cold rows have zero parts."""
        bu, p = gather(users, self.user_bias, self.users)  # (B,), (B, K)
        bi, q = gather(items, self.item_bias, self.items)
        return self.squash(np.float32(self.mean) + bu + bi + np.einsum("bk,bk->b", p, q))

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Scores of every item for each user row (B,) -> (B, I) float32."""
        bu, p = gather(users, self.user_bias, self.users)
        return self.squash(p @ self.items.T + (np.float32(self.mean) + bu)[:, None] + self.item_bias)

    def squash(self, z: np.ndarray) -> np.ndarray:
        """From the link's inner scale to ratings: clipped (identity), or low + (high - low)·σ(z) (sigmoid)."""
        low, high = self.y_range
        if self.link == "identity":
            return np.clip(z, low, high)
        return (low + (high - low) * sigmoid(z)).astype(z.dtype)

    def fold_in_user(self, items: np.ndarray, values: np.ndarray) -> Part:
        """A new user's bias and factors from ratings ``values`` (n,) of the item rows ``items`` (n,).

        The user half-step of alternating least squares, exactly (identity link: one ridge solve), or its
        Gauss-Newton iteration (sigmoid link). With no ratings: zeros.
        """
        return self._fold_in(items, values, self.item_bias, self.items, self.reg)

    def fold_in_item(self, users: np.ndarray, values: np.ndarray, features: Any = None) -> Part:
        """A new item's bias and factors from the ratings ``values`` (n,) that the user rows gave it."""
        return self._fold_in(users, values, self.user_bias, self.users, self.item_reg or self.reg)

    def score_user(self, part: Part, items: np.ndarray | None = None) -> np.ndarray:
        """Scores of a folded-in user for item rows (n,), all items by default -> (n,) float32."""
        rows = np.arange(len(self.items)) if items is None else items
        bias, q = gather(rows, self.item_bias, self.items)
        return self.squash((self.mean + part.bias + bias + q @ part.factors).astype(np.float32))

    def score_item(self, part: Part, users: np.ndarray) -> np.ndarray:
        """Scores of a folded-in item for user rows (n,) -> (n,) float32."""
        bias, p = gather(users, self.user_bias, self.users)
        return self.squash((self.mean + part.bias + bias + p @ part.factors).astype(np.float32))

    def unbounded(self) -> Factors:
        """The same without clip or sigmoid: what to *rank* by, since clipped scores tie at the end of the scale."""
        return replace(self, link="identity", y_range=(-np.inf, np.inf))

    def state(self) -> State:
        """What ``storage`` keeps."""
        arrays = {name: getattr(self, name) for name in ("user_bias", "item_bias", "users", "items")}
        settings = {
            "mean": self.mean,
            "link": self.link,
            "y_range": [x if np.isfinite(x) else None for x in self.y_range],  # JSON knows no infinity
            "reg": _ridge_state(self.reg),
            "item_reg": None if self.item_reg is None else _ridge_state(self.item_reg),
        }
        return State("factors", arrays, settings)

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> Factors:
        """The Factors whose :meth:`state` this is, to the bit."""
        low, high = settings["y_range"]
        return cls(
            **{name: arrays[name] for name in ("user_bias", "item_bias", "users", "items")},
            mean=settings["mean"],
            link=settings["link"],
            y_range=(-np.inf if low is None else low, np.inf if high is None else high),
            reg=_ridge_from(settings["reg"]),
            item_reg=None if settings["item_reg"] is None else _ridge_from(settings["item_reg"]),
        )

    def _fold_in(self, rows: np.ndarray, values: np.ndarray, bias: np.ndarray, factors: np.ndarray, reg: Ridge) -> Part:
        if np.shape(rows) != np.shape(values) or np.ndim(rows) != 1:
            raise DataError(
                f"rows of shape {np.shape(rows)} and values of shape {np.shape(values)}: both must be (n,)."
            )
        if not len(rows):
            return Part(0.0, np.zeros(self.n_factors, np.float32))
        other_bias, other = gather(rows, bias, factors)  # (n,), (n, K)
        x = half_step(
            self.mean + other_bias.astype(np.float64),
            other,
            np.asarray(values, np.float64),
            penalty=reg.diagonal(self.n_factors, len(rows)),
            link=self.link,
            y_range=self.y_range,
        )
        return Part(float(x[0]), x[1:].astype(np.float32))


def half_step(
    offset: np.ndarray,
    other: np.ndarray,
    values: np.ndarray,
    *,
    penalty: np.ndarray,
    link: Link = "identity",
    y_range: tuple[float, float] = (0.0, 1.0),
    n_steps: int = 50,
) -> np.ndarray:
    """One side's best (bias, factors), given the other side's: the reference that solvers' kernels are tested against.

    Minimises  Σ_j (values_j - f(offset_j + b + p · other_j))² + Σ_k penalty_k (b, p)_k²  over x = (b, p):
    a ridge solve for the identity link (Hu, Koren & Volinsky 2008, eq. 4 without confidences), damped Gauss-Newton
    (Levenberg-Marquardt, started at zero) for the sigmoid.

    Args:
        offset: (n,) mean plus the other side's biases.
        other: (n, K) the other side's factors.
        values: (n,) ratings.
        penalty: (1 + K,) ridge on the bias, then on each factor.
        link: "identity" or "sigmoid".
        y_range: the sigmoid's asymptotes.
        n_steps: Gauss-Newton steps at most.

    Returns:
        (1 + K,) float64, bias first.
    """
    a = np.c_[np.ones(len(other)), other].astype(np.float64)  # (n, 1 + K)
    if link == "identity":
        return _ridge(a, values - offset, penalty)
    low, high = y_range

    def residual(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s = sigmoid(offset + a @ x)
        return values - (low + (high - low) * s), (high - low) * s * (1 - s)

    x, damping = np.zeros(a.shape[1]), 1e-3
    e, slope = residual(x)
    cost = e @ e + penalty @ x**2
    for _ in range(n_steps):
        j = a * slope[:, None]
        h, g = j.T @ j + np.diag(penalty), j.T @ e - penalty * x
        step = np.linalg.solve(h + damping * np.diag(np.diag(h) + 1e-12), g)
        e2, slope2 = residual(x + step)
        cost2 = e2 @ e2 + penalty @ (x + step) ** 2
        if cost2 <= cost:
            converged = cost - cost2 <= 1e-12 * cost
            x, e, slope, cost, damping = x + step, e2, slope2, cost2, damping / 10
            if converged:
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    return x


def _ridge_state(reg: Ridge) -> dict[str, float | None]:
    """A Ridge in JSON's words: None for infinity."""
    return {name: None if x == np.inf else float(x) for name, x in reg._asdict().items()}


def _ridge_from(state: dict[str, float | None]) -> Ridge:
    return Ridge(**{name: np.inf if x is None else x for name, x in state.items()})


def _ridge(a: np.ndarray, y: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """argmin ‖y - a x‖² + Σ penalty x²: (1 + K,)."""
    h = a.T @ a + np.diag(penalty)
    try:
        return np.linalg.solve(h, a.T @ y)
    except np.linalg.LinAlgError:  # a zero penalty and too few ratings: the least-norm solution
        return np.linalg.lstsq(h, a.T @ y, rcond=None)[0]


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


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), without overflow at either end; keeps the floating type."""
    return 0.5 * (1 + np.tanh(0.5 * z))


def implied_ridge(factors: Factors, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> Factors:
    """The same factors, with the ridge that their fit amounted to as ``reg`` and ``item_reg``.

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
    pull = _pull(factors, users, items, values)
    reg = _implied(pull, users, items, factors.user_bias, factors.users, factors.items)
    item_reg = _implied(pull, items, users, factors.item_bias, factors.items, factors.users)
    return replace(factors, reg=reg, item_reg=item_reg)


def _pull(factors: Factors, users: np.ndarray, items: np.ndarray, values: np.ndarray) -> np.ndarray:
    """e·f': half the downhill gradient of each squared error on the link's inner scale (N,) float64."""
    z = factors.mean + factors.user_bias[users] + factors.item_bias[items]
    z = (z + np.einsum("bk,bk->b", factors.users[users], factors.items[items])).astype(np.float64)
    if factors.link == "identity":
        return values - z
    low, high = factors.y_range
    s = sigmoid(z)
    return (values - low - (high - low) * s) * (high - low) * s * (1 - s)


def _implied(
    pull: np.ndarray, rows: np.ndarray, others: np.ndarray, bias: np.ndarray, own: np.ndarray, other: np.ndarray
) -> Ridge:
    """One side's ridge: rows (N,) into ``bias`` (R,) and ``own`` (R, K), others (N,) into ``other``."""
    n = np.bincount(rows, minlength=len(bias)).astype(np.float64)  # (R,)
    bias_pull = np.bincount(rows, pull, minlength=len(bias))
    columns = [np.bincount(rows, pull * other[others, k], minlength=len(bias)) for k in range(own.shape[1])]
    factor_pull = np.stack(columns, 1) if columns else own
    forms = []
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
