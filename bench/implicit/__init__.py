"""Clicks, plays and purchases: ``python -m bench implicit`` (writes RESULTS.md).

- NCF's ML-1M (He et al. 2017): each user's last item among 99 that they did not rate; sampled measures, and named so.
  implicit_als by the recipe of Rendle et al. 2021 and irspack (192 factors, reg 0.007, unseen 0.3, 12 passes); the
  others at their defaults. EmbeddingDot (Rendle et al. 2020) and EmbeddingNet by the Learner. Medians of five rngs.
- Gowalla (He et al. 2020, LightGCN's split): full ranking, settings chosen on a tenth of train (bench/LOG.md), one rng.
- ML-1M, ratings of 4 and more, a random tenth held out: full ranking, every fitter at its defaults.
- Ranking all of Gowalla, 64 factors, every measure of lists: seconds and memory. A newcomer of 5 clicks among 40,000
  items: fold-in and the ten best.
- peers: beside implicit, LensKit and Cornac on the last of these, at most 20 settings each.
- passes: seconds of a pass of implicit_als and bpr beside implicit's.
- With ``--scale``: planted clicks of 1 M users and 100 k items, 100 M of them: memory, and seconds a pass.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from dotbias import Ratings, datasets, fitters, split
from dotbias.classifier import classifier
from dotbias.evaluation import evaluate, evaluate_sampled
from dotbias.ids import Ids
from dotbias.metrics import METRICS
from dotbias.scorer import Ranks
from dotbias.solvers import implicit_als

from ..accuracy import machine, replace
from ..scale import Memory
from . import passes, peers

SECTIONS = ("ncf", "gowalla", "ml-1m", "speed", "peers", "passes")
RNGS = range(5)
RECIPE = {"n_factors": 192, "n_epochs": 12, "unseen": 0.3, "reg": 0.007}  # irspack's, of Rendle et al. 2021
GOWALLA = {"n_factors": 1024, "n_epochs": 12, "unseen": 0.03, "reg": 0.0025}  # of 18 settings on a tenth of train
FITS: dict[str, Callable] = {name: fitters.find(name).fit for name in ("popular", "ease", "bpr", "implicit_als")}
CHANCE = ("bpr", "implicit_als", "EmbeddingDot")
LEARNED = {  # the lesson's models, by the Learner
    "EmbeddingDot, bce": partial(classifier, model="dot"),
    "EmbeddingDot, bpr, one rng": partial(classifier, model="dot", loss="bpr", lr=0.005, reg_once=1.25),
    "EmbeddingNet, bce, one rng": partial(
        classifier, model="net", n_factors=32, hidden=(64, 32, 16), lr=0.002, n_epochs=16
    ),
}


def folder(name: str) -> Path:
    """Where a data set lies."""
    return Path(os.environ["DOTBIAS_DATA"]) / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--only", nargs="*", default=list(SECTIONS), choices=SECTIONS)
    parser.add_argument("--scale", action="store_true", help="100 M planted clicks, too: 3 GB and many minutes")
    parser.add_argument("--step", nargs="*", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.step:
        print(json.dumps(STEPS[a.step[0]](*(int(x) if x.isdecimal() else x for x in a.step[1:]))))
        return
    write = {"ncf": ncf, "gowalla": gowalla, "ml-1m": movielens, "speed": speed}
    write |= {"peers": partial(peers.table, shown), "passes": partial(passes.table, shown)}
    for name in a.only:
        put(a.write, name, write[name]())
    if a.scale:
        put(a.write, "scale", scale())


def put(path: Path, name: str, text: str) -> None:
    """One section of RESULTS.md, and where it was made."""
    marks = f"<!-- implicit-{name}: written by python -m bench implicit -->\n", f"<!-- /implicit-{name} -->\n"
    replace(path, f"{text}\n{machine()}", *marks)


def shown(line: str) -> str:
    """The line, told as it is made."""
    print(line, flush=True)
    return line


def in_between(values: list[float]) -> str:
    """The median, and from what to what."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})"


# NCF ---------------------------------------------------------------------------------------------------------------


def read_ncf() -> tuple[Ratings, np.ndarray, np.ndarray, np.ndarray]:
    """Train as clicks; users, held-out items (G,) and negatives (G, 99) of NCF's ML-1M."""
    home, read = folder("ncf-ml-1m"), partial(np.loadtxt, dtype=np.int32, usecols=(0, 1))
    train, held = read(home / "ml-1m.train.rating.reconstructed"), read(home / "ml-1m.test.rating")
    lines = (home / "ml-1m.test.negative").read_text().splitlines()
    negatives = np.array([[int(x) for x in line.split("\t")[1:]] for line in lines])
    n_users, n_items = train[:, 0].max() + 1, max(train[:, 1].max(), held[:, 1].max(), negatives.max()) + 1
    clicks = Ratings(train[:, 0], train[:, 1], None, None, Ids(range(n_users)), Ids(range(n_items)))
    return clicks, held[:, 0], held[:, 1], negatives.astype(np.int32)


def ncf() -> str:
    train, users, items, negatives = read_ncf()
    lines = ["### NCF's ML-1M: each user's last item among 99 others (sampled measures)\n"]
    lines += ["| fitter | sampled HR@10 | sampled NDCG@10 | seconds |", "|---|---|---|---|"]
    fits = FITS | {"implicit_als, the paper's settings": partial(implicit_als, **RECIPE)} | LEARNED
    for name, fit in fits.items():
        rows: list[tuple[float, float, float]] = []
        for rng in RNGS if name.split(",")[0] in CHANCE and "one rng" not in name else (0,):
            began = time.process_time()
            scorer = fit(train, rng=rng)
            seconds = time.process_time() - began
            found = evaluate_sampled(scorer, users, items, negatives, n_resamples=1).values
            rows.append((found["sampled_hit_rate@10"], found["sampled_ndcg@10"], seconds))
        rate, gain, seconds = ([float(r[k]) for r in rows] for k in range(3))
        line = f"| {name} | {in_between(rate)} | {in_between(gain)} | {statistics.median(seconds):.1f} |"
        lines.append(shown(line))
    return "\n".join([*lines, "", "Seconds are the processor's, of the fit, compiling included.", ""])


# Full ranking ------------------------------------------------------------------------------------------------------


def read_gowalla() -> tuple[Ratings, Ratings]:
    """Train and test of Gowalla: a line is a user and their items; rows are the numbers themselves."""
    parts = []
    for name in ("train", "test"):
        lines = [line.split() for line in (folder("gowalla") / f"{name}.txt").read_text().splitlines()]
        users = np.repeat([int(x[0]) for x in lines], [len(x) - 1 for x in lines])
        parts.append((users, np.array([i for x in lines for i in x[1:]], int)))
    n_users, n_items = (1 + max(int(p[k].max()) for p in parts) for k in range(2))
    ids = Ids(range(n_users)), Ids(range(n_items))
    return Ratings(*parts[0], None, None, *ids), Ratings(*parts[1], None, None, *ids)


def lists_of(scorer: Ranks, train: Ratings, test: Ratings, name: str, seconds: float) -> str:
    """A row of a table."""
    found = evaluate(scorer, test, train=train, metrics=("recall@20", "ndcg@20"), n_resamples=0).values
    return shown(f"| {name} | {found['recall@20']:.4f} | {found['ndcg@20']:.4f} | {seconds:.1f} |")


def table(title: str, train: Ratings, test: Ratings, fits: dict[str, Callable]) -> str:
    lines = [f"### {title}\n", "| fitter | Recall@20 | NDCG@20 | seconds |", "|---|---|---|---|"]
    for name, fit in fits.items():
        began = time.process_time()
        scorer = fit(train, rng=0)
        lines.append(lists_of(scorer, train, test, name, time.process_time() - began))
    return "\n".join([*lines, "", "Seconds are the processor's, of the fit, compiling included.", ""])


def gowalla() -> str:
    train, test = read_gowalla()
    fits = {
        "popular": FITS["popular"],
        "implicit_als, defaults (64 factors)": implicit_als,
        f"implicit_als, {GOWALLA['n_factors']} factors, settings chosen on train": partial(implicit_als, **GOWALLA),
    }
    return table("Gowalla, full ranking", train, test, fits)


def movielens() -> str:
    train, _, test = split.random(datasets.load("ml-1m").as_clicks(at_least=4), test=0.1, rng=0)
    assert train is not None and test is not None
    return table("ML-1M, ratings of 4 and more as clicks, a random tenth held out (defaults)", train, test, FITS)


# Speed and memory --------------------------------------------------------------------------------------------------


def apart(*step: object) -> dict:
    """What a process of its own finds."""
    command = [sys.executable, "-m", "bench", "implicit", "--step", *map(str, step)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def speed() -> str:
    ranking, newcomer = apart("ranking"), apart("newcomer")
    lines = ["### Lists and newcomers of clicks\n", "| what | found | asked |", "|---|---|---|"]
    what = f"full ranking of Gowalla, {ranking['users']:,} users × {ranking['items']:,} items, 64 factors, "
    lines += [
        shown(f"| {what}{ranking['metrics']} measures: seconds on the clock | {ranking['clock']:.1f} | <= 20 |"),
        shown(f"| the same: seconds of the processor | {ranking['cpu']:.1f} | |"),
        shown(f"| the same: extra memory, MB | {ranking['memory'] / 1e6:.0f} | <= 500 |"),
        shown(f"| a newcomer of 5 clicks, fold-in and the 10 best of 40,000: p50, ms | {newcomer['p50']:.2f} | |"),
        shown(f"| the same: p99, ms | {newcomer['p99']:.2f} | <= 5 |"),
        shown(f"| the same: p99, ms of the processor | {newcomer['cpu']:.2f} | |"),
    ]
    return "\n".join([*lines, ""])


def rank_all() -> dict:
    """Every measure of lists of Gowalla's users."""
    train, test = read_gowalla()
    scorer = implicit_als(train, n_factors=64, rng=0)
    names = [n for n, m in METRICS.items() if m.takes == "lists" and not n.startswith("sampled")]
    with Memory() as memory:
        clock, cpu = time.perf_counter(), time.process_time()
        report = evaluate(scorer, test, train=train, metrics=[*names, "mrr", "auc"])
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    sizes = {"users": report.n_users, "items": train.n_items, "metrics": len(names) + 2}
    return {**sizes, "clock": clock, "cpu": cpu, "memory": memory.peak}


def newcomers(n: int = 1_000) -> dict:
    """Milliseconds of folding in 5 clicks among 40,000 items and finding the ten best."""
    rng = np.random.default_rng(0)
    train = planted(20_000, 40_000, 1_000_000)
    scorer = implicit_als(train, n_factors=64, n_epochs=2, rng=0)
    took = []
    for _ in range(n + 20):
        items = rng.choice(40_000, 5, replace=False)
        began, busy = time.perf_counter(), time.process_time()
        rank = scorer.fold_in_user(items, np.ones(5, np.float32)).rank()
        top = np.argpartition(-rank, 10)[:10]
        top[np.argsort(-rank[top], kind="stable")]
        took.append((time.perf_counter() - began, time.process_time() - busy))
    clock, cpu = 1e3 * np.array(took[20:]).T
    return {"p50": np.quantile(clock, 0.5), "p99": np.quantile(clock, 0.99), "cpu": np.quantile(cpu, 0.99)}


# Many clicks -------------------------------------------------------------------------------------------------------


def planted(n_users: int, n_items: int, n_clicks: int, *, n_groups: int = 50, rng: int = 0) -> Ratings:
    """Clicks of users who take items of their own group nine times in ten, the popular ones more; few pairs twice."""
    g = np.random.default_rng(rng)
    users, items = np.empty(n_clicks, np.int32), np.empty(n_clicks, np.int32)
    for start in range(0, n_clicks, 1 << 20):
        at = slice(start, min(start + (1 << 20), n_clicks))
        size = at.stop - at.start
        users[at] = g.integers(n_users, size=size)
        own = g.random(size) < 0.9
        group = np.where(own, users[at] % n_groups, g.integers(n_groups, size=size))
        place = (g.random(size) ** 2 * (n_items // n_groups)).astype(np.int32)  # the first ones more often
        items[at] = place * n_groups + group
    return Ratings(users, items, None, None, Ids(range(n_users)), Ids(range(n_items)))


def fit_many(n_users: int, n_items: int, n_clicks: int, n_epochs: int) -> dict:
    """Memory beside the columns', and seconds a pass, of implicit_als with 64 factors."""
    train, steps = planted(n_users, n_items, n_clicks), []
    columns = train.users.nbytes + train.items.nbytes
    implicit_als(planted(100, 100, 1_000), n_factors=64, n_epochs=1, rng=0)  # compiled, or read from the cache
    with Memory() as memory:
        implicit_als(train, n_factors=64, n_epochs=n_epochs, rng=0, progress=steps.append)
    seconds = [s.values["seconds"] for s in steps]
    return {"columns": columns, "memory": memory.peak, "seconds": statistics.median(seconds)}


def scale() -> str:
    found = apart("many", 1_000_000, 100_000, 100_000_000, 3)
    share = (found["columns"] + found["memory"]) / found["columns"]
    lines = ["### 100 M planted clicks of 1 M users and 100 k items: implicit_als, 64 factors\n"]
    lines += [
        "| what | found | asked |",
        "|---|---|---|",
        shown(f"| memory, columns included, in columns' | {share:.2f} | <= 3 |"),
        shown(f"| seconds a pass | {found['seconds']:.0f} | |"),
    ]
    return "\n".join([*lines, ""])


STEPS: dict[str, Callable[..., dict]] = {
    "ranking": rank_all,
    "newcomer": newcomers,
    "many": fit_many,
    "pass": passes.one_run,
}


if __name__ == "__main__":
    main()
