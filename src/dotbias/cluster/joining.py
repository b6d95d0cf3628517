"""Ray, started here or joined where it runs; and left again whatever happens."""

from __future__ import annotations

import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ..errors import SettingError, require

SECONDS = 5  # to wait for an address to answer


@contextmanager
def joined(address: str, memory: int) -> Generator[Any]:
    """The module ``ray``, joined to a cluster; afterwards left, and one that was started here is ended.

    Args:
        address: "local:N" or HOST:PORT.
        memory: bytes of a local cluster's object store.

    Raises:
        MissingExtraError: without Ray.
        SettingError: for no address, one where nobody answers, or within a program that has joined Ray already.
    """
    local = re.fullmatch(r"local:([1-9][0-9]*)", address)
    place = re.fullmatch(r"(?:ray://)?(\[.+\]|[^:/]+):([0-9]+)", address)
    if local is None and (place is None or place[1] == "local"):
        raise SettingError(f"address is {address!r}.", hint="local:2 (workers on this machine), or HOST:PORT.")
    ray: Any = require("ray", extra="cluster")
    if ray.is_initialized():
        raise SettingError("this program has joined a Ray cluster already.", hint="ray.shutdown() leaves it.")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if local is not None:
        ray.init(num_cpus=int(local[1]), include_dashboard=False, object_store_memory=memory, address="local", **quiet)
    else:
        _join(ray, address, place, quiet)  # type: ignore[arg-type]
    try:
        yield ray
    finally:
        ray.shutdown()


def _join(ray: Any, address: str, place: re.Match[str], quiet: dict[str, Any]) -> None:
    nobody = SettingError(f"there is no cluster at {address}.", hint="`ray start --head` starts one; or local:2.")
    try:  # Ray itself would try for minutes
        socket.create_connection((place[1].strip("[]"), int(place[2])), timeout=SECONDS).close()
    except (OSError, OverflowError) as e:
        raise nobody from e
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as e:
        raise nobody from e
