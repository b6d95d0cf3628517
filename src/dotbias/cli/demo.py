"""``dotbias demo``: the main job, on real data, from a file to recommendations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DownloadError, MissingExtraError
from ..fitters import find
from . import _common as common
from .fit import run_fitter

if TYPE_CHECKING:
    from ..ratings import Ratings


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the model goes.")] = Path("demo"),
    seed: common.Seed = 0,
    json: common.Json = False,
) -> None:
    """The main job on real data: load, split as the lesson does, fit, compare, recommend, save, draw.

    MovieLens small comes from DOTBIAS_DATA, the cache, or its publisher, in that order; where none can be reached, a
    planted world stands in.

    [bold]Example:[/] dotbias demo
    """
    from .. import split
    from ..evaluation import compare
    from ..recommender import Recommender

    log = common.console(to_stderr=json)
    seconds: dict[str, float] = {}
    with common.timed(seconds, "load"):
        ratings, source = _ratings(log)
        parts = split.lesson(ratings)
    train, test = parts.train, parts.test
    assert test is not None
    log.print(f"[bold]1. Load.[/] {source}: {common.describe(ratings)}.")
    cold = parts.cold()["test"]
    log.print(f"[bold]2. Split[/] as the lesson does: {len(train):,} to learn from, {len(test):,} held out", end=" ")
    log.print(f"({cold.rows:,} of them with a user or an item never seen in train).")
    scorers, epochs = _fit(train, test, seed, seconds, log)
    with common.timed(seconds, "evaluate"):
        comparison = compare(scorers, test, train=train)
    best = next(iter(scorers))
    log.print("[bold]4. Compare[/] on the held-out ratings (intervals: 95 %, bootstrap over users):")
    log.print(_table(comparison, best))
    door = Recommender(
        scorers[best],
        train,
        settings={"fitter": best, "seed": seed},
        metrics={**comparison.reports[best].to_dict(), "data": source, "split": "lesson"},
        log=epochs,
    )
    user_id = _typical_user(train)
    answer = door.recommend(user_id, 5)
    log.print(f"[bold]5. Recommend[/] for user {user_id}, who rated {len(door.seen(user_id))} items:")
    log.print(_list(answer))
    door.save(out)
    log.print(f"[bold]6. Save[/] the model in the folder {out}:")
    log.print("\n".join(_files(out)), markup=False)
    with common.timed(seconds, "plot"):
        _draw(door, out / "pictures", test, log)
    log.print(f"Next: dotbias recommend {out} {user_id}   ·   dotbias similar {out} {answer[0].item_id}", markup=False)
    if json:
        reports = {name: report.to_dict() for name, report in comparison.reports.items()}
        common.print_json({"data": source, "reports": reports, "seconds": seconds, "saved": str(out)})


def _ratings(log: Any) -> tuple[Ratings, str]:
    """MovieLens small, or a planted world where it cannot be had."""
    from .. import datasets

    name = "ml-latest-small-2016" if datasets.where("ml-latest-small-2016") else "ml-latest-small"
    try:
        return datasets.load(name, progress=None), f"MovieLens small ({name})"
    except DownloadError as e:
        log.print(
            f"{e.what} A planted world stands in for it: its users, items and ratings are made up.", style="yellow"
        )
        world = datasets.planted(600, 1_500, n_ratings=60_000, n_factors=8, noise=0.7, rng=0)
        return world.ratings, "planted world"


def _fit(
    train: Ratings, test: Ratings, seed: int, seconds: dict[str, float], log: Any
) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """The lesson's model (without torch: the same by the numba solver), and the baselines to compare it with."""
    try:
        best, _ = "dot_bias", find("dot_bias").fit
    except MissingExtraError as e:
        log.print(f"{e.what} {e.hint}", style="yellow", markup=False)
        best = "sgd"
    scorers, logs = {}, {}
    for name in dict.fromkeys((best, "bias", "mean")):
        with common.timed(seconds, name):
            scorers[name], logs[name] = run_fitter(find(name), train, test, seed, {}, log)
    log.print(f"[bold]3. Fit.[/] {best}: {seconds[best]:.1f} s.")
    return scorers, logs[best]


def _draw(door: Any, out: Path, test: Ratings, log: Any) -> None:
    """The model's pictures, or what to install for them."""
    from .plot import write

    log.print(f"[bold]7. Draw[/] what it learned, in {out}:")
    try:
        write(door, out, test=test, log=log)
    except MissingExtraError as e:
        log.print(f"   {e.what} {e.hint}", style="yellow", markup=False)


def _typical_user(train: Ratings) -> Any:
    """The user with the median number of ratings, among those with at least 20."""
    import numpy as np

    counts = train.user_counts
    active = np.flatnonzero(counts >= min(20, counts.max()))
    return train.user_ids[int(active[np.argsort(counts[active], kind="stable")[len(active) // 2]])]


def _table(comparison: Any, best: str) -> Any:
    from rich.table import Table

    table = Table("", "MSE", "RMSE (interval)", "warm RMSE", f"beside {best}", box=None)
    for name, report in comparison.reports.items():
        low, high = report.interval["rmse"]
        gap = comparison.differences.get(name)
        beside = "" if gap is None else f"{gap['rmse'].value:+.3f} ({gap['rmse'].low:+.3f} to {gap['rmse'].high:+.3f})"
        warm = f"{report.warm['rmse']:.3f}" if "rmse" in report.warm else "-"
        table.add_row(name, f"{report.mse:.3f}", f"{report.rmse:.3f} ({low:.3f} to {high:.3f})", warm, beside)
    return table


def _list(answer: Any) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("item", "score", box=None)
    table.add_column("title", no_wrap=True, overflow="ellipsis", max_width=60)
    for item_id, score, title in answer:
        table.add_row(escape(str(item_id)), f"{score:.2f}", escape(title or ""))
    return table


def _files(out: Path) -> list[str]:
    """What was written, a line each: the file and what it holds."""
    from ..storage import load

    blobs = load(out).manifest["blobs"]
    kept = [f"   {out / 'manifest.json'}: what belongs together, replaced last"]
    return kept + [f"   {out / blob['file'][:22]}…{Path(blob['file']).suffix}: {role}" for role, blob in blobs.items()]
