"""The classifier of clicks: what every fitter of clicks must satisfy, and its ridge."""

from functools import partial

import clicks_battery
import numpy as np
import pytest
import torch

from dotbias.classifier import classifier, ridge_groups
from dotbias.errors import SettingError
from dotbias.models import EmbeddingDotBias, EmbeddingNet
from dotbias.module_scorer import ModuleScorer
from dotbias.negatives import ClickBatches

small = partial(classifier, n_factors=4, n_epochs=40, negatives=3, bs=64, lr=0.02, reg_once=0.5)


@pytest.mark.filterwarnings("ignore:users who clicked every item", "ignore:overfitting")
@pytest.mark.parametrize("check", clicks_battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(small)


@pytest.mark.parametrize(("model", "loss"), [("dot", "bce"), ("dot", "bpr"), ("dot_bias", "bpr"), ("net", "bce")])
def test_each_model_and_loss_beats_popularity(model, loss):
    clicks_battery.beats_popularity(partial(small, model=model, loss=loss))


def test_the_net_is_a_module_and_may_drop_out():
    train, _ = clicks_battery.parts()
    scorer = classifier(train, model="net", hidden=(8,), dropout=0.2, n_epochs=1, rng=0)
    assert isinstance(scorer, ModuleScorer) and isinstance(scorer.model, EmbeddingNet)
    assert scorer.objective.link == "sigmoid" and scorer.objective.negatives == 4


@pytest.mark.parametrize("sparse", [True, False])
def test_the_ridge_is_the_one_asked_for(sparse):
    """Over an epoch a row decays by twice its ridge, in units of the summed loss, however often it comes."""
    train, _ = clicks_battery.parts(n_users=300, n_items=40)
    batches = ClickBatches(train, bs=100, negatives=2)
    model = EmbeddingDotBias(train.n_users, train.n_items, n_factors=2, sparse=sparse, rng=0)
    groups = ridge_groups(model, batches, pairs=3, reg=0.5, reg_once=4.0)
    assert [len(g["params"]) for g in groups] == [2, 2]
    for group, rows, counts in zip(groups, ("users", "items"), (train.user_counts, train.item_counts), strict=True):
        total = np.zeros(len(counts))
        for batch in (batch for seed in range(200) for batch in batches.shuffled(seed)):
            decayed = torch.unique(getattr(batch, rows)).numpy() if sparse else slice(None)
            total[decayed] += 1 / 200
        spent = total * group["l2"][:, 0].numpy() * 100 * 3
        seen = counts > 0
        expected = 2 * (0.5 * counts + 4.0)
        np.testing.assert_allclose(spent[seen], expected[seen], rtol=0.25)
        assert abs(np.log(spent[seen] / expected[seen]).mean()) < 0.05


def test_a_tighter_ridge_makes_shorter_vectors():
    train, _ = clicks_battery.parts()
    lengths = [np.square(small(train, reg_once=r, rng=0).users).sum() for r in (0.1, 1.0, 10.0)]
    assert lengths[0] > lengths[1] > lengths[2]


def test_valid_chooses_only_where_it_is_told_to():
    train, test = clicks_battery.parts()
    plain, watched = (small(train, valid=v, n_epochs=3, rng=0).users for v in (None, test))
    assert plain.tobytes() == watched.tobytes()
    with pytest.raises(SettingError, match="needs a validation set"):
        small(train, keep_best=True)


def test_a_checkpoint_goes_on_to_the_same_bits(tmp_path):
    train, _ = clicks_battery.parts()
    whole = small(train, n_epochs=3, rng=0).users.tobytes()
    assert small(train, n_epochs=3, rng=0, checkpoint=tmp_path / "c").users.tobytes() == whole
    assert small(train, n_epochs=3, rng=0, checkpoint=tmp_path / "c").users.tobytes() == whole
    with pytest.raises(SettingError, match="another"):
        small(train, n_epochs=3, rng=0, checkpoint=tmp_path / "c", negatives=2)


def test_a_large_table_is_learned_sparsely(monkeypatch):
    monkeypatch.setattr("dotbias.classifier.SPARSE", 0)
    clicks_battery.beats_popularity(small)
