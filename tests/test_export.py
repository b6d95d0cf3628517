"""``dotbias export``: tables that give back ids and predictions, and no title that a spreadsheet would run."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import battery
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dotbias
from dotbias import Recommender
from dotbias.baselines import knn
from dotbias.cli import main
from dotbias.factors import Factors
from dotbias.objective import Objective
from dotbias.ratings import Ids
from dotbias.readers import guarded, unguarded

TRAIN, TEST = battery.parts()
TRAPS = ["=HYPERLINK(1)", "+1", "-Minus Zero", "@Midnight", "\tTab", "\rCR", "'=already", "'quoted'", 'a "b", c', "＝x"]
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def odd():
    """Train with ids and titles that a spreadsheet would run."""
    ids = [*TRAPS, *(f"a{i}" for i in range(len(TRAPS), 50))]
    titles = pl.DataFrame({"id": ids, "title": [f"{t} (1999)" for t in ids[:49]] + [None]})
    return replace(TRAIN, item_ids=Ids(ids), item_table=titles)


def model(link="sigmoid"):
    rng = np.random.default_rng(0)
    p, q = rng.normal(0, 0.4, (80, 3)), rng.normal(0, 0.4, (50, 3))
    return Factors(0.2, rng.normal(0, 0.4, 80), rng.normal(0, 0.4, 50), p, q, Objective("squared", link, (0.75, 5.25)))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dotbias", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as e:
            code = e.code or 0
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("link", ["sigmoid", "identity"])
def test_the_tables_give_back_ids_titles_and_predictions(run, format, link):
    train, scorer = odd(), model(link)
    Recommender(scorer, train).save("m")
    code, out, _ = run("export", "m", "-o", "tables", "--format", format, "--json")
    assert code == 0
    assert json.loads(out)["written"] == [f"tables/users.{format}", f"tables/items.{format}", "tables/model.json"]
    read = pl.read_parquet if format == "parquet" else lambda p: unguarded(pl.read_csv(p))
    users, items = read(f"tables/users.{format}"), read(f"tables/items.{format}")
    assert items["id"].to_list() == list(train.item_ids) and users["id"].to_list() == list(train.user_ids)
    assert items["title"].to_list() == train.item_titles and items["ratings"].to_list() == train.item_counts.tolist()
    assert items.columns == ["id", "title", "ratings", "bias", "factor_1", "factor_2", "factor_3"]
    assert np.array_equal(items["bias"].to_numpy().astype(np.float32), scorer.item_bias)  # to the bit
    facts = json.loads(Path("tables/model.json").read_text())
    p, q = (t.select(pl.col("^factor_.*$")).to_numpy() for t in (users, items))
    inner = facts["mean"] + users["bias"].to_numpy()[:, None] + items["bias"].to_numpy() + p @ q.T
    low, high = facts["low"], facts["high"]
    scores = low + (high - low) / (1 + np.exp(-inner)) if link == "sigmoid" else np.clip(inner, low, high)
    np.testing.assert_allclose(scores, scorer.score_all(np.arange(80)), atol=1e-5)
    assert link in facts["link"] and ("exp" in facts["prediction"]) == (link == "sigmoid")


def test_no_text_in_a_csv_begins_like_a_formula_and_numbers_stay_numbers(run):
    Recommender(model(), odd()).save("m")
    run("export", "m", "-o", "tables")
    with Path("tables/items.csv").open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 50
    for row in rows:
        assert not row["id"].startswith(FORMULA) and not row["title"].startswith(FORMULA)
        float(row["bias"]), float(row["factor_1"])
    assert any(row["bias"].startswith("-") for row in rows)
    assert rows[0]["title"] == "'=HYPERLINK(1) (1999)" and rows[6]["id"] == "''=already" and rows[7]["id"] == "'quoted'"


def test_the_librarys_own_reader_takes_the_tables_as_side_tables(run):
    train = odd()
    Recommender(model(), train).save("m")
    for format in ("csv", "parquet"):
        run("export", "m", "-o", "tables", "--format", format)
        again = replace(train, item_table=None).with_item_table(f"tables/items.{format}", id="id")
        assert again.item_titles == train.item_titles and "50 of 50 items" in again.notes[-1]
        assert replace(train).with_user_table(f"tables/users.{format}").user_table["bias"].null_count() == 0


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(TRAPS) | st.none(), min_size=1))
def test_guarding_is_undone_exactly(texts):
    table = pl.DataFrame({"x": pl.Series(texts, dtype=pl.String), "n": range(len(texts))})
    safe = guarded(table)
    assert not any(t.startswith(FORMULA) for t in safe["x"] if t)
    assert unguarded(safe).equals(table)


def test_tables_without_text_are_left_alone():
    table = pl.DataFrame({"n": [-1, 2]})
    assert guarded(table).equals(table) and unguarded(table).equals(table)


def test_what_cannot_be_exported_says_so(run):
    Recommender(knn(TRAIN), TRAIN).save("m")
    code, _, err = run("export", "m")
    assert code == 2 and "Knn does not support tables" in err
    code, _, err = run("export", "m", "--format", "parket")
    assert code == 2 and "did you mean 'parquet'" in err


def test_torch_load_and_other_csv_writers_are_nowhere():
    """Every CSV that the library writes is guarded, and no file is unpickled."""
    for path in Path(dotbias.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert "torch.load" not in text
        if "write_csv" in text or "csv.writer" in text:
            assert "guarded(table).write_csv" in text, path
