"""LensKit's BiasedMFScorer: alternating least squares with biases."""

import numpy as np
import pandas as pd
from _protocol import report, split
from lenskit.als import BiasedMFScorer
from lenskit.data import ItemList, from_interactions_df
from lenskit.training import TrainingOptions

s, settings = split()
rng, _ = settings.pop("rng"), settings.pop("threads")
frame = pd.DataFrame({"user_id": s.train_users, "item_id": s.train_items, "rating": s.train_values.astype(float)})
train = from_interactions_df(frame, user_col="user_id", item_col="item_id", rating_col="rating")
few = from_interactions_df(frame.head(500), user_col="user_id", item_col="item_id", rating_col="rating")


def fit(data=train):
    model = BiasedMFScorer(**settings)
    model.train(data, TrainingOptions(rng=rng))
    return model


def predict(model):
    """A user at a time; where LensKit has no score (an unknown item or user), the mean plus the biases it knows."""
    from lenskit.data import RecQuery

    out = np.full(len(s.test_users), np.nan)
    order = np.argsort(s.test_users, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(s.test_users[order])) + 1):
        query = RecQuery(user_id=int(s.test_users[rows[0]]))
        out[rows] = model(query, ItemList(item_ids=s.test_items[rows])).scores()
    mean = s.train_values.mean()
    users = np.bincount(s.train_users, s.train_values - mean, int(s.n_users))
    users /= np.bincount(s.train_users, minlength=int(s.n_users)) + 5
    return np.where(np.isfinite(out), out, mean + users[s.test_users])


report(fit, predict, s, warm_up=lambda: fit(few))
