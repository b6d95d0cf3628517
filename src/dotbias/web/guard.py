"""What is refused before any route runs, and what every answer carries.

Refused: a body of more than 1 MB; a host name that is not this server's (DNS rebinding); a write that another site
sends through a visitor's browser (Fetch Metadata, else Origin). Carried: a content security policy without inline
script or style, ``nosniff``, no frames. Plain ASGI, so that answers may be streamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .refusals import refusal

LIMIT = 1_000_000  # bytes of a body
LOCAL = ("localhost", "127.0.0.1", "[::1]")
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """The outermost layer.

    Args:
        app: what is guarded.
        names: host names under which it is reached; empty: any.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str] = ()):
        self.app, self.names = app, {name.casefold() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def carry(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        wrong = self._wrong(scope["method"], headers)
        body = b"" if wrong else await _body(receive, headers)
        if body is None:
            wrong = 413, f"the body is larger than {LIMIT:,} bytes.", "send less at a time."
        if wrong:
            await refusal(*wrong)(scope, receive, carry)
            return
        whole = {"type": "http.request", "body": body or b"", "more_body": False}
        await self.app(scope, again(whole, receive), carry)

    def _wrong(self, method: str, headers: Headers) -> tuple[int, str, str] | None:
        """(status, what, hint) of a request that is refused by its head."""
        host = headers.get("host", "")
        if self.names and _name(host) not in self.names:
            return 421, f"this server is not called {_name(host)[:100]!r}.", "dotbias serve --name NAME adds a name."
        if method not in SAFE and _is_foreign(headers, host):
            return 403, "another site sent this.", "write from the app's own page, or from a program."
        return None


def _name(host: str) -> str:
    """A host without its port."""
    name, colon, port = host.casefold().rpartition(":")
    return name if colon and port.isdecimal() else host.casefold()


def _is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser sent this for another site. Programs send neither header."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and urlsplit(origin).netloc.casefold() != host.casefold()


async def _body(receive: Receive, headers: Headers) -> bytes | None:
    """The whole body, or None where it is too large."""
    declared = headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > LIMIT:
        return None
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > LIMIT:
            return None
    return b"".join(parts)


def again(message: Message, receive: Receive) -> Receive:
    """A message once more, for the app; then what comes after it."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return once
