"""What the pictures share: paper, colours, a headline that says what is to be seen, a line that says of what."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
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


def caption(page: Figure, text: str) -> None:
    """A line or two below the picture: how to read it."""
    width = int(page.get_figwidth() * 15)  # letters of this size on a line
    page.supxlabel(textwrap.fill(text, width), x=0.012, ha="left", size=9, color=GREY)


def shortened(text: str, n: int = 36) -> str:
    """A title at most n characters long; ``Matrix, The (1999)`` becomes ``The Matrix (1999)``. No mathtext.

    Other names in brackets before the year are left out.
    """
    return _safe(_cut(_plain(text), n))


def all_shortened(texts: Sequence[str], n: int = 36) -> list[str]:
    """Titles at most n characters long; those that begin alike lose their middle, so that they can be told apart."""
    plain = [_plain(text) for text in texts]
    heads = Counter(text[:ALIKE] for text in set(plain))
    return [_safe(_cut(text, n, middle=heads[text[:ALIKE]] > 1)) for text in plain]


ALIKE = 8  # letters: titles that share so many at their beginning look the same when their end is cut


def _plain(text: str) -> str:
    """Articles in front, no other names, no control characters."""
    text = "".join(c if c.isprintable() else " " for c in text)
    text = re.sub(r" \(.*\)(?= \(\d{4}\)$)", "", text)
    name, _, year = text.rpartition(" (")
    for article in ("The", "A", "An"):
        if name.endswith(f", {article}"):
            text = f"{article} {name.removesuffix(f', {article}')} ({year}"
    return text


def _cut(text: str, n: int, *, middle: bool = False) -> str:
    """At most n characters, the year kept."""
    if len(text) <= n:
        return text
    year = text[-7:] if re.fullmatch(r" \(\d{4}\)", text[-7:]) else ""
    body, room = text[: len(text) - len(year)], n - 1 - len(year)
    if not middle:
        return body[:room].rstrip(" ,(") + "…" + year
    head = body[: room // 3]
    if body[room // 3] != " ":
        head = head.rpartition(" ")[0] or head  # whole words
    head = head.rstrip(" ,(:")
    tail = body[len(body) - (room - len(head)) :]
    whole = tail.partition(" ")[2]  # from the next word on
    return f"{head}…{whole if len(whole) > room // 3 else tail.lstrip()}{year}"


def _safe(text: str) -> str:
    return text.replace("$", r"\$")
