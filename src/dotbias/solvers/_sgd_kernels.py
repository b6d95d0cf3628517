"""The loops of stochastic gradient descent: laying ratings out in blocks, and one pass over them.

Ratings lie in a grid of B × B blocks of users × items. The B blocks of one *stratum*, (a, (a + s) mod B) for a = 0 ..
B - 1, share no user and no item, so they are learned from side by side without a lock, and the bits do not depend on
who does which (DSGD: Gemulla et al. 2011, sec. 4). Factors are float32 and padded to whole vectors; sums are taken in
a fixed order, without fast-math. This module knows arrays only.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit, uint64

from ._random import bits
from ._threads import ranged, share
from ._vec import add, fma, load, mul, prefetch, splat, store, total

LANES = 16  # factors are padded to a multiple of this: two vectors of eight, so that two sums run side by side
AHEAD = 6  # ratings: how far ahead rows are asked of the memory
BIAS, DECAY, BIAS_DECAY = 0, 1, 2  # columns of a row's own numbers


# Laying out --------------------------------------------------------------------------------------------------------


@ranged
def count_blocks(first, last, users, items, user_block, item_block, B, out):
    """Ratings per slice of the columns and block: out (S, B²)."""
    S = len(out)
    for s in range(first, last):
        for r in range(len(users) * s // S, len(users) * (s + 1) // S):
            out[s, user_block[users[r]] * B + item_block[items[r]]] += 1


@ranged
def scatter(first, last, columns, user_at, item_at, user_block, item_block, B, mean, unit, place, out):
    """Copy each rating to its block, in order, renumbered, less ``mean`` and over ``unit`` (float64).

    Args:
        first, last: of the S slices of the columns.
        columns: users, items (N,) int32, values (N,) float32.
        user_at, item_at, user_block, item_block: row -> position, row -> block.
        B: blocks a side.
        mean, unit: float64.
        place: (S, B²) where each slice's part of a block begins; moved on.
        out: users, items, values (N,) by block.
    """
    users, items, values = columns
    out_users, out_items, out_values = out
    S = len(place)
    for s in range(first, last):
        for r in range(len(users) * s // S, len(users) * (s + 1) // S):
            u, i = users[r], items[r]
            block = user_block[u] * B + item_block[i]
            at = place[s, block]
            place[s, block] = at + 1
            out_users[at], out_items[at], out_values[at] = user_at[u], item_at[i], (values[r] - mean) / unit


@ranged
def shuffle(first, last, starts, key, users, items, values):
    """Put each block's ratings in random order (Fisher & Yates), by a stream of its own."""
    for block in range(first, last):
        begin, size, stream = starts[block], starts[block + 1] - starts[block], bits(uint64(key), block)
        for n in range(size, 1, -1):
            j = begin + np.int64((bits(stream, size - n + 1) >> uint64(32)) * uint64(n) >> uint64(32))
            k = begin + n - 1
            users[j], users[k] = users[k], users[j]
            items[j], items[k] = items[k], items[j]
            values[j], values[k] = values[k], values[j]


# Learning ----------------------------------------------------------------------------------------------------------


@njit(inline="always")
def _learn(u, i, value, lr, mean, low, width, P, Q, user, item):
    """Learn from one rating; its error before."""
    W = P.shape[1]
    p_at, q_at = u * W, i * W
    even, odd = splat(float32(0)), splat(float32(0))
    for k in range(0, W, 16):
        even = fma(load(P, p_at + k), load(Q, q_at + k), even)
        odd = fma(load(P, p_at + k + 8), load(Q, q_at + k + 8), odd)
    z = mean + user[u, BIAS] + item[i, BIAS] + total(add(even, odd))
    if width > 0:
        s = float32(1) / (float32(1) + np.exp(-z))
        e = value - (low + width * s)
        pull = e * (width * s * (float32(1) - s))
    else:
        e = value - z
        pull = e
    step = splat(lr * pull)
    keep_p, keep_q = splat(float32(1) - lr * user[u, DECAY]), splat(float32(1) - lr * item[i, DECAY])
    for k in range(0, W, 8):
        p, q = load(P, p_at + k), load(Q, q_at + k)
        store(P, p_at + k, fma(step, q, mul(keep_p, p)))
        store(Q, q_at + k, fma(step, p, mul(keep_q, q)))
    user[u, BIAS] += lr * (pull - user[u, BIAS_DECAY] * user[u, BIAS])
    item[i, BIAS] += lr * (pull - item[i, BIAS_DECAY] * item[i, BIAS])
    return e


@njit(cache=True)
def learn_block(first, last, users, items, values, lr, mean, low, width, P, Q, user, item):
    """Learn from ratings first:last, one after the other; the sum of their squared errors."""
    W = P.shape[1]
    squares = 0.0
    for r in range(first, last):
        ahead = min(r + AHEAD, last - 1)
        p_at, q_at = users[ahead] * W, items[ahead] * W
        for k in range(0, W, 16):
            prefetch(P, p_at + k)  # pyright: ignore[reportCallIssue] (numba fills in the first argument)
            prefetch(Q, q_at + k)
        e = _learn(users[r], items[r], values[r], lr, mean, low, width, P, Q, user, item)
        squares += e * e
    return squares


@ranged
def _learn_blocks(first, last, shift, users, items, values, starts, lr, mean, low, width, P, Q, user, item, squares):
    """Learn from the blocks (a, (a + shift) mod B) for a = first .. last - 1."""
    B = np.int64(np.sqrt(len(squares)))
    for a in range(first, last):
        block = a * B + (a + shift) % B
        begin, end = starts[block], starts[block + 1]
        squares[block] = learn_block(begin, end, users, items, values, lr, mean, low, width, P, Q, user, item)


def learn_pass(users, items, values, starts, strata, rates, mean, low, width, P, Q, user, item, squares):
    """One pass over all ratings, stratum by stratum, each with its own rate.

    For each rating, with z = mean + b_u + b_i + p·q, prediction f(z), e = value - f and g = e · f'(z):

        p += lr (g q - λ_u p)    q += lr (g p - λ_i q)    b_u += lr (g - β_u b_u)    b_i += lr (g - β_i b_i),

    the descent of ½ e² + ½ (λ_u ‖p‖² + λ_i ‖q‖² + β_u b_u² + β_i b_i²) (Koren, Bell & Volinsky 2009, eq. 5), all
    from the values before it.

    Args:
        users, items, values: (N,) by block; rows are positions in the factors.
        starts: (B² + 1,) where each block begins.
        strata: (B,) in which order; stratum s holds the blocks (a, (a + s) mod B).
        rates: (B,) float32, lr of each stratum in turn.
        mean, low, width: float32; f(z) = z if width is 0, else low + width · σ(z).
        P, Q: (U, W), (I, W) float32 factors, padded.
        user, item: (U, 4), (I, 4) float32: bias b, decays λ and β, nothing.
        squares: (B²,) float64, gets each block's Σ e².
    """
    numbers = mean, low, width, P, Q, user, item, squares
    for shift, lr in zip(strata, rates, strict=True):
        share(_learn_blocks, len(strata), shift, users, items, values, starts, lr, *numbers)
