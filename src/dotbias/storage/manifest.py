"""The manifest: its bytes, its seal, and every check on one that somebody else may have written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelFileError, SettingError

FORMAT = 2  # 2: a second scorer, of clicks
MANIFEST = "manifest.json"
BLOBS = "blobs"
LOADERS = {
    "factors": "dotbias.factors:Factors",
    "posterior": "dotbias.posterior:Posterior",
    "net": "dotbias.module_scorer:ModuleScorer",
    "item_weights": "dotbias.item_weights:ItemWeights",
    "knn": "dotbias.baselines:Knn",
    "popular": "dotbias.baselines:Popular",
}
TABLES = ("user_ids", "item_ids", "interactions")  # every model has these, and "weights"
OPTIONAL = ("user_table", "item_table", "log", "clicks")
WEIGHTS = ("weights", "clicks")  # the others are tables
_SEAL = re.compile(rb',\n "seal": "[0-9a-f]{64}"\n}\Z')


def to_json(manifest: dict[str, Any]) -> bytes:
    """The manifest's bytes, sealed."""
    try:
        text = json.dumps(manifest, allow_nan=False, default=_plain, indent=1, ensure_ascii=False)
    except (TypeError, ValueError) as e:
        raise SettingError(
            f"the settings or metrics cannot be stored: {e}", hint="plain finite numbers, text, lists."
        ) from e
    return sealed(text.encode())


def sealed(text: bytes) -> bytes:
    """A JSON table with one more key, ``seal``: the hash of every byte before it. Any cut or change shows."""
    body = text.removesuffix(b"\n}")
    return body + b',\n "seal": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}'


def _plain(value: Any) -> Any:
    """numpy scalars and arrays, and paths, as JSON's own."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def parse(text: bytes, folder: Path) -> dict[str, Any]:
    """The manifest, checked: of our format, sealed, and naming only blobs of this folder."""
    where = folder / MANIFEST
    again = "save the model again, or restore the folder from a copy."
    try:
        manifest = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise ModelFileError(f"{where} is cut or damaged: {e}", hint=again) from e
    number = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or type(number) is not int or "dotbias" not in manifest:
        raise ModelFileError(f"{where} is no manifest of dotbias.", hint="name the folder that save() wrote.")
    if number > FORMAT:
        raise ModelFileError(
            f"{where} has format {number}, written by dotbias {manifest['dotbias']}; this dotbias {version()} reads "
            f"up to {FORMAT}.",
            hint="pip install --upgrade dotbias",
        )
    if text != sealed(_SEAL.sub(b"\n}", text)):
        raise ModelFileError(f"{where} was altered: its seal does not fit.", hint=again)
    _check_fields(manifest, where)
    return manifest


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _check_fields(manifest: dict[str, Any], where: Path) -> None:
    def refuse(what: str) -> ModelFileError:
        return ModelFileError(f"{where}: {what}.", hint="this is not what save() writes: do not trust the folder.")

    for field in ("settings", "metrics", "scorer", "data", "blobs"):
        if not isinstance(manifest.get(field), dict):
            raise refuse(f"{field} is missing or no table")
    for field in ("dotbias", "created"):
        if not isinstance(manifest.get(field), str):
            raise refuse(f"{field} is {manifest.get(field)!r}")
    for field in ("n_ratings", "n_users", "n_items"):
        if type(n := manifest["data"].get(field)) is not int or n < 0:
            raise refuse(f"{field} is {n!r}")
    clicks = manifest.get("clicks", {"kind": manifest.get("kind"), "scorer": {}})
    for kind in (manifest.get("kind"), clicks.get("kind") if isinstance(clicks, dict) else None):
        if not isinstance(kind, str) or kind not in LOADERS:
            raise refuse(f"the kind {kind!r} has no loader")
    roles = set(manifest["blobs"])
    if ("clicks" in manifest) != ("clicks" in roles) or not isinstance(clicks.get("scorer"), dict):
        raise refuse("the scorer of clicks is not whole")
    if not {"weights", *TABLES} <= roles <= {"weights", *TABLES, *OPTIONAL}:
        raise refuse(f"the blobs are {sorted(roles)}")
    for role, blob in manifest["blobs"].items():
        suffix = "safetensors" if role in WEIGHTS else "parquet"
        named = isinstance(blob, dict) and isinstance(blob.get("sha256"), str) and type(blob.get("size")) is int
        if not named or not re.fullmatch(r"[0-9a-f]{64}", blob["sha256"]) or blob["size"] < 0:
            raise refuse(f"the entry of {role} is {blob!r}")
        if blob.get("file") != f"{BLOBS}/{blob['sha256']}.{suffix}":
            raise refuse(f"{role} points to {blob.get('file')!r}, which is no blob of this folder")


def version() -> str:
    """Of this dotbias."""
    from .. import __version__

    return __version__
