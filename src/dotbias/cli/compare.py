"""``dotbias compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError
from ..fitters import FITTERS, find
from . import _common as common
from ._options import Json, Reading, Seed, Threads, reads_data
from ._show import Column, Page
from ._splits import splits_of
from .use import Like, Order

if TYPE_CHECKING:
    from ..experiments import Compared

STARS = "mean,bias,knn,sgd,als,gibbs,dot,dot_bias,net"
CLICKS = "popular,knn,ease,implicit_als,bpr"


@reads_data
def compare(
    data: Annotated[str, typer.Argument(help="A catalogue name (ml-100k), a folder, or a file.")],
    reading: Reading,
    fitters: Annotated[
        str | None,
        typer.Option("--fitters", help=f"Between commas; of ratings by default {STARS}, of clicks {CLICKS}."),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="lesson, random:0.2, folds:5, last:1, last-share:0.2, time:0.2, own of gowalla; several between "
            "commas are pooled: u1,u2 of ml-100k.",
        ),
    ] = "folds:5",
    reference: Annotated[
        str | None, typer.Option("--reference", help="What differences are to; bias, else the first.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of one fitter, such as sgd.n_factors=20; repeatable.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Others than by default, such as ndcg@10,recall@20.")
    ] = None,
    times: Annotated[
        str | None,
        typer.Option("--times", help="What models are told of times: given, unknown or now; else as served."),
    ] = None,
    order: Order = "liked",
    like: Like = None,
    seed: Seed = 0,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Fit several ways on the same split with the same seed: errors, intervals, paired differences, seconds, memory.

    Ratings held out at random are guessed without their times, as predict serves them, and later ones for now. Rows
    stand in the order of the first measure. A difference is to the reference, over the same users; p says how unlikely
    it is if there is none, by Holm's procedure over all rows.

    [bold]Example:[/] dotbias compare ml-100k --fitters bias,sgd,als --split u1

    [bold]Example:[/] dotbias compare ratings.csv --fitters bias,knn,gibbs --split folds:5 --reference knn --json
    """
    from .. import experiments

    chosen = of_fitters(settings or [])
    names = None if fitters is None else [name.strip() for name in fitters.split(",")]
    for name in names or ():
        find(name).check(chosen.get(name, {}))
    log = Page(err=True)
    common.use_threads(threads)
    ratings = reading.read(data)
    for note in ratings.notes:
        log.note(note)
    names = names or (STARS if ratings.values is not None else CLICKS).split(",")
    result = experiments.compare(
        names,
        splits_of(ratings, data, split, seed, reading),
        reference=reference,
        metrics=None if metrics is None else metrics.replace(",", " ").split(),
        order=order,
        like=like,
        times=times,  # type: ignore[arg-type]  compare checks it
        settings=chosen,
        rng=seed,
        progress=lambda text: log.say(f"fitting: {text}"),
    )
    if json:
        Page().json({"data": Path(data).name, "split": split, **result.to_dict()})
        return
    show(Page(), result)


def show(page: Page, result: Compared) -> None:
    """The table, and what it is of."""
    heads, *rows = result.table()
    page.table([heads[0], *(Column(name, right=True) for name in heads[1:])], rows)
    for line in result.footer():
        page.say(line)


def of_fitters(pairs: list[str]) -> dict[str, dict[str, Any]]:
    """``["sgd.lr=0.1"]`` -> {"sgd": {"lr": 0.1}}.

    Raises:
        SettingError: for text that names no fitter.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in common.parse_settings(pairs).items():
        fitter, dot, setting = name.partition(".")
        if not dot or fitter not in {f.name for f in FITTERS}:
            raise SettingError(f"--set {name} names no fitter.", hint="such as --set sgd.n_factors=20.")
        found.setdefault(fitter, {})[setting] = value
    return found
