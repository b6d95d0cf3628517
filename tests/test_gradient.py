"""The fitters by gradient: one signature, units that no scale changes, and what they reach."""

import inspect
import signal
from dataclasses import replace
from functools import partial

import battery
import numpy as np
import pytest
import torch

from dotbias import split
from dotbias.errors import DataError, SettingError, StoppedWarning
from dotbias.factors import Factors
from dotbias.gradient import fit_dot, fit_dot_bias, fit_net
from dotbias.scorer import Timed, offers

FITTERS = [fit_dot, fit_dot_bias, fit_net]
QUICK = {"n_factors": 4, "n_epochs": 3, "bs": 128, "progress": False}


@pytest.fixture(scope="module")
def parts(world):
    return split.random(world.ratings, test=0.1, valid=0.1, rng=0)


def test_dropout_too_depends_on_rng_alone(parts):
    fits = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        fits.append(fit_net(parts.train, n_factors=4, n_epochs=2, hidden=(5,), rng=3).score_all(np.arange(3)))
    np.testing.assert_array_equal(*fits)


def test_the_fitters_beat_the_bias_baseline_where_there_are_factors(parts):
    from dotbias.baselines import bias

    def mse(scorer):
        return float(((scorer.score(parts.test.users, parts.test.items) - parts.test.values) ** 2).mean())

    fitted = fit_dot_bias(parts.train, n_factors=8, n_epochs=20, reg=0.03, reg_once=0.3, bs=64, rng=0)
    assert isinstance(fitted, Factors)
    assert mse(fitted) < mse(bias(parts.train))
    assert mse(fit_dot(parts.train, n_factors=8, n_epochs=10, bs=128, rng=0)) < parts.test.values.var() * 1.1


def test_a_net_takes_genres_and_time(parts):
    net = fit_net(parts.train, item_features=["genres"], times=True, n_factors=(4, 6), n_epochs=2, hidden=(6, 4), rng=0)
    assert offers(net, Timed)
    early, late = (net.score(parts.test.users, parts.test.items, parts.test.times + s) for s in (0, 10**8))
    assert not np.array_equal(early, late)
    with pytest.raises(DataError, match=r"no column 'genre'(.|\n)*genres"):
        fit_net(parts.train, item_features=["genre"])


def test_unseen_rows_are_zero_at_the_waist(parts):
    train = parts.train.take(parts.train.users != 5)
    fitted = fit_dot_bias(train, n_factors=4, n_epochs=1, rng=0)
    assert not fitted.users[5].any()
    assert fitted.user_bias[5] == 0
    assert fitted.users[4].any()


def test_folding_in_a_known_user_lands_near_their_row(parts):
    """``reg`` is the ridge the fit amounted to: refitting a user from their own ratings predicts as their row does."""
    train = parts.train
    fitted = fit_dot_bias(train, n_factors=4, n_epochs=40, bs=64, rng=0)
    gaps, spreads = [], []
    for user in range(20):
        own = train.users == user
        if own.sum() < 5:
            continue
        part = fitted.fold_in_user(train.items[own], train.values[own])
        stored = fitted.score_all(np.array([user]))[0]
        gaps.append(np.abs(part.score() - stored).mean())
        spreads.append(stored.std())
    assert np.mean(gaps) < 0.2 * np.mean(spreads)


@pytest.mark.data
def test_the_lessons_split_at_the_shipped_settings(data):
    from dotbias import datasets

    parts = split.lesson(datasets.load("ml-latest-small-2016"))
    fitted = fit_dot_bias(parts.train, rng=0)
    mse = ((fitted.score(parts.test.users, parts.test.items) - parts.test.values) ** 2).mean()
    assert 0.73 < mse < 0.765


def error(scorer, test):
    return float(((scorer.score(test.users, test.items) - test.values) ** 2).mean())


@pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize(
    "fit", [partial(fit_dot_bias, n_factors=4, bs=64), partial(fit_net, n_factors=4, bs=32)], ids=["dot_bias", "net"]
)
def test_battery(check, fit):
    if fit.func is fit_net and check is battery.recommends_alike_for_one_and_many:
        pytest.skip("a product of matrices rounds differently by their size: alike to 2e-5, not to the bit")
    check(fit)


@pytest.mark.parametrize("fit", FITTERS)
def test_one_signature_and_one_vocabulary(fit):
    first = ["train", "valid", "rng", "progress", "checkpoint"]
    parameters = inspect.signature(fit).parameters
    assert list(parameters)[:5] == first
    assert parameters["n_factors"].default == 64
    assert not {"callbacks", "fit"} & set(parameters)


@pytest.mark.parametrize("fit", FITTERS)
@pytest.mark.parametrize(("factor", "offset"), [(10.0, 0.0), (1.0, 100.0), (1 / 64, 0.0)])
def test_no_scale_or_offset_of_the_ratings_matters(parts, fit, factor, offset):
    """The same error, scaled."""

    def moved(ratings):
        low, high = ratings.scale()
        y_range = (low * factor + offset, high * factor + offset)
        return replace(ratings, values=(ratings.values * factor + offset).astype(np.float32), y_range=y_range)

    plain = error(fit(parts.train, rng=0, **QUICK), parts.test)
    other = error(fit(moved(parts.train), rng=0, **QUICK), moved(parts.test))
    assert other / factor**2 == pytest.approx(plain, rel=0.002)


@pytest.mark.parametrize("fit", FITTERS)
def test_equal_ratings_fit(parts, fit):
    equal = replace(parts.train, values=np.full(len(parts.train), 3.3, np.float32), y_range=None)
    scores = fit(equal, rng=0, **QUICK).score_all(np.arange(-1, 5))
    np.testing.assert_allclose(scores, 3.3, rtol=1e-6)


@pytest.mark.parametrize("fit", FITTERS)
def test_progress_is_told_of_every_epoch(parts, fit):
    steps = []
    fitted = fit(parts.train, valid=parts.valid, rng=0, **{**QUICK, "progress": steps.append})
    assert [(s.kind, s.number, s.of) for s in steps] == [("epoch", k, 3) for k in (1, 2, 3)]
    assert {"train", "valid", "lr", "batch_loss", "edges", "gradient u.weight", "activation u"} <= set(steps[0].values)
    assert "edges" not in steps[1].values and steps[0].row()["epoch"] == 1
    watched = error(fitted, parts.valid)
    assert steps[-1].values["valid"] == pytest.approx(watched, rel=1e-3) or parts.valid.cold.any()


@pytest.mark.parametrize("fit", FITTERS)
def test_valid_watches_and_chooses_only_when_told_to(parts, fit):
    alone, watched = fit(parts.train, rng=0, **QUICK), fit(parts.train, valid=parts.valid, rng=0, **QUICK)
    assert alone.score_all(np.arange(9)).tobytes() == watched.score_all(np.arange(9)).tobytes()
    with pytest.raises(SettingError, match="needs a validation set"):
        fit(parts.train, keep_best=True, **QUICK)


def test_keep_best_returns_the_epoch_that_is_best_on_valid(parts):
    steps, overfits = [], {"reg": 0.0, "reg_once": 0.0, "reg_bias_once": 0.0, "n_epochs": 25, "lr": 0.1, "bs": 32}
    with pytest.warns(UserWarning, match="overfitting"):
        best = fit_dot_bias(
            parts.train, valid=parts.valid, keep_best=True, rng=0, **{**QUICK, **overfits, "progress": steps.append}
        )
    losses = [s.values["valid"] for s in steps]
    assert min(losses) < losses[-1]
    assert error(best, parts.valid) == pytest.approx(min(losses), rel=1e-4)


def test_bad_arguments_are_named(parts):
    with pytest.raises(DataError, match="without ratings"):
        fit_dot_bias(parts.train.binarize(3.0))
    with pytest.raises(SettingError, match="reg_once is -1"):
        fit_dot_bias(parts.train, reg_once=-1)
    with pytest.raises(DataError, match="times"):
        fit_net(replace(parts.train, times=None), times=True)


@pytest.mark.parametrize("fit", [fit_dot_bias, fit_net])
def test_ctrl_c_ends_a_fit_after_the_batch(parts, fit):
    def press(step):
        assert step.number == 1
        signal.raise_signal(signal.SIGINT)

    with pytest.warns(StoppedWarning, match="in epoch 2 of 5"):
        scorer = fit(parts.train, n_factors=3, n_epochs=5, rng=0, progress=press)
    assert np.isfinite(scorer.score(parts.test.users, parts.test.items)).all()
