"""``dotbias explain`` and ``dotbias ask`` as a person and as a program meets them."""

import dataclasses
import json

import pytest
import recommender_world as world

from dotbias import als
from dotbias.baselines import knn
from dotbias.recommender import Recommender
from dotbias.solvers.ease import ease

TRAIN = world.train()
CLICKS = dataclasses.replace(TRAIN, values=None)


@pytest.fixture
def run(monkeypatch, call, tmp_path):
    """``run("ask", "stars")`` -> (exit code, stdout, stderr), beside the models stars, neighbours and clicks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Recommender(als(TRAIN, n_factors=4, rng=0), TRAIN).save(tmp_path / "stars")
    Recommender(knn(TRAIN), TRAIN).save(tmp_path / "neighbours")
    Recommender(ease(CLICKS), CLICKS).save(tmp_path / "clicks")
    return call


def test_explain_in_words(run):
    code, out, _ = run("explain", "stars", 12, "Item 5 (1955)", "-n", 2)
    found = Recommender.load("stars").explain(12, "a5", n=2)
    assert code == 0 and out.startswith(f"{found.served:.3f} is predicted for user 12 and item a5 Item 5 (1955).")
    for name, value in found.parts:
        assert f"{value:+.3f}" in next(line for line in out.splitlines() if line.startswith(name))
    for reason in found.because:
        line = next(line for line in out.splitlines() if f"you gave {reason.rating:g} to {reason.title}" in line)
        same = (reason.share > 0) == (found.personal > 0)
        assert line.startswith("because" if same else "although") and f"{reason.share:+.3f}" in line
    assert f"{found.others:+.3f}" in out and f"{found.personal:+.3f}" in out and found.how in out


def test_explain_for_a_newcomer_and_as_json(run):
    code, out, _ = run("explain", "stars", "--history", "Heat (1995)=5, a2=1", "a5", "--json")
    found = Recommender.load("stars").explain(item="a5", history={"Heat (1995)": 5, "a2": 1})
    assert code == 0 and json.loads(out) == json.loads(json.dumps(found.to_dict()))
    assert run("explain", "stars", "--history", "Heat (1995)=5", "a5")[1].count("a newcomer") == 2


def test_explain_of_clicks(run):
    code, out, _ = run("explain", "clicks", 12, "a5")
    assert code == 0 and out.count("because you played Item") >= 4 and "the weight of each click" in out


def test_ask(run):
    code, out, err = run("ask", "stars", "--history", "Heat (1995)=5", "-n", 3, "--json")
    asked = json.loads(out)
    assert code == 0 and len(asked) == 3 and set(asked[0]) == {"item_id", "title", "gain", "chance"} and not err
    code, out, _ = run("ask", "stars", "--user", 12, "--where", "genres: Film-Noir")
    assert code == 0 and "user 12" in out and " %" in out
    code, _, err = run("ask", "neighbours", "-n", 1)
    assert code == 0 and "how much people disagree" in err
    assert run("ask", "clicks", "--history", "a1, a2")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("explain", "stars", 12), 2, "explain got 1 words"),
        (("explain", "stars", "--history", "a1=4", 12, "a5"), 2, "explain got 2 words"),
        (("explain", "stars", 999, "a5"), 3, "999"),
        (("explain", "stars", 12, "nothing"), 3, "nothing"),
        (("explain", "stars", "--history", "Itm 22=4", "a5"), 3, "did you mean"),
        (("explain", "stars", "--history", "a1=9", "a5"), 3, "the scale is from 1 to 5"),
        (("ask", "stars", "--history", "a1=4, a1=3"), 2, "names 'a1' twice"),
        (("ask", "stars", "--history", "a1=4", "--user", 12), 2, "a user and a history"),
        (("ask", "stars", "-n", 0), 2, "n is 0"),
        (("ask", "nowhere"), 4, "no model"),
    ],
)
def test_hostile_words(run, arguments, code, says):
    found, out, err = run(*arguments)
    assert found == code and says in err and not out
