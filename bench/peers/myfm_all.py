"""myFM with everything, through its relation blocks: seconds per sweep, one thread. Blocks come as CSR arrays."""

import json
import sys
import time

import myfm
import numpy as np
from scipy import sparse

s, settings = np.load(sys.argv[1]), json.loads(sys.argv[2])


def csr(name, n_rows, n_columns):
    arrays = (s[f"{name}_weight"].astype(float), s[f"{name}_index"], s[f"{name}_starts"])
    return sparse.csr_matrix(arrays, shape=(n_rows, n_columns))


groups, blocks = [], []
for side in ("user", "item"):
    n = int(s[f"n_{side}s"])
    parts = [sparse.identity(n, format="csr")]
    groups.append(n)
    for name, width in zip(s[f"{side}_names"].tolist(), s[f"{side}_widths"].tolist(), strict=True):
        parts.append(csr(name, n, width))
        groups.append(width)
    blocks.append(myfm.RelationBlock(s[f"{side}s"].astype(int), sparse.hstack(parts).tocsr()))
y, days = s["values"].astype(float), int(s["n_days"])
main = sparse.csr_matrix((np.ones(len(y)), (np.arange(len(y)), s["days"])), shape=(len(y), days)) if days else None
ticks = []
model = myfm.MyFMGibbsRegressor(rank=settings["n_factors"], random_seed=0)
model.fit(
    sparse.csr_matrix((len(y), 0)) if main is None else main,
    y,
    X_rel=blocks,
    n_iter=settings["n_sweeps"],
    n_kept_samples=1,
    group_shapes=([days] if days else []) + groups,
    callback=lambda *_: (ticks.append(time.perf_counter()), (False, None))[1],
)
print(json.dumps({"seconds": float(np.median(np.diff(ticks)))}))
