"""Options that mean the same in every command, and the one set with which data are read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

from ..errors import SettingError

if TYPE_CHECKING:
    from ..ratings import Ratings

PANEL = "How the data are read"


def _option(name: str, help: str, **more: Any) -> Any:
    return typer.Option(name, help=help, rich_help_panel=PANEL, **more)


Json = Annotated[bool, typer.Option("--json", help="JSON alone on stdout; everything else on stderr.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random: the same seed, the same bits.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a saved model.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=0, envvar="DOTBIAS_THREADS", help="How many threads a fit may use; 0: as many as pay."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", metavar="ADDRESS", help="By shards over Ray: local:N workers here, or HOST:PORT."),
]
Shards = Annotated[int, typer.Option("--shards", min=1, help="With --cluster: how many tasks, several a worker.")]
SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
SPELLED = {"\t": "tab", "\\t": "tab", ";": "semicolon", "|": "pipe"}  # what a shell would take for its own


class Reading(NamedTuple):
    """How a file of ratings is to be read; what is None is recognised."""

    user: Annotated[str | None, _option("--user", "Column of users: its name, or its position from 0.")] = None
    item: Annotated[str | None, _option("--item", "Column of items.")] = None
    rating: Annotated[str | None, _option("--rating", "Column of ratings.")] = None
    no_rating: Annotated[bool, _option("--no-rating", "There are no ratings: these are clicks.")] = False
    count: Annotated[str | None, _option("--count", "Of clicks, the column of how often: plays, quantity …")] = None
    no_count: Annotated[bool, _option("--no-count", "Each click counts once.")] = False
    lists: Annotated[
        bool | None,
        _option("--lists/--no-lists", "Each line is a user and then items, between spaces.", show_default=False),
    ] = None
    table: Annotated[str | None, _option("--table", "Of a database, the table; by default ratings.")] = None
    time: Annotated[str | None, _option("--time", "Column of times.")] = None
    no_time: Annotated[bool, _option("--no-time", "Leave the times out.")] = False
    separator: Annotated[str | None, _option("--separator", "Between columns: , ; | :: or tab.")] = None
    header: Annotated[
        bool | None, _option("--header/--no-header", "Whether the first line names the columns.", show_default=False)
    ] = None
    scale: Annotated[
        str | None, _option("--scale", "The ratings' scale, such as 0.5:5; one outside it is an error.")
    ] = None
    items: Annotated[Path | None, _option("--items", "A table of items: id, title and other columns.")] = None
    users: Annotated[Path | None, _option("--users", "A table of users.")] = None
    duplicates: Annotated[
        str | None,
        _option("--duplicates", "Several rows of one pair: error (of ratings), last, mean, sum (of clicks)."),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """What was said, as the arguments of ``Ratings.from_csv``.

        Raises:
            SettingError: for options that exclude each other, or a scale that is none.
        """
        for role in ("rating", "time", "count"):
            column = getattr(self, role)
            if getattr(self, f"no_{role}") and column is not None:
                what = f"--no-{role} and --{role} {column} exclude each other."
                raise SettingError(what, hint="keep one of them.")
        given = {
            **{role: _column(getattr(self, role)) for role in ("user", "item", "rating", "time", "count")},
            "lists": self.lists,
            "table": self.table,
            "separator": SEPARATORS.get(self.separator or "", self.separator),
            "header": self.header,
            "y_range": None if self.scale is None else scale(self.scale),
            "duplicates": self.duplicates,
        }
        said = {name: value for name, value in given.items() if value is not None}
        return said | {role: False for role in ("rating", "time", "count") if getattr(self, f"no_{role}")}

    def read(self, data: str | Path, *, like: Ratings | None = None) -> Ratings:
        """Ratings from a catalogue name, a folder or a file, with their side tables.

        Args:
            data: as a person types it.
            like: the ratings whose rows these must have, for held-out ones.

        Raises:
            DataError: if it cannot be read as these options say; SettingError: for options that make no sense here.
        """
        from .. import datasets

        if like is not None and (self.items or self.users):
            which = "--items" if self.items else "--users"
            raise SettingError(f"{which} has no use for held-out ratings.", hint="the model has its own side tables.")
        more = {} if like is None else {"like": like}
        ratings = datasets.resolve(data, progress=None, **more, **self.arguments())
        return self.with_tables(ratings)

    def with_tables(self, ratings: Ratings) -> Ratings:
        """The ratings with the side tables that ``--items`` and ``--users`` name."""
        if self.items is not None:
            ratings = ratings.with_item_table(_there(self.items))
        if self.users is not None:
            ratings = ratings.with_user_table(_there(self.users))
        return ratings


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose argument ``reading: Reading`` becomes the options of :class:`Reading`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "reading"]
    hints = get_type_hints(Reading, include_extras=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in Reading._field_defaults.items()
    ]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        reading = Reading(**{name: given.pop(name) for name in Reading._fields})
        command(**given, reading=reading)

    del with_options.__wrapped__  # typer asks for the signature, and would find the command's own
    with_options.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(p.replace(kind=p.KEYWORD_ONLY) for p in own), *options]
    )
    with_options.__annotations__ = {p.name: p.annotation for p in (*own, *options)}
    return with_options


def as_option(name: str, value: str) -> str:
    """An argument of Python's, in a hint, as the option that means it: ``("time", "False")`` -> ``--no-time``."""
    plain = value.strip("'\"")
    flags = {(n, "False"): f"--no-{n}" for n in ("rating", "time", "header")} | {("header", "True"): "--header"}
    renamed = {"item_table": "--items", "user_table": "--users", "y_range": "--scale"}
    if (name, value) in flags:
        return flags[name, value]
    if name == "y_range":
        plain = ":".join(part.strip() for part in plain.strip("()").split(",")) if plain else "LOW:HIGH"
    shown = SPELLED.get(plain, plain) if name == "separator" else plain
    option = renamed.get(name, f"--{name.replace('_', '-')}")
    known = {f"--{n.replace('_', '-')}" for n in Reading._fields}
    return f"{option} {shown}".rstrip() if option in known else f"{name}={value}"


def scale(text: str) -> tuple[float, float]:
    """``"0.5:5"`` -> (0.5, 5.0).

    Raises:
        SettingError: for anything else.
    """
    low, _, high = text.replace("..", ":").replace(",", ":").partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise SettingError(f"--scale {text} is no scale.", hint="the lowest and the highest: --scale 0.5:5.") from None


def _column(text: str | None) -> str | int | None:
    """A column by its name, or by its position."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() else text


def _there(path: Path) -> Path:
    if path.is_dir():
        raise SettingError(f"{path} is a folder, not a file.", hint="name a table: a column of ids, and a header.")
    if not path.exists():
        raise SettingError(f"there is no file {path}.", hint="name a table: a column of ids, and a header.")
    return path
