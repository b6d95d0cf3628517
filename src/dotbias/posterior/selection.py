"""Who rates an item likes it more than others would: how much more, and what follows for users little known.

Samples of f(u, i) average over every user that u might be. But a rating is asked of a user who chose the item, and
people choose what they will like. If the chance to choose grows by exp(strength · f), then, with f normal, among those
who choose

    E[f | chosen] = E[f] + strength · var[f]

(a normal distribution under an exponential tilt). Items differ in it: what an item's own raters show beyond that is
added, shrunk by how many they are. A user's own ratings are of chosen items, so what is learned of the user holds this
already; what is still unknown does not. The share that n ratings leave open is that of the prior in the user's own
bias, precision / (precision + n / noise²).

Without it a newcomer is guessed 0.1 stars too low on MovieLens (bench/LOG.md). This module knows numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

Summed: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Selection(NamedTuple):
    """How much more those who rate an item like it.

    Attributes:
        strength: per variance over users of what f is on average.
        items: (I,) float32 what is added to that for each item.
    """

    strength: float = 0.0
    items: np.ndarray = np.zeros(0, np.float32)


def selection(
    bias: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    counts: tuple[np.ndarray, np.ndarray],
    summed: Summed,
    noise: float,
) -> Selection:
    """How much higher f is for rated pairs than over all users.

    An item's excess is the mean of f over its raters minus that over all users; the variance of f over users is that
    of its average over samples, so the covariance between two of them. The strength is Σ excess / Σ variance over all
    items, each as often as it is rated. What is left of an item's excess is taken for normal around 0 (its spread by
    moments), seen with the error of a mean over its raters' ratings: (variance + noise²) / their number.

    Args:
        bias, users: (S, U) and (S, U, K), of users.
        items: (S, I, K).
        counts: how many ratings each user (U,) and each item (I,) has.
        summed: (bias (U,), users (U, K), items (I, K)) -> Σ bias + user · item over the raters of each item (I,).
        noise: standard deviation of a rating around f.
    """
    known, count = counts[0] > 0, counts[1].astype(np.float64)
    if int(known.sum()) < 2:
        return Selection()
    x = np.concatenate([bias[:, known, None], users[:, known]], 2, dtype=np.float64)  # (S, U, 1 + K)
    y = np.concatenate([np.ones((*items.shape[:2], 1)), items], 2)  # (S, I, 1 + K)
    excess, variance = np.zeros((2, len(count)))
    for s in range(len(x)):
        other, centred = s - 1, x[s] - x[s].mean(0)
        between = centred.T @ (x[other] - x[other].mean(0)) / len(centred)
        variance += np.einsum("ik,ik->i", y[s] @ between, y[other]) / len(x)
        raters = summed(bias[s], users[s], items[s]) / np.maximum(count, 1)
        excess += np.where(count > 0, raters - y[s] @ x[s].mean(0), 0) / len(x)
    if count @ variance <= 0:
        return Selection()
    strength = float(count @ excess / (count @ variance))
    return Selection(
        strength, _own(excess - strength * variance, np.maximum(variance, 0) + noise**2, count).astype(np.float32)
    )


def _own(left: np.ndarray, variance: np.ndarray, count: np.ndarray) -> np.ndarray:
    """What is left of each item's excess (I,), shrunk by its error, variance / count; 0 for items without raters."""
    error = variance / np.maximum(count, 1)
    spread = max(float(count @ (left**2 - error) / count.sum()), 0.0)
    return np.where(count > 0, left * spread / np.maximum(spread + error, 1e-12), 0)


def left_open(counts: np.ndarray, precision: float, noise: float) -> np.ndarray:
    """The share of a user's own bias that so many ratings (…,) leave open; of its prior, and a rating's noise."""
    prior = precision * noise**2
    return prior / np.maximum(prior + np.asarray(counts, np.float64), 1e-12)
