"""The loops of BPR: clicks laid out in blocks, and one pass of pairs (a click, an item that the user did not click).

Users lie in B blocks and items in 2 B. In a pass the item blocks are paired at random; in a stratum each block of users
meets one pair of item blocks, clicks of the one against items drawn from the other. So the B parts of a stratum share
no row and are learned from side by side without a lock, and the bits do not depend on who does which; and since the
pairs change with every pass, in the end all items are held against each other. This module knows arrays only.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit, uint64

from ._random import bits
from ._threads import ranged, share
from ._vec import fma, load, mul, splat, store, total

LANES = 8
TRIES = 16  # draws of an item that the user did not click, before a click is passed over


@ranged
def scatter(first, last, users, items, user_at, item_at, user_block, item_block, side, place, out_users, out_items):
    """Copy each click to its block, in order, renumbered; ``place`` (S, B · 2 B) is where each slice's begin."""
    S = len(place)
    for s in range(first, last):
        for r in range(len(users) * s // S, len(users) * (s + 1) // S):
            u, i = users[r], items[r]
            block = user_block[u] * side + item_block[i]
            at = place[s, block]
            place[s, block] = at + 1
            out_users[at], out_items[at] = user_at[u], item_at[i]


@ranged
def shuffle(first, last, starts, key, users, items):
    """Put each block's clicks in random order (Fisher & Yates), by a stream of its own."""
    for block in range(first, last):
        begin, size, stream = starts[block], starts[block + 1] - starts[block], bits(uint64(key), block)
        for n in range(size, 1, -1):
            j = begin + np.int64((bits(stream, size - n + 1) >> uint64(32)) * uint64(n) >> uint64(32))
            k = begin + n - 1
            users[j], users[k] = users[k], users[j]
            items[j], items[k] = items[k], items[j]


@njit(inline="always")
def _has(seen, low, high, item):
    """Whether seen[low:high], rising, holds an item."""
    while low < high:
        middle = (low + high) >> 1
        if seen[middle] < item:
            low = middle + 1
        elif seen[middle] > item:
            high = middle
        else:
            return True
    return False


@njit(inline="always")
def _learn(u, i, j, lr, reg, reg_bias, P, Q, bias):
    """Learn that u puts i before j; whether it did before."""
    W = P.shape[1]
    p_at, i_at, j_at = u * W, i * W, j * W
    s, back = splat(float32(0)), splat(float32(-1))
    for k in range(0, W, 8):
        s = fma(load(P, p_at + k), fma(back, load(Q, j_at + k), load(Q, i_at + k)), s)
    x = bias[i] - bias[j] + total(s)
    g = float32(1) / (float32(1) + np.exp(x))  # σ(-x)
    keep, ahead, behind = splat(float32(1) - lr * reg), splat(lr * g), splat(-lr * g)
    for k in range(0, W, 8):
        p, q, r = load(P, p_at + k), load(Q, i_at + k), load(Q, j_at + k)
        store(P, p_at + k, fma(ahead, fma(back, r, q), mul(keep, p)))
        store(Q, i_at + k, fma(ahead, p, mul(keep, q)))
        store(Q, j_at + k, fma(behind, p, mul(keep, r)))
    bias[i] += lr * (g - reg_bias * bias[i])
    bias[j] -= lr * (g + reg_bias * bias[j])
    return x > 0


@ranged
def _learn_parts(first, last, shift, pairs, clicks, item_starts, seen_starts, seen, key, rates, P, Q, bias, told):
    """Parts first:last of one stratum: block a of users with pair (a + shift) mod B of item blocks."""
    users, items, starts = clicks
    lr, reg, reg_bias = rates
    side = len(item_starts) - 1
    B = side // 2
    for a in range(first, last):
        pair = (a + shift) % B
        for half in range(2):
            own, other = pairs[2 * pair + half], pairs[2 * pair + 1 - half]
            low, size, block = item_starts[other], item_starts[other + 1] - item_starts[other], a * side + own
            wrong, n = 0, 0
            for r in range(starts[block], starts[block + 1] if size else starts[block]):
                u, stream = users[r], bits(key, r)
                for t in range(TRIES):
                    j = low + np.int64((bits(stream, t) >> uint64(32)) * uint64(size) >> uint64(32))
                    if not _has(seen, seen_starts[u], seen_starts[u + 1], j):
                        wrong += 0 if _learn(u, items[r], j, lr, reg, reg_bias, P, Q, bias) else 1
                        n += 1
                        break
            told[block, 0], told[block, 1] = wrong, n


def learn_pass(clicks, item_starts, seen_starts, seen, strata, pairs, key, rates, reg, reg_bias, P, Q, bias, told):
    """One pass over all clicks, each against one item drawn from those that the user did not click.

    With x = b_i - b_j + p·(q_i - q_j) and g = σ(-x):

        p += lr (g (q_i - q_j) - reg p)    q_i += lr (g p - reg q_i)    q_j += lr (-g p - reg q_j)    b alike,

    the descent of -ln σ(x) + ½ reg (‖p‖² + ‖q_i‖² + ‖q_j‖²) (Rendle et al. 2009, fig. 4), all from the values before.

    Args:
        clicks: users, items (N,) int32 positions by block, and starts (B · 2 B + 1,) where each block begins.
        item_starts: (2 B + 1,) positions at which item blocks begin.
        seen_starts, seen: (U + 1,), (N,): positions of the items that the user at each position clicked, rising.
        strata: (B,) in which order; stratum s joins block a of users with pair (a + s) mod B.
        pairs: (2 B,) item blocks, two by two.
        key: uint64, of the pass's draws.
        rates: (B,) lr of each stratum in turn.
        reg, reg_bias: ridge on factors and on biases, for each draw.
        P, Q: (U, W), (I, W) float32; bias: (I,) float32.
        told: (B · 2 B, 2) int64, gets how many pairs of each block were in the wrong order, and how many there were.
    """
    for shift, lr in zip(strata, rates, strict=True):
        numbers = np.float32(lr), np.float32(reg), np.float32(reg_bias)
        given = shift, pairs, clicks, item_starts, seen_starts, seen, key, numbers, P, Q, bias, told
        share(_learn_parts, len(strata), *given)
