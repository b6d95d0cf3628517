"""A run put away and back: chain, the phases' memory, kept samples, trace. The file is ``dotbias.checkpoint``'s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import checkpoint
from ._gibbs_chain import Weights
from ._gibbs_noise import Halves
from ._gibbs_run import Run

WEIGHTS = tuple(Weights.__dataclass_fields__)


def save(path: Path, run: Run, about: dict[str, Any]) -> None:
    """Put a run away; ``about`` is the fit's description."""
    c, h, memory = run.chain, run.halves, dict(run.memory)
    arrays = {f"memory/{k}": np.asarray(memory.pop(k)) for k in ("batches", "stars", "edges", "cutpoints")}
    arrays |= {f"side{j}/{name}": getattr(w, name) for j, w in enumerate(c.sides) for name in WEIGHTS}
    arrays |= {"halves/sums": h.sums, "halves/squares": h.squares, "halves/count": h.count}
    arrays |= {"cutpoints": c.cutpoints, "steps": c.steps, "trace": np.array(run.trace)}
    arrays |= {f"sample/{name}": np.stack([s[name] for s in run.samples]) for name in (run.samples or [{}])[0]}
    log = {"memory": memory, "length": h.length, "precision": run.precision}
    log["chain"] = {name: getattr(c, name) for name in ("mean", "precision", "sweep", "n_factors")}
    checkpoint.save(path, arrays, about, log)


def load(path: Path, run: Run, about: dict[str, Any]) -> None:
    """Put a run back to where :func:`save` left it."""
    a, log = checkpoint.load(path, about)
    run.precision, c = log["precision"], run.chain
    for name, value in log["chain"].items():
        setattr(c, name, value)
    c.cutpoints, c.steps = a["cutpoints"], a["steps"]
    for j, w in enumerate(c.sides):
        for name, array in checkpoint.under(f"side{j}/", a).items():
            setattr(w, name, array)
    run.memory = log["memory"] | checkpoint.under("memory/", a)
    run.memory["batches"] = list(run.memory["batches"])
    halves = checkpoint.under("halves/", a)
    run.halves = Halves(len(halves["squares"]), log["length"])
    for name, array in halves.items():
        setattr(run.halves, name, array)
    run.trace = list(a["trace"])
    samples = checkpoint.under("sample/", a)
    n = len(next(iter(samples.values()))) if samples else 0
    run.samples = [{name: array[s] for name, array in samples.items()} for s in range(n)]
