"""How the shipped defaults of ``fit_dot_bias`` were chosen: cross-validation inside the lesson's train part.

    python -m bench.defaults --trials 40

The test part of the lesson's split is never read. Random settings around sensible ones, each fitted on a few inner
folds with one rng; the table, best first, is printed, and the shipped settings stand in it.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from dotbias import datasets, split
from dotbias.errors import DivergedError
from dotbias.learner import fit_dot_bias

GRID = {
    "n_factors": [30, 50, 70, 100],
    "n_epochs": [8, 10, 12, 15],
    "lr": [0.01, 0.015, 0.02, 0.03],
    "reg": [0.005, 0.0075, 0.01, 0.015],
    "reg_once": [0.0, 0.05, 0.1, 0.2, 0.3],
    "reg_bias": [0.1, 0.15, 0.25],
    "padding": [0.0, 0.25, 0.5],
    "bs": [512, 1024],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--folds", type=int, default=3, help="of five inner folds, how many are fitted")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train = split.lesson(datasets.load("ml-latest-small-2016")).train
    folds = list(split.folds(train, k=5, rng=0))[: arguments.folds]
    rng, rows = np.random.default_rng(0), []
    for trial in range(arguments.trials):
        settings = {} if trial == 0 else {name: rng.choice(values).item() for name, values in GRID.items()}
        rows.append((error(folds, settings), settings))
        print(f"{rows[-1][0]:.4f}  {settings or 'as shipped'}", flush=True)
    print("\nbest first:")
    for mse, settings in sorted(rows, key=lambda row: row[0])[:10]:
        print(f"{mse:.4f}  {settings or 'as shipped'}")


def error(folds: list[split.Split], settings: dict[str, float]) -> float:
    """Mean over the folds of the squared error on the held-out part."""
    errors = []
    for fold in folds:
        try:
            scorer = fit_dot_bias(fold.train, rng=0, progress=False, **settings)
        except DivergedError:
            return float("inf")
        errors.append(float(((scorer.score(fold.test.users, fold.test.items) - fold.test.values) ** 2).mean()))
    return float(np.mean(errors))


if __name__ == "__main__":
    main()
