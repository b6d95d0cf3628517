"""Fits put away and back: the same bits, and no other fit, damaged file or array of another shape is taken."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from dotbias import als, checkpoint, schedules, sgd, split, steps
from dotbias.callbacks import Callback, Checkpoint, EarlyStop
from dotbias.errors import ModelFileError, SettingError
from dotbias.gradient import collab_learner, fit_dot_bias
from dotbias.learner import Learner
from dotbias.models import EmbeddingDotBias


@pytest.fixture(scope="module")
def parts(world):
    return split.random(world.ratings, test=0.1, valid=0.1, rng=0)


def learner(parts, **settings):
    return collab_learner(parts.train, parts.valid, **{"n_factors": 4, "bs": 256, "rng": 0, **settings})


def weights(learner):
    return torch.cat([p.detach().ravel() for p in learner.model.parameters()])


KILLED = """
import os, signal, sys
import torch
from dotbias import planted, schedules, split
from dotbias.callbacks import Callback, Checkpoint, EarlyStop
from dotbias.gradient import collab_learner

class Kill(Callback):
    def after_batch(self, learn):
        if int(sys.argv[2]) and learn.epoch == 3 and learn.batch_number == 2:
            os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
parts = split.random(planted(120, 80, n_ratings=3_000, n_factors=3, noise=0.4, rng=7).ratings, valid=0.1, rng=0)
learn = collab_learner(parts.train, parts.valid, n_factors=4, bs=256, rng=0)
learn.fit(6, 0.02, callbacks=[Checkpoint(sys.argv[1]), EarlyStop(2), Kill()])
print(torch.cat([p.detach().ravel() for p in learn.model.parameters()]).numpy().tobytes().hex())
"""


@pytest.mark.parametrize("rule", [steps.momentum, steps.adam])
def test_a_resumed_fit_has_the_bits_of_an_unbroken_one(parts, tmp_path, rule):
    class Killed(Exception):
        pass

    class Kill(Callback):
        def after_batch(self, learn):
            if learn.epoch == 2 and learn.batch_number == 3:
                raise Killed

    whole, broken, resumed = (learner(parts, rule=rule) for _ in range(3))
    rate = schedules.one_cycle(0.05)
    whole.fit(5, rate)
    with pytest.raises(Killed):
        broken.fit(5, rate, callbacks=[Checkpoint(tmp_path / "fit"), Kill()])
    resumed.fit(5, rate, callbacks=[Checkpoint(tmp_path / "fit")])
    assert torch.equal(weights(whole), weights(resumed))
    assert whole.history == resumed.history
    with pytest.raises(SettingError, match="of another fit"):
        learner(parts, rule=rule, bs=99).fit(5, rate, callbacks=[Checkpoint(tmp_path / "fit")])


def test_a_fit_killed_for_real_resumes_to_the_same_bits(tmp_path):
    def run(folder, kill):
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / folder), kill], capture_output=True, text=True
        )

    assert run("broken", "1").returncode == -9
    resumed, whole = run("broken", "0"), run("whole", "0")
    assert resumed.returncode == whole.returncode == 0, resumed.stderr + whole.stderr
    assert resumed.stdout == whole.stdout
    assert len(whole.stdout) > 1000


def test_a_damaged_checkpoint_is_refused(parts, tmp_path):
    (tmp_path / "fit").write_bytes(b"nonsense")
    with pytest.raises(OSError, match="is no checkpoint"):
        learner(parts).fit(1, 0.01, callbacks=[Checkpoint(tmp_path / "fit")])


class Power(Exception):
    """The power is cut."""


def cut_after(n):
    class Cut(Callback):
        def after_epoch(self, learner):
            if learner.epoch + 1 == n:
                raise Power

    return Cut()


def test_every_setting_of_a_fit_is_named_when_it_differs(parts, tmp_path):
    """A resumed fit that differs in anything is refused, and the message says in what."""
    rate, path = schedules.one_cycle(0.02), tmp_path / "fit"

    def fit(*, lr=rate, n=3, callbacks=(), settings=None, **other):
        learn = learner(parts, **other)
        learn.fit(n, lr, callbacks=[Checkpoint(path), *callbacks], **{"l2": 1e-3, **(settings or {})})

    fit()
    fit()  # the very same: nothing left to do
    batchwise = [
        ({"lr": schedules.one_cycle(0.03)}, r"rates: .* there, .* here"),
        ({"lr": 0.02}, "rates"),
        ({"n": 4}, "n_epochs: 3 there, 4 here"),
        ({"settings": {"l2": 1e-4}}, r"optimizer.group 0.l2: 0.001 there, 0.0001 here"),
        ({"settings": {"beta1": 0.8}}, r"optimizer.group 0.beta1: 0.9 there, 0.8 here"),
        ({"rule": steps.adamw}, r"optimizer.rule: dotbias.steps.adam there, dotbias.steps.adamw here"),
        ({"bs": 99}, "bs: 256 there, 99 here"),
        ({"padding": 0.5}, r"model.range.padding: .* there"),
        ({"learn_padding": True}, r"model.range.padding at first: nothing there"),
        ({"n_factors": 5}, r"model.u.embedding_dim: 4 there, 5 here"),
        ({"rng": 1}, r"key: \d+ there, \d+ here"),
        ({"loss": torch.nn.functional.l1_loss}, "loss: mse there, torch.nn.functional.l1_loss here"),
        ({"callbacks": [EarlyStop(2)]}, r"callbacks.0 dotbias.callbacks.valid.EarlyStop"),
        ({"groups": lambda m: [[m.u.weight], [m.i.weight, m.ub.weight, m.ib.weight]]}, "optimizer.group 1"),
    ]
    for other, message in batchwise:
        with pytest.raises(SettingError, match=message):
            fit(**other)
    less = replace(parts, train=parts.train.take(np.arange(len(parts.train) - 1)))
    with pytest.raises(SettingError, match=r"train: .* there"):
        learner(less).fit(3, rate, callbacks=[Checkpoint(path)], l2=1e-3)


def test_a_number_for_each_row_is_told_apart(parts, tmp_path):
    path, quick = tmp_path / "fit", {"n_factors": 4, "n_epochs": 2, "rng": 0, "progress": False}
    fit_dot_bias(parts.train, checkpoint=path, **quick)
    with pytest.raises(SettingError, match=r"optimizer.group 0.l2"):
        fit_dot_bias(parts.train, checkpoint=path, reg=0.2, **quick)


def test_a_fitter_goes_on_from_its_file_and_finds_its_rng_there(parts, tmp_path):
    """Given no rng, a resumed fit takes the one that it was begun with."""
    quick = {"n_factors": 4, "n_epochs": 4, "bs": 128}

    def stop(step):
        if step.number == 2:
            raise Power

    for rng in (5, None):
        path, numbers = tmp_path / f"fit {rng}", []
        with pytest.raises(Power):
            fit_dot_bias(parts.train, rng=rng, checkpoint=path, progress=stop, **quick)
        fit_dot_bias(parts.train, rng=rng, checkpoint=path, progress=lambda s, n=numbers: n.append(s.number), **quick)
        assert numbers[0] in (2, 3) and numbers[-1] == 4  # told before it is saved: epoch 2 may come again
    whole = fit_dot_bias(parts.train, rng=5, progress=False, **quick)
    resumed = fit_dot_bias(parts.train, rng=5, checkpoint=tmp_path / "fit 5", progress=False, **quick)
    assert whole.score_all(np.arange(9)).tobytes() == resumed.score_all(np.arange(9)).tobytes()


def test_a_torch_optimizer_resumes_too(parts, tmp_path):
    def learn():
        model = EmbeddingDotBias(parts.train.n_users, parts.train.n_items, n_factors=4, mean=3.0, rng=0)
        return Learner(model, parts.train, parts.valid, opt=partial(torch.optim.Adam, betas=(0.8, 0.99)), bs=256, rng=0)

    whole, broken, resumed = learn(), learn(), learn()
    whole.fit(4, 0.02)
    with pytest.raises(Power):
        broken.fit(4, 0.02, callbacks=[cut_after(3), Checkpoint(tmp_path / "fit")])
    resumed.fit(4, 0.02, callbacks=[Checkpoint(tmp_path / "fit")])
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.filterwarnings("ignore:overfitting")
def test_the_best_epoch_survives_a_cut_right_after_it(parts, tmp_path):
    """What a callback keeps of an epoch is saved with that epoch, whatever the order they are given in."""

    def fit(*callbacks):
        learn = collab_learner(parts.train, parts.valid, n_factors=30, init="he", bs=128, rng=0)
        learn.fit(12, 0.05, callbacks=[*callbacks, EarlyStop(2)])
        return learn

    unbroken = fit()
    losses = [row["valid"] for row in unbroken.history]
    best = 1 + losses.index(min(losses))
    assert best + 2 == len(losses) < 12
    with pytest.raises(Power):
        fit(Checkpoint(tmp_path / "fit"), CutLater(best + 1))
    assert torch.equal(weights(unbroken), weights(fit(Checkpoint(tmp_path / "fit"))))


class CutLater(Callback):
    """Cuts the power in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def after_batch(self, learner):
        if learner.epoch + 1 == self.epoch and learner.batch_number == 1:
            raise Power


# The file ------------------------------------------------------------------------------------------------------

FIT = {"solver": "none", "key": 3}
ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7), "none": np.zeros((0, 4))}


def test_arrays_and_log_come_back(tmp_path):
    checkpoint.save(tmp_path / "x" / "fit", ARRAYS, FIT, {"done": 4})
    arrays, log = checkpoint.load(tmp_path / "x" / "fit", FIT, like=ARRAYS)
    assert log == {"done": 4} and set(arrays) == set(ARRAYS)
    assert all(np.array_equal(arrays[n], a) and arrays[n].dtype == a.dtype for n, a in ARRAYS.items())
    assert checkpoint.key_of(None, tmp_path / "x" / "fit") == 3


def test_any_flipped_byte_is_an_error(tmp_path):
    """Never garbage: a byte of header or data that is not as written, or a file cut short, is refused."""
    path = tmp_path / "fit"
    checkpoint.save(path, ARRAYS, FIT, {"done": 4})
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises((ModelFileError, SettingError)):
            checkpoint.load(path, FIT)
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            checkpoint.load(path, FIT)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": np.zeros((3, 3), np.float32)}, r"a is float32 \(2, 3\), not float32 \(3, 3\)"),
        ({"a": np.zeros((2, 3))}, "not float64"),
        ({"c": np.zeros(1)}, "c is nothing"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(tmp_path, other, message):
    checkpoint.save(tmp_path / "fit", ARRAYS, FIT, {})
    with pytest.raises(ModelFileError, match=message):
        checkpoint.load(tmp_path / "fit", FIT, like=other)


def test_what_is_no_checkpoint_of_ours_is_refused(tmp_path):
    from safetensors.numpy import save

    (tmp_path / "old").write_bytes(save({"a": np.zeros(2)}, {"log": '{"fit": {"key": 3}, "done": 1}'}))
    with pytest.raises(ModelFileError, match=r"written by dotbias 0\.1"):
        checkpoint.load(tmp_path / "old", FIT)
    with pytest.raises(ModelFileError, match="is no checkpoint"):
        checkpoint.load(tmp_path, FIT)
    (tmp_path / "other").write_bytes(save({"a": np.zeros(2)}))
    with pytest.raises(ModelFileError, match="is no checkpoint"):
        checkpoint.load(tmp_path / "other", FIT)


@pytest.mark.parametrize("fit", [als, sgd])
def test_a_solver_refuses_a_whole_file_with_too_few_rows(parts, tmp_path, fit):
    """What a compiled loop would read past the end of."""
    path, quick = tmp_path / "fit", {"n_factors": 4, "n_epochs": 1, "rng": 0, "progress": False}
    fit(parts.train, checkpoint=path, **quick)
    arrays, about, log = checkpoint._read(path)
    name = next(n for n, a in arrays.items() if a.ndim == 2)
    checkpoint.save(path, {**arrays, name: arrays[name][:2]}, about, log)
    with pytest.raises(ModelFileError, match=rf"{name} is float32 \(2, "):
        fit(parts.train, checkpoint=path, **quick)
