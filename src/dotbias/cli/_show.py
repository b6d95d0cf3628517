"""How everything is printed: every command writes its text, tables, notes and JSON through a :class:`Page`.

What comes from data (ids, titles, paths, column names) is shown as it is: nothing in it is markup, and characters that
a terminal would obey instead of showing (ESC, line ends within a title, marks that turn the direction of writing) are
written as ``\\x1b`` or ``\\u202e``. What an output cannot encode is replaced. On a terminal tables fit its width: long
text is shortened, numbers never. A pipe or a file gets everything in full, unless $COLUMNS says how wide it is.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

GAP = "  "
LEAST = 12  # cells that a shortened column keeps
JOINERS = "\u200c\u200d"  # shape letters and emoji, and hide nothing


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: its head.
        right: whether its cells end at one line, as numbers do.
        cut: whether its text may be shortened where the terminal is narrow.
    """

    name: str
    right: bool = False
    cut: bool = False


class Page:
    """Where a command writes to.

    Args:
        err: to stderr, not stdout.
        width: cells in a line; by default $COLUMNS where that is set, else the terminal's, and None (no end) where the
            output is no terminal.
    """

    def __init__(self, *, err: bool = False, width: int | None = None):
        self.err = err
        self.width = width or _width(self.stream)

    @property
    def stream(self) -> TextIO:
        """Where it goes now: tests exchange sys.stdout."""
        return sys.stderr if self.err else sys.stdout

    def say(self, text: str = "", *, style: str | None = None, wrap: bool = True) -> None:
        """Lines of text, broken between words; ``wrap=False`` for what people copy, such as commands and paths."""
        for line in text.split("\n"):
            shown = visible(line)
            broken = self._broken(shown) if wrap and self.width else [shown]
            for part in broken:
                self._write(part, style)

    def note(self, text: str) -> None:
        """What a person should know beside the result."""
        self.say(f"note: {text}", style="yellow")

    def table(
        self, columns: Sequence[Column | str], rows: Iterable[Sequence[object]], *, title: str | None = None
    ) -> None:
        """Rows under the names of their columns; where they do not fit, a block of lines for each row."""
        heads = [Column(c) if isinstance(c, str) else c for c in columns]
        cells = [["" if v is None else visible(v) for v in row] for row in rows]
        widths = [max([_cells(c.name), *(_cells(row[k]) for row in cells)]) for k, c in enumerate(heads)]
        fitted = fit_widths(heads, widths, self.width)
        if title:
            self.say(title)
        if fitted is None:
            return self._blocks(heads, cells)
        if any(c.name for c in heads):
            self._write(_line([c.name for c in heads], heads, fitted, self._dots), "bold")
        for row in cells:
            self._write(_line(row, heads, fitted, self._dots), None)
        return None

    def json(self, value: Any) -> None:
        """One JSON document; in an encoding that lacks a letter, JSON's own escapes stand for it."""
        text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
        if not self._encodes(text):
            text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=True)
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def can_show(self, text: str) -> str:
        """The text as the output can encode it: what it lacks becomes ``?``."""
        code = self.stream.encoding or "utf-8"
        return text.encode(code, "replace").decode(code)

    @property
    def _dots(self) -> str:
        return "…" if self._encodes("…") else "..."

    def _encodes(self, text: str) -> bool:
        try:
            text.encode(self.stream.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    def _broken(self, line: str) -> list[str]:
        """A line in parts no wider than the page; words that are wider stay whole."""
        indent = line[: len(line) - len(line.lstrip())]
        width = max(self.width or 0, len(indent) + LEAST)
        parts = textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        return parts or [""]

    def _blocks(self, heads: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """Each row as lines of its own: the first cell, then ``name value``, as many to a line as fit."""
        named = any(c.name for c in heads)
        for row in rows:
            if not named:
                self.say(GAP.join(row))
                continue
            self.say(row[0], style="bold")
            line = ""
            for piece in (f"{c.name} {value}".strip() for c, value in zip(heads[1:], row[1:], strict=True) if value):
                if line and 2 + _cells(line) + len(GAP) + _cells(piece) > (self.width or 0):
                    self.say(f"  {line}")
                    line = ""
                line = f"{line}{GAP}{piece}" if line else piece
            self.say(f"  {line}")

    def _write(self, text: str, style: str | None) -> None:
        text = self.can_show(text.rstrip())
        if style is None or not _is_terminal(self.stream):
            self.stream.write(f"{text}\n")
            self.stream.flush()  # so that both outputs stand in order where they are one
            return
        from rich.console import Console
        from rich.text import Text

        Console(file=self.stream, highlight=False, soft_wrap=True).print(Text(text, style=style))


def visible(value: object) -> str:
    """Any value as text on one line, in which every character is seen and none is obeyed."""
    text = str(value)
    return text if text.isprintable() else "".join(c if _is_seen(c) else _escaped(c) for c in text)


def _is_seen(c: str) -> bool:
    return c.isprintable() or c in JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(c: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c)
    code = ord(c)
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}")


def count(n: int, what: str) -> str:
    """``1 user``, ``2 users``."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def safe_streams() -> None:
    """Let stdout and stderr replace what they cannot encode, whoever writes to them; a closed one swallows it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  open as long as the program runs
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


# Tables ----------------------------------------------------------------------------------------------------------


def fit_widths(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int] | None:
    """The widths that fit a page, the widest column that may be cut giving way first; None where none do."""
    fitted = list(widths)
    least = [min(w, max(LEAST, len(c.name))) if c.cut else w for c, w in zip(columns, widths, strict=True)]
    while width is not None and sum(fitted) + len(GAP) * (len(fitted) - 1) > width:
        room = [w - low for w, low in zip(fitted, least, strict=True)]
        if max(room) <= 0:
            return None
        widest = max((k for k, free in enumerate(room) if free > 0), key=fitted.__getitem__)
        fitted[widest] -= 1
    return fitted


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], dots: str) -> str:
    return GAP.join(_padded(cell, c.right, w, dots) for cell, c, w in zip(cells, columns, widths, strict=True))


def _padded(cell: str, right: bool, width: int, dots: str) -> str:
    cell = shortened(cell, width, dots)
    space = " " * (width - _cells(cell))
    return space + cell if right else cell + space


def shortened(text: str, width: int, dots: str = "…") -> str:
    """The text in at most ``width`` cells of a terminal, the missing end marked."""
    if _cells(text) <= width:
        return text
    kept = "".join(_taken(text, width - len(dots)))
    return kept.rstrip() + dots


def _taken(text: str, width: int) -> Iterator[str]:
    for c in text:
        width -= _cells(c)
        if width < 0:
            return
        yield c


def _cells(text: str) -> int:
    """How many cells of a terminal the text takes: Chinese letters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _width(stream: TextIO) -> int | None:
    columns = os.environ.get("COLUMNS", "")
    asked = columns.isascii() and columns.isdecimal() and int(columns) > 0
    return shutil.get_terminal_size().columns if asked or _is_terminal(stream) else None


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (ValueError, AttributeError):  # closed
        return False
