"""Threads of fits: how many, shared loops, beside other Python threads, after a fork."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import battery
import numpy as np
import pytest

from dotbias.errors import SettingError
from dotbias.solvers import _threads
from dotbias.solvers.gibbs import gibbs


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch):
    monkeypatch.setattr(_threads, "_asked", 0)
    monkeypatch.delenv("DOTBIAS_THREADS", raising=False)


def test_the_number_is_as_asked_else_by_the_counts(monkeypatch):
    monkeypatch.setattr(_threads, "processors", lambda: 8)
    assert _threads.how_many(9, 10) == 1 and _threads.how_many(10, 10) == 8
    for value in ("3", "0", ""):
        monkeypatch.setenv("DOTBIAS_THREADS", value)
        assert _threads.how_many(9, 10) == int(value or 0) or 1
    monkeypatch.setenv("DOTBIAS_THREADS", "3")
    _threads.use(2)
    assert _threads.how_many(9, 10) == 2
    _threads.use(0)
    assert _threads.how_many(9, 10) == 3
    for value in (-1, 1.5, True):
        with pytest.raises(SettingError, match="threads is"):
            _threads.use(value)
    monkeypatch.setenv("DOTBIAS_THREADS", "two")
    with pytest.raises(SettingError, match="DOTBIAS_THREADS is 'two'"):
        _threads.how_many(1, 2)


def test_a_container_s_quota_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(_threads, "QUOTA", tmp_path / "cpu.max")
    n = _threads.processors()
    assert n >= 1
    for text, expected in (("max 100000", n), ("100000 100000", 1), ("20000 100000", 1)):
        _threads.QUOTA.write_text(text)
        assert _threads.processors() == expected


@_threads.ranged
def count(first, last, out):
    for k in range(first, last):
        out[k] += k


@pytest.mark.parametrize("n", [0, 1, 7, 1000])
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_turn_of_a_shared_loop_is_made_once(n, n_threads):
    out = np.zeros(n, np.int64)
    _threads.use(n_threads)
    with _threads.sharing(0, 1):
        for _ in range(20):
            _threads.share(count, n, out)
    assert out.tolist() == [20 * k for k in range(n)]


def test_an_error_in_a_part_is_raised_and_others_stop():
    seen = []

    def part(first, last):
        seen.append(first)
        raise ValueError(str(first))

    _threads.use(2)
    with _threads.sharing(0, 1), pytest.raises(ValueError):
        _threads.share(_threads.Ranged(part, part), 8)
    assert len(seen) <= 2


TRAIN, _ = battery.parts()


def fit(rng):
    fitted = gibbs(TRAIN, n_factors=3, n_sweeps=30, noise=0.4, histories=True, rng=rng)
    return b"".join(a.tobytes() for a in fitted.state().arrays.values())


def test_fits_in_two_python_threads():
    """Side by side, each on two threads of its own: the bits of one after the other."""
    _threads.use(2)
    alone = [fit(0), fit(1)]
    start = threading.Barrier(2)

    def together(rng):
        start.wait()
        return fit(rng)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(together, (0, 1))) == alone


FORK = """
import os, sys
sys.path[:0] = {path!r}
import test_threads as t
from dotbias.solvers import _threads
_threads.use(2)
before = t.fit(0)
child = os.fork()
if child == 0:
    os._exit(0 if t.fit(0) == before else 3)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_forked_after_a_fit_can_fit():
    """On ratings that it was forked with: to read a table in the child would wait for ever, for polars' threads."""
    code = FORK.format(path=[str(Path(__file__).parent)])
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
