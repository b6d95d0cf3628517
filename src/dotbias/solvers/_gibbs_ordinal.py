"""Ordered probit: stars as slices of a hidden continuous rating (Albert & Chib 1993).

    z_r ~ N(f_r, 1/α),  star_r = l  where  c_l < z_r < c_(l+1),  c_0 = -∞, c_L = ∞.

Given cutpoints c, the hidden z are drawn from truncated normals and the rest is the gaussian sampler. The cutpoints
are drawn with z integrated out, by Metropolis (Cowles 1996), every second one at a time: given its neighbours, a
cutpoint concerns only the two stars that it parts. Two cutpoints are held, which fixes the scale; so the noise
precision α means here what it means for gaussian output. This module knows levels, no features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit, prange, uint64

from ._gibbs_random import bits, cdf, quantile, unit

if TYPE_CHECKING:
    from ._gibbs_chain import Chain

BLOCKS = 64  # partial sums of the likelihood, whatever the number of threads
RATINGS = 4096  # per parallel task
TARGET = 0.44  # acceptance of a one-dimensional random walk (Gelman, Roberts & Gilks 1996)


def held(levels: np.ndarray, n_levels: int) -> np.ndarray:
    """Which of the L - 1 inner cutpoints stay put: those nearest to the 20th and the 80th of a hundred ratings."""
    below = np.cumsum(np.bincount(levels, minlength=n_levels))[:-1] / len(levels)
    return np.isin(np.arange(n_levels - 1), [np.argmin(abs(below - 0.2)), np.argmin(abs(below - 0.8))])


def draw(levels: np.ndarray, c: Chain, e: np.ndarray, rng: np.random.Generator, *, learn: bool) -> None:
    """Move every second cutpoint, then replace ``e`` = -f (N,) by residuals z - f of newly drawn hidden ratings."""
    f, root = -e, float(np.sqrt(c.precision))
    inner = len(c.cutpoints) - 2
    moving = (np.arange(inner) % 2 == c.sweep % 2) & ~held(levels, inner + 1)
    step, luck = rng.standard_normal(inner) * c.steps, np.log(rng.random(inner))
    proposal = c.cutpoints.copy()
    proposal[1:-1] += np.where(moving, step, 0.0)
    ordered = (proposal[1:-1] > c.cutpoints[:-2]) & (proposal[1:-1] < c.cutpoints[2:])
    gain = np.zeros((BLOCKS, inner + 1))
    if moving.any():
        _gains(f, levels, c.cutpoints, proposal, moving, root, gain)
    accepted = moving & ordered & (luck < gain.sum(0)[:inner])
    c.cutpoints[1:-1] = np.where(accepted, proposal[1:-1], c.cutpoints[1:-1])
    if learn:
        c.steps *= np.where(moving, np.exp((accepted - TARGET) * 4 / np.sqrt(3 + c.sweep)), 1.0)
    _hidden(f, levels, c.cutpoints, root, rng.integers(2**63, size=1).astype(np.uint64)[0], e)


@njit(inline="always")
def _between(low, high):
    """P(low < Z < high), computed in the smaller tail."""
    if low > 0:
        return cdf(-low) - cdf(-high)
    return cdf(high) - cdf(low)


@njit(parallel=True, cache=True)
def _gains(f, levels, cutpoints, proposal, moving, root, gain):
    """gain[block, j]: log likelihood won by moving inner cutpoint j; a star has at most one moving edge."""
    N = len(f)
    size = (N + BLOCKS - 1) // BLOCKS
    for block in prange(BLOCKS):
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


@njit(parallel=True, cache=True)
def _hidden(f, levels, cutpoints, root, key, e):
    """e_r = z_r - f_r with z_r ~ N(f_r, 1/α) between its star's cutpoints, by inversion in the smaller tail."""
    N = len(f)
    for task in prange((N + RATINGS - 1) // RATINGS):
        for r in range(task * RATINGS, min(N, task * RATINGS + RATINGS)):
            low, high = (cutpoints[levels[r]] - f[r]) * root, (cutpoints[levels[r] + 1] - f[r]) * root
            u = unit(bits(uint64(key), r))
            sign = -1.0 if low > 0 else 1.0
            if low > 0:
                low, high = -high, -low
            p = cdf(low)
            p += u * (cdf(high) - p)
            x = quantile(min(max(p, 1e-300), 1 - 1e-16))
            e[r] = sign * min(max(x, low), high) / root
