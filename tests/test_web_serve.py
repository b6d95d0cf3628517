"""``dotbias serve`` as a process: it says where it listens, answers, loads no torch, and ends when told to."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
import web_world

HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def serving(model, *options, **environment):
    """The address of a server of its own."""
    command = [sys.executable, "-m", "dotbias", "serve", str(model), "--port", "0", "--json", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    try:
        yield json.loads("".join(iter(child.stdout.readline, "}\n")) + "}"), child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return web_world.model().save(tmp_path_factory.mktemp("served") / "model")


@pytest.mark.slow
def test_it_serves_and_ends_on_sigterm(model):
    with serving(model) as (said, child):
        assert said["address"].startswith("http://127.0.0.1:") and said["store"] == "sqlite"
        with HTTP.open(said["address"] + "/api/health", timeout=20) as answer:
            assert json.load(answer)["items"] == 50
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) in (0, 130)
    assert model.with_name("model.ratings.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["--store", "nonsense://x"], {}, 2, "no URL"),
        ([], {"DOTBIAS_TOKEN": "short"}, 2, "16 or more"),
        (["--host", "192.0.2.1"], {}, 4, "cannot listen"),
    ],
)
def test_what_is_wrong_is_said_before_it_listens(model, arguments, environment, code, words):
    command = [sys.executable, "-m", "dotbias", "serve", str(model), "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == code and words in done.stderr


@pytest.mark.slow
def test_serving_loads_no_torch(model):
    code = f"""
import sys
from dotbias import Recommender
from dotbias.web import make_app
make_app(Recommender.load({str(model)!r}))
assert not {{"torch", "pandas", "matplotlib", "numba"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
