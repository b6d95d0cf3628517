"""``dotbias plot``: the pictures of a saved model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import require
from . import _places as places
from ._options import Json, Model, Reading, Seed, reads_data
from ._show import Page

if TYPE_CHECKING:
    from ..ratings import Ratings
    from ..recommender import Recommender

ASK = {"predictions": "name held-out ratings with --test FILE.", "sweep": "ask for it with --sweep."}


@reads_data
def plot(
    model: Model,
    reading: Reading,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write PNGs into.")] = Path("pictures"),
    test: Annotated[Path | None, typer.Option("--test", help="A file of held-out ratings, to predict.")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Also a learning-rate sweep (needs torch).")] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw a saved model: how it learned, biases, a map of items, predictions … What has no data is skipped, by name.

    [bold]Example:[/] dotbias plot model -o pictures --test new-ratings.csv
    """
    from ..recommender import Recommender

    require("matplotlib", extra="plot")
    places.check_folder(out)
    door = Recommender.load(model)
    held = None if test is None else reading.read(test, like=door.train)
    for note in () if held is None else held.notes:
        Page(err=True).note(note)
    written, skipped = write(door, out, test=held, sweep=sweep, seed=seed, page=Page(err=json))
    if json:
        Page().json({"written": [str(p) for p in written], "skipped": skipped})


def write(
    door: Recommender,
    out: Path,
    *,
    test: Ratings | None,
    sweep: bool = False,
    seed: int = 0,
    page: Page,
    unsaid: tuple[str, ...] = (),
) -> tuple[list[Path], dict[str, str]]:
    """Write the pictures into a folder, saying so: (the files, name -> why it was skipped); ``unsaid``: names."""
    from .. import plots

    written, skipped = [], {}
    for name, picture in plots.gallery(door, test=test, sweep=sweep, seed=seed):
        path = out / f"{name}.png"
        if isinstance(picture, str):
            asked = {"predictions": test is not None, "sweep": sweep}
            skipped[name] = picture if asked.get(name, True) else ASK[name]
            if name not in unsaid:
                page.say(f"skipped {path.name}: {skipped[name]}", style="yellow")
            continue
        buffer = io.BytesIO()
        picture.savefig(buffer, format="png")
        places.write(path, buffer.getvalue())
        written.append(path)
        page.say(f"wrote   {path}", wrap=False)
    return written, skipped
