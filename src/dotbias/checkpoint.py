"""A fit on disk, to go on from later: one safetensors file, replaced in one step, that knows which fit it is of.

What the arrays mean is known to the fit alone. The description is what makes two fits one and the same (ratings,
settings, key of the random numbers), as JSON values. A SHA-256 of all arrays and of what is written beside them stands
in the file's header, so that a damaged file is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from .errors import FileError, ModelFileError, SettingError
from .files import clear_errors, write
from .rng import Rng
from .rng import key as draw_key

T = TypeVar("T")
_ABSENT = "nothing"
_SHOWN = 60  # characters of a value in a message


def save(path: Path, arrays: Mapping[str, np.ndarray], fit: Mapping[str, Any], log: Mapping[str, Any]) -> None:
    """Write arrays by name, the fit's description, and ``log``: anything else, of JSON values."""
    from safetensors.numpy import save as pack

    whole = {name: np.array(a, order="C") for name, a in arrays.items()}
    text = json.dumps({"fit": fit, **log})
    with clear_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(path, pack(whole, {"log": text, "sha256": _digest(whole, text)}))


def load(
    path: Path, fit: Mapping[str, Any], *, like: Mapping[str, np.ndarray] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, log) that :func:`save` wrote of this very fit.

    Args:
        path: the file.
        fit: the description of the fit that wants to go on.
        like: arrays that must be there, by name, with these shapes and types; others may be there too.

    Raises:
        ModelFileError: if the file is no checkpoint, is damaged, or its arrays are not like these.
        SettingError: if it is of another fit; what differs is named.
        FileError: if the system does not let us read it.
    """
    arrays, there, log = _read(path)
    differences = list(_differences(there, json.loads(json.dumps(fit))))
    if differences:
        raise SettingError(
            f"{path} is of another fit ({'; '.join(differences)}).",
            hint="give the same data, settings and rng, or delete it.",
        )
    for name, wanted in (like or {}).items():
        got = arrays.get(name)
        if got is None or got.shape != wanted.shape or got.dtype != wanted.dtype:
            there = _ABSENT if got is None else f"{got.dtype} {got.shape}"
            raise ModelFileError(
                f"{path} does not fit: {name} is {there}, not {wanted.dtype} {wanted.shape}.",
                hint="delete it to start afresh.",
            )
    return arrays, log


def key_of(rng: Rng, path: Path | None) -> int:
    """The key of a fit's random numbers: with no rng given and a checkpoint there, the one it was begun with."""
    if rng is None and path is not None and path.exists():
        try:
            return int(_read(path)[1]["key"])
        except (ModelFileError, KeyError, ValueError):
            pass  # load will say what is wrong with it
    return draw_key(rng)


def under(prefix: str, named: Mapping[str, T]) -> dict[str, T]:
    """What is named PREFIX…, by the rest of its name."""
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any]]:
    """(arrays, the fit's description, log), whole."""
    from safetensors import SafetensorError
    from safetensors import safe_open as open_any

    safe_open: Any = open_any  # it has no types
    afresh = "delete it to start afresh."
    if path.exists() and not path.is_file():
        raise ModelFileError(
            f"{path} is no checkpoint: it is no file.", hint="name a file, which need not be there yet."
        )
    try:
        with clear_errors(path, "read"), safe_open(path, "numpy") as f:
            about: dict[str, str] = f.metadata() or {}
            text, log = about["log"], json.loads(about["log"])
            fit = log.pop("fit")
            arrays: dict[str, np.ndarray] = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
    except FileError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as e:
        raise ModelFileError(f"{path} is no checkpoint: {e}", hint=afresh) from e
    if "sha256" not in about:
        raise ModelFileError(f"{path} was written by dotbias 0.1, whose checkpoints cannot be resumed.", hint=afresh)
    if about["sha256"] != _digest(arrays, text):
        raise ModelFileError(f"{path} is damaged: its bytes are not those that were written.", hint=afresh)
    return arrays, fit, log


def _digest(arrays: Mapping[str, np.ndarray], text: str) -> str:
    sha = hashlib.sha256(text.encode())
    for name, a in sorted(arrays.items()):
        sha.update(f"\0{name}\0{a.dtype.str}\0{a.shape}\0".encode())
        sha.update(np.ascontiguousarray(a).data)
    return sha.hexdigest()


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """What differs between two descriptions, by its path: "rule.beta: 0.9 there, 0.8 here"."""
    if isinstance(there, dict) and isinstance(here, dict):
        old, new = cast(dict[str, Any], there), cast(dict[str, Any], here)
        for key in dict.fromkeys([*new, *old]):
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{name}.{key}" if name else key)
    elif there != here:
        yield f"{name}: {_short(there)} there, {_short(here)} here"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
