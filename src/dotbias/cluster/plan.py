"""What a fit by shards will take, before it is paid for: memory, bytes moved, seconds; and what breaks first.

    plan(Size(10**9, 10**8, 10**6), Machines(workers=32)).driver.total      # bytes

For als as ``cluster.fit`` makes it. Sizes of arrays are computed from their shapes; what has to be measured (seconds
for a row with so many ratings, bytes for a rating while it is dealt out, what Ray takes for a byte) is read from
``constants.json``, which ``python -m bench cluster`` writes: a file of data beside the code, so that a script can write
it and another machine's can be given in its place. Nothing here is measured, and no figure is made up: what nobody has
measured, such as a network, is asked for or left out, and said.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError

HERE = Path(__file__).with_name("constants.json")
LANES = 8  # of the kernels: a row of factors is filled up to a multiple
ACTIVITY_SD = 1.0  # of the log of a user's, and an item's, number of ratings
QUANTILES = 16  # of that distribution
SHARD = 5_000_000  # ratings, by default
PART = 2_500_000
ROWS = 2**31 - 1  # a row is an int32


class Size(NamedTuple):
    """What is to be fitted.

    Attributes:
        ratings: N.
        users: U.
        items: I.
        n_factors: K.
    """

    ratings: int
    users: int
    items: int
    n_factors: int = 64


class Machines(NamedTuple):
    """What is to fit it.

    Attributes:
        workers: of one thread each.
        machines: that they are on; by default each worker has one of its own. The driver is on the first.
        memory: bytes of each machine, if what does not fit is to be said.
        gbits: of each machine's network (10^9 bits a second); None: its time is left out.
    """

    workers: int = 2
    machines: int | None = None
    memory: float | None = None
    gbits: float | None = None


class Sum(NamedTuple):
    """A figure by what it is made of: bytes, or seconds."""

    of: dict[str, float]

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.of.values())

    @property
    def most(self) -> str:
        """The largest of what it is made of."""
        return max(self.of, key=self.of.__getitem__)


class ClusterPlan(NamedTuple):
    """What a fit will take.

    Attributes:
        size: what is fitted.
        machines: what fits it.
        shards: of a side.
        parts: that the ratings lie in.
        driver: bytes of the driver's own memory at its peak.
        worker: the same of each worker.
        dealt: bytes of all machines' object stores while the ratings are dealt out.
        kept: the same during sweeps.
        moved: bytes through the object store a sweep.
        network: bytes between machines a sweep.
        sweep: seconds of a sweep.
        before: seconds before the first.
        limits: what breaks, or slows it, first: sentences, the first of them first.
    """

    size: Size
    machines: Machines
    shards: int
    parts: int
    driver: Sum
    worker: Sum
    dealt: float
    kept: float
    moved: int
    network: float
    sweep: Sum
    before: Sum
    limits: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of a sweep."""
        return self.sweep.total

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        sums = {name: {"total": s.total, **s.of} for name, s in self._asdict().items() if isinstance(s, Sum)}
        return {**self._asdict(), **sums, "size": self.size._asdict(), "machines": self.machines._asdict()}


def plan(
    size: Size,
    machines: Machines | None = None,
    *,
    shards: int | None = None,
    parts: int | None = None,
    constants: str | Path | None = None,
) -> ClusterPlan:
    """What ``cluster.fit("als", …)`` will take.

    Args:
        size: of the ratings.
        machines: what is at hand; by default two workers.
        shards: of a side; by default 5 M ratings each, and at least two for each worker.
        parts: by default of 2.5 M ratings each.
        constants: a file as ``python -m bench cluster`` writes it; by default those that dotbias was released with.

    Raises:
        SettingError: for sizes that cannot be, or more factors than were measured.
    """
    machines = machines or Machines()
    _check(size, machines, shards, parts)
    known = load(None if constants is None else str(constants))
    shards = shards or max(2 * machines.workers, -(-size.ratings // SHARD))
    shards = min(shards, size.users, size.items)
    parts = parts or max(1, -(-size.ratings // PART))
    at = _Arrays(size, shards, parts, machines.machines or machines.workers)
    driver, worker = _driver(at, known), _worker(at, known)
    sweep, before = _sweep(at, machines, known), _before(at, machines, known)
    given = size, machines, shards, parts, driver, worker, at.dealt, at.kept, at.moved, at.network, sweep, before
    return ClusterPlan(*given, _limits(at, machines, driver, worker, sweep))


@cache
def load(path: str | None) -> dict[str, Any]:
    """Measured constants.

    Raises:
        SettingError: for a file that holds none.
    """
    file = HERE if path is None else Path(path)
    try:
        found = json.loads(file.read_text())
        return {name: found[name] for name in ("machine", "solve", "stages", "ray")} | {"runs": found.get("runs", [])}
    except (OSError, ValueError, KeyError, TypeError) as e:
        hint = "`python -m bench cluster --only constants` measures them."
        raise SettingError(f"{file} holds no measured constants ({e}).", hint=hint) from e


def _check(size: Size, machines: Machines, shards: int | None, parts: int | None) -> None:
    whole = {**size._asdict(), "workers": machines.workers, "machines": machines.machines or 1}
    for name, n in {**whole, "shards": shards or 1, "parts": parts or 1}.items():
        if n < 1 or n != int(n):
            raise SettingError(f"{name} is {n!r}.", hint="a whole number from 1 up.")
    if size.ratings > size.users * size.items:
        what = f"{size.ratings:,} ratings are more than {size.users:,} users and {size.items:,} items have pairs."
        raise SettingError(what, hint="a pair may come once.")
    for name in ("memory", "gbits"):
        if (value := getattr(machines, name)) is not None and not value > 0:
            raise SettingError(f"{name} is {value!r}.", hint="a number above 0.")


# Sizes, from the arrays' shapes ------------------------------------------------------------------------------------


class _Arrays(NamedTuple):
    """The arrays of a fit, in bytes."""

    size: Size
    shards: int
    parts: int
    machines: int

    @property
    def width(self) -> int:
        """Floats of a row: 1, factors, filled up to the lanes."""
        return -(-(self.size.n_factors + 2) // LANES) * LANES

    def side(self, rows: int) -> int:
        """A side's rows and biases."""
        return 4 * (self.width + 1) * rows

    @property
    def both(self) -> int:
        """Both sides."""
        return self.side(self.size.users) + self.side(self.size.items)

    @property
    def larger(self) -> int:
        """The side with more rows, and its squared errors."""
        return self.side(self.most_rows) + 8 * self.most_rows

    @property
    def most_rows(self) -> int:
        return max(self.size.users, self.size.items)

    @property
    def dealt(self) -> float:
        """While shards are made: pieces of 12 bytes a rating and shards of 8, each for two sides."""
        return 40.0 * self.size.ratings

    @property
    def kept(self) -> float:
        """During sweeps: shards, what comes back of a side, and on each machine the other side's rows."""
        return 16.0 * self.size.ratings + self.larger + self.machines * self.side(self.most_rows)

    @property
    def moved(self) -> int:
        """Each side goes out once and comes back once, with its squared errors."""
        return 2 * self.both + 8 * (self.size.users + self.size.items)

    @property
    def network(self) -> float:
        """Each side to every machine but the driver's, and what those solve back from them."""
        back = (self.both + 8 * (self.size.users + self.size.items)) * (self.machines - 1) / self.machines
        return self.both * (self.machines - 1) + back


def _driver(at: _Arrays, known: dict[str, Any]) -> Sum:
    s = at.size
    final = 4 * (s.n_factors + 1) * (s.users + s.items)
    return Sum(
        {
            "an empty process": known["ray"]["driver"],
            "ids": known["stages"]["number_id"]["bytes"] * (s.users + s.items),
            "the column of values": 4.0 * s.ratings,
            "both sides' rows": float(at.both),
            "a side put together, or the model": float(max(at.larger, final)),
        }
    )


def _worker(at: _Arrays, known: dict[str, Any]) -> Sum:
    s, stages = at.size, known["stages"]
    part, shard = s.ratings / at.parts, s.ratings / at.shards
    stage = {
        "a part, read": stages["scan"]["bytes"] * part,
        "a part, dealt out": stages["deal"]["bytes"] * part + stages["deal_id"]["bytes"] * (s.users + s.items),
        "a shard, gathered": stages["gather"]["bytes"] * shard,
        "a shard's rows, solved": (at.side(at.most_rows) + 8 * at.most_rows) / at.shards,
    }
    most = max(stage, key=stage.__getitem__)
    return Sum({"an idle worker": known["ray"]["worker"], most: stage[most]})


# Seconds, from what was measured -----------------------------------------------------------------------------------


def row_seconds(known: dict[str, Any], n: float, n_factors: int, other: float) -> float:
    """Seconds of one thread for a row of n ratings, given an other side of so many bytes: between what was measured.

    Raises:
        SettingError: for more factors than were measured.
    """
    table = known["solve"]
    if n_factors > table["factors"][-1]:
        what = f"n_factors is {n_factors}; what was measured ends at {table['factors'][-1]}."
        raise SettingError(what, hint="measure more: bench/cluster/constants.py.")
    found = np.log(np.asarray(table["seconds"]))  # (other, factors, ratings)
    for axis, value in (("other", other), ("factors", n_factors), ("ratings", n)):
        found = _between(np.log(table[axis]), found, math.log(max(value, 1)))
    return float(np.exp(found)) * max(1.0, n / table["ratings"][-1])


def _between(at: np.ndarray, values: np.ndarray, x: float) -> np.ndarray:
    """Linear between the points (n,) of the first axis of values (n, …); beyond them the last."""
    k = int(np.clip(np.searchsorted(at, x) - 1, 0, len(at) - 2))
    share = float(np.clip((x - at[k]) / (at[k + 1] - at[k]), 0, 1))
    return (1 - share) * values[k] + share * values[k + 1]


def _side_seconds(at: _Arrays, known: dict[str, Any], rows: int, others: int) -> float:
    """Seconds of one thread for a half-step: rows whose numbers of ratings are lognormal."""
    mean, normal = at.size.ratings / rows, NormalDist()
    shares = np.exp([ACTIVITY_SD * normal.inv_cdf((q + 0.5) / QUANTILES) for q in range(QUANTILES)])
    each = (row_seconds(known, n, at.size.n_factors, at.side(others)) for n in mean * shares / shares.mean())
    return rows * sum(each) / QUANTILES


def _sweep(at: _Arrays, machines: Machines, known: dict[str, Any]) -> Sum:
    s, ray = at.size, known["ray"]
    one = _side_seconds(at, known, s.items, s.users) + _side_seconds(at, known, s.users, s.items)
    turns = -(-at.shards // machines.workers)  # shards that one worker solves, one after another
    seconds = {
        "half-steps": one * turns / at.shards,
        "the driver puts": ray["put"] * at.both,
        "the driver takes": ray["back"] * (at.both + 8 * (s.users + s.items)),
        "tasks": 2 * at.shards * ray["task"],
    }
    if machines.gbits is not None and at.machines > 1:  # each machine has each side from one that has it already
        rounds = math.ceil(math.log2(at.machines))
        back = (at.both + 8 * (s.users + s.items)) * (at.machines - 1) / at.machines
        seconds["network"] = 8 * (rounds * at.both + back) / (1e9 * machines.gbits)
    return Sum(seconds)


def _before(at: _Arrays, machines: Machines, known: dict[str, Any]) -> Sum:
    s, stages = at.size, {name: stage["seconds"] for name, stage in known["stages"].items()}
    ids, turns = s.users + s.items, -(-at.parts // machines.workers)
    return Sum(
        {
            "parts read": stages["scan"] * s.ratings / at.parts * turns,
            "ids numbered": stages["number_id"] * ids,
            "parts dealt out": (stages["deal"] * s.ratings / at.parts + stages["deal_id"] * ids) * turns,
            "shards gathered": 2 * stages["gather"] * s.ratings / machines.workers,
        }
    )


# What breaks first -------------------------------------------------------------------------------------------------


def _limits(at: _Arrays, machines: Machines, driver: Sum, worker: Sum, sweep: Sum) -> tuple[str, ...]:
    found = []
    if (rows := at.most_rows) > ROWS:
        found.append(f"Rows are numbered by int32: {rows:,} of a side are more than {ROWS:,}.")
    each = math.ceil(machines.workers / at.machines)
    if machines.memory is not None:
        needs = {
            "driver": driver.total,
            "workers": each * worker.total,
            "object store": max(at.dealt, at.kept) / at.machines,
        }
        whole = sum(needs.values())
        if whole > machines.memory:
            largest = max(needs, key=needs.__getitem__)
            found.append(
                f"The driver's machine needs {shown(whole)} of its {shown(machines.memory)}, {shown(needs[largest])} "
                f"of them for the {largest}{_advice(largest)}"
            )
    large = max((("driver", driver), ("worker", worker)), key=lambda x: x[1].total)
    name, of = large
    found.append(f"The largest process is the {name}: {shown(of.total)}, {shown(of.of[of.most])} of them {of.most}.")
    serial = sum(v for k, v in sweep.of.items() if k.startswith("the driver"))
    if serial > 0.2 * sweep.total:
        share = 100 * serial / sweep.total
        found.append(f"{share:.0f} % of a sweep is the driver's alone: more workers do not shorten it.")
    return tuple(found)


def _advice(largest: str) -> str:
    spills = " (Ray spills what does not fit to disk, and is slower)." if largest == "object store" else "."
    return spills if largest != "workers" else ": more shards and parts make each smaller."


def shown(n: float) -> str:
    """Bytes, for people: 1.2 GB."""
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if n < 999.5 or unit == "TB":
            break
        n /= 1000
    return f"{n:,.0f} {unit}" if n >= 10 or unit == "bytes" else f"{n:.1f} {unit}"
