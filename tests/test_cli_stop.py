"""Ctrl-C and SIGTERM in ``dotbias fit``: an older model stays as it is, and the exit code says so."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dotbias import Recommender, planted, storage

LONG = ["fit", "all.csv", "--set", "n_epochs=100000"]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


@pytest.fixture
def folder(tmp_path):
    """all.csv, and a model ``m`` fitted on it by the command line."""
    planted(60, 90, n_ratings=1_200, n_factors=2, noise=0.4, rng=5).ratings.to_frame().write_csv(tmp_path / "all.csv")
    start(tmp_path, "fit", "all.csv", "--fitter", "bias", "-o", "m").communicate(timeout=60)
    return tmp_path


def start(folder, *arguments, show_steps=False):
    """The command line in a process of its own, with Ctrl-C as in a terminal; a line of stderr per step if asked."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    if show_steps:  # tell the test when the fit is under way
        code += (
            "from dotbias.cli import _running\n"
            "told = _running.Recorder.__call__\n"
            "def call(self, step):\n"
            "    print('STEP', flush=True, file=__import__('sys').stderr)\n"
            "    told(self, step)\n"
            "_running.Recorder.__call__ = call\n"
        )
    code += "from dotbias.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def stopped(folder, *arguments, by=signal.SIGINT):
    """(exit code, stdout, stderr) of a fit that was sent a signal after its first steps."""
    process = start(folder, *arguments, show_steps=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line == "STEP\n":
            break
    else:
        raise AssertionError("it ended before its first step")
    process.send_signal(by)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out, err.replace("STEP\n", "")


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("fitter", ["sgd", "dot_bias"])
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_fit_leaves_the_older_model_alone(folder, fitter, by):
    before = bytes_of(folder / "m")
    code, out, err = stopped(folder, *LONG, "--fitter", fitter, "-o", "m", by=by)
    assert code == 130
    assert out == ""
    assert "nothing was saved" in err and "Fitting again" not in err and "RMSE" not in err
    assert bytes_of(folder / "m") == before
    assert Recommender.load(folder / "m").settings["fitter"] == "bias"


def test_ctrl_c_while_it_fits_again_on_everything(folder):
    """The first fit was measured; the second, which would be saved, is not whole."""
    before = bytes_of(folder / "m")
    process = start(folder, "fit", "all.csv", "--fitter", "sgd", "--set", "n_epochs=4000", "-o", "m", show_steps=True)
    assert process.stderr is not None
    again = False
    for line in process.stderr:
        again |= line.startswith("Fitting again")
        if again and line == "STEP\n":
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "RMSE" in out and "nothing was saved" in err
    assert bytes_of(folder / "m") == before


def test_keep_partial_saves_it_and_marks_it(folder):
    code, out, err = stopped(folder, *LONG, "--fitter", "sgd", "-o", "m", "--keep-partial", "--json")
    assert code == 130, err
    assert json.loads(out) == {"stopped": True, "saved": "m"}
    stored = storage.load(folder / "m")
    assert stored.settings["fitter"] == "sgd"
    assert stored.metrics["stopped"] is True and "rmse" not in stored.metrics
    assert stored.log and stored.log[0]["pass"] == 1
    done = start(folder, "recommend", "m", "5")
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0 and "ended early" in err


def test_a_gibbs_fit_can_be_stopped_too(folder):
    code, out, err = stopped(folder, "fit", "all.csv", "--set", "n_sweeps=100000", "--fitter", "gibbs", "-o", "new")
    assert code == 130, err
    assert not (folder / "new").exists() and out == ""


def test_twice_ends_at_once(folder):
    """A fitter that never looks up: the first Ctrl-C is noted, the second ends it."""
    code = (
        "import signal, time, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from dotbias.cli import fit, main\n"
        "from dotbias.fitters import Fitter\n"
        "def stubborn(train, *, valid=None, rng=None, progress=None, checkpoint=None):\n"
        "    print('STEP', file=sys.stderr, flush=True)\n"
        "    while True: time.sleep(0.01)\n"
        "fit.find = lambda name: Fitter(name, stubborn)\n"
        "main()"
    )
    before = bytes_of(folder / "m")
    arguments = ["fit", "all.csv", "--fitter", "mine", "-o", "m", "--keep-partial"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while (line := process.stderr.readline()) != "STEP\n":
        assert line, "it ended before its first step"
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130 and "Traceback" not in err
    assert bytes_of(folder / "m") == before
