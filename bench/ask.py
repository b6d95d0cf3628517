"""What to ask a newcomer: ``python -m bench ask`` (writes RESULTS.md).

The lesson's data; users with 40 ratings and more, each in one of five folds of users that the fit has not seen. Half
of a user's ratings, drawn at random, are the test; questions are asked about the other half alone, the items that they
have rated, so every question has an answer. Hence this cannot test whether people know what they are asked about: the
chance that they know it is 1 here, where ``to_ask`` as shipped takes it from popularity (--popular: a line of its own).

After each answer the user is folded in, and the mean squared error on their test half is measured. ``to_ask`` against
the most rated items first, those on which people disagree most (damped variance) and random ones; ten draws of the
half, the same for all; the 95 % interval of the paired difference is a bootstrap over users.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from dotbias import Ratings, datasets, fitters
from dotbias.orders import popularity
from dotbias.recommender.histories import Known
from dotbias.recommender.questions import divisive, gains_and_chances, noise_of

from .accuracy import everything, machine, replace
from .served import folds_of_users

MARKS = "<!-- ask, {0}: written by python -m bench ask -->\n", "<!-- /ask, {0} -->\n"
MOST, SHOWN, FEWEST = 20, (1, 2, 3, 5, 10, 15, 20), 40
OURS, OTHERS = "to_ask", ("most popular", "most divisive", "random")
Errors = dict[str, list[np.ndarray]]  # by strategy, of each user (draws, 1 + MOST)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--data", default="ml-latest-small-2016", help="ml-100k: to choose by, never to report")
    parser.add_argument("--fitter", default="als", help='or "everything": gibbs with all that is at hand')
    parser.add_argument("--samples", type=int, help="to which a posterior is thinned: ten draws take an hour else")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--popular", action="store_true", help="also with the chance by popularity")
    parser.add_argument("--folds", type=int, default=5, help="of the five, how many")
    a = parser.parse_args()
    errors: Errors = {}
    with ProcessPoolExecutor(a.folds) as pool:
        for k, found in enumerate(pool.map(partial(of_fold, a), range(a.folds))):
            for name, of_users in found.items():
                errors.setdefault(name, []).extend(of_users)
            print(f"fold {k}: {len(errors[OURS])} users", flush=True)
    fitter = f"{a.fitter} ({a.samples} samples)" if a.samples else a.fitter
    text = table(errors, f"{a.data}, {fitter}, {len(errors[OURS])} users, {a.draws} draws")
    print(text, flush=True)
    replace(a.write, f"{text}\n{machine()}", *(mark.format(a.fitter) for mark in MARKS))


def of_fold(a: argparse.Namespace, k: int) -> Errors:
    """The errors of every user of a fold."""
    ratings, errors = datasets.load(a.data), {}
    train, users = next(islice(folds_of_users(ratings), k, None))
    scorer = everything(train, rng=0) if a.fitter == "everything" else fitters.find(a.fitter).fit(train, rng=0)
    scorer = scorer.thin(a.samples) if a.samples else scorer
    for user in users:
        own = np.flatnonzero(ratings.users == user)
        if len(own) >= FEWEST:
            for name, found in of_user(scorer, train, ratings, own, int(user), a).items():
                errors.setdefault(name, []).append(found)
    return errors


def of_user(scorer, train: Ratings, ratings: Ratings, own: np.ndarray, user: int, a: argparse.Namespace) -> Errors:
    """Of every strategy the error after 0, 1 … answers (draws, 1 + MOST)."""
    found: Errors = {}
    for draw in range(a.draws):
        mixed = np.random.default_rng([user, draw]).permutation(own)
        test, pool = mixed[: len(own) // 2], mixed[len(own) // 2 :]
        pool = pool[train.item_counts[ratings.items[pool]] > 0]  # nobody asks about an item that no one has rated
        held = ratings.items[test], ratings.explicit()[test]
        for name, order in strategies(scorer, train, popular=a.popular):
            asked = order(ratings.items[pool], ratings.explicit()[pool])
            found.setdefault(name, []).append(np.array(list(errors_after(scorer, *asked, *held))))
    return {name: np.stack(x) for name, x in found.items()}


def errors_after(scorer, items: np.ndarray, values: np.ndarray, rows: np.ndarray, truth: np.ndarray) -> Iterator[float]:
    for k in range(MOST + 1):
        guesses = scorer.fold_in_user(items[:k], values[:k]).score(rows)
        yield float(np.mean((guesses - truth) ** 2))


Answers = tuple[np.ndarray, np.ndarray]  # items asked about, in that order, and their ratings


def strategies(
    scorer, train: Ratings, *, popular: bool
) -> Iterator[tuple[str, Callable[[np.ndarray, np.ndarray], Answers]]]:
    def sorted_by(worth: np.ndarray) -> Callable[[np.ndarray, np.ndarray], Answers]:
        def order(items: np.ndarray, values: np.ndarray) -> Answers:
            best = np.argsort(-worth[items], kind="stable")[:MOST]
            return items[best], values[best]

        return order

    noise, chance = noise_of(scorer, train), popularity(train).share
    yield OURS, lambda *half: asking(scorer, train, *half, noise, np.ones_like(chance))
    if popular:
        yield f"{OURS}, chance by popularity", lambda *half: asking(scorer, train, *half, noise, chance)
    yield "most popular", sorted_by(train.item_counts.astype(np.float64))
    yield "most divisive", sorted_by(divisive(train))
    yield "random", lambda items, values: (items[:MOST], values[:MOST])


def asking(
    scorer, train: Ratings, items: np.ndarray, values: np.ndarray, noise: np.ndarray, chance: np.ndarray
) -> Answers:
    """Each question asked after the answers to those before."""
    told: list[int] = []
    for _ in range(min(MOST, len(items))):
        known = Known(items[told], values[told])
        gain, p = gains_and_chances(scorer, train, known, items, chance, noise)
        worth = gain * p
        worth[told] = -1
        told.append(int(np.argmax(worth)))
    return items[told], values[told]


def table(errors: Errors, title: str) -> str:
    """Errors after k answers, and the paired differences of ours to the others."""
    means = {name: np.stack([x.mean(0) for x in found]) for name, found in errors.items()}  # (users, 1 + MOST)
    lines = [f"### What to ask: {title} (mean over users of the MSE on their test half, after k answers)\n"]
    lines += [f"| questions | {' | '.join(f'k = {k}' for k in SHOWN)} |", "|---" * (1 + len(SHOWN)) + "|"]
    lines += [f"| {name} | {' | '.join(f'{x[:, k].mean():.4f}' for k in SHOWN)} |" for name, x in means.items()]
    lines += [f"| {OURS} less {n} | {' | '.join(gap(means[OURS] - means[n], k) for k in SHOWN)} |" for n in OTHERS]
    worst = max((interval(means[OURS][:, k] - means["most divisive"][:, k])[0], k) for k in range(1, MOST + 1))
    text = f"over k = 1 … {MOST} the interval's lower end is highest at k = {worst[1]}: {worst[0]:+.4f}."
    lines.append(f"\nAgainst most divisive, {text}")
    return "\n".join(lines) + "\n"


def gap(differences: np.ndarray, k: int) -> str:
    low, high = interval(differences[:, k])
    return f"{differences[:, k].mean():+.4f} ({low:+.4f} to {high:+.4f})"


def interval(x: np.ndarray, n: int = 10_000) -> tuple[float, float]:
    """The 95 % interval of a mean over users, by 10,000 resamples of them."""
    drawn = np.random.default_rng(0).multinomial(len(x), np.full(len(x), 1 / len(x)), n) @ x / len(x)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


if __name__ == "__main__":
    main()
