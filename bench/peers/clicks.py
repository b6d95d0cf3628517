"""Models of clicks of implicit, LensKit and Cornac: fit one, write its scores of every user and item (U, I) float32.

``python clicks.py CLICKS.npz SETTINGS.json-text SCORES.npy``. What a library does not know (users or items without a
click) is scored by the items' clicks, below everything else.
"""

import json
import sys
import time

import numpy as np
from scipy.sparse import csr_matrix


def implicit_fit(kind, clicks, settings, rng, threads):
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}[kind](
        **settings, random_state=rng, num_threads=threads
    )
    model.fit(clicks, show_progress=False)
    return lambda: model.user_factors @ model.item_factors.T


def lenskit_fit(kind, clicks, settings, rng, threads):
    import pandas as pd
    from lenskit.als import ImplicitMFScorer
    from lenskit.data import ItemList, RecQuery, from_interactions_df
    from lenskit.knn import ItemKNNScorer
    from lenskit.training import TrainingOptions

    users, items = clicks.nonzero()
    data = from_interactions_df(pd.DataFrame({"user_id": users, "item_id": items}), user_col="user_id")
    model = ImplicitMFScorer(**settings) if kind == "als" else ItemKNNScorer(**settings, feedback="implicit")
    model.train(data, TrainingOptions(rng=rng))

    def scores():
        out = np.full(clicks.shape, np.nan, np.float32)
        if kind == "als":
            rows = np.ix_(model.users.ids(), model.items.ids())
            out[rows] = model.user_embeddings @ model.item_embeddings.T
            return out
        every = ItemList(item_ids=model.items.ids())
        for user in np.unique(users):
            query = RecQuery(user_id=int(user), user_items=ItemList(item_ids=items[users == user]))
            out[user, model.items.ids()] = model(query, every).scores()
        return out

    return scores


def cornac_fit(kind, clicks, settings, rng, threads):
    import cornac

    users, items = clicks.nonzero()
    rows = [(u, i, 1.0) for u, i in zip(users.tolist(), items.tolist(), strict=True)]
    train = cornac.data.Dataset.from_uir(rows, seed=rng)
    kinds = {"bpr": cornac.models.BPR, "wbpr": cornac.models.WBPR}
    model = kinds[kind](**settings, seed=rng, num_threads=threads).fit(train)

    def scores():
        out = np.full(clicks.shape, np.nan, np.float32)
        rows = np.ix_(list(train.uid_map), list(train.iid_map))
        out[rows] = model.u_factors @ model.i_factors.T + model.i_biases
        return out

    return scores


def main():
    given, settings = np.load(sys.argv[1]), json.loads(sys.argv[2])
    library, kind = settings.pop("model").split()
    rng, threads = settings.pop("rng", 0), settings.pop("threads", 1)
    users, items, shape = given["users"], given["items"], (int(given["n_users"]), int(given["n_items"]))
    clicks = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape)
    start, busy = time.perf_counter(), time.process_time()
    fit = {"implicit": implicit_fit, "lenskit": lenskit_fit, "cornac": cornac_fit}[library]
    made = fit(kind, clicks, settings, rng, threads)
    found = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy}
    scores = np.asarray(made(), np.float32)
    scores[np.diff(clicks.indptr) == 0] = np.nan
    popular = np.bincount(items, minlength=shape[1])
    low = np.nanmin(scores)
    unknown = np.isnan(scores)
    scores[unknown] = (low - 1 + 1e-6 * np.broadcast_to(popular - popular.max(), shape))[unknown]
    np.save(sys.argv[3], scores)
    print(json.dumps(found))


main()
