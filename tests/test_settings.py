"""Arguments of fitters, checked by their annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import battery
import numpy as np
import pytest

from dotbias.errors import DataError, SettingError
from dotbias.fitters import FITTERS, Fitter, find
from dotbias.settings import Count, NotNegative, Positive, Share, checked

TRAIN, TEST = battery.parts()


@checked
def fit(
    train,
    *,
    n_factors: Count | tuple[Count, Count] = 3,
    lr: Positive = 0.1,
    reg: NotNegative = 0.0,
    dropout: Share = 0.5,
    hidden: Sequence[Count] = (10,),
    columns: Sequence[str] = (),
    kind: Literal["a", "b"] = "a",
    fast: bool = False,
    n_sweeps: Count | None = None,
    valid=None,
):
    """The arguments as they came."""
    return n_factors, lr, hidden


def test_what_fits_passes():
    assert fit(TRAIN, n_factors=np.int64(4), lr=1, hidden=[3, 4]) == (4, 1, [3, 4])
    fit(TRAIN, n_factors=(3, 4), n_sweeps=None, columns=["genres"], kind="b", fast=np.True_, reg=np.float32(0.5))
    fit(TRAIN, valid=TEST)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_factors": 1.5}, "n_factors is 1.5; it must be a whole number, 1 or more or"),
        ({"n_factors": 0}, "1 or more"),
        ({"n_factors": True}, "1 or more"),
        ({"n_factors": (1, 2, 3)}, "n_factors"),
        ({"lr": 0}, "above 0"),
        ({"lr": float("nan")}, "above 0"),
        ({"lr": float("inf")}, "above 0"),
        ({"lr": "0.1"}, "above 0"),
        ({"reg": None}, "reg is None"),
        ({"dropout": 1.5}, "from 0 to 1"),
        ({"hidden": 5}, "hidden is 5; it must be a sequence, each a whole number"),
        ({"hidden": (5, 0)}, "a sequence"),
        ({"columns": "genres"}, "columns is 'genres'; it must be a sequence, each text"),
        ({"kind": "c"}, "'a', 'b'"),
        ({"fast": 1}, "True or False"),
        ({"n_sweeps": 2.0}, "or None"),
        ({"n_factor": 3}, "fit has no setting 'n_factor'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(settings, words):
    with pytest.raises(SettingError) as e:
        fit(TRAIN, **settings)
    assert words in str(e.value) and "Hint:" in str(e.value)


def test_train_and_valid_must_be_ratings_of_the_same_tables():
    with pytest.raises(DataError, match=r"train is a DataFrame, not Ratings[\s\S]*from_frame"):
        fit(TRAIN.to_frame())
    with pytest.raises(DataError, match="like=train"):
        fit(TRAIN, valid=TEST.drop_rare(users=3))
    with pytest.raises(TypeError):
        fit()


@pytest.mark.parametrize("fitter", FITTERS, ids=lambda f: f.name)
def test_every_fitter_of_the_list_is_uniform(fitter):
    """One signature; a default that its own annotation refuses would be a trap."""
    import inspect

    parameters = inspect.signature(fitter.fit).parameters
    first = next(iter(parameters.values()))
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert {"valid", "rng", "progress"} <= set(parameters)
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in list(parameters.values())[1:])
    fitter.check({name: value for name, value in fitter.defaults().items() if value is not None})
    assert inspect.unwrap(fitter.fit).__doc__ and fitter.about


def test_settings_are_checked_before_anything_is_read():
    with pytest.raises(SettingError, match="did you mean 'n_factors'"):
        find("sgd").check({"n_factor": 3})
    with pytest.raises(SettingError, match="did you mean 'dot_bias'"):
        find("dotbias")


def test_a_fitter_of_ones_own_is_a_line():
    mine = Fitter("half", partial(fit, n_factors=2), about="mine")
    assert find("half", (*FITTERS, mine)) is mine and mine.fit(TRAIN)[0] == 2


@pytest.mark.parametrize(
    "fitter", [f for f in FITTERS if f.name != "auto" and "stars" in f.feedback], ids=lambda f: f.name
)
@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-9, 1e11, 1e28])
def test_scales_beyond_float32s_squares_are_refused(fitter, scale):
    """Under some of them fits went wrong silently: dot's error at 1e-9 was 1.6 times what it is at 1."""
    train = replace(TRAIN, values=(TRAIN.values.astype(float) * scale).astype(np.float32), y_range=None)
    with pytest.raises(DataError, match="multiply them all by one number"):
        fitter.fit(train, rng=0)


@pytest.mark.parametrize("name", ["sgd", "als", "dot", "dot_bias", "net", "gibbs"])
@pytest.mark.parametrize("n", [10**9, 10**18])
def test_sizes_beyond_any_memory_are_named(name, n):
    with pytest.raises(SettingError, match=r"factors .*(GB|bytes)"):
        find(name).fit(TRAIN, n_factors=n, rng=0)


def test_hidden_layers_beyond_any_memory_are_named():
    with pytest.raises(SettingError, match=r"weights of a layer take .* bytes"):
        find("net").fit(TRAIN, hidden=[10**18], n_factors=8, rng=0)


def test_numbers_past_floats_are_none():
    with pytest.raises(SettingError, match="lr is 1000"):
        fit(TRAIN, lr=10**400)
