"""The routes by which a visitor writes, takes along and deletes their own history, and nobody else's."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..recommender.answers import Id
from . import shapes, visitors
from .api import ByCaller, ByService, Named
from .service import Caller, Served, Service, item_id, keep, known_items

router = APIRouter(prefix="/api/me", tags=["me"], responses={"4XX": {"model": shapes.Refusal, "description": "Wrong."}})


@router.get("")
def me(request: Request, response: Response, service: ByService, caller: ByCaller) -> shapes.Me:
    """Who you are here, and all that is kept of you; a first visit begins here, with a signed cookie."""
    visitor = _visitor(request, response, service, caller)
    store = service.store
    served, said = service.served, [] if store is None else store.history(visitor)
    mine = [
        shapes.Mine(item_id=item, title=_title(served, item), rating=s.rating, time=s.time)
        for item, s in known_items(served, said)
    ]
    return shapes.Me(visitor=int(visitor), ratings=mine)


@router.put("/rating")
def rate(
    said: shapes.Rating, item: Named, request: Request, response: Response, service: ByService, caller: ByCaller
) -> shapes.Kept:
    """Say what you give an item; ``rating: null`` says that you have not seen it."""
    visitor = _visitor(request, response, service, caller)
    return shapes.Kept(stored=keep(service, service.served, visitor, [(item, said.rating)]))


@router.delete("/rating")
def forget(item: Named, service: ByService, caller: ByCaller) -> shapes.Deleted:
    """Take back what you said of an item."""
    id = item_id(service.served, item)
    gone = 0 if caller.visitor is None else service.kept().forget(caller.visitor, str(id))
    return shapes.Deleted(deleted=gone)


@router.delete("")
def delete(response: Response, service: ByService, caller: ByCaller) -> shapes.Deleted:
    """Delete all that is kept of you, and the cookie."""
    gone = 0 if caller.visitor is None else service.kept().forget(caller.visitor)
    response.delete_cookie(visitors.COOKIE, httponly=True, samesite="strict")
    return shapes.Deleted(deleted=gone)


def _visitor(request: Request, response: Response, service: Service, caller: Caller) -> str:
    """The visitor of the cookie, or a new one, whose cookie is set."""
    if caller.visitor is not None:
        return caller.visitor
    visitor = visitors.new_visitor()
    while service.served.model.train.user_ids.typed(visitor) in service.served.model.train.user_ids:
        visitor = visitors.new_visitor()
    response.set_cookie(
        visitors.COOKIE,
        visitors.signed(visitor, service.key),
        max_age=visitors.MAX_AGE,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return visitor


def _title(served: Served, item: Id) -> str | None:
    return served.shelf.entry(served.model.train.item_ids.row(item)).title
