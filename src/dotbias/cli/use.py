"""``dotbias evaluate`` and ``similar``, and how lists are shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError
from . import _common as common
from ._options import Cluster, Json, Model, Reading, Shards, reads_data
from ._show import Column, Page

if TYPE_CHECKING:
    from ..recommender import Recommender

Order = Annotated[
    str, typer.Option("--order", help="liked: by how likely they rate it and like it; rating: by the prediction.")
]
Like = Annotated[float | None, typer.Option("--like", help="The rating from which an item is liked.")]


@reads_data
def evaluate(
    model: Model,
    reading: Reading,
    file: Annotated[Path | None, typer.Argument(hidden=True, metavar="--test FILE")] = None,
    test: Annotated[str | None, typer.Option("--test", help="A file of held-out ratings (required).")] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Others than by default, such as ndcg@10,recall@20.")
    ] = None,
    times: Annotated[
        str | None,
        typer.Option("--times", help="What the model is told of their times: given, unknown or now; else as served."),
    ] = None,
    order: Order = "liked",
    like: Like = None,
    cluster: Cluster = None,
    shards: Shards = 8,
    json: Json = False,
) -> None:
    """The error of a saved model on held-out ratings, and how well it ranks; ratings it was fitted on are refused.

    [bold]Example:[/] dotbias evaluate model --test new-ratings.csv --json
    [bold]A folder of Parquet parts, on a cluster:[/] dotbias evaluate model --test parts --cluster local:2
    """
    from .. import storage
    from ..evaluation import metrics_for

    if test is None or file is not None:
        what = "a file is named without saying what it is" if file else "there are no held-out ratings to measure on"
        raise SettingError(f"{what}.", hint=f"say --test {file or 'FILE'}.")
    if cluster is not None:
        return _by_shards(model, test, metrics, times, cluster, shards, json)
    seconds: dict[str, Any] = {}
    with common.timed(seconds, "load"):
        stored = storage.load(model)
        held = reading.read(Path(test), like=stored.ratings)
    for note in held.notes:
        Page(err=True).note(note)
    _say_if_stopped(stored.metrics)
    asked = metrics_for(held, stored.ratings, shown=True) if metrics is None else metrics.replace(",", " ").split()
    with common.timed(seconds, "evaluate"):
        options = {"metrics": asked, "order": order, "like": like, "times": times, "clicks": stored.clicks}
        report, given = common.measured(stored.scorer, held, stored.ratings, **options)
    if json:
        settings = dict(stored.settings)
        fitter = settings.pop("fitter", None)
        seconds["fit"] = stored.metrics.get("seconds", {}).get("fit")  # as it was when the model was fitted
        extra = {"n_train": len(stored.ratings), "seconds": seconds, "fitter": fitter, "settings": settings}
        Page().json({**report.to_dict(), **({"time_given": given} if given else {}), **extra})
    else:
        common.show_report(Page(), report)
        common.say_given(Page(), given)
    return None


def _by_shards(
    model: str, test: str, metrics: str | None, times: str | None, address: str, shards: int, json: bool
) -> None:
    """Errors on a folder of parts, measured by the workers."""
    from .. import cluster

    asked = None if metrics is None else metrics.replace(",", " ").split()
    report = cluster.evaluate(model, test, metrics=asked, times=times, address=address, shards=shards)
    if json:
        return Page().json(report.to_dict())
    return common.show_report(Page(), report)


def similar(
    model: Model,
    item: Annotated[str | None, typer.Argument(metavar="[ITEM]", help="The item's id, or a part of its title.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="In the place of an item: users like this one.")] = None,
    n: Annotated[int, typer.Option("-n", help="How many.")] = 10,
    measure: Annotated[str, typer.Option("--measure", help="cosine, dot or euclidean.")] = "cosine",
    shrink: Annotated[
        float | None, typer.Option("--shrink", help="An item with c ratings counts c/(c + this); cosine: 10.")
    ] = None,
    json: Json = False,
) -> None:
    """The items nearest to an item, or the users nearest to a user, by their factors.

    [bold]Example:[/] dotbias similar model GoldenEye
    """
    if (item is None) == (user is None):
        raise SettingError("similar takes an item, or --user.", hint="dotbias similar MODEL ITEM")
    door = load(model)
    shrunk = ", shrunk" if (shrink is None and measure == "cosine") or shrink else ""
    if user is not None:
        user_id = door.train.user_ids.typed(user)
        like = door.similar_users(user_id, n, measure=measure, shrink=shrink)  # type: ignore[arg-type]
        return show(like, measure + shrunk, json, f"nearest to user {user}")
    item_id = door.find_item(item or "")
    title = (door.train.item_titles or [None] * door.train.n_items)[door.train.item_ids.row(item_id)]
    answer = door.similar_items(item_id, n, measure=measure, shrink=shrink)  # type: ignore[arg-type]
    return show(answer, measure + shrunk, json, f"nearest to {item_id}{f' {title}' if title is not None else ''}")


def load(model: str) -> Recommender:
    """A saved model; said if its fit was ended early."""
    from ..recommender import Recommender

    door = Recommender.load(model)
    _say_if_stopped(door.metrics)
    return door


def _say_if_stopped(metrics: Any) -> None:
    if metrics.get("stopped"):
        Page(err=True).note("the fit of this model was ended early (--keep-partial).")


def show(answer: list[Any], number: str, json: bool, title: str) -> None:
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
    titles = [row[2] if len(row) > 2 else None for row in answer]
    titled = any(title is not None for title in titles)
    what = answer[0]._fields[0].removesuffix("_id") if answer else "item"
    heads = [Column("", right=True), Column(what), Column(number, right=True), Column("title", cut=True)]
    rows = [(k, x[0], f"{x[1]:.3f}", title) for k, (x, title) in enumerate(zip(answer, titles, strict=True), 1)]
    page.table(heads[: 3 + titled], [row[: 3 + titled] for row in rows], title=title)
