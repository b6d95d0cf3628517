"""The course's learner."""

from functools import partial

import numpy as np
import pandas
import pytest
import torch

from dotbias.callbacks import GradientStats, OverfitWarning
from dotbias.errors import DataError, ModelFileError, SettingError
from dotbias.lesson5 import CollabFilterDataset, get_cv_idxs, optim


def test_the_model_is_the_librarys(learn, cf):
    m = learn.model
    assert all(f"({name}): Embedding({n}, {k})" in repr(m) for name, n, k in (("u", 120, 5), ("i", 80, 5)))
    assert "(ub): Embedding(120, 1)" in repr(learn) and "(ib): Embedding(80, 1)" in repr(learn)
    assert abs(m.u.weight).max() <= 0.05 and not m.u.sparse
    u, i = torch.arange(5), torch.arange(5)
    z = (m.u(u) * m.i(i)).sum(1) + m.ub(u)[:, 0] + m.ib(i)[:, 0]
    low, high = cf.min_score, cf.max_score
    torch.testing.assert_close(m(u, i), torch.sigmoid(z) * (high - low) + low)


def test_cycles(learn):
    """cycle_len · (1 + mult) epochs; the rate falls along a cosine in each cycle and restarts."""
    learn.fit(1e-2, 2, wds=2e-4, cycle_len=1, cycle_mult=2)
    lrs, n = learn.sched.lrs, 38
    assert len(lrs) == len(learn.sched.losses) == 3 * n and lrs[0] == lrs[n] == 1e-2
    assert lrs[n - 1] < 1e-4 and lrs[n // 2] == pytest.approx(5e-3) and lrs[2 * n] == pytest.approx(5e-3)
    learn.fit(np.array([1e-3]), 2)
    assert (learn.sched.lrs == 1e-3).all() and len(learn.sched.lrs) == 2 * n


@pytest.mark.parametrize(
    "wrong", [{"lrs": -1.0}, {"lrs": [1e-2, 1e-3]}, {"wds": -1.0}, {"cycle_len": 1, "cycle_mult": 0}]
)
def test_settings_without_sense(learn, wrong):
    with pytest.raises(SettingError):
        learn.fit(**{"lrs": 1e-2, "n_cycle": 1, **wrong})


def one_fit(cf, opt_fn, **settings) -> torch.Tensor:
    learn = cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=opt_fn, rng=0)
    learn.fit(1e-2, 1, **settings)
    return learn.model.u.weight.detach()


def test_wds_is_decay_in_the_loss_and_use_wd_sched_decouples_it(cf):
    """L2: what torch's weight_decay does. Decoupled: what AdamW does."""
    l2 = one_fit(cf, optim.Adam, wds=1e-2)
    assert torch.equal(l2, one_fit(cf, partial(optim.Adam, weight_decay=1e-2)))
    decoupled = one_fit(cf, optim.Adam, wds=1e-2, use_wd_sched=True)
    torch.testing.assert_close(decoupled, one_fit(cf, optim.AdamW, wds=1e-2), rtol=1e-5, atol=1e-7)
    assert l2.norm() < decoupled.norm() / 2
    sgd = one_fit(cf, None, wds=1e-2)
    assert torch.equal(sgd, one_fit(cf, partial(optim.SGD, momentum=0.9), wds=1e-2))


def test_an_optimizer_without_decay_says_so(cf):
    class Plain(optim.Optimizer):
        def __init__(self, groups):
            super().__init__(groups, {"lr": 1.0})

    with pytest.raises(SettingError, match="Plain has no setting 'weight_decay'"):
        one_fit(cf, Plain, wds=1e-2)


def test_manual_seed_fixes_a_run(cf):
    def run():
        torch.manual_seed(4)
        learn = cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam)
        learn.fit(1e-2, 1)
        return learn.predict()

    a = run()
    assert (a == run()).all()


def test_predictions_are_those_behind_the_printed_loss(learn, capsys):
    (loss,) = learn.fit(1e-2, 2)
    preds, y = learn.predict_with_targs()
    assert (preds == learn.predict()).all() and (y == learn.data.val_y).all()
    assert np.mean((preds - y) ** 2) == pytest.approx(loss, rel=1e-4)
    assert str(round(loss, 6)) in capsys.readouterr().out.splitlines()[-1]
    scores = learn.learner.scorer().score(learn.data.valid.users, learn.data.valid.items)
    assert np.abs(scores - preds).max() < 1e-4  # every row of this world is warm


def test_metrics_and_callbacks_of_the_learner(cf):
    def worst(guess, target):
        return (guess - target).abs().max()

    gradients = GradientStats()
    learn = cf.get_learner(5, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam, metrics=[worst], rng=0)
    _, metric = learn.fit(1e-2, 1, callbacks=[gradients])
    preds, y = learn.predict_with_targs()
    assert metric == pytest.approx(np.abs(preds - y).max()) and len(gradients.history) == 1


def test_lr_find_puts_the_model_back(cf):
    learn = cf.get_learner(5, get_cv_idxs(len(cf)), 16, opt_fn=optim.Adam, rng=0)
    before = learn.model.u.weight.detach().clone()
    assert learn.lr_find() is None
    assert torch.equal(before, learn.model.u.weight)
    lrs = learn.sched.lrs
    assert lrs[0] == pytest.approx(1e-5) and (np.diff(lrs) > 0).all() and 1e-5 < learn.sched.suggestion < 10
    axes = learn.sched.plot()
    assert axes.get_xscale() == "log" and len(axes.lines[0].get_xdata()) == len(lrs) - 15
    assert len(learn.sched.plot_lr().lines[0].get_ydata()) == len(learn.sched.plot_loss().lines[0].get_ydata())


def test_save_and_load(learn, cf, folder):
    learn.fit(1e-2, 1)
    before = learn.predict()
    learn.save("dot_bias")
    assert (folder / "models" / "dot_bias.safetensors").exists()
    learn.fit(1e-1, 1)
    learn.load("dot_bias")
    assert (learn.predict() == before).all()
    with pytest.raises(ModelFileError, match="did you mean 'dot_bias'"):
        learn.load("dot_bia")
    with pytest.raises(ModelFileError, match="does not fit this model"):
        cf.get_learner(6, [0], 64).load("dot_bias")
    (folder / "models" / "cut.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelFileError, match="does not fit"):
        learn.load("cut")


def test_summary(learn):
    layers = learn.summary()
    assert layers["Embedding-1"] == {
        **{"input_shape": [-1], "output_shape": [-1, 5], "trainable": True, "nb_params": 600},
    }
    assert sum(layer["nb_params"] for layer in layers.values()) == (120 + 80) * 6


def test_without_validation(cf, capsys):
    learn = cf.get_learner(5, [], 64, opt_fn=optim.Adam, rng=0)
    assert learn.fit(1e-2, 1) == [] and len(learn.data.val_y) == 0
    assert capsys.readouterr().out.split()[:2] == ["epoch", "trn_loss"]
    with pytest.raises(SettingError, match="no validation set"):
        learn.predict()


def test_one_rating_for_all_is_an_error(folder):
    table = pandas.DataFrame({"u": [1, 2, 3], "i": [1, 2, 3], "r": [4.0, 4.0, 4.0]})
    with pytest.raises(DataError, match="every rating is 4"):
        CollabFilterDataset.from_data_frame(folder, table, "u", "i", "r").get_learner(2, [0], 2)


def test_overfitting_is_said(cf):
    learn = cf.get_learner(20, get_cv_idxs(len(cf)), 64, opt_fn=optim.Adam, rng=0)
    with pytest.warns(OverfitWarning, match="overfitting"):
        learn.fit(3e-2, 12)
