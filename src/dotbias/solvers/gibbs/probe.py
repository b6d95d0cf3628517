"""Pairs outside the ratings that are scored after every sweep, and what a chain says of them.

A pair counts in its own histories, as every rating of train does ("what would they give, if they rated it?").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...features import history_weight
from ...times import Sessions
from .chain import Chain, SideWeights, effective
from .problem import Problem, ProblemSide

NEW, UNKNOWN = -1, -2  # rows of sessions that are none: one that train lacks; not known which


class Probe(NamedTuple):
    """Pairs that are scored after every sweep.

    Attributes:
        users, items: (n,) rows; negative, or past the end of train's tables, for ids that train never named.
        rows: (n,) rows of ``sessions``, NEW or UNKNOWN; empty where sessions are not used.
        sessions: train's.
        values: (n,) standardised.
        levels: (n,) which star each value is; empty where one of them is no star of train's.
    """

    users: np.ndarray
    items: np.ndarray
    rows: np.ndarray
    sessions: Sessions
    values: np.ndarray
    levels: np.ndarray


def scores(p: Problem, c: Chain, q: Probe) -> np.ndarray:
    """What the chain says now of the probe's pairs: f (n,) float64, standardised."""
    (bu, users), (bi, items) = (_and_stranger(p.sides[j], c.sides[j]) for j in (0, 1))
    rows = _or_last(q.users, len(bu)), _or_last(q.items, len(bi))
    a, b = users[rows[0]], items[rows[1]]
    f = c.mean + bu[rows[0]] + bi[rows[1]] + np.einsum("nk,nk->n", a, b)
    for j, other_factors in ((0, b), (1, a)):
        if p.sides[j].has_history:
            f = f + _self_in_history(p.sides[j], c.sides[j], rows[j], rows[1 - j], other_factors)
    if len(p.sides) > 2:
        d = _session_effects(p.sides[2], c.sides[2], q)
        f = f + d[:, 0] + np.einsum("nk,nk->n", d[:, 1:], b)
    return f.astype(np.float64)


def _session_effects(side: ProblemSide, w: SideWeights, q: Probe) -> np.ndarray:
    """Bias and factors (n, 1 + K) of each pair's session: its own; the prior's mean, 0; or the user's average."""
    bias, factors = effective(side, w, held_out=True)
    effects = np.concatenate([bias[:, None], factors], 1)
    out = np.where((q.rows >= 0)[:, None], effects[np.maximum(q.rows, 0)], np.float32(0))
    unknown = q.rows == UNKNOWN
    out[unknown] = q.sessions.average(effects, q.users[unknown])
    return out


def _or_last(rows: np.ndarray, n: int) -> np.ndarray:
    """Rows (n,), of n in all; the last in place of one that is not there."""
    return np.where((rows >= 0) & (rows < n), rows, n - 1)


def _and_stranger(s: ProblemSide, w: SideWeights) -> tuple[np.ndarray, np.ndarray]:
    """Effective bias (R + 1,) and factors (R + 1, K): of every row, and last the prior mean, for ids not in train."""
    bias, factors = effective(s, w, held_out=True)
    return np.append(bias, np.float32(w.bias_mean[0])), np.concatenate([factors, w.factor_mean[:1]])


def _self_in_history(
    s: ProblemSide, w: SideWeights, rows: np.ndarray, others: np.ndarray, other_factors: np.ndarray
) -> np.ndarray:
    """What a pair adds by being in its row's history itself (n,)."""
    n = np.append(np.diff(s.starts), 0)[rows]
    end = s.groups[0][2]  # the history's features are the other side's rows
    bias = np.append(w.feature_bias[:end], np.float32(w.bias_mean[1]))[others]
    factors = np.concatenate([w.feature_factors[:end], w.factor_mean[1:2]])[others]
    return (bias + np.einsum("nk,nk->n", factors, other_factors)) * history_weight(n + 1.0)
