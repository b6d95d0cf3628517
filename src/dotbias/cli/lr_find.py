"""``dotbias lr-find``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..fitters import find
from . import _common as common
from ._options import Json, Reading, Seed, Threads, reads_data
from ._show import Column, Page

BAR = 40  # cells


@reads_data
def lr_find(
    data: Annotated[str, typer.Argument(help="A catalogue name (ml-100k), a folder, or a file.")],
    reading: Reading,
    n_factors: Annotated[int, typer.Option("--n-factors", help="Factors of the model.")] = 64,
    bs: Annotated[int, typer.Option("--bs", help="Ratings per batch.")] = 64,
    seed: Seed = 0,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Sweep the learning rate up until the loss explodes, and suggest one.

    [bold]Example:[/] dotbias lr-find ml-100k
    """
    find("dot_bias").fit  # noqa: B018  says which extra is missing
    common.use_threads(threads)
    from ..gradient import collab_learner

    ratings = reading.read(data)
    for note in ratings.notes:
        Page(err=True).note(note)
    sweep = collab_learner(ratings, n_factors=n_factors, bs=bs, rng=seed).lr_find()
    page = Page()
    if json:
        lists = {name: getattr(sweep, name).tolist() for name in ("lrs", "losses", "smooth")}
        page.json({"suggestion": sweep.suggestion, **lists})
        return
    page.say(f"{common.describe(ratings)}; {len(sweep.lrs)} batches of {bs}.")
    _draw(page, sweep)
    page.say(f"suggestion: lr = {sweep.suggestion:.2g}, where the loss still falls fast, well before it explodes.")


def _draw(page: Page, sweep: Any, n_rows: int = 20) -> None:
    """The sweep as a table with bars: rate, smoothed loss."""
    import numpy as np

    near = int(np.abs(np.log(sweep.lrs / sweep.suggestion)).argmin())
    rows = np.unique(np.r_[near, np.linspace(0, len(sweep.lrs) - 1, n_rows).astype(int)])
    top = float(np.median(sweep.smooth)) * 1.5
    mark = " <- suggestion"
    width = max(min(BAR, (page.width or 99) - 16 - len(mark)), 4)
    full = "█" if page.can_show("█") == "█" else "#"
    lines = []
    for k in rows:
        bar = full * round(width * min(sweep.smooth[k] / top, 1.0)) + (">" if sweep.smooth[k] > top else "")
        lines.append((f"{sweep.lrs[k]:.2g}", f"{sweep.smooth[k]:.3f}", bar + mark * bool(k == near)))
    page.table([Column("rate", right=True), Column("loss", right=True), ""], lines)
