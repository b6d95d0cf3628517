"""How much of a normal distribution falls between two cutpoints: the probability of a star."""

from __future__ import annotations

import numpy as np


def slices(mean: np.ndarray, variance: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    """How much of N(mean, variance) (B,) falls between each two neighbours of -∞, cutpoints (L - 1,), ∞: (B, L)."""
    from scipy.special import ndtr  # pyright: ignore[reportMissingTypeStubs]

    below = ndtr((cutpoints - mean[..., None]) / np.sqrt(variance)[..., None])
    ends = np.zeros((*mean.shape, 1)), np.ones((*mean.shape, 1))
    return np.diff(np.concatenate([ends[0], below, ends[1]], -1), axis=-1)


def central_stars(p: np.ndarray, stars: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The stars between which ``level`` of the probability lies, half of the rest on either side.

    Probabilities p (B, L) of stars (L,) -> (low, high), (B,) float32 each. Being few, they cover at least ``level``.
    """
    below = np.cumsum(p, 1)
    at = [(below < q).sum(1).clip(max=len(stars) - 1) for q in ((1 - level) / 2, (1 + level) / 2)]
    return stars[at[0]].astype(np.float32), stars[at[1]].astype(np.float32)
