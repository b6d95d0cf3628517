"""Speed as ratios to the peers, from one run: ``python -m bench ratios`` (writes RESULTS.md).

Seconds per sweep of Gibbs against myFM with relation blocks (same features, 16 factors), seconds per pass of SGD
against LIBMF (64 factors), and SGD's fit down to the error of Surprise's SVD at its defaults on ML-1M. Each in a
process of its own, in turn, after the kernels are compiled; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from dotbias import datasets, split

from .accuracy import machine, replace
from .peers import Row, export
from .peers import run as run_peer
from .peers.envs import python_of

START, END = "<!-- ratios: written by python -m bench ratios -->\n", "<!-- /ratios -->\n"
HERE = Path(__file__).parent / "peers"
OURS = """
import json, sys, time
from dotbias import datasets, split
from dotbias.solvers import gibbs, sgd
from dotbias.solvers.choice import usable
what, data, k = sys.argv[1:4]
ratings = datasets.load(data)
train = split.lesson(ratings).train if "small" in data else split.random(ratings, test=0.1, rng=0).train
few = train.take(range(300))
if what == "sgd":
    fit = lambda n, r: sgd(r, n_factors=int(k), n_epochs=n, rng=0)
    short, long = 5, 25
else:
    sides = {"item_features": usable(train.item_table), "user_features": usable(train.user_table)}
    settings = {"histories": True, "sessions": train.times is not None, **sides}
    fit = lambda n, r: gibbs(r, n_factors=int(k), n_sweeps=n, noise=0.7, keep=1, rng=0, **settings)
    short, long = 10, 40
fit(short, few)
fit(1, train)
seconds = []
for n in (short, long):
    start = time.perf_counter()
    fit(n, train)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": (seconds[1] - seconds[0]) / (long - short)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    lines = ["| what | theirs, s | ours, s | ratio | asked |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for rows in (sweeps(place, arguments.runs), passes(place, arguments.runs), surprise(place)):
            for line in rows:
                lines.append(line)
                print(line, flush=True)
    title = f"### Speed beside the peers (medians of {arguments.runs}, in turn)\n\n"
    replace(arguments.write, title + "\n".join(lines) + "\n\n" + machine(), START, END)


def sweeps(folder: Path, runs: int):
    """Gibbs against myFM, everything, 16 factors: theirs on its one thread, ours on one and on two."""
    for data, parts in splits():
        path = folder / f"{data}-split.npz"
        export(parts, path)
        for threads, asked in ((1, 3), (2, 5)):
            theirs = partial(sweep_of_myfm, path)
            ours = partial(seconds, [sys.executable, "-c", OURS, "gibbs", data, "16"], threads)
            yield compare(f"gibbs sweep, {data}, our threads: {threads}", theirs, ours, asked, runs)


def sweep_of_myfm(path: Path) -> float:
    """Its median seconds per sweep, of twelve."""
    done = run_peer(Row("myFM, everything", "main", "myfm_all", {"n_sweeps": 12}), path, 0, 1)
    if done is None:
        raise SystemExit("myFM failed")
    return done["sweep_s"]


def passes(folder: Path, runs: int):
    """SGD against LIBMF, 64 factors, the same threads."""
    for data, parts in splits():
        train, path = parts.train, folder / f"{data}-columns.npz"
        np.savez(path, users=train.users, items=train.items, values=train.values)
        for threads in (1, 2):
            settings = json.dumps({"n_factors": 64, "threads": threads})
            theirs = partial(seconds, [python_of("main"), str(HERE / "libmf_pass.py"), str(path), settings], threads)
            ours = partial(seconds, [sys.executable, "-c", OURS, "sgd", data, "64"], threads)
            yield compare(f"sgd pass against LIBMF, {data}, threads: {threads}", theirs, ours, 1, runs)


def splits():
    """The two splits that are timed."""
    yield "ml-latest-small-2016", split.lesson(datasets.load("ml-latest-small-2016"))
    yield "ml-1m", split.random(datasets.load("ml-1m"), test=0.1, rng=0)


def compare(what: str, theirs: Callable[[], float], ours: Callable[[], float], asked: float, runs: int) -> str:
    """A line: both in turn, medians of their seconds and of the ratios."""
    pairs = [(theirs(), ours()) for _ in range(runs)]
    a, b = (median(column) for column in zip(*pairs, strict=True))
    return f"| {what} | {a:.4f} | {b:.4f} | {median(x / y for x, y in pairs):.1f} | {asked} |"


def seconds(command: list, threads: int) -> float:
    """What a process prints."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])["seconds"]


def surprise(folder: Path):
    """SGD down to the error of Surprise's SVD at its defaults, ML-1M: the shortest of a few fits that reaches it."""
    from dotbias.solvers import sgd

    parts = split.random(datasets.load("ml-1m"), test=0.1, rng=0)
    path = folder / "ml-1m-split.npz"
    export(parts, path)
    theirs = run_peer(Row("Surprise SVD", "main", "surprise_svd", {}), path, 0, 1)
    if theirs is None:
        raise SystemExit("Surprise failed")
    for n in (2, 3, 4, 5, 6, 8, 10, 15, 20, 30):
        sgd(parts.train, n_epochs=n, rng=0)
        start = time.perf_counter()
        fitted = sgd(parts.train, n_epochs=n, rng=0)
        took = time.perf_counter() - start
        error = ((fitted.score(parts.test.users, parts.test.items) - parts.test.values) ** 2).mean() ** 0.5
        if error <= theirs["mse"] ** 0.5:
            break
    what = f"sgd, {n} passes (RMSE {error:.4f}), to the error of Surprise SVD ({theirs['mse'] ** 0.5:.4f}), ML-1M"
    yield f"| {what} | {theirs['fit_s']:.2f} | {took:.3f} | {theirs['fit_s'] / took:.0f} | 30 |"


if __name__ == "__main__":
    main()
