"""Worlds small enough for dense algebra, and chains on them with every parameter away from zero."""

import numpy as np
import polars as pl

from dotbias import features
from dotbias.ratings import Ids, Ratings
from dotbias.solvers.gibbs import chain
from dotbias.solvers.gibbs.problem import problem


def tiny(rng=0, *, n_users=6, n_items=5, n_days=3, n_ratings=24):
    """Ratings, and the row of each one's day."""
    rng = np.random.default_rng(rng)
    pairs = rng.choice(n_users * n_items, n_ratings, replace=False)
    users, items = (pairs // n_items).astype(np.int32), (pairs % n_items).astype(np.int32)
    days = rng.integers(0, n_days, n_ratings).astype(np.int32)
    y = rng.normal(size=n_ratings).astype(np.float32)
    table = pl.DataFrame({"genres": ["a|b", "b", "a|c", "c", "a"][:n_items]})
    return Ratings(users, items, y, days * 86_400, Ids(range(n_users)), Ids(range(n_items)), item_table=table), days


def tiny_problem(rng=0, **options):
    ratings, days = tiny(rng, **options)
    both = [features.histories(ratings, of="users"), features.histories(ratings, of="items")]
    columns = ratings.users, ratings.items, days
    n_rows = ratings.n_users, ratings.n_items, 3
    tables = [None, features.encode(ratings.item_table, ["genres"])]
    return problem(ratings.values, np.zeros(0, np.int32), columns, n_rows, both, tables)


def started(p, n_factors=5, rng=0):
    """A chain with every parameter away from zero."""
    c = chain.start(p, n_factors=n_factors, key=1, precision=2.0, cutpoints=np.zeros(0))
    rng = np.random.default_rng(rng)
    for w in c.sides:
        w.bias[:] = rng.normal(size=w.bias.shape)
        w.feature_bias[:] = rng.normal(size=w.feature_bias.shape)
        w.bias_mean[:], w.bias_precision[:] = rng.normal(size=len(w.bias_mean)), rng.uniform(1, 3, len(w.bias_mean))
        w.factor_mean[:, :n_factors] = rng.normal(size=w.factor_mean[:, :n_factors].shape)
        w.factor_precision[:] = rng.uniform(1, 3, w.factor_precision.shape)
        w.factors *= 5
        w.feature_factors *= 5
    return c


def dense(p, c):
    """The model written out: every rating's prediction from parameters, without a trick. (N,) float64."""
    out = np.full(len(p.values), c.mean)
    bias, factors = [], []
    for s, w in zip(p.sides, c.sides, strict=True):
        x = np.zeros((s.n_rows, len(s.group)))
        for row in range(s.n_rows):
            entries = slice(s.entry[row], s.entry[row + 1])
            x[row, s.index[entries]] = s.weight[entries]
        bias.append(w.bias + x @ w.feature_bias)
        factors.append(w.factors + x @ w.feature_factors)
    for r, (u, i, d) in enumerate(zip(*p.columns, strict=True)):
        a, b, t = factors[0][u], factors[1][i], factors[2][d]
        out[r] += bias[0][u] + bias[1][i] + bias[2][d] + (a + t) @ b
    return out
