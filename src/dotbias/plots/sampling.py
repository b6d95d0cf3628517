"""How a Gibbs sampler went: the noise that it holds and the error that it watches, sweep by sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ._page import BLUE, GREY, ORANGE, caption, figure, paper, subtitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PHASES = {
    "start": "start: a few sweeps under the ratings' own spread, which is not one of the noises tried",
    "search": "search: a slice of train is held out, and noise after noise is tried on it",
    "settle": "settle: the best one is held for longer, to measure how wide predictions are",
    "draw": "draw: the slice is put back, and after a few sweeps of warming up the samples are kept",
}


def traces(log: Sequence[Mapping[str, Any]], *, data: str = "", unit: str = "stars") -> Figure:
    """What a fit by Gibbs sampling told of its sweeps.

    Args:
        log: a row per sweep: ``sweep``, ``phase``, ``noise`` (the standard deviation of a rating around its score) and,
            where known, ``error`` (root mean squared, lowest so far on the slice held out of train) and ``valid``.
        data: what was learned from.
        unit: of noise and errors.

    Raises:
        DataError: for a log without them.
    """
    rows = [row for row in log or () if "noise" in row]
    if not rows:
        raise DataError("the log has no 'noise' to draw.", hint="a model that dotbias fit made with gibbs has it.")
    errors = [name for name in ("error", "valid") if any(name in row for row in rows)]
    with paper():
        page = figure(7.2, 5.6 if errors else 4.4, "How the sampler went")
        axes = page.subplots(1 + bool(errors), 1, sharex=True, squeeze=False)[:, 0]
        axes[0].plot([row["sweep"] for row in rows], [row["noise"] for row in rows], color=BLUE, lw=1.2)
        axes[0].set_ylabel(f"noise ({unit})")
        for name, colour in zip(errors, (ORANGE, BLUE), strict=False):
            label = "slice held out of train, lowest so far" if name == "error" else "valid, watched only"
            points = [(row["sweep"], row[name]) for row in rows if name in row]
            axes[1].plot(*zip(*points, strict=True), color=colour, lw=1.2, label=label)
        if errors:
            axes[1].set_ylabel(f"RMSE ({unit})")
            axes[1].legend()
        phases = list(dict.fromkeys(str(row.get("phase", "")) for row in rows))
        for ax in axes:
            _shade(ax, rows, named=ax is axes[0])
        axes[-1].set_xlabel("sweep")
        axes[-1].locator_params(axis="x", integer=True)
        kept = max((int(row.get("kept", 0)) for row in rows), default=0)
        subtitle(axes[0], f"{len(rows):,} sweeps", f"{kept:,} count" if kept else "", data)
        read = "The noise is how far a rating lies from its score, and no setting: it is found."
        caption(page, " ".join([read, *(f"{PHASES[p].capitalize()}." for p in phases if p in PHASES)]))
    return page


def _shade(ax: Axes, rows: Sequence[Mapping[str, Any]], *, named: bool) -> None:
    """Grounds that tell the phases apart, and their names at the top."""
    ax.margins(x=0.01, y=0.2)
    for k, (phase, group) in enumerate(groupby(rows, key=lambda row: row.get("phase", ""))):
        sweeps = [row["sweep"] for row in group]
        ax.axvspan(sweeps[0] - 0.5, sweeps[-1] + 0.5, color=GREY, alpha=0.10 if k % 2 == 0 else 0.0, lw=0)
        if named:
            at = (sweeps[0] + sweeps[-1]) / 2, 0.97
            place = ax.get_xaxis_transform()
            ax.text(*at, str(phase), transform=place, ha="center", va="top", size=9, color=GREY)
