"""What every fitter of clicks must satisfy, as plain functions that take one; those of ``battery`` that suit it, too.

@pytest.mark.parametrize("check", clicks_battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(partial(implicit_als, n_factors=4))
"""

from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np

from dotbias.baselines import popular
from dotbias.errors import DataError, SettingError
from dotbias.evaluation import evaluate
from dotbias.ratings import Ids, Ratings
from dotbias.recommender import Recommender
from dotbias.scorer import FoldsIn, Ranks, Scorer, Stored, offers
from dotbias.solvers import _threads


def world(rng=0, *, n_users=90, n_items=60, clicks=12, n_groups=4):
    """Clicks of a world of groups: users click the items of their own group nine times in ten; ids are 10, 11 … and
    a0, a1 …"""
    rng = np.random.default_rng(rng)
    group, liked = rng.integers(n_groups, size=n_users), np.arange(n_items) % n_groups
    popular = rng.gamma(2.0, size=n_items)
    users, items = [], []
    for u in range(n_users):
        p = popular * np.where(liked == group[u], 0.9, 0.1 / (n_groups - 1))
        items.append(rng.choice(n_items, clicks, replace=False, p=p / p.sum()))
        users.append(np.full(clicks, u))
    ids = Ids(range(10, 10 + n_users)), Ids(f"a{i}" for i in range(n_items))
    return Ratings(np.concatenate(users), np.concatenate(items), None, None, *ids)


def parts(rng=0, **options):
    """Train and test of a world: user row 0 and item row 0 are cold, without a click in train."""
    clicks = world(rng, **options)
    cold = (clicks.users == 0) | (clicks.items == 0)
    held = (np.random.default_rng(1).random(len(clicks)) < 0.25) | cold
    return clicks.take(~held), replace(clicks, cold=cold).take(held)


def arrays(scorer):
    """Everything that a scorer keeps, as bytes by name."""
    return {name: a.tobytes() for name, a in scorer.state().arrays.items()}


def scores_are_whole(fit):
    """float32, one per pair, finite, from 0 to 1; for cold rows and for no rows, too."""
    train, test = parts()
    scorer = fit(train, rng=0)
    assert offers(scorer, Scorer) and offers(scorer, Ranks) and offers(scorer, Stored)
    scores = scorer.score(test.users, test.items)
    assert scores.shape == (len(test),) and scores.dtype == np.float32 and np.isfinite(scores).all()
    assert scores.min() >= 0 and scores.max() <= 1
    rows = np.array([-1, 10_000, 3, 3]), np.array([2, 2, -1, 10_000])
    assert np.isfinite(scorer.score(*rows)).all() and np.isfinite(scorer.rank(*rows)).all()
    assert scorer.score(test.users[:0], test.items[:0]).shape == (0,)
    assert scorer.score_all(test.users[:0]).shape == scorer.rank_all(test.users[:0]).shape == (0, train.n_items)


def ranks_agree(fit):
    """Pairs and whole rows are ranked alike, whoever else is asked about; scores order as ranks do."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    users, items = np.array([0, 3, 3, 7, -1], np.int32), np.arange(train.n_items, dtype=np.int32)
    every, scores = scorer.rank_all(users), scorer.score_all(users)
    assert every.dtype == scores.dtype == np.float32
    for k, user in enumerate(users):
        pairs = np.full(len(items), user, np.int32), items
        np.testing.assert_allclose(every[k], scorer.rank(*pairs), atol=2e-5)
        np.testing.assert_allclose(scores[k], scorer.score(*pairs), atol=2e-5)
        assert np.all(np.diff(scores[k][np.argsort(every[k])]) >= -2e-5)


def same_rng_same_bits_for_any_number_of_threads(fit):
    """Same data, same rng: the same bits, on one thread and on three."""
    train, _ = parts()
    try:
        found = []
        for n in (1, 3, 1):
            _threads.use(n)
            found.append(arrays(fit(train, rng=7)))
    finally:
        _threads.use(0)
    assert found[0] == found[1] == found[2]


def leaves_its_data_alone(fit):
    """Fitting changes nothing in train or valid, and takes a valid."""
    train, test = parts()
    before = [getattr(r, c).copy() for r in (train, test) for c in ("users", "items")]
    fit(train, valid=test, rng=0)
    after = [getattr(r, c) for r in (train, test) for c in ("users", "items")]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def beats_popularity(fit):
    """In a world of groups, better than the most popular items."""
    train, test = parts()
    report = evaluate(fit(train, rng=0), test, train=train, metrics=("ndcg@10",), n_resamples=0)
    most = evaluate(popular(train), test, train=train, metrics=("ndcg@10",), n_resamples=0)
    assert report.values["ndcg@10"] > 1.2 * most.values["ndcg@10"], (report.values, most.values)


def order_of_rows_hardly_matters(fit):
    """Shuffled training rows: nearly the same lists."""
    train, _ = parts()
    shuffled = train.take(np.random.default_rng(3).permutation(len(train)))
    a, b = (np.argsort(-fit(t, rng=0).rank_all(np.arange(1, train.n_users)), axis=1)[:, :10] for t in (train, shuffled))
    shared = np.mean([len(set(x) & set(y)) / 10 for x, y in zip(a, b, strict=True)])
    assert shared > 0.7, shared


def small_data_fit(fit):
    """One click, a user with every item, and an item that everybody clicked are enough for finite answers."""
    train, _ = parts()
    everything = np.r_[np.repeat(5, train.n_items), np.arange(train.n_users)]
    items = np.r_[np.arange(train.n_items), np.repeat(7, train.n_users)]
    pairs = np.unique(np.c_[everything, items], axis=0)
    whole = replace(train.take(np.zeros(len(train), bool)), users=pairs[:, 0], items=pairs[:, 1])
    for clicks in (train.take(np.arange(1)), train.take(np.arange(3)), whole):
        scorer = fit(clicks, rng=0)
        assert np.isfinite(scorer.rank_all(np.arange(train.n_users))).all()


def counts_are_taken(fit):
    """Counts may be there, zeros too; all of 1 are as none."""
    train, _ = parts()
    once = replace(train, counts=np.ones(len(train), np.float32))
    users = np.arange(1, 9)
    np.testing.assert_allclose(fit(train, rng=0).rank_all(users), fit(once, rng=0).rank_all(users), atol=1e-4)
    counts = np.random.default_rng(0).integers(0, 30, len(train))
    assert np.isfinite(fit(replace(train, counts=counts), rng=0).rank_all(users)).all()


def stars_are_refused(fit):
    """Ratings with values are an error that says what would do; as clicks they are taken. So is an empty table."""
    train, _ = parts()
    stars = replace(train, values=np.linspace(1, 5, len(train)))
    for bad in (stars, train.take(np.arange(0))):
        try:
            fit(bad)
        except DataError as e:
            assert e.hint
        else:
            raise AssertionError("fitted what holds no clicks")
    users = np.arange(1, 9)
    assert np.array_equal(fit(stars.as_clicks(), rng=0).rank_all(users), fit(train, rng=0).rank_all(users))
    assert np.isfinite(fit(stars.as_clicks(at_least=4), rng=0).rank_all(users)).all()


def survives_the_disk(fit):
    """Saved and loaded, it ranks to the bit as before, recommends the same, and folds in the same."""
    train, test = parts()
    before = Recommender(fit(train, rng=0), train)
    with TemporaryDirectory() as folder:
        after = Recommender.load(before.save(f"{folder}/model"))
    a, b = (r.scorer.rank(test.users, test.items) for r in (before, after))
    assert a.tobytes() == b.tobytes() and arrays(before.scorer) == arrays(after.scorer)
    assert before.recommend(11) == after.recommend(11)
    assert not offers(before.scorer, FoldsIn) or before.recommend_for({"a3": 1}) == after.recommend_for({"a3": 1})


def nobody_gets_what_is_popular(fit):
    """A user without clicks, and one who is not known at all, are recommended popular items first."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    first = np.argsort(-scorer.rank_all(np.array([0, -1], np.int32)), axis=1)[:, :5].ravel()
    assert train.item_counts[first].min() > np.median(train.item_counts)


def newcomers_are_taken(fit):
    """A newcomer with a known user's clicks is ranked like that user, an empty one as nobody; items likewise."""
    train, _ = parts()
    scorer = fit(train, rng=0)
    if not offers(scorer, FoldsIn):
        return
    for user in (3, 8, 20):
        at = train.users == user
        part = scorer.fold_in_user(train.items[at], np.ones(at.sum(), np.float32))
        rank = part.rank()
        assert rank.shape == (train.n_items,) and rank.dtype == np.float32
        known = scorer.rank_all(np.array([user]))[0]
        assert np.corrcoef(rank, known)[0, 1] > 0.95
        np.testing.assert_allclose(part.rank(np.array([4, 2])), rank[[4, 2]], atol=1e-5)
        np.testing.assert_allclose(part.score(np.array([4, 2])), part.score()[[4, 2]], atol=1e-5)
        assert part.score().min() >= 0 and part.score().max() <= 1
    nobody = scorer.fold_in_user(train.items[:0], np.ones(0, np.float32)).rank()
    np.testing.assert_allclose(nobody, scorer.rank_all(np.array([-1], np.int32))[0], atol=1e-5)
    for item in (3, 8, 20):
        at = train.items == item
        rank = scorer.fold_in_item(train.users[at], np.ones(at.sum(), np.float32)).rank()
        known = scorer.rank(np.arange(train.n_users), np.full(train.n_users, item))
        assert rank.shape == (train.n_users,) and np.corrcoef(rank[1:], known[1:])[0, 1] > 0.8


def bad_settings_are_refused(fit):
    """A setting that it does not have."""
    train, _ = parts()
    try:
        fit(train, n_facotrs=3)
    except SettingError as e:
        assert "n_facotrs" in str(e)
    else:
        raise AssertionError("took a setting that it does not have")


CHECKS = (
    scores_are_whole,
    ranks_agree,
    same_rng_same_bits_for_any_number_of_threads,
    leaves_its_data_alone,
    beats_popularity,
    order_of_rows_hardly_matters,
    small_data_fit,
    counts_are_taken,
    stars_are_refused,
    survives_the_disk,
    nobody_gets_what_is_popular,
    newcomers_are_taken,
    bad_settings_are_refused,
)
