"""What all tests share: one thread per worker, the real data where there is any, a small world of known truth."""

import os
import sys

if "PYTEST_XDIST_WORKER" in os.environ:  # workers are the parallelism; before numpy, which reads these once
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[_name] = "1"

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from dotbias.datasets import World, planted
from dotbias.ratings import Ratings

settings.register_profile("dotbias", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dotbias")


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread():
    """torch, if a test has loaded it, at one thread under xdist."""
    if "PYTEST_XDIST_WORKER" in os.environ and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets, $DOTBIAS_DATA; tests that want it are skipped where it is absent."""
    folder = os.environ.get("DOTBIAS_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: set DOTBIAS_DATA to a folder that holds ml-latest-small-2016, ml-100k, ml-1m")
    return Path(folder)


WHOLE = {  # modules that `make fast` leaves out: other programs, whole commands, real data
    *("test_docs", "test_readme", "test_workbook", "test_workbook_file", "test_storage_kill", "test_storage_hostile"),
    *("test_cli", "test_cli_files", "test_cli_show", "test_cli_stop", "test_plots", "test_export", "test_odd_input"),
    *("test_datasets", "test_gradient", "test_learner_bits", "test_gibbs_bits", "test_gibbs_run", "test_threads"),
    *("test_lesson5_notebook", "test_lesson5_learner", "test_lesson5_bits", "test_checkpoint", "test_gibbs_package"),
    *("test_web", "test_web_browser", "test_web_serve", "test_web_store", "test_web_views"),
    *("test_sgd", "test_workbook_numbers", "test_gibbs_fit", "test_choice", "test_popularity", "test_passes"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for ``data`` carries the marker ``data``; what ``make fast`` leaves out, ``slow``."""
    for item in items:
        if item.path.stem in WHOLE:
            item.add_marker(pytest.mark.slow)
        if "data" in getattr(item, "fixturenames", ()):
            item.add_marker("data")


@pytest.fixture(scope="session")
def world() -> World:
    """120 users, 80 items, 3,000 ratings of known truth: 3 factors, noise 0.4, steps of a half."""
    return planted(120, 80, n_ratings=3_000, n_factors=3, noise=0.4, rng=7)


@pytest.fixture(scope="session")
def clicks(world: World) -> Ratings:
    """Clicks: the upper half of the small world's ratings, without their values."""
    return world.ratings.binarize(float(np.median(world.ratings.explicit())))


@pytest.fixture
def call(monkeypatch, capsys):
    """``call("fit", "x.csv")``: the command line in this process -> (exit code, stdout, stderr)."""
    from dotbias.cli import main

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dotbias", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as e:
            code = e.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run
