"""The shapes of requests and answers, and their limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, StringConstraints, model_validator

MOST = 1_000  # ids in a request
Whole = Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1)]
Text = Annotated[StrictStr, StringConstraints(min_length=1, max_length=300)]
Id = Whole | Text
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Ids = Annotated[list[Id], Field(max_length=MOST)]


class Shape(BaseModel):
    """A shape that takes no other fields."""

    model_config = ConfigDict(extra="forbid")


# Requests ------------------------------------------------------------------------------------------------------


class Rated(Shape):
    """An item and what it was given; of clicks, 1."""

    item: Id
    rating: Number


class Who(Shape):
    """Whose answer: one of ``user`` (an id), ``history`` (a newcomer) and ``me`` (the visitor of the cookie)."""

    user: Id | None = None
    history: Annotated[list[Rated], Field(max_length=MOST)] | None = None
    me: bool = False

    @model_validator(mode="after")
    def _one_of_them(self) -> Who:
        if (self.user is not None) + (self.history is not None) + self.me != 1:
            raise ValueError("give one of user, history and me")
        return self


class PredictAsked(Who):
    """Predictions for items."""

    items: Annotated[list[Id], Field(min_length=1, max_length=MOST)]
    unknown: Literal["raise", "baseline"] = "raise"


class RecommendAsked(Who):
    """A list."""

    n: Count = 10
    order: Literal["liked", "rating"] = "liked"
    like: Number | None = None
    popularity: Annotated[float, Field(ge=-1, le=1)] = 0.0
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    genres: Annotated[list[Text], Field(max_length=100)] = []
    year_from: Annotated[int, Field(ge=-9999, le=9999)] | None = None
    year_to: Annotated[int, Field(ge=-9999, le=9999)] | None = None
    exclude: Ids = []
    only: Ids | None = None
    keep_seen: bool = False
    intervals: bool = False
    reasons: Annotated[int, Field(ge=0, le=10)] = 0

    @model_validator(mode="after")
    def _few_reasons(self) -> RecommendAsked:
        if self.reasons and self.n > 50:
            raise ValueError("reasons are given for lists of at most 50")
        return self


class ExplainAsked(Who):
    """Why this prediction."""

    item: Id
    n: Annotated[int, Field(ge=1, le=50)] = 5


class ToAskAsked(Who):
    """What to ask next."""

    n: Annotated[int, Field(ge=1, le=100)] = 10
    exclude: Ids = []


class RatingsIn(Shape):
    """Ratings of one user, from a program; ``rating: null`` stands for "not seen"."""

    user: Id
    ratings: Annotated[list[RatedOrNot], Field(min_length=1, max_length=MOST)]


class RatedOrNot(Shape):
    """An item and its rating, or null for "not seen"."""

    item: Id
    rating: Number | None


class Rating(Shape):
    """What an item is given; null for "not seen"."""

    rating: Number | None


# Answers -------------------------------------------------------------------------------------------------------


class What(BaseModel):
    """What is wrong, and the likely fix."""

    what: str
    hint: str | None


class Refusal(BaseModel):
    """Every error."""

    error: What


class Scale(BaseModel):
    """The ratings' scale; ``stars`` are the values to offer."""

    low: float
    high: float
    stars: list[float]


class Health(BaseModel):
    """What is served. ``model`` counts the models since the start; ``scale`` is null for clicks."""

    status: Literal["ok"]
    version: str
    fitter: str | None
    model: int
    users: int
    items: int
    ratings: int
    scale: Scale | None
    genres: list[str]
    years: tuple[int, int] | None
    intervals: bool
    factors: bool
    store: str


class Item(BaseModel):
    """One item."""

    item_id: int | str
    title: str | None
    genres: list[str]
    year: int | None
    count: int


class Items(BaseModel):
    """Items, best match first."""

    items: list[Item]


class Predicted(BaseModel):
    """A predicted rating, with its 80 % interval where the model knows one."""

    item_id: int | str
    value: float
    low: float | None
    high: float | None
    path: str


class Predictions(BaseModel):
    """In the order of the request."""

    predictions: list[Predicted]


class Because(BaseModel):
    """A rating of the user's that speaks for the item, and its share."""

    item_id: int | str
    title: str | None
    rating: float | None
    share: float


class Recommended(BaseModel):
    """One item of a list; the interval and the reasons where they were asked for."""

    item_id: int | str
    title: str | None
    score: float
    low: float | None = None
    high: float | None = None
    genres: list[str] = []
    year: int | None = None
    because: list[Because] = []


class Recommendations(BaseModel):
    """A list, best first."""

    items: list[Recommended]
    note: str | None
    order: str | None


class Near(BaseModel):
    """One neighbour."""

    item_id: int | str
    title: str | None
    similarity: float


class Neighbours(BaseModel):
    """Nearest first."""

    items: list[Near]
    note: str | None


class Summand(BaseModel):
    """One summand."""

    name: str
    value: float


class Explained(BaseModel):
    """A prediction taken apart."""

    item_id: int | str
    title: str | None
    value: float
    parts: list[Summand]
    because: list[Because]


class AskNext(BaseModel):
    """An item to ask about: what the answer would tell, and how likely it was seen."""

    item_id: int | str
    title: str | None
    gain: float
    chance: float
    genres: list[str]
    year: int | None


class Questions(BaseModel):
    """What to ask, most telling first."""

    items: list[AskNext]
    note: str | None


class Kept(BaseModel):
    """How many ratings were stored."""

    stored: int


class Mine(BaseModel):
    """One thing a visitor said; ``rating: null`` for "not seen"; ``time`` in seconds since 1970 UTC."""

    item_id: int | str
    title: str | None
    rating: float | None
    time: int


class Me(BaseModel):
    """A visitor and all that is kept of them."""

    visitor: int
    ratings: list[Mine]


class Deleted(BaseModel):
    """How many entries are gone."""

    deleted: int


RatingsIn.model_rebuild()
