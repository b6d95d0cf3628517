"""``dotbias doctor``: what this machine has, for a bug report and for the reader's peace of mind."""

from __future__ import annotations

import os
import platform
from importlib import import_module, metadata
from typing import Any

from .. import __version__
from ..errors import install_command
from ._options import Json
from ._show import Page

EXTRAS = {"torch": "torch", "matplotlib": "plot", "seaborn": "plot", "xlsxwriter": "xlsx", "fastapi": "web"}
BASE = ("numpy", "polars", "numba", "scipy", "safetensors")


def doctor(json: Json = False) -> None:
    """What is installed, what is missing and which extra brings it, where data and caches lie.

    [bold]Example:[/] dotbias doctor
    """
    from .. import datasets

    found = {
        "dotbias": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **{name: _version(name) for name in (*BASE, *EXTRAS)},
        "cuda": _cuda(),
        "data folder": os.environ.get("DOTBIAS_DATA"),
        "cache": str(datasets.cache_folder()),
        "data here": [row.entry.name for row in datasets.catalogue() if row.folder is not None],
    }
    if json:
        Page().json(found)
        return
    Page().table(["", ""], [(name, _words(name, value)) for name, value in found.items()])


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cuda() -> str | None:
    """The CUDA devices that torch sees, or None; torch is loaded only where it is installed."""
    if _version("torch") is None:
        return None
    try:
        torch = import_module("torch")
    except ImportError:
        return None
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _words(name: str, value: Any) -> str:
    if value is None and name in EXTRAS:
        return f"not installed; {install_command(EXTRAS[name])}"
    if value is None:
        return {"cuda": "none: the CPU is used", "data folder": "DOTBIAS_DATA is not set"}.get(name, "not installed")
    return ", ".join(value) or "none yet: dotbias data list" if isinstance(value, list) else str(value)
