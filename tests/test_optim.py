"""The rules as torch Optimizers: equal to torch's own, and row-sparse where a batch touches few rows."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from dotbias import steps
from dotbias.errors import SettingError
from dotbias.optim import Optimizer

PAIRS = [
    (steps.sgd, {}, torch.optim.SGD, {}),
    (steps.sgd, {"l2": 0.1}, torch.optim.SGD, {"weight_decay": 0.1}),
    (steps.momentum, {"beta": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    (steps.momentum, {"beta": 0.9, "l2": 0.1}, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    (steps.adagrad, {}, torch.optim.Adagrad, {}),
    (steps.adagrad, {"l2": 0.1}, torch.optim.Adagrad, {"weight_decay": 0.1}),
    (steps.rmsprop, {}, torch.optim.RMSprop, {}),
    (steps.adam, {}, torch.optim.Adam, {}),
    (steps.adam, {"l2": 0.1, "beta1": 0.8}, torch.optim.Adam, {"weight_decay": 0.1, "betas": (0.8, 0.999)}),
    (steps.adamw, {}, torch.optim.AdamW, {}),
    (steps.adamw, {"wd": 0.3}, torch.optim.AdamW, {"weight_decay": 0.3}),
]
NAMES = [f"{rule.__name__}-{'-'.join(s) or 'plain'}" for rule, s, _, _ in PAIRS]


def walk(make, *, n=20):
    """n steps of a small net; returns its parameters in one vector."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x, y = torch.randn(16, 4).double(), torch.randn(16, 1).double()
    optimizer = make(net.parameters())
    for _ in range(n):
        optimizer.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        optimizer.step()
    return torch.cat([p.detach().ravel() for p in net.parameters()])


@pytest.mark.parametrize(("rule", "ours", "theirs", "settings"), PAIRS, ids=NAMES)
def test_equal_to_torch_for_twenty_steps(rule, ours, theirs, settings):
    mine = walk(lambda p: Optimizer(p, rule, lr=0.05, **ours))
    torch.testing.assert_close(mine, walk(lambda p: theirs(p, lr=0.05, **settings)), rtol=1e-6, atol=1e-9)


def rows(rule, batches, *, sparse, **settings):
    """An embedding of 6 rows after seeing batches of rows; the loss pulls each seen row to 1."""
    table = nn.Embedding(6, 2, sparse=sparse).double()
    with torch.no_grad():
        table.weight.copy_(torch.linspace(-1, 1, 12).reshape(6, 2))
    optimizer = Optimizer(table.parameters(), rule, lr=0.1, **settings)
    for batch in batches:
        optimizer.zero_grad()
        ((table(torch.tensor(batch)) - 1) ** 2).sum().backward()
        optimizer.step()
    return table.weight.detach()


ALL = [[0, 1, 2, 3, 4, 5, 2, 2]] * 7  # every row, one of them several times
FEW = [[0, 1], [1, 1, 4], [5], [0, 4]]


@pytest.mark.parametrize(("rule", "settings"), [(r, s) for r, s, _, _ in PAIRS], ids=NAMES)
def test_sparse_is_dense_when_every_row_is_touched(rule, settings):
    sparse, dense = (rows(rule, ALL, sparse=s, **settings) for s in (True, False))
    torch.testing.assert_close(sparse, dense, rtol=1e-12, atol=1e-14)


def test_sparse_is_dense_for_plain_sgd():
    torch.testing.assert_close(rows(steps.sgd, FEW, sparse=True), rows(steps.sgd, FEW, sparse=False))


@pytest.mark.parametrize("rule", [steps.momentum, steps.adam, steps.adamw])
def test_sparse_is_lazy_elsewhere(rule):
    """Untouched rows stay exactly where they are; dense averages and decay would move them."""
    start = torch.linspace(-1, 1, 12).reshape(6, 2).double()
    lazy = rows(rule, FEW, sparse=True, wd=0.5)
    assert torch.equal(lazy[[2, 3]], start[[2, 3]])
    assert not torch.equal(rows(rule, FEW, sparse=False, wd=0.5)[[2, 3]], start[[2, 3]])


def test_a_rare_row_takes_a_full_first_step():
    """Bias correction counts a row's own visits: its first Adam step has length lr, however late it comes."""
    late = rows(steps.adam, [[0]] * 50 + [[5]], sparse=True)
    start = torch.linspace(-1, 1, 12).reshape(6, 2).double()
    assert (late[5, 0] - start[5, 0]).abs() == pytest.approx(0.1, rel=1e-6)


def test_a_setting_may_be_a_number_per_row():
    l2 = torch.tensor([0.0, 0, 0, 0, 0, 1e6])[:, None].double()
    moved = rows(steps.sgd, [[0, 5]], sparse=True, l2=l2 * 1e-6 * 10)
    plain = rows(steps.sgd, [[0, 5]], sparse=True)
    assert torch.equal(moved[0], plain[0])
    assert not torch.equal(moved[5], plain[5])


def test_bad_settings_are_named():
    p = [nn.Parameter(torch.ones(2))]
    with pytest.raises(SettingError, match=r"adam has no setting 'beta_1'(.|\n)*did you mean 'beta1'"):
        Optimizer(p, steps.adam, lr=0.1, beta_1=0.8)
    with pytest.raises(SettingError, match="lr is -1"):
        Optimizer(p, steps.sgd, lr=-1)


def test_a_fit_does_not_load_torchs_compiler():
    """Importing it takes longer than many a fit."""
    code = """
import sys
from dotbias import planted
from dotbias.gradient import fit_dot_bias
fit_dot_bias(planted(20, 20, n_ratings=100, rng=0).ratings, n_factors=2, n_epochs=1)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
