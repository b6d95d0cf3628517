"""Do the intervals of ``evaluate`` hold the truth? ``python -m bench coverage`` (writes RESULTS.md; can be resumed).

Planted worlds whose users' numbers of ratings are log-normal (sigma = 1): 2,000 users, 1,000 items, 60,000 ratings,
neither rounded nor clipped. Each world is fitted by ``sgd`` at its defaults. The fitted scorer's *true error* is the
expected squared error of a new rating over all users of the world, each weighed by their number of held-out ratings
(a quarter of those in train): of each pair it is known exactly, (score - truth)² + noise². Then 50, 200 and 671 test
users are drawn from the world, each with that many new ratings of items that they have not rated in train, and
``evaluate`` is asked for its nominal 95 % interval. Counted is how often that holds the true error; beside it the
percentile interval of the same kind of resamples.

Each world is a line of the file given by ``--keep``; worlds that it holds are not made again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from dotbias import planted
from dotbias.evaluation import evaluate
from dotbias.factors import Factors
from dotbias.metrics import squared_error
from dotbias.ratings import Ids, Ratings
from dotbias.solvers import sgd

from .accuracy import machine
from .accuracy import replace as write

USERS, ITEMS, RATINGS, NOISE = 2_000, 1_000, 60_000, 0.5
SIZES = (50, 200, 671)
START, END = "<!-- coverage: written by python -m bench coverage -->\n", "<!-- /coverage -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument(
        "--keep", type=Path, default=Path(".bench/coverage.jsonl"), help="a line per world; resumed from"
    )
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    a = parser.parse_args()
    a.keep.parent.mkdir(exist_ok=True)
    done = {line["world"]: line for line in map(json.loads, a.keep.read_text().splitlines())} if a.keep.exists() else {}
    with a.keep.open("a") as kept:
        for k in range(a.worlds):
            if k not in done:
                done[k] = {"world": k, **one_world(k)}
                kept.write(json.dumps(done[k]) + "\n")
                kept.flush()
    text = table([done[k] for k in range(a.worlds)])
    print(text)
    write(a.write, f"{text}\n{machine()}", START, END)


def one_world(number: int) -> dict:
    """The true error, and for each size the two intervals."""
    rng = np.random.default_rng([2026, number])
    world = planted(USERS, ITEMS, n_ratings=RATINGS, noise=NOISE, y_range=None, step=None, times=False, rng=rng)
    train = world.ratings
    scorer = sgd(train, rng=rng)
    every = np.arange(USERS)
    guess, truth = (s.score_all(every).astype(np.float64) for s in (scorer, world))
    weights = np.broadcast_to(train.item_counts + 1.0, (USERS, ITEMS)).copy()  # who rates what next: by popularity,
    weights[train.users, train.items] = 1e-6  # and nothing twice, unless all is rated
    n_held = np.maximum(1, np.rint(train.user_counts / 4)).astype(np.int64)
    expected = (weights * ((guess - truth) ** 2 + NOISE**2)).sum(1) / weights.sum(1)
    out: dict = {"truth": float((n_held * expected).sum() / n_held.sum())}
    for size in SIZES:
        drawn = rng.integers(USERS, size=size)
        test = held_out(drawn, n_held, np.cumsum(weights, 1), truth, rng)
        part = replace(scorer, user_bias=scorer.user_bias[drawn], users=scorer.users[drawn], tables=None)
        found = evaluate(part, test, metrics=("mse",), rng=number).interval["mse"]
        out[str(size)] = {"studentised": found, "percentile": percentile(part, test, rng)}
    return out


def held_out(
    drawn: np.ndarray, n_held: np.ndarray, cumulated: np.ndarray, truth: np.ndarray, rng: np.random.Generator
) -> Ratings:
    """New ratings of the drawn users (G,), each a user row of their own: one drawn twice is two people alike."""
    who = np.repeat(np.arange(len(drawn)), n_held[drawn])
    draws = rng.random(len(who)) * cumulated[drawn[who], -1]
    items = np.array([np.searchsorted(cumulated[u], x, side="right") for u, x in zip(drawn[who], draws, strict=True)])
    values = truth[drawn[who], items] + NOISE * rng.standard_normal(len(who))
    return Ratings(who, items, values, None, Ids(range(len(drawn))), Ids(range(truth.shape[1])))


def percentile(scorer: Factors, test: Ratings, rng: np.random.Generator, n: int = 1000) -> tuple[float, float]:
    """The percentile interval of the bootstrap over users."""
    errors = squared_error(scorer.score(test.users, test.items), test.explicit())
    weights = rng.multinomial(test.n_users, np.full(test.n_users, 1 / test.n_users), n)
    draws = (weights @ np.bincount(test.users, errors)) / (weights @ test.user_counts)
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)


def table(worlds: list[dict]) -> str:
    lines = [
        f"### Do 95 % intervals hold the truth? {len(worlds):,} planted worlds, sgd (asked: 93 % to 97 %)\n",
        "| test users | studentised holds it | too high / too low | percentile holds it | too high / too low |",
        "|---" * 5 + "|",
    ]
    for size in SIZES:
        cells = []
        for kind in ("studentised", "percentile"):
            below = np.mean([w["truth"] < w[str(size)][kind][0] for w in worlds])
            above = np.mean([w["truth"] > w[str(size)][kind][1] for w in worlds])
            cells += [f"{1 - below - above:.1%}", f"{below:.1%} / {above:.1%}"]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
