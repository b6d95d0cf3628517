"""The app: a model served over HTTP, with a page for people. Needs the extra ``web``; loads no torch.

``server`` makes the application, ``api`` holds its routes, ``quick`` answers short lists before them, ``guard`` says
what is refused, ``store`` keeps ratings,
``visitors`` says who is who, ``shelf`` finds items, ``views`` draws the model, ``inside`` is the lesson at play.
"""

from __future__ import annotations

from ..errors import require

for _library in ("fastapi", "uvicorn", "sqlalchemy"):
    require(_library, extra="web")

from .server import make_app, serve  # noqa: E402 - what they import is checked above
from .store import Store  # noqa: E402

__all__ = ["Store", "make_app", "serve"]
