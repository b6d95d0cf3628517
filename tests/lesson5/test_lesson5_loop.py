"""The course's ``fit``: the plain loop, its printed rows, its metrics."""

import sys

import pytest
import torch
import torch.nn.functional as F

from dotbias import losses
from dotbias.callbacks import Callback, Checkpoint, EarlyStop, GradientStats, RunningLoss
from dotbias.errors import DataError, DivergedError, SettingError
from dotbias.lesson5 import fit, nn, optim


def by_hand(model, data, n_epochs, opt) -> tuple[float, float]:
    """The loop with nothing around it: (running train loss, validation loss)."""
    mean, t = 0.0, 0
    for _ in range(n_epochs):
        for cats, conts, y in data.trn_dl:
            loss = F.mse_loss(model(cats, conts), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            mean, t = 0.98 * mean + 0.02 * loss.item(), t + 1
    errors = (model(data.val_ds.cats, data.val_ds.conts) - data.val_ds.y) ** 2
    return mean / (1 - 0.98**t), errors.mean().item()


def test_fit_is_the_plain_loop(dot, columnar, capsys):
    ours, theirs = dot(), dot()
    torch.manual_seed(3)
    result = fit(ours, columnar, 2, optim.SGD(ours.parameters(), 0.1, momentum=0.9, weight_decay=1e-5), F.mse_loss)
    torch.manual_seed(3)
    expected = by_hand(theirs, columnar, 2, optim.SGD(theirs.parameters(), 0.1, momentum=0.9, weight_decay=1e-5))
    assert torch.equal(ours.u.weight, theirs.u.weight)
    assert result == pytest.approx([expected[1]], rel=1e-5)
    epoch, *numbers = capsys.readouterr().out.splitlines()[-1].split()
    assert epoch == "1" and list(map(float, numbers)) == pytest.approx(expected, rel=1e-4)


def test_metrics_see_the_whole_validation_set(dot, columnar, capsys):
    def rmse(guess, target):
        return ((guess - target) ** 2).mean().sqrt()

    model = dot()
    loss, root = fit(model, columnar, 1, optim.Adam(model.parameters()), F.mse_loss, metrics=[rmse])
    assert root == pytest.approx(loss**0.5, rel=1e-5)
    assert capsys.readouterr().out.split()[:4] == ["epoch", "trn_loss", "val_loss", "rmse"]


@pytest.mark.parametrize("crit", [F.mse_loss, F.l1_loss, lambda p, y: ((p - y) ** 2).mean(), losses.mse])
def test_flat_prediction_against_column_target_is_an_error(dot, columnar, crit):
    model = dot(column=False)
    with pytest.raises(DataError, match=r"shape \(64,\), the target \(64, 1\)[\s\S]*view\(-1, 1\)"):
        fit(model, columnar, 1, optim.Adam(model.parameters()), crit)


def test_callbacks_are_ours(dot, columnar, tmp_path):
    class Moments(Callback):
        def __init__(self):
            self.seen = []

        def after_epoch(self, learner):
            self.seen.append((learner.epoch, learner.history[-1]["valid"], learner.progress < 1))

    model, moments, gradients, running = dot(), Moments(), GradientStats(), RunningLoss()
    opt = optim.SGD(model.parameters(), 0.1)
    fit(model, columnar, 2, opt, F.mse_loss, callbacks=[moments, gradients, running, EarlyStop()])
    assert [m[0] for m in moments.seen] == [0, 1] and len(running.losses) == 76
    assert set(gradients.history[1]) == {"u.weight", "i.weight"}
    with pytest.raises(SettingError, match="checkpoint"):
        fit(model, columnar, 1, opt, F.mse_loss, callbacks=[Checkpoint(tmp_path)])


def test_a_diverging_loop_says_so(dot, columnar):
    model = dot()
    with pytest.raises(DivergedError, match="lower the rate"):
        fit(model, columnar, 3, optim.SGD(model.parameters(), 1e4), F.mse_loss)


def test_a_bar_on_a_terminal(dot, columnar, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    model = dot()
    fit(model, columnar, 2, optim.Adam(model.parameters()), F.mse_loss)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3 and "loss" in err


def test_dropout_is_off_in_validation(columnar):
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1))
    both = type("Both", (nn.Module,), {"forward": lambda self, cats, conts: model(conts + 1)})()
    both.inner = model
    fit(both, columnar, 1, optim.Adam(both.parameters()), F.mse_loss)
    assert not model.training
