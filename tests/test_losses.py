"""Losses as values: what they compute, and what they say of the predictions."""

from functools import partial

import pytest
import torch
from torch import nn

from dotbias import losses
from dotbias.batches import Batch
from dotbias.errors import DataError

P, Y = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 0.0])


def test_mse_is_the_mean_of_squares():
    assert float(losses.mse(P, Y)) == pytest.approx((0.7**2 + 2.0**2) / 2)


def test_bce_is_the_log_likelihood():
    p = torch.sigmoid(P)
    assert float(losses.bce(P, Y)) == pytest.approx(float(-(torch.log(p[0]) + torch.log(1 - p[1])) / 2))


def test_a_loss_carries_its_link():
    assert (losses.mse.kind, losses.mse.link, losses.mse.y_range) == ("squared", "identity", None)
    assert (losses.bce.kind, losses.bce.link, losses.bce.y_range) == ("logistic", "sigmoid", (0.0, 1.0))


def test_a_plain_function_is_a_loss_of_scores():
    plain = losses.as_loss(nn.functional.l1_loss)
    assert float(plain(P, Y)) == pytest.approx(1.35)
    assert (plain.kind, plain.name) == ("squared", "torch.nn.functional.l1_loss")
    assert losses.as_loss(losses.bce) is losses.bce
    assert losses.as_loss(partial(nn.functional.l1_loss, reduction="sum")).name == "torch.nn.functional.l1_loss"


@pytest.mark.parametrize("loss", [losses.mse, losses.bce, losses.as_loss(nn.functional.l1_loss)])
def test_a_column_against_a_flat_batch_is_an_error(loss):
    with pytest.raises(DataError, match=r"\(2,\), the target \(2, 1\)(.|\n)*view"):
        loss(P, Y[:, None])


def test_the_loss_of_a_batch_calls_the_model_with_its_inputs():
    batch = Batch((torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])), torch.tensor([4.0, 7.0]))
    assert float(losses.mse.of_batch(lambda a, b: a + b, batch)) == pytest.approx(0.5)
