"""Cornac's MF with biases."""

import cornac
import numpy as np
from _protocol import report, split

s, settings = split()
rng, threads = settings.pop("rng"), settings.pop("threads")
rows = list(zip(s.train_users.tolist(), s.train_items.tolist(), s.train_values.tolist(), strict=True))
train = cornac.data.Dataset.from_uir(rows, seed=rng)


def fit():
    return cornac.models.MF(**settings, use_bias=True, seed=rng, num_threads=threads).fit(train)


def predict(model):
    """Rows of its own; the mean plus the known bias where one side is unknown."""
    users = np.array([train.uid_map.get(u, -1) for u in s.test_users.tolist()])
    items = np.array([train.iid_map.get(i, -1) for i in s.test_items.tolist()])
    known_user, known_item = users >= 0, items >= 0
    score = model.global_mean + known_user * model.u_biases[users] + known_item * model.i_biases[items]
    both = known_user & known_item
    return score + both * np.einsum("bk,bk->b", model.u_factors[users], model.i_factors[items])


report(fit, predict, s)
