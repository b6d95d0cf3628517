"""What mkdocs is asked to do beside its own: help texts, the table of modules, notebooks, search from a file:// page.

Loaded by mkdocs.yml; nothing here touches the network.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))
import notebooks

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

os.environ["TERMINAL_WIDTH"] = "96"  # read by Typer when it is imported
os.environ["NO_COLOR"] = "1"

SRC = Path(__file__).parent.parent / "src" / "dotbias"
HELP = "<!-- help of every command -->"
MODULES = "<!-- every module -->"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """A mark becomes what every command prints for ``--help``, or the table of all modules; notebooks are named."""
    if HELP in markdown:
        texts = [f"## {' '.join(['dotbias', *words])}\n\n```text\n{help_text(words)}\n```" for words in commands()]
        return markdown.replace(HELP, "\n\n".join(texts))
    if MODULES in markdown:
        return markdown.replace(MODULES, "\n\n".join(groups(config["nav"])))
    if (name := Path(page.file.src_uri).stem) in {p.stem for p in notebooks.pages()} and "snippets/" in markdown:
        return f"{markdown}\n---\n\nThis page as a notebook: [{name}.ipynb](../notebooks/{name}.ipynb).\n"
    return markdown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The notebooks, to be downloaded; they are made here, and are files of the site alone."""
    for page in notebooks.pages():
        files.append(File.generated(config, f"notebooks/{page.stem}.ipynb", content=notebooks.text(page)))
    return files


def groups(nav: list) -> list[str]:
    """Each group of the reference, with a row per page: the module, and the first line of its docstring."""
    reference = next(part["Reference"] for part in nav if "Reference" in part)
    texts = []
    for part in reference:
        for title, pages in part.items():
            if isinstance(pages, list):
                rows = [row(name, path) for page in pages for name, path in page.items()]
                texts.append("\n".join([f"## {title}\n", "| module | what it is for |", "|---|---|", *rows]))
    return texts


def row(name: str, path: str) -> str:
    """A module's line in the table; its docstring is read, not imported."""
    place = SRC.joinpath(*name.split("."))
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    first = text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return f"| [`{name}`]({Path(path).name}) | {first} |"


def commands() -> list[list[str]]:
    """Each command by the words that call it: [], ["demo"], ["data", "list"] …"""
    from typer.main import get_command

    from dotbias.cli import app

    found: list[list[str]] = []

    def walk(command: object, words: list[str]) -> None:
        found.append(words)
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*words, name])

    walk(get_command(app), [])
    return found


def help_text(words: list[str]) -> str:
    """What a command says of itself, 96 columns wide."""
    from typer.testing import CliRunner

    from dotbias.cli import app

    result = CliRunner().invoke(app, [*words, "--help"], prog_name="dotbias")
    if result.exit_code:
        raise RuntimeError(f"dotbias {' '.join(words)} --help: exit {result.exit_code}: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip("\n").split("\n"))


def on_post_build(config: dict, **_: object) -> None:
    """The search index as a script: a page opened from disk may run one, but may not fetch a JSON file."""
    folder = Path(config["site_dir"]) / "search"
    index = json.loads((folder / "search_index.json").read_text(encoding="utf-8"))
    for page in index["docs"]:
        page["text"] = re.sub(r"[─-╿\s]+", " ", page["text"])  # no boxes
    text = json.dumps(index["docs"], ensure_ascii=False).replace("</", "<\\/")
    (folder / "index_for_files.js").write_text(f"var DOTBIAS_INDEX = {text};\n", encoding="utf-8")
