"""``dotbias plan``: what a fit on a cluster will take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SettingError
from ._options import Json
from ._show import Column, Page

if TYPE_CHECKING:
    from ..cluster.plan import ClusterPlan


def plan(
    ratings: Annotated[str, typer.Option("--ratings", help="How many ratings: 1e9.")],
    users: Annotated[str, typer.Option("--users", help="How many users: 1e8.")],
    items: Annotated[str, typer.Option("--items", help="How many items: 1e6.")],
    n_factors: Annotated[int, typer.Option("--n-factors", help="Factors of the model.")] = 64,
    workers: Annotated[int, typer.Option("--workers", help="Workers, of one thread each.")] = 2,
    machines: Annotated[
        int | None, typer.Option("--machines", help="That the workers are on; by default each has its own.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option("--memory", help="GB of each machine: says what does not fit.")
    ] = None,
    gbits: Annotated[
        float | None, typer.Option("--gbits", help="Of each machine's network; without it, its time is left out.")
    ] = None,
    shards: Annotated[int | None, typer.Option("--shards", help="Of a side; by default of 5 M ratings.")] = None,
    parts: Annotated[int | None, typer.Option("--parts", help="Parquet files; by default of 2.5 M ratings.")] = None,
    constants: Annotated[
        Path | None, typer.Option("--constants", help="Measured elsewhere: a file by `python -m bench cluster`.")
    ] = None,
    json: Json = False,
) -> None:
    """What a fit of als on a cluster will take, before it is paid for; and what breaks first.

    [bold]Example:[/] dotbias plan --ratings 1e9 --users 1e8 --items 1e6 --n-factors 64 --workers 32
    """
    from ..cluster.plan import Machines, Size, load
    from ..cluster.plan import plan as made

    size = Size(count(ratings, "ratings"), count(users, "users"), count(items, "items"), n_factors)
    given = Machines(workers, machines, None if memory is None else 1e9 * memory, gbits)
    found = made(size, given, shards=shards, parts=parts, constants=constants)
    if json:
        return Page().json(found.to_dict())
    _show(found)
    measured = load(None if constants is None else str(constants))
    checked = (
        "" if measured["runs"] else " No fit has been compared with these constants yet: take the figures as rough."
    )
    return Page(err=True).note(
        f"computed from what was measured on {measured['machine']} Other machines differ.{checked}"
    )


def count(text: str, name: str) -> int:
    """A whole number, also as 1e9.

    Raises:
        SettingError: for any other text.
    """
    try:
        found = float(text.replace(",", "").replace("_", ""))
        if found == int(found):
            return int(found)
    except (ValueError, OverflowError):
        pass
    raise SettingError(f"--{name} {text} is no whole number.", hint=f"--{name} 1e9, say.")


def _show(plan: ClusterPlan) -> None:
    from ..cluster.plan import shown

    s, page = plan.size, Page()
    page.say(
        f"als, {s.n_factors} factors: {s.ratings:,} ratings of {s.users:,} users and {s.items:,} items, in "
        f"{plan.parts:,} parts; {plan.machines.workers:,} workers, {plan.shards:,} shards of a side."
    )
    stores = f"while ratings are dealt out {shown(plan.dealt)}, during sweeps {shown(plan.kept)}"
    rows = [
        ("the driver's memory", shown(plan.driver.total), _made_of(plan.driver.of, shown)),
        ("a worker's memory", shown(plan.worker.total), _made_of(plan.worker.of, shown)),
        ("all object stores", shown(max(plan.dealt, plan.kept)), stores),
        ("moved a sweep", shown(plan.moved), f"put down once; copied between machines {shown(plan.network)}"),
        ("a sweep", lasting(plan.seconds), _made_of(plan.sweep.of, lasting)),
        ("before the first", lasting(plan.before.total), _made_of(plan.before.of, lasting)),
    ]
    page.table([Column("what"), Column("", right=True), Column("of it", cut=True)], rows)
    for k, text in enumerate(plan.limits):
        page.say(f"First: {text}" if k == 0 else f"Then: {text}")


def _made_of(of: dict[str, float], show: Callable[[float], str]) -> str:
    largest = sorted(of.items(), key=lambda x: -x[1])[:3]
    return ", ".join(f"{name} {show(value)}" for name, value in largest if value)


def lasting(seconds: float) -> str:
    """Seconds, for people: 3 h."""
    for unit, long in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * long:
            return f"{seconds / long:,.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
