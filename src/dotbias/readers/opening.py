"""Opening what a path names: a plain file, a pipe, a gzip file; and its text in UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from pathlib import Path

from ..errors import DataError, FileError, arg, did_you_mean
from ..files import clear_errors, drain, read_stream

PACKED = b"\x1f\x8b"  # gzip
MAGIC = {b"PK\x03\x04": "a zip archive", b"PAR1": "a Parquet file", b"\x89HDF": "an HDF5 file", b"BZh": "a bzip2 file"}
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_text(path: Path, encoding: str | None) -> tuple[Path | bytes, tuple[str, ...]]:
    """The path itself where it can be read as it is (plain UTF-8), else its bytes, unpacked and in UTF-8.

    A pipe is read whole, once.
    """
    source = open_source(path)
    start = source[:4] if isinstance(source, bytes) else _first_four(source)
    _refuse_kinds(start, f"{path.name} is", MAGIC)
    if start.startswith(PACKED):
        source = _unpack(source, path.name)
        start = source[:4]
        _refuse_kinds(start, f"{path.name} is a gzip file that holds", MAGIC | {PACKED: "another gzip file"})
    if encoding is None and start[:2] in UTF16:
        encoding, guessed = "utf-16", f"{path.name} was read as UTF-16."
    elif encoding is None and _is_utf8(source):
        return source, ()
    else:
        guessed = f"{path.name} is not UTF-8; read as Latin-1."
    data, name = (source.read_bytes() if isinstance(source, Path) else source), encoding or "latin-1"
    try:
        text = data.decode(name).encode()
    except (UnicodeError, LookupError, AttributeError, TypeError, ValueError) as e:  # the last: no text encoding
        hint = f"{arg('encoding', 'latin-1')} reads any bytes."
        raise DataError(f"{path.name} cannot be read as {name}: {e}", hint=hint) from e
    return text, () if encoding and encoding != "utf-16" else (guessed,)


def open_source(path: Path) -> Path | bytes:
    """The path of a plain file, or all the bytes of a pipe or of standard input (``-``), read once.

    A file whose name is not UTF-8 is read whole, too.

    Raises:
        DataError: for a folder or an absent file, with a near miss.
        FileError: for a stream that nobody writes to or that holds too much, and where the system will not let us.
    """
    if str(path) == "-":
        return read_stream(path)
    with clear_errors(path, "read"):
        if path.is_dir():
            raise DataError(f"{path} is a folder, not a file.", hint=f"name a file in it, such as {path}/ratings.csv.")
        if path.is_file():
            return path if _has_utf8_name(path) else path.read_bytes()  # polars opens no file of such a name
        if path.exists():
            return read_stream(path)
    raise DataError(f"there is no file {path}.", hint=did_you_mean(path.name, neighbours(path)))


def neighbours(path: Path) -> list[str]:
    """Names of the files beside a path, for near misses; none where the folder cannot be read."""
    try:
        return [p.name for p in path.parent.iterdir()]
    except OSError:
        return []


def _has_utf8_name(path: Path) -> bool:
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_four(path: Path) -> bytes:
    with path.open("rb") as f:
        return f.read(4)


def _refuse_kinds(start: bytes, name: str, kinds: dict[bytes, str]) -> None:
    """Refuse content that begins as something else than text does; ``name`` is what it is of, and a verb."""
    other = next((kind for magic, kind in kinds.items() if start.startswith(magic)), None)
    if other:
        raise DataError(f"{name} {other}, not text.", hint="unpack it, or use Ratings.from_parquet or a frame.")


def _unpack(source: Path | bytes, name: str) -> bytes:
    """The content of a gzip file, unpacked only as far as ``files.max_bytes()`` allows."""
    try:
        with (
            source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as packed,
            gzip.GzipFile(fileobj=packed) as unpacked,
        ):
            return drain(unpacked, name)  # type: ignore[arg-type]
    except FileError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as e:
        raise DataError(f"{name} is a gzip file cut short or damaged: {e}.", hint="fetch it again.") from e


def _is_utf8(source: Path | bytes) -> bool:
    """Whether all bytes are UTF-8, in blocks, so that a large file is never held whole."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    stream = source.open("rb") if isinstance(source, Path) else io.BytesIO(source)
    with stream:
        try:
            while block := stream.read(1 << 22):
                if not block.isascii() or decoder.getstate()[0]:
                    decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
