"""A run on disk, to go on later to the same bits: one .npz without pickle, replaced atomically.

It holds the chain, the phases' memory, kept samples and trace, and a fingerprint of ratings and settings, so that a
run is only resumed as what it was.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ._gibbs_chain import Weights
from ._gibbs_noise import Halves
from ._gibbs_run import Run

WEIGHTS = tuple(Weights.__dataclass_fields__)


def save(path: Path, run: Run, fingerprint: str) -> None:
    """Write the run beside ``path``, then put it in its place."""
    c, h, memory = run.chain, run.halves, dict(run.memory)
    arrays = {f"memory.{k}": np.asarray(memory.pop(k)) for k in ("batches", "stars", "edges", "cutpoints")}
    arrays |= {f"side{j}.{name}": getattr(w, name) for j, w in enumerate(c.sides) for name in WEIGHTS}
    arrays |= {"halves.sums": h.sums, "halves.squares": h.squares, "halves.count": h.count}
    arrays |= {"cutpoints": c.cutpoints, "steps": c.steps, "trace": np.array(run.trace)}
    arrays |= {f"sample.{name}": np.stack([s[name] for s in run.samples]) for name in (run.samples or [{}])[0]}
    words = {"memory": memory, "fingerprint": fingerprint, "length": h.length, "precision": run.precision}
    words["chain"] = {name: getattr(c, name) for name in ("mean", "precision", "sweep", "n_factors")}
    words["key"] = run.key
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        np.savez(file, allow_pickle=False, words=np.array(json.dumps(words)), **arrays)
    beside.replace(path)


def load(path: Path, run: Run, fingerprint: str) -> None:
    """Put a run back to where :func:`save` left it.

    Raises:
        DataError: if the file is damaged, or of other ratings or settings.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            a = {name: archive[name] for name in archive.files}
        words: dict[str, Any] = json.loads(str(a.pop("words")))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"the checkpoint {path} cannot be read: {error}.", hint="delete it to start anew.") from error
    if words["fingerprint"] != fingerprint:
        raise DataError(f"the checkpoint {path} is of other ratings or settings.", hint="delete it to start anew.")
    run.key, run.precision, c = words["key"], words["precision"], run.chain
    for name, value in words["chain"].items():
        setattr(c, name, value)
    c.cutpoints, c.steps = a["cutpoints"], a["steps"]
    for j, w in enumerate(c.sides):
        for name in WEIGHTS:
            setattr(w, name, a[f"side{j}.{name}"])
    run.memory = {**words["memory"], **{k: a[f"memory.{k}"] for k in ("stars", "edges", "cutpoints")}}
    run.memory["batches"] = list(a["memory.batches"])
    run.halves = Halves(len(a["halves.squares"]), words["length"])
    run.halves.sums, run.halves.squares, run.halves.count = a["halves.sums"], a["halves.squares"], a["halves.count"]
    run.trace = list(a["trace"])
    names = [name for name in a if name.startswith("sample.")]
    count = len(a[names[0]]) if names else 0
    run.samples = [{name.removeprefix("sample."): a[name][s] for name in names} for s in range(count)]
