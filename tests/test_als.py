from dataclasses import replace
from functools import partial

import battery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias import datasets, split
from dotbias.errors import DotbiasError, SettingError
from dotbias.objective import Objective, Ridge
from dotbias.ratings import Ids, Ratings
from dotbias.solvers import _als_kernels as kernels
from dotbias.solvers.als import Alternation, als

quick = partial(als, n_factors=4, n_epochs=8, reg=0.05, reg_bias=0.02)


@pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(quick)


# What a half-step is ---------------------------------------------------------------------------------------------


@given(st.integers(1, 24), st.integers(0, 2**32))
def test_the_kernels_half_step_is_the_reference_and_least_squares(K, seed):
    rng = np.random.default_rng(seed)
    counts, n_items = np.array([3, 0, 1, kernels.PANEL, 2 * kernels.PANEL + 7]), 40
    starts = np.concatenate([[0], np.cumsum(counts)])
    others, values = (
        rng.integers(n_items, size=starts[-1], dtype=np.int32),
        rng.normal(0, 1, starts[-1]).astype(np.float32),
    )
    Q = np.zeros((n_items, -(-(K + 2) // 8) * 8), np.float32)
    Q[:, 0], Q[:, 1 : K + 1] = 1, rng.normal(0, 0.5, (n_items, K))
    bias = rng.normal(0, 0.3, n_items).astype(np.float32)
    ridge = Ridge(*rng.uniform(0.05, 2, 2), *rng.uniform(0, 0.3, 2))
    once = ridge.diagonal(K, 0)
    each = ridge.diagonal(K, 1) - once
    X, x_bias, squares = np.full((5, Q.shape[1]), 9, np.float32), np.full(5, 9, np.float32), np.empty(5)
    cuts = np.array([0, 2, 2, 5])
    kernels.half_step(cuts, starts, others, values, Q, bias, once, each, X, x_bias, squares)
    for row, n in enumerate(counts):
        if not n:
            assert not X[row].any() and not x_bias[row]
            continue
        at = slice(starts[row], starts[row + 1])
        offset, q, y = bias[others[at]].astype(float), Q[others[at], 1 : K + 1], values[at].astype(float)
        full = once + n * each
        x = Objective(user_reg=ridge).half_step(offset, q, y)
        a = np.c_[np.ones(n), q]
        stacked = np.linalg.lstsq(np.r_[a, np.diag(np.sqrt(full))], np.r_[y - offset, np.zeros(K + 1)], rcond=None)[0]
        np.testing.assert_allclose(x, stacked, atol=1e-8)
        np.testing.assert_allclose(np.r_[x_bias[row], X[row, 1 : K + 1]], x, atol=1e-5)
        assert X[row, 0] == 1 and not X[row, K + 1 :].any()
        assert squares[row] == pytest.approx(np.sum((y - offset - a @ x) ** 2), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("ridge", [(4.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.1, 0.08), (2.0, 3.0, 0.01, 0.05)])
@pytest.mark.parametrize("scale,offset", [(1, 0), (20, -7), (1e-3, 100)])
def test_a_known_user_folded_in_is_the_stored_row(world, ridge, scale, offset):
    r = replace(world.ratings, values=scale * world.ratings.values, y_range=None)
    r = replace(r, values=r.values + np.float32(offset) * scale)
    settings = dict(zip(("reg_bias_once", "reg_once", "reg_bias", "reg"), ridge, strict=True))
    fit = als(r, n_factors=12, n_epochs=4, rng=0, **settings)
    spread = np.std(r.values, dtype=float)
    once, each = (ridge[0], ridge[1] * spread), (ridge[2], ridge[3] * spread)
    assert fit.objective.user_reg == fit.objective.item_reg == pytest.approx(Ridge(*once, *each), rel=1e-6)
    for user in range(r.n_users):
        at = r.users == user
        part = fit.fold_in_user(r.items[at], r.values[at])
        assert part.bias == pytest.approx(fit.user_bias[user], abs=1e-5 * spread)
        np.testing.assert_allclose(part.factors, fit.users[user], atol=1e-5 * spread**0.5)


def test_every_pass_lowers_the_objective_and_reports_its_error(world):
    r = replace(world.ratings, values=10 * world.ratings.values, y_range=None)
    fit = Alternation(r, 5, Ridge(0, 0, 0.02, 0.1), 7, y_range=(-np.inf, np.inf))
    objectives = []
    for number in range(6):
        reported, f = fit.step(number), fit.factors()
        squares, reg = np.square(f.score(r.users, r.items) - r.values, dtype=float), f.objective.user_reg
        assert reported == pytest.approx(np.sqrt(squares.mean()), rel=1e-4)
        sides = (f.user_bias, f.users, r.user_counts), (f.item_bias, f.items, r.item_counts)
        ridges = (n @ (reg.bias_each * b**2 + reg.factors_each * (x**2).sum(1)) for b, x, n in sides)
        objectives.append(squares.sum() + sum(ridges))
    assert all(np.diff(objectives) < 0)


def test_the_noise_of_a_planted_world_is_reached():
    world = datasets.planted(
        2000, 400, n_ratings=160_000, n_factors=4, noise=0.5, y_range=None, step=None, times=False, rng=1
    )
    train, _, test = split.random(world.ratings, test=0.1, rng=0)
    fit = als(train, n_factors=4, reg=0.0, rng=0)
    rmse = np.sqrt(np.mean((fit.score(test.users, test.items) - test.values) ** 2))
    assert 0.99 * world.noise < rmse < 1.06 * world.noise


# What can happen (threads: see test_sgd; checkpoints, Ctrl-C: test_passes) ----------------------------------------


def test_rows_without_ratings_are_zero():
    train, _ = battery.parts()
    fit = quick(train, rng=0)
    assert not fit.users[0].any() and not fit.user_bias[0] and not fit.items[0].any() and not fit.item_bias[0]


def test_one_user_who_rated_everything():
    n = 1000
    ratings = Ratings(np.zeros(n, int), np.arange(n), np.linspace(1, 5, n), None, Ids([0]), Ids(range(n)))
    assert np.isfinite(quick(ratings, rng=0).score(ratings.users, ratings.items)).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_factors": 0},
        {"n_epochs": 0},
        {"reg": 0, "reg_once": 0},
        {"reg": float("nan")},
        {"reg_bias": -1},
        {"keep_best": True},
        {"y_range": (5, 5)},
        {"rng": "seven"},
    ],
    ids=str,
)
def test_bad_settings_are_refused(world, wrong):
    with pytest.raises(SettingError) as e:
        als(world.ratings, **wrong)
    assert next(iter(wrong)) in str(e.value) and e.value.hint


def test_bad_ratings_are_refused(world):
    r = world.ratings
    for bad in (r.take(np.arange(0)), replace(r, values=None), replace(r, values=r.values * np.inf, y_range=None)):
        with pytest.raises(DotbiasError):
            als(bad)


def test_the_lessons_split(data):
    train, _, test = split.lesson(datasets.load("ml-latest-small-2016"))
    fit = als(train, rng=0)
    assert np.mean((fit.score(test.users, test.items) - test.values) ** 2) < 0.79
