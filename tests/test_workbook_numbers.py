"""The numbers behind the sheets: the crosstab, the descent, what it must beat, least squares by turns, the defaults."""

import itertools

import numpy as np
import polars as pl
import pytest
import scipy.optimize

from dotbias import steps
from dotbias.datasets import planted
from dotbias.errors import DataError, SettingError
from dotbias.ratings import Ratings
from dotbias.workbook import Settings, _als, _crosstab, _factors, _labels
from dotbias.workbook import _descend as descend
from dotbias.workbook._model_views import deciding

Y_RANGE = (0.5, 5.0)


@pytest.fixture(scope="module")
def table():
    world = planted(40, 30, n_ratings=330, n_factors=2, noise=0.3, odd_titles=True, rng=3).ratings
    return _crosstab.most_rated(world, 7)


def prepared(table, rng=5, share=0.2):
    draws = descend.draw(table.ratings.shape, 3, rng)
    part = descend.parts(table.ratings, draws, share)
    return draws, part, descend.mean_of(table.ratings, part)


def run(table, s, *, n_epochs=30, clip=1e9, rng=5):
    draws, part, mean = prepared(table, rng)
    how = {"mean": mean, "y_range": Y_RANGE, "clip": clip, "n_epochs": n_epochs}
    return descend.descend(table.ratings, part, draws, s, **how)


# The crosstab ---------------------------------------------------------------------------------------------------


def test_the_busiest_by_count_and_of_equals_the_lower_id():
    frame = {"user": [9, 9, 4, 4, 7, 7, 1], "item": [3, 8, 3, 8, 3, 5, 8], "rating": [1.0, 2, 3, 4, 5, 1, 2]}
    ratings = Ratings.from_frame(pl.DataFrame(frame))
    table = _crosstab.most_rated(ratings, 2)
    assert list(table.user_labels) == [4, 7]  # 9, 4 and 7 have two each
    assert list(table.item_labels) == [3, 8]
    np.testing.assert_array_equal(table.ratings, [[3.0, 4.0], [5.0, np.nan]])


def test_the_lessons_crosstab_has_the_lessons_films(data):
    ratings = Ratings.from_csv(data / "ml-latest-small-2016" / "ratings.csv")
    table = _crosstab.most_rated(ratings, 15)
    assert [*table.item_labels] == [1, 110, 260, 296, 318, 356, 480, 527, 589, 593, 608, 1196, 1198, 1270, 2571]
    assert np.isfinite(table.ratings).sum() == 206  # with Raiders (1198), not American Beauty: 220 ratings each


def test_ids_that_match_would_confuse_are_numbered():
    frame = {"user": ["a*", "A*", "b?", "x", "x"], "item": ["=1", "=1", "~", "=1", "~"], "rating": [1.0, 2, 3, 4, 5]}
    table = _crosstab.most_rated(Ratings.from_frame(pl.DataFrame(frame)), 4)
    assert table.user_labels == ["1: A·", "2: a·", "3: b·", "4: x"]
    assert table.item_labels == ["1: =1", "2: ·"]
    assert table.titles == ["=1", "~"]


def test_too_little_is_refused(table):
    frame = {"user": [1, 2], "item": [1, 2], "rating": [1.0, 2.0]}
    with pytest.raises(SettingError, match="n is 1"):
        _crosstab.most_rated(Ratings.from_frame(pl.DataFrame(frame)), 1)
    far = {"user": [1, 1, 2, 3, 4], "item": [1, 2, 3, 4, 4], "rating": [1.0, 2, 3, 4, 5]}
    with pytest.raises(DataError, match="share"):
        _crosstab.most_rated(Ratings.from_frame(pl.DataFrame(far)), 2)._replace()
    with pytest.raises(SettingError, match="n_factors is 0"):
        descend.draw((2, 2), 0, 0)


# The descent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("squash", [False, True])
def test_gradients_are_those_of_the_loss(table, squash):
    """Against finite differences of ½ Σ e² + ½·wd·‖·‖², through the squashing."""
    s = Settings(wd=0.3, squash=squash)
    epoch = run(table, s, n_epochs=0)[0]
    _, part, mean = prepared(table)
    ends = descend.limits(s, mean, Y_RANGE)
    n = len(epoch.users)

    def loss(params):
        p, q = params[:n], params[n:]
        z = ends.offset + p[:, 1:] @ q[:, 1:].T + p[:, :1] + q[:, 0]
        scores = 5.5 / (1 + np.exp(-z)) if squash else z
        return 0.5 * np.sum((np.nan_to_num(table.ratings) - scores)[part == 1] ** 2) + 0.15 * np.sum(params**2)

    params = np.r_[epoch.users, epoch.items]
    assert loss(params) == pytest.approx(epoch.loss, rel=1e-12)
    assert steps.gradient_error(loss, np.r_[epoch.user_gradient, epoch.item_gradient], params) < 1e-7


def test_the_steps_are_those_of_classical_momentum(table):
    s = Settings(lr=0.02, momentum=0.8, wd=0.1)
    epochs = run(table, s)
    users, state = epochs[0].users, {}
    for before, after in itertools.pairwise(epochs):
        users, state = steps.momentum(users, before.user_gradient, state, lr=s.lr, beta=s.momentum)
        np.testing.assert_allclose(after.users, users, rtol=1e-9, atol=1e-12)


def test_test_ratings_teach_nothing(table):
    """Changing every test rating leaves every parameter and the train RMSE as they were."""
    draws, part, mean = prepared(table)
    how = {"mean": mean, "y_range": Y_RANGE, "clip": 1e9}
    ends = [
        descend.descend(np.where(part == 2, value, table.ratings), part, draws, Settings(), **how)[-1]
        for value in (0.5, 5.0)
    ]
    np.testing.assert_array_equal(ends[0].users, ends[1].users)
    assert ends[0].train == ends[1].train
    assert (part == 2).sum() > 3 and ends[0].test != ends[1].test


def test_biases_off_and_factors_unused_stay_at_zero(table):
    off = run(table, Settings(biases=False, factors=1))[-1]
    assert not off.users[:, 0].any() and not off.items[:, 0].any()
    assert off.users[:, 1].any() and not off.users[:, 2:].any()


@pytest.mark.parametrize("squash", [False, True])
def test_without_factors_the_start_predicts_the_mean(table, squash):
    epoch = run(table, Settings(factors=0, squash=squash), n_epochs=0)[0]
    np.testing.assert_allclose(epoch.scores, prepared(table)[2], rtol=1e-12)


def test_biases_alone_are_where_a_long_descent_without_factors_ends(table):
    _, part, mean = prepared(table)
    by_turns = descend.biases_alone(table.ratings, part, mean=mean, wd=3.0, rounds=200)
    epochs = run(table, Settings(lr=0.05, momentum=0.5, wd=3.0, factors=0), n_epochs=2000)
    np.testing.assert_allclose(epochs[-1].users[:, 0], by_turns.users[-1], atol=1e-9)
    np.testing.assert_allclose(epochs[-1].items[:, 0], by_turns.items[-1], atol=1e-9)


def test_the_constants_rmse_is_the_spread_of_the_train_ratings(table):
    _, part, mean = prepared(table)
    constant, biases = descend.references(table.ratings, part, mean=mean, wd=0.0)
    assert constant.train == pytest.approx(table.ratings[part == 1].std())
    assert biases.train < constant.train


def test_every_choice_of_the_drop_downs_stays_finite(table):
    """What is offered on *learn* ends in numbers, at worst large ones (gradients are clipped, and said to be)."""
    draws, part, mean = prepared(table)
    plan = descend.plan(table.ratings, draws, y_range=Y_RANGE, test_share=0.2, a=None, b=None)
    for squash in (False, True):
        for scale in (0.01, 2.0):
            s = Settings(max(plan.rates), 0.9, 30.0, scale=scale, squash=squash, pad=0.0)
            how = {"mean": mean, "y_range": (3.0, 3.0), "clip": plan.clip}
            last = descend.descend(table.ratings, part, draws, s, **how)[-1]
            assert np.isfinite([last.train, last.loss]).all()


# The defaults ---------------------------------------------------------------------------------------------------


def falls(table_ratings, seed, n_factors=5, y_range=Y_RANGE):
    draws = descend.draw(table_ratings.shape, n_factors, seed)
    plan = descend.plan(table_ratings, draws, y_range=y_range, test_share=0.2, a=None, b=None)
    part = descend.parts(table_ratings, draws, 0.2)
    how = {"mean": descend.mean_of(table_ratings, part), "y_range": y_range, "clip": plan.clip}
    for s in (plan.a, plan.b):
        losses = np.array([e.loss for e in descend.descend(table_ratings, part, draws, s, **how)])
        assert np.isfinite(losses).all() and (np.diff(losses) <= 1e-9 * max(losses[0], 1e-9)).all(), (seed, s)
    return plan


def test_the_default_rate_falls_on_tables_of_every_kind():
    """A hundred of the 3,850 that bench/workbook.py walks through; the all-3s 6 × 6 table among them."""
    from bench.workbook import random_table

    falls(np.full((6, 6), 3.0), 0)
    for seed in range(100):
        ratings, n_factors, y_range = random_table(seed)
        falls(ratings, seed, n_factors, y_range)


def test_the_rate_is_halved_where_the_first_does_not_fall(table):
    steep = table.ratings * 1000
    assert falls(steep, 0, y_range=(500.0, 5000.0)).a.lr < falls(table.ratings, 0).a.lr


def test_a_table_without_train_ratings_has_a_plan():
    ratings = np.array([[3.0, np.nan], [np.nan, 4.0]])
    draws = descend.Draws(np.full((2, 1), 0.5), np.full((2, 1), 0.5), np.zeros((2, 2)))
    plan = descend.plan(ratings, draws, y_range=Y_RANGE, test_share=0.2, a=None, b=None)
    assert plan.a.lr > 0.01 and np.isnan(run_part(ratings, draws, plan.a).train)


def run_part(ratings, draws, s):
    part = descend.parts(ratings, draws, 0.2)
    return descend.descend(ratings, part, draws, s, mean=0.0, y_range=Y_RANGE, clip=1e3)[-1]


def test_settings_that_are_given_stay(table):
    draws, *_ = prepared(table)
    given = Settings(lr=0.5, wd=7.0)
    plan = descend.plan(table.ratings, draws, y_range=Y_RANGE, test_share=0.2, a=given, b=None)
    assert plan.a == given and plan.b.wd == descend.DECAY and {plan.a.lr, plan.b.lr} <= set(plan.rates)


# Least squares by turns, and one step ---------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
def test_als_reaches_what_a_minimiser_reaches(table, bias):
    """L-BFGS from the same start, on the loss with the same ridge: the minimum that Solver would look for."""
    users, items = _factors.starts(descend.draw(table.ratings.shape, 2, 1), bias=False)
    states = _als.als(table.ratings, users, items, bias=bias, n=300)
    there, r = np.isfinite(table.ratings), np.nan_to_num(table.ratings)
    k, n_users = 2 + bias, len(r)

    def loss(v):
        p, q = v[: n_users * k].reshape(-1, k), v[n_users * k :].reshape(-1, k)
        scores = p[:, -2:] @ q[:, -2:].T + (p[:, :1] + q[:, 0] if bias else 0)
        e = np.where(there, scores - r, 0)
        gp, gq = e @ q, e.T @ p
        if bias:
            gp[:, 0], gq[:, 0] = e.sum(1), e.sum(0)
        ridge = _als.RIDGE
        return 0.5 * np.sum(e**2) + 0.5 * ridge * np.sum(v**2), np.r_[gp.ravel(), gq.ravel()] + ridge * v

    start = [np.c_[np.zeros((len(f), int(bias))), f].ravel() for f in (users, items.T)]
    best = scipy.optimize.minimize(loss, np.concatenate(start), jac=True, method="L-BFGS-B", options={"maxiter": 5000})
    p, q = best.x[: n_users * k].reshape(-1, k), best.x[n_users * k :].reshape(-1, k)
    scores = p[:, -2:] @ q[:, -2:].T + (p[:, :1] + q[:, 0] if bias else 0)
    reached = np.sqrt(np.sum(np.where(there, scores - r, 0) ** 2) / there.sum())
    assert states[-1].rmse == pytest.approx(reached, rel=0.1)  # minima of one table differ a little


def test_a_sweep_never_raises_the_loss(table):
    users, items = _factors.starts(descend.draw(table.ratings.shape, 3, 1), bias=False)
    for bias in (False, True):
        rmse = [state.rmse for state in _als.als(table.ratings, users, items, bias=bias)]
        assert rmse[-1] < 0.5 * rmse[0] and (np.diff(rmse[:5]) < 0).all()


def test_the_lessons_minima(data):
    """0.39 is where the lecturer stopped his Solver; with biases it goes lower. Twenty sweeps come near."""
    ratings = Ratings.from_csv(data / "ml-latest-small-2016" / "ratings.csv")
    table = _crosstab.most_rated(ratings, 15)
    reached = []
    for rng in range(10):
        begin = _factors.starts(descend.draw(table.ratings.shape, 5, rng), bias=False)
        reached.append([_als.als(table.ratings, *begin, bias=bias)[-1].rmse for bias in (False, True)])
    np.testing.assert_allclose(np.median(reached, axis=0), [0.393, 0.321], atol=0.002)
    assert (np.max(reached, axis=0) < [0.42, 0.35]).all() and (np.min(reached, axis=0) > [0.392, 0.318]).all()


def test_one_step_lowers_the_rmse_and_follows_the_gradient(table):
    draws = descend.draw(table.ratings.shape, 3, 5)
    rate = _factors.step_rate(table.ratings, draws)
    for bias in (False, True):
        users, items = _factors.starts(draws, bias=bias)
        step = _factors.one_step(table.ratings, users, items, rate, bias=bias)
        assert step.rmse_after < step.rmse

        def loss(p, items=items, bias=bias):
            return 0.5 * np.sum(_factors.one_step(table.ratings, p, items, 0.0, bias=bias).errors ** 2)

        assert steps.gradient_error(loss, step.gradients[0], users) < 1e-7


# Labels and terms -----------------------------------------------------------------------------------------------


def test_no_label_lies_over_another():
    g = np.random.default_rng(0)
    points, labels = g.normal(size=(15, 2)), ["a title of some length"] * 15
    placed = _labels.positions(points, labels)
    pixels = _labels._pixels(points)
    boxes = [
        _labels._box(at, label, side) for at, label, (side, shown) in zip(pixels, labels, placed, strict=True) if shown
    ]
    assert len(boxes) >= 13
    assert not any(_labels._overlap(a, b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_how_many_terms_decide():
    np.testing.assert_array_equal(deciding(np.array([[8.0, -1, 1], [1, 1, 1], [0, 0, -5]])), [1, 3, 1])
