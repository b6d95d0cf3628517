"""Where results go: looked at before the work begins, written whole or not at all, never lost for want of a place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DotbiasError, FileError, ModelFileError

if TYPE_CHECKING:
    from ..recommender import Recommender


def check_model(folder: Path, *, nbytes: int = 0) -> None:
    """Whether a model could be saved there: asked before a fit.

    Args:
        folder: a new or an empty one, or one that holds a model.
        nbytes: about how large the model will be.

    Raises:
        ModelFileError: if the folder is a file, holds something else, may not be written to, or has no room.
    """
    from ..storage import disk

    disk.check_writable(folder)
    with writing(folder):
        check_folder(folder)
        check_room(folder, nbytes)


def check_folder(folder: Path) -> None:
    """Whether files could be written into a folder, which need not be there yet.

    Raises:
        FileError: if it is a file, or may not be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file, not a folder.", hint="choose another name.")
    _try_to_write(folder)


def check_file(path: Path) -> None:
    """Whether a file could be written, which need not be there yet.

    Raises:
        FileError: if it is a folder, or may not be written to.
    """
    if path.is_dir():
        raise FileError(f"{path} is a folder.", hint=f"name a file in it: {path / 'name'}.")
    _try_to_write(path.parent)


def _try_to_write(folder: Path) -> None:
    """Make a temporary folder where ``folder`` is, or will be, and remove it."""
    with writing(folder):
        there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        with tempfile.TemporaryDirectory(prefix=".dotbias-", dir=there):
            pass


def check_room(folder: Path, nbytes: int) -> None:
    """Whether the disk under a folder has room.

    Raises:
        FileError: if it has not.
    """
    import shutil

    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    if nbytes > free:
        what = f"{folder} has room for {free / 1e6:,.1f} MB, and about {nbytes / 1e6:,.1f} MB are needed."
        raise FileError(what, hint="make room, or choose a folder on another disk.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """System errors within become clear ones.

    Raises:
        FileError: "PATH cannot be written: reason".
    """
    try:
        yield
    except DotbiasError:
        raise
    except OSError as e:
        hint = "choose another place, or make room." if e.errno in _PLACE else None
        raise FileError(f"{path} cannot be written: {e.strerror or e}.", hint=hint) from e


_PLACE = (13, 1, 28, 30, 122)  # not allowed, no room, read only, over quota


def write(path: Path, content: bytes) -> None:
    """A whole file in place of what was there, or a clear error.

    Raises:
        FileError: if it cannot be written; what was there is still there.
    """
    from .. import files

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, content)


def save(door: Recommender, folder: Path) -> Path:
    """Save a model; if that fails now, after the fit, keep it in a temporary folder and say where.

    Raises:
        ModelFileError: naming the folder that holds the fit.
    """
    try:
        return door.save(folder)
    except OSError as e:  # ModelFileError and FileError, too
        what = e.what if isinstance(e, DotbiasError) else f"{folder} cannot be written: {e}."
        kept = _rescue(door)
        lost = "there was no room for it in the folder of temporary files either: the fit is lost."
        raise ModelFileError(what, hint=f"the fit is kept in {kept}: move that folder." if kept else lost) from e


def _rescue(door: Recommender) -> Path | None:
    """The model in a folder of its own among the temporary files, or None where that fails too."""
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="dotbias-"))
        return door.save(folder)
    except OSError:
        with suppress(OSError):
            if folder is not None:
                folder.rmdir()
        return None
