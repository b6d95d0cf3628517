"""Alternating least squares by shards, of ratings and of clicks: the half-steps of the solvers, a task for each shard.

What is summed over all rows is summed here, as one machine sums it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError
from ..factors import Factors
from ..objective import Confidence, Objective, Ridge, Side
from ..solvers._clicks import weights_of
from ..solvers._passes import run
from ..solvers._units import Units
from ..solvers.als import Alternation, ByRow, by_row, solve
from ..solvers.implicit_als import REG, ByClicks, ClickAlternation, by_clicks, root_share
from ..solvers.implicit_als import half as half_of_clicks
from .job import Job, refuse
from .parts import Dealt, merged, repeated
from .shards import Shards


class Shard(NamedTuple):
    """A shard's ratings by row, how many each row has (R,), and how many are of a pair that came before."""

    ratings: ByRow | ByClicks
    counts: np.ndarray
    repeated: int


# Ratings -----------------------------------------------------------------------------------------------------------


def gather(n_rows: int, n_others: int, side: Side, n_factors: int, units: Units, *pieces: Dealt) -> Shard:
    """A shard of ratings, of what each part holds of it."""
    ratings = by_row(*merged(pieces), units, n_rows, n_factors)
    return Shard(ratings, np.diff(ratings.starts), repeated(pieces, n_others))


def half(shard: Shard, other: tuple[np.ndarray, np.ndarray], once: np.ndarray, each: np.ndarray) -> Any:
    """A shard's rows, biases and squared errors, given the other side's (rows, biases)."""
    assert isinstance(shard.ratings, ByRow)
    return solve(shard.ratings, *other, once, each)


class ShardedAls(Alternation):
    """:class:`~dotbias.solvers.als.Alternation` whose ratings are shards."""

    def __init__(
        self, shards: Shards, n_factors: int, reg: Ridge, key: int, *, y_range: tuple[float, float] | None = None
    ):
        self.shards, self._half = shards, shards.task(half)
        self.measure(shards.train, shards.values, n_factors, reg, key, y_range)
        self.by_user, self.by_item = shards.sides(gather, n_factors, self.units)
        self.begin(shards.counts(self.by_user))
        shards.moved = 0  # what was dealt is of no pass

    def solve(self, own: Any, other: np.ndarray, other_bias: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One side's rows, biases and squared errors, by shards."""
        given = self.shards.put((other, other_bias))
        found = self.shards.get([self._half.remote(shard, given, self.once, self.each) for shard in own])
        rows, bias, squares = (self.shards.whole(column) for column in zip(*found, strict=True))
        return rows, bias, squares

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same: not the shards."""
        return described(super().describe(), self.shards)


def fit_als(
    job: Job,
    *,
    n_factors: int,
    n_epochs: int,
    reg: float,
    reg_once: float,
    reg_bias: float,
    reg_bias_once: float,
    y_range: tuple[float, float] | None,
    keep_best: bool,
) -> Factors:
    """:func:`dotbias.solvers.als` by shards."""
    refuse(keep_best=keep_best)
    if not reg + reg_once:
        raise SettingError("reg and reg_once are both 0: rows with few ratings have no answer.", hint="try reg=0.05.")
    ridge = Ridge(reg_bias_once, reg_once, reg_bias, reg)
    fit = ShardedAls(job.begin(), n_factors, ridge, job.key, y_range=y_range)
    return run(fit, n_epochs, valid=None, keep_best=False, progress=job.tell, path=job.path, every=job.every)


# Clicks ------------------------------------------------------------------------------------------------------------


def gather_clicks(
    n_rows: int, n_others: int, side: Side, objective: Objective, power: float | None, *pieces: Dealt
) -> Shard:
    """A shard of clicks, of what each part holds of it; ``power`` of their counts, None: each weighs 1."""
    rows, others, counts = merged(pieces)
    weights = np.empty(0, np.float32) if power is None else weighed(counts, power)
    ratings = by_clicks(rows, others, weights, n_rows, objective, side)
    return Shard(ratings, np.diff(ratings.starts), repeated(pieces, n_others))


def weighed(counts: np.ndarray, power: float) -> np.ndarray:
    """Weights of clicks with these counts (n,)."""
    return counts if power == 1 else counts ** np.float32(power)


def half_clicks(
    shard: Shard, X: np.ndarray, given: tuple[np.ndarray, np.ndarray], n_steps: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """A shard's rows and costs, from its rows X of before, and the other side's (rows, ``base``)."""
    assert isinstance(shard.ratings, ByClicks)
    X = X.copy()
    costs = half_of_clicks(shard.ratings, X, *given, np.empty((0, X.shape[1]), np.float32), n_steps, tolerance)
    return X, costs


class ShardedClicks(ClickAlternation):
    """:class:`~dotbias.solvers.implicit_als.ClickAlternation` whose clicks are shards, without features."""

    def __init__(self, shards: Shards, n_factors: int, confidence: Confidence, reg: float, key: int, *, n_steps: int):
        self.shards, self._half, self.columns, self.said = shards, shards.task(half_clicks), {}, {}
        weights = weights_of(shards.values, confidence.count_power)
        self.weigh(shards.train, shards.n, weights, n_factors, confidence, reg, key, n_steps)
        power = confidence.count_power if len(weights) else None
        self.by_user, self.by_item = shards.sides(gather_clicks, self.objective, power)
        self.begin(*(shards.counts(side) for side in (self.by_user, self.by_item)))
        shards.moved = 0

    def half(
        self,
        own: Any,
        X: np.ndarray,
        other: np.ndarray,
        base: np.ndarray,
        prior: np.ndarray,
        n_steps: int,
        tolerance: float,
    ) -> np.ndarray:
        """One side's rows, in place, and their costs, by shards."""
        S, given = len(own), self.shards.put((other, base))
        before = [self.shards.put(np.ascontiguousarray(X[s::S])) for s in range(S)]
        tasks = zip(own, before, strict=True)
        found = self.shards.get([self._half.remote(shard, x, given, n_steps, tolerance) for shard, x in tasks])
        rows, costs = (self.shards.whole(column) for column in zip(*found, strict=True))
        X[:] = rows
        return costs

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same: not the shards."""
        return described(super().describe(), self.shards)


def fit_implicit_als(
    job: Job,
    *,
    n_factors: int,
    n_epochs: int,
    unseen: float | None,
    reg: float | None,
    reg_power: float,
    count_power: float,
    cg_steps: int,
    item_features: Any,
    user_features: Any,
    keep_best: bool,
) -> Factors:
    """:func:`dotbias.solvers.implicit_als` by shards."""
    refuse(keep_best=keep_best, item_features=item_features, user_features=user_features)
    shards = job.begin()
    share = root_share(shards.n, shards.train.n_users, shards.train.n_items)
    confidence = Confidence(unseen or share, count_power, reg_power)
    reg = reg or REG / math.sqrt(shards.n)
    fit = ShardedClicks(shards, n_factors, confidence, reg, job.key, n_steps=cg_steps)
    return run(fit, n_epochs, valid=None, keep_best=False, progress=job.tell, path=job.path, every=job.every)


def described(one: dict[str, Any], shards: Shards) -> dict[str, Any]:
    """A fit's description, with the parts in the place of the ratings."""
    return {**one, "solver": f"{one['solver']} by shards", "train": shards.content, "ids": list(shards.train.tables)}
