"""Rules, order, Learner and the lesson's loop end at the same bits as before (see ``bits``)."""

import os

import bits
import numpy as np
import pytest
import torch
from torch import nn

from dotbias import schedules, split, steps
from dotbias.batches import Batches
from dotbias.gradient import collab_learner, spread
from dotbias.learner import Learner
from dotbias.models import EmbeddingDot, EmbeddingDotBias, EmbeddingNet
from dotbias.optim import Optimizer

FEW = [[0, 1], [1, 1, 4], [5], [0, 4]] * 5


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def parts(world):
    return split.random(world.ratings, test=0.1, valid=0.1, rng=0)


def weights(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def twenty_steps(rule, *, sparse):
    """An embedding after 20 batches of rows, in float32; the loss pulls each seen row to 1."""
    table = nn.Embedding(6, 2, sparse=sparse)
    with torch.no_grad():
        table.weight.copy_(torch.linspace(-1, 1, 12).reshape(6, 2))
    optimizer = Optimizer(table.parameters(), rule, lr=0.1, wd=0.01)
    for rows in FEW:
        optimizer.zero_grad()
        ((table(torch.tensor(rows)) - 1) ** 2).sum().backward()
        optimizer.step()
    return table.weight.detach().numpy()


def test_rules():
    found = {
        f"{n} {s}": twenty_steps(r, sparse=s == "sparse") for n, r in steps.RULES.items() for s in ("dense", "sparse")
    }
    bits.check("rules", found)


def test_order(world):
    batches = Batches(world.ratings, bs=100)
    found = {f"seed {s}": torch.cat([b.users * 1000 + b.items for b in batches.shuffled(s)]).numpy() for s in (0, 7)}
    bits.check("order", found)


@pytest.mark.parametrize("rule", [steps.adam, steps.momentum])
def test_learner(parts, rule):
    U, I, y_range = parts.train.n_users, parts.train.n_items, (0.5, 5.0)
    found = {}
    for sparse in (False, True):
        models = {
            "dot": EmbeddingDot(U, I, n_factors=5, mean=3.0, sparse=sparse, rng=1),
            "bias": EmbeddingDotBias(U, I, n_factors=5, y_range=y_range, padding=0.25, mean=0.3, sparse=sparse, rng=1),
            "net": EmbeddingNet(U, I, n_factors=5, hidden=(6,), y_range=y_range, sparse=sparse, rng=1),
        }
        for name, model in models.items():
            learn = Learner(model, parts.train, parts.valid, rule=rule, bs=64, rng=3)
            learn.fit(2, schedules.one_cycle(0.02), wd=0.01)
            found |= {f"{name} {'sparse' if sparse else 'dense'} {k}": w for k, w in weights(model).items()}
            found |= {f"{name} {sparse} valid": np.array([row["valid"] for row in learn.history])}
    bits.check(f"learner_{rule.__name__}", found)


def test_sweep(parts):
    padding = 0.25 / spread(parts.train)  # a quarter of a star
    learn = collab_learner(parts.train, n_factors=5, padding=padding, bs=64, rng=0)
    sweep = learn.lr_find()
    bits.check("sweep", {"lrs": sweep.lrs, "losses": sweep.losses, "smooth": sweep.smooth})


def test_the_lessons_loop_and_learner(world, tmp_path):
    pytest.importorskip("seaborn")
    os.environ.setdefault("MPLBACKEND", "Agg")
    import pandas

    from dotbias import lesson5

    r = world.ratings
    table = pandas.DataFrame({"user": r.users, "item": r.items, "rating": r.values})
    cf = lesson5.CollabFilterDataset.from_data_frame(tmp_path, table, "user", "item", "rating")
    held, found = lesson5.get_cv_idxs(len(cf)), {}
    for name, opt_fn, more in (("adam", torch.optim.Adam, {}), ("sgd", None, {"use_wd_sched": True})):
        learn = cf.get_learner(5, held, 64, opt_fn=opt_fn, rng=0)
        learn.fit(1e-2, 2, wds=2e-4, cycle_len=1, cycle_mult=2, **more)
        found |= {f"{name} {k}": w for k, w in weights(learn.model).items()}
    learn = cf.get_learner(5, held, 16, opt_fn=torch.optim.Adam, rng=0)
    learn.lr_find()
    found["sweep"] = learn.sched.losses
    df = pandas.DataFrame({"user": cf.table.users, "item": cf.table.items})
    data = lesson5.ColumnarModelData.from_data_frame(tmp_path, held, df, cf.ratings, ["user", "item"], 64)
    torch.manual_seed(0)
    model = ByColumns(EmbeddingNet(cf.n_users, cf.n_items, n_factors=5, y_range=(0.5, 5.0), rng=1))
    opt = torch.optim.SGD(model.parameters(), 1e-1, weight_decay=1e-5, momentum=0.9)
    found["loss"] = np.array(lesson5.fit(model, data, 2, opt, torch.nn.functional.mse_loss))
    found |= {f"fit {k}": w for k, w in weights(model).items()}
    bits.check("lesson5", found)


class ByColumns(nn.Module):
    """A model of rows, called with a batch of columns."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, cats, conts):
        return self.model(cats[:, 0], cats[:, 1]).view(-1, 1)
