"""The errors that README names, measured: ``python -m bench.accuracy`` (about three minutes; writes RESULTS.md).

Every figure is the median of five rngs on one split, at shipped defaults; nothing here chooses a setting. The lesson's
split is accompanied by splits drawn with seeds 43 to 47. Fitting seconds leave out imports.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median

import torch

from dotbias import baselines, datasets, split
from dotbias.learner import fit_dot, fit_dot_bias, fit_net

START, END = "<!-- accuracy: written by python -m bench.accuracy -->\n", "<!-- /accuracy -->\n"
FITTERS: dict[str, Callable] = {
    "mean": baselines.mean,
    "bias": baselines.bias,
    "knn": baselines.knn,
    "dot": fit_dot,
    "dot_bias": fit_dot_bias,
    "net": fit_net,
}
DRAWS = {"dot", "dot_bias", "net"}  # the others have nothing random


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--quick", action="store_true", help="the lesson's split only")
    arguments = parser.parse_args()
    lesson = datasets.load("ml-latest-small-2016")
    sections = [table("The lesson's split (ml-latest-small-2016, 80,004 / 20,000)", split.lesson(lesson), FITTERS)]
    sections.append(seeds(lesson))
    if not arguments.quick:
        sections.append(table("ML-100K, u1", datasets.split_of("ml-100k", "u1"), FITTERS))
        big = {name: FITTERS[name] for name in ("mean", "bias", "dot_bias")}
        ml1m = split.random(datasets.load("ml-1m"), test=0.1, rng=0)
        sections.append(table("ML-1M, random 90/10 (split rng 0)", ml1m, big, n_rngs=1))
    text = "\n".join([machine(), *sections])
    print(text)
    replace(arguments.write, text)


def table(title: str, parts: split.Split, fitters: dict[str, Callable], n_rngs: int = 5) -> str:
    """Rows of medians: MSE, its range over rngs, RMSE, seconds of fitting."""
    lines = [f"### {title}\n", "| fitter | MSE | over rngs | RMSE | fit, s |", "|---|---|---|---|---|"]
    for name, fit in fitters.items():
        errors, seconds = zip(*(run(fit, parts, rng) for rng in range(n_rngs if name in DRAWS else 1)), strict=True)
        spread = f"{min(errors):.4f} to {max(errors):.4f}" if len(errors) > 1 else ""
        mse = median(errors)
        lines.append(f"| {name} | {mse:.4f} | {spread} | {mse**0.5:.4f} | {median(seconds):.2f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def seeds(lesson) -> str:
    """dot_bias on splits drawn as the lesson's is, with other seeds."""
    rows = [(seed, run(fit_dot_bias, split.lesson(lesson, seed=seed), 0)[0]) for seed in range(43, 48)]
    head = "### dot_bias on the lesson's kind of split, other split seeds (rng 0)\n\n| seed | MSE |\n|---|---|\n"
    return head + "".join(f"| {seed} | {mse:.4f} |\n" for seed, mse in rows)


def run(fit: Callable, parts: split.Split, rng: int) -> tuple[float, float]:
    """(MSE on test, seconds of fitting)."""
    start = time.perf_counter()
    scorer = fit(parts.train, rng=rng)
    seconds = time.perf_counter() - start
    test = parts.test
    guess = scorer.score(test.users, test.items, test.times)
    return float(((guess - test.values) ** 2).mean(dtype="float64")), seconds


def machine() -> str:
    """Where and with what the figures were made."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("dotbias", "numpy", "torch", "numba"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}.\n"


def replace(path: Path, text: str, start: str = START, end: str = END) -> None:
    """Put ``text`` between the marks of a file, which may hold other sections."""
    old = path.read_text() if path.exists() else "# Results\n\nWritten by the scripts in bench/.\n"
    if start not in old:
        old += f"\n{start}{end}"
    before, rest = old.split(start)
    path.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
