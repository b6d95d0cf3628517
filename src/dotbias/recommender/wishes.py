"""What is asked of every list, checked once: how many, in what order, from which items, by which dials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import numpy as np

from ..errors import SettingError
from ..orders import Order, find_order
from ..ratings import Ratings
from ..scorer import Bilinear, Ranks, demand
from ..settings import Count, check, fits
from ..times import Times
from .answers import Id
from .dials import Dials
from .filters import Filters
from .lists import Wish
from .record import Record
from .where import Where, chosen

PLAIN: dict[str, Any] = {"exclude": (), "only": None, "where": None, "keep_seen": False, "keep_unrated": False}
DEFAULTS: dict[str, Any] = {
    **PLAIN,
    **{"order": "liked", "like": None, "times": "now", "filters": None, "popularity": 0.0, "diversity": 0.0},
}


class Asked(TypedDict, total=False):
    """What ``recommend`` takes beside users and n; see there."""

    order: str
    like: float | None
    times: Times
    exclude: Iterable[Id]
    only: Iterable[Id] | None
    where: Where | None
    keep_seen: bool
    keep_unrated: bool
    filters: Filters | None
    popularity: float
    diversity: float


def with_defaults(asked: Mapping[str, Any], of: str) -> dict[str, Any]:
    """What is asked, and what ``recommend`` takes where it is not.

    Raises:
        TypeError: for an argument that it does not have; ``of`` names the function.
    """
    if more := asked.keys() - DEFAULTS.keys():
        raise TypeError(f"{of}() got an unexpected keyword argument {min(more)!r}")
    return {**DEFAULTS, **asked}


def wish_of(
    n: Any,
    scorer: Ranks,
    order: Order,
    record: Record,
    asked: Mapping[str, Any],
) -> Wish:
    """A Wish; its filters as they are, or made of what they would be made of.

    Args:
        n: how many items.
        scorer: what predicts.
        order: what ``asked`` says of it, made.
        record: train.
        asked: what ``Asked`` names, all of it.

    Raises:
        SettingError: for a dial that is none, filters and others beside them, or diversity without item factors.
    """
    dials = Dials(asked["popularity"], asked["diversity"]).check()
    check_n(n)
    filters, choice = asked["filters"], {name: asked[name] for name in PLAIN}
    if filters is None:
        filters = filters_of(record, **choice)
    elif not isinstance(filters, Filters) or len(filters.allowed) != record.train.n_items:
        raise SettingError("these are no filters of this model.", hint="make them by its filters(…).")
    elif any(choice[k] is not default for k, default in PLAIN.items()):
        raise SettingError("there are filters, and others beside them.", hint="make one value: filters(…).")
    vectors = None
    if dials.diversity:
        hint = "diversity=0, or fit a model with factors: als, sgd, dot_bias or gibbs."
        vectors = demand(scorer, Bilinear, why="diversity: items have no factors", hint=hint).factors().items
    return Wish(n, order, filters, dials, record.item_counts, vectors)


def filters_of(
    record: Record,
    exclude: Iterable[Id],
    only: Iterable[Id] | None,
    where: Where | None,
    *,
    keep_seen: bool,
    keep_unrated: bool,
) -> Filters:
    """The five as one value."""
    check(filters_of, {"keep_seen": keep_seen, "keep_unrated": keep_unrated})
    n_items = record.train.n_items
    words = [] if keep_unrated else ["rated in train"]
    allowed = np.ones(n_items, bool) if keep_unrated else record.item_counts > 0
    if only is not None:
        among = np.zeros(n_items, bool)
        among[record.item_rows(only)] = True
        allowed, words = allowed & among, [*words, "in only="]
    if where is not None:
        allowed, words = allowed & chosen(record.train, where), [*words, "as where= says"]
    allowed = allowed.copy()
    allowed[record.item_rows(exclude)] = False
    return Filters(allowed, keep_seen, ", ".join([*words, "not in exclude="]))


def check_order(name: Any, like: Any, train: Ratings) -> None:
    """Refuse what is no order or threshold.

    Raises:
        SettingError: for a name that is none, or a threshold that is no number or above train's scale.
    """
    find_order(name)
    if like is not None and not fits(like, float):
        raise SettingError(f"like is {like!r}.", hint="the rating from which an item is liked, such as 4.")
    if like is not None and train.values is not None and like > train.scale()[1]:
        high = train.scale()[1]
        raise SettingError(f"like is {like:g}; no rating is above {high:g}.", hint=f"like={high:g}, or lower.")


def check_n(n: Any) -> None:
    """Refuse what is no count.

    Raises:
        SettingError: naming it.
    """
    if not fits(n, Count):
        raise SettingError(f"n is {n!r}; it must be a whole number, 1 or more.", hint="try n=10.")
