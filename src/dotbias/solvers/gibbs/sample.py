"""From a chain's state to a sample on the ratings' own scale.

Features and histories are folded into effective biases and factors; a pair's place in its own history becomes one more
column. With the ratings' mean m and standard deviation s, biases are multiplied by s and both sides' factors by √s.
"""

from __future__ import annotations

import numpy as np

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
    days = c.sides[2] if len(c.sides) > 2 else None
    out["day_bias"] = np.float32(spread) * (days.bias if days else np.zeros(0, np.float32))
    out["day_factors"] = root * (days.factors[:, :K] if days else np.zeros((0, K), np.float32))
    out["fit_noise"] = np.array(spread / np.sqrt(c.precision), np.float32)
    out["cutpoints"] = centre + spread * c.cutpoints[1:-1]
    for name, w in (("user", c.sides[0]), ("item", c.sides[1])):
        out |= {f"{name}_side.{part}": a for part, a in _newcomers(w, K, spread).items()}
    return out


def _history_columns(p: Problem, c: Chain, users: np.ndarray, items: np.ndarray) -> tuple[list, list]:
    """A column per history, for users and for items: 1/√(n + 1) on its own side, what a member adds on the other."""
    out: tuple[list, list] = ([], [])
    for j, others in ((0, items), (1, users)):
        s, w = p.sides[j], c.sides[j]
        if s.has_history:
            n = len(others)
            adds = w.feature_bias[:n] + np.einsum("nk,nk->n", w.feature_factors[:n], others)
            own = 1 / np.sqrt(np.diff(s.starts) + 1.0)
            out[j].append(own[:, None])
            out[1 - j].append(adds[:, None])
    return out


def _newcomers(w: SideWeights, K: int, spread: float) -> dict[str, np.ndarray]:
    scale = np.r_[spread, np.full(K, np.sqrt(spread))].astype(np.float32)  # (1 + K,)
    features = np.concatenate([w.feature_bias[:, None], w.feature_factors[:, :K]], 1)
    mean = np.concatenate([w.bias_mean[:, None], w.factor_mean[:, :K]], 1)
    precision = np.concatenate([w.bias_precision[:, None], w.factor_precision[:, :K]], 1)
    arrays = {"features": features * scale, "prior_mean": mean * scale, "prior_precision": precision / scale**2}
    return {name: a.astype(np.float32) for name, a in arrays.items()}
