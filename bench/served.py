"""What people get: ``python -m bench served`` (writes RESULTS.md).

The mean squared error on the lesson's split, on ML-100K u1, on the latest fifth by time and on each user's last fifth,
once without the held-out ratings' times (as ``recommend`` and ``predict`` serve) and once with them. Then newcomers:
every user once, in five folds of users, with k of their ratings told (at random, or the earliest), by fold-in. Beside
each figure a 95 % interval over users; rng 0, or the median of --rngs fits.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from dotbias import Ratings, Split, datasets, fitters, split
from dotbias.evaluation import Comparison, compare, evaluate
from dotbias.metrics import Metric, Values, squared_error
from dotbias.ratings import Ids
from dotbias.scorer import Scorer, Timed, offers

from .accuracy import everything, machine, replace

START, END = "<!-- served: written by python -m bench served -->\n", "<!-- /served -->\n"
FITTED: dict[str, Callable] = {
    **{name: fitters.find(name).fit for name in ("bias", "sgd", "als")},
    "gibbs, ids": fitters.find("gibbs").fit,
    "gibbs, everything": everything,
}
SPLITS: dict[str, Callable[[], Split]] = {
    "lesson's split": lambda: split.lesson(datasets.load("ml-latest-small-2016")),
    "ML-100K u1": lambda: datasets.split_of("ml-100k", "u1"),
    "ML-100K, latest fifth": lambda: split.by_time(datasets.load("ml-100k")),
    "lesson's data, latest fifth": lambda: split.by_time(datasets.load("ml-latest-small-2016")),
    "ML-100K, each user's last fifth": lambda: split.last_share(datasets.load("ml-100k")),
    "lesson's data, each user's last fifth": lambda: split.last_share(datasets.load("ml-latest-small-2016")),
}
NEWCOMERS = {"lesson's data": "ml-latest-small-2016", "ML-100K": "ml-100k"}
TOLD = (0, 1, 3, 5, 10, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--only", nargs="*", default=list(FITTED), choices=list(FITTED))
    parser.add_argument("--splits", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--newcomers", nargs="*", default=list(NEWCOMERS), choices=list(NEWCOMERS))
    parser.add_argument("--rngs", type=int, default=1)
    a = parser.parse_args()
    parts = [held_out(name, SPLITS[name](), a.only, a.rngs) for name in a.splits]
    for data in a.newcomers:
        ratings = datasets.load(NEWCOMERS[data])
        parts += [newcomers(data, ratings, a.only, earliest=earliest) for earliest in (False, True)]
    replace(a.write, "\n".join([*parts, machine()]), START, END)


def held_out(title: str, parts: Split, names: list[str], n_rngs: int) -> str:
    """MSE of each fitter, times given and not."""
    assert parts.test is not None
    untimed = dataclasses.replace(parts.test, times=None)
    lines = [f"### As served: {title} (MSE)\n", f"The split asks: {parts.question}\n"]
    lines += ["| fitter | time unknown | over users | warm rows | rating's time given |", "|---" * 5 + "|"]
    for name in names:
        fits = [FITTED[name](parts.train, rng=rng) for rng in range(1 if name == "bias" else n_rngs)]
        found = [evaluate(f, untimed, train=parts.train, metrics=("mse",)) for f in fits]
        given = [evaluate(f, parts.test, train=parts.train, metrics=("mse",)).mse for f in fits if offers(f, Timed)]
        low, high = found[0].interval["mse"]
        figures = f"{median(r.mse for r in found):.4f} | {low:.3f} to {high:.3f}"
        warm = median(r.warm["mse"] for r in found)
        lines.append(f"| {name} | {figures} | {warm:.4f} | {f'{median(given):.4f}' if given else ''} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


class Told:
    """Guesses made before, one per held-out rating, which stands in the place of its item."""

    offers, tables = (Scorer,), None

    def __init__(self, guesses: np.ndarray):
        self.guesses = guesses

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        return self.guesses[items]

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        raise NotImplementedError


def newcomers(title: str, ratings: Ratings, names: list[str], *, earliest: bool) -> str:
    """The mean over users of their MSE on what they rated after the 20 that could be told; k of these were."""
    names = ["bias", *(n for n in names if n != "bias")]
    guesses: dict[tuple[str, int], list[np.ndarray]] = {(name, k): [] for name in names for k in TOLD}
    rests: list[np.ndarray] = []
    for train, users in folds_of_users(ratings):
        fitted = {name: FITTED[name](train, rng=0) for name in names}
        for order in histories(ratings, users, earliest=earliest):
            rests.append(order[max(TOLD) :])
            for (name, k), made in guesses.items():
                part = fitted[name].fold_in_user(ratings.items[order[:k]], ratings.explicit()[order[:k]])
                made.append(part.score(ratings.items[rests[-1]]))
    rows = np.concatenate(rests)
    numbers = {"items": np.arange(len(rows)), "item_ids": Ids(range(len(rows))), "item_table": None, "times": None}
    test = dataclasses.replace(ratings.take(rows), **numbers)
    metric = of_users(test)
    found = {k: compare({n: Told(np.concatenate(guesses[n, k])) for n in names}, test, metrics=(metric,)) for k in TOLD}
    which = "the earliest" if earliest else "at random"
    lines = [f"### Newcomers: {title}, k ratings told, {which} ({len(rests)} users; MSE, and its difference to bias)\n"]
    lines += [f"| fitter | {' | '.join(map(str, TOLD))} |", "|---" * (1 + len(TOLD)) + "|"]
    for name in names:
        lines.append(f"| {name} | {' | '.join(cell(found[k], name, metric.name) for k in TOLD)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def folds_of_users(ratings: Ratings, n: int = 5) -> Iterator[tuple[Ratings, np.ndarray]]:
    """(the ratings of the others, the users of a fold), each user in one fold."""
    fold = np.random.default_rng(0).permutation(ratings.n_users) % n
    for k in range(n):
        yield ratings.take(fold[ratings.users] != k), np.flatnonzero(fold == k)


def histories(ratings: Ratings, users: np.ndarray, *, earliest: bool) -> Iterator[np.ndarray]:
    """Positions of each user's ratings, in the order in which they are told; without users who have no others."""
    for user in users:
        own = np.flatnonzero(ratings.users == user)
        if len(own) <= max(TOLD):
            continue
        if earliest and ratings.times is not None:
            yield own[np.argsort(ratings.times[own], kind="stable")]
        else:
            yield np.random.default_rng(int(user)).permutation(own)


def of_users(test: Ratings) -> Metric:
    """The mean over users of their MSE: each rating weighs one over its user's number of ratings."""
    share = 1 / test.user_counts[test.users]
    return Metric("mse_of_users", "guesses", lambda g: Values(squared_error(*g) * share, share), "low")


def cell(found: Comparison, name: str, metric: str) -> str:
    text = f"{found.reports[name].values[metric]:.4f}"
    if name in found.differences:
        gap = found.differences[name][metric]
        text += f" ({gap.low:+.3f} to {gap.high:+.3f})"
    return text


if __name__ == "__main__":
    main()
