"""From a chain's state to a sample on the ratings' own scale.

Features and histories are folded into effective biases and factors; a pair's place in its own history becomes one more
column. With the ratings' mean m and standard deviation s, biases are multiplied by s and both sides' factors by √s.
"""

from __future__ import annotations

import numpy as np

from ...features import history_weight
from .chain import Chain, SideWeights, effective
from .problem import Problem


def take(p: Problem, c: Chain, *, centre: float, spread: float) -> dict[str, np.ndarray]:
    """One sample: effective arrays, and what newcomers need."""
    K, root = c.n_factors, np.float32(np.sqrt(spread))
    out: dict[str, np.ndarray] = {"mean": np.array(centre + spread * c.mean, np.float32)}
    (bu, users), (bi, items) = (effective(p.sides[j], c.sides[j], held_out=True) for j in (0, 1))
    extra = _history_columns(p, c, users, items)
    for name, bias, factors, more in (("user", bu, users, extra[0]), ("item", bi, items, extra[1])):
        out[f"{name}_bias"] = (spread * bias).astype(np.float32)
        out[f"{name}s"] = root * np.concatenate([factors[:, :K], *more], 1).astype(np.float32)
    out["fit_noise"] = np.array(spread / np.sqrt(c.precision), np.float32)
    out["cutpoints"] = centre + spread * c.cutpoints[1:-1]
    for name, w in zip(("user_side", "item_side", "sessions"), c.sides, strict=False):
        out |= {f"{name}.{part}": a for part, a in _side(w, K, spread).items()}
    if len(c.sides) > 2:
        out["sessions.effects"] = _scaled(*effective(p.sides[2], c.sides[2], held_out=True), K, spread)
    return out


def _history_columns(p: Problem, c: Chain, users: np.ndarray, items: np.ndarray) -> tuple[list, list]:
    """A column per history, for users and for items: its weight on its own side, what a member adds on the other."""
    out: tuple[list, list] = ([], [])
    for j, others in ((0, items), (1, users)):
        s, w = p.sides[j], c.sides[j]
        if s.has_history:
            n = len(others)
            adds = w.feature_bias[:n] + np.einsum("nk,nk->n", w.feature_factors[:n], others)
            own = history_weight(np.diff(s.starts) + 1.0)
            out[j].append(own[:, None])
            out[1 - j].append(adds[:, None])
    return out


def _side(w: SideWeights, K: int, spread: float) -> dict[str, np.ndarray]:
    """What newcomers of a side need: its features' weights, and the priors; bias first."""
    precision = _scaled(w.bias_precision**-0.5, w.factor_precision**-0.5, K, spread) ** -2.0
    return {
        "features": _scaled(w.feature_bias, w.feature_factors, K, spread),
        "prior_mean": _scaled(w.bias_mean, w.factor_mean, K, spread),
        "prior_precision": precision.astype(np.float32),
    }


def _scaled(bias: np.ndarray, factors: np.ndarray, K: int, spread: float) -> np.ndarray:
    """Biases (n,) and factors (n, padded) on the ratings' scale, in one array (n, 1 + K) float32."""
    scale = np.r_[spread, np.full(K, np.sqrt(spread))]
    return (np.concatenate([bias[:, None], factors[:, :K]], 1) * scale).astype(np.float32)
