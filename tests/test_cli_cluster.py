"""``dotbias fit PARTS --cluster``: fitted by shards, told of, saved and resumed like any other fit."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from dotbias import Ratings, Recommender, cluster, planted
from dotbias.errors import SettingError
from dotbias.factors import ARRAYS
from dotbias.solvers.als import als

SET = ("--set", "n_factors=6", "--set", "n_epochs=3")
WHERE = ("--cluster", "local:1", "--shards", "3", "--fitter", "als")


@pytest.fixture
def run(monkeypatch, call, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return call


@pytest.fixture
def parts(tmp_path):
    frame = planted(70, 45, n_ratings=1550, rng=2).ratings.to_frame()
    frame.tail(50).write_csv(tmp_path / "held.csv")
    frame = frame.head(1500)
    (tmp_path / "parts").mkdir()
    frame.head(800).write_parquet(tmp_path / "parts" / "a.parquet")
    frame.tail(700).write_parquet(tmp_path / "parts" / "b.parquet")
    frame.write_parquet(tmp_path / "whole.parquet")
    return frame


@pytest.mark.slow
def test_fitted_stopped_resumed_measured_and_saved(run, parts, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    saved = ("-o", "model", "--checkpoint", "c", "--json")
    code, out, err = run("fit", "parts", *WHERE, *SET[:2], "--set", "n_epochs=2", "--checkpoint", "c")
    assert (code, out) == (0, "") and "pass 2/2" in err and "MB moved" in err
    code, out, err = run("fit", "parts", *WHERE, *SET, "--test", "held.csv", *saved)
    assert code == 0 and "pass 3/3" in err and "pass 2/" not in err and "saved: model" in err
    told = json.loads(out)
    assert (told["fitter"], told["n_train"], told["cluster"]) == ("als", 1500, "local:1")
    assert told["steps"][0]["bytes"] > 0 and 0 < told["rmse"] < 2
    train = Ratings.from_parquet("whole.parquet")
    alone, door = als(train, n_factors=6, n_epochs=3, rng=0), Recommender.load("model")
    assert door.train.fingerprint() == train.fingerprint() and door.settings["n_epochs"] == 3
    for name in ARRAYS:
        assert np.array_equal(getattr(door.scorer, name), getattr(alone, name)), name
    few = parts["user"].value_counts().sort("count")["user"][0]
    code, out, _ = run("recommend", "model", few, "--json")
    assert code == 0 and json.loads(out)


@pytest.mark.slow
def test_the_driver_killed_and_the_fit_resumed(run, parts, tmp_path):
    pytest.importorskip("ray")
    arguments = ["fit", "parts", *WHERE, *SET[:2], "--set", "n_epochs=40", "--checkpoint", "c", "-o", "model"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "dotbias", *arguments], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert driver.stderr is not None
    with driver.stderr:
        next(line for line in driver.stderr if "pass 2/40" in line)
        driver.kill()
    assert driver.wait() == -signal.SIGKILL
    code, _, err = run(*arguments)
    assert code == 0 and "pass 2/40" not in err and "pass 40/40" in err
    alone = als(Ratings.from_parquet("whole.parquet"), n_factors=6, n_epochs=40, rng=0)
    assert np.array_equal(Recommender.load("model").scorer.users, alone.users)


@pytest.mark.slow
def test_saved_without_its_ratings(run, parts):
    pytest.importorskip("ray")
    code, _, err = run("fit", "parts", *WHERE, *SET, "-o", "bare", "--no-ratings")
    assert code == 0 and "without its ratings" in err
    user, item = parts["user"][0], parts["item"][0]
    door, alone = Recommender.load("bare"), als(Ratings.from_parquet("whole.parquet"), n_factors=6, n_epochs=3, rng=0)
    assert len(door.train) == 0 and door.train.n_users == parts["user"].n_unique()
    score = alone.score(np.array([0]), np.array([0]))[0]
    assert door.predict(user, item).value == pytest.approx(float(score), abs=1e-6)
    code, _, err = run("similar", "bare", item, "--json")
    assert code == 3 and "train holds no rating of it" in err


@pytest.mark.slow
def test_no_cluster_at_the_address(parts, tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(SettingError, match=r"there is no cluster at 127\.0\.0\.1:9"):
        cluster.fit("als", tmp_path / "parts", address="127.0.0.1:9")
    with pytest.raises(SettingError, match="joined no Ray cluster"):
        cluster.fit("als", tmp_path / "parts", address="joined")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cluster", "local:2"), "auto cannot be fitted by shards"),
        (("--cluster", "local:2", "--fitter", "bpr"), "bpr cannot be fitted by shards"),
        (("--cluster", "local:2", "--fitter", "als", "--split", "lesson"), "--split is not for fits on a cluster"),
        (("--cluster", "local:2", "--fitter", "als", "--rating", "x"), "--rating is not for fits on a cluster"),
        (("--cluster", "local:2", "--fitter", "als", "--set", "n_factor=3"), "no setting 'n_factor'"),
        (("--cluster", "nowhere", "--fitter", "als"), "address is 'nowhere'"),
        (("--fitter", "als", "--shards", "3"), "--shards is for fits on a cluster"),
        (("--fitter", "als", "--no-ratings"), "--no-ratings is for fits on a cluster"),
    ],
)
def test_wrong_options(run, parts, options, message):
    code, out, err = run("fit", "parts", *options)
    assert (code, out) == (2, "") and message in err


def test_help_says_which_fitters(run):
    code, out, _ = run("fit", "--help")
    assert code == 0 and "sgd, als, implicit_als" in " ".join(out.replace("│", " ").split())
