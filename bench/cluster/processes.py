"""What a process of its own does: make a world's parts, fit it alone, fit it by shards, evaluate, write lists.

``python -m bench.cluster.processes NAME FOLDER JSON`` prints a line of JSON.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from dotbias import Ratings, cluster, datasets, split, storage
from dotbias.datasets import planted
from dotbias.factors import ARRAYS, Factors
from dotbias.progress import Step
from dotbias.solvers import als

ITEMS, EACH, FACTORS = 17_770, 208, 16  # Netflix's items, and ratings of a user
SIGNAL, NOISE = 0.6, 0.7
PART = 2_500_000  # ratings of a part, at most
HELD = 0.01


def make(folder: Path, ratings: int = 10_000_000) -> dict[str, Any]:
    """Parts of a planted world, neither rounded nor clipped: train/ and held/."""
    began, n = time.perf_counter(), int(ratings * (1 + HELD))
    true = {"n_factors": FACTORS, "noise": NOISE, "signal_sd": SIGNAL, "y_range": None, "step": None, "times": False}
    world = planted(max(ratings // EACH, 100), min(ITEMS, ratings // 100), n_ratings=n, **true, rng=0).ratings
    held = np.zeros(n, bool)
    held[np.random.default_rng(1).choice(n, n - ratings, replace=False)] = True
    for name, rows in (("train", np.flatnonzero(~held)), ("held", np.flatnonzero(held))):
        write(world, rows, folder / name, max(4, -(-ratings // PART)) if name == "train" else 2)
    return {"seconds": time.perf_counter() - began, "users": world.n_users, "items": world.n_items, "noise": NOISE}


def make_ml(folder: Path) -> dict[str, Any]:
    """Parts of ML-1M: nine tenths, and one held out."""
    parts = split.random(datasets.load("ml-1m"), test=0.1, rng=0)
    for name, part in (("train", parts.train), ("held", parts.test)):
        assert part is not None
        write(part, np.arange(len(part)), folder / name, 4)
    return {}


def write(world: Ratings, rows: np.ndarray, folder: Path, n: int) -> None:
    folder.mkdir(parents=True)
    users, items = (np.array(ids.values) for ids in (world.user_ids, world.item_ids))
    for k, at in enumerate(np.array_split(rows, n)):
        columns = {"user": users[world.users[at]], "item": items[world.items[at]], "rating": world.explicit()[at]}
        pl.DataFrame(columns).write_parquet(folder / f"part-{k:05}.parquet")


def whole(folder: Path, like: Ratings | None = None) -> Ratings:
    """The parts of a folder, one after another."""
    frame = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    return Ratings.from_frame(frame, like=like)


def alone(folder: Path, **settings: Any) -> dict[str, Any]:
    """A fit in this process; its own memory while fitting, above what it took before without the ratings."""
    als(planted(300, 200, n_ratings=5000, times=False, rng=0).ratings, n_epochs=1)  # compiled
    empty = own()
    began = time.perf_counter()
    train = whole(folder / "train")
    read = time.perf_counter() - began
    forget_peak()
    passes = Passes()
    scorer = als(train, rng=0, progress=passes, **settings)
    found = {**passes.found(), "read": read, "memory": status("VmHWM") - empty, "bits": bits(scorer)}
    return {**found, "rmse": error(scorer, whole(folder / "held", like=train))}


def fit(
    folder: Path, workers: int, shards: int, store: int, save: str | None = None, **settings: Any
) -> dict[str, Any]:
    """A fit by shards; saved without ratings where ``save`` says so."""
    passes, began = Passes(), time.perf_counter()
    options = {"address": f"local:{workers}", "shards": shards, "memory": store}
    fitted = cluster.fit("als", folder / "train", rng=0, progress=passes, **options, **settings)
    before = passes.first - began - passes.values[0]["seconds"]
    found = {**passes.found(), "before": before, "bits": bits(fitted.scorer), "n_ratings": fitted.n_ratings}
    nothing = np.empty(0, np.int32)
    ids = Ratings(nothing, nothing, nothing.astype(np.float32), None, fitted.user_ids, fitted.item_ids)
    if save is not None:
        storage.save(save, fitted.scorer, ids)
        return {**found, "rmse": math.nan}
    return {**found, "rmse": error(fitted.scorer, whole(folder / "held", like=ids))}


def evaluate(folder: Path, workers: int, shards: int, store: int, model: str) -> dict[str, Any]:
    """Errors on the held-out parts, by ranges of users."""
    began = time.perf_counter()
    options = {"address": f"local:{workers}", "shards": shards, "memory": store}
    report = cluster.evaluate(model, folder / "held", n_resamples=0, **options)
    return {"rmse": report.values["rmse"], "seconds": time.perf_counter() - began}


def lists(folder: Path, workers: int, shards: int, store: int, model: str, n: int) -> dict[str, Any]:
    """Everybody's lists."""
    began = time.perf_counter()
    options = {"address": f"local:{workers}", "shards": shards, "memory": store}
    found = cluster.recommend_all(model, folder / "lists", parts=folder / "train", n=n, **options)
    return {"users": found.users, "rows": found.rows, "seconds": time.perf_counter() - began}


def tuned(folder: Path, ridges: list[list[float]], **settings: Any) -> dict[str, Any]:
    """A fit in this process, with the ridge (reg, reg_once) that is best on a tenth of train."""
    train = whole(folder / "train")
    parts = split.random(train, test=0.1, rng=0)
    errors = {}
    for reg, once in ridges:
        assert parts.train is not None and parts.test is not None
        errors[reg, once] = error(als(parts.train, rng=0, reg=reg, reg_once=once, **settings), parts.test)
    reg, once = min(errors, key=errors.__getitem__)
    del parts
    passes = Passes()
    scorer = als(train, rng=0, progress=passes, reg=reg, reg_once=once, **settings)
    return {**passes.found(), "reg": f"{reg:g}, {once:g}", "rmse": error(scorer, whole(folder / "held", like=train))}


class Passes:
    """What a fit tells of its passes."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self.cpu: list[float] = []
        self.first = 0.0

    def __call__(self, step: Step) -> None:
        self.first = self.first or time.perf_counter()
        self.values.append(dict(step.values))
        self.cpu.append(time.process_time())

    def found(self) -> dict[str, Any]:
        """Median seconds of a pass but the first, and of this process's processor; bytes moved."""
        later = self.values[1:] or self.values
        cpu = np.diff(self.cpu).tolist() or [0.0]
        return {
            "pass": median(v["seconds"] for v in later),
            "cpu": median(cpu),
            "bytes": later[0].get("bytes", 0),
            "train": self.values[-1]["train"],
        }


def error(scorer: Factors, held: Ratings) -> float:
    """RMSE on held-out ratings."""
    return float(np.sqrt(np.mean((scorer.score(held.users, held.items) - held.explicit()) ** 2, dtype=np.float64)))


def bits(scorer: Factors) -> str:
    return hashlib.sha256(b"".join(getattr(scorer, name).tobytes() for name in ARRAYS)).hexdigest()[:16]


def own() -> int:
    """Bytes this process holds."""
    forget_peak()
    return status("RssAnon")


def forget_peak() -> None:
    """Give free memory back; the peak begins here (proc(5), clear_refs)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def status(field: str) -> int:
    """A line of this process's status, in bytes."""
    return 1024 * int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0])


STEPS = {
    "make": make,
    "make_ml": make_ml,
    "alone": alone,
    "fit": fit,
    "tuned": tuned,
    "evaluate": evaluate,
    "lists": lists,
}

if __name__ == "__main__":
    given = json.loads(sys.argv[3])
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]), **given)), flush=True)
    os._exit(0)  # Ray is left already; what its threads still do is nobody's
