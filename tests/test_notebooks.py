"""The notebooks: what their pages say and show, and every cell runs."""

import re

import pytest
from test_docs import build, numbers, planted_files  # noqa: F401  a fixture

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install 'dotbias[docs]'")
import sys  # noqa: E402

sys.path.insert(0, str(build.DOCS))
import notebooks  # noqa: E402

PAGES = notebooks.pages()
CHEAP = ("1-rows", "unique", "large", "newcomers")  # the others fit by torch or sample, some for minutes


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def stdout(cell) -> str:
    return "".join(o["text"] for o in cell.outputs if o.get("name") == "stdout")


def test_every_page_with_code_is_one():
    assert {p.stem for p in PAGES} >= {"1-rows", "7-clicks", "sizes", "unique", "net", "decay"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_it_holds_the_pages_snippets_outputs_and_pictures(page):
    text, made = page.read_text(), notebooks.notebook(page)
    assert notebooks.text(page) == notebooks.text(page)  # ids of cells, too
    sources = "\n".join(cell.source for cell in made.cells)
    for snippet, section in re.findall(r'--8<-- "snippets/(\w+)\.py:(\w+)"', text):
        parts = build.sections((build.DOCS / "snippets" / f"{snippet}.py").read_text())
        assert dict(parts)[section].strip("\n") in sources, section
    shown = "".join(map(stdout, code(made.cells)))
    for file, section in re.findall(r'--8<-- "output/(\w+)\.txt:(\w+)"', text):
        assert notebooks.printed(file)[section] in shown, section
    images = [o for cell in code(made.cells) for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(images) == len(re.findall(r"!\[[^\]]*\]\(\.\./pictures/", text))
    words = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert "8<--" not in words and "pictures/" not in words
    for name in re.findall(r"\]\(([^)]+)\)", words):
        assert name in {f"{p.stem}.ipynb" for p in PAGES}, name


def run(page, folder):
    """The notebook after all its cells have run in a folder."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install 'dotbias[dev]'")
    made = notebooks.notebook(page)
    where = {"metadata": {"path": folder}}
    nbclient.NotebookClient(made, timeout=1800, kernel_name="python3", resources=where).execute()
    return made


def marked(pages):
    return [pytest.param(p, id=p.stem, marks=() if p.stem in CHEAP else pytest.mark.slow) for p in pages]


@pytest.mark.parametrize("page", marked(PAGES))
def test_every_cell_runs(page, planted_files, tmp_path):  # noqa: F811
    build.bring(tmp_path, planted_files)
    made = run(page, tmp_path)
    for cell, kept in zip(code(made.cells), code(notebooks.notebook(page).cells), strict=True):
        assert bool(stdout(cell)) == bool(stdout(kept)), cell.source
        values = [o for o in cell.outputs if o.output_type == "execute_result"]
        assert all("image/png" in o.data for o in values), cell.source


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if p.stem in CHEAP], ids=lambda p: p.stem)
def test_run_on_the_lessons_data_it_prints_what_it_holds(page, data, tmp_path):
    build.bring(tmp_path, data / "ml-latest-small-2016")
    for cell, kept in zip(code(run(page, tmp_path).cells), code(notebooks.notebook(page).cells), strict=True):
        ours, theirs = numbers(stdout(cell)), numbers(stdout(kept))
        assert len(ours) == len(theirs) and ours == pytest.approx(theirs, rel=0.1, abs=0.1), cell.source
