"""A run's state put away and back, whatever its fields are. The file is ``dotbias.checkpoint``'s.

Arrays go under the path of their field; lists of arrays, and of dicts of arrays, are stacked; everything else is JSON.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import checkpoint
from .run import GibbsRun

FORMAT = 2  # of the fields; raise it when they change. Files of dotbias 0.1.0 name none


def save(path: Path, about: dict[str, Any], run: GibbsRun) -> None:
    """Put a run's state away; ``about`` is the fit's description."""
    arrays: dict[str, np.ndarray] = {}
    tree = _pack(run.state, "state", arrays)
    checkpoint.save(path, arrays, {"format": FORMAT, **about}, {"state": tree})


def load(path: Path, about: dict[str, Any], run: GibbsRun) -> None:
    """Put a run's state back to where :func:`save` left it, in place.

    Raises:
        ModelFileError: if the file is no checkpoint.
        SettingError: if it is of another fit, or of a version of dotbias with other fields (another ``format``).
    """
    arrays, log = checkpoint.load(path, {"format": FORMAT, **about})
    _restore(run.state, log["state"], arrays)


def _pack(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON; its arrays go into ``arrays`` and are named there."""
    if is_dataclass(value):
        return {f.name: _pack(getattr(value, f.name), f"{path}/{f.name}", arrays) for f in fields(value)}
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {"array": path}
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        arrays[path] = np.stack(value)
        return {"rows": path}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        arrays |= {f"{path}/{name}": np.stack([v[name] for v in value]) for name in value[0]}
        return {"dicts": {name: f"{path}/{name}" for name in value[0]}}
    if isinstance(value, list):
        return [_pack(v, f"{path}/{k}", arrays) for k, v in enumerate(value)]
    return value


def _restore(target: Any, tree: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Set every field of a dataclass from what :func:`_pack` made of it."""
    for name, packed in tree.items():
        old = getattr(target, name)
        if is_dataclass(old):
            _restore(old, packed, arrays)
        elif isinstance(old, list) and old and is_dataclass(old[0]):
            for item, of_item in zip(old, packed, strict=True):
                _restore(item, of_item, arrays)
        else:
            setattr(target, name, _unpacked(packed, arrays))


def _unpacked(packed: Any, arrays: dict[str, np.ndarray]) -> Any:
    match packed:
        case {"array": path}:
            return arrays[path]
        case {"rows": path}:
            return list(arrays[path])
        case {"dicts": paths}:
            n = len(arrays[next(iter(paths.values()))])
            return [{name: arrays[path][k] for name, path in paths.items()} for k in range(n)]
    return packed
