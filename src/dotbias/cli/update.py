"""``dotbias update``: a saved model with ratings that came after its fit, and no fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import _common as common
from . import _places as places
from ._options import Json, Model, Reading, reads_data
from ._show import Page, count
from .use import load


@reads_data
def update(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="NEW", help="A file of ratings since the fit.")],
    reading: Reading,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The folder to save to; by default MODEL, replaced in one step.")
    ] = None,
    json: Json = False,
) -> None:
    """Fold new ratings into a saved model: new users and items stay, known users are known better. Nothing is refitted.

    A rating of a pair that the model holds takes the older one's place. When the share of ratings since the fit nears a
    fifth, think of a refit.

    [bold]Example:[/] dotbias update model new-ratings.csv
    """
    folder = Path(model) if out is None else out
    seconds: dict[str, Any] = {}
    with common.timed(seconds, "load"):
        door = load(model)
        held = reading._replace(items=None, users=None).read(file, like=door.train)
        more = reading.with_tables(held)  # of what is new
    places.check_model(folder)
    for note in more.notes:
        Page(err=True).note(note)
    with common.timed(seconds, "update"):
        new = door.update(more)
    with common.timed(seconds, "save"):
        new.save(folder)
    grown = {side: getattr(new.train, f"n_{side}s") - getattr(door.train, f"n_{side}s") for side in ("user", "item")}
    share = new.share_since_fit
    if json:
        sizes = {"n_new": len(more), "new_users": grown["user"], "new_items": grown["item"], "n_train": len(new.train)}
        return Page().json({"written": str(folder), **sizes, "share_since_fit": share, "seconds": seconds})
    told = f"{count(len(more), 'rating')}, {count(grown['user'], 'new user')}, {count(grown['item'], 'new item')}"
    return Page().say(f"{folder}: {told}; {100 * share:.2g} % of its ratings came after the fit.", wrap=False)
