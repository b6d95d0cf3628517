"""Files that fsspec opens (``s3://``, ``gs://``, ``memory://`` …), where a folder of parts is none of this machine.

Who may read them, and from which endpoint, fsspec takes from its own configuration and the environment, on every
worker. ``file://`` is a local folder under another name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ..errors import FileError, SettingError, require
from ..files import as_path

URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)


class Remote(NamedTuple):
    """A file, or a folder, that fsspec opens.

    Attributes:
        url: with its protocol.
    """

    url: str

    @property
    def name(self) -> str:
        """The last part of it."""
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.url.rstrip('/')}/{name}")


Place: TypeAlias = Path | Remote


def as_place(place: object) -> Place:
    """A path of this machine, or what fsspec opens.

    Raises:
        SettingError: if it is neither.
    """
    url = URL.fullmatch(place) if isinstance(place, str) else None
    if url is None:
        return place if isinstance(place, Remote) else as_path(place)
    return Path(url[2]) if url[1].lower() == "file" else Remote(str(place))


def file_system(place: Remote) -> tuple[Any, str]:
    """What opens it, and the path within that.

    Raises:
        MissingExtraError: without fsspec.
        SettingError: for a protocol that it does not know, or whose package is not installed.
    """
    fsspec: Any = require("fsspec", extra="cluster")
    try:
        return fsspec.core.url_to_fs(place.url)
    except (ValueError, ImportError) as e:
        hint = "s3:// needs the package s3fs, gs:// gcsfs, abfs:// adlfs: here, and on every worker."
        raise SettingError(f"{place.url} cannot be opened: {e}.", hint=hint) from e


def listed(folder: Remote) -> list[Remote]:
    """The files in a folder, in the order of their names; none where there is no such folder.

    Raises:
        FileError: where the store refuses, or does not answer.
    """
    system, path = file_system(folder)
    try:
        names = [n for n in system.ls(path, detail=False) if n.strip("/") != path.strip("/")]
    except FileNotFoundError:
        return []
    except Exception as e:  # a store's own errors are of no common class
        raise _refused(folder, "listed", e) from e
    return [folder / name for name in sorted(n.rstrip("/").rsplit("/", 1)[-1] for n in names)]


def fetch(file: Remote) -> bytes:
    """The content of a file.

    Raises:
        FileError: where it is not there, or cannot be read.
    """
    system, path = file_system(file)
    try:
        return system.cat_file(path)
    except FileNotFoundError as e:
        raise FileError(f"{file} is not there.", hint="has somebody removed it?") from e
    except Exception as e:
        raise _refused(file, "read", e) from e


def send(file: Remote, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        FileError: where it cannot be written.
    """
    system, path = file_system(file)
    try:
        system.pipe_file(path, content)
    except Exception as e:
        raise _refused(file, "written", e) from e


def _refused(place: Remote, doing: str, cause: Exception) -> FileError:
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return FileError(f"{place} cannot be {doing}: {first}.", hint="are its address and your credentials right?")
