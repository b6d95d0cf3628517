"""``dotbias evaluate``, ``recommend`` and ``similar``: what a saved model is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import _common as common
from ._options import Json, Model, Reading, reads_data
from ._show import Column, Page

if TYPE_CHECKING:
    from ..recommender import Recommender


@reads_data
def evaluate(
    model: Model,
    reading: Reading,
    test: Annotated[Path, typer.Option("--test", help="A file of held-out ratings.")],
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Others than by default, such as ndcg@10,recall@20.")
    ] = None,
    json: Json = False,
) -> None:
    """The error of a saved model on held-out ratings, and how well it ranks; ratings it was fitted on are refused.

    [bold]Example:[/] dotbias evaluate model --test new-ratings.csv --json
    """
    from .. import storage
    from ..evaluation import evaluate as measure
    from ..evaluation import metrics_for

    seconds: dict[str, Any] = {}
    with common.timed(seconds, "load"):
        stored = storage.load(model)
        held = reading.read(test, like=stored.ratings)
    for note in held.notes:
        Page(err=True).note(note)
    _say_if_stopped(stored.metrics)
    asked = metrics_for(held, stored.ratings, shown=True) if metrics is None else metrics.replace(",", " ").split()
    with common.timed(seconds, "evaluate"):
        report = measure(stored.scorer, held, train=stored.ratings, metrics=asked)
    if json:
        settings = dict(stored.settings)
        fitter = settings.pop("fitter", None)
        seconds["fit"] = stored.metrics.get("seconds", {}).get("fit")  # as it was when the model was fitted
        extra = {"n_train": len(stored.ratings), "seconds": seconds, "fitter": fitter, "settings": settings}
        Page().json({**report.to_dict(), **extra})
    else:
        common.show_report(Page(), report)


def recommend(
    model: Model,
    user_id: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    n: Annotated[int, typer.Option("-n", help="How many.")] = 10,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="An item id to leave out; repeatable.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Choose among these item ids; repeatable.")] = None,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="Also items that the user has rated.")] = False,
    json: Json = False,
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
    _show(answer, "score", json, f"for user {user_id}")


def similar(
    model: Model,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id, or a part of its title.")],
    n: Annotated[int, typer.Option("-n", help="How many.")] = 10,
    measure: Annotated[str, typer.Option("--measure", help="cosine, dot or euclidean.")] = "cosine",
    shrink: Annotated[
        float | None, typer.Option("--shrink", help="An item with c ratings counts c/(c + this); cosine: 10.")
    ] = None,
    json: Json = False,
) -> None:
    """The items nearest to an item, by its factors.

    [bold]Example:[/] dotbias similar model GoldenEye
    """
    door = _load(model)
    item_id = door.find_item(item)
    title = (door.train.item_titles or [None] * door.train.n_items)[door.train.item_ids.row(item_id)]
    answer = door.similar_items(item_id, n, measure=measure, shrink=shrink)  # type: ignore[arg-type]
    shrunk = ", shrunk" if (shrink is None and measure == "cosine") or shrink else ""
    _show(answer, measure + shrunk, json, f"nearest to {item_id}{f' {title}' if title is not None else ''}")


def _load(model: Path) -> Recommender:
    from ..recommender import Recommender

    door = Recommender.load(model)
    _say_if_stopped(door.metrics)
    return door


def _say_if_stopped(metrics: Any) -> None:
    if metrics.get("stopped"):
        Page(err=True).note("the fit of this model was ended early (--keep-partial).")


def _show(answer: list[Any], number: str, json: bool, title: str) -> None:
    """A ranked list, as a table or as JSON; a note on why it is short goes to stderr."""
    note = getattr(answer, "note", None)
    if note:
        Page(err=True).note(note)
    page = Page()
    if json:
        page.json([row._asdict() for row in answer])
        return
    show_list(page, answer, number, title=title)


def show_list(page: Page, answer: list[Any], number: str, *, title: str | None = None) -> None:
    """Places, ids, numbers and titles; titles alone give way on a narrow terminal."""
    titled = any(row.title is not None for row in answer)
    heads = [Column("", right=True), Column("item"), Column(number, right=True), Column("title", cut=True)]
    rows = [(k, x[0], f"{x[1]:.3f}", x.title) for k, x in enumerate(answer, 1)]
    page.table(heads[: 3 + titled], [row[: 3 + titled] for row in rows], title=title)
