"""The lesson's models: rows in, predictions out.

Each is an ``nn.Module`` called as ``model(users, items, times)``, with row numbers (B,) and seconds or None, and
returns predictions (B,). The embeddings are named as in the lesson: ``u``, ``i`` (factors), ``ub``, ``ib`` (biases).
This module knows no loss and no loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from .errors import SettingError, check_not_negative, check_positive, did_you_mean
from .factors import Factors
from .features import Features
from .files import check_memory
from .objective import Objective
from .rng import Rng, torch_rng

INITS: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    # The course draws three ways: its EmbeddingDot, its hand-written bias model and net, and its library.
    "dot": lambda w, g: w.uniform_(0, 0.05, generator=g),
    "hand": lambda w, g: w.uniform_(-0.01, 0.01, generator=g),
    "library": lambda w, g: w.uniform_(-0.05, 0.05, generator=g),
    # He et al. 2015, eq. 10: variance 2 / fan-in, the fan-in of a dot product being the number of factors.
    "he": lambda w, g: w.normal_(0, math.sqrt(2 / w.shape[1]), generator=g),
}


class DotProduct(nn.Module):
    """The dot product of two batches of vectors: (B, K), (B, K) -> (B,)."""

    def forward(self, u: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        """Multiply, then add up along the factors."""
        return (u * i).sum(1)


class BilinearModule(nn.Module):
    """A model that is mean + biases + dot product under a link, and so can be taken to the waist.

    Derive from it, and say how in ``factors``; ``Learner.scorer()`` then gives Factors.
    """

    def factors(self, objective: Objective) -> Factors:
        """The waist's form of it.

        Args:
            objective: what the loss says of the model's output; its ``y_range`` is where scores are clipped.
        """
        raise NotImplementedError


class EmbeddingDot(BilinearModule):
    """A vector per user and per item, and their dot product: a prediction without biases or range.

    Args:
        n_users: U.
        n_items: I.
        n_factors: K.
        mean: added to every dot product; fixed. The course has none (0).
        spread: what every dot product is multiplied by; fixed. With the ratings' standard deviation, one rate and
            one decay suit ratings of any scale.
        init: how the factors are drawn: one of ``INITS``.
        sparse: hand only a batch's rows to the optimizer (see ``optim``).
        rng: draws the initial factors.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(
        self,
        n_users: int,
        n_items: int,
        *,
        n_factors: int = 64,
        mean: float = 0.0,
        spread: float = 1.0,
        init: str = "dot",
        sparse: bool = False,
        rng: Rng = None,
    ):
        super().__init__()
        g = torch_rng(rng)
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("spread", torch.tensor(float(spread)))
        self.u, self.i = (embedding(n, n_factors, init, g, sparse=sparse) for n in (n_users, n_items))

    def forward(self, users: torch.Tensor, items: torch.Tensor, times: torch.Tensor | None = None) -> torch.Tensor:
        """Row numbers (B,), (B,) -> predictions (B,)."""
        return self.spread * (self.u(users) * self.i(items)).sum(1) + self.mean  # (B, K) -> (B,)

    def factors(self, objective: Objective) -> Factors:
        """The waist's form of it, with zero biases."""
        root = math.sqrt(float(self.spread))
        u, i = (root * e.weight.detach().cpu().numpy() for e in (self.u, self.i))
        return Factors(float(self.mean), u[:, 0] * 0, i[:, 0] * 0, u, i, objective)


class Range(nn.Module):
    """Squash any number into the rating range: low - k + (high - low + 2k)·σ(z).

    Args:
        y_range: (low, high) of the ratings, or None to leave z as it is.
        padding: k, so that the ends can be reached (a sigmoid never touches its asymptotes). The course's bias model
            has none, its net 0.5.
        learn: let the model find k: a parameter like any other, which gets gradients and moves.
    """

    padding: torch.Tensor

    def __init__(self, y_range: tuple[float, float] | None, *, padding: float = 0.0, learn: bool = False):
        super().__init__()
        self.y_range = y_range
        k = torch.tensor(float(padding))
        if learn:
            self.padding = nn.Parameter(k)
        else:
            self.register_buffer("padding", k)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(B,) -> (B,)."""
        if self.y_range is None:
            return z
        low, high = self.y_range
        return low - self.padding + (high - low + 2 * self.padding) * torch.sigmoid(z)

    def asymptotes(self) -> tuple[float, float] | None:
        """What predictions approach but never reach."""
        if self.y_range is None:
            return None
        k = float(self.padding.detach())
        return self.y_range[0] - k, self.y_range[1] + k

    def extra_repr(self) -> str:
        """What a printed model shows."""
        return f"y_range={self.y_range}, padding={float(self.padding.detach()):.3g}"


class EmbeddingDotBias(BilinearModule):
    """Dot product plus biases, squashed into the rating range: the lesson's model.

    prediction = range(mean + user bias + item bias + user · item)

    Args:
        n_users: U.
        n_items: I.
        n_factors: K.
        y_range: (low, high) of the ratings; None: no squashing.
        padding: widens the range at both ends; see :class:`Range`.
        learn_padding: whether the padding is learned.
        mean: added to every dot product, before squashing; fixed. The course has none (0).
        init: how factors and biases are drawn: one of ``INITS``.
        sparse: hand only a batch's rows to the optimizer (see ``optim``).
        rng: draws the initial values.
    """

    mean: torch.Tensor

    def __init__(
        self,
        n_users: int,
        n_items: int,
        *,
        n_factors: int = 64,
        y_range: tuple[float, float] | None = None,
        padding: float = 0.0,
        learn_padding: bool = False,
        mean: float = 0.0,
        init: str = "library",
        sparse: bool = False,
        rng: Rng = None,
    ):
        super().__init__()
        g = torch_rng(rng)
        self.u, self.i = (embedding(n, n_factors, init, g, sparse=sparse) for n in (n_users, n_items))
        self.ub, self.ib = (
            embedding(n, 1, "hand" if init == "he" else init, g, sparse=sparse) for n in (n_users, n_items)
        )
        self.range = Range(y_range, padding=padding, learn=learn_padding)
        self.register_buffer("mean", torch.tensor(float(mean)))

    def forward(self, users: torch.Tensor, items: torch.Tensor, times: torch.Tensor | None = None) -> torch.Tensor:
        """Row numbers (B,), (B,) -> predictions (B,)."""
        dot = (self.u(users) * self.i(items)).sum(1)  # (B, K) -> (B,)
        return self.range(dot + self.ub(users).squeeze(1) + self.ib(items).squeeze(1) + self.mean)

    def factors(self, objective: Objective) -> Factors:
        """The waist's form of it; its own range, where it has one, is the link."""
        ub, ib = (e.weight.detach().cpu().numpy()[:, 0] for e in (self.ub, self.ib))
        u, i = (e.weight.detach().cpu().numpy() for e in (self.u, self.i))
        asymptotes = self.range.asymptotes()
        if asymptotes is not None:
            objective = replace(objective, link="sigmoid", y_range=asymptotes)
        return Factors(float(self.mean), ub, ib, u, i, objective)


class EmbeddingNet(nn.Module):
    """A neural net over embeddings laid side by side: user, item, and any side features and time.

    The lesson's own: ``n_factors=50, hidden=(10,), dropout=0.05, hidden_dropout=0.5, padding=0.5``.

    Args:
        n_users: U.
        n_items: I.
        n_factors: the size of both embeddings, or (user size, item size).
        hidden: sizes of the hidden layers; () is a linear model.
        dropout: on the embeddings, one for all or (user, item, side features).
        hidden_dropout: after each hidden layer, one for all or one each.
        y_range: (low, high) of the ratings; None: no squashing.
        padding: widens the range at both ends; see :class:`Range`.
        learn_padding: whether the padding is learned.
        user_features: side features of user rows (few of them: they are held dense), from ``features.encode``.
        item_features: side features of item rows, such as genres.
        feature_size: size of the embedding of each side's features.
        times: (mean, spread) in seconds: the time of a rating becomes an input, standardised so; None: no time. A
            missing time counts as the mean.
        init: how the embeddings are drawn: one of ``INITS``.
        sparse: hand only a batch's rows of the user and item embeddings to the optimizer (see ``optim``).
        rng: draws the initial values.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        *,
        n_factors: int | tuple[int, int] = 64,
        hidden: Sequence[int] = (10,),
        dropout: float | Sequence[float] = 0.05,
        hidden_dropout: float | Sequence[float] = 0.5,
        y_range: tuple[float, float] | None = None,
        padding: float = 0.5,
        learn_padding: bool = False,
        user_features: Features | None = None,
        item_features: Features | None = None,
        feature_size: int = 8,
        times: tuple[float, float] | None = None,
        init: str = "hand",
        sparse: bool = False,
        rng: Rng = None,
    ):
        super().__init__()
        self.config = {
            "n_factors": n_factors if isinstance(n_factors, int) else list(n_factors),
            "hidden": list(hidden),
            "y_range": None if y_range is None else list(y_range),
            "learn_padding": learn_padding,
            "feature_size": feature_size,
            "times": None if times is None else list(times),
        }
        g = torch_rng(rng)
        user_size, item_size = (n_factors, n_factors) if isinstance(n_factors, int) else n_factors
        drops = _each(dropout, 3, "dropout")
        self.u, self.i = (
            embedding(n_users, user_size, init, g, sparse=sparse),
            embedding(n_items, item_size, init, g, sparse=sparse),
        )
        self.user_side = side_features(user_features, feature_size, g)
        self.item_side = side_features(item_features, feature_size, g)
        self.drop_u, self.drop_i, self.drop_side = (nn.Dropout(p) for p in drops)
        n_side = feature_size * sum(side is not None for side in (self.user_side, self.item_side))
        self.times = times
        sizes = [user_size + item_size + n_side + (times is not None), *hidden]
        self.layers = nn.ModuleList(linear(a, b, g) for a, b in pairwise(sizes))
        self.drops = nn.ModuleList(nn.Dropout(p) for p in _each(hidden_dropout, len(hidden), "hidden_dropout"))
        self.last = linear(sizes[-1], 1, g)
        self.range = Range(y_range, padding=padding, learn=learn_padding)

    def forward(self, users: torch.Tensor, items: torch.Tensor, times: torch.Tensor | None = None) -> torch.Tensor:
        """Row numbers (B,), (B,) and seconds (B,) or None -> predictions (B,)."""
        parts = [self.drop_u(self.u(users)), self.drop_i(self.i(items))]  # (B, Ku), (B, Ki)
        if self.user_side is not None:
            parts.append(self.drop_side(self.user_side(users)))
        if self.item_side is not None:
            parts.append(self.drop_side(self.item_side(items)))
        if self.times is not None:
            parts.append(self._when(times, parts[0]))
        x = torch.cat(parts, dim=1)
        for layer, drop in zip(self.layers, self.drops, strict=True):
            x = drop(torch.relu(layer(x)))
        return self.range(self.last(x).squeeze(1))

    @classmethod
    def from_config(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EmbeddingNet:
        """A net for scoring, from ``config`` and a ``state_dict``; it drops nothing out."""
        sizes, y_range, times = config["n_factors"], config["y_range"], config["times"]
        net = cls(
            len(tensors["u.weight"]),
            len(tensors["i.weight"]),
            n_factors=sizes if isinstance(sizes, int) else (sizes[0], sizes[1]),
            hidden=config["hidden"],
            y_range=None if y_range is None else (y_range[0], y_range[1]),
            learn_padding=config["learn_padding"],
            user_features=_blank(tensors.get("user_side.table")),
            item_features=_blank(tensors.get("item_side.table")),
            feature_size=config["feature_size"],
            times=None if times is None else (times[0], times[1]),
            rng=0,
        )
        net.load_state_dict(tensors)
        return net

    def _when(self, times: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        """Standardised time (B, 1), zeros where it is not known."""
        if times is None:
            return like.new_zeros(len(like), 1)
        mean, spread = self.times  # type: ignore[misc]
        return ((times.double() - mean) / spread).to(like.dtype).unsqueeze(1)


class SideFeatures(nn.Module):
    """Rows -> the sum of their features' vectors: a look-up is a product with a one-hot row, this one with several.

    Args:
        table: (R, F) float32, the features of each row.
        size: of each feature's vector.
        generator: draws the vectors.
    """

    table: torch.Tensor

    def __init__(self, table: torch.Tensor, size: int, generator: torch.Generator):
        super().__init__()
        self.register_buffer("table", table)
        self.weight = nn.Parameter(INITS["library"](torch.empty(table.shape[1], size), generator))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(B,) -> (B, size)."""
        return self.table[rows] @ self.weight


def side_features(features: Features | None, size: int, generator: torch.Generator) -> SideFeatures | None:
    """A module for side features, or None where there are none."""
    return None if features is None else SideFeatures(torch.from_numpy(features.dense()), size, generator)


def _blank(table: torch.Tensor | None) -> Features | None:
    """Features of a table's shape without entries: room for the real ones."""
    if table is None:
        return None
    rows, n = table.shape
    empty = np.zeros(0, np.int32)
    return Features(np.zeros(rows + 1, np.int64), empty, empty.astype(np.float32), ("",) * n, (("", 0, n),))


def embedding(n: int, size: int, init: str, generator: torch.Generator, *, sparse: bool = False) -> nn.Embedding:
    """``n`` vectors of ``size`` numbers, drawn by one of ``INITS``."""
    check_positive(rows=n, n_factors=size)
    check_memory(4 * n * size, f"{size:,} factors of {n:,} rows", "choose a smaller n_factors.")
    if init not in INITS:
        raise SettingError(f"init is {init!r}.", hint=did_you_mean(init, INITS))
    with torch.no_grad():
        weight = INITS[init](torch.empty(n, size), generator)
    return nn.Embedding(n, size, _weight=weight, _freeze=False, sparse=sparse)


def linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer drawn by torch's default rule, from ``generator``."""
    check_memory(4 * n_in * n_out, f"{n_in:,} x {n_out:,} weights of a layer", "choose smaller layers.")
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out)  # type: ignore[assignment]
    bound = 1 / math.sqrt(n_in)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def _each(value: float | Sequence[float], n: int, name: str) -> list[float]:
    """One number for all, or one each."""
    values = [float(value)] * n if isinstance(value, (int, float)) else [float(v) for v in value]
    if len(values) != n or not all(0 <= v < 1 for v in values):
        raise SettingError(f"{name} is {value!r}.", hint=f"one number in [0, 1), or {n} of them.")
    check_not_negative(**{name: min(values, default=0.0)})
    return values
