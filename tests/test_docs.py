"""The documentation: every snippet runs, every block comes from one, the site builds without a warning."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from dotbias import planted

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if p.name != "architecture.md")


def load_build():
    """docs/build.py, which is no package."""
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_build()


@pytest.fixture(scope="module")
def planted_files(tmp_path_factory) -> Path:
    """ratings.csv and movies.csv as MovieLens has them, of a world that never was; item 10 is called GoldenEye."""
    ratings = planted(150, 300, n_ratings=4_000, n_factors=3, noise=0.4, rng=7).ratings
    folder = tmp_path_factory.mktemp("planted")
    frame = ratings.to_frame()
    frame.rename(dict(zip(frame.columns, ("userId", "movieId", "rating", "timestamp"), strict=True))).write_csv(
        folder / "ratings.csv"
    )
    title = pl.when(pl.col("item") == 10).then(pl.lit("GoldenEye (1995)")).otherwise(pl.col("title"))
    movies = ratings.item_table.select(pl.col("item").alias("movieId"), title.alias("title"), "genres")
    if isinstance(movies.schema["genres"], pl.List):
        movies = movies.with_columns(pl.col("genres").list.join("|"))
    movies.write_csv(folder / "movies.csv")
    return folder


@pytest.mark.parametrize("path", build.SNIPPETS, ids=lambda p: p.stem)
def test_a_snippet_runs(path, planted_files, tmp_path):
    build.bring(tmp_path, planted_files)
    build.run(path, tmp_path)


@pytest.fixture
def offline(monkeypatch, tmp_path_factory):
    """No data set on this machine, and no network."""
    monkeypatch.delenv("DOTBIAS_DATA", raising=False)
    monkeypatch.setenv("DOTBIAS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("DOTBIAS_OFFLINE", "1")


def test_the_tutorial_begins_in_an_empty_folder_without_a_network(offline, tmp_path):
    printed = build.run(DOCS / "snippets" / "tutorial_1_rows.py", tmp_path)
    assert "planted world" in printed["data"]
    assert "60,000" in printed["read"]
    table = pl.read_csv(tmp_path / "movies.csv")
    assert table["genres"].str.contains("|", literal=True).any()
    assert set(pl.read_csv(tmp_path / "ratings.csv")["item"]) <= set(table["item"])


def test_the_tutorial_takes_the_lessons_edition_where_it_is(offline, monkeypatch, planted_files, tmp_path):
    (tmp_path / "data" / "ml-latest-small-2016").mkdir(parents=True)
    (tmp_path / "folder").mkdir()
    build.bring(tmp_path / "data" / "ml-latest-small-2016", planted_files)
    monkeypatch.setenv("DOTBIAS_DATA", str(tmp_path / "data"))
    printed = build.run(DOCS / "snippets" / "tutorial_1_rows.py", tmp_path / "folder")
    assert printed["data"] == "data: ml-latest-small-2016\n"
    assert (tmp_path / "folder" / "ratings.csv").read_bytes() == (planted_files / "ratings.csv").read_bytes()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("path", build.SNIPPETS, ids=lambda p: p.stem)
def test_pages_show_what_a_snippet_prints_on_the_lessons_data(path, data, tmp_path):
    """Words and numbers, these to a tenth: another processor or torch rounds differently, and a fit then drifts."""
    build.bring(tmp_path, data / "ml-latest-small-2016")
    now, kept = build.run(path, tmp_path), sections(DOCS / "output" / f"{path.stem}.txt")
    assert list(now) == list(kept), "python docs/build.py --run writes docs/output anew"
    for name in kept:
        ours, theirs = numbers(now[name]), numbers(kept[name])
        assert len(ours) == len(theirs), (name, now[name], kept[name])
        for a, b in zip(ours, theirs, strict=True):
            assert a == pytest.approx(b, rel=0.1, abs=0.1), (name, now[name], kept[name])


def sections(path: Path) -> dict[str, str]:
    found = re.findall(r"--8<-- \[start:(\w+)\]\n(.*?)--8<-- \[end:\1\]\n", path.read_text(), re.S)
    return dict(found)


def numbers(text: str) -> list[float]:
    """Those that were measured: not those within titles (in quotes, or ending a line with their year)."""
    text = re.sub(r"(?:  |; )(?:(?!  ).)*\(\d{4}\)$", "", text, flags=re.M)
    text = re.sub(r"'[^'\n]*'", "", text)
    found = re.findall(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)", text)
    return [float(x.replace(",", "")) for x in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_block_of_code_comes_from_a_snippet(page):
    text = page.read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        assert re.fullmatch(r'--8<-- "snippets/\w+\.py:\w+"\n', block), block
    for file, name in re.findall(r'--8<-- "([\w/.]+):(\w+)"', text):
        assert f"[start:{name}]" in (DOCS / file).read_text(), (file, name)


def test_no_section_is_forgotten():
    """Each section of each snippet stands on some page, and what it prints stands there too."""
    shown = {found for page in PAGES for found in re.findall(r'--8<-- "([\w/.]+:\w+)"', page.read_text())}
    for path in build.SNIPPETS:
        for name in re.findall(r"\[start:(\w+)\]", path.read_text()):
            assert f"snippets/{path.name}:{name}" in shown, (path.name, name)
        for name in sections(DOCS / "output" / f"{path.stem}.txt"):
            assert f"output/{path.stem}.txt:{name}" in shown, (path.name, name)


def test_pictures_are_small_and_shown():
    text = "".join(page.read_text() for page in PAGES)
    for picture in (DOCS / "pictures").iterdir():
        assert picture.stat().st_size < 60_000, picture
        assert f"pictures/{picture.name})" in text, picture


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'dotbias[docs]'")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: pip install 'dotbias[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


def test_the_site_fetches_nothing(site):
    """No page asks another server for a script, a style, a font or a picture."""
    for page in site.rglob("*.html"):
        html = page.read_text()
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", html):
            if "canonical" not in tag:
                assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", tag), (page, tag)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", style.read_text(errors="replace")), style


def test_the_site_can_be_searched_from_disk(site):
    index = (site / "search" / "index_for_files.js").read_text()
    assert index.startswith("var DOTBIAS_INDEX = [")
    assert "GoldenEye" in index
    assert "assets/search.js" in (site / "search.html").read_text()


def test_the_reference_holds_every_public_name(site):
    """Modules, and their public functions and classes (of lesson5 those that are ours)."""
    for room in rooms():
        html = "".join(page.read_text() for page in (site / "reference").glob(f"{room}[.-]*"))
        for name in public_names(importlib.import_module(f"dotbias.{room}")):
            assert re.search(rf'id="dotbias\.{room}(?:\.\w+)?\.{name}"', html), f"dotbias.{room}.{name}"


def test_each_module_has_a_page_of_its_own_with_contents(site):
    """One module a page; what the page defines is listed at its top, with a link; the table of modules names it."""
    table = (site / "reference" / "index.html").read_text()
    for room in rooms():
        html = (site / "reference" / f"{room}.html").read_text()
        assert re.findall(r'<h1[^>]*id="([^"]+)"', html) == [f"dotbias.{room}"], room
        assert f'href="{room}.html"' in table, room
        for defined in re.findall(rf'<h2[^>]*id="(dotbias\.{room}\.\w+)"', html):
            assert f'href="#{defined}"' in html, defined


def rooms() -> list[str]:
    """The public modules, but for ``cli``: its page is made of its --help."""
    paths = (ROOT / "src" / "dotbias").glob("[!_]*")
    names = sorted(p.stem for p in paths if p.suffix == ".py" or (p / "__init__.py").exists())
    return [name for name in names if name != "cli"]


def public_names(module) -> list[str]:
    names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
    ours = [n for n in names if str(getattr(getattr(module, n), "__module__", "")).startswith(module.__name__)]
    return [n for n in ours if callable(getattr(module, n)) and getattr(module, n).__doc__]


def test_the_reference_holds_every_command(site):
    text = (site / "reference" / "cli.html").read_text()
    from typer.main import get_command

    from dotbias.cli import app

    for name in get_command(app).commands:
        assert re.search(rf"dotbias (?:\S+ )?{name}\b", text), name
