"""``dotbias export``: what a model learned, as plain tables for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError, did_you_mean
from . import _common as common
from .use import Model

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ..ratings import Ratings

FORMATS = ("csv", "parquet")


def export(
    model: Model,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write into.")] = Path("export"),
    format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    json: common.Json = False,
) -> None:
    """Write users' and items' biases and embeddings, with ids and titles, as CSV or Parquet; and model.json beside.

    In CSV, text that a spreadsheet would take for a formula (it begins with = + - @, tab or line end) gets an
    apostrophe in front; dotbias takes it off again when it reads a side table. Numbers stay numbers.

    [bold]Example:[/] dotbias export model -o tables
    """
    from .. import storage

    if format not in FORMATS:
        raise SettingError(f"--format {format}.", hint=did_you_mean(format, FORMATS))
    stored = storage.load(model)
    paths = write(stored.scorer, stored.ratings, out, format)
    if json:
        common.print_json({"written": [str(p) for p in paths]})
    else:
        for path in paths:
            typer.echo(path)


def write(scorer: Any, train: Ratings, out: Path, format: str) -> list[Path]:
    """users, items and model.json in a folder.

    Raises:
        SettingError: for a model that is no sum of biases and a dot product.
    """
    from ..scorer import Bilinear, demand

    f = demand(scorer, Bilinear, why="tables of biases and embeddings", hint="fit dot_bias, als or gibbs.").factors()
    titles = train.item_titles
    tables = {
        "users": _table(train.user_ids.values, None, train.user_counts, f.user_bias, f.users),
        "items": _table(train.item_ids.values, titles, train.item_counts, f.item_bias, f.items),
    }
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, table in tables.items():
        paths.append(out / f"{name}.{format}")
        _write_table(table, paths[-1])
    paths.append(out / "model.json")
    paths[-1].write_text(_formula(f), encoding="utf-8")
    return paths


def _table(ids: pl.Series, titles: Any, counts: np.ndarray, bias: np.ndarray, factors: np.ndarray) -> pl.DataFrame:
    """id[, title], ratings, bias, factor_1 …"""
    import polars as pl

    named = {} if titles is None else {"title": pl.Series(titles, dtype=pl.String)}
    columns = {f"factor_{k + 1}": factors[:, k] for k in range(factors.shape[1])}
    return pl.DataFrame({"id": ids[: len(bias)], **named, "ratings": counts[: len(bias)], "bias": bias, **columns})


def _write_table(table: pl.DataFrame, path: Path) -> None:
    """Parquet as it is; CSV with its text guarded."""
    from ..readers import guarded

    if path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        guarded(table).write_csv(path, quote_style="non_numeric")


def _formula(f: Any) -> str:
    """What turns the tables back into a prediction, as JSON."""
    import json
    import math

    inner = "mean + user.bias + item.bias + sum of user.factor_k * item.factor_k"
    links = {"sigmoid": f"low + (high - low) / (1 + exp(-({inner})))", "identity": f"{inner}, cut to low..high"}
    low, high = (x if math.isfinite(x) else None for x in f.objective.y_range)
    facts = {"mean": f.mean, "link": f.objective.link, "low": low, "high": high, "n_factors": f.n_factors}
    return json.dumps({**facts, "prediction": links[f.objective.link]}, indent=1) + "\n"
