"""Whether a chain of random draws is long enough: effective sample size and R-hat of anything traced along it.

Pure array functions, on traces of hyper-parameters and predictions; factors rotate from sweep to sweep and are
not traced. This module knows no sampler.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Trace(NamedTuple):
    """The numbers that a sampler recorded after each kept sweep.

    Attributes:
        names: what each column is (n,).
        values: (chains, sweeps, n) float32.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def effective_size(self) -> dict[str, float]:
        """Each column's effective sample size, all chains together."""
        return {name: effective_size(self.values[:, :, j]) for j, name in enumerate(self.names)}

    def r_hat(self) -> dict[str, float]:
        """Each column's split R-hat: near 1 where chains (or a chain's halves) agree."""
        return {name: r_hat(self.values[:, :, j]) for j, name in enumerate(self.names)}


def effective_size(x: np.ndarray) -> float:
    """The number of independent draws with as much information as the chains ``x`` (M, T).

    M·T / (1 + 2 Σ ρ_t), the autocorrelations ρ_t summed while pairs of them stay positive (Geyer 1992), with the
    variance between chains counted in (Gelman et al., Bayesian Data Analysis, 3rd ed., eq. 11.7-11.8). A constant
    chain is worth its length.
    """
    x = np.asarray(x, np.float64)
    M, T = x.shape
    variance = _pooled_variance(x)
    if T < 4 or variance <= 0:
        return float(M * T)
    covariance = _autocovariance(x - x.mean(1, keepdims=True)).mean(0)  # (T,)
    within = covariance[0] * T / (T - 1)
    rho = 1 - (within - covariance) / variance
    pairs = rho[: T // 2 * 2].reshape(-1, 2).sum(1)
    positive = pairs[: int(np.argmax(pairs < 0)) if (pairs < 0).any() else len(pairs)]
    time = max(2 * np.minimum.accumulate(positive).sum() - 1, 1 / np.log10(max(M * T, 10)))
    return float(M * T / time)


def r_hat(x: np.ndarray) -> float:
    """Split R-hat of chains ``x`` (M, T): each chain cut in two, √(pooled variance / variance within)."""
    x = np.asarray(x, np.float64)
    half = x.shape[1] // 2
    if half < 2:
        return float("nan")
    halves = np.concatenate([x[:, :half], x[:, -half:]])
    within = halves.var(1, ddof=1).mean()
    return float(np.sqrt(_pooled_variance(halves) / within)) if within > 0 else 1.0


def _pooled_variance(x: np.ndarray) -> float:
    """(T - 1)/T · within + between means: BDA3 eq. 11.3."""
    M, T = x.shape
    within = x.var(1, ddof=1).mean() if T > 1 else 0.0
    between = x.mean(1).var(ddof=1) if M > 1 else 0.0
    return float((T - 1) / T * within + between)


def _autocovariance(x: np.ndarray) -> np.ndarray:
    """Of centred chains (M, T), by FFT: (M, T), divided by T."""
    T = x.shape[1]
    f = np.fft.rfft(x, 2 * T, axis=1)
    return np.fft.irfft(np.abs(f) ** 2, 2 * T, axis=1)[:, :T] / T
