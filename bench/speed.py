"""What a person waits for, whole processes, medians of five: ``python -m bench.speed`` (writes RESULTS.md).

Start-up, reading a million rows, loading a saved model and recommending, and a planted world of 25 M ratings with its
peak memory. Bytecode is compiled first, as pip does. The demo's second run is timed too.
"""

from __future__ import annotations

import argparse
import compileall
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import dotbias

from .accuracy import machine, replace

START, END = "<!-- speed: written by python -m bench.speed -->\n", "<!-- /speed -->\n"
CSV = "from dotbias.datasets import where; from dotbias import Ratings; import time; "
LESSON = """
from dotbias import Ratings, split
from dotbias.datasets import where
from dotbias.solvers import sgd
parts = split.lesson(Ratings.from_csv(where("ml-latest-small-2016") / "ratings.csv"))
test = parts.test
mse = ((sgd(parts.train, rng=0).score(test.users, test.items) - test.values) ** 2).mean()
assert mse <= 0.76, mse
"""
COMPILE = """
import time
from dotbias import planted
from dotbias.solvers import als, gibbs, sgd
few = planted(200, 100, n_ratings=2000, rng=0).ratings
def fit():
    start = time.perf_counter()
    sgd(few, n_epochs=1), als(few, n_epochs=1)
    for ordinal in (False, True):
        gibbs(few, n_sweeps=2, histories=True, sessions=True, item_features=["genres"], ordinal=ordinal)
    return time.perf_counter() - start
print("seconds", fit() - fit())
"""
CASES = {
    "import dotbias": ("import dotbias", "0.2 s"),
    "dotbias --help": ("import sys; sys.argv = ['dotbias', '--help']; from dotbias.cli import main; main()", "0.5 s"),
    "ML-1M: from_csv, 1,000,209 rows": (
        CSV + "p = where('ml-1m') / 'ratings.csv'; t = time.perf_counter(); Ratings.from_csv(p); "
        "print('seconds', time.perf_counter() - t)",
        "1 s",
    ),
    "ML-1M: load a saved model, recommend 10 (process)": (
        "from dotbias import Recommender; Recommender.load('model').recommend(1, 10)",
        "0.3 s",
    ),
    "ratings.csv read, split as the lesson does, sgd, MSE ≤ 0.76 (process, kernels cached)": (LESSON, "1.5 s"),
    "dotbias demo (second run)": (
        "import sys; sys.argv = ['dotbias', 'demo']; from dotbias.cli import main; main()",
        "15 s",
    ),
}
MODEL = """
from dotbias import Recommender, datasets, fit_dot_bias
train = datasets.load("ml-1m")
Recommender(fit_dot_bias(train, n_epochs=1, rng=0), train).save("model")
"""
PLANTED = """
from dotbias import planted
planted(162_541, 59_047, n_ratings=25_000_000, n_factors=16, rng=0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md").absolute())
    arguments = parser.parse_args()
    compileall.compile_dir(str(Path(dotbias.__file__).parent), quiet=2, force=False)
    lines = ["| what | median of 5, s | asked |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        run(MODEL, folder)
        for what, (code, asked) in CASES.items():
            run(code, folder)
            lines.append(f"| {what} | {median(run(code, folder) for _ in range(5)):.2f} | {asked} |")
            print(lines[-1], flush=True)
        fresh = [run(COMPILE, folder, NUMBA_CACHE_DIR=f"{folder}/cache-{k}") for k in range(3)]
        lines.append(
            f"| compiling every kernel of sgd, als and gibbs, first run (median of 3) | {median(fresh):.1f} | 30 s |"
        )
        print(lines[-1], flush=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        seconds = run(PLANTED, folder)
        peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1e6
        lines.append(f"| planted, 25 M ratings (once; peak {peak:.2f} GB) | {seconds:.1f} | 30 s, 3 GB |")
        print(lines[-1])
    replace(arguments.write, "### What a person waits for\n\n" + machine() + "\n" + "\n".join(lines) + "\n", START, END)


def run(code: str, folder: str, **environment: str) -> float:
    """Seconds of a fresh process, or those that it prints itself."""
    start = time.perf_counter()
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    said = [line for line in done.stdout.split("\n") if line.startswith("seconds ")]
    return float(said[0].split()[1]) if said else seconds


if __name__ == "__main__":
    main()
