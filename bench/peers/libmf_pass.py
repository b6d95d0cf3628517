"""LIBMF's seconds per pass: a long fit less a short one."""

import json
import sys
import time

import numpy as np
from libmf import mf

s, settings = np.load(sys.argv[1]), json.loads(sys.argv[2])
mean = s["values"].mean()
train = np.ascontiguousarray(np.c_[s["users"], s["items"], s["values"] - mean].astype(np.float32))
seconds = []
for n in (5, 25):
    options = {"fun": 0, "k": settings["n_factors"], "nr_threads": settings["threads"], "nr_iters": n, "quiet": True}
    engine = mf.MF(**options, lambda_p1=0.0, lambda_q1=0.0, lambda_p2=0.05, lambda_q2=0.05, eta=0.1)
    start = time.perf_counter()
    engine.fit(train)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": (seconds[1] - seconds[0]) / 20}))
