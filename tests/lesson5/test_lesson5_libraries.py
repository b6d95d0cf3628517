"""The libraries of 2018, as the course's notebook calls them."""

import numpy as np
import pandas
import pytest
import seaborn
import torch
import torch.nn.functional as F

from dotbias import lesson5
from dotbias.errors import DataError, SettingError
from dotbias.lesson5 import T, V, nn, optim, pd, set_lrs, sns


class Mine(nn.Module):
    """A module as the notebook derives it."""


def test_nn_is_torchs_own_but_for_module():
    assert nn.Embedding is torch.nn.Embedding and nn.functional is F and "Linear" in dir(nn)
    assert issubclass(nn.Module, torch.nn.Module) and nn.Module is not torch.nn.Module
    assert isinstance(nn.Embedding(3, 2), nn.Module) and issubclass(torch.nn.Linear, nn.Module)
    assert not isinstance(3, nn.Module) and not issubclass(int, nn.Module)
    assert isinstance(Mine(), nn.Module) and not isinstance(nn.Linear(1, 1), Mine)
    with pytest.raises(AttributeError):
        nn.Embeding  # noqa: B018


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_cuda_has_no_effect_without_cuda(learn):
    model = Mine()
    assert model.cuda() is model and learn.model.cuda() is learn.model
    with pytest.raises((AssertionError, RuntimeError)):
        torch.nn.Linear(1, 1).cuda()


def test_T_makes_tensors_of_anything():
    assert T([[1.0, 2], [3, 4]]).dtype == torch.float32
    assert T(np.arange(3, dtype=np.int32)).dtype == torch.int64
    assert T(torch.ones(2, dtype=torch.float64)).dtype == torch.float32
    assert T(pandas.Series([1.5, 2.5])).tolist() == [1.5, 2.5]
    assert T([True, False]).dtype == torch.bool and T(3).shape == ()
    for wrong in (["a"], [[1, 2], [3]]):
        with pytest.raises(DataError, match="T cannot make a tensor"):
            T(wrong)


def test_V_and_to_np():
    a, b = V([np.zeros(2), torch.ones(3)])
    assert a.dtype == torch.float32 and len(b) == 3
    x = V([1.0, 2.0], requires_grad=True)
    assert x.requires_grad and lesson5.to_np(x * 2).tolist() == [2, 4]
    assert [v.tolist() for v in lesson5.to_np([x, a])] == [[1, 2], [0, 0]]


def test_join_doubles_a_name_as_in_2018(folder):
    table = pd.read_csv(folder / "ratings.csv")
    counts = table.groupby("userId")["rating"].count()
    once = table.join(counts, rsuffix="_r", how="inner", on="userId")
    assert list(once.columns) == [*table.columns, "rating_r"]
    assert (once.rating_r == once.userId.map(counts)).all()
    twice = once.join(counts, rsuffix="_r", on="userId")
    assert list(twice.columns) == [*once.columns, "rating_r"]
    plain = pandas.DataFrame(table).set_index("userId")[["movieId"]]
    assert list(pd.DataFrame({"a": [1]}).join(pandas.DataFrame({"b": [2]})).columns) == ["a", "b"]
    assert list(lesson5.libraries.Frame(plain).join(counts).columns) == ["movieId", "rating"]


def test_jointplot_takes_positions():
    rng = np.random.default_rng(0)
    grid = sns.jointplot(rng.random(50), rng.random(50), kind="hex", stat_func=None)
    assert isinstance(grid, seaborn.JointGrid) and sns.heatmap is seaborn.heatmap
    with pytest.raises(SettingError, match="statistic"):
        sns.jointplot([1.0, 2], [1.0, 2], stat_func=max)


def test_set_lrs():
    a, b = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    opt = optim.SGD([{"params": [a]}, {"params": [b]}], lr=1.0)
    set_lrs(opt, 0.01)
    assert [g["lr"] for g in opt.param_groups] == [0.01, 0.01]
    set_lrs(opt, [0.1, 0.2])
    assert [g["lr"] for g in opt.param_groups] == [0.1, 0.2]
    with pytest.raises(SettingError, match="3 rates for 2 groups"):
        set_lrs(opt, [1, 2, 3])
