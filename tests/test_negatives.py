"""Negatives: never a known positive, each item as often as it should be, and the seed alone decides."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dotbias import losses, storage
from dotbias.errors import DataError, SettingError
from dotbias.gradient import collab_learner
from dotbias.learner import Learner
from dotbias.models import EmbeddingDot, EmbeddingDotBias, EmbeddingNet
from dotbias.negatives import ClickBatches, Unclicked, item_weights
from dotbias.ratings import Ratings


def clicks_of(pairs, n_items) -> Ratings:
    """Clicks of (user, item) rows; every item has a row."""
    every = [(0, i) for i in range(n_items)]
    frame = pl.DataFrame([*every, *((u + 1, i) for u, i in pairs)], schema=["user", "item"], orient="row")
    ratings = Ratings.from_frame(frame, rating=False)
    return ratings.take(ratings.users > 0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1), st.sampled_from([0.0, 0.75, 3.0]))
def test_a_negative_is_never_a_known_positive(pairs, alpha):
    clicks = clicks_of(pairs, 7)
    unclicked = Unclicked([clicks], alpha=alpha)
    users = torch.arange(clicks.n_users).repeat(50)
    users = users[unclicked.left[users] > 0]
    drawn = unclicked.draw(users, generator())
    assert bool(((drawn >= 0) & (drawn < 7)).all())
    known = set(zip(clicks.users.tolist(), clicks.items.tolist(), strict=True))
    assert not known & set(zip(users.tolist(), drawn.tolist(), strict=True))
    full = [u for u in range(clicks.n_users) if sum(user == u for user, _ in known) == 7]
    assert torch.nonzero(unclicked.left == 0).flatten().tolist() == full


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_each_item_comes_as_often_as_its_weight(alpha):
    pairs = [(u, i) for u in range(1, 9) for i in range(u)] + [(0, 2), (0, 5)]
    clicks = clicks_of(pairs, 9)
    weight = np.maximum(clicks.item_counts, 1.0) ** alpha
    user = clicks.user_ids.row(1)
    weight[[2, 5]] = 0
    drawn = Unclicked([clicks], alpha=alpha).draw(torch.full((200_000,), user), generator()).numpy()
    found = np.bincount(drawn, minlength=9) / len(drawn)
    expected = weight / weight.sum()
    error = np.sqrt(expected * (1 - expected) / len(drawn))
    assert (np.abs(found - expected) <= 5 * error).all()


def test_weights_are_whole_and_do_not_overflow():
    weights = item_weights(np.array([0, 1, 10**9]), 1.0, 10**7)
    assert weights.dtype == np.int64
    assert weights[0] == weights[1] >= 1
    assert 10**7 * int(weights.sum()) < 2**62
    assert item_weights(np.array([0, 5]), 0.0, 3).tolist() == [1, 1]


def test_a_batch_is_clicks_then_negatives_of_the_same_users(clicks):
    source = ClickBatches(clicks, bs=64, negatives=3)
    batches = list(source.shuffled(1))
    assert len(batches) == len(source) == -(-len(clicks) // 64)
    for batch in batches:
        n = len(batch.values) // 4
        assert batch.values.tolist() == [1.0] * n + [0.0] * (3 * n)
        assert torch.equal(batch.users, batch.users[:n].repeat(4))
    met = [torch.stack([b.users, b.items])[:, : len(b.values) // 4] for b in batches]
    pairs = sorted(map(tuple, torch.cat(met, 1).T.tolist()))
    assert pairs == sorted(zip(clicks.users.tolist(), clicks.items.tolist(), strict=True))  # each click once


def test_the_seed_alone_decides(clicks):
    source = ClickBatches(clicks, bs=64)
    torch.manual_seed(1)
    first = torch.cat([b.items for b in source.shuffled(3)])
    torch.manual_seed(2)
    assert torch.equal(first, torch.cat([b.items for b in source.shuffled(3)]))
    assert not torch.equal(first, torch.cat([b.items for b in source.shuffled(4)]))
    assert torch.equal(*(torch.cat([b.items for b in source]) for _ in range(2)))


def test_negatives_of_a_held_out_part_are_not_in_train_either(clicks):
    half = np.arange(len(clicks)) % 2 == 0
    train, valid = clicks.take(half), clicks.take(~half)
    known = set(clicks.pairs().tolist())
    for batch in ClickBatches(valid, bs=100, negatives=8, known=train):
        pairs = batch.users * clicks.n_items + batch.items
        assert not known & set(pairs[batch.values == 0].tolist())


def test_times_are_those_of_the_click(clicks):
    timed = replace(clicks, times=np.arange(len(clicks)))
    batch = next(iter(ClickBatches(timed, bs=5, negatives=2, times=True)))
    assert batch.inputs[2].tolist() == [0, 1, 2, 3, 4] * 3
    timeless = replace(clicks, times=None)
    assert next(iter(ClickBatches(timeless, bs=5, times=True))).inputs[2] is None


def test_a_user_with_every_item_is_left_out_and_told():
    clicks = clicks_of([(0, 0), (0, 1), (0, 2), (1, 1)], 3)
    with pytest.warns(UserWarning, match="users who clicked every item: 1. Their 3 clicks"):
        source = ClickBatches(clicks)
    assert source.items.tolist() == [1]
    with pytest.raises(DataError, match="every user has clicked every item"):
        ClickBatches(clicks.take(clicks.users == clicks.user_ids.row(1)))


def test_bad_arguments(clicks, world):
    with pytest.raises(DataError, match=r"ratings with values(.|\n)*binarize"):
        ClickBatches(world.ratings)
    with pytest.raises(SettingError, match="negatives is 0"):
        ClickBatches(clicks, negatives=0)
    with pytest.raises(SettingError, match="alpha"):
        ClickBatches(clicks, alpha=-1)


def test_bpr_is_the_mean_over_pairs():
    prediction = torch.tensor([1.0, 2.0, 0.5, -1.0, 0.0, 3.0])  # two clicks, two negatives each
    target = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    pairs = [(1.0, 0.5), (2.0, -1.0), (1.0, 0.0), (2.0, 3.0)]
    expected = np.mean([np.log1p(np.exp(negative - click)) for click, negative in pairs])
    assert float(losses.bpr(prediction, target)) == pytest.approx(expected)
    for bad in ([0.0] * 6, [1.0] * 6, [1.0] * 4 + [0.0] * 2, [0.0, 1, 1, 0, 0, 0]):
        with pytest.raises(DataError, match="not made of clicks"):
            losses.bpr(prediction, torch.tensor(bad))


# The Learner ---------------------------------------------------------------------------------------------------------


def fitted(clicks, model=EmbeddingDotBias, loss=losses.bce, *, source=None, n_epochs=10, rng=0):
    """The lesson's model as a classifier, in three lines."""
    net = model(clicks.n_users, clicks.n_items, n_factors=4, rng=rng)
    learner = Learner(net, source or clicks, loss=loss, bs=64, rng=rng)
    learner.fit(n_epochs, 0.02)
    return learner


def auc(scorer, clicks) -> float:
    """How often a click ranks above an item of the same user that is not clicked."""
    users = torch.from_numpy(clicks.users).long()
    drawn = Unclicked([clicks]).draw(users, generator(9)).numpy()
    return float((scorer.rank(clicks.users, clicks.items) > scorer.rank(clicks.users, drawn)).mean())


@pytest.mark.parametrize("loss", [losses.bce, losses.bpr, losses.mse])
@pytest.mark.parametrize("model", [EmbeddingDot, EmbeddingDotBias, EmbeddingNet])
def test_every_model_of_the_lesson_learns_clicks(clicks, model, loss):
    scorer = fitted(clicks, model, loss).scorer()
    assert auc(scorer, clicks) > (0.58 if model is EmbeddingNet else 0.75)  # its dropout of a half learns slowly
    scores = scorer.score(clicks.users, clicks.items)
    assert 0 <= scores.min() < scores.max() <= 1


def test_the_same_rng_gives_the_same_bits(clicks):
    first, again, other = (fitted(clicks, rng=rng).scorer().users.tobytes() for rng in (0, 0, 1))
    assert first == again != other


def test_collab_learner_of_clicks_is_a_classifier(clicks):
    learner = collab_learner(clicks, n_factors=4, rng=0)
    assert learner.model.range.y_range is None and learner.loss_function is losses.bce
    learner.fit(5, 0.02)
    assert auc(learner.scorer(), clicks) > 0.75


def test_log_odds_are_those_of_the_data():
    """One user clicks item 0 in nine of ten of the batches' rows in which it comes: log-odds have that truth."""
    pairs = [(u, 0) for u in range(90)] + [(u, 1) for u in range(90, 100)]
    clicks = clicks_of(pairs, 2)
    model = EmbeddingDotBias(clicks.n_users, clicks.n_items, n_factors=1, rng=0)
    model.u.weight.data[:] = model.i.weight.data[:] = model.ub.weight.data[:] = 0
    learner = Learner(model, ClickBatches(clicks, negatives=1), loss=losses.bce, rng=0)
    learner.fit(400, 0.05)
    odds = torch.sigmoid(model.ib.weight[:, 0]).tolist()
    assert odds == pytest.approx([0.9, 0.1], abs=0.01)  # item 0: 90 clicks, and 10 times a negative


def test_valid_is_measured_with_its_own_negatives(clicks):
    half = np.random.default_rng(0).random(len(clicks)) < 0.8
    train, valid = clicks.take(half), clicks.take(~half)
    model = EmbeddingDot(clicks.n_users, clicks.n_items, n_factors=2, rng=0)
    learner = Learner(model, ClickBatches(train, bs=64, negatives=2), valid, loss=losses.bce, rng=0)
    assert learner.valid_batches.negatives == 2
    rows = learner.fit(3, 0.01)
    assert rows[-1]["valid"] < rows[0]["valid"] < np.log(2)
    assert learner.validate() == learner.validate()


def test_a_cold_user_is_the_mean_user_and_nobody_elses_score_moves(clicks):
    train = clicks.take(clicks.users != 3)
    learner = fitted(train)
    scorer = learner.scorer()
    with torch.no_grad():
        model = learner.model(torch.from_numpy(train.users).long(), torch.from_numpy(train.items).long()).numpy()
    np.testing.assert_allclose(scorer.rank(train.users, train.items), model, atol=1e-5)
    seen = np.flatnonzero(train.user_counts)
    mean, cold = scorer.rank_all(seen).mean(0), scorer.rank_all(np.array([3]))[0]
    warm = train.item_counts > 0
    np.testing.assert_allclose(cold[warm], mean[warm], atol=1e-4)
    assert np.corrcoef(cold[warm], train.item_counts[warm])[0, 1] > 0.7


@pytest.mark.parametrize("loss", [losses.bce, losses.bpr])
def test_a_newcomer_with_a_users_clicks_gets_about_the_users_list(clicks, loss):
    scorer = fitted(clicks, loss=loss, n_epochs=20).scorer()
    assert scorer.objective.negatives == 4
    overlap = []
    for user in np.flatnonzero(clicks.user_counts >= 10)[:30]:
        rows = clicks.items[clicks.users == user]
        own, new = scorer.rank_all(np.array([user]))[0], scorer.fold_in_user(rows, np.ones(len(rows))).rank()
        overlap.append(np.corrcoef(own, new)[0, 1])
    assert np.median(overlap) > 0.9
    assert scorer.fold_in_user(np.array([], int), np.array([])).rank().argmax() == scorer.item_bias.argmax()


def test_a_saved_classifier_folds_in_to_the_same_bits(clicks, tmp_path):
    scorer = fitted(clicks, n_epochs=2).scorer()
    again = storage.load(storage.save(tmp_path / "m", scorer, clicks)).scorer
    one, other = (s.fold_in_user(np.array([1, 5]), np.ones(2)).rank() for s in (scorer, again))
    assert one.tobytes() == other.tobytes()
