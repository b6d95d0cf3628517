"""Everybody's lists by ranges of users, to Parquet parts: those that one machine makes.

What a list needs of all ratings is little: each item's number of them, the rating from which one likes, and the 65,536
evenly spaced ones on which ranks are held against ratings (see ``orders``). The driver gathers these; a worker holds
the ratings of one range of users, to leave out what they have seen, and the model, which lies in the object store once
for each machine and is mapped by its workers.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataError, FileError, SettingError
from ..files import write
from ..ids import Ids
from .joining import joined
from .opened import Opened, RatedRows, cut, cuts_of, dealt, distinct, got, ids_only, merged, opened, task
from .parts import find_parts
from .remote import Place, Remote, as_place, listed, send

if TYPE_CHECKING:
    from ..ratings import Ratings
    from ..recommender import Recommender
    from . import ClusterFit

MEMORY = 200e6  # bytes that a worker's lists may take while they are made
BITS = 16  # of a rating's 32, looked at in one turn
FLIP = np.uint32(1 << 31)


class WrittenLists(NamedTuple):
    """What was written.

    Attributes:
        folder: of the parts, each a range of users; one after another, what ``Recommender.recommend_all`` gives.
        users: with a list, be it empty.
        rows: of all lists.
        short: users with fewer than n.
    """

    folder: Place
    users: int
    rows: int
    short: int


def recommend_all(
    model: ClusterFit | Recommender | str | Path,
    out: str | Path,
    *,
    parts: str | Path | None = None,
    n: int = 10,
    address: str = "local:2",
    shards: int = 8,
    memory: int = 1 << 30,
    **asked: Any,
) -> WrittenLists:
    """Everybody's list, as ``Recommender.recommend_all`` makes it, written to Parquet parts by the workers.

    Args:
        model: the folder of a saved model, a Recommender, or what ``cluster.fit`` gave.
        out: a folder that is not there yet, or empty; every worker must reach it under this path; or what fsspec
            opens, such as ``s3://bucket/lists``.
        parts: the parts that the model was fitted on; by default the ratings that it was saved with.
        n: how many items for each user.
        address: as in :func:`dotbias.cluster.fit`.
        shards: ranges of users, each a task and a part of the answer.
        memory: bytes of the object store of a local cluster.
        **asked: ``order``, ``like``, ``times`` (one for all), ``exclude``, ``only``, ``where``, ``keep_seen``,
            ``keep_unrated``, ``popularity``, ``diversity``, as in ``Recommender.recommend``.

    Raises:
        FileError: for a folder that holds files already, or a part that is gone.
        DataError: for parts that hold other ids than the model, or a model without ratings where no parts are given.
        SettingError: as ``Recommender.recommend_all``, and for times that differ.
    """
    from ..recommender.wishes import check_n, with_defaults

    check_n(n)
    whole, folder = with_defaults(asked, "recommend_all"), _empty(as_place(out))
    if not isinstance(whole["times"], (str, int, type(None))):
        raise SettingError("times are many.", hint="one for all: now, unknown, or seconds since 1970 UTC.")
    it = opened(model)
    cuts = cuts_of(it.train.n_users, shards)
    with joined(address, memory) as ray:
        pieces, known = _from_parts(ray, it, parts, cuts) if parts is not None else _from_model(ray, it, cuts)
        given = ray.put((it.scorer, _wish(it, known, n, whole), known.items_only))
        make = task(ray, _write_lists)
        users = it.train.user_ids.values
        ranges = list(pairwise(cuts.tolist()))
        tasks = [
            make.remote(given, a, users.slice(a, b - a), whole["times"], n, folder / f"part-{k:05}.parquet", *pieces[k])
            for k, (a, b) in enumerate(ranges)
        ]
        found = got(ray, tasks)
    return WrittenLists(folder, it.train.n_users, sum(r for r, _ in found), sum(s for _, s in found))


def _empty(folder: Place) -> Place:
    """A folder without files, made if it is not there."""
    if isinstance(folder, Remote):
        if listed(folder):
            raise FileError(f"{folder} is not empty.", hint="name a new folder for the lists.")
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"{folder} is there already, and not empty.", hint="name a new folder for the lists.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise FileError(f"{folder} cannot be made: {e.strerror}.", hint="choose another place.") from e
    return folder


# What is known of all ratings --------------------------------------------------------------------------------------


class AllRatings(NamedTuple):
    """What lists need of all ratings.

    Attributes:
        counts: (I,) of each item.
        n_users: with a rating.
        clicks: whether they have no values.
        spaced: evenly spaced ones, for the regression of ``orders``.
        values: of all ratings, asked by :class:`OrderStatistics`.
        items_only: item ids and their table, no users.
    """

    counts: np.ndarray
    n_users: int
    clicks: bool
    spaced: RatedRows
    values: OrderStatistics
    items_only: Ratings


class OrderStatistics:
    """Order statistics of ratings that lie in pieces: exact, by counts of their bits, 16 at a time."""

    def __init__(self, count: Any, low: float, high: float):
        self.count, self.low, self.high = count, low, high

    def at(self, place: int) -> float:
        """The value at this place of all in rising order, from 0."""
        first = np.cumsum(self.count(None))
        top = int(np.searchsorted(first, place, side="right"))
        rest = place - (int(first[top - 1]) if top else 0)
        low = int(np.searchsorted(np.cumsum(self.count(top)), rest, side="right"))
        return value_of(top << BITS | low)

    def below(self, value: float) -> float | None:
        """The highest value below this one, or None."""
        key = int(keys_of(np.array([value], np.float32))[0])
        low = np.flatnonzero(self.count(key >> BITS)[: key & 0xFFFF])
        if len(low):
            return value_of((key >> BITS) << BITS | int(low[-1]))
        tops = np.flatnonzero(self.count(None)[: key >> BITS])
        if not len(tops):
            return None
        return value_of(int(tops[-1]) << BITS | int(np.flatnonzero(self.count(int(tops[-1])))[-1]))


def keys_of(values: np.ndarray) -> np.ndarray:
    """float32 (n,) as uint32 of the same order; -0 as 0."""
    bits = (values + np.float32(0)).view(np.uint32)
    return np.where(bits & FLIP, ~bits, bits | FLIP)


def value_of(key: int) -> float:
    """Undo :func:`keys_of`."""
    bits = np.uint32(key)
    return float(np.array(bits ^ FLIP if bits & FLIP else ~bits, np.uint32).view(np.float32))


def counted(top: int | None, *pieces: RatedRows) -> np.ndarray:
    """How many values have each upper half of bits, or, of those with the upper half ``top``, each lower: (65,536,)."""
    keys = np.concatenate([keys_of(p.values) for p in pieces if p.values is not None])
    upper = keys >> BITS
    halves = upper if top is None else (keys & 0xFFFF)[upper == top]
    return np.bincount(halves.astype(np.int64), minlength=1 << BITS)


def facts(n_items: int, *pieces: RatedRows) -> tuple[np.ndarray, int, float, float]:
    """Of a range: each item's number of ratings, users with one, lowest and highest value."""
    rated = merged(pieces)
    users = len(np.unique(rated.users))
    low, high = (np.inf, -np.inf) if rated.values is None or not users else (rated.values.min(), rated.values.max())
    return np.bincount(rated.items, minlength=n_items), users, float(low), float(high)


def spaced(path: Place, users: Any, items: Any, at: np.ndarray) -> RatedRows:
    """The ratings of a part at these places (n,)."""
    rated = dealt(path, users, items, np.array([0, len(users)]))
    return RatedRows(rated.users[at], rated.items[at], None if rated.values is None else rated.values[at])


def _from_parts(ray: Any, it: Opened, parts: str | Path, cuts: np.ndarray) -> tuple[list[Any], AllRatings]:
    """Ranges of ratings in the object store, and what is known of all, read from parts."""
    from ..orders import SAMPLE

    paths = find_parts(parts)
    sizes = got(ray, [task(ray, distinct).remote(path) for path in paths])
    users, items = (ray.put(ids.values) for ids in (it.train.user_ids, it.train.item_ids))
    deal = task(ray, dealt, num_returns=len(cuts) - 1)
    rows = [deal.remote(path, users, items, cuts) for path in paths]
    pieces = list(zip(*rows, strict=True)) if len(cuts) > 2 else [tuple(rows)]
    starts = np.concatenate([[0], np.cumsum([size for _, _, size, _ in sizes])])
    at = np.linspace(0, starts[-1] - 1, min(starts[-1], SAMPLE)).astype(np.int64)
    chosen = [at[(at >= a) & (at < b)] - a for a, b in pairwise(starts)]
    some = task(ray, spaced)
    sample = merged(tuple(got(ray, [some.remote(p, users, items, x) for p, x in zip(paths, chosen, strict=True)])))
    return pieces, _known(ray, it, pieces, sample)


def _from_model(ray: Any, it: Opened, cuts: np.ndarray) -> tuple[list[Any], AllRatings]:
    """The same of the ratings that a model holds."""
    from ..orders import SAMPLE

    train = it.train
    if not len(train):
        raise DataError("the model holds no ratings, so what users have seen is not known.", hint="give parts=.")
    rated = RatedRows(train.users, train.items, train.values)
    pieces = [(ray.put(piece),) for piece in cut(rated, cuts)]
    at = np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(np.int64)
    sample = RatedRows(train.users[at], train.items[at], None if train.values is None else train.values[at])
    return pieces, _known(ray, it, pieces, sample)


def _known(ray: Any, it: Opened, pieces: list[Any], sample: RatedRows) -> AllRatings:
    of_range, count = task(ray, facts), task(ray, counted)
    found = got(ray, [of_range.remote(it.train.n_items, *p) for p in pieces])

    def counts(top: int | None) -> np.ndarray:
        return np.sum(got(ray, [count.remote(top, *p) for p in pieces]), axis=0)

    values = OrderStatistics(counts, min(f[2] for f in found), max(f[3] for f in found))
    nobody = Ids(it.train.user_ids.values.head(0))
    table = ids_only(nobody, it.train.item_ids, it.train.item_table)
    total = np.sum([f[0] for f in found], axis=0)
    return AllRatings(total, sum(f[1] for f in found), sample.values is None, sample, values, table)


# What is asked of every list ---------------------------------------------------------------------------------------


def _wish(it: Opened, known: AllRatings, n: int, asked: dict[str, Any]) -> Any:
    """The Wish that one machine makes of all ratings."""
    from ..orders import find_order
    from ..recommender.record import Record
    from ..recommender.wishes import wish_of
    from ..settings import fits

    find_order(asked["order"])
    if asked["like"] is not None and not fits(asked["like"], float):
        raise SettingError(f"like is {asked['like']!r}.", hint="the rating from which an item is liked, such as 4.")
    record = Record(known.items_only)
    record.item_counts = known.counts
    return wish_of(n, it.scorer, _order(it, known, asked["order"], asked["like"]), record, asked)


def _order(it: Opened, known: AllRatings, name: str, like: float | None) -> Any:
    from ..orders import LIKED, TAKEN, ByCounts, ByLiking, ByRating, ByScorer, normal_on
    from ..scorer import Chances, Sampled, offers

    if known.clicks or offers(it.scorer, Chances):
        return ByRating(it.scorer, TAKEN)
    if name == "rating":
        return ByRating(it.scorer)
    n = int(known.counts.sum())
    at = known.values.at(n - int(np.ceil(LIKED * n))) if like is None else like
    if at > known.values.high:
        high = known.values.high
        raise SettingError(f"like is {at:g}; no rating is above {high:g}.", hint=f"like={high:g}, or lower.")
    lower = known.values.below(at)
    cut_at = at if lower is None else (at + lower) / 2
    share = ByCounts(((known.counts + 1) / (known.n_users + 2)).astype(np.float32))
    chance = share if it.clicks is None else ByScorer(it.clicks, share)
    s = known.spaced

    def by(scorer: Any, near: Any) -> Any:
        assert s.values is not None
        normal = normal_on(scorer, s.users, s.items, s.values, cut_at)
        return ByLiking(scorer, known.items_only, at, chance, normal, near)

    return by(it.scorer, by(it.scorer.factors(), None) if offers(it.scorer, Sampled) else None)


# A worker's lists --------------------------------------------------------------------------------------------------


def _write_lists(
    given: tuple[Any, Any, Ratings], first: int, users: Any, times: Any, n: int, path: Place, *pieces: RatedRows
) -> tuple[int, int]:
    """One range's lists into a file: how many rows, and how many users have fewer than n."""
    from ..recommender.everybody import frame_of
    from ..recommender.lists import in_blocks, lists_of
    from ..times import as_times

    scorer, wish, items_only = given
    rated = merged(pieces)
    order = np.argsort(rated.users, kind="stable")
    items, ends = rated.items[order], np.searchsorted(rated.users[order], np.arange(first, first + len(users) + 1))

    def seen(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        theirs = [items[ends[r - first] : ends[r - first + 1]] for r in rows.tolist()]
        owner = np.repeat(np.arange(len(theirs)), [len(x) for x in theirs])
        return owner, np.concatenate(theirs) if theirs else np.zeros(0, np.int32)

    rows, when = np.arange(first, first + len(users), dtype=np.int32), as_times(times, len(users))
    blocks = in_blocks(
        lambda at: lists_of(scorer, wish, seen, rows[at], None if when is None else when[at]),
        *(len(rows), items_only.n_items),
        memory=MEMORY,
        threads=1,
    )
    here = ids_only(Ids(users), items_only.item_ids, items_only.item_table)
    frame = frame_of(here, wish, rows - first, blocks, False)
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    (send if isinstance(path, Remote) else write)(path, buffer.getvalue())  # type: ignore[arg-type]
    full = int((frame["user"].value_counts()["count"] >= n).sum())
    return frame.height, len(users) - full
