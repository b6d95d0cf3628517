"""``dotbias refit``: what a scheduled job calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import _common as common
from . import _places as places
from ._options import Json, Model, Reading, Seed, Threads, reads_data
from ._running import run_fitter
from ._show import Page, count

if TYPE_CHECKING:
    from ..experiments import Refit
    from ..fitters import Fitter
    from ..ratings import Ratings
    from ..scorer import Scorer

REFUSED = 7


@reads_data
def refit(
    model: Model,
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The ratings that came in: a file.")],
    reading: Reading,
    share: Annotated[float, typer.Option("--share", help="Of the new ratings, to compare old and new on.")] = 0.2,
    seed: Seed = 0,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Fit a model again on its ratings and new ones, and put it in the old one's place, unless it gets worse.

    Old and new model are compared on a slice of NEW that neither has seen. If the paired 95 % interval over users is
    wholly worse, nothing is changed and the exit code is 7.

    [bold]Example:[/] dotbias refit model new-ratings.csv --json
    """
    from .. import storage
    from ..experiments import refit as run_refit

    common.use_threads(threads)
    log = Page(err=True)
    ratings = reading.read(new, like=storage.load(model).ratings)
    places.check_model(Path(model))
    for note in ratings.notes:
        log.note(note)

    def fit(run: Fitter, train: Ratings, own_seed: int, settings: dict[str, Any]) -> Scorer:
        log.say(f"fitting {run.name} on {common.describe(train)}.")
        return run_fitter(run, train, None, own_seed, settings, log).scorer

    found = run_refit(model, ratings, share=share, seed=seed, fit=fit)
    if json:
        Page().json(found._asdict())
    else:
        _show(found, model)
    if not found.replaced:
        raise typer.Exit(REFUSED)


def _show(found: Refit, model: str) -> None:
    page, name = Page(), found.metric.upper()
    sure = "" if found.low is None else f" (95 % interval {found.low:+.4f} to {found.high:+.4f})"
    page.say(f"{name} on {count(found.n_slice, 'new rating')}: old {found.old:.4f}, new {found.new:.4f}, ", wrap=False)
    page.say(f"difference {found.difference:+.4f}{sure}: {found.why}", wrap=False)
    if found.n_again:
        page.say(f"{count(found.n_again, 'pair')} were rated before: the new rating counts.")
    if found.replaced:
        page.say(f"{model}: replaced by a fit on {count(found.n_train, 'rating')}.", wrap=False)
    else:
        page.say(f"{model}: unchanged.", wrap=False)
