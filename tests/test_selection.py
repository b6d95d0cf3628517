"""People choose what they will like: how strongly is found again, and newcomers' guesses are right on average."""

from dataclasses import replace

import numpy as np
import pytest

from dotbias import Ratings, gibbs
from dotbias.ids import Ids
from dotbias.posterior.selection import Selection, left_open, selection

U, I, K, GAMMA = 500, 60, 3, 0.5


def world(gamma: float, rng: np.random.Generator):
    """f (U, I), and who rated what: the chance grows by exp(gamma · f)."""
    bias, users, items = (rng.normal(0, s, shape) for s, shape in ((0.5, U), (0.5, (U, K)), (0.7, (I, K))))
    f = bias[:, None] + users @ items.T
    chance = np.exp(gamma * f)
    return bias, users, items, f, rng.random((U, I)) < 0.25 * chance / chance.mean()


def of_pairs(bias, users, items, pairs, noise):
    """The selection by pairs of rows (N,), (N,)."""
    row, column = pairs
    counts = np.bincount(row, minlength=bias.shape[1]), np.bincount(column, minlength=items.shape[1])

    def summed(b, p, q):
        return np.bincount(column, b[row] + (p[row] * q[column]).sum(1), len(q))

    return selection(bias, users, items, counts, summed, noise)


@pytest.mark.parametrize("gamma", [0.0, GAMMA])
def test_the_strength_of_the_choice_is_found_again(gamma):
    rng = np.random.default_rng(0)
    bias, users, items, _, rated = world(gamma, rng)
    noisy = [np.stack([a + rng.normal(0, 0.2, a.shape) for _ in range(10)]) for a in (bias, users)]
    found = of_pairs(noisy[0], noisy[1], np.tile(items, (10, 1, 1)), np.nonzero(rated), 0.4)
    assert found.strength == pytest.approx(gamma, abs=0.05)


def test_there_is_none_where_nobody_chooses():
    everything = np.nonzero(np.ones((4, 5), bool))
    rng = np.random.default_rng(0)
    arrays = rng.random((3, 4)), rng.random((3, 4, 2)), rng.random((3, 5, 2))
    assert of_pairs(*arrays, everything, 0.4).strength == pytest.approx(0, abs=1e-6)
    assert of_pairs(*arrays, (np.zeros(2, np.int32), np.arange(2)), 0.4) == Selection()  # one user


def test_items_differ_in_who_chooses_them():
    """Half of the items are chosen whatever people think of them; their raters' excess is found, and that of others."""
    rng = np.random.default_rng(0)
    bias, users, items, f, _ = world(0.0, rng)
    gamma = np.where(np.arange(I) < I // 2, 0.0, 2 * GAMMA)
    chance = np.exp(gamma * f)
    rated = rng.random((U, I)) < 0.25 * chance / chance.mean(0)
    noisy = [np.stack([a + rng.normal(0, 0.2, a.shape) for _ in range(10)]) for a in (bias, users)]
    found = of_pairs(noisy[0], noisy[1], np.tile(items, (10, 1, 1)), np.nonzero(rated), 0.4)
    truth = np.array([f[rated[:, i], i].mean() for i in range(I)]) - f.mean(0)
    alike = found.strength * f.var(0)
    assert np.mean((alike + found.items - truth) ** 2) < 0.2 * np.mean((alike - truth) ** 2)


def test_an_item_without_raters_has_none_of_its_own():
    rng = np.random.default_rng(0)
    bias, users, items, _, rated = world(GAMMA, rng)
    rated[:, 3] = False
    found = of_pairs(bias[None], users[None], items[None], np.nonzero(rated), 0.4)
    assert found.items[3] == 0 < found.strength and found.items.shape == (I,)


def test_ratings_leave_less_and_less_open():
    np.testing.assert_allclose(left_open(np.array([0, 7, 63]), 28.0, 0.5), [1, 0.5, 0.1])
    assert left_open(np.array([0]), 0.0, 1.0) == 0


def test_a_newcomer_is_guessed_without_an_error_on_average():
    rng = np.random.default_rng(1)
    *_, f, rated = world(GAMMA, rng)
    users, items = np.nonzero(rated)
    y = 3.5 + f[users, items] + rng.normal(0, 0.4, len(users))
    old = users < U - 200  # the others are the newcomers
    ratings = Ratings(users[old], items[old], y[old], None, Ids(range(U)), Ids(range(I)), y_range=(-5.0, 12.0))
    fitted = gibbs(ratings, n_factors=4, rng=0, n_sweeps=60, noise=0.4)
    assert fitted.selection.strength == pytest.approx(GAMMA, abs=0.12)
    none = np.zeros(0, np.int64)

    def error(posterior):
        part = posterior.fold_in_user(none, none.astype(float))
        return float(np.mean(y[~old] - part.score(items[~old])))

    assert abs(error(fitted)) < 0.05 < 0.1 < error(replace(fitted, selection=Selection()))
    cold = fitted.score(np.full(I, U - 1), np.arange(I))  # a user of the tables without a rating
    assert cold.mean() == pytest.approx(fitted.fold_in_user(none, none.astype(float)).score().mean(), abs=0.05)
    np.testing.assert_allclose(fitted.score_all(np.array([0, U - 1]))[1], cold, atol=1e-5)
    order = replace(fitted, selection=Selection(9.0))
    assert np.array_equal(order.rank_all(np.array([0, U - 1])), fitted.rank_all(np.array([0, U - 1])))
