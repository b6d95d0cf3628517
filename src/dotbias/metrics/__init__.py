"""Metrics: errors of guesses, probabilities of stars, the order of lists, and what lists are like.

A metric is a :class:`Metric`, a plain value; ``METRICS`` lists them by name. To add one, write it in a file of this
folder and add it to that file's list. Metrics of lists are asked for with the number of places: ``ndcg@10``,
``recall@20``; ``mrr`` without one looks at the whole list. This room knows arrays, neither ids nor models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import SettingError, did_you_mean
from .beyond import BEYOND
from .errors import ERRORS, absolute_error, difference, mae, mse, r2, rmse, squared_error
from .kinds import NOWHERE, Bounds, Catalogue, Guesses, Lists, Metric, Probabilities, Values
from .lists import LISTS
from .sampled import SAMPLED, sampled_lists
from .stars import LEVEL, STARS, transform

BY_DEPTH: dict[str, Callable[[int], Metric]] = {**LISTS, **BEYOND, **SAMPLED}
METRICS: dict[str, Metric] = {
    m.name: m for m in (*ERRORS.values(), *STARS.values(), *(f(10) for f in BY_DEPTH.values()))
}
WHOLE = {name: LISTS[name](None) for name in LISTS}  # of the whole list: no @

__all__ = [
    "LEVEL",
    "METRICS",
    "NOWHERE",
    "Bounds",
    "Catalogue",
    "Guesses",
    "Lists",
    "Metric",
    "Probabilities",
    "Values",
    "absolute_error",
    "difference",
    "find_metric",
    "mae",
    "mse",
    "r2",
    "rmse",
    "sampled_lists",
    "squared_error",
    "transform",
]


def find_metric(name: str | Metric) -> Metric:
    """The metric of that name, such as rmse, rps, ndcg@10 or mrr; a Metric is itself.

    Raises:
        SettingError: for a name that is none, with the near miss.
    """
    if isinstance(name, Metric):
        return name
    known = METRICS | WHOLE
    if not isinstance(name, str):
        raise SettingError(f"{name!r} is no metric.", hint="a name, such as 'rmse' or 'ndcg@10', or a Metric.")
    if name in known:
        return known[name]
    family, _, depth = name.partition("@")
    if family in BY_DEPTH and depth.isdecimal() and int(depth) > 0:
        return BY_DEPTH[family](int(depth))
    raise SettingError(f"there is no metric {name!r}.", hint=did_you_mean(name, known))


def find_metrics(names: Iterable[str | Metric]) -> list[Metric]:
    """The metrics of those names, in their order.

    Raises:
        SettingError: for a name that is none, or that comes twice.
    """
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable) or getattr(names, "ndim", 1) == 0:
        raise SettingError(f"metrics is {names!r}.", hint="a list of them, such as ('rmse', 'ndcg@10').")
    found = [find_metric(name) for name in names]
    for k, metric in enumerate(found):
        if metric.name in (m.name for m in found[:k]):
            raise SettingError(f"the metric {metric.name} comes twice.", hint="name it once.")
    return found
