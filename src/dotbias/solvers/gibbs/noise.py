"""How large the noise is: found on held-out ratings, because in sample the chain underestimates it.

Drawn in sample, the noise precision α grows with factors and sweeps, and the chain overfits. Instead a slice of train
is held out, α goes through a rising grid, with a short run at each point, and the point whose averaged scores err
least is kept. A short run's average still has sampling error, more so at high α, which would favour low points; so the
error is taken *across*: of two halves of a run, with means f₁ and f₂ whose sampling errors are almost independent,

    E[(y - f₁)(y - f₂)] = error of the exact posterior mean,

without the variance of the sampling error. This module knows scores and values, no chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FACTOR = 1.3  # from point to point of the grid
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
