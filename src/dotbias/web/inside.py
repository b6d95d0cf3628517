"""The lesson at play: gradient descent on a crosstab of the data, step by step, and any cell taken apart.

A prediction is mean + b_u + b_i + p·q. The loss is L = ½ Σ_train (r - r̂)² + ½·wd·(‖biases‖² + ‖factors‖²), as in the
workbook (adamw leaves the second part out and shrinks instead). Steps are those of ``steps``. The server keeps nothing:
a run is its settings and how many steps were made under each, and is made again from them, the same to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, model_validator

from ..steps import RULES, finite_difference
from ..workbook._crosstab import Crosstab, most_rated
from ..workbook._descend import draw, mean_of, parts, predict, references, rmse_of
from . import shapes
from .api import ByService
from .refusals import RefusedError
from .service import Served

router = APIRouter(
    prefix="/api/inside", tags=["inside"], responses={"4XX": {"model": shapes.Refusal, "description": "Wrong."}}
)
STEPS = 2_000  # at most, of one run
BINS = 31
START = 0.3  # factors begin uniform in [0, START), biases at 0
TEST = 0.25  # share of the cells
BETAS = {"momentum": "beta", "rmsprop": "beta", "adam": "beta1", "adamw": "beta1"}
FINITE = 1e6


class TableAsked(shapes.Shape):
    """Which crosstab: the n users and n items with most ratings, of a genre or of all."""

    n: Annotated[int, Field(ge=3, le=20)] = 12
    genre: shapes.Text | None = None
    seed: Annotated[int, Field(ge=0, le=10_000)] = 0


class Stretch(shapes.Shape):
    """So many steps under the same settings."""

    steps: Annotated[int, Field(ge=0, le=STEPS)]
    optimizer: Literal["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"] = "momentum"
    lr: Annotated[float, Field(gt=0, le=10)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5
    wd: Annotated[float, Field(ge=0, le=100)] = 0.0


class RunAsked(TableAsked):
    """A run: stretches after each other; frames are sent of the steps after ``start``."""

    factors: Annotated[int, Field(ge=1, le=10)] = 3
    stretches: Annotated[list[Stretch], Field(max_length=200)]
    start: Annotated[int, Field(ge=0, le=STEPS)] = 0

    @model_validator(mode="after")
    def _not_too_long(self) -> RunAsked:
        if sum(s.steps for s in self.stretches) > STEPS:
            raise ValueError(f"a run has at most {STEPS} steps")
        return self


class CellAsked(RunAsked):
    """A cell at the end of a run, by its place."""

    user: Annotated[int, Field(ge=0, le=19)]
    item: Annotated[int, Field(ge=0, le=19)]


class Line(BaseModel):
    """RMSE of train and test; null where there are no such cells."""

    train: float | None
    test: float | None


class Table(BaseModel):
    """A crosstab: ratings (null: none), and 1 for train, 2 for test, 0 for neither."""

    users: list[int | str]
    items: list[int | str]
    titles: list[str]
    ratings: list[list[float | None]]
    part: list[list[int]]
    low: float
    high: float
    mean: Line
    biases: Line


class Parameter(BaseModel):
    """One of the cell's parameters: its value, and its gradient in two ways."""

    name: str
    value: float
    formula: float
    difference: float


class Cell(BaseModel):
    """A prediction taken apart."""

    prediction: float
    rating: float | None
    part: int
    terms: list[shapes.Summand]
    parameters: list[Parameter]


class Cells(NamedTuple):
    """A crosstab and what is trained on in it."""

    tab: Crosstab
    part: np.ndarray
    mean: float


class Weights(NamedTuple):
    """Parameters after some steps; the bias first: users (U, 1 + K), items (I, 1 + K)."""

    users: np.ndarray
    items: np.ndarray


@router.post("/table")
def table(asked: TableAsked, service: ByService) -> Table:
    """The crosstab, and the lines to beat: the mean's and the biases'."""
    tab, part, mean = w = _world(service.served, asked)
    constant, biases = references(tab.ratings, part, mean=mean, wd=1.0)
    low, high = service.served.model.train.scale()
    return Table(
        users=list(tab.user_labels),
        items=list(tab.item_labels),
        titles=tab.titles,
        ratings=_cells(w.tab.ratings),
        part=part.tolist(),
        low=low,
        high=high,
        mean=Line(train=_number(constant.train), test=_number(constant.test)),
        biases=Line(train=_number(biases.train), test=_number(biases.test)),
    )


@router.post("/run", response_class=StreamingResponse)
def run(asked: RunAsked, service: ByService) -> StreamingResponse:
    """Steps as they are made, a line of JSON each: errors, predictions, the gradient's histogram."""
    w = _world(service.served, asked)
    lines = (json.dumps(frame) + "\n" for frame in frames(w, asked))
    return StreamingResponse(lines, media_type="application/x-ndjson")


@router.post("/cell")
def cell(asked: CellAsked, service: ByService) -> Cell:
    """A cell's prediction as a sum, and the gradient of its parameters by formula and by finite difference."""
    w = _world(service.served, asked)
    u, i = asked.user, asked.item
    if u >= len(w.tab.users) or i >= len(w.tab.items):
        what = f"there is no cell ({u}, {i}): the table has {len(w.tab.users)} users and {len(w.tab.items)} items."
        raise RefusedError(422, what, hint="places count from 0.")
    state = [state for _, state in states(w, asked)][-1]
    return _taken_apart(w, state, u, i, _l2(asked.stretches[-1]) if asked.stretches else 0.0)


def frames(w: Cells, asked: RunAsked) -> Iterator[dict[str, Any]]:
    """What the page draws of every step from ``start`` on; the last says whether the numbers ran away."""
    for k, state in states(w, asked):
        if k < asked.start:
            continue
        with np.errstate(all="ignore"):
            scores = w.mean + predict(*state)
            errors = np.nan_to_num(w.tab.ratings) - scores
            slopes = np.concatenate([g.ravel() for g in gradients(w, state, 0.0)])
        away = not bool(np.isfinite(slopes).all() and np.abs(scores).max() < FINITE)
        yield {
            "step": k,
            "train": None if away else _number(rmse_of(errors, w.part == 1)),
            "test": None if away else _number(rmse_of(errors, w.part == 2)),
            "scores": None if away else scores.round(3).tolist(),
            "gradient": None if away else _histogram(slopes),
            "diverged": away,
        }
        if away:
            return


def states(w: Cells, asked: RunAsked) -> Iterator[tuple[int, Weights]]:
    """(step, parameters) from step 0, made again from the beginning."""
    draws = draw(w.tab.ratings.shape, asked.factors, asked.seed)  # type: ignore[arg-type]
    state = Weights(*(np.c_[np.zeros(len(f)), START * f] for f in (draws.users, draws.items)))
    yield 0, state
    k, memory, rule = 0, [{}, {}], None
    for s in asked.stretches:
        memory = memory if rule == s.optimizer else [{}, {}]  # averages of another rule mean something else
        rule = s.optimizer
        for _ in range(s.steps):
            with np.errstate(all="ignore"):
                pairs = zip(state, gradients(w, state, 0.0), memory, strict=True)
                moved = [_step(s, param, slope, before) for param, slope, before in pairs]
            state, memory, k = Weights(*(m[0] for m in moved)), [m[1] for m in moved], k + 1
            yield k, state


def gradients(w: Cells, state: Weights, l2: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the loss: users (U, 1 + K), items (I, 1 + K)."""
    p, q = state
    push = np.where(w.part == 1, np.nan_to_num(w.tab.ratings) - w.mean - predict(p, q), 0.0)  # (U, I)
    users = -np.c_[push.sum(1), push @ q[:, 1:]] + l2 * p
    return users, -np.c_[push.sum(0), push.T @ p[:, 1:]] + l2 * q


def loss(w: Cells, state: Weights, l2: float) -> float:
    """L, as the module says."""
    errors = np.where(w.part == 1, np.nan_to_num(w.tab.ratings) - w.mean - predict(*state), 0.0)
    return 0.5 * float((errors**2).sum()) + 0.5 * l2 * float((state.users**2).sum() + (state.items**2).sum())


def _step(s: Stretch, param: np.ndarray, slope: np.ndarray, memory: dict[str, Any]) -> tuple[np.ndarray, Any]:
    """One step of the library's own rule."""
    settings: dict[str, Any] = {"wd": s.wd} if s.optimizer == "adamw" else {"l2": s.wd}
    if s.optimizer in BETAS:
        settings[BETAS[s.optimizer]] = s.momentum
    return RULES[s.optimizer](param, slope, memory, lr=s.lr, **settings)


def _l2(s: Stretch) -> float:
    """The ridge that is part of the loss."""
    return 0.0 if s.optimizer == "adamw" else s.wd


def _world(served: Served, asked: TableAsked) -> Cells:
    """The crosstab that is asked for, made once for each choice."""
    ratings = served.model.train
    if asked.genre is not None:
        of_genre = np.array([asked.genre in labels for labels in served.shelf.genres])
        ratings = ratings.take(of_genre[ratings.items])
        if not len(ratings):
            raise RefusedError(422, f"no item has the genre {asked.genre!r}.", hint="see genres in /api/health.")
    tab = served.once(f"crosstab {asked.n} {asked.genre}", lambda: most_rated(ratings, asked.n))
    part = parts(tab.ratings, draw(tab.ratings.shape, 1, asked.seed), TEST)
    return Cells(tab, part, mean_of(tab.ratings, part))


def _taken_apart(w: Cells, state: Weights, u: int, i: int, l2: float) -> Cell:
    p, q = state.users[u], state.items[i]
    product = [shapes.Summand(name=f"factor {k}", value=float(p[k] * q[k])) for k in range(1, len(p))]
    heads = {"mean": w.mean, "user bias": float(p[0]), "item bias": float(q[0])}
    terms = [*(shapes.Summand(name=name, value=value) for name, value in heads.items()), *product]
    rating = w.tab.ratings[u, i]
    return Cell(
        prediction=sum(t.value for t in terms),
        rating=_number(rating),
        part=int(w.part[u, i]),
        terms=terms,
        parameters=[*_slopes(w, state, "user", u, l2), *_slopes(w, state, "item", i, l2)],
    )


def _slopes(w: Cells, state: Weights, side: Literal["user", "item"], row: int, l2: float) -> list[Parameter]:
    """A row's parameters with their gradient by formula, and by moving each a little."""
    at = 0 if side == "user" else 1
    formula = gradients(w, state, l2)[at][row]

    def along(values: np.ndarray) -> float:
        moved = [x.copy() for x in state]
        moved[at][row] = values
        return loss(w, Weights(*moved), l2)

    difference = finite_difference(along, state[at][row])
    names = [f"{side} bias", *(f"{side} factor {k}" for k in range(1, len(formula)))]
    rows = zip(names, state[at][row].tolist(), formula.tolist(), difference.tolist(), strict=True)
    return [Parameter(name=n, value=v, formula=f, difference=d) for n, v, f, d in rows]


def _histogram(slopes: np.ndarray) -> dict[str, Any]:
    """Counts in bins about zero, as wide as the largest."""
    edge = max(float(np.abs(slopes).max()), 1e-9)
    counts, _ = np.histogram(slopes, BINS, (-edge, edge))
    return {"edge": edge, "counts": counts.tolist()}


def _cells(values: np.ndarray) -> list[list[float | None]]:
    return [[_number(x) for x in row] for row in values.tolist()]


def _number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
