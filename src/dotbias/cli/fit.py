"""``dotbias fit`` and ``dotbias lr-find``."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError, SettingError, did_you_mean
from ..fitters import AUTO, Fitter, find
from . import _common as common

if TYPE_CHECKING:
    from ..ratings import Ratings
    from ..split import Split


def make_split(ratings: Ratings, data: str, text: str, seed: int) -> Split:
    """A split by its name on the command line: lesson, random:0.2, last:1, last-share:0.2, time:0.2, or the data's own.

    Raises:
        SettingError: for a name that is none of these.
    """
    from .. import datasets, split

    name, _, value = text.partition(":")
    try:
        if name == "lesson":
            return split.lesson(ratings, fraction=float(value or 0.2))
        if name == "random":
            return split.random(ratings, test=float(value or 0.1), rng=seed)
        if name == "last":
            return split.last(ratings, n=int(value or 1))
        if name == "last-share":
            return split.last_share(ratings, test=float(value or 0.2))
        if name == "time":
            return split.by_time(ratings, test=float(value or 0.2))
    except ValueError as e:
        if isinstance(e, (SettingError, DataError)):
            raise
        raise SettingError(f"--split {text}: {value!r} is no number.", hint="such as random:0.2 or last:1.") from e
    known = datasets.CATALOGUE[data].splits if data in datasets.CATALOGUE else ()
    if text in known:
        return datasets.split_of(data, text)
    hint = did_you_mean(text, ["lesson", "random:0.2", "last:1", "last-share:0.2", "time:0.2", *known])
    raise SettingError(f"there is no split {text!r} of {data}.", hint=hint)


def fit(
    data: Annotated[str, typer.Argument(help="A catalogue name (ml-100k), a folder, or a file.")],
    test: Annotated[Path | None, typer.Option("--test", help="A file of held-out ratings.")] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="lesson, random:0.2, last:1, last-share:0.2, time:0.2, or u1 of ml-100k."),
    ] = None,
    fitter: Annotated[
        str, typer.Option("--fitter", help="auto, gibbs, sgd, als, dot_bias, net, dot, knn, bias, popular or mean.")
    ] = AUTO,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the fitter, such as n_factors=50; repeatable.")
    ] = None,
    seed: common.Seed = 0,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Save the model in this folder.")] = None,
    user: common.UserColumn = None,
    item: common.ItemColumn = None,
    rating: common.RatingColumn = None,
    time: common.TimeColumn = None,
    duplicates: common.Duplicates = None,
    json: common.Json = False,
) -> None:
    """Fit a model and report its error on held-out ratings, and how well it ranks them.

    With --test or --split the model learns from the train part alone, and that model is saved. With neither, the error
    is that on a random tenth held out; then it is fitted again on everything, and that is saved.

    [bold]Example:[/] dotbias fit ratings.csv -o model

    [bold]Example:[/] dotbias fit ml-100k --split u1 --fitter dot_bias --set n_factors=30 --json
    """
    from .. import datasets
    from ..evaluation import SHOWN, evaluate

    if test is not None and split is not None:
        raise SettingError("--test and --split exclude each other.", hint="name the held-out part in one way.")
    log = common.console(to_stderr=True)
    if fitter != AUTO:  # a wrong name or setting is said before anything is read
        find(fitter).check(common.parse_settings(settings or []))
    seconds: dict[str, float] = {}
    with common.timed(seconds, "load"):
        reading = common.columns(user, item, rating, time, duplicates)
        ratings = datasets.resolve(data, progress=None, **reading)
        parts = _parts(ratings, data, test, split, seed, reading)
    train, held = parts.train, parts.test
    assert held is not None
    common.say(log, held.notes if test is not None else ratings.notes)
    fitter, given = _resolve(fitter, train, log)
    run, chosen = find(fitter), {**given, **common.parse_settings(settings or [])}
    run.check(chosen)
    defaults = run.defaults()
    log.print(f"{common.describe(ratings)}; fitting {fitter} on {len(train):,}, holding out {len(held):,}.")
    with common.timed(seconds, "fit"):
        scorer, log_rows = run_fitter(run, train, held if out and (test or split) else None, seed, chosen, log)
    with common.timed(seconds, "evaluate"):
        report = evaluate(scorer, held, train=train, metrics=SHOWN)
    result = {
        **report.to_dict(),
        "n_train": len(train),
        "seconds": seconds,
        "data": Path(data).name,
        "split": test.name if test is not None else split or "random:0.1",
        "fitter": fitter,
        "settings": {**_json_settings(defaults), **_json_settings(chosen), "seed": seed},
    }
    if not json:
        common.console().print(report)
        common.console().print(f"fitted in {seconds['fit']:.2f} s, loaded in {seconds['load']:.2f} s.")
    if out is not None:
        if test is None and split is None:
            log.print(f"Fitting again on all {len(ratings):,} ratings, to save that.")
            train, (scorer, log_rows) = ratings, run_fitter(run, ratings, None, seed, chosen, log)
        _save(out, scorer, train, result, log_rows, log)
    if json:
        common.print_json(result)


def _resolve(fitter: str, train: Ratings, log: Any) -> tuple[str, dict[str, Any]]:
    """(the fitter's name, settings that come with the choice): auto chooses, and says which and why."""
    if fitter != AUTO:
        return fitter, {}
    from ..solvers.choice import choose

    choice = choose(train)
    log.print(f"auto: {choice.why}", markup=False)
    return choice.fitter, choice.settings


def _parts(
    ratings: Ratings, data: str, test: Path | None, split: str | None, seed: int, reading: dict[str, Any]
) -> Split:
    """Train and test, however the held-out part was named."""
    from .. import datasets
    from .. import split as splits

    if test is not None:
        held = datasets.resolve(test, like=ratings, **reading)
        return splits.predefined(ratings, dataclasses.replace(held, cold=None))
    return make_split(ratings, data, split or "random:0.1", seed)


def _json_settings(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items() if not callable(v)}


def run_fitter(
    run: Fitter, train: Ratings, watched: Ratings | None, seed: int, settings: dict[str, Any], log: Any
) -> tuple[Any, list[dict[str, Any]] | None]:
    """(the scorer, its training log: a row per epoch, or None where the fitter keeps none).

    The loss on ``watched`` goes into the log and nowhere else: none of these fitters is steered by it.
    """
    if run.extra is None:
        scorer = run.fit(train, rng=seed, **settings)
        common.say(log, getattr(scorer, "notes", ()))
        return scorer, None
    from ..callbacks import Log

    kept = Log()
    with warnings.catch_warnings(record=True) as caught:
        scorer = run.fit(train, valid=watched, rng=seed, callbacks=[kept], **settings)
    common.say(log, tuple(str(w.message) for w in caught))
    return scorer, kept.rows


def _save(out: Path, scorer: Any, train: Ratings, result: dict[str, Any], rows: Any, log: Any) -> None:
    from ..recommender import Recommender

    settings = {"fitter": result["fitter"], **result["settings"]}
    metrics = {k: v for k, v in result.items() if k not in ("settings", "fitter")}
    Recommender(scorer, train, settings=settings, metrics=metrics, log=rows).save(out)
    log.print(f"saved: {out}", markup=False)
    log.print(f"next:  dotbias recommend {out} {train.user_ids[0]}", markup=False)


def lr_find(
    data: Annotated[str, typer.Argument(help="A catalogue name (ml-100k), a folder, or a file.")],
    n_factors: Annotated[int, typer.Option("--n-factors", help="Factors of the model.")] = 50,
    bs: Annotated[int, typer.Option("--bs", help="Ratings per batch.")] = 64,
    seed: common.Seed = 0,
    user: common.UserColumn = None,
    item: common.ItemColumn = None,
    rating: common.RatingColumn = None,
    duplicates: common.Duplicates = None,
    json: common.Json = False,
) -> None:
    """Sweep the learning rate up until the loss explodes, and suggest one.

    [bold]Example:[/] dotbias lr-find ml-100k
    """
    from .. import datasets

    find("dot_bias").fit  # noqa: B018  says which extra is missing
    from ..learner import collab_learner

    ratings = datasets.resolve(data, progress=None, **common.columns(user, item, rating, None, duplicates))
    sweep = collab_learner(ratings, n_factors=n_factors, bs=bs, rng=seed).lr_find()
    if json:
        common.print_json(
            {
                "suggestion": sweep.suggestion,
                "lrs": sweep.lrs.tolist(),
                "losses": sweep.losses.tolist(),
                "smooth": sweep.smooth.tolist(),
            }
        )
        return
    out = common.console()
    out.print(f"{common.describe(ratings)}; {len(sweep.lrs)} batches of {bs}.")
    out.print(_picture(sweep))
    out.print(f"suggestion: lr = {sweep.suggestion:.2g}, where the loss falls steepest.")


def _picture(sweep: Any, n_rows: int = 20) -> Any:
    """The sweep as a table with bars: rate, smoothed loss."""
    import numpy as np
    from rich.table import Table

    table = Table("rate", "loss", "", box=None)
    rows = np.unique(np.linspace(0, len(sweep.lrs) - 1, n_rows).astype(int))
    top = float(np.median(sweep.smooth)) * 1.5
    near = rows[np.abs(np.log(sweep.lrs[rows] / sweep.suggestion)).argmin()]
    for k in rows:
        bar = "█" * round(40 * min(sweep.smooth[k] / top, 1.0)) + ("…" if sweep.smooth[k] > top else "")
        table.add_row(f"{sweep.lrs[k]:.2g}", f"{sweep.smooth[k]:.3f}", bar + (" <- suggestion" if k == near else ""))
    return table
