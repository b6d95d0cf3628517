"""A state put away and back: every field, whatever it is. (Files of 0.1.0 are refused: test_models_0_1.)"""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from gibbs_worlds import started, tiny_problem

from dotbias.solvers.gibbs import checkpoint as checkpoints
from dotbias.solvers.gibbs.noise import Halves
from dotbias.solvers.gibbs.run import GibbsState


def state(*, full):
    """A state with every field set, or as it is at the beginning."""
    s = GibbsState(chain=started(tiny_problem(), rng=int(full)), halves=Halves.begin(4, 35), stride=1)
    if not full:
        return s
    rng = np.random.default_rng(0)
    s.halves.add(rng.normal(size=4))
    s.phase, s.precision, s.done, s.burn, s.finished = "settle", 1.5, 7, 10, True
    s.precisions, s.errors, s.noise, s.star_noise = [1.0, 1.2], [0.9], 0.4, 0.3
    s.moves, s.watched, s.cutpoints = rng.normal(size=3), rng.normal(size=6), [rng.normal(size=5)]
    s.widths, s.carry, s.kinds = rng.normal(size=6), 0.75, [["new", 0.5]]
    s.batches, s.trace = [rng.normal(size=4)], [rng.normal(size=9) for _ in range(3)]
    s.samples = [{"mean": np.float32(rng.normal()) * np.ones(()), "users": rng.normal(size=(6, 5))} for _ in range(2)]
    return s


def flat(value):
    """The state as nested lists and bytes, to compare."""
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: flat(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {k: flat(v) for k, v in value.items()}
    if isinstance(value, list):
        return [flat(v) for v in value]
    return (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, (np.ndarray, np.generic)) else value


@pytest.mark.parametrize("full", [True, False])
def test_every_field_comes_back(tmp_path, full):
    saved, loaded = state(full=full), state(full=not full)
    checkpoints.save(tmp_path / "file", {"key": 1}, SimpleNamespace(state=saved))
    checkpoints.load(tmp_path / "file", {"key": 1}, SimpleNamespace(state=loaded))
    assert flat(loaded) == flat(saved)
    changed = {
        f.name for f in fields(GibbsState) if flat(getattr(saved, f.name)) != flat(getattr(state(full=False), f.name))
    }
    assert changed == ({f.name for f in fields(GibbsState)} - {"stride"} if full else set())
