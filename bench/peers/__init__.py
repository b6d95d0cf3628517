"""Ours beside the libraries a user would pick instead: ``python -m bench peers`` (writes RESULTS.md).

Each peer runs in a process of its own, in an environment of its own (made under ``.bench/`` by ``--install``), on the
same split as ours and with the same number of threads. Time is that of fitting alone: imports, reading and the first
compilation are left out, and compilation is shown apart. Error is on the held-out part, over all rows; memory is what
the process grew by while fitting. Settings are the peer's defaults unless the row says otherwise; ours are as shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from dotbias import datasets, split

from ..accuracy import machine, replace
from .envs import ENVIRONMENTS, python_of

START, END = "<!-- peers: written by python -m bench peers -->\n", "<!-- /peers -->\n"
HERE = Path(__file__).parent


class Row(NamedTuple):
    """A line of the table: what it is called, whose environment, which adapter, its settings."""

    name: str
    env: str
    adapter: str
    settings: dict[str, Any]


TUNED = {"n_factors": 100, "n_epochs": 40, "lr_all": 0.005, "reg_all": 0.08}
ROWS = [
    Row("dotbias bias", "ours", "dotbias_fit", {"fitter": "bias"}),
    Row("dotbias dot_bias", "ours", "dotbias_fit", {"fitter": "dot_bias"}),
    Row("dotbias knn", "ours", "dotbias_fit", {"fitter": "knn"}),
    Row("dotbias sgd", "ours", "dotbias_fit", {"fitter": "sgd"}),
    Row("dotbias als", "ours", "dotbias_fit", {"fitter": "als"}),
    Row("dotbias gibbs, ids", "ours", "dotbias_fit", {"fitter": "gibbs"}),
    Row("Surprise SVD", "main", "surprise_svd", {}),
    Row("Surprise SVD, tuned", "main", "surprise_svd", TUNED),
    Row("Surprise SVD++", "main", "surprise_svdpp", {}),
    Row("Surprise KNNBaseline (items)", "main", "surprise_knn", {}),
    Row("LensKit BiasedMF (ALS)", "main", "lenskit_als", {}),
    Row("Cornac MF", "main", "cornac_mf", {}),
    Row("myFM, ids", "main", "myfm_ids", {}),
    Row("LIBMF", "main", "libmf_mf", {}),
    Row("fastai collab_learner", "fastai", "fastai_collab", {}),
]
SLOW = {"Surprise SVD++", "fastai collab_learner"}  # one rng; minutes to hours at a million ratings: not run there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="make the peers' environments first (minutes)")
    parser.add_argument("--data", nargs="*", default=["lesson", "ml-100k-u1", "ml-1m"])
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--rngs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    arguments = parser.parse_args()
    if arguments.install:
        for environment in ENVIRONMENTS:
            python_of(environment, install=True)
    text = [f"### Ours beside the peers ({arguments.threads} threads, median of {arguments.rngs} rngs)\n", machine()]
    text += [measure(data, arguments) for data in arguments.data]
    if not arguments.only:
        replace(arguments.write, "\n".join(text), START, END)


def parts_of(data: str) -> split.Split:
    """The split that a name stands for."""
    if data == "lesson":
        return split.lesson(datasets.load("ml-latest-small-2016"))
    if data.startswith("ml-100k-"):
        return datasets.split_of("ml-100k", data.removeprefix("ml-100k-"))
    return split.random(datasets.load(data), test=0.1, rng=0)


def measure(data: str, arguments: argparse.Namespace) -> str:
    """The table of one data set."""
    lines = [f"**{data}**\n", "| | MSE | RMSE | fit, s | compile, s | memory, MB |", "|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    big = data == "ml-1m"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "split.npz"
        export(parts_of(data), path)
        for row in ROWS:
            if arguments.only not in row.name or (big and row.name in SLOW):
                continue
            n = 1 if row.name in SLOW or (big and "Surprise" in row.name) else arguments.rngs
            runs = [run(row, path, rng, arguments.threads) for rng in range(n)]
            lines.append(show(row, [r for r in runs if r is not None]))
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def export(parts: split.Split, path: Path) -> None:
    """The split as plain arrays, for adapters that know nothing of dotbias."""
    arrays = {
        f"{name}_{column}": getattr(part, column)
        for name, part in parts.parts().items()
        for column in ("users", "items", "values")
    }
    low, high = parts.train.scale()
    np.savez(path, **arrays, n_users=parts.train.n_users, n_items=parts.train.n_items, low=low, high=high)


def run(row: Row, path: Path, rng: int, threads: int) -> dict[str, float] | None:
    """One fit in a process of its own; None, and the reason on stderr, where it fails."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONWARNINGS": "ignore"}
    settings = json.dumps({**row.settings, "rng": rng, "threads": threads})
    command = [python_of(row.env), str(HERE / f"{row.adapter}.py"), str(path), settings]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.stderr.write(f"{row.name}: {done.stderr.strip().splitlines()[-1:]}\n")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def show(row: Row, runs: list[dict[str, float]]) -> str:
    """A line of the table: medians."""
    if not runs:
        return f"| {row.name} | failed | | | | |"
    mse, fit, compiled, memory = (median(r[k] for r in runs) for k in ("mse", "fit_s", "compile_s", "memory_mb"))
    return f"| {row.name} | {mse:.4f} | {mse**0.5:.4f} | {fit:.2f} | {compiled:.1f} | {memory:.0f} |"
