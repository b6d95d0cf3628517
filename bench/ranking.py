"""Who orders items best: ``python -m bench ranking`` (writes RESULTS.md).

ML-100K and the lesson's data, a random fifth held out (rng 0) and each user's last fifth. Full catalogue, without what
the user rated in train and what nobody did; relevant are held-out ratings of 4 and more; NDCG@10 has the binary gain.
Fitters at their defaults, rng 0, in two orders: liked, as ``recommend`` serves (P(rating >= 4 | rated) times P(rated)),
with P(rated) by fit_clicks and by popularity, and by the predicted rating alone; each NDCG stands beside its multiple
of the most popular items'. Beside them fitters of clicks on train's likes.

At the end: the time and the memory of ranking all users of ML-1M with als (64 factors), every metric of lists.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dotbias import Ratings, Recommender, Split, datasets, fit_clicks, fitters, split, storage
from dotbias.evaluation import Report, evaluate
from dotbias.metrics import METRICS
from dotbias.scorer import Chances, Ranks, offers
from dotbias.solvers import als

from .accuracy import everything, machine, replace
from .scale import Memory

START, END = "<!-- ranking: written by python -m bench ranking -->\n", "<!-- /ranking -->\n"
LIKE = 4.0
COLUMNS = ("ndcg@10", "recall@10", "map@10", "coverage@10", "novelty@10", "few_ratings@10")
SPLITS: dict[str, Callable[[Ratings], Split]] = {
    "random": partial(split.random, test=0.2, rng=0),
    "each user's last fifth": split.last_share,
}
DATA = {"ML-100K": "ml-100k", "the lesson's data": "ml-latest-small-2016"}


def on_likes(name: str, train: Ratings, **settings) -> Ranks:
    """A fitter of clicks on what train's users liked."""
    return fitters.find(name).fit(train.as_clicks(at_least=LIKE), rng=0, **settings)


FITTED: dict[str, Callable] = {
    "popular": fitters.find("popular").fit,
    "popular, half-life 90 days": partial(fitters.find("popular").fit, half_life=90.0),
    **{name: fitters.find(name).fit for name in ("mean", "bias", "knn", "dot_bias", "sgd", "als")},
    "gibbs, ids": fitters.find("gibbs").fit,
    "gibbs, everything": everything,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--only", nargs="*", default=list(FITTED), choices=list(FITTED))
    parser.add_argument("--step", type=Path, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.step:
        print(json.dumps(step(a.step)))
        return
    parts = [
        table(f"{data}, {cut}", make(datasets.load(name)), a.only)
        for data, name in DATA.items()
        for cut, make in SPLITS.items()
    ]
    replace(a.write, "\n".join([*parts, speed(), machine()]), START, END)


def table(title: str, parts: Split, names: list[str]) -> str:
    """A row per fitter, with the interval over users of its NDCG."""
    lines = [f"### Ranking: {title}\n", f"The split asks: {parts.question}\n"]
    lines += [
        f"| fitter | order | NDCG@10 | over users | times popular | {' | '.join(COLUMNS[1:])} |",
        "|---" * (4 + len(COLUMNS)) + "|",
    ]
    who = fit_clicks(parts.train, rng=0)
    for name in names:
        lines += rows(name, FITTED[name](parts.train, rng=0), parts, who)
    lines += rows("ease on likes, reg 200", on_likes("ease", parts.train, reg=200.0), parts, None)
    lines += rows("implicit_als on likes", on_likes("implicit_als", parts.train), parts, None)
    return "\n".join(lines) + "\n"


def rows(name: str, scorer: Ranks, parts: Split, who: Ranks | None) -> list[str]:
    """A line for each order, and one with a model of who rates what; one in all where the scorer is such a model."""
    assert parts.test is not None
    asked: dict[str, dict] = {"its own": {"order": "rating"}}
    if not offers(scorer, Chances) and not name.endswith("on likes"):
        asked = {"liked": {}, "liked, P(rated) by fit_clicks": {"clicks": who}, "rating": {"order": "rating"}}
    given = {"train": parts.train, "metrics": COLUMNS, "like": LIKE}
    return [row(name, o, evaluate(scorer, parts.test, **given, **more)) for o, more in asked.items()]


def row(name: str, order: str, report: Report) -> str:
    low, high = report.interval["ndcg@10"]
    figures = " | ".join(f"{report.values[c]:.3f}" for c in COLUMNS[1:])
    ndcg, popular = report.values["ndcg@10"], report.reference["popular"].values["ndcg@10"]
    line = f"| {name} | {order} | {ndcg:.4f} | {low:.3f} to {high:.3f} | {ndcg / popular:.2f} | {figures} |"
    print(line, flush=True)
    return line


def speed() -> str:
    """Full ranking of ML-1M in a process of its own: seconds on the clock and of the processor, and extra memory."""
    parts = split.random(datasets.load("ml-1m"), test=0.2, rng=0)
    with tempfile.TemporaryDirectory(prefix="dotbias-ranking-") as name:
        model = Recommender(als(parts.train, n_factors=64, rng=0), parts.train).save(Path(name) / "model")
        command = [sys.executable, "-m", "bench.ranking", "--step", str(model)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    lines = [
        f"### Full ranking of ML-1M: {found['users']:,} users, als with 64 factors, {found['metrics']} metrics, "
        "with intervals, groups and popularity beside them\n",
        "| what | found | asked |",
        "|---|---|---|",
        f"| seconds on the clock | {found['clock']:.1f} | < 5 |",
        f"| seconds of the processor | {found['cpu']:.1f} | |",
        f"| extra memory, MB | {found['memory'] / 1e6:.0f} | <= 300 |",
    ]
    print("\n".join(lines), flush=True)
    return "\n".join(lines) + "\n"


def step(model: Path) -> dict:
    """What the process of its own measures."""
    scorer = storage.load(model).scorer
    parts = split.random(datasets.load("ml-1m"), test=0.2, rng=0)
    names = [n for n, m in METRICS.items() if m.takes == "lists" and not n.startswith("sampled")]
    names += ["mrr", "auc"]
    with Memory() as memory:
        clock, cpu = time.perf_counter(), time.process_time()
        report = evaluate(scorer, parts.test, train=parts.train, metrics=names)
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return {"users": report.n_users, "metrics": len(names), "clock": clock, "cpu": cpu, "memory": memory.peak}


if __name__ == "__main__":
    main()
