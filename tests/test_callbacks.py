"""Callbacks: the moments, what each watches or changes, and the sweep of the rate."""

import numpy as np
import pytest
import torch

from dotbias import split
from dotbias.callbacks import (
    MOMENTS,
    ActivationStats,
    Callback,
    EarlyStop,
    GradientStats,
    KeepBest,
    Log,
    Loop,
    OverfitWarning,
    RunningLoss,
)
from dotbias.callbacks.rates import suggest
from dotbias.errors import DivergedError, SettingError
from dotbias.gradient import collab_learner


@pytest.fixture(scope="module")
def parts(world):
    return split.random(world.ratings, test=0.1, valid=0.1, rng=0)


def learner(parts, **settings):
    return collab_learner(parts.train, parts.valid, n_factors=4, rng=0, **{"bs": 256, **settings})


def weights(learner):
    return torch.cat([p.detach().ravel() for p in learner.model.parameters()])


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


def test_running_loss_is_bias_corrected():
    class Loss:
        loss = torch.tensor(2.0)

    running = RunningLoss()
    for _ in range(3):
        running.after_batch(Loss())
    assert running.value == pytest.approx(2.0)


def test_a_refused_fit_shows_its_own_error_beside_a_progress_bar(parts, capsys):
    with pytest.raises(SettingError, match="validation set"):
        collab_learner(parts.train, rng=0).fit(1, 0.01, callbacks=[EarlyStop()], progress=True)
    collab_learner(parts.train, parts.valid, bs=512, rng=0).fit(1, 0.01, progress=True)
    assert "valid" in capsys.readouterr().err


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


def test_keep_best_puts_the_best_epoch_back_and_lets_the_fit_go_on(parts):
    learn = collab_learner(parts.train, parts.valid, n_factors=30, init="he", bs=128, rng=0)
    with pytest.warns(OverfitWarning):
        history = learn.fit(10, 0.05, callbacks=[KeepBest()])
    best = min(row["valid"] for row in history)
    assert len(history) == 10 and best < history[-1]["valid"]
    assert learn.validate()["valid"] == pytest.approx(best, rel=1e-6)


def test_a_function_is_told_of_every_epoch_as_a_log_keeps_it(parts):
    told, log = [], Log()
    learner(parts).fit(2, 0.01, callbacks=[log], progress=told.append)
    assert [step.row() for step in told] == log.rows
    assert [row["epoch"] for row in log.rows] == [1, 2]
    assert len(log.rows[0]["lr"]) == len(log.rows[0]["batch_loss"]) == 10  # as many as batches


def test_a_callback_need_not_know_the_learner(parts):
    """What ``Loop`` names is there: nothing more is promised."""

    class Look(Callback):
        def after_batch(self, learner):
            self.seen = {name for name in Loop.__annotations__ if getattr(learner, name) is not None}

    look = Look()
    learner(parts).fit(1, 0.01, callbacks=[look])
    assert look.seen == set(Loop.__annotations__)


def test_a_suggestion_hangs_on_the_fall_not_on_noise():
    """A long flat noisy stretch, a fall around 0.01, an explosion at 0.5: eight times alike, on the fall."""
    rates = np.geomspace(1e-5, 1.0, 400)
    fall = 1 - 0.4 / (1 + (0.01 / rates) ** 2) + 40 * np.maximum(rates - 0.5, 0)
    found = [suggest(rates, fall + 0.1 * np.random.default_rng(k).normal(size=400)) for k in range(8)]
    assert max(found) < 2 * min(found)
    assert min(found) > 0.005 and max(found) < 0.05
    with pytest.raises(DivergedError, match=r"falls nowhere(.|\n)*start_lr"):
        suggest(rates, np.linspace(1, 2, 400))


@pytest.mark.data
@pytest.mark.slow
def test_suggestions_of_several_seeds_agree(data):
    from dotbias import datasets

    train = datasets.split_of("ml-100k", "u1").train
    found = [collab_learner(train, rng=seed).lr_find().suggestion for seed in range(4)]
    assert max(found) < 3 * min(found)
    assert min(found) > 0.006 and max(found) < 0.09  # where a one-cycle fit is at most 3 % above the default's error
