from dataclasses import replace

import clicks_battery
import numpy as np
import pytest

from dotbias.errors import DataError, ModelFileError, SettingError
from dotbias.item_weights import ItemWeights
from dotbias.ratings import Ids, Ratings
from dotbias.solvers.ease import ease, nbytes
from dotbias.storage.arrays import check_arrays


def quick(train, **settings):
    return ease(train, **{"reg": 20.0, **settings})


@pytest.mark.parametrize("check", clicks_battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(quick)


def dense(train):
    x = np.zeros((train.n_users, train.n_items))
    x[train.users, train.items] = 1
    return x


def test_weights_are_the_closed_form_and_the_minimum():
    """Steck 2019, eq. 8; and column by column the ridge regression on all other items."""
    train, _ = clicks_battery.parts()
    scorer, x = ease(train, reg=3.0), dense(train)
    kept = scorer.rows
    assert kept.tolist() == np.flatnonzero(train.item_counts).tolist() and 0 not in kept
    p = np.linalg.inv(x[:, kept].T @ x[:, kept] + 3.0 * np.eye(len(kept)))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    np.testing.assert_allclose(scorer.weights, b, atol=2e-5)
    np.testing.assert_allclose(scorer.precision, np.diag(p), rtol=1e-4)
    for m in (0, 7):
        others = np.delete(np.arange(len(kept)), m)
        rows = np.r_[x[:, kept[others]], np.sqrt(3.0) * np.eye(len(others))]
        column = np.linalg.lstsq(rows, np.r_[x[:, kept[m]], np.zeros(len(others))], rcond=None)[0]
        np.testing.assert_allclose(scorer.weights[others, m], column, atol=2e-5)
    np.testing.assert_allclose(scorer.rank_all(np.arange(train.n_users))[:, kept], x[:, kept] @ b, atol=1e-4)


def test_blocks_of_any_size_give_the_same(monkeypatch):
    import sys

    train, _ = clicks_battery.parts()
    whole = quick(train)
    monkeypatch.setattr(sys.modules["dotbias.solvers.ease"], "BLOCK", 7 * len(whole.rows))
    np.testing.assert_allclose(quick(train).weights, whole.weights, atol=1e-6)


def test_a_new_item_is_the_regression_of_its_clicks():
    train, _ = clicks_battery.parts()
    without = train.take(train.items != 7)
    scorer, x = ease(without, reg=3.0), dense(without)
    users = train.users[train.items == 7]
    y = np.isin(np.arange(train.n_users), users).astype(float)
    rows = np.r_[x, np.sqrt(3.0) * np.eye(train.n_items)]
    column = np.linalg.lstsq(rows, np.r_[y, np.zeros(train.n_items)], rcond=None)[0]
    np.testing.assert_allclose(scorer.fold_in_item(users, np.ones(len(users))).rank(), x @ column, atol=1e-4)
    with pytest.raises(DataError, match="both must be"):
        scorer.fold_in_item(users, np.ones(2))


def test_a_known_user_folded_in_is_the_same():
    train, _ = clicks_battery.parts()
    scorer = quick(train)
    for user in range(train.n_users):
        items = train.items[train.users == user]
        found = scorer.fold_in_user(items, np.ones(len(items))).rank()
        assert np.array_equal(found, scorer.rank_all(np.array([user]))[0])


def test_the_most_clicked_items_only():
    train, _ = clicks_battery.parts()
    scorer = quick(train, n_items=20)
    assert isinstance(scorer, ItemWeights) and len(scorer.rows) == 20 and "20 of 60 items" in repr(scorer)
    assert train.item_counts[scorer.rows].min() >= np.sort(train.item_counts)[-20]
    others = np.setdiff1d(np.arange(train.n_items), scorer.rows)
    assert not scorer.rank_all(np.arange(20))[:, others].any() and scorer.rank_all(np.arange(20)).max() > 0.1
    assert scorer.fold_in_user(others[:2], np.ones(2)).rank().max() < 1e-6


def test_more_items_than_the_memory_allows_are_refused():
    n = 9_066
    assert nbytes(n) == 328_769_424
    train = Ratings(np.arange(n) % 50, np.arange(n), None, None, Ids(range(50)), Ids(range(n)))
    with pytest.raises(SettingError, match=r"ease needs 0.33 GB for 9,066 × 9,066 items; memory is '100MB'") as e:
        ease(train, memory="100MB")
    assert "n_items=5000" in e.value.hint and "implicit_als" in e.value.hint
    assert len(ease(train, memory="100MB", n_items=30).rows) == 30


def test_a_pair_that_comes_twice_counts_once():
    train, _ = clicks_battery.parts()
    twice = train.take(np.r_[np.arange(len(train)), np.arange(5)])
    assert np.array_equal(quick(twice).weights, quick(train).weights)


@pytest.mark.parametrize("wrong", [{"reg": 0}, {"reg": -1}, {"n_items": 0}, {"memory": "much"}], ids=str)
def test_bad_settings_are_refused(wrong):
    train, _ = clicks_battery.parts()
    with pytest.raises(SettingError, match=next(iter(wrong))) as e:
        ease(train, **wrong)
    assert e.value.hint


def test_a_valid_of_stars_is_refused():
    train, test = clicks_battery.parts()
    with pytest.raises(DataError, match="valid holds ratings"):
        quick(train, valid=replace(test, values=np.ones(len(test))))


@pytest.mark.parametrize(
    "name,change,said",
    [
        ("rows", lambda a: a[::-1].copy(), "rows does not rise"),
        ("rows", lambda a: a + np.int32(1), "names rows outside"),
        ("items", lambda a: a + np.int32(1), "names rows outside"),
        ("weights", lambda a: a[:-1], "has the shape"),
        ("weights", lambda a: a * np.float32("nan"), "NaN or infinities"),
        ("starts", lambda a: a[::-1].copy(), "does not rise"),
        ("precision", lambda a: a.astype(np.float64), "holds float64"),
    ],
)
def test_a_hostile_model_is_refused(name, change, said):
    train, _ = clicks_battery.parts()
    state = quick(train.take(train.items < 59)).state()
    sizes = train.n_users, 59
    check_arrays(state.kind, state.arrays, state.settings, *sizes)
    with pytest.raises(ModelFileError, match=said):
        check_arrays(state.kind, state.arrays | {name: change(state.arrays[name])}, state.settings, *sizes)
