"""Metrics of probabilities and intervals: by their definitions, and right where the truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias.errors import DataError
from dotbias.metrics import METRICS, Bounds, Guesses, Probabilities, find_metric, r2, transform
from dotbias.metrics.kinds import each

STARS = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def drawn(seed, n=40, concentration=1.0):
    """Random probabilities, and stars drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(5, concentration), n)
    star = np.minimum((rng.random(n)[:, None] > np.cumsum(p, 1)).sum(1), 4)
    return Probabilities(p, STARS, star, rng.random(n))


@given(st.integers(0, 2**32 - 1))
def test_they_are_their_definitions(seed):
    x = drawn(seed)
    own = [x.p[i, s] for i, s in enumerate(x.star)]
    assert METRICS["log_loss"].of(x) == pytest.approx(-np.mean(np.log(own)))
    squares = [
        sum((sum(x.p[i, : k + 1]) - (s <= k)) ** 2 for k in range(4)) for i, s in enumerate(x.star)
    ]  # cumulated probability against the step
    assert METRICS["rps"].of(x) == pytest.approx(np.mean(squares))
    u = transform(x)
    below = [sum(x.p[i, :s]) for i, s in enumerate(x.star)]
    np.testing.assert_allclose(u, np.clip(np.array(below) + x.uniform * own, 0, 1))
    stats = pytest.importorskip("scipy.stats")
    assert METRICS["pit"].of(x) == pytest.approx(stats.kstest(u, "uniform").statistic)


def test_log_loss_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics")
    x = drawn(3)
    assert METRICS["log_loss"].of(x) == pytest.approx(sklearn.log_loss(x.star, x.p, labels=range(5)))


def test_the_transform_is_uniform_for_the_truth_and_not_for_what_is_too_sure():
    x = drawn(1, n=20_000)
    sharp = x.p**2 / (x.p**2).sum(1, keepdims=True)
    assert METRICS["pit"].of(x) < 0.015 < 0.04 < METRICS["pit"].of(x._replace(p=sharp))
    for name in ("log_loss", "rps"):  # proper: the truth scores best
        assert METRICS[name].of(x) < METRICS[name].of(x._replace(p=sharp))


def test_a_star_held_impossible_is_an_error():
    x = Probabilities(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([1.0, 2.0]), np.array([0, 1]), np.zeros(2))
    with pytest.raises(DataError, match="rating 1 is 2, which had the probability 0"):
        METRICS["log_loss"].of(x)
    assert METRICS["rps"].of(x) == pytest.approx((0.25 + 1) / 2)


def test_intervals():
    x = Bounds(np.array([1.0, 2, 3]), np.array([2.0, 3, 5]), np.array([2.0, 3.5, 3]))
    assert METRICS["coverage80"].of(x) == pytest.approx(2 / 3)  # the ends are inside
    assert METRICS["width80"].of(x) == pytest.approx(4 / 3)
    assert METRICS["coverage80"].of(x.take(np.array([False, True, False]))) == 0


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 5)), min_size=2, max_size=30))
def test_r2_is_scikit_learns(pairs):
    sklearn = pytest.importorskip("sklearn.metrics")
    predicted, actual = map(np.array, zip(*pairs, strict=True))
    if actual.std() > 0:
        assert r2(predicted, actual) == pytest.approx(sklearn.r2_score(actual, predicted))
    else:
        assert math.isnan(r2(predicted, actual))


def test_nothing_to_measure():
    none = np.zeros(0)
    assert math.isnan(METRICS["rmse"].of(Guesses(none, none)))
    assert math.isnan(METRICS["rps"].of(drawn(0).take(np.zeros(40, bool))))
    assert math.isnan(METRICS["pit"].of(drawn(0).take(np.zeros(40, bool))))
    with pytest.raises(DataError, match="no ratings to compare"):
        r2(none, none)


def test_what_does_not_count_weighs_nothing():
    found = each(np.array([1.0, math.nan, 3.0]))
    assert found.values.tolist() == [1, 0, 3] and found.counts.tolist() == [1, 0, 1]
    assert find_metric("mae").of(Guesses(np.array([1.0, 2]), np.array([2.0, 4]))) == 1.5
