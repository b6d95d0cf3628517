"""Ordered probit: stars as slices of a hidden continuous rating (Albert & Chib 1993).

    z_r ~ N(f_r, 1/α),  star_r = l  where  c_l < z_r < c_(l+1),  c_0 = -∞, c_L = ∞.

Given cutpoints c, the hidden z are drawn from truncated normals and the rest is the gaussian sampler. The cutpoints
are drawn with z integrated out, by Metropolis (Cowles 1996), every second one at a time: given its neighbours, a
cutpoint concerns only the two stars that it parts. Two cutpoints are held, which fixes the scale; so the noise
precision α means here what it means for gaussian output. This module knows levels, no features.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from .._random import bits, cdf, quantile, unit
from .._threads import ranged, share

BLOCKS = 64  # partial sums of the likelihood, whatever the number of threads
TARGET = 0.44  # acceptance of a one-dimensional random walk (Gelman, Roberts & Gilks 1996)


def held(levels: np.ndarray, n_levels: int) -> np.ndarray:
    """Which of the L - 1 inner cutpoints stay put: those nearest to the 20th and the 80th of a hundred ratings."""
    below = np.cumsum(np.bincount(levels, minlength=n_levels))[:-1] / len(levels)
    return np.isin(np.arange(n_levels - 1), [np.argmin(abs(below - 0.2)), np.argmin(abs(below - 0.8))])


def draw(
    levels: np.ndarray,
    cutpoints: np.ndarray,
    steps: np.ndarray,
    e: np.ndarray,
    rng: np.random.Generator,
    *,
    precision: float,
    sweep: int,
    learn: bool,
) -> None:
    """Move every second cutpoint, then replace ``e`` = -f (N,) by residuals z - f of newly drawn hidden ratings.

    Args:
        levels: (N,) which star each rating is.
        cutpoints: (L + 1,) with infinite ends; changed in place.
        steps: (L - 1,) standard deviations of the proposals; changed in place where ``learn``.
        e: (N,) minus the scores; changed in place.
        rng: of this sweep.
        precision: α.
        sweep: its number: odd cutpoints move in odd sweeps.
        learn: whether to adapt the steps towards the target acceptance; not while samples are kept.
    """
    f, root = -e, float(np.sqrt(precision))
    inner = len(cutpoints) - 2
    moving = (np.arange(inner) % 2 == sweep % 2) & ~held(levels, inner + 1)
    step, luck = rng.standard_normal(inner) * steps, np.log(rng.random(inner))
    proposal = cutpoints.copy()
    proposal[1:-1] += np.where(moving, step, 0.0)
    ordered = (proposal[1:-1] > cutpoints[:-2]) & (proposal[1:-1] < cutpoints[2:])
    gain = np.zeros((BLOCKS, inner + 1))
    if moving.any():
        share(_gains, BLOCKS, f, levels, cutpoints, proposal, moving, root, gain)
    accepted = moving & ordered & (luck < gain.sum(0)[:inner])
    cutpoints[1:-1] = np.where(accepted, proposal[1:-1], cutpoints[1:-1])
    if learn:
        steps *= np.where(moving, np.exp((accepted - TARGET) * 4 / np.sqrt(3 + sweep)), 1.0)
    key = rng.integers(2**63, size=1).astype(np.uint64)[0]
    share(_hidden, len(f), f, levels, cutpoints, root, key, e)


@njit(inline="always")
def _between(low, high):
    """P(low < Z < high), computed in the smaller tail."""
    if low > 0:
        return cdf(-low) - cdf(-high)
    return cdf(high) - cdf(low)


@ranged
def _gains(first, last, f, levels, cutpoints, proposal, moving, root, gain):
    """gain[block, j]: log likelihood won by moving inner cutpoint j; a star has at most one moving edge."""
    N = len(f)
    size = (N + BLOCKS - 1) // BLOCKS
    for block in range(first, last):
        for r in range(block * size, min(N, block * size + size)):
            level = levels[r]
            low, high = cutpoints[level], cutpoints[level + 1]
            new_low, new_high, j = low, high, -1
            if level > 0 and moving[level - 1]:
                new_low, j = proposal[level], level - 1
            elif level < len(moving) and moving[level]:
                new_high, j = proposal[level + 1], level
            if j >= 0:
                old = _between((low - f[r]) * root, (high - f[r]) * root)
                new = _between((new_low - f[r]) * root, (new_high - f[r]) * root)
                gain[block, j] += np.log(max(new, 1e-30)) - np.log(max(old, 1e-30))


@ranged
def _hidden(first, last, f, levels, cutpoints, root, key, e):
    """e_r = z_r - f_r with z_r ~ N(f_r, 1/α) between its star's cutpoints, by inversion in the smaller tail."""
    for r in range(first, last):
        low, high = (cutpoints[levels[r]] - f[r]) * root, (cutpoints[levels[r] + 1] - f[r]) * root
        u = unit(bits(uint64(key), r))
        sign = -1.0 if low > 0 else 1.0
        if low > 0:
            low, high = -high, -low
        p = cdf(low)
        p += u * (cdf(high) - p)
        x = quantile(min(max(p, 1e-300), 1 - 1e-16))
        e[r] = sign * min(max(x, low), high) / root
