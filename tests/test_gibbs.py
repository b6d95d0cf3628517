"""Gibbs sampling: each conditional against its closed form, calibration by simulation, a planted world, the bits."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import battery
import numba
import numpy as np
import polars as pl
import pytest
from numba import njit
from scipy import stats

from dotbias import split
from dotbias.datasets import planted
from dotbias.errors import DataError, DivergedError, ModelFileError, SettingError
from dotbias.evaluation import evaluate
from dotbias.ratings import Ids, Ratings
from dotbias.solvers import _gibbs_chain as chain
from dotbias.solvers import _gibbs_kernels as kernels
from dotbias.solvers import _gibbs_noise as noise
from dotbias.solvers import _gibbs_ordinal as ordinal
from dotbias.solvers import _gibbs_random as random
from dotbias.solvers import _vec as vec
from dotbias.solvers import gibbs, posterior_nbytes
from dotbias.trace import effective_size, r_hat

DRAWS = 1500
QUICK = partial(gibbs, n_factors=3, n_sweeps=30, noise=0.4, rng=0)


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny worlds on two threads of a busy machine wait for time slices, a hundred times longer than they work."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


def tiny(rng=0, *, n_users=6, n_items=5, n_days=3, n_ratings=24):
    """Columns and bags of a world small enough for dense algebra."""
    rng = np.random.default_rng(rng)
    pairs = rng.choice(n_users * n_items, n_ratings, replace=False)
    users, items = (pairs // n_items).astype(np.int32), (pairs % n_items).astype(np.int32)
    days = rng.integers(0, n_days, n_ratings).astype(np.int32)
    y = rng.normal(size=n_ratings).astype(np.float32)
    table = pl.DataFrame({"genres": ["a|b", "b", "a|c", "c", "a"][:n_items]})
    return Ratings(users, items, y, days * 86_400, Ids(range(n_users)), Ids(range(n_items)), item_table=table), days


def tiny_problem(rng=0, **options):
    from dotbias.features import bags, encode

    ratings, days = tiny(rng, **options)
    both = [bags(ratings, of="users"), bags(ratings, of="items")]
    columns = ratings.users, ratings.items, days
    n_rows = ratings.n_users, ratings.n_items, 3
    tables = [None, encode(ratings.item_table, ["genres"])]
    return chain.problem(ratings.values, np.zeros(0, np.int32), columns, n_rows, both, tables)


def started(p, n_factors=5, rng=0):
    """A chain with every parameter away from zero."""
    c = chain.start(p, n_factors=n_factors, key=1, precision=2.0, cutpoints=np.zeros(0))
    rng = np.random.default_rng(rng)
    for w in c.sides:
        w.bias[:] = rng.normal(size=w.bias.shape)
        w.feature_bias[:] = rng.normal(size=w.feature_bias.shape)
        w.bias_mean[:], w.bias_precision[:] = rng.normal(size=len(w.bias_mean)), rng.uniform(1, 3, len(w.bias_mean))
        w.factor_mean[:, :n_factors] = rng.normal(size=w.factor_mean[:, :n_factors].shape)
        w.factor_precision[:] = rng.uniform(1, 3, w.factor_precision.shape)
        w.factors *= 5
        w.feature_factors *= 5
    return c


def dense(p, c):
    """The model written out: every rating's prediction from parameters, without a trick. (N,) float64."""
    out = np.full(len(p.values), c.mean)
    bias, factors = [], []
    for s, w in zip(p.sides, c.sides, strict=True):
        x = np.zeros((s.n_rows, len(s.group)))
        for row in range(s.n_rows):
            entries = slice(s.entry[row], s.entry[row + 1])
            x[row, s.index[entries]] = s.weight[entries]
        bias.append(w.bias + x @ w.feature_bias)
        factors.append(w.factors + x @ w.feature_factors)
    for r, (u, i, d) in enumerate(zip(*p.columns, strict=True)):
        a, b, t = factors[0][u], factors[1][i], factors[2][d]
        out[r] += bias[0][u] + bias[1][i] + bias[2][d] + a @ b + t @ (a + b)
    return out


# Conditionals ------------------------------------------------------------------------------------------------------


def test_residuals_are_the_model_written_out():
    p = tiny_problem()
    c = started(p)
    effects = [chain.effective(s, w) for s, w in zip(p.sides, c.sides, strict=True)]
    np.testing.assert_allclose(chain.residuals(p, c, effects), p.values - dense(p, c), atol=1e-5)


@pytest.mark.parametrize("j", [0, 1, 2], ids=["users", "items", "days"])
def test_residuals_follow_the_draws(j):
    """After a side's draws, the residuals kept along the way are those of the new parameters."""
    p = tiny_problem()
    c = started(p, n_factors=11)  # two blocks, one of them padded
    effects = [chain.effective(s, w) for s, w in zip(p.sides, c.sides, strict=True)]
    e = chain.residuals(p, c, effects)
    chain.draw_side(p, c, j, effects, e, np.random.default_rng(0))
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
@pytest.mark.parametrize("j", [0, 1, 2], ids=["users", "items", "days"])
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
    import copy

    trial = copy.deepcopy(c)
    effects = [chain.effective(s, w) for s, w in zip(p.sides, trial.sides, strict=True)]
    e = chain.residuals(p, trial, effects)
    chain.draw_side(p, trial, j, effects, e, np.random.default_rng(seed))
    return parameter_block(trial.sides[j], which).copy()


@pytest.mark.parametrize("which", [("feature factors", 0), ("feature bias", 0)], ids=lambda w: w[0])
@pytest.mark.parametrize("j", [0, 1], ids=["users", "items"])
def test_features_are_drawn_from_their_conditional(j, which):
    """The first feature, own parameters held: a bag entry touches several rows."""
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
    prior = chain.Prior(shape=2.0, rate=1.0, count=3.0)
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
    prior, rng = chain.Prior(1.5, 0.7, 1.0), np.random.default_rng(1)
    draws = [chain.draw_precision(e, prior, rng) for _ in range(20_000)]
    gamma = stats.gamma(1.5 + 25, scale=1 / (0.7 + float((e.astype(float) ** 2).sum()) / 2))
    assert stats.kstest(draws, gamma.cdf).pvalue > 0.001


def test_solve_is_a_gaussian_draw():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(8, 20))
    P, right = (a @ a.T).astype(np.float32), rng.normal(size=8).astype(np.float32)
    zero = np.zeros(8, np.float32)
    np.testing.assert_allclose(solved(P.ravel(), right, zero), np.linalg.solve(P, right), rtol=1e-4, atol=1e-6)
    draws = np.array([solved(P.ravel(), 0 * right, z) for z in np.eye(8, dtype=np.float32)])  # columns of P^-½
    np.testing.assert_allclose(draws.T @ draws, np.linalg.inv(P), rtol=1e-3, atol=1e-5)


@njit
def _solve(P, right, z):
    x, work = np.empty(8, np.float32), np.empty(16, np.float32)
    kernels.solve(P, vec.load(right, 0), z, work, x)
    return x


def solved(P, right, z):
    return _solve(P.copy(), right, z)


# Random numbers ----------------------------------------------------------------------------------------------------


def test_normals_are_normal():
    x = random.normals(np.uint64(5), 400_000)
    assert stats.kstest(x, "norm").pvalue > 0.001
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01
    assert not np.array_equal(x[:9], random.normals(np.uint64(6), 9))


def test_distribution_function_and_its_inverse():
    x = np.linspace(-30, 8, 300)
    np.testing.assert_allclose([_cdf(v) for v in x], stats.norm.cdf(x), rtol=2e-7)
    p = np.r_[1e-300, 1e-20, np.linspace(0.001, 0.999, 99), 1 - 1e-12]
    np.testing.assert_allclose([random.quantile(v) for v in p], stats.norm.ppf(p), rtol=1e-9, atol=1e-9)


@njit
def _cdf(x):
    return random.cdf(x)


# Ordered probit ----------------------------------------------------------------------------------------------------


def test_hidden_ratings_are_truncated_normals():
    """z given its star, near and far from where f is, against scipy's truncated normal."""
    cutpoints, alpha = np.array([-np.inf, -1.0, 0.2, 1.5, np.inf]), 1.7
    for level, f in ((0, 0.3), (1, 0.0), (2, -4.0), (3, 1.0)):
        e = np.empty(20_000, np.float32)
        levels = np.full(len(e), level, np.int32)
        ordinal._hidden(np.full(len(e), f, np.float32), levels, cutpoints, alpha**0.5, np.uint64(3), e)
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
    c = chain.Chain(0.0, 1.0, 1, 0, [], guess, np.full(4, 0.05))
    kept = []
    for _ in range(1500):
        ordinal.draw(levels, c, -f, np.random.default_rng(c.sweep), learn=c.sweep < 300)
        c.sweep += 1
        kept.append(c.cutpoints[1:-1].copy())
    kept = np.array(kept[300:])
    assert (kept[:, held] == true[1:-1][held]).all()
    np.testing.assert_allclose(kept.mean(0), true[1:-1], atol=0.12)
    assert kept[:, ~held].std(0).min() > 0.01 and kept[:, ~held].std(0).max() < 0.1


# Calibration by simulation -----------------------------------------------------------------------------------------


def test_simulation_based_calibration():
    """Talts et al. 2018: parameters drawn from the prior, data from them; the truth's rank among samples is uniform.

    Ranked: the noise precision, the precision of the users' biases, and the noiseless score of a pair.
    """
    prior = chain.Prior(shape=8.0, rate=6.0, count=8.0)
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


# Whole fits --------------------------------------------------------------------------------------------------------


def test_reaches_a_planted_worlds_noise():
    """Within 6 % of the error of who knows the truth; intervals hold what they promise."""
    world = planted(150, 120, n_ratings=14_000, n_factors=3, noise=0.5, rng=1)
    parts = split.random(world.ratings, test=0.2, rng=0)
    fitted = gibbs(parts.train, n_factors=8, rng=0)
    report = evaluate(fitted, parts.test, train=parts.train, n_resamples=20)
    truth = np.sqrt(np.mean((world.score(parts.test.users, parts.test.items) - parts.test.values) ** 2))
    assert report.rmse < 1.06 * truth + 0.01
    low, high = fitted.interval(parts.test.users, parts.test.items)
    assert 0.75 < np.mean((parts.test.values >= low) & (parts.test.values <= high)) < 0.86
    assert any("held out" in note for note in fitted.notes)


@pytest.mark.parametrize("check", battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    def fit(train, *, valid=None, rng=0):
        return gibbs(train, n_factors=3, n_sweeps=60, noise=0.45, bags=True, valid=valid, rng=rng)

    check(fit)


def same(a, b):
    x, y = a.state().arrays, b.state().arrays
    return x.keys() == y.keys() and all(x[k].tobytes() == y[k].tobytes() for k in x)


THREADS = """
import hashlib, sys
sys.path[:0] = {path!r}
import numba
import numpy as np
import test_gibbs as t
bits = b""
for cutpoints in (np.zeros(0), np.array([-np.inf, -0.5, 0.5, 1.0, np.inf])):
    p = t.tiny_problem(n_users=700, n_items=5, n_ratings=3000)
    p = p._replace(levels=(np.arange(3000) % 4).astype(np.int32))
    c = t.chain.start(p, n_factors=9, key=1, precision=1.0, cutpoints=cutpoints)
    for _ in range(2):
        t.chain.sweep(p, c, key=1, noise=None, prior=t.chain.Prior(), learn_steps=True)
    bits += c.cutpoints.tobytes() + b"".join(a.tobytes() for w in c.sides for a in vars(w).values())
print(hashlib.sha256(bits).hexdigest(), numba.get_num_threads())
"""


def test_same_bits_on_one_and_two_threads():
    """A chain of 700 rows, so that there is something to share; gaussian and ordinal."""
    code = THREADS.format(path=[str(Path(__file__).parent)])
    words = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "NUMBA_NUM_THREADS": n}, capture_output=True, check=True
        ).stdout.split()
        for n in ("1", "2")
    ]
    assert words[0][0] == words[1][0] and [w[1] for w in words] == [b"1", b"2"]


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "options", [{"noise": "auto"}, {"noise": 0.5, "ordinal": True, "bags": True}], ids=["search", "stars"]
)
def test_a_resumed_run_has_the_same_bits(tmp_path, options):
    train, _ = battery.parts()
    train = replace(train, values=train.values.round())
    fit = partial(gibbs, train, n_factors=2, n_sweeps=25, rng=5, **options)
    whole, file = fit(), tmp_path / "run.safetensors"

    def stop_at(n):
        def progress(sweep):
            if sweep.sweep == n:
                raise Stop

        return progress

    for n in (23, 70):  # twice: in the first phase, and later
        with pytest.raises(Stop):
            fit(checkpoint=file, checkpoint_every=10, progress=stop_at(n))
    assert same(whole, fit(checkpoint=file, checkpoint_every=10))
    assert same(whole, fit(checkpoint=file))  # finished: nothing is left to do
    with pytest.raises(SettingError, match="of another fit \\(keep: 100 there, 7 here\\)"):
        fit(checkpoint=file, keep=7)
    file.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ModelFileError, match="is no checkpoint"):
        fit(checkpoint=file)


@pytest.mark.parametrize("at", [2, 75])
def test_ctrl_c_returns_what_is_there(at):
    train, test = battery.parts()

    def interrupt(progress):
        if progress.sweep == at:
            raise KeyboardInterrupt

    fitted = QUICK(train, n_sweeps=200, progress=interrupt)
    assert np.isfinite(fitted.score(test.users, test.items)).all()
    assert any("stopped by hand" in note for note in fitted.notes)


def test_chains_and_traces():
    train, _ = battery.parts()
    fitted = QUICK(train, chains=2, n_sweeps=40, keep=20)
    trace = fitted.trace
    assert trace.values.shape[:2] == (2, 40) and fitted.n_samples == 40
    assert set(trace.r_hat()) == set(trace.names) == set(trace.effective_size())
    assert not any("factor 0" in name for name in trace.names)  # factors rotate: only their spread is traced


def test_effective_size_and_r_hat():
    rng = np.random.default_rng(0)
    noise_ = rng.normal(size=(4, 4000))
    assert 12_000 < effective_size(noise_) < 21_000 and abs(r_hat(noise_) - 1) < 0.01
    slow = np.zeros_like(noise_)
    for t in range(1, 4000):
        slow[:, t] = 0.9 * slow[:, t - 1] + noise_[:, t]
    assert 500 < effective_size(slow) < 1300  # 16,000 · (1 - 0.9) / (1 + 0.9) = 842
    assert r_hat(noise_ + np.arange(4)[:, None]) > 1.5


def test_the_ladder_finds_the_bottom():
    precisions = [1.2**k for k in range(8)]
    errors = [1 + 0.3 * (np.log(p) - np.log(1.9)) ** 2 for p in precisions]
    assert abs(noise.best_precision(precisions, errors) - 1.9) < 0.02
    assert noise.climbing(errors[:4]) and not noise.climbing([1.0, 0.9, 0.95, 0.96, 1.0])


def test_error_across_halves_is_free_of_jitter():
    rng = np.random.default_rng(0)
    y = rng.normal(size=20_000)
    halves = noise.Halves(len(y), 10)
    for _ in range(10):
        halves.add(0.5 * rng.normal(size=len(y)))
    assert abs(halves.error(y) - np.mean(y * y)) < 0.01
    assert np.mean((y - halves.mean()) ** 2) > np.mean(y * y) + 0.015
    np.testing.assert_allclose(halves.variance().mean(), 0.25 * 0.9, rtol=0.02)


# Stars, newcomers, sizes, errors -----------------------------------------------------------------------------------


def test_star_probabilities_add_up():
    train, test = battery.parts()
    train, test = (replace(r, values=r.values.round()) for r in (train, test))
    fitted = QUICK(train, ordinal=True, n_sweeps=60)
    p = fitted.star_probabilities(test.users, test.items)
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(fitted.score(test.users, test.items), p @ fitted.stars, rtol=1e-5)
    assert np.mean((fitted.score(test.users, test.items) - test.values) ** 2) < test.values.var()
    low, high = fitted.interval(test.users, test.items, level=0.8)
    assert np.isin(low, fitted.stars).all() and np.mean((test.values >= low) & (test.values <= high)) > 0.75
    assert (fitted.sd(test.users, test.items) > 0).all()


def test_gaussian_fits_on_many_values_know_no_stars():
    train, test = battery.parts()
    fitted = QUICK(train)
    with pytest.raises(DataError, match="does not support stars"):
        fitted.star_probabilities(test.users, test.items)
    with pytest.raises(DataError, match="distinct"):
        QUICK(train, ordinal=True)


def genre_world():
    """Items of genre a are liked, of genre b are not; the ratings say little else."""
    rng = np.random.default_rng(0)
    ratings = battery.world(n_ratings=2000)
    genre = np.array(["a", "b"] * 25)
    values = np.where(genre[ratings.items] == "a", 4.2, 2.0) + rng.normal(0, 0.3, len(ratings))
    return replace(ratings, values=values.astype(np.float32), item_table=pl.DataFrame({"genres": genre}))


def test_an_item_known_by_its_genre_alone():
    train = genre_world()
    train = train.take(train.items > 3)  # rows 0 to 3 have genres and no ratings
    fitted = QUICK(train, item_features=["genres"], bags=True, n_sweeps=60)
    users = np.arange(20)
    loved, not_loved = (fitted.fold_in_item([], [], {"genres": g}).score(users).mean() for g in "ab")
    assert loved > not_loved + 1.2
    rows = [fitted.score(users, np.full(20, row)).mean() for row in range(4)]
    assert min(rows[0], rows[2]) > max(rows[1], rows[3]) + 1.0
    with pytest.raises(DataError, match="no feature column"):
        fitted.fold_in_item([], [], {"genre": "a"})
    with pytest.raises(DataError, match="no value 'c'"):
        fitted.fold_in_item([], [], {"genres": "c"})


def test_a_number_is_standardised_for_newcomers_as_in_train():
    train = genre_world()
    year = 1990 + np.arange(train.n_items) % 2 * 10  # of genre a 1990, of genre b 2000
    train = replace(train, item_table=pl.DataFrame({"year": year}))
    fitted = QUICK(train.take(train.items > 3), item_features=["year"], n_sweeps=60)
    users = np.arange(20)
    for row, of_year in ((0, 1990), (1, 2000)):  # rows 0 and 1 have no ratings: their year is all that is known
        part = fitted.fold_in_item([], [], {"year": of_year})
        np.testing.assert_allclose(part.score(users), fitted.score(users, np.full(20, row)), atol=0.15)
    old, new = (fitted.fold_in_item([], [], {"year": y}).score(users).mean() for y in (1990, 2000))
    assert old > new + 0.6
    with pytest.raises(DataError, match="holds numbers; 'old' is none"):
        fitted.fold_in_item([], [], {"year": "old"})


def test_the_rating_s_day_counts_where_it_is_given():
    ratings = battery.world(n_ratings=2500)
    day = ratings.times // 86_400 % 2
    ratings = replace(
        ratings, times=(1000 + day) * 86_400, values=(ratings.values * 0.5 + 1 + 1.5 * day).astype(np.float32)
    )
    fitted = QUICK(ratings, days=True)
    u, i = ratings.users[:50], ratings.items[:50]
    at = [fitted.score(u, i, np.full(50, d * 86_400)).mean() for d in (1000, 1001)]
    assert at[1] > at[0] + 1
    np.testing.assert_array_equal(fitted.score(u, i), fitted.score(u, i, np.full(50, 5)))  # a day never seen
    every = fitted.score_all(u[:3], np.full(3, 1001 * 86_400))
    np.testing.assert_allclose(
        every[1], fitted.score(np.full(50, u[1]), np.arange(50), np.full(50, 1001 * 86_400)), atol=1e-4
    )


def test_compress_keeps_the_scores():
    train, test = battery.parts()
    fitted = QUICK(train, n_sweeps=60, bags=True)
    plain = fitted.compress(12)
    gap = plain.score(test.users, test.items) - fitted.score(test.users, test.items)
    known = (test.users > 0) & (test.items > 0)
    assert np.sqrt(np.mean(gap[known] ** 2)) < 0.06
    assert fitted.thin(7).n_samples == 7


def test_size_is_foretold():
    train, _ = battery.parts()
    fitted = QUICK(train, bags=True, days=True, keep=10, n_sweeps=20)
    told = posterior_nbytes(train, n_factors=3, keep=10, bags=True, days=True)
    assert 0.8 < told / fitted.nbytes < 1.2
    with pytest.raises(SettingError, match="GB"):
        gibbs(train, n_factors=1000, keep=100_000)


@pytest.mark.parametrize(
    "setting",
    [
        {"n_factors": 0},
        {"n_factors": 2.5},
        {"n_sweeps": 0},
        {"keep": 0},
        {"chains": 0},
        {"noise": -1.0},
        {"noise": float("nan")},
        {"noise": "lound"},
        {"bags": ("users",)},
        {"item_features": ["genre"]},
        {"user_features": ["age"]},
        {"chains": 2, "checkpoint": "x"},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(setting):
    train, _ = battery.parts()
    with pytest.raises((SettingError, DataError)) as caught:
        gibbs(train, **setting)
    assert caught.value.hint


def test_what_cannot_be_fitted():
    train, _ = battery.parts()
    with pytest.raises(DataError, match="no times"):
        gibbs(replace(train, times=None), days=True)
    bad = train.values.copy()
    bad[3] = np.nan
    with pytest.raises(DataError, match="finite"):
        gibbs(replace(train, values=bad))


def test_a_chain_that_leaves_the_finite_numbers_says_so():
    p = tiny_problem()
    c = started(p)
    c.sides[0].factors[0, 0] = np.inf
    with pytest.raises(DivergedError, match="finite"):
        chain.sweep(p, c, key=1, noise=1.0, prior=chain.Prior())


# Real data ---------------------------------------------------------------------------------------------------------


def test_the_lessons_data(data):
    """One rng, few sweeps: the accuracy of ids alone; the full figures are bench's."""
    ratings = Ratings.from_csv(data / "ml-latest-small-2016" / "ratings.csv", y_range=(0.5, 5.0))
    parts = split.lesson(ratings)
    test = parts.test or parts.valid
    fitted = gibbs(parts.train, n_factors=16, n_sweeps=120, noise=0.72, keep=60, rng=0)
    assert np.mean((fitted.score(test.users, test.items) - test.values) ** 2) < 0.742
