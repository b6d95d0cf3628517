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
    "lambda_p2": 0.05,
    "lambda_q2": 0.05,
    "eta": 0.1,
    "quiet": True,
}
train = np.ascontiguousarray(np.c_[s.train_users, s.train_items, s.train_values - mean].astype(np.float32))
test = np.ascontiguousarray(np.c_[s.test_users, s.test_items, np.zeros(len(s.test_users))].astype(np.float32))


def fit():
    engine = mf.MF(**{**options, **settings})
    engine.fit(train)
    return engine


def predict(engine):
    guess = mean + np.asarray(engine.predict(test))
    return np.where(np.isfinite(guess), guess, mean)


report(fit, predict, s)
