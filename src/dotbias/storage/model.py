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

from ..errors import DotbiasError, FileError, ModelFileError, SettingError, did_you_mean, require
from ..files import as_path, exists, max_bytes, write
from ..ratings import Ids, Ratings
from ..readers import neighbours, parquet
from ..scorer import Scorer, State, Stored, check_rows, demand
from ..settings import check
from .arrays import check_arrays
from .disk import MANIFEST_BYTES, check_room, lock, read, read_plain, refuse_others, remove_others, sync
from .manifest import BLOBS, FORMAT, LOADERS, MANIFEST, parse, to_json, version

NEEDS_TORCH = {"net"}
LOG_CELLS = 1_000_000  # a training log has no more: rows × columns
N_ROWS = {  # the count in the manifest's data that a table must have
    "interactions": "n_ratings",
    **{f"{side}_{what}": f"n_{side}s" for side in ("user", "item") for what in ("ids", "table")},
}
IDS = (pl.Int64, pl.String)
INTERACTIONS = {
    **{"user": pl.Int32, "item": pl.Int32, "value": pl.Float32, "time": pl.Int64, "count": pl.Float32},
    "cold": pl.Boolean,
}
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
        clicks: a second scorer, of who rated what, or None.
    """

    scorer: Any
    ratings: Ratings
    settings: dict[str, Any]
    metrics: dict[str, Any]
    log: list[dict[str, Any]] | None
    manifest: dict[str, Any]
    clicks: Any = None


# Saving --------------------------------------------------------------------------------------------------------


def save(
    folder: str | Path,
    scorer: Scorer,
    ratings: Ratings,
    *,
    settings: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    log: Sequence[Mapping[str, Any]] | None = None,
    clicks: Scorer | None = None,
) -> Path:
    """Write a model, or replace the one in ``folder``; a crash at any moment leaves the old or the new one.

    Args:
        folder: a new or empty folder, or one that holds a model.
        scorer: anything with ``state()`` whose kind is in LOADERS.
        ratings: what it was fitted on.
        settings: the fit's settings (numbers, text, lists; numpy scalars too), for people and for a refit.
        metrics: its measured errors, such as ``Report.to_dict()``.
        log: training log, a flat dict per epoch.
        clicks: a second scorer, of who rated what, for the order of lists.

    Returns:
        The folder.

    Raises:
        ModelFileError: if the folder holds something else, or cannot be written; the older model is still there.
        SettingError: if the scorer cannot be stored, settings or metrics are no dicts that JSON can hold, or the log
            is no list of dicts.
    """
    folder = as_path(folder)
    check(save, {"settings": settings, "metrics": metrics, "log": log})
    check_rows(scorer, ratings, "ratings")
    state, second = _state_of(scorer, ratings), None if clicks is None else _state_of(clicks, ratings)
    blobs = _encode(state, second, ratings, log)
    manifest = {
        "format": FORMAT,
        "dotbias": version(),
        "kind": state.kind,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": dict(settings or {}),
        "metrics": dict(metrics or {}),
        "scorer": state.settings,
        **({"clicks": {"kind": second.kind, "scorer": second.settings}} if second else {}),
        "data": _describe(ratings),
        "blobs": {role: {"file": f, "sha256": _stem(f), "size": len(b)} for role, (f, b) in blobs.items()},
    }
    text = to_json(manifest)
    try:
        refuse_others(folder)
        check_room(folder, len(text) + sum(len(content) for _, content in blobs.values()))
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
    except FileError as e:
        raise ModelFileError(f"the model cannot be written to {folder}: {e.what}", hint=e.hint) from e
    except OSError as e:
        raise ModelFileError(f"the model cannot be written to {folder}: {e}", hint="is there room, and leave?") from e
    return folder


def _state_of(scorer: Any, ratings: Ratings) -> State:
    hint = "give its class state() -> dotbias.scorer.State and list Stored in its offers, or store its factors()."
    state = demand(scorer, Stored, why="being stored", hint=hint).state()
    if state.kind not in LOADERS:
        raise SettingError(f"no loader knows the kind {state.kind!r}.", hint=did_you_mean(state.kind, LOADERS))
    try:
        check_arrays(state.kind, state.arrays, state.settings, ratings.n_users, ratings.n_items)
    except ModelFileError as e:
        raise SettingError(
            f"this {state.kind} model cannot be stored with these ratings: {e.what}",
            hint="save it with the ratings it was fitted on.",
        ) from e
    return state


def _encode(
    state: State, clicks: State | None, ratings: Ratings, log: Sequence[Mapping[str, Any]] | None
) -> dict[str, tuple[str, bytes]]:
    """Role -> (file within the folder, content)."""
    columns = {"user": ratings.users, "item": ratings.items, "value": ratings.values, "time": ratings.times}
    columns |= {"count": ratings.counts, "cold": ratings.cold}
    tables = {
        "user_ids": ratings.user_ids.values.alias("id").to_frame(),
        "item_ids": ratings.item_ids.values.alias("id").to_frame(),
        "interactions": pl.DataFrame({k: v for k, v in columns.items() if v is not None}),
        "user_table": ratings.user_table,
        "item_table": ratings.item_table,
        "log": pl.from_dicts([dict(row) for row in log], infer_schema_length=None) if log else None,
    }
    blobs = {"weights": _weights(state), **({"clicks": _weights(clicks)} if clicks else {})}
    return blobs | {k: _named(_to_parquet(t, k), "parquet") for k, t in tables.items() if t is not None}


def _weights(state: State) -> tuple[str, bytes]:
    from safetensors.numpy import save as to_safetensors

    return _named(to_safetensors({name: np.asarray(a, order="C") for name, a in state.arrays.items()}), "safetensors")


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
    place = as_path(folder) / MANIFEST
    return exists(place) and place.is_file()


def load(folder: str | Path) -> StoredModel:
    """The model in ``folder``, every byte of it checked.

    Raises:
        ModelFileError: if it is missing, cut, altered, hostile, or made by a newer format.
        MissingExtraError: if its kind needs a library that is not installed.
        SettingError: if the environment's DOTBIAS_MAX_BYTES is no number.
    """
    folder = as_path(folder)
    max_bytes()  # a limit that is none is no fault of the model
    try:
        for _ in range(_TRIES):
            text = _manifest_bytes(folder)
            try:
                return _load(folder, parse(text, folder))
            except ModelFileError:
                if _manifest_bytes(folder) == text:
                    raise
    except DotbiasError:
        raise
    except OSError as e:
        raise ModelFileError(f"the model in {folder} cannot be read: {e}", hint="may you read these files?") from e
    raise ModelFileError(f"{folder} is being replaced again and again.", hint="load it when saving is over.")


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST
    if not exists(path):
        near = [name for name in neighbours(folder) if is_model(folder.parent / name)]  # "." has no name to replace
        there = exists(folder) and folder.is_dir()
        where = f"the folder {folder} holds no model" if there else f"there is no model in {folder}"
        hint = did_you_mean(folder.name, near) if near else "dotbias fit RATINGS -o FOLDER saves one."
        raise ModelFileError(f"{where} ({MANIFEST} is missing).", hint=hint)
    text = read_plain(path, limit=MANIFEST_BYTES + 1)
    if len(text) > MANIFEST_BYTES:
        raise ModelFileError(f"{path} has more than {MANIFEST_BYTES:,} bytes.", hint="do not trust the folder.")
    return text


def _load(folder: Path, manifest: dict[str, Any]) -> StoredModel:
    scorers = {"weights": (manifest["kind"], manifest["scorer"])}
    if "clicks" in manifest:
        scorers["clicks"] = manifest["clicks"]["kind"], manifest["clicks"]["scorer"]
    loaders, data = {role: _find_loader(kind) for role, (kind, _) in scorers.items()}, manifest["data"]
    blobs = {role: read(folder, blob) for role, blob in manifest["blobs"].items()}
    try:
        arrays = {role: _arrays(blobs.pop(role), *scorers[role], data) for role in scorers}
        tables = {role: _table(role, content, data) for role, content in blobs.items()}
        ratings = _ratings(tables, data)
        found = {r: loaders[r].from_state(arrays[r], scorers[r][1], ratings.tables) for r in scorers}
    except FileError as e:  # too large for this machine, as far as we know
        raise ModelFileError(f"the model in {folder}: {e.what}", hint=e.hint) from e
    except Exception as e:  # whole by its hashes, yet not readable: say so, whatever the parser raised
        why = e.what if isinstance(e, DotbiasError) else f"{type(e).__name__}: {e}"
        raise ModelFileError(
            f"the model in {folder} is whole, but cannot be understood: {why}",
            hint=f"it was written by dotbias {manifest['dotbias']}; this is {version()}.",
        ) from e
    log = (
        [{k: v for k, v in row.items() if v is not None} for row in tables["log"].to_dicts()]
        if "log" in tables
        else None
    )
    kept = manifest["settings"], manifest["metrics"], log, manifest
    return StoredModel(found["weights"], ratings, *kept, found.get("clicks"))


def _arrays(content: bytes, kind: str, settings: dict[str, Any], data: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a scorer, checked."""
    from safetensors.numpy import load as from_safetensors

    arrays = from_safetensors(content)
    check_arrays(kind, arrays, settings, data["n_users"], data["n_items"])
    return arrays


def _table(role: str, content: bytes, data: dict[str, Any]) -> pl.DataFrame:
    """A blob's table, decoded only if it has the rows that the manifest says; then its columns are checked."""
    rows = parquet.size_of(content, role).rows
    expected = data[N_ROWS[role]] if role in N_ROWS else rows
    if rows != expected:
        raise ModelFileError(f"{role} has {rows:,} rows, not {expected:,}.")
    if role == "log" and rows * len(parquet.names(content, role)) > LOG_CELLS:
        raise ModelFileError(f"the log has {rows:,} rows; no training log is that long.")
    table = parquet.read(content, role, sealed=True)
    if role == "interactions":
        _check_columns(table, role, INTERACTIONS, ("user", "item"))
        if "value" in table.columns and not bool(table["value"].is_finite().all()):
            raise ModelFileError("ratings are NaN or infinite.")
    elif role.endswith("_ids") and (table.columns != ["id"] or table["id"].dtype not in IDS):
        raise ModelFileError(f"{role} has the columns {dict(table.schema)}.")
    return table


def _check_columns(table: pl.DataFrame, role: str, types: Mapping[str, Any], needed: Sequence[str]) -> None:
    wrong = {name: kind for name, kind in table.schema.items() if types.get(name) != kind}
    if wrong or not set(needed) <= set(table.columns) or any(c.null_count() for c in table.get_columns()):
        raise ModelFileError(f"{role} has the columns {dict(table.schema)}, or empty cells.")


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
    """The training ratings; Ratings itself refuses rows outside the id tables, and side tables of other lengths."""
    stored = tables["interactions"]
    columns = {name: stored[name].to_numpy() if name in stored.columns else None for name in INTERACTIONS}
    notes = data["notes"]
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ModelFileError(f"the notes are {notes!r}.")
    return Ratings(
        columns["user"],  # type: ignore[arg-type]
        columns["item"],  # type: ignore[arg-type]
        columns["value"],
        columns["time"],
        Ids(tables["user_ids"]["id"]),
        Ids(tables["item_ids"]["id"]),
        user_table=tables.get("user_table"),
        item_table=tables.get("item_table"),
        y_range=data["y_range"],
        counts=columns["count"],
        cold=columns["cold"],
        notes=tuple(notes),
    )
