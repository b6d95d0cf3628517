"""myFM with everything, through its relation blocks: histories, side tables, days; one thread, as it has."""

import time

import myfm
import numpy as np
from _protocol import report, split
from scipy import sparse

s, settings = split()
rng, _ = settings.pop("rng"), settings.pop("threads")
days, sides, groups = int(s.n_days), {}, [int(s.n_days)] if int(s.n_days) else []
for side in ("user", "item"):
    n = int(getattr(s, f"n_{side}s"))
    parts = [sparse.identity(n, format="csr")]
    for name, width in zip(getattr(s, f"{side}_names").tolist(), getattr(s, f"{side}_widths").tolist(), strict=True):
        weight, index, starts = (getattr(s, f"{name}_{field}") for field in ("weight", "index", "starts"))
        parts.append(sparse.csr_matrix((weight.astype(float), index, starts), shape=(n, width)))
    groups += [part.shape[1] for part in parts]
    sides[side] = sparse.hstack(parts).tocsr()


def features(part):
    """(the days of a part's ratings, one-hot, none for a day that train lacks; its relation blocks)."""
    users, items = getattr(s, f"{part}_users").astype(int), getattr(s, f"{part}_items").astype(int)
    day = getattr(s, f"{part}_days") if days else np.zeros(0, int)
    known = np.flatnonzero(day >= 0)
    main = sparse.csr_matrix((np.ones(len(known)), (known, day[known])), shape=(len(users), days))
    return main, [myfm.RelationBlock(users, sides["user"]), myfm.RelationBlock(items, sides["item"])]


ticks = []


def fit():
    n = settings.get("n_sweeps", 200)
    model = myfm.MyFMGibbsRegressor(rank=settings.get("n_factors", 16), random_seed=rng)
    main, blocks = features("train")
    return model.fit(
        main,
        s.train_values.astype(float),
        X_rel=blocks,
        n_iter=n,
        n_kept_samples=n // 2,
        group_shapes=groups,
        callback=lambda *_: (ticks.append(time.perf_counter()), (False, None))[1],
    )


report(fit, lambda model: model.predict(*features("test")), s, sweep_s=lambda: float(np.median(np.diff(ticks))))
