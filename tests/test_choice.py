"""Which fitter auto takes: by counts alone."""

from dataclasses import replace

import numpy as np
import polars as pl

from dotbias import datasets
from dotbias.posterior import Posterior
from dotbias.solvers import choice, sgd


def test_small_data_get_gibbs_with_what_is_there(world):
    chosen = choice.choose(world.ratings)
    assert chosen.fitter == "gibbs"
    assert chosen.settings["item_features"] == ("year", "genres")
    assert chosen.settings["days"] is True
    assert chosen.settings["user_features"] == ()
    assert "genres" in chosen.why
    assert choice.choose(replace(world.ratings, times=None)).settings["days"] is False


def test_large_data_get_sgd_and_are_told_why(world, monkeypatch):
    seconds, size = choice.estimate(world.ratings)
    monkeypatch.setattr(choice, "SECONDS", seconds / 2)
    chosen = choice.choose(world.ratings)
    assert chosen.fitter == "sgd"
    assert chosen.settings == {}
    assert "gibbs would take" in chosen.why
    monkeypatch.setattr(choice, "SECONDS", seconds * 2)
    monkeypatch.setattr(choice, "BYTES", size / 2)
    assert choice.choose(world.ratings).fitter == "sgd"


def test_auto_fits_what_is_chosen(world, monkeypatch):
    assert isinstance(choice.auto(world.ratings.take(np.arange(300)), rng=0), Posterior)
    monkeypatch.setattr(choice, "SECONDS", 0.0)
    fitted = choice.auto(world.ratings, rng=0)
    assert np.array_equal(fitted.users, sgd(world.ratings, rng=0).users)


def test_the_estimate_grows_with_the_counts_alone(world):
    ratings = world.ratings
    seconds, size = choice.estimate(ratings)
    half = ratings.take(np.arange(len(ratings) // 2))
    assert choice.estimate(half)[0] < seconds
    assert choice.estimate(replace(ratings, times=None))[1] <= size


def test_usable_columns_teach_something():
    table = pl.DataFrame(
        {
            "id": range(40),
            "title": [f"t{i}" for i in range(40)],
            "genres": ["a|b", "b", "c", None] * 10,
            "zip": [f"{i:05d}" for i in range(40)],
            "year": [1990 + i % 7 for i in range(40)],
            "same": ["x"] * 40,
            "nothing": [None] * 40,
            "flag": [True, False] * 20,
        }
    )
    assert choice.usable(table) == ("genres", "year", "flag")
    assert choice.usable(None) == ()


def test_at_hand_for_the_real_data(data):
    assert choice.choose(datasets.load("ml-100k")).fitter == "gibbs"
    assert choice.choose(datasets.load("ml-1m")).fitter == "sgd"
