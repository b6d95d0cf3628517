"""What the Surprise adapters share: its Trainset built beforehand, its predictions row by row."""

import numpy as np
import pandas as pd
from _protocol import report, split
from surprise import Dataset, Reader


def run(make, *, seeded=True):
    """``make(settings)`` -> an algorithm of Surprise's."""
    s, settings = split()
    rng, _ = settings.pop("rng"), settings.pop("threads")
    if seeded:
        settings["random_state"] = rng
    frame = pd.DataFrame({"u": s.train_users, "i": s.train_items, "r": s.train_values.astype(float)})
    train = Dataset.load_from_df(frame, Reader(rating_scale=(float(s.low), float(s.high)))).build_full_trainset()

    def predict(model):
        return np.array([model.predict(u, i).est for u, i in zip(s.test_users, s.test_items, strict=True)])

    report(lambda: make(settings).fit(train), predict, s)
