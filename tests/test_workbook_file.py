"""The workbooks as files: functions, names, drop-downs, Solver's settings, printed pages, size; and the command."""

import dataclasses
import html
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import typer
from openpyxl import load_workbook
from typer.testing import CliRunner
from workbook_xml import block, names, parts

from dotbias import storage, workbook
from dotbias.cli.sheet import sheet
from dotbias.datasets import planted
from dotbias.errors import DataError, SettingError
from dotbias.factors import Factors
from dotbias.objective import Objective
from dotbias.ratings import Ratings
from dotbias.workbook import _crosstab, _labels, _solver

# Functions of Excel 2007 that LibreOffice has, and that Google lists for Sheets (support.google.com/docs/table/25273).
SHARED = {
    *("ABS", "COLUMN", "COS", "COUNT", "COUNTIF", "IF", "IFERROR", "INDEX", "ISNA", "ISNUMBER", "LARGE", "LN", "MATCH"),
    *("MAX", "MEDIAN", "MIN", "MINVERSE", "MMULT", "MOD", "N", "NA", "OFFSET", "PI", "RADIANS", "ROUND", "ROW", "SIN"),
    *("SMALL", "SQRT", "SUM", "SUMPRODUCT", "SUMSQ", "SUMXMY2", "TANH", "TRANSPOSE"),
}


def small_world() -> Ratings:
    return planted(40, 30, n_ratings=330, n_factors=2, noise=0.3, odd_titles=True, rng=3).ratings


def model(ratings: Ratings, link: str, k: int = 6) -> Factors:
    g = np.random.default_rng(1)
    shapes = (ratings.n_users, ratings.n_items, (ratings.n_users, k), (ratings.n_items, k))
    y_range = (0.5, 5.0) if link == "identity" else (0.0, 5.5)
    mean, parts = 3.4 if link == "identity" else 0.5, (g.normal(0, 0.5, s) for s in shapes)
    return Factors(mean, *parts, Objective("squared", link, y_range))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, world):
    """All books as the library writes them."""
    folder = tmp_path_factory.mktemp("books")
    small = small_world()
    workbook.collab(world.ratings, path=folder / "collab.xlsx", rng=1)
    workbook.collab(small, path=folder / "small.xlsx", n=7, n_factors=3, rng=5)
    workbook.collab(small, path=folder / "wide.xlsx", n=12, n_factors=10, rng=5)
    workbook.descent(folder / "descent.xlsx")
    workbook.of_model(model(small, "identity"), small, path=folder / "model.xlsx", n=7)
    return folder


@pytest.fixture(scope="module")
def books(folder):
    """The small ones, opened once."""
    return {name: load_workbook(folder / f"{name}.xlsx") for name in ("small", "descent", "model")}


def cell_of(book, name: str):
    """The first cell that a defined name stands for."""
    sheet, place = book.defined_names[name].attr_text.split("!")
    return book[sheet.strip("'")][place.replace("$", "").split(":")[0]]


def sheet_xml(path, name: str) -> str:
    """The XML of one sheet."""
    names = re.findall(r'<sheet name="([^"]+)"', parts(path, r"xl/workbook\.xml")["xl/workbook.xml"])
    return next(iter(parts(path, rf"worksheets/sheet{names.index(name) + 1}\.xml").values()))


def formulas(path) -> list[str]:
    """Every formula of a book, array formulas too."""
    xml = "".join(parts(path, r"worksheets/sheet\d+\.xml").values())
    return [html.unescape(formula) for formula in re.findall(r"<f[^>]*>([^<]*)</f>", xml)]


def test_only_functions_that_excel_sheets_and_libreoffice_share(folder):
    for path in folder.glob("*.xlsx"):
        found = formulas(path)
        assert len(found) > 100
        for whole in found:
            formula = re.sub(r'"[^"]*"', "", whole)
            assert set(re.findall(r"([A-Z][A-Z0-9.]*)\(", formula)) <= SHARED, whole
            assert "#" not in formula and "_xl" not in formula and "{" not in formula
            assert len(whole) < 8192


def test_no_conditional_format_looks_at_another_sheet(folder):
    """Google Sheets has none that does; nor one that uses a name."""
    seen = 0
    for path in folder.glob("*.xlsx"):
        defined = {name for _, name in names(path)}
        xml = "".join(parts(path, r"worksheets/sheet\d+\.xml").values())
        for formula in re.findall(r"<cfRule.*?<formula>([^<]*)</formula>", xml):
            seen += 1
            assert "!" not in formula
            assert not set(re.findall(r"[a-z_]\w*", html.unescape(formula))) & defined, formula
    assert seen > 20


def test_titles_that_look_like_formulas_stay_text(tmp_path):
    world = small_world()
    odd = world.take(np.isin(world.items, [k for k, t in enumerate(world.item_titles) if t[0] in "=+-@"]))
    book = load_workbook(workbook.collab(odd, path=tmp_path / "odd.xlsx", n=4, n_factors=2, rng=0))
    first = cell_of(book, "titles")
    heads = [book["dotprod"].cell(first.row, first.column + j) for j in range(4)]
    assert all(c.data_type == "s" and c.value[0] in "=+-@" for c in heads)


def test_names_drop_downs_panes_and_pages(books):
    book = books["small"]
    assert book.sheetnames == [
        *("Intro", "dotprod", "bias", "als", "movielens_emb", "words", "split", "learn", "epochs_a", "epochs_b"),
        *("outcome", "choices"),
    ]
    settings = (
        "learning_rate",
        "momentum",
        "weight_decay",
        "initial_scale",
        "squashing",
        "padding",
        "biases",
        "factors",
    )
    rules = book["learn"].data_validations.dataValidation
    for name in (f"{setting}_{run}" for setting in settings for run in "ab"):
        cell = cell_of(book, name)
        rule = next(rule for rule in rules if cell.coordinate in rule.sqref)
        assert rule.type == "list" and rule.errorStyle in (None, "stop")  # refuses a text typed for a number
    for page in (page for other in books.values() for page in other):
        assert page.sheet_view.showGridLines is False
        assert page.freeze_panes or page.title == "Intro"
        assert page.sheet_properties.pageSetUpPr.fitToPage
        pages = [n if n is not None else 1 for n in (page.page_setup.fitToWidth, page.page_setup.fitToHeight)]
        assert pages[0] * pages[1] in (1, 2), page.title


@pytest.mark.parametrize("name", ["dotprod", "bias"])
def test_the_courses_picture(folder, name):
    """User factors left of the predictions, item factors above: they meet in the cell; on a screen's width."""
    path = folder / "collab.xlsx"
    users, items, scores = (block(names(path)["", f"{name}_{part}"][0]) for part in ("users", "items", "predictions"))
    assert users[1] == scores[1] and users[2] < scores[2]  # (sheet, row, column, …)
    assert items[2] == scores[2] and items[1] < scores[1]
    widths = re.findall(r'<col min="(\d+)" max="(\d+)" width="([\d.]+)"', sheet_xml(path, name))
    pixels = sum((int(last) - int(first) + 1) * 7 * float(width) for first, last, width in widths)
    assert pixels < 1280


def test_solvers_settings_are_stored_as_the_courses_file_has_them(folder):
    found = names(folder / "collab.xlsx")
    for name in ("dotprod", "bias"):
        own = {key: value for (sheet, key), value in found.items() if sheet == name and key.startswith("solver_")}
        assert own["solver_opt"][0] == found["", f"rmse_{name}"][0]
        changing = {found["", f"{name}_{part}"][0] for part in ("users", "items")}
        assert set(own["solver_adj"][0].split(",")) == changing
        assert [own[f"solver_{key}"][0] for key in ("typ", "eng", "neg", "num")] == ["2", "1", "2", "0"]
        assert all(hidden for _, hidden in own.values())


def test_more_cells_than_solver_takes_are_said_to_be(folder):
    assert _solver.MOST == 200
    words = {n: parts(folder / f"{n}.xlsx", "sharedStrings")["xl/sharedStrings.xml"] for n in ("small", "wide")}
    assert "the 42 green and orange cells" in words["small"] and "more than the 200" not in words["small"]
    assert "240 green and orange cells are more than the 200" in words["wide"]


def chart_xml(path) -> str:
    return "".join(parts(path, "xl/charts/chart").values())


def test_the_charts(folder, world):
    xml = chart_xml(folder / "collab.xlsx")
    titles = ("RMSE by epoch", "Test RMSE alone", "Items by two of their factors", "RMSE by sweep (logarithmic)")
    assert all(title in xml for title in titles)
    assert "constant, test" in xml and "biases alone, test" in xml
    for title in _crosstab.most_rated(world.ratings, 15).titles:
        assert _labels.short(title).rstrip("…") in xml
    xml = chart_xml(folder / "descent.xlsx")
    assert "500 epochs" in xml and "Intercept b by epoch" in xml
    xml = chart_xml(folder / "model.xlsx")
    assert "lowest biases" in xml and "principal directions" in xml


def test_no_macros_and_under_a_megabyte_and_a_half(folder):
    for path in folder.glob("*.xlsx"):
        assert path.stat().st_size < 1.5e6 or path.stem == "wide", path
        assert not [n for n in zipfile.ZipFile(path).namelist() if "vba" in n.lower()]


def test_the_same_rng_gives_the_same_bytes(tmp_path, world):
    first, second = (
        workbook.collab(world.ratings, path=tmp_path / f"{k}.xlsx", n=5, n_factors=2, rng=9).read_bytes() for k in "ab"
    )
    assert first == second


def test_neither_torch_nor_numba_is_loaded(tmp_path):
    code = (
        "import sys, polars as pl; from dotbias import workbook; from dotbias.ratings import Ratings\n"
        "u, i = [k // 6 for k in range(36)], [k % 6 for k in range(36)]\n"
        "r = Ratings.from_frame(pl.DataFrame({'user': u, 'item': i, 'rating': [1.0 + k % 5 for k in range(36)]}))\n"
        f"workbook.collab(r, path={str(tmp_path / 'a.xlsx')!r}, rng=0)\n"
        f"workbook.descent({str(tmp_path / 'b.xlsx')!r})\n"
        "sys.exit(1 if {'torch', 'numba'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_makes_no_sense_is_refused(tmp_path, world):
    path = tmp_path / "a.xlsx"
    with pytest.raises(SettingError, match="n is 1"):
        workbook.collab(world.ratings, path=path, n=1)
    with pytest.raises(SettingError, match="n_factors is 0"):
        workbook.collab(world.ratings, path=path, n_factors=0)
    with pytest.raises(SettingError, match="test_share is 1"):
        workbook.collab(world.ratings, path=path, test_share=1)
    with pytest.raises(DataError, match="clicks, without ratings"):
        workbook.collab(dataclasses.replace(world.ratings, values=None), path=path)
    with pytest.raises(SettingError, match=r"\.xlsx"):
        workbook.descent(tmp_path / "a.xls")
    with pytest.raises(SettingError, match="folder that exists"):
        workbook.descent(tmp_path / "nowhere" / "a.xlsx")
    short = model(small_world(), "identity")
    with pytest.raises(DataError, match="rows beyond"):
        workbook.of_model(short, world.ratings, path=path)
    with pytest.raises(DataError, match="the held-out ratings have"):
        workbook.of_model(model(world.ratings, "identity"), world.ratings, path=path, held_out=small_world())
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path, world):
    app, run = typer.Typer(), CliRunner()
    app.command()(sheet)
    world.ratings.to_frame().write_csv(tmp_path / "ratings.csv")
    for arguments, pages in (
        (["--descent"], "basic_sgd"),
        ([str(tmp_path / "ratings.csv"), "--n", "5", "--n-factors", "2"], "dotprod"),
    ):
        result = run.invoke(app, [*arguments, "-o", str(tmp_path / "out.xlsx")])
        assert result.exit_code == 0, result.output
        assert pages in load_workbook(tmp_path / "out.xlsx").sheetnames
    storage.save(tmp_path / "model", model(world.ratings, "sigmoid"), world.ratings, metrics={"rmse": 0.912})
    result = run.invoke(app, [str(tmp_path / "model"), "-o", str(tmp_path / "out.xlsx")])
    assert result.exit_code == 0, result.output
    assert load_workbook(tmp_path / "out.xlsx").sheetnames == ["Intro", "model", "explain", "biases", "map"]
    assert "Of held-out ratings: 0.912." in parts(tmp_path / "out.xlsx", "sharedStrings")["xl/sharedStrings.xml"]
    assert isinstance(run.invoke(app, ["--descent", "x"]).exception, SettingError)


# The lesson's own ------------------------------------------------------------------------------------------------


def test_the_lessons_workbook(data, tmp_path):
    """Its size, its rate, the course's 0.39 on *dotprod*, and that the books' sentences come from these ratings."""
    ratings = Ratings.from_csv(data / "ml-latest-small-2016" / "ratings.csv").with_item_table(
        data / "ml-latest-small-2016" / "movies.csv"
    )
    path = workbook.collab(ratings, path=tmp_path / "lesson.xlsx", rng=42)
    assert path.stat().st_size < 1.5e6
    words = parts(path, "sharedStrings")["xl/sharedStrings.xml"]
    assert "206 ratings of 225" in words and "about 0.393" in words and "weight decay, 15." in words
