"""``dotbias search``."""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fitters import find
from . import _common as common
from . import _places as places
from ._options import Json, Reading, Seed, Threads, reads_data
from ._show import Column, Page
from ._splits import split_of

if TYPE_CHECKING:
    from ..experiments import Search, Trial


@reads_data
def search(
    data: Annotated[str, typer.Argument(help="A catalogue name (ml-100k), a folder, or a file.")],
    reading: Reading,
    fitter: Annotated[str, typer.Option("--fitter", help="A fitter by its name; not auto.")] = "sgd",
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many, with those of --resume.")] = 40,
    split: Annotated[
        str | None, typer.Option("--split", help="Search in the train part of this split alone; see fit.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="An SQLite file that keeps every trial; if it is there, go on.")
    ] = None,
    space: Annotated[
        list[str] | None, typer.Option("--space", help="A range, such as reg=0.01:0.3 or link=identity,sigmoid.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting that is the same in every trial; repeatable.")
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="By default mse, of clicks ndcg@10.")] = None,
    folds: Annotated[int | None, typer.Option("--folds", help="Held-out tenths of train that are looked at.")] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="A PNG that shows every trial.")] = None,
    seed: Seed = 0,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Look for settings that err less on parts held out of train, and print the command that fits with them.

    The test part of --split is never looked at. The first trial are the defaults; hopeless ones end early. Ctrl-C ends
    the search; with --resume it goes on from there, to the same winner.

    [bold]Example:[/] dotbias search ml-100k --split u1 --fitter als --trials 40 --resume als.db
    """
    from .. import experiments
    from ..experiments.spaces import parse

    fixed, ranges = common.parse_settings(settings or []), dict(parse(text) for text in space or [])
    found = find(fitter)
    found.check(fixed)
    experiments.space_of(found, ranges)
    log = Page(err=True)
    common.use_threads(threads)
    ratings = reading.read(data)
    for note in ratings.notes:
        log.note(note)
    train = ratings if split is None else split_of(ratings, data, split, seed, reading).train
    log.say(f"{common.describe(train)}; searching {fitter}{'' if split is None else f' in the train part of {split}'}.")
    result = experiments.search(
        found,
        train,
        trials=trials,
        folds=folds,
        space=ranges,
        settings=fixed,
        metric=metric,
        resume=resume,
        rng=seed,
        progress=lambda trial, best: log.say(_line(trial, best, trials)),
    )
    command = shlex.join(as_command(data, reading, split, fitter, result.settings, seed))
    if picture is not None:
        _draw(picture, result, Path(data).name)
        log.say(f"wrote {picture}", wrap=False)
    if json:
        Page().json({"data": Path(data).name, "split": split, **result.to_dict(), "command": command})
        return
    heads, *rows = result.rows()
    Page().table([Column(name, right=k > 0) for k, name in enumerate(heads)], rows)
    for line in result.footer():
        Page().say(line)
    Page().say(command, wrap=False)


def _line(trial: Trial, best: Trial, n: int) -> str:
    error = "" if trial.error is None else f" {trial.error:.4f}"
    return f"trial {trial.number + 1} of {n}:{error} {trial.state}; best {best.error:.4f}, trial {best.number + 1}"


def as_command(
    data: str, reading: Reading, split: str | None, fitter: str, settings: dict[str, Any], seed: int
) -> list[str]:
    """The words of the ``dotbias fit`` that fits with these settings."""
    words = ["dotbias", "fit", data]
    for name, value in reading._asdict().items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [option] if value else [f"--no-{name}"] if name in ("header", "lists") else []
        elif value is not None:
            words += [option, str(value)]
    words += [] if split is None else ["--split", split]
    words += ["--fitter", fitter]
    for name, value in settings.items():
        if value is not None:
            words += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return [*words, "--seed", str(seed)]


def _draw(path: Path, result: Search, data: str) -> None:
    from .. import plots

    buffer = io.BytesIO()
    plots.trials(result, data=data).savefig(buffer, format="png")
    places.write(path, buffer.getvalue())
