"""What a scorer offers is what it says, and nobody guesses."""

import ast
from pathlib import Path

import numpy as np
import pytest

from dotbias.errors import SettingError
from dotbias.scorer import FoldsIn, Intervals, Ranks, Scorer, demand, offers

PACKAGE = Path(__file__).parent.parent / "src" / "dotbias"
USE = ["evaluation", "interpret", "storage", "recommender", "orders.py", "cli", "plots", "workbook"]
METHODS = {
    *("score", "score_all", "rank", "rank_all", "interval", "star_probabilities", "factors", "squash", "draws"),
    *(
        "fold_in_user",
        "fold_in_item",
        "state",
        "tables",
        "offers",
        "unbounded",
        "uses_times",
        "moments",
        "compress",
        "notes",
    ),
}
CLASSES = {"Factors", "Posterior", "Knn", "ModuleScorer"}


class Own:
    """A scorer of somebody's own: a constant, and how sure it is."""

    offers = (Scorer, Ranks, Intervals)
    tables = None

    def score(self, users, items, times=None):
        return np.full(len(users), 3, np.float32)

    def interval(self, users, items, times=None, *, level=0.8):
        return np.full(len(users), 2, np.float32), np.full(len(users), 4, np.float32)


def test_offers_is_what_is_declared():
    assert offers(Own(), Intervals) and not offers(Own(), FoldsIn)
    assert demand(Own(), Intervals, why="intervals", hint="") is not None
    with pytest.raises(SettingError, match="Own does not support fold-in"):
        demand(Own(), FoldsIn, why="fold-in", hint="fit another.")
    with pytest.raises(SettingError, match="does not say what it offers"):
        offers(object(), Scorer)


def test_above_the_waist_nobody_probes_a_scorer():
    """No hasattr or getattr of a scorer's methods by name, no isinstance of a concrete scorer."""
    files = [f for room in USE for f in ([PACKAGE / room] if room.endswith(".py") else (PACKAGE / room).rglob("*.py"))]
    assert len(files) > 20
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in ("hasattr", "getattr") and isinstance(node.args[1], ast.Constant):
                assert node.args[1].value not in METHODS, f"{path}:{node.lineno}"
            if node.func.id == "isinstance":
                names = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                assert not names & CLASSES, f"{path}:{node.lineno}"
