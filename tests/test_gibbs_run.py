"""A run: phases told, stopped and resumed to the same bits, interrupted, watched."""

import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import battery
import numpy as np
import pytest

from dotbias.errors import ModelFileError, SettingError, StoppedWarning
from dotbias.ratings import Ids
from dotbias.solvers.gibbs import gibbs

QUICK = partial(gibbs, n_factors=3, n_sweeps=30, noise=0.4, rng=0)


def same(a, b):
    x, y = a.state().arrays, b.state().arrays
    return x.keys() == y.keys() and all(x[k].tobytes() == y[k].tobytes() for k in x)


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "options", [{"noise": "auto"}, {"noise": 0.5, "ordinal": True, "histories": True}], ids=["search", "stars"]
)
def test_a_resumed_run_has_the_same_bits(tmp_path, options):
    train, _ = battery.parts()
    train = replace(train, values=train.values.round())
    fit = partial(gibbs, train, n_factors=2, n_sweeps=25, rng=5, **options)
    whole, file = fit(), tmp_path / "run.safetensors"

    def stop_at(n):
        def progress(step):
            if step.number == n:
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
@pytest.mark.parametrize("chains", [1, 2])
def test_ctrl_c_returns_what_is_there(at, chains):
    train, test = battery.parts()

    def interrupt(step):
        if step.number == at:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(StoppedWarning, match=f"after sweep {at}") as caught:
        fitted = QUICK(train, n_sweeps=200, chains=chains, progress=interrupt)
    assert Path(caught[0].filename).name == "test_gibbs_run.py"  # the caller's line
    assert np.isfinite(fitted.score(test.users, test.items)).all()
    assert any("stopped by Ctrl-C" in note for note in fitted.notes)
    assert fitted.n_samples == (1 if at == 2 else 8)  # every second sweep counts, from the 61st on


def test_a_stopped_fit_is_saved_and_goes_on(tmp_path):
    train, _ = battery.parts()

    def interrupt(step):
        if step.number == 33:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(StoppedWarning):
        QUICK(train, checkpoint=tmp_path / "fit", checkpoint_every=10, progress=interrupt)
    steps = []
    fitted = QUICK(train, checkpoint=tmp_path / "fit", progress=steps.append)
    assert steps[0].number == 34 and same(fitted, QUICK(train))


def test_chains_and_traces():
    train, _ = battery.parts()
    fitted = QUICK(train, chains=2, n_sweeps=40, keep=20)
    trace = fitted.trace
    assert trace.values.shape[:2] == (2, 40) and fitted.n_samples == 40
    assert set(trace.r_hat()) == set(trace.names) == set(trace.effective_size())
    assert not any("factor 0" in name for name in trace.names)  # factors rotate: only their spread is traced


def steps_of(train, **options):
    steps = []
    fitted = QUICK(train, progress=steps.append, **options)
    return fitted, steps


def test_steps_say_what_is_known():
    """Phases in order; noise and errors on the ratings' scale; what is not known is left out."""
    train, _ = battery.parts()
    fitted, steps = steps_of(train, noise="auto")
    assert [s.number for s in steps] == list(range(1, len(steps) + 1))
    phases = [s.values["phase"] for s in steps]
    assert phases == sorted(phases, key=["start", "search", "settle", "draw"].index) and len(set(phases)) == 4
    tried = {s.values["noise"] for s in steps if s.values["phase"] == "search"}
    assert f"from {len(tried)} noises tried" in " ".join(fitted.notes)  # as many as a picture of the search shows
    assert "error" not in steps[0].values and "valid" not in steps[-1].values
    assert steps[0].of is None and steps[-1].of == len(steps) and steps[-1].values["kept"] == 30
    assert abs(steps[-1].values["noise"] / fitted.fit_noise[-1] - 1) < 1e-5
    assert 0.35 < steps[-1].values["error"] < 0.65  # the world's noise is 0.4
    assert [s.of for s in steps_of(train)[1]] == [90] * 90


@pytest.mark.parametrize("options", [{"histories": True, "sessions": True}, {"noise": "auto"}], ids=["given", "search"])
def test_valid_watches_and_decides_nothing(options):
    """The same fit with and without it; what is told of it is the error that the posterior has on it."""
    train, test = battery.parts()
    fitted, steps = steps_of(train, valid=test, **options)
    assert same(fitted, QUICK(train, **options))
    fitted = fitted.carrying(0)  # while it runs, a new session is expected to have no effect
    error = np.sqrt(np.mean((fitted.score(test.users, test.items, test.times) - test.values) ** 2))
    assert fitted.n_samples == 30  # every kept sweep, so that the averages are of the same
    assert abs(steps[-1].values["valid"] - error) < 1e-4
    assert fitted.trace.names[-1] == "error on valid" and abs(fitted.trace.values[0, -1, -1] - error) < 1e-4


def test_valid_may_hold_ids_that_train_does_not():
    """Rows past train's tables are scored as the posterior scores them."""
    train, test = battery.parts()
    some = (train.users < 70) & (train.items < 45)
    few = {"user_ids": Ids(list(train.user_ids)[:70]), "item_ids": Ids(list(train.item_ids)[:45]), "item_table": None}
    small = replace(train.take(some), **few)
    fitted, steps = steps_of(small, valid=test, histories=True)
    assert (test.users >= 70).any() and (test.items >= 45).any()
    error = np.sqrt(np.mean((fitted.score(test.users, test.items) - test.values) ** 2))
    assert abs(steps[-1].values["valid"] - error) < 0.02


def test_the_noise_may_be_searched_on_valid():
    train, test = battery.parts()
    fitted = QUICK(train, noise="valid", valid=test)
    assert any(f"noises tried on {len(test)} ratings" in note for note in fitted.notes)
    assert not same(fitted, QUICK(train, noise="auto"))
