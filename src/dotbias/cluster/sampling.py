"""Gibbs sampling by shards, of biases and factors of ids: the draws of ``solvers.gibbs``, a task for each shard.

A sweep of the chain asks the shards of users for the sums of their residuals; what all rows share is drawn here, from
sums over rows in their order; then shards draw their users, and shards of items their items. A row's draw is keyed by
its number among all rows. Nothing of a rating is kept between tasks: a shard of items makes its residuals anew, by the
same steps in the same order by which the shards of users changed theirs, from the users before and after the draw.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError
from ..posterior import Posterior
from ..ratings import Ratings
from ..rng import stream
from ..solvers.gibbs import chain as chains
from ..solvers.gibbs import checkpoint as checkpoints
from ..solvers.gibbs import fit as fits
from ..solvers.gibbs import kernels
from ..solvers.gibbs.chain import Chain, HyperPrior, SideWeights
from ..solvers.gibbs.prepare import Prepared, prepare
from ..solvers.gibbs.problem import Problem, ProblemSide, elsewhere, rows_of
from ..solvers.gibbs.result import posterior, scored
from ..solvers.gibbs.run import GibbsRun
from ..solvers.gibbs.settings import GibbsSettings, check, check_samples
from ..solvers.gibbs.widths import Parts
from ..solvers.slices import at_random, drawn
from ..stopping import stoppable
from .job import Job, refuse
from .parts import Dealt, merged, numbered, pieces_of, repeated
from .shards import Shards

Effects = tuple[np.ndarray, np.ndarray]  # a side's biases (R,) and factors (R, K)


class SampledShard(NamedTuple):
    """A shard's rows, their standardised values (n,), and how often a pair came before; ``counts`` (R,) of ratings."""

    side: ProblemSide
    values: np.ndarray
    repeated: int

    @property
    def counts(self) -> np.ndarray:
        """How many ratings each row has (R,)."""
        return np.diff(self.side.starts)


class Slice(NamedTuple):
    """What of a part is held out: all ratings of some users, and of the others those at these positions."""

    users: np.ndarray
    left: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ratings (n,) at random and of new users, by their user rows: masks."""
        new = np.isin(rows, self.users)
        random = np.zeros(len(rows), bool)
        random[np.flatnonzero(~new)[self.left]] = True
        return random, new


class RowPrior(NamedTuple):
    """A side's priors, as ``SideWeights`` has them."""

    bias_mean: np.ndarray
    bias_precision: np.ndarray
    factor_mean: np.ndarray
    factor_precision: np.ndarray


class Shared(NamedTuple):
    """What all rows of a side share in a sweep.

    Attributes:
        mean: of the ratings, before the sweep.
        step: of the mean.
        precision: α.
        n_factors: K.
        keys: of the side's draws.
        shards: how many there are.
    """

    mean: float
    step: np.float32
    precision: float
    n_factors: int
    keys: np.ndarray
    shards: int


# Tasks -------------------------------------------------------------------------------------------------------------


def gather(n_rows: int, n_others: int, side: str, centre: float, spread: float, *pieces: Dealt) -> SampledShard:
    """A shard, of what each part holds of it."""
    rows, others, values = merged(pieces)
    if side == "item":  # an item's ratings by user, as one machine has them
        by_user = np.argsort(others, kind="stable")
        rows, others, values = rows[by_user], others[by_user], values[by_user]
    of = rows_of(rows, others, n_rows)
    standard = ((values - centre) / spread)[of.order].astype(np.float32)
    return SampledShard(of, standard, repeated(pieces, n_others))


def deal_rest(path: Any, digest: str, users: Any, items: Any, shards: int, out: Slice) -> list[Dealt]:
    """A part's ratings but for the slice, dealt."""
    u, i, values = numbered(path, digest, users, items)
    random, new = out.of(u)
    keep = ~(random | new)
    return pieces_of(u[keep], i[keep], values[keep], shards)


def held_out(path: Any, digest: str, users: Any, items: Any, out: Slice) -> list[tuple[np.ndarray, ...]]:
    """The slice of a part: users, items and values of those at random, and of new users."""
    columns = numbered(path, digest, users, items)
    return [tuple(c[mask] for c in columns) for mask in out.of(columns[0])]


def left_in(path: Any, digest: str, users: Any, items: Any, new: np.ndarray) -> int:
    """How many ratings of a part are of other users than these."""
    u, _, _ = numbered(path, digest, users, items)
    return int((~np.isin(u, new)).sum())


def residuals(shard: SampledShard, own: Effects, other: Effects, mean: float, *, of_items: bool) -> np.ndarray:
    """What the chain leaves unexplained of a shard's ratings (n,), in its order."""
    s, e = shard.side, np.empty(len(shard.values), np.float32)
    rows = np.repeat(np.arange(s.n_rows, dtype=np.int32), np.diff(s.starts))
    columns, effects = ((s.near, rows), (other, own)) if of_items else ((rows, s.near), (own, other))
    nothing = np.zeros(0, np.float32), np.zeros((0, own[1].shape[1]), np.float32)
    bias, factors = zip(*effects, nothing, strict=True)
    none = np.zeros(0, np.int32)
    kernels.residuals.whole(0, len(e), shard.values, *columns, none, np.float32(mean), bias, factors, e)
    return e


def sums_of(shard: SampledShard, own: Effects, other: Effects, mean: float) -> np.ndarray:
    """Each user's Σ e and Σ e² (R, 2)."""
    return chains.row_sums(shard.side, residuals(shard, own, other, mean, of_items=False))


def draw_users(shard: SampledShard, own: Effects, other: Effects, prior: RowPrior, now: Shared, at: int) -> Effects:
    """A shard's users, drawn."""
    e = residuals(shard, own, other, now.mean, of_items=False) - now.step
    return _drawn(shard, own, other, prior, e, now, at)


def draw_items(
    shard: SampledShard, own: Effects, before: Effects, after: Effects, prior: RowPrior, now: Shared, at: int
) -> Effects:
    """A shard's items, drawn, given the users before and after their own draw."""
    e = residuals(shard, own, before, now.mean, of_items=True) - now.step
    s, K = shard.side, own[1].shape[1]
    e -= (after[0].astype(np.float64) - before[0]).astype(np.float32)[s.near]
    moved, G, b = after[1] - before[1], np.empty((0, 64), np.float32), np.empty((0, 8), np.float32)
    for k in range(0, K, 8):
        block = np.ascontiguousarray(own[1][:, k : k + 8])
        kernels.statistics.whole(0, s.n_rows, s.starts, s.near, s.far, moved, moved[:0], e, k, block, -1, G, b)
    return _drawn(shard, own, after, prior, e, now, at)


def _drawn(
    shard: SampledShard, own: Effects, other: Effects, prior: RowPrior, e: np.ndarray, now: Shared, at: int
) -> Effects:
    none = np.zeros((0, own[1].shape[1]), np.float32)
    w = SideWeights(own[0].copy(), own[1].copy(), none[:, 0], none, *prior)
    precision, stride = now.precision, now.shards
    chains.draw_rows(shard.side, w, other[1], none, e, precision, now.n_factors, now.keys, at=at, stride=stride)
    return w.bias, w.factors


def scores_of(shard: SampledShard, bias: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Each item's Σ bias + user · item over its raters (R,)."""
    return scored(shard.side, bias, users, items)


# Sweeps ------------------------------------------------------------------------------------------------------------


class ShardedChain:
    """Makes the sweeps of one problem.

    Args:
        shards: the cluster.
        by_user, by_item: its ratings.
    """

    def __init__(self, shards: Shards, by_user: list[Any], by_item: list[Any]):
        self.shards, self.by_user, self.by_item = shards, by_user, by_item
        tasks = sums_of, draw_users, draw_items, scores_of
        self._sums, self._users, self._items, self._scores = (shards.task(task) for task in tasks)
        counts = shards.counts(by_user), shards.counts(by_item)
        self.problem = elsewhere(counts, self.summed)

    def sweep(self, c: Chain, *, key: int, noise: float | None, prior: HyperPrior) -> None:
        """:func:`dotbias.solvers.gibbs.chain.sweep`."""
        rng, (user, item), mean = stream(key, c.sweep), c.sides, c.mean
        before, others = (self.shards.put((w.bias, w.factors)) for w in c.sides)
        users = self._cut(user)
        sums = [self._sums.remote(x, own, others, mean) for x, own in zip(self.by_user, users, strict=True)]
        step = chains.draw_shared(
            self.problem, c, self.shards.whole(self.shards.get(sums)), rng, noise=noise, prior=prior
        )
        now = Shared(mean, step, c.precision, c.n_factors, chains.keys_of(c, rng), len(users))
        self._draw(user, self._users, self.by_user, users, others, now)
        after, now = self.shards.put((user.bias, user.factors)), now._replace(keys=chains.keys_of(c, rng))
        self._draw(item, self._items, self.by_item, self._cut(item), before, after, now)
        c.sweep += 1

    def _cut(self, w: SideWeights) -> list[Any]:
        """A side's own biases and factors, by shard, in the object store."""
        S = len(self.by_user)
        return [
            self.shards.put((np.ascontiguousarray(w.bias[s::S]), np.ascontiguousarray(w.factors[s::S])))
            for s in range(S)
        ]

    def _draw(self, w: SideWeights, task: Any, shards: list[Any], cut: list[Any], *given: Any) -> None:
        """Draw a side, by shards: ``given`` the other side, and last what the rows share."""
        prior, tasks = RowPrior(w.bias_mean, w.bias_precision, w.factor_mean, w.factor_precision), []
        for s, (shard, own) in enumerate(zip(shards, cut, strict=True)):
            tasks.append(task.remote(shard, own, *given[:-1], prior, given[-1], s))
        biases, factors = zip(*self.shards.get(tasks), strict=True)
        w.bias, w.factors = self.shards.whole(biases), self.shards.whole(factors)

    def summed(self, bias: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Σ bias + user · item over each item's raters (I,)."""
        S, put = len(self.by_item), self.shards.put
        given = put(np.ascontiguousarray(bias)), put(np.ascontiguousarray(users))
        cut = (np.ascontiguousarray(items[s::S]) for s in range(S))
        tasks = [self._scores.remote(x, *given, own) for x, own in zip(self.by_item, cut, strict=True)]
        return self.shards.whole(self.shards.get(tasks))


def draw(sweeps: list[ShardedChain], p: Problem, c: Chain, *, learn_steps: bool, **how: Any) -> None:
    """A sweep of the problem that one of these is of; of others, once the last is swept, nothing is kept."""
    del learn_steps  # of cutpoints, which are none
    next(s for s in sweeps if s.problem is p).sweep(c, **how)


# The fit -----------------------------------------------------------------------------------------------------------


def fit_gibbs(job: Job, *, histories: Any, chains: int, noise: Any, **more: Any) -> Posterior:
    """:func:`dotbias.solvers.gibbs` by shards: of ids, one chain."""
    refuse(
        histories=histories, **{name: more[name] for name in ("sessions", "ordinal", "item_features", "user_features")}
    )
    if chains > 1 or noise == "valid":
        what, hint = (f"chains is {chains}", "chains=1") if chains > 1 else ("noise is 'valid'", "noise='auto'")
        raise SettingError(f"{what}, but a fit by shards makes one chain, without a valid.", hint=f"{hint}.")
    more = {**more, "item_features": (), "user_features": ()}
    settings = GibbsSettings(histories=(), chains=1, noise=noise, **more)
    shards = job.begin()
    check(settings, shards.values, None)
    check_samples(settings, shards.train)
    train = replace(shards.train, y_range=shards.values.scale())
    prepared = replace(prepare(settings, shards.values), train=train)
    run = _begun(prepared, shards, job.key)
    about = {"solver": "gibbs by shards", **settings._asdict(), "train": shards.content, "key": job.key}
    save = None
    if job.path is not None:
        save = partial(checkpoints.save, job.path, about)
        if job.path.exists():
            checkpoints.load(job.path, about, run)
    with stoppable() as stop:
        fits.swept(run, stop, job.tell, save, job.every)
    return posterior(prepared, [run], fits.stopped(run) if stop.asked else [])


def _begun(prepared: Prepared, shards: Shards, key: int) -> GibbsRun:
    """The run, before its first sweep."""
    s, given = prepared.settings, (prepared.centre, prepared.spread)
    full = ShardedChain(shards, *shards.sides(gather, *given))
    parts, slices = _parts(prepared.train, shards, np.diff(full.problem.sides[0].starts), key)
    sweeps, searching = [full], None
    if s.noise == "auto" and shards.n >= fits.LEAST_RATINGS:
        rest = ShardedChain(shards, *shards.sides(gather, *given, task=deal_rest, more=[(of,) for of in slices]))
        sweeps.append(rest)
        searching = rest.problem
    precision = None if isinstance(s.noise, str) else (prepared.spread / s.noise) ** 2
    begin = partial(fits.begin_run, prepared, full.problem, key=key, n_sweeps=s.n_sweeps)
    run = begin(searching=searching, probe=prepared.probe(parts.random), watched=None, precision=precision, parts=parts)
    shards.moved = 0  # what was dealt is of no sweep
    return replace(run, draw=partial(draw, sweeps))


def _parts(train: Ratings, shards: Shards, counts: np.ndarray, key: int) -> tuple[Parts, list[Slice]]:
    """What ``solvers.slices.hold_out`` holds out: its ratings, and of each part which they are."""
    rng, new, _ = drawn(counts, key, timed=False)
    ids = [shards.put(x.values) for x in (train.user_ids, train.item_ids)]
    parts = list(zip(shards.paths, shards.digests, strict=True))
    count, take = shards.task(left_in), shards.task(held_out)
    ends = np.cumsum(shards.get([count.remote(*part, *ids, new) for part in parts]))
    random = np.sort(at_random(int(ends[-1]), rng))
    slices = [
        Slice(new, random[(random >= first) & (random < end)] - first)
        for first, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
    ]
    found = shards.get([take.remote(*part, *ids, of) for part, of in zip(parts, slices, strict=True)])
    kinds = [[np.concatenate(c) for c in zip(*(of[k] for of in found), strict=True)] for k in (0, 1)]
    held = [replace(train, users=u, items=i, values=v, y_range=train.y_range) for u, i, v in kinds]
    return Parts(held[0], train, held[1]), slices
