"""Batches of ratings: all of them, once, in an order that the seed alone decides."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dotbias.batches import Batches, digest, fingerprint
from dotbias.errors import SettingError


def columns(batches):
    """Users, items and values of all batches, side by side."""
    return torch.cat([torch.stack([b.users.float(), b.items.float(), b.values], 1) for b in batches])


def test_each_rating_comes_once(world):
    batches = Batches(world.ratings, bs=128)
    plain, mixed = columns(batches), columns(batches.shuffled(3))
    assert len(batches) == len(list(batches)) == 24 and [len(b.values) for b in batches][-1] == 3000 - 23 * 128
    np.testing.assert_array_equal(plain[:, 2].numpy(), world.ratings.values)
    assert not torch.equal(plain, mixed)
    assert sorted(map(tuple, plain.tolist())) == sorted(map(tuple, mixed.tolist()))


def test_the_order_depends_on_the_seed_alone(world):
    batches = Batches(world.ratings, bs=128)
    torch.manual_seed(1)
    first = columns(batches.shuffled(3))
    torch.manual_seed(2)
    assert torch.equal(first, columns(batches.shuffled(3)))
    assert not torch.equal(first, columns(batches.shuffled(4)))


def test_times_are_an_input_where_asked_for(world):
    with_times = next(iter(Batches(world.ratings, bs=5, times=True)))
    assert with_times.inputs[2].tolist() == world.ratings.times[:5].tolist()
    without = replace(world.ratings, times=None)
    assert next(iter(Batches(without, bs=5, times=True))).inputs[2] is None
    assert len(next(iter(Batches(world.ratings, bs=5))).inputs) == 2


def test_a_fingerprint_knows_data_and_cut(world):
    one = fingerprint(Batches(world.ratings, bs=100))
    assert one == fingerprint(Batches(world.ratings, bs=100))
    assert one != fingerprint(Batches(world.ratings, bs=101))
    assert one != fingerprint(Batches(world.ratings.take(np.arange(2999)), bs=100))
    assert digest(torch.zeros(2)) != digest(torch.zeros(1, 2)) != digest(torch.zeros(2, dtype=torch.float64))
    assert len(digest(torch.tensor(True))) == 64


def test_a_batch_has_at_least_one_rating(world):
    with pytest.raises(SettingError, match="bs is 0"):
        Batches(world.ratings, bs=0)
