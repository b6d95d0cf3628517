"""What the solvers that make passes share: progress, valid and the best on it, checkpoints, Ctrl-C."""

import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from dotbias import split
from dotbias.errors import DataError, FileError, ModelFileError, SettingError, StoppedWarning
from dotbias.schedules import constant
from dotbias.solvers import _threads
from dotbias.solvers.als import als
from dotbias.solvers.bpr import bpr
from dotbias.solvers.implicit_als import implicit_als
from dotbias.solvers.sgd import sgd

N = 8


def clicked(fit, train, *, valid=None, **settings):
    """A fit of who rated what."""
    return fit(train.as_clicks(), valid=None if valid is None else valid.as_clicks(), **settings)


FITS = {
    "sgd": partial(sgd, n_factors=8, n_epochs=N, reg=0.03, lr=constant(0.03)),
    "als": partial(als, n_factors=4, n_epochs=N, reg=0.05),
    "implicit_als": partial(clicked, implicit_als, n_factors=4, n_epochs=N, reg=0.05),
    "bpr": partial(clicked, bpr, n_factors=4, n_epochs=N, lr=constant(0.05)),
}
OVERFITS = {
    "sgd": partial(sgd, n_factors=16, n_epochs=20, lr=constant(0.05), reg=0, reg_once=0),
    "als": partial(als, n_factors=16, n_epochs=12, reg=0.005, reg_once=0),
}
both = pytest.mark.parametrize("name", OVERFITS)  # of ratings
every = pytest.mark.parametrize("name", FITS)


@pytest.fixture(scope="module")
def parts(world):
    return split.random(world.ratings, test=0.2, rng=0)


def bits(fit):
    return [getattr(fit, name).tobytes() for name in ("users", "items", "user_bias", "item_bias")]


def error(fit, test):
    return np.sqrt(np.mean((fit.score(test.users, test.items) - test.values) ** 2))


@every
def test_a_checkpoint_is_a_path_as_a_person_gives_it(name, parts, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    FITS[name](parts.train, n_epochs=1, rng=0, checkpoint="~/fit")
    assert (tmp_path / "fit").is_file()
    with pytest.raises(SettingError, match="is no path"):
        FITS[name](parts.train, n_epochs=1, rng=0, checkpoint="\0")


def test_a_scratch_folder_that_is_not_there(parts, tmp_path):
    with pytest.raises(FileError, match="nowhere cannot be used as scratch"):
        sgd(parts.train, n_epochs=1, scratch=tmp_path / "nowhere")


@both
def test_every_pass_is_told(name, parts, capsys):
    steps = []
    fit = FITS[name](parts.train, valid=parts.test, rng=0, progress=steps.append)
    assert [(s.kind, s.number, s.of) for s in steps] == [("pass", k + 1, N) for k in range(N)]
    assert [list(s.values) for s in steps] == [["train", "valid", "seconds"]] * N
    assert steps[-1].values["train"] < steps[1].values["train"]
    assert error(fit, parts.test) == pytest.approx(steps[-1].values["valid"], rel=1e-5)
    assert not capsys.readouterr().err
    assert bits(fit) == bits(FITS[name](parts.train, rng=0, progress=True))  # valid only watches
    assert f"pass {N}/{N}  train 0." in capsys.readouterr().err


@both
def test_keep_best_returns_the_pass_that_is_best_on_valid(name, parts):
    steps = []
    fit = partial(OVERFITS[name], parts.train, valid=parts.test, rng=0)
    best = fit(keep_best=True, progress=steps.append)
    errors = [s.values["valid"] for s in steps]
    assert error(best, parts.test) == pytest.approx(min(errors), rel=1e-5) and min(errors) < errors[-1]
    assert error(fit(), parts.test) == pytest.approx(errors[-1], rel=1e-5)
    with pytest.raises(DataError, match="no ratings"):
        OVERFITS[name](parts.train, valid=parts.test.take(np.arange(0)))


@every
@pytest.mark.parametrize("keep_best", [False, True])
def test_resumed_after_a_kill_it_ends_with_the_same_bits(name, keep_best, tmp_path, parts):
    path = tmp_path / "deep" / "fit.safetensors"
    fit = partial(FITS[name], parts.train, rng=1, valid=parts.test, keep_best=keep_best)

    def kill(step):
        if step.number == 4:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fit(checkpoint=path, checkpoint_every=2, progress=kill)
    numbers = []
    resumed = fit(checkpoint=path, progress=lambda s: numbers.append(s.number))
    assert numbers == [5, 6, 7, 8]
    again = fit(checkpoint=path)  # nothing left to do
    assert bits(resumed) == bits(fit()) == bits(again) and again.tables == parts.train.tables


@every
def test_fits_in_two_python_threads(name, parts, monkeypatch):
    """Side by side, each on two threads of its own: the bits of one after the other."""
    monkeypatch.setattr(_threads, "_asked", 2)
    alone = [bits(FITS[name](parts.train, rng=rng)) for rng in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda rng: bits(FITS[name](parts.train, rng=rng)), (0, 1))) == alone


@every
def test_another_fit_is_refused(name, tmp_path, parts):
    path = tmp_path / "fit.safetensors"
    fit = partial(FITS[name], parts.train, checkpoint=path)
    first = fit(rng=1)
    assert bits(first) == bits(fit())  # without an rng: the key that it was begun with
    for other, said in (({"rng": 2}, "key"), ({"n_factors": 5}, "n_factors"), ({"reg": 0.07}, "reg")):
        with pytest.raises(SettingError, match=said):
            fit(**{"rng": 1, **other})
    with pytest.raises(SettingError, match="best_on"):
        fit(rng=1, valid=parts.test, keep_best=True)
    with pytest.raises(SettingError, match="n_epochs"):
        fit(rng=1, n_epochs=3)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="no checkpoint"):
        fit(rng=1)


def raise_it(step):
    if step.number == 3:
        raise KeyboardInterrupt


def press(step):
    if step.number == 2:
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler


@every
@pytest.mark.parametrize("how,done", [(raise_it, 3), (press, 2)])
def test_ctrl_c_returns_what_is_fitted_and_says_so(name, how, done, tmp_path, parts):
    path = tmp_path / "fit.safetensors"
    with pytest.warns(StoppedWarning, match=f"after pass {done} of {N}") as caught:
        fit = FITS[name](parts.train, rng=0, progress=how, checkpoint=path, checkpoint_every=100)
    assert caught[0].filename == __file__
    assert bits(fit) == bits(FITS[name](parts.train, rng=0, n_epochs=done))  # at a constant rate
    assert bits(FITS[name](parts.train, rng=0, checkpoint=path)) == bits(FITS[name](parts.train, rng=0))


@every
def test_ctrl_c_in_the_last_pass_stops_nothing(name, parts):
    last = lambda step: raise_it(step._replace(number=3)) if step.number == N else None  # noqa: E731
    FITS[name](parts.train, rng=0, progress=last)


def test_a_second_ctrl_c_ends_at_once(parts, monkeypatch):
    from dotbias.solvers import _sgd_kernels

    def pressed_twice(*_):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_sgd_kernels, "learn_pass", pressed_twice)
    with pytest.raises(KeyboardInterrupt):
        FITS["sgd"](parts.train, rng=0)
