"""Settings of gibbs: sizes estimated, nonsense refused."""

from dataclasses import replace

import battery
import numpy as np
import pytest

from dotbias.errors import DataError, SettingError
from dotbias.solvers.gibbs import gibbs, posterior_nbytes


def test_the_size_of_the_samples_is_estimated():
    train, _ = battery.parts()
    fitted = gibbs(train, n_factors=3, histories=True, sessions=True, keep=10, n_sweeps=20, noise=0.4, rng=0)
    estimate = posterior_nbytes(train, n_factors=3, keep=10, histories=True, sessions=True)
    assert 0.8 < estimate / fitted.nbytes < 1.2
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
        {"noise": "atuo"},
        {"noise": 1e-300},
        {"noise": 1e300},
        {"noise": 1e-30},
        {"noise": 1e30},
        {"histories": ("users",)},
        {"histories": "users"},
        {"noise": "valid"},
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
        gibbs(replace(train, times=None), sessions=True)
    bad = train.values.copy()
    bad[3] = np.nan
    with pytest.raises(DataError, match="finite"):
        gibbs(replace(train, values=bad))
