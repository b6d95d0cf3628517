"""Files opened and written with care: whole or not at all, no links followed, no waiting for ever, clear errors.

What is written is on the disk before it has its name. A system error becomes a :class:`~dotbias.errors.FileError` that
names the path and what can be done.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import IO

from .errors import DotbiasError, FileError, SettingError

MAX_BYTES = 2 << 30  # unpacked, where a file or stream must be held in memory; DOTBIAS_MAX_BYTES sets another
WAIT = 10.0  # seconds until somebody must have opened a named pipe's other end
BLOCK = 1 << 20
_HINTS = {
    errno.ENOSPC: "the disk is full: make room, or choose another place.",
    errno.EDQUOT: "your share of the disk is used up: make room, or choose another place.",
    errno.EACCES: "you may not do this there: choose another place, or ask for the right to.",
    errno.EPERM: "you may not do this there: choose another place, or ask for the right to.",
    errno.EROFS: "this disk can only be read: choose another place.",
    errno.ENAMETOOLONG: "choose a shorter name.",
    errno.ENOENT: "a folder of this path is not there.",
    errno.ENOTDIR: "a part of this path is a file, not a folder.",
    errno.ELOOP: "it is a link where a plain file is expected.",
}


def as_path(path: object) -> Path:
    """A path that a person gave, ``~`` resolved.

    Raises:
        SettingError: if it is no path, or holds a NUL.
    """
    text = path if isinstance(path, str) else path.__fspath__() if isinstance(path, os.PathLike) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(text, str):
        raise SettingError(f"{path!r} is no path.", hint="text, or a pathlib.Path.")
    if not text or "\0" in text:
        raise SettingError(f"{text!r} is no path.", hint="name a file or a folder.")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~somebody who is not known here
        return Path(text)


@contextlib.contextmanager
def clear_errors(path: Path, doing: str) -> Generator[None]:
    """System errors within become a FileError: "PATH cannot be DOING: reason".

    Raises:
        FileError: for any OSError that is not one of ours already.
    """
    try:
        yield
    except DotbiasError:
        raise
    except (OSError, UnicodeEncodeError) as e:
        reason = (isinstance(e, OSError) and e.strerror) or str(e) or type(e).__name__
        hint = _HINTS.get(e.errno or 0) if isinstance(e, OSError) else "its name cannot be written on this system."
        raise FileError(f"{path} cannot be {doing}: {reason}.", hint=hint) from e


def exists(path: Path) -> bool:
    """Whether there is anything of that name; False where the system will not say."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def write(path: Path, content: bytes) -> None:
    """Put a whole file in place in one step; a reader, or a crash, sees the old one or the new one.

    Raises:
        FileError: if it cannot be written; what was there is still there.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with clear_errors(path, "written"):
        try:
            with temporary.open("xb") as f:
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def open_plain(path: Path, *, write: bool = False) -> int:
    """A descriptor of a plain file, opened without following a link in its last part and without waiting.

    Args:
        path: the file.
        write: for a lock: to read and write, made if it is not there; its content stays.

    Raises:
        OSError: as the system says; also where it is no plain file.
    """
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags | (os.O_RDWR | os.O_CREAT if write else os.O_RDONLY), 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.ELOOP, "no plain file")
    return handle


# Memory --------------------------------------------------------------------------------------------------------


def memory() -> int:
    """Bytes of memory that this machine has; 1 TB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 10**12


def check_memory(nbytes: int, what: str, hint: str) -> None:
    """Refuse to make what this machine's memory cannot hold.

    Args:
        nbytes: its size.
        what: what it is, such as "64 factors of 100 users and 200 items".
        hint: the likely fix.

    Raises:
        SettingError: naming the size.
    """
    if nbytes > memory():
        shown = f"{nbytes / 1e9:,.0f} GB" if nbytes < 10**15 else f"{float(nbytes):.1g} bytes"
        raise SettingError(f"{what} take {shown}; this machine has {memory() / 1e9:,.0f} GB of memory.", hint=hint)


# Streams -------------------------------------------------------------------------------------------------------


def max_bytes() -> int:
    """How many bytes a file or stream may unpack to where it is held in memory: $DOTBIAS_MAX_BYTES, else 2 GiB.

    Raises:
        SettingError: if the variable is no whole number above 0.
    """
    text = os.environ.get("DOTBIAS_MAX_BYTES", "").replace("_", "").strip()
    if not text:
        return MAX_BYTES
    if not text.isdecimal() or not int(text):
        raise SettingError(f"DOTBIAS_MAX_BYTES is {text!r}.", hint="a whole number of bytes, such as 8000000000.")
    return int(text)


def too_large(name: str, nbytes: float) -> FileError:
    """What is said of content that would not fit under :func:`max_bytes`."""
    return FileError(
        f"{name} would take {nbytes / 1e9:.1f} GB of memory; the limit is {max_bytes() / 1e9:.1f} GB.",
        hint=f"if you trust it and have the room, set DOTBIAS_MAX_BYTES={int(nbytes * 1.1)}.",
    )


def drain(stream: IO[bytes], name: str) -> bytes:
    """All bytes of a stream.

    Raises:
        FileError: where there are more than :func:`max_bytes`.
    """
    limit, content = max_bytes(), bytearray()
    while block := stream.read(BLOCK):
        content += block
        if len(content) > limit:
            raise FileError(
                f"{name} holds more than {limit / 1e9:.1f} GB, the limit for what is held in memory.",
                hint="if you trust it and have the room, set DOTBIAS_MAX_BYTES to more bytes.",
            )
    return bytes(content)


def read_stream(path: Path) -> bytes:
    """All bytes of a pipe, a named pipe or another stream; ``-`` is standard input. Each is read once.

    Raises:
        FileError: if standard input is a terminal, a named pipe has no writer, or there are too many bytes.
    """
    if str(path) == "-":
        if sys.stdin is None or os.isatty(0):
            raise FileError("'-' is standard input, and nothing is piped into it.", hint="cat ratings.csv | …")
        with clear_errors(path, "read"), os.fdopen(os.dup(0), "rb") as stream:
            return drain(stream, "standard input")
    with clear_errors(path, "read"):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb", buffering=0) as stream:
            if os.isatty(handle):
                raise FileError(f"{path} is a terminal, and nothing is piped into it.", hint="cat ratings.csv | …")
            first = _first_bytes(handle, path)
            if hasattr(os, "set_blocking"):
                os.set_blocking(handle, True)
            return first + drain(stream, str(path)) if first else b""


def _first_bytes(handle: int, path: Path) -> bytes:
    """The first bytes of a descriptor that does not block; waits for a writer, but not for ever."""
    until = time.monotonic() + WAIT
    named = stat.S_ISFIFO(os.fstat(handle).st_mode)
    while True:
        try:
            first = os.read(handle, BLOCK)
        except BlockingIOError:  # a writer is there, and has not written yet
            os.set_blocking(handle, True)
            return os.read(handle, BLOCK)
        if first or not named or _hung_up(handle):
            return first
        if time.monotonic() > until:
            raise FileError(f"{path}: nobody has written to this pipe for {WAIT:g} s.", hint="start its writer first.")
        time.sleep(0.02)


def _hung_up(handle: int) -> bool:
    """Whether a pipe has had a writer, who is gone."""
    import select

    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return any(event & select.POLLHUP for _, event in poll.poll(0))
