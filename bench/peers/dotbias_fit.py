"""Ours, by the fitter's name, on the data that ``parts_of`` names."""

import sys
from pathlib import Path

from _protocol import report, split

sys.path.append(str(Path(__file__).parents[2]))
from bench.accuracy import ours
from bench.peers import parts_of

s, settings = split()
name, rng = settings["fitter"], settings["rng"]
fitter, parts = ours()[name], parts_of(settings["data"])
few, short = parts.train.take(range(300)), {"n_sweeps": 2} if "gibbs" in name else {"n_epochs": 1}
report(
    lambda: fitter(parts.train, rng=rng),
    lambda model: model.score(parts.test.users, parts.test.items, parts.test.times),
    s,
    warm_up=(lambda: fitter(few, rng=rng, **short)) if name not in ("mean", "bias", "knn") else None,
)
