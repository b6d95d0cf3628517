"""``dotbias export``: what a model learned, for other programs: as plain tables, or as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import _places as places
from ._options import Json, Model
from ._show import Page


def export(
    model: Model,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The folder to write tables into.", show_default="export")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    onnx: Annotated[
        Path | None, typer.Option("--onnx", help="Write this ONNX file; tables only if -o is given too.")
    ] = None,
    json: Json = False,
) -> None:
    """Write users' and items' biases and embeddings, with ids and titles, as CSV or Parquet; and model.json beside.

    In CSV, text that a spreadsheet would take for a formula (it begins with = + - @, tab or line end) gets an
    apostrophe in front; dotbias takes it off again when it reads a side table. Numbers stay numbers.

    With --onnx, a graph that scores pairs of rows (their order is that of the tables) wherever ONNX runs.

    [bold]Example:[/] dotbias export model -o tables

    [bold]Example:[/] dotbias export model --onnx model.onnx
    """
    from .. import export as exporting
    from .. import storage

    folder = Path("export") if out is None and onnx is None else out
    if folder is not None:
        exporting.places(folder, format)
        places.check_folder(folder)
    if onnx is not None:
        places.check_file(onnx)
    stored = storage.load(model)
    paths: list[Path] = []
    notes: tuple[str, ...] = ()
    if folder is not None:
        with places.writing(folder):
            tables = exporting.tables(stored.scorer, stored.ratings)
            paths += exporting.write(tables, folder, format)  # type: ignore[arg-type]
    if onnx is not None:
        with places.writing(onnx):
            notes = exporting.to_onnx(stored.scorer, onnx)
        paths.append(onnx)
    page = Page()
    if json:
        page.json({"written": [str(p) for p in paths]})
    else:
        page.say("\n".join(map(str, paths)), wrap=False)
    for note in notes:
        Page(err=True).note(note)
