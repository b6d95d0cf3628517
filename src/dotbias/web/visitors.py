"""Who is who: a visitor by a signed cookie, a program by a bearer token.

The cookie holds a number drawn at random and its signature (HMAC-SHA256); the server keeps nothing but the key. The
number is whole, so that the ratings of visitors join those of a train whose users are numbers.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Headers

COOKIE = "dotbias_visitor"
MAX_AGE = 365 * 24 * 3600  # seconds
FIRST = 2**52  # numbers of visitors are from here to 2^53, the last that JavaScript holds exactly


def new_visitor() -> str:
    """A number nobody has, as text."""
    return str(FIRST + secrets.randbelow(FIRST))


def signed(visitor: str, key: bytes) -> str:
    """The cookie's value."""
    return f"{visitor}.{_signature(visitor, key)}"


def read_cookie(value: str | None, key: bytes) -> str | None:
    """The visitor that a cookie names, or None where it is missing, altered or of another key."""
    visitor, _, signature = (value or "").partition(".")
    if not visitor.isascii() or not visitor.isdecimal() or not signature.isascii():
        return None
    return visitor if hmac.compare_digest(signature, _signature(visitor, key)) else None


def has_token(headers: Headers, token: str | None) -> bool:
    """Whether the request carries the token for programs."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if token is None or kind.casefold() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), token.encode())


def _signature(visitor: str, key: bytes) -> str:
    return hmac.new(key, visitor.encode(), hashlib.sha256).hexdigest()
