"""The sheet *Intro*: what is here, what to try and what comes of it, and what the colours mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ._sheet import Book, Value


class Exercise(NamedTuple):
    """Something to do on a sheet, and what it comes to: computed, so that a test can do it and compare.

    Attributes:
        do: in words.
        see: what then stands where, in words that hold the numbers computed.
        edits: cell or block by name -> what is typed or pasted there; None clears a cell.
        check: cell or block by name -> what it then holds.
    """

    do: str
    see: str
    edits: Mapping[str, Value | np.ndarray | None] = {}
    check: Mapping[str, Value | np.ndarray] = {}


class Tour(NamedTuple):
    """What the Intro says of one sheet."""

    sheet: str
    what: str
    exercises: Sequence[Exercise] = ()


HEADS = ("sheet", "what it shows", "try", "and see")
WIDTHS = (16, 44, 50, 50)


def intro(
    book: Book, title: str, lead: str, *, facts: Sequence[str], tours: Sequence[Tour], colours: dict[str, str]
) -> None:
    """The first sheet: what is here, exercises with their outcomes, and what the colours mean (style -> meaning)."""
    sheet = book.sheet("Intro", title, lead)
    for row, fact in enumerate(facts, start=3):
        sheet.text(row, 0, "• " + fact)
    row = 4 + len(facts)
    for column, head in enumerate(HEADS):
        sheet.text(row, column, head, "band")
    for tour in tours:
        for k, exercise in enumerate(tour.exercises or [Exercise("", "")]):
            row += 1
            words = ("" if k else tour.what, exercise.do, exercise.see)
            if k == 0:
                sheet.page.write_url(row, 0, f"internal:'{tour.sheet}'!A1", book.style("link"), tour.sheet)
            for column, text in enumerate(words, start=1):
                sheet.text(row, column, text, "wrap_line" if k == 0 else "wrap")
            lines = max(-(-len(text) // (WIDTHS[column] - 3)) for column, text in enumerate(words, start=1))
            sheet.page.set_row(row, 15 * max(lines, 1) + 4)
    row += 2
    sheet.text(row, 0, "colour", "band")
    sheet.text(row, 1, "meaning", "band")
    for below, (style, meaning) in enumerate(colours.items(), start=row + 1):
        sheet.text(below, 0, "", style)
        sheet.text(below, 1, meaning)
    sheet.widths(*((k, k, width) for k, width in enumerate(WIDTHS)))
    sheet.finish(pages=2)


def number(value: float) -> str:
    """A number as sentences say it: a few digits, scientific where it is large, a dash where there is none."""
    if value != value:
        return "–"
    if abs(value) >= 1e5:
        return f"{value:.1e}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
