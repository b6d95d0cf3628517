"""Every trial of a search: its error against each setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._page import BLUE, GREY, ORANGE, caption, figure, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..experiments import Search, Trial

READ = (
    "Every dot is a trial: filled where all held-out parts were looked at, hollow where it ended early; "
    "those at the upper edge lie above it."
)


def trials(search: Search, *, data: str = "") -> Figure:
    """The error of every trial against its number and against each setting; defaults and winner are marked.

    Args:
        search: what ``experiments.search`` returned.
        data: name of the data set.
    """
    names = ["", *search.space]
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    with paper():
        head = f"{search.fitter}: {len(search.trials)} trials, the best {search.best.error:.4f}"
        page = figure(3.3 * columns, 0.9 + 2.5 * rows, f"{head}{f', {data}' if data else ''}")
        axes = page.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            _draw(ax, search, name)
        for ax in axes[len(names) :]:
            ax.remove()
        for ax in axes[: len(names) : columns]:
            ax.set_ylabel(search.metric.upper())
        caption(page, READ)
    return page


def _draw(ax: Axes, search: Search, name: str) -> None:
    """One panel: errors against one setting, or against the trials' numbers."""
    known = [t for t in search.trials if t.error is not None and _at(t, name) is not None]
    low, high = _range([t.error for t in known if t.error is not None])
    for state, face in (("ended early", "none"), ("done", BLUE)):
        some = [t for t in known if t.state == state]
        errors = [min(t.error or 0.0, high) for t in some]
        ax.scatter([_at(t, name) for t in some], errors, s=22, facecolors=face, edgecolors=BLUE, linewidths=0.8)
    for trial, colour, label in ((search.trials[0], GREY, "defaults"), (search.best, ORANGE, "best")):
        if _at(trial, name) is not None and trial.error is not None:
            at = [_at(trial, name)], [min(trial.error, high)]
            ax.scatter(*at, s=60, color=colour, marker="D", label=label, zorder=3)
    ax.set_ylim(low, high + 0.02 * (high - low))
    ax.set_xlabel(name or "trial")
    if not name:
        ax.legend(fontsize=8)
    elif all(isinstance(_at(t, name), (int, float)) for t in known):
        _logarithmic(ax)


def _range(errors: list[float]) -> tuple[float, float]:
    """Where to look: nine tenths of the errors; the others stand at the upper edge."""
    rising = sorted(errors)
    worst = rising[int(0.9 * (len(rising) - 1))]
    spread = max(worst - rising[0], 1e-9)
    return rising[0] - 0.1 * spread, worst + 0.3 * spread


def _logarithmic(ax: Axes) -> None:
    """Ticks at 1 and 3 times powers of ten, or at powers alone where these are many; in plain figures."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ax.set_xscale("log")
    first, last = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if last / first > 150 else (1.0, 3.0)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def _at(trial: Trial, name: str) -> Any:
    return trial.number + 1 if not name else trial.settings[name]
