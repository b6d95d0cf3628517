"""Pages, colours and cells shared by all workbooks: what looks finished, and what a formula's true value is.

Every formula is written together with the value that the library computed for it in float64 (to ten digits), so that a
viewer which never recalculates shows the truth. Text is always written as text: a title that begins with ``=`` stays a
title. This module knows no model; xlsxwriter (extra ``xlsx``) is imported when a ``Book`` is opened.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingError, require
from ..files import write
from ._style import PLAIN, STYLES

Value = float | int | str


@cache
def column_letters(column: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA."""
    before, last = divmod(column, 26)
    return (column_letters(before - 1) if before else "") + chr(ord("A") + last)


class Block(NamedTuple):
    """A rectangle of cells; rows and columns count from 0. Its references keep their shape when a cell is copied."""

    sheet: str
    top: int
    left: int
    height: int
    width: int

    def at(self, i: int = 0, j: int = 0) -> str:
        """One cell, ``C7``."""
        return f"{column_letters(self.left + j)}{self.top + i + 1}"

    def fixed(self, i: int = 0, j: int = 0) -> str:
        """One cell from another sheet, ``dotprod!$C$7``."""
        return f"{self.sheet}!${column_letters(self.left + j)}${self.top + i + 1}"

    def row(self, i: int, *, skip: int = 0) -> str:
        """One row without its first ``skip`` columns, ``$C7:$Q7``."""
        first, last = column_letters(self.left + skip), column_letters(self.left + self.width - 1)
        return f"${first}{self.top + i + 1}:${last}{self.top + i + 1}"

    def column(self, j: int, *, skip: int = 0) -> str:
        """One column without its first ``skip`` rows, ``C$7:C$21``."""
        letters = column_letters(self.left + j)
        return f"{letters}${self.top + skip + 1}:{letters}${self.top + self.height}"

    @property
    def all(self) -> str:
        """The whole block, ``$C$7:$Q$21``."""
        corner = column_letters(self.left + self.width - 1)
        return f"${column_letters(self.left)}${self.top + 1}:${corner}${self.top + self.height}"

    @property
    def ref(self) -> str:
        """The whole block from another sheet, ``dotprod!$C$7:$Q$21``."""
        return f"{self.sheet}!{self.all}"


class Book:
    """An .xlsx file being written: sheets, named formats, drop-downs, names.

    Raises:
        MissingExtraError: if xlsxwriter is not installed.
    """

    def __init__(self, title: str):
        xlsxwriter = require("xlsxwriter", extra="xlsx")
        self._stream = BytesIO()
        text_stays_text = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        self.file = xlsxwriter.Workbook(self._stream, {"in_memory": True, **text_stays_text})
        # A fixed date: the same input gives the same bytes.
        self.file.set_properties({"title": title, "author": "dotbias", "created": datetime.datetime(2018, 2, 1)})
        self._formats: dict[str, Any] = {}
        self._choices: dict[str, list[Value]] = {}
        self.names: list[tuple[str, str]] = []  # (name, reference) of what is defined for people

    def style(self, name: str) -> Any:
        """The format called ``name`` in STYLES."""
        if name not in self._formats:
            self._formats[name] = self.file.add_format(PLAIN | STYLES[name])
        return self._formats[name]

    def sheet(self, name: str, title: str, lead: str) -> Sheet:
        """A new sheet under its heading: a title and one sentence."""
        return Sheet(self, name, title, lead)

    def name(self, name: str, reference: str) -> None:
        """Define ``name`` for a cell or block given as ``sheet!$A$1``."""
        self.names.append((name, reference))
        self.file.define_name(name, f"={reference}")

    def hidden_name(self, sheet: str, name: str, value: str) -> None:
        """Define a name that belongs to one sheet and that no list shows, as Excel's add-ins keep their settings."""
        self.file.define_name(f"{sheet}!{name}", f"={value}")
        self.file.defined_names[-1][3] = True

    def choices(self, name: str, options: Sequence[Value]) -> str:
        """The reference of a list of options, to be written on the sheet *choices* by :meth:`save`."""
        self._choices.setdefault(name, list(options))
        column = list(self._choices).index(name)
        return Block("choices", 4, column, len(self._choices[name]), 1).ref

    def save(self, path: str | Path) -> Path:
        """Write the file, whole or not at all."""
        path = Path(path)
        if path.suffix != ".xlsx" or not path.parent.is_dir():
            hint = "name a file that ends in .xlsx, in a folder that exists."
            raise SettingError(f"a workbook cannot be written to {str(path)!r}.", hint=hint)
        self._write_choices()
        self.file.close()
        write(path, self._stream.getvalue())
        return path

    def _write_choices(self) -> None:
        if not self._choices:
            return
        lead = "What the drop-downs offer. Drop-downs take nothing else: to try another number, change it here first."
        sheet = self.sheet("choices", "Choices", lead)
        for column, (name, options) in enumerate(self._choices.items()):
            sheet.text(3, column, name.replace("_", " "), "head")
            for row, option in enumerate(options):
                sheet.value(4 + row, column, option, "input")
            if not isinstance(options[0], str):
                sheet.numbers_only(Block("choices", 4, column, len(options), 1))
        sheet.widths((0, len(self._choices) - 1, 15))
        sheet.finish(freeze=(4, 0))


class Sheet:
    """One sheet of a Book."""

    def __init__(self, book: Book, name: str, title: str, lead: str):
        self.book, self.name = book, name
        self.page = book.file.add_worksheet(name, _plain_worksheet())
        self.page.hide_gridlines(2)
        self.page.set_row(0, 26)
        self.text(0, 0, title, "title")
        self.text(1, 0, lead, "lead")

    def text(self, row: int, column: int, text: str, style: str = "label_left") -> None:
        """Text, never a formula."""
        self.page.write_string(row, column, text, self.book.style(style))

    def value(self, row: int, column: int, value: Value, style: str = "plain") -> None:
        """A number, or text as text; NaN is an empty cell."""
        if isinstance(value, str):
            self.text(row, column, value, style)
        elif value != value:
            self.page.write_blank(row, column, None, self.book.style(style))
        else:
            self.page.write_number(row, column, value, self.book.style(style))

    def formula(self, row: int, column: int, formula: str, value: Value, style: str = "plain") -> None:
        """A formula and its true value (NaN: the empty text)."""
        cached = "" if value != value else value
        self.page.write_formula(row, column, "=" + formula, self.book.style(style), cached)

    def values(self, block: Block, values: np.ndarray, style: str) -> None:
        """Numbers (height, width)."""
        for i, row in enumerate(values.tolist()):
            for j, value in enumerate(row):
                self.value(block.top + i, block.left + j, value, style)

    def formulas(self, block: Block, formula: Callable[[int, int], str], values: np.ndarray, style: str) -> None:
        """``formula(i, j)`` for each cell, with its true values (height, width)."""
        look, write = self.book.style(style), self.page.write_formula
        for i, row in enumerate(values.tolist()):
            for j, value in enumerate(row):
                cached = "" if value != value else float(f"{value:.10g}")  # the last six digits would fill the file
                write(block.top + i, block.left + j, "=" + formula(i, j), look, cached)

    def array(self, block: Block, formula: str, values: np.ndarray, style: str) -> None:
        """One array formula (entered with Ctrl+Shift+Enter) over a block, with its true values (height, width)."""
        look = self.book.style(style)
        self.page.write_array_formula(*corners(block), "=" + formula, look, float(values[0, 0]))
        for (i, j), value in np.ndenumerate(values):
            if i or j:
                self.page.write_number(block.top + i, block.left + j, float(f"{value:.10g}"), look)

    def merged(self, row: int, column: int, width: int, style: str) -> None:
        """Make one cell of ``width``; write into its first afterwards."""
        if width > 1:
            self.page.merge_range(row, column, row, column + width - 1, "", self.book.style(style))

    def choose(self, row: int, column: int, value: Value, options: Sequence[Value], name: str) -> None:
        """A drop-down cell with a name; it refuses what the list on *choices* does not offer."""
        self.choose_from(row, column, value, self.book.choices(name, options), name)

    def choose_from(self, row: int, column: int, value: Value, source: str, name: str) -> None:
        """A drop-down cell with a name that offers the cells of ``source``, a reference or the name of one."""
        source = dict(self.book.names).get(source, source)  # Google Sheets offers what a reference holds
        self.value(row, column, value, "input")
        rule = {"validate": "list", "source": "=" + source, "error_title": "Not one of the choices"}
        hint = "Choose from the list. The sheet choices says what a list offers; numbers can be changed there."
        self.page.data_validation(row, column, row, column, rule | {"error_message": hint})
        self.book.name(name, Block(self.name, row, column, 1, 1).fixed())

    def used(self, row: int, column: int, value: Value, name: str) -> None:
        """A cell called ``name`` with the number typed above it, or 0 for a text: so that no text makes errors."""
        self.formula(row, column, f"N({column_letters(column)}{row})", value, "pale")
        self.book.name(name, Block(self.name, row, column, 1, 1).fixed())

    def named_input(self, row: int, column: int, value: float, name: str, style: str = "input") -> None:
        """A number that a person may change, with a name."""
        self.value(row, column, value, style)
        self.numbers_only(Block(self.name, row, column, 1, 1))
        self.book.name(name, Block(self.name, row, column, 1, 1).fixed())

    def numbers_only(self, block: Block, message: str = "This must be a number.") -> None:
        """Refuse everything but numbers (and empty cells) where a person types."""
        rule = {"validate": "decimal", "criteria": "between", "minimum": -1e9, "maximum": 1e9, "ignore_blank": True}
        self.page.data_validation(*corners(block), rule | {"error_message": message})

    def widths(self, *columns: tuple[int, int, float]) -> None:
        """Column widths in characters: (first, last, width)."""
        for first, last, width in columns:
            if last >= first:
                self.page.set_column(first, last, width)

    def shade(self, block: Block, low: str, high: str) -> None:
        """Colour the block's numbers from low to high."""
        rule = {"type": "2_color_scale", "min_color": low, "max_color": high}
        self.page.conditional_format(*corners(block), rule)

    def mark(self, block: Block, condition: str, **look: Any) -> None:
        """Mark the cells for which a formula, written for the block's first cell, is true."""
        rule = {"type": "formula", "criteria": "=" + condition, "format": self.book.file.add_format(look)}
        self.page.conditional_format(*corners(block), rule)

    def scientific(self, block: Block) -> None:
        """Show numbers beyond ±100,000 as 2E+05, so that they fit their columns."""
        look = self.book.file.add_format({"num_format": "0E+00"})
        rule = {"type": "cell", "criteria": "not between", "minimum": -99999.5, "maximum": 99999.5, "format": look}
        self.page.conditional_format(*corners(block), rule)

    def whiten(self, block: Block) -> None:
        """Leave cells white that hold nothing."""
        self.mark(block, f'{block.at()}=""', bg_color="#FFFFFF")

    def band(self, row: int, column: int, width: int, words: str) -> None:
        """A dark bar of ``width`` cells that names what is below it."""
        self.text(row, column, words, "band")
        for j in range(1, width):
            self.text(row, column + j, "", "band")

    def finish(
        self,
        *,
        freeze: tuple[int, int] = (0, 0),
        pages: int = 1,
        wide: int = 1,
        portrait: bool = False,
        area: Block | None = None,
    ) -> None:
        """Frozen panes and printed pages: ``wide`` by ``pages`` at most; of the whole sheet or an area."""
        if any(freeze):
            self.page.freeze_panes(*freeze)
        if not portrait:
            self.page.set_landscape()
        self.page.set_paper(9)  # A4
        self.page.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.5)
        self.page.fit_to_pages(wide, pages)
        self.page.set_footer("&L&8dotbias · &A&R&8page &P of &N")
        if area:
            self.page.print_area(*corners(area))


@cache
def _plain_worksheet() -> type:
    """xlsxwriter's worksheet without its search for functions newer than Excel 2010, 29 per formula: we use none."""
    from xlsxwriter.worksheet import Worksheet

    class PlainWorksheet(Worksheet):
        def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:
            return formula[1:]

    return PlainWorksheet


def corners(block: Block) -> tuple[int, int, int, int]:
    """First row, first column, last row, last column."""
    return block.top, block.left, block.top + block.height - 1, block.left + block.width - 1
