"""What a model learned, for other programs: as plain tables, and as an ONNX graph.

    tables(scorer, train).items          # a polars frame: id, title, ratings, bias, factor_1 …
    to_onnx(scorer, "model.onnx")        # scores pairs of rows wherever ONNX runs (see ``graphs``)

``model`` beside the tables says how to turn the numbers back into a prediction. Tables are there for every bilinear
scorer; of a posterior, these are its compressed factors. This module knows no command line.
"""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from .. import files
from ..errors import DataError, SettingError, did_you_mean
from ..factors import Factors
from ..ratings import Ratings
from ..scorer import Bilinear, Scorer, check_rows, demand
from .graphs import to_onnx as to_onnx

if TYPE_CHECKING:
    import polars as pl

Format = Literal["csv", "parquet"]
FORMATS = ("csv", "parquet")


class ModelTables(NamedTuple):
    """A model as tables.

    Attributes:
        users: a frame, a row for each user: ``id``, ``ratings`` (how many in train), ``bias``, ``factor_1`` …
        items: the same for items; with ``title`` where train's item table has one.
        model: plain values: ``mean``, ``link``, ``low``, ``high``, ``n_factors`` and, as text, the ``prediction``.
    """

    users: pl.DataFrame
    items: pl.DataFrame
    model: dict[str, Any]


def tables(scorer: Scorer, train: Ratings) -> ModelTables:
    """The tables of a bilinear scorer.

    Args:
        scorer: fitted on ``train``.
        train: for ids, titles and counts.

    Raises:
        SettingError: for a scorer that is no sum of biases and a dot product.
        DataError: if it was fitted on other id tables.
    """
    check_rows(scorer, train, "train")
    why, hint = "tables of biases and embeddings", "fit dot_bias, als or gibbs."
    f = demand(scorer, Bilinear, why=why, hint=hint).factors()
    return ModelTables(
        _table(train.user_ids.values, None, train.user_counts, f.user_bias, f.users),
        _table(train.item_ids.values, train.item_titles, train.item_counts, f.item_bias, f.items),
        _formula(f),
    )


def write(parts: ModelTables, folder: str | Path, format: Format = "csv") -> list[Path]:
    """Write users, items and model.json into a folder, each file whole or not at all.

    In CSV, text that a spreadsheet would take for a formula (it begins with = + - @, tab or line end) gets an
    apostrophe in front, which ``Ratings.with_item_table`` takes off again. Numbers stay numbers.

    Args:
        parts: of :func:`tables`.
        folder: made where it is not there. Tables in it are replaced if its model.json says that they are an export.
        format: "csv" or "parquet".

    Returns:
        The files.

    Raises:
        SettingError: for another format.
        DataError: if the folder holds tables of these names that are no export.
        OSError: if they cannot be written.
    """
    folder = Path(folder)
    paths = places(folder, format)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(parts.model, indent=1) + "\n"
    contents = [_to_bytes(parts.users, format), _to_bytes(parts.items, format), text.encode()]
    for path, content in zip(paths, contents, strict=True):
        files.write(path, content)
    return paths


def places(folder: Path, format: str) -> list[Path]:
    """The files that an export writes into a folder.

    Raises:
        SettingError, DataError: as :func:`write`.
    """
    if format not in FORMATS:
        raise SettingError(f"there is no format {format!r}.", hint=did_you_mean(format, FORMATS))
    paths = [folder / f"users.{format}", folder / f"items.{format}", folder / "model.json"]
    others = [path.name for path in paths[:2] if path.exists()]
    if others and not paths[2].exists():
        what = f"{folder} holds {' and '.join(others)}, and no export of a model."
        raise DataError(what, hint="choose another folder, so that nothing of yours is replaced.")
    return paths


def _table(ids: pl.Series, titles: Any, counts: np.ndarray, bias: np.ndarray, factors: np.ndarray) -> pl.DataFrame:
    """id[, title], ratings, bias, factor_1 …"""
    import polars as pl

    named = {} if titles is None else {"title": pl.Series(titles, dtype=pl.String)}
    columns = {f"factor_{k + 1}": factors[:, k] for k in range(factors.shape[1])}
    return pl.DataFrame({"id": ids[: len(bias)], **named, "ratings": counts[: len(bias)], "bias": bias, **columns})


def _to_bytes(table: pl.DataFrame, format: Format) -> bytes:
    """Parquet as it is; CSV with its text guarded."""
    from ..readers import guarded

    buffer = io.BytesIO()
    if format == "parquet":
        table.write_parquet(buffer)
    else:
        guarded(table).write_csv(buffer, quote_style="non_numeric")
    return buffer.getvalue()


def _formula(f: Factors) -> dict[str, Any]:
    """What turns the tables back into a prediction."""
    inner = "mean + user.bias + item.bias + sum of user.factor_k * item.factor_k"
    links = {"sigmoid": f"low + (high - low) / (1 + exp(-({inner})))", "identity": f"{inner}, cut to low..high"}
    low, high = (float(x) if math.isfinite(x) else None for x in f.objective.y_range)
    facts = {"mean": float(f.mean), "link": f.objective.link, "low": low, "high": high, "n_factors": f.n_factors}
    return {**facts, "prediction": links[f.objective.link]}
