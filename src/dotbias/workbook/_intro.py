"""The sheet *Intro*: what is here, what to try, what to notice, and what the colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ._sheet import Book


class Tour(NamedTuple):
    """What the Intro says of one sheet."""

    sheet: str
    what: str
    do: str
    notice: str


def intro(
    book: Book, title: str, lead: str, *, facts: Sequence[str], tours: Sequence[Tour], colours: dict[str, str]
) -> None:
    """The first sheet: what is here, what to try, what to notice, and what the colours mean (style -> meaning)."""
    sheet = book.sheet("Intro", title, lead)
    for row, fact in enumerate(facts, start=3):
        sheet.text(row, 0, "• " + fact)
    top = 4 + len(facts)
    for column, head in enumerate(("sheet", "what it shows", "try", "notice")):
        sheet.text(top, column, head, "band")
    for row, tour in enumerate(tours, start=top + 1):
        sheet.page.write_url(row, 0, f"internal:'{tour.sheet}'!A1", book.style("link"), tour.sheet)
        for column, words in enumerate(tour[1:], start=1):
            sheet.text(row, column, words, "wrap")
        lines = max(-(-len(words) // 44) for words in tour[1:])
        sheet.page.set_row(row, 15 * lines + 6)
    top += len(tours) + 2
    sheet.text(top, 0, "colour", "band")
    sheet.text(top, 1, "meaning", "band")
    for row, (style, meaning) in enumerate(colours.items(), start=top + 1):
        sheet.text(row, 0, "", style)
        sheet.text(row, 1, meaning)
    sheet.widths((0, 0, 16), (1, 3, 44))
    sheet.finish()
