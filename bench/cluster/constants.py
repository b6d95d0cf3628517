"""The constants of ``dotbias plan``, measured: ``python -m bench.cluster.constants FILE`` prints a line of JSON.

Half-steps: seconds of one thread for a row, by its number of ratings, the factors, and the size of the other side (that
decides what is found in a cache). Stages: seconds and bytes for a rating, and for an id. Ray: seconds for a byte put,
for a byte that comes back, for a task. Seconds are the processor's, the least of three, so that other work on the
machine counts as little as it can; but Ray's are on the clock.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dotbias.cluster.alternating import gather
from dotbias.cluster.joining import joined
from dotbias.cluster.parts import deal, scan
from dotbias.ids import Ids
from dotbias.objective import Ridge
from dotbias.solvers._als_kernels import LANES
from dotbias.solvers._units import Units
from dotbias.solvers.als import by_row, solve

from .processes import forget_peak, own, status

ROWS = (1, 4, 16, 64, 256, 1024)  # ratings of a row
FACTORS = (16, 32, 64, 128)
OTHER = (1 << 20, 1 << 24, 1 << 28)  # bytes of the other side
N = 100_000  # ratings in a measurement of half-steps, about
REG = Ridge(2.0, 5.0, 0.01, 0.045)
PART = 1_000_000  # ratings of the part that is read
MANY = 1_000_000  # ids, beside few


def half_steps() -> dict[str, Any]:
    """Seconds for a row: (other sizes, factors, ratings of a row)."""
    rng = np.random.default_rng(0)
    found = [[[_row(n, k, size, rng) for n in ROWS] for k in FACTORS] for size in OTHER]
    return {"ratings": ROWS, "factors": FACTORS, "other": OTHER, "seconds": found}


def _row(n: int, n_factors: int, size: int, rng: np.random.Generator) -> float:
    width = -(-(n_factors + 2) // LANES) * LANES
    R, others = max(min(N // n, 20_000), 64), max(size // (4 * width), 16)
    columns = np.repeat(np.arange(R, dtype=np.int32), n), rng.integers(0, others, R * n).astype(np.int32)
    values = rng.standard_normal(R * n).astype(np.float32)
    for a in (*columns, values):
        a.flags.writeable = False
    own = by_row(*columns, values, Units(0.0, 1.0), R, n_factors)
    for a in own:
        a.flags.writeable = False
    Q, bias = np.zeros((others, width), np.float32), np.zeros(others, np.float32)
    Q[:, : n_factors + 1] = 1 + 0.1 * rng.standard_normal((others, n_factors + 1), np.float32)
    once = REG.diagonal(n_factors, 0)
    each = REG.diagonal(n_factors, 1) - once
    return least(lambda: solve(own, Q, bias, once, each)) / R


def least(function: Callable[[], Any], times: int = 3) -> float:
    """The least seconds of the processor of so many calls, after one that is not counted."""
    function()
    seconds = []
    for _ in range(times):
        began = time.process_time()
        function()
        seconds.append(time.process_time() - began)
    return min(seconds)


def stages(folder: Path) -> dict[str, dict[str, float]]:
    """Seconds and bytes of each stage, for a rating; of those that number ids, for an id of the tables, too."""
    path, rng = folder / "part.parquet", np.random.default_rng(0)
    few = np.arange(10_000)
    columns = {"user": rng.choice(few, PART), "item": rng.choice(few, PART), "rating": rng.standard_normal(PART)}
    pl.DataFrame(columns).write_parquet(path)
    small, large = (pl.Series(np.arange(n)) for n in (len(few), MANY))
    scanned = cost(lambda: scan(path))
    digest = scan(path).digest
    dealt, with_many = (cost(lambda ids=ids: deal(path, digest, ids, ids, 8)) for ids in (small, large))
    piece = deal(path, digest, small, small, 1)[0]
    gathered = cost(lambda: gather(len(few), len(few), "user", 64, Units(0.0, 1.0), piece))
    halves = large.head(MANY // 2), large.tail(MANY // 2)
    joined_ids = cost(lambda: Ids(halves[0]).extend(halves[1]))
    of_id = {k: max(with_many[k] - dealt[k], 0.0) / (2 * (MANY - len(few))) for k in dealt}
    return {
        "scan": {k: v / PART for k, v in scanned.items()},
        "deal": {k: v / PART for k, v in dealt.items()},
        "deal_id": of_id,
        "gather": {k: v / PART for k, v in gathered.items()},
        "number_id": {k: v / MANY for k, v in joined_ids.items()},
    }


def cost(function: Callable[[], Any]) -> dict[str, float]:
    """Seconds of the processor (children's too), and the peak of bytes above what is held before."""
    function()
    seconds, peaks = [], []
    for _ in range(3):
        before, began = own(), sum(os.times()[:4])
        function()
        seconds.append(sum(os.times()[:4]) - began)
        peaks.append(status("VmHWM") - status("RssFile") - status("RssShmem") - before)
    forget_peak()
    return {"seconds": min(seconds), "bytes": float(max(min(peaks), 0))}


def through_ray() -> dict[str, float]:
    """Seconds for a byte put, for one that comes back from tasks, and for a task; bytes of an idle worker."""
    big = np.ones(32_000_000, np.float32)
    with joined("local:2", 1 << 30) as ray:
        back = ray.remote(num_cpus=1)(lambda n: np.ones(n, np.float32))
        idle = ray.remote(num_cpus=1)(_idle)
        held = ray.get([idle.remote() for _ in range(2)])

        def come_back() -> None:
            found = ray.get([back.remote(2_000_000) for _ in range(16)])
            out = np.empty(32_000_000, np.float32)
            for s, part in enumerate(found):
                out[s::16] = part

        put, came = on_clock(lambda: ray.put(big)), on_clock(come_back)
        task = on_clock(lambda: ray.get([back.remote(1) for _ in range(64)]))
        held.append(own() - big.nbytes)
    sizes = {"worker": float(max(held[:2])), "driver": float(held[2])}
    return {"put": put / big.nbytes, "back": came / big.nbytes, "task": task / 64, **sizes}


def _idle() -> int:
    """Bytes of a worker that has what a fit needs loaded, and no data."""
    from dotbias.cluster import alternating  # noqa: F401
    from dotbias.datasets import planted
    from dotbias.solvers.als import als

    als(planted(300, 200, n_ratings=3000, times=False, rng=0).ratings, n_factors=64, n_epochs=1)
    return own()


def on_clock(function: Callable[[], Any]) -> float:
    function()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {"solve": half_steps(), "stages": stages(Path(folder)), "ray": through_ray()}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
