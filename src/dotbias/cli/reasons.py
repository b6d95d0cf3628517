"""``dotbias explain`` and ``dotbias ask``: why a prediction is what it is, and what to ask a newcomer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError
from ._options import Json, Model
from ._show import Column, Page, count
from .recommend import History, When, told, when
from .use import load

if TYPE_CHECKING:
    from ..recommender import Explanation, Reason, Recommender


def explain(
    model: Model,
    words: Annotated[
        list[str], typer.Argument(metavar="[USER] ITEM", help="The user's id (not with --history), and the item.")
    ],
    history: History = None,
    n: Annotated[int, typer.Option("-n", help="How many of the user's ratings to name.")] = 5,
    times: When = "unknown",
    json: Json = False,
) -> None:
    """Why a user is predicted to like an item (its id, or a part of its title): the parts, and the ratings that weigh.

    [bold]Example:[/] dotbias explain model 15 GoldenEye
    """
    if len(words) != (1 if history is not None else 2):
        raise SettingError(f"explain got {len(words)} words.", hint="USER ITEM, or --history and ITEM.")
    door = load(model)
    who: dict[str, Any] = {"history": told(history, door)} if history is not None else {}
    if history is None:
        who = {"user": door.train.user_ids.typed(words[0])}
    found = door.explain(**who, item=door.find_item(words[-1]), n=n, times=when(times))
    if json:
        return Page().json(found.to_dict())
    return _show(found, door)


def _show(found: Explanation, door: Recommender) -> None:
    page = Page()
    of = f" {found.title}" if found.title is not None else ""
    for_whom = "a newcomer" if found.user_id is None else f"user {found.user_id}"
    page.say(f"{found.served:.3f} is predicted for {for_whom} and item {found.item_id}{of}.")
    parts = [(name, f"{value:+.3f}") for name, value in found.parts if value or name == "mean"]
    total = ("in all, before any clip or link", f"{found.value:+.3f}")
    page.table(["part", Column("adds", right=True)], [*parts, total])
    rows = [(_words(reason, found.personal), f"{reason.share:+.3f}") for reason in found.because]
    rows += [
        (name, f"{x:+.3f}")
        for name, x in (("their other ratings", found.others), ("no rating", found.rest))
        if abs(x) >= 5e-4
    ]
    rows.append((f"in all, what is {for_whom}'s alone", f"{found.personal:+.3f}"))
    page.say()
    page.table([Column("because", cut=True), Column("adds", right=True)], rows)
    page.say(f"Shares: {found.how}.")


def _words(reason: Reason, personal: float) -> str:
    """``because you gave 5 to Heat (1995)``; although, where it pulls the other way than all that is theirs."""
    name = str(reason.item_id) if reason.title is None else reason.title
    link = "because" if (reason.share > 0) == (personal > 0) else "although"
    return f"{link} you played {name}" if reason.rating is None else f"{link} you gave {reason.rating:g} to {name}"


def ask(
    model: Model,
    history: History = None,
    user: Annotated[str | None, typer.Option("--user", help="In the place of a history, a user of the model.")] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="How many.")] = 10,
    where: Annotated[
        str | None, typer.Option("--where", help='By the item table: "genres: Comedy; year: 1990-1999".')
    ] = None,
    json: Json = False,
) -> None:
    """What to ask a newcomer: items whose rating would teach most, times the chance that they know them.

    [bold]Example:[/] dotbias ask model --history "Heat (1995)=4.5" -n 5
    """
    door = load(model)
    given = None if history is None else told(history, door)
    user_id = None if user is None else door.train.user_ids.typed(user)
    answer = door.to_ask(given, n, user=user_id, where=where)
    if answer.note:
        Page(err=True).note(answer.note)
    if json:
        return Page().json([question._asdict() for question in answer])
    titled = any(question.title is not None for question in answer)
    heads = [
        *(Column("", right=True), Column("item"), Column("gain", right=True), Column("chance", right=True)),
        Column("title", cut=True),
    ]
    rows = [
        (k, q.item_id, f"{100 * q.gain:.2f} %", f"{100 * q.chance:.1f} %", q.title) for k, q in enumerate(answer, 1)
    ]
    about = f"{count(len(given or {}), 'rating')} told" if user is None else f"user {user}"
    title = f"{about}: what share of what is not known their rating would settle, and the chance that they know it"
    return Page().table(heads[: 4 + titled], [row[: 4 + titled] for row in rows], title=title)
