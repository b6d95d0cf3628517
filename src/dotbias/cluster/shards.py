"""Ratings over the workers of a cluster: ids numbered, ratings dealt out by row, a task for each shard.

A row belongs to shard ``row % shards``. What shards give is put together in the order of rows. This module knows Ray
and parts; which task a fit makes is the fit's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ClusterError, DataError, DotbiasError
from ..ids import Ids
from ..ratings import Feedback, Ratings
from .parts import Facts, all_good, check_alike, deal, tried
from .remote import Place

RETRIES = 5  # of a task whose worker died


class Shards:
    """The parts of a fit, numbered.

    Args:
        ray: the module, joined to a cluster.
        paths: the parts.
        number: shards of a side, at most.
        feedback: what the fit takes.

    Attributes:
        train: the id tables, without ratings.
        values: one user's ratings of one item that hold the column of ratings, or of clicks' counts, parts in order.
        n: ratings.
        digests: of each part.
        number: shards of a side: none is without a row.
        y_range: the least and the highest rating; None of clicks, or where all are equal.
        moved: bytes that went through the object store since it was last set to 0.

    Raises:
        DataError, FileError: for a part that cannot be read, or is unlike the others, by name.
    """

    def __init__(self, ray: Any, paths: Sequence[Place], number: int, feedback: Feedback):
        self.ray, self.paths, self.moved = ray, paths, 0
        read = self.task(tried)
        facts: list[Facts] = all_good(paths, self.get([read.remote(path) for path in paths]))
        check_alike(paths, facts, feedback)
        users, items = Ids(facts[0].users), Ids(facts[0].items)
        for part in facts[1:]:
            users, items = users.extend(part.users), items.extend(part.items)
        values = np.concatenate([part.values for part in facts])
        self.train, self.values = _ids_only(users, items), _column(values, feedback)
        self.lengths, self.n = [len(part.values) for part in facts], len(values)
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        self.y_range = (low, high) if feedback == "stars" and low < high else None
        self.digests = [part.digest for part in facts]
        self.number = min(number, len(users), len(items))

    @property
    def content(self) -> str:
        """SHA-256 (hex) of all parts in order: two folders of ratings are one if these agree."""
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()

    # Tasks ---------------------------------------------------------------------------------------------------------

    def task(self, function: Any, **options: Any) -> Any:
        """A function as a task: made again if its worker dies; its own errors are raised as they are."""
        return self.ray.remote(max_retries=RETRIES, num_cpus=1, **options)(function)

    def put(self, value: Any) -> Any:
        """A value in the object store, and counted.

        Raises:
            ClusterError: where it has no room.
        """
        self.moved += nbytes(value)
        with_room = self.ray.exceptions.ObjectStoreFullError, self.ray.exceptions.OutOfDiskError
        try:
            return self.ray.put(value)
        except with_room as e:
            raise full(nbytes(value)) from e

    def get(self, refs: Any) -> Any:
        """Results, counted; a task's error as the error that it raised.

        Raises:
            ClusterError: where the cluster fails: no room, or a task whose workers die again and again.
        """
        try:
            found = self.ray.get(refs)
        except self.ray.exceptions.RayError as e:
            raise explained(self.ray, e) from e
        self.moved += nbytes(found)
        return found

    # Dealing -------------------------------------------------------------------------------------------------------

    def sides(
        self, gather: Callable[..., Any], *given: Any, task: Any = deal, more: Sequence[tuple[Any, ...]] = ()
    ) -> tuple[list[Any], list[Any]]:
        """Each side's shards in the object store, as ``gather(rows, others, side, *given, *pieces)`` makes them.

        ``side`` is "user" or "item", ``rows`` how many the shard has, ``others`` how many the other side has. ``task``
        deals a part, given what is ``more`` for it.
        """
        users, items = (self.put(ids.values) for ids in (self.train.user_ids, self.train.item_ids))
        S, U, I = self.number, self.train.n_users, self.train.n_items
        each, together = self.task(task, num_returns=2 * S), self.task(gather)
        parts = zip(self.paths, self.digests, more or [()] * len(self.paths), strict=True)
        dealt = (each.remote(path, digest, users, items, S, *of_part) for path, digest, of_part in parts)
        pieces = list(zip(*dealt, strict=True))
        by_user = [together.remote(len(range(s, U, S)), I, "user", *given, *pieces[s]) for s in range(S)]
        by_item = [together.remote(len(range(s, I, S)), U, "item", *given, *pieces[S + s]) for s in range(S)]
        return by_user, by_item

    def counts(self, shards: Sequence[Any]) -> np.ndarray:
        """How many ratings each row of a side has (R,), in the order of rows; shards have ``counts`` and ``repeated``.

        Raises:
            DataError: for ratings of a pair that came before.
        """
        facts = self.task(_counted)
        found = self.get([facts.remote(shard) for shard in shards])
        kind = "ratings" if self.values.values is not None else "clicks"
        refuse_repeated(sum(n for _, n in found), kind)
        return self.whole([counts for counts, _ in found])

    def whole(self, shards: Sequence[np.ndarray]) -> np.ndarray:
        """What shards hold of their rows, in the order of rows."""
        out = np.empty((sum(map(len, shards)), *shards[0].shape[1:]), shards[0].dtype)
        for s, part in enumerate(shards):
            out[s :: len(shards)] = part
        return out


def refuse_repeated(n: int, kind: str) -> None:
    """Refuse parts in which n ratings are of a pair that came before.

    Raises:
        DataError: if there are any.
    """
    if n:
        what = f"{n:,} {kind} are of a pair that came before."
        raise DataError(what, hint="keep one of each pair when the parts are written.")


def nbytes(value: Any) -> int:
    """Bytes of the arrays in a value."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    return sum(map(nbytes, value)) if isinstance(value, (tuple, list)) else 0


def full(n: int) -> ClusterError:
    """The error of an object store without room for n bytes."""
    return ClusterError(
        f"the cluster's object store is full: {n / 1e6:,.1f} MB more did not fit.",
        hint="memory=… is its size on this machine; `ray start --object-store-memory` elsewhere; or more machines.",
    )


def explained(ray: Any, error: Any) -> Exception:
    """What Ray raised, as what went wrong."""
    known = ray.exceptions
    cause = error
    while isinstance(cause, known.RayTaskError):
        cause = cause.cause
    if isinstance(cause, DotbiasError) or not isinstance(cause, known.RayError):
        return cause if isinstance(cause, Exception) else ClusterError(str(cause))
    if isinstance(cause, (known.ObjectStoreFullError, known.OutOfDiskError)):
        return full(0)
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    dead = known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError
    if isinstance(cause, dead):
        what = f"a task failed {RETRIES + 1} times, its worker dying each time: {first}"
        return ClusterError(what, hint="more shards make each smaller; with checkpoint= the fit goes on where it was.")
    return ClusterError(f"the cluster failed: {first}", hint="with checkpoint= the fit goes on where it was.")


def _counted(shard: Any) -> tuple[np.ndarray, int]:
    return shard.counts, shard.repeated


def _ids_only(users: Ids, items: Ids) -> Ratings:
    nothing = np.empty(0, np.int32)
    return Ratings(nothing, nothing, nothing.astype(np.float32), None, users, items)


def _column(values: np.ndarray, feedback: Feedback) -> Ratings:
    """A column (N,) as Ratings: of values, or of counts where one of them is not 1."""
    same, one = np.zeros(len(values), np.int32), Ids([0])
    if feedback == "stars":
        return Ratings(same, same, values, None, one, one)
    return Ratings(same, same, None, None, one, one, counts=None if bool((values == 1).all()) else values)
