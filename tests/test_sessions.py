"""Sessions: found by user and day, averaged, new; and what a posterior makes of them, against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias.posterior import SessionPosterior
from dotbias.posterior.widths import FEATURES, KNOWN, NEW, factor, row_features
from dotbias.times import DAY, NOW, UNKNOWN, Sessions, filled

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=1, max_size=30)


@given(pairs, pairs)
def test_a_session_is_found_by_user_and_day(train, asked):
    users, days = np.array(train).T
    s = Sessions.of(users, days * DAY + 7)
    found = s.find(*(np.array(asked).T * [[1], [DAY]]))
    order = sorted(set(train))
    assert [(u, d) for u, d in zip(s.users.tolist(), s.days.tolist(), strict=True)] == order
    assert s.counts.tolist() == [train.count(p) for p in order]
    assert found.tolist() == [order.index(p) if p in order else -1 for p in asked]


@given(pairs)
def test_averages_weigh_ratings(train):
    users, days = np.array(train).T
    s = Sessions.of(users, days * DAY)
    x = np.random.default_rng(0).normal(size=(2, len(s.users), 3))
    got = s.average(x, np.array([0, 4, 9]))
    of_rating = x[:, s.find(users, days * DAY)]  # each rating has its session's numbers
    for k, user in enumerate((0, 4, 9)):
        mine = users == user
        expected = of_rating[:, mine].mean(1) if mine.any() else np.zeros((2, 3))
        np.testing.assert_allclose(got[:, k], expected, atol=1e-12)


def test_unknown_times_of_train_are_a_session_and_no_answer():
    s = Sessions.of(np.array([0, 0, 1]), np.array([UNKNOWN, 5, 5]))
    assert s.users.tolist() == [0, 0, 1] and s.days.tolist() == [UNKNOWN, 0, 0]
    assert s.last(np.array([0, 1, 2])).tolist() == [1, 2, -1]
    assert filled(np.array([UNKNOWN, 4, 8])).tolist() == [6, 4, 8] and filled(np.array([UNKNOWN])).tolist() == [0]


def posterior(carry=0.5):
    rng = np.random.default_rng(0)
    sessions = Sessions.of(np.array([0, 0, 0, 1]), np.array([1, 1, 5, 5]) * DAY)
    effects = rng.normal(size=(4, 3, 3)).astype(np.float32)
    return SessionPosterior(sessions, effects, np.full((4, 3), 2.0, np.float32), carry)


def test_given_unknown_and_now():
    p, users = posterior(), np.array([0, 0, 0, 2])
    given_, unknown, now, stranger = p.of(users, np.array([DAY, UNKNOWN, NOW, NOW])).transpose(1, 0, 2)
    np.testing.assert_array_equal(given_, p.effects[:, 0])
    np.testing.assert_allclose(unknown, (2 * p.effects[:, 0] + p.effects[:, 1]) / 3, atol=1e-6)
    np.testing.assert_allclose(now, 0.5 * p.effects[:, 1], atol=1e-6)
    assert not stranger.any()
    np.testing.assert_array_equal(p.of(users[:1], None)[:, 0], unknown)
    np.testing.assert_array_equal(p.of(users[:1], np.array([77 * DAY]))[:, 0], now)  # a day that train never saw


def test_what_is_not_known_spreads():
    p, squares = posterior(), np.ones((4, 3))
    known, unknown, now, stranger = p.spread(np.array([0, 0, 0, 2]), np.array([DAY, UNKNOWN, NOW, NOW]), squares)
    prior = 3 / 2.0
    assert known == 0 and stranger == pytest.approx(prior) and now == pytest.approx(0.75 * prior)
    two = p.effects[:, :2].astype(float)
    weight = np.array([2, 1])[:, None] / 3
    within = ((two**2 * weight).sum(1) - (two * weight).sum(1) ** 2).sum(1).mean()
    assert unknown == pytest.approx(within, rel=1e-5)
    assert p.kinds(np.array([0, 0, 1]), np.array([DAY, UNKNOWN, NOW])).tolist() == [KNOWN, 1, NEW]


def test_kept_and_put_back():
    p = posterior()
    back = SessionPosterior.from_arrays(p.arrays(), {"carry": 0.5})
    assert all(np.array_equal(a, p.arrays()[name]) for name, a in back.arrays().items()) and back.carry == 0.5


def test_a_width_is_the_exponential_of_a_line():
    coefficients = np.arange(6) / 10
    x = row_features(np.array([0, 5]), np.array([3, 0]), np.array([NEW, KNOWN]))
    assert x.shape == (2, len(FEATURES))
    np.testing.assert_allclose(
        np.log(factor(coefficients, np.array([0, 5]), np.array([3, 0]), np.array([NEW, KNOWN]))),
        [0.2 * np.log(4) + 0.3 + 0.5, 0.1 * np.log(6)],
    )
    assert factor(np.zeros(0), np.zeros((2, 1)), np.zeros(3), np.zeros((2, 1))).shape == (2, 3)
