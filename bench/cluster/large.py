"""A world too large for one process of 3 GB, in Parquet parts: fitted, evaluated, listed; beside the plan."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from dotbias.cluster.plan import Machines, Size, plan

RATINGS, SHARDS, WORKERS, LISTED = 300_000_000, 64, 2, 10
LIMIT = 3e9  # bytes of a process


def piece(root: Path, a: argparse.Namespace) -> str:
    """Fit, evaluate, lists."""
    from . import step, store_of, world

    n = a.ratings if a.ratings != 10_000_000 else RATINGS
    folder, about = world(root, n)
    parts = len(list((folder / "train").glob("*.parquet")))
    given = {"workers": WORKERS, "shards": SHARDS, "store": store_of(n) // 4}
    how = {"n_factors": a.n_factors, "n_epochs": a.epochs}
    fitted = step("fit", folder, save=str(folder / "model"), **given, **how)
    used = {**given, "model": str(folder / "model")}
    evaluated = step("evaluate", folder, **used)
    listed = step("lists", folder, n=LISTED, **used)
    shutil.rmtree(folder / "model")
    size = Size(n, about["users"], about["items"], a.n_factors)
    said = plan(size, Machines(WORKERS, machines=1), shards=SHARDS, parts=parts, constants=a.constants)
    rows = [
        ("seconds a sweep", fitted["pass"], said.seconds),
        ("bytes moved a sweep", fitted["bytes"], said.moved),
        ("the driver, bytes", fitted["peaks"]["driver"], said.driver.total),
        ("the largest worker, bytes", fitted["peaks"]["worker"], said.worker.total),
    ]
    peaks = max(f["peaks"][k] for f in (fitted, evaluated, listed) for k in ("driver", "worker") if k in f["peaks"])
    lines = [
        f"### {n:,} planted ratings of {about['users']:,} users in {parts} parts: als by 2 workers\n",
        "| what | measured | planned | ratio |\n|---|---|---|---|",
        *(f"| {name} | {got:,.4g} | {planned:,.4g} | {got / planned:.2f} |" for name, got, planned in rows),
        f"\nNo process held more than {peaks / 1e9:.2f} GB of its own (asked: {LIMIT / 1e9:.0f}). RMSE on {HELD} "
        f"{evaluated['rmse']:.4f} (noise {about['noise']}), {evaluated['seconds']:.0f} s; {listed['users']:,} users' "
        f"{LISTED} best in {listed['seconds']:.0f} s; before the first sweep {fitted['before']:.0f} s.",
    ]
    return "\n".join(lines) + "\n"


HELD = "a hundredth, held out,"
