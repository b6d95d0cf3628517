"""Rows of a Posterior's arrays, gathered; rows outside the table are strangers."""

from __future__ import annotations

import numpy as np

from .newcomers import PosteriorPart


def gathered(
    rows: np.ndarray, bias: np.ndarray, factors: np.ndarray, stranger: PosteriorPart | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bias (S, B) and factors (S, B, K) of rows (B,); the stranger's, or zeros, where a row lies outside the table."""
    rows, (S, R, K) = np.asarray(rows), factors.shape
    known = (rows >= 0) & (rows < R)
    if known.all():
        return bias[:, rows], factors[:, rows]
    out = np.zeros((S, len(rows)), np.float32), np.zeros((S, len(rows), K), np.float32)
    out[0][:, known], out[1][:, known] = bias[:, rows[known]], factors[:, rows[known]]
    if stranger is not None:
        out[0][:, ~known], out[1][:, ~known] = stranger.bias[:, None], stranger.factors[:, None]
    return out


def counted(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The counts of rows (B,), 0 outside the table."""
    rows = np.asarray(rows)
    known = (rows >= 0) & (rows < len(counts))
    return np.where(known, counts[np.where(known, rows, 0)], 0) if len(counts) else np.zeros(len(rows), np.int32)


def all_or(rows: np.ndarray | None, n: int) -> np.ndarray:
    """The rows asked for, or all n."""
    return np.arange(n) if rows is None else np.asarray(rows)
