"""Gibbs' weights have the bits they had: fits of every kind, on worlds of known truth."""

import json
import os
from dataclasses import replace
from functools import partial

import bits
import numpy as np
import pytest

from dotbias.datasets import planted
from dotbias.solvers.gibbs import gibbs

WORLD = planted(60, 40, n_ratings=900, n_factors=2, noise=0.4, rng=3).ratings
STARS = replace(WORLD, values=WORLD.values.round())
HELD_OUT = np.arange(len(WORLD)) % 10 == 0
TRAIN, VALID = WORLD.take(~HELD_OUT), WORLD.take(HELD_OUT)
EVERYTHING = {"histories": True, "sessions": True, "item_features": ["genres", "year"]}
SHORT = {  # few sweeps: the last bit of a float has no time to grow
    "ids": partial(gibbs, WORLD, n_sweeps=4, noise="sampled"),
    "given": partial(gibbs, WORLD, n_sweeps=4, noise=0.4, n_factors=11),
    "everything": partial(gibbs, WORLD, n_sweeps=4, noise=0.4, **EVERYTHING),
    "users": partial(gibbs, WORLD, n_sweeps=4, noise=0.4, histories="user"),
    "ordinal": partial(gibbs, STARS, n_sweeps=4, noise=0.5, ordinal=True, histories=True),
    "chains": partial(gibbs, WORLD, n_sweeps=4, noise=0.4, chains=2),
}
LONG = {  # hundreds of sweeps: compared only where they were recorded
    "auto": partial(gibbs, STARS, n_sweeps=20, keep=5),
    "auto_ordinal": partial(gibbs, STARS, n_sweeps=20, keep=5, ordinal=True, **EVERYTHING),
    "on_valid": partial(gibbs, TRAIN, n_sweeps=20, keep=5, valid=VALID, noise="valid"),
    "open_end": partial(gibbs, WORLD, n_factors=2, noise=0.4, keep=10),
}


def arrays(fitted):
    """Everything that a fit has found; not what is computed from it, such as compressed factors."""
    traced = [name != "error on valid" for name in fitted.trace.names]  # this column came later
    found = {"noise": np.array([fitted.noise, fitted.star_noise]), "trace": fitted.trace.values[:, :, traced]}
    return {k: a for k, a in fitted.state().arrays.items() if not k.startswith("compressed.")} | found


def fit(name, **options):
    given = {"n_factors": 3, "rng": 5, **(SHORT | LONG)[name].keywords, **options}
    return arrays(gibbs(*(SHORT | LONG)[name].args, **given))


@pytest.mark.parametrize("name", SHORT)
def test_short_fits(name):
    bits.check(f"gibbs_{name}", fit(name))


@pytest.mark.parametrize("name", LONG)
def test_long_fits(name):
    path = bits.FOLDER / f"gibbs_{name}.json"
    recording = os.environ.get("DOTBIAS_RECORD_BITS")
    if not recording and bits.machine() not in json.loads(path.read_text())["hashes"]:
        pytest.skip("hundreds of sweeps enlarge a difference in the last bit; nothing is recorded for this machine")
    bits.check(f"gibbs_{name}", fit(name))


class Stop(Exception):
    pass


def test_stopped_and_resumed(tmp_path):
    """In the search and while drawing: the bits of the unbroken fit."""
    file = tmp_path / "fit.safetensors"

    def stop_at(n):
        def progress(step):
            if step.number == n:
                raise Stop

        return progress

    for n in (75, 240):
        with pytest.raises(Stop):
            fit("auto", checkpoint=file, checkpoint_every=7, progress=stop_at(n))
    found = fit("auto", checkpoint=file, checkpoint_every=7)
    whole = fit("auto")
    assert {k: a.tobytes() for k, a in found.items()} == {k: a.tobytes() for k, a in whole.items()}
