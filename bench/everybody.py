"""Everybody's top ten: ``python -m bench everybody`` (writes RESULTS.md; a quiet machine).

ML-1M, what is seen removed, liked and by rating: als with 64 factors, and gibbs with 16 (about 100 samples). Each in a
process of its own: seconds on the clock and of the processor, memory beside the model and the answer, seconds of the
processor for a known user asked alone, and for how many of 300 users the ten are the exact ten (every item's value
computed pair by pair; als: the same). Then a catalogue of 100,000 items and 1,000,000 users whose 64 factors are drawn:
10,000 users within 500 MB, and whether 50 of them get what a dense row of values gives.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dotbias import Ratings, Recommender, datasets
from dotbias.factors import Factors
from dotbias.ids import Ids
from dotbias.orders import ORDERS
from dotbias.solvers import als, gibbs

from .accuracy import machine, replace
from .scale import Memory

START, END = "<!-- everybody: written by python -m bench everybody -->\n", "<!-- /everybody -->\n"
N, ASKED, CHECKED = 10, 300, 50
LARGE = {"n_users": 1_000_000, "n_items": 100_000, "n_ratings": 5_000_000, "n_factors": 64}
FITTED: dict[str, Callable] = {
    "als, 64 factors": lambda train: als(train, n_factors=64, rng=0),
    "gibbs, 16 factors": lambda train: gibbs(train, n_factors=16, rng=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--only", nargs="*", default=[*FITTED, "large"], choices=[*FITTED, "large"])
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.step:
        print(json.dumps(step(*a.step)))
        return
    lines = ["### Everybody's top ten: ML-1M\n"]
    heads = ("clock, s", "processor, s", "extra MB", "alone, ms (median)", "alone, ms (p99)", "exact ten")
    lines += [f"| model | order | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    with tempfile.TemporaryDirectory(prefix="dotbias-everybody-") as folder:
        for name in (n for n in FITTED if n in a.only):
            ratings = datasets.load("ml-1m")
            model = Recommender(FITTED[name](ratings), ratings).save(Path(folder) / "model")
            for order in ORDERS:
                found = own_process(str(model), order)
                figures = [f"{found[k]:.2f}" for k in ("clock", "cpu", "memory", "median", "p99")]
                lines.append(f"| {name} | {order} | {' | '.join(figures)} | {100 * found['exact']:.1f} % |")
                print(lines[-1], flush=True)
    if "large" in a.only:
        found = own_process("large", "liked")
        lines.append(
            f"\n1,000,000 users, 100,000 items, 64 factors: {found['users']:,} users in {found['clock']:.1f} s "
            f"({found['users'] / found['clock']:,.0f} a second), {found['memory']:.0f} MB beside the model (allowed: "
            f"500); {found['same']} of {CHECKED} as from a dense row of values.\n"
        )
        print(lines[-1], flush=True)
    replace(a.write, "\n".join([*lines, "", machine()]), START, END)


def own_process(model: str, order: str) -> dict:
    command = [sys.executable, "-m", "bench.everybody", "--step", model, order]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def step(model: str, order: str) -> dict:
    """What the process of its own measures."""
    if model == "large":
        return large()
    rec = Recommender.load(model)
    users = list(rec.train.user_ids)
    rec.recommend_all(1, order=order, users=users[:2])  # what is made once is made
    with Memory() as memory:
        clock, cpu = time.perf_counter(), time.process_time()
        frame = rec.recommend_all(N, order=order)
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    asked = np.random.default_rng(0).permutation(len(users))[:ASKED].tolist()
    alone, exact = [], 0
    for row in asked:
        start = time.process_time()
        answer = rec.recommend(users[row], N, order=order)
        alone.append(1e3 * (time.process_time() - start))
        exact += [r.item_id for r in answer] == exactly(rec, row, order)
    median, p99 = np.percentile(alone, (50, 99))
    sizes = {"clock": clock, "cpu": cpu, "memory": (memory.peak - frame.estimated_size()) / 1e6}
    return {**sizes, "median": median, "p99": p99, "exact": exact / len(asked)}


def exactly(rec: Recommender, row: int, order: str) -> list:
    """The first ten when every item's value is computed pair by pair."""
    train = rec.train
    values = ORDERS[order](rec.scorer, train).pairs(np.full(train.n_items, row), np.arange(train.n_items)).copy()
    values[train.item_counts == 0] = values[train.items[train.users == row]] = -np.inf
    best = np.argsort(-values, kind="stable")[:N]
    return train.item_ids.take(best)


def large() -> dict:
    """10,000 of 1,000,000 users, 100,000 items."""
    U, I, n, K = LARGE.values()
    rng = np.random.default_rng(0)
    ids = Ids(range(U)), Ids(range(I))
    values = rng.integers(1, 6, n).astype(np.float32)
    train = Ratings(rng.integers(0, U, n).astype(np.int32), rng.integers(0, I, n).astype(np.int32), values, None, *ids)
    tables = (rng.normal(0, 0.3, (rows, K)).astype(np.float32) for rows in (U, I))
    f = Factors(3.5, rng.normal(0, 0.3, U), rng.normal(0, 0.3, I), *tables, tables=train.tables)
    rec, users = Recommender(f, train), rng.permutation(U)[:10_000].tolist()
    rec.recommend_all(N, users=users[:2])
    with Memory() as memory:
        clock = time.perf_counter()
        frame = rec.recommend_all(N, users=users, memory=400e6)
        clock = time.perf_counter() - clock
    ours = frame.group_by("user", maintain_order=True).agg("item")["item"].to_list()
    same = 0
    for k in range(CHECKED):
        dense = ORDERS["liked"](f, train).every(np.array([users[k]]))[0]
        dense[train.item_counts == 0] = dense[train.items[train.users == users[k]]] = -np.inf
        same += ours[k] == np.argsort(-dense, kind="stable")[:N].tolist()
    return {"users": len(users), "clock": clock, "memory": memory.peak / 1e6, "same": same}


if __name__ == "__main__":
    main()
