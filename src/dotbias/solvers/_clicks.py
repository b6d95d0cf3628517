"""What the fitters of clicks share: what they are given, its weights, and how lists are watched on valid."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, SettingError
from ..factors import Factors
from ..ratings import Ratings
from ._columns import counts, frozen

CELLS = 1 << 21  # users × items ranked at once
DEPTH = 10


def check_clicks(ratings: Ratings, name: str = "train") -> None:
    """Refuse a table without a click; ratings with values, ``settings.checked`` has refused before.

    Raises:
        DataError: for no clicks.
    """
    if not len(ratings):
        raise DataError(f"there are no clicks in {name}.", hint="look at the filter or split that left none.")


def check_valid(valid: Ratings | None, *, keep_best: bool) -> None:
    """Refuse a valid that holds no clicks, and ``keep_best`` without a valid.

    Raises:
        DataError: for a valid without clicks.
        SettingError: for ``keep_best`` without a valid.
    """
    if valid is not None:
        check_clicks(valid, "valid")
    elif keep_best:
        raise SettingError("keep_best is True, but there is no valid.", hint="give valid=…, or leave keep_best out.")


def weights_of(train: Ratings, count_power: float) -> np.ndarray:
    """Each click's weight, count^count_power (N,) float32; (0,) where all are 1."""
    if train.counts is None or count_power == 0:
        return np.empty(0, np.float32)
    return train.counts if count_power == 1 else train.counts ** np.float32(count_power)


def ndcg(factors: Factors, train: Ratings, valid: Ratings, *, depth: int = DEPTH) -> float:
    """NDCG@10 on valid: every user's list of all items but those of train (Järvelin & Kekäläinen 2002), binary gain."""
    users, position = np.unique(valid.users[valid.users < train.n_users], return_inverse=True)
    known = (valid.users < train.n_users) & (valid.items < train.n_items)
    wanted = np.full(len(valid), -1)
    wanted[valid.users < train.n_users] = position
    order = np.argsort(train.users, kind="stable")
    ends = np.concatenate([[0], np.cumsum(counts(train.users, train.n_users))])
    clicked = counts(train.items, train.n_items) > 0
    gains = 1 / np.log2(np.arange(min(depth, train.n_items)) + 2)
    total, step = 0.0, max(1, CELLS // max(train.n_items, 1))
    for start in range(0, len(users), step):
        block = users[start : start + step]
        z = factors.rank_all(block)
        z[:, ~clicked] = -np.inf
        for k, user in enumerate(block):
            z[k, train.items[order[ends[user] : ends[user + 1]]]] = -np.inf
        mine = known & (wanted >= start) & (wanted < start + len(block))
        liked = np.zeros(z.shape, bool)
        liked[wanted[mine] - start, valid.items[mine]] = True
        total += float(_ndcg(z, liked, gains).sum())
    return total / max(len(users), 1)


def _ndcg(z: np.ndarray, liked: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Of each row of ranks z (B, I): (B,)."""
    depth, rows = len(gains), np.arange(len(z))[:, None]
    top = np.argpartition(-z, depth - 1, axis=1)[:, :depth]
    top = top[rows, np.argsort(-z[rows, top], axis=1, kind="stable")]
    best = np.concatenate([[0.0], np.cumsum(gains)])[np.minimum(liked.sum(1), depth)]
    return (liked[rows, top] @ gains) / np.maximum(best, gains[0])


def clicks_by_row(
    rows: np.ndarray, others: np.ndarray, weights: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks sorted by one side's row: starts (R + 1,), others (N,) int32, weights (N,) or (0,) float32."""
    from ._implicit_kernels import sort_by

    starts = np.concatenate([[0], np.cumsum(counts(rows, n_rows))])
    out = np.empty(len(others), np.int32), np.empty_like(weights)
    sort_by(frozen(rows), frozen(others), frozen(weights), starts[:-1].copy(), *out)
    return starts, *out
