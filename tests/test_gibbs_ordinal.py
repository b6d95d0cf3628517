"""Ordered probit: hidden ratings, cutpoints, and what fits with it predict."""

from dataclasses import replace

import battery
import numpy as np
import pytest
from scipy import stats

from dotbias.errors import DataError
from dotbias.solvers.gibbs import gibbs, ordinal


def test_hidden_ratings_are_truncated_normals():
    """z given its star, near and far from where f is, against scipy's truncated normal."""
    cutpoints, alpha = np.array([-np.inf, -1.0, 0.2, 1.5, np.inf]), 1.7
    for level, f in ((0, 0.3), (1, 0.0), (2, -4.0), (3, 1.0)):
        e = np.empty(20_000, np.float32)
        levels = np.full(len(e), level, np.int32)
        ordinal._hidden.whole(0, len(e), np.full(len(e), f, np.float32), levels, cutpoints, alpha**0.5, np.uint64(3), e)
        ends = (cutpoints[level : level + 2] - f) * alpha**0.5
        assert (
            stats.kstest((f + e.astype(float)) * alpha**0.5 - f * alpha**0.5, stats.truncnorm(*ends).cdf).pvalue > 1e-3
        )


def test_cutpoints_reach_their_posterior():
    """With f and noise known, the chain's free cutpoint has the mean of its likelihood, flat prior."""
    rng = np.random.default_rng(0)
    f = rng.normal(size=3000).astype(np.float32)
    true = np.array([-np.inf, -1.0, -0.3, 0.4, 1.2, np.inf])
    levels = (np.searchsorted(true, f + rng.normal(size=len(f))) - 1).astype(np.int32)
    held = ordinal.held(levels, 5)
    assert held.sum() == 2
    guess = true.copy()
    guess[1:-1][~held] += 0.05
    steps, kept = np.full(4, 0.05), []
    for sweep in range(1, 1501):
        rng = np.random.default_rng(sweep)
        ordinal.draw(levels, guess, steps, -f, rng, precision=1.0, sweep=sweep, learn=sweep < 300)
        kept.append(guess[1:-1].copy())
    kept = np.array(kept[300:])
    assert (kept[:, held] == true[1:-1][held]).all()
    np.testing.assert_allclose(kept.mean(0), true[1:-1], atol=0.12)
    assert kept[:, ~held].std(0).min() > 0.01 and kept[:, ~held].std(0).max() < 0.1


def test_star_probabilities_add_up():
    train, test = battery.parts()
    train, test = (replace(r, values=r.values.round()) for r in (train, test))
    fitted = gibbs(train, n_factors=3, n_sweeps=60, noise=0.4, ordinal=True, rng=0)
    p = fitted.star_probabilities(test.users, test.items)
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(fitted.score(test.users, test.items), p @ fitted.stars, rtol=1e-5)
    assert np.mean((fitted.score(test.users, test.items) - test.values) ** 2) < test.values.var()
    low, high = fitted.interval(test.users, test.items, level=0.8)
    assert np.isin(low, fitted.stars).all() and np.mean((test.values >= low) & (test.values <= high)) > 0.75
    assert (fitted.sd(test.users, test.items) > 0).all()


def test_gaussian_fits_on_many_values_know_no_stars():
    train, test = battery.parts()
    few = {"n_factors": 3, "n_sweeps": 3, "noise": 0.4, "rng": 0}
    fitted = gibbs(train, **few)
    with pytest.raises(DataError, match="does not support stars"):
        fitted.star_probabilities(test.users, test.items)
    with pytest.raises(DataError, match="distinct"):
        gibbs(train, ordinal=True, **few)
