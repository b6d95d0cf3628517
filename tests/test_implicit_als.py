from dataclasses import replace
from functools import partial

import clicks_battery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias.errors import DataError, SettingError
from dotbias.evaluation import evaluate
from dotbias.factors import Factors
from dotbias.objective import Confidence, Objective, Ridge
from dotbias.ratings import Ids, Ratings
from dotbias.solvers import _clicks
from dotbias.solvers import _implicit_kernels as kernels
from dotbias.solvers.implicit_als import ClickAlternation, implicit_als

quick = partial(implicit_als, n_factors=6, n_epochs=8)


@pytest.mark.parametrize("check", clicks_battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(quick)


# What a half-step is ---------------------------------------------------------------------------------------------


@given(st.integers(1, 24), st.integers(0, 2**32), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]))
def test_the_kernels_half_step_is_the_reference_and_least_squares(K, seed, weighted, power):
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
    for n_steps in (0, 200):
        X, costs = np.full((len(n), W), 0.1, np.float32), np.empty(len(n))
        given_ = starts, others, weights, turned, base, penalty
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
            right = np.r_[root[:, 0], np.zeros(n_items + K)]
            np.testing.assert_allclose(x, np.linalg.lstsq(rows, right, rcond=None)[0], atol=1e-6)
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
    with pytest.raises(DataError, match="valid holds ratings with values") as e:
        implicit_als(train, valid=replace(test, values=np.ones(len(test))))
    assert "valid.as_clicks()" in e.value.hint


def test_a_world_of_two_groups_is_told_apart():
    users, items = np.divmod(np.arange(40 * 20), 20)
    same = users % 2 == items % 2
    keep = same & (np.random.default_rng(0).random(len(users)) < 0.7)
    clicks = Ratings(users[keep], items[keep], None, None, Ids(range(40)), Ids(range(20)))
    fit = implicit_als(clicks, n_factors=2, rng=0)
    z = fit.rank(users, items)
    assert z[same].min() > z[~same].max()
