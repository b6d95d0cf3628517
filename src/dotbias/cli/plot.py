"""``dotbias plot``: the pictures of a saved model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError, SettingError
from . import _common as common
from .use import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..ratings import Ratings
    from ..recommender import Recommender


def plot(
    model: Model,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write PNGs into.")] = Path("pictures"),
    test: Annotated[Path | None, typer.Option("--test", help="A file of held-out ratings, to predict.")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Also a learning-rate sweep (needs torch).")] = False,
    seed: common.Seed = 0,
    user: common.UserColumn = None,
    item: common.ItemColumn = None,
    rating: common.RatingColumn = None,
    time: common.TimeColumn = None,
    duplicates: common.Duplicates = None,
    json: common.Json = False,
) -> None:
    """Draw a saved model: losses, biases, a map of items, predictions … A picture without its data is skipped, by name.

    [bold]Example:[/] dotbias plot model -o pictures --test new-ratings.csv
    """
    from .. import datasets
    from ..recommender import Recommender

    door = Recommender.load(model)
    held = None
    if test is not None:
        held = datasets.resolve(test, like=door.train, **common.columns(user, item, rating, time, duplicates))
        common.say(common.console(to_stderr=True), held.notes)
    log = common.console(to_stderr=json)
    written, skipped = write(door, out, test=held, sweep=sweep, seed=seed, log=log)
    if json:
        common.print_json({"written": [str(p) for p in written], "skipped": skipped})


def write(
    door: Recommender, out: Path, *, test: Ratings | None, sweep: bool = False, seed: int = 0, log: Any
) -> tuple[list[Path], dict[str, str]]:
    """Write the pictures into a folder, saying so: (the files, name -> why it was skipped)."""
    written, skipped = [], {}
    out.mkdir(parents=True, exist_ok=True)
    for name, picture in draw(door, test=test, sweep=sweep, seed=seed):
        path = out / f"{name}.png"
        if isinstance(picture, str):
            skipped[name] = picture
            log.print(f"skipped {path.name}: {picture}", style="yellow", markup=False)
        else:
            picture.savefig(path)
            written.append(path)
            log.print(f"wrote   {path}", markup=False)
    return written, skipped


def draw(
    door: Recommender, *, test: Ratings | None = None, sweep: bool = False, seed: int = 0
) -> Iterator[tuple[str, Figure | str]]:
    """Each picture's name, and its Figure or why there is none.

    Raises:
        MissingExtraError: without matplotlib; DataError: for test ratings that the model was fitted on.
    """
    for name, make in _pictures(door, test, sweep, seed).items():
        if isinstance(make, str):
            yield name, make
            continue
        try:
            yield name, make()
        except (SettingError, DataError) as e:
            yield name, e.what


def _pictures(door: Recommender, test: Ratings | None, sweep: bool, seed: int) -> dict[str, Callable[[], Figure] | str]:
    """Name -> what draws it, or why it cannot be drawn."""
    from .. import interpret, plots

    scorer, train = door.scorer, door.train
    name, split = (str(door.metrics.get(k, "")) for k in ("data", "split"))
    learned = f"{name}, {common.describe(train)}".lstrip(", ")
    noise = door.metrics.get("rmse")
    watched = f"valid ({split}, watched only)" if split else "valid"
    kept = {kind: plots.kept_histograms(door.log, kind) for kind in ("gradient", "activation")}
    no_log = "the model keeps no training log of it: dotbias fit keeps one for dot, dot_bias and net."
    return {
        "predictions": "name held-out ratings with --test FILE." if test is None else _predictions(door, test, name),
        "losses": (lambda: plots.losses(door.log or [], data=learned, valid=watched)) if door.log else no_log,
        "sweep": (lambda: plots.lr_sweep(_sweep(door, seed), data=learned)) if sweep else "ask for it with --sweep.",
        "biases": lambda: plots.bias_ranking(interpret.item_biases(scorer, train, noise=noise), data=name),
        "map": lambda: plots.item_map(interpret.components(scorer, train), data=name),
        "map-course": lambda: plots.item_map(interpret.course_components(scorer, train), data=name),
        "crosstab": lambda: plots.crosstab(train, data=learned),
        **{
            f"{kind}s": (lambda kind=kind: plots.histograms(kept[kind], kind=kind, data=learned))
            if kept[kind]
            else no_log
            for kind in kept
        },
        "factors": "a model has one n_factors; dotbias.plots.factors_error draws a list of (n_factors, error).",
    }


def _predictions(door: Recommender, test: Ratings, name: str) -> Callable[[], Figure]:
    from .. import plots
    from ..evaluation import evaluate

    evaluate(door.scorer, test, train=door.train, metrics=("rmse",), n_resamples=20)  # refuses what train holds
    scores = door.scorer.score(test.users, test.items, test.times)
    return lambda: plots.predictions(scores, test.explicit(), data=name)


def _sweep(door: Recommender, seed: int) -> Any:
    from ..fitters import find

    find("dot_bias").fit  # noqa: B018  says which extra is missing
    from ..gradient import collab_learner

    return collab_learner(door.train, n_factors=int(door.settings.get("n_factors", 50)), rng=seed).lr_find()
