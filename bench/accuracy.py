"""Ours and the peers in one table, by the library's ``compare``: ``python -m bench accuracy`` (writes RESULTS.md).

Root mean squared errors as served (the time of a held-out rating unknown, or now where all came later), and the paired
difference to the default, ``auto``, with its 95 % interval over users; ours as shipped, rng 0, the peers' settings as
``bench peers`` has them. A peer joins as one function of train (``peers.joined``). What ``--data`` names is measured
and kept under ``.bench/``, and the table is written of all that is kept there. Ranges over rngs and seeds are
``bench served``'s to measure, seconds and memory ``bench peers``'s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from dotbias import Split, datasets, split
from dotbias.experiments import compare
from dotbias.ratings import Ratings
from dotbias.solvers import choice, gibbs

KEPT = Path(__file__).parent.parent / ".bench" / "accuracy"
START, END = "<!-- accuracy: written by python -m bench accuracy -->\n", "<!-- /accuracy -->\n"
DEFAULT = "**auto, the default**"
OURS: dict[str, Any] = {
    DEFAULT: "auto",
    "gibbs, everything": "gibbs",
    "gibbs, ids": gibbs,
    **{name: name for name in ("knn", "als", "sgd", "dot_bias", "net", "dot", "bias", "mean")},
}
DATA: dict[str, tuple[str, Callable[[], Split | Iterable[Split]]]] = {
    "lesson": ("the lesson's split", lambda: split.lesson(datasets.load("ml-latest-small-2016"))),
    "ml-100k": ("ML-100K, u1 to u5", lambda: [datasets.split_of("ml-100k", f"u{k}") for k in range(1, 6)]),
    "ml-100k-time": ("ML-100K, latest fifth", lambda: split.by_time(datasets.load("ml-100k"))),
    "ml-1m": ("ML-1M, random 90/10", lambda: split.random(datasets.load("ml-1m"), test=0.1, rng=0)),
}
NOT_AT_A_MILLION = ("Surprise SVD++", "fastai collab_learner")  # hours, as in bench peers


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=list(DATA))
    parser.add_argument("--threads", type=int, default=2, help="of a peer that has several")
    a = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    for data in a.data:
        result = compare(
            OURS | peers(data, a.threads), DATA[data][1](), reference=DEFAULT, metrics=("rmse",), progress=said
        )
        (KEPT / f"{data}.json").write_text(json.dumps(result.to_dict()))
        print(result, flush=True)
    kept = {data: json.loads(path.read_text()) for data in DATA if (path := KEPT / f"{data}.json").exists()}
    replace(a.write, f"{table(kept)}\n\n{machine()}", START, END)


def said(text: str) -> None:
    print(text, flush=True)


def peers(data: str, threads: int) -> dict[str, Any]:
    """The rows of ``bench peers`` that are not ours."""
    from .peers import ROWS
    from .peers.joined import joined

    theirs = [row for row in ROWS if row.env != "ours" and not (data == "ml-1m" and row.name in NOT_AT_A_MILLION)]
    return {row.name: joined(row, threads) for row in theirs}


def table(kept: dict[str, dict[str, Any]]) -> str:
    """A row for each fitter, a column for each data set; in the order of the first."""
    found = {data: {row["name"]: row for row in result["rows"]} for data, result in kept.items()}
    names = list(dict.fromkeys(name for rows in found.values() for name in rows))
    best = {data: min(rows, key=lambda name: rows[name]["rmse"]) for data, rows in found.items()}
    lines = ["### Ours and the peers: RMSE as served, and its paired difference to the default\n"]
    lines += [f"| | {' | '.join(DATA[data][0] for data in found)} |", "|---" * (len(found) + 1) + "|"]
    for name in names:
        cells = [cell(rows[name], bold=best[data] == name) if name in rows else "" for data, rows in found.items()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(row: dict[str, Any], *, bold: bool) -> str:
    """``0.8657 +0.048 (+0.044 to +0.053)``; the best of a column is bold."""
    error = f"**{row['rmse']:.4f}**" if bold else f"{row['rmse']:.4f}"
    if "rmse_difference" not in row:
        return error
    gap, low, high = row["rmse_difference"]
    return f"{error} {gap:+.4f} ({low:+.4f} to {high:+.4f})"


def everything(train: Ratings, *, rng: int, **settings):
    """Gibbs with all that is at hand, whether or not ``auto`` would afford it."""
    return gibbs(train, rng=rng, **{**choice.everything(train), **settings})


def ours() -> dict[str, Callable]:
    """Our fits by the names that ``bench peers`` has for them."""
    from dotbias.fitters import find

    names = ("bias", "dot_bias", "knn", "sgd", "als")
    kinds = {"gibbs, ids": gibbs, "gibbs, everything": everything}
    return {n: find(n).fit for n in names} | kinds | {"gibbs, everything, ordinal": partial(everything, ordinal=True)}


def machine() -> str:
    """Where and with what the figures were made."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("dotbias", "numpy", "torch", "numba"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}.\n"


def replace(path: Path, text: str, start: str, end: str) -> None:
    """Put ``text`` between the marks of a file, which may hold other sections."""
    old = path.read_text() if path.exists() else "# Results\n\nWritten by the scripts in bench/.\n"
    if start not in old:
        old += f"\n{start}{end}"
    before, rest = old.split(start)
    path.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
