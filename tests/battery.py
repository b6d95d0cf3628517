"""What every fitter must satisfy, as plain functions that take one.

    @pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
    def test_battery(check):
        check(partial(als, n_factors=4))

A fitter is any callable ``fit(train, *, valid=None, rng=None) -> Scorer``. The checks use a small world whose truth is
known and fit it a few times: give cheap settings.
"""

import json
from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from dotbias.errors import DotbiasError
from dotbias.evaluation import evaluate
from dotbias.ratings import Ids, Ratings
from dotbias.recommender import Recommender
from dotbias.scorer import Bilinear, FoldsIn, Intervals, Likes, Ranks, Sampled, Scorer, Stars, Stored, offers

COLUMNS = ("users", "items", "values", "times")


def world(rng=0, *, n_users=80, n_items=50, n_ratings=1600, noise=0.4, n_factors=2):
    """Ratings from 1 to 5 of a bilinear world: biases, two tastes and noise; the ids are 10, 11 … and a0, a1 …"""
    rng = np.random.default_rng(rng)
    pairs = rng.choice(n_users * n_items, n_ratings, replace=False)
    users, items = (pairs // n_items).astype(np.int32), (pairs % n_items).astype(np.int32)
    p, q = rng.normal(size=(n_users, n_factors)), rng.normal(size=(n_items, n_factors))
    truth = (
        3 + rng.normal(0, 0.4, n_users)[users] + rng.normal(0, 0.4, n_items)[items] + 0.4 * (p[users] * q[items]).sum(1)
    )
    values = np.clip(truth + rng.normal(0, noise, n_ratings), 1, 5).astype(np.float32)
    times = rng.integers(1_000_000_000, 1_100_000_000, n_ratings)
    titles = pl.DataFrame({"id": [f"a{i}" for i in range(n_items)], "title": [f"Item {i}" for i in range(n_items)]})
    return Ratings(
        users,
        items,
        values,
        times,
        Ids(range(10, 10 + n_users)),
        Ids(f"a{i}" for i in range(n_items)),
        item_table=titles,
        y_range=(1.0, 5.0),
    )


def parts(rng=0, **options):
    """Train and test of a world: user row 0 and item row 0 are cold, without a rating in train."""
    ratings = world(rng, **options)
    held = (np.random.default_rng(1).random(len(ratings)) < 0.2) | (ratings.users == 0) | (ratings.items == 0)
    cold = (ratings.users == 0) | (ratings.items == 0)
    return ratings.take(~held), replace(ratings, cold=cold).take(held)


def scores_are_whole(fit):
    """float32, one per pair, finite, within the scale; for cold rows and for no rows, too."""
    train, test = parts()
    scorer = fit(train)
    assert offers(scorer, Scorer) and offers(scorer, Ranks)
    scores = scorer.score(test.users, test.items)
    assert scores.shape == (len(test),) and scores.dtype == np.float32
    assert np.isfinite(scores).all() and scores.min() >= 1 and scores.max() <= 5
    assert scorer.score(test.users[:0], test.items[:0]).shape == (0,)
    assert scorer.score_all(test.users[:0]).shape == (0, train.n_items)


def score_agrees_with_score_all(fit):
    """The two ways to ask give one answer, whoever else is asked about."""
    train, test = parts()
    scorer = fit(train)
    users = np.array([0, 3, 3, 7], np.int32)
    every = scorer.score_all(users)
    assert every.shape == (4, train.n_items)
    items = np.arange(train.n_items, dtype=np.int32)
    for k, user in enumerate(users):
        np.testing.assert_allclose(every[k], scorer.score(np.full(len(items), user, np.int32), items), atol=2e-5)
    alone = [float(scorer.score(test.users[[j]], test.items[[j]])[0]) for j in range(5)]
    np.testing.assert_allclose(alone, scorer.score(test.users, test.items)[:5], atol=2e-5)


def times_are_taken(fit):
    """Times may always be passed; a day unseen in training has no effect of its own."""
    train, test = parts()
    scores = fit(train).score(test.users, test.items, test.times)
    assert scores.shape == (len(test),) and np.isfinite(scores).all()


def same_rng_same_bits(fit):
    """Same data, same rng: the same bits."""
    train, test = parts()
    first, second = (fit(train, rng=7).score(test.users, test.items) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def leaves_its_data_alone(fit):
    """Fitting changes nothing in train or valid, and takes a valid."""
    train, test = parts()
    before = [(getattr(r, c).copy()) for r in (train, test) for c in COLUMNS]
    fit(train, valid=test, rng=0)
    after = [getattr(r, c) for r in (train, test) for c in COLUMNS]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def held_out_values_do_not_matter(fit):
    """The scale and everything else come from train: what test holds can leave no trace."""
    train, _ = parts()
    wild = replace(train, y_range=None)
    scores = fit(wild, rng=0).score(np.array([1, 2], np.int32), np.array([1, 2], np.int32))
    low, high = float(train.values.min()), float(train.values.max())
    assert np.all((scores >= low - 0.5) & (scores <= high + 0.5))


def beats_the_mean(fit):
    """On a world with biases and tastes, better than the mean rating."""
    train, test = parts()
    report = evaluate(fit(train, rng=0), test, train=train, n_resamples=50)
    constant = np.sqrt(np.mean((test.values - train.values.mean()) ** 2))
    assert report.rmse < constant, (report.rmse, constant)


def order_of_rows_hardly_matters(fit):
    """Shuffled training rows: scores as close as the fit's own noise (a tenth of a star on average)."""
    train, test = parts()
    shuffled = train.take(np.random.default_rng(3).permutation(len(train)))
    a, b = (fit(t, rng=0).score(test.users, test.items) for t in (train, shuffled))
    assert np.abs(a - b).mean() < 0.1


def small_data_fit(fit):
    """One rating, and two users with one item, are enough for a finite answer."""
    train, _ = parts()
    for n in (1, 3):
        scorer = fit(train.take(np.arange(n)), rng=0)
        scores = scorer.score(np.array([1, 79], np.int32), np.array([1, 49], np.int32))
        assert np.isfinite(scores).all()


def interactions_are_refused(fit):
    """Ratings without numbers, or none at all, are an error that says so."""
    train, _ = parts()
    for bad in (replace(train, values=None), train.take(np.arange(0))):
        try:
            fit(bad)
        except DotbiasError as e:
            assert e.hint
        else:
            raise AssertionError("fitted what holds no ratings")


def survives_the_disk(fit):
    """Saved and loaded, it scores to the bit as before, and recommends the same."""
    train, test = parts()
    before = Recommender(fit(train, rng=0), train)
    with TemporaryDirectory() as folder:
        after = Recommender.load(before.save(f"{folder}/model"))
    a, b = (r.scorer.score(test.users, test.items) for r in (before, after))
    assert a.tobytes() == b.tobytes()
    assert before.recommend(11) == after.recommend(11)
    assert after.train.fingerprint() == train.fingerprint()


def recommends_alike_for_one_and_many(fit):
    """A list for a user is the same alone and among others; JSON takes it; nothing seen, nothing unrated in it."""
    train, _ = parts()
    recommender = Recommender(fit(train, rng=0), train)
    users = [10, 11, 12, 40, 89]
    many = recommender.recommend(users, 5)
    assert list(many) == users
    for user in users:
        alone = recommender.recommend(user, 5)
        assert alone == many[user] and len(alone) == 5
        ids = [r.item_id for r in alone]
        assert not set(ids) & set(recommender.seen(user)) and "a0" not in ids
        assert json.loads(json.dumps(alone)) == [list(r) for r in alone]
        assert [recommender.predict(user, i, times="now").value for i in ids] == [r.score for r in alone]


def offers_what_it_has(fit):
    """Every scorer ranks and says whose rows it knows; what it lists is what it has, and it can be stored."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    assert offers(scorer, Scorer) and offers(scorer, Ranks) and offers(scorer, Stored)
    assert scorer.tables == train.tables and train.extends(scorer.tables)
    has = {Intervals: "interval", Bilinear: "factors", FoldsIn: "fold_in_user", Stars: "star_probabilities"}
    for what, method in has.items():
        assert not offers(scorer, what) or callable(getattr(scorer, method))
    assert len(repr(scorer)) < 200 and "\n" not in repr(scorer)


def ranks_before_the_clip(fit):
    """Ranking nearly agrees with the scores within the scale (a pair's own place in histories is left out of it);
    both ways to ask agree."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    users, items = np.array([3, 7], np.int32), np.arange(train.n_items, dtype=np.int32)
    every = scorer.rank_all(users)
    assert every.shape == (2, train.n_items) and every.dtype == np.float32
    for k, user in enumerate(users):
        np.testing.assert_allclose(every[k], scorer.rank(np.full(len(items), user, np.int32), items), atol=2e-5)
    scores = scorer.score_all(users)
    for rank, score in zip(every, scores, strict=True):
        inside = (score > 1.01) & (score < 4.99)
        assert np.ptp(score[inside]) < 1e-3 or np.corrcoef(rank[inside], score[inside])[0, 1] > 0.95


def intervals_hold_the_guess(fit):
    """Where it knows how sure it is: low <= guess <= high within the scale, wider for a higher level."""
    train, test = parts()
    scorer = fit(train, rng=0)
    if not offers(scorer, Intervals):
        return
    guess = scorer.score(test.users, test.items)
    low, high = scorer.interval(test.users, test.items, level=0.8)
    wide_low, wide_high = scorer.interval(test.users, test.items, level=0.95)
    assert low.dtype == high.dtype == np.float32
    assert np.all(low <= high) and np.all(wide_low <= low) and np.all(high <= wide_high)
    assert low.min() >= 1 and high.max() <= 5
    assert np.mean((low <= guess + 0.5) & (guess - 0.5 <= high)) > 0.95


def stars_are_probabilities(fit):
    """Where it knows stars: rows sum to 1."""
    train, test = parts()
    scorer = fit(train, rng=0)
    if offers(scorer, Stars):
        p = scorer.star_probabilities(test.users, test.items)
        assert p.shape == (len(test), len(scorer.stars)) and np.all(p >= 0)
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)


def likes_are_probabilities(fit):
    """Where it knows how likely a rating reaches a threshold: falling with it, and both ways to ask agree."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    if not offers(scorer, Likes):
        return
    users, items = np.array([0, 3, 7], np.int32), np.arange(train.n_items, dtype=np.int32)
    every = [scorer.p_like_all(users, like) for like in (2.0, 3.0, 4.5)]
    assert all(p.shape == (3, train.n_items) and np.all((p >= 0) & (p <= 1)) for p in every)
    assert np.all(every[0] >= every[1]) and np.all(every[1] >= every[2])
    for k, user in enumerate(users):
        pairs = scorer.p_like(np.full(len(items), user, np.int32), items, 3.0)
        np.testing.assert_allclose(pairs, every[1][k], atol=2e-4)


def factors_are_cheap_and_near(fit):
    """Where it is bilinear: the same Factors each time, which score nearly alike; samples have its shapes."""
    train, test = parts()
    scorer = fit(train, rng=0)
    if not offers(scorer, Bilinear):
        return
    factors = scorer.factors()
    assert factors is scorer.factors() and factors.tables == train.tables
    assert np.abs(factors.score(test.users, test.items) - scorer.score(test.users, test.items)).mean() < 0.15
    if offers(scorer, Sampled):
        draw = next(iter(scorer.draws()))
        assert len(draw.users) == train.n_users and len(draw.items) == train.n_items


def other_tables_are_refused(fit):
    """Rows of other ratings are never read as its own; ratings that extend its tables are."""
    train, test = parts()
    scorer = fit(train, rng=0)
    other = replace(test, user_ids=Ids(range(500, 580)))
    for refused in (
        lambda: evaluate(scorer, other),
        lambda: Recommender(scorer, other),
        lambda: fit(train, valid=other, rng=0),
    ):
        try:
            refused()
        except DotbiasError as e:
            assert "like=" in str(e)
        else:
            raise AssertionError("read rows of other tables as its own")
    grown = replace(test, user_ids=Ids(range(10, 200)), users=np.where(test.users == 3, 150, test.users), cold=None)
    assert np.isfinite(evaluate(scorer, grown, n_resamples=1).rmse)


def newcomers_are_taken(fit):
    """Where it folds in: a newcomer with a known user's history is scored like that user, an empty one as nobody."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    if not offers(scorer, FoldsIn):
        return
    user = int(np.bincount(train.users).argmax())
    at = train.users == user
    part = scorer.fold_in_user(train.items[at], train.values[at])
    scores = part.score()
    assert scores.shape == (train.n_items,) and np.isfinite(scores).all()
    known = scorer.score_all(np.array([user], np.int32))[0]
    assert np.abs(scores - known)[1:].mean() < 0.35
    np.testing.assert_allclose(part.score(np.array([4, 2])), scores[[4, 2]], atol=1e-5)
    assert part.rank().shape == (train.n_items,)
    if offers(part, Intervals):
        low, high = part.interval(level=0.8)
        assert np.all(low <= high) and low.shape == scores.shape
    nobody = scorer.fold_in_user(train.items[:0], train.values[:0]).score()
    np.testing.assert_allclose(nobody, scorer.score_all(np.array([-1], np.int32))[0], atol=0.05)
    item = int(np.bincount(train.items).argmax())
    at = train.items == item
    scores = scorer.fold_in_item(train.users[at], train.values[at]).score(np.arange(1, 20, dtype=np.int32))
    assert scores.shape == (19,) and np.isfinite(scores).all() and scores.min() >= 1 and scores.max() <= 5


CHECKS = (
    scores_are_whole,
    score_agrees_with_score_all,
    times_are_taken,
    same_rng_same_bits,
    leaves_its_data_alone,
    held_out_values_do_not_matter,
    beats_the_mean,
    order_of_rows_hardly_matters,
    small_data_fit,
    interactions_are_refused,
    survives_the_disk,
    recommends_alike_for_one_and_many,
    offers_what_it_has,
    ranks_before_the_clip,
    intervals_hold_the_guess,
    stars_are_probabilities,
    likes_are_probabilities,
    factors_are_cheap_and_near,
    other_tables_are_refused,
    newcomers_are_taken,
)
