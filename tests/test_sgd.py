import subprocess
import sys
from dataclasses import replace
from functools import partial

import battery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from dotbias import datasets, split
from dotbias.errors import DataError, DivergedError, DotbiasError, SettingError
from dotbias.ratings import Ids, Ratings
from dotbias.solvers import _sgd_blocks as blocks
from dotbias.solvers import _sgd_kernels as kernels
from dotbias.solvers._columns import on_disk as is_on_disk
from dotbias.solvers._compile import _Told, announce_compile
from dotbias.solvers._units import Units
from dotbias.solvers.sgd import sgd

quick = partial(sgd, n_factors=8, n_epochs=12, reg=0.03, reg_once=0.5, reg_bias_once=0.5)


@pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(quick)


def bits(fit):
    return [getattr(fit, name).tobytes() for name in ("users", "items", "user_bias", "item_bias")]


# What a step is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low,width", [(0.0, 0.0), (0.5, 4.5)], ids=["identity", "sigmoid"])
def test_one_update_is_the_gradient_by_finite_differences(low, width):
    rng, K, W, lr, mean, value = np.random.default_rng(0), 5, 16, 0.25, 0.3, 4.0
    x = rng.normal(0, 0.5, 2 * K + 2)  # p, q, b_u, b_i
    decays = np.array([0.3, 0.2, 0.1, 0.4])  # of p, q, b_u, b_i

    def objective(x):
        p, q, b_u, b_i = x[:K], x[K : 2 * K], x[-2], x[-1]
        z = mean + b_u + b_i + p @ q
        e = value - (low + width / (1 + np.exp(-z)) if width else z)
        return (e**2 + decays @ [p @ p, q @ q, b_u**2, b_i**2]) / 2

    h = 1e-5
    gradient = np.array([(objective(x + d) - objective(x - d)) / (2 * h) for d in h * np.eye(len(x))])
    P, Q = np.zeros((1, W), np.float32), np.zeros((1, W), np.float32)
    P[0, :K], Q[0, :K] = x[:K], x[K : 2 * K]
    user, item = (np.array([[x[-k], decays[2 - k], decays[4 - k], 0]], np.float32) for k in (2, 1))
    zero, squares = np.zeros(1, np.int32), np.zeros(1)
    columns = zero, zero, np.array([value], np.float32), np.array([0, 1]), np.array([0])
    numbers = (np.float32(a) for a in (mean, low, width))
    kernels.learn_pass(*columns, np.array([lr], np.float32), *numbers, P, Q, user, item, squares)
    after = np.r_[P[0, :K], Q[0, :K], user[0, 0], item[0, 0]]
    np.testing.assert_allclose((x - after) / lr, gradient, rtol=2e-5, atol=2e-6)
    assert not P[0, K:].any() and not Q[0, K:].any()


@pytest.mark.parametrize(
    "settings",
    [
        {"reg": 0.05, "reg_once": 0.0, "reg_bias": 0.02, "reg_bias_once": 0.0},
        {"reg": 0.0, "reg_once": 2.0, "reg_bias": 0.0, "reg_bias_once": 1.0},
        {"reg": 0.05, "reg_once": 1.0, "reg_bias": 0.01, "reg_bias_once": 0.5},
        {"reg": 0.05, "reg_once": 0.0, "reg_bias": 0.02, "reg_bias_once": 0.0, "link": "sigmoid"},
    ],
    ids=["each", "once", "both", "sigmoid"],
)
def test_it_ends_at_the_minimum_that_its_ridge_names(settings):
    """Where descent has come to rest, a known user folded in under the returned ridge is the stored row."""
    train, _ = battery.parts()
    fit = sgd(train, n_factors=3, n_epochs=8000, lr=0.1, rng=0, **settings)
    for user in np.flatnonzero(train.user_counts)[:20]:
        at = train.users == user
        part = fit.fold_in_user(train.items[at], train.values[at])
        np.testing.assert_allclose(
            np.r_[part.bias, part.factors], np.r_[fit.user_bias[user], fit.users[user]], atol=6e-3
        )


@pytest.mark.parametrize("link", ["identity", "sigmoid"])
def test_the_noise_of_a_planted_world_is_reached(link):
    world = datasets.planted(
        2000, 400, n_ratings=160_000, n_factors=4, noise=0.5, y_range=None, step=None, times=False, rng=1
    )
    train, _, test = split.random(world.ratings, test=0.1, rng=0)
    settings = (
        {"n_factors": 8, "lr": 0.04, "reg": 0.02, "reg_bias": 0.0}
        if link == "identity"
        else {"n_factors": 8, "reg": 0.02}
    )
    fit = sgd(train, n_epochs=20, rng=0, link=link, **settings)
    rmse = np.sqrt(np.mean((fit.score(test.users, test.items) - test.values) ** 2))
    assert 0.99 * world.noise < rmse < 1.08 * world.noise


# The same bits ---------------------------------------------------------------------------------------------------

THREADS = """
import hashlib, numpy as np
from dotbias.datasets import planted
from dotbias.solvers import _sgd_blocks, _threads
from dotbias.solvers.als import als
from dotbias.solvers.sgd import sgd
_sgd_blocks.FULL = 4  # many blocks, however small the data
for n_threads in (1, 2, 3):
    _threads.use(n_threads)
    sizes, found = np.random.default_rng(5), hashlib.sha256()
    for case in range(12):
        U, I = sizes.integers(1, 90, 2)
        ratings = planted(U, I, n_ratings=int(sizes.integers(1, U * I + 1)), rng=case).ratings
        for fit in (sgd(ratings, n_factors=int(sizes.integers(1, 40)), n_epochs=2, rng=case),
                    sgd(ratings, n_factors=3, n_epochs=2, rng=case, link="sigmoid", y_range=(0, 6)),
                    als(ratings, n_factors=int(sizes.integers(1, 20)), n_epochs=2, rng=case)):
            for a in (fit.users, fit.items, fit.user_bias, fit.item_bias):
                found.update(a.tobytes())
    print(found.hexdigest())
"""


def test_any_number_of_threads_gives_the_same_bits():
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert len(found) == 3 and len(set(found)) == 1


def test_ratings_on_disk_give_the_same_bits(tmp_path, world):
    r = world.ratings
    columns = {"users": r.users, "items": r.items, "values": r.values}
    for name, column in columns.items():
        np.save(tmp_path / f"{name}.npy", column)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in columns}
    on_disk = replace(r, **mapped)
    assert is_on_disk(on_disk.users) and not is_on_disk(r.users)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    seen = []
    fit = quick(on_disk, rng=3, scratch=scratch, progress=lambda _: seen.append(len(list(scratch.rglob("*.npy")))))
    assert set(seen) == {3} and not list(scratch.iterdir())
    assert bits(fit) == bits(quick(r, rng=3)) == bits(quick(on_disk, rng=3))


# Blocks ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 400), st.integers(0, 2**32))
def test_blocks_hold_every_rating_once_and_strata_share_no_row(n_users, n_items, n, seed):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(n_users, size=n, dtype=np.int32), rng.integers(n_items, size=n, dtype=np.int32)
    values = np.arange(n, dtype=np.float32)
    ratings = Ratings(users, items, values, None, Ids(range(n_users)), Ids(range(n_items)))
    counts = ratings.user_counts, ratings.item_counts
    full, blocks.FULL = blocks.FULL, 2
    try:
        b = blocks.lay_out(ratings, *counts, Units(0.0, 1.0), width=16, key=seed, folder=None)
    finally:
        blocks.FULL = full
    assert sorted(b.values) == list(values) and b.starts[-1] == n
    at = b.values.astype(int)
    assert (b.user_at[users[at]] == b.users).all() and (b.item_at[items[at]] == b.items).all()
    assert sorted(b.user_at) == list(range(n_users)) and sorted(b.item_at) == list(range(n_items))
    B = b.side
    for s in range(B):
        cells = [slice(b.starts[c], b.starts[c + 1]) for a in range(B) for c in [a * B + (a + s) % B]]
        for rows in (b.users, b.items):
            distinct = [np.unique(rows[c]) for c in cells]
            assert len(np.unique(np.concatenate(distinct))) == sum(map(len, distinct))


def test_counts_alone_choose_the_blocks():
    assert blocks.blocks_a_side(80_000, 671, 9_066, 64) == 8
    assert blocks.blocks_a_side(1_000_000, 6_040, 3_706, 64) == 16
    assert blocks.blocks_a_side(10**8, 480_189, 17_770, 16) == blocks.blocks_a_side(10**7, 480_189, 17_770, 16) == 59
    assert blocks.blocks_a_side(1, 1, 1, 16) == 1


# What can happen ---------------------------------------------------------------------------------------------------


def test_rows_without_ratings_are_zero():
    train, _ = battery.parts()
    fit = quick(train, rng=0)
    assert not fit.users[0].any() and not fit.user_bias[0] and not fit.items[0].any() and not fit.item_bias[0]
    assert fit.users[1:].any(1).all()


def test_a_diverging_fit_says_what_to_lower(world):
    with pytest.raises(DivergedError, match=r"(?s)at lr .*Hint: lower the rate: lr="):
        sgd(world.ratings, lr=3.0, rng=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_factors": 0},
        {"n_factors": 2.5},
        {"n_epochs": 0},
        {"lr": float("nan")},
        {"lr": 0},
        {"lr": -1},
        {"reg": -1},
        {"reg": float("nan")},
        {"reg_once": float("inf")},
        {"link": "probit"},
        {"y_range": (5, 1)},
        {"rng": -1},
        {"checkpoint_every": 0},
        {"keep_best": True},
        {"keep_best": 1},
        {"n_epochs": True},
    ],
    ids=str,
)
def test_bad_settings_are_refused(world, wrong):
    with pytest.raises(SettingError) as e:
        sgd(world.ratings, **wrong)
    assert next(iter(wrong)) in str(e.value) and e.value.hint


def test_bad_ratings_are_refused(world):
    r = world.ratings
    nan = replace(r, values=np.where(np.arange(len(r)) == 5, np.nan, r.values), y_range=None)
    for bad in (r.take(np.arange(0)), replace(r, values=None), nan):
        with pytest.raises(DotbiasError):
            sgd(bad)
    with pytest.raises(DataError, match="sigmoid"):
        sgd(replace(r, values=np.full(len(r), 3), y_range=None), link="sigmoid")


def test_a_compilation_is_announced_once(capsys, monkeypatch):
    monkeypatch.setattr(_Told, "told", False)
    for _ in range(2):
        with announce_compile():
            njit(lambda x: x + 1)(1)
    assert capsys.readouterr().err.count("compiling") == 1


# Real data -------------------------------------------------------------------------------------------------------


def test_the_lessons_split(data):
    train, _, test = split.lesson(datasets.load("ml-latest-small-2016"))
    errors = [np.mean((sgd(train, rng=k).score(test.users, test.items) - test.values) ** 2) for k in range(3)]
    assert 0.74 < np.median(errors) < 0.76


@pytest.mark.slow
def test_movielens_1m(data):
    train, _, test = split.random(datasets.load("ml-1m"), test=0.1, rng=0)
    fit = sgd(train, rng=0)
    assert np.sqrt(np.mean((fit.score(test.users, test.items) - test.values) ** 2)) < 0.845
