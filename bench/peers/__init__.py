"""Ours beside the libraries a user would pick instead: ``python -m bench peers`` (writes RESULTS.md).

Each peer runs in a process of its own, in an environment of its own (made under ``.bench/`` the first time), on the
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
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from dotbias import Ratings, datasets, features, split, times
from dotbias.solvers.choice import usable

from ..accuracy import machine, replace
from .envs import python_of

HEAD = "| | runs | MSE | RMSE | fit, s | compile, s | memory, MB |\n" + "|---" * 7 + "|"
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
    Row("dotbias gibbs, ids", "ours", "dotbias_fit", {"fitter": "gibbs, ids"}),
    Row("dotbias gibbs, everything", "ours", "dotbias_fit", {"fitter": "gibbs, everything"}),
    Row("dotbias gibbs, everything, ordinal", "ours", "dotbias_fit", {"fitter": "gibbs, everything, ordinal"}),
    Row("Surprise SVD", "main", "surprise_svd", {}),
    Row("Surprise SVD, tuned", "main", "surprise_svd", TUNED),
    Row("Surprise SVD++", "main", "surprise_svdpp", {}),
    Row("Surprise KNNBaseline (items)", "main", "surprise_knn", {}),
    Row("LensKit BiasedMF (ALS)", "main", "lenskit_als", {}),
    Row("Cornac MF", "main", "cornac_mf", {}),
    Row("myFM, ids", "main", "myfm_ids", {}),
    Row("myFM, everything", "main", "myfm_all", {}),
    Row("LIBMF", "main", "libmf_mf", {}),
    Row("fastai collab_learner", "fastai", "fastai_collab", {}),
]
SLOW = {"Surprise SVD++", "fastai collab_learner"}  # one rng; at a million ratings minutes to hours: not run
SLOW_AT_A_MILLION = ("everything", "myFM", "Surprise")  # one rng there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=["lesson", "ml-100k-u1", "ml-1m"])
    parser.add_argument("--only", default="", help="rows whose name contains this; nothing is written then")
    parser.add_argument("--rngs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args()
    for data in arguments.data:
        title = f"### Ours beside the peers: {TITLES.get(data, data)}; {arguments.threads} threads, medians over rngs\n"
        print(f"{title}\n{HEAD}", flush=True)
        found = dict(measure(data, arguments))
        lines = [title, HEAD, *(show(name, runs) for name, runs in found.items())]
        if not arguments.only:
            marks = f"<!-- peers-{data}: written by python -m bench peers -->\n", f"<!-- /peers-{data} -->\n"
            replace(arguments.write, "\n".join(lines) + f"\n\n{machine()}", *marks)
            picture(lines[2:], TITLES.get(data, data), arguments.pictures / f"peers-{data}.png")


TITLES = {
    "lesson": "the lesson's split (ml-latest-small-2016)",
    "ml-100k-u1": "ML-100K, u1",
    "ml-1m": "ML-1M, random 90/10 (split rng 0)",
}


def parts_of(data: str) -> split.Split:
    """The split that a name stands for."""
    if data == "lesson":
        return split.lesson(datasets.load("ml-latest-small-2016"))
    if data.startswith("ml-100k-"):
        return datasets.split_of("ml-100k", data.removeprefix("ml-100k-"))
    return split.random(datasets.load(data), test=0.1, rng=0)


def measure(data: str, arguments: argparse.Namespace) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """(a row's name, what its runs found) on one data set."""
    big = data == "ml-1m"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "split.npz"
        export(parts_of(data), path)
        for row in ROWS:
            if arguments.only not in row.name or (big and row.name in SLOW):
                continue
            slow = row.name in SLOW or (big and any(word in row.name for word in SLOW_AT_A_MILLION))
            if row.env == "ours":
                row = row._replace(settings={**row.settings, "data": data})
            runs = [run(row, path, rng, arguments.threads) for rng in range(1 if slow else arguments.rngs)]
            runs = [r for r in runs if r is not None]
            print(show(row.name, runs), flush=True)
            yield row.name, runs


def export(parts: split.Split, path: Path) -> None:
    """The split as plain arrays, for adapters that know no dotbias."""
    arrays, test = arrays_of(parts.train), parts.test
    if parts.train.times is not None:
        arrays["test_days"] = rows_of(times.days_of(test.times), np.unique(times.days_of(parts.train.times)))
    arrays |= {f"test_{column}": getattr(test, column) for column in ("users", "items", "values")}
    np.savez(path, **arrays)


def arrays_of(train: Ratings) -> dict[str, Any]:
    """What is learnt from, with the features that Gibbs is given as CSR."""
    low, high = train.scale()
    arrays = {"n_users": train.n_users, "n_items": train.n_items, "low": low, "high": high, "n_days": 0}
    if train.times is not None:
        distinct, days = np.unique(times.days_of(train.times), return_inverse=True)
        arrays |= {"n_days": len(distinct), "train_days": days}
    arrays |= {f"train_{column}": getattr(train, column) for column in ("users", "items", "values")}
    for side, table in (("user", train.user_table), ("item", train.item_table)):
        blocks = {f"{side}_bag": features.histories(train, of=f"{side}s")}
        blocks |= {f"{side}_{c}": features.encode(table, [c]) for c in usable(table)}
        for name, block in blocks.items():
            arrays |= {f"{name}_{field}": getattr(block, field) for field in ("starts", "index", "weight")}
        arrays[f"{side}_names"] = np.array(list(blocks))
        arrays[f"{side}_widths"] = np.array([block.n_features for block in blocks.values()])
    return arrays


def rows_of(values: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    """The position of each value (N,) among the sorted distinct ones, -1 where it is not there."""
    at = np.minimum(np.searchsorted(distinct, values), len(distinct) - 1)
    return np.where(distinct[at] == values, at, -1)


def run(row: Row, path: Path, rng: int, threads: int) -> dict[str, float] | None:
    """One fit in a process of its own; None, and the reason on stderr, where it fails."""
    command, environment = called(row, path, rng, threads)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.stderr.write(f"{row.name}: {done.stderr.strip().splitlines()[-1:]}\n")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def called(row: Row, path: Path, rng: int, threads: int) -> tuple[list[str], dict[str, str]]:
    """(the words that start an adapter, its environment)."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONWARNINGS": "ignore"}
    settings = json.dumps({**row.settings, "rng": rng, "threads": threads})
    return [python_of(row.env), str(HERE / f"{row.adapter}.py"), str(path), settings], environment


def show(name: str, runs: list[dict[str, float]]) -> str:
    """A line of the table: medians."""
    if not runs:
        return f"| {name} | 0 | failed | | | | |"
    mse, fit, compiled, memory = (median(r[k] for r in runs) for k in ("mse", "fit_s", "compile_s", "memory_mb"))
    return f"| {name} | {len(runs)} | {mse:.4f} | {mse**0.5:.4f} | {fit:.2f} | {compiled:.1f} | {memory:.0f} |"


def picture(lines: list[str], title: str, path: Path) -> None:
    """Error against seconds of fitting, a point per row of the table: lower and further left is better."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from dotbias.plots.reading import free_place

    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in lines]
    rows = [row for row in rows if row[2].startswith("0.") or row[2].startswith("1.")]
    x, y = np.array([float(row[4]) for row in rows]), np.array([float(row[3]) for row in rows])
    ours = np.array([row[0].startswith("dotbias") for row in rows])
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    axes.scatter(x[ours], y[ours], color="tab:red", label="dotbias")
    axes.scatter(x[~ours], y[~ours], color="tab:blue", marker="s", label="other libraries")
    axes.set(xscale="log", xlabel="seconds of fitting (compilation apart)", ylabel="RMSE on the held-out part")
    axes.set_title(f"Error against time, {title}: lower and further left is better", fontsize=10)
    axes.margins(x=0.15, y=0.08)
    axes.legend()
    axes.grid(alpha=0.3)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    points, taken = np.c_[x, y], []
    inside, dots = axes.get_window_extent(renderer), axes.transData.transform(points)
    for k, row in enumerate(rows):
        name, colour = row[0].removeprefix("dotbias "), "tab:red" if ours[k] else "tab:blue"
        text = axes.annotate(name, points[k], (6, 0), textcoords="offset points", fontsize=8, color=colour)
        box = free_place(text, inside, taken, np.delete(dots, k, 0), renderer)
        taken.append(box or text.get_window_extent(renderer))
    figure.savefig(path, dpi=80)
