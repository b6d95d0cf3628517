"""Saving over an older model, killed at 200 random moments; and what a saved model needs to serve.

A helper process imports everything once and forks a saver per kill (a fresh interpreter for each would take minutes).
The saver replaces the model again and again, the newer by the older and back, so that any moment is in the midst of a
saving; SIGKILL leaves it no time to clear up. What remains is loaded here, in another process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import battery
import numpy as np
import pytest

from dotbias import datasets, storage
from dotbias.baselines import bias, mean
from dotbias.factors import Factors
from dotbias.objective import Objective
from dotbias.recommender import Recommender

TRAIN, TEST = battery.parts()
OLD, NEW = mean(TRAIN), bias(TRAIN)
N_KILLS = 200
MOTHER = """
import os, sys, time
sys.path.insert(0, sys.argv[2])
import battery
from dotbias import storage
from dotbias.baselines import bias, mean

for line in sys.stdin:  # one saver per line; nothing has used polars' threads yet: forking is safe
    child = os.fork()
    if not child:
        train, _ = battery.parts()
        old, new = mean(train), bias(train)
        def save_both():
            storage.save(sys.argv[1], new, train, settings={"which": "new"})
            storage.save(sys.argv[1], old, train, settings={"which": "old"})
        save_both()  # the first pays for imports and threads
        start = time.perf_counter()
        save_both()
        print(os.getpid(), time.perf_counter() - start, flush=True)
        while True:
            save_both()
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def scores(scorer):
    return scorer.score(TEST.users, TEST.items).tobytes()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="fork and kill -9 are POSIX")
def test_killed_at_200_random_moments_of_saving_over_an_older_model(tmp_path):
    folder, rng = tmp_path / "model", np.random.default_rng(0)
    storage.save(folder, OLD, TRAIN, settings={"which": "old"})
    expected = {"old": scores(OLD), "new": scores(NEW)}
    outcomes, left = [], 0
    command = [sys.executable, "-c", MOTHER, str(folder), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as mother:
        assert mother.stdin is not None and mother.stdout is not None
        for share in rng.uniform(0, 2, N_KILLS):
            mother.stdin.write("go\n")
            child, both_savings = mother.stdout.readline().split()  # timed by the child itself: machines differ
            time.sleep(share * float(both_savings))
            os.kill(int(child), signal.SIGKILL)
            assert mother.stdout.readline() == "dead\n"
            left += bool(list(folder.rglob("*.tmp"))) or len(list((folder / "blobs").glob("*.*"))) > 6
            stored = storage.load(folder)
            which = stored.settings["which"]
            assert scores(stored.scorer) == expected[which]  # whole: never the one's manifest with the other's weights
            assert stored.ratings.fingerprint() == TRAIN.fingerprint()
            outcomes.append(which)
    assert len(outcomes) == N_KILLS and set(outcomes) == {"old", "new"}
    assert left > N_KILLS // 20, left  # many kills did fall in the midst of a saving
    storage.save(folder, OLD, TRAIN)  # and what they left is cleared up
    assert not list(folder.rglob("*.tmp")) and scores(storage.load(folder).scorer) == scores(OLD)


SERVE = """
import json, sys
from dotbias import Recommender
door = Recommender.load(sys.argv[1])
answer = door.recommend(door.train.user_ids[9], 10)
print(json.dumps({"n": len(answer), "loaded": [name for name in ("torch", "numba") if name in sys.modules]}))
"""


@pytest.mark.data
def test_a_bilinear_model_of_ml_1m_loads_and_recommends_without_torch_or_numba(data, monkeypatch, tmp_path):
    """How fast (0.3 s is asked) `python -m bench speed` measures: a test would time the machine."""
    monkeypatch.setenv("DOTBIAS_DATA", str(data))
    train = datasets.load("ml-1m", progress=None)
    rng = np.random.default_rng(0)
    p, q = rng.normal(0, 0.1, (train.n_users, 50)), rng.normal(0, 0.1, (train.n_items, 50))
    factors = Factors(0.0, p[:, 0], q[:, 0], p, q, Objective("squared", "sigmoid", (0.5, 5.5)))
    folder = Recommender(factors, train).save(tmp_path / "model")
    done = subprocess.run([sys.executable, "-c", SERVE, str(folder)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"n": 10, "loaded": []}
