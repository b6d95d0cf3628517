"""Seconds of a pass of implicit's ALS or BPR: ``python clicks_pass.py CLICKS.npz SETTINGS.json-text [SCORES.npz]``."""

import json
import sys
import time

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix


def main():
    given, settings = np.load(sys.argv[1]), json.loads(sys.argv[2])
    kind = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}[settings.pop("kind")]
    users, items, shape = given["users"], given["items"], (int(given["n_users"]), int(given["n_items"]))
    clicks = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape)
    model, at = kind(**settings, random_state=0), [(time.perf_counter(), time.process_time())]
    model.fit(clicks, show_progress=False, callback=lambda *_: at.append((time.perf_counter(), time.process_time())))
    clock, cpu = np.median(np.diff(at, axis=0)[1:], axis=0)
    if len(sys.argv) > 3:
        np.savez(sys.argv[3], users=model.user_factors, items=model.item_factors)
    print(json.dumps({"clock": clock, "cpu": cpu}))


main()
