"""The noise: the grid's lowest point, and errors without the sampling error of short runs."""

import numpy as np

from dotbias.solvers.gibbs import noise


def test_the_search_finds_the_least_error():
    precisions = [1.2**k for k in range(8)]
    errors = [1 + 0.3 * (np.log(p) - np.log(1.9)) ** 2 for p in precisions]
    assert abs(noise.best_precision(precisions, errors) - 1.9) < 0.02
    assert noise.search_on(errors[:4]) and not noise.search_on([1.0, 0.9, 0.95, 0.96, 1.0])


def test_error_across_halves_is_free_of_sampling_error():
    rng = np.random.default_rng(0)
    y = rng.normal(size=20_000)
    halves = noise.Halves.begin(len(y), 10)
    for _ in range(10):
        halves.add(0.5 * rng.normal(size=len(y)))
    assert abs(halves.error(y) - np.mean(y * y)) < 0.01
    assert np.mean((y - halves.mean()) ** 2) > np.mean(y * y) + 0.015
    np.testing.assert_allclose(halves.variance().mean(), 0.25 * 0.9, rtol=0.02)
