"""fastai 2's collab_learner, as its chapter on collaborative filtering calls it."""

import pandas as pd
import torch
from _protocol import report, split
from fastai.collab import CollabDataLoaders, collab_learner

s, settings = split()
rng, threads = settings.pop("rng"), settings.pop("threads")
torch.set_num_threads(threads)
frame = pd.DataFrame({"user": s.train_users, "item": s.train_items, "rating": s.train_values})


def fit():
    data = CollabDataLoaders.from_df(frame, seed=rng, valid_pct=0.0001, bs=64)
    learner = collab_learner(data, n_factors=50, y_range=(float(s.low), float(s.high) + 0.5))
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(5, 5e-3, wd=0.1)
    return learner


def predict(learner):
    frame = pd.DataFrame({"user": s.test_users, "item": s.test_items, "rating": 0.0})
    data = learner.dls.test_dl(frame)
    with learner.no_bar():
        return learner.get_preds(dl=data)[0].numpy().ravel()


report(fit, predict, s)
