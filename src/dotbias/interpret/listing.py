"""A list of rows that becomes a table, and the two sides of a model: whose rows, ids, titles and counts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ..errors import SettingError
from ..factors import Factors
from ..objective import Ridge, Side
from ..ratings import Ratings
from ..scorer import Bilinear, check_rows, demand

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")


class Listing(tuple[T, ...]):
    """A tuple of NamedTuples of one kind."""

    def to_frame(self) -> pl.DataFrame:
        """A polars frame, a row for each; empty without columns."""
        import polars as pl

        rows: list[Any] = list(self)
        return pl.DataFrame(rows, schema=list(rows[0]._fields), orient="row") if rows else pl.DataFrame()

    def _repr_html_(self) -> str:
        """The rows as a table, for notebooks."""
        return to_html(self)


def to_html(rows: Sequence[Any], *, note: str | None = None, most: int = 50) -> str:
    """NamedTuples of one kind as a small HTML table; every value is escaped.

    Args:
        rows: may be none.
        note: shown below.
        most: so many rows are shown, and how many more there are.
    """
    left = len(rows) - most
    notes = [text for text in (note, f"… {left:,} more." if left > 0 else None, None if rows else "none.") if text]
    if not rows:
        return _html_notes(notes)
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0]._fields)
    body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in rows[:most])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{_html_notes(notes)}"


def _html_cell(value: Any) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, float):
        return f'<td style="text-align: right">{value:.3f}</td>'
    return f'<td style="text-align: left">{escape(str(value))}</td>'


def _html_notes(notes: Sequence[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in notes)


class Half(NamedTuple):
    """One side of a model beside the other, so that users and items are read by the same code.

    Attributes:
        rows: (N,) this side's row of each rating; ``others`` the other side's.
        bias: (R,) this side's; ``factors`` (R, K).
        other_bias: (O,) the other side's; ``other`` (O, K).
        counts: (R,) ratings per row; ``other_counts`` (O,).
        reg: this side's ridge.
        ids: row -> id; ``titles`` row -> title or None.
    """

    rows: np.ndarray
    others: np.ndarray
    bias: np.ndarray
    factors: np.ndarray
    other_bias: np.ndarray
    other: np.ndarray
    counts: np.ndarray
    other_counts: np.ndarray
    reg: Ridge
    ids: Any
    titles: list[str | None]


def half(factors: Factors, train: Ratings, side: Side) -> Half:
    """The item side or the user side."""
    f, n_users, n_items = factors, len(factors.user_bias), len(factors.item_bias)
    users = (f.user_bias, f.users), np.bincount(train.users, minlength=n_users)[:n_users]
    items = (f.item_bias, f.items), np.bincount(train.items, minlength=n_items)[:n_items]
    if side == "item":
        titles: list[Any] = train.item_titles or [None] * train.n_items
        own, ids = f.objective.item_reg, train.item_ids
        return Half(train.items, train.users, *items[0], *users[0], items[1], users[1], own, ids, titles)
    no_titles: list[Any] = [None] * train.n_users
    return Half(
        train.users,
        train.items,
        *users[0],
        *items[0],
        users[1],
        items[1],
        f.objective.user_reg,
        train.user_ids,
        no_titles,
    )


def factors_of(scorer: Any, train: Ratings, *, need_factors: bool = False) -> Factors:
    """The Factors of a bilinear scorer (of a posterior: its compressed ones).

    Raises:
        SettingError: for a scorer that has none.
        DataError: if it was fitted on other id tables than train's.
    """
    hint = "fit a model with factors, such as dot_bias, als or gibbs."
    factors = demand(scorer, Bilinear, why="a reading of its factors", hint=hint).factors()
    if need_factors and not factors.n_factors:
        raise SettingError("this model has no factors: only biases.", hint=hint)
    check_rows(scorer, train, "train")
    return factors
