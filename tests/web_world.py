"""A small world for the tests of ``web``: a model of made-up films, some with hostile titles, and a client of the app.

The client speaks ASGI to the app in this process: no network, no thread but the app's own.
"""

import asyncio

import httpx
import polars as pl
import recommender_world

from dotbias.recommender import Recommender
from dotbias.web import Store, make_app

TOKEN = "a token of the tests"
HOSTILE = ["<script>alert(1)</script> (1999)", "=HYPERLINK(1)", "\u202egnp.exe (2001)", 'Amélie & "Co" (2001)']


def model(**more):
    """Items a0 … a49 of the recommender's world, the first four with hostile titles."""
    train = recommender_world.train()
    table = train.item_table
    titles = HOSTILE + table["title"].to_list()[4:]
    train = train.with_item_table(table.drop("title").with_columns(title=pl.Series(titles)))
    return Recommender(recommender_world.factors(train), train, settings={"fitter": "als"}, **more)


class Client:
    """A browser, more or less: it keeps cookies."""

    def __init__(self, app, host="http://localhost"):
        self.app, self.host, self.cookies = app, host, httpx.Cookies()

    def __call__(self, method, path, **more):
        return asyncio.run(self._ask(method, path, more))

    async def _ask(self, method, path, more):
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=self.host, cookies=self.cookies) as http:
            answer = await http.request(method, path, **more)
            self.cookies = http.cookies
            return answer

    def get(self, path, **more):
        return self("GET", path, **more)

    def post(self, path, json=None, **more):
        return self("POST", path, json=json, **more)

    def put(self, path, json=None, **more):
        return self("PUT", path, json=json, **more)

    def delete(self, path, **more):
        return self("DELETE", path, **more)


def client(tmp_path, door=None, **more):
    """A client of an app with a store."""
    store = Store(f"sqlite:///{tmp_path}/ratings.db")
    return Client(make_app(door or model(), store=store, token=TOKEN, names=["localhost"], **more))
