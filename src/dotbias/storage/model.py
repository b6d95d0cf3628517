"""Saving and loading: between a scorer, its Ratings and the bytes of blobs."""

from __future__ import annotations

import hashlib
import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..errors import ModelFileError, SettingError, did_you_mean, require
from ..files import write
from ..ratings import Ids, Ratings
from ..scorer import Scorer, State, Stored, check_rows, demand
from .disk import check_writable, lock, read, remove_others, sync
from .manifest import BLOBS, FORMAT, LOADERS, MANIFEST, parse, to_json, version

NEEDS_TORCH = {"net"}
_TRIES = 3  # a reader whose model is replaced meanwhile starts again


@dataclass(frozen=True)
class StoredModel:
    """What a folder held.

    Attributes:
        scorer: the fitted model.
        ratings: what it was fitted on, with ids, side tables and declared scale.
        settings: the fit's settings, as saved.
        metrics: its measured errors, as saved.
        log: training log, a dict per epoch (keys without a value left out), or None.
        manifest: the manifest itself: format, dotbias, kind, created, data …
    """

    scorer: Any
    ratings: Ratings
    settings: dict[str, Any]
    metrics: dict[str, Any]
    log: list[dict[str, Any]] | None
    manifest: dict[str, Any]


# Saving --------------------------------------------------------------------------------------------------------


def save(
    folder: str | Path,
    scorer: Scorer,
    ratings: Ratings,
    *,
    settings: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    log: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write a model, or replace the one in ``folder``; a crash at any moment leaves the old or the new one.

    Args:
        folder: a new or empty folder, or one that holds a model.
        scorer: anything with ``state()`` whose kind is in LOADERS.
        ratings: what it was fitted on.
        settings: the fit's settings (numbers, text, lists; numpy scalars too), for people and for a refit.
        metrics: its measured errors, such as ``Report.to_dict()``.
        log: training log, a flat dict per epoch.

    Returns:
        The folder.

    Raises:
        ModelFileError: if the folder holds something else, or cannot be written.
        SettingError: if the scorer cannot be stored, or settings are not what JSON can hold.
    """
    folder = Path(folder)
    state = _state_of(scorer)
    check_rows(scorer, ratings, "ratings")
    blobs = _encode(state, ratings, log)
    manifest = {
        "format": FORMAT,
        "dotbias": version(),
        "kind": state.kind,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": dict(settings or {}),
        "metrics": dict(metrics or {}),
        "scorer": state.settings,
        "data": _describe(ratings),
        "blobs": {role: {"file": f, "sha256": _stem(f), "size": len(b)} for role, (f, b) in blobs.items()},
    }
    text = to_json(manifest)
    try:
        check_writable(folder)
        (folder / BLOBS).mkdir(parents=True, exist_ok=True)
        with lock(folder):
            for name, content in blobs.values():
                write(folder / name, content)
            for place in (folder / BLOBS, folder, folder.parent):
                sync(place)
            write(folder / MANIFEST, text)  # from here on the folder is the new model
            sync(folder)
            remove_others(folder, {Path(name).name for name, _ in blobs.values()})
    except ModelFileError:
        raise
    except OSError as e:
        raise ModelFileError(f"the model cannot be written to {folder}: {e}", hint="is there room, and leave?") from e
    return folder


def _state_of(scorer: Any) -> State:
    hint = "give its class state() -> dotbias.scorer.State and list Stored in its offers, or store its factors()."
    state = demand(scorer, Stored, why="being stored", hint=hint).state()
    if state.kind not in LOADERS:
        raise SettingError(f"no loader knows the kind {state.kind!r}.", hint=did_you_mean(state.kind, LOADERS))
    return state


def _encode(state: State, ratings: Ratings, log: Sequence[Mapping[str, Any]] | None) -> dict[str, tuple[str, bytes]]:
    """Role -> (file within the folder, content)."""
    from safetensors.numpy import save as to_safetensors

    arrays = {name: np.asarray(a, order="C") for name, a in state.arrays.items()}
    columns = {"user": ratings.users, "item": ratings.items, "value": ratings.values, "time": ratings.times}
    tables = {
        "user_ids": ratings.user_ids.values.alias("id").to_frame(),
        "item_ids": ratings.item_ids.values.alias("id").to_frame(),
        "interactions": pl.DataFrame({k: v for k, v in (columns | {"cold": ratings.cold}).items() if v is not None}),
        "user_table": ratings.user_table,
        "item_table": ratings.item_table,
        "log": pl.from_dicts([dict(row) for row in log], infer_schema_length=None) if log else None,
    }
    blobs = {"weights": _named(to_safetensors(arrays), "safetensors")}
    return blobs | {k: _named(_to_parquet(t, k), "parquet") for k, t in tables.items() if t is not None}


def _to_parquet(table: pl.DataFrame, role: str) -> bytes:
    buffer = io.BytesIO()
    try:
        table.write_parquet(buffer, compression="zstd", statistics=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as e:
        raise SettingError(f"the {role} cannot be stored: {e}", hint="plain columns only: numbers, text, dates.") from e
    return buffer.getvalue()


def _named(content: bytes, suffix: str) -> tuple[str, bytes]:
    return f"{BLOBS}/{hashlib.sha256(content).hexdigest()}.{suffix}", content


def _stem(file: str) -> str:
    return file.split("/")[1].split(".")[0]


def _describe(ratings: Ratings) -> dict[str, Any]:
    return {
        "fingerprint": ratings.fingerprint(),
        "n_ratings": len(ratings),
        "n_users": ratings.n_users,
        "n_items": ratings.n_items,
        "y_range": None if ratings.y_range is None else [float(y) for y in ratings.y_range],
        "notes": list(ratings.notes),
    }


# Loading -------------------------------------------------------------------------------------------------------


def is_model(folder: str | Path) -> bool:
    """Whether the folder has a manifest; whether it is whole, only :func:`load` finds out."""
    return (Path(folder) / MANIFEST).is_file()


def load(folder: str | Path) -> StoredModel:
    """The model in ``folder``, every byte of it checked.

    Raises:
        ModelFileError: if it is missing, cut, altered, hostile, or made by a newer format.
        MissingExtraError: if its kind needs a library that is not installed.
    """
    folder = Path(folder)
    for _ in range(_TRIES):
        text = _manifest_bytes(folder)
        try:
            return _load(folder, parse(text, folder))
        except ModelFileError:
            if _manifest_bytes(folder) == text:
                raise
        except OSError as e:
            raise ModelFileError(f"the model in {folder} cannot be read: {e}", hint="may you read these files?") from e
    raise ModelFileError(f"{folder} is being replaced again and again.", hint="load it when saving is over.")


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST
    if not path.is_file():
        near = [p.name for p in folder.parent.iterdir() if is_model(p)] if folder.parent.is_dir() else []
        where = f"the folder {folder} holds no model" if folder.is_dir() else f"there is no model {folder}"
        raise ModelFileError(f"{where} ({MANIFEST} is missing).", hint=did_you_mean(folder.name, near))
    return path.read_bytes()


def _load(folder: Path, manifest: dict[str, Any]) -> StoredModel:
    from safetensors.numpy import load as from_safetensors

    loader = _find_loader(manifest["kind"])
    blobs = {role: read(folder, blob) for role, blob in manifest["blobs"].items()}
    try:
        arrays = from_safetensors(blobs["weights"])
        tables = {k: pl.read_parquet(io.BytesIO(b), use_statistics=False) for k, b in blobs.items() if k != "weights"}
        ratings = _ratings(tables, manifest["data"])
        scorer = loader.from_state(arrays, manifest["scorer"], ratings.tables)
    except Exception as e:  # whole by its hashes, yet not readable: say so, whatever the parser raised
        raise ModelFileError(
            f"the model in {folder} is whole, but cannot be understood: {type(e).__name__}: {e}",
            hint=f"it was written by dotbias {manifest['dotbias']}; this is {version()}.",
        ) from e
    log = (
        [{k: v for k, v in row.items() if v is not None} for row in tables["log"].to_dicts()]
        if "log" in tables
        else None
    )
    return StoredModel(scorer, ratings, manifest["settings"], manifest["metrics"], log, manifest)


def _find_loader(kind: str) -> Any:
    """The class that reads this kind: from our table, never from the file."""
    if kind in NEEDS_TORCH:
        require("torch", extra="torch")
    module, name = LOADERS[kind].split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as e:
        raise ModelFileError(f"this dotbias cannot read models of kind {kind!r}: {e}", hint="upgrade dotbias.") from e


def _ratings(tables: dict[str, pl.DataFrame], data: dict[str, Any]) -> Ratings:
    """The training ratings, with every row inside its id table."""
    ids = {side: Ids(tables[f"{side}_ids"]["id"]) for side in ("user", "item")}
    stored = tables["interactions"]
    columns = {name: stored[name].to_numpy() if name in stored.columns else None for name in ("value", "time", "cold")}
    rows = {side: stored[side].to_numpy().astype(np.int32, copy=False) for side in ("user", "item")}
    for side in ("user", "item"):
        if len(rows[side]) and not (rows[side].min() >= 0 and rows[side].max() < len(ids[side])):
            raise ValueError(f"a rating names a {side} row outside the {len(ids[side])} ids")
        table = tables.get(f"{side}_table")
        if table is not None and len(table) != len(ids[side]):
            raise ValueError(f"the {side} table has {len(table)} rows for {len(ids[side])} ids")
    return Ratings(
        rows["user"],
        rows["item"],
        columns["value"],
        columns["time"],
        ids["user"],
        ids["item"],
        user_table=tables.get("user_table"),
        item_table=tables.get("item_table"),
        y_range=None if data["y_range"] is None else (data["y_range"][0], data["y_range"][1]),
        cold=columns["cold"],
        notes=tuple(data["notes"]),
    )
