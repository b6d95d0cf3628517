"""``dotbias data list | fetch | show``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import _common as common

app = typer.Typer(
    help="Public data sets: what there is, fetch one, look into one.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Example: dotbias data list",
)


@app.command("list")
def list_all(json: common.Json = False) -> None:
    """What the catalogue knows, and what of it is on this machine.

    [bold]Example:[/] dotbias data list
    """
    from .. import datasets

    rows = datasets.catalogue()
    if json:
        common.print_json([_status(row) for row in rows])
        return
    from rich.table import Table

    table = Table("name", "ratings", "users", "items", "where", "about", box=None)
    for row in rows:
        e = row.entry
        place = str(row.folder) if row.folder else "to fetch" if e.url else "not here"
        table.add_row(e.name, f"{e.n_ratings:,}", f"{e.n_users:,}", f"{e.n_items:,}", place, e.title)
    common.console().print(table)


def _status(row: Any) -> dict[str, Any]:
    e = row.entry
    counts = {"n_ratings": e.n_ratings, "n_users": e.n_users, "n_items": e.n_items}
    folder = None if row.folder is None else str(row.folder)
    return {"name": e.name, "title": e.title, **counts, "url": e.url, "licence": e.licence, "folder": folder}


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="A name of the catalogue, such as ml-100k.")], json: common.Json = False
) -> None:
    """Fetch a data set from its publisher into the cache, unless it is on this machine.

    [bold]Example:[/] dotbias data fetch ml-100k
    """
    from .. import datasets

    folder = datasets.find(name)
    if json:
        common.print_json({"name": name, "folder": str(folder)})
    else:
        typer.echo(folder)


@app.command("show")
def show(
    data: Annotated[str, typer.Argument(help="A catalogue name, a folder, or a file.")],
    n: Annotated[int, typer.Option("-n", help="How many ratings to print.")] = 5,
    user: common.UserColumn = None,
    item: common.ItemColumn = None,
    rating: common.RatingColumn = None,
    time: common.TimeColumn = None,
    duplicates: common.Duplicates = None,
    json: common.Json = False,
) -> None:
    """Look into a data set: counts, scale, side tables, the first ratings.

    [bold]Example:[/] dotbias data show ratings.csv
    """
    from .. import datasets

    ratings = datasets.resolve(data, **common.columns(user, item, rating, time, duplicates))
    if json:
        common.print_json(_facts(ratings))
        return
    out = common.console()
    out.print(repr(ratings), markup=False)
    for side, table in (("user", ratings.user_table), ("item", ratings.item_table)):
        if table is not None:
            out.print(f"{side} table: {', '.join(table.columns)}", markup=False)
    common.say(out, ratings.notes)
    out.print(_first(ratings, n))


def _facts(ratings: Any) -> dict[str, Any]:
    tables = {"user": ratings.user_table, "item": ratings.item_table}
    return {
        "n_ratings": len(ratings),
        "n_users": ratings.n_users,
        "n_items": ratings.n_items,
        "y_range": None if ratings.values is None else list(ratings.scale()),
        "times": ratings.times is not None,
        "tables": {side: None if t is None else t.columns for side, t in tables.items()},
        "fingerprint": ratings.fingerprint(),
        "notes": list(ratings.notes),
    }


def _first(ratings: Any, n: int) -> Any:
    """The first ratings as a table, with titles where there are any."""
    from datetime import UTC, datetime

    from rich.markup import escape
    from rich.table import Table

    frame, titles = ratings.take(range(min(n, len(ratings)))).to_frame(), ratings.item_titles
    table = Table(*frame.columns, *(["title"] if titles else []), box=None)
    for k, row in enumerate(frame.iter_rows(named=True)):
        if "time" in row:
            row["time"] = datetime.fromtimestamp(row["time"], UTC).isoformat(sep=" ", timespec="minutes")[:16]
        title = [titles[ratings.items[k]] or ""] if titles else []
        table.add_row(
            *(escape(f"{v:g}" if isinstance(v, float) else str(v)) for v in [*row.values()]), *map(escape, title)
        )
    return table
