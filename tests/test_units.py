"""The ratings' scale is no setting: whatever they are multiplied by or moved by, the same error, scaled."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbias import datasets, split
from dotbias.errors import DataError
from dotbias.objective import Ridge
from dotbias.ratings import Ratings
from dotbias.solvers._units import Units, units_of
from dotbias.solvers.als import als
from dotbias.solvers.sgd import sgd

FITS = {
    "sgd": partial(sgd, n_factors=8, n_epochs=10),
    "sigmoid": partial(sgd, n_factors=8, n_epochs=10, link="sigmoid"),
    "als": partial(als, n_factors=4, n_epochs=4),
}
every_fit = pytest.mark.parametrize("name", FITS)
PARTS = split.random(datasets.planted(120, 80, n_ratings=3_000, n_factors=3, noise=0.4, rng=7).ratings, test=0.2, rng=0)


def moved(ratings: Ratings, scale: float, offset: float) -> Ratings:
    y_range = None if ratings.y_range is None else tuple(scale * (y + offset) for y in ratings.y_range)
    values = (scale * (ratings.values.astype(float) + offset)).astype(np.float32)
    return replace(ratings, values=values, y_range=y_range)


def error(name: str, scale: float, offset: float) -> float:
    train, test = moved(PARTS.train, scale, offset), moved(PARTS.test, scale, offset)
    scores = FITS[name](train, rng=0).score(test.users, test.items)
    return float(np.sqrt(np.mean((scores - test.values.astype(float)) ** 2)))


@every_fit
@settings(max_examples=12)
@given(st.sampled_from([1e-6, 1e-3, 0.1, 1, 10, 1e4]), st.sampled_from([-100, -3.5, 0, 100, 3000]))
def test_the_error_scales_with_the_ratings(name, scale, offset):
    assert error(name, scale, offset) / scale == pytest.approx(error(name, 1, 0), rel=1e-3)


@every_fit
def test_scores_scale_with_the_ratings(name):
    users, items = PARTS.test.users, PARTS.test.items
    plain = FITS[name](PARTS.train, rng=0).score(users, items)
    other = FITS[name](moved(PARTS.train, 10, 100), rng=0).score(users, items)
    np.testing.assert_allclose(other / 10 - 100, plain, atol=2e-3)


@pytest.mark.parametrize("name", ["sgd", "als"])
@pytest.mark.parametrize("value", [3, 0, -1e6, 0.1])
def test_equal_ratings_are_what_is_answered(name, value):
    train = replace(PARTS.train, values=np.full(len(PARTS.train), value), y_range=None)
    fit = FITS[name](train, rng=0)
    everybody = fit.score_all(np.arange(train.n_users, dtype=np.int32))
    assert np.all(everybody == np.float32(value))
    newcomer = fit.fold_in_user(train.items[:5], train.values[:5] + 1).score()
    assert np.all(np.isfinite(newcomer)) and np.all(newcomer > value)


def test_equal_ratings_under_a_declared_sigmoid():
    train = replace(PARTS.train, values=np.full(len(PARTS.train), 3), y_range=None)
    fit = sgd(train, n_factors=8, link="sigmoid", y_range=(1, 6), rng=0)
    np.testing.assert_allclose(fit.score(train.users, train.items), 3, atol=0.1)


def test_units_are_the_mean_and_the_standard_deviation():
    values = np.random.default_rng(0).normal(1e6, 3, 200_000).astype(np.float32)
    rows = np.zeros(len(values), np.int32)
    units = units_of(replace(PARTS.train, users=rows, items=rows, values=values, times=None, y_range=None))
    assert units == pytest.approx((np.mean(values, dtype=float), np.std(values, dtype=float)), rel=1e-12)
    assert units.inside(units.mean + units.spread) == pytest.approx(1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(bad):
    values = PARTS.train.values.copy()
    values[7] = bad
    with pytest.raises(DataError, match="NaN or infinities"):
        units_of(replace(PARTS.train, values=values, y_range=None))


def test_the_ridge_of_each_link():
    units, ridge = Units(3.0, 2.0), Ridge(1.0, 3.0, 0.1, 0.3)
    assert units.ridge(ridge, "identity") == (1.0, 6.0, 0.1, 0.6)
    assert units.ridge(ridge, "sigmoid") == pytest.approx((4.0, 12.0, 0.4, 1.2))
