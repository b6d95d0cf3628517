"""A refit replaces a model unless that makes it worse beyond doubt; whatever happens, one of both is there."""

import dataclasses
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

from dotbias import planted, storage
from dotbias.baselines import bias, mean, popular
from dotbias.errors import DataError, ModelFileError, SettingError
from dotbias.experiments import Refit, refit
from dotbias.experiments.refit import how_fitted
from dotbias.ratings import Ids, Ratings
from dotbias.recommender import Recommender
from dotbias.solvers import ease
from dotbias.times import UNKNOWN

WORLD = battery.world(n_ratings=2400)
OLD, NEW = WORLD.take(np.arange(1200)), WORLD.take(np.arange(1200, 2400))
FIT = {"fitter": "bias", "reg_bias_once": [3.0, 3.0], "seed": 0}


def saved(folder, train=OLD, scorer=None, settings=FIT):
    """A model in a folder."""
    return Recommender(scorer or bias(train), train, settings=settings).save(folder / "model")


def test_a_model_that_is_no_worse_takes_the_old_ones_place(tmp_path):
    model = saved(tmp_path, scorer=mean(OLD))  # it was worse than its settings promise
    found = refit(model, NEW)
    assert isinstance(found, Refit) and found.replaced and found.fitter == "bias" and found.metric == "mse"
    assert found.new < found.old and found.low < found.difference < found.high < 0
    assert (found.n_new, found.n_slice, found.n_again, found.n_train) == (1200, 240, 0, 2400)
    after = storage.load(model)
    assert len(after.ratings) == 2400 and after.settings == FIT
    assert after.metrics["refit"] == found._asdict() == json.loads(json.dumps(found._asdict()))
    expected = bias(OLD.joined(NEW), reg_bias_once=(3.0, 3.0))
    assert after.scorer.score(NEW.users, NEW.items).tobytes() == expected.score(NEW.users, NEW.items).tobytes()


def test_a_model_that_is_worse_beyond_doubt_is_refused(tmp_path):
    """The old one knows biases; its settings say mean."""
    model = saved(tmp_path, settings={"fitter": "mean"})
    before = sorted((p.name, p.read_bytes()) for p in model.rglob("*") if p.is_file())
    found = refit(model, NEW)
    assert not found.replaced and 0 < found.low < found.difference < found.high and found.n_train == 1200
    assert before == sorted((p.name, p.read_bytes()) for p in model.rglob("*") if p.is_file())


def test_what_is_compared_neither_has_seen(tmp_path):
    """The fit for the comparison holds the old train and the new ratings less the slice; the last holds all."""
    fitted = []

    def fit(run, train, seed, settings):
        fitted.append(train)
        return run.fit(train, rng=seed, **settings)

    found = refit(saved(tmp_path), NEW, share=0.5, fit=fit)
    first, second = (set(t.pairs().tolist()) for t in fitted)
    assert len(first) == 1200 + 1200 - found.n_slice and found.n_slice == 600
    assert second - first <= set(NEW.pairs().tolist()) and first < second and len(second) == 2400


def test_of_a_pair_rated_again_the_new_rating_counts(tmp_path):
    again = dataclasses.replace(OLD.take(np.arange(5)), values=np.full(5, 1.25, np.float32))
    model = saved(tmp_path)
    found = refit(model, again.joined(NEW.take(np.arange(200))))
    assert found.n_again == 5 and found.n_train == 1400 and found.n_slice == 40
    after = storage.load(model).ratings
    assert (after.values == 1.25).sum() == 5


def test_new_users_and_new_items(tmp_path):
    """Ids that the old model never named get rows at the end."""
    model = saved(tmp_path)
    frame = NEW.to_frame()
    more = frame.head(300).with_columns(user=frame["user"].head(300) + 1000, item="new-" + frame["item"].head(300))
    new = Ratings.from_frame(frame.vstack(more), like=storage.load(model).ratings)
    found = refit(model, new)
    assert found.n_new == 1500 and storage.load(model).ratings.n_items > OLD.n_items
    assert Recommender.load(model).recommend(1010, 3)


def test_clicks(tmp_path):
    clicks = [part.as_clicks() for part in (OLD, NEW)]
    model = saved(tmp_path, clicks[0], popular(clicks[0]), {"fitter": "ease", "seed": 0})
    frame = clicks[1].to_frame().select("user", "item")
    more = frame.head(100).with_columns(item="new-" + frame["item"].head(100))
    new = Ratings.from_frame(frame.vstack(more), like=storage.load(model).ratings, rating=False)
    new = new if new.times is not None else dataclasses.replace(new, times=np.zeros(len(new), np.int64))
    found = refit(model, new)
    assert found.metric == "ndcg@10" and 0 < found.old < 1 and 0 < found.new < 1
    assert found.replaced == (found.high >= 0)


def test_new_ratings_without_times_have_unknown_ones(tmp_path):
    found = refit(saved(tmp_path), dataclasses.replace(NEW, times=None))
    after = storage.load(tmp_path / "model").ratings
    assert found.replaced and (after.times == UNKNOWN).sum() == 1200


def test_who_rates_what_is_fitted_again_too(tmp_path):
    kept = {"settings": FIT, "clicks": ease(OLD.as_clicks())}
    model = Recommender(bias(OLD), OLD, **kept).save(tmp_path / "model")
    assert refit(model, NEW).replaced
    after = storage.load(model)
    assert after.clicks is not None and after.clicks.tables == after.ratings.tables
    assert not np.array_equal(after.clicks.weights, kept["clicks"].weights)


def test_one_user_gives_no_interval(tmp_path):
    user = np.bincount(NEW.users).argmax()
    found = refit(saved(tmp_path), NEW.take(NEW.users == user))
    assert found.replaced and found.low is None and "no interval" in found.why


@pytest.mark.parametrize(
    ("new", "error", "says"),
    [
        (NEW.take(np.arange(0)), DataError, "no new ratings"),
        (OLD, DataError, "fitted on all of these pairs"),
        (NEW.as_clicks(), DataError, "the model knows stars, and these are clicks"),
        (dataclasses.replace(NEW, values=NEW.values * 20, y_range=None), DataError, "the new ratings are from 20 to"),
        (dataclasses.replace(NEW, user_ids=Ids(range(500, 580))), DataError, "like="),
        ("new.csv", DataError, "new is a str"),
    ],
)
def test_hostile_ratings(tmp_path, new, error, says):
    model = saved(tmp_path)
    before = (model / "manifest.json").read_bytes()
    with pytest.raises(error, match=says):
        refit(model, new)
    assert (model / "manifest.json").read_bytes() == before


def test_hostile_models(tmp_path):
    with pytest.raises(ModelFileError, match="no model"):
        refit(tmp_path / "nowhere", NEW)
    with pytest.raises(SettingError, match="does not say which fitter made it"):
        refit(saved(tmp_path, settings={}), NEW)
    with pytest.raises(SettingError, match="no fitter 'als2'"):
        how_fitted({"fitter": "als2"})
    with pytest.raises(SettingError, match="als has no setting 'wd'"):
        how_fitted({"fitter": "als", "wd": 1})
    for share in (0, 1, -1, 2.5):
        with pytest.raises(SettingError, match="share is"):
            refit(saved(tmp_path), NEW, share=share)


KILLED = """
import sys, time, numpy as np
sys.path.insert(0, sys.argv[2])
import test_refit as t
def fit(run, train, seed, settings):
    print("fitting", flush=True)
    time.sleep(float(sys.argv[3]) if len(train) == 2400 else 0)
    return run.fit(train, rng=seed, **settings)
t.refit(sys.argv[1], t.NEW, fit=fit)
"""


def test_killed_in_the_middle_the_old_model_is_there(tmp_path):
    model = saved(tmp_path)
    before = (model / "manifest.json").read_bytes()
    command = [sys.executable, "-c", KILLED, str(model), str(Path(__file__).parent), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        assert [job.stdout.readline() for _ in range(2)] == ["fitting\n"] * 2
        time.sleep(0.1)
        job.send_signal(signal.SIGKILL)
    assert (model / "manifest.json").read_bytes() == before and len(storage.load(model).ratings) == 1200


def test_ctrl_c_changes_nothing(tmp_path):
    """The first Ctrl-C ends a fit early: half a fit replaces nothing."""
    model = saved(tmp_path)

    def fit(run, train, seed, settings):
        os.kill(os.getpid(), signal.SIGINT)
        return run.fit(train, rng=seed, **settings)

    with pytest.raises(KeyboardInterrupt):
        refit(model, NEW, fit=fit)
    assert len(storage.load(model).ratings) == 1200


# On the command line -----------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, call, tmp_path):
    """``run("refit", …)`` -> (exit code, stdout, stderr), in a folder with old.csv, new.csv and a model."""

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("DOTBIAS_OFFLINE", "1")
    ratings = planted(60, 90, n_ratings=2_000, n_factors=2, noise=0.4, rng=5).ratings
    for name, part in (("old", slice(0, 1000)), ("new", slice(1000, 2000))):
        ratings.take(np.arange(2000)[part]).to_frame().write_csv(tmp_path / f"{name}.csv")
    assert call("fit", "old.csv", "--fitter", "bias", "-o", "model")[0] == 0
    return call


def test_refit_on_the_command_line(run, tmp_path):
    code, out, err = run("refit", "model", "new.csv", "--json")
    found = json.loads(out)
    assert code == 0 and found["replaced"] and found["n_train"] == 2000 and "fitting bias" in err
    assert len(storage.load(tmp_path / "model").ratings) == 2000
    code, out, err = run("refit", "model", "new.csv")
    assert code == 3 and "fitted on all of these pairs" in err
    assert run("recommend", "model", "1")[0] == 0


def test_a_refused_refit_has_an_exit_code_of_its_own(run, tmp_path):
    stored = storage.load(tmp_path / "model")
    storage.save(tmp_path / "model", stored.scorer, stored.ratings, settings={"fitter": "mean"})
    code, out, _ = run("refit", "model", "new.csv")
    assert code == 7 and "unchanged" in out and "worse, beyond doubt" in out
    code, out, _ = run("refit", "model", "new.csv", "--json")
    assert code == 7 and json.loads(out)["replaced"] is False


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("user,item,rating,time\n", "no rows|holds no|no ratings|empty"),
        ("name,film\nx,y\n", "column"),
        ("user,item,rating,time\n1,1,3,1\n1,1,4,2\n", "rates item 1 again"),
        ("user,item,rating,time\nann,1,3,1\nbob,2,4,2\n", "ids"),
        ("user,item,rating,time\n1,1,300,1\n2,2,4,2\n", "scale|from"),
    ],
)
def test_hostile_files(run, tmp_path, content, says):
    import re

    (tmp_path / "bad.csv").write_text(content)
    code, _, err = run("refit", "model", "bad.csv")
    assert code == 3 and re.search(says, err), err
    assert len(storage.load(tmp_path / "model").ratings) == 1000
