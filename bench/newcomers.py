"""Newcomers: ``python -m bench newcomers`` (writes RESULTS.md; the parts ``--only`` names).

known     a user that train knows, folded in by their own history, against the row that the fit gave them
few       400 users' ratings leave train but for k of them; folded in, against one refit for each k that has them
update    a share of train comes after the fit: update() against a refit on everything, and against doing nothing
speed     one newcomer of 10 ratings, 10,000 items: fold-in and top ten, alone in a process of one thread; the answer
          of the short way held against every item's value over all samples

Users, test ratings and what is taken out are drawn with rng 0; splits are random, 20 % test, seed 43. Errors are of
guesses without the rating's time, over the same test ratings for both sides of a comparison; intervals are the central
95 % of 1,000 draws of users with replacement.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dotbias import Ratings, Recommender, datasets, split
from dotbias.factors import Factors
from dotbias.ids import Ids
from dotbias.objective import Objective, Ridge
from dotbias.posterior import Posterior, SessionPosterior, SidePosterior

from .accuracy import machine, replace

START, END = "<!-- newcomers: written by python -m bench newcomers -->\n", "<!-- /newcomers -->\n"
DATA = ("ml-latest-small-2016", "ml-100k")
KS, N_NEW, SHARES = (1, 3, 5, 10, 20), 400, (0.01, 0.05, 0.2)
KNOWN = ("als", "sgd", "gibbs", "dot_bias", "net", "knn")
PARTS = ("known", "few", "update", "speed")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--only", nargs="*", default=[*PARTS], choices=PARTS)
    parser.add_argument("--data", nargs="*", default=[*DATA])
    parser.add_argument("--fitter", default="auto")
    a = parser.parse_args()
    lines = ["### Newcomers\n"]
    if "known" in a.only:
        heads = ("data", "model", "stored", "folded in", "ratio")
        lines += table(known(a.data), "A known user by their own history", heads)
    if "few" in a.only:
        heads = ("data", "k", "folded in", "refit", "ratio of MSE", "95 %")
        lines += table(few(a.data, a.fitter), f"Newcomers of k ratings ({a.fitter})", heads)
    if "update" in a.only:
        heads = ("data", "model", "new, %", "before", "update", "refit", "update / refit", "seconds: update", "refit ")
        lines += table(update(a.data, a.fitter), "What an update loses", heads)
    if "speed" in a.only:
        heads = ("model", "median, ms", "p99, ms", "processor, ms", "the exact ten, %")
        lines += table(speed(), "One newcomer: fold-in and top ten", heads)
    replace(a.write, "\n".join([*lines, machine()]), START, END)


def table(rows: Iterator[tuple[Any, ...]], title: str, heads: tuple[str, ...]) -> list[str]:
    """A table of Markdown; each row is shown when it is there."""
    lines = [f"**{title}.**\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        lines.append("| " + " | ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row) + " |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def fitted(name: str, train: Ratings) -> Any:
    """A fit with the fitter's own defaults."""
    from dotbias.fitters import find

    return find(name).fit(train, rng=0, progress=False)


# A known user --------------------------------------------------------------------------------------------------


def known(data: list[str]) -> Iterator[tuple[Any, ...]]:
    """(data, model, MSE of stored rows, of rows folded in, ratio), over the test ratings of 200 users."""
    for name in data:
        parts = split.random(datasets.load(name), test=0.2, rng=43)
        train, test = parts.train, parts.test
        users = np.random.default_rng(0).permutation(np.intersect1d(train.users, test.users))[:200]
        held = test.take(np.isin(test.users, users))
        by_user = {u: np.flatnonzero(train.users == u) for u in users}
        for fitter in KNOWN:
            scorer = fitted(fitter, train)
            stored, folded = scorer.score(held.users, held.items), np.empty(len(held), np.float32)
            for u, at in by_user.items():
                mine = held.users == u
                part = scorer.fold_in_user(train.items[at], train.values[at])
                folded[mine] = part.score(held.items[mine])
            errors = [float(np.mean((x - held.values) ** 2)) for x in (stored, folded)]
            yield name, fitter, *errors, errors[1] / errors[0]


# Newcomers -----------------------------------------------------------------------------------------------------


def few(data: list[str], fitter: str) -> Iterator[tuple[Any, ...]]:
    """(data, k, MSE folded in, MSE of a refit that has the k ratings, their ratio, its interval)."""
    for name in data:
        ratings, rng = datasets.load(name), np.random.default_rng(0)
        enough = np.flatnonzero(ratings.user_counts >= max(KS) + 10)
        users = rng.permutation(enough)[: min(N_NEW, len(enough) // 3)]
        new = np.isin(ratings.users, users)
        place = np.empty(len(ratings), np.int64)  # of each rating in a random order of its user's own
        order = np.lexsort((rng.random(len(ratings)), ratings.users))
        starts = np.r_[0, np.cumsum(ratings.user_counts)[:-1]]
        place[order] = np.arange(len(ratings)) - np.repeat(starts, ratings.user_counts)
        base = ratings.take(~new)
        scorer = fitted(fitter, base)
        seen = base.item_counts > 0
        held = ratings.take(new & (place >= max(KS)) & seen[ratings.items])
        for k in KS:
            told = ratings.take(new & (place < k))
            folded = np.empty(len(held), np.float32)
            for u in users:
                at, mine = told.users == u, held.users == u
                folded[mine] = scorer.fold_in_user(told.items[at], told.values[at]).score(held.items[mine])
            refit = fitted(fitter, ratings.take(~new | (place < k))).score(held.users, held.items)
            yield name, k, *compared(folded, refit, held)


def compared(first: np.ndarray, second: np.ndarray, held: Ratings) -> tuple[float, float, float, str]:
    """(MSE, MSE, their ratio, its interval) of two guesses of the same ratings."""
    squares = [np.bincount(held.users, (x - held.values) ** 2, held.n_users) for x in (first, second)]
    users = np.flatnonzero(held.user_counts)
    draws = np.random.default_rng(0).choice(users, (1000, len(users)))
    ratios = squares[0][draws].sum(1) / squares[1][draws].sum(1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    a, b = (float(s.sum() / len(held)) for s in squares)
    return a, b, a / b, f"{low:.3f} to {high:.3f}"


# Updates -------------------------------------------------------------------------------------------------------


def update(data: list[str], fitter: str) -> Iterator[tuple[Any, ...]]:
    """(data, model, share, MSE of the old model, updated, refitted, updated / refitted, seconds of both)."""
    for name in data:
        parts = split.random(datasets.load(name), test=0.2, rng=43)
        train, test = parts.train, parts.test
        order = np.random.default_rng(0).permutation(len(train))
        for model in dict.fromkeys(("als", fitter)):
            start = time.perf_counter()
            refit = fitted(model, train).score(test.users, test.items)
            seconds = time.perf_counter() - start
            for share in SHARES:
                n = int(share * len(train))
                old = train.take(np.sort(order[n:]))
                before = Recommender(fitted(model, old), old)
                start = time.perf_counter()
                after = before.update(train.take(np.sort(order[:n])))
                took = time.perf_counter() - start
                guesses = before.scorer, after.scorer
                errors = [float(np.mean((s.score(test.users, test.items) - test.values) ** 2)) for s in guesses]
                errors.append(float(np.mean((refit - test.values) ** 2)))
                yield name, model, 100 * share, *errors, errors[1] / errors[2], f"{took:.1f}", f"{seconds:.1f}"


# Speed ---------------------------------------------------------------------------------------------------------


def speed(n_items: int = 10_000, n_users: int = 6_000, n_asked: int = 300) -> Iterator[tuple[Any, ...]]:
    """(model, median and p99 on the clock, mean of the processor, share of lists that are the exact ten)."""
    rng = np.random.default_rng(0)
    models: dict[str, tuple[int, Callable[[Factors, Ratings], Any]]] = {
        "als, 64 factors": (64, lambda base, train: base),
        "gibbs, 16 factors, 100 samples": (16, lambda base, train: drawn_posterior(base, train, rng, history=False)),
        "the same with histories": (16, lambda base, train: drawn_posterior(base, train, rng, history=True)),
    }
    for name, (k, make) in models.items():
        base = drawn_factors(n_users, n_items, k, rng)
        train = drawn_ratings(base, rng)
        rec = Recommender(make(dataclasses.replace(base, tables=train.tables), train), train)
        rec.recommend(history={0: 5.0})  # what is made once is made
        clock, cpu, same = [], [], 0
        for _ in range(n_asked):
            history = {int(i): float(rng.integers(1, 6)) for i in rng.choice(n_items, 10, replace=False)}
            starts = time.perf_counter(), time.process_time()
            answer = rec.recommend(history=history)
            clock.append(1e3 * (time.perf_counter() - starts[0]))
            cpu.append(1e3 * (time.process_time() - starts[1]))
            same += [x.item_id for x in answer] == exactly(rec, history)
        median, p99 = np.percentile(clock, (50, 99))
        yield name, f"{median:.2f}", f"{p99:.2f}", f"{np.mean(cpu):.2f}", f"{100 * same / n_asked:.1f}"


def exactly(rec: Recommender, history: dict[int, float]) -> list[int]:
    """The first ten when every item's value is computed over all samples."""
    from dotbias.orders import liked

    rows = np.array(list(history))
    part = rec.scorer.fold_in_user(rows, np.array(list(history.values()), np.float32))  # type: ignore[attr-defined]
    values = rec._orders.get(("liked", None), liked(rec.scorer, rec.train)).part(part, rows).copy()  # pyright: ignore
    values[rows] = values[rec.train.item_counts == 0] = -np.inf
    return np.argsort(-values, kind="stable")[:10].tolist()


def drawn_factors(n_users: int, n_items: int, k: int, rng: np.random.Generator) -> Factors:
    """Factors of the size asked for, drawn."""
    spread = (0.5 / k**0.5) ** 0.5
    tables = [rng.normal(0, spread, (n, k)).astype(np.float32) for n in (n_users, n_items)]
    biases = [rng.normal(0, 0.3, n) for n in (n_users, n_items)]
    objective = Objective(y_range=(1.0, 5.0), user_reg=Ridge(3.0, 8.0), item_reg=Ridge(3.0, 8.0))
    return Factors(3.5, *biases, *tables, objective)


def drawn_ratings(base: Factors, rng: np.random.Generator, n: int = 600_000) -> Ratings:
    """Ratings that such factors would give, of some items many."""
    (U, _), I = base.users.shape, len(base.items)
    users, items = rng.integers(0, U, n).astype(np.int32), (I * rng.random(n) ** 3).astype(np.int32)
    values = np.clip(np.round(base.rank(users, items) + rng.normal(0, 0.8, n)), 1, 5).astype(np.float32)
    return Ratings(users, items, values, None, Ids(range(U)), Ids(range(I)))


def drawn_posterior(base: Factors, train: Ratings, rng: np.random.Generator, *, history: bool) -> Posterior:
    """100 samples around drawn factors."""
    s, k = 100, base.n_factors

    def around(x: np.ndarray) -> np.ndarray:
        return (x + rng.normal(0, 0.05, (s, *x.shape))).astype(np.float32)

    def side(n_others: int) -> SidePosterior:
        n = n_others * history
        groups = (("history", 0, n),) if history else ()
        prior = np.zeros((s, 1 + history, 1 + k), np.float32), np.full((s, 1 + history, 1 + k), 20, np.float32)
        features = rng.normal(0, 0.02, (s, n, 1 + k)).astype(np.float32)
        names = tuple(f"rated={i}" for i in range(n))
        return SidePosterior(names, groups, (), features, *prior, history, 20.0, np.full(n, 0.01, np.float32))

    own = np.zeros(0)
    users, items = around(base.users), around(base.items)
    if history:  # a column for each history
        users, items = (np.concatenate([x, x[:, :, :2]], 2) for x in (users, items))
    counts = train.user_counts.astype(np.int32), train.item_counts.astype(np.int32)
    return Posterior(
        np.full(s, 3.5, np.float32), around(base.user_bias), around(base.item_bias), users, items, *counts,
        SessionPosterior.none(s, k), 0.8, 0.8, np.full(s, 0.85, np.float32), own, own, False, (1.0, 5.0),
        side(train.n_items), side(train.n_users), tables=train.tables,
    )  # fmt: skip


if __name__ == "__main__":
    main()
