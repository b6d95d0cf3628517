"""SGD on a planted world of Netflix's shape: does it reach what can be known, in the memory and time it should?

    python -m bench scale                     100 M ratings of 480,189 users and 17,770 items, beside 10 M of the same
    python -m bench scale --ratings 10000000  one size only

16 true factors, signal sd 0.6, noise sd 0.7, ratings neither rounded nor clipped. Everything runs in processes of its
own: one makes a world and saves its columns; one fits it in memory; one fits it with the columns memory-mapped and
its anonymous memory *held* (RLIMIT_DATA) to a quarter of their size above the warmed interpreter. Anonymous memory is
RssAnon of /proc/self/status, sampled every 5 ms.

The *ridge optimum* is what no user side can beat on average: the true items are given, and each user's bias and
factors are their posterior mean, a ridge of noise variance over prior variance. SGD is given the same ridge, and has
to find the items, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl

from dotbias.datasets import planted
from dotbias.progress import Step
from dotbias.ratings import Ids, Ratings
from dotbias.solvers import _als_kernels as kernels
from dotbias.solvers._columns import frozen
from dotbias.solvers._passes import rmse
from dotbias.solvers._units import Units
from dotbias.solvers.als import by_row
from dotbias.solvers.sgd import sgd

from .accuracy import machine, replace

START, END = "<!-- scale: written by python -m bench scale -->\n", "<!-- /scale -->\n"
USERS, ITEMS, FACTORS, SIGNAL, NOISE, BIAS_SHARE = 480_189, 17_770, 16, 0.6, 0.7, 0.5
HELD = 0.01  # of the ratings, held out
BIAS_VARIANCE = SIGNAL**2 * BIAS_SHARE / 2
FACTOR_VARIANCE = np.sqrt(SIGNAL**2 * (1 - BIAS_SHARE) / FACTORS)
RIDGE = {"reg_once": float(NOISE**2 / FACTOR_VARIANCE), "reg_bias_once": NOISE**2 / BIAS_VARIANCE}
SPREAD = float(np.hypot(SIGNAL, NOISE))  # of the ratings: the solver's unit, in which a factor's ridge is less
IN_UNITS = {**RIDGE, "reg_once": RIDGE["reg_once"] / SPREAD}
SETTINGS = {"n_factors": FACTORS, "reg": 0.0, "reg_bias": 0.0, **IN_UNITS, "rng": 0}


# One process each ------------------------------------------------------------------------------------------------


def make(folder: Path, n: int) -> dict:
    """Make a world of n training ratings, and save columns, held-out columns and the true item side."""
    began, n_held = time.perf_counter(), int(HELD * n)
    true = {"n_factors": FACTORS, "noise": NOISE, "signal_sd": SIGNAL, "bias_share": BIAS_SHARE}
    plain = {"y_range": None, "step": None, "times": False}
    world = planted(USERS, ITEMS, n_ratings=n + n_held, **true, **plain, rng=0)
    held = np.zeros(n + n_held, bool)
    held[np.random.default_rng(1).choice(n + n_held, n_held, replace=False)] = True
    for name in ("users", "items", "values"):
        column = getattr(world.ratings, name)
        np.save(folder / f"{name}.npy", column[~held])
        np.save(folder / f"held_{name}.npy", column[held])
    np.savez(folder / "truth.npz", mean=world.mean, items=world.items, item_bias=world.item_bias)
    return {"seconds": time.perf_counter() - began}


def fit(folder: Path, n: int, epochs: int, lr: float, *, disk: bool) -> dict:
    """Fit, and say what it took."""
    warm_up()
    memory = Memory()
    columns_size = 12 * n
    if disk:
        hold(columns_size // 4)
    ratings = load(folder, "", disk)
    passes: list[Step] = []
    stamps: list[float] = []

    def tell(p: Step) -> None:
        passes.append(p)
        stamps.append(time.process_time())

    began = time.perf_counter()
    with memory:
        factors = sgd(ratings, n_epochs=epochs, lr=lr, progress=tell, **SETTINGS)
    seconds = time.perf_counter() - began
    digest = hashlib.sha256(b"".join(a.tobytes() for a in (factors.users, factors.items, factors.user_bias)))
    return {
        "rmse": rmse(factors, load(folder, "held_", False)),
        "seconds": seconds,
        "pass": float(np.median([p.values["seconds"] for p in passes])),
        "pass, CPU": float(np.median(np.diff(stamps))),
        "memory": memory.peak / columns_size,
        "sha256": digest.hexdigest()[:16],
    }


def optimum(folder: Path) -> dict:
    """RMSE of the ridge optimum given the true items, on the held-out ratings."""
    train, held = load(folder, "", False), load(folder, "held_", False)
    with np.load(folder / "truth.npz") as truth:
        mean, items, item_bias = float(truth["mean"]), truth["items"], truth["item_bias"]
    Q = np.zeros((ITEMS, -(-(FACTORS + 2) // kernels.LANES) * kernels.LANES), np.float32)
    Q[:, 0], Q[:, 1 : 1 + FACTORS] = 1, items
    columns = frozen(train.users), frozen(train.items), frozen(train.explicit())
    by_user = by_row(columns[0], columns[1], columns[2], Units(mean, 1.0), USERS, FACTORS)
    users, bias, squares = (np.empty(s, d) for s, d in (((USERS, Q.shape[1]), "f4"), (USERS, "f4"), (USERS, "f8")))
    penalty = np.r_[RIDGE["reg_bias_once"], np.full(FACTORS, RIDGE["reg_once"])]
    given = Q, item_bias, penalty, np.zeros_like(penalty)
    kernels.half_step(by_user.cuts, by_user.starts, by_user.others, by_user.values, *given, users, bias, squares)
    score = mean + bias[held.users] + item_bias[held.items]
    score = score + np.einsum("bk,bk->b", users[held.users, 1 : 1 + FACTORS], items[held.items])
    return {"rmse": float(np.sqrt(np.mean((score - held.explicit()) ** 2, dtype=np.float64)))}


def load(folder: Path, prefix: str, disk: bool) -> Ratings:
    """The saved columns, in memory or memory-mapped."""
    mode = "r" if disk else None
    columns = [np.load(folder / f"{prefix}{name}.npy", mmap_mode=mode) for name in ("users", "items", "values")]
    ids = [Ids(pl.Series(np.arange(k))) for k in (USERS, ITEMS)]
    return Ratings(*columns, None, *ids)


def warm_up() -> None:
    """Everything imported, compiled and threaded, on a small world."""
    sgd(planted(2000, 300, n_ratings=100_000, times=False, rng=0).ratings, n_epochs=2, **SETTINGS)


class Memory:
    """The peak of this process's anonymous memory while within, above what it was at first, in bytes."""

    def __init__(self) -> None:
        self.before, self.peak, self.done = status("RssAnon"), 0, threading.Event()

    def __enter__(self) -> Memory:
        self.watch = threading.Thread(target=self._look)
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.watch.join()

    def _look(self) -> None:
        while not self.done.wait(0.005):
            self.peak = max(self.peak, status("RssAnon") - self.before)


def status(field: str) -> int:
    """A number of /proc/self/status, in bytes."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split(f"{field}:")[1].split()[0])


def hold(room: int) -> None:
    """Let this process's private writable memory grow by ``room`` bytes and no further."""
    limit = status("VmData") + room
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


# All of it -------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=100_000_000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--folder", type=Path, help="for the worlds, 1.2 GB; by default a temporary one")
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--step", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.step:
        print(json.dumps(step(a.step[0], Path(a.step[1]), a.ratings, a.epochs, a.lr)))
        return
    sizes = [a.ratings] if a.ratings <= 10_000_000 else [10_000_000, a.ratings]
    root = Path(tempfile.mkdtemp(prefix="dotbias-scale-", dir=a.folder))
    try:
        found = {n: measure(root, n, a.epochs, a.lr) for n in sizes}
    finally:
        shutil.rmtree(root)
    text = report(found)
    print(text)
    replace(a.write, f"{text}\n{machine()}", START, END)


def step(name: str, folder: Path, n: int, epochs: int, lr: float) -> dict:
    """What a process of its own does."""
    if name == "make":
        return make(folder, n)
    if name == "optimum":
        return optimum(folder)
    return fit(folder, n, epochs, lr, disk=name == "disk")


def measure(root: Path, n: int, epochs: int, lr: float) -> dict[str, dict]:
    """All steps of one size."""
    folder = root / str(n)
    folder.mkdir()
    found = {}
    for name in ("make", "memory", "optimum", *(["disk"] if 12 * n // 4 > 200e6 else [])):
        command = [sys.executable, "-m", "bench.scale", "--ratings", str(n), "--epochs", str(epochs), "--lr", str(lr)]
        done = subprocess.run([*command, "--step", name, str(folder)], stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(done.stdout)
        print(f"{n:,} {name}: {found[name]}", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return found


def report(found: dict[int, dict[str, dict]]) -> str:
    """Targets beside what was found."""
    n = max(found)
    here, fitted = found[n], found[n]["memory"]
    rows = [
        ("RMSE over the noise", fitted["rmse"] / NOISE, "≤ 1.05"),
        ("RMSE over the ridge optimum's", fitted["rmse"] / here["optimum"]["rmse"], "≤ 1.01"),
        ("peak anonymous memory, in columns' sizes", fitted["memory"], "≤ 3"),
    ]
    if len(found) > 1:
        small, times = found[min(found)]["memory"], n / min(found)
        ratio, share = (fitted[k] / small[k] / times for k in ("pass", "pass, CPU"))
        rows.append((f"seconds a pass, over {times:g} times those of {min(found):,} ratings", ratio, "≤ 1.15"))
        rows.append(("the same in CPU seconds, where others are at work", share, "≤ 1.15"))
    if "disk" in here:
        rows.append(("peak anonymous memory with columns on disk, held to a quarter", here["disk"]["memory"], "≤ 0.25"))
        rows.append(("the same bits on disk (1: yes)", float(here["disk"]["sha256"] == fitted["sha256"]), "1"))
    lines = [
        f"### SGD on a planted world of Netflix's shape: {USERS:,} users, {ITEMS:,} items, {n:,} ratings\n",
        f"{fitted['pass']:.2f} s a pass, {fitted['seconds']:.0f} s in all; RMSE {fitted['rmse']:.4f}.\n",
        "| what | found | asked |",
        "|---|---|---|",
        *(f"| {name} | {value:.3f} | {target} |" for name, value, target in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
