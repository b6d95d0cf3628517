"""A peer in a process of its own joins a comparison: it guesses what it would, and is told of no held-out rating."""

import sys
from pathlib import Path

import pytest

from dotbias import planted, split
from dotbias.experiments import compare

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))
from bench.peers import Row, arrays_of  # noqa: E402
from bench.peers.joined import Peer, joined  # noqa: E402

ADAPTER = """
import sys
sys.path.append({peers!r})
import numpy as np
from _protocol import report, split
s, settings = split()
assert not any(name.startswith("test") for name in vars(s)), vars(s)
assert settings == {{"shift": 0.5, "rng": 3, "threads": 1}}, settings
report(lambda: s.train_values.mean(), lambda mean: np.full(len(s.test_users), mean + settings["shift"]), s)
"""


@pytest.fixture
def row(tmp_path):
    (tmp_path / "adapter.py").write_text(ADAPTER.format(peers=str(ROOT / "bench" / "peers")))
    return Row("theirs", "ours", str(tmp_path / "adapter"), {"shift": 0.5})


def test_a_peer_is_compared_as_what_it_guesses(row):
    parts = split.random(planted(40, 30, n_ratings=500, rng=3).ratings, test=0.2, rng=0)

    def shifted(train):
        return lambda users, items: (train.values.mean() + 0.5).repeat(len(users))

    both = {"ours": shifted, "theirs": joined(row, threads=1)}
    result = compare(both, parts, metrics=("rmse",), rng=3, n_resamples=20)
    assert result["theirs"].report.rmse == pytest.approx(result["ours"].report.rmse, rel=1e-6)


def test_a_peer_that_fails_is_an_error(row, tmp_path):
    (tmp_path / "adapter.py").write_text("raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="theirs ended with 3"):
        Peer(row, planted(40, 30, n_ratings=500, rng=3).ratings, 3, 1)


def test_what_it_learns_from_names_nothing_of_test():
    assert not [name for name in arrays_of(planted(40, 30, n_ratings=500, rng=3).ratings) if "test" in name]
