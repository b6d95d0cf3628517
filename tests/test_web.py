"""The server: what it answers is what the Recommender says; what it refuses, it refuses in one shape."""

import json

import pytest
import web_world
from hypothesis import given, settings
from hypothesis import strategies as st
from web_world import HOSTILE, TOKEN, Client, client

from dotbias.web import make_app
from dotbias.web.guard import LIMIT

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def door():
    return web_world.model()


@pytest.fixture
def web(tmp_path, door):
    return client(tmp_path, door)


def refused(answer, status):
    """The answer's error, of the one shape."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"} and set(answer.json()["error"]) == {"what", "hint"}
    return answer.json()["error"]


def history(*pairs):
    return [{"item": item, "rating": rating} for item, rating in pairs]


# It answers as the Recommender does ----------------------------------------------------------------------------


def test_health_says_what_is_served(web, door):
    found = web.get("/api/health").json()
    assert (found["items"], found["users"], found["fitter"]) == (50, door.train.n_users, "als")
    assert found["scale"]["low"] < found["scale"]["high"] and found["genres"] == ["Comedy", "Drama", "Film-Noir"]


def test_a_known_user_gets_the_recommenders_list(web, door):
    user = door.train.user_ids[0]
    found = web.post("/api/recommend", {"user": user, "n": 7}).json()
    assert [(r["item_id"], r["score"], r["title"]) for r in found["items"]] == list(door.recommend(user, 7))


def test_a_history_gets_the_newcomers_list_with_filters_and_dials(web, door):
    told = {"a5": 4.0, "a6": 2.0}
    wish = {"n": 5, "popularity": 0.5, "diversity": 0.3, "order": "rating"}
    asked = {"history": history(*told.items()), **wish, "genres": ["Comedy"], "year_from": 1960, "exclude": ["a12"]}
    found = web.post("/api/recommend", asked).json()
    where = {"genres": ["Comedy"], "year": (1960, None)}
    expected = door.recommend(history=told, where=where, exclude=["a12"], **wish)
    assert [r["item_id"] for r in found["items"]] == [r.item_id for r in expected]
    assert all("Comedy" in r["genres"] and r["year"] >= 1960 for r in found["items"])


def test_predictions_are_the_recommenders(web, door):
    user = door.train.user_ids[3]
    found = web.post("/api/predict", {"user": user, "items": ["a4", "a5"]}).json()["predictions"]
    assert [p["value"] for p in found] == [p.value for p in door.predict([user] * 2, ["a4", "a5"])]


def test_similar_are_the_recommenders(web, door):
    found = web.get("/api/similar?item=a7&n=3").json()["items"]
    assert [(s["item_id"], s["similarity"]) for s in found] == [(s[0], s[1]) for s in door.similar_items("a7", 3)]


def test_the_description_names_every_route_and_its_error(web):
    paths = web.get("/openapi.json").json()["paths"]
    assert {"/api/health", "/api/recommend", "/api/explain", "/api/to_ask", "/api/ratings", "/api/me"} <= set(paths)
    assert all("4XX" in way["responses"] for path in paths.values() for way in path.values())


# Items by what is typed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "id"),
    [
        ("hea", "a7"),
        ("heta", "a7"),
        ("twin", "a9"),
        ("amelie", "a3"),
        ("AMÉ co", "a3"),
        ("item 2", "a20"),
        ("a33", "a33"),
    ],
)
def test_items_are_found(web, typed, id):
    assert id in [item["item_id"] for item in web.get("/api/items", params={"q": typed}).json()["items"]]


def test_without_text_the_most_rated_come_first(web):
    counts = [item["count"] for item in web.get("/api/items?n=20").json()["items"]]
    assert counts == sorted(counts, reverse=True)


def test_the_prefix_distance_is_that_of_brute_force():
    from itertools import product

    import numpy as np

    from dotbias.web.shelf import LONGEST, prefix_distances

    def brute(a, b):  # optimal string alignment, by its recursion
        if not a or not b:
            return len(a) + len(b)
        best = min(brute(a[:-1], b) + 1, brute(a, b[:-1]) + 1, brute(a[:-1], b[:-1]) + (a[-1] != b[-1]))
        if len(a) > 1 and len(b) > 1 and a[-1] == b[-2] and a[-2] == b[-1]:
            best = min(best, brute(a[:-2], b[:-2]) + 1)
        return best

    words = ["".join(w) for n in range(1, 5) for w in product("ab", repeat=n)]
    codes = np.zeros((len(words), LONGEST), np.int32)
    for k, word in enumerate(words):
        codes[k, : len(word)] = [ord(c) for c in word]
    for typed in ("a", "ba", "aab", "abba"):
        expected = [min(brute(typed, word[:n]) for n in range(len(word) + 1)) for word in words]
        assert prefix_distances(typed, codes).tolist() == expected


# Writing -------------------------------------------------------------------------------------------------------


def test_a_visitor_rates_is_known_again_exports_and_deletes(web, tmp_path, door):
    first = web.get("/api/me")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    anybody = web.post("/api/recommend", {"me": True}).json()["items"]
    assert web.put("/api/me/rating?item=a5", {"rating": 5}).json() == {"stored": 1}
    web.put("/api/me/rating?item=a6", {"rating": None})
    mine = web.get("/api/me").json()
    assert mine["visitor"] == first.json()["visitor"]
    assert [(r["item_id"], r["rating"]) for r in mine["ratings"]] == [("a5", 5.0), ("a6", None)]
    now = web.post("/api/recommend", {"me": True}).json()["items"]
    assert [r["score"] for r in now] == [r.score for r in door.recommend(history={"a5": 5}, exclude=["a6"])]
    assert now != anybody
    assert web.delete("/api/me/rating?item=a6").json() == {"deleted": 1}
    assert web.delete("/api/me").json() == {"deleted": 1}
    assert web.get("/api/me").json()["ratings"] == []


def test_a_visitor_is_known_to_the_next_process(tmp_path, door):
    web = client(tmp_path, door)
    web.put("/api/me/rating?item=a5", {"rating": 5})
    later = client(tmp_path, door)
    later.cookies = web.cookies
    assert [r["item_id"] for r in later.get("/api/me").json()["ratings"]] == ["a5"]


def test_a_visitor_reaches_nobody_elses_history(web, tmp_path, door):
    web.put("/api/me/rating?item=a5", {"rating": 5})
    owner = web.get("/api/me").json()["visitor"]
    other = Client(web.app)
    refused(other.post("/api/recommend", {"user": str(owner)}), 404)
    other.cookies.set("dotbias_visitor", f"{owner}.{'0' * 64}")
    assert other.get("/api/me").json()["visitor"] != owner
    assert len(web.get("/api/me").json()["ratings"]) == 1


def test_programs_write_with_the_token_and_see_it_folded_in(web, door):
    user = door.train.user_ids[0]
    new = next(i for i in door.train.item_ids if i not in door.seen(user) and i != "a0")
    said = {"user": user, "ratings": [{"item": new, "rating": 1}]}
    refused(web.post("/api/ratings", said), 401)
    refused(web.post("/api/ratings", said, headers={"Authorization": "Bearer wrong"}), 401)
    assert web.post("/api/ratings", said, headers=BEARER).status_code == 201
    asked = {"user": user, "n": 50}
    listed = [r["item_id"] for r in web.post("/api/recommend", asked, headers=BEARER).json()["items"]]
    expected = door.recommend(history=door.seen(user) | {new: 1.0}, n=50)
    assert new not in listed and listed == [r.item_id for r in expected]
    assert new in [r["item_id"] for r in web.post("/api/recommend", asked).json()["items"]]  # no token: the model alone


@pytest.mark.parametrize("rating", [-1, 99])
def test_a_rating_off_the_scale_stores_nothing(web, rating):
    assert "scale" in refused(web.put("/api/me/rating?item=a5", {"rating": rating}), 422)["what"]
    assert web.get("/api/me").json()["ratings"] == []


def test_without_a_store_nothing_is_written_and_all_else_works(door):
    web = Client(make_app(door))
    assert "--store" in refused(web.put("/api/me/rating?item=a5", {"rating": 5}), 503)["hint"]
    assert web.post("/api/recommend", {"me": True}).status_code == 200


# Refusing ------------------------------------------------------------------------------------------------------

WRONG = [
    ("POST", "/api/recommend", {}, 422),
    ("POST", "/api/recommend", {"user": 1, "me": True}, 422),
    ("POST", "/api/recommend", {"user": "nobody"}, 404),
    ("POST", "/api/recommend", {"me": True, "n": 0}, 422),
    ("POST", "/api/recommend", {"me": True, "n": 10**9}, 422),
    ("POST", "/api/recommend", {"me": True, "nonsense": 1}, 422),
    ("POST", "/api/recommend", {"me": True, "genres": ["Nonsense"]}, 422),
    ("POST", "/api/recommend", {"me": True, "popularity": 2}, 422),
    ("POST", "/api/recommend", {"me": True, "reasons": 3, "n": 51}, 422),
    ("POST", "/api/recommend", {"history": history(("a5", 4), ("a5", 3))}, 422),
    ("POST", "/api/recommend", {"history": history(("a5", 400))}, 422),
    ("POST", "/api/recommend", {"history": history((10**30, 4))}, 422),
    ("POST", "/api/recommend", {"history": history(*((f"a{k}", 4) for k in range(1001)))}, 422),
    ("POST", "/api/predict", {"me": True, "items": ["a5"] * 1001}, 422),
    ("POST", "/api/predict", {"me": True, "items": []}, 422),
    ("POST", "/api/predict", {"me": True, "items": ["zzz"]}, 404),
    ("POST", "/api/predict", {"me": True, "items": [True]}, 422),
    ("POST", "/api/to_ask", {"user": 1}, 422),
    ("GET", "/api/similar?item=zzz", None, 404),
    ("GET", "/api/similar?item=a0", None, 422),
    ("GET", "/api/nothing", None, 404),
    ("GET", "/page/..%2F..%2Fserver.py", None, 404),
    ("GET", "/page/%00", None, 404),
    ("PATCH", "/api/health", None, 405),
]


@pytest.mark.parametrize(("method", "path", "said", "status"), WRONG)
def test_what_is_wrong_is_refused_in_one_shape(web, method, path, said, status):
    assert refused(web(method, path, json=said), status)["what"]


@pytest.mark.parametrize("body", ['{"me": NaN}', "[" * 100_000, "\xff", '{"me": true, "like": 1e999}', "null", "{"])
def test_a_body_that_is_no_request_is_refused(web, body):
    answer = web("POST", "/api/recommend", content=body.encode("latin-1"), headers={"Content-Type": "application/json"})
    assert refused(answer, answer.status_code) and 400 <= answer.status_code < 500


def test_a_large_body_is_refused_declared_or_not(web):
    for size in (LIMIT + 1, 10_000_000):
        refused(web("POST", "/api/recommend", content=b" " * size), 413)

    async def pieces():
        for _ in range(100):
            yield b" " * 100_000

    refused(web("POST", "/api/recommend", content=pieces()), 413)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_write_from_another_site_is_refused(web, headers):
    refused(web.put("/api/me/rating?item=a5", {"rating": 5}, headers=headers), 403)
    assert web.get("/api/me").json()["ratings"] == []


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}, {}])
def test_a_write_of_ones_own_is_not(web, headers):
    assert web.put("/api/me/rating?item=a5", {"rating": 5}, headers=headers).status_code == 200


def test_another_host_name_is_refused(web):
    refused(web.get("/api/health", headers={"Host": "evil.example"}), 421)
    assert web.get("/api/health", headers={"Host": "LOCALHOST:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/health", "/nothing", "/docs"])
def test_every_answer_carries_the_policy(web, path):
    headers = web.get(path).headers
    assert (
        "script-src 'self'" in headers["content-security-policy"] and "unsafe" not in headers["content-security-policy"]
    )
    assert headers["x-content-type-options"] == "nosniff"


def test_a_thousand_ids_in_one_call_are_answered(web):
    asked = {"history": history(*((f"a{k}", 4) for k in range(1, 50))), "items": [f"a{k % 50}" for k in range(1000)]}
    assert len(web.post("/api/predict", asked).json()["predictions"]) == 1000
    everything = {"history": [], "n": 1000, "exclude": ["a5"] * 1000}
    assert len(web.post("/api/recommend", everything).json()["items"]) == 48


@pytest.mark.parametrize(
    "path", ["../server.py", "..%2fserver.py", "%2e%2e/server.py", "....//server.py", "/etc/passwd"]
)
def test_no_path_leads_out_of_the_pages(web, path):
    answer = web.get(f"/page/{path}")
    assert answer.status_code == 404 and "import" not in answer.text and "root:" not in answer.text


def test_hostile_titles_are_data_and_nothing_else(web):
    found = web.get("/api/items", params={"q": "script"})
    assert found.headers["content-type"] == "application/json"
    assert [i["title"] for i in found.json()["items"]] == [HOSTILE[0]]


def test_a_fault_is_said_without_what_it_was(web, door, monkeypatch, caplog):
    monkeypatch.setattr(door, "similar_items", lambda *_: 1 / 0)
    assert "division" not in json.dumps(refused(web.get("/api/similar?item=a5"), 500))
    assert "GET /api/similar" in caplog.text


def test_another_model_takes_the_place_of_the_first(web, door):
    before = web.post("/api/recommend", {"me": True}).json()["items"]
    web.app.state.service.replace(web_world.model())
    assert web.get("/api/health").json()["model"] == 2
    assert web.post("/api/recommend", {"me": True}).json()["items"] == before  # the same factors


# Anything at all -----------------------------------------------------------------------------------------------

TEXT = st.text(max_size=20) | st.sampled_from(["a5", "a0", "", "\x00", "\ud7ff", "0", "💥" * 5])
NUMBER = st.integers() | st.floats() | st.sampled_from([0, 1, 3, 5, -1, 2**63, -(2**70), 1e308])
ATOM = st.none() | st.booleans() | NUMBER | TEXT
SAID = st.fixed_dictionaries({"item": ATOM, "rating": ATOM})
FIELDS = {
    **dict.fromkeys(("user", "me", "n", "like", "popularity", "diversity", "year_from", "year_to", "item"), ATOM),
    **dict.fromkeys(("keep_seen", "intervals", "reasons", "unknown", "order", "factors", "seed", "start"), ATOM),
    **{name: st.lists(ATOM, max_size=4) for name in ("items", "exclude", "only", "genres")},
    **{name: st.lists(SAID, max_size=4) | ATOM for name in ("history", "ratings", "stretches")},
}
WHOSE = [{"me": True}, {"user": 1}, {"history": []}, {"history": history(("a5", 4), ("a6", 2))}, {}]
REST = [{}, {"items": ["a5"]}, {"item": "a5"}, {"ratings": [{"item": "a5", "rating": 3}], "user": 1}, {"stretches": []}]
PATHS = ["recommend", "predict", "explain", "to_ask", "ratings", "inside/table", "inside/run", "inside/cell"]


@settings(max_examples=150)
@given(
    path=st.sampled_from(PATHS),
    body=st.builds(
        lambda a, b, c: a | b | c,
        st.sampled_from(WHOSE),
        st.sampled_from(REST),
        st.fixed_dictionaries({}, optional=FIELDS),
    )
    | ATOM,
)
def test_no_request_is_a_fault(fuzzed, path, body):
    text = json.dumps(body).encode("utf-8", "surrogatepass")
    answer = fuzzed("POST", f"/api/{path}", content=text, headers={"Content-Type": "application/json", **BEARER})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        refused(answer, answer.status_code)


@settings(max_examples=60)
@given(
    path=st.sampled_from(["item", "items", "similar", "best"]),
    name=st.sampled_from(["item", "q", "n", "min_ratings"]),
    value=TEXT | NUMBER,
)
def test_no_question_is_a_fault(fuzzed, path, name, value):
    answer = fuzzed.get(f"/api/{path}", params={name: str(value).encode("utf-8", "replace").decode()})
    assert answer.status_code < 500, answer.text


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory, door):
    return client(tmp_path_factory.mktemp("fuzzed"), door)
