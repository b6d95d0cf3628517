"""What the page draws: places on the map, the most divisive items, and gradient descent as the library does it."""

import json

import numpy as np
import pytest
import recommender_world
import web_world

from dotbias.interpret import components, divisive
from dotbias.web import inside, views
from dotbias.web.service import Served
from dotbias.workbook import _descend


@pytest.fixture(scope="module")
def served():
    return Served(web_world.model())


# The map -------------------------------------------------------------------------------------------------------


def test_a_user_lies_where_their_factors_point(served):
    """The slope of what a part ranks by is p along the component's axis, for any bilinear model."""
    train, f = served.model.train, served.model.scorer.factors()
    found = components(f, train, n=2)
    rows = train.item_ids.rows(found.ids)
    x = f.items[rows].astype(np.float64)
    _, _, axes = np.linalg.svd(x - x.mean(0), full_matrices=False)
    along = f.users.astype(np.float64) @ axes[:2].T

    class Part:
        def rank(self, others):
            return f.rank(np.full(len(others), 7), others)

    at = views.where(f, found, rows, Part())
    expected = (along[7] - along.mean(0)) / along.std(0) * found.scores.std(0)
    assert np.allclose(np.abs(at), np.abs(expected), atol=1e-4)  # the sign of a component is free


def test_the_map_and_the_visitor_on_it(tmp_path):
    web = web_world.client(tmp_path)
    drawn = web.get("/api/map").json()
    assert len(drawn["items"]) == 49 and len(drawn["axes"]) == 4  # the item without a rating is not drawn
    assert web.get("/api/map/me").json() == {"at": None, "rated": []}
    web.put("/api/me/rating?item=a5", {"rating": 5})
    one = web.get("/api/map/me").json()
    web.put("/api/me/rating?item=a5", {"rating": 1})
    assert one["rated"] == ["a5"] and web.get("/api/map/me").json()["at"] != one["at"]


def test_a_model_without_factors_says_so(tmp_path):
    from dotbias.baselines import mean
    from dotbias.recommender import Recommender

    train = recommender_world.train()
    web = web_world.client(tmp_path, Recommender(mean(train), train))
    for path in ("/api/map", "/api/best"):
        assert web.get(path).status_code == 422 and web.get(path).json()["error"]["hint"]


# Best, worst, divisive -----------------------------------------------------------------------------------------


def test_divisive_is_the_spread_of_predictions(served):
    train, f = served.model.train, served.model.scorer.factors()
    rated = np.flatnonzero(train.user_counts)
    taste = f.users[rated].astype(np.float64) @ f.items.astype(np.float64).T  # (U, I)
    spread = np.where(train.item_counts > 0, taste.std(0), -1)
    found = divisive(f, train, n=5)
    assert [d.id for d in found] == [train.item_ids[i] for i in np.argsort(-spread, kind="stable")[:5]]
    assert np.allclose([d.spread for d in found], np.sort(spread)[::-1][:5])


def test_best_and_worst_are_the_ends_of_one_ranking(tmp_path):
    web = web_world.client(tmp_path)
    found = web.get("/api/best?n=100&min_ratings=3").json()
    stars = [r["stars"] for r in found["best"]]
    assert stars == sorted(stars, reverse=True) and found["eligible"] == len(stars)
    assert [r["item_id"] for r in found["worst"]] == [r["item_id"] for r in found["best"]][::-1]
    assert all(r["low"] < r["stars"] < r["high"] and r["count"] >= 3 for r in found["best"])
    assert web.get("/api/best?min_ratings=1000000").json()["eligible"] == 0


# Inside --------------------------------------------------------------------------------------------------------


def asked(*stretches, **more):
    return inside.RunAsked(n=8, factors=2, stretches=[inside.Stretch(**s) for s in stretches], **more)


@pytest.mark.parametrize("wd", [0.0, 2.0])
def test_its_steps_are_those_of_the_workbook(served, wd):
    run = asked({"steps": 12, "optimizer": "momentum", "lr": 0.01, "momentum": 0.3, "wd": wd})
    w = inside._world(served, run)
    draws = _descend.draw(w.tab.ratings.shape, 2, 0)
    s = _descend.Settings(lr=0.01, momentum=0.3, wd=wd, scale=inside.START)
    sheet = _descend.descend(w.tab.ratings, w.part, draws, s, mean=w.mean, y_range=(1, 5), clip=1e9, n_epochs=12)
    ours = [state for _, state in inside.states(w, run)]
    assert len(ours) == 13
    for (users, items), epoch in zip(ours, sheet, strict=True):
        assert np.allclose(users, epoch.users) and np.allclose(items, epoch.items)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop", "adam", "adamw"])
def test_every_rule_lowers_the_loss(served, optimizer):
    run = asked({"steps": 30, "optimizer": optimizer, "lr": 0.01, "momentum": 0.9, "wd": 0.01})
    w = inside._world(served, run)
    states = [state for _, state in inside.states(w, run)]
    assert inside.loss(w, states[-1], 0) < 0.95 * inside.loss(w, states[0], 0)


def test_a_cell_sums_to_its_prediction_and_its_gradients_agree(tmp_path):
    web = web_world.client(tmp_path)
    run = {"n": 8, "factors": 2, "stretches": [{"steps": 9, "lr": 0.02, "wd": 1.5}]}
    shown = json.loads(web.post("/api/inside/run", run).text.splitlines()[-1])
    cell = web.post("/api/inside/cell", {**run, "user": 2, "item": 3}).json()
    assert sum(t["value"] for t in cell["terms"]) == pytest.approx(cell["prediction"])
    assert cell["prediction"] == pytest.approx(shown["scores"][2][3], abs=1e-3)
    assert len(cell["parameters"]) == 6
    for p in cell["parameters"]:
        assert p["formula"] == pytest.approx(p["difference"], abs=1e-6)
    assert any(abs(p["formula"]) > 0.01 for p in cell["parameters"])
    assert web.post("/api/inside/cell", {**run, "user": 19, "item": 3}).status_code == 422


def test_a_run_goes_on_where_it_stopped(tmp_path):
    web = web_world.client(tmp_path)
    parts = [{"steps": 5, "lr": 0.01}, {"steps": 4, "lr": 0.03, "optimizer": "adam"}]
    whole = web.post("/api/inside/run", {"stretches": parts}).text.splitlines()
    assert [json.loads(line)["step"] for line in whole] == list(range(10))
    assert web.post("/api/inside/run", {"stretches": parts, "start": 6}).text.splitlines() == whole[6:]


def test_numbers_that_run_away_end_the_run_without_a_fault(tmp_path):
    web = web_world.client(tmp_path)
    lines = web.post("/api/inside/run", {"stretches": [{"steps": 500, "lr": 10}]}).text.splitlines()
    assert json.loads(lines[-1])["diverged"] and len(lines) < 100
    assert web.post("/api/inside/run", {"stretches": [{"steps": 1500}, {"steps": 1500}]}).status_code == 422


def test_the_table_is_the_datas_own(tmp_path, served):
    web = web_world.client(tmp_path)
    table = web.post("/api/inside/table", {"n": 6}).json()
    assert len(table["ratings"]) == 6
    for u, user in enumerate(table["users"]):
        seen = served.model.seen(user)
        assert [seen.get(item) for item in table["items"]] == table["ratings"][u]
    assert {1, 2} >= {
        p
        for row, r in zip(table["part"], table["ratings"], strict=True)
        for p, x in zip(row, r, strict=True)
        if x is not None
    }
    assert web.post("/api/inside/table", {"genre": "Drama"}).status_code == 200
    assert web.post("/api/inside/table", {"genre": "Nonsense"}).status_code == 422
