"""What a scorer can do: small protocols, and a list by which each scorer says which of them it satisfies.

A *scorer* is what a fit returns. It knows rows, not ids. Which protocols it satisfies is declared in its attribute
``offers``, per instance; :func:`offers` asks for one of them. Nobody looks for a method by its name:

    if offers(scorer, Intervals):
        low, high = scorer.interval(users, items)

A row that the fit has not seen (negative, past the end of the id tables, or without a rating in train) is *cold*. It is
scored by what is known of the other side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard, TypeVar

import numpy as np

from .errors import SettingError
from .ids import Tables
from .ratings import Ratings, check_same_tables

if TYPE_CHECKING:
    from .factors import Factors

T = TypeVar("T")


class Scorer(Protocol):
    """Guesses ratings: rows in, numpy arrays out.

    Attributes:
        offers: the protocols that this scorer satisfies, Scorer and Ranks among them.
        tables: fingerprint of the id tables whose rows it was fitted on; None where nobody said.
    """

    @property
    def offers(self) -> tuple[type, ...]:
        """The protocols that this scorer satisfies."""
        ...

    @property
    def tables(self) -> Tables | None:
        """Of the rows it was fitted on."""
        ...

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Guesses for pairs of rows, on the ratings' scale.

        Users (B,), items (B,), times (B,) in seconds UTC or None -> (B,) float32.
        """
        ...

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Guesses of every item for each of the user rows (B,) -> (B, I) float32."""
        ...


class Ranks(Scorer, Protocol):
    """What to order items by: before any clip, sigmoid or slicing into stars. Every scorer has it."""

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For pairs of rows (B,), (B,) -> (B,) float32; higher is better, on a scale of the scorer's own."""
        ...

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """For every item and each of the user rows (B,) -> (B, I) float32."""
        ...


class Intervals(Scorer, Protocol):
    """Knows how sure it is of a rating."""

    def interval(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None, *, level: float = 0.8
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where each rating lies with probability ``level``: (low, high), (B,) float32 each, on the ratings' scale."""
        ...


class Stars(Scorer, Protocol):
    """Knows the probability of each value that a rating can take.

    Attributes:
        stars: (L,) these values, rising.
    """

    @property
    def stars(self) -> np.ndarray:
        """(L,) float64, rising."""
        ...

    def star_probabilities(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The probability of each of ``stars`` for pairs of rows (B,) -> (B, L), rows summing to 1."""
        ...


class Likes(Scorer, Protocol):
    """Knows how likely a rating reaches a threshold, quickly for all items at once."""

    def p_like(self, users: np.ndarray, items: np.ndarray, like: float, times: np.ndarray | None = None) -> np.ndarray:
        """P(rating >= like), if it is rated, for pairs of rows (B,), (B,) -> (B,)."""
        ...

    def p_like_all(self, users: np.ndarray, like: float, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each of the user rows (B,) -> (B, I)."""
        ...


class Chances(Ranks, Protocol):
    """Its ``rank`` says how likely a user rates or takes an item, not how they would rate it."""


class Timed(Scorer, Protocol):
    """Its guesses depend on the time of the rating."""


class Noted(Scorer, Protocol):
    """Has something to say of its fit."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people."""
        ...


class Bilinear(Scorer, Protocol):
    """Is, or is nearly, mean + biases + a dot product."""

    def factors(self) -> Factors:
        """Its Factors. Cheap: what takes long to make is made once and kept."""
        ...

    def squash(self, z: np.ndarray) -> np.ndarray:
        """From the scale of mean + biases + dot product to the ratings' scale, of any shape."""
        ...


class Sampled(Bilinear, Protocol):
    """Is a mean over samples, each of which is bilinear."""

    def draws(self) -> Iterator[Factors]:
        """Each sample as Factors."""
        ...


class Part(Protocol):
    """What a scorer learned of a newcomer. Only its scorer looks inside.

    The *others* are item rows if the newcomer is a user, and user rows if it is an item; None stands for all of them.

    Attributes:
        offers: Intervals among them where it has ``interval(others=None, *, level=0.8) -> (low, high)``; Likes where it
            has ``p_like(like, others=None) -> (n,)``.
    """

    @property
    def offers(self) -> tuple[type, ...]:
        """Intervals and Likes, where it has them."""
        ...

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Guesses (n,) float32, on the ratings' scale."""
        ...

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """What to order by (n,) float32, as ``Ranks.rank``."""
        ...


class FoldsIn(Scorer, Protocol):
    """Takes newcomers without refitting."""

    def fold_in_user(self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None) -> Part:
        """A new user who gave ``values`` (n,) to the item rows ``items`` (n,).

        ``features``: column of the user table -> value(s), where the fit used that column.
        """
        ...

    def fold_in_item(self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None) -> Part:
        """A new item to which the user rows ``users`` (n,) gave ``values`` (n,); ``features`` of the item table."""
        ...


class Case(NamedTuple):
    """A pair whose prediction is to be explained.

    Attributes:
        user: their row, or None for a newcomer, who is known by ``items`` and ``values`` alone.
        item: row of the item.
        items: (n,) item rows that the user has rated.
        values: (n,) their ratings; ones for clicks.
        times: (1,) when they rate it, in seconds UTC; None: unknown.
        user_features: column of the user table -> value, where there is one; ``item_features`` likewise.
    """

    user: int | None
    item: int
    items: np.ndarray
    values: np.ndarray
    times: np.ndarray | None = None
    user_features: Mapping[str, Any] = {}
    item_features: Mapping[str, Any] = {}


class Account(NamedTuple):
    """A prediction taken apart.

    Attributes:
        parts: (name, value) of each; they sum to the prediction before any clip, sigmoid or slicing.
        personal: what of it is this user's alone: all but the mean and what the item gets from anybody.
        shares: (n,) float64: what each of the user's ratings adds to ``personal``.
        how: how the shares come about, and what of ``personal`` is no rating's, for people.
    """

    parts: tuple[tuple[str, float], ...]
    personal: float
    shares: np.ndarray
    how: str


class Explains(Scorer, Protocol):
    """Can take a prediction apart."""

    def explain(self, case: Case) -> Account:
        """The parts of one prediction, and what each of the user's ratings adds to it."""
        ...


class Asks(Scorer, Protocol):
    """Knows what one more rating would teach of a user."""

    def gains(
        self, told: tuple[np.ndarray, np.ndarray], items: np.ndarray, weights: np.ndarray, noise: float
    ) -> np.ndarray:
        """The expected share of what is not known of a user that a rating of each item would settle.

        Args:
            told: item rows (n,) that the user has rated, and their ratings (n,).
            items: (m,) item rows that may be asked for.
            weights: (I,) how much it matters to know what the user would give each item.
            noise: variance of a rating around its score, for scorers that do not know it.

        Returns:
            (m,) float64, from 0 to 1.
        """
        ...


class State(NamedTuple):
    """A scorer taken apart for the disk.

    Attributes:
        kind: which loader reads it, as in ``storage.LOADERS``.
        arrays: name -> numpy array, exact to the bit.
        settings: what JSON can hold: numbers, text, lists, None.
    """

    kind: str
    arrays: dict[str, np.ndarray]
    settings: dict[str, Any]


class Stored(Scorer, Protocol):
    """Can be put on disk; its class has ``from_state(arrays, settings, tables)``, which undoes ``state``."""

    def state(self) -> State:
        """What ``storage`` keeps."""
        ...


def offers(scorer: Any, what: type[T]) -> TypeGuard[T]:
    """Whether a scorer (or a newcomer's part) declares that it satisfies a protocol.

    Raises:
        SettingError: for an object that declares nothing.
    """
    try:
        return what in scorer.offers
    except AttributeError:
        raise SettingError(
            f"a {type(scorer).__name__} does not say what it offers.",
            hint="give its class offers = (Scorer, Ranks), and what else of dotbias.scorer it satisfies.",
        ) from None


def demand(scorer: Any, what: type[T], *, why: str, hint: str) -> T:
    """The scorer itself, if it satisfies a protocol.

    Raises:
        SettingError: if it does not: "a Factors does not support WHY".
    """
    if not offers(scorer, what):
        raise SettingError(f"a {type(scorer).__name__} does not support {why}.", hint=hint)
    return scorer


def ties(counts: np.ndarray) -> np.ndarray:
    """A millionth of each item's share of the clicks (I,) float32: added to ranks, the more popular of equals is first.

    Args:
        counts: (I,) clicks of each item.
    """
    return (1e-6 * counts / max(int(counts.sum()), 1)).astype(np.float32)


def check_rows(scorer: Any, ratings: Ratings, name: str) -> None:
    """Refuse ratings whose rows mean other users or items than a scorer's.

    Args:
        scorer: any scorer.
        ratings: of its own id tables, or of tables that extend them.
        name: what the ratings are called.

    Raises:
        DataError: with the line that mends it.
        SettingError: for an object that is no scorer.
    """
    demand(scorer, Scorer, why="scoring", hint="give it what a fitter returns.")
    check_same_tables(ratings, scorer.tables, name, "train")
