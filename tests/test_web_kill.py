"""kill -9 under load: every rating that the server acknowledged is in the store, of SQLite and of a real PostgreSQL."""

import itertools
import json
import os
import threading
import time
import urllib.request

import postgres_world
import pytest
import web_world
from test_web_serve import HTTP, serving

from dotbias.web import Store

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")]
WRITERS, ENOUGH = 8, 200
USERS = range(10_000, 10_050)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return web_world.model().save(tmp_path_factory.mktemp("killed") / "model")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with postgres_world.running(tmp_path_factory.mktemp("pg")) as server:
        yield server


def write(address, writer, kept):
    """Rate on, each user and item once, until the server is gone; what was acknowledged is kept."""
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {web_world.TOKEN}"}
    for user, item in itertools.product(USERS[writer::WRITERS], range(1, 50)):
        value = 1.0 + (user * item) % 5
        said = json.dumps({"user": user, "ratings": [{"item": f"a{item}", "rating": value}]}).encode()
        try:
            with HTTP.open(urllib.request.Request(f"{address}/api/ratings", said, head), timeout=60) as answer:
                assert answer.status == 201
        except OSError:  # also a refusal, when the database is gone
            return
        kept[str(user), f"a{item}"] = value


def under_load(model, url, kill):
    """Eight clients write until one kills; then all that was acknowledged is there."""
    kept = {}
    with serving(model, "--store", url, DOTBIAS_TOKEN=web_world.TOKEN) as (said, child):
        threads = [threading.Thread(target=write, args=(said["address"], k, kept)) for k in range(WRITERS)]
        for thread in threads:
            thread.start()
        while len(kept) < ENOUGH and any(t.is_alive() for t in threads):
            time.sleep(0.01)
        kill(child)
        for thread in threads:
            thread.join()
    return kept


def stored(url):
    store = Store(url)
    found = {(user, item): rating for user, item, rating, _ in store.ratings()}
    store.close()
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kill_9_of_the_server_loses_no_acknowledged_rating(model, tmp_path, request, kind):
    url = f"sqlite:///{tmp_path}/r.db" if kind == "sqlite" else request.getfixturevalue("postgres").url
    kept = under_load(model, url, lambda child: child.kill())
    assert ENOUGH <= len(kept) < len(USERS) * 49
    found = stored(url)
    assert {pair: found.get(pair) for pair in kept} == kept


def test_a_crash_of_postgresql_loses_none_either(model, postgres):
    store = Store(postgres.url)
    for user in {user for user, *_ in store.ratings()}:
        store.forget(user)
    store.close()
    kept = under_load(model, postgres.url, lambda _: postgres.crash())
    postgres.start()
    found = stored(postgres.url)
    assert len(kept) >= ENOUGH and {pair: found.get(pair) for pair in kept} == kept
