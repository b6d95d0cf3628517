import json
from dataclasses import replace
from functools import partial

import clicks_battery
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from dotbias.errors import DataError, SettingError
from dotbias.evaluation import evaluate
from dotbias.factors import Factors
from dotbias.objective import Confidence, Objective, Ridge
from dotbias.ratings import Ids, Ratings
from dotbias.recommender import Recommender
from dotbias.solvers import _clicks
from dotbias.solvers import _implicit_kernels as kernels
from dotbias.solvers.implicit_als import ClickAlternation, implicit_als

quick = partial(implicit_als, n_factors=6, n_epochs=8)


@pytest.mark.parametrize("check", clicks_battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(quick)


# What a half-step is ---------------------------------------------------------------------------------------------


@given(st.integers(1, 24), st.integers(0, 2**32), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]))
def test_the_kernels_half_step_is_the_reference_and_least_squares(K, seed, weighted, drawn, power):
    rng, n_items = np.random.default_rng(seed), 200
    n = np.array([3, 0, 1, kernels.SHORT, kernels.SHORT + 2, kernels.PANEL + 5])
    starts = np.concatenate([[0], np.cumsum(n)])
    others = np.concatenate([rng.choice(n_items, k, replace=False) for k in n]).astype(np.int32)
    counts = rng.integers(1, 9, starts[-1]) if weighted else np.ones(starts[-1])
    W = -(-K // 8) * 8
    Q = np.zeros((n_items, W), np.float32)
    Q[:, :K] = rng.normal(0, 0.5, (n_items, K))
    confidence = Confidence(rng.uniform(0.01, 0.5), 0.5, power)
    each = rng.uniform(0.05, 1)
    ridge = Ridge(np.inf, rng.uniform(1, 9), 0.0, each) if power else Ridge(np.inf, each)
    objective = Objective("clicks", user_reg=ridge, confidence=confidence)
    gram = Q[:, :K].T.astype(float) @ Q[:, :K]
    whole = kernels.gram(Q)
    np.testing.assert_allclose(whole[:K, :K], gram, rtol=1e-5, atol=1e-4)
    sizes, vectors = np.linalg.eigh(whole)
    turned, vectors = Q.copy(), vectors.astype(np.float32)
    kernels.turn(turned, vectors)
    np.testing.assert_allclose(turned, Q @ vectors, atol=1e-5)
    base = (confidence.unseen * np.maximum(sizes, 0)).astype(np.float32)
    penalty = np.array([objective.penalty("user", K, k)[1] for k in n], np.float32)
    weights = (np.sqrt(counts) if weighted else np.empty(0)).astype(np.float32)
    shrunk_to = np.zeros((len(n), W), np.float32)
    shrunk_to[:, :K] = rng.normal(0, 0.3, (len(n), K)) * drawn
    for n_steps in (0, 200):
        X, costs = np.full((len(n), W), 0.1, np.float32), np.empty(len(n))
        prior = np.empty((0, W), np.float32) if not drawn else shrunk_to @ vectors
        given_ = starts, others, weights, turned, base, penalty, prior
        kernels.half_step(np.array([0, 2, 2, len(n)]), *given_, X, costs, n_steps, 1e-12)
        for row, k in enumerate(n):
            if not k:
                assert not X[row].any() and not costs[row]
                continue
            at = slice(starts[row], starts[row + 1])
            q, w, lam = Q[others[at], :K].astype(float), np.sqrt(counts[at]), float(penalty[row])
            x = objective.half_step(np.zeros(k), q, counts[at], gram=gram)[1:]
            root = np.sqrt(w)[:, None]
            rows = np.r_[root * q, np.sqrt(confidence.unseen) * Q[:, :K], np.sqrt(lam) * np.eye(K)]
            right = np.r_[root[:, 0], np.zeros(n_items), np.sqrt(lam) * shrunk_to[row, :K]]
            best = np.linalg.lstsq(rows, right, rcond=None)[0]
            if not drawn:
                np.testing.assert_allclose(x, best, atol=1e-6)
            x = best
            np.testing.assert_allclose((vectors @ X[row])[:K], x, atol=2e-4)
            assert costs[row] == pytest.approx(np.sum((right - rows @ x) ** 2), rel=1e-3)


@pytest.mark.parametrize("cg_steps", [0, 2])
@pytest.mark.parametrize("reg_power", [0.0, 0.5, 1.0])
def test_a_known_user_folded_in_is_the_stored_row(cg_steps, reg_power):
    train, _ = clicks_battery.parts()
    train = replace(train, counts=np.random.default_rng(0).integers(1, 9, len(train)))
    fit = implicit_als(train, n_factors=10, n_epochs=3, cg_steps=cg_steps, reg_power=reg_power, reg=0.02, rng=0)
    for user in range(train.n_users):
        at = train.users == user
        part = fit.fold_in_user(train.items[at], train.counts[at])
        np.testing.assert_allclose(part.factors, fit.users[user], atol=2e-5)
        assert part.bias == 0


def cost(fit: Factors, train: Ratings) -> float:
    """What is minimised, pair by pair."""
    o, z = fit.objective, fit.rank_all(np.arange(train.n_users)).astype(float)
    total = o.confidence.unseen * np.sum(z**2)
    total += np.sum((1 - z[train.users, train.items]) ** 2)
    for side, x, n in (("user", fit.users, train.user_counts), ("item", fit.items, train.item_counts)):
        total += sum(o.penalty(side, 1, k)[1] * float(r @ r) for k, r in zip(n, x, strict=True))
    return total


@pytest.mark.parametrize("cg_steps", [0, 3])
def test_every_pass_lowers_the_objective_and_reports_it(cg_steps):
    train, _ = clicks_battery.parts()
    fit = ClickAlternation(train, 5, Confidence(0.1, 0.0, 1.0), 0.01, 7, n_steps=cg_steps)
    costs = []
    for number in range(6):
        reported, f = fit.step(number), fit.factors()
        costs.append(cost(f, train))
        assert reported == pytest.approx(costs[-1] / len(train), rel=1e-3)
    assert all(np.diff(costs) < 0)


def test_conjugate_gradient_ends_where_cholesky_does():
    train, _ = clicks_battery.parts(n_users=300, n_items=200, clicks=40)
    a, b = (implicit_als(train, n_factors=8, n_epochs=30, cg_steps=k, rng=0) for k in (0, 3))
    assert cost(b, train) == pytest.approx(cost(a, train), rel=0.01)


def test_ridge_and_unseen_are_as_the_paper_has_them():
    """Rendle et al. 2021, eq. 6: reg (n + unseen m)^power."""
    train, _ = clicks_battery.parts()
    for power in (0.0, 0.5, 1.0, 2.0):
        o = quick(train, rng=0, n_epochs=1, unseen=0.2, reg=0.03, reg_power=power).objective
        assert o.penalty("user", 2, 7)[1:] == pytest.approx(0.03 * (7 + 0.2 * train.n_items) ** power)
        assert o.penalty("item", 2, 7)[1:] == pytest.approx(0.03 * (7 + 0.2 * train.n_users) ** power)


def test_counts_weigh():
    """A click of count 100 pulls more than one of count 1, unless count_power is 0."""
    train, _ = clicks_battery.parts()
    many = np.where((train.users == 5) & (train.items == train.items[train.users == 5][0]), 100.0, 1.0)
    heavy, pair = replace(train, counts=many), (np.array([5]), train.items[train.users == 5][:1])
    assert quick(heavy, rng=0).rank(*pair) > quick(train, rng=0).rank(*pair) + 0.05
    assert quick(heavy, count_power=0.0, rng=0).rank(*pair) == quick(train, rng=0).rank(*pair)


# What can happen (checkpoints, Ctrl-C: test_passes) ---------------------------------------------------------------


def test_valid_is_watched_by_ndcg_and_chooses_only_when_told():
    train, test = clicks_battery.parts()
    steps = []
    fit = partial(implicit_als, train, n_factors=30, n_epochs=15, reg=1e-5, valid=test, rng=0)
    last, best = fit(progress=steps.append), fit(keep_best=True)
    told = [s.values["valid"] for s in steps]
    for scorer, figure in ((last, told[-1]), (best, max(told))):
        report = evaluate(scorer, test, train=train, metrics=("ndcg@10",), n_resamples=0)
        assert _clicks.ndcg(scorer, train, test) == pytest.approx(figure)
        assert report.values["ndcg@10"] == pytest.approx(figure, rel=0.02)


def test_rows_without_clicks_are_zero():
    train, _ = clicks_battery.parts()
    fit = quick(train, rng=0)
    assert not fit.users[0].any() and not fit.items[0].any() and not fit.user_bias.any()
    assert fit.users[1:].any(1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_factors": 0},
        {"n_epochs": 0},
        {"unseen": 0},
        {"reg": 0},
        {"reg_power": -1},
        {"cg_steps": -1},
        {"keep_best": True},
        {"rng": "seven"},
    ],
    ids=str,
)
def test_bad_settings_are_refused(wrong):
    train, _ = clicks_battery.parts()
    with pytest.raises(SettingError) as e:
        implicit_als(train, **wrong)
    assert next(iter(wrong)) in str(e.value) and e.value.hint


def test_a_valid_of_stars_is_refused():
    train, test = clicks_battery.parts()
    with pytest.raises(DataError, match="valid holds ratings") as e:
        implicit_als(train, valid=replace(test, values=np.ones(len(test))))
    assert "valid.as_clicks(" in e.value.hint


def test_a_world_of_two_groups_is_told_apart():
    users, items = np.divmod(np.arange(40 * 20), 20)
    same = users % 2 == items % 2
    keep = same & (np.random.default_rng(0).random(len(users)) < 0.7)
    clicks = Ratings(users[keep], items[keep], None, None, Ids(range(40)), Ids(range(20)))
    fit = implicit_als(clicks, n_factors=2, rng=0)
    z = fit.rank(users, items)
    assert z[same].min() > z[~same].max()


# Features of items ---------------------------------------------------------------------------------------------------


def with_groups(train):
    """An item table that says each item's group, and a number that says nothing."""
    frame = pl.DataFrame({"id": list(train.item_ids), "group": [f"g{i % 4}" for i in range(train.n_items)]})
    return train.with_item_table(
        frame.with_columns(noise=pl.Series(np.random.default_rng(0).normal(size=train.n_items)))
    )


def test_a_cold_item_stands_where_its_features_put_it():
    train, _ = clicks_battery.parts(n_users=200)
    cold = np.array([0, 5, 10, 15])  # one of each group
    train = with_groups(train.take(~np.isin(train.items, cold)))
    fit = quick(train, rng=0, item_features=("group", "noise"))
    assert not quick(train, rng=0).items[cold].any() and fit.items[cold].any(1).all()
    of_user = np.array([np.bincount(train.items[train.users == u] % 4, minlength=4).argmax() for u in range(1, 200)])
    ranks = fit.rank_all(np.arange(1, 200))[:, cold]
    assert np.mean((cold % 4)[ranks.argmax(1)] == of_user) > 0.9
    model = Recommender(fit, train)
    shown = [r.item_id for r in model.recommend(15, 12, keep_unrated=True)]
    assert set(shown) & {f"a{i}" for i in cold}


def test_items_and_features_lower_one_sum_in_turn():
    train = with_groups(clicks_battery.parts()[0])
    fit = ClickAlternation(train, 5, Confidence(0.1, 0.0, 1.0), 0.01, 7, n_steps=0, columns={"item": ("group",)})
    told = [fit.step(number) for number in range(6)]
    assert all(np.diff(told) < 0)
    x, ridge = fit.said["item"].features.dense().astype(float), fit.said["item"].ridge
    normal = x.T @ (ridge[:, None] * x) + fit.by_item.ridge.mean() * np.eye(4)
    w = np.linalg.solve(normal, x.T @ (ridge[:, None] * fit.items))
    np.testing.assert_allclose(fit.said["item"].of(fit.items), x @ w, atol=1e-5)
    alike = implicit_als(train, n_factors=5, n_epochs=3, item_features=("group",), rng=0)
    for user in (3, 9):
        at = train.users == user
        np.testing.assert_allclose(
            alike.fold_in_user(train.items[at], np.ones(at.sum())).factors, alike.users[user], atol=2e-5
        )


def test_newcomers_begin_where_their_features_put_them_and_clicks_move_them():
    train, _ = clicks_battery.parts(n_users=240)
    of_user = np.array([np.bincount(train.items[train.users == u] % 4, minlength=4).argmax() for u in range(240)])
    cold_users, cold_items = np.array([7, 8, 9, 10]), np.array([0, 5, 10, 15])  # without a click in train
    table = pl.DataFrame({"id": list(train.user_ids), "likes": [f"g{g}" for g in of_user]})
    train = with_groups(train.take(~np.isin(train.items, cold_items) & ~np.isin(train.users, cold_users)))
    train = train.with_user_table(table)
    sides = {"item_features": ("group",), "user_features": ("likes",)}
    fit = quick(train, rng=0, **sides)
    for k, item in enumerate(cold_items):
        told = fit.fold_in_item(np.empty(0, int), np.empty(0), {"group": f"g{k}"})
        np.testing.assert_allclose(told.factors, fit.items[item], atol=1e-4)
        ranks = told.rank()
        assert ranks[of_user == k].mean() > ranks[of_user != k].mean() + 0.1
    for user in cold_users:
        told = fit.fold_in_user(np.empty(0, int), np.empty(0), {"likes": f"g{of_user[user]}"})
        np.testing.assert_allclose(told.factors, fit.users[user], atol=1e-4)
        assert (told.rank().argsort()[::-1][:4] % 4 == of_user[user]).mean() >= 0.75
    for user in (3, 20):  # a known user, folded in with their features, is the stored row; without, another
        at = train.users == user
        given = train.items[at], np.ones(at.sum())
        known = fit.fold_in_user(*given, {"likes": f"g{of_user[user]}"}).factors
        np.testing.assert_allclose(known, fit.users[user], atol=1e-4)
        assert abs(fit.fold_in_user(*given).factors - known).max() > 1e-3
    many = np.flatnonzero(of_user == 2)
    liar = fit.fold_in_item(many, np.ones(len(many)), {"group": "g1"}).rank()
    assert liar[of_user == 2].mean() > liar[of_user == 1].mean()  # clicks say more than features
    with pytest.raises(DataError, match="no value 'g9'"):
        fit.fold_in_item(np.empty(0, int), np.empty(0), {"group": "g9"})
    with pytest.raises(DataError, match="no feature column 'genre'"):
        fit.fold_in_user(np.empty(0, int), np.empty(0), {"genre": "g1"})
    state = fit.state()
    back = Factors.from_state(state.arrays, json.loads(json.dumps(state.settings)), fit.tables)
    for given in ({"group": "g1"}, {}):
        a, b = (f.fold_in_item(many, np.ones(len(many)), given).factors for f in (fit, back))
        np.testing.assert_array_equal(a, b)


def test_users_and_their_features_lower_one_sum_in_turn():
    train = clicks_battery.parts()[0]
    table = pl.DataFrame({"id": list(train.user_ids), "kind": [f"k{u % 3}" for u in range(train.n_users)]})
    columns = {"user": ("kind",), "item": ("group",)}
    given = with_groups(train.with_user_table(table))
    fit = ClickAlternation(given, 5, Confidence(0.1, 0.0, 1.0), 0.01, 7, n_steps=0, columns=columns)
    assert all(np.diff([fit.step(number) for number in range(6)]) < 0)


def test_bits_do_not_hang_on_the_threads_of_blas():
    train, found = clicks_battery.parts()[0], []
    for n in (1, 2):
        with threadpool_limits(n, "blas"):
            found.append(implicit_als(train, n_factors=40, n_epochs=3, rng=0))
    np.testing.assert_array_equal(found[0].users, found[1].users)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no side table"):
        quick(clicks_battery.parts()[0], item_features=("group",))
    with pytest.raises(DataError, match="no column 'genre'"):
        quick(with_groups(clicks_battery.parts()[0]), item_features=("genre",))
