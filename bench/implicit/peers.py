"""Fitters of clicks beside other libraries': the same clicks, at most 20 settings each, the same measure for all.

Settings are chosen by NDCG@20 on a tenth of train; then each is fitted to the whole of train, and measured on test. A
model's first settings are a grid; the best of them is then tried with each of the further changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dotbias import Ratings, datasets, fitters, split
from dotbias.evaluation import evaluate
from dotbias.scorer import Ranks, Scorer

from ..peers.envs import python_of

ADAPTER = Path(__file__).parent.parent / "peers" / "clicks.py"
MOST = 20  # settings
MEASURES = ("recall@20", "ndcg@20")
Settings = dict[str, Any]


class Peer(NamedTuple):
    """A model: its settings that stay, a grid of others, and what is changed then, one at a time."""

    name: str
    fixed: Settings
    grid: dict[str, Sequence[Any]]
    then: Sequence[Settings] = ()

    def first(self) -> list[Settings]:
        """The grid, spelled out."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]


WIDER = [{"n_factors": k} for k in (32, 128, 256)]
PEERS = [
    Peer(
        "dotbias implicit_als",
        {"n_epochs": 15},
        {"unseen": (0.1, 0.2, 0.4, 0.8), "reg": (0.002, 0.004, 0.008, 0.016)},
        [*WIDER, {"n_factors": 512}],
    ),
    Peer("dotbias ease", {}, {"reg": (50, 100, 200, 300, 400, 500, 700, 1000, 1500, 2500)}),
    Peer(
        "dotbias bpr",
        {},
        {"lr": (0.05, 0.1, 0.2), "reg": (0.002, 0.005, 0.01, 0.02)},
        [{"n_epochs": 150}, {"n_factors": 128}, {"n_factors": 128, "n_epochs": 150}],
    ),
    Peer(
        "implicit ALS",
        {"model": "implicit als", "iterations": 15},
        {"factors": (64,), "alpha": (1.5, 3, 6, 12), "regularization": (3, 10, 30, 100)},
        [{"factors": 32}, {"factors": 128}, {"factors": 256}, {"factors": 128, "iterations": 30}],
    ),
    Peer(
        "implicit BPR",
        {"model": "implicit bpr", "iterations": 100},
        {"factors": (64,), "learning_rate": (0.05, 0.1, 0.2), "regularization": (0.0003, 0.001, 0.003)},
        [{"iterations": 250}, {"factors": 128}],
    ),
    Peer(
        "LensKit implicit ALS",
        {"model": "lenskit als", "epochs": 15},
        {"embedding_size": (64,), "weight": (1, 3, 6), "regularization": (3, 10, 30, 100)},
        [{"embedding_size": 32}, {"embedding_size": 128}],
    ),
    Peer("LensKit item kNN", {"model": "lenskit knn"}, {"max_nbrs": (20, 40, 80, 160, 320)}),
    Peer(
        "Cornac BPR",
        {"model": "cornac bpr", "max_iter": 100},
        {"k": (64,), "learning_rate": (0.02, 0.05, 0.1), "lambda_reg": (0.003, 0.006, 0.012)},
        [{"max_iter": 250}, {"k": 128}],
    ),
]


class Scores:
    """Scores of every user and item (U, I) that someone else has made."""

    offers, tables = (Scorer, Ranks), None

    def __init__(self, all_scores: np.ndarray):
        self.all_scores = all_scores

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """(B,) -> (B, I)."""
        return self.all_scores[users]

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """(B,), (B,) -> (B,)."""
        return self.all_scores[users, items]

    score, score_all = rank, rank_all


class Tried(NamedTuple):
    """Settings, Recall@20 and NDCG@20, and seconds of the processor that fitting took."""

    settings: Settings
    recall: float
    ndcg: float
    seconds: float


def parts() -> tuple[Ratings, Ratings]:
    """ML-1M's ratings of 4 and more as clicks: train, and a random tenth as test."""
    train, _, test = split.random(datasets.load("ml-1m").as_clicks(at_least=4), test=0.1, rng=0)
    assert train is not None and test is not None
    return train, test


def try_out(peer: Peer, settings: Settings, train: Ratings, test: Ratings) -> Tried:
    """Fit to train, measure on test."""
    given = peer.fixed | settings
    try:
        scorer, seconds = ours(peer.name, given, train) if peer.name.startswith("dotbias") else theirs(given, train)
    except RuntimeError as e:  # such as factors that became NaN: these settings lose
        print(f"  {peer.name} {settings}: {e}", flush=True)
        return Tried(settings, 0.0, 0.0, 0.0)
    found = evaluate(scorer, test, train=train, metrics=MEASURES, n_resamples=0).values
    return Tried(settings, *(found[m] for m in MEASURES), seconds)


def ours(name: str, settings: Settings, train: Ratings) -> tuple[Ranks, float]:
    """A scorer of ours, and the processor's seconds."""
    fit: Callable[..., Ranks] = fitters.find(name.split()[1]).fit
    began = time.process_time()
    return fit(train, rng=0, **settings), time.process_time() - began


def theirs(settings: Settings, train: Ratings) -> tuple[Ranks, float]:
    """Another library's scores, made by a process of its own on one thread."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys((*names, "LK_NUM_THREADS"), "1"), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        clicks, scores = Path(folder, "clicks.npz"), Path(folder, "scores.npy")
        np.savez(clicks, users=train.users, items=train.items, n_users=train.n_users, n_items=train.n_items)
        command = [python_of("clicks"), str(ADAPTER), str(clicks), json.dumps(settings), str(scores)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or [""])[-1])
        return Scores(np.load(scores)), json.loads(done.stdout.strip().splitlines()[-1])["cpu"]


def chosen(peer: Peer, train: Ratings, say: Callable[[str], str]) -> tuple[Tried, int]:
    """The settings that are best on a tenth of train, and how many were tried."""
    inner, _, slice_ = split.random(train, test=0.1, rng=1)
    assert inner is not None and slice_ is not None
    measured = partial(try_out, peer, train=inner, test=slice_)
    tried = [told(peer, measured(s), say) for s in peer.first()]
    best = max(tried, key=lambda t: t.ndcg)
    tried += [told(peer, measured(best.settings | change), say) for change in peer.then]
    assert len(tried) <= MOST
    return max(tried, key=lambda t: t.ndcg), len(tried)


def told(peer: Peer, tried: Tried, say: Callable[[str], str]) -> Tried:
    """What was tried, and said."""
    say(f"  {peer.name} {tried.settings}: {tried.recall:.4f} {tried.ndcg:.4f}, {tried.seconds:.1f} s")
    return tried


def rows(say: Callable[[str], str], only: str = "") -> Iterator[tuple[str, Tried, int]]:
    """Each model's name, what its chosen settings reach on test, and how many were tried."""
    train, test = parts()
    for peer in PEERS:
        if only in peer.name:
            best, n = chosen(peer, train, say)
            yield peer.name, try_out(peer, best.settings, train, test), n


def table(say: Callable[[str], str], only: str = "") -> str:
    """The section of RESULTS.md."""
    lines = ["### Clicks beside other libraries: ML-1M, ratings of 4 and more, a random tenth held out\n"]
    lines += ["| model | settings tried | chosen | Recall@20 | NDCG@20 | fit, s |", "|---|---|---|---|---|---|"]
    found: list[tuple[str, Tried]] = []
    for name, t, n in rows(say, only):
        found.append((name, t))
        settings = ", ".join(f"{k} {v}" for k, v in t.settings.items())
        lines.append(say(f"| {name} | {n} | {settings} | {t.recall:.4f} | {t.ndcg:.4f} | {t.seconds:.1f} |"))
    best = [
        max(t[k] for name, t in found if name.startswith("dotbias") == own) for own in (True, False) for k in (1, 2)
    ]
    lines.append("")
    lines.append(
        say(f"Ours over the best of the others: Recall@20 {best[0] / best[2]:.3f}, NDCG@20 {best[1] / best[3]:.3f}.")
    )
    lines.append("Seconds are the processor's, one thread. Cornac's WMF needs TensorFlow and was left out.\n")
    return "\n".join(lines)
