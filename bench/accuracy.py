"""The errors that README names, measured: ``python -m bench accuracy`` (writes RESULTS.md, a section each).

Every figure is the median of five rngs on one split, at shipped defaults; nothing here chooses a setting. The lesson's
split is accompanied by splits drawn with seeds 43 to 47. "everything" is what ``--fitter auto`` would use: histories,
side tables, the rating's day where there are times. Seconds and memory are ``python -m bench peers``'s to measure.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import mean, median

import torch

from dotbias import baselines, datasets, split
from dotbias.gradient import fit_dot, fit_dot_bias, fit_net
from dotbias.ratings import Ratings
from dotbias.solvers import als, choice, gibbs, sgd


def everything(train: Ratings, *, rng: int, **settings):
    """Gibbs with all that is at hand, whether or not ``auto`` would afford it."""
    return gibbs(train, rng=rng, **{**choice.everything(train), **settings})


SIMPLE: dict[str, Callable] = {
    "mean": baselines.mean,
    "bias": baselines.bias,
    "knn": baselines.knn,
    "dot": fit_dot,
    "dot_bias": fit_dot_bias,
    "net": fit_net,
    "als": als,
    "sgd": sgd,
}
BAYES: dict[str, Callable] = {
    "gibbs, ids, 16 factors": gibbs,
    "gibbs, ids, 32 factors": partial(gibbs, n_factors=32),
    "gibbs, ids, 64 factors": partial(gibbs, n_factors=64),
    "gibbs, everything": everything,
    "gibbs, everything, ordinal": partial(everything, ordinal=True),
}
SETTLED = {"mean", "bias", "knn"}  # nothing random in them


def lesson() -> str:
    parts = split.lesson(datasets.load("ml-latest-small-2016"))
    return table("The lesson's split (ml-latest-small-2016, 80,004 / 20,000)", parts, SIMPLE | BAYES)


def seeds() -> str:
    """The main fitters on splits drawn as the lesson's is, with other seeds."""
    ratings, names = (
        datasets.load("ml-latest-small-2016"),
        ["dot_bias", "sgd", "gibbs, ids, 16 factors", "gibbs, everything"],
    )
    lines = ["### Other seeds of the lesson's kind of split (MSE, rng 0)\n"]
    lines += [f"| fitter | {' | '.join(map(str, range(43, 48)))} |", "|---" * 6 + "|"]
    for name in names:
        errors = [run((SIMPLE | BAYES)[name], split.lesson(ratings, seed=seed), 0) for seed in range(43, 48)]
        lines.append(f"| {name} | {' | '.join(f'{e:.4f}' for e in errors)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def ml_100k() -> str:
    fitters = SIMPLE | {name: BAYES[name] for name in BAYES if "32" not in name and "64" not in name}
    return table("ML-100K, u1", datasets.split_of("ml-100k", "u1"), fitters)


def folds() -> str:
    """The five predefined folds of ML-100K."""
    lines = ["### ML-100K, u1 to u5 (RMSE, rng 0)\n", "| fitter | u1 | u2 | u3 | u4 | u5 | mean |", "|---" * 7 + "|"]
    for name in ("sgd", "gibbs, ids, 16 factors", "gibbs, everything", "gibbs, everything, ordinal"):
        parts = [datasets.split_of("ml-100k", f"u{k}") for k in range(1, 6)]
        errors = [run((SIMPLE | BAYES)[name], p, 0) ** 0.5 for p in parts]
        lines.append(f"| {name} | {' | '.join(f'{e:.4f}' for e in [*errors, mean(errors)])} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def ml_1m() -> str:
    parts = split.random(datasets.load("ml-1m"), test=0.1, rng=0)
    few = {name: SIMPLE[name] for name in ("mean", "bias", "knn", "dot_bias", "als", "sgd")}
    return table("ML-1M, random 90/10 (split rng 0)", parts, few)


def ml_1m_slow() -> str:
    parts = split.random(datasets.load("ml-1m"), test=0.1, rng=0)
    slow = {"gibbs, everything, 32 factors": partial(everything, n_factors=32)}
    return table("ML-1M, random 90/10 (split rng 0), the slow ones", parts, slow)


SECTIONS: dict[str, Callable[[], str]] = {
    "lesson-split": lesson,
    "seeds": seeds,
    "ml-100k": ml_100k,
    "folds": folds,
    "ml-1m": ml_1m,
    "ml-1m-slow": ml_1m_slow,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--sections", nargs="*", default=list(SECTIONS), choices=list(SECTIONS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.sections:
        marks = f"<!-- {name}: written by python -m bench accuracy -->\n", f"<!-- /{name} -->\n"
        replace(arguments.write, f"{SECTIONS[name]()}\n{machine()}", *marks)


def table(title: str, parts: split.Split, fitters: dict[str, Callable], n_rngs: int = 5) -> str:
    """Rows of medians: MSE, its range over rngs, RMSE."""
    lines = [f"### {title}\n", "| fitter | MSE | over rngs | RMSE |", "|---|---|---|---|"]
    for name, fit in fitters.items():
        errors = [run(fit, parts, rng) for rng in range(1 if name in SETTLED else n_rngs)]
        spread = f"{min(errors):.4f} to {max(errors):.4f}" if len(errors) > 1 else ""
        mse = median(errors)
        lines.append(f"| {name} | {mse:.4f} | {spread} | {mse**0.5:.4f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def run(fit: Callable, parts: split.Split, rng: int) -> float:
    """MSE on test."""
    scorer, test = fit(parts.train, rng=rng), parts.test
    guess = scorer.score(test.users, test.items, test.times)
    return float(((guess - test.values) ** 2).mean(dtype="float64"))


def machine() -> str:
    """Where and with what the figures were made."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("dotbias", "numpy", "torch", "numba"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}.\n"


def replace(path: Path, text: str, start: str, end: str) -> None:
    """Put ``text`` between the marks of a file, which may hold other sections."""
    old = path.read_text() if path.exists() else "# Results\n\nWritten by the scripts in bench/.\n"
    if start not in old:
        old += f"\n{start}{end}"
    before, rest = old.split(start)
    path.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
