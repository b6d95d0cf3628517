"""2018's libraries as the course's notebook calls them, made of today's: ``nn pd sns T V to_np set_lrs``.

``nn``, ``pd`` and ``sns`` are namespaces of ours in front of torch.nn, pandas and seaborn, which stay unpatched. This
module knows no ratings.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pandas
import seaborn
import torch

from ..errors import DataError, SettingError, check_not_negative


class Namespace(ModuleType):
    """All names of a module, with a few of ours before them.

    Args:
        behind: the module.
        **own: what is found first.
    """

    def __init__(self, behind: ModuleType, **own: Any):
        super().__init__(behind.__name__, behind.__doc__)
        self.__dict__.update(own, _behind=behind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_behind"], name)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self._behind)})


# torch ---------------------------------------------------------------------------------------------------------


class Module(torch.nn.Module, metaclass=ABCMeta):
    """``torch.nn.Module``, except that ``.cuda()`` has no effect where there is no CUDA.

    To ``isinstance`` and ``issubclass`` every torch module is one of these, as in the course.
    """

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return issubclass(other, torch.nn.Module) if cls is Module else NotImplemented

    def cuda(self, device: Any = None) -> Any:
        """Move to the GPU, if there is one."""
        return super().cuda(device) if torch.cuda.is_available() else self


def T(a: Any, *, cuda: bool = True) -> torch.Tensor:
    """Anything -> tensor: floating numbers become float32, whole ones int64; on the GPU where there is one.

    Raises:
        DataError: for text, or lists of unequal length.
    """
    if not torch.is_tensor(a):
        array = _array(a)
        a = torch.tensor(array.astype({"f": np.float32, "b": np.bool_}.get(array.dtype.kind, np.int64)))
    a = a.float() if a.is_floating_point() else a
    return a.cuda() if cuda and torch.cuda.is_available() else a


def V(x: Any, *, requires_grad: bool = False) -> Any:
    """A variable: today a tensor, like any other. Lists of arrays or tensors become lists of tensors."""
    if isinstance(x, (list, tuple)) and any(isinstance(o, (np.ndarray, torch.Tensor)) for o in x):
        return [V(o, requires_grad=requires_grad) for o in x]
    return T(x).requires_grad_() if requires_grad else T(x)


def to_np(v: Any) -> Any:
    """Tensor -> numpy array, wherever it lives and whether or not it has a gradient; lists one by one."""
    if isinstance(v, (list, tuple)):
        return [to_np(o) for o in v]
    return v.detach().cpu().numpy() if torch.is_tensor(v) else np.asarray(v)


def set_lrs(opt: torch.optim.Optimizer, lr: float | Sequence[float]) -> None:
    """Set a torch optimizer's rate, or the rates of its groups of parameters.

    Raises:
        SettingError: for a list of another length than the groups'.
    """
    rates = [lr] * len(opt.param_groups) if isinstance(lr, (int, float)) else list(lr)
    if len(rates) != len(opt.param_groups):
        raise SettingError(f"{len(rates)} rates for {len(opt.param_groups)} groups.", hint="one each, or one number.")
    for group, rate in zip(opt.param_groups, rates, strict=True):
        check_not_negative(lr=rate)
        group["lr"] = float(rate)


def _array(a: Any) -> np.ndarray:
    try:
        array = np.array(a)
    except ValueError as e:
        raise DataError(f"T cannot make a tensor of this: {e}", hint="give rows of equal length.") from e
    if array.dtype.kind not in "fiub":
        raise DataError(f"T cannot make a tensor of {array.dtype} values.", hint="numbers only; map ids to rows first.")
    return array


# pandas --------------------------------------------------------------------------------------------------------


class Frame(pandas.DataFrame):
    """A table as pandas' own, whose ``join`` does as in 2018: names may clash even with the suffix."""

    @property
    def _constructor(self) -> Callable[..., Frame]:
        return Frame

    def join(self, other: Any, on: Any = None, how: Any = "left", lsuffix: str = "", rsuffix: str = "", **more: Any):  # type: ignore[override]
        """Columns of ``other`` beside these, matched by its index; the notebook joins ``rating`` twice to one table."""
        right = other.to_frame() if isinstance(other, pandas.Series) else other
        if not (lsuffix or rsuffix):
            return super().join(other, on=on, how=how, **more)
        clash = set(self.columns) & set(right.columns)
        names = [f"{c}{lsuffix}" if c in clash else c for c in self.columns]
        names += [f"{c}{rsuffix}" if c in clash else c for c in right.columns]
        apart = right.set_axis([f"\0{k}" for k in range(right.shape[1])], axis=1)
        return super().join(apart, on=on, how=how, **more).set_axis(names, axis=1)


def read_csv(*args: Any, **settings: Any) -> Any:
    """``pandas.read_csv``, whose table joins as in 2018."""
    table = pandas.read_csv(*args, **settings)
    return Frame(table) if isinstance(table, pandas.DataFrame) else table


# seaborn -------------------------------------------------------------------------------------------------------


def jointplot(x: Any = None, y: Any = None, data: Any = None, *, stat_func: None = None, **settings: Any) -> Any:
    """``seaborn.jointplot`` with x and y by position, as in 2018; ``stat_func=None`` is what it does today anyway.

    Raises:
        SettingError: for another ``stat_func``.
    """
    if stat_func is not None:
        raise SettingError("seaborn no longer writes a statistic into the plot.", hint="stat_func=None.")
    return seaborn.jointplot(data=data, x=x, y=y, **settings)


nn = Namespace(torch.nn, Module=Module)
pd = Namespace(pandas, read_csv=read_csv)
sns = Namespace(seaborn, jointplot=jointplot)
