"""What every request reads: the model as it is now, the store, the keys; and whose ratings a request speaks of."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from fastapi import Request

from ..recommender import Recommender
from ..recommender.answers import Id
from . import visitors
from .refusals import RefusedError
from .shapes import MOST, Who
from .shelf import Shelf
from .store import Store, Word

T = TypeVar("T")


class Served:
    """A model and what is made of it once. It never changes; another takes its place.

    Args:
        model: the Recommender.
        number: how many models have been served, this one included.
    """

    def __init__(self, model: Recommender, number: int = 1):
        self.model, self.number = model, number
        self.shelf = Shelf(model)
        _ = model.record.by_user  # sorted now: a search through all ratings takes as long as the rest of a list
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` makes, made at the first time; of two at once, one is kept."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @cached_property
    def stars(self) -> list[float]:
        """The values to offer: those in train; where there are many, the ten nearest to even steps. None for clicks."""
        import numpy as np

        if self.model.train.values is None:
            return []
        values = np.unique(self.model.train.values).astype(float)
        whole = values[values == np.floor(values)]
        values = whole if len(values) > 5 and 3 <= len(whole) <= 10 else values
        return values.tolist() if len(values) <= 10 else np.linspace(values[0], values[-1], 10).round(2).tolist()


class Service:
    """The one thing that routes share.

    Args:
        model: what is served first.
        store: where ratings go; None: nothing is kept, and writes are refused.
        token: what programs write with; None: programs cannot write.
    """

    def __init__(self, model: Recommender, store: Store | None = None, *, token: str | None = None):
        self.served, self.store, self.token = Served(model), store, token
        fresh = secrets.token_hex(32)
        self.key = bytes.fromhex(fresh if store is None else store.setting("cookie key", fresh))

    def replace(self, model: Recommender) -> None:
        """Serve another model from the next request on; requests under way keep theirs."""
        self.served = self.following(model)

    def following(self, model: Recommender) -> Served:
        """What ``replace`` would serve."""
        return Served(model, self.served.number + 1)

    def kept(self) -> Store:
        """The store.

        Raises:
            RefusedError: where there is none.
        """
        if self.store is None:
            raise RefusedError(503, "this server keeps no ratings.", hint="start it with a store: --store URL.")
        return self.store


class Caller(NamedTuple):
    """Who asks.

    Attributes:
        visitor: the number in a valid cookie, or None.
        trusted: whether the token for programs came along.
    """

    visitor: str | None
    trusted: bool


class Whose(NamedTuple):
    """Whose answer it is, as the Recommender takes it.

    Attributes:
        user: a user of train, or None.
        history: item -> rating, in the place of a user.
        not_seen: items said not to be known.
    """

    user: Id | None
    history: dict[Id, float] | None
    not_seen: list[Id]

    def arguments(self) -> dict[str, Any]:
        """``users=`` or ``history=``."""
        return {"users": self.user} if self.history is None else {"history": self.history}


async def service_of(request: Request) -> Service:
    """The service of the app that is asked. (``async``, or FastAPI asks a thread.)"""
    return request.app.state.service


async def caller_of(request: Request) -> Caller:
    """Who asks, by cookie and token."""
    service = await service_of(request)
    visitor = visitors.read_cookie(request.cookies.get(visitors.COOKIE), service.key)
    return Caller(visitor, visitors.has_token(request.headers, service.token))


def whose(service: Service, served: Served, who: Who, caller: Caller) -> Whose:
    """From what a request says to what the Recommender takes.

    A user's stored ratings count where the token is given: folded in with those of train. Anybody else hears of a user
    what the model says.

    Raises:
        UnknownIdError: for a user that neither train nor the store names.
        RefusedError: for a history that names an item twice.
    """
    if who.history is not None:
        return Whose(None, distinct((r.item, r.rating) for r in who.history), [])
    if who.me:
        said = [] if caller.visitor is None or service.store is None else service.store.history(caller.visitor)
        return Whose(None, *_split(served, said))
    user = as_id(served.model.train.user_ids, who.user)
    said = service.store.history(str(user)) if caller.trusted and service.store is not None else []
    known = user in served.model.train.user_ids
    if not said or not known:
        if not said:
            return Whose(user, None, [])
        return Whose(None, *_split(served, said))
    history, not_seen = _split(served, said)
    seen = {item: 1.0 if value is None else value for item, value in served.model.seen(user).items()}
    return Whose(None, seen | history, not_seen)


def as_id(known: Any, id: Any) -> Id:
    """An id as its table has it: programs may send the text of a number."""
    return known.typed(id) if isinstance(id, str) else id


def distinct(pairs: Iterable[tuple[Id, float]]) -> dict[Id, float]:
    """Item -> rating.

    Raises:
        RefusedError: for an item named twice.
    """
    found: dict[Id, float] = {}
    for item, value in pairs:
        if item in found:
            raise RefusedError(422, f"item {item!r} is named twice.", hint="each item once.")
        found[item] = value
    return found


def item_id(served: Served, id: Id) -> Id:
    """An item of the model, by its id, which may come as text.

    Raises:
        UnknownIdError: with a near miss.
    """
    ids = served.model.train.item_ids
    typed = as_id(ids, id)
    ids.row(typed)
    return typed


def keep(service: Service, served: Served, user: str, said: list[tuple[Id, float | None]]) -> int:
    """Store what a user said, once every item and rating is found right.

    Raises:
        UnknownIdError: for an item that the model does not know.
        RefusedError: for a rating off the scale, an item named twice, or too many.
    """
    train = served.model.train
    low, high = (0.0, 1.0) if train.values is None else train.scale()
    typed = distinct((item_id(served, item), value) for item, value in said)  # type: ignore[misc]
    for item, value in typed.items():
        if value is not None and not low <= value <= high:
            what = f"the rating of item {item!r} is {value:g}; the scale is from {low:g} to {high:g}."
            raise RefusedError(422, what, hint="give a rating on that scale.")
    store = service.kept()
    new = {str(item) for item in typed}
    if len(new | {s.item_id for s in store.history(user)}) > MOST:
        raise RefusedError(422, f"more than {MOST:,} ratings of one user.", hint="they are enough to know a taste by.")
    store.rate(user, ((str(item), value) for item, value in typed.items()))
    return len(typed)


def known_items(served: Served, said: list[Word]) -> list[tuple[Id, Word]]:
    """What was said of items that this model knows: a store may be older, or of another model."""
    ids = served.model.train.item_ids
    typed = [(ids.typed(s.item_id), s) for s in said]
    return [(item, s) for item, s in typed if item in ids]


def _split(served: Served, said: list[Word]) -> tuple[dict[Id, float], list[Id]]:
    """(item -> rating, items not seen); ratings off this model's scale, which another's was, are left out."""
    train = served.model.train
    low, high = (0.0, 1.0) if train.values is None else train.scale()
    there = known_items(served, said)
    rated = {item: s.rating for item, s in there if s.rating is not None and low <= s.rating <= high}
    return rated, [item for item, s in there if s.rating is None]


def row_of(served: Served, id: Id) -> int:
    """The row of an item; as :func:`item_id`."""
    return served.model.train.item_ids.row(item_id(served, id))
