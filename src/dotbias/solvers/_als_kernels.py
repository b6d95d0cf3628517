"""The loops of alternating least squares: ratings sorted by row, and each row's ridge solved exactly.

A row with ratings y_j of others q_j has, with a_j = (1, q_j) and right sides t_j = y_j - bias_j,

    (Σ_j a_j a_jᵀ + diag(penalty)) x = Σ_j a_j t_j,     x = (bias, factors)

(Zhou et al. 2008, eq. 2, with the bias as one more factor). Both sums are parts of one product: that of a *panel*,
rows (1, q_j, t_j, 0 ..), with itself, in tiles of 8 × 8 that stay in registers. A row of n ratings, fewer than half the
factors, is solved in n dimensions instead: with A the rows a_j, the same x is

    D⁻¹ Aᵀ z,     (A D⁻¹ Aᵀ + I) z = t,     D = diag(penalty)

(Woodbury), and z are the errors that are left. Rows are solved side by side and each in a fixed order, so the bits do
not depend on the threads. This module knows arrays only.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ._threads import ranged, share
from ._vec import fma, load, mul, splat, spread, store, total

LANES = 8
PANEL = 128  # ratings at a time: with 64 factors, 36 KB, a core's nearest cache


@njit(cache=True)
def sort_by(rows, others, values, mean, unit, place, out_others, out_values):
    """Ratings by row, in order, less ``mean`` and over ``unit`` (float64).

    ``place`` (R,) says where each row's begin, and is moved on.
    """
    for r in range(len(rows)):
        at = place[rows[r]]
        place[rows[r]] = at + 1
        out_others[at], out_values[at] = others[r], (values[r] - mean) / unit


@njit(cache=True)
def _fill(panel, first, last, others, values, Q, bias, target):
    """The panel's first rows from ratings first:last: a row (1, q, 0 ..) of Q, and t in column ``target``."""
    W = Q.shape[1]
    for j in range(last - first):
        i = others[first + j]
        for k in range(0, W, 8):
            store(panel, j * W + k, load(Q, i * W + k))
        panel[j, target] = values[first + j] - bias[i]


@njit(cache=True)
def add_product(panel, n, G):
    """G (W, W) += panelᵀ panel of its first n rows, in tiles on and right of the diagonal."""
    W = G.shape[1]
    for a in range(0, W, 8):
        for b in range(a, W, 8):
            at = a * W + b
            g0, g1, g2, g3 = load(G, at), load(G, at + W), load(G, at + 2 * W), load(G, at + 3 * W)
            g4, g5, g6, g7 = load(G, at + 4 * W), load(G, at + 5 * W), load(G, at + 6 * W), load(G, at + 7 * W)
            for r in range(n):
                left, right = r * W + a, load(panel, r * W + b)
                g0, g1 = fma(spread(panel, left), right, g0), fma(spread(panel, left + 1), right, g1)  # pyright: ignore[reportCallIssue]
                g2, g3 = fma(spread(panel, left + 2), right, g2), fma(spread(panel, left + 3), right, g3)
                g4, g5 = fma(spread(panel, left + 4), right, g4), fma(spread(panel, left + 5), right, g5)
                g6, g7 = fma(spread(panel, left + 6), right, g6), fma(spread(panel, left + 7), right, g7)
            store(G, at, g0)
            store(G, at + W, g1)
            store(G, at + 2 * W, g2)
            store(G, at + 3 * W, g3)
            store(G, at + 4 * W, g4)
            store(G, at + 5 * W, g5)
            store(G, at + 6 * W, g6)
            store(G, at + 7 * W, g7)


@njit(cache=True)
def factorise(U):
    """Cholesky in place: the upper part of U (M, W) becomes that of Uᵀ U. What lies left of it is left meaningless."""
    M, W = U.shape
    for j in range(M):
        scale = splat(np.float32(1) / np.sqrt(U[j, j]))
        for c in range(j & -8, W, 8):
            store(U, j * W + c, mul(scale, load(U, j * W + c)))
        for i in range(j + 1, M):
            factor = splat(-U[j, i])
            for c in range(i & -8, W, 8):
                store(U, i * W + c, fma(factor, load(U, j * W + c), load(U, i * W + c)))


@njit(cache=True)
def substitute(U, y, x):
    """x (W,) of Uᵀ U x = y; y (W,) is destroyed, and both are zero from M on."""
    M, W = U.shape
    for j in range(M):
        y[j] /= U[j, j]
        kept, factor = y[j], splat(-y[j])
        for c in range(j & -8, W, 8):
            store(y, c, fma(factor, load(U, j * W + c), load(y, c)))
        x[j] = kept
    for c in range(W):
        y[c] = 0
    for back in range(M):
        j = M - 1 - back
        s = splat(np.float32(0))
        for c in range(j & -8, W, 8):
            s = fma(load(U, j * W + c), load(y, c), s)
        y[j] = (x[j] - total(s)) / U[j, j]
    for c in range(W):
        x[c] = y[c]


@njit(cache=True)
def _residual(G, penalty, x, out):
    """out (M,) = G[:, M] - (G + diag(penalty)) x in float64, of the upper part of G."""
    M = len(penalty)
    for i in range(M):
        out[i] = G[i, M] - (G[i, i] + penalty[i]) * x[i]
    for i in range(M):
        s = 0.0
        for c in range(i + 1, M):
            s += G[i, c] * x[c]
            out[c] -= G[i, c] * x[i]
        out[i] -= s


@njit(cache=True)
def _solve(G, penalty, U, right, step, x, left):
    """x (M,) float64 of (G + diag(penalty)) x = G[:, M]: in float32, then refined once in float64.

    (Whole-array assignments would do in one line what the loops do, and take three seconds more to compile.)
    """
    M, W = U.shape
    for i in range(M):
        for c in range(i & -8, W, 8):
            store(U, i * W + c, load(G, i * W + c))
        U[i, i] += penalty[i]
    factorise(U)
    for i in range(M):
        x[i], left[i] = 0, G[i, M]
    for refined in range(2):
        if refined:
            _residual(G, penalty, x, left)
        for c in range(W):
            right[c] = left[c] if c < M else 0
        substitute(U, right, step)
        for i in range(M):
            x[i] += step[i]


@njit(cache=True)
def _solve_short(panel, n, penalty, root, S, z, x):
    """x (M,) float64 of the panel's first n rows, in n dimensions; z (n,) gets the errors left, the panel is scaled.

    ``root`` (W,) float32 must be zero from M on, and S is room for (n, n).
    """
    W, M = panel.shape[1], len(penalty)
    for i in range(M):
        root[i] = 1 / np.sqrt(penalty[i])
    for j in range(n):
        z[j] = panel[j, M]
        for c in range(0, W, 8):
            store(panel, j * W + c, mul(load(root, c), load(panel, j * W + c)))
    for j in range(n):
        for i in range(j + 1):
            s = splat(np.float32(0))
            for c in range(0, W, 8):
                s = fma(load(panel, i * W + c), load(panel, j * W + c), s)
            S[j, i] = total(s)
        S[j, j] += 1
    for j in range(n):  # Cholesky in place, and down it with z
        for i in range(j + 1):
            s = S[j, i]
            for k in range(i):
                s -= S[j, k] * S[i, k]
            S[j, i] = s / S[i, i] if i < j else np.sqrt(s)
        for k in range(j):
            z[j] -= S[j, k] * z[k]
        z[j] /= S[j, j]
    for back in range(n):
        j = n - 1 - back
        for k in range(j + 1, n):
            z[j] -= S[k, j] * z[k]
        z[j] /= S[j, j]
    for i in range(M):
        x[i] = 0
    for j in range(n):
        for i in range(M):
            x[i] += z[j] * panel[j, i]
    for i in range(M):
        x[i] *= root[i]


@njit(cache=True)
def _solve_rows(first, last, starts, others, values, Q, other_bias, once, each, X, bias, squares):
    """Rows first:last of :func:`half_step`, one after the other."""
    W, M = Q.shape[1], len(once)
    short = min(M // 2, PANEL)
    panel, G, U = np.zeros((PANEL, W), np.float32), np.empty((W, W), np.float32), np.empty((M, W), np.float32)
    right, step, root = np.empty(W, np.float32), np.empty(W, np.float32), np.zeros(W, np.float32)
    penalty, x, left, S, z = np.empty(M), np.empty(M), np.empty(M), np.empty((short, short)), np.empty(short)
    for row in range(first, last):
        begin, n = starts[row], starts[row + 1] - starts[row]
        for c in range(W):
            X[row, c] = 0
        bias[row], squares[row] = 0, 0
        if not n:
            continue
        shrunk = True
        for i in range(M):
            penalty[i] = once[i] + n * each[i]
            shrunk = shrunk and penalty[i] > 0
        if shrunk and n <= short:
            _fill(panel, begin, begin + n, others, values, Q, other_bias, M)
            _solve_short(panel, n, penalty, root, S, z, x)
            for j in range(n):
                squares[row] += z[j] * z[j]
        else:
            for r in range(0, W * W, 8):
                store(G, r, splat(np.float32(0)))
            for r in range(begin, begin + n, PANEL):
                _fill(panel, r, min(r + PANEL, begin + n), others, values, Q, other_bias, M)
                add_product(panel, min(PANEL, begin + n - r), G)
            _solve(G, penalty, U, right, step, x, left)
            s = float(G[M, M])  # Σ e² = Σ t² - x · Σ a t - Σ penalty x², at the minimum
            for i in range(M):
                s -= x[i] * (G[i, M] + penalty[i] * x[i])
            squares[row] = s
        for i in range(M):
            X[row, i] = x[i]
        X[row, 0], bias[row] = 1, x[0]


@ranged
def _solve_parts(first, last, cuts, starts, others, values, Q, other_bias, once, each, X, bias, squares):
    """Parts first:last of the work of :func:`half_step`."""
    for j in range(first, last):
        _solve_rows(cuts[j], cuts[j + 1], starts, others, values, Q, other_bias, once, each, X, bias, squares)


def half_step(cuts, starts, others, values, Q, other_bias, once, each, X, bias, squares):
    """Every row's best bias and factors, given the other side's: ``objective.half_step`` in bulk.

    Args:
        cuts: (J + 1,) rows at which the work is cut into J parts, as equal as can be.
        starts: (R + 1,) where each row's ratings begin.
        others: (N,) int32 rows of the other side.
        values: (N,) float32, less the mean.
        Q: (I, W) float32, rows (1, factors, 0 ..): W is a multiple of 8, with room for 2 + K.
        other_bias: (I,) float32.
        once: (1 + K,) float64 ridge on the bias, then on each factor.
        each: (1 + K,) float64 what is added to it for each of the row's ratings.
        X: (R, W) float32, bias: (R,) float32: get the rows; zeros (also for the 1) where there are no ratings.
        squares: (R,) float64, gets each row's Σ e².
    """
    given = starts, others, values, Q, other_bias, once, each
    share(_solve_parts, len(cuts) - 1, cuts, *given, X, bias, squares)
