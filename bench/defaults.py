"""How the shipped defaults of ``fit_dot_bias`` were chosen: cross-validation inside train parts.

    python -m bench defaults --trials 20

Two data sets, since what suits 80,000 ratings may choke on a million: the train part of the lesson's split (two inner
folds), and a fifth of the users of ML-1M's train part (one). Test parts are never read. Random settings around sensible
ones; the table is sorted by the mean of the errors relative to the shipped settings', which stand in it.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from dotbias import datasets, split
from dotbias.errors import DivergedError
from dotbias.gradient import fit_dot_bias

GRID = {
    "n_epochs": [8, 10, 12],
    "lr": [0.015, 0.02, 0.03],
    "reg": [0.045, 0.064, 0.09, 0.12],
    "reg_once": [2.0, 3.0, 4.5, 6.0],
    "reg_bias": [0.0, 0.0, 0.01],
    "reg_bias_once": [1.3, 2.0, 3.0],
    "padding": [0.0, 0.25, 0.5],
    "bs": [256, 512],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    worlds, rng, rows = [lesson_folds(), [ml1m_fold()]], np.random.default_rng(0), []
    for trial in range(arguments.trials):
        settings = {} if trial == 0 else {name: rng.choice(values).item() for name, values in GRID.items()}
        rows.append(([error(folds, settings) for folds in worlds], settings))
        print("  ".join(f"{e:.4f}" for e in rows[-1][0]), settings or "as shipped", flush=True)
    shipped = np.array(rows[0][0])
    print("\nbest first: relative error; lesson, ML-1M")
    for errors, settings in sorted(rows, key=lambda row: (np.array(row[0]) / shipped).mean())[:8]:
        print(f"{(np.array(errors) / shipped).mean():.4f} ", [round(e, 4) for e in errors], settings or "as shipped")


def lesson_folds() -> list[split.Split]:
    train = split.lesson(datasets.load("ml-latest-small-2016")).train
    return list(split.folds(train, k=5, rng=0))[:2]


def ml1m_fold() -> split.Split:
    train = split.random(datasets.load("ml-1m"), test=0.1, rng=0).train
    chosen = np.random.default_rng(0).random(train.n_users) < 0.2
    return split.random(train.take(chosen[train.users]), test=0.1, rng=1)


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
