"""``dotbias serve``: a model over HTTP, and the page for people."""

from __future__ import annotations

import os
import socket
from threading import Thread
from typing import Annotated

import typer

from ..errors import FileError, SettingError
from ._options import Json, Model
from ._show import Page

TOKEN = "DOTBIAS_TOKEN"
LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    model: Model,
    host: Annotated[str, typer.Option("--host", help="The address to listen at; 0.0.0.0: from everywhere.")] = LOCAL[0],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8000,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", help="Where ratings are kept: sqlite:///FILE or postgresql://…; none; else MODEL.ratings.db."
        ),
    ] = None,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="A host name under which it is reached; repeatable.")
    ] = None,
    proxied: Annotated[
        bool, typer.Option("--proxied", help="Behind a proxy on this machine, which is believed.")
    ] = False,
    refit_hours: Annotated[
        float | None, typer.Option("--refit-every", min=0.0, help="Hours between refits on what was stored; else none.")
    ] = None,
    json: Json = False,
) -> None:
    """Serve a saved model: the page for people, and the API for programs (its description: /docs).

    It listens on this machine alone unless --host says otherwise. Programs write with a bearer token, which the server
    reads from the variable DOTBIAS_TOKEN; visitors of the page write their own ratings only.

    A model that is saved into the folder meanwhile, by fit or refit, takes the place of the first without a pause.

    [bold]Example:[/] dotbias serve model --port 8080
    """
    from ..recommender import Recommender
    from ..web import Store, make_app, refits
    from ..web import serve as run
    from ..web.guard import LOCAL as LOCAL_NAMES
    from ..web.warm import warm

    url = f"sqlite:///{model.rstrip('/')}.ratings.db" if store is None else store
    door = Recommender.load(model)
    kept = None if url == "none" else Store(url)
    allowed = [*(names or []), *LOCAL_NAMES] if names or host in LOCAL else []
    with _listening(host, port) as listener:
        app = make_app(door, store=kept, token=_token(), names=allowed)
        refits.watch(app.state.service, model)
        Thread(target=warm, args=(app.state.service.served,), name="dotbias warm", daemon=True).start()
        if kept is not None and refit_hours is not None:
            refits.refit_every(kept, model, 3600 * refit_hours)
        address = f"http://{_shown(host)}:{listener.getsockname()[1]}"
        if json:
            Page().json({"address": address, "store": None if kept is None else kept.kind})
        else:
            Page().say(f"dotbias: {address}\nthe API: {address}/docs; Ctrl-C ends it.", wrap=False)
        run(app, listener, proxied=proxied)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens, so that the address that is shown is there.

    Raises:
        FileError: where the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio waits: Nagle
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as e:
        listener.close()
        what = f"cannot listen at {host}, port {port}: {e.strerror or e}."
        raise FileError(what, hint="another --port; 0 takes any that is free.") from e
    return listener


def _token() -> str | None:
    """The token for programs, at least 16 characters."""
    token = os.environ.get(TOKEN)
    if token is not None and len(token) < 16:
        raise SettingError(f"{TOKEN} has {len(token)} characters.", hint="16 or more: openssl rand -hex 32.")
    return token


def _shown(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
