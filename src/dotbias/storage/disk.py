"""Every touch of the disk: whole files in place in one step, nothing read before its hash agrees, no link followed.

A folder may have been prepared by somebody else: a link where a lock should be, a pipe for a manifest, files of other
programs. Only names that saving itself gives are ever removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import FileError, ModelFileError
from ..files import as_path, clear_errors, open_plain
from .manifest import BLOBS, MANIFEST

PATIENCE = 60.0  # seconds for which another saving of the same folder is waited for
MANIFEST_BYTES = 64 << 20  # no manifest is larger
_BLOB = r"[0-9a-f]{64}\.(safetensors|parquet)"
_OURS = re.compile(rf"{_BLOB}|\.{_BLOB}\.[0-9a-f]{{32}}\.tmp")  # in the folder of blobs
_LEFT = re.compile(rf"\.{re.escape(MANIFEST)}\.[0-9a-f]{{32}}\.tmp")  # beside the manifest, of a killed saving
_TRIAL = re.compile(r"\.dotbias-[a-z0-9_]{8}")  # of a check_writable that was killed
_BEGIN = re.compile(rb'\{\s*"format": \d+,\s*"dotbias": "[^"\\]*",\s*"kind": "')  # how every manifest of ours begins


def sync(folder: Path) -> None:
    """Put a folder's list of names on the disk (where the system can)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_others(folder: Path, keep: set[str]) -> None:
    """Remove blobs that the manifest in place does not name, and what broken savings left. Nothing else is touched."""
    blobs = [p for p in (folder / BLOBS).iterdir() if _OURS.fullmatch(p.name) and p.name not in keep]
    for path in (*blobs, *(p for p in folder.iterdir() if _LEFT.fullmatch(p.name))):
        with contextlib.suppress(OSError):  # a reader may hold it open (Windows): the next saving removes it
            path.unlink()


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """One saving at a time; a killed one's lock goes with it. Without effect where there is no fcntl.

    Raises:
        ModelFileError: if the lock is no plain file, or another saving does not end.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = folder / BLOBS / ".lock"
    handle = open_plain(path, write=True)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as e:
                if time.monotonic() > until:
                    what = f"another process has been saving to {folder} for {PATIENCE:g} s."
                    raise ModelFileError(what, hint="wait until it is over, or choose another folder.") from e
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


# Before a saving -----------------------------------------------------------------------------------------------


def check_writable(folder: str | Path, *, nbytes: int = 0) -> None:
    """Whether a model could be saved in ``folder``, as far as can be known now: ask before a long fit.

    Nothing is left behind: what is tried is a folder made and removed at once, beside the model's or in it.

    Args:
        folder: as for :func:`save`.
        nbytes: about how large the model will be; 0: not known.

    Raises:
        ModelFileError: if the folder is a file, holds something else, may not be written to, or has no room.
        SettingError: if it is no path.
    """
    place = as_path(folder)
    try:
        with clear_errors(place, "written"):
            refuse_others(place)
            for there in (_nearest(place), place / BLOBS):
                if there.is_dir():
                    with tempfile.TemporaryDirectory(prefix=".dotbias-", dir=there):
                        pass
            check_room(place, nbytes)
    except FileError as e:
        raise ModelFileError(f"no model can be saved there: {e.what}", hint=e.hint) from e


def check_room(folder: Path, nbytes: int) -> None:
    """Refuse a disk without room for so many bytes, as far as the system tells."""
    free = shutil.disk_usage(_nearest(folder)).free
    if nbytes > free:
        raise ModelFileError(
            f"{folder} has room for {free / 1e6:,.1f} MB; the model takes about {nbytes / 1e6:,.1f} MB.",
            hint="make room, or choose a folder on another disk.",
        )


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir():
        raise ModelFileError(f"{there} is a file, and no model can lie in it.", hint="choose another folder.")
    return there


def refuse_others(folder: Path) -> None:
    """Refuse a file, and a folder of somebody else's things; ours may be there: a model, or a killed saving's rest."""
    if folder.exists() and not folder.is_dir():
        raise ModelFileError(f"{folder} is a file; a model is a folder.", hint="choose another name.")
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    blobs = folder / BLOBS
    if BLOBS in names and not stat.S_ISDIR(blobs.lstat().st_mode):
        raise ModelFileError(f"{blobs} is no plain folder.", hint="do not trust it: choose a new folder.")
    if MANIFEST in names and is_ours(folder):
        return
    inside = [p.name for p in blobs.iterdir()] if BLOBS in names else []
    others = [n for n in names if n != BLOBS and not _LEFT.fullmatch(n) and not _TRIAL.fullmatch(n)]
    others += [f"{BLOBS}/{n}" for n in inside if n != ".lock" and not _OURS.fullmatch(n) and not _TRIAL.fullmatch(n)]
    if others:
        raise ModelFileError(
            f"{folder} holds other files and no model: {', '.join(others[:3])}.", hint="choose a new folder."
        )


def is_ours(folder: Path) -> bool:
    """Whether the folder's manifest begins as those of :func:`save` do, be it whole or not."""
    try:
        return _BEGIN.match(read_plain(folder / MANIFEST, limit=4096)) is not None
    except OSError:
        return False


# Reading -------------------------------------------------------------------------------------------------------


def read_plain(path: Path, *, limit: int) -> bytes:
    """The first ``limit`` bytes of a plain file, not through a link, without waiting.

    Raises:
        OSError: as the system says; also where it is no plain file.
    """
    with os.fdopen(open_plain(path), "rb") as f:
        return f.read(limit)


def read(folder: Path, blob: dict[str, Any]) -> bytes:
    """A blob's bytes, if they are what the manifest says."""
    path, again = folder / blob["file"], "save the model again, or restore the folder from a copy."
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ModelFileError(f"{path} is no plain file.", hint="do not trust the folder.")
        with os.fdopen(open_plain(path), "rb") as f:
            size = os.fstat(f.fileno()).st_size
            content = f.read(size) if size == blob["size"] else b""
    except FileNotFoundError as e:
        raise ModelFileError(f"{path} is missing.", hint=again) from e
    if size != blob["size"]:
        raise ModelFileError(f"{path} has {size:,} bytes, not the {blob['size']:,} saved.", hint=again)
    if hashlib.sha256(content).hexdigest() != blob["sha256"]:
        raise ModelFileError(f"{path} was altered: its hash does not fit.", hint=again)
    return content
