"""The Gibbs sampler's loops: statistics of a side's rows, and draws from their conditionals.

One *side* (users, items or sessions) is drawn while the others rest. With h_r what its factors are multiplied by in
rating r (an item's by user + session, theirs by the item's) and e_r the rating's residual, everything that a row's own
factors, and its features' factors, need to know of the row's ratings is, for a block of eight factors,

    G_row = Σ_r h_r h_rᵀ  (8, 8)    and    b_row = Σ_r h_r e_r  (8,),

so features (histories, side tables) are drawn from rows' statistics alone: a sweep costs (ratings + feature entries)
· K, never their product (Rendle 2013). Own factors of different rows are independent given the rest, and are drawn in
parallel; features share rows, and are drawn one after the other, in their order.

The conditional of a block v (8,) of one feature with entries x_row (an own factor is one entry, x = 1) is, with noise
precision α, prior mean μ and precisions λ,

    P = diag(λ) + α Σ_row x² G_row,   v ~ N(P⁻¹ (λ μ + α Σ_row x (b_row + x G_row v_old)), P⁻¹)

(Salakhutdinov & Mnih 2008, eq. 11-13, by blocks of eight). Every float is summed in a fixed order.
This module knows arrays only.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit, uint64

from .._random import normal
from .._threads import ranged
from .._vec import add, fma, lane, load, mul, splat, store, total


@ranged
def residuals(first, last, y, users, items, sessions, mean, bias, factors, e):
    """e = y - mean - biases - (users + sessions) · items (N,). ``bias``, ``factors``: of users, items, sessions."""
    K = factors[0].shape[1]
    D = len(bias[2])
    for r in range(first, last):
        u, i = users[r], items[r]
        s = splat(float32(0))
        known = mean + bias[0][u] + bias[1][i]
        if D:
            d = sessions[r]
            known += bias[2][d]
            for k in range(0, K, 8):
                p = add(load(factors[0], u * K + k), load(factors[2], d * K + k))
                s = fma(p, load(factors[1], i * K + k), s)
        else:
            for k in range(0, K, 8):
                s = fma(load(factors[0], u * K + k), load(factors[1], i * K + k), s)
        e[r] = y[r] - known - total(s)


@ranged
def row_sums(first, last, starts, e, out):
    """Each row's Σ e and Σ e², out (R, 2) float64: then rows are summed, and no bit depends on who holds which."""
    for row in range(first, last):
        s, squares = 0.0, 0.0
        for r in range(starts[row], starts[row + 1]):
            s += e[r]
            squares += float(e[r]) * float(e[r])
        out[row, 0], out[row, 1] = s, squares


@ranged
def row_scores(first, last, starts, near, bias, users, items, out):
    """Each item's Σ bias + user · item over its raters, out (R,) float64."""
    for row in range(first, last):
        s = 0.0
        for r in range(starts[row], starts[row + 1]):
            dot = 0.0
            for k in range(users.shape[1]):
                dot += float(users[near[r], k]) * float(items[row, k])
            s += float(bias[near[r]]) + dot
        out[row] = s


@ranged
def collapse(first, last, starts, index, weight, own, features, out):
    """Each row's effective factors: its own plus its features', weighted: (R, K)."""
    K = own.shape[1]
    for row in range(first, last):
        for k in range(0, K, 8):
            s = load(own, row * K + k)
            for q in range(starts[row], starts[row + 1]):
                s = fma(splat(weight[q]), load(features, index[q] * K + k), s)
            store(out, row * K + k, s)


@ranged
def collapse_bias(first, last, starts, index, weight, own, features, out):
    """Each row's effective bias: its own plus its features', weighted: (R,)."""
    for row in range(first, last):
        s = own[row]
        for q in range(starts[row], starts[row + 1]):
            s += weight[q] * features[index[q]]
        out[row] = s


@njit(cache=True)
def moments(x, centre, first, last, out):
    """Per column of rows first:last: Σ (x - centre) and Σ (x - centre)², out (2, K) float64."""
    out[:] = 0
    for row in range(first, last):
        for k in range(x.shape[1]):
            d = float(x[row, k]) - centre[k]
            out[0, k] += d
            out[1, k] += d * d


# Biases: a block of one, with h = 1 --------------------------------------------------------------------------------


@ranged
def bias_statistics(first, last, starts, e, b):
    """b_row = Σ_r e_r (R,) float64."""
    for row in range(first, last):
        s = 0.0
        for r in range(starts[row], starts[row + 1]):
            s += e[r]
        b[row] = s


@njit(cache=True)
def draw_biases(starts, b, bias, shift, alpha, mu, lam, key, at, stride):
    """Draw every row's own bias; ``b`` and ``shift`` (what each row's residuals lose) follow.

    Row r draws number ``at + r · stride`` of the stream: a shard's rows the numbers they have among all.
    """
    for row in range(len(bias)):
        n = float(starts[row + 1] - starts[row])
        p = alpha * n + lam
        new = float32((alpha * (b[row] + n * bias[row]) + lam * mu) / p + normal(key, at + row * stride) / np.sqrt(p))
        step = float(new) - bias[row]
        b[row] -= n * step
        shift[row] += step
        bias[row] = new


@njit(cache=True)
def draw_feature_biases(starts, first, rows, weight, group, b, bias, shift, alpha, mu, lam, key):
    """Draw the features' weights, in their order; feature f's entries are first[f]:first[f + 1]."""
    for f in range(len(bias)):
        a, s = 0.0, 0.0
        for q in range(first[f], first[f + 1]):
            row, x = rows[q], weight[q]
            a += x * x * (starts[row + 1] - starts[row])
            s += x * b[row]
        g = group[f]
        p = alpha * a + lam[g]
        new = float32((alpha * (s + a * bias[f]) + lam[g] * mu[g]) / p + normal(key, f) / np.sqrt(p))
        step = float(new) - bias[f]
        bias[f] = new
        for q in range(first[f], first[f + 1]):
            row = rows[q]
            b[row] -= weight[q] * step * (starts[row + 1] - starts[row])
            shift[row] += weight[q] * step


@ranged
def subtract(first, last, starts, e, shift):
    """Residuals after the biases moved by ``shift`` (R,)."""
    for row in range(first, last):
        s = float32(shift[row])
        for r in range(starts[row], starts[row + 1]):
            e[r] -= s


# Factors, eight at a time ------------------------------------------------------------------------------------------


@ranged
def statistics(first, last, starts, near, far, X, Y, e, before, shift, k, G, b):
    """Take the last block's ``shift`` (R, 8) off the residuals, then sum G (R, 64) and b (R, 8) for the next block.

    h_r = X[near[r]] + Y[far[r]] (Y may be empty: then X alone). ``before`` and ``k`` are the blocks' first columns;
    -1 for none.
    """
    K = X.shape[1]
    two = len(Y) > 0
    for row in range(first, last):
        if before >= 0:
            d = load(shift, row * 8)
            for r in range(starts[row], starts[row + 1]):
                h = load(X, near[r] * K + before)
                if two:
                    h = add(h, load(Y, far[r] * K + before))
                e[r] -= total(mul(h, d))
        if k >= 0:
            zero = splat(float32(0))
            s, g0, g1, g2, g3, g4, g5, g6, g7 = zero, zero, zero, zero, zero, zero, zero, zero, zero
            for r in range(starts[row], starts[row + 1]):
                h = load(X, near[r] * K + k)
                if two:
                    h = add(h, load(Y, far[r] * K + k))
                s = fma(splat(e[r]), h, s)
                g0, g1 = fma(lane(h, 0), h, g0), fma(lane(h, 1), h, g1)
                g2, g3 = fma(lane(h, 2), h, g2), fma(lane(h, 3), h, g3)
                g4, g5 = fma(lane(h, 4), h, g4), fma(lane(h, 5), h, g5)
                g6, g7 = fma(lane(h, 6), h, g6), fma(lane(h, 7), h, g7)
            store(b, row * 8, s)
            _store_rows(G, row * 64, g0, g1, g2, g3, g4, g5, g6, g7)


@ranged
def draw_factors(first, last, G, b, V, shift, k, alpha, mu, lam, active, key, at, stride):
    """Draw columns k:k+8 of every row's own factors V (R, K); ``b`` and ``shift`` (R, 8) follow.

    ``active`` (8,) is 0 for columns that only pad K to a multiple of eight: they stay exactly zero. ``at`` and
    ``stride`` are as for the biases.
    """
    K = V.shape[1]
    P, z, new, work = np.empty(64, np.float32), np.empty(8, np.float32), np.empty(8, np.float32), _scratch()
    for row in range(first, last):
        s, old = load(b, row * 8), load(V, row * K + k)
        for j in range(8):
            g = load(G, row * 64 + 8 * j)
            s = fma(splat(V[row, k + j]), g, s)
            store(P, 8 * j, mul(splat(alpha), g))
        _draw(P, s, alpha, mu, lam, 0, active, key, at + row * stride, z, new, work)
        step = fma(splat(float32(-1)), old, load(new, 0))
        store(V, row * K + k, load(new, 0))
        store(shift, row * 8, step)
        store(new, 0, step)
        s = load(b, row * 8)
        for j in range(8):
            s = fma(splat(-new[j]), load(G, row * 64 + 8 * j), s)
        store(b, row * 8, s)


@njit(cache=True)
def draw_feature_factors(first, rows, weight, group, G, b, V, shift, k, alpha, mu, lam, active, key):
    """Draw columns k:k+8 of the features' factors V (F, K), in their order; ``b`` and ``shift`` (R, 8) follow."""
    K = V.shape[1]
    P, z, new, work = np.empty(64, np.float32), np.empty(8, np.float32), np.empty(8, np.float32), _scratch()
    zero = splat(float32(0))
    for f in range(len(V)):
        s, g0, g1, g2, g3, g4, g5, g6, g7 = zero, zero, zero, zero, zero, zero, zero, zero, zero
        for q in range(first[f], first[f + 1]):
            x = splat(weight[q])
            x2, at = mul(x, x), rows[q] * 64
            s = fma(x, load(b, rows[q] * 8), s)
            g0, g1 = fma(x2, load(G, at), g0), fma(x2, load(G, at + 8), g1)
            g2, g3 = fma(x2, load(G, at + 16), g2), fma(x2, load(G, at + 24), g3)
            g4, g5 = fma(x2, load(G, at + 32), g4), fma(x2, load(G, at + 40), g5)
            g6, g7 = fma(x2, load(G, at + 48), g6), fma(x2, load(G, at + 56), g7)
        _store_rows(P, 0, g0, g1, g2, g3, g4, g5, g6, g7)
        for j in range(8):
            g = load(P, 8 * j)
            s = fma(splat(V[f, k + j]), g, s)
            store(P, 8 * j, mul(splat(alpha), g))
        _draw(P, s, alpha, mu, lam, group[f], active, key, f, z, new, work)
        step = fma(splat(float32(-1)), load(V, f * K + k), load(new, 0))
        store(V, f * K + k, load(new, 0))
        for q in range(first[f], first[f + 1]):
            x, at, row = splat(weight[q]), rows[q] * 64, rows[q] * 8
            store(shift, row, fma(x, step, load(shift, row)))
            t0, t1 = mul(lane(step, 0), load(G, at)), mul(lane(step, 1), load(G, at + 8))
            t0, t1 = fma(lane(step, 2), load(G, at + 16), t0), fma(lane(step, 3), load(G, at + 24), t1)
            t0, t1 = fma(lane(step, 4), load(G, at + 32), t0), fma(lane(step, 5), load(G, at + 40), t1)
            t0, t1 = fma(lane(step, 6), load(G, at + 48), t0), fma(lane(step, 7), load(G, at + 56), t1)
            store(b, row, fma(mul(splat(float32(-1)), x), add(t0, t1), load(b, row)))


@njit(inline="always")
def _scratch():
    return np.empty(16, np.float32)


@njit(inline="always")
def _store_rows(G, at, g0, g1, g2, g3, g4, g5, g6, g7):
    store(G, at, g0)
    store(G, at + 8, g1)
    store(G, at + 16, g2)
    store(G, at + 24, g3)
    store(G, at + 32, g4)
    store(G, at + 40, g5)
    store(G, at + 48, g6)
    store(G, at + 56, g7)


@njit(inline="always")
def _draw(P, s, alpha, mu, lam, group, active, key, counter, z, new, work):
    """new (8,) ~ N(P⁻¹ (λ μ + α s), P⁻¹), where P (64,) comes as α G and leaves destroyed."""
    for j in range(8):
        P[9 * j] += lam[group, j]
        z[j] = normal(uint64(key), counter * 8 + j) * active[j]
    prior = mul(load(lam, group * 8), load(mu, group * 8))
    solve(P, fma(splat(alpha), s, prior), z, work, new)


@njit(inline="always")
def solve(P, right, z, work, x):
    """x = P⁻¹ right + P^-½ z by P = L D Lᵀ (x = L⁻ᵀ (D⁻¹ L⁻¹ right + D^-½ z)); P (64,) is overwritten by D Lᵀ.

    ``work`` (16,): 1/D, then L⁻¹ right.
    """
    for j in range(8):
        inverse = float32(1) / P[9 * j]
        row = load(P, 8 * j)
        unit = mul(splat(inverse), row)  # row j of Lᵀ
        store(x, 0, right)
        y = x[j]
        work[j], work[8 + j] = inverse, y
        right = fma(splat(-y), unit, right)
        for i in range(j + 1, 8):
            store(P, 8 * i, fma(splat(-P[8 * j + i]), unit, load(P, 8 * i)))
    for back in range(8):
        j = 7 - back
        s = float32(0)
        for i in range(j + 1, 8):
            s += P[8 * j + i] * x[i]
        x[j] = (work[8 + j] - s) * work[j] + z[j] * np.sqrt(work[j])
