"""Alternating least squares by shards: the half-steps of ``solvers.als``, a task for each shard.

What the shards give is put together in the order of rows, and what is summed is summed as one machine sums it.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, DivergedError
from ..factors import Factors
from ..ids import Ids
from ..objective import Objective, Ridge
from ..ratings import Ratings
from ..rng import stream
from ..solvers._units import Units, check_size, clip_range, units_of
from ..solvers.als import ByRow, by_row, first_rows, solve
from .parts import Dealt, check_alike, deal, repeated, scan

RETRIES = 5  # of a task whose worker died


class Shard(NamedTuple):
    """A shard's ratings.

    Attributes:
        ratings: by row.
        repeated: how many are of a pair that came before.
    """

    ratings: ByRow
    repeated: int


def gather(n_rows: int, n_others: int, n_factors: int, units: Units, *pieces: Dealt) -> Shard:
    """A shard, of what each part holds of it."""
    rows, others, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    for column in (rows, others, values):
        column.flags.writeable = False  # kernels are compiled for these
    return Shard(by_row(rows, others, values, units, n_rows, n_factors), repeated(pieces, n_others))


def half(shard: Shard, other: tuple[np.ndarray, np.ndarray], once: np.ndarray, each: np.ndarray) -> Any:
    """A shard's rows, biases and squared errors, given the other side's (rows, biases)."""
    own = shard.ratings
    return solve(own, *other, once, each)


class ShardedAls:
    """A fit under way on a cluster; see ``solvers._passes.Underway`` and ``solvers.als.Alternation``.

    Attributes:
        train: the id tables, without ratings.
        n: ratings.
        moved: bytes that went through the object store in the last pass.
    """

    def __init__(
        self,
        ray: Any,
        paths: list[Path],
        shards: int,
        n_factors: int,
        reg: Ridge,
        key: int,
        *,
        y_range: tuple[float, float] | None = None,
    ):
        self.ray, self.shards, self.n_factors, self.reg, self.key = ray, shards, n_factors, reg, key
        self.moved, self._half = 0, self._task(half)
        values = self._number(paths)
        self.shards = min(shards, self.train.n_users, self.train.n_items)  # none without a row
        self.units, self.n = units_of(values), len(values)
        ridge = self.units.ridge(reg, "identity")
        self.objective = Objective("squared", "identity", y_range or clip_range(values), ridge, ridge)
        del values
        check_size(self.train, n_factors)
        self.once = reg.diagonal(n_factors, 0)
        self.each = reg.diagonal(n_factors, 1) - self.once
        self._deal(paths)
        self._begin()

    def _task(self, function: Any, **options: Any) -> Any:
        """A function as a task: made again if its worker dies; its own errors are raised as they are."""
        return self.ray.remote(max_retries=RETRIES, num_cpus=1, **options)(function)

    def _get(self, refs: Any) -> Any:
        """Results; a task's error as the error that it raised."""
        try:
            return self.ray.get(refs)
        except self.ray.exceptions.RayTaskError as e:
            raise e.cause from e

    def _number(self, paths: list[Path]) -> Ratings:
        """Number the ids, parts in order; one user's ratings of one item that hold the values, for the units."""
        task = self._task(scan)
        facts = self._get([task.remote(path) for path in paths])
        check_alike(paths, facts)
        users, items = Ids(facts[0].users), Ids(facts[0].items)
        for part in facts[1:]:
            users, items = users.extend(part.users), items.extend(part.items)
        nothing = np.empty(0, np.int32)
        self.train = Ratings(nothing, nothing, nothing.astype(np.float32), None, users, items)
        self.content = hashlib.sha256("".join(part.digest for part in facts).encode()).hexdigest()
        values = np.concatenate([part.values for part in facts])
        same = np.zeros(len(values), np.int32)
        return Ratings(same, same, values, None, Ids([0]), Ids([0]))

    def _deal(self, paths: list[Path]) -> None:
        """Each side's shards, in the object store."""
        users, items = (self.ray.put(ids.values) for ids in (self.train.user_ids, self.train.item_ids))
        task, together = self._task(deal, num_returns=2 * self.shards), self._task(gather)
        pieces = [task.remote(path, users, items, self.shards) for path in paths]
        U, I = self.train.n_users, self.train.n_items
        sides = ((U, I, 0), (I, U, self.shards))
        self.by_user, self.by_item = (
            [
                together.remote(len(range(s, n, self.shards)), n_others, self.n_factors, self.units, *of)
                for s, of in enumerate(list(zip(*pieces, strict=True))[at : at + self.shards])
            ]
            for n, n_others, at in sides
        )

    def _begin(self) -> None:
        """First rows, as one machine draws them."""
        facts = self._task(lambda shard: (np.diff(shard.ratings.starts), shard.repeated))
        found = self._get([facts.remote(shard) for shard in self.by_user])
        if twice := sum(n for _, n in found):
            what = f"{twice:,} ratings are of a pair that came before."
            raise DataError(what, hint="keep one rating of each pair when the parts are written.")
        n = self._whole([counts for counts, _ in found], self.train.n_users)
        self.users = first_rows(n, self.n_factors, stream(self.key, 0))
        self.user_bias = np.zeros(self.train.n_users, np.float32)
        self.items = np.zeros((self.train.n_items, self.users.shape[1]), np.float32)
        self.item_bias = np.zeros(self.train.n_items, np.float32)

    def _whole(self, shards: list[np.ndarray], n: int) -> np.ndarray:
        """What shards hold of n rows, in the order of rows."""
        out = np.empty((n, *shards[0].shape[1:]), shards[0].dtype)
        for s, part in enumerate(shards):
            out[s :: self.shards] = part
        return out

    def step(self, number: int) -> float:
        """Items given users, then users given items; RMSE on train."""
        self.moved = 0
        self.items, self.item_bias, _ = self._solve(self.by_item, self.users, self.user_bias)
        self.users, self.user_bias, squares = self._solve(self.by_user, self.items, self.item_bias)
        total = float(squares.sum())
        if not math.isfinite(total):
            raise DivergedError(f"the fit left the finite numbers in pass {number + 1}.", hint="raise reg=.")
        return self.units.spread * math.sqrt(max(total, 0.0) / self.n)

    def _solve(self, shards: list[Any], other: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """One side's rows, biases and squared errors, by shards."""
        given = self.ray.put((other, bias))
        found = self._get([self._half.remote(shard, given, self.once, self.each) for shard in shards])
        columns = list(zip(*found, strict=True))
        n = sum(len(part) for part in columns[1])
        self.moved += other.nbytes + bias.nbytes + sum(part.nbytes for column in columns for part in column)
        return [self._whole(list(column), n) for column in columns]

    def factors(self) -> Factors:
        """What is fitted so far, on the ratings' scale."""
        k, (mean, spread) = slice(1, 1 + self.n_factors), self.units
        biases, root = (self.user_bias * spread, self.item_bias * spread), math.sqrt(spread)
        return Factors(
            mean, *biases, self.users[:, k] * root, self.items[:, k] * root, self.objective, self.train.tables
        )

    def state(self) -> dict[str, np.ndarray]:
        """The arrays that sweeps change."""
        return {name: getattr(self, name) for name in ("users", "items", "user_bias", "item_bias")}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Undo :meth:`state`."""
        for name, array in state.items():
            setattr(self, name, array)

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same: not the shards."""
        fit = {"solver": "als by shards", "n_factors": self.n_factors, "reg": list(self.reg), "key": self.key}
        model = {"y_range": str(self.objective.y_range), "units": list(self.units)}
        return {**fit, **model, "parts": self.content, "ids": list(self.train.tables)}
