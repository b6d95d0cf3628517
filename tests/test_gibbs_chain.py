"""One chain: each conditional against its closed form, priors, calibration by simulation."""

import copy

import numpy as np
import pytest
from gibbs_worlds import dense, started, tiny_problem
from scipy import stats

from dotbias.errors import DivergedError
from dotbias.solvers.gibbs import chain

DRAWS = 1500


def test_residuals_are_the_model_written_out():
    p = tiny_problem()
    c = started(p)
    effects = [chain.effective(s, w) for s, w in zip(p.sides, c.sides, strict=True)]
    np.testing.assert_allclose(chain.residuals(p, c, effects), p.values - dense(p, c), atol=1e-5)


@pytest.mark.parametrize("j", [0, 1, 2], ids=["users", "items", "sessions"])
def test_residuals_follow_the_draws(j):
    """After a side's draws, the residuals kept along the way are those of the new parameters."""
    p = tiny_problem()
    c = started(p, n_factors=11)  # two blocks, one of them padded
    effects = [chain.effective(s, w) for s, w in zip(p.sides, c.sides, strict=True)]
    e = chain.residuals(p, c, effects)
    chain.draw_side(p, c, j, effects, e, chain.keys_of(c, np.random.default_rng(0)))
    np.testing.assert_allclose(e, p.values - dense(p, c), atol=2e-5)
    assert not c.sides[j].factors[:, 11:].any()  # what pads stays zero


def parameter_block(w, which):
    """One block of a side's parameters, as a view: an own or a feature's bias, or its first eight factors."""
    kind, k = which
    return {
        "bias": lambda: w.bias[k : k + 1],
        "factors": lambda: w.factors[k, :5],
        "feature bias": lambda: w.feature_bias[k : k + 1],
        "feature factors": lambda: w.feature_factors[k, :5],
    }[kind]()


def closed_form(p, c, j, which, mean, precision):
    """Mean and covariance of a block's conditional, by least squares on the model written out."""
    block = parameter_block(c.sides[j], which)
    kept = block.copy()
    block[:] = 0
    base = dense(p, c)
    design = np.empty((len(base), len(block)))
    for k in range(len(block)):
        block[:] = 0
        block[k] = 1
        design[:, k] = dense(p, c) - base
    block[:] = kept
    P = c.precision * design.T @ design + np.diag(precision)
    return np.linalg.solve(P, c.precision * design.T @ (p.values - base) + precision * mean), np.linalg.inv(P)


@pytest.mark.parametrize("which", [("factors", 2), ("bias", 2)], ids=lambda w: w[0])
@pytest.mark.parametrize("j", [0, 1, 2], ids=["users", "items", "sessions"])
def test_own_parameters_are_drawn_from_their_conditional(j, which):
    """Own rows are drawn first, so their conditional is that of the start: draws have its mean and covariance."""
    p = tiny_problem()
    c = started(p)
    w = c.sides[j]
    prior = (
        (w.bias_mean[:1], w.bias_precision[:1])
        if "bias" in which[0]
        else (w.factor_mean[0, :5], w.factor_precision[0, :5])
    )
    if "factors" in which[0]:  # biases are drawn before; here they are held
        w.bias_precision[:], w.bias_mean[0] = 1e12, 0
        w.bias[:], w.feature_bias[:], w.bias_mean[1:] = 0, 0, 0
    mean, covariance = closed_form(p, c, j, which, *prior)
    draws = np.array([drawn(p, c, j, which, seed) for seed in range(DRAWS)])
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(draws.mean(0), mean, atol=4.5 * scale.max() / np.sqrt(DRAWS))
    np.testing.assert_allclose(np.cov(draws.T).reshape(covariance.shape), covariance, atol=0.2 * scale.max() ** 2)


def drawn(p, c, j, which, seed):
    """The block after one call of draw_side on a copy of the chain."""
    trial = copy.deepcopy(c)
    effects = [chain.effective(s, w) for s, w in zip(p.sides, trial.sides, strict=True)]
    e = chain.residuals(p, trial, effects)
    chain.draw_side(p, trial, j, effects, e, chain.keys_of(trial, np.random.default_rng(seed)))
    return parameter_block(trial.sides[j], which).copy()


@pytest.mark.parametrize("which", [("feature factors", 0), ("feature bias", 0)], ids=lambda w: w[0])
@pytest.mark.parametrize("j", [0, 1], ids=["users", "items"])
def test_features_are_drawn_from_their_conditional(j, which):
    """The first feature, own parameters held: a history entry touches several rows."""
    p = tiny_problem()
    c = started(p)
    w = c.sides[j]
    prior = (
        (w.bias_mean[1:2], w.bias_precision[1:2])
        if "bias" in which[0]
        else (w.factor_mean[1, :5], w.factor_precision[1, :5])
    )
    hold(w, which)
    prior = [a.copy() for a in prior]
    mean, covariance = closed_form(p, c, j, which, *prior)
    draws = np.array([drawn(p, c, j, which, seed) for seed in range(DRAWS)])
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(draws.mean(0), mean, atol=4.5 * scale.max() / np.sqrt(DRAWS))
    np.testing.assert_allclose(np.cov(draws.T).reshape(covariance.shape), covariance, atol=0.2 * scale.max() ** 2)


def hold(w, which):
    """Priors so tight that what is drawn before the block stays where it is: at zero."""
    w.bias[:], w.bias_mean[0], w.bias_precision[0] = 0, 0, 1e12
    w.factors[:], w.factor_mean[0], w.factor_precision[0] = 0, 0, 1e9
    if "factors" in which[0]:
        w.feature_bias[:], w.bias_mean[:], w.bias_precision[:] = 0, 0, 1e12


def test_priors_are_drawn_from_the_normal_gamma():
    """Means of λ and μ against the closed form; μ's spread given λ."""
    x = np.random.default_rng(0).normal(2, 0.5, (40, 1)).astype(np.float32)
    prior = chain.HyperPrior(shape=2.0, rate=1.0, count=3.0)
    rng = np.random.default_rng(1)
    draws = np.array([np.ravel(chain.normal_gamma(x, 0, 40, prior, rng)) for _ in range(20_000)])
    m, n = float(x.mean()), 40
    rate = 1.0 + (float(((x - m) ** 2).sum()) + n * 3 / (n + 3) * m * m) / 2
    shape = 2.0 + n / 2
    np.testing.assert_allclose(draws.mean(0), [n * m / (n + 3), shape / rate], rtol=0.01)
    np.testing.assert_allclose(draws[:, 1].var(), shape / rate**2, rtol=0.05)
    np.testing.assert_allclose(((draws[:, 0] - n * m / 43) ** 2 * draws[:, 1]).mean(), 1 / 43, rtol=0.05)


def test_noise_precision_is_drawn_from_its_gamma():
    e = np.random.default_rng(0).normal(0, 2, 50).astype(np.float32)
    prior, rng = chain.HyperPrior(1.5, 0.7, 1.0), np.random.default_rng(1)
    squares = float((e.astype(float) ** 2).sum())
    draws = [chain.draw_precision(squares, 50, prior, rng) for _ in range(20_000)]
    gamma = stats.gamma(1.5 + 25, scale=1 / (0.7 + squares / 2))
    assert stats.kstest(draws, gamma.cdf).pvalue > 0.001


def test_a_chain_that_leaves_the_finite_numbers_says_so():
    p = tiny_problem()
    c = started(p)
    c.sides[0].factors[0, 0] = np.inf
    with pytest.raises(DivergedError, match="finite"):
        chain.sweep(p, c, key=1, noise=1.0, prior=chain.HyperPrior())


def test_simulation_based_calibration():
    """Talts et al. 2018: parameters drawn from the prior, data from them; the truth's rank among samples is uniform.

    Ranked: the noise precision, the precision of the users' biases, and the noiseless score of a pair.
    """
    prior = chain.HyperPrior(shape=8.0, rate=6.0, count=8.0)
    ranks = np.array([sbc_rank(prior, seed) for seed in range(48)])
    for column in ranks.T:
        counts = np.bincount(column * 5 // 21, minlength=5)  # ranks 0..20 in five bins
        expected = np.bincount(np.arange(21) * 5 // 21) / 21 * len(ranks)
        assert stats.chisquare(counts, expected).pvalue > 0.002, counts


def sbc_rank(prior, seed):
    rng = np.random.default_rng(seed)
    p = tiny_problem(seed, n_ratings=30)
    truth = chain.start(p, n_factors=2, key=seed, precision=1.0, cutpoints=np.zeros(0))
    draw_from_prior(truth, prior, rng)
    values = (dense(p, truth) + rng.normal(size=len(p.values)) / np.sqrt(truth.precision)).astype(np.float32)
    p = p._replace(values=values)
    c = chain.start(p, n_factors=2, key=seed + 1000, precision=1.0, cutpoints=np.zeros(0))
    draw_from_prior(c, prior, rng)
    seen = []
    for t in range(20 * 6 + 40):
        chain.sweep(p, c, key=seed + 1000, noise=None, prior=prior)
        if t >= 40 and t % 6 == 0:
            seen.append(summary(p, c))
    return (np.array(seen) < summary(p, truth)).sum(0)


def summary(p, c):
    return np.array([c.precision, c.sides[0].bias_precision[0], dense(p, c)[0]])


def draw_from_prior(c, prior, rng):
    """Everything but the mean, whose prior is flat: it is zero in truth."""
    c.precision = rng.gamma(prior.shape) / prior.rate
    K = c.n_factors
    for w in c.sides:
        groups = len(w.bias_mean)
        w.bias_precision[:] = rng.gamma(prior.shape, size=groups) / prior.rate
        w.bias_mean[:] = rng.normal(size=groups) / np.sqrt(prior.count * w.bias_precision)
        w.factor_precision[:, :K] = rng.gamma(prior.shape, size=(groups, K)) / prior.rate
        w.factor_mean[:, :K] = rng.normal(size=(groups, K)) / np.sqrt(prior.count * w.factor_precision[:, :K])
    fill_from_prior(c, rng)


def fill_from_prior(c, rng):
    K = c.n_factors
    for w, groups in zip(c.sides, ([5], [6, 3], []), strict=True):
        group = np.repeat(np.arange(1, len(groups) + 1), groups)
        for bias, factors, of in (
            (w.bias, w.factors, np.zeros(len(w.bias), int)),
            (w.feature_bias, w.feature_factors, group),
        ):
            bias[:] = w.bias_mean[of] + rng.normal(size=len(of)) / np.sqrt(w.bias_precision[of])
            noise_ = rng.normal(size=(len(of), K)) / np.sqrt(w.factor_precision[of, :K])
            factors[:, :K] = w.factor_mean[of, :K] + noise_
