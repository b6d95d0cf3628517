"""A workbook's cells, read and changed in its XML: much faster than by openpyxl, which matters for thirty books."""

from __future__ import annotations

import functools
import html
import re
import zipfile
from pathlib import Path

import numpy as np

CELL = re.compile(r'<c r="([A-Z]+)(\d+)"([^>]*?)(?:/>|>(.*?)</c>)', re.S)
Place = tuple[str, int, int]  # sheet, row and column, counted from 1


def parts(path: Path, pattern: str) -> dict[str, str]:
    """The XML of those parts of a book whose names match."""
    with zipfile.ZipFile(path) as z:
        return {name: z.read(name).decode() for name in z.namelist() if re.search(pattern, name)}


@functools.cache
def column(letters: str) -> int:
    """A -> 1, AA -> 27."""
    return functools.reduce(lambda n, letter: 26 * n + ord(letter) - 64, letters, 0)


def names(path: Path) -> dict[tuple[str, str], tuple[str, bool]]:
    """(sheet it belongs to or "", name) -> (reference, hidden)."""
    xml = parts(path, r"xl/workbook\.xml")["xl/workbook.xml"]
    sheets = re.findall(r'<sheet name="([^"]+)"', xml)
    found = {}
    for attributes, reference in re.findall(r"<definedName ([^>]*)>([^<]*)</definedName>", xml):
        known = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
        owner = sheets[int(known["localSheetId"])] if "localSheetId" in known else ""
        hidden = known.get("hidden") in ("1", "true")
        found[owner, known["name"]] = html.unescape(reference).replace("'", ""), hidden
    return found


def block(reference: str) -> tuple[str, int, int, int, int]:
    """Sheet, first row and column, height and width of ``sheet!$A$1:$B$2``."""
    sheet, place = reference.split("!")
    ends = [re.match(r"\$?([A-Z]+)\$?(\d+)", end).groups() for end in place.split(":")]
    (left, top), (right, bottom) = ((column(letters), int(row)) for letters, row in (ends[0], ends[-1]))
    return sheet, top, left, bottom - top + 1, right - left + 1


class Book:
    """What the cells of a book hold: numbers, texts, ``#N/A``; None for an empty one."""

    def __init__(self, path: Path):
        self.path = path
        xml = parts(path, r"xl/workbook\.xml")["xl/workbook.xml"]
        self.sheets = re.findall(r'<sheet name="([^"]+)"', xml)
        self.names = {name: reference for (owner, name), (reference, _) in names(path).items() if not owner}

    @functools.cached_property
    def _strings(self) -> list[str]:
        xml = "".join(parts(self.path, "sharedStrings").values())
        return [
            html.unescape("".join(re.findall(r"<t[^>]*>([^<]*)</t>", si)))
            for si in re.findall(r"<si>(.*?)</si>", xml, re.S)
        ]

    @functools.cache  # noqa: B019 - a book lives as long as its test
    def cells(self, sheet: str) -> dict[tuple[int, int], float | str]:
        """(row, column) -> value of one sheet."""
        xml = next(iter(parts(self.path, rf"worksheets/sheet{self.sheets.index(sheet) + 1}\.xml").values()))
        found = {}
        for letters, row, attributes, inside in CELL.findall(xml):
            value = re.search(r"<v>([^<]*)</v>", inside)
            if value:
                kind = re.search(r' t="(\w+)"', attributes)
                found[int(row), column(letters)] = self._value(value[1], kind[1] if kind else "n")
        return found

    def _value(self, text: str, kind: str) -> float | str:
        if kind == "s":
            return self._strings[int(text)]
        if not text:
            return ""
        return html.unescape(text) if kind in ("str", "e") else float(text)

    def errors(self, sheet: str) -> list[tuple[int, int]]:
        """Where a sheet's cells hold errors."""
        return [place for place, value in self.cells(sheet).items() if isinstance(value, str) and value[:1] == "#"]

    def values(self, place: tuple[str, int, int, int, int]) -> np.ndarray:
        """A block's cells, (height, width) of objects."""
        sheet, top, left, height, width = place
        cells = self.cells(sheet)
        rows = [[cells.get((top + i, left + j)) for j in range(width)] for i in range(height)]
        return np.array(rows, dtype=object)

    def named(self, name: str) -> np.ndarray:
        """What a named block holds."""
        return self.values(block(self.names[name]))

    def one(self, name: str) -> float | str | None:
        """What a named cell holds."""
        return self.named(name)[0, 0]


def change(source: Path, target: Path, edits: dict[str, object]) -> None:
    """Copy a book with cells typed over: by name or ``sheet!$A$1``; None and NaN clear a cell; tables are pasted."""
    book = Book(source)
    typed: dict[str, dict[tuple[int, int], object]] = {}
    for name, value in edits.items():
        sheet, top, left, height, width = block(book.names.get(name, name))
        table = np.array([[value]], dtype=object) if np.ndim(value) == 0 else np.asarray(value, dtype=object)
        assert np.ndim(value) == 0 or table.shape == (height, width), (name, table.shape)
        for (i, j), new in np.ndenumerate(table):
            typed.setdefault(sheet, {})[top + i, left + j] = new
    changed = {f"xl/worksheets/sheet{book.sheets.index(sheet) + 1}.xml": cells for sheet, cells in typed.items()}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            data = old.read(part)
            new.writestr(part, _typed(data.decode(), changed[part]).encode() if part in changed else data)


def _typed(xml: str, cells: dict[tuple[int, int], object]) -> str:
    """A sheet's XML with these cells' contents replaced; each must be there, if only as an empty cell."""
    left = dict(cells)

    def replace(match: re.Match) -> str:
        place = int(match[2]), column(match[1])
        if place not in left:
            return match[0]
        value, style = left.pop(place), re.search(r' s="\d+"', match[3])
        start = f'<c r="{match[1]}{match[2]}"{style[0] if style else ""}'
        if value is None or value != value:
            return start + "/>"
        if isinstance(value, str):
            return f'{start} t="inlineStr"><is><t>{html.escape(value)}</t></is></c>'
        return f"{start}><v>{float(value)!r}</v></c>"

    xml = CELL.sub(replace, xml)
    assert not left, left
    return xml
