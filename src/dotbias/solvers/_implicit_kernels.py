"""The loops of implicit alternating least squares: each row's ridge over its clicks and everything it did not click.

A row with clicks of others q_j, of weights c_j, has (Hu, Koren & Volinsky 2008, eq. 4; Rendle et al. 2021, eq. 5)

    (Σ_j c_j q_j q_jᵀ + unseen Σ_all q qᵀ + ridge I) x = Σ_j c_j q_j + ridge prior,

where prior is what the row is shrunk towards: 0, or what its features say.

The sum over all is the same matrix for every row. So both sides are turned into its eigenvectors first (:func:`turn`),
which changes no score: then it is a diagonal, ``base``, and a row's matrix is diag(d) + Σ_j c_j q_j q_jᵀ with
d = base + ridge. A product with that costs 2 n K, not 2 n K + K², and d alone is a good preconditioner. Few clicks are
solved in as many dimensions (Woodbury); else by conjugate gradient from the row before, or by Cholesky. Rows are solved
side by side, each in a fixed order, so the bits do not depend on the threads. This module knows arrays only.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit

from ._als_kernels import PANEL, add_product, factorise, substitute
from ._threads import ranged, share
from ._vec import add, fma, load, mul, splat, spread, store, total

LANES = 8
SHORT = 12  # clicks: with fewer, solved in as many dimensions
GRAMS = 32  # parts of the sum over all rows, added in order


@njit(cache=True)
def sort_by(rows, others, weights, place, out_others, out_weights):
    """Clicks by row, in order; ``place`` (R,) says where each row's begin, and is moved on."""
    for r in range(len(rows)):
        at = place[rows[r]]
        place[rows[r]] = at + 1
        out_others[at] = others[r]
        if len(weights):
            out_weights[at] = weights[r]


# The sum over all rows, and its eigenvectors -----------------------------------------------------------------------


@ranged
def _grams(first, last, Q, out):
    """out[s] (W, W) = the sum over the s-th part of the rows of Q, on and right of the diagonal."""
    S, W = len(out), Q.shape[1]
    for s in range(first, last):
        for k in range(0, W * W, 8):
            store(out[s], k, splat(float32(0)))
        end = len(Q) * (s + 1) // S
        for r in range(len(Q) * s // S, end, PANEL):
            add_product(Q[r:end], min(PANEL, end - r), out[s])


def gram(Q: np.ndarray) -> np.ndarray:
    """Σ q qᵀ over the rows of Q (R, W): (W, W) float64."""
    parts = np.empty((GRAMS, Q.shape[1], Q.shape[1]), np.float32)
    share(_grams, GRAMS, Q, parts)
    upper = np.triu(parts.sum(0, dtype=np.float64))
    return upper + np.triu(upper, 1).T


@ranged
def _turn(first, last, cuts, X, V):
    """Rows cuts[j]:cuts[j + 1] of X become rows of X V, eight at a time."""
    W = X.shape[1]
    rows, turned = np.zeros((8, W), np.float32), np.zeros((8, W), np.float32)
    for at in range(cuts[first], cuts[last], 8):
        n = min(8, cuts[last] - at)
        for k in range(0, n * W, 8):
            store(rows, k, load(X, at * W + k))
        for c in range(0, W, 8):
            s0, s1, s2, s3 = splat(float32(0)), splat(float32(0)), splat(float32(0)), splat(float32(0))
            s4, s5, s6, s7 = splat(float32(0)), splat(float32(0)), splat(float32(0)), splat(float32(0))
            for k in range(W):
                right = load(V, k * W + c)
                s0, s1 = fma(spread(rows, k), right, s0), fma(spread(rows, W + k), right, s1)  # pyright: ignore[reportCallIssue]
                s2, s3 = fma(spread(rows, 2 * W + k), right, s2), fma(spread(rows, 3 * W + k), right, s3)
                s4, s5 = fma(spread(rows, 4 * W + k), right, s4), fma(spread(rows, 5 * W + k), right, s5)
                s6, s7 = fma(spread(rows, 6 * W + k), right, s6), fma(spread(rows, 7 * W + k), right, s7)
            store(turned, c, s0)
            store(turned, W + c, s1)
            store(turned, 2 * W + c, s2)
            store(turned, 3 * W + c, s3)
            store(turned, 4 * W + c, s4)
            store(turned, 5 * W + c, s5)
            store(turned, 6 * W + c, s6)
            store(turned, 7 * W + c, s7)
        for k in range(0, n * W, 8):
            store(X, at * W + k, load(turned, k))


def turn(X: np.ndarray, V: np.ndarray) -> None:
    """X (R, W) becomes X V, in place."""
    parts = max(1, min(256, len(X) // 64))
    share(_turn, parts, np.linspace(0, len(X), parts + 1).astype(np.int64), X, V)


# One row -----------------------------------------------------------------------------------------------------------


@njit(cache=True)
def _pull(first, last, others, weights, Q, p, target, out):
    """out (W,) = Σ_j c_j e_j q_j, e_j = target - q_j · p, over the clicks first:last, four at a time; Σ c_j e_j²."""
    W, weighted = Q.shape[1], len(weights) > 0
    squares = float32(0)
    for k in range(0, W, 8):
        store(out, k, splat(float32(0)))
    j = first
    while j + 4 <= last:
        a, b, c, d = others[j] * W, others[j + 1] * W, others[j + 2] * W, others[j + 3] * W
        s0, s1, s2, s3 = splat(float32(0)), splat(float32(0)), splat(float32(0)), splat(float32(0))
        for k in range(0, W, 8):
            x = load(p, k)
            s0, s1 = fma(load(Q, a + k), x, s0), fma(load(Q, b + k), x, s1)
            s2, s3 = fma(load(Q, c + k), x, s2), fma(load(Q, d + k), x, s3)
        e0, e1, e2, e3 = target - total(s0), target - total(s1), target - total(s2), target - total(s3)
        g0, g1, g2, g3 = e0, e1, e2, e3
        if weighted:
            g0, g1, g2, g3 = e0 * weights[j], e1 * weights[j + 1], e2 * weights[j + 2], e3 * weights[j + 3]
        squares += (e0 * g0 + e1 * g1) + (e2 * g2 + e3 * g3)
        f0, f1, f2, f3 = splat(g0), splat(g1), splat(g2), splat(g3)
        for k in range(0, W, 8):
            o = fma(load(Q, a + k), f0, load(out, k))
            o = fma(load(Q, b + k), f1, o)
            o = fma(load(Q, c + k), f2, o)
            store(out, k, fma(load(Q, d + k), f3, o))
        j += 4
    while j < last:
        a = others[j] * W
        s0 = splat(float32(0))
        for k in range(0, W, 8):
            s0 = fma(load(Q, a + k), load(p, k), s0)
        e0 = target - total(s0)
        g0 = e0 * weights[j] if weighted else e0
        squares += e0 * g0
        f0 = splat(g0)
        for k in range(0, W, 8):
            store(out, k, fma(load(Q, a + k), f0, load(out, k)))
        j += 1
    return squares


@njit(cache=True)
def _dot(a, b):
    """Σ a b of two vectors (W,)."""
    s = splat(float32(0))
    for k in range(0, len(a), 8):
        s = fma(load(a, k), load(b, k), s)
    return total(s)


@njit(cache=True)
def _left(first, last, others, weights, Q, d, shift, x, right):
    """right (W,) = shift + Σ_j c_j q_j - (diag(d) + Σ_j c_j q_j q_jᵀ) x: what of the row's equation is left.

    Returns:
        The row's cost, but for what does not depend on x: Σ_j c_j (1 - q_j · x)² + Σ (d x - 2 shift) x.
    """
    squares, s, back = (
        _pull(first, last, others, weights, Q, x, float32(1), right),
        splat(float32(0)),
        splat(float32(-1)),
    )
    for k in range(0, len(x), 8):
        pulled = fma(load(d, k), load(x, k), mul(back, load(shift, k)))
        store(right, k, fma(back, pulled, load(right, k)))
        s = fma(fma(back, load(shift, k), pulled), load(x, k), s)
    return squares + total(s)


@njit(cache=True)
def _descend(first, last, others, weights, Q, d, inverse, shift, x, left, step, product, n_steps, tolerance):
    """Conjugate gradient on x (W,) from where it is, preconditioned by d; the row's cost."""
    W = len(x)
    cost = _left(first, last, others, weights, Q, d, shift, x, left)
    for k in range(0, W, 8):
        store(step, k, mul(load(inverse, k), load(left, k)))
    size = _dot(left, step)
    enough = tolerance * size
    for _ in range(n_steps):
        if size <= enough or size <= float32(1e-30):
            break
        _pull(first, last, others, weights, Q, step, float32(0), product)
        for k in range(0, W, 8):
            store(product, k, fma(load(d, k), load(step, k), mul(splat(float32(-1)), load(product, k))))
        length = size / _dot(step, product)
        cost -= length * size
        ahead, back, s = splat(length), splat(-length), splat(float32(0))
        for k in range(0, W, 8):
            store(x, k, fma(ahead, load(step, k), load(x, k)))
            r = fma(back, load(product, k), load(left, k))
            store(left, k, r)
            s = fma(mul(r, r), load(inverse, k), s)
        new = total(s)
        turn_by = splat(new / size)
        for k in range(0, W, 8):
            store(step, k, fma(turn_by, load(step, k), mul(load(inverse, k), load(left, k))))
        size = new
    return cost


@njit(cache=True)
def _solve_short(first, n, others, weights, Q, inverse, panel, scaled, S, z, x):
    """x (W,) of a row of few clicks, in n dimensions: (A D⁻¹ Aᵀ + I) z = t, x = D⁻¹ Aᵀ z, rows of A √c q; its cost."""
    W = len(x)
    for j in range(n):
        at, root = others[first + j] * W, float32(1)
        if len(weights):
            root = np.sqrt(weights[first + j])
        z[j] = root
        for k in range(0, W, 8):
            row = mul(splat(root), load(Q, at + k))
            store(panel, j * W + k, row)
            store(scaled, j * W + k, mul(load(inverse, k), row))
    for j in range(n):
        for i in range(j + 1):
            s = splat(float32(0))
            for k in range(0, W, 8):
                s = fma(load(scaled, i * W + k), load(panel, j * W + k), s)
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
    for k in range(0, W, 8):
        s = splat(float32(0))
        for j in range(n):
            s = fma(splat(float32(z[j])), load(scaled, j * W + k), s)
        store(x, k, s)
    cost = 0.0
    for j in range(n):  # Σ z² + x·D x, and the latter is x·Aᵀ z
        s = splat(float32(0))
        for k in range(0, W, 8):
            s = fma(load(panel, j * W + k), load(x, k), s)
        cost += z[j] * (z[j] + total(s))
    return cost


@njit(cache=True)
def _solve(first, last, others, weights, Q, d, shift, panel, G, right, step, x):
    """x (W,) by Cholesky in float32, refined once; the row's cost."""
    W = len(x)
    for k in range(0, W * W, 8):
        store(G, k, splat(float32(0)))
    for r in range(first, last, PANEL):
        n = min(PANEL, last - r)
        for j in range(n):
            at, root = others[r + j] * W, float32(1)
            if len(weights):
                root = np.sqrt(weights[r + j])
            for k in range(0, W, 8):
                store(panel, j * W + k, mul(splat(root), load(Q, at + k)))
        add_product(panel, n, G)
    for k in range(W):
        G[k, k] += d[k]
        x[k] = 0
    factorise(G)
    for _ in range(2):
        _left(first, last, others, weights, Q, d, shift, x, right)
        substitute(G, right, step)
        for k in range(0, W, 8):
            store(x, k, add(load(step, k), load(x, k)))
    return _left(first, last, others, weights, Q, d, shift, x, right)


# All rows of a side ------------------------------------------------------------------------------------------------


@ranged
def _solve_parts(first, last, cuts, starts, others, weights, Q, base, ridge, prior, X, costs, n_steps, tolerance):
    """Parts first:last of the work of :func:`half_step`."""
    W, exact = Q.shape[1], n_steps == 0
    d, inverse, shift = np.empty(W, np.float32), np.empty(W, np.float32), np.zeros(W, np.float32)
    left, step, product = np.empty(W, np.float32), np.empty(W, np.float32), np.empty(W, np.float32)
    panel, scaled = np.empty((PANEL if exact else SHORT, W), np.float32), np.empty((SHORT, W), np.float32)
    G = np.empty((W if exact else 1, W), np.float32)
    S, z = np.empty((SHORT, SHORT)), np.empty(SHORT)
    for row in range(cuts[first], cuts[last]):
        begin, end = starts[row], starts[row + 1]
        x = X[row]
        if begin == end:
            for k in range(0, W, 8):
                store(x, k, splat(float32(0)))
            costs[row] = 0
            continue
        for k in range(W):
            d[k] = base[k] + ridge[row]
            inverse[k] = float32(1) / d[k]
        if len(prior):
            for k in range(W):
                shift[k] = ridge[row] * prior[row, k]
        if end - begin <= SHORT and not len(prior):
            costs[row] = _solve_short(begin, end - begin, others, weights, Q, inverse, panel, scaled, S, z, x)
        elif exact:
            costs[row] = _solve(begin, end, others, weights, Q, d, shift, panel, G, left, step, x)
        else:
            room = left, step, product
            costs[row] = _descend(begin, end, others, weights, Q, d, inverse, shift, x, *room, n_steps, tolerance)
        if len(prior):
            costs[row] += _dot(shift, shift) / ridge[row]


def half_step(cuts, starts, others, weights, Q, base, ridge, prior, X, costs, n_steps, tolerance):
    """Every row's best factors, given the other side's, in bulk and in place.

    Args:
        cuts: (J + 1,) rows at which the work is cut into J parts, as equal as can be.
        starts: (R + 1,) where each row's clicks begin.
        others: (N,) int32 rows of the other side.
        weights: (N,) float32 of the clicks; (0,): each 1.
        Q: (I, W) float32 the other side, in the eigenvectors of its sum over all; W is a multiple of 8.
        base: (W,) float32 the weight of the unseen times its eigenvalues.
        ridge: (R,) float32 the ridge on each row's ‖x - prior‖², above 0.
        prior: (R, W) float32 what the rows are shrunk towards; (0, W): 0.
        X: (R, W) float32, gets the rows; conjugate gradient begins with what is there. Zeros without clicks.
        costs: (R,) float64, gets Σ c (1 - q·x)² + unseen Σ_all (q·x)² + ridge ‖x - prior‖² of each row.
        n_steps: of conjugate gradient, at most; 0: Cholesky.
        tolerance: conjugate gradient ends where the squared residual has fallen to this share.
    """
    given = starts, others, weights, Q, base, ridge, prior, X, costs, n_steps, np.float32(tolerance)
    share(_solve_parts, len(cuts) - 1, cuts, *given)
