"""Short lists, answered before FastAPI: its layers take longer than such a list does.

What is taken here is a good request for a list that waits for nothing (``api.is_quick``). Everything else, errors and
all, goes on to FastAPI with its body, so that there is one place that says what is wrong; the answer is made by the
same function, and is the same to the byte.
"""

from __future__ import annotations

import json

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import DotbiasError
from . import api, shapes
from .guard import again
from .service import Caller, Service

PATH = api.router.prefix + "/recommend"
ANYBODY = Caller(None, trusted=False)


class Quick:
    """A layer around the routes.

    Args:
        app: what is below.
        service: what the routes share.
    """

    def __init__(self, app: ASGIApp, service: Service):
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        message = await receive()
        answer = None if _is_partial(message) else self._answer(Headers(scope=scope), message["body"])
        if answer is None:
            await self.app(scope, again(message, receive), send)
            return
        await Response(answer, media_type="application/json")(scope, receive, send)

    def _answer(self, headers: Headers, body: bytes) -> str | None:
        """The list as JSON, or None where it is FastAPI's to answer."""
        if headers.get("content-type") != "application/json" or "authorization" in headers:
            return None
        served = self.service.served
        try:
            asked = shapes.RecommendAsked.model_validate(json.loads(body))
            if not api.is_quick(served, asked, ANYBODY):
                return None
            return api.list_of(self.service, served, asked, ANYBODY).model_dump_json()
        except (DotbiasError, ValidationError, ValueError, RecursionError):  # said by FastAPI, in one shape
            return None


def _is_partial(message: Message) -> bool:
    """Whether there is more to come: the guard reads bodies whole, so never behind it."""
    return message["type"] != "http.request" or message.get("more_body", False)
