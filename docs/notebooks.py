"""The tutorial and the questions as notebooks: ``python docs/notebooks.py FOLDER`` writes them; the site has them too.

A notebook is made of what its page is made of: the page's words, the sections of its snippets as cells, and below each
what it printed on the lesson's data (docs/output, docs/pictures). So nothing is run to make one, it always says what
the page says, and none is kept in the repository. tests/test_notebooks.py runs them.
"""

from __future__ import annotations

import ast
import base64
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from build import DOCS, sections

PIECE = re.compile(
    r'```python\n--8<-- "snippets/(?P<snippet>\w+)\.py:(?P<section>\w+)"\n```\n'
    r'|```text\n--8<-- "output/\w+\.txt:\w+"\n```\n'
    r"|!\[(?P<words>[^\]]*)\]\(\.\./pictures/(?P<picture>[\w-]+\.png)\)\n"
)
LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<target>[^)\s]+)\)")
DATA = "tutorial_1_rows", "data"  # the section that brings ratings.csv and movies.csv
ABOUT = """*A page of dotbias's documentation as a notebook. It needs `pip install 'dotbias[torch,plot]'`; the outputs
are those of the lesson's data. Its first cell puts that data, or what is nearest to it, into this folder.*"""


class Cell(NamedTuple):
    """What becomes a cell of a notebook.

    Attributes:
        source: Markdown, or Python.
        printed: what the code printed; None for Markdown.
        picture: the file that it shows.
        hidden: whether the page does not show the code.
    """

    source: str
    printed: str | None = None
    picture: str | None = None
    hidden: bool = False


def pages() -> list[Path]:
    """The pages that have code, in the order of their names."""
    found = [*sorted((DOCS / "tutorial").glob("*.md")), *sorted((DOCS / "questions").glob("*.md"))]
    return [page for page in found if "snippets/" in page.read_text(encoding="utf-8")]


def notebook(page: Path) -> Any:
    """A page as a notebook with its outputs."""
    made = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.cells = [_as_cell(cell) for cell in _cells(page.read_text(encoding="utf-8"))]
    for k, cell in enumerate(made.cells):
        cell.id = f"cell-{k}"  # else drawn at random
    nbformat.validate(made)
    return made


def text(page: Path) -> str:
    """The file of a page's notebook."""
    return nbformat.writes(notebook(page)) + "\n"


def _cells(page: str) -> Iterator[Cell]:
    """The cells of a page: its heading, what it is, the data, then everything as it stands there."""
    heading = page.split("\n")[0]
    yield from (Cell(heading), Cell(ABOUT))
    if f"{DATA[0]}.py:{DATA[1]}" not in page:
        yield _sections(*DATA)[0]
    place, made, awaited = len(heading), set[str](), dict[str, Cell]()
    for piece in PIECE.finditer(page):
        yield from _words(page[place : piece.start()])
        place, picture = piece.end(), piece["picture"]
        if picture:
            awaited[picture] = _shown(picture)
        elif piece["snippet"]:
            cells = _sections(piece["snippet"], piece["section"])
            made |= {name for cell in cells for name in re.findall(r'"([\w-]+\.png)"', cell.source)}
            yield from cells
        yield from (awaited.pop(name) for name in [*awaited] if name in made)  # once its code has run
    yield from _words(page[place:])


def _sections(snippet: str, section: str) -> list[Cell]:
    """A section of a snippet; what the page hides of it comes along: that before the first, and that right after."""
    path = DOCS / "snippets" / f"{snippet}.py"
    parts = [(name, code) for name, code in sections(path.read_text(encoding="utf-8")) if name or _does(code)]
    at = [name for name, _ in parts].index(section)
    first = 0 if at == 1 and parts[0][0] is None else at
    last = at + 1 if at + 1 < len(parts) and parts[at + 1][0] is None else at
    kept = printed(snippet)
    chosen = parts[first : last + 1]
    return [Cell(_silent(code), kept.get(name or "", ""), hidden=name is None) for name, code in chosen]


def printed(snippet: str) -> dict[str, str]:
    """What each section of a snippet printed on the lesson's data, as docs/output keeps it."""
    kept = (DOCS / "output" / f"{snippet}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"--8<-- \[start:(\w+)\]\n(.*?)--8<-- \[end:\1\]\n", kept, re.S))


def _does(code: str) -> bool:
    """Whether code does anything: a docstring and comments do not."""
    return any(not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in ast.parse(code).body)


def _silent(code: str) -> str:
    """Code whose last line shows nothing but what it prints: a notebook would show its value, too."""
    code = code.strip("\n")
    last = ast.parse(code).body[-1]
    return f"{code};" if isinstance(last, ast.Expr) and "print(" not in ast.unparse(last) else code


def _words(text: str) -> list[Cell]:
    """Markdown; links lead to other notebooks, or are words."""

    def link(found: re.Match[str]) -> str:
        page, _, _ = found["target"].partition("#")
        there = {p.name for p in pages()}
        name = Path(page).name
        return f"[{found['words']}]({name[:-3]}.ipynb)" if name in there else found["words"]

    return [Cell(LINK.sub(link, text).strip("\n"))] if text.strip() else []


def _shown(picture: str) -> Cell:
    """A cell that shows a picture that was saved."""
    return Cell(f'from IPython.display import Image\n\nImage("{picture}")', printed="", picture=picture, hidden=True)


def _as_cell(cell: Cell) -> Any:
    if cell.printed is None:
        return nbformat.v4.new_markdown_cell(cell.source)
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=cell.printed)] if cell.printed else []
    if cell.picture:
        data = base64.b64encode((DOCS / "pictures" / cell.picture).read_bytes()).decode()
        outputs.append(nbformat.v4.new_output("display_data", data={"image/png": data}))
    more = {"jupyter": {"source_hidden": True}} if cell.hidden else {}
    return nbformat.v4.new_code_cell(cell.source, outputs=outputs, metadata=more)


def main() -> None:
    """Write them into a folder."""
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/notebooks.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages():
        (folder / f"{page.stem}.ipynb").write_text(text(page), encoding="utf-8")
        print(folder / f"{page.stem}.ipynb")


if __name__ == "__main__":
    main()
