"""What mkdocs is asked to do beside its own: help texts, and a search index that a file:// page can read.

Loaded by mkdocs.yml; nothing here touches the network.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

os.environ["TERMINAL_WIDTH"] = "96"  # read by Typer when it is imported
os.environ["NO_COLOR"] = "1"

HELP = "<!-- help of every command -->"


def on_page_markdown(markdown: str, **_: object) -> str:
    """The mark on the command line's page becomes what every command prints for ``--help``."""
    if HELP not in markdown:
        return markdown
    texts = [f"## {' '.join(['dotbias', *words])}\n\n```text\n{help_text(words)}\n```" for words in commands()]
    return markdown.replace(HELP, "\n\n".join(texts))


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
