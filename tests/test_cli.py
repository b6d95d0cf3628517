"""The command line as a person and as a program meets it: tables, JSON, exit codes, never a traceback."""

import json
import shlex
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from dotbias import planted, split
from dotbias.cli import app

COMMANDS = [
    "demo",
    "fit",
    "compare",
    "search",
    "evaluate",
    "recommend",
    "predict",
    "similar",
    "explain",
    "ask",
    "refit",
    "update",
    "plot",
    "export",
    "serve",
    "lr-find",
    "sheet",
    "doctor",
]
KEYS = {"n_train", "n_test", "n_cold_users", "n_cold_items", "n_cold_rows", "seconds", "fitter", "settings"}
ERRORS = {"rmse", "rmse_interval", "rmse_warm", "mse", "mse_interval", "mae", "mae_interval"}


@pytest.fixture
def run(monkeypatch, call, tmp_path):
    """``run("fit", "x.csv")`` -> (exit code, stdout, stderr), in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("DOTBIAS_DATA", raising=False)
    monkeypatch.setenv("DOTBIAS_OFFLINE", "1")
    monkeypatch.setenv("DOTBIAS_CACHE", str(tmp_path / "cache"))
    return call


@pytest.fixture
def files(tmp_path):
    """A planted world in files: all.csv, train.csv, test.csv, with titles in none of them."""
    ratings = planted(60, 90, n_ratings=1_200, n_factors=2, noise=0.4, rng=5).ratings
    parts = split.random(ratings, test=0.2, rng=0)
    for name, part in (("all", ratings), ("train", parts.train), ("test", parts.test)):
        part.to_frame().write_csv(tmp_path / f"{name}.csv")
    return tmp_path


def test_every_command_shows_an_example(run):
    done = subprocess.run([sys.executable, "-m", "dotbias", "--help"], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in [*COMMANDS, "data"])
    for name in [*COMMANDS, "data list", "data fetch", "data show"]:
        code, out, _ = run(*name.split(), "--help")
        assert code == 0
        assert f"dotbias {name}" in out.split("Example:")[1], name
    assert {c.name for c in app.registered_commands} >= set(COMMANDS)


def test_help_loads_neither_torch_nor_polars():
    code = "import sys; sys.argv = ['dotbias', '--help']\nfrom dotbias.cli import app\n"
    code += "app(standalone_mode=False)\nassert not {'torch', 'numba', 'polars', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_fit_reports_and_saves_a_fit_on_everything(run, files):
    code, out, err = run("fit", "all.csv", "--fitter", "bias", "-o", "model", "--json")
    assert code == 0
    result = json.loads(out)
    assert result.keys() >= KEYS | ERRORS
    assert result["seconds"].keys() == {"load", "fit", "fit clicks", "evaluate"}
    low, high = result["rmse_interval"]
    assert low < result["rmse"] < high
    assert result["n_train"] + result["n_test"] == 1_200
    assert "Fitting again on all 1,200 ratings" in err
    code, _, err = run("evaluate", "model", "--test", "test.csv")
    assert code == 3  # it has seen them
    assert "are in train" in err


@pytest.mark.parametrize("name", ["random:0.2", "last:1", "last-share:0.2", "time:0.2", "lesson"])
def test_a_named_split_saves_the_fit_on_train_alone(run, files, name):
    code, out, err = run("fit", "all.csv", "--fitter", "mean", "--split", name, "-o", "model", "--json")
    assert code == 0, err
    assert "again" not in err
    result = json.loads(out)
    assert result["n_train"] == 1_200 - result["n_test"]
    from dotbias import storage

    assert len(storage.load("model").ratings) == result["n_train"]


def test_evaluate_agrees_with_fit(run, files):
    for fitter in ("bias", "knn"):
        code, out, err = run("fit", "train.csv", "--test", "test.csv", "--fitter", fitter, "-o", "model", "--json")
        assert code == 0, err
        fitted = json.loads(out)
        code, out, _ = run("evaluate", "model", "--test", "test.csv", "--json")
        assert code == 0
        again = json.loads(out)
        assert again.keys() >= KEYS | ERRORS
        for key in (*ERRORS, "ndcg@10", "reference", "by", "n_train", "n_test", "n_cold_rows", "fitter", "settings"):
            assert again[key] == fitted[key], key


def test_popularity_stands_beside_the_ranking(run, files):
    code, out, err = run("fit", "all.csv", "--fitter", "bias", "--split", "last-share:0.2", "--json")
    assert code == 0, err
    result = json.loads(out)
    beside = result["reference"]["popular"]
    assert 0 <= result["ndcg@10_interval"][0] <= result["ndcg@10"] <= 1 and 0 < beside["ndcg@10"] < 1
    assert result["question"] == split.NEXT and set(result["by"]) >= {"user_ratings", "item_ratings", "known"}
    code, out, _ = run("fit", "all.csv", "--fitter", "bias", "--split", "last-share:0.2")
    assert code == 0
    for text in ("RMSE", "NDCG@10", "popular", f"{beside['ndcg@10']:.4f}", split.NEXT.split(":")[0]):
        assert text in out


@pytest.mark.parametrize("fitter", ["dot", "dot_bias", "net"])
def test_every_gradient_fitter_saves_and_recommends(run, files, fitter):
    arguments = ["--fitter", fitter, "--set", "n_factors=4", "--set", "n_epochs=1", "--set", "bs=128"]
    code, _, err = run("fit", "all.csv", *arguments, "-o", "model")
    assert code == 0, err
    code, out, err = run("recommend", "model", "5", "-n", "3", "--json")
    assert code == 0, err
    assert len(json.loads(out)) == 3


@pytest.mark.parametrize("fitter", ["sgd", "als", "gibbs"])
def test_every_solver_saves_and_recommends(run, files, fitter):
    few = {"sgd": "n_epochs=2", "als": "n_epochs=2", "gibbs": "n_sweeps=5"}[fitter]
    code, _, err = run("fit", "all.csv", "--fitter", fitter, "--set", few, "--split", "random:0.2", "-o", "model")
    assert code == 0, err
    code, out, err = run("recommend", "model", "5", "-n", "3", "--json")
    assert code == 0, err
    assert len(json.loads(out)) == 3
    assert run("similar", "model", json.loads(out)[0]["item_id"], "-n", "3")[0] == 0


def test_auto_is_the_default_and_says_which_and_why(run, files):
    code, out, err = run("fit", "all.csv", "--set", "n_sweeps=5", "--json")
    assert code == 0, err
    assert "auto: gibbs with 24 factors, sessions, histories.\n" in err
    result = json.loads(out)
    assert result["fitter"] == "gibbs"
    assert result["settings"]["histories"] is True
    assert result["settings"]["n_sweeps"] == 5
    assert result["times"] == "time unknown" and result["time_given"]["rmse"] > 0


def test_auto_shows_what_it_compared_and_takes_the_best(run, files):
    code, out, err = run("fit", "all.csv", "--json")
    assert code == 0, err
    rows = [line.split() for line in err.splitlines() if line.strip().startswith(("gibbs", "als", "sgd", "bias"))]
    assert len(rows) == 4 and rows == sorted(rows, key=lambda r: float(r[1]))
    result = json.loads(out)
    assert result["fitter"] == rows[0][0] and set(result["candidates"]) == {"bias", "als", "sgd"}


def test_gibbs_by_name_is_autos_gibbs(run, files):
    few = ("--set", "n_sweeps=5", "--json")
    results = [json.loads(run("fit", "all.csv", *which, *few)[1]) for which in ((), ("--fitter", "gibbs"))]
    auto, named = ({k: v for k, v in r.items() if k not in ("seconds", "candidates")} for r in results)
    assert auto == named and named["settings"]["histories"] is True and named["settings"]["sessions"] is True


def test_times_and_orders(run, files):
    run("fit", "train.csv", "--set", "n_sweeps=5", "--split", "random:0.1", "-o", "model")
    for asked in (("now",), ("unknown",), ("2018-03-25",), ("1500000000",)):
        code, out, err = run("predict", "model", "5", "7", "--times", *asked, "--json")
        found = json.loads(out)
        assert code == 0, err
        assert found["low"] <= found["value"] <= found["high"] and found["path"] == "fitted"
    code, out, _ = run("predict", "model", "5", "7")
    assert code == 0 and "80 % between" in out
    assert run("predict", "model", "5", "7", "--times", "noon")[0] == 2
    for asked, words in (("given", "rating's time given"), ("unknown", "time unknown"), ("now", "now")):
        code, out, err = run("evaluate", "model", "--test", "test.csv", "--times", asked, "--json")
        assert code == 0, err
        assert json.loads(out)["times"] == words
    assert run("evaluate", "model", "--test", "test.csv", "--times", "later")[0] == 2
    code, out, _ = run("recommend", "model", "5", "-n", "3", "--times", "unknown", "--like", "4")
    assert code == 0 and "how likely they rate it, and give it 4 or more" in out
    code, _, err = run("recommend", "model", "5", "--order", "best")
    assert code == 2 and "no order 'best'" in err


def test_newcomers_filters_and_everybody(run, files):
    ratings = planted(60, 90, n_ratings=1_200, n_factors=2, noise=0.4, rng=5).ratings
    ratings.item_table.write_csv(files / "items.csv")
    assert run("fit", "all.csv", "--items", "items.csv", "--fitter", "bias", "-o", "model")[0] == 0
    titles = dict(zip(ratings.item_table["item"], ratings.item_table["title"], strict=True))
    history = f"{titles[3]}=4.5, 7=2"
    code, out, err = run("recommend", "model", "--history", history, "-n", "3", "--json")
    by_title = json.loads(out)
    assert code == 0 and len(by_title) == 3, err
    assert json.loads(run("recommend", "model", "--history", "3=4.5,7=2", "-n", "3", "--json")[1]) == by_title
    assert "for a newcomer, by how likely" in run("recommend", "model", "--history", history)[1]
    code, out, _ = run("predict", "model", str(by_title[0]["item_id"]), "--history", history, "--json")
    assert code == 0 and json.loads(out)["value"] == by_title[0]["score"] and json.loads(out)["path"] == "folded in"
    assert json.loads(run("predict", "model", "999", "3", "--unknown", "baseline", "--json")[1])["path"] == "cold user"
    genre = ratings.item_table["genres"][5].split("|")[0]
    code, out, _ = run("recommend", "model", "5", "--where", f"genres: {genre}", "--diversity", "0", "--json")
    genres = dict(zip(ratings.item_table["item"], ratings.item_table["genres"], strict=True))
    assert code == 0 and all(genre in genres[row["item_id"]] for row in json.loads(out))
    code, out, _ = run("recommend", "model", "5", "6", "-n", "2", "--popularity", "1", "--json")
    assert code == 0 and {u: len(rows) for u, rows in json.loads(out).items()} == {"5": 2, "6": 2}
    assert run("recommend", "model", "5", "6", "-n", "2")[1].count("for user") == 2
    for name, read in (("top.parquet", pl.read_parquet), ("top.csv", pl.read_csv)):
        code, out, err = run("recommend", "model", "--all", "-n", "4", "-o", name, "--json")
        frame = read(files / name)
        assert code == 0 and json.loads(out)["rows"] == frame.height, err
        own = json.loads(run("recommend", "model", "5", "-n", "4", "--json")[1])
        assert frame.filter(pl.col("user") == 5)["item"].to_list() == [row["item_id"] for row in own]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model"], "for whom"),
        (["model", "5", "--all", "-o", "x.csv"], "for whom"),
        (["model", "--all"], "go together"),
        (["model", "5", "-o", "x.csv"], "go together"),
        (["model", "--all", "-o", "x.txt"], "neither .parquet nor .csv"),
        (["model", "--history", "Heat"], "is no item and rating"),
        (["model", "--history", "3=4,3=4"], "twice"),
    ],
)
def test_recommend_says_what_is_missing(run, files, words, says):
    run("fit", "all.csv", "--fitter", "bias", "-o", "model")
    code, _, err = run("recommend", *words)
    assert code == 2 and says in err


def test_update(run, files, tmp_path):
    """New ratings and a new user, into another folder and then in place; titles of new items by --items."""
    assert run("fit", "train.csv", "--fitter", "als", "-o", "model")[0] == 0
    (tmp_path / "new.csv").write_text("user,item,rating\n5,999,3\n777,999,4\n777,1,2.5\n")
    code, out, _ = run("update", "model", "new.csv", "-o", "other", "--json")
    told = json.loads(out)
    assert code == 0 and (told["written"], told["n_new"], told["new_users"], told["new_items"]) == ("other", 3, 1, 1)
    assert told["share_since_fit"] == pytest.approx(3 / told["n_train"])
    assert run("recommend", "model", "777")[0] == 3 and run("recommend", "other", "777")[0] == 0
    assert run("evaluate", "other", "--test", "test.csv")[0] == 0
    (tmp_path / "films.csv").write_text("item,title\n999,Zardoz\n")
    code, out, _ = run("update", "model", "new.csv", "--items", "films.csv")
    assert code == 0 and "3 ratings, 1 new user, 1 new item" in out and "came after the fit" in out
    assert json.loads(run("predict", "model", "777", "999", "--json")[1])["path"] == "fitted"
    (tmp_path / "bad.csv").write_text("user,item,rating\n5,999,300\n")
    code, _, err = run("update", "model", "bad.csv")
    assert code == 3 and "300" in err and run("recommend", "model", "777")[0] == 0  # the model is as it was


def test_recommend_and_similar(run, files):
    run("fit", "all.csv", "--fitter", "dot_bias", "--set", "n_factors=4", "--set", "n_epochs=2", "-o", "model")
    code, out, _ = run("recommend", "model", "5", "-n", "4", "--order", "rating", "--json")
    answer = json.loads(out)
    assert code == 0
    assert [list(row) for row in answer] == [["item_id", "score", "title"]] * 4
    assert (np.diff([row["score"] for row in answer]) <= 0).all()
    first = answer[0]["item_id"]
    _, out, _ = run("recommend", "model", "5", "-n", "4", "--exclude", first, "--json")
    assert first not in [row["item_id"] for row in json.loads(out)]
    code, out, _ = run("similar", "model", first, "-n", "2")
    assert code == 0
    assert len(out.strip().split("\n")) == 4
    code, out, _ = run("similar", "model", "--user", "5", "-n", "2", "--json")
    assert code == 0 and [list(row) for row in json.loads(out)] == [["user_id", "similarity"]] * 2
    assert "nearest to user 5" in run("similar", "model", "--user", "5", "-n", "2")[1]
    for words in ((), (str(first), "--user", "5")):
        assert run("similar", "model", *words)[0] == 2
    code, _, err = run("recommend", "model", "abc")
    assert code == 3
    assert "abc" in err
    assert "Hint:" in err


def test_exit_codes(run, files):
    cases = {
        ("fit", "al.csv"): (3, "all.csv"),
        ("fit", "all.csv", "--fitter", "dotbias"): (2, "dot_bias"),
        ("fit", "all.csv", "--set", "n_factor=3"): (2, "n_factors"),
        ("fit", "all.csv", "--set", "n_factors"): (2, "no '='"),
        ("fit", "all.csv", "--set", "n_factors=many"): (2, "must be a whole number"),
        ("fit", "all.csv", "--split", "u1"): (2, "no split"),
        ("fit", "all.csv", "--split", "random:x"): (2, "no number"),
        ("fit", "all.csv", "--split", "random:0.2", "--test", "test.csv"): (2, "exclude each other"),
        ("fit", "all.csv", "--user", "usr"): (3, "'user'"),
        ("fit", "ml-100k"): (5, "downloads are off"),
        ("fit", "all.csv", "--nonsense"): (2, "No such option"),
        ("recommend", "nowhere", "1"): (4, "there is no model"),
        ("data", "show", "ml-200k"): (3, "ml-20"),
    }
    for arguments, (code, words) in cases.items():
        got, out, err = run(*arguments)
        assert got == code, (arguments, got, err)
        assert words in err, (arguments, err)
        assert out == ""


def test_without_torch_the_error_names_the_extra_and_bias(run, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = run("fit", "all.csv", "--fitter", "dot_bias")
    assert code == 6
    assert "[torch]'" in err
    assert "--fitter bias" in err


def test_without_torch_everything_else_works(files):
    """A process in which torch cannot be imported: fit a baseline, recommend, the demo."""
    block = "import sys; sys.modules['torch'] = None; sys.argv = ['dotbias', *{}]\nfrom dotbias.cli import main; main()"
    for arguments in (["fit", "all.csv", "--fitter", "bias", "-o", "m"], ["recommend", "m", "3"], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-c", block.format(arguments)], cwd=files, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_demo_falls_back_on_a_planted_world_and_says_so(run, tmp_path):
    code, out, _ = run("demo", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["data"] == "planted world"
    reports = result["reports"]
    assert reports["dot_bias"]["rmse"] < reports["bias"]["rmse"] < reports["mean"]["rmse"]
    assert (tmp_path / "demo" / "manifest.json").exists()
    code, out, _ = run("demo")
    assert "planted world stands in" in out
    assert "dotbias recommend demo" in out


@pytest.mark.data
def test_demo_on_the_lessons_data(data, run, monkeypatch):
    monkeypatch.setenv("DOTBIAS_DATA", str(data))
    code, out, err = run("demo")
    assert code == 0, err
    for words in ("100,004 ratings", "742 of them", "dot_bias", "manifest.json", "dotbias recommend demo"):
        assert words in out


@pytest.mark.data
def test_the_split_that_ml_100k_comes_with(data, run, monkeypatch):
    monkeypatch.setenv("DOTBIAS_DATA", str(data))
    code, out, _ = run("fit", "ml-100k", "--split", "u1", "--fitter", "bias", "--json")
    assert code == 0
    result = json.loads(out)
    assert (result["n_train"], result["n_test"]) == (80_000, 20_000)
    assert 0.94 < result["rmse"] < 0.96


def test_data_commands(run, files):
    code, out, _ = run("data", "list", "--json")
    assert code == 0
    assert "ml-100k" in [row["name"] for row in json.loads(out)]
    code, out, _ = run("data", "show", "all.csv", "--json")
    assert json.loads(out)["n_ratings"] == 1_200
    code, out, _ = run("data", "show", "all.csv")
    assert "1,200 ratings" in out
    assert run("data", "fetch", "ml-100k")[0] == 5


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("recommend model 1", ("there is no model in model", "dotbias fit RATINGS -o FOLDER")),
        ("recommend '' 1", ("'' is no path", "name a file or a folder")),
        ("similar m ''", ("no item is named", "a part of its title")),
        ("evaluate m test.csv", ("say --test test.csv",)),
        ("evaluate m", ("no held-out ratings", "say --test FILE")),
        ("data show all.csv --items /", ("/ is a folder, not a file",)),
        ("data show all.csv --users nowhere.csv", ("there is no file nowhere.csv",)),
    ],
)
def test_errors_say_what_to_type(run, files, command, words):
    if " m" in command and "model" not in command:
        assert run("fit", "train.csv", "--fitter", "bias", "-o", "m")[0] == 0
    code, _, err = run(*shlex.split(command))
    assert code in (2, 3, 4) and all(word in err for word in words)


def test_a_wrong_limit_is_no_fault_of_the_model(run, files, monkeypatch):
    assert run("fit", "train.csv", "--fitter", "bias", "-o", "m")[0] == 0
    monkeypatch.setenv("DOTBIAS_MAX_BYTES", "abc")
    code, _, err = run("recommend", "m", "1")
    assert code == 2 and "DOTBIAS_MAX_BYTES is 'abc'" in err and "whole number of bytes" in err


def test_a_fit_that_saves_says_that_it_fits_twice(run, files):
    assert "; then once more on all" in run("fit", "train.csv", "--fitter", "bias", "-o", "m")[2]
    assert "once more" not in run("fit", "train.csv", "--fitter", "bias")[2]


def test_lr_find(run, files):
    code, out, _ = run("lr-find", "all.csv", "--json")
    assert code == 0
    sweep = json.loads(out)
    assert len(sweep["lrs"]) == len(sweep["losses"])
    assert 1e-4 < sweep["suggestion"] < 1
    code, out, _ = run("lr-find", "all.csv")
    marked = next(line for line in out.split("\n") if "<- suggestion" in line)
    assert f"suggestion: lr = {marked.split()[0]}, where" in out


def test_doctor(run):
    code, out, _ = run("doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["dotbias"]
    assert found["numpy"]
    assert "DOTBIAS_DATA is not set" in run("doctor")[1]


def test_the_demos_next_commands_can_be_typed(monkeypatch, tmp_path):
    from dotbias.cli.demo import program

    place = tmp_path / ".venv" / "bin" / "dotbias"
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [".venv/bin/dotbias", "demo"])
    assert program() == ".venv/bin/dotbias"
    monkeypatch.setattr(sys, "argv", ["/some/where/dotbias/__main__.py", "demo"])
    assert program() == "python -m dotbias"
    monkeypatch.setenv("PATH", str(place.parent))
    assert program() == "dotbias"
    monkeypatch.setattr(sys, "argv", [str(place), "demo"])
    assert program() == "dotbias"


@pytest.mark.parametrize(("separator", "spelled"), [(";", "semicolon"), ("|", "pipe"), ("\t", "tab"), (",", ",")])
def test_a_separator_in_a_hint_can_be_typed(run, tmp_path, separator, spelled):
    rows = [f"sep={separator}", "user,item,rating", "1,2,3"]
    (tmp_path / "x.csv").write_text("\n".join(rows).replace(",", separator) + "\n")
    assert f"--separator {spelled}." in run("data", "show", "x.csv")[2]
