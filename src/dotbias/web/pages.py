"""The page, its scripts and styles: read once, from this package's folder ``page``, and from nowhere else."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from .refusals import RefusedError

FOLDER = Path(__file__).parent / "page"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
router = APIRouter(include_in_schema=False)


class File(NamedTuple):
    """A file of the page."""

    content: bytes
    kind: str
    tag: str


@cache
def files() -> dict[str, File]:
    """Name -> file, all of them."""
    return {path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in KINDS}


@router.get("/")
def index(request: Request) -> Response:
    """The page."""
    return _answer(request, "index.html")


@router.get("/docs")
def docs(request: Request) -> Response:
    """What the API offers, from its OpenAPI description."""
    return _answer(request, "docs.html")


@router.get("/favicon.ico")
def icon(request: Request) -> Response:
    """The page's mark."""
    return _answer(request, "mark.svg")


@router.get("/page/{name}")
def file(request: Request, name: str) -> Response:
    """A script or a style."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    found = files().get(name)
    if found is None:
        raise RefusedError(404, "there is no such page.", hint="begin at /.")
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=f"{found.kind}; charset=utf-8", headers=headers)


def _read(path: Path) -> File:
    content = path.read_bytes()
    return File(content, KINDS[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:20]}"')
