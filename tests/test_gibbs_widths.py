"""Slices held out of train, and what is fitted on them: planted noise, planted stars, a planted carry."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from dotbias.checkpoint import key_of
from dotbias.datasets import planted
from dotbias.posterior import slices
from dotbias.solvers import candidates, choice, gibbs
from dotbias.solvers.gibbs.widths import LEVEL, Parts, Rows, fit_widths, moved, star_noise, state
from dotbias.solvers.slices import hold_out
from dotbias.times import DAY, NOW

fit_module = sys.modules["dotbias.solvers.gibbs.fit"]  # the name in the package is the function
WORLD = planted(300, 80, n_ratings=9000, n_factors=2, noise=0.4, rng=3).ratings


def test_the_slices_are_disjoint_and_are_what_they_say():
    out = hold_out(WORLD, 7, timed=True)
    assert not (out.random & (out.last | out.new)).any() and not (out.last & out.new).any()
    assert np.array_equal(out.rest, ~(out.random | out.last | out.new))
    users, times = WORLD.users, WORLD.times
    assert not np.isin(users[~out.new], users[out.new]).any()  # all ratings of the new ones
    for user in np.unique(users[out.last])[:20]:
        mine = users == user
        assert times[mine & out.last].min() >= times[mine & ~out.last].max()
        assert (mine & out.last).sum() == mine.sum() - np.ceil(0.8 * mine.sum())
    assert not hold_out(WORLD, 7, timed=False).last.any()
    assert np.array_equal(hold_out(WORLD, 7, timed=True).random, out.random)


def test_widths_find_planted_ones():
    rng = np.random.default_rng(0)
    n = 40_000
    x = np.c_[np.ones(n), rng.uniform(0, 5, n), rng.uniform(0, 5, n), rng.random((n, 3)) < 0.3].astype(float)
    truth = np.array([0.0, -0.2, 0.1, 0.5, 0.0, 0.3])
    variance = rng.uniform(0.05, 0.2, n)
    sd = np.sqrt((variance + 0.5**2) * np.exp(x @ truth))
    rows = Rows(np.zeros(n), variance, x, sd * rng.standard_normal(n))
    noise, found = fit_widths(rows)
    np.testing.assert_allclose(found[1:], truth[1:], atol=0.06)
    got = np.sqrt((variance + noise**2) * np.exp(x @ found))
    assert np.mean(np.abs(rows.y) < ndtri(0.5 + LEVEL / 2) * got) == pytest.approx(LEVEL, abs=1e-3)
    np.testing.assert_allclose(got, sd, rtol=0.05)


@pytest.mark.parametrize("cuts", [[1.4, 2.6, 3.3, 4.6], [2.3, 2.7, 3.5, 4.6]])  # the second: star 2 lies in 1's slice
def test_stars_find_planted_cutpoints(cuts):
    rng = np.random.default_rng(1)
    mean, cuts = rng.normal(3, 1, 20_000), np.array(cuts)
    y = 1.0 + np.searchsorted(cuts, mean + 0.6 * rng.standard_normal(len(mean)))
    rows = Rows(mean, np.full(len(mean), 1e-9), np.zeros((len(mean), 6)), y)
    edges = np.add(cuts, [0.1, -0.1, 0.1, -0.1])
    noise, moves = star_noise(rows, np.arange(1.0, 6.0), np.zeros(6), edges, 0.8)
    found = moved(edges, moves)
    assert noise == pytest.approx(0.6, abs=0.03)
    np.testing.assert_allclose(found, cuts, atol=0.05)
    assert slices(mean, np.full(len(mean), noise**2), found).shape == (len(mean), 5)


def test_a_few_new_users_do_not_set_the_level_of_all():
    """New users who rate everything one star widen intervals, and leave the guesses for others where they were."""
    rng = np.random.default_rng(0)
    stars = replace(WORLD, values=np.clip(np.round(WORLD.explicit()), 1, 5).astype(np.float32), y_range=None)
    new, random = np.isin(stars.users, np.arange(4)), rng.random(len(stars)) < 0.1
    rest = stars.take(~new & ~random)
    fitted = gibbs(rest, n_factors=2, ordinal=True, noise=0.7, n_sweeps=30, keep=30, rng=0)
    rated = stars.take(new)
    hated = replace(rated, values=np.full(len(rated), 1, np.float32))
    nothing = stars.take(np.zeros(len(stars), bool))
    kept = stars.take(random & ~new)
    moves = [state(fitted, Parts(kept, nothing, part), fitted.cutpoints).moves for part in (nothing, hated)]
    np.testing.assert_allclose(moves[0], moves[1], atol=0.1)


def test_moved_cutpoints_rise_and_stay_without_a_move():
    edges = np.array([1.5, 2.5, 3.5])
    np.testing.assert_array_equal(moved(edges, np.zeros(3)), edges)
    assert (np.diff(moved(edges, np.array([9.0, -3.0, 2.0]))) > 0).all()


def test_moods_that_last_are_carried_over():
    """Every user's mood of a day: half of the users keep it, so part of the last one helps to guess tomorrow's."""
    rng = np.random.default_rng(0)
    day = np.zeros(len(WORLD), np.int64)
    for user in range(WORLD.n_users):
        mine = np.flatnonzero(WORLD.users == user)
        day[mine] = np.arange(len(mine)) * 4 // len(mine)
    mood = np.cumsum(rng.normal(0, 0.6, (WORLD.n_users, 4)), 1)  # a walk: tomorrow's mood is near today's
    walk = replace(
        WORLD, values=(WORLD.values + mood[WORLD.users, day]).astype(np.float32), times=day * DAY, y_range=None
    )
    fitted = gibbs(walk, n_factors=2, sessions=True, n_sweeps=30, keep=30, rng=0)
    assert fitted.sessions.carry >= 0.5
    assert set(fitted.held_out) == {"time unknown", "time given", "last", "new"}
    users, items = walk.users[:50], walk.items[:50]
    now = fitted.score(users, items, np.full(50, NOW))
    assert np.abs(now - fitted.carrying(0).score(users, items, np.full(50, NOW))).mean() > 0.05


def test_a_stranger_is_the_average_user_with_a_wide_interval():
    world = planted(300, 80, n_ratings=9000, n_factors=2, noise=0.4, rng=4).ratings
    fitted = gibbs(world, n_factors=2, histories=True, n_sweeps=40, keep=40, rng=0)
    nobody = np.array([-1])
    items = np.arange(80)
    guess = fitted.score(np.repeat(nobody, 80), items)
    bias, factors = fitted.user_rows(np.arange(300))
    average = fitted.mean + bias.mean(1)
    everyone = average[:, None] + fitted.item_bias + np.einsum("sk,sik->si", factors.mean(1), fitted.items)
    assert np.abs(guess - np.clip(everyone.mean(0), *fitted.y_range)).mean() < 0.06
    (low, high), known = (fitted.interval(np.repeat(u, 80), items) for u in (nobody, world.users[:1]))
    assert (high - low).mean() > (known[1] - known[0]).mean()
    told = fitted.fold_in_user(items[:30], np.full(30, 4.0))
    few = fitted.fold_in_user(items[:1], np.full(1, 4.0))
    assert np.diff(told.interval(items), axis=0).mean() < np.diff(few.interval(items), axis=0).mean()


def test_auto_takes_the_best_of_its_candidates(monkeypatch):
    errors = candidates.baseline_errors(WORLD, 5, seconds=60)
    assert set(errors) == {"bias", "als", "sgd"} and errors["als"] < errors["bias"]
    assert candidates.best(errors) in candidates.table(errors).splitlines()[0]
    assert candidates.baseline_errors(WORLD.take(np.arange(100)), 5, seconds=60) == {}
    assert set(candidates.baseline_errors(WORLD, 5, seconds=1e-3)) == {"bias"}
    monkeypatch.setattr(candidates, "baseline_errors", lambda *a, **k: {"bias": 0.0, "als": 1.0})
    fitted = choice.auto(WORLD.take(np.arange(3000)), rng=0)
    assert type(fitted).__name__ == "Factors" and fitted.n_factors == 0  # the biases, which were said to win


@pytest.mark.parametrize("days", [1, 5], ids=["one session each", "several"])
def test_candidates_are_compared_on_the_ratings_that_gibbs_holds_out(monkeypatch, days):
    """Also where sessions are the users again, so that gibbs uses none."""
    world, seen = replace(WORLD, times=np.arange(len(WORLD)) % days * DAY), {"gibbs": [], "candidates": []}
    for name, module in (("gibbs", fit_module), ("candidates", candidates)):

        def noted(*args, name=name, **options):
            seen[name].append(hold_out(*args, **options))
            return seen[name][-1]

        monkeypatch.setattr(module, "hold_out", noted)
    gibbs(world, n_factors=1, sessions=True, n_sweeps=2, keep=2, rng=3)
    candidates.baseline_errors(world, key_of(3, None), seconds=60)
    for ours, theirs in zip(seen["gibbs"][0], seen["candidates"][0], strict=True):
        assert np.array_equal(ours, theirs)
