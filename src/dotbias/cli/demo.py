"""``dotbias demo``: the main job, on real data, from a file to recommendations."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DownloadError, MissingExtraError
from ..fitters import find
from . import _common as common
from . import _places as places
from ._options import Json, Seed
from ._running import run_fitter
from ._show import Column, Page, visible
from .use import show_list

if TYPE_CHECKING:
    from ..ratings import Ratings


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the model goes.")] = Path("demo"),
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """The main job on real data: load, split as the lesson does, fit, compare, recommend, save, draw.

    MovieLens small comes from DOTBIAS_DATA, the cache, or its publisher, in that order; where none can be reached, a
    planted world stands in.

    [bold]Example:[/] dotbias demo
    """
    from .. import split
    from ..evaluation import compare
    from ..recommender import Recommender
    from ..solvers import fit_clicks

    places.check_model(out)
    page = Page(err=json)
    seconds: dict[str, float] = {}
    with common.timed(seconds, "load"):
        ratings, source = _ratings(page)
        parts = split.lesson(ratings)
    train, test = parts.train, parts.test
    assert test is not None
    page.say(f"1. Load. {source}: {common.describe(ratings)}.")
    cold = parts.cold()["test"].rows
    unknown = f"({cold:,} of them with a user or an item never seen in train)"
    page.say(f"2. Split as the lesson does: {len(train):,} to learn from, {len(test):,} held out {unknown}.")
    scorers, steps = _fit(train, test, seed, seconds, page)
    with common.timed(seconds, "evaluate"):
        comparison = compare(scorers, test, train=train)
    best = next(iter(scorers))
    page.say("4. Compare on the held-out ratings (intervals: 95 %, bootstrap over users):")
    _compare(page, comparison, best)
    door = Recommender(
        scorers[best],
        train,
        settings={"fitter": best, "seed": seed},
        metrics={**comparison.reports[best].to_dict(), "data": source, "split": "lesson"},
        log=steps,
        clicks=fit_clicks(train, rng=seed),
    )
    user_id = _typical_user(train)
    answer = door.recommend(user_id, 5)
    rated = f"who rated {len(door.seen(user_id))} items"
    page.say(f"5. Recommend for user {visible(user_id)}, {rated}, by {answer.order}:")
    show_list(page, answer, "score")
    places.save(door, out)
    page.say(f"6. Save the model in the folder {visible(out)}:")
    page.say("\n".join(_files(out)), wrap=False)
    with common.timed(seconds, "plot"):
        _draw(door, out / "pictures", test, page)
    page.say("Next:")
    for words in (f"recommend {out} {user_id}", f"similar {out} {answer[0].item_id}", "data list"):
        page.say(f"    {program()} {words}", wrap=False)
    if json:
        reports = {name: report.to_dict() for name, report in comparison.reports.items()}
        Page().json({"data": source, "reports": reports, "seconds": seconds, "saved": str(out)})


def program() -> str:
    """What a person types to run this program again: its name where that is on the path, else where it lies."""
    here = Path(sys.argv[0])
    if here.stem != "dotbias":
        return "dotbias" if shutil.which("dotbias") else "python -m dotbias"
    found = shutil.which("dotbias")
    if found is not None and Path(found).resolve() == here.resolve():
        return "dotbias"
    folder, lies = Path.cwd(), here.absolute()
    return shlex.quote(str(lies.relative_to(folder) if lies.is_relative_to(folder) else lies))


def _ratings(page: Page) -> tuple[Ratings, str]:
    """MovieLens small, or a planted world where it cannot be had."""
    from .. import datasets

    name = "ml-latest-small-2016" if datasets.where("ml-latest-small-2016") else "ml-latest-small"
    try:
        return datasets.load(name, progress=None), f"MovieLens small ({name})"
    except DownloadError as e:
        page.note(f"{e.what} A planted world stands in for it: its users, items and ratings are made up.")
        world = datasets.planted(600, 1_500, n_ratings=60_000, n_factors=8, noise=0.7, rng=0)
        return world.ratings, "planted world"


def _fit(
    train: Ratings, test: Ratings, seed: int, seconds: dict[str, float], page: Page
) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """The lesson's model (without torch: the same by the numba solver), and the baselines to compare it with.

    Raises:
        Exit: after Ctrl-C.
    """
    try:
        best, _ = "dot_bias", find("dot_bias").fit
    except MissingExtraError as e:
        page.note(f"{e.what} Hint: {e.hint}")
        best = "sgd"
    scorers, logs = {}, {}
    for name in dict.fromkeys((best, "bias", "mean")):
        with common.timed(seconds, name):
            fitted = run_fitter(find(name), train, test, seed, {}, page)
        if fitted.stopped:
            raise typer.Exit(130)
        scorers[name], logs[name] = fitted.scorer, fitted.log
    page.say(f"3. Fit. {best}: {seconds[best]:.1f} s.")
    return scorers, logs[best]


def _draw(door: Any, out: Path, test: Ratings, page: Page) -> None:
    """The model's pictures, or what to install for them."""
    from .plot import write

    page.say(f"7. Draw what it learned, in {visible(out)}:")
    try:
        write(door, out, test=test, page=page, unsaid=("sweep",))
    except MissingExtraError as e:
        page.say(f"   {e.what} {e.hint}", style="yellow")


def _typical_user(train: Ratings) -> Any:
    """The user with the median number of ratings, among those with at least 20."""
    import numpy as np

    counts = train.user_counts
    active = np.flatnonzero(counts >= min(20, counts.max()))
    return train.user_ids[int(active[np.argsort(counts[active], kind="stable")[len(active) // 2]])]


def _compare(page: Page, comparison: Any, best: str) -> None:
    """Each model's error, and by how much it lies above the first one's."""
    rows = []
    for name, report in comparison.reports.items():
        low, high = report.interval["rmse"]
        gap = comparison.differences.get(name)
        beside = "" if gap is None else f"{gap['rmse'].value:+.3f} ({gap['rmse'].low:+.3f} to {gap['rmse'].high:+.3f})"
        warm = f"{report.warm['rmse']:.3f}" if "rmse" in report.warm else "-"
        rows.append((name, f"{report.mse:.3f}", f"{report.rmse:.3f} ({low:.3f} to {high:.3f})", warm, beside))
    page.table(["", *(Column(n) for n in ("MSE", "RMSE (interval)", "warm RMSE", f"beside {best}"))], rows)


def _files(out: Path) -> list[str]:
    """What was written, a line each: the file and what it holds."""
    from ..storage import load

    blobs = load(out).manifest["blobs"]
    kept = [f"   {out / 'manifest.json'}: what belongs together, replaced last"]
    return kept + [f"   {out / blob['file'][:22]}…{Path(blob['file']).suffix}: {role}" for role, blob in blobs.items()]
