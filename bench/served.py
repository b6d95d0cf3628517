"""What people get: ``python -m bench served`` (writes RESULTS.md, a section for each table).

The mean squared error on random splits with the time unknown, as ``predict`` serves, and on splits by time for now, as
``recommend`` serves; beside it the error with the rating's time given, the paired difference to the best of bias, als,
sgd and gibbs by ids, how many ratings 80 % intervals hold (of a few stars: the randomised transform; of users or items
without ratings in train beside it), and the distance of that transform from uniform. Then newcomers: every user once,
in five folds of users, with k of their ratings told (at random, or the earliest), by fold-in. 95 % intervals are over
users; rng 0, or the median of --rngs fits.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from dotbias import Ratings, Split, datasets, fitters, split
from dotbias.evaluation import Comparison, compare, evaluate
from dotbias.metrics import Metric, Values, squared_error
from dotbias.ratings import Ids
from dotbias.scorer import Intervals, Scorer, Timed, offers
from dotbias.times import as_times

from .accuracy import everything, machine, replace
from .calibration import distance

EVERYTHING = "gibbs, everything"
FITTED: dict[str, Callable] = {
    **{name: fitters.find(name).fit for name in ("bias", "sgd", "als")},
    "gibbs, ids": fitters.find("gibbs").fit,
    EVERYTHING: everything,
}
LARGE = {  # on ML-1M
    **{name: FITTED[name] for name in ("bias", "sgd", "als")},
    "auto": fitters.find("auto").fit,
    f"{EVERYTHING}, 32 factors": partial(everything, n_factors=32),
}
SPLITS: dict[str, Callable[[], Split]] = {
    "lesson's split": lambda: split.lesson(datasets.load("ml-latest-small-2016")),
    "ML-100K u1": lambda: datasets.split_of("ml-100k", "u1"),
    "ML-100K, latest fifth": lambda: split.by_time(datasets.load("ml-100k")),
    "lesson's data, latest fifth": lambda: split.by_time(datasets.load("ml-latest-small-2016")),
    "ML-100K, each user's last fifth": lambda: split.last_share(datasets.load("ml-100k")),
    "lesson's data, each user's last fifth": lambda: split.last_share(datasets.load("ml-latest-small-2016")),
    "ML-1M, nine tenths": lambda: split.random(datasets.load("ml-1m"), test=0.1, rng=0),
}
NEWCOMERS = {"lesson's data": "ml-latest-small-2016", "ML-100K": "ml-100k", "ML-1M": "ml-1m"}
SEEDS = (43, 44, 45, 46, 47)
TOLD = (0, 1, 3, 5, 10, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--only", nargs="*", default=list(FITTED), choices=list(FITTED))
    parser.add_argument("--splits", nargs="*", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--newcomers", nargs="*", default=list(NEWCOMERS), choices=list(NEWCOMERS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--rngs", type=int, default=1)
    a = parser.parse_args()
    some = {name: FITTED[name] for name in a.only}
    of = {name: LARGE if name.startswith("ML-1M") else some for name in a.splits}
    for name in a.splits:
        put(a.write, f"served: {name}", held_out(name, SPLITS[name](), of[name], a.rngs))
    if a.seeds:
        put(a.write, "served: other seeds", seeds(a.only, a.seeds))
    for data in a.newcomers:
        few = ["bias", EVERYTHING] if data == "ML-1M" else a.only
        put(a.write, f"newcomers: {data}", "\n".join(newcomers(data, datasets.load(NEWCOMERS[data]), few)))


def put(path: Path, name: str, text: str) -> None:
    """One section of RESULTS.md, and where it was made."""
    replace(
        path, f"{text}\n{machine()}", f"<!-- {name}; written by python -m bench served -->\n", f"<!-- /{name} -->\n"
    )


def held_out(title: str, parts: Split, fitted: dict[str, Callable], n_rngs: int) -> str:
    """One table: the error as served, for unknown times or for now, and with times given."""
    assert parts.test is not None
    served = "unknown" if parts.question == split.HOLES else "now"
    columns = ["fitter", f"MSE, time {served}", "over users", "warm rows", "against the best baseline", "time given"]
    lines = [f"### As served: {title}\n", f"The split asks: {parts.question}\n"]
    lines += [f"| {' | '.join([*columns, '80 % holds', 'PIT'])} |", "|---" * 8 + "|"]
    fits = {n: [fit(parts.train, rng=k) for k in range(1 if n == "bias" else n_rngs)] for n, fit in fitted.items()}
    found = {
        name: [evaluate(f, parts.test, train=parts.train, metrics=("mse",), times=served) for f in fits[name]]
        for name in fits
    }
    middle = {name: median(r.mse for r in reports) for name, reports in found.items()}
    best = min(
        (n for n in fits if not n.startswith(EVERYTHING) and n != "auto"),
        key=lambda n: middle[n],
        default=next(iter(fits)),
    )
    for name in fits:
        typical = min(range(len(found[name])), key=lambda k: abs(found[name][k].mse - middle[name]))
        lines.append(row(name, fits[name], typical, found[name], best, fits[best][0], parts, served))
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def row(
    name: str, fits: list, typical: int, found: list, best: str, baseline: Scorer, parts: Split, served: str
) -> str:
    """A line of the table; intervals are those of the fit whose error is the median."""
    assert parts.test is not None
    low, high = found[typical].interval["mse"]
    errors = [r.mse for r in found]
    spread = f" ({min(errors):.4f} to {max(errors):.4f})" if len(errors) > 1 else ""
    cells = [name, f"{median(errors):.4f}{spread}", f"{low:.3f} to {high:.3f}"]
    cells.append(f"{median(r.warm['mse'] for r in found):.4f}")
    if name == best:
        cells.append("the best")
    else:
        pair = {best: baseline, name: fits[typical]}
        gap = compare(pair, parts.test, train=parts.train, metrics=("mse",), times=served).differences[name]["mse"]
        cells.append(f"{gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})")
    timed = [f for f in fits if offers(f, Timed)]
    given = [evaluate(f, parts.test, train=parts.train, metrics=("mse",), times="given").mse for f in timed]
    cells.append(f"{median(given):.4f}" if given else "")
    sure = [transform(f, parts.test, served) for f in fits if offers(f, Intervals)]
    cells.append(holds(sure, cold_rows(parts)) if sure else "")
    cells.append(f"{median(distance(u) for u in sure):.3f} (most {max(distance(u) for u in sure):.3f})" if sure else "")
    return f"| {' | '.join(cells)} |"


def holds(transforms: list[np.ndarray], cold: np.ndarray) -> str:
    """The share of ratings within the central 80 %, median of fits; of cold rows (N,) too, where there are 30."""
    inside = [np.abs(u - 0.5) < 0.4 for u in transforms]
    text = f"{median(x.mean() for x in inside):.1%}"
    if cold.sum() >= 30:
        text += f" (cold rows {median(x[cold].mean() for x in inside):.1%} of {cold.sum():,})"
    return text


def cold_rows(parts: Split) -> np.ndarray:
    """Test's rows (N,) whose user or item has no rating in train."""
    train, test = parts.train, parts.test
    assert test is not None
    users = np.bincount(train.users, minlength=test.n_users)[test.users]
    return (users == 0) | (np.bincount(train.items, minlength=test.n_items)[test.items] == 0)


def transform(fitted: Scorer, test: Ratings, times: str) -> np.ndarray:
    """The randomised transform of each held-out rating (N,): uniform if what the model says of it is true."""
    at = as_times(times, len(test))
    p = fitted.star_probabilities(test.users, test.items, at)  # type: ignore[attr-defined]
    star = np.searchsorted(fitted.stars, test.explicit())  # type: ignore[attr-defined]
    rows = np.arange(len(star))
    return np.cumsum(p, 1)[rows, star] - np.random.default_rng(0).random(len(star)) * p[rows, star]


class Told:
    """Guesses made before, one per held-out rating, which stands in the place of its item."""

    offers, tables = (Scorer,), None

    def __init__(self, guesses: np.ndarray):
        self.guesses = guesses

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        return self.guesses[items]

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        raise NotImplementedError


def seeds(names: list[str], seeds: list[int]) -> str:
    """The lesson's split of other seeds: a row per seed, an error per fitter, the time unknown and given."""
    lines = [
        f"### As served: the lesson's split of seeds {min(seeds)} to {max(seeds)} (MSE, time unknown / given; rng 0)\n"
    ]
    lines += [f"| seed | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    ratings = datasets.load("ml-latest-small-2016")
    for seed in seeds:
        parts = split.lesson(ratings, seed=seed)
        assert parts.test is not None
        cells: list[str] = []
        for name in names:
            measure = partial(
                evaluate, FITTED[name](parts.train, rng=0), parts.test, train=parts.train, metrics=("mse",)
            )
            error = measure(times="unknown").mse
            timed = f" / {measure(times='given').mse:.4f}" if name == EVERYTHING else ""
            cells.append(f"{error:.4f}{timed}")
        lines.append(f"| {seed} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def newcomers(title: str, ratings: Ratings, names: list[str]) -> list[str]:
    """Two tables: k ratings told at random, and the earliest k."""
    names = ["bias", *(n for n in names if n != "bias")]
    told = [Telling(ratings, names, earliest=earliest) for earliest in (False, True)[: 1 + (ratings.times is not None)]]
    for train, users in folds_of_users(ratings):
        fitted = {name: FITTED[name](train, rng=0) for name in names}
        for telling in told:
            telling.tell(fitted, users)
    return [telling.table(title) for telling in told]


class Telling:
    """The mean over users of their MSE on what they rated after the 20 that could be told; k of these were.

    Args:
        ratings: of everybody.
        names: of fitters, the first one the baseline.
        earliest: whether the earliest ratings are told, or any.
    """

    def __init__(self, ratings: Ratings, names: list[str], *, earliest: bool):
        self.ratings, self.names, self.earliest = ratings, names, earliest
        self.guesses: dict[tuple[str, int], list[np.ndarray]] = {(name, k): [] for name in names for k in TOLD}
        self.rests: list[np.ndarray] = []

    def tell(self, fitted: dict, users: np.ndarray) -> None:
        """A fold: guesses for each of its users after k of their ratings."""
        values, items = self.ratings.explicit(), self.ratings.items
        for order in histories(self.ratings, users, earliest=self.earliest):
            self.rests.append(order[max(TOLD) :])
            for (name, k), made in self.guesses.items():
                part = fitted[name].fold_in_user(items[order[:k]], values[order[:k]])
                made.append(part.score(items[self.rests[-1]]))

    def table(self, title: str) -> str:
        """A row per fitter, a column per k."""
        rows = np.concatenate(self.rests)
        numbers = {"items": np.arange(len(rows)), "item_ids": Ids(range(len(rows))), "item_table": None, "times": None}
        test = dataclasses.replace(self.ratings.take(rows), **numbers)
        metric = of_users(test)
        told = {k: {n: Told(np.concatenate(self.guesses[n, k])) for n in self.names} for k in TOLD}
        found = {k: compare(told[k], test, metrics=(metric,)) for k in TOLD}
        which = "the earliest" if self.earliest else "at random"
        about = f"{which} ({len(self.rests)} users; MSE, and its difference to bias)"
        lines = [f"### Newcomers: {title}, k ratings told, {about}\n"]
        lines += [f"| fitter | {' | '.join(map(str, TOLD))} |", "|---" * (1 + len(TOLD)) + "|"]
        for name in self.names:
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
