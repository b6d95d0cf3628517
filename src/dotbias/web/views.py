"""The model as pictures: items along its components, a visitor among them; best, worst and most divisive."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel

from ..factors import Factors
from ..interpret import Components, components, divisive, item_biases
from ..recommender.histories import read
from ..scorer import Bilinear, FoldsIn, demand
from . import shapes
from .api import ByCaller, ByService
from .service import Served, whose

router = APIRouter(prefix="/api", tags=["views"], responses={"4XX": {"model": shapes.Refusal, "description": "Wrong."}})
ITEMS = 2_000  # on the map
AXES = 4


class Placed(BaseModel):
    """An item on the map."""

    item_id: int | str
    title: str | None
    count: int
    at: list[float]


class MapAxis(BaseModel):
    """A component: its share of the variance, and the items at its ends."""

    share: float
    up: list[str]
    down: list[str]


class Map(BaseModel):
    """Items along components, most rated first."""

    items: list[Placed]
    axes: list[MapAxis]
    about: str


class Place(BaseModel):
    """A visitor on the map, or null where nothing is known of them.

    In standard deviations of train's users from their mean, drawn in those of the items: ``at`` is the product.
    """

    at: list[float] | None
    rated: list[int | str]


class Ranked(BaseModel):
    """An item by what the average user would give it; ``low`` and ``high`` at 95 %; ``mean`` is of its raw ratings."""

    item_id: int | str
    title: str | None
    count: int
    mean: float | None
    stars: float
    low: float | None
    high: float | None


class Divisive(BaseModel):
    """An item and how far tastes lie apart on it: the standard deviation over users, in stars for a linear model."""

    item_id: int | str
    title: str | None
    count: int
    spread: float


class Rankings(BaseModel):
    """Best first, worst first, most divisive first; of ``eligible`` items with enough ratings."""

    best: list[Ranked]
    worst: list[Ranked]
    divisive: list[Divisive]
    eligible: int
    min_ratings: int


@router.get("/map")
def item_map(service: ByService) -> Map:
    """The most rated items along the components of their factors."""
    served = service.served
    found = components_of(served)
    n = found.scores.shape[1]
    axes = [_axis(found, k) for k in range(n)]
    scores = found.scores.round(5).tolist()
    rows = zip(found.ids, found.titles, found.counts, scores, strict=True)
    items = [Placed(item_id=i, title=t, count=c, at=at) for i, t, c, at in rows]
    return Map(items=items, axes=axes, about=found.about())


@router.get("/map/me")
def place(service: ByService, caller: ByCaller) -> Place:
    """Where the visitor's taste points to on the map."""
    served = service.served
    who = whose(service, served, shapes.Who(me=True), caller)
    if not who.history:
        return Place(at=None, rated=[])
    found = components_of(served)
    scorer = demand(served.model.scorer, FoldsIn, why="newcomers", hint="fit als or gibbs.")
    known = read(who.history, served.model.train, served.model.record.titles)
    part = scorer.fold_in_user(known.rows, known.values)
    at = where(_factors(served), found, served.model.train.item_ids.rows(found.ids), part)
    return Place(at=at.round(5).tolist(), rated=list(who.history))


@router.get("/best")
def best(
    service: ByService,
    n: Annotated[int, Query(ge=1, le=100)] = 20,
    min_ratings: Annotated[int, Query(ge=1, le=1_000_000)] = 20,
) -> Rankings:
    """Items by bias, which corrects for who rated what; and those on which tastes divide."""
    served = service.served
    listing = [b for b in biases_of(served) if b.count >= min_ratings]
    apart = divisive(served.model.scorer, served.model.train, n=n, min_ratings=min_ratings) if listing else []
    return Rankings(
        best=[_ranked(b) for b in listing[:n]],
        worst=[_ranked(b) for b in listing[::-1][:n]],
        divisive=[Divisive(item_id=d.id, title=d.title, count=d.count, spread=d.spread) for d in apart],
        eligible=len(listing),
        min_ratings=min_ratings,
    )


def where(factors: Factors, found: Components, rows: np.ndarray, part: Any) -> np.ndarray:
    """A newcomer's taste along components (n,): standard deviations of the users, times those of the items.

    What a bilinear model would give item i is constant + b_i + p·q_i. Components are centred and uncorrelated, so that
    the slope of (rank - b_i) along one of them is p along its axis, which is how far the taste goes that way.
    """
    x = found.scores  # (M, n)
    size = (x**2).sum(0)  # (n,)
    axes = x.T @ factors.items[rows].astype(np.float64) / size[:, None]  # (n, K)
    users = factors.users.astype(np.float64) @ axes.T  # (U, n)
    own = x.T @ (part.rank(rows).astype(np.float64) - factors.item_bias[rows]) / size
    return (own - users.mean(0)) / np.maximum(users.std(0), 1e-12) * x.std(0)


def _factors(served: Served) -> Factors:
    hint = "fit a model with factors: als, sgd, dot_bias or gibbs."
    return demand(served.model.scorer, Bilinear, why="a map: its items have no factors", hint=hint).factors()


def components_of(served: Served) -> Components:
    """Made once for each model."""
    factors, train = _factors(served), served.model.train
    n = min(AXES, factors.n_factors, int((train.item_counts > 0).sum()))
    return served.once("components", lambda: components(served.model.scorer, train, n=max(n, 1), most_rated=ITEMS))


def biases_of(served: Served) -> Any:
    """Made once for each model."""
    return served.once("biases", lambda: item_biases(served.model.scorer, served.model.train))


def _axis(found: Components, k: int) -> MapAxis:
    up, down = found.ends(k + 1, 5)
    return MapAxis(share=found.shares[k], up=up, down=down)


def _ranked(b: Any) -> Ranked:
    plain = b._asdict()
    plain.pop("bias")
    return Ranked(item_id=plain.pop("id"), **plain)
