"""A search: never worse than the defaults where it looks, the same however often it is cut off, blind to test."""

import json
import os
import shlex
import signal
import subprocess
import sys

import pytest
from test_cli import files, run  # noqa: F401  fixtures

from dotbias import planted, split
from dotbias.errors import FileError, SettingError
from dotbias.experiments import Choices, Span, search, space_of
from dotbias.experiments.spaces import parse
from dotbias.fitters import find

optuna = pytest.importorskip("optuna")
FEW = {"n_epochs": 3}
SPACE = {"n_factors": Span(2, 8, True), "reg": Span(0.01, 1.0), "lr": Span(0.01, 0.2)}


@pytest.fixture(scope="module")
def train():
    return planted(80, 60, n_ratings=2_000, n_factors=2, noise=0.4, rng=3).ratings


def look(train, **more):
    return search("sgd", train, **{"trials": 10, "settings": FEW, "space": SPACE, "rng": 5, **more})


def test_the_first_trial_are_the_defaults_and_the_winner_is_no_worse(train):
    found = look(train)
    assert found.trials[0].settings["lr"] == find("sgd").defaults()["lr"]
    assert found.best.error == min(t.error for t in found.trials if t.state == "done")
    assert found.best.error <= found.trials[0].error
    assert len(found.trials) == 10 and all(t.settings["n_epochs"] == 3 for t in found.trials)


def test_its_errors_are_those_of_the_folds(train):
    from dotbias.evaluation import evaluate
    from dotbias.solvers import sgd

    found = look(train, trials=3, folds=2)
    parts = [s for s, _ in zip(split.folds(train, 10, rng=5), range(2), strict=False)]
    for trial in found.trials:
        errors = [evaluate(sgd(s.train, rng=5, **trial.settings), s.test).mse for s in parts]
        assert trial.error == pytest.approx(sum(errors) / 2, abs=1e-12)


@pytest.mark.parametrize("where", [0, 4, 8])
def test_cut_off_in_the_middle_it_goes_on_to_the_same_winner(train, tmp_path, where):
    whole = look(train)

    def end(trial, best):
        if trial.number == where:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(train, resume=tmp_path / "x.db", progress=end)
    study = optuna.load_study(study_name="dotbias", storage=f"sqlite:///{tmp_path / 'x.db'}")
    study.ask()  # cut off while it was running
    resumed = look(train, resume=tmp_path / "x.db")
    assert resumed.trials == whole.trials and resumed.best == whole.best
    assert look(train, resume=tmp_path / "x.db").trials == whole.trials


def test_a_file_of_another_search_is_refused(train, tmp_path):
    look(train, trials=2, resume=tmp_path / "x.db")
    with pytest.raises(SettingError, match="rng differ"):
        look(train, trials=2, resume=tmp_path / "x.db", rng=6)
    (tmp_path / "no.db").write_text("nothing of the kind")
    with pytest.raises(FileError, match="no file of a search"):
        look(train, trials=2, resume=tmp_path / "no.db")


def test_hopeless_trials_end_early(train):
    found = look(train, trials=25)
    states = [t.state for t in found.trials]
    assert set(states[:6]) == {"done"} and "ended early" in states
    assert found.best.state == "done"


def test_ranges_come_from_the_settings():
    assert space_of(find("als"))["n_factors"] == Span(8, 128, True)
    assert space_of(find("als"))["n_epochs"] == Span(5, 20, True)
    assert space_of(find("als"))["reg"] == Span(0.0045, 0.45)
    assert "keep_best" not in space_of(find("sgd")) and "link" not in space_of(find("sgd"))
    assert space_of(find("sgd"), {"link": Choices(("identity", "sigmoid"))})["link"].values[1] == "sigmoid"
    assert space_of(find("implicit_als"))["reg"] == Span(0.0005, 0.05)
    for fitter in ("sgd", "als", "knn", "dot_bias", "net", "gibbs", "implicit_als", "bpr", "ease"):
        for name, span in space_of(find(fitter)).items():
            for end in span[:2]:
                find(fitter).check({name: int(end) if span.whole else end})
    for wrong, message in (({"regg": Span(1, 2)}, "no setting 'regg'"), ({"reg": Span(-1, 2)}, "reg is -1")):
        with pytest.raises(SettingError, match=message):
            space_of(find("als"), wrong)
    with pytest.raises(SettingError, match="no setting that a search knows"):
        space_of(find("mean"))


def test_ranges_in_words():
    assert parse("reg=0.01:0.3") == ("reg", Span(0.01, 0.3))
    assert parse("n_factors=4:64") == ("n_factors", Span(4, 64, True))
    assert parse("link=identity,sigmoid") == ("link", Choices(("identity", "sigmoid")))
    assert parse("keep_best=true,false") == ("keep_best", Choices((True, False)))
    for wrong in ("reg", "reg=", "reg=3:1", "reg=0:1", "reg=a:b"):
        with pytest.raises(SettingError):
            parse(wrong)


def test_search_on_the_command_line(run, files):  # noqa: F811
    asked = ("--fitter", "als", "--trials", 4, "--space", "n_factors=2:6", "--split", "random:0.2", "--seed", 1)
    code, out, err = run("search", "all.csv", *asked, "--resume", "s.db", "--picture", "s.png", "--header")
    assert code == 0 and "trial 4 of 4" in err and (files / "s.png").stat().st_size > 5_000
    command = shlex.split(out.strip().split("\n")[-1])
    assert command[:4] == ["dotbias", "fit", "all.csv", "--header"] and command[-2:] == ["--seed", "1"]
    found = json.loads(run("search", "all.csv", *asked, "--resume", "s.db", "--json", "--header")[1])
    assert shlex.split(found["command"]) == command and len(found["trials"]) == 4
    code, out, _ = run(*command[1:], "--json")
    result = json.loads(out)
    assert code == 0 and all(result["settings"][k] == v for k, v in found["best"]["settings"].items())
    code, _, err = run("search", "all.csv", "--fitter", "auto")
    assert code == 2 and "no setting that a search knows" in err


def words(data, *more) -> list[str]:
    return [sys.executable, "-m", "dotbias", "search", str(data), "--seed", "1", "--threads", "1", *more]


def killed_after(trials: int, command: list[str], folder) -> None:
    """Start a search and end it by SIGKILL, which leaves it no moment, while it is busy with the next trial."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as search:
        for line in search.stderr:
            if line.startswith(f"trial {trials} of"):
                break
        search.kill()
    assert search.returncode == -signal.SIGKILL  # it was not done


def found_by(command: list[str], folder) -> dict:
    done = subprocess.run([*command, "--json"], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def check_killed(data, more: tuple[str, ...], at: tuple[int, ...], folder) -> None:
    resumed = words(data, *more, "--resume", "s.db")
    for trials in at:
        killed_after(trials, resumed, folder)
    study = optuna.load_study(study_name="dotbias", storage=f"sqlite:///{folder / 's.db'}")
    finished = [t for t in study.trials if t.state.name in ("COMPLETE", "PRUNED")]
    assert len(finished) >= at[-1]  # and not a few begun anew
    again, whole = found_by(resumed, folder), found_by(words(data, *more), folder)
    assert again == whole  # every trial, the winner, and the command that fits with it


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_killed_in_the_middle_of_a_study_it_goes_on_to_the_same_winner(train, tmp_path):
    train.to_frame().write_csv(tmp_path / "all.csv")
    more = ("--fitter", "sgd", "--trials", "15", "--set", "n_epochs=20", "--space", "n_factors=2:32")
    check_killed("all.csv", more, (4, 9), tmp_path)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_killed_in_the_middle_of_a_study_of_real_data(data, tmp_path):
    more = ("--fitter", "als", "--trials", "8", "--split", "lesson", "--space", "n_factors=4:16")
    check_killed(data / "ml-latest-small-2016", more, (3,), tmp_path)
