"""Spark's ALS beside ours: seconds a sweep, error, peak memory; each one's ridge chosen on a tenth of train."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..peers.envs import python_of
from .watching import run

ADAPTER = Path(__file__).parent.parent / "peers" / "spark_als.py"
REGS = (0.02, 0.05, 0.1, 0.2)  # Spark's: times a row's number of ratings
OURS = ((0.02, 5.0), (0.045, 5.0), (0.09, 5.0), (0.045, 20.0))  # reg, reg_once
EPOCHS = 10
HEAD = "| | s a sweep | RMSE | own memory, MB | ridge |\n" + "|---" * 5 + "|"


def piece(root: Path, a: argparse.Namespace) -> str:
    """Both data sets."""
    from . import step, world

    ml = root / "ml-1m"
    step("make_ml", ml)
    planted, about = world(root, a.ratings)
    title = f"{a.ratings:,} planted ratings of {about['users']:,} users and {about['items']:,} items"
    found = [(f"ML-1M, random 90/10 (split rng 0): {a.n_factors} factors", table(ml, a.n_factors, (1.0, 5.0)))]
    found.append((title, table(planted, a.n_factors, None)))
    return "\n".join(f"### Ours beside Spark's ALS (2 threads, local[2]): {name}\n\n{text}" for name, text in found)


def table(folder: Path, n_factors: int, scale: tuple[float, float] | None) -> str:
    """One data set."""
    from . import step

    ours = step("tuned", folder, threads=2, n_factors=n_factors, n_epochs=EPOCHS, ridges=OURS)
    settings = {"n_factors": n_factors, "n_epochs": EPOCHS, "regs": REGS, "memory": "8g", "scale": scale}
    theirs = run([python_of("spark"), str(ADAPTER), str(folder), json.dumps(settings)], threads=2)
    print(theirs, flush=True)
    lines = [HEAD, line("dotbias als", ours, "driver"), line("Spark ALS", theirs, "java")]
    ratio = theirs["pass"] / ours["pass"]
    return "\n".join(lines) + f"\n\n{ratio:.1f} times faster a sweep.\n"


def line(name: str, found: dict[str, Any], process: str) -> str:
    memory = found["peaks"][process] / 1e6
    return f"| {name} | {found['pass']:.2f} | {found['rmse']:.4f} | {memory:,.0f} | {found['reg']} |"
