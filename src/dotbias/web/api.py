"""The routes for programs: what the Recommender answers, as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from ..recommender.answers import Id
from ..recommender.reasons import Explanation
from ..scorer import Bilinear, FoldsIn, Sampled, offers
from . import shapes
from .refusals import RefusedError
from .service import Caller, Served, Service, Whose, as_id, caller_of, item_id, keep, row_of, service_of, whose

router = APIRouter(prefix="/api", responses={"4XX": {"model": shapes.Refusal, "description": "What is wrong."}})
QUICK = 50_000  # items of a model whose lists take a millisecond or two
ByService = Annotated[Service, Depends(service_of)]
ByCaller = Annotated[Caller, Depends(caller_of)]
Named = Annotated[str, Query(min_length=1, max_length=300, description="an item's id")]


@router.get("/health", tags=["model"])
def health(service: ByService) -> shapes.Health:
    """What is served, and that it is."""
    from .. import __version__

    served = service.served
    model, train = served.model, served.model.train
    years = [y for y in served.shelf.years if y is not None]
    return shapes.Health(
        status="ok",
        version=__version__,
        fitter=model.settings.get("fitter"),
        model=served.number,
        users=train.n_users,
        items=train.n_items,
        ratings=len(train),
        scale=_scale(served),
        genres=served.shelf.all_genres,
        years=(min(years), max(years)) if years else None,
        intervals=_has_intervals(served),
        factors=offers(model.scorer, Bilinear) and model.scorer.factors().n_factors >= 2,
        store="none" if service.store is None else service.store.kind,
    )


@router.get("/items", tags=["items"])
def items(
    service: ByService,
    q: Annotated[str, Query(max_length=100, description="the beginning of a title's words; typos are forgiven")] = "",
    n: Annotated[int, Query(ge=1, le=100)] = 10,
) -> shapes.Items:
    """Items by their titles; the most rated first."""
    found = service.served.shelf.find(q, n)
    return shapes.Items(items=[shapes.Item(**e._asdict()) for e in found])


@router.get("/item", tags=["items"])
def item(service: ByService, item: Named) -> shapes.Item:
    """One item."""
    served = service.served
    return shapes.Item(**served.shelf.entry(row_of(served, item))._asdict())


@router.get("/similar", tags=["items"])
def similar(service: ByService, item: Named, n: Annotated[int, Query(ge=1, le=1000)] = 10) -> shapes.Neighbours:
    """The items whose factors are nearest."""
    served = service.served
    found = served.model.similar_items(item_id(served, item), n)
    return shapes.Neighbours(items=[shapes.Near(**s._asdict()) for s in found], note=found.note)


@router.post("/predict", tags=["answers"])
def predict(asked: shapes.PredictAsked, service: ByService, caller: ByCaller) -> shapes.Predictions:
    """What a user, a newcomer or the visitor would give items."""
    served = service.served
    ids = [as_id(served.model.train.item_ids, i) for i in asked.items]
    found = _predicted(served, whose(service, served, asked, caller), ids, asked.unknown)
    rows = zip(ids, found, strict=True)
    return shapes.Predictions(predictions=[shapes.Predicted(item_id=i, **p._asdict()) for i, p in rows])


@router.post("/recommend", tags=["answers"], response_model=shapes.Recommendations)
async def recommend(asked: shapes.RecommendAsked, service: ByService, caller: ByCaller) -> Response:
    """The items that are most likely rated and liked, best first."""
    served = service.served
    if is_quick(served, asked, caller):  # a thread would take as long as the list
        found = list_of(service, served, asked, caller)
    else:
        found = await run_in_threadpool(list_of, service, served, asked, caller)
    return Response(found.model_dump_json(), media_type="application/json")  # valid as made: not checked again


@router.post("/explain", tags=["answers"])
def explain(asked: shapes.ExplainAsked, service: ByService, caller: ByCaller) -> shapes.Explained:
    """One prediction taken apart, and which of the user's ratings speak for it."""
    served = service.served
    id, who = item_id(served, asked.item), whose(service, served, asked, caller)
    found = _explained(served, who, id, asked.n)
    parts = [shapes.Summand(name=name, value=value) for name, value in found.parts]
    title = served.shelf.entry(row_of(served, id)).title
    return shapes.Explained(item_id=id, title=title, value=found.value, parts=parts, because=_reasons(found))


@router.post("/to_ask", tags=["answers"])
def to_ask(asked: shapes.ToAskAsked, service: ByService, caller: ByCaller) -> shapes.Questions:
    """Which items to ask a newcomer about, so that the answers tell most."""
    served = service.served
    who = whose(service, served, asked, caller)
    if who.history is None:
        raise RefusedError(422, "a user of train is no newcomer.", hint="give a history, or me.")
    left_out = [*(item_id(served, i) for i in asked.exclude), *who.not_seen]
    found = served.model.to_ask(who.history, asked.n, exclude=left_out)
    return shapes.Questions(items=[_asked(served, q) for q in found], note=found.note)


@router.post("/ratings", tags=["ratings"], status_code=201)
def ratings(said: shapes.RatingsIn, service: ByService, caller: ByCaller) -> shapes.Kept:
    """Store ratings of a user (with a bearer token); from then on they are folded in."""
    if not caller.trusted:
        hint = "send Authorization: Bearer TOKEN; the server is told the token by DOTBIAS_TOKEN."
        raise RefusedError(401, "programs write with a token.", hint=hint)
    served = service.served
    user = str(as_id(served.model.train.user_ids, said.user))
    return shapes.Kept(stored=keep(service, served, user, [(s.item, s.rating) for s in said.ratings]))


# What they are made of -----------------------------------------------------------------------------------------


def is_quick(served: Served, asked: shapes.RecommendAsked, caller: Caller) -> bool:
    """Whether a list waits for no database, and other requests can wait for it."""
    reads_store = asked.me or caller.trusted
    dear = asked.reasons or asked.diversity or asked.genres or asked.n > 100
    small = served.model.train.n_items <= QUICK and not offers(served.model.scorer, Sampled)
    return small and not reads_store and not dear


def list_of(service: Service, served: Served, asked: shapes.RecommendAsked, caller: Caller) -> shapes.Recommendations:
    """A list, with what was asked for beside it."""
    who = whose(service, served, asked, caller)
    found = served.model.recommend(n=asked.n, **who.arguments(), **_wishes(served, asked, who))
    listed = [_recommended(served, r) for r in found]
    if asked.intervals and listed and _has_intervals(served):
        for r, p in zip(listed, _predicted(served, who, [r.item_id for r in listed], "raise"), strict=True):
            r.low, r.high = p.low, p.high
    for r in listed if asked.reasons and _rated(who) else ():
        r.because = _reasons(_explained(served, who, r.item_id, asked.reasons))
    return shapes.Recommendations(items=listed, note=found.note, order=found.order)


def _scale(served: Served) -> shapes.Scale | None:
    if served.model.train.values is None:
        return None
    low, high = served.model.train.scale()
    return shapes.Scale(low=low, high=high, stars=served.stars)


def _has_intervals(served: Served) -> bool:
    """Whether newcomers' predictions come with intervals."""
    from ..scorer import Intervals

    return offers(served.model.scorer, FoldsIn) and offers(served.model.scorer, Intervals)


def _rated(who: Whose) -> bool:
    return who.user is not None or bool(who.history)


def _predicted(served: Served, who: Whose, ids: list[Id], unknown: str) -> list[Any]:
    if who.history is None and who.user is not None:
        return served.model.predict([who.user] * len(ids), ids, unknown=unknown, times="now")  # type: ignore[call-overload]
    return served.model.predict(items=ids, history=who.history, unknown=unknown)  # type: ignore[arg-type]


def _wishes(served: Served, asked: shapes.RecommendAsked, who: Whose) -> dict[str, Any]:
    """The request in the Recommender's words."""
    where: dict[str, Any] = {"genres": asked.genres} if asked.genres else {}
    if asked.year_from is not None or asked.year_to is not None:
        where["year"] = (asked.year_from, asked.year_to)
    plain = asked.model_dump(include={"order", "like", "popularity", "diversity", "keep_seen"})
    exclude = [item_id(served, i) for i in asked.exclude] + who.not_seen
    only = None if asked.only is None else [item_id(served, i) for i in asked.only]
    return {**plain, "where": where or None, "exclude": exclude, "only": only}


def _recommended(served: Served, r: Any) -> shapes.Recommended:
    entry = served.shelf.entry(served.model.train.item_ids.row(r.item_id))
    about = {"genres": entry.genres, "year": entry.year}
    return shapes.Recommended(item_id=r.item_id, title=r.title, score=r.score, **about)  # type: ignore[arg-type]


def _explained(served: Served, who: Whose, item: Id, n: int) -> Explanation:
    return served.model.explain(who.user, item, history=who.history, n=n)


def _reasons(explanation: Explanation) -> list[shapes.Because]:
    return [
        shapes.Because(item_id=r.item_id, title=r.title, rating=r.rating, share=r.share) for r in explanation.because
    ]


def _asked(served: Served, q: Any) -> shapes.AskNext:
    entry = served.shelf.entry(served.model.train.item_ids.row(q.item_id))
    about = {"genres": entry.genres, "year": entry.year}
    return shapes.AskNext(item_id=q.item_id, title=q.title, gain=q.gain, chance=q.chance, **about)  # type: ignore[arg-type]
