"""One prediction taken apart: mean + biases + a term for each component, and the link after their sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..errors import SettingError, did_you_mean
from ..factors import Factors, gather
from ..ratings import Ratings
from .components import canonical
from .listing import Listing, factors_of

if TYPE_CHECKING:
    import polars as pl

Basis = Literal["components", "factors"]


class Term(NamedTuple):
    """One summand.

    Attributes:
        name: "mean", "user bias", "item bias", "component 1" … or "factor 1" …
        value: what it adds, on the link's inner scale.
        user: the user's number on this component, or None for the mean and the biases.
        item: the item's number; value = user · item.
    """

    name: str
    value: float
    user: float | None = None
    item: float | None = None


@dataclass(frozen=True)
class Decomposition:
    """Why this prediction.

    Attributes:
        user_id: whose.
        item_id: for what.
        title: of the item, where train knows one.
        terms: mean, user bias, item bias, then the components, strongest in the model first (factors: in order).
        inner: their sum.
        link: "identity" (the sum, clipped to ``y_range``) or "sigmoid" (squashed into it).
        y_range: (low, high) in stars.
        score: the prediction in stars.
    """

    user_id: int | str
    item_id: int | str
    title: str | None
    terms: Listing[Term]
    inner: float
    link: str
    y_range: tuple[float, float]
    score: float

    def to_frame(self) -> pl.DataFrame:
        """A polars frame: name, value, user, item."""
        return self.terms.to_frame()

    def strongest(self, n: int = 5) -> Listing[Term]:
        """The n terms, of taste alone, that move this prediction most, either way."""
        return Listing(sorted(self.terms[3:], key=lambda t: -abs(t.value))[:n])


def explain(
    scorer: Any, train: Ratings, *, user_id: int | str, item_id: int | str, basis: Basis = "components"
) -> Decomposition:
    """A prediction as a sum: mean + user bias + item bias + a term for each component (or factor); then the link.

    By components the terms are those of :func:`~dotbias.interpret.canonical`: alike for two fits that differ by a
    rotation of their factors, zero for the average user or item. By factors, they are the numbers as fitted.

    Args:
        scorer: anything with ``factors()``; of a posterior, its compressed Factors, which score nearly alike.
        train: what it was fitted on.
        user_id: a user that train names.
        item_id: an item that train names.
        basis: "components" or "factors".

    Raises:
        UnknownIdError: for ids that train does not name.
        SettingError: for a scorer that is no such sum, or another basis.
    """
    if basis not in ("components", "factors"):
        raise SettingError(f"basis is {basis!r}.", hint=did_you_mean(basis, ("components", "factors")))
    factors = factors_of(scorer, train)
    user, item = train.user_ids.row(user_id), train.item_ids.row(item_id)
    (ub, p), (ib, q), mean = _parts(factors, train, user, item, basis)
    heads = [Term("mean", mean), Term("user bias", ub), Term("item bias", ib)]
    name = basis.removesuffix("s")
    tastes = [
        Term(f"{name} {k + 1}", float(a * b), float(a), float(b)) for k, (a, b) in enumerate(zip(p, q, strict=True))
    ]
    inner = sum(t.value for t in heads + tastes)
    rest = float(_inner(factors, user, item)) - inner
    if abs(rest) > 1e-5:  # a cold row outside the span of the rated ones
        tastes.append(Term("outside all components", rest))
        inner += rest
    title = (train.item_titles or [None] * train.n_items)[item]
    score = float(factors.score(np.array([user]), np.array([item]))[0])
    ids = train.user_ids[user], train.item_ids[item]
    how = factors.objective
    return Decomposition(*ids, title, Listing(heads + tastes), inner, how.link, how.y_range, score)


def _parts(
    factors: Factors, train: Ratings, user: int, item: int, basis: str
) -> tuple[tuple[float, np.ndarray], tuple[float, np.ndarray], float]:
    """((user bias, user's numbers), (item bias, item's numbers), mean) in a basis; zeros for rows past the table."""
    form: Any = canonical(factors, train) if basis == "components" else factors
    u = gather(np.array([user]), form.user_bias, form.users)
    i = gather(np.array([item]), form.item_bias, form.items)
    return (float(u[0][0]), u[1][0].astype(np.float64)), (float(i[0][0]), i[1][0].astype(np.float64)), float(form.mean)


def _inner(factors: Factors, user: int, item: int) -> float:
    bu, p = gather(np.array([user]), factors.user_bias, factors.users)
    bi, q = gather(np.array([item]), factors.item_bias, factors.items)
    return factors.mean + float(bu[0]) + float(bi[0]) + float(p[0].astype(np.float64) @ q[0])
