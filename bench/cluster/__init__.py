"""Fits on a cluster beside one process: ``python -m bench cluster`` (writes RESULTS.md, and what ``plan`` knows).

    python -m bench cluster --only constants     what a rating, a row, a byte and a task cost (about 5 minutes)
    python -m bench cluster --only bits          1, 2 and 4 workers, 8 and 32 shards, 1 and 2 threads: the same bits?
    python -m bench cluster --only speed         a sweep on workers beside a sweep in one process
    python -m bench cluster --only spark         Spark's ALS beside ours, on ML-1M and the planted world
    python -m bench cluster --only large         300 M ratings: fitted, evaluated, everybody's lists, beside the plan

Planted ratings lie in Parquet parts; each step is a process of its own, whose processes' memory is read from /proc
(``watching``). Workers have one thread each. A sweep's seconds are the median of all but the first. The constants and
the runs go to src/dotbias/cluster/constants.json, which ``dotbias plan`` reads; without --only come constants, bits and
speed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..accuracy import machine, replace
from . import large, spark
from .watching import run

CONSTANTS = Path("src/dotbias/cluster/constants.json")
HERE = "bench.cluster"
PIECES = ("constants", "bits", "speed", "spark", "large")
HEAD = (
    "| | s a sweep | MB moved a sweep | driver, MB | largest worker, MB | object store, MB | RMSE | bits |\n"
    + "|---" * 8
)
STORE = 2 << 30  # bytes of the object store, at least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PIECES, action="append", help="repeatable; by default the first three")
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--n-factors", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="for the worlds; by default a temporary one")
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--constants", type=Path, default=CONSTANTS)
    a = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="dotbias-cluster-", dir=a.folder))
    try:
        for piece in a.only or PIECES[:3]:
            text = MAKERS[piece](root, a)
            print(text, flush=True)
            if text:
                marks = (
                    f"<!-- cluster-{piece}: written by python -m bench cluster -->\n",
                    f"<!-- /cluster-{piece} -->\n",
                )
                replace(a.write, f"{text}\n{machine()}", *marks)
    finally:
        shutil.rmtree(root)


def step(name: str, folder: Path, *, threads: int = 1, **given: Any) -> dict[str, Any]:
    """A step of ``processes``, in a process of its own."""
    command = [sys.executable, "-m", f"{HERE}.processes", name, str(folder), json.dumps(given)]
    found = run(command, threads=threads)
    print(f"{name} {given}: {found}", file=sys.stderr, flush=True)
    return found


def world(root: Path, ratings: int) -> tuple[Path, dict[str, Any]]:
    """The planted parts, made where they are not there yet, and what is known of them."""
    folder = root / f"planted-{ratings}"
    told = folder / "world.json"
    if not told.exists():
        about = step("make", folder, ratings=ratings)
        told.write_text(json.dumps(about))
    return folder, json.loads(told.read_text())


def store_of(ratings: int) -> int:
    """Room for the ratings while they are dealt out, and as shards."""
    return max(STORE, 60 * ratings)


# The pieces ------------------------------------------------------------------------------------------------------


def constants(root: Path, a: argparse.Namespace) -> str:
    """What ``plan`` computes with."""
    found = run([sys.executable, "-m", f"{HERE}.constants"])
    keep(a.constants, machine=machine().strip(), **{name: found[name] for name in ("solve", "stages", "ray")})
    solve = found["solve"]
    k = solve["factors"].index(64) if 64 in solve["factors"] else -1
    lines = [
        "### What a fit by shards costs: one thread, 64 factors\n",
        "| ratings of a row | " + " | ".join(f"{n:,}" for n in solve["ratings"]) + " |",
        "|---" * (len(solve["ratings"]) + 1) + "|",
    ]
    for size, seconds in zip(solve["other"], solve["seconds"], strict=True):
        cells = " | ".join(f"{1e6 * s:.2f}" for s in seconds[k])
        lines.append(f"| µs a row, other side {size / 1e6:,.0f} MB | {cells} |")
    stages = [f"{name} {1e6 * s['seconds']:.3f} µs, {s['bytes']:.0f} bytes" for name, s in found["stages"].items()]
    ray = found["ray"]
    lines.append(f"\nA rating (or an id) in each stage: {'; '.join(stages)}.\n")
    lines.append(
        f"Ray: put {1e9 * ray['put']:.2f} ns a byte, back {1e9 * ray['back']:.2f} ns a byte, "
        f"a task {1e3 * ray['task']:.1f} ms; "
        f"a driver holds {ray['driver'] / 1e6:.0f} MB, an idle worker {ray['worker'] / 1e6:.0f} MB."
    )
    return "\n".join(lines) + "\n"


def bits(root: Path, a: argparse.Namespace) -> str:
    """The same bits, whatever does the work?"""
    folder, _ = world(root, a.ratings)
    how = {"n_factors": a.n_factors, "n_epochs": min(a.epochs, 2)}
    found = {f"one process, {t} thread{'s' * (t > 1)}": step("alone", folder, threads=t, **how) for t in (1, 2)}
    for workers in (1, 2, 4):
        for shards in (8, 32):
            given = {"workers": workers, "shards": shards, "store": store_of(a.ratings)}
            found[f"{workers} workers, {shards} shards"] = step("fit", folder, **given, **how)
    same = len({f["bits"] for f in found.values()}) == 1
    lines = [f"### als by shards on {a.ratings:,} planted ratings: bits {'all the same' if same else 'DIFFER'}\n"]
    return (
        "\n".join([*lines, "| | SHA-256 |", "|---|---|", *(f"| {k} | {f['bits']} |" for k, f in found.items())]) + "\n"
    )


def speed(root: Path, a: argparse.Namespace) -> str:
    """A sweep on workers beside one in this process, and each process's memory."""
    folder, about = world(root, a.ratings)
    how = {"n_factors": a.n_factors, "n_epochs": a.epochs}
    rows, runs = [], []
    for t in (1, 2):
        found = step("alone", folder, threads=t, **how)
        rows.append(row(f"one process, {t} thread{'s' * (t > 1)}", found, alone=True))
    for workers in (1, 2):
        given = {"workers": workers, "shards": a.shards, "store": store_of(a.ratings)}
        found = step("fit", folder, **given, **how)
        rows.append(row(f"{workers} worker{'s' * (workers > 1)}, {a.shards} shards", found))
        parts = len(list((folder / "train").glob("*.parquet")))
        runs.append(
            {
                "given": {
                    "ratings": a.ratings,
                    "users": about["users"],
                    "items": about["items"],
                    "n_factors": a.n_factors,
                    "workers": workers,
                    "shards": a.shards,
                    "parts": parts,
                },
                "found": {**{k: found[k] for k in ("pass", "before", "bytes")}, **found["peaks"]},
            }
        )
    keep(a.constants, runs=runs)
    title = f"### als by shards: {a.ratings:,} planted ratings of {about['users']:,} users and {about['items']:,} items"
    return "\n".join([f"{title}, {a.n_factors} factors\n", HEAD, *rows]) + "\n"


def row(name: str, found: dict[str, Any], *, alone: bool = False) -> str:
    """A line of the table."""
    peaks = found["peaks"]
    sizes = found.get("memory", 0) if alone else peaks["driver"], peaks.get("worker"), peaks.get("store")
    cells = ["" if size is None else f"{size / 1e6:,.0f}" for size in (found["bytes"] or None, *sizes)]
    return f"| {name} | {found['pass']:.2f} | {' | '.join(cells)} | {found['rmse']:.4f} | {found['bits'][:8]} |"


def keep(path: Path, **found: Any) -> None:
    """Put constants into their file, beside those that are there."""
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(rounded({**old, **found}), indent=1) + "\n")


def rounded(value: Any) -> Any:
    """Numbers of four digits, within lists and dicts."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


MAKERS = {"constants": constants, "bits": bits, "speed": speed, "spark": spark.piece, "large": large.piece}

if __name__ == "__main__":
    main()
    os._exit(0)
