"""Whole fits: the noise of a planted world, the battery, what histories, features and days add, real data."""

from dataclasses import replace
from functools import partial

import battery
import numpy as np
import polars as pl
import pytest

from dotbias import split
from dotbias.datasets import planted
from dotbias.errors import DataError
from dotbias.evaluation import evaluate
from dotbias.ratings import Ratings
from dotbias.solvers.gibbs import gibbs
from dotbias.times import NOW, UNKNOWN

QUICK = partial(gibbs, n_factors=3, n_sweeps=30, noise=0.4, rng=0)


def test_reaches_a_planted_worlds_noise():
    """Within 6 % of the error of who knows the truth; intervals hold what they promise."""
    world = planted(150, 120, n_ratings=14_000, n_factors=3, noise=0.5, rng=1)
    parts = split.random(world.ratings, test=0.2, rng=0)
    fitted = gibbs(parts.train, n_factors=8, rng=0)
    report = evaluate(fitted, parts.test, train=parts.train, n_resamples=20)
    truth = np.sqrt(np.mean((world.score(parts.test.users, parts.test.items) - parts.test.values) ** 2))
    assert report.rmse < 1.06 * truth + 0.01
    low, high = fitted.interval(parts.test.users, parts.test.items)
    assert 0.75 < np.mean((parts.test.values >= low) & (parts.test.values <= high)) < 0.86
    assert any("held out" in note for note in fitted.notes)


@pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    def fit(train, *, valid=None, rng=0):
        return gibbs(train, n_factors=3, n_sweeps=60, noise=0.45, histories=True, valid=valid, rng=rng)

    check(fit)


def genre_world():
    """Items of genre a are liked, of genre b are not; the ratings say little else."""
    rng = np.random.default_rng(0)
    ratings = battery.world(n_ratings=2000)
    genre = np.array(["a", "b"] * 25)
    values = np.where(genre[ratings.items] == "a", 4.2, 2.0) + rng.normal(0, 0.3, len(ratings))
    return replace(ratings, values=values.astype(np.float32), item_table=pl.DataFrame({"genres": genre}))


def test_an_item_known_by_its_genre_alone():
    train = genre_world()
    train = train.take(train.items > 3)  # rows 0 to 3 have genres and no ratings
    fitted = QUICK(train, item_features=["genres"], histories=True, n_sweeps=60)
    users = np.arange(20)
    loved, not_loved = (fitted.fold_in_item([], [], {"genres": g}).score(users).mean() for g in "ab")
    assert loved > not_loved + 1.2
    rows = [fitted.score(users, np.full(20, row)).mean() for row in range(4)]
    assert min(rows[0], rows[2]) > max(rows[1], rows[3]) + 1.0
    with pytest.raises(DataError, match="no feature column"):
        fitted.fold_in_item([], [], {"genre": "a"})
    with pytest.raises(DataError, match="no value 'c'"):
        fitted.fold_in_item([], [], {"genres": "c"})


def test_a_number_is_standardised_for_newcomers_as_in_train():
    train = genre_world()
    year = 1990 + np.arange(train.n_items) % 2 * 10  # of genre a 1990, of genre b 2000
    train = replace(train, item_table=pl.DataFrame({"year": year}))
    fitted = QUICK(train.take(train.items > 3), item_features=["year"], n_sweeps=60)
    users = np.arange(20)
    for row, of_year in ((0, 1990), (1, 2000)):  # rows 0 and 1 have no ratings: their year is all that is known
        part = fitted.fold_in_item([], [], {"year": of_year})
        np.testing.assert_allclose(part.score(users), fitted.score(users, np.full(20, row)), atol=0.15)
    old, new = (fitted.fold_in_item([], [], {"year": y}).score(users).mean() for y in (1990, 2000))
    assert old > new + 0.6
    with pytest.raises(DataError, match="holds numbers; 'old' is none"):
        fitted.fold_in_item([], [], {"year": "old"})


def test_the_rating_s_day_counts_where_it_is_given():
    ratings = battery.world(n_ratings=2500)
    day = ratings.times // 86_400 % 2
    ratings = replace(
        ratings, times=(1000 + day) * 86_400, values=(ratings.values * 0.5 + 1 + 1.5 * day).astype(np.float32)
    )
    fitted = QUICK(ratings, sessions=True)
    u, i = ratings.users[:50], ratings.items[:50]
    at = [fitted.score(u, i, np.full(50, d * 86_400)).mean() for d in (1000, 1001)]
    assert at[1] > at[0] + 1
    unseen, now = fitted.score(u, i, np.full(50, 5)), fitted.score(u, i, np.full(50, NOW))
    np.testing.assert_array_equal(unseen, now)  # a day that train never saw is a new session
    np.testing.assert_array_equal(fitted.score(u, i), fitted.score(u, i, np.full(50, UNKNOWN)))
    assert at[0] < fitted.score(u, i).mean() < at[1]
    every = fitted.score_all(u[:3], np.full(3, 1001 * 86_400))
    np.testing.assert_allclose(
        every[1], fitted.score(np.full(50, u[1]), np.arange(50), np.full(50, 1001 * 86_400)), atol=1e-4
    )


def test_compress_keeps_the_scores():
    train, test = battery.parts()
    fitted = QUICK(train, n_sweeps=60, histories=True)
    plain = fitted.compress(12)
    gap = plain.score(test.users, test.items) - fitted.score(test.users, test.items)
    known = (test.users > 0) & (test.items > 0)
    assert np.sqrt(np.mean(gap[known] ** 2)) < 0.06
    assert fitted.thin(7).n_samples == 7


def test_the_lessons_data(data):
    """One rng, few sweeps: the accuracy of ids alone; the full figures are bench's."""
    ratings = Ratings.from_csv(data / "ml-latest-small-2016" / "ratings.csv", y_range=(0.5, 5.0))
    parts = split.lesson(ratings)
    test = parts.test or parts.valid
    fitted = gibbs(parts.train, n_factors=16, n_sweeps=120, noise=0.72, keep=60, rng=0)
    assert np.mean((fitted.score(test.users, test.items) - test.values) ** 2) < 0.742
