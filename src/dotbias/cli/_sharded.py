"""``dotbias fit PARTS --cluster ADDRESS``: a fit by shards, told of and saved as any other."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from ..errors import DotbiasError, SettingError, StoppedWarning
from ..fitters import FITTERS, find
from ..progress import Step
from ..stopping import stoppable
from . import _common as common
from . import _places as places
from ._options import Reading
from ._show import Page, count

if TYPE_CHECKING:
    from ..cluster import ClusterFit
    from ..ratings import Ratings

INTERRUPTED = 130
SHARDS = 8
NAMES = ", ".join(f.name for f in FITTERS if f.sharded)


class OnCluster(NamedTuple):
    """Where and how a fit is made.

    Attributes:
        address: of the cluster.
        shards: of each side.
        checkpoint: a file, or None.
        bare: whether the model is saved without its ratings.
    """

    address: str | None
    shards: int | None
    checkpoint: Path | None
    bare: bool


def check(place: OnCluster, reading: Reading, fitter: str, settings: list[str], others: dict[str, Any]) -> None:
    """A wrong option is said before anything is read.

    Raises:
        SettingError: for options of a cluster without --cluster, or with it options that make no sense there.
    """
    if place.address is None:
        for name, value in {"shards": place.shards, "checkpoint": place.checkpoint, "no-ratings": place.bare}.items():
            if value:
                raise SettingError(f"--{name} is for fits on a cluster.", hint="give --cluster local:2, say.")
        return
    if not find(fitter).sharded:
        raise SettingError(f"{fitter} cannot be fitted by shards.", hint=f"--fitter {NAMES.replace(', ', ' | ')}.")
    find(fitter).check(common.parse_settings(settings))
    for name, value in {**others, **reading._asdict()}.items():
        if value not in (None, False):
            option = f"--{name.replace('_', '-')}"
            raise SettingError(f"{option} is not for fits on a cluster.", hint=f"leave out {option}.")


def fit(
    data: str,
    place: OnCluster,
    fitter: str,
    settings: list[str],
    *,
    test: Path | None,
    seed: int,
    out: Path | None,
    keep_partial: bool,
    json: bool,
) -> None:
    """Fit by shards on all parts; with ``test`` measured, with ``out`` saved."""
    from .. import cluster

    log, seconds = Page(err=True), {}
    chosen, steps = common.parse_settings(settings), Steps(log)
    if out is not None:
        places.check_model(out)
    assert place.address is not None
    how = {"address": place.address, "shards": place.shards or SHARDS, "checkpoint": place.checkpoint, "rng": seed}
    with warnings.catch_warnings(record=True) as caught, stoppable() as stop, common.timed(seconds, "fit"):
        warnings.simplefilter("always")
        fitted = cluster.fit(fitter, data, progress=steps, **how, **chosen)
    stopped = stop.asked or any(issubclass(w.category, StoppedWarning) for w in caught)
    for text in dict.fromkeys(str(w.message) for w in caught):
        log.note(text)
    run, kept = find(fitter), {k: v for k, v in chosen.items() if not callable(v)}
    about = {
        **{"fitter": fitter, "settings": {**run.defaults(), **kept, "seed": seed}, "n_train": fitted.n_ratings},
        **{"data": Path(data).name, "cluster": place.address, "shards": how["shards"]},
        **{"seconds": seconds, "steps": steps.rows},
    }
    sizes = count(len(fitted.user_ids), "user"), count(len(fitted.item_ids), "item")
    log.say(f"{fitter} of {count(fitted.n_ratings, 'rating')} of {' and '.join(sizes)}, in {seconds['fit']:.1f} s.")
    if stopped:
        about["stopped"] = True
    if stopped and not keep_partial:
        log.say("stopped: nothing was saved." + (f" {place.checkpoint} goes on." if place.checkpoint else ""))
    else:
        about |= _kept(fitted, data, place, test if not stopped else None, out, about, steps, log, json=json)
    if json:
        Page().json(about)
    if stopped:
        raise typer.Exit(INTERRUPTED)


def _kept(
    fitted: ClusterFit,
    data: str,
    place: OnCluster,
    test: Path | None,
    out: Path | None,
    about: dict[str, Any],
    steps: Steps,
    log: Page,
    *,
    json: bool,
) -> dict[str, Any]:
    """Measure and save what was fitted; what was measured."""
    from ..recommender import Recommender

    if test is None and out is None:
        return {}
    train = _ratings(fitted, data, bare=place.bare)
    measured, wrong = {}, None
    try:
        measured = {} if test is None else _measured(fitted, train, test, json=json)
    except DotbiasError as e:  # the fit is kept all the same
        wrong = e
    if out is not None:
        settings = {"fitter": about["fitter"], **about["settings"]}
        metrics = {k: v for k, v in {**about, **measured}.items() if k not in ("fitter", "settings", "steps")}
        door = Recommender(fitted.scorer, train, settings=settings, metrics=metrics, log=steps.rows)
        places.save(door, out)
        log.say(f"saved: {out}" + (", without its ratings" if place.bare else ""), wrap=False)
    if wrong is not None:
        raise wrong
    return measured


def _ratings(fitted: ClusterFit, data: str, *, bare: bool) -> Ratings:
    """The ratings that the model is saved with: all of the parts, or the id tables alone."""
    from ..cluster.gathering import gathered, without
    from ..cluster.parts import find_parts
    from ..files import as_path, check_memory

    paths, ids = find_parts(as_path(data)), (fitted.user_ids, fitted.item_ids)
    if bare:
        return without(fitted)
    what = f"the {fitted.n_ratings:,} ratings that a saved model keeps"
    check_memory(20 * fitted.n_ratings, what, "--no-ratings saves it without them.")
    return gathered(paths, *ids)


def _measured(fitted: ClusterFit, train: Ratings, test: Path, *, json: bool) -> dict[str, Any]:
    from ..evaluation import metrics_for
    from ..ratings import Ratings

    if test.suffix == ".parquet":
        held = Ratings.from_parquet(test, like=train)
    else:
        held = Ratings.from_csv(test, like=train)
    held = dataclasses.replace(held, user_table=None, item_table=None)
    report, _ = common.measured(
        fitted.scorer, held, train, times=None, metrics=metrics_for(held, train, shown=True), clicks=None
    )
    if not json:
        common.show_report(Page(), report)
    return report.to_dict()


class Steps:
    """Told of every step: keeps its row, and says a line of it, with the bytes that were moved.

    Args:
        page: where to say it.
    """

    def __init__(self, page: Page):
        self.page = page
        self.rows: list[dict[str, Any]] = []

    def __call__(self, step: Step) -> None:
        """Take note of a step."""
        self.rows.append(step.row())
        moved = step.values["bytes"]
        shown = step._replace(values={k: v for k, v in step.values.items() if k not in ("bytes", "seconds")})
        seconds = f"  {step.values['seconds']:.2f} s" if "seconds" in step.values else ""
        self.page.say(f"{shown}  {moved / 1e6:,.2f} MB moved{seconds}", wrap=False)
