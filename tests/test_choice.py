"""Which fitter auto takes: by counts alone; and which columns of side tables teach something."""

import datetime
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import battery
import clicks_battery
import numpy as np
import polars as pl
import pytest

from dotbias import datasets, fitters, solvers
from dotbias.errors import SettingError, StoppedWarning
from dotbias.posterior import Posterior
from dotbias.ratings import Ids, Ratings
from dotbias.solvers import candidates, choice, sgd


@pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    if check is not battery.interactions_are_refused:  # it takes them
        check(partial(choice.auto, budget=1e-9))  # sgd; gibbs has a battery of its own


def test_small_data_get_gibbs_with_what_is_there(world):
    chosen = choice.choose(world.ratings)
    assert chosen.fitter == "gibbs" and "genres" in chosen.why
    assert chosen.settings == {"n_factors": 24, **choice.everything(world.ratings)}
    assert choice.everything(world.ratings) == {
        "item_features": ("year", "genres"),
        "user_features": (),
        "histories": True,
        "sessions": True,
        "ordinal": False,
    }
    assert choice.everything(replace(world.ratings, times=None, item_table=None)) == {
        "item_features": (),
        "user_features": (),
        "histories": True,
        "sessions": False,
        "ordinal": False,
    }


def test_limits_choose_and_are_told(world):
    seconds, size = choice.estimate(world.ratings)
    most = choice.choose(world.ratings, budget=seconds * 1.01, memory=size * 1.01)
    assert most.fitter == "gibbs" and most.settings["n_factors"] == 24
    fewer = choice.choose(world.ratings, budget=seconds * 0.99)
    assert fewer.fitter == "gibbs" and fewer.settings["n_factors"] == 16 and "16 factors" in fewer.why
    seconds, size = choice.estimate(world.ratings, choice.FACTORS[-1])
    for limits in ({"budget": seconds * 0.99}, {"memory": size * 0.99}):
        chosen = choice.choose(world.ratings, **limits)
        assert chosen.fitter == "sgd" and chosen.settings == {}
        assert "gibbs would take" in chosen.why
    assert "300 s and 0.5 GB" in choice.choose(world.ratings, budget="5m", memory="500MB").why


def test_more_memory_than_gibbs_takes_is_not_promised(world, monkeypatch):
    monkeypatch.setattr(
        sys.modules["dotbias.solvers.gibbs.settings"],
        "LARGEST",
        choice.estimate(world.ratings, choice.FACTORS[-1])[1] / 2 - 1,
    )
    assert choice.choose(world.ratings, memory="64GB").fitter == "sgd"


@pytest.mark.parametrize("text,seconds", [("90s", 90), ("5m", 300), (" 1.5 H ", 5400), ("20", 20), (7, 7), (0.5, 0.5)])
def test_a_budget_in_words(text, seconds):
    assert choice.amount(text, choice.SECONDS, "budget", "'5m'.") == seconds


@pytest.mark.parametrize("wrong", ["5 weeks", "m", "", "-1m", "1..5m", 0, -3, float("inf"), "1e3s"])
def test_a_limit_that_is_none(world, wrong):
    for name in ("budget", "memory"):
        with pytest.raises(SettingError, match=name) as e:
            choice.choose(world.ratings, **{name: wrong})
        assert e.value.hint
        with pytest.raises(SettingError, match=name):
            choice.auto(world.ratings, **{name: wrong})


def test_auto_fits_what_is_chosen(world, tmp_path, monkeypatch):
    given = []
    nothing = SimpleNamespace(held_out={})
    monkeypatch.setattr(solvers, "gibbs", lambda train, **settings: given.append(settings) or nothing)
    choice.auto(world.ratings, rng=3, checkpoint="fit")
    common = {"valid": None, "rng": 3, "progress": None, "checkpoint": "fit"}
    assert given == [{**common, "n_factors": 24, **choice.everything(world.ratings)}]
    few, steps, path = world.ratings.take(np.arange(300)), [], tmp_path / "fit.safetensors"
    fitted = fitters.find(fitters.AUTO).fit(few, budget=1e-9, rng=0, valid=few, progress=steps.append, checkpoint=path)
    assert np.array_equal(fitted.users, sgd(few, rng=0).users)
    assert path.exists() and {"train", "valid"} <= set(steps[-1].values)


def test_ctrl_c_is_the_fitters(world):
    def stop(step):
        raise KeyboardInterrupt

    with pytest.warns(StoppedWarning, match="after pass 1 of"):
        choice.auto(world.ratings, budget=1e-9, progress=stop)


def test_the_estimate_grows_with_the_counts_alone(world):
    ratings = world.ratings
    seconds, size = choice.estimate(ratings)
    half = ratings.take(np.arange(len(ratings) // 2))
    assert choice.estimate(half)[0] < seconds
    assert choice.estimate(replace(ratings, times=None))[1] <= size


# Columns -----------------------------------------------------------------------------------------------------------

N = 80
DAY = datetime.date(2000, 1, 1)
TEACHES = {
    "genres": ["a|b", "b", "c", None],
    "year": [1990, 1991, 1995, 1999],
    "flag": [True, False, None, True],
    "lists": [["a", "b"], [], None, ["b"]],
    "number with holes": [1.5, None, 2.5, None],
    "text with holes": ["a", None, "b", ""],
    "one label or none": ["a", "", "a", ""],
}
OF_NO_USE = {
    "same": ["x"] * 4,
    "same number": [7] * 4,
    "same but for holes": [7, None, 7, None],
    "nothing": [None] * 4,
    "empty text": ["", "|", "", "||"],
    "empty lists": [[], [], [], []],
    "day": [DAY, DAY, None, DAY.replace(year=2001)],
    "moment": [datetime.datetime(2000, 1, k) for k in range(1, 5)],
    "structure": [{"a": 1}, {"a": 2}, {"a": 1}, None],
    "lists of lists": [[["a"]], [["b"]], [], None],
    "numbers in lists": [[1, 2], [2], [3], []],
    "bytes": [b"a", b"b", b"a", None],
    "infinite": [1.0, float("inf"), 2.0, 3.0],
    "too large": [1e308, -1e308, 1e308, 1.0],
}


def column(values):
    return pl.Series([values[k % len(values)] for k in range(N)])


def table(columns):
    titles = {"id": pl.Series(range(N)), "title": pl.Series([f"t{k}" for k in range(N)])}
    many = {"zip": pl.Series([f"{k:05d}" for k in range(N)])}
    return pl.DataFrame({**titles, **many, **{name: column(values) for name, values in columns.items()}})


def test_usable_columns_teach_something():
    both = table(OF_NO_USE | TEACHES).with_columns(
        pl.col("flag").cast(pl.String).cast(pl.Categorical).alias("category"),
        pl.Series("nulls", [None] * N, pl.String),
        pl.Series("objects", [object()] * N, pl.Object),
        pl.Series("arrays", [[1, 2], [3, 4]] * (N // 2), pl.Array(pl.Int64, 2)),
        pl.Series("decimals", [1, 2] * (N // 2), pl.Decimal(10, 2)),
    )
    assert choice.usable(both) == (*TEACHES, "category", "decimals")
    assert choice.usable(None) == () and choice.usable(both.clear()) == ()


def test_a_column_with_nan_breaks_nothing():
    """Whether its other values are used is for ``features.encode`` to say."""
    with_nan = table({"nan": [1.0, float("nan"), 2.0, 3.0], "only nan": [float("nan")] * 4})
    assert set(choice.usable(with_nan)) <= {"nan"}


def test_auto_fits_whatever_the_side_tables_hold(world, monkeypatch):
    monkeypatch.setattr(candidates, "baseline_errors", lambda *a, **k: {})  # of so few ratings biases may win
    few = replace(world.ratings.take(np.arange(400)), item_table=table(OF_NO_USE | TEACHES | {"nan": [1.0, np.nan]}))
    steps = []
    scorer = choice.auto(few, rng=0, progress=steps.append)
    assert isinstance(scorer, Posterior) and steps[0].kind == "sweep"
    assert np.isfinite(scorer.score(few.users, few.items)).all()


def test_at_hand_for_the_real_data(data):
    assert choice.choose(datasets.load("ml-100k")).fitter == "gibbs"
    assert choice.choose(datasets.load("ml-1m")).settings["n_factors"] == 8  # what a minute affords
    assert choice.choose(datasets.load("ml-1m"), budget="5m").settings["n_factors"] == 24
    assert choice.choose(datasets.load("ml-1m"), budget="30s").fitter == "sgd"


# Clicks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", clicks_battery.CHECKS, ids=lambda c: c.__name__)
def test_battery_of_clicks(check):
    if check is not clicks_battery.stars_are_refused:  # it takes both
        check(choice.auto)


def test_of_clicks_the_counts_and_limits_choose_and_are_told():
    train, _ = clicks_battery.parts()
    first = choice.choose(train)
    assert first.fitter == "ease" and first.why.startswith("ease, on 58 × 58 items: about 1 s and 0.1 GB on one core")
    size = choice.ease_estimate(train, 58)[1]
    second = choice.choose(train, memory=size * 0.99)
    assert second.fitter == "popular" and "ease on 58 × 58 items would take" in second.why
    many = replace(train, item_ids=Ids(range(40_000)), items=train.items * 660)
    third = choice.choose(many, budget="1m", memory="4GB")
    assert third.fitter == "ease"  # only items with clicks are weighed
    wide = Ratings(np.arange(40_000) % 90, np.arange(40_000), None, None, train.user_ids, Ids(range(40_000)))
    fourth = choice.choose(wide)
    assert fourth.fitter == "implicit_als" and fourth.settings["n_factors"] == 256
    assert "6.4 GB on one core by the counts, and the limits are 60 s and 4 GB" in fourth.why
    for n_factors in (128, 64, 32, 16):
        limit = choice.implicit_estimate(wide, n_factors)[0]
        assert choice.choose(wide, budget=limit * 1.01).settings["n_factors"] == n_factors
    assert choice.choose(wide, budget=limit * 0.99).fitter == "popular"


def test_auto_fits_to_clicks_what_is_chosen():
    train, _ = clicks_battery.parts()
    users = np.arange(5)
    assert np.array_equal(choice.auto(train).rank_all(users), solvers.ease(train).rank_all(users))
    limited = choice.auto(train, budget=1e-9)
    assert type(limited).__name__ == "Popular"
