"""The loop, its callbacks and the fitters made of it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dotbias import losses, schedules, split, steps
from dotbias.callbacks import (
    MOMENTS,
    ActivationStats,
    Callback,
    Checkpoint,
    EarlyStop,
    GradientStats,
    OverfitWarning,
    RunningLoss,
)
from dotbias.errors import DataError, DivergedError, SettingError
from dotbias.factors import Factors
from dotbias.learner import Learner, collab_learner, fit_dot, fit_dot_bias, fit_net
from dotbias.module_scorer import ModuleScorer
from dotbias.scorer import Timed, offers


@pytest.fixture(scope="module")
def parts(world):
    return split.random(world.ratings, test=0.1, valid=0.1, rng=0)


def learner(parts, **settings):
    return collab_learner(parts.train, parts.valid, n_factors=4, rng=0, **{"bs": 256, **settings})


def weights(learner):
    return torch.cat([p.detach().ravel() for p in learner.model.parameters()])


def test_a_fit_learns_and_logs(parts):
    learn = learner(parts, metrics={"mae": lambda p, t: np.abs(p - t).mean()})
    before = learn.validate()["valid"]
    history = learn.fit(8, 0.05, l2=1e-3)
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert list(history[0]) == ["epoch", "train", "valid", "mae"]
    assert history[-1]["valid"] < 0.8 * before
    error = learn.scorer().score(parts.valid.users, parts.valid.items) - parts.valid.values
    warm = ~parts.valid.cold
    if warm.all():
        assert (error**2).mean() == pytest.approx(history[-1]["valid"], rel=1e-4)
    assert len(learn.rates) == 8 * learn.n_batches


def test_validation_loss_is_the_mean_over_rows_whatever_the_batches(parts):
    losses_by_bs = [learner(parts, bs=bs).validate()["valid"] for bs in (7, 256)]
    assert losses_by_bs[0] == pytest.approx(losses_by_bs[1], rel=1e-5)


def test_all_eight_moments_are_called_in_order(parts):
    calls = []

    class Spy(Callback):
        pass

    for moment in MOMENTS:
        setattr(Spy, moment, lambda self, learn, moment=moment: calls.append(moment))
    learn = learner(parts, bs=len(parts.train))
    learn.fit(2, 0.01, callbacks=[Spy()])
    batch = ["before_batch", "after_loss", "after_backward", "after_batch"]
    epoch = ["before_epoch", *batch, "after_epoch"]
    assert calls == ["before_fit", *epoch, *epoch, "after_fit"]


def test_same_rng_same_bits(parts):
    runs = [learner(parts) for _ in range(2)]
    for learn in runs:
        learn.fit(2, 0.01)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    global_state = torch.random.get_rng_state()
    runs[0].fit(1, 0.01)
    assert torch.equal(global_state, torch.random.get_rng_state())  # nobody else's generator is touched


def test_dropout_too_depends_on_rng_alone(parts):
    fits = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        fits.append(fit_net(parts.train, n_factors=4, n_epochs=2, hidden=(5,), rng=3).score_all(np.arange(3)))
    np.testing.assert_array_equal(*fits)


def test_rates_per_group(parts):
    learn = learner(parts, groups=lambda m: [[m.u.weight, m.ub.weight], [m.i.weight, m.ib.weight]])
    before = learn.model.u.weight.detach().clone()
    learn.fit(1, [lambda p: 0.0, schedules.cosine(0.1)])
    assert torch.equal(before, learn.model.u.weight)
    assert learn.rates[0] == pytest.approx(0.1)
    with pytest.raises(SettingError, match="3 rates for 2 groups"):
        learn.fit(1, [0.1, 0.1, 0.1])


def test_running_loss_is_bias_corrected():
    class Loss:
        loss = torch.tensor(2.0)

    running = RunningLoss()
    for _ in range(3):
        running.after_batch(Loss())
    assert running.value == pytest.approx(2.0)


def test_lr_find_suggests_a_rate_and_leaves_no_trace(parts):
    learn = learner(parts)
    before, history = weights(learn).clone(), list(learn.history)
    sweep = learn.lr_find()
    assert torch.equal(before, weights(learn))
    assert learn.history == history
    assert sweep.lrs[0] == pytest.approx(1e-5)
    assert (np.diff(np.log(sweep.lrs)) > 0).all()
    assert len(sweep.lrs) == len(sweep.losses) == len(sweep.smooth)
    assert 1e-3 < sweep.suggestion < 1
    fast, slow = learner(parts), learner(parts)
    assert fast.fit(1, sweep.suggestion)[0]["valid"] < slow.fit(1, sweep.suggestion / 100)[0]["valid"]


def test_a_sweep_over_few_batches_ends_at_the_last_rate(parts):
    sweep = collab_learner(parts.train, n_factors=4, bs=512, rng=0).lr_find(end_lr=0.1, n_batches=13)
    assert len(sweep.lrs) == 13
    assert len(set(sweep.lrs)) == 13


def test_a_refused_fit_shows_its_own_error_beside_a_progress_bar(parts, capsys):
    with pytest.raises(SettingError, match="validation set"):
        collab_learner(parts.train, rng=0).fit(1, 0.01, callbacks=[EarlyStop()], progress=True)
    collab_learner(parts.train, parts.valid, bs=512, rng=0).fit(1, 0.01, progress=True)
    assert "valid" in capsys.readouterr().err


def test_a_diverging_fit_stops_and_says_what_to_lower(parts):
    learn = learner(parts, rule=steps.sgd)
    learn.model.range.y_range = None
    with pytest.raises(DivergedError, match=r"epoch 1, batch \d+, at lr 1e\+06(.|\n)*lower the rate"):
        learn.fit(2, 1e6)


def test_overfitting_is_said_with_numbers(parts):
    learn = collab_learner(parts.train, parts.valid, n_factors=30, init="he", bs=32, rng=0)
    with pytest.warns(OverfitWarning, match=r"since epoch \d+ train went .* while valid went"):
        learn.fit(25, 0.05)


def test_early_stop_keeps_the_best_epoch(parts):
    learn = learner(parts, init="he")
    history = learn.fit(40, 0.05, callbacks=[EarlyStop(patience=1)])
    best = min(row["valid"] for row in history)
    assert len(history) < 40
    assert learn.validate()["valid"] == pytest.approx(best, rel=1e-6)
    with pytest.raises(SettingError, match="validation set"):
        collab_learner(parts.train, rng=0).fit(1, 0.01, callbacks=[EarlyStop()])


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
        broken.fit(5, rate, callbacks=[Checkpoint(tmp_path), Kill()])
    resumed.fit(5, rate, callbacks=[Checkpoint(tmp_path)])
    assert torch.equal(weights(whole), weights(resumed))
    assert whole.history == resumed.history
    with pytest.raises(SettingError, match="of another fit"):
        learner(parts, rule=rule, bs=99).fit(5, rate, callbacks=[Checkpoint(tmp_path)])


KILLED = """
import os, signal, sys
import torch
from dotbias import planted, schedules, split
from dotbias.callbacks import Callback, Checkpoint, EarlyStop
from dotbias.learner import collab_learner

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
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(OSError, match="is no checkpoint"):
        learner(parts).fit(1, 0.01, callbacks=[Checkpoint(tmp_path)])


def test_gradients_and_activations_are_described_per_layer_and_epoch(parts):
    gradients, activations = GradientStats(), ActivationStats()
    learner(parts).fit(3, 0.01, callbacks=[gradients, activations])
    assert len(gradients.history) == len(activations.history) == 3
    assert set(gradients.history[0]) == {"u.weight", "i.weight", "ub.weight", "ib.weight"}
    assert {"u", "i", "ub", "ib", "range"} <= set(activations.history[0])
    stats = gradients.history[0]["u.weight"]
    assert stats.counts.sum() > 0
    assert len(stats.edges) == len(stats.counts) + 1
    assert stats.std > 0


def test_any_module_fits_in(parts):
    class Item(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.b = nn.Embedding(n, 1)

        def forward(self, users, items):
            return self.b(items).squeeze(1)

    learn = Learner(Item(parts.train.n_items), parts.train, parts.valid, bs=64, rng=0)
    assert learn.fit(3, 0.1)[-1]["valid"] < learn.history[0]["valid"]
    assert isinstance(learn.scorer(), ModuleScorer)


def test_a_column_prediction_is_an_error_not_a_broadcast(parts):
    class Column(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

        def forward(self, users, items):
            return (self.w * users).view(-1, 1)

    with pytest.raises(DataError, match="broadcast"):
        Learner(Column(), parts.train, rng=0).fit(1)


def test_the_fitters_beat_the_bias_baseline_where_there_are_factors(parts):
    from dotbias.baselines import bias

    def mse(scorer):
        return float(((scorer.score(parts.test.users, parts.test.items) - parts.test.values) ** 2).mean())

    fitted = fit_dot_bias(parts.train, n_factors=8, n_epochs=20, reg=0.002, reg_once=0.02, bs=64, rng=0)
    assert isinstance(fitted, Factors)
    assert mse(fitted) < mse(bias(parts.train))
    assert mse(fit_dot(parts.train, n_factors=8, n_epochs=10, bs=128, rng=0)) < parts.test.values.var() * 1.1


def test_a_net_takes_genres_and_time(parts):
    net = fit_net(parts.train, item_features=["genres"], times=True, n_factors=(4, 6), n_epochs=2, hidden=(6, 4), rng=0)
    assert offers(net, Timed)
    early, late = (net.score(parts.test.users, parts.test.items, parts.test.times + s) for s in (0, 10**8))
    assert not np.array_equal(early, late)
    with pytest.raises(DataError, match=r"no column 'genre'(.|\n)*genres"):
        fit_net(parts.train, item_features=["genre"])


def test_unseen_rows_are_zero_at_the_waist(parts):
    train = parts.train.take(parts.train.users != 5)
    fitted = fit_dot_bias(train, n_factors=4, n_epochs=1, rng=0)
    assert not fitted.users[5].any()
    assert fitted.user_bias[5] == 0
    assert fitted.users[4].any()


def test_folding_in_a_known_user_lands_near_their_row(parts):
    """``reg`` is the ridge the fit amounted to: refitting a user from their own ratings predicts as their row does."""
    train = parts.train
    fitted = fit_dot_bias(train, n_factors=4, n_epochs=40, bs=64, rng=0)
    gaps, spreads = [], []
    for user in range(20):
        own = train.users == user
        if own.sum() < 5:
            continue
        part = fitted.fold_in_user(train.items[own], train.values[own])
        stored = fitted.score_all(np.array([user]))[0]
        gaps.append(np.abs(part.score() - stored).mean())
        spreads.append(stored.std())
    assert np.mean(gaps) < 0.2 * np.mean(spreads)


def test_a_classifier_gives_probabilities(parts):
    liked = replace(parts.train, values=(parts.train.values >= 3.5).astype(np.float32), y_range=(0.0, 1.0))
    from dotbias.models import EmbeddingDotBias

    model = EmbeddingDotBias(liked.n_users, liked.n_items, n_factors=4, sparse=True, rng=0)
    learn = Learner(model, liked, loss=losses.bce, rng=0)
    learn.fit(5, 0.05)
    p = learn.scorer().score(liked.users, liked.items)
    assert 0 <= p.min() < p.max() <= 1
    assert p[liked.values == 1].mean() > p[liked.values == 0].mean() + 0.1


def test_bad_arguments_are_named(parts):
    with pytest.raises(SettingError, match="bs is 0"):
        learner(parts, bs=0)
    with pytest.raises(SettingError, match="n_epochs is 0"):
        learner(parts).fit(0)
    with pytest.raises(SettingError, match="lr is nan"):
        learner(parts).fit(1, float("nan"))
    with pytest.raises(DataError, match="without ratings"):
        fit_dot_bias(parts.train.binarize(3.0))
    with pytest.raises(DataError, match="every rating in train is"):
        constant = replace(parts.train.take(parts.train.values == 3), y_range=None)
        fit_dot_bias(constant, padding=0)


@pytest.mark.data
def test_the_lessons_split_at_the_shipped_settings(data):
    from dotbias import datasets

    parts = split.lesson(datasets.load("ml-latest-small-2016"))
    fitted = fit_dot_bias(parts.train, rng=0)
    mse = ((fitted.score(parts.test.users, parts.test.items) - parts.test.values) ** 2).mean()
    assert 0.73 < mse < 0.765
