"""The command line on clicks: what was recognised is said, a fitter is picked, what makes no sense says so."""

import json

import clicks_battery
import polars as pl
import pytest
from test_cli import run  # noqa: F401  the fixture

from dotbias import Recommender


@pytest.fixture
def plays(tmp_path):
    """plays.csv with counts, held.csv, lists.txt, items.csv."""
    train, test = clicks_battery.parts()
    for name, part in (("plays", train), ("held", test)):
        frame = part.to_frame().with_columns(plays=pl.int_range(1, pl.len() + 1) % 7 + 1)
        frame.write_csv(tmp_path / f"{name}.csv")
    rows = train.to_frame().group_by("user", maintain_order=True).agg("item").rows()
    numbers = [" ".join([str(user), *(item.removeprefix("a") for item in items)]) for user, items in rows]
    (tmp_path / "lists.txt").write_text("\n".join([*numbers, "7 1"]) + "\n")
    titles = [f"Song {i}" for i in range(train.n_items)]
    pl.DataFrame({"item": list(train.item_ids), "title": titles}).write_csv(tmp_path / "items.csv")
    return tmp_path


def test_clicks_are_recognised_fitted_and_used(run, plays):  # noqa: F811
    code, out, err = run("fit", "plays.csv", "--items", "items.csv", "-o", "model")
    assert code == 0
    assert "column 'plays' says how often" in err and "auto: " in err and " clicks of " in err
    assert "NDCG@10" in out and "RMSE" not in out and "each held-out click" in out
    code, out, _ = run("recommend", "model", "11", "-n", "3", "--json")
    assert code == 0 and len(json.loads(out)) == 3
    assert Recommender.load("model").train.counts is not None
    code, out, _ = run("evaluate", "model", "--test", "held.csv", "--json")
    assert code == 0 and {"ndcg@10", "recall@20", "hit_rate@10"} <= set(json.loads(out))
    code, out, _ = run("evaluate", "model", "--test", "held.csv", "--metrics", "mrr,auc")
    assert code == 0 and "MRR" in out and "NDCG" not in out


def test_lists_are_read_with_their_own_words(run, plays):  # noqa: F811
    code, out, err = run("fit", "lists.txt", "--fitter", "popular", "--json")
    assert code == 0 and "lines of a user and then items" in err
    assert json.loads(out)["fitter"] == "popular"
    code, out, _ = run("data", "show", "lists.txt", "--json")
    assert code == 0 and json.loads(out)["feedback"] == "clicks" and json.loads(out)["y_range"] is None


@pytest.mark.parametrize("fitter", ["implicit_als", "classifier", "knn"])
def test_fitters_of_clicks_save_recommend_and_export(run, plays, fitter):  # noqa: F811
    settings = ["--set", "n_factors=4", "--set", "n_epochs=3"] if fitter == "classifier" else []
    code, out, _ = run("fit", "plays.csv", "--fitter", fitter, *settings, "-o", "model", "--json")
    assert code == 0 and json.loads(out)["fitter"] == fitter
    code, out, _ = run("recommend", "model", "11", "--json")
    assert code == 0 and len(json.loads(out)) == 10
    if fitter != "knn":
        assert run("similar", "model", "a3")[0] == 0
        assert run("export", "model", "-o", "tables")[0] == 0


def test_what_makes_no_sense_says_so(run, plays):  # noqa: F811
    code, _, err = run("fit", "plays.csv", "--fitter", "gibbs")
    assert code == 3 and "gibbs takes ratings" in err and "implicit_als" in err
    code, _, err = run("fit", "plays.csv", "--rating", "plays", "--fitter", "implicit_als")
    assert code == 3 and "implicit_als takes clicks" in err and "--no-rating" in err
    code, _, err = run("sheet", "plays.csv", "-o", "book.xlsx")
    assert code == 3 and "without ratings" in err
    run("fit", "plays.csv", "--fitter", "popular", "-o", "model")
    code, _, err = run("evaluate", "model", "--test", "held.csv", "--metrics", "rmse")
    assert code == 3 and "rmse measures guesses of ratings" in err
    code, out, _ = run("plot", "model", "-o", "pictures")
    assert code == 0 and "crosstab.png: these are clicks" in out


def test_lr_find_sweeps_the_classifier(run, plays):  # noqa: F811
    assert run("lr-find", "plays.csv")[0] == 0
