"""What the pictures share: paper, colours, a headline that says what is to be seen, a line that says of what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0b6fa4", "#d1580a", "#2a8a57", "#6b6b6b"  # told apart by the colour-blind, too
DPI = 130


@contextmanager
def paper() -> Iterator[Any]:
    """Seaborn's white grid and readable fonts, within; yields seaborn.

    Raises:
        MissingExtraError: without matplotlib or seaborn.
    """
    require("matplotlib", extra="plot")
    sns = require("seaborn", extra="plot")
    grid = {"grid.color": "#e6e6e6", "axes.edgecolor": "#9a9a9a", "font.family": ["DejaVu Sans"]}
    with sns.axes_style("whitegrid", grid), sns.plotting_context("notebook", font_scale=0.85):
        yield sns


def figure(width: float, height: float, headline: str) -> Figure:
    """An empty page, in inches, with its headline."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    page.suptitle(headline, x=0.012, ha="left", weight="bold", size=12)
    return page


def subtitle(ax: Axes, *parts: str) -> None:
    """A grey line above the axes: counts, data set; parts without words are left out."""
    ax.set_title("  ·  ".join(p for p in parts if p), loc="left", size=9, color=GREY)


def shortened(text: str, n: int = 36) -> str:
    """A title at most n characters long; ``Matrix, The (1999)`` becomes ``The Matrix (1999)``. No mathtext.

    Other names in brackets before the year are left out.
    """
    text = re.sub(r" \(.*\)(?= \(\d{4}\)$)", "", text)
    name, _, year = text.rpartition(" (")
    for article in ("The", "A", "An"):
        if name.endswith(f", {article}"):
            text = f"{article} {name.removesuffix(f', {article}')} ({year}"
    if len(text) > n:
        end = f" {text[-6:]}" if text.endswith(")") and text[-6:-5] == "(" else ""
        text = text[: n - 1 - len(end)].rstrip(" ,(") + "…" + end
    return text.replace("$", r"\$")
