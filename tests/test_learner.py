"""The loop: what it fits, with which optimizer, batches and loss."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from dotbias import losses, schedules, split, steps
from dotbias.batches import Batch, Batches
from dotbias.errors import DataError, DivergedError, SettingError
from dotbias.gradient import collab_learner
from dotbias.learner import Learner
from dotbias.models import EmbeddingDotBias
from dotbias.module_scorer import ModuleScorer


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


def test_same_rng_same_bits(parts):
    runs = [learner(parts) for _ in range(2)]
    for learn in runs:
        learn.fit(2, 0.01)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    global_state = torch.random.get_rng_state()
    runs[0].fit(1, 0.01)
    assert torch.equal(global_state, torch.random.get_rng_state())  # nobody else's generator is touched


def test_rates_per_group(parts):
    learn = learner(parts, groups=lambda m: [[m.u.weight, m.ub.weight], [m.i.weight, m.ib.weight]])
    before = learn.model.u.weight.detach().clone()
    learn.fit(1, [lambda p: 0.0, schedules.cosine(0.1)])
    assert torch.equal(before, learn.model.u.weight)
    assert learn.rates[0] == pytest.approx(0.1)
    with pytest.raises(SettingError, match="3 rates for 2 groups"):
        learn.fit(1, [0.1, 0.1, 0.1])


def test_a_diverging_fit_stops_and_says_what_to_lower(parts):
    learn = learner(parts, rule=steps.sgd)
    learn.model.range.y_range = None
    with pytest.raises(DivergedError, match=r"epoch 1, batch \d+, at lr 1e\+06(.|\n)*lower the rate"):
        learn.fit(2, 1e6)


def test_any_module_fits_in(parts):
    learn = Learner(Item(parts.train.n_items), parts.train, parts.valid, bs=64, rng=0)
    assert learn.fit(3, 0.1)[-1]["valid"] < learn.history[0]["valid"]
    scorer, mean = learn.scorer(), float(parts.train.values.mean(dtype=np.float64))
    assert isinstance(scorer, ModuleScorer)
    never = np.flatnonzero(parts.train.item_counts == 0)
    cold = np.r_[never, -1, parts.train.n_items, 10**6]
    np.testing.assert_allclose(scorer.score(np.zeros(len(cold), int), cold), mean, rtol=1e-6)


def test_a_column_prediction_is_an_error_not_a_broadcast(parts):
    class Column(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

        def forward(self, users, items):
            return (self.w * users).view(-1, 1)

    with pytest.raises(DataError, match="broadcast"):
        Learner(Column(), parts.train, rng=0).fit(1)


def test_a_classifier_gives_probabilities(parts):
    liked = replace(parts.train, values=(parts.train.values >= 3.5).astype(np.float32), y_range=(0.0, 1.0))

    model = EmbeddingDotBias(liked.n_users, liked.n_items, n_factors=4, sparse=True, rng=0)
    learn = Learner(model, liked, loss=losses.bce, rng=0)
    learn.fit(5, 0.05)
    p = learn.scorer().score(liked.users, liked.items)
    assert 0 <= p.min() < p.max() <= 1
    assert p[liked.values == 1].mean() > p[liked.values == 0].mean() + 0.1
    assert learn.scorer().objective.loss == "logistic"
    with pytest.raises(SettingError, match=r"bce takes log-odds(.|\n)*y_range=None"):
        Learner(EmbeddingDotBias(3, 4, y_range=(0, 1)), liked, loss=losses.bce)


def test_bad_arguments_are_named(parts):
    with pytest.raises(SettingError, match="bs is 0"):
        learner(parts, bs=0)
    with pytest.raises(SettingError, match="n_epochs is 0"):
        learner(parts).fit(0)
    with pytest.raises(SettingError, match="lr is nan"):
        learner(parts).fit(1, float("nan"))
    with pytest.raises(DataError, match="every rating in train is"):
        collab_learner(replace(parts.train.take(parts.train.values == 3), y_range=None), padding=0)
    with pytest.raises(SettingError, match="a rule has no rate"):
        learner(parts).fit(1, None)


class Item(nn.Module):
    """A bias per item."""

    def __init__(self, n):
        super().__init__()
        self.b = nn.Embedding(n, 1)

    def forward(self, users, items):
        return self.b(items).squeeze(1)


def test_a_torch_optimizer_takes_the_place_of_the_rule(parts):
    """The same walk by our momentum and by torch's, with settings and a rate per group."""
    ours, theirs = (
        Learner(Dense(parts), parts.train, bs=256, rng=0, **how)
        for how in ({"rule": steps.momentum}, {"opt": partial(torch.optim.SGD, momentum=0.9)})
    )
    rate = schedules.one_cycle(0.05)
    ours.fit(2, rate, l2=1e-3)
    theirs.fit(2, rate, weight_decay=1e-3)
    assert ours.rates == theirs.rates
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-5, atol=1e-6)
    with pytest.raises(SettingError, match=r"SGD has no setting 'l2'(.|\n)*weight_decay"):
        theirs.fit(1, 0.1, l2=1e-3)


def test_an_optimizer_may_keep_its_own_rate(parts):
    fits = []
    for opt, lr in ((partial(torch.optim.Adam, lr=0.03), None), (torch.optim.Adam, 0.03)):
        learn = Learner(Dense(parts), parts.train, opt=opt, bs=256, rng=0)
        learn.fit(1, lr)
        assert set(learn.rates) == {0.03}
        fits.append(weights(learn))
    assert torch.equal(*fits)


class Dense(EmbeddingDotBias):
    """A small model with dense gradients, drawn from one seed."""

    def __init__(self, parts):
        super().__init__(parts.train.n_users, parts.train.n_items, n_factors=4, mean=3.0, rng=0)


class Pairs:
    """Likes in batches: a user, a liked item, and the next user's item instead of a drawn one."""

    def __init__(self, ratings, bs=128):
        self.rows = torch.tensor(np.c_[ratings.users, ratings.items][ratings.values >= 4], dtype=torch.int64)
        self.bs = bs

    def __len__(self):
        return -(-len(self.rows) // self.bs)

    def __iter__(self):
        return self._batches(self.rows)

    def shuffled(self, seed):
        return self._batches(self.rows[torch.randperm(len(self.rows))])  # seeded by the loop

    def _batches(self, rows):
        return (Batch((part[:, 0], part[:, 1]), torch.ones(len(part))) for part in rows.split(self.bs))


def bpr(model, batch):
    """Liked items above drawn ones (Rendle et al. 2009)."""
    users, liked = batch.inputs
    drawn = torch.randint(80, (len(users),))
    return -nn.functional.logsigmoid(model(users, liked) - model(users, drawn)).mean()


def test_any_batches_and_a_loss_of_pairs(parts):
    """Likes with drawn negatives: no ratings, two predictions a row; it ranks liked items above others."""
    fits = []
    for _ in range(2):
        learn = Learner(Dense(parts), Pairs(parts.train), Pairs(parts.valid), step_loss=bpr, rng=3)
        learn.fit(3, 0.05)
        fits.append(weights(learn))
    assert torch.equal(*fits)  # what the loss draws depends on the rng alone
    assert learn.history[-1]["valid"] < 0.66 < learn.history[0]["train"] + 0.1  # chance is log 2 = 0.693
    with pytest.raises(SettingError, match="only a fit on Ratings"):
        learn.scorer()


def test_columns_of_any_kind_can_be_fed(parts):
    """A batch's inputs are the model's arguments, whatever they are."""

    class Line(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            return x @ self.w

    class Table(Batches):
        def _slices(self, users, items, times, values):
            for batch in super()._slices(users, items, times, values):
                x = torch.stack([batch.users, batch.items], 1) / 100
                yield Batch((x,), 3 * x[:, 0] - x[:, 1])

    learn = Learner(Line(), Table(parts.train, bs=100), rng=0)
    learn.fit(20, 0.05)
    torch.testing.assert_close(learn.model.w.detach(), torch.tensor([3.0, -1.0]), atol=1e-2, rtol=0)
