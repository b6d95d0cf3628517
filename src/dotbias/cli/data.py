"""``dotbias data list | fetch | show``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ._options import Json, Reading, reads_data
from ._show import Column, Page, visible

app = typer.Typer(
    help="Public data sets: what there is, fetch one, look into one.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Example: dotbias data list",
)


@app.command("list")
def list_all(json: Json = False) -> None:
    """What the catalogue knows, and what of it is on this machine.

    [bold]Example:[/] dotbias data list
    """
    from .. import datasets

    rows, page = datasets.catalogue(), Page()
    if json:
        page.json([_status(row) for row in rows])
        return
    heads = ["name", *(Column(n, right=True) for n in ("ratings", "users", "items")), "about", "where"]
    page.table(heads, [_line(row) for row in rows])


def _line(row: Any) -> tuple[str, ...]:
    e = row.entry
    place = str(row.folder) if row.folder else "to fetch" if e.url else "not here"
    return e.name, f"{e.n_ratings:,}", f"{e.n_users:,}", f"{e.n_items:,}", e.title, place


def _status(row: Any) -> dict[str, Any]:
    e = row.entry
    counts = {"n_ratings": e.n_ratings, "n_users": e.n_users, "n_items": e.n_items}
    folder = None if row.folder is None else str(row.folder)
    return {"name": e.name, "title": e.title, **counts, "url": e.url, "licence": e.licence, "folder": folder}


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="A name of the catalogue, such as ml-100k.")], json: Json = False
) -> None:
    """Fetch a data set from its publisher into the cache, unless it is on this machine.

    [bold]Example:[/] dotbias data fetch ml-100k
    """
    from .. import datasets

    folder, page = datasets.find(name), Page()
    if json:
        page.json({"name": name, "folder": str(folder)})
    else:
        page.say(str(folder), wrap=False)


@app.command("show")
@reads_data
def show(
    data: Annotated[str, typer.Argument(help="A catalogue name, a folder, or a file.")],
    reading: Reading,
    n: Annotated[int, typer.Option("-n", min=0, help="How many ratings to print.")] = 5,
    json: Json = False,
) -> None:
    """Look into a data set: counts, scale, side tables, the first ratings.

    [bold]Example:[/] dotbias data show ratings.csv
    """
    ratings, page = reading.read(data), Page()
    if json:
        page.json(_facts(ratings))
        return
    page.say(repr(ratings))
    for side, table in (("user", ratings.user_table), ("item", ratings.item_table)):
        if table is not None:
            page.say(f"{side} table: {', '.join(map(visible, table.columns))}")
    for note in ratings.notes:
        page.note(note)
    _first(page, ratings, n)


def _facts(ratings: Any) -> dict[str, Any]:
    tables = {"user": ratings.user_table, "item": ratings.item_table}
    return {
        "n_ratings": len(ratings),
        "n_users": ratings.n_users,
        "n_items": ratings.n_items,
        "y_range": None if ratings.values is None else list(ratings.scale()),
        "feedback": ratings.feedback,
        "times": ratings.times is not None,
        "tables": {side: None if t is None else t.columns for side, t in tables.items()},
        "fingerprint": ratings.fingerprint(),
        "notes": list(ratings.notes),
    }


def _first(page: Page, ratings: Any, n: int) -> None:
    """The first ratings as a table, with titles where there are any."""
    frame, titles = ratings.take(range(min(n, len(ratings)))).to_frame(), ratings.item_titles
    heads = [Column(name, right=name == "rating", cut=name in ("user", "item")) for name in frame.columns]
    rows = []
    for k, row in enumerate(frame.iter_rows(named=True)):
        if "time" in row:
            row["time"] = _date(row["time"])
        cells = [f"{v:g}" if isinstance(v, float) else v for v in row.values()]
        rows.append([*cells, *([titles[ratings.items[k]]] if titles else [])])
    page.table([*heads, *([Column("title", cut=True)] if titles else [])], rows)


def _date(seconds: int) -> str:
    """Seconds UTC as a date; as they are, where no calendar of Python's has them."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="minutes")[:16]
    except (ValueError, OverflowError, OSError):
        return str(seconds)
