"""``dotbias fit``."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SettingError
from ..fitters import AUTO, Fitter, find
from . import _common as common
from . import _places as places
from . import _sharded
from ._options import Json, Reading, Seed, Threads, reads_data
from ._running import Fitted, run_fitter
from ._show import Page
from ._splits import split_of

if TYPE_CHECKING:
    from ..ratings import Ratings
    from ..split import Split

INTERRUPTED = 130
HELP = (
    "auto; of ratings: gibbs, sgd, als, dot_bias, net, dot, knn, bias, popular or mean; "
    "of clicks: implicit_als, ease, bpr, classifier, knn or popular."
)


@reads_data
def fit(
    data: Annotated[str, typer.Argument(help="A catalogue name (ml-100k), a folder, a file, or a database's URL.")],
    reading: Reading,
    test: Annotated[Path | None, typer.Option("--test", help="A file of held-out ratings.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="lesson, random:0.2, last:1, last-share:0.2, time:0.2, u1 of ml-100k, own of gowalla."
        ),
    ] = None,
    fitter: Annotated[str, typer.Option("--fitter", help=HELP)] = AUTO,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the fitter, such as n_factors=50; repeatable.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="What auto may spend on one core, such as 5m, by an estimate.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Save the model in this folder.")] = None,
    keep_partial: Annotated[
        bool, typer.Option("--keep-partial", help="Save also a fit that Ctrl-C ended early, marked as such.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            help="Fit by shards on local:N (workers), HOST:PORT or ray://HOST:PORT; DATA is a folder of Parquet parts. "
            f"Fitters: {_sharded.NAMES}.",
        ),
    ] = None,
    shards: Annotated[int | None, typer.Option("--shards", min=1, help="On a cluster, shards of each side; 8.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="On a cluster, a file written at every step; a fit goes on from it."),
    ] = None,
    no_ratings: Annotated[
        bool, typer.Option("--no-ratings", help="On a cluster, save the model without the ratings it was fitted on.")
    ] = False,
    json: Json = False,
) -> None:
    """Fit a model and report its error on held-out ratings, and how well it ranks them.

    With --test or --split the model learns from the train part alone, and that model is saved. With neither, the error
    is that on a random tenth held out; then it is fitted again on everything, and that is saved.

    Ctrl-C ends the fit after the current step: nothing is measured, and nothing is saved unless --keep-partial says so.
    A second Ctrl-C ends everything.

    [bold]Example:[/] dotbias fit ratings.csv -o model

    [bold]Example:[/] dotbias fit ml-100k --split u1 --fitter dot_bias --set n_factors=30 --json

    [bold]Example:[/] dotbias fit sqlite:///ratings.db --items movies.csv -o model

    [bold]Example:[/] dotbias fit parts --cluster local:2 --fitter als -o model
    """
    place, others = _sharded.OnCluster(cluster, shards, checkpoint, no_ratings), {"split": split, "budget": budget}
    _sharded.check(place, reading, fitter, settings or [], others)
    if cluster is not None:
        more = {"test": test, "seed": seed, "out": out, "keep_partial": keep_partial, "json": json}
        _sharded.fit(data, place, fitter, settings or [], **more)
        return
    _check(test, split, fitter, settings, budget)
    if out is not None:
        places.check_model(out)
    log = Page(err=True)
    common.use_threads(threads)
    seconds: dict[str, float] = {}
    with common.timed(seconds, "load"):
        ratings = reading.read(data)
        parts = _parts(ratings, data, test, split, seed, reading)
    train, held = parts.train, parts.test
    assert held is not None
    for note in held.notes if test is not None else ratings.notes:
        log.note(note)
    if out is not None:
        places.check_room(out, _size(ratings))
    asked, (fitter, given) = fitter, _resolve(fitter, train, budget, log)
    run, chosen = find(fitter), {**given, **common.parse_settings(settings or [])}
    run.check(chosen)
    again = "; then once more on all, to save that" if out is not None and test is None and split is None else ""
    log.say(f"{common.describe(ratings)}; fitting {fitter} on {len(train):,}, holding out {len(held):,}{again}.")
    about = {
        "n_train": len(train),
        "seconds": seconds,
        "data": Path(data).name,
        "split": test.name if test is not None else split or "random:0.1",
    }
    with common.timed(seconds, "fit"):
        # settings are of the fitter that the counts chose: with them, there is nothing to compare
        errors = _candidates(train, fitter, seed, budget) if asked == AUTO and not settings else {}
        watched = held if out and (test or split) else None
        run, chosen, fitted = _fit_the_best(errors, run, chosen, train, watched, seed, log)
    about |= {
        "fitter": run.name,
        "settings": {**_json_settings(run.defaults()), **_json_settings(chosen), "seed": seed},
    }
    about |= {"candidates": errors} if errors else {}
    if fitted.stopped:
        _end(fitted, train, about, out if keep_partial else None, json, log)
    clicks = _clicks(fitted, train, seed, seconds, log)
    result = _measured(fitted, clicks, train, held, about, json)
    if out is not None:
        if test is None and split is None:
            log.say(f"Fitting again on all {len(ratings):,} ratings, to save that.")
            train, fitted = ratings, run_fitter(run, ratings, None, seed, chosen, log)
            if fitted.stopped:
                _end(fitted, train, about, out if keep_partial else None, json, log)
            clicks = _clicks(fitted, train, seed, {}, log)
        _save(out, fitted, train, result, log, clicks)
        log.say(f"next:  dotbias recommend {out} {train.user_ids[0]}", wrap=False)
    if json:
        Page().json(result)


def _check(test: Path | None, split: str | None, fitter: str, settings: list[str] | None, budget: str | None) -> None:
    """A wrong option is said before anything is read."""
    if test is not None and split is not None:
        raise SettingError("--test and --split exclude each other.", hint="name the held-out part in one way.")
    if budget is not None:
        from ..solvers.choice import seconds_of

        seconds_of(budget)
        if fitter != AUTO:
            raise SettingError(f"--budget is for auto, not for {fitter}.", hint="leave out --fitter.")
    if fitter != AUTO:
        find(fitter).check(common.parse_settings(settings or []))


def _clicks(fitted: Fitted, train: Ratings, seed: int, seconds: dict[str, float], log: Page) -> Any:
    """A scorer of who rates what for the model's lists; None for models that say so themselves."""
    from ..scorer import Chances, offers
    from ..solvers import fit_clicks

    if train.values is None or offers(fitted.scorer, Chances):
        return None
    with common.timed(seconds, "fit clicks"):
        clicks = fit_clicks(train, rng=seed)
    if clicks is not None:
        log.say(f"Who rates what, for lists: {clicks!r}.")
    return clicks


def _measured(
    fitted: Fitted, clicks: Any, train: Ratings, held: Ratings, about: dict[str, Any], json: bool
) -> dict[str, Any]:
    """The result: the report and what it is of; shown, unless it will be as JSON."""
    from ..evaluation import metrics_for

    seconds, asked = about["seconds"], metrics_for(held, train, shown=True)
    with common.timed(seconds, "evaluate"):
        report, given = common.measured(fitted.scorer, held, train, times=None, metrics=asked, clicks=clicks)
    if not json:
        common.show_report(Page(), report)
        common.say_given(Page(), given)
        Page().say(f"fitted in {seconds['fit']:.2f} s, loaded in {seconds['load']:.2f} s.")
    return {**report.to_dict(), **({"time_given": given} if given else {}), **about}


def _end(fitted: Fitted, train: Ratings, about: dict[str, Any], out: Path | None, json: bool, log: Page) -> None:
    """After Ctrl-C: save what there is where that was asked for, and leave.

    Raises:
        Exit: always.
    """
    if out is None:
        log.say("stopped: nothing was saved.")
    else:
        _save(out, fitted, train, {**about, "n_train": len(train), "stopped": True}, log)
        log.note("the fit was ended early, and the model is marked so.")
    if json:
        Page().json({"stopped": True, "saved": None if out is None else str(out)})
    raise typer.Exit(INTERRUPTED)


def _resolve(fitter: str, train: Ratings, budget: str | None, log: Page) -> tuple[str, dict[str, Any]]:
    """(the fitter's name, settings that come with the choice): auto chooses, and says which."""
    from ..solvers.choice import choose, everything

    if fitter != AUTO:
        return fitter, everything(train) if fitter == "gibbs" else {}
    limits = {} if budget is None else {"budget": budget}
    choice = choose(train, **limits)
    # Its cost by the counts is what chooses; how long the fit will take is measured, and said while it runs.
    log.say("auto: " + re.sub(r": about .*", ".", choice.why) if choice.fitter == "gibbs" else f"auto: {choice.why}")
    return choice.fitter, choice.settings


def _fit_the_best(
    errors: dict[str, float],
    run: Fitter,
    chosen: dict[str, Any],
    train: Ratings,
    watched: Ratings | None,
    seed: int,
    log: Page,
) -> tuple[Fitter, dict[str, Any], Fitted]:
    """The fitter that errs least inside train, its settings, and its fit; without ``errors``, the one that was chosen.

    Gibbs tells its error only once it is fitted; where another has less, that one is fitted in its place.
    """
    if errors and run.name != "gibbs":
        run, chosen = _best(errors, run, chosen, log)
    fitted = run_fitter(run, train, watched, seed, chosen, log)
    if not errors or run.name != "gibbs" or fitted.stopped:
        return run, chosen, fitted
    winner, of_winner = _best(errors | _error_of(fitted), run, chosen, log)
    if winner is not run:
        fitted = run_fitter(winner, train, watched, seed, of_winner, log)
    return winner, of_winner, fitted


def _candidates(train: Ratings, fitter: str, seed: int, budget: str | None) -> dict[str, float]:
    """The errors of what auto compares with its choice, on a slice inside train."""
    from ..checkpoint import key_of
    from ..solvers import choice

    return choice.candidates_of(train, choice.Choice(fitter, {}, ""), key_of(seed, None), budget or choice.BUDGET)


def _error_of(fitted: Fitted) -> dict[str, float]:
    """The error of gibbs on the same slice."""
    from ..solvers.choice import error_of_gibbs

    return error_of_gibbs(fitted.scorer)


def _best(errors: dict[str, float], run: Fitter, chosen: dict[str, Any], log: Page) -> tuple[Fitter, dict[str, Any]]:
    """The fitter that errs least on the slice, and its settings; the table that it was chosen by is shown."""
    from ..solvers.candidates import best, table

    log.say(f"Inside train, mean squared error on ratings held out at random, times not told:\n{table(errors)}")
    name = best(errors)
    return (run, chosen) if name == run.name else (find(name), {})


def _parts(ratings: Ratings, data: str, test: Path | None, split: str | None, seed: int, reading: Reading) -> Split:
    """Train and test, however the held-out part was named."""
    from .. import split as splits

    if test is not None:
        held = reading._replace(items=None, users=None).read(test, like=ratings)
        return splits.predefined(ratings, dataclasses.replace(held, cold=None))
    return split_of(ratings, data, split or "random:0.1", seed, reading)


def _size(ratings: Ratings) -> int:
    """About how many bytes of a model the ratings alone take."""
    columns = (ratings.users, ratings.items, ratings.values, ratings.times, ratings.counts)
    return sum(column.nbytes for column in columns if column is not None)


def _json_settings(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items() if not callable(v)}


def _save(out: Path, fitted: Fitted, train: Ratings, result: dict[str, Any], log: Page, clicks: Any = None) -> None:
    from ..recommender import Recommender

    settings = {"fitter": result["fitter"], **result["settings"]}
    metrics = {k: v for k, v in result.items() if k not in ("settings", "fitter")}
    kept = {"settings": settings, "metrics": metrics, "log": fitted.log, "clicks": clicks}
    places.save(Recommender(fitted.scorer, train, **kept), out)
    log.say(f"saved: {out}", wrap=False)
