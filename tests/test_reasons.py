"""Why a prediction is what it is: parts and shares that sum, and shares that are the solve's own."""

import dataclasses
import json

import numpy as np
import pytest
import recommender_world as world

from dotbias import als, gibbs, sgd
from dotbias.baselines import bias, knn, mean, popular
from dotbias.errors import DataError, SettingError, UnknownIdError
from dotbias.factors import Factors
from dotbias.objective import Confidence, Objective, Ridge
from dotbias.recommender import Recommender
from dotbias.scorer import Asks, Explains, Ranks, Scorer, offers
from dotbias.shares import step_of
from dotbias.solvers.bpr import bpr
from dotbias.solvers.ease import ease
from dotbias.solvers.implicit_als import implicit_als

TRAIN = world.train()
CLICKS = dataclasses.replace(TRAIN, values=None)
EVERYTHING = {"item_features": ["genres", "minutes", "cast"], "histories": True, "sessions": True}
FITS = {
    "mean": (mean, TRAIN),
    "bias": (bias, TRAIN),
    "knn": (knn, TRAIN),
    "popular": (popular, TRAIN),
    "als": (lambda t: als(t, n_factors=4, n_epochs=30, rng=0), TRAIN),
    "sgd": (lambda t: sgd(t, n_factors=4, rng=0), TRAIN),
    "sigmoid": (lambda t: sgd(t, n_factors=4, link="sigmoid", rng=0), TRAIN),
    "gibbs": (lambda t: gibbs(t, n_factors=3, n_sweeps=60, noise=0.5, rng=0), TRAIN),
    "everything": (lambda t: gibbs(t, n_factors=3, n_sweeps=60, noise=0.5, rng=0, **EVERYTHING), TRAIN),
    "ordinal": (lambda t: gibbs(t, n_factors=3, n_sweeps=60, noise=0.5, ordinal=True, rng=0), world.train()),
    "knn of clicks": (knn, CLICKS),
    "popular of clicks": (popular, CLICKS),
    "ease": (ease, CLICKS),
    "implicit_als": (lambda t: implicit_als(t, n_factors=4, rng=0), CLICKS),
    "bpr": (lambda t: bpr(t, n_factors=4, rng=0), CLICKS),
}
FITS["ordinal"] = (
    FITS["ordinal"][0],
    dataclasses.replace(TRAIN, values=np.round(TRAIN.values)),
)
MADE = {}


def made(name):
    """A Recommender of that fit, made once."""
    if name not in MADE:
        fit, train = FITS[name]
        MADE[name] = Recommender(fit(train), train)
    return MADE[name]


def history(rec, user=12):
    """What a user of train rated, as a newcomer would tell it."""
    seen = rec.seen(user)
    return list(seen) if rec.train.values is None else seen


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("newcomer", [False, True])
def test_parts_and_shares_sum(name, newcomer):
    """Parts sum to the prediction before any clip, as the scorer knows it; shares and the rest to what is personal."""
    rec = made(name)
    who = {"history": history(rec)} if newcomer else {"user": 12}
    found = rec.explain(item="a5", n=3, **who)
    assert found.value == pytest.approx(sum(value for _, value in found.parts), abs=1e-9)
    total = sum(r.share for r in found.because) + found.others + found.rest
    assert total == pytest.approx(found.personal, abs=1e-9)
    asked = {"history": who["history"], "items": "a5"} if newcomer else {"users": 12, "items": "a5"}
    served = rec.predict(**asked)
    assert found.served == (served[0] if newcomer else served).value
    if not name.startswith(("everything", "popular", "ordinal", "gibbs")) and not newcomer:
        assert found.value == pytest.approx(float(rec.scorer.rank(np.array([2]), np.array([5]))[0]), abs=1e-5)
    inside = 1.01 < found.value < 4.99
    if inside and name in ("als", "gibbs", "everything", "bias", "knn"):
        assert found.served == pytest.approx(found.value, abs=1e-5)
    assert json.loads(json.dumps(found.to_dict()))["because"] == [r._asdict() for r in found.because]


@pytest.mark.parametrize("name", ["als", "bias", "knn", "implicit_als", "ease", "knn of clicks"])
def test_where_the_fit_is_the_solve_nothing_is_left_over(name):
    rec = made(name)
    found = rec.explain(12, "a5")
    assert abs(found.rest) < 1e-4
    assert len(found.because) == 5 and all(r.item_id in rec.seen(12) for r in found.because)
    sizes = [abs(r.share) for r in found.because]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] > 0


@pytest.mark.parametrize("name", ["sigmoid", "sgd", "bpr"])
def test_a_newcomers_shares_leave_nothing_over(name):
    """Their row is the half-step's answer, whatever the loss."""
    rec = made(name)
    found = rec.explain(item="a5", history=history(rec))
    assert abs(found.rest) < 1e-4 < abs(found.personal)


def test_a_share_is_linear_in_the_rating():
    """Of a ridge: raising one rating by one raises the prediction by the same step, and that is its share's slope."""
    rec = made("als")
    told = {"a1": 5, "a2": 2, "a3": 3}
    first, second = (rec.explain(item="a5", history={**told, "a2": r}, n=9) for r in (2, 3))
    shares = [{r.item_id: r.share for r in found.because} for found in (first, second)]
    moved = second.value - first.value
    assert shares[1]["a2"] - shares[0]["a2"] == pytest.approx(moved, abs=1e-6) and abs(moved) > 1e-3
    assert shares[1]["a1"] == pytest.approx(shares[0]["a1"], abs=1e-6)


@pytest.mark.parametrize(
    "objective",
    [
        Objective(user_reg=Ridge(1.0, 2.0, 0.1, 0.2)),
        Objective(y_range=(0.5, 5.5), link="sigmoid", user_reg=Ridge(0.4, 0.3)),
        Objective("logistic", "sigmoid", (0.0, 1.0), user_reg=Ridge(0.4, 0.3)),
        Objective("clicks", user_reg=Ridge(1.0, 1.0), confidence=Confidence(0.1, 0.5)),
    ],
    ids=lambda o: f"{o.loss}-{o.link}",
)
def test_what_each_rating_adds_sums_to_the_half_step(objective):
    rng = np.random.default_rng(0)
    q, offset = rng.normal(size=(9, 3)), rng.normal(0, 0.2, 9)
    values = rng.uniform(0.1, 1, 9) if objective.loss == "logistic" else rng.uniform(1, 5, 9)
    more = {"gram": q.T @ q} if objective.confidence else {}
    step = step_of(objective, offset, q, values, **more)
    np.testing.assert_allclose(step.x, objective.half_step(offset, q, values, **more), atol=1e-12)
    np.testing.assert_allclose(step.added.sum(0), step.x, atol=1e-5)


def test_pairs_sum_too():
    rng = np.random.default_rng(1)
    objective = Objective("pairs", "sigmoid", (0.0, 1.0), user_reg=Ridge(0.3, 0.3), negatives=1.0)
    q, clicked = rng.normal(size=(30, 3)), (np.arange(30) < 6).astype(float)
    step = step_of(objective, rng.normal(0, 0.2, 30), q, clicked)
    np.testing.assert_allclose(step.added.sum(0), step.x, atol=1e-4)
    assert not step.added[6:].any() and np.abs(step.x).max() > 0.1


def test_everything_is_named():
    """Features by name, the history and the session, where the model has them."""
    rec = made("everything")
    names = [name for name, _ in rec.explain(12, "a5").parts]
    assert {"mean", "user bias", "item bias", "factors", "history", "session"} <= set(names)
    assert {"genres=Drama", "minutes", "cast=Ann", "cast=B1"} <= set(names) and "genres=Comedy" not in names
    newcomer = [name for name, _ in rec.explain(item="a5", history={"a1": 5}).parts]
    assert "session" not in newcomer and "history" in newcomer


def test_a_posterior_explains_its_own_moments():
    rec = made("everything")
    for times in ("unknown", "now", int(TRAIN.times[TRAIN.users == 2][0])):
        found = rec.explain(12, "a5", times=times)
        when = None if times == "unknown" else np.array([times if isinstance(times, int) else rec_now()])
        m = rec.scorer.moments(np.array([2]), np.array([5]), when)
        assert found.value == pytest.approx(float(m.mean[0]), abs=1e-5)


def rec_now():
    """The constant for now."""
    from dotbias.times import NOW

    return NOW


def test_gibbs_shares_are_nearly_all_of_the_user():
    """What the samples drew around the conditional mean is small."""
    rec = made("gibbs")
    users = [10 + u for u in range(5, 25)]
    found = [rec.explain(u, "a5", n=50) for u in users]
    rests, personal = (np.array([getattr(f, name) for f in found]) for name in ("rest", "personal"))
    spread = rests - rests.mean()  # the prior's mean is the same for all
    assert np.abs(spread).mean() < 0.2 * np.abs(personal - personal.mean()).mean()


def test_of_clicks_there_is_no_rating():
    found = made("ease").explain(12, "a5")
    assert {r.rating for r in found.because} == {None}
    weights = made("ease").scorer.weights
    assert found.because[0].share == pytest.approx(float(weights[:, 4][[int(found.because[0].item_id[1:]) - 1]][0]))


class Odd:
    """Explains nothing."""

    offers, tables = (Scorer, Ranks), TRAIN.tables

    def score(self, users, items, times=None):
        return (3 + 0.01 * np.asarray(users) * np.asarray(items) ** 0.5).astype(np.float32)

    def score_all(self, users, times=None):
        return np.stack([self.score(np.full(50, u), np.arange(50)) for u in users])

    rank, rank_all = score, score_all


def test_a_scorer_that_explains_nothing_is_taken_apart_by_averages():
    found = Recommender(Odd(), TRAIN).explain(12, "a5")
    assert found.value == pytest.approx(found.served, abs=1e-5) and found.because == ()
    assert [name for name, _ in found.parts] == ["mean", "user", "item", "user and item together"]
    assert "no shares" in found.how and found.others == 0 and found.rest == found.personal


def test_who_explains_and_who_asks():
    for name in FITS:
        assert offers(made(name).scorer, Explains)
        assert offers(made(name).scorer, Asks) == (
            name not in ("knn", "popular", "knn of clicks", "popular of clicks", "ease")
        )


# What to ask ------------------------------------------------------------------------------------------------------


def test_gains_are_what_a_solve_with_one_more_rating_takes_away():
    """Brute force: the trace of the covariance before and after."""
    rng = np.random.default_rng(0)
    objective = Objective(user_reg=Ridge(2.0, 3.0))
    f = Factors(
        3.0, rng.normal(size=6), rng.normal(size=9), rng.normal(size=(6, 2)), rng.normal(size=(9, 2)), objective
    )
    weights, told = rng.uniform(0, 1, 9), np.array([1, 4])
    found = f.gains((told, np.array([4.0, 2.0])), np.arange(9), weights, 0.7)
    a = np.c_[np.ones(9), f.items].astype(float)

    def variance(rows):
        c = np.linalg.inv(a[rows].T @ a[rows] + 0.7 * np.linalg.inv(np.cov(np.c_[f.user_bias, f.users].T, bias=True)))
        return float(weights @ np.einsum("ik,kl,il->i", a, c, a))

    before = variance(told)
    np.testing.assert_allclose(found, [1 - variance(np.r_[told, i]) / before for i in range(9)], rtol=1e-5)
    assert np.all((found > 0) & (found < 1))


@pytest.mark.parametrize("name", FITS)
def test_questions(name):
    rec = made(name)
    told = {} if rec.train.values is not None else []
    first = rec.to_ask(told, 5)
    assert len(first) == 5 and rec.to_ask(n=5) == first
    worth = [q.gain * q.chance for q in first]
    assert worth == sorted(worth, reverse=True) and all(0 <= q.gain <= 1 and 0 < q.chance < 1 for q in first)
    assert json.loads(json.dumps(first)) == [list(q) for q in first]
    assert (first.note is None) == offers(rec.scorer, Asks)
    heard = dict.fromkeys([first[0].item_id], 4) if rec.train.values is not None else [first[0].item_id]
    after = rec.to_ask(heard, 50)
    assert first[0].item_id not in [q.item_id for q in after] and "a0" not in [q.item_id for q in after]
    assert len(after) == 48 and "48 of the 50 asked for" in after.note
    if offers(rec.scorer, Asks) and name not in ("mean",):
        assert sum(q.gain for q in after) != pytest.approx(sum(q.gain for q in rec.to_ask(n=50)))


def test_questions_for_a_user_and_by_filters():
    rec = made("als")
    found = rec.to_ask(user=12, n=50)
    assert not set(rec.seen(12)) & {q.item_id for q in found}
    assert [q.item_id for q in rec.to_ask(only=["a3", "a4"], exclude=["a4"])] == ["a3"]
    assert {TRAIN.item_ids.row(q.item_id) % 4 for q in rec.to_ask(where="genres: Film-Noir", n=3)} == {3}
    with pytest.raises(SettingError, match="a user and a history"):
        rec.to_ask({"a1": 4}, user=12)


class Everybody:
    """Who rates what: everybody everything."""

    offers, tables = (Scorer, Ranks), None

    def score(self, users, items, times=None):
        return np.ones(len(users), np.float32)

    def score_all(self, users, times=None):
        return np.ones((len(users), 50), np.float32)

    rank, rank_all = score, score_all


def test_a_chance_of_ones_leaves_the_gain_alone():
    rec = Recommender(made("als").scorer, TRAIN, clicks=Everybody())
    assert {q.chance for q in rec.to_ask(user=12)} == {1.0}
    gains = [q.gain for q in rec.to_ask(user=12, n=49)]
    assert gains == sorted(gains, reverse=True)


@pytest.mark.parametrize(
    ("told", "error", "says"),
    [
        ({"Itm 22 (1972)": 4}, UnknownIdError, r"did you mean 'Item 22 \(1972\)'"),
        ({"a1": 9}, DataError, "the scale is from 1 to 5"),
        ({"a1": float("nan")}, DataError, "give a number"),
        ({"Item 22 (1972)": 4, "a22": 4}, DataError, "names item 'a22' twice"),
        ({f"a{i}": 3 for i in range(100_000)}, DataError, "has 100,000 entries, and train knows 50 items"),
        ([("a1", 4)], SettingError, "the history is a list"),
    ],
)
def test_hostile_histories(told, error, says):
    rec = made("als")
    for ask in (lambda: rec.explain(item="a5", history=told), lambda: rec.to_ask(told)):
        with pytest.raises(error, match=says):
            ask()


def test_hostile_questions():
    rec = made("als")
    with pytest.raises(SettingError, match="neither users nor a history"):
        rec.explain(item="a5")
    with pytest.raises(SettingError, match="users and a history"):
        rec.explain(12, "a5", history={"a1": 3})
    with pytest.raises(UnknownIdError):
        rec.explain(999, "a5")
    with pytest.raises(UnknownIdError):
        rec.explain(12, "zz")
    with pytest.raises(SettingError, match="n is 0"):
        rec.explain(12, "a5", n=0)
    with pytest.raises(SettingError, match="n is -1"):
        rec.to_ask(n=-1)
    nobody = rec.explain(item="a5", history={})
    assert nobody.because == () and nobody.personal == nobody.rest == 0
    told = dict.fromkeys(TRAIN.item_ids, 3)
    assert rec.to_ask(told) == [] and rec.to_ask(told).note.startswith("0 of the 10 asked for")
    assert len(rec.explain(item="a5", history=told).because) == 5


def test_an_item_that_the_user_has_rated_and_one_that_nobody_has():
    rec = made("als")
    seen = next(iter(rec.seen(12)))
    assert rec.explain(12, seen, n=50).because[0].share != 0
    cold = rec.explain(12, "a0")
    assert dict(cold.parts)["item bias"] == 0 and cold.value == pytest.approx(cold.served, abs=1e-5)
