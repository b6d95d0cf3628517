"""Data sets brought here: from a folder, from the cache, or from the publisher, checked before anything sees them.

A download goes to ``NAME.zip.part`` and is resumed if it breaks; it is checked against its MD5, unpacked beside the
cache and moved there in one step, so that the cache never holds half a data set. Nothing is ever asked on stdin.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from ..errors import DownloadError, FileError
from ..files import as_path, clear_errors
from .entries import Entry, cache_folder, entry, ratings_file, where

Progress = Callable[[int, int | None], None]  # (bytes so far, bytes in all or None)
BLOCK = 1 << 18
TIMEOUT = 30  # seconds without a byte
LIMIT = 4 << 30  # bytes unpacked: the largest set here has 1.3 GB


def find(
    name: str,
    *,
    folder: str | Path | None = None,
    offline: bool = False,
    progress: bool | Progress | None = None,
) -> Path:
    """The folder of a data set: a local one first, then the cache, then a download into the cache.

    Args:
        name: in the catalogue.
        folder: look here, and nowhere else.
        offline: never download. The environment variable DOTBIAS_OFFLINE=1 says the same for all.
        progress: True draws a bar on stderr, None only where that is a terminal; or a function of
            (bytes so far, bytes in all).

    Raises:
        DataError: for a name that is not in the catalogue.
        DownloadError: if it is not here and cannot be had; the message says what to do.
    """
    here = where(name, folder=folder)
    if here is not None:
        return here
    if folder is not None:
        raise DownloadError(f"{folder} holds no {name}.", hint="it should hold ratings.csv, u.data or ratings.dat.")
    known = entry(name)
    if known.url is None or offline or os.environ.get("DOTBIAS_OFFLINE", "0") not in ("", "0"):
        why = "not here, and cannot be fetched" if known.url is None else "not on this machine, and downloads are off"
        raise DownloadError(f"{name} is {why}.", hint=_by_hand(known))
    return fetch(name, progress=progress)


def _by_hand(known: Entry) -> str:
    place = f"put its folder at $DOTBIAS_DATA/{known.name} or {cache_folder() / known.name}"
    return f"{place}; it is at {known.url}." if known.url else f"{place}; {known.source}."


def fetch(name: str, *, progress: bool | Progress | None = None) -> Path:
    """Download a data set into the cache, whether or not a folder of yours holds it -> its folder.

    Raises:
        DownloadError: if every address fails, naming each and its reason.
    """
    known, cache = entry(name), cache_folder()
    if ratings_file(cache / name) is not None:
        return cache / name
    if known.url is None:
        raise DownloadError(f"{name} cannot be fetched.", hint=_by_hand(known))
    with _no_system_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in (known.url, *known.mirrors):
        try:
            archive = download(url, cache / f"{name}.zip", md5=known.md5, progress=progress)
            return _unpack(archive, cache / name)
        except DownloadError as e:
            failures.append(e.what)
    raise DownloadError("\n".join(failures), hint=f"try again later (it resumes), or {_by_hand(known)}")


def download(url: str, path: Path, *, md5: str | None = None, progress: bool | Progress | None = None) -> Path:
    """One file to ``path``, resumed from ``path.part`` where its hash is known, checked, moved in one step.

    Args:
        url: http or https.
        path: where to put it.
        md5: in hex; without it, the one published at ``url.md5`` counts, if there is one.
        progress: as in :func:`find`.

    Raises:
        DownloadError: if the server fails, the file is short, or its MD5 is another.
    """
    path = as_path(path)
    with _no_system_errors(path):
        return _download(url, path, md5, progress)


@contextmanager
def _no_system_errors(path: Path) -> Generator[None]:
    """What the disk refuses (no leave, no room) is a DownloadError that says so."""
    try:
        with clear_errors(path, "written"):
            yield
    except FileError as e:
        hint = f"{e.hint or ''} DOTBIAS_CACHE names another folder for downloads.".strip()
        raise DownloadError(e.what, hint=hint) from e


def _download(url: str, path: Path, md5: str | None, progress: bool | Progress | None) -> Path:
    part = path.with_name(path.name + ".part")
    md5 = md5 or _published_md5(url)
    if md5 is None:
        part.unlink(missing_ok=True)  # nothing would tell whether the rest belongs to it
    resumed = part.exists() and part.stat().st_size > 0
    with _bar(progress, path.name) as advance:
        _receive(url, part, advance)
    found = _md5(part)
    if md5 is not None and found != md5:
        part.unlink()
        if resumed:  # the beginning was of another file
            return _download(url, path, md5, progress)
        raise DownloadError(f"{url}: its MD5 is {found}, not {md5}; it was thrown away.", hint="try again later.")
    return part.replace(path)


def _published_md5(url: str) -> str | None:
    """The MD5 beside a file, as ``md5sum`` or ``MD5 (x) =`` writes it, or None."""
    try:
        with _open(f"{url}.md5", 0) as response:
            found = re.search(r"\b[0-9a-f]{32}\b", response.read(4096).decode("ascii", "replace").lower())
    except (OSError, HTTPException, ValueError):
        return None
    return found.group() if found else None


def _receive(url: str, part: Path, advance: Progress) -> None:
    """Append to ``part`` what is missing of ``url``."""
    have = part.stat().st_size if part.exists() else 0
    try:
        with _open(url, have) as response:
            have = have if response.status == 206 else 0  # 200: the server sends all of it
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            with _no_system_errors(part):
                f = part.open("ab" if have else "wb")
            with f:
                advance(have, total)
                while block := response.read(BLOCK):
                    with _no_system_errors(part):
                        f.write(block)
                    have += len(block)
                    advance(have, total)
    except urllib.error.HTTPError as e:
        if e.code == 416:  # nothing is missing; the hash will tell
            return
        raise DownloadError(f"{url}: the server answers {e.code} {e.reason}.") from e
    except DownloadError:
        raise
    except (OSError, HTTPException, ValueError) as e:
        raise DownloadError(f"{url}: {getattr(e, 'reason', None) or e or type(e).__name__}.") from e
    if total is not None and have != total:
        raise DownloadError(f"{url}: the connection broke after {have:,} of {total:,} bytes.", hint="it resumes.")


def _open(url: str, start: int):
    request = urllib.request.Request(url, headers={"User-Agent": "dotbias"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    return urllib.request.urlopen(request, timeout=TIMEOUT, context=_certificates())


def _certificates() -> ssl.SSLContext:
    """The system's certificates, and certifi's where it is installed (some Pythons find no system ones)."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ModuleNotFoundError:
        return context
    context.load_verify_locations(certifi.where())
    return context


def _md5(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(archive: Path, folder: Path) -> Path:
    """The zip's files (its one top folder taken off) at ``folder``, in one step; the zip is removed.

    Raises:
        DownloadError: for a zip that is cut or damaged, a path that leads out of the folder, or no ratings in it.
    """
    with _no_system_errors(folder):
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as z:
            _check_members(z, archive)
            z.extractall(temporary)
        inner = [p for p in (temporary, *sorted(temporary.iterdir())) if p.is_dir() and ratings_file(p)]
        if not inner:
            raise DownloadError(f"{archive.name} holds no ratings.csv, u.data or ratings.dat.")
        _move(inner[0], folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as e:
        if isinstance(e, DownloadError):
            raise
        raise DownloadError(f"{archive.name} cannot be unpacked: {e}") from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        archive.unlink(missing_ok=True)
    return folder


def _check_members(z: zipfile.ZipFile, archive: Path) -> None:
    for member in z.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise DownloadError(f"{archive.name} holds the path {member.filename!r}, which leads out of its folder.")
    if sum(member.file_size for member in z.infolist()) > LIMIT:
        raise DownloadError(f"{archive.name} unpacks to more than {LIMIT >> 30} GiB.")


def _move(source: Path, folder: Path) -> None:
    """Put a folder in its place; another process may have been first."""
    if folder.is_dir() and ratings_file(folder) is None:
        shutil.rmtree(folder)
    try:
        source.rename(folder)
    except OSError:
        if ratings_file(folder) is None:
            raise
    folder.chmod(0o755)


@contextmanager
def _bar(progress: bool | Progress | None, name: str) -> Iterator[Progress]:
    """The function to call as bytes come in."""
    if callable(progress):
        yield progress
    elif progress or (progress is None and sys.stderr.isatty()):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield lambda done, total: None
