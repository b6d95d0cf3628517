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
from dotbias.factors import FoldsIn, Scorer
from dotbias.ratings import Ids, Ratings
from dotbias.recommender import Recommender

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
    assert isinstance(scorer, Scorer)
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
        assert [recommender.predict(user, i).value for i in ids] == [r.score for r in alone]


def newcomers_are_taken(fit):
    """Where it folds in: a newcomer with a known user's history is scored like that user, an empty one as nobody."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    if not isinstance(scorer, FoldsIn):
        return
    user = int(np.bincount(train.users).argmax())
    at = train.users == user
    part = scorer.fold_in_user(train.items[at], train.values[at])
    scores = scorer.score_user(part)
    assert scores.shape == (train.n_items,) and np.isfinite(scores).all()
    known = scorer.score_all(np.array([user], np.int32))[0]
    assert np.abs(scores - known)[1:].mean() < 0.35
    nobody = scorer.score_user(scorer.fold_in_user(train.items[:0], train.values[:0]))
    np.testing.assert_allclose(nobody, scorer.score_all(np.array([-1], np.int32))[0], atol=0.05)
    item = int(np.bincount(train.items).argmax())
    at = train.items == item
    scores = scorer.score_item(scorer.fold_in_item(train.users[at], train.values[at]), np.arange(1, 20, dtype=np.int32))
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
    newcomers_are_taken,
)
