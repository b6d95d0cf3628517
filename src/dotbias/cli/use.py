"""``dotbias evaluate``, ``recommend`` and ``similar``: what a saved model is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import _common as common

if TYPE_CHECKING:
    from ..recommender import Recommender

Model = Annotated[Path, typer.Argument(help="The folder of a saved model.")]


def evaluate(
    model: Model,
    test: Annotated[Path, typer.Option("--test", help="A file of held-out ratings.")],
    user: common.UserColumn = None,
    item: common.ItemColumn = None,
    rating: common.RatingColumn = None,
    time: common.TimeColumn = None,
    duplicates: common.Duplicates = None,
    json: common.Json = False,
) -> None:
    """The error of a saved model on held-out ratings, and how well it ranks; ratings it was fitted on are refused.

    [bold]Example:[/] dotbias evaluate model --test new-ratings.csv --json
    """
    from .. import datasets, storage
    from ..evaluation import SHOWN
    from ..evaluation import evaluate as measure

    seconds: dict[str, Any] = {}
    with common.timed(seconds, "load"):
        stored = storage.load(model)
        held = datasets.resolve(test, like=stored.ratings, **common.columns(user, item, rating, time, duplicates))
    common.say(common.console(to_stderr=True), held.notes)
    with common.timed(seconds, "evaluate"):
        report = measure(stored.scorer, held, train=stored.ratings, metrics=SHOWN)
    if json:
        settings = dict(stored.settings)
        fitter = settings.pop("fitter", None)
        seconds["fit"] = stored.metrics.get("seconds", {}).get("fit")  # as it was when the model was fitted
        extra = {"n_train": len(stored.ratings), "seconds": seconds, "fitter": fitter, "settings": settings}
        common.print_json({**report.to_dict(), **extra})
    else:
        common.console().print(report)


def recommend(
    model: Model,
    user_id: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    n: Annotated[int, typer.Option("-n", help="How many.")] = 10,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="An item id to leave out; repeatable.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Choose among these item ids; repeatable.")] = None,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="Also items that the user has rated.")] = False,
    json: common.Json = False,
) -> None:
    """The items that a user would rate highest, best first.

    [bold]Example:[/] dotbias recommend model 15 -n 5
    """
    door = _load(model)
    items = door.train.item_ids
    answer = door.recommend(
        door.train.user_ids.typed(user_id),
        n,
        exclude=[items.typed(i) for i in exclude or []],
        only=None if only is None else [items.typed(i) for i in only],
        keep_seen=keep_seen,
    )
    _show(answer, ("item", "score", "title"), json, f"for user {user_id}")


def similar(
    model: Model,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id, or a part of its title.")],
    n: Annotated[int, typer.Option("-n", help="How many.")] = 10,
    measure: Annotated[str, typer.Option("--measure", help="cosine, dot or euclidean.")] = "cosine",
    shrink: Annotated[
        float | None, typer.Option("--shrink", help="An item with c ratings counts c/(c + this); cosine: 10.")
    ] = None,
    json: common.Json = False,
) -> None:
    """The items nearest to an item, by its factors.

    [bold]Example:[/] dotbias similar model GoldenEye
    """
    door = _load(model)
    item_id = door.find_item(item)
    title = (door.train.item_titles or [None] * door.train.n_items)[door.train.item_ids.row(item_id)]
    answer = door.similar_items(item_id, n, measure=measure, shrink=shrink)  # type: ignore[arg-type]
    shrunk = ", shrunk" if (shrink is None and measure == "cosine") or shrink else ""
    _show(answer, ("item", measure + shrunk, "title"), json, f"nearest to {item_id}{f' {title}' if title else ''}")


def _load(model: Path) -> Recommender:
    from ..recommender import Recommender

    return Recommender.load(model)


def _show(answer: list[Any], names: tuple[str, str, str], json: bool, caption: str) -> None:
    """A ranked list, as a table or as JSON; a note on why it is short goes to stderr."""
    note = getattr(answer, "note", None)
    if note:
        common.console(to_stderr=True).print(f"note: {note}", style="yellow", markup=False)
    if json:
        common.print_json([row._asdict() for row in answer])
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("", *names[:2], title=caption, box=None, title_justify="left")
    table.add_column(names[2], no_wrap=True, overflow="ellipsis", max_width=60)
    for place, (item_id, score, title) in enumerate(answer, 1):
        table.add_row(str(place), escape(str(item_id)), f"{score:.3f}", escape(title or ""))
    common.console().print(table)
