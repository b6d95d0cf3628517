"""Clicks as examples: each click beside items that its user has not clicked, drawn anew in every epoch.

That an item was not clicked says little, and there are nearly U × I such pairs: so a few are drawn for each click
(Rendle et al. 2009; He et al. 2017, § 3.4). This module knows the columns of ``Ratings`` and torch, no model.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from .batches import Batch, check_bs
from .errors import DataError, SettingError, check_not_negative
from .ratings import Ratings, check_same_tables
from .times import filled

FINEST = 2**40  # the sum of all items' weights: finer than any draw can tell


class Unclicked:
    """Draws items that a user has not clicked: exactly, without a second try, and vectorised.

    The items lie side by side on a line, each as long as its weight; a user's own items are cut out of it. A point is
    drawn on what is left and moved past the cuts before it. Weights are whole numbers, so no rounding can hit a cut.

    Args:
        clicks: what nobody's negatives may be drawn from; several parts of one id table, such as train and valid.
        alpha: an item is drawn in proportion to its number of clicks to this power: 0 for all alike; 0.75 as word2vec
            does (Mikolov et al. 2013). An item without clicks counts as one with a single click.
        device: where the tables live.

    Attributes:
        left: (U,) what is left of the line for each user; 0 for one who has clicked every item.
    """

    def __init__(self, clicks: Sequence[Ratings], *, alpha: float = 0.0, device: torch.device | str = "cpu"):
        check_not_negative(alpha=alpha)
        first = clicks[0]
        weights = item_weights(np.sum([part.item_counts for part in clicks], 0), alpha, first.n_users)
        pairs = np.unique(np.concatenate([part.pairs() for part in clicks]))
        users, items = np.divmod(pairs, max(first.n_items, 1))
        length, starts = int(weights.sum()), np.cumsum(weights) - weights
        removed = np.r_[0, np.cumsum(weights[items])]  # (N + 1,) of the line, over all users
        before = removed[np.searchsorted(users, np.arange(first.n_users))]  # (U,) of it, by users before this one
        cuts = users * (length + 1) + starts[items] - (removed[:-1] - before[users])
        left = length - np.bincount(users, weights[items], first.n_users).astype(np.int64)
        columns = (cuts, removed, before, np.cumsum(weights), left)
        self._cuts, self._removed, self._before, self._ends, self.left = (
            torch.from_numpy(np.ascontiguousarray(c, np.int64)).to(device) for c in columns
        )
        self._stride = length + 1

    def shares(self) -> np.ndarray:
        """How often each item comes among all draws for users who have clicked little: (I,) float64, 1 in all."""
        ends = self._ends.cpu().numpy()
        return np.diff(ends, prepend=0) / ends[-1]

    def draw(self, users: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """An item for each user row (B,), none that the user has clicked -> (B,) int64."""
        left = self.left[users]
        share = torch.rand(len(users), generator=generator, dtype=torch.float64).to(users.device)
        point = torch.minimum((share * left).long(), left - 1)
        passed = torch.searchsorted(self._cuts, users * self._stride + point, right=True)
        return torch.searchsorted(self._ends, point + self._removed[passed] - self._before[users], right=True)


def item_weights(counts: np.ndarray, alpha: float, n_users: int) -> np.ndarray:
    """Whole numbers (I,) in proportion to max(count, 1)^alpha, as large as U lines of them fit into 63 bits."""
    weights = np.maximum(counts, 1).astype(np.float64) ** alpha
    if alpha == 0:
        return np.ones(len(counts), np.int64)
    scale = min(FINEST, 2**61 // max(n_users, 1)) / weights.sum()
    return np.maximum(np.rint(weights * scale), 1).astype(np.int64)


class ClickBatches:
    """Clicks in batches, each with ``negatives`` drawn items beside it: a ``BatchSource``.

    A batch has B clicks with the target 1, then B negatives of the same users in the same order with the target 0, as
    many times as there are negatives to a click. ``losses.bce`` takes them one by one, ``losses.bpr`` pair by pair.
    How often a pair was clicked (``counts``) does not matter.

    Args:
        clicks: ratings without values.
        bs: clicks per batch; the last may be smaller.
        negatives: drawn for each click.
        alpha: how much they are drawn by popularity: see :class:`Unclicked`.
        known: more clicks that no negative may be: train's, where ``clicks`` are held out.
        device: where the columns live.
        times: whether the seconds are a third input; a negative has those of its click.

    Warns:
        UserWarning: where users have clicked every item: their clicks are left out.

    Raises:
        DataError: for ratings with values, or where there is nothing to draw.
        SettingError: for a bs or a number of negatives below 1, or an alpha below 0.
    """

    def __init__(
        self,
        clicks: Ratings,
        *,
        bs: int = 1024,
        negatives: int = 4,
        alpha: float = 0.0,
        known: Ratings | None = None,
        device: torch.device | str = "cpu",
        times: bool = False,
    ):
        if clicks.feedback != "clicks":
            raise DataError("these are ratings with values, not clicks.", hint="ratings.binarize(4) makes clicks.")
        if not len(clicks):
            raise DataError("there are no clicks here.", hint="look at the filter or split that left none.")
        if negatives < 1:
            raise SettingError(f"negatives is {negatives}.", hint="a whole number from 1 up, such as 4.")
        if known is not None:
            check_same_tables(clicks, known.tables, "clicks", "known")
        self.ratings, self.bs, self.with_times = clicks, check_bs(bs), times
        self.negatives, self.alpha = int(negatives), alpha
        self.unclicked = Unclicked([clicks] if known is None else [clicks, known], alpha=alpha, device=device)
        users, items = (torch.tensor(c, device=device).long() for c in (clicks.users, clicks.items))
        kept = self._comparable(users)
        self.users, self.items = users[kept], items[kept]
        stamps = None if clicks.times is None or not times else torch.tensor(filled(clicks.times), device=device)
        self.times = None if stamps is None else stamps[kept]

    def _comparable(self, users: torch.Tensor) -> torch.Tensor:
        """Which clicks have something to be compared with: (N,) bool."""
        kept = self.unclicked.left[users] > 0
        if not kept.any():
            what = "every user has clicked every item: there is nothing to compare with."
            raise DataError(what, hint="is the whole table of items there, also those that nobody clicked?")
        if n := int((~kept).sum()):
            whole = len(users[~kept].unique())
            warnings.warn(
                f"users who clicked every item: {whole:,}. Their {n:,} clicks have nothing to be compared with, and "
                "are left out.",
                stacklevel=3,
            )
        return kept

    def __len__(self) -> int:
        return -(-len(self.users) // self.bs)

    def __iter__(self) -> Iterator[Batch]:
        """All clicks in their own order, with negatives that are always the same."""
        return self._slices(torch.arange(len(self.users)), torch.Generator().manual_seed(0))

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """All clicks once, in an order and with negatives that are drawn from ``seed`` alone."""
        generator = torch.Generator().manual_seed(seed)
        return self._slices(torch.randperm(len(self.users), generator=generator), generator)

    def _slices(self, order: torch.Tensor, generator: torch.Generator) -> Iterator[Batch]:
        order = order.to(self.users.device)
        for part in order.split(self.bs):
            users = self.users[part].repeat(1 + self.negatives)
            drawn = self.unclicked.draw(users[len(part) :], generator)
            when = () if not self.with_times else (self._times(part),)
            values = torch.zeros(len(users), device=users.device)
            values[: len(part)] = 1
            yield Batch((users, torch.cat([self.items[part], drawn]), *when), values)

    def _times(self, part: torch.Tensor) -> torch.Tensor | None:
        return None if self.times is None else self.times[part].repeat(1 + self.negatives)
