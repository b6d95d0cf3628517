"""Own files on the command line, and places to write to: said before the work, and no fit is lost."""

import json
import os
import sys
from pathlib import Path

import polars as pl
import pytest

from dotbias import Recommender, planted
from dotbias.cli import fit, main
from dotbias.errors import DataError, FileError

WORLD = planted(60, 90, n_ratings=1_200, n_factors=2, noise=0.4, rng=5).ratings


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """``run("fit", "x.csv")`` -> (exit code, stdout, stderr), in a folder that holds all.csv."""
    monkeypatch.chdir(tmp_path)
    WORLD.to_frame().write_csv("all.csv")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dotbias", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as e:
            code = e.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


# Reading -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def strange(run):
    """A file that nothing in it explains: columns without names, split by |, and tables beside it."""
    frame = WORLD.to_frame()
    rows = zip(frame["item"], frame["user"], frame["rating"].round(1), frame["time"], strict=True)
    Path("s.txt").write_text("".join(f"{i}|{u}|{r}|{t}\n" for i, u, r, t in rows))
    items = sorted(set(frame["item"]))
    pl.DataFrame({"id": items, "title": [f"Item [{i}]" for i in items]}).write_csv("i.csv")
    users = sorted(set(frame["user"]))
    pl.DataFrame({"id": users, "age": [20 + u % 9 for u in users]}).write_csv("u.csv")
    return ["--no-header", "--item", "0", "--user", "1", "--rating", "2", "--separator", "|", "--no-time",
            "--items", "i.csv", "--users", "u.csv", "--scale", "-20:20"]  # fmt: skip


def test_one_set_of_options_for_every_command_that_reads(run, strange):
    code, out, err = run("data", "show", "s.txt", *strange, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["n_users"], facts["n_items"], facts["times"]) == (WORLD.n_users, WORLD.n_items, False)
    assert facts["y_range"] == [-20, 20] and facts["tables"]["user"] == ["id", "age"]
    code, out, err = run("fit", "s.txt", *strange, "--fitter", "als", "--set", "n_epochs=2", "--split", "random:0.2",
                         "-o", "m", "--json")  # fmt: skip
    assert code == 0, err
    held = [option for option in strange if option not in ("--items", "i.csv", "--users", "u.csv")]
    for command in (["evaluate", "m", "--test", "s.txt"], ["plot", "m", "--test", "s.txt"]):
        code, _, err = run(*command, *held)
        assert code == 3 and "are in train" in err  # it was read, and is what the model knows
    code, _, err = run("evaluate", "m", "--test", "s.txt", *strange)
    assert code == 2 and "--items has no use" in err
    code, out, _ = run("recommend", "m", "5", "-n", "2")
    assert code == 0 and "Item [" in out
    code, out, err = run("lr-find", "s.txt", *strange, "--n-factors", "3", "--json")
    assert code == 0, err


def test_options_that_make_no_sense_are_refused(run):
    for options, words in (
        (["--scale", "five"], "--scale five is no scale"),
        (["--scale", "5:1"], "y_range"),
        (["--no-time", "--time", "t"], "exclude each other"),
        (["--items", "nowhere.csv"], "there is no file nowhere.csv"),
        (["--budget", "soon"], "budget is 'soon'"),
        (["--budget", "5m", "--fitter", "als"], "--budget is for auto"),
    ):
        code, out, err = run("fit", "all.csv", *options)
        assert code == 2 and words in err and not out, (options, err)


def test_hints_name_options(run, monkeypatch):
    from dotbias.errors import arg

    def refuse(*_, **__):
        raise DataError("no column looks like the time.", hint=f"name it: {arg('time')}, or {arg('time', False)}.")

    monkeypatch.setattr("dotbias.datasets.resolve", refuse)
    assert run("data", "show", "all.csv")[2].endswith("Hint: name it: --time, or --no-time.\n")


def test_version_and_threads(run):
    assert run("--version")[1].startswith("dotbias 0.")
    codes = [run("fit", "all.csv", "--fitter", "sgd", "--set", "n_epochs=2", "--threads", n, "--json") for n in (1, 2)]
    assert [c for c, _, _ in codes] == [0, 0]
    assert json.loads(codes[0][1])["rmse"] == json.loads(codes[1][1])["rmse"]


# Writing -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def places(run):
    """Where nothing may be written: a file, a folder of other things, one without permission, one that a file is in."""
    Path("file").write_text("mine")
    Path("others").mkdir()
    Path("others", "thesis.txt").write_text("mine")
    Path("closed").mkdir(mode=0o500)
    yield ["file", "others", "file/below", *(["closed/m"] if os.geteuid() else [])]
    Path("closed").chmod(0o700)


def test_fit_looks_at_its_folder_first(run, places, monkeypatch):
    def never(*_, **__):
        raise AssertionError("nothing may be read or fitted")

    monkeypatch.setattr("dotbias.datasets.resolve", never)
    for place in places:
        code, out, err = run("fit", "all.csv", "--fitter", "bias", "-o", place)
        assert code == 4 and place.split("/")[0] in err and not out, (place, err)
    assert Path("file").read_text() == "mine" and Path("others", "thesis.txt").read_text() == "mine"


def test_plot_and_export_look_at_their_folder_first(run, places):
    run("fit", "all.csv", "--fitter", "bias", "-o", "m")
    for command in ("plot", "export"):
        for place in set(places) - {"others"}:
            code, out, err = run(command, "m", "-o", place)
            assert code == 4 and "Traceback" not in err and not out, (command, place, err)
    Path("others", "users.csv").write_text("id,age\n1,2\n")
    code, _, err = run("export", "m", "-o", "others")
    assert code == 3 and "holds users.csv, and no export" in err
    assert Path("others", "users.csv").read_text() == "id,age\n1,2\n"
    assert run("export", "m", "-o", "t")[0] == 0 and run("export", "m", "-o", "t")[0] == 0


def test_no_room(run, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("", (), {"free": 1_000})())
    code, _, err = run("fit", "all.csv", "--fitter", "bias", "-o", "m")
    assert code == 4 and "room for 0.0 MB" in err and not Path("m").exists()


def test_a_fit_that_cannot_be_saved_is_kept_where_the_message_says(run, monkeypatch):
    """The folder is taken while the fit runs."""
    whole = fit.run_fitter

    def fitting(*arguments):
        Path("m").mkdir(exist_ok=True)
        Path("m", "thesis.txt").write_text("mine")
        return whole(*arguments)

    monkeypatch.setattr(fit, "run_fitter", fitting)
    code, _, err = run("fit", "all.csv", "--fitter", "bias", "-o", "m", "--split", "random:0.2")
    assert code == 4 and [p.name for p in Path("m").iterdir()] == ["thesis.txt"]
    kept = err.split("the fit is kept in ")[1].split(": move")[0]
    assert Recommender.load(kept).settings["fitter"] == "bias"


# The last net --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RuntimeError("odd [/]"), 1, "RuntimeError: odd [/]\nThis is a fault of dotbias"),
        (PermissionError(13, "Permission denied", "x.csv"), 4, "x.csv: Permission denied"),
        (OSError(28, "No space left on device"), 4, "No space left on device"),
        (MemoryError(), 1, "not enough memory"),
        (FileError("x cannot be written."), 4, "x cannot be written."),
        (type("PanicException", (BaseException,), {})("polars"), 1, "PanicException: polars"),
    ],
)
def test_no_error_is_a_traceback(run, monkeypatch, error, code, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("dotbias.datasets.resolve", fail)
    monkeypatch.delenv("DOTBIAS_TRACEBACK", raising=False)
    got, out, err = run("data", "show", "all.csv")
    assert (got, out) == (code, "") and words in err and "Traceback" not in err
    monkeypatch.setenv("DOTBIAS_TRACEBACK", "1")
    assert "Traceback" in run("data", "show", "all.csv")[2]
