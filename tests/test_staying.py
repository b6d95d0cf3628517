"""Newcomers that stay: rows equal to fold-in, the old model untouched, whole on disk, for every scorer that keeps."""

import dataclasses
from collections import defaultdict
from functools import partial

import numpy as np
import polars as pl
import pytest
import recommender_world
import torch
from torch import nn

from dotbias import Recommender
from dotbias.baselines import bias, knn, mean, popular
from dotbias.classifier import classifier
from dotbias.errors import DataError, SettingError, UnknownIdError
from dotbias.gradient import fit_dot_bias, fit_net
from dotbias.ids import Ids
from dotbias.module_scorer import ModuleScorer
from dotbias.objective import Objective
from dotbias.ratings import Ratings
from dotbias.scorer import FoldsIn, Intervals, Keeps, Ranks, Scorer, offers
from dotbias.solvers import als, bpr, ease, gibbs, implicit_als, sgd
from dotbias.times import UNKNOWN

GIBBS = partial(gibbs, n_factors=2, n_sweeps=60, keep=30, noise="sampled", rng=0, progress=False)
STARS = {
    "mean": mean,
    "bias": bias,
    "knn": partial(knn, n_neighbours=20),
    "popular": popular,
    "als": partial(als, n_factors=3, rng=0),
    "sgd": partial(sgd, n_factors=3, rng=0),
    "dot_bias": partial(fit_dot_bias, n_factors=3, n_epochs=2, rng=0, progress=False),
    "net": partial(fit_net, n_factors=3, n_epochs=2, rng=0, progress=False),
    "gibbs": GIBBS,
    "gibbs, everything": partial(GIBBS, histories=True, sessions=True, item_features=["genres"]),
}
CLICKS = {
    "knn": partial(knn, n_neighbours=20),
    "popular": popular,
    "implicit_als": partial(implicit_als, n_factors=3, rng=0),
    "bpr": partial(bpr, n_factors=3, n_epochs=3, rng=0),
    "ease": ease,
    "classifier": partial(classifier, n_factors=3, n_epochs=2, rng=0, progress=False),
    "classifier net": partial(classifier, model="net", n_factors=3, n_epochs=2, rng=0, progress=False),
}
TOLD = {"a1": 5.0, "a2": 1.0, "a3": 4.0, "a9": 2.0}
RATERS = {10 + k: 1.0 + k % 5 for k in range(1, 20)}
TRAIN = recommender_world.train()
MODELS: dict[tuple[str, str], Recommender] = {}


def model(kind, name):
    """A fitted Recommender, made once."""
    if (kind, name) not in MODELS:
        train = TRAIN if kind == "stars" else TRAIN.as_clicks()
        MODELS[kind, name] = Recommender((STARS if kind == "stars" else CLICKS)[name](train), train)
    return MODELS[kind, name]


def told(kind, what):
    return what if kind == "stars" else list(what)


EVERY = pytest.mark.parametrize(
    ("kind", "name"), [*(("stars", name) for name in STARS), *(("clicks", name) for name in CLICKS)]
)
OTHERS = defaultdict(lambda: 1e-5, gibbs=1e-3, knn=0.1)  # spread of cold items; residuals of items that moved
SAMPLED = 0.12  # stars: between the mean of a conditional and a mean of 24 draws of it


# Every scorer --------------------------------------------------------------------------------------------------


@EVERY
def test_an_added_user_is_what_the_history_says(kind, name):
    rec = model(kind, name)
    before = rec.recommend_all(3)
    new = rec.add_user(999, told(kind, TOLD))
    answer, guest = new.recommend(999, 5, order="rating"), rec.recommend(history=told(kind, TOLD), n=5, order="rating")
    ids = ["a4", "a5", "a6"]
    mine = [p.value for p in new.predict([999] * 3, ids)]
    theirs = [p.value for p in rec.predict(history=told(kind, TOLD), items=ids)]
    if name.startswith("gibbs"):
        np.testing.assert_allclose(mine, theirs, atol=SAMPLED)
    else:
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
        assert [x.item_id for x in answer] == [x.item_id for x in guest]
    assert not set(TOLD) & {x.item_id for x in new.recommend(999, 40)}
    assert set(new.seen(999)) == set(TOLD) and new.train.n_users == rec.train.n_users + 1
    others = np.arange(80)
    np.testing.assert_allclose(new.scorer.score_all(others), rec.scorer.score_all(others), atol=OTHERS[name[:5]])
    assert rec.recommend_all(3).equals(before) and 999 not in rec.train.user_ids


@EVERY
def test_an_added_item_is_what_its_ratings_say(kind, name):
    rec = model(kind, name)
    new = rec.add_item("z", told(kind, RATERS), title="Zardoz (1974)", features={"genres": "Drama", "minutes": 105})
    users = np.array([40, 41, 42])
    part = rec.scorer.fold_in_item(
        np.array(list(RATERS)) - 10,
        np.array(list(RATERS.values()), np.float32) if kind == "stars" else np.ones(len(RATERS), np.float32),
        {},
    )
    mine = [p.value for p in new.predict((users + 10).tolist(), ["z"] * 3)]
    np.testing.assert_allclose(mine, part.score(users), atol={"gibbs": SAMPLED, "popul": 0.01}.get(name[:5], 1e-5))
    assert new.find_item("zardoz") == "z" and new.train.item_table["genres"][-1] == "Drama"
    assert new.recommend(50, 1, only=["z"])[0].title == "Zardoz (1974)"
    assert all(x.item_id != "z" for x in new.recommend(15, 60))  # user 15 rated it


@EVERY
def test_saved_it_answers_the_same(kind, name, tmp_path):
    new = model(kind, name).add_user(999, told(kind, TOLD)).add_item("z", told(kind, RATERS | {999: 4.0}))
    loaded = Recommender.load(new.save(tmp_path / "m"))
    assert loaded.recommend_all(5).equals(new.recommend_all(5))
    assert loaded.predict(999, "z") == new.predict(999, "z")
    assert loaded.n_since_fit == new.n_since_fit == len(TOLD) + len(RATERS) + 1
    assert f"{100 * new.share_since_fit:.2g} % of them since the fit" in repr(loaded)
    again, here = (r.add_user(1000, told(kind, TOLD)).recommend(1000, 5) for r in (loaded, new))
    assert again == here


@EVERY
def test_an_update_counts_every_new_rating(kind, name):
    rec = model(kind, name)
    frame = pl.DataFrame({"user": [999, 999, 15, 998], "item": ["a1", "z", "z", "a1"], "rating": [5.0, 4.0, 2.0, 3.0]})
    new = rec.update(frame if kind == "stars" else frame.drop("rating"))
    assert new.train.n_users == rec.train.n_users + 2 and new.train.n_items == rec.train.n_items + 1
    assert len(new.train) == len(rec.train) + 4 and new.n_since_fit == 4
    assert set(new.seen(999)) == {"a1", "z"} and "z" in new.seen(15)
    assert np.isfinite(new.scorer.score_all(np.arange(new.train.n_users))).all()
    assert new.scorer.tables == new.train.tables
    others, rest = np.delete(np.arange(80), 5), np.delete(np.arange(50), 1)  # a1 has new ratings, too
    now, before = (r.scorer.score_all(others)[:, rest] for r in (new, rec))
    np.testing.assert_allclose(now, before, atol=OTHERS[name[:5]])


@EVERY
def test_it_is_the_same_bits_again(kind, name):
    one, two = (model(kind, name).add_user(999, told(kind, TOLD)).scorer for _ in range(2))
    users = np.arange(81)
    assert one.score_all(users).tobytes() == two.score_all(users).tobytes()


# What is told --------------------------------------------------------------------------------------------------


def test_a_known_users_row_is_the_half_step_on_all_they_rated():
    rec = model("stars", "als")
    new = rec.update(pl.DataFrame({"user": [15], "item": ["a0"], "rating": [5.0]}))  # a0 had no rating
    at = new.train.users == 5
    grown = dataclasses.replace(new.scorer)
    part = grown.fold_in_user(new.train.items[at], new.train.values[at])
    assert part.bias == pytest.approx(new.scorer.user_bias[5], abs=1e-6)
    np.testing.assert_allclose(part.factors, new.scorer.users[5], atol=1e-6)
    others = np.delete(np.arange(80), 5)
    assert new.scorer.users[others].tobytes() == rec.scorer.users[others].tobytes()


def test_a_rating_given_again_takes_the_older_ones_place():
    rec = model("stars", "bias")
    item, old = next(iter(rec.seen(15).items()))
    new = rec.update(pl.DataFrame({"user": [15], "item": [item], "rating": [6.0 - old]}))
    assert new.seen(15)[item] == 6.0 - old and len(new.train) == len(rec.train) and new.n_since_fit == 1


def test_clicks_given_again_are_added_up():
    train = dataclasses.replace(TRAIN.as_clicks(), counts=np.full(len(TRAIN), 2, np.float32))
    rec = Recommender(popular(train), train)
    item = next(iter(rec.seen(15)))
    new = rec.update(pl.DataFrame({"user": [15, 15], "item": [item, "z"], "count": [3.0, 4.0]}))
    assert new.train.counts[-2:].tolist() == [5.0, 4.0] and len(new.train) == len(train) + 1


def test_times_follow_train():
    rec = model("stars", "bias")
    frame = pl.DataFrame({"user": [15], "item": ["z"], "rating": [2.0]})
    assert rec.update(frame).train.times[-1] == UNKNOWN
    assert rec.update(frame.with_columns(time=pl.lit(1_200_000_000, pl.Int64))).train.times[-1] == 1_200_000_000
    plain = Recommender(bias(dataclasses.replace(TRAIN, times=None)), dataclasses.replace(TRAIN, times=None))
    assert plain.update(frame.with_columns(time=pl.lit(1_200_000_000, pl.Int64))).train.times is None


def test_ratings_that_number_otherwise_are_read_by_id():
    rec = model("stars", "als")
    frame = pl.DataFrame({"user": [999, 12], "item": ["a5", "a6"], "rating": [1.0, 5.0]})
    other, like = Ratings.from_frame(frame), Ratings.from_frame(frame, like=TRAIN)
    assert not other.extends(TRAIN.tables)
    a, b = rec.update(other), rec.update(like)
    assert a.train.fingerprint() == b.train.fingerprint() and a.recommend(999, 5) == b.recommend(999, 5)


def test_side_tables_of_new_items_are_kept():
    frame = pl.DataFrame({"user": [12, 13], "item": ["z", "a6"], "rating": [1.0, 5.0]})
    table = pl.DataFrame({"id": ["z"], "title": ["Zardoz (1974)"], "genres": ["Drama"]})
    new = model("stars", "als").update(Ratings.from_frame(frame, like=TRAIN).with_item_table(table))
    assert new.train.item_titles[-1] == "Zardoz (1974)" and new.train.item_titles[7] == "Heat (1995)"
    assert new.recommend(50, 1, only=["z"])[0].title == "Zardoz (1974)"


def test_no_new_ratings_are_no_new_model():
    rec = model("stars", "als")
    assert rec.update(TRAIN.take(np.arange(0))) is rec


def test_the_next_fit_counts_them_in():
    new = model("stars", "als").add_user(999, TOLD)
    refitted = Recommender(STARS["als"](new.train), new.train)
    assert refitted.n_since_fit == 0 and refitted.predict(999, "a4").path == "fitted"


def test_the_scorer_of_clicks_keeps_them_too(tmp_path):
    rec = Recommender(model("stars", "als").scorer, TRAIN, clicks=model("clicks", "ease").scorer)
    new = rec.add_item("z", RATERS).add_user(999, TOLD)
    assert new.clicks.tables == new.train.tables and "z" in [x.item_id for x in new.recommend(999, 50)]
    assert [x.item_id for x in new.recommend(999, 5)] == [
        x.item_id for x in rec.add_item("z", RATERS).recommend(history=TOLD, n=5)
    ]
    assert Recommender.load(new.save(tmp_path / "m")).recommend(999, 5) == new.recommend(999, 5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda r: r.add_user(11, TOLD), DataError, "there already"),
        (lambda r: r.add_user("eleven", TOLD), DataError, "whole numbers"),
        (lambda r: r.add_user(999), DataError, "nothing is known"),
        (lambda r: r.add_user(999, {"a1": 9.0}), DataError, "scale"),
        (lambda r: r.add_user(999, {"b1": 3.0}), UnknownIdError, "b1"),
        (lambda r: r.add_user(999, TOLD, features={"age": 3}), DataError, "no side table"),
        (lambda r: r.add_item("z"), DataError, "nothing is known"),
        (lambda r: r.add_item("z", {7: 3.0}), UnknownIdError, "7"),
        (lambda r: r.add_item("z", {11: 9.0}), DataError, "rating of user 11"),
        (lambda r: r.add_item("z", {11: 3.0}, features={"genre": "Drama"}), DataError, "no column 'genre'"),
        (lambda r: r.add_item("z", {11: 3.0}, features={"minutes": "long"}), DataError, "does not fit"),
        (lambda r: r.add_item("z", [11]), SettingError, "a list"),
        (lambda r: r.update(pl.DataFrame({"user": [11], "item": ["a1"], "rating": [50.0]})), DataError, "scale"),
        (lambda r: r.update(TRAIN.as_clicks()), DataError, "clicks"),
    ],
)
def test_what_cannot_be_meant_is_refused(call, error, words):
    with pytest.raises(error, match=words) as found:
        call(model("stars", "als"))
    assert found.value.hint


def test_a_scorer_that_keeps_nothing_says_so():
    class Constant:
        offers, tables = (Scorer, Ranks), None

        def score(self, users, items, times=None):
            return np.full(len(users), 3, np.float32)

        rank = score

    with pytest.raises(SettingError, match="newcomers that stay"):
        Recommender(Constant(), TRAIN).add_user(999, TOLD)


# Posterior -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def featured():
    """Gibbs with genres, on a world without times: what is rated depends on the genre alone."""
    rng = np.random.default_rng(0)
    genre = rng.integers(0, 2, 61)
    users, items = (x.reshape(-1).astype(np.int32) for x in np.meshgrid(np.arange(80), np.arange(60), indexing="ij"))
    keep = rng.random(len(users)) < 0.3
    users, items = users[keep], items[keep]
    taste = rng.normal(0, 1, 80)
    values = np.clip(3 + taste[users] * (2 * genre[items] - 1) + rng.normal(0, 0.3, len(users)), 1, 5)
    table = pl.DataFrame(
        {"item": range(60), "title": [f"T{i}" for i in range(60)], "genre": np.where(genre[:60], "A", "B")}
    )
    train = Ratings(users, items, values.astype(np.float32), None, Ids(range(80)), Ids(range(60)), item_table=table)
    fit = gibbs(train, n_factors=2, n_sweeps=80, keep=40, item_features=["genre"], rng=0, progress=False)
    return Recommender(fit, train), taste


def test_an_item_without_ratings_is_what_its_features_imply(featured):
    rec, taste = featured
    new = rec.add_item(900, features={"genre": "A"}, title="Nobody's").add_item(901, features={"genre": "B"})
    a, b = (np.array([p.value for p in new.predict(list(range(80)), [item] * 80)]) for item in (900, 901))
    assert np.corrcoef(a - b, taste)[0, 1] > 0.9
    assert new.recommend(3, 1, only=[900], keep_unrated=True)[0].title == "Nobody's"
    with pytest.raises(DataError, match="no value 'C'"):
        rec.add_item(902, features={"genre": "C"})


def test_a_known_users_row_is_a_draw_of_what_their_history_says(featured):
    """In each sample a user's row is drawn around the conditional's mean: over samples the two agree, within noise."""
    rec, _ = featured
    s, items, z = rec.scorer, np.arange(60), []
    for user in range(80):
        at = rec.train.users == user
        if not at.any():
            continue
        part = s.fold_in_user(rec.train.items[at], rec.train.values[at]).part
        theirs = s.mean[:, None] + part.bias[:, None] + s.item_bias + np.einsum("sk,sik->si", part.factors, s.items)
        off = s.samples(np.full(60, user), items) - theirs  # (S, 60)
        z.append(off.mean(0) / (off.std(0) / np.sqrt(len(off) - 1)))
    far = np.abs(np.array(z))
    assert np.mean(far < 4) > 0.99 and np.sqrt(np.mean(far**2)) < 1.5


def test_the_posterior_narrows_with_each_rating(featured):
    rec, _ = featured
    assert offers(rec.scorer, Intervals)
    spreads = []
    for k in (1, 4, 16):
        new = rec.add_user(999, dict.fromkeys(range(k), 3.0))
        spreads.append(float(new.scorer.moments(np.full(30, 80), np.arange(30, 60)).variance.mean()))
    assert spreads[0] > 1.5 * spreads[1] > 2 * spreads[2]  # the calibrated width, another factor, may go either way


def test_the_compressed_rows_are_near_the_samples(featured):
    """The projection is the least squares one: nearly what compressing the grown posterior anew gives."""
    rec, _ = featured
    genre = rec.train.item_table["genre"].to_list()
    new = rec.add_user(999, {i: 4.5 if genre[i] == "A" else 1.5 for i in range(10)}).scorer
    near, items = new.factors(), np.arange(60)
    truth, found = new.rank(np.full(60, 80), items), near.rank(np.full(60, 80), items)
    error = np.sqrt(new.moments(np.full(60, 80), items).variance / new.n_samples)
    assert np.corrcoef(truth, found)[0, 1] > 0.98 and np.abs(found - truth).max() < 5 * error.max()
    assert near.users[:80].tobytes() == rec.scorer.factors().users.tobytes()


def test_new_users_and_new_items_together_are_not_biased(featured):
    """The draws of a new user and a new item are independent: else their product would not average out."""
    rec, _ = featured
    new = rec
    for k in range(6):
        new = new.add_item(900 + k, dict.fromkeys(range(k, k + 3), 3.0)).add_user(
            900 + k, dict.fromkeys(range(k, k + 3), 3.0)
        )
    p, q = new.scorer.users[:, 80:, :2], new.scorer.items[:, 60:, :2]
    p, q = p - p.mean(0), q - q.mean(0)
    together = np.einsum("suk,sik->ui", p, q) / len(p)
    alone = np.sqrt(np.einsum("suk,sik->ui", p**2, q**2) / len(p) ** 2)
    assert abs(together.mean()) < 4 * alone.mean() / 6 + 1e-6 or abs((together / alone).mean()) < 1


def test_sessions_that_are_known_stay_known():
    rec = model("stars", "gibbs, everything")
    at = np.flatnonzero(rec.train.users == 5)
    time = int(rec.train.times[at[0]])
    frame = pl.DataFrame({"user": [15], "item": ["a0"], "rating": [3.0], "time": [time]})
    new = rec.update(frame)
    assert np.isfinite(new.scorer.score(np.array([5, 5]), np.array([3, 0]), np.array([time, UNKNOWN]))).all()
    old, now = (r.predict(15, "a4", times=time).value for r in (rec, new))
    assert abs(old - now) < 0.6


# Modules -------------------------------------------------------------------------------------------------------


class Own(nn.Module):
    """A module of one's own: a distance between two vectors, and a bias."""

    def __init__(self, n_users, n_items):
        super().__init__()
        torch.manual_seed(0)
        self.people, self.level, self.things = (
            nn.Embedding(n_users, 2),
            nn.Embedding(n_users, 1),
            nn.Embedding(n_items, 2),
        )

    def forward(self, users, items):
        return 4 + self.level(users).squeeze(1) - (self.people(users) - self.things(items)).square().sum(1)


class Wrong(Own):
    """One whose users are more than their embeddings."""

    def __init__(self, n_users, n_items):
        super().__init__(n_users, n_items)
        self.register_buffer("age", torch.zeros(n_users))


def made(kind=Own):
    seen = np.ones(80, bool), np.ones(50, bool)
    return ModuleScorer(kind(80, 50), *seen, objective=Objective(), mean=3.0, tables=TRAIN.tables, noise=0.1)


def test_a_module_of_ones_own_folds_in_by_its_forward_pass():
    scorer = made()
    assert offers(scorer, FoldsIn) and offers(scorer, Keeps) and not offers(made(Wrong), FoldsIn)
    items = np.arange(40)
    truth = scorer.score(np.full(50, 7), np.arange(50))
    part = scorer.fold_in_user(items, truth[:40])
    np.testing.assert_allclose(part.score(np.arange(40, 50)), truth[40:], atol=0.15)
    new = Recommender(scorer, TRAIN).add_user(999, TOLD)
    np.testing.assert_allclose(
        new.scorer.score_all(np.array([80]))[0],
        scorer.fold_in_user(np.array([1, 2, 3, 9]), np.array(list(TOLD.values()))).score(),
        atol=1e-5,
    )
    assert new.scorer.score_all(np.arange(80)).tobytes() == scorer.score_all(np.arange(80)).tobytes()


def test_one_row_of_a_net_is_at_a_minimum():
    """No step in any direction makes the penalised cost smaller."""
    scorer = model("stars", "net").scorer
    items, values = np.arange(1, 21), TRAIN.values[:20].astype(np.float64)
    part, prior, frozen = scorer.fold_in_user(items, values), scorer._priors["user"], scorer.frozen["user"]
    given = frozen.given(items)

    def cost(u):
        x = torch.tensor(np.tile(prior.mean + prior.spread @ u, (20, 1)))
        with torch.no_grad():
            return float(((values - frozen.outputs(x, given).numpy()) ** 2).sum() + prior.weight * u @ u)

    u = np.linalg.lstsq(prior.spread, part.vectors - prior.mean, rcond=None)[0]
    best, rng = cost(u), np.random.default_rng(0)
    assert best < cost(0 * u)
    assert all(cost(u + 0.05 * rng.normal(size=len(u))) >= best - 1e-6 for _ in range(50))


def test_nothing_told_is_the_mean_of_the_fitted_rows():
    scorer = model("stars", "net").scorer
    part = scorer.fold_in_user(np.zeros(0, int), np.zeros(0))
    rows = scorer.model.u.weight.detach().numpy()[:80].astype(np.float64)
    np.testing.assert_allclose(part.vectors, rows[rows.any(1)].mean(0), atol=1e-7)


# Items' weights ------------------------------------------------------------------------------------------------


def test_a_new_item_has_the_weights_that_a_fit_would_have_given_it():
    clicks = TRAIN.as_clicks()
    without = clicks.take(clicks.items != 20)
    new = Recommender(ease(without), without).update(clicks.take(clicks.items == 20))
    fitted = ease(clicks)
    at = int(np.searchsorted(fitted.rows, 20))
    mine = new.scorer
    assert mine.rows.tolist() == fitted.rows.tolist()
    np.testing.assert_allclose(mine.weights[:, at], fitted.weights[:, at], atol=2e-4)
    np.testing.assert_allclose(mine.weights[at], fitted.weights[at], atol=2e-4)


def test_factors_are_left_alone():
    before, names = model("stars", "als").scorer, ("user_bias", "item_bias", "users", "items")
    kept = {name: getattr(before, name).copy() for name in names}
    model("stars", "als").add_user(999, TOLD).add_item("z", RATERS)
    assert all(np.array_equal(kept[name], getattr(before, name)) for name in names)
