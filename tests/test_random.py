"""Random numbers by counting: normal, uncorrelated, other for other keys; the normal distribution both ways."""

import numpy as np
from numba import njit
from scipy import stats

from dotbias.solvers import _random as random


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
