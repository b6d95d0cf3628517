"""myFM's Gibbs sampler by ids alone, through its relation blocks; one thread, as it has."""

import myfm
from _protocol import report, split
from scipy import sparse

s, settings = split()
rng, _ = settings.pop("rng"), settings.pop("threads")
n_iter = settings.pop("n_iter", 200)
k = settings.pop("n_factors", 16)
nu, ni = int(s.n_users), int(s.n_items)


def blocks(users, items):
    return [
        myfm.RelationBlock(users, sparse.identity(nu, format="csr")),
        myfm.RelationBlock(items, sparse.identity(ni, format="csr")),
    ]


def fit():
    model = myfm.MyFMRegressor(rank=k, random_seed=rng)
    model.fit(
        None,
        s.train_values.astype(float),
        X_rel=blocks(s.train_users, s.train_items),
        n_iter=n_iter,
        n_kept_samples=n_iter // 2,
        group_shapes=[nu, ni],
    )
    return model


report(fit, lambda model: model.predict(None, blocks(s.test_users, s.test_items)), s)
