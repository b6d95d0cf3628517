"""Random numbers by counting: draw number c of stream ``key`` is a pure function of (key, c).

So a draw does not depend on which thread makes it, nor when, nor on how many were made before. Normals by Marsaglia
& Tsang's ziggurat (2000, 128 layers) on SplitMix64 (Steele 2014); the normal distribution function by a Chebyshev fit
of erfc (relative error 1.2e-7) and its inverse by Wichura's AS 241. This module knows nothing of ratings.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, njit, uint64

GOLDEN = uint64(0x9E3779B97F4A7C15)
TAIL = 3.442619855899  # where the ziggurat's base layer ends


def _ziggurat() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(128,) each: how many of 2³¹ steps of a layer are safe, a step's width, the density at a layer's edge."""
    area, edge, scale = 9.91256303526217e-3, TAIL, 2.0**31
    edges = [edge]
    for _ in range(126):
        edge = np.sqrt(-2 * np.log(area / edge + np.exp(-0.5 * edge * edge)))
        edges.append(edge)
    x = np.array([0.0, *edges[::-1]])  # (128,) rising: 0, x_1 ... x_127 = TAIL
    density = np.exp(-0.5 * x * x)
    base = area / density[127]
    safe = np.r_[TAIL / base, 0.0, x[1:-1] / x[2:]] * scale
    width = np.r_[base, x[1:]] / scale
    return safe.astype(np.int64), width.astype(np.float32), density


SAFE, WIDTH, DENSITY = _ziggurat()


@njit(inline="always")
def scramble(x):
    """SplitMix64's finaliser: a bijection of 64 bits."""
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    return x ^ (x >> uint64(31))


@njit(inline="always")
def bits(key, c):
    """64 random bits: number ``c`` of the stream ``key``."""
    return scramble(key + uint64(c) * GOLDEN)


@njit(inline="always")
def unit(x):
    """From 64 bits to a float64 strictly between 0 and 1."""
    return (float(x >> uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@njit(inline="always")
def normal(key, c):
    """Standard normal number ``c`` of the stream ``key`` (float32)."""
    x = bits(key, c)
    layer = int64(x & uint64(127))
    step = int64(int32(x >> uint64(32)))
    if abs(step) < SAFE[layer]:
        return float32(float32(step) * WIDTH[layer])
    return _rare(x, layer, step)


@njit(cache=True)
def _rare(x, layer, step):
    """The ziggurat's edges and tail: one draw in eighty."""
    while True:
        if layer == 0:
            while True:
                x = scramble(x + GOLDEN)
                beyond = -np.log(unit(x)) / TAIL
                x = scramble(x + GOLDEN)
                if -2 * np.log(unit(x)) >= beyond * beyond:
                    return float32(TAIL + beyond if step > 0 else -TAIL - beyond)
        z = step * float(WIDTH[layer])
        x = scramble(x + GOLDEN)
        if DENSITY[layer] + unit(x) * (DENSITY[layer - 1] - DENSITY[layer]) < np.exp(-0.5 * z * z):
            return float32(z)
        x = scramble(x + GOLDEN)
        layer = int64(x & uint64(127))
        step = int64(int32(x >> uint64(32)))
        if abs(step) < SAFE[layer]:
            return float32(step * float(WIDTH[layer]))


@njit(cache=True)
def normals(key: int, n: int) -> np.ndarray:
    """The first ``n`` of a stream (n,) float32, for tests."""
    out = np.empty(n, np.float32)
    for c in range(n):
        out[c] = normal(key, c)
    return out


@njit(inline="always")
def cdf(x: float) -> float:
    """P(Z < x) of a standard normal; small tails keep their relative precision below zero."""
    z = abs(x) * 0.7071067811865476
    t = 1.0 / (1.0 + 0.5 * z)
    s = 1.48851587 + t * (-0.82215223 + t * 0.17087277)
    s = -0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * s))
    s = 1.00002368 + t * (0.37409196 + t * (0.09678418 + t * s))
    tail = 0.5 * t * np.exp(-z * z - 1.26551223 + t * s)
    return tail if x < 0 else 1.0 - tail


@njit(inline="always")
def _ratio(r: float, over: tuple, under: tuple) -> float:
    top, bottom = 0.0, 0.0
    for k in range(8):
        top = top * r + over[k]
        bottom = bottom * r + under[k]
    return top / bottom


# fmt: off
# Wichura 1988, AS 241 (PPND16), highest power first: the middle, the shoulders, the far tails.
MIDDLE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)
SHOULDER = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)
FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)
# fmt: on


@njit
def quantile(p: float) -> float:
    """The x with P(Z < x) = p, for p strictly between 0 and 1."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return q * _ratio(0.180625 - q * q, MIDDLE[0], MIDDLE[1])
    r = np.sqrt(-np.log(min(p, 1.0 - p)))
    x = _ratio(r - 1.6, SHOULDER[0], SHOULDER[1]) if r <= 5 else _ratio(r - 5, FAR[0], FAR[1])
    return -x if q < 0 else x
