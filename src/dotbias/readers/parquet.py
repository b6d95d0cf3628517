"""Parquet files, looked at before they are decoded: a few kilobytes can decode to gigabytes.

The sizes come from the footer and from the header of every page (thrift's compact protocol; the structures are those
of the Parquet format's ``parquet.thrift``), since a footer may lie. Decoding is polars'.
"""

from __future__ import annotations

import io
import json
import mmap
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ..errors import DataError
from ..files import clear_errors, max_bytes, too_large

WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}  # bytes of a value in memory, by physical type; of others 16
DEPTH = 24  # how deep thrift structures may nest
TRY = """import io, json, sys
import polars as pl
path, columns = sys.argv[1], json.loads(sys.argv[2])
options = {"glob": False, "hive_partitioning": False} if path else {"use_statistics": False}
pl.read_parquet(path or io.BytesIO(sys.stdin.buffer.read()), columns=columns, **options)
"""


class ParquetSize(NamedTuple):
    """What decoding a Parquet file will make.

    Attributes:
        rows: of the table.
        nbytes: of memory, about, at most.
    """

    rows: int
    nbytes: int


def read(
    source: Path | bytes, name: str, columns: Sequence[str] | None = None, *, sealed: bool = False
) -> pl.DataFrame:
    """A Parquet file as a frame.

    Args:
        source: a plain file, or its content.
        name: what messages call it.
        columns: by default all.
        sealed: whether a digest has shown that the content is as it was written. Any other file is read by a process
            of its own first: on some damaged pages polars aborts, which nothing in the process can catch.

    Raises:
        DataError: where it is cut, damaged or no Parquet file.
        FileError: where it would take more memory than ``files.max_bytes()``.
    """
    with clear_errors(Path(name), "read"):
        size = size_of(source, name)
        if size.nbytes > max_bytes():
            raise too_large(name, size.nbytes)
        if not sealed and _ends_a_process(source, _listed(columns)):
            raise DataError(
                f"{name} is damaged: reading it ends the process.", hint="write it anew, or fetch it again."
            )
        try:
            if isinstance(source, Path):
                return pl.read_parquet(source.absolute(), columns=_listed(columns), glob=False, hive_partitioning=False)
            return pl.read_parquet(io.BytesIO(source), columns=_listed(columns), use_statistics=False)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as e:
            raise _unreadable(name, e) from e


def _ends_a_process(source: Path | bytes, columns: list[str] | None) -> bool:
    """Whether polars aborts on it: tried by a process of its own, a third of a second for a small file."""
    path = str(source.absolute()) if isinstance(source, Path) else ""
    content = None if isinstance(source, Path) else source
    try:
        done = subprocess.run(
            [sys.executable, "-c", TRY, path, json.dumps(columns)], input=content, capture_output=True, check=False
        )
    except OSError:  # no process can be made here
        return False
    return done.returncode < 0


def names(source: Path | bytes, name: str) -> list[str]:
    """The columns' names; errors as in :func:`read`."""
    with clear_errors(Path(name), "read"):
        try:
            if isinstance(source, bytes):
                return list(pl.read_parquet_schema(io.BytesIO(source)))
            with source.open("rb") as f:  # given the path, polars would take it for a pattern
                return list(pl.read_parquet_schema(f))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as e:
            raise _unreadable(name, e) from e


def _listed(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)


def _unreadable(name: str, cause: BaseException) -> DataError:
    first = (str(cause).splitlines() or [type(cause).__name__])[0]
    return DataError(f"{name} is no readable Parquet file: {first}", hint="was the download complete?")


# Sizes ---------------------------------------------------------------------------------------------------------


def size_of(source: Path | bytes, name: str) -> ParquetSize:
    """How much a Parquet file decodes to, from its footer and page headers.

    Raises:
        DataError: where these are cut or damaged.
    """
    try:
        if isinstance(source, bytes):
            return _size(source)
        with source.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _size(content)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as e:
        raise _unreadable(name, e) from e


def _size(content: bytes | mmap.mmap) -> ParquetSize:
    if len(content) < 12 or content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise ValueError("it does not begin and end as one")
    end = len(content) - 8
    start = end - int.from_bytes(content[end : end + 4], "little")
    if start < 4:
        raise ValueError("its footer is cut")
    footer = _Compact(content[start:end]).struct()
    groups = footer.get(4, [])
    rows, nbytes = max(footer[3], sum(group[3] for group in groups)), 0
    for group in groups:
        for chunk in group[1]:
            about = chunk[3]
            values, unpacked = _pages(content, about, start)
            width = WIDTHS.get(about[1], 16)
            nbytes += max(values, about[5], group[3]) * width + max(unpacked, about[6])
    if rows < 0 or nbytes < 0:
        raise ValueError("it states negative sizes")
    return ParquetSize(rows, nbytes)


def _pages(content: bytes | mmap.mmap, about: dict[int, Any], footer: int) -> tuple[int, int]:
    """(values, bytes unpacked) that the page headers of a column chunk state."""
    at = min(x for x in (about[9], about.get(11, 0)) if x > 0)
    end = at + about[7]
    if not 4 <= at <= end <= footer:
        raise ValueError("a column lies outside the file")
    values = unpacked = 0
    while at < end:
        page = _Compact(content, at, end)
        header = page.struct()
        if header[2] < 0 or header[3] < 0:
            raise ValueError("a page has a negative size")
        unpacked += header[2]
        values += next((header[k][1] for k in (5, 8) if k in header), 0)
        at = page.at + header[3]
    return values, unpacked


class _Compact:
    """A reader of thrift's compact protocol: structures as dicts from field number to value.

    Args:
        content: the bytes.
        at: where to begin.
        end: where to stop, at the latest.
    """

    def __init__(self, content: bytes | mmap.mmap, at: int = 0, end: int | None = None):
        self.content, self.at, self.end = content, at, len(content) if end is None else end

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Fields until the stop byte."""
        if depth > DEPTH:
            raise ValueError("its structures nest too deep")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._unsigned())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"a field has the unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        if depth > DEPTH:
            raise ValueError("its structures nest too deep")
        head = self._byte()
        n = head >> 4 if head >> 4 < 15 else self._unsigned()
        if n > self.end - self.at:  # an element takes a byte at least
            raise ValueError("a list is cut")
        return [self._value(head & 15, depth + 1) for _ in range(n)]

    def _byte(self) -> int:
        if self.at >= self.end:
            raise ValueError("it is cut")
        self.at += 1
        return self.content[self.at - 1]

    def _bytes(self, n: int) -> bytes:
        if n > self.end - self.at:
            raise ValueError("it is cut")
        self.at += n
        return self.content[self.at - n : self.at]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number is too long")

    def _integer(self) -> int:
        n = self._unsigned()
        return (n >> 1) ^ -(n & 1)
