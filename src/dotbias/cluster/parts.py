"""The data of a cluster: a folder of Parquet parts, read part by part, dealt out to shards by row.

A row belongs to shard ``row % shards``, as its ``row // shards``-th. These functions run on the workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from .. import readers
from ..errors import DataError, DotbiasError, FileError
from ..ids import Ids
from ..ratings import Feedback
from .remote import Place, Remote, as_place, fetch, listed

SAID = 20  # bad parts that an error names


class Facts(NamedTuple):
    """What a part holds.

    Attributes:
        columns: role -> the kind of its column: the same in every part.
        users: distinct ids, in order of appearance.
        items: the same of items.
        values: (n,) float32: ratings; of clicks the counts, 1 where there are none.
        feedback: what they are.
        digest: SHA-256 (hex) of its columns.
    """

    columns: dict[str, str]
    users: pl.Series
    items: pl.Series
    values: np.ndarray
    feedback: Feedback
    digest: str


class Dealt(NamedTuple):
    """Ratings of one shard, in the order of the parts: rows within the shard, others' rows, values (n,)."""

    rows: np.ndarray
    others: np.ndarray
    values: np.ndarray


def find_parts(folder: str | Path) -> list[Place]:
    """The Parquet files of a folder, in the order of their names.

    Args:
        folder: of this machine, or what fsspec opens, such as ``s3://bucket/parts``.

    Raises:
        FileError: where there is no such folder, or a store does not let us see it.
        DataError: where it holds no Parquet file.
        SettingError: for what fsspec cannot open.
    """
    place = as_place(folder)
    if isinstance(place, Remote):
        found: list[Place] = [file for file in listed(place) if file.name.endswith(".parquet")]
    elif not place.is_dir():
        raise FileError(f"{place} is no folder.", hint="give the folder that holds the Parquet parts.")
    else:
        found = [*sorted(place.glob("*.parquet"))]
    if not found:
        raise DataError(f"{place} holds no *.parquet file.", hint="its parts are expected right in it.")
    return found


def tried(path: Place) -> Facts | DotbiasError:
    """What a part holds, or what is wrong with it."""
    try:
        return scan(path)
    except DotbiasError as e:
        return e


def all_good(paths: Sequence[Place], found: Sequence[Facts | DotbiasError]) -> list[Facts]:
    """What the parts hold, if none is bad.

    Raises:
        DataError, FileError: the error of the only bad part, as it is; of several, what is wrong with each.
    """
    wrong = [(path, f) for path, f in zip(paths, found, strict=True) if isinstance(f, DotbiasError)]
    if len(wrong) == 1:
        raise wrong[0][1]
    if wrong:
        said = [e.what if path.name in e.what else f"{path.name}: {e.what}" for path, e in wrong]
        more = [f"and {len(said) - SAID:,} more"] if len(said) > SAID else []
        what = f"{len(wrong):,} of {len(paths):,} parts cannot be used:"
        raise DataError("\n  ".join([what, *said[:SAID], *more]), hint=wrong[0][1].hint)
    return [f for f in found if not isinstance(f, DotbiasError)]


def scan(path: Place) -> Facts:
    """What a part holds.

    Raises:
        DataError, FileError: as ``Ratings.from_parquet``, naming the part.
    """
    source = read(path)
    values = _values(source)
    kinds = {"user": str(source.user.dtype), "item": str(source.item.dtype)}
    users, items = (ids.unique(maintain_order=True) for ids in (source.user, source.item))
    feedback: Feedback = "clicks" if source.rating is None else "stars"
    return Facts(kinds, users, items, values, feedback, _digest(source, values))


def _values(source: readers.Source) -> np.ndarray:
    """Ratings; of clicks the counts, or ones: (n,) float32."""
    column = source.count if source.rating is None else source.rating
    return np.ones(len(source.user), np.float32) if column is None else column.to_numpy().astype(np.float32)


def _digest(source: readers.Source, values: np.ndarray) -> str:
    sha = hashlib.sha256(values.tobytes())
    for ids in (source.user, source.item):
        text = ids.dtype == pl.String
        sha.update("\0".join(ids.to_list()).encode() if text else ids.to_numpy().tobytes())
    return sha.hexdigest()


def check_alike(paths: Sequence[Place], facts: list[Facts], feedback: Feedback) -> None:
    """Refuse parts of the other kind than a fit takes, and parts whose ids are of other types than the first one's.

    Raises:
        DataError: naming the part.
    """
    first = facts[0].columns
    for path, part in zip(paths, facts, strict=True):
        if part.feedback != feedback:
            what, wanted = ("ratings", "clicks") if part.feedback == "stars" else ("no ratings", "ratings")
            hint = "write the parts without that column" if wanted == "clicks" else "name a column of numbers rating"
            raise DataError(f"{path.name} holds {what}; this fitter takes {wanted}.", hint=f"{hint}.")
    for path, part in zip(paths, facts, strict=True):
        for role, kind in part.columns.items():
            if kind != first[role]:
                what = f"{path.name}: the {role} ids are {kind}, those of {paths[0].name} {first[role]}."
                raise DataError(what, hint="make both columns the same type; 42 and '42' are two different ids.")


def numbered(path: Place, digest: str, users: pl.Series, items: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A part's ratings as rows of users, of items, and values (n,) each.

    Raises:
        FileError: if the part is gone.
        DataError: if it is no longer what it was when its digest was taken.
    """
    source = read(path)
    values = _values(source)
    if _digest(source, values) != digest:
        raise DataError(f"{path.name} has changed since the fit began.", hint="leave the parts as they are.")
    return Ids(users).find(source.user), Ids(items).find(source.item), values


def deal(path: Place, digest: str, users: pl.Series, items: pl.Series, shards: int) -> list[Dealt]:
    """A part's ratings by user shard, then by item shard: 2 · shards pieces."""
    return pieces_of(*numbered(path, digest, users, items), shards)


def pieces_of(u: np.ndarray, i: np.ndarray, values: np.ndarray, shards: int) -> list[Dealt]:
    """Ratings (n,) by user shard, then by item shard: 2 · shards pieces."""
    return [
        Dealt(own[at] // shards, others[at], values[at])
        for own, others in ((u, i), (i, u))
        for at in (np.flatnonzero(own % shards == s) for s in range(shards))
    ]


def merged(pieces: Sequence[Dealt]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A shard's rows, others and values, of what each part holds of it."""
    rows, others, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    for column in (rows, others, values):
        column.flags.writeable = False  # kernels are compiled for these
    return rows, others, values


def repeated(pieces: Sequence[Dealt], n_others: int) -> int:
    """How many ratings of a shard are of a pair that came before."""
    pairs = np.concatenate([p.rows.astype(np.int64) * n_others + p.others for p in pieces])
    return len(pairs) - len(np.unique(pairs))


def read(path: Place) -> readers.Source:
    """A part's columns.

    Raises:
        FileError: if it is not there.
        DataError: as ``Ratings.from_parquet``.
    """
    if isinstance(path, Remote):
        return readers.read_parquet(Path(path.name), {}, content=fetch(path))
    if not path.is_file():
        raise FileError(f"{path} is not there.", hint="every worker must see the parts under this path.")
    return readers.read_parquet(path, {})
