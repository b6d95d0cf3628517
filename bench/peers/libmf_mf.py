"""LIBMF: parallel SGD in C++, on ratings less their mean (it has no biases of its own)."""

import numpy as np
from _protocol import report, split
from libmf import mf

s, settings = split()
rng, threads = settings.pop("rng"), settings.pop("threads")
mean = float(s.train_values.mean())
options = {
    "fun": 0,
    "k": 64,
    "nr_threads": threads,
    "nr_iters": 20,
    "lambda_p1": 0.0,
    "lambda_q1": 0.0,
    "lambda_p2": 0.05,
    "lambda_q2": 0.05,
    "eta": 0.1,
    "quiet": True,
}
train = np.ascontiguousarray(np.c_[s.train_users, s.train_items, s.train_values - mean].astype(np.float32))


def fit():
    engine = mf.MF(**{**options, **settings})
    engine.fit(train)
    return engine


def predict(engine):
    """Read from its factors: the ``predict`` of this binding (0.9.2) gives other numbers than its model."""
    model = engine.model
    P = np.ctypeslib.as_array(model.P, (model.m * model.k,)).reshape(model.m, model.k)
    Q = np.ctypeslib.as_array(model.Q, (model.n * model.k,)).reshape(model.n, model.k)
    users, items = s.test_users, s.test_items
    known = (users < model.m) & (items < model.n)
    guess = model.b + np.einsum("bk,bk->b", P[np.where(known, users, 0)], Q[np.where(known, items, 0)])
    return mean + np.where(known & np.isfinite(guess), guess, 0)


report(fit, predict, s)
