"""Stochastic gradient descent by rotating blocks (DSGD: Gemulla et al. 2011, algorithm 2).

Ratings lie in the grid of B × B blocks that ``solvers.sgd`` lays out for any number of threads. A shard holds the
blocks of some users; in a stratum it meets one block of items for each of its blocks of users, and hands them on. The
blocks of a stratum share no row, so who learns from which block, and when, changes no bit.

    pass:  for each stratum s:  shard g, users' blocks a in g:  learn from (a, (a + s) mod B)

A pass is one graph of tasks; only at its end are the rows put together here. So what crosses the object store in a
pass is each side's rows, once for each stratum.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..factors import Factors
from ..objective import Link, Ridge
from ..schedules import Schedule, cosine
from ..solvers import _sgd_blocks as blocks
from ..solvers import _sgd_kernels as kernels
from ..solvers._passes import run
from ..solvers._units import Units
from ..solvers.sgd import Descent, kernel_link, padded
from .alternating import described
from .job import Job, refuse
from .parts import Dealt, numbered, repeated
from .shards import Shards, refuse_repeated


class GridSide(NamedTuple):
    """Where a side's rows lie in the grid.

    Attributes:
        at: (R,) position of each row.
        block: (R,) its block.
        first: (B + 1,) the first position of each block.
    """

    at: np.ndarray
    block: np.ndarray
    first: np.ndarray


class BlockShard(NamedTuple):
    """A shard: the blocks of some users, a = first .. last - 1.

    Attributes:
        first, last: of the users' blocks.
        users: (n,) positions among the shard's users.
        items: (n,) positions among the block's items.
        values: (n,) in the solver's units.
        starts: (B² + 1,) where each block of the grid begins; those of other shards are empty.
        repeated: how many ratings are of a pair that came before.
    """

    first: int
    last: int
    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    repeated: int


# Tasks -------------------------------------------------------------------------------------------------------------


def counted(path: Any, digest: str, users: Any, items: Any) -> tuple[np.ndarray, np.ndarray]:
    """How many of a part's ratings each user (U,) and each item (I,) has."""
    u, i, _ = numbered(path, digest, users, items)
    return np.bincount(u, minlength=len(users)), np.bincount(i, minlength=len(items))


def dealt(path: Any, digest: str, users: Any, items: Any, block: np.ndarray, cuts: np.ndarray) -> Any:
    """A part's ratings by shard: of shard s, the users' blocks from cuts[s] on."""
    u, i, values = numbered(path, digest, users, items)
    of = np.searchsorted(cuts, block[u], side="right") - 1
    shards = [Dealt(u[at], i[at], values[at]) for at in (np.flatnonzero(of == s) for s in range(len(cuts) - 1))]
    return shards if len(shards) > 1 else shards[0]  # Ray takes a list of one for one result


def gather(
    first: int, last: int, places: tuple[GridSide, GridSide], units: Units, order: int, *pieces: Dealt
) -> BlockShard:
    """A shard, of what each part holds of it: each block in random order, as ``_sgd_blocks.lay_out`` has it."""
    (user, item), B = places, len(places[0].first) - 1
    rows, others, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    a, b = user.block[rows], item.block[others]
    block = a.astype(np.int64) * B + b
    by_block = np.argsort(block, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=B * B))])
    u = (user.at[rows] - user.first[first]).astype(np.int32)[by_block]
    i = (item.at[others] - item.first[b]).astype(np.int32)[by_block]
    v = ((values.astype(np.float64) - units.mean) / units.unit).astype(np.float32)[by_block]
    kernels.shuffle.whole(first * B, last * B, starts, order, u, i, v)
    return BlockShard(first, last, u, i, v, starts, repeated(pieces, len(item.at)))


def learn(shard: BlockShard, shift: int, lr: Any, link: tuple[Any, ...], users: Any, *items: Any) -> list[Any]:
    """One stratum of a shard: its users' (factors, biases) and each block's of items, learned; [users, *items, Σ e²].

    Args:
        shard: the ratings.
        shift: of the stratum.
        lr: its rate.
        link: as the kernel has it.
        users: (factors, biases and decays) of the shard's users.
        items: of block (a + shift) mod B, for each a of the shard in turn.
    """
    B = np.int64(np.sqrt(len(shard.starts) - 1))
    users, items = tuple(x.copy() for x in users), tuple(tuple(x.copy() for x in block) for block in items)
    squares = np.empty(len(items))
    columns = shard.users, shard.items, shard.values
    for k, (Q, item) in enumerate(items):
        a = shard.first + k
        at = a * B + (a + shift) % B
        begin, end = shard.starts[at], shard.starts[at + 1]
        given = *columns, lr, *link, users[0], Q, users[1], item
        squares[k] = kernels.learn_block(begin, end, *given)  # pyright: ignore[reportCallIssue] (compiled)
    return [users, *items, squares]


# The fit -----------------------------------------------------------------------------------------------------------


class ShardedDescent(Descent):
    """:class:`~dotbias.solvers.sgd.Descent` whose blocks are dealt to shards."""

    def __init__(
        self,
        shards: Shards,
        n_factors: int,
        reg: Ridge,
        schedule: Schedule,
        n_epochs: int,
        key: int,
        *,
        link: Link,
        y_range: tuple[float, float] | None,
    ):
        self.shards = shards
        self.measure(shards.train, shards.values, n_factors, reg, schedule, n_epochs, key, link, y_range)
        ids = [shards.put(x.values) for x in (shards.train.user_ids, shards.train.item_ids)]
        parts = list(zip(shards.paths, shards.digests, strict=True))
        count = shards.task(counted)
        found = shards.get([count.remote(*part, *ids) for part in parts])
        counts = [np.sum(column, 0) for column in zip(*found, strict=True)]
        grid = blocks.grid(self.n, counts[0], counts[1], padded(n_factors), key)
        self.B, sides = grid.side, (grid.users, grid.items)
        self.places = tuple(GridSide(at, block, _firsts(block, grid.side)) for at, block in sides)
        self.begin(*((n, place.at) for n, place in zip(counts, self.places, strict=True)))
        S = min(shards.number, self.B)
        cuts = np.array([self.B * s // S for s in range(S + 1)])
        self._deal(parts, ids, cuts, grid.order)
        shards.moved = 0  # what was dealt is of no pass

    def _deal(self, parts: list[Any], ids: list[Any], cuts: np.ndarray, order: int) -> None:
        S, put = len(cuts) - 1, self.shards.put
        deal, together = self.shards.task(dealt, num_returns=S), self.shards.task(gather)
        block, places = put(self.places[0].block), put(self.places)
        pieces = [deal.remote(*part, *ids, block, cuts) for part in parts]
        of_shard = list(zip(*([p] if S == 1 else p for p in pieces), strict=True))
        self.groups = list(pairwise(cuts.tolist()))
        self.dealt = [
            together.remote(a, z, places, self.units, order, *of_shard[s]) for s, (a, z) in enumerate(self.groups)
        ]
        facts = self.shards.task(lambda shard: shard.repeated)
        refuse_repeated(sum(self.shards.get([facts.remote(shard) for shard in self.dealt])), "ratings")

    @property
    def side(self) -> int:
        """B, blocks a side."""
        return self.B

    def learn(self, strata: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Learn from all blocks, by shards; each block's squared errors (B²,)."""
        B, put, link = self.B, self.shards.put, kernel_link(self.objective, self.units)
        first, ends = self.places[0].first, pairwise(self.places[1].first)
        spans = [slice(first[a], first[z]) for a, z in self.groups]
        users = [put((self.P[at], self.user[at])) for at in spans]
        items = [put((self.Q[a:z], self.item[a:z])) for a, z in ends]
        tasks = [self.shards.task(learn, num_returns=2 + z - a) for a, z in self.groups]
        squares: list[list[Any]] = []
        for shift, lr in zip(strata.tolist(), rates, strict=True):
            squares.append([])
            for g, (a, z) in enumerate(self.groups):
                met = [(k + shift) % B for k in range(a, z)]
                users[g], *learned, errors = tasks[g].remote(
                    self.dealt[g], shift, lr, link, users[g], *(items[b] for b in met)
                )
                for b, block in zip(met, learned, strict=True):
                    items[b] = block
                squares[-1].append(errors)
        self._put_together(users, items)
        self.shards.moved += 2 * (B - 1) * sum(x.nbytes for x in self.state().values())  # between the strata
        return self._in_grid(strata, squares)

    def _put_together(self, users: list[Any], items: list[Any]) -> None:
        for rows, of_side in ((users, (self.P, self.user)), (items, (self.Q, self.item))):
            parts = zip(*self.shards.get(rows), strict=True)
            for whole, part in zip(of_side, parts, strict=True):
                np.concatenate(part, out=whole)

    def _in_grid(self, strata: np.ndarray, squares: list[list[Any]]) -> np.ndarray:
        """Each block's squared errors (B²,) at its place."""
        out, blocks = np.zeros((self.B, self.B)), np.arange(self.B)
        for shift, found in zip(strata.tolist(), squares, strict=True):
            out[blocks, (blocks + shift) % self.B] = np.concatenate(self.shards.get(found))
        return out.ravel()

    def describe(self) -> dict[str, Any]:
        """What makes two fits the same: not the shards."""
        return described(super().describe(), self.shards)


def _firsts(block: np.ndarray, B: int) -> np.ndarray:
    """The first position of each block (B + 1,): blocks lie in order."""
    return np.concatenate([[0], np.cumsum(np.bincount(block, minlength=B))])


def fit_sgd(
    job: Job,
    *,
    n_factors: int,
    n_epochs: int,
    lr: float | Schedule,
    reg: float,
    reg_once: float,
    reg_bias: float,
    reg_bias_once: float,
    link: Link,
    y_range: tuple[float, float] | None,
    keep_best: bool,
) -> Factors:
    """:func:`dotbias.solvers.sgd` by rotating blocks."""
    refuse(keep_best=keep_best)
    schedule, ridge = lr if callable(lr) else cosine(lr), Ridge(reg_bias_once, reg_once, reg_bias, reg)
    shards = job.begin()
    fit = ShardedDescent(shards, n_factors, ridge, schedule, n_epochs, job.key, link=link, y_range=y_range)
    return run(fit, n_epochs, valid=None, keep_best=False, progress=job.tell, path=job.path, every=job.every)
