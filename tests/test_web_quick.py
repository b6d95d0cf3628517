"""Short lists that are answered before FastAPI: the same to the byte; whatever is wrong, FastAPI says."""

import json

import pytest
import web_world
from web_world import Client, client

from dotbias.web import api, make_app

PLAIN = {"Content-Type": "application/json; charset=utf-8"}  # not taken: FastAPI answers
HISTORY = [{"item": "a5", "rating": 4.0}, {"item": "a6", "rating": 2.0}]


@pytest.fixture(scope="module")
def door():
    return web_world.model()


@pytest.fixture
def web(door):
    return Client(make_app(door, names=["localhost"]))


@pytest.fixture
def taken(web, monkeypatch):
    """How many lists were made by FastAPI's route."""
    made, one = [], api.is_quick
    monkeypatch.setattr(api, "is_quick", lambda *a: made.append(one(*a)) or made[-1])
    return made


def both(web, said):
    """The answers of the quick layer and of FastAPI."""
    body = said if isinstance(said, str) else json.dumps(said)
    heads = {"Content-Type": "application/json"}, PLAIN
    return [web("POST", "/api/recommend", content=body.encode(), headers=head) for head in heads]


@pytest.mark.parametrize(
    "more", [{}, {"n": 3, "order": "rating"}, {"popularity": 0.4, "exclude": ["a7"]}, {"intervals": True}, {"n": 51}]
)
@pytest.mark.parametrize("whose", ["user", "history", "nothing"])
def test_the_same_bytes_and_headers(web, door, whose, more):
    who = {"user": {"user": door.train.user_ids[2]}, "history": {"history": HISTORY}, "nothing": {"history": []}}
    quick, plain = both(web, who[whose] | more)
    assert quick.status_code == 200 and quick.content == plain.content
    assert quick.headers == plain.headers and "content-security-policy" in quick.headers


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"user": "nobody"},
        {"history": [*HISTORY, HISTORY[0]]},
        {"history": [{"item": "a5", "rating": 99}]},
        {"user": 1, "n": "x"},
        '{"history": NaN}',
        "[" * 50_000,
        "{",
        "\ud800".encode("utf-8", "replace").decode(),
        "",
    ],
)
def test_what_is_wrong_is_said_by_fastapi(web, said):
    quick, plain = both(web, said)
    assert quick.status_code == plain.status_code and 400 <= quick.status_code < 500
    assert quick.json() == plain.json() and set(quick.json()) == {"error"}


def test_lists_that_wait_for_something_are_not_taken(tmp_path, door, taken):
    web = client(tmp_path, door)
    for more in ({"me": True}, {"history": HISTORY, "reasons": 2}, {"history": HISTORY, "diversity": 0.5}):
        assert web.post("/api/recommend", more).status_code == 200
    assert taken == [False] * 6  # asked by the layer, and by the route


def test_a_program_with_its_token_hears_of_what_is_stored(tmp_path, door, taken):
    web = client(tmp_path, door)
    bearer = {"Authorization": f"Bearer {web_world.TOKEN}"}
    assert web.post("/api/recommend", {"history": HISTORY}, headers=bearer).status_code == 200
    assert taken == [False]  # by the route alone


def test_the_model_that_is_served_now_answers(web, door):
    other = web_world.model(n_since_fit=1)
    said = {"user": door.train.user_ids[0]}
    assert web.post("/api/recommend", said).status_code == 200
    web.app.state.service.replace(other)
    other.recommend = lambda *_, **__: door.recommend(door.train.user_ids[1], 1)
    assert len(web.post("/api/recommend", said).json()["items"]) == 1
