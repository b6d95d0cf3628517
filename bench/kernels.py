"""How fast the SGD and ALS kernels are, against the floor that the machine sets: ``python -m bench kernels``.

One rating of SGD with K factors costs, a fused multiply-add counting as two operations and biases as nothing,

    p·q                     2 K flop    p and q come from the second cache: 8 K bytes
    p' = keep p + step q    3 K         p' goes back there: 4 K bytes
    q' = keep q + step p    3 K         q' too: 4 K bytes

8 K flop and 16 K bytes: a block's users fill a good part of the second cache (``_sgd_blocks.CACHE``), so that hardly
a row is still in the first when its next rating comes. The rating itself, 12 bytes, comes from memory. One rating of
an ALS half-step costs (K + 2)² flop, half of a symmetric product, and 4 (K + 2) bytes. The floor of ns per rating and
thread is the largest of flop / F, bytes / C and 12 / M, where F, C and M are measured here with the same threads:

    F   flop/s of fma on vectors of eight, ten chains that do not wait for one another
    C   bytes/s of a triad a = b + s c (12 bytes an element) over 3 × 128 KB, in the second cache
    M   bytes/s of the same over 3 × 64 MB

Planted ratings: 70,000 users × 10,000 items, 3 M ratings; the fastest of several passes, since others may be at work
on the machine.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numba
import numpy as np
from numba import float32, njit, prange

from dotbias.datasets import planted
from dotbias.objective import Ridge
from dotbias.solvers import _als_kernels
from dotbias.solvers._columns import frozen
from dotbias.solvers._threads import processors, sharing, use
from dotbias.solvers._units import Units
from dotbias.solvers._vec import add, fma, load, splat, store, total
from dotbias.solvers.als import by_row, first_rows
from dotbias.solvers.sgd import Descent

from .accuracy import machine as about
from .accuracy import replace

START, END = "<!-- kernels: written by python -m bench kernels -->\n", "<!-- /kernels -->\n"
FACTORS, THREADS = (16, 64, 128), (1, 2)
USERS, ITEMS, RATINGS = 70_000, 10_000, 3_000_000


# The machine -----------------------------------------------------------------------------------------------------


@njit(parallel=True)
def _fma(n_tasks, rounds, out):
    for t in prange(n_tasks):
        x, y = splat(float32(0.999)), splat(float32(0.001))
        a, b, c, d, e = x, y, x, y, x
        f, g, h, i, j = y, x, y, x, y
        for _ in range(rounds):
            a, b, c, d, e = fma(a, x, y), fma(b, x, y), fma(c, x, y), fma(d, x, y), fma(e, x, y)
            f, g, h, i, j = fma(f, x, y), fma(g, x, y), fma(h, x, y), fma(i, x, y), fma(j, x, y)
        s = add(add(add(a, b), add(c, d)), add(add(e, f), add(g, add(h, add(i, j)))))
        out[t] = total(s)


@njit(parallel=True)
def _triad(n_tasks, rounds, size, a, b, c):
    s = splat(float32(0.5))
    for t in prange(n_tasks):
        for _ in range(rounds):
            for k in range(t * size, t * size + size, 8):
                store(a, k, fma(s, load(c, k), load(b, k)))


def fastest(run, n: int = 7) -> float:
    """Seconds of the fastest of n calls, after one that may compile."""
    run()
    times = []
    for _ in range(n):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def machine(threads: int) -> dict[str, float]:
    """Flop/s, and bytes/s of the second cache and of memory, per thread, in units of 10⁹."""
    rounds, out = 1_000_000, np.empty(threads)
    flops = rounds * 10 * 8 * 2 / fastest(lambda: _fma(threads, rounds, out))
    speeds = {"flop/ns": flops / 1e9}
    for name, size, rounds in (("cache bytes/ns", 1 << 15, 400), ("memory bytes/ns", 1 << 24, 1)):
        a, b, c = (np.ones(threads * size, np.float32) for _ in range(3))
        seconds = fastest(lambda a=a, b=b, c=c, size=size, rounds=rounds: _triad(threads, rounds, size, a, b, c))
        speeds[name] = 12 * size * rounds / seconds / 1e9
    return speeds


def floor(speeds: dict[str, float], flop: float, cache: float, memory: float) -> float:
    """Ns per rating and thread: the slowest of the three."""
    return max(flop / speeds["flop/ns"], cache / speeds["cache bytes/ns"], memory / speeds["memory bytes/ns"])


# The kernels -----------------------------------------------------------------------------------------------------


def measure() -> list[dict]:
    """A row per kernel, K and number of threads."""
    ratings = planted(USERS, ITEMS, n_ratings=RATINGS, times=False, rng=0).ratings
    rows = []
    for threads in THREADS:
        if threads > min(processors(), numba.config.NUMBA_NUM_THREADS):
            continue
        numba.set_num_threads(threads)  # of the loops here
        use(threads)  # of the solvers'
        speeds = machine(threads)
        print(f"{threads} thread(s), each: " + ", ".join(f"{k} {v:.1f}" for k, v in speeds.items()), file=sys.stderr)
        for K in FACTORS:
            passes = {"sgd": (sgd_pass(ratings, K), 8 * K, 16 * K, 12), "als": als_half(ratings, K)}
            for name, (run, flop, cache, memory) in passes.items():
                with sharing(0, 0):
                    ns = fastest(run, 5) / RATINGS * 1e9 * threads
                least = floor(speeds, flop, cache, memory)
                rows.append({"kernel": name, "factors": K, "threads": threads, "M ratings/s": 1e3 * threads / ns})
                rows[-1] |= {"ns per rating and thread": ns, "floor": least, "times the floor": ns / least}
    return rows


def sgd_pass(ratings, K: int):
    """One pass at a small rate."""
    descent = Descent(ratings, K, Ridge(0.0, 0.0, 0.01, 0.05), lambda progress: 0.005, 100, key=1)
    return lambda: descent.step(0)


def als_half(ratings, K: int):
    """The items' half-step, with 300 ratings an item: (call, flop, cache bytes, memory bytes)."""
    items, users, values = (frozen(c) for c in (ratings.items, ratings.users, ratings.explicit()))
    own = by_row(items, users, values, Units(3.5, 1.0), ITEMS, K)
    Q = first_rows(np.ones(USERS), K, np.random.default_rng(0))
    X, bias, squares = np.empty((ITEMS, Q.shape[1]), np.float32), np.empty(ITEMS, np.float32), np.empty(ITEMS)
    given = Q, np.zeros(USERS, np.float32), np.zeros(K + 1), np.full(K + 1, 0.1)
    ratings_of = own.cuts, own.starts, own.others, own.values
    call = lambda: _als_kernels.half_step(*ratings_of, *given, X, bias, squares)  # noqa: E731
    return call, (K + 2) ** 2, 4 * (K + 2), 8


# Telling ---------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    arguments = parser.parse_args()
    rows = measure()
    head = list(rows[0])
    lines = ["### The kernels against the floor\n", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += [
        "| " + " | ".join(f"{x:.1f}" if isinstance(x, float) else str(x) for x in row.values()) + " |" for row in rows
    ]
    replace(arguments.write, "\n".join(lines) + f"\n\n{cpu()}. {about()}", START, END)
    print("\n".join(lines))


def cpu() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
