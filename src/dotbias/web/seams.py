"""The two things that are asked of a Recommender beside lists and predictions: why, and what to ask next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..recommender import Recommender
from ..recommender.answers import Id


def explain(model: Recommender, item: Id, user: Id | None, history: dict[Id, float] | None, n: int) -> Any:
    """Why this prediction: (value, parts, because)."""
    door: Any = model
    return door.explain(user, item=item, history=history, n=n)


def to_ask(model: Recommender, history: dict[Id, float], n: int, exclude: Iterable[Id]) -> Any:
    """What to ask a newcomer next, most telling first."""
    door: Any = model
    return door.to_ask(history, n, exclude=exclude)
