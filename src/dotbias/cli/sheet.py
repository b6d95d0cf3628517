"""``dotbias sheet``: a workbook with living formulas, of your ratings, of a fitted model, or of the optimizers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DataError, SettingError
from . import _places as places
from ._options import Json, Reading, reads_data
from ._show import Page


@reads_data
def sheet(
    reading: Reading,
    data: Annotated[
        str | None,
        typer.Argument(help="Ratings: a data set's name, a file or a folder; or a fitted model's folder."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .xlsx file to write.")] = Path("book.xlsx"),
    descent: Annotated[
        bool, typer.Option("--descent", help="Optimizers on a straight line; needs no ratings.")
    ] = False,
    n: Annotated[int, typer.Option("--n", help="How many users and items: those with most ratings.")] = 15,
    n_factors: Annotated[int, typer.Option("--n-factors", help="Factors per user and item.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Draws the starting factors and the test ratings.")] = 42,
    json: Json = False,
) -> None:
    """Write a spreadsheet with every gradient in a cell: no macros, for Excel 2010 and LibreOffice.

    [bold]Example:[/] dotbias sheet ml-latest-small-2016 -o book.xlsx
    """
    from .. import workbook

    if descent == (data is not None):
        what = "--descent needs no ratings." if descent else "there are no ratings to make a workbook of."
        raise SettingError(what, hint="dotbias sheet RATINGS, dotbias sheet MODEL, or dotbias sheet --descent.")
    places.check_file(output)
    if data is None:
        path = workbook.descent(output)
    else:
        path = _of_data(data, reading, output, n=n, n_factors=n_factors, seed=seed)
    page, size = Page(), path.stat().st_size
    if json:
        page.json({"written": str(path), "bytes": size})
    else:
        page.say(f"{path} ({size / 1e3:.0f} kB)", wrap=False)


def _of_data(data: str, reading: Reading, output: Path, *, n: int, n_factors: int, seed: int) -> Path:
    """A workbook of a model, if ``data`` is a folder that holds one, else of ratings."""
    from .. import storage, workbook
    from ..scorer import Bilinear, offers

    if not storage.is_model(data):
        ratings = reading.read(data)
        for note in ratings.notes:
            Page(err=True).note(note)
        return workbook.collab(ratings, path=output, n=n, n_factors=n_factors, rng=seed)
    stored = storage.load(data)
    if offers(stored.scorer, Bilinear):
        measured = stored.metrics.get("rmse")  # on ratings held out when it was fitted, if there were any
        return workbook.of_model(stored.scorer, stored.ratings, path=output, n=n, held_out=measured)
    kind = stored.manifest["kind"]
    what = f"{data} holds a model of kind {kind!r}, whose predictions are not one dot product plus biases."
    raise DataError(what, hint="fit one with als, sgd or dot_bias to open it in a sheet.")
