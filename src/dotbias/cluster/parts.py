"""The data of a cluster: a folder of Parquet parts, read part by part, dealt out to shards by row.

A row belongs to shard ``row % shards``, as its ``row // shards``-th. These functions run on the workers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from .. import readers
from ..errors import DataError, FileError
from ..ids import Ids


class Facts(NamedTuple):
    """What a part holds.

    Attributes:
        columns: role -> the kind of its column: the same in every part.
        users: distinct ids, in order of appearance.
        items: the same of items.
        values: (n,) float32.
        digest: SHA-256 (hex) of its columns.
    """

    columns: dict[str, str]
    users: pl.Series
    items: pl.Series
    values: np.ndarray
    digest: str


class Dealt(NamedTuple):
    """Ratings of one shard, in the order of the parts: rows within the shard, others' rows, values (n,)."""

    rows: np.ndarray
    others: np.ndarray
    values: np.ndarray


def find_parts(folder: Path) -> list[Path]:
    """The Parquet files of a folder, in the order of their names.

    Raises:
        FileError: where there is no such folder.
        DataError: where it holds no Parquet file.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is no folder.", hint="give the folder that holds the Parquet parts.")
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise DataError(f"{folder} holds no *.parquet file.", hint="its parts are expected right in it.")
    return found


def scan(path: Path) -> Facts:
    """What a part holds.

    Raises:
        DataError, FileError: as ``Ratings.from_parquet``, naming the part.
    """
    source = read(path)
    rating = source.rating
    if rating is None:
        raise DataError(f"{path.name} holds no ratings.", hint="als needs a column of numbers, such as rating.")
    values = rating.to_numpy().astype(np.float32)
    sha = hashlib.sha256(values.tobytes())
    for ids in (source.user, source.item):
        text = ids.dtype == pl.String
        sha.update("\0".join(ids.to_list()).encode() if text else ids.to_numpy().tobytes())
    kinds = {"user": str(source.user.dtype), "item": str(source.item.dtype)}
    users, items = (ids.unique(maintain_order=True) for ids in (source.user, source.item))
    return Facts(kinds, users, items, values, sha.hexdigest())


def check_alike(paths: list[Path], facts: list[Facts]) -> None:
    """Refuse parts whose ids are of other types than the first one's.

    Raises:
        DataError: naming the part.
    """
    first = facts[0].columns
    for path, part in zip(paths, facts, strict=True):
        for role, kind in part.columns.items():
            if kind != first[role]:
                what = f"{path.name}: the {role} ids are {kind}, those of {paths[0].name} {first[role]}."
                raise DataError(what, hint="make both columns the same type; 42 and '42' are two different ids.")


def deal(path: Path, users: pl.Series, items: pl.Series, shards: int) -> list[Dealt]:
    """A part's ratings by user shard, then by item shard: 2 · shards pieces."""
    source = read(path)
    u, i = Ids(users).find(source.user), Ids(items).find(source.item)
    values = source.rating.to_numpy().astype(np.float32)  # type: ignore[union-attr]
    if min(u.min(), i.min()) < 0:
        raise DataError(f"{path.name} has changed since the fit began.", hint="leave the parts as they are.")
    return [
        Dealt(own[at] // shards, others[at], values[at])
        for own, others in ((u, i), (i, u))
        for at in (np.flatnonzero(own % shards == s) for s in range(shards))
    ]


def repeated(pieces: tuple[Dealt, ...], n_others: int) -> int:
    """How many ratings of a shard are of a pair that came before."""
    pairs = np.concatenate([p.rows.astype(np.int64) * n_others + p.others for p in pieces])
    return len(pairs) - len(np.unique(pairs))


def read(path: Path) -> readers.Source:
    """A part's columns.

    Raises:
        FileError: if it is not there.
    """
    if not path.is_file():
        raise FileError(f"{path} is not there.", hint="every worker must see the parts under this path.")
    return readers.read_parquet(path, {})
