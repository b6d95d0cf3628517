"""Every touch of the disk: whole files in place in one step, and nothing read before its hash agrees."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ModelFileError
from .manifest import BLOBS, MANIFEST

_BLOB_NAME = re.compile(r"[0-9a-f]{64}\.(safetensors|parquet)")


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
    for path in (*(folder / BLOBS).iterdir(), *folder.glob(f".{MANIFEST}.*.tmp")):
        if path.name not in keep and (_BLOB_NAME.fullmatch(path.name) or path.name.endswith(".tmp")):
            with contextlib.suppress(OSError):  # a reader may hold it open (Windows): the next saving removes it
                path.unlink()


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """One saving at a time; a killed one's lock goes with it. Without effect where there is no fcntl."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / BLOBS / ".lock").open("wb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def check_writable(folder: Path) -> None:
    """Refuse a folder of somebody else's things."""
    if folder.exists() and not folder.is_dir():
        raise ModelFileError(f"{folder} is a file; a model is a folder.", hint="choose another name.")
    names = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
    if all(name == BLOBS or name.endswith(".tmp") for name in names):  # empty, or a first saving was killed
        return
    if MANIFEST not in names or b'"dotbias"' not in (folder / MANIFEST).read_bytes()[:4096]:
        raise ModelFileError(
            f"{folder} holds other files and no model: {', '.join(sorted(names)[:3])}.", hint="choose a new folder."
        )


def read(folder: Path, blob: dict[str, Any]) -> bytes:
    """A blob's bytes, if they are what the manifest says."""
    path, again = folder / blob["file"], "save the model again, or restore the folder from a copy."
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise ModelFileError(f"{path} is no plain file.", hint="do not trust the folder.")
        content = path.read_bytes() if found.st_size == blob["size"] else b""
    except FileNotFoundError as e:
        raise ModelFileError(f"{path} is missing.", hint=again) from e
    if found.st_size != blob["size"]:
        raise ModelFileError(f"{path} has {found.st_size:,} bytes, not the {blob['size']:,} saved.", hint=again)
    if hashlib.sha256(content).hexdigest() != blob["sha256"]:
        raise ModelFileError(f"{path} was altered: its hash does not fit.", hint=again)
    return content
