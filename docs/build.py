"""Builds the documentation: ``python docs/build.py [--run]`` (``make docs``). Nothing is fetched from the network.

Every code block of a page is a section of a file in docs/snippets. A snippet is a script that reads ratings.csv and
movies.csv from the folder it runs in; the tutorial's first section puts them there. ``--run`` runs all of them on the
lesson's data first, and keeps what they print in docs/output and the pictures that they save in docs/pictures; pages
show both. tests/test_docs.py runs the same snippets on a small planted world.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SNIPPETS = sorted((DOCS / "snippets").glob("*.py"))
MARK = re.compile(r"#\s*--8<--\s*\[(start|end):\s*(\w+)\]")


def sections(code: str) -> list[tuple[str | None, str]]:
    """A snippet in its order: (name, or None outside sections; code, padded so that line numbers are the file's)."""
    parts: list[tuple[str | None, str]] = []
    name, first, lines = None, 0, code.split("\n")
    for k, line in enumerate(lines):
        if mark := MARK.search(line):
            parts.append((name, "\n" * first + "\n".join(lines[first:k])))
            name, first = (mark[2] if mark[1] == "start" else None), k + 1
    parts.append((name, "\n" * first + "\n".join(lines[first:])))
    return parts


def run(path: Path, folder: Path) -> dict[str, str]:
    """Run a snippet in a folder; what each section printed, with the overfitting warning among it.

    Any other warning is an error.
    """
    printed: dict[str, str] = {}
    path = path.resolve()
    names: dict[str, object] = {"__name__": "__main__", "__file__": str(path)}
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("always", message="overfitting")
        warnings.showwarning = lambda w, kind, *rest, **more: print(f"{kind.__name__}: {w}")
        for name, code in sections(path.read_text(encoding="utf-8")):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, path, "exec"), names)
            if name and out.getvalue():
                printed[name] = printed.get(name, "") + out.getvalue().rstrip() + "\n"
    return printed


def as_file(printed: dict[str, str]) -> str:
    """Outputs by section, in the form that pages include from."""
    return "".join(f"--8<-- [start:{name}]\n{text}--8<-- [end:{name}]\n" for name, text in printed.items())


def lesson_data() -> Path | None:
    """The lesson's edition of MovieLens small, where it is at hand."""
    folder = Path(os.environ.get("DOTBIAS_DATA", "/nowhere")) / "ml-latest-small-2016"
    return folder if folder.is_dir() else None


def bring(folder: Path, data: Path) -> None:
    """The two files that snippets read."""
    for name in ("ratings.csv", "movies.csv"):
        shutil.copy(data / name, folder / name)


def refresh(only: list[str]) -> None:
    """Run the snippets on the lesson's data; keep outputs and pictures."""
    data = lesson_data()
    if data is None:
        sys.exit("docs: --run needs ml-latest-small-2016 in the folder that DOTBIAS_DATA names.")
    for path in SNIPPETS:
        if only and path.stem not in only:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            bring(folder, data)
            print(f"docs: {path.name}", flush=True)
            (DOCS / "output" / f"{path.stem}.txt").write_text(as_file(run(path, folder)), encoding="utf-8")
            for picture in folder.glob("*.png"):
                keep(picture)


def keep(picture: Path, *, rare: bool = False) -> None:
    """Into docs/pictures, with 64 colours: a third of the size, and no difference to the eye; ``rare``: dots, too."""
    from PIL import Image

    with Image.open(picture) as image:
        image.convert("RGB").quantize(64, 1 if rare else None).save(DOCS / "pictures" / picture.name, optimize=True)


def main() -> int:
    """Refresh if asked, then build into site/ with every warning an error."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] == "--run":
        refresh(arguments[1:])
    elif arguments:
        sys.exit("usage: python docs/build.py [--run [SNIPPET …]]")
    if importlib.util.find_spec("mkdocs") is None:
        sys.exit("docs: mkdocs is not installed here; `make docs` brings it (the extra is called docs).")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], cwd=DOCS.parent, check=False
    )
    if done.returncode == 0:
        print(f"docs: open {DOCS.parent / 'site' / 'index.html'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
