"""The application: routes, guard, pages; and the process that serves it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.types import ASGIApp

from ..recommender import Recommender
from . import api, guard, inside, me, pages, quick, refusals, views
from .service import Service
from .store import Store


def make_app(
    model: Recommender, *, store: Store | None = None, token: str | None = None, names: Sequence[str] = ()
) -> FastAPI:
    """The application, for any ASGI server.

    Args:
        model: what is served.
        store: where ratings are kept; None: none are.
        token: what programs write with; None: they cannot.
        names: host names under which it is reached; empty: any.
    """
    from .. import __version__

    app = FastAPI(
        title="dotbias",
        version=__version__,
        summary="Predictions, recommendations and their reasons.",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.service = Service(model, store, token=token)
    for routes in (api, me, views, inside, pages):
        app.include_router(routes.router)
    refusals.install(app)
    app.add_middleware(quick.Quick, service=app.state.service)
    app.add_middleware(guard.Guard, names=names)  # around it
    return app


def serve(app: ASGIApp, listener: socket.socket, *, proxied: bool = False) -> None:
    """Serve until a signal ends it; requests under way are answered first.

    Args:
        app: of :func:`make_app`.
        listener: a bound socket.
        proxied: believe X-Forwarded-Proto and -For of a proxy on this machine.
    """
    import uvicorn
    from threadpoolctl import threadpool_limits

    more = {"server_header": False, "timeout_keep_alive": 30, "timeout_graceful_shutdown": 10}
    config = uvicorn.Config(app, log_level="warning", proxy_headers=proxied, **more)  # type: ignore[arg-type]
    with threadpool_limits(1, "blas"):  # matrices are small, and requests many
        uvicorn.Server(config).run(sockets=[listener])
