"""Ray, started here or joined where it runs; and left again whatever happens."""

from __future__ import annotations

import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ..errors import ClusterError, SettingError, require
from .shards import RETRIES, explained

SECONDS = 5  # to wait for an address to answer
JOINED = "joined"
QUIET = {"log_to_driver": False, "logging_level": "ERROR"}


@contextmanager
def joined(address: str, memory: int) -> Generator[Any]:
    """The module ``ray``, joined to a cluster; afterwards left, and one that was started here is ended.

    Args:
        address: "local:N", HOST:PORT, ray://HOST:PORT, or "joined": what this program has joined by ``ray.init()``,
            which is not left again.
        memory: bytes of a local cluster's object store.

    Raises:
        MissingExtraError: without Ray.
        SettingError: for no address, one where nobody answers, "joined" where nothing was joined, or another address
            where something was.
        ClusterError: if a local cluster does not start, or workers have another dotbias.
    """
    local = re.fullmatch(r"local:([1-9][0-9]*)", address)
    place = re.fullmatch(r"(?:ray://)?(\[.+\]|[^:/]+):([0-9]+)", address)
    if address != JOINED and local is None and (place is None or place[1] == "local"):
        raise SettingError(f"address is {address!r}.", hint="local:2 (workers on this machine), or HOST:PORT.")
    ray: Any = require("ray", extra="cluster")
    if (address == JOINED) != ray.is_initialized():
        _refuse(ray.is_initialized())
    try:
        if local is not None:
            _start(ray, int(local[1]), memory)
        elif place is not None:
            _join(ray, address, place)
        if local is None:
            check_workers(ray)
        yield ray
    finally:
        if address != JOINED:
            ray.shutdown()


def _refuse(has_joined: bool) -> None:
    if has_joined:
        what = "this program has joined a Ray cluster already."
        raise SettingError(what, hint="address='joined' uses it; ray.shutdown() leaves it.")
    raise SettingError("this program has joined no Ray cluster.", hint="ray.init(…) joins one; or local:2.")


def _start(ray: Any, n: int, memory: int) -> None:
    try:
        ray.init(num_cpus=n, include_dashboard=False, object_store_memory=memory, address="local", **QUIET)
    except Exception as e:  # Ray raises no class of its own
        first = (str(e).splitlines() or [type(e).__name__])[0]
        raise ClusterError(
            f"Ray did not start on this machine: {first}", hint="is there memory, and room in /tmp?"
        ) from e


def _join(ray: Any, address: str, place: re.Match[str]) -> None:
    nobody = SettingError(
        f"there is no cluster at {address}.",
        hint="`ray start --head` starts one; RAY_AUTH_MODE and RAY_AUTH_TOKEN must be alike on both; or local:2.",
    )
    try:  # Ray itself would try for minutes
        socket.create_connection((place[1].strip("[]"), int(place[2])), timeout=SECONDS).close()
    except (OSError, OverflowError) as e:
        raise nobody from e
    try:
        ray.init(address=address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as e:
        raise nobody from e


def check_workers(ray: Any) -> None:
    """Refuse a cluster one of whose machines has no dotbias, or another version of it.

    Raises:
        ClusterError: naming the machine.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    def found() -> str | None:  # made here, so that it is sent whole: a worker without dotbias can run it
        import importlib

        try:
            return importlib.import_module("dotbias").__version__
        except ImportError:
            return None

    nodes = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
    if not nodes:
        raise ClusterError("the cluster has no worker.", hint="`ray start --address HOST:PORT` on a machine adds it.")
    ask = ray.remote(num_cpus=0, max_retries=RETRIES)(found)
    asked = [ask.options(scheduling_strategy=On(n["NodeID"], soft=False)).remote() for n in nodes]
    try:
        answers = ray.get(asked)
    except ray.exceptions.RayError as e:
        raise explained(ray, e) from e
    for node, theirs in zip(nodes, answers, strict=True):
        check_version(node["NodeManagerAddress"], theirs)


def check_version(worker: str, theirs: str | None) -> None:
    """Refuse a worker whose dotbias is not ours; None: it has none.

    Raises:
        ClusterError: naming it.
    """
    from .. import __version__ as ours

    if theirs != ours:
        what = f"the worker {worker} has {f'dotbias {theirs}' if theirs else 'no dotbias'}; this program has {ours}."
        raise ClusterError(what, hint=f"pip install 'dotbias[cluster]=={ours}' there.")
