"""The half-step of every loss and link: against closed forms, and against a general minimiser."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from dotbias.errors import SettingError
from dotbias.objective import Confidence, Objective, Ridge, sigmoid


@given(st.floats(-1e4, 1e4))
def test_sigmoid_stays_in_range_and_is_symmetric(z):
    s = sigmoid(np.array([z, -z]))
    assert np.all((s >= 0) & (s <= 1)) and s.sum() == pytest.approx(1)


def test_identity_half_step_is_lstsq():
    rng = np.random.default_rng(0)
    other, offset, values = rng.normal(size=(9, 4)), rng.normal(size=9), rng.normal(size=9)
    objective, weights = Objective(user_reg=Ridge(0.3, 1, 0.1, 0.2), item_reg=Ridge(3, 4)), rng.uniform(0.1, 9, 9)
    for side, penalty in (("user", [1.2, *[2.8] * 4]), ("item", [3, *[4] * 4])):
        for w in (None, weights):
            root = np.ones(9) if w is None else np.sqrt(w)
            a = np.vstack([np.c_[np.ones(9), other] * root[:, None], np.diag(np.sqrt(penalty))])
            expected = np.linalg.lstsq(a, np.r_[(values - offset) * root, np.zeros(5)], rcond=None)[0]
            found = objective.half_step(offset, other, values, side=side, weights=w)
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_infinite_ridge_holds_its_coefficient():
    x = Objective(user_reg=Ridge(3, np.inf)).half_step(np.zeros(2), np.ones((2, 3)), np.array([1.0, 3.0]))
    np.testing.assert_allclose(x, [4 / 5, 0, 0, 0])
    logistic = Objective("logistic", "sigmoid", (0, 1), Ridge(np.inf, 1.0))
    assert logistic.half_step(np.zeros(2), np.ones((2, 1)), np.array([1.0, 1.0]))[0] == 0


def test_half_step_without_penalty_and_with_too_few_ratings_is_the_shortest_answer():
    other, values = np.array([[1.0, 2.0]]), np.array([3.0])
    x = Objective(user_reg=Ridge(0, 0)).half_step(np.zeros(1), other, values)
    np.testing.assert_allclose(x, np.linalg.pinv(np.c_[np.ones(1), other]) @ values, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_sigmoid_half_step_is_the_minimum(seed):
    rng = np.random.default_rng(seed)
    n, k = (3, 12, 30)[seed % 3], (0, 2, 5)[seed // 2]
    other, offset = rng.normal(0, 0.7, (n, k)), rng.normal(0, 0.5, n)
    values, penalty = rng.integers(1, 6, n).astype(float), np.r_[0.5, np.full(k, 1.5)]

    def cost(x):
        return np.sum((values - 5.5 * sigmoid(offset + x[0] + other @ x[1:])) ** 2) + penalty @ x**2

    x = Objective(link="sigmoid", y_range=(0, 5.5), user_reg=Ridge(0.5, 1.5)).half_step(offset, other, values)
    best = minimize(cost, np.zeros(1 + k), method="BFGS", options={"gtol": 1e-8}).fun if seed else cost(x)
    assert cost(x) <= best + 1e-6
    for j in range(1 + k):  # the gradient, by finite differences
        e = np.eye(1 + k)[j] * 1e-5
        assert (cost(x + e) - cost(x - e)) / 2e-5 == pytest.approx(0, abs=2e-3)


def test_sigmoid_half_step_survives_ratings_at_the_asymptotes():
    objective = Objective(link="sigmoid", y_range=(0, 5), user_reg=Ridge(1e-3, 1e-3))
    x = objective.half_step(np.zeros(4), np.ones((4, 1)), np.full(4, 5.0))
    assert np.isfinite(x).all() and 5 * sigmoid(x.sum()) > 4.8


@pytest.mark.parametrize("seed", range(6))
def test_logistic_half_step_is_the_minimum(seed):
    rng = np.random.default_rng(seed)
    n, k = (3, 12, 30)[seed % 3], (0, 2, 5)[seed // 2]
    other, offset, w = rng.normal(0, 0.7, (n, k)), rng.normal(0, 0.5, n), rng.uniform(0.5, 2, n)
    values, penalty = rng.integers(0, 2, n).astype(float), np.r_[0.3, np.full(k, 0.7)]

    def cost(x):
        z = offset + x[0] + other @ x[1:]
        return w @ (np.log1p(np.exp(z)) - values * z) + penalty @ x**2

    x = Objective("logistic", "sigmoid", (0, 1), Ridge(0.3, 0.7)).half_step(offset, other, values, weights=w)
    assert cost(x) <= minimize(cost, np.zeros(1 + k), method="BFGS", options={"gtol": 1e-8}).fun + 1e-7


def test_pull_is_half_the_downhill_gradient():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=20), rng.uniform(0, 1, 20)
    for objective, loss in (
        (Objective(), lambda z: (y - z) ** 2),
        (Objective(link="sigmoid", y_range=(-1, 3)), lambda z: (y + 1 - 4 * sigmoid(z)) ** 2),
        (Objective("logistic", "sigmoid", (0, 1)), lambda z: np.log1p(np.exp(z)) - y * z),
    ):
        slope = (loss(z + 1e-6) - loss(z - 1e-6)) / 2e-6
        np.testing.assert_allclose(objective.pull(z, y), -slope / 2, atol=1e-6)


def test_a_ridge_on_standardised_ratings_is_the_rescaled_one_on_the_ratings():
    rng = np.random.default_rng(0)
    other, y, spread = rng.normal(size=(6, 3)), rng.normal(0, 4, 6), 2.5
    reg = Ridge(0.7, 1.3, 0.1, 0.2)
    standard = Objective(user_reg=reg).half_step(np.zeros(6), other, y / spread)
    here = Objective(user_reg=reg.rescaled(spread)).half_step(np.zeros(6), other * np.sqrt(spread), y)
    np.testing.assert_allclose(here, standard * np.r_[spread, np.full(3, np.sqrt(spread))], rtol=1e-9)


@pytest.mark.parametrize(
    "objective",
    [
        Objective(),
        Objective("logistic", "sigmoid", (0, 1), Ridge(1.5, np.inf, 0.25), Ridge(np.inf, 2.0)),
        Objective(y_range=(-np.inf, 5)),
    ],
)
def test_json_and_back(objective):
    assert Objective.from_json(json.loads(json.dumps(objective.to_json(), allow_nan=False))) == objective


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"link": "tanh"}, "link is 'tanh'"),
        ({"loss": "hinge"}, "loss is 'hinge'"),
        ({"y_range": (5, 1)}, "y_range"),
        ({"link": "sigmoid"}, "no range"),
        ({"loss": "logistic", "y_range": (0, 1)}, "needs the sigmoid"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, match):
    with pytest.raises(SettingError, match=match):
        Objective(**settings)


# Clicks --------------------------------------------------------------------------------------------------------------


def test_half_step_of_clicks_is_least_squares_over_all_pairs():
    """Each click to 1, every pair to 0 with the weight of the unseen (Rendle et al. 2021, eq. 3)."""
    rng = np.random.default_rng(0)
    everyone, counts, reg = rng.normal(size=(30, 4)), np.array([1.0, 4.0, 9.0]), Ridge(np.inf, 1.5, 0.0, 0.2)
    objective = Objective("clicks", user_reg=reg, confidence=Confidence(0.2, 0.5, 2.0))
    root, lam = np.sqrt([1.0, 2.0, 3.0])[:, None], (1.5 + 3 * 0.2) ** 2
    rows = np.r_[root * everyone[:3], np.sqrt(0.2) * everyone, np.sqrt(lam) * np.eye(4)]
    expected = np.linalg.lstsq(rows, np.r_[root[:, 0], np.zeros(34)], rcond=None)[0]
    found = objective.half_step(np.zeros(3), everyone[:3], counts, gram=everyone.T @ everyone)
    np.testing.assert_allclose(found, np.r_[0, expected], rtol=1e-9)
    with pytest.raises(SettingError, match="gram"):
        objective.half_step(np.zeros(3), everyone[:3], counts)
    assert Objective.from_json(json.loads(json.dumps(objective.to_json()))) == objective


@pytest.mark.parametrize("n", [1, 4, 9])
def test_half_step_of_pairs_is_the_minimum(n, monkeypatch):
    rng = np.random.default_rng(n)
    q, b, clicked = rng.normal(size=(10, 3)), rng.normal(size=10), np.arange(10) < n
    objective = Objective("pairs", "sigmoid", (0, 1), Ridge(np.inf, 0.1, 0.0, 0.05), negatives=1.0)

    def cost(p):
        z = b + q @ p
        gaps = z[clicked][:, None] - z[~clicked]
        return np.logaddexp(0, -gaps).mean(1).sum() + (0.1 + 0.05 * 2 * n) * p @ p

    x = objective.half_step(b, q, clicked.astype(float), weights=np.ones(10), count=2 * n)
    assert x[0] == 0 and cost(x[1:]) == pytest.approx(minimize(cost, np.zeros(3)).fun, rel=1e-7)
    monkeypatch.setattr(sys.modules["dotbias.objective"], "MOST_PAIRS", 2 * n)  # a few others stand for all
    near = objective.half_step(b, q, clicked.astype(float), count=2 * n)
    assert np.isfinite(near).all() and (n == 9 or not np.allclose(near, x))


def test_nobody_and_everybody_have_no_pairs():
    objective = Objective("pairs", "sigmoid", (0, 1), Ridge(np.inf, 1.0), negatives=1.0)
    assert not objective.half_step(np.zeros(3), np.ones((3, 2)), np.ones(3)).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "clicks"},
        {"confidence": Confidence()},
        {"loss": "clicks", "confidence": Confidence(), "link": "sigmoid", "y_range": (0, 1)},
        {"loss": "pairs"},
        {"loss": "pairs", "y_range": (0, 1)},
    ],
    ids=str,
)
def test_objectives_of_clicks_that_make_no_sense(wrong):
    with pytest.raises(SettingError):
        Objective(**wrong)
