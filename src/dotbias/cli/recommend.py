"""``dotbias recommend`` and ``predict``: for users that train knows, for a newcomer's history, or for everybody."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError
from . import _places as places
from ._options import Cluster, Json, Model, Shards
from ._show import Page, count
from .use import Like, Order, load, show, show_list

if TYPE_CHECKING:
    import polars as pl

    from ..recommender import Recommender
    from ..times import Times

_ENTRY = re.compile(r"\s*(.+?)\s*=\s*(-?\d+(?:\.\d*)?|-?\.\d+)\s*(?:,|$)")
When = Annotated[str, typer.Option("--times", help="When they rate it: now, unknown, a date, or seconds (UTC).")]
History = Annotated[
    str | None, typer.Option("--history", help='A newcomer\'s ratings, by id or title: "Heat (1995)=4.5, 32=3".')
]


def recommend(
    model: Model,
    users: Annotated[list[str] | None, typer.Argument(metavar="[USER]...", help="Ids of users.")] = None,
    n: Annotated[int, typer.Option("-n", help="How many.")] = 10,
    history: History = None,
    everybody: Annotated[bool, typer.Option("--all", help="For all users, into the file that -o names.")] = False,
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", help="With --all: the .parquet or .csv file; with --cluster a folder."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="An item id to leave out; repeatable.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Choose among these item ids; repeatable.")] = None,
    where: Annotated[
        str | None, typer.Option("--where", help='By the item table: "genres: Comedy; year: 1990-1999".')
    ] = None,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="Also items that the user has rated.")] = False,
    keep_unrated: Annotated[bool, typer.Option("--keep-unrated", help="Also items that nobody has rated.")] = False,
    order: Order = "liked",
    like: Like = None,
    times: When = "now",
    popularity: Annotated[
        float, typer.Option("--popularity", help="From -1 (less popular) by 0 (as they are) to 1 (more).")
    ] = 0.0,
    diversity: Annotated[
        float, typer.Option("--diversity", help="From 0 (as they are) to 1 (unlike each other).")
    ] = 0.0,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="With --all: blocks at a time.")] = None,
    cluster: Cluster = None,
    parts: Annotated[
        str | None, typer.Option("--parts", help="With --cluster: the Parquet parts fitted on, if not in the model.")
    ] = None,
    shards: Shards = 8,
    json: Json = False,
) -> None:
    """The items that a user is most likely to rate and like, best first.

    [bold]Example:[/] dotbias recommend model 15 -n 5
    [bold]Everybody's lists, on a cluster:[/] dotbias recommend model --all --cluster local:2 -o lists
    """
    file = None if out is None else Path(out)
    _one_of(users, history, everybody, file, cluster)
    if parts is not None and cluster is None:
        raise SettingError("--parts goes with --cluster.", hint="--cluster local:2, say.")
    door = load(model)
    items = door.train.item_ids
    asked: dict[str, Any] = {
        "exclude": [items.typed(i) for i in exclude or ()],
        "only": None if only is None else [items.typed(i) for i in only],
        "where": where,
        "keep_seen": keep_seen,
        "keep_unrated": keep_unrated,
        "order": order,
        "like": like,
        "times": when(times),
        "popularity": popularity,
        "diversity": diversity,
    }
    if cluster is not None:
        where_to = {"address": cluster, "parts": parts, "shards": shards}
        _write_parts(door, str(out), n, {**asked, **where_to}, json)
    elif file is not None:
        _write(door, file, n, asked, threads, json)
    elif history is not None:
        answer = door.recommend(n=n, history=told(history, door), **asked)
        show(answer, "score", json, f"for a newcomer, by {answer.order}")
    else:
        _show_users(door, users or [], n, asked, json)


def _one_of(
    users: list[str] | None, history: str | None, everybody: bool, out: Path | None, cluster: str | None
) -> None:
    """Refuse a command that asks for nobody, or for several kinds of people at once."""
    if sum((bool(users), history is not None, everybody)) != 1:
        raise SettingError("it is not said for whom, once.", hint="user ids, or --history, or --all with -o FILE.")
    if everybody != (out is not None):
        raise SettingError("--all and -o go together.", hint="dotbias recommend MODEL --all -o top.parquet")
    if cluster is not None and not everybody:
        raise SettingError("--cluster goes with --all.", hint="dotbias recommend MODEL --all --cluster local:2 -o OUT")
    if out is not None and cluster is None:
        if out.suffix not in (".parquet", ".csv"):
            raise SettingError(f"{out} is neither .parquet nor .csv.", hint="name the file top.parquet, say.")
        places.check_file(out)


def _show_users(door: Recommender, users: list[str], n: int, asked: dict[str, Any], json: bool) -> None:
    answers = door.recommend([door.train.user_ids.typed(u) for u in users], n, **asked)
    if len(users) == 1:
        ((user_id, answer),) = answers.items()
        return show(answer, "score", json, f"for user {user_id}, by {answer.order}")
    for user_id, answer in answers.items():
        if answer.note:
            Page(err=True).note(f"user {user_id}: {answer.note}")
        if not json:
            show_list(Page(), answer, "score", title=f"for user {user_id}, by {answer.order}")
    if json:
        Page().json({str(u): [row._asdict() for row in answer] for u, answer in answers.items()})
    return None


def _write(door: Recommender, out: Path, n: int, asked: dict[str, Any], threads: int | None, json: bool) -> None:
    """Everybody's lists into a file."""
    frame = door.recommend_all(n, threads=threads, progress=False if json else None, **asked)
    places.write(out, _to_bytes(frame, out.suffix))
    n_users = door.train.n_users
    short = n_users - int((frame["user"].value_counts()["count"] == n).sum())
    if short:
        Page(err=True).note(f"{count(short, 'user')} of {n_users:,} got fewer than {n}: no more items could be chosen.")
    if json:
        Page().json({"written": str(out), "users": n_users, "rows": frame.height, "short": short})
    else:
        Page().say(f"{out}: {frame.height:,} rows for {count(n_users, 'user')}", wrap=False)


def _write_parts(door: Recommender, out: str, n: int, asked: dict[str, Any], json: bool) -> None:
    """Everybody's lists by shards, into a folder."""
    from .. import cluster

    found = cluster.recommend_all(door, out, n=n, **asked)
    if found.short:
        Page(err=True).note(f"{count(found.short, 'user')} of {found.users:,} got fewer than {n}.")
    if json:
        written = {"written": str(found.folder), "users": found.users, "rows": found.rows, "short": found.short}
        Page().json(written)
    else:
        Page().say(f"{found.folder}: {found.rows:,} rows for {count(found.users, 'user')}", wrap=False)


def _to_bytes(table: pl.DataFrame, suffix: str) -> bytes:
    from ..readers import guarded

    buffer = io.BytesIO()
    if suffix == ".parquet":
        table.write_parquet(buffer)
    else:
        guarded(table).write_csv(buffer, quote_style="non_numeric")
    return buffer.getvalue()


def predict(
    model: Model,
    words: Annotated[
        list[str], typer.Argument(metavar="[USER] ITEM", help="The user's id (not with --history), and the item.")
    ],
    history: History = None,
    times: When = "unknown",
    unknown: Annotated[
        str, typer.Option("--unknown", help="Ids that the model does not know: raise (an error) or baseline.")
    ] = "raise",
    json: Json = False,
) -> None:
    """What a user would give an item (its id, or a part of its title), how sure that is, and how it was made.

    [bold]Example:[/] dotbias predict model 15 GoldenEye
    """
    if len(words) != (1 if history is not None else 2):
        raise SettingError(f"predict got {len(words)} words.", hint="USER ITEM, or --history and ITEM.")
    door = load(model)
    ids, item = door.train.item_ids, words[-1]
    item_id = ids.typed(item) if unknown == "baseline" and ids.typed(item) not in ids else door.find_item(item)
    given: dict[str, Any] = {"times": when(times), "unknown": unknown}
    if history is None:
        user_id = door.train.user_ids.typed(words[0])
        found = door.predict(user_id, item_id, **given)
    else:
        user_id, found = None, door.predict(history=told(history, door), items=item_id, **given)[0]
    if json:
        return Page().json({"user_id": user_id, "item_id": item_id, **found._asdict()})
    sure = "" if found.low is None else f", 80 % between {found.low:.2f} and {found.high:.2f}"
    return Page().say(f"{found.value:.3f}{sure} ({found.path})")


def told(text: str, door: Recommender) -> dict[Any, float]:
    """``"Heat (1995)=4.5, 32=3"`` -> {"Heat (1995)": 4.5, "32": 3.0}; of clicks, items between commas will do.

    Raises:
        SettingError: for text that is no such list, or names an item twice.
    """
    if door.train.values is None and "=" not in text:
        entries = [(name.strip(), "1") for name in text.split(",") if name.strip()]
    else:
        entries = _ENTRY.findall(text)
        rest = _ENTRY.sub("", text).strip()
        if rest:
            hint = 'ITEM=RATING, with commas between: --history "Heat (1995)=4.5, 32=3".'
            raise SettingError(f"--history: {rest[:60]!r} is no item and rating.", hint=hint)
    found: dict[Any, float] = {}
    for name, value in entries:
        if name in found:
            raise SettingError(f"--history names {name!r} twice.", hint="keep one of them.")
        found[name] = float(value)
    return found


def when(text: str) -> Times:
    """``unknown``, ``now``, seconds since 1970 UTC, or a date such as 2018-03-25 (UTC), as ``times=`` takes it.

    Raises:
        SettingError: for anything else.
    """
    import datetime as dt

    if text in ("unknown", "now"):
        return text  # type: ignore[return-value]
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        hint = "now, unknown, a date such as 2018-03-25, or seconds since 1970 UTC."
        raise SettingError(f"--times {text} is no time.", hint=hint) from None
    return int((found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp())
