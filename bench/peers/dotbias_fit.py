"""Ours, by the fitter's name."""

import dataclasses
from importlib import import_module

import numpy as np
import polars as pl
from _protocol import report, split

from dotbias.ratings import Ids, Ratings

WHERE = {
    **dict.fromkeys(("mean", "bias", "knn"), "dotbias.baselines"),
    **dict.fromkeys(("dot_bias", "net"), "dotbias.learner"),
    "sgd": "dotbias.solvers.sgd",
    "als": "dotbias.solvers.als",
    "gibbs": "dotbias.solvers.gibbs",
}
s, settings = split()
name, rng, _ = settings.pop("fitter"), settings.pop("rng"), settings.pop("threads")
fitter = getattr(import_module(WHERE[name]), f"fit_{name}" if name in ("dot_bias", "net") else name)
ids = [Ids(pl.Series(np.arange(n, dtype=np.int64))) for n in (int(s.n_users), int(s.n_items))]
train = Ratings(
    s.train_users.astype(np.int32),
    s.train_items.astype(np.int32),
    s.train_values.astype(np.float32),
    None,
    *ids,
    y_range=(float(s.low), float(s.high)),
)
few = dataclasses.replace(train.take(np.arange(200)))
short = {"sgd": {"n_epochs": 1}, "als": {"n_sweeps": 1}, "gibbs": {"n_sweeps": 2}, "dot_bias": {"n_epochs": 1}}
report(
    lambda: fitter(train, rng=rng, **settings),
    lambda model: model.score(s.test_users, s.test_items),
    s,
    warm_up=(lambda: fitter(few, rng=rng, **{**settings, **short[name]})) if name in short else None,
)
