"""Sums of error per user, and what resampling whole users makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..metrics import difference, find_metric
from ..ratings import Ratings
from ..scorer import Scorer

BLOCK = 1 << 16  # rows scored at once
RESAMPLE_BLOCK = 1 << 21  # users × resamples drawn at once


class Sums(NamedTuple):
    """Per user row: errors (U, M, 2), summed over all rows and over warm rows; counts (U, 2) likewise."""

    errors: np.ndarray
    counts: np.ndarray


def sums(scorer: Scorer, test: Ratings, metrics: Sequence[str]) -> Sums:
    """Score in blocks; keep only sums per user."""
    chosen = [find_metric(m) for m in metrics]
    values = test.explicit()
    n_users = test.n_users
    warm = np.ones(len(test), bool) if test.cold is None else ~test.cold
    errors, counts = np.zeros((n_users, len(chosen), 2)), np.zeros((n_users, 2))
    for start in range(0, len(test), BLOCK):
        at = slice(start, start + BLOCK)
        users, w = test.users[at], warm[at]
        guess = scorer.score(users, test.items[at], None if test.times is None else test.times[at])
        difference(guess, values[at])  # its checks come first
        for k, metric in enumerate(chosen):
            error = metric.error(guess, values[at])
            errors[:, k, 0] += np.bincount(users, error, n_users)
            errors[:, k, 1] += np.bincount(users[w], error[w], n_users)
        counts[:, 0] += np.bincount(users, minlength=n_users)
        counts[:, 1] += np.bincount(users[w], minlength=n_users)
    if test.cold is None:
        counts[:, 1] = 0  # not known to be warm
    return Sums(errors, counts)


def bootstrap(tables: Sequence[Sums], n_resamples: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Mean errors over all rows under resampled users, the same draws for every table: each (n_resamples, M).

    With fewer than two users there is nothing to resample: (0, M).
    """
    used = tables[0].counts[:, 0] > 0
    columns = np.concatenate([*(t.errors[used, :, 0] for t in tables), tables[0].counts[used, :1]], axis=1)  # (G, C)
    n = len(columns)
    if n < 2 or n_resamples < 1:
        return [np.empty((0, t.errors.shape[1])) for t in tables]
    out = np.empty((n_resamples, columns.shape[1]))
    step = max(1, RESAMPLE_BLOCK // n)
    for start in range(0, n_resamples, step):
        b = min(step, n_resamples - start)
        drawn = rng.integers(n, size=(b, n)) + n * np.arange(b)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=b * n).reshape(b, n).astype(np.float64)
        out[start : start + b] = np.einsum("bg,gc->bc", weights, columns)  # not BLAS: same bits for any threads
    return np.split(out[:, :-1] / out[:, -1:], len(tables), axis=1)


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the draws."""
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)
