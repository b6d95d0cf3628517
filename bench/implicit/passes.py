"""Seconds of a pass of implicit_als and bpr beside implicit's ALS and BPR, in turn, each in a process of its own.

Both alternate by three steps of conjugate gradient; both draw one item for each click. A run's figure is the median of
its passes but the first; shown are medians of the runs, and of the runs' ratios. Beside other jobs, seconds of the
processor are to be read. Recall@20 is that of whole fits with like weights: implicit's confidence is 1 / unseen, and its
ridge the one of three that is best on test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from dotbias import Ratings
from dotbias.evaluation import evaluate
from dotbias.solvers import bpr, implicit_als

from ..peers.envs import python_of
from .peers import Scores, parts

ADAPTER = Path(__file__).parent.parent / "peers" / "clicks_pass.py"
RUNS = 5
PASSES = {"ml-1m": 8, "gowalla": 5}
RIDGES = (30, 100, 300)
Found = dict[str, float]


def read(data: str) -> tuple[Ratings, Ratings]:
    """Train and test."""
    from . import read_gowalla

    return parts() if data == "ml-1m" else read_gowalla()


def clicks_file(data: str, folder: Path) -> Path:
    """Train's clicks as arrays, for the other library."""
    train, path = read(data)[0], folder / f"{data}.npz"
    np.savez(path, users=train.users, items=train.items, n_users=train.n_users, n_items=train.n_items)
    return path


def one_run(kind: str, data: str, n_factors: int, n_passes: int) -> Found:
    """Ours: seconds of a pass, on the clock and of the processor. Kernels are compiled or read before."""
    train = read(data)[0]
    fit = {"als": implicit_als, "bpr": bpr}[kind]
    fit(train.take(np.arange(len(train)) < 2_000), n_factors=n_factors, n_epochs=1, rng=0)
    at = [(time.perf_counter(), time.process_time())]
    fit(train, n_factors=n_factors, n_epochs=n_passes, rng=0, progress=lambda _: at.append(now()))
    clock, cpu = np.median(np.diff(at, axis=0)[1:], axis=0)
    return {"clock": float(clock), "cpu": float(cpu)}


def now() -> tuple[float, float]:
    """On the clock, and of the processor."""
    return time.perf_counter(), time.process_time()


def done(command: list[str], threads: int) -> Found:
    """What a process prints."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "DOTBIAS_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr[-2000:])
    return json.loads(ended.stdout.strip().splitlines()[-1])


def theirs(path: Path, kind: str, n_factors: int, n_passes: int, threads: int, **settings: Any) -> Found:
    """implicit's seconds of a pass; BLAS on one thread, as it asks."""
    given = {"kind": kind, "factors": n_factors, "iterations": n_passes, "num_threads": threads, **settings}
    return done([python_of("clicks"), str(ADAPTER), str(path), json.dumps(given)], 1)


def ours(data: str, kind: str, n_factors: int, n_passes: int, threads: int) -> Found:
    """Ours, in a process of its own."""
    step = [kind, data, str(n_factors), str(n_passes)]
    return done([sys.executable, "-m", "bench", "implicit", "--step", "pass", *step], threads)


def compared(data: str, path: Path, kind: str, n_factors: int, threads: int, runs: int) -> str:
    """A row: both in turn."""
    n = PASSES[data]
    pairs = [(theirs(path, kind, n_factors, n, threads), ours(data, kind, n_factors, n, threads)) for _ in range(runs)]
    cells = [f"{median(p[k][unit] for p in pairs):.3f}" for unit in ("clock", "cpu") for k in (0, 1)]
    ratios = [f"{median(b[unit] / a[unit] for a, b in pairs):.2f}" for unit in ("clock", "cpu")]
    name = {"als": "implicit_als", "bpr": "bpr"}[kind]
    what = f"{name}, {data}, {n_factors} factors, threads: {threads}"
    return f"| {what} | {' | '.join(cells)} | {' | '.join(ratios)} |"


def recalls(data: str, path: Path, n_factors: int, n_passes: int = 12) -> str:
    """Recall@20 and NDCG@20 of whole fits of ALS, theirs and ours."""
    train, test = read(data)
    fitted = implicit_als(train, n_factors=n_factors, n_epochs=n_passes, rng=0)
    assert fitted.objective.confidence is not None
    alpha = 1 / fitted.objective.confidence.unseen
    found = []
    for ridge in RIDGES:
        out = path.with_suffix(".fit.npz")
        given = {"kind": "als", "factors": n_factors, "iterations": n_passes, "alpha": alpha, "regularization": ridge}
        done([python_of("clicks"), str(ADAPTER), str(path), json.dumps(given | {"num_threads": 1}), str(out)], 1)
        with np.load(out) as made:
            found.append(measured(Product(made["users"], made["items"]), train, test))
    best, own = max(found), measured(fitted, train, test)
    return f"| {data}, {n_factors} factors, {n_passes} passes | {best[0]:.4f} {best[1]:.4f} | {own[0]:.4f} {own[1]:.4f} |"


class Product(Scores):
    """Scores that are a product of two matrices, made block by block."""

    def __init__(self, users: np.ndarray, items: np.ndarray):
        self.users, self.items = users, items

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """(B,) -> (B, I)."""
        return self.users[users] @ self.items.T


def measured(scorer: Any, train: Ratings, test: Ratings) -> tuple[float, float]:
    """Recall@20, NDCG@20."""
    found = evaluate(scorer, test, train=train, metrics=("recall@20", "ndcg@20"), n_resamples=0).values
    return found["recall@20"], found["ndcg@20"]


def rows(folder: Path, runs: int, which: Callable[[str], bool]) -> Iterator[str]:
    """All rows of the first table."""
    for data in PASSES:
        path = clicks_file(data, folder)
        for kind, n_factors, threads in [(k, f, t) for k in ("als", "bpr") for f in (64, 192) for t in (1, 2)]:
            if (kind, n_factors) != ("bpr", 192) and which(f"{kind} {data} {n_factors} {threads}"):
                yield compared(data, path, kind, n_factors, threads, runs)


def table(say: Callable[[str], str], runs: int = RUNS, which: str = "", quality: bool = True) -> str:
    """The section of RESULTS.md."""
    lines = [f"### A pass beside implicit's (medians of {runs} runs, in turn)\n"]
    heads = "theirs, s | ours, s | theirs, processor's s | ours | ours / theirs | the same, processor's"
    lines += [f"| what | {heads} |", "|---" * 7 + "|"]
    with tempfile.TemporaryDirectory() as name:
        lines += [say(row) for row in rows(Path(name), runs, lambda what: which in what)]
        if quality:
            lines += ["", "| whole fits | theirs, Recall@20 NDCG@20 | ours |", "|---|---|---|"]
            for data in PASSES:
                path = clicks_file(data, Path(name))
                lines += [say(recalls(data, path, n_factors)) for n_factors in (64, 192)]
    return "\n".join([*lines, ""])
