"""What the model learned, against sklearn, brute force, planted truth, and itself turned around."""

import sys
from dataclasses import replace
from statistics import NormalDist

import battery
import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA

from dotbias import interpret
from dotbias.baselines import bias, knn, mean
from dotbias.errors import DataError, SettingError, UnknownIdError
from dotbias.factors import Factors
from dotbias.objective import Objective, Ridge
from dotbias.posterior import Posterior, SessionPosterior, SidePosterior

TRAIN, TEST = battery.parts()  # user row 0 and item row 0 have no rating in train
U, I, K = 80, 50, 4


def model(seed=0, link="sigmoid", k=K):
    rng = np.random.default_rng(seed)
    ub, ib, p, q = (
        rng.normal(0, 0.4, U),
        rng.normal(0, 0.4, I),
        rng.normal(0.1, 0.4, (U, k)),
        rng.normal(0.2, 0.5, (I, k)),
    )
    for x in (ub, ib, p, q):
        x[0] = 0
    return Factors(0.2, ub, ib, p, q, Objective("squared", link, (0.75, 5.25), Ridge(1.0, 2.0), Ridge(1.0, 2.0)))


SIGMOID, PLAIN = model(), model(link="identity")


def turned(f, seed=1):
    """The same model with its factors permuted, sign-flipped and rotated."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(f.n_factors, f.n_factors)))
    q = q[np.random.default_rng(seed).permutation(len(q))] * np.array([1, -1] * (len(q) // 2))
    return replace(f, users=f.users @ q, items=f.items @ q)


def stretched(f):
    """The same model after any invertible change of both sides, and a shift that the biases make good."""
    a = np.random.default_rng(5).normal(size=(f.n_factors, f.n_factors)) + 2 * np.eye(f.n_factors)
    p, q, c = f.users @ a, f.items @ np.linalg.inv(a).T, np.full(f.n_factors, 0.3)
    return replace(f, users=p + c, items=q, item_bias=f.item_bias - q @ c)


# Components ----------------------------------------------------------------------------------------------------


def signed(x):
    """The house's convention: the largest number of each column is positive."""
    return x * np.sign(x[np.abs(x).argmax(axis=0), np.arange(x.shape[1])])


def by_count(f):
    rows = np.argsort(-TRAIN.item_counts, kind="stable")[:30]
    return rows, f.items[rows].astype(np.float64)


def test_components_are_sklearns_over_items():
    rows, x = by_count(SIGMOID)
    pca = PCA(n_components=3, svd_solver="full").fit(x)
    got = interpret.components(SIGMOID, TRAIN, n=3, most_rated=30)
    np.testing.assert_allclose(got.scores, signed(pca.transform(x)), atol=1e-6)
    np.testing.assert_allclose(got.shares, pca.explained_variance_ratio_, atol=1e-6)
    assert got.ids == tuple(f"a{r}" for r in rows) and got.reading == "items"
    assert got.counts == tuple(TRAIN.item_counts[rows].tolist()) and type(got.counts[0]) is int
    assert (np.abs(got.scores).max(axis=0) == got.scores.max(axis=0)).all()  # the largest is positive


def test_the_courses_reading_is_sklearns_on_the_transpose():
    _, x = by_count(SIGMOID)
    pca = PCA(n_components=3, svd_solver="full").fit(x.T)
    got = interpret.course_components(SIGMOID, TRAIN, n=3, most_rated=30)
    np.testing.assert_allclose(got.scores, signed(pca.components_.T), atol=1e-6)
    np.testing.assert_allclose(got.shares, pca.explained_variance_ratio_, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(got.scores, axis=0), 1)
    assert got.reading == "transposed"


def test_components_do_not_depend_on_the_rotation_and_the_courses_do():
    one, two = (interpret.components(f, TRAIN, n=3) for f in (SIGMOID, turned(SIGMOID)))
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-5)
    one, two = (interpret.course_components(f, TRAIN, n=3) for f in (SIGMOID, turned(SIGMOID)))
    assert np.abs(one.scores - two.scores).max() > 0.01  # as its docstring warns


def test_components_as_a_table_and_their_ends():
    parts = interpret.components(SIGMOID, TRAIN, n=2)
    frame = parts.to_frame()
    assert frame.columns == ["id", "title", "count", "component_1", "component_2"] and len(frame) == 49
    up, down = parts.ends(2, n=1)
    assert up == [frame["title"][int(frame["component_2"].arg_max())]]
    assert down == [frame["title"][int(frame["component_2"].arg_min())]]
    with pytest.raises(SettingError, match="component is 3"):
        parts.ends(3)
    with pytest.raises(SettingError, match="at most n=4"):
        interpret.components(SIGMOID, TRAIN, n=5)
    with pytest.raises(SettingError, match="has no factors"):
        interpret.components(bias(TRAIN), TRAIN)


# Canonical form, and a prediction taken apart ------------------------------------------------------------------


@pytest.mark.parametrize("change", [turned, stretched])
def test_the_canonical_form_is_one_for_all_forms_of_a_model(change):
    one, two = (interpret.canonical(f, TRAIN) for f in (SIGMOID, change(SIGMOID)))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_the_canonical_form_is_centred_balanced_and_predicts_the_same():
    c = interpret.canonical(SIGMOID, TRAIN)
    inner = c.mean + c.user_bias[:, None] + c.item_bias + c.users @ c.items.T
    np.testing.assert_allclose(inner, SIGMOID.rank_all(np.arange(U)), atol=1e-5)
    for x in (c.user_bias, c.item_bias, c.users, c.items):
        np.testing.assert_allclose(x[1:].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose((c.users[1:] ** 2).mean(axis=0), (c.items[1:] ** 2).mean(axis=0))
    gram = c.items[1:].T @ c.items[1:]
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)
    assert (np.diff(c.shares) <= 0).all() and c.shares.sum() == pytest.approx(1)
    taste = c.users[1:] @ c.items[1:].T
    first = np.outer(c.users[1:, 0], c.items[1:, 0])
    assert first.var() / taste.var() == pytest.approx(c.shares[0])


@pytest.mark.parametrize("basis", ["components", "factors"])
@pytest.mark.parametrize("f", [SIGMOID, PLAIN, bias(TRAIN), mean(TRAIN), model(k=3), model(k=60)])
def test_terms_sum_to_the_prediction(f, basis):
    for user_id, item_id in ((11, "a3"), (12, "a7"), (10, "a9"), (10, "a0"), (11, "a0")):
        e = interpret.explain(f, TRAIN, user_id=user_id, item_id=item_id, basis=basis)
        row = np.array([user_id - 10]), np.array([int(item_id[1:])])
        assert sum(t.value for t in e.terms) == pytest.approx(e.inner, abs=1e-9)
        assert e.inner == pytest.approx(float(f.rank(*row)[0]), abs=1e-5)
        assert e.score == float(f.score(*row)[0]) == pytest.approx(float(f.squash(np.array([e.inner]))[0]), abs=1e-5)
        assert [t.name for t in e.terms[:3]] == ["mean", "user bias", "item bias"]
        assert all(t.user is None or t.value == pytest.approx(t.user * t.item) for t in e.terms)
    assert e.title == "Item 0" and e.link == f.objective.link and e.y_range == f.objective.y_range


def test_two_forms_of_a_model_give_one_explanation():
    one, two = (interpret.explain(f, TRAIN, user_id=15, item_id="a4") for f in (SIGMOID, stretched(SIGMOID)))
    for a, b in zip(one.terms, two.terms, strict=True):
        assert a.name == b.name and a.value == pytest.approx(b.value, abs=2e-5)
    frame = one.to_frame()
    assert frame.columns == ["name", "value", "user", "item"] and len(frame) == 3 + K
    assert abs(one.strongest(2)[0].value) == pytest.approx(frame["value"][3:].abs().max())


def test_explain_says_what_it_does_not_know():
    with pytest.raises(UnknownIdError, match="999"):
        interpret.explain(SIGMOID, TRAIN, user_id=999, item_id="a4")
    with pytest.raises(SettingError, match="did you mean 'factors'"):
        interpret.explain(SIGMOID, TRAIN, user_id=11, item_id="a4", basis="factor")
    with pytest.raises(SettingError, match="Knn does not support"):
        interpret.explain(knn(TRAIN), TRAIN, user_id=11, item_id="a4")


# Biases --------------------------------------------------------------------------------------------------------


def test_biases_are_the_average_users_view_in_order():
    rows = interpret.item_biases(SIGMOID, TRAIN)
    assert len(rows) == 49 and "a0" not in [r.id for r in rows]
    values = [r.bias for r in rows]
    assert values == sorted(values, reverse=True) and np.mean(values) == pytest.approx(0, abs=1e-6)
    c = interpret.canonical(SIGMOID, TRAIN)
    for r in rows[:5]:
        row = int(r.id[1:])
        assert r.bias == pytest.approx(c.item_bias[row], abs=1e-6)
        assert r.stars == pytest.approx(float(SIGMOID.squash(np.array(c.mean + c.item_bias[row]))), abs=1e-6)
        at = TRAIN.items == row
        assert r.count == at.sum() and r.mean == pytest.approx(TRAIN.values[at].mean(), abs=1e-5)
        assert r.low < r.stars < r.high and r.title == f"Item {row}"
        assert [type(x) for x in r] == [str, str, int, *[float] * 5]
    assert rows.to_frame().columns == ["id", "title", "count", "mean", "bias", "stars", "low", "high"]


@pytest.mark.parametrize("change", [turned, stretched])
def test_the_ranking_does_not_depend_on_the_form_of_the_model(change):
    one, two = (interpret.item_biases(f, TRAIN, level=None) for f in (SIGMOID, change(SIGMOID)))
    assert [r.id for r in one] == [r.id for r in two]
    assert [r.bias for r in one] == pytest.approx([r.bias for r in two], abs=1e-5)


def test_a_bias_corrects_the_raw_mean_for_who_rated():
    """Two items alike; the generous rate one, the strict the other. Their means differ, their biases do not."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40, dtype=np.int32), 8)
    items = np.concatenate([rng.choice(np.arange(2, 12), 7, replace=False) for _ in range(40)]).reshape(40, 7)
    items = np.c_[items, np.arange(40) % 2].astype(np.int32).ravel()  # item 0: even users; item 1: odd ones
    generous = np.where(users % 2 == 0, 0.8, -0.8)
    ratings = replace(
        TRAIN.take(np.arange(0)), users=users, items=items, values=(3 + generous).astype(np.float32), times=None
    )
    found = {r.id: r for r in interpret.item_biases(bias(ratings, reg_bias_once=(0.1, 3)), ratings)}
    assert found["a0"].mean - found["a1"].mean == pytest.approx(1.6)
    assert abs(found["a0"].bias - found["a1"].bias) < 0.25


def test_the_interval_is_the_ridge_posteriors():
    """For a bias model in closed form: noise / sqrt(n + ridge)."""
    scorer = bias(TRAIN, reg_bias_once=3.0)
    z = NormalDist().inv_cdf(0.95)
    for r in interpret.item_biases(scorer, TRAIN, level=0.9, noise=0.5)[10:20]:
        reach = z * 0.5 / np.sqrt(r.count + 3.0)
        assert (r.low, r.high) == pytest.approx((r.stars - reach, r.stars + reach), abs=1e-5)
    assert all(r.low == r.high == r.stars for r in interpret.item_biases(mean(TRAIN), TRAIN))  # it is not free
    assert interpret.item_biases(scorer, TRAIN, level=None)[0].low is None
    with pytest.raises(SettingError, match="level is 95"):
        interpret.item_biases(scorer, TRAIN, level=95)


def test_the_interval_with_factors_is_the_half_steps_covariance():
    row, others = 7, TRAIN.users[TRAIN.items == 7]
    a = np.c_[np.ones(len(others)), PLAIN.users[others]].astype(np.float64)
    covariance = 0.25 * np.linalg.inv(a.T @ a + np.diag([1.0, *[2.0] * K]))
    direction = np.r_[1.0, PLAIN.users[1:].mean(axis=0)]
    reach = NormalDist().inv_cdf(0.975) * np.sqrt(direction @ covariance @ direction)
    found = next(r for r in interpret.item_biases(PLAIN, TRAIN, noise=0.5) if r.id == f"a{row}")
    assert found.high - found.low == pytest.approx(2 * reach, rel=1e-4)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """A world whose item biases come from the prior that the ridge stands for: 95 % of the intervals hold them."""
    rng, inside, n = np.random.default_rng(3), 0, 0
    for _ in range(4):
        users, items = rng.integers(0, U, 2500).astype(np.int32), rng.integers(0, I, 2500).astype(np.int32)
        truth = rng.normal(0, 0.5, I)
        values = (3 + truth[items] + rng.normal(0, 1, 2500)).astype(np.float32)
        ratings = replace(TRAIN, users=users, items=items, values=values, times=None, y_range=(-99.0, 99.0))
        for r in interpret.item_biases(bias(ratings, reg_bias_once=(1e9, 4.0)), ratings):
            inside += r.low <= 3 + truth[int(r.id[1:])] <= r.high
            n += 1
    assert 0.9 < inside / n < 0.99


def test_users_and_interactions():
    rows = interpret.user_biases(SIGMOID, TRAIN, min_ratings=20)
    assert rows[0].id in range(11, 90) and rows[0].title is None and min(r.count for r in rows) >= 20
    row = interpret.item_biases(SIGMOID, replace(TRAIN, values=None))[0]
    assert row.mean is None and row.low is None


def samples(s=40):
    rng = np.random.default_rng(0)
    nothing, more = np.zeros((s, 1, 1 + K), np.float32), {"has_history": False, "shrink": 20, "typical": np.zeros(0)}
    side = SidePosterior((), (), (), nothing[:, :0], nothing, nothing + 1, **more)
    base = PLAIN
    arrays = {n: (getattr(base, n) + rng.normal(0, 0.1, (s, *getattr(base, n).shape))).astype(np.float32)
              for n in ("user_bias", "item_bias", "users", "items")}  # fmt: skip
    nothing = {"user_counts": np.ones(len(base.users), int), "item_counts": np.ones(len(base.items), int),
               "sessions": SessionPosterior.none(s, K)}  # fmt: skip
    stars = {"stars": np.zeros(0), "cutpoints": np.zeros(0), "ordinal": False, "star_noise": 0.5}
    return Posterior(mean=np.full(s, 3.0, np.float32), noise=0.5, fit_noise=np.full(s, 0.5, np.float32),
                     y_range=(1, 5), user_side=side, item_side=side, **arrays, **nothing, **stars)  # fmt: skip


def test_a_posteriors_interval_is_the_spread_of_its_samples():
    posterior = samples()
    rows = interpret.item_biases(posterior, TRAIN)
    draws = []
    for s in range(posterior.n_samples):
        b = posterior.item_bias[s] + posterior.items[s] @ posterior.users[s][1:].mean(axis=0)
        draws.append(b - b[1:].mean())
    for r in rows[20:25]:  # in the middle, where nothing is clipped
        d = np.array(draws)[:, int(r.id[1:])]
        assert r.bias == pytest.approx(d.mean(), abs=1e-4)
        assert r.high - r.low == pytest.approx(2 * 1.96 * d.std(ddof=1), rel=1e-2)
    assert interpret.explain(posterior, TRAIN, user_id=11, item_id="a1").score > 0


# Nearest -------------------------------------------------------------------------------------------------------


def brute(x, row, measure, shrink, counts):
    near = {
        "cosine": x @ x[row] / np.maximum(np.linalg.norm(x, axis=1) * np.linalg.norm(x[row]), 1e-30),
        "dot": x @ x[row],
        "euclidean": -np.linalg.norm(x - x[row], axis=1),
    }[measure] * counts / (counts + shrink + 1e-30)  # fmt: skip
    order = [j for j in np.lexsort((np.arange(len(x)), -near)) if j != row and counts[j] > 0]
    return order, np.abs(near)


@pytest.mark.parametrize(("measure", "shrink", "default"), [("cosine", 10, None), ("cosine", 0, 0), ("dot", 0, None),
                                                            ("dot", 7, 7), ("euclidean", 0, None)])  # fmt: skip
def test_nearest_by_brute_force(measure, shrink, default):
    order, near = brute(SIGMOID.items.astype(np.float64), 7, measure, shrink, TRAIN.item_counts)
    found = interpret.nearest_items(SIGMOID, TRAIN, item_id="a7", n=9, measure=measure, shrink=default)
    assert [f.id for f in found] == [f"a{j}" for j in order[:9]]
    assert [abs(f.similarity) for f in found] == pytest.approx([near[j] for j in order[:9]], abs=1e-5)
    assert found[0].count == TRAIN.item_counts[order[0]] and found.to_frame().columns[0] == "id"
    order, _ = brute(SIGMOID.users.astype(np.float64), 5, measure, shrink, TRAIN.user_counts)
    users = interpret.nearest_users(SIGMOID, TRAIN, user_id=15, n=99, measure=measure, shrink=default)
    assert [f.id for f in users] == [j + 10 for j in order] and len(users) == 78


def test_ties_go_by_row_and_rare_items_can_be_left_out():
    items = np.tile(SIGMOID.items[7], (I, 1))
    same = replace(SIGMOID, items=items)
    found = interpret.nearest_items(same, TRAIN, item_id="a7", n=4, measure="euclidean")
    assert [f.id for f in found] == ["a1", "a2", "a3", "a4"]
    floor = int(np.median(TRAIN.item_counts))
    found = interpret.nearest_items(SIGMOID, TRAIN, item_id="a7", n=99, min_ratings=floor)
    assert found and all(f.count >= floor for f in found)


def test_blocks_give_the_same_answer(monkeypatch):
    whole = interpret.nearest_items(SIGMOID, TRAIN, item_id="a7", measure="euclidean")
    monkeypatch.setattr(sys.modules["dotbias.interpret.nearest"], "BLOCK", 7)
    assert interpret.nearest_items(SIGMOID, TRAIN, item_id="a7", measure="euclidean") == whole


def test_nearest_says_what_it_cannot():
    with pytest.raises(DataError, match="no rating of it"):
        interpret.nearest_items(SIGMOID, TRAIN, item_id="a0")
    with pytest.raises(SettingError, match="did you mean 'cosine'"):
        interpret.nearest_items(SIGMOID, TRAIN, item_id="a1", measure="cosin")
    with pytest.raises(SettingError, match="cannot be shrunk"):
        interpret.nearest_items(SIGMOID, TRAIN, item_id="a1", measure="euclidean", shrink=3)
    with pytest.raises(SettingError, match="has no factors"):
        interpret.nearest_items(bias(TRAIN), TRAIN, item_id="a1")


def test_an_empty_listing_is_a_table_too():
    assert interpret.item_biases(SIGMOID, TRAIN, min_ratings=999).to_frame().equals(pl.DataFrame())
