"""What a Recommender answers with: rows of native Python types, and lists that say what they are."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeVar

from ..interpret.listing import to_html

Id: TypeAlias = int | str
T = TypeVar("T")


class Prediction(NamedTuple):
    """What a user would give an item.

    Attributes:
        value: the guess, in stars.
        low: lower end of its interval, or None where the scorer knows none.
        high: upper end, or None.
        path: how it was made: "fitted", "cold user", "cold item" or "mean" (both cold).
    """

    value: float
    low: float | None
    high: float | None
    path: str


class Recommendation(NamedTuple):
    """One item of a list, best first.

    Attributes:
        item_id: the item's own id.
        score: the predicted rating, the same number that ``predict`` gives for that time.
        title: its title, where the item table has one.
    """

    item_id: Id
    score: float
    title: str | None


class Similar(NamedTuple):
    """One neighbour, nearest first.

    Attributes:
        item_id: the item's own id.
        similarity: by the measure asked for, shrunk (see ``similar_items``); for "euclidean" it is the distance, so
            small is near.
        title: its title, where the item table has one.
    """

    item_id: Id
    similarity: float
    title: str | None


class SimilarUser(NamedTuple):
    """One neighbour of a user, nearest first.

    Attributes:
        user_id: the neighbour's own id.
        similarity: as in :class:`Similar`.
    """

    user_id: Id
    similarity: float


class Answer(list[T]):
    """A list that says what it is.

    Attributes:
        note: why it is shorter than asked, or little to be trusted; None where it is neither.
        order: what it is ordered by, in words.
    """

    note: str | None = None
    order: str | None = None

    def _repr_html_(self) -> str:
        """The list as a table, for notebooks."""
        return to_html(self, note=self.note)
