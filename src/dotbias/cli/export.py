"""``dotbias export``: what a model learned, as plain tables for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _places as places
from ._options import Json, Model
from ._show import Page


def export(
    model: Model,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write into.")] = Path("export"),
    format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    json: Json = False,
) -> None:
    """Write users' and items' biases and embeddings, with ids and titles, as CSV or Parquet; and model.json beside.

    In CSV, text that a spreadsheet would take for a formula (it begins with = + - @, tab or line end) gets an
    apostrophe in front; dotbias takes it off again when it reads a side table. Numbers stay numbers.

    [bold]Example:[/] dotbias export model -o tables
    """
    from .. import export as exporting
    from .. import storage

    exporting.places(out, format)
    places.check_folder(out)
    stored = storage.load(model)
    with places.writing(out):
        paths = exporting.write(exporting.tables(stored.scorer, stored.ratings), out, format)  # type: ignore[arg-type]
    page = Page()
    if json:
        page.json({"written": [str(p) for p in paths]})
    else:
        page.say("\n".join(map(str, paths)), wrap=False)
