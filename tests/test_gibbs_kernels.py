"""The sampler's loops: the small linear algebra, and the same bits for any number of threads."""

import numpy as np
import pytest
from gibbs_worlds import tiny_problem
from numba import njit

from dotbias.solvers import _threads, _vec
from dotbias.solvers.gibbs import chain, kernels


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
    kernels.solve(P, _vec.load(right, 0), z, work, x)
    return x


def solved(P, right, z):
    return _solve(P.copy(), right, z)


@pytest.mark.parametrize("cutpoints", [[], [-np.inf, -0.5, 0.5, 1.0, np.inf]], ids=["gaussian", "ordinal"])
def test_same_bits_on_any_number_of_threads(cutpoints, monkeypatch):
    """A chain of 700 rows, so that there is something to share."""
    p = tiny_problem(n_users=700, n_items=5, n_ratings=3000)
    p = p._replace(levels=(np.arange(3000) % 4).astype(np.int32))
    found = []
    for n in (1, 2, 5):
        monkeypatch.setattr(_threads, "_asked", n)
        c = chain.start(p, n_factors=9, key=1, precision=1.0, cutpoints=np.array(cutpoints))
        with _threads.sharing(0, 1) as used:
            for _ in range(2):
                chain.sweep(p, c, key=1, noise=None, prior=chain.HyperPrior(), learn_steps=True)
        assert used == n
        found.append(c.cutpoints.tobytes() + b"".join(a.tobytes() for w in c.sides for a in vars(w).values()))
    assert found[0] == found[1] == found[2]
