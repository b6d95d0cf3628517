"""What lists are ordered by: against the textbook's formulas, and what recommend then serves."""

import dataclasses
import math

import battery
import numpy as np
import pytest

from dotbias import orders
from dotbias.baselines import bias, mean, popular
from dotbias.errors import DataError, SettingError
from dotbias.evaluation import evaluate
from dotbias.factors import Factors
from dotbias.ratings import Ids
from dotbias.recommender import Recommender
from dotbias.scorer import Likes, Ranks, Scorer, Stars, Timed
from dotbias.solvers import ease

TRAIN, TEST = battery.parts()
USERS = np.array([0, 3, 3, 7], np.int32)


def phi(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def test_below_is_the_normal_distribution_function():
    x = np.linspace(-9, 9, 2001).astype(np.float32)
    exact = np.array([phi(float(v)) for v in x])
    found = orders.below(x)
    assert found.dtype == np.float32 and np.abs(found - exact).max() < 3e-7
    assert (np.diff(found[x < 0]) > 0).all() and (found[x < -6] > 0).all()  # a tail of its own, to the end


def test_liked_is_the_chance_to_like_times_the_chance_to_rate():
    """By hand: ratings regressed on the rank, a normal around it, and Laplace's rule for who rates."""
    scorer = bias(TRAIN)
    z, y = scorer.rank(TRAIN.users, TRAIN.items).astype(float), TRAIN.values.astype(float)
    slope, offset = np.polyfit(z, y, 1)
    sd = np.std(y - offset - slope * z)
    below = TRAIN.values[TRAIN.values < 4].max()
    counts = TRAIN.item_counts
    order = orders.liked(scorer, TRAIN, 4.0)
    found, rank = order.every(USERS), scorer.rank_all(USERS)
    for k in range(len(USERS)):
        for i in (0, 1, 17):
            p = phi((offset + slope * rank[k, i] - (4 + below) / 2) / sd)
            rated = (counts[i] + 1) / ((TRAIN.user_counts > 0).sum() + 2)
            assert found[k, i] == pytest.approx(p * rated, rel=2e-3)
    assert order.words == "how likely they rate it, and give it 4 or more"


@pytest.mark.parametrize("name", orders.ORDERS)
def test_pairs_and_every_agree(name):
    order = orders.ORDERS[name](bias(TRAIN), TRAIN)
    every, items = order.every(USERS), np.arange(TRAIN.n_items)
    for k, user in enumerate(USERS):
        np.testing.assert_allclose(order.pairs(np.full(len(items), user), items), every[k], rtol=1e-5)


def test_a_scale_of_the_scorers_own_changes_nothing():
    """Log-odds, or stars in other units: the regression takes them all."""
    scorer = bias(TRAIN)
    other = dataclasses.replace(
        scorer, mean=10 * scorer.mean - 7, user_bias=10 * scorer.user_bias, item_bias=10 * scorer.item_bias
    )
    one, two = (orders.liked(s, TRAIN).every(USERS) for s in (scorer, other))
    np.testing.assert_allclose(one, two, rtol=1e-3)


def test_where_all_are_guessed_alike_the_most_rated_come_first():
    every = orders.liked(mean(TRAIN), TRAIN).every(USERS)
    assert (np.argsort(-every[0], kind="stable") == np.argsort(-TRAIN.item_counts, kind="stable")).all()


def test_what_says_who_takes_what_is_ordered_by_it():
    scorer = popular(TRAIN, half_life=90)
    order = orders.liked(scorer, TRAIN)
    assert np.array_equal(order.every(USERS), scorer.rank_all(USERS)) and order.words == "how likely they take it"
    clicks = dataclasses.replace(TRAIN, values=None)
    order = orders.liked(bias(TRAIN), clicks)
    assert np.array_equal(order.every(USERS), bias(TRAIN).rank_all(USERS)) and order.words == "how likely they take it"
    assert orders.rating(bias(TRAIN), TRAIN).words == "the predicted rating"


def test_a_model_of_clicks_says_who_rates_what():
    who, scorer, share = ease(TRAIN.as_clicks()), bias(TRAIN), orders.popularity(TRAIN).share
    order = orders.liked(scorer, TRAIN, 4.0, who)
    p = orders.normal_of(scorer, TRAIN, 4.0).likely(scorer.rank_all(USERS))
    chance = who.score_all(USERS) + np.float32(0.01) * share
    np.testing.assert_allclose(order.every(USERS), p * chance, rtol=1e-5)
    users, items = np.array([7, 3, 7]), np.array([1, 2, 3])
    alone = [order.every(np.array([u]))[0, i] for u, i in zip(users, items, strict=True)]
    assert order.pairs(users, items) == pytest.approx(alone, rel=1e-5)
    rec, plain = Recommender(scorer, TRAIN, clicks=who), Recommender(scorer, TRAIN)
    assert rec.recommend(11, 5) != plain.recommend(11, 5)
    assert rec.recommend(11, 5, order="rating") == plain.recommend(11, 5, order="rating")
    asked = {"train": TRAIN, "metrics": ("ndcg@10",), "n_resamples": 0}
    own = evaluate(scorer, TEST, order=lambda s, users: orders.liked(s, TRAIN, None, who).every(users), **asked)
    assert evaluate(scorer, TEST, clicks=who, **asked).values == own.values
    others = dataclasses.replace(TRAIN, user_ids=Ids(range(500, 580)))
    with pytest.raises(DataError, match="number their users or items differently"):
        orders.liked(scorer, others, clicks=who)
    with pytest.raises(DataError, match="number their users or items differently"):
        Recommender(bias(others), others, clicks=who)


def test_a_newcomer_is_folded_into_the_model_of_clicks():
    who, scorer = ease(TRAIN.as_clicks()), bias(TRAIN)
    order, told = orders.liked(scorer, TRAIN, 4.0, who), np.array([3, 9, 20])
    part = scorer.fold_in_user(told, np.full(3, 4.0, np.float32))
    p = order.normal.likely(part.rank())
    share = orders.popularity(TRAIN).share
    chance = who.fold_in_user(told, np.ones(3)).score() + np.float32(0.01) * share
    np.testing.assert_allclose(order.part(part, told), p * chance, rtol=1e-6)
    np.testing.assert_allclose(order.part(part, told[:0]), p * share, rtol=1e-6)


class Five:
    """Five stars, of probabilities that depend on the item and on the time."""

    tables, stars = None, np.array([1.0, 2, 3, 4, 5])
    offers = (Scorer, Ranks, Stars, Timed)

    def star_probabilities(self, users, items, times=None):
        p = np.full((len(users), 5), 0.1)
        p[:, 4] += items / 100
        p[:, 0] += 0.0 if times is None else times / 100
        return p / p.sum(1, keepdims=True)

    def rank(self, users, items, times=None):
        return np.asarray(items, np.float32)

    def rank_all(self, users, times=None):
        return np.tile(np.arange(50, dtype=np.float32), (len(users), 1))

    score, score_all = rank, rank_all


class Quick(Five):
    """The same, all at once."""

    offers = (Scorer, Ranks, Likes, Timed)

    def p_like(self, users, items, like, times=None):
        return self.star_probabilities(users, items, times)[:, self.stars >= like].sum(1)

    def p_like_all(self, users, like, times=None):
        return np.stack(
            [
                self.p_like(np.full(50, u), np.arange(50), like, None if times is None else np.full(50, times[k]))
                for k, u in enumerate(users)
            ]
        )


@pytest.mark.parametrize("times", [None, np.array([1, 2, 3, 4])])
def test_a_scorer_that_knows_stars_is_asked_for_them(times):
    stars, quick = (orders.liked(s(), TRAIN, 4.0) for s in (Five, Quick))
    found = stars.every(USERS, times)
    np.testing.assert_allclose(found, quick.every(USERS, times), rtol=1e-6)
    item, extra = 20, 0 if times is None else 0.02
    p = (0.1 + 0.1 + 0.2) / (0.5 + 0.2 + extra)
    assert found[1, item] == pytest.approx(p * orders.popularity(TRAIN).share[item])
    one = np.array([3]), np.array([item]), None if times is None else np.array([2])
    assert stars.pairs(*one) == quick.pairs(*one) == pytest.approx(found[1, item])


def test_a_newcomer_is_ordered_like_anybody():
    scorer = bias(TRAIN)
    nobody = scorer.fold_in_user(np.zeros(0, np.int64), np.zeros(0))
    order = orders.liked(scorer, TRAIN)
    np.testing.assert_allclose(order.part(nobody, USERS[:0]), order.every(np.array([0]))[0], rtol=1e-5)

    class Knows:
        offers = (Likes,)

        def p_like(self, like, others=None):
            return np.full(50, like / 10)

    np.testing.assert_allclose(
        order.part(Knows(), USERS[:0]), order.like / 10 * orders.popularity(TRAIN).share, rtol=1e-6
    )


def test_no_such_order():
    with pytest.raises(SettingError, match=r"no order 'lked'\.\nHint: did you mean 'liked'"):
        orders.find_order("lked")


def test_a_single_rating_is_enough():
    for n in (1, 2):
        few = TRAIN.take(np.arange(n))
        scorer = Factors(3.0, np.zeros(80), np.zeros(50), np.zeros((80, 0)), np.zeros((50, 0)))
        assert np.isfinite(orders.liked(scorer, few).every(USERS)).all()
