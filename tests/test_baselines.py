from dataclasses import replace
from functools import partial

import battery
import clicks_battery
import numpy as np
import pytest

from dotbias import split
from dotbias.baselines import bias, biases, knn, mean, neighbours
from dotbias.errors import DivergedError, SettingError
from dotbias.metrics import mse
from dotbias.ratings import Ratings

small_knn = partial(knn, n_neighbours=20, shrink=5.0)


@pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("fit", [bias, small_knn], ids=["bias", "knn"])
def test_battery(fit, check):
    if fit is small_knn and check is battery.interactions_are_refused:
        return  # clicks suit it
    check(fit)


NOT_OF_KNN = {clicks_battery.stars_are_refused}  # ratings suit it


@pytest.mark.parametrize("check", [c for c in clicks_battery.CHECKS if c not in NOT_OF_KNN], ids=lambda c: c.__name__)
def test_battery_of_knn_on_clicks(check):
    check(small_knn)


def test_knn_on_clicks_is_the_summed_similarity():
    """Cosine of clicks, shrunk and to a power, summed over the neighbours that the user clicked: by brute force."""
    train, _ = clicks_battery.parts(n_users=20, n_items=9, clicks=3)
    scorer = knn(train, n_neighbours=9, shrink=2.0, amplify=1.5, damping=0.5)
    x = (train.to_csr().toarray() > 0).astype(float)
    common, norms = x.T @ x, np.sqrt(np.maximum(x.sum(0), 1e-12))
    weights = (common / np.outer(norms, norms) * common / (common + 2.0)) ** 1.5
    np.fill_diagonal(weights, 0)
    total = x @ weights
    np.testing.assert_allclose(scorer.rank_all(np.arange(20)), total / (total + 0.5), atol=3e-6)
    counted = knn(replace(train, counts=np.full(len(train), 7)), n_neighbours=9, shrink=2.0, amplify=1.5, damping=0.5)
    np.testing.assert_array_equal(counted.rank_all(np.arange(20)), scorer.rank_all(np.arange(20)))
    mine = train.items[train.users == 3]
    for values in (np.ones(len(mine)), np.full(len(mine), 5.0)):  # how often does not matter
        np.testing.assert_allclose(scorer.fold_in_user(mine, values).rank(), scorer.rank_all([3])[0], atol=3e-6)


NOT_OF_A_MEAN = {
    battery.beats_the_mean,
    battery.newcomers_are_taken,
}  # it is the mean, and listens to nobody


@pytest.mark.parametrize("check", [c for c in battery.CHECKS if c not in NOT_OF_A_MEAN], ids=lambda c: c.__name__)
def test_battery_of_the_mean(check):
    check(mean)


def test_the_mean_is_the_mean_for_everybody_and_for_newcomers():
    train, _ = battery.parts()
    scorer = mean(train)
    assert np.unique(scorer.score_all(np.array([0, 1, -1]))).size == 1
    assert scorer.score(np.array([1]), np.array([1]))[0] == pytest.approx(train.values.mean())
    part = scorer.fold_in_user(np.array([1, 2]), np.array([5.0, 5.0]))
    assert part.bias == 0


@pytest.mark.parametrize(("reg_user", "reg_item"), [(3, 3), (0.5, 20), (0.1, 0.1)])
def test_bias_solves_its_ridge_problem_exactly(reg_user, reg_item):
    train, _ = battery.parts()
    n, n_users, n_items = len(train), train.n_users, train.n_items
    a = np.zeros((n, 1 + n_users + n_items))
    a[:, 0] = 1
    a[np.arange(n), 1 + train.users] = 1
    a[np.arange(n), 1 + n_users + train.items] = 1
    penalty = np.r_[0, np.full(n_users, reg_user), np.full(n_items, reg_item)]
    x = np.linalg.solve(a.T @ a + np.diag(penalty), a.T @ train.values.astype(float))
    fitted = bias(train, reg_bias_once=(reg_user, reg_item))
    np.testing.assert_allclose(np.r_[fitted.mean, fitted.user_bias, fitted.item_bias], x, atol=2e-6)


def test_cold_rows_have_zero_bias_and_reg_0_still_answers():
    train, _ = battery.parts()
    for reg in (0, 3):
        fitted = bias(train, reg_bias_once=reg)
        assert fitted.user_bias[0] == 0 and fitted.item_bias[0] == 0
        assert np.isfinite(fitted.user_bias).all()


def test_a_known_user_folds_in_to_the_stored_row():
    train, _ = battery.parts()
    fitted = bias(train, reg_bias_once=(2, 9))
    for row in (1, 30):
        at = train.users == row
        assert fitted.fold_in_user(train.items[at], train.values[at]).bias == pytest.approx(
            fitted.user_bias[row], abs=1e-5
        )
        at = train.items == row
        assert fitted.fold_in_item(train.users[at], train.values[at]).bias == pytest.approx(
            fitted.item_bias[row], abs=1e-5
        )


def test_settings_that_make_no_sense():
    train, _ = battery.parts()
    for bad in ({"reg_bias_once": -1}, {"reg_bias_once": (1, float("nan"))}):
        with pytest.raises(SettingError, match="must be a finite number"):
            bias(train, **bad)
    for bad in ({"n_neighbours": 0}, {"damping": 0}, {"shrink": -1}):
        with pytest.raises(SettingError):
            knn(train, **bad)


def test_unsolvable_says_so():
    with pytest.raises(DivergedError, match="did not settle"):
        biases._conjugate_gradient(lambda x: np.array([x[0], 2 * x[1]]), np.ones(2), np.ones(2), n_steps=1)


def brute_knn(train, shrink, damping):
    """All neighbours, dense: (U, I) scores before the clip."""
    base = bias(train)
    e = np.zeros((train.n_users, train.n_items))
    e[train.users, train.items] = train.values - base.score(train.users, train.items)
    has = np.zeros_like(e)
    has[train.users, train.items] = 1
    common = has.T @ has
    norms = np.sqrt((e**2).sum(0))
    w = np.maximum(e.T @ e, 0) / np.maximum(np.outer(norms, norms), 1e-12) * common / np.maximum(common + shrink, 1e-12)
    w = w**1.3
    np.fill_diagonal(w, 0)
    return base.score_all(np.arange(train.n_users)) + (e @ w) / (has @ w + damping)


@pytest.mark.parametrize("block", [1 << 22, 64])
def test_knn_is_brute_force_in_any_blocks(monkeypatch, block):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    train, test = battery.parts()
    fitted = knn(train, n_neighbours=1000, shrink=10.0, amplify=1.3, damping=0.2)
    expected = brute_knn(train, 10.0, 0.2)
    np.testing.assert_allclose(fitted.rank_all(np.arange(train.n_users)), expected, atol=1e-4)
    np.testing.assert_allclose(
        fitted.score(test.users, test.items), np.clip(expected, 1, 5)[test.users, test.items], atol=1e-4
    )


def test_knn_keeps_the_strongest_and_never_the_item_itself():
    train, _ = battery.parts()
    few, all_ = knn(train, n_neighbours=5), knn(train, n_neighbours=1000)
    assert few.weights.shape == (train.n_items, 5)
    np.testing.assert_allclose(np.sort(few.weights), np.sort(all_.weights)[:, -5:])
    itself = few.neighbours == np.arange(train.n_items)[:, None]
    assert not few.weights[itself].any()


def test_knn_takes_newcomers_as_it_took_the_known():
    train, _ = battery.parts()
    fitted = knn(train)
    at = train.users == 5
    part = fitted.fold_in_user(train.items[at], train.values[at])
    np.testing.assert_allclose(part.score(), fitted.score_all(np.array([5]))[0], atol=1e-4)
    at = train.items == 5
    users = np.flatnonzero(~np.isin(np.arange(train.n_users), train.users[at]))
    part = fitted.fold_in_item(train.users[at], train.values[at])  # sees itself among its neighbours, so not exact
    known = fitted.score(users, np.full(len(users), 5))
    assert np.corrcoef(part.score(users), known)[0, 1] > 0.9


def test_the_lessons_split(data):
    ratings = Ratings.from_csv(data / "ml-latest-small-2016" / "ratings.csv")
    train, _, test = split.lesson(ratings)
    assert test is not None
    errors = [mse(fit(train).score(test.users, test.items), test.values) for fit in (bias, knn)]
    assert errors[0] < 0.783 and errors[1] < 0.738
