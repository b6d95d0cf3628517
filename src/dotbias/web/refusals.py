"""Errors as answers, all of one shape: ``{"error": {"what": …, "hint": …}}``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..errors import DataError, DotbiasError, FileError, SettingError, UnknownIdError

STATUS = ((UnknownIdError, 404), (SettingError, 422), (DataError, 422), (FileError, 503))
HINTS = {404: "the API's own page, /docs, lists what there is.", 405: "the API's own page, /docs, says which method."}
log = logging.getLogger("dotbias.web")


class RefusedError(DotbiasError):
    """A request that is refused for what it asks.

    Args:
        status: of HTTP.
        what: what is wrong.
        hint: the likely fix.
    """

    def __init__(self, status: int, what: str, *, hint: str | None = None):
        super().__init__(what, hint=hint)
        self.status = status


def refusal(status: int, what: str, hint: str | None = None, headers: Any = None) -> JSONResponse:
    """The answer that says what is wrong."""
    return JSONResponse({"error": {"what": what, "hint": hint}}, status, headers=headers)


def install(app: FastAPI) -> None:
    """Let every error of the app be answered so."""
    app.add_exception_handler(DotbiasError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


async def _ours(request: Request, error: Any) -> JSONResponse:
    own = error.status if isinstance(error, RefusedError) else 500
    status = next((code for kind, code in STATUS if isinstance(error, kind)), own)
    return refusal(status, error.what, error.hint_as(lambda name, value: f'"{name}": {value}' if value else name))


async def _invalid(request: Request, error: Any) -> JSONResponse:
    """What pydantic found, the first of it; never the input itself, which may be anything."""
    found: Sequence[dict[str, Any]] = error.errors()
    where = ".".join(str(part)[:50] for part in found[0]["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return refusal(422, f"{where}: {found[0]['msg']}{more}.", "the API's own page, /docs, shows the shape.")


async def _http(request: Request, error: Any) -> JSONResponse:
    return refusal(error.status_code, f"{error.detail}.", HINTS.get(error.status_code), error.headers)


async def _fault(request: Request, error: Any) -> JSONResponse:
    log.error("a fault in %s %s", request.method, request.url.path, exc_info=error)
    return refusal(500, "this is a fault of the server, not yours.", "its log says more.")
