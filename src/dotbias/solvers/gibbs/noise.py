"""How large the noise is: found on held-out ratings, because in sample the chain underestimates it.

Drawn in sample, the noise precision α grows with factors and sweeps, and the chain overfits. Instead a slice of train
is held out, α goes through a rising grid, with a short run at each point, and the point whose averaged scores err
least is kept. A short run's average still has sampling error, more so at high α, which would favour low points; so the
error is taken *across*: of two halves of a run, with means f₁ and f₂ whose sampling errors are almost independent,

    E[(y - f₁)(y - f₂)] = error of the exact posterior mean,

without the variance of the sampling error. The same slice then says how wide predictions are: the noise for which the
spread adds up, and, for stars, noise and cutpoints of greatest likelihood. This module knows scores and values, no
chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...posterior import slices

FACTOR = 1.2  # from point to point of the grid
LEAST_POINTS, MOST_POINTS = 4, 14
CLEARLY = 1.02  # an error this much above the best ends the search
NEAR = 1.05  # errors this near to the best shape the parabola


@dataclass
class Halves:
    """Running sums of scores (n,) over a planned number of sweeps, in two halves and squared.

    Attributes:
        length: the planned number of sweeps.
        count: (2,) how many each half has.
        sums: (2, n) of each half's scores.
        squares: (n,) of both.
    """

    length: int
    count: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def begin(cls, n: int, length: int) -> Halves:
        """Of n pairs, before the first sweep."""
        return cls(length, np.zeros(2), np.zeros((2, n)), np.zeros(n))

    def add(self, f: np.ndarray) -> None:
        """Count in one sweep's scores (n,)."""
        done = int(self.count.sum())
        half = int(done >= self.length // 2)
        self.sums[half] += f
        self.squares += f * f
        self.count[half] += 1

    def mean(self) -> np.ndarray:
        """Mean over all sweeps (n,)."""
        return self.sums.sum(0) / self.count.sum()

    def variance(self) -> np.ndarray:
        """Variance over the sweeps (n,)."""
        return np.maximum(self.squares / self.count.sum() - self.mean() ** 2, 1e-9)

    def error(self, y: np.ndarray) -> float:
        """The mean squared error of the mean, without its sampling error."""
        first, second = self.sums / self.count[:, None]
        return float(np.mean((y - first) * (y - second)))


def search_on(errors: list[float]) -> bool:
    """Whether another point of the grid is worth its sweeps: until the last is clearly worse than the best."""
    if len(errors) < LEAST_POINTS:
        return True
    return len(errors) < MOST_POINTS and errors[-1] < CLEARLY * min(errors)


def best_precision(precisions: list[float], errors: list[float]) -> float:
    """Where the error is least: the vertex of the parabola in log α through the points near the best, or the best.

    Through all of them, by least squares, since each error is itself a little off.
    """
    x, y = np.log(precisions[: len(errors)]), np.array(errors)
    near = y < NEAR * y.min()
    bend, slope, _ = np.polyfit(x[near], y[near], 2) if near.sum() > 3 else (0.0, 0.0, 0.0)
    if bend <= 0:
        return float(precisions[int(np.argmin(y))])
    return float(np.exp(np.clip(-slope / (2 * bend), x[near].min(), x[near].max())))


class StarNoise(NamedTuple):
    """How stars are predicted: noise (standard deviation) and cutpoints (L - 1,)."""

    noise: float
    cutpoints: np.ndarray


def gaussian_noise(halves: Halves, y: np.ndarray, *, level: float = 0.8) -> float:
    """The noise with which central intervals of N(score, the scores' variance + noise²) cover ``level`` of y (n,).

    By coverage, not by variance: errors have heavier tails than a normal. The run's own sampling error is taken off
    first.
    """
    from scipy.special import ndtri

    miss, variance = np.abs(y - halves.mean()), halves.variance()
    error = halves.error(y)
    miss *= np.sqrt(min(error / np.mean(miss**2), 1.0))
    wanted = (miss / ndtri((1 + level) / 2)) ** 2 - variance  # noise² with which each rating just lies inside
    return float(np.sqrt(max(np.quantile(wanted, level), 0.1 * error)))


def star_noise(
    mean: np.ndarray, variance: np.ndarray, levels: np.ndarray, cutpoints: np.ndarray, noise: float
) -> StarNoise:
    """Noise and cutpoints under which held-out stars ``levels`` (n,) are likeliest, from a first guess.

    Stars that the slice never shows are counted as half a rating, so that every cutpoint stays finite.
    """
    from scipy.optimize import minimize

    L = len(cutpoints) + 1
    missing = np.setdiff1d(np.arange(L), levels)
    at, rows = np.r_[levels, missing], np.r_[np.arange(len(levels)), np.zeros(len(missing), int)]
    weight = np.r_[np.ones(len(levels)), np.full(len(missing), 0.5)]

    def unpack(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.exp(x[0])), np.cumsum(np.r_[x[1], np.exp(x[2:])])

    def loss(x: np.ndarray) -> float:
        s, c = unpack(x)
        p = slices(mean, variance + s * s, c)
        chance = np.r_[p[rows[: len(levels)], levels], p.mean(0)[missing]]
        return float(-(weight * np.log(np.maximum(chance, 1e-12))).sum() / len(at))

    first = np.r_[np.log(noise), cutpoints[0], np.log(np.maximum(np.diff(cutpoints), 1e-3))]
    return StarNoise(*unpack(minimize(loss, first, method="L-BFGS-B").x))
