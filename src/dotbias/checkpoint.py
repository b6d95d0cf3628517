"""A fit on disk, to go on from later: one safetensors file, replaced in one step, that knows which fit it is of.

What the arrays mean is known to the fit alone. The description is what makes two fits one and the same (ratings,
settings, key of the random numbers), as JSON values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from .errors import ModelFileError, SettingError
from .files import clear_errors, write
from .rng import Rng
from .rng import key as draw_key

T = TypeVar("T")
Framework = Literal["numpy", "torch"]


def save(
    path: Path, arrays: Mapping[str, Any], fit: dict[str, Any], log: dict[str, Any], *, framework: Framework = "numpy"
) -> None:
    """Write arrays (or torch tensors) by name, the fit's description, and ``log``: anything else, of JSON values."""
    pack = import_module(f"safetensors.{framework}").save
    if framework == "numpy":
        arrays = {name: np.array(a, order="C") for name, a in arrays.items()}
    with clear_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(path, pack(arrays, {"log": json.dumps({"fit": fit, **log})}))


def load(path: Path, fit: dict[str, Any], *, framework: Framework = "numpy") -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays by name, log) that :func:`save` wrote of this very fit.

    Raises:
        ModelFileError: if the file is no checkpoint.
        SettingError: if it is of another fit; what differs is named.
        FileError: if the system does not let us read it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with clear_errors(path, "read"), safe_open(path, framework) as f:
            log = json.loads((f.metadata() or {})["log"])
            arrays = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
        saved = log.pop("fit")
    except (SafetensorError, KeyError, ValueError) as e:
        raise ModelFileError(f"{path} is no checkpoint: {e}", hint="delete it to start afresh.") from e
    mine = json.loads(json.dumps(fit))
    if mine != saved:
        other = ", ".join(f"{k}: {saved.get(k)} there, {mine[k]} here" for k in mine if mine[k] != saved.get(k))
        raise SettingError(f"{path} is of another fit ({other}).", hint="give the same settings and rng, or delete it.")
    return arrays, log


def key_of(rng: Rng, path: Path | None) -> int:
    """The key of a fit's random numbers: with no rng given and a checkpoint there, the one it was begun with."""
    if rng is None and path is not None and path.exists():
        from safetensors import SafetensorError, safe_open

        try:
            with clear_errors(path, "read"), safe_open(path, "numpy") as f:
                return int(json.loads((f.metadata() or {})["log"])["fit"]["key"])
        except (SafetensorError, KeyError, ValueError):
            pass  # load will say what is wrong with it
    return draw_key(rng)


def under(prefix: str, named: Mapping[str, T]) -> dict[str, T]:
    """What is named PREFIX…, by the rest of its name."""
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
