"""What the commands share: options that mean the same everywhere, and how things are shown."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError

if TYPE_CHECKING:
    from rich.console import Console

    from ..ratings import Ratings

Json = Annotated[bool, typer.Option("--json", help="JSON alone on stdout; everything else on stderr.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random: the same seed, the same bits.")]
UserColumn = Annotated[str | None, typer.Option("--user", help="Column of users, if not recognised.")]
ItemColumn = Annotated[str | None, typer.Option("--item", help="Column of items, if not recognised.")]
RatingColumn = Annotated[str | None, typer.Option("--rating", help="Column of ratings, if not recognised.")]
TimeColumn = Annotated[str | None, typer.Option("--time", help="Column of times, if not recognised.")]
Duplicates = Annotated[
    str | None, typer.Option("--duplicates", help="Several ratings of one pair: error (default), last or mean.")
]


def console(*, to_stderr: bool = False) -> Console:
    """A console for tables and messages."""
    from rich.console import Console

    return Console(stderr=to_stderr, highlight=False, soft_wrap=True)


def columns(user: str | None, item: str | None, rating: str | None, time: str | None, duplicates: str | None) -> dict:
    """Reading options that were given, for ``datasets.resolve``."""
    given = {"user": user, "item": item, "rating": rating, "time": time, "duplicates": duplicates}
    return {name: value for name, value in given.items() if value is not None}


def say(out: Console, notes: tuple[str, ...]) -> None:
    """Notes that reading the data left for people."""
    for note in notes:
        out.print(f"note: {note}", style="yellow", markup=False)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the wall-clock seconds of the block to ``seconds[name]``."""
    start = time.perf_counter()
    yield
    seconds[name] = round(seconds.get(name, 0.0) + time.perf_counter() - start, 4)


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """``["n_factors=50", "lr=0.01"]`` -> {"n_factors": 50, "lr": 0.01}: values are JSON, or else text.

    Raises:
        SettingError: for text without ``=``.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise SettingError(f"--set {pair!r} has no '='.", hint="such as --set n_factors=50.")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        settings[name.strip()] = tuple(value) if isinstance(value, list) else value
    return settings


def describe(ratings: Ratings) -> str:
    """One line about the data."""
    kind = "ratings" if ratings.values is not None else "interactions"
    return f"{len(ratings):,} {kind} of {ratings.n_users:,} users and {ratings.n_items:,} items"
