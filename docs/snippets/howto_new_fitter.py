"""How to add a fitter, and a scorer with intervals of its own."""

# --8<-- [start:scorer]
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from dotbias.ids import Tables
from dotbias.ratings import Ratings
from dotbias.rng import Rng
from dotbias.scorer import Intervals, Ranks, Scorer
from dotbias.settings import NotNegative, checked


@dataclass(frozen=True, eq=False)
class ItemSpread:
    """Every item's damped mean (I,), and how far its ratings spread (I,)."""

    mean: np.ndarray
    spread: np.ndarray
    rest: tuple[float, float]  # of an item that nobody rated
    tables: Tables

    offers = (Scorer, Ranks, Intervals)

    def score(self, users, items, times=None):
        """Pairs of rows (B,), (B,) -> (B,) float32."""
        return self._look_up(self.mean, items, self.rest[0])

    def score_all(self, users, times=None):
        """User rows (B,) -> (B, I) float32."""
        return np.tile(self.mean, (len(users), 1))

    rank, rank_all = score, score_all

    def interval(self, users, items, times=None, *, level=0.8):
        """(low, high), (B,) float32 each."""
        reach = np.float32(NormalDist().inv_cdf((1 + level) / 2)) * self._look_up(
            self.spread, items, self.rest[1]
        )
        guess = self.score(users, items)
        return guess - reach, guess + reach

    def _look_up(self, column, items, cold):
        """The column's value for each item row, ``cold`` for rows past its end."""
        inside = (items >= 0) & (items < len(column))
        return np.where(inside, column[np.where(inside, items, 0)], np.float32(cold))


# --8<-- [end:scorer]


# --8<-- [start:fitter]
@checked
def item_spread(
    train: Ratings,
    *,
    reg_bias_once: NotNegative = 3.0,
    valid=None,
    rng: Rng = None,
    progress=None,
    checkpoint=None,
) -> ItemSpread:
    """Each item's mean and spread, damped by ``reg_bias_once`` ratings at the overall mean."""
    values = train.explicit().astype(np.float64)
    centre, spread = values.mean(), values.std()
    n = train.item_counts + reg_bias_once
    mean = (np.bincount(train.items, values, train.n_items) + reg_bias_once * centre) / n
    squares = np.bincount(train.items, (values - mean[train.items]) ** 2, train.n_items)
    sd = np.sqrt((squares + reg_bias_once * spread**2) / n)
    return ItemSpread(
        mean.astype(np.float32),
        sd.astype(np.float32),
        (float(centre), float(spread)),
        train.tables,
    )


# --8<-- [end:fitter]

# --8<-- [start:use]
from dotbias import Recommender, evaluate, split

train, _, test = split.random(
    Ratings.from_csv("ratings.csv").with_item_table("movies.csv"), test=0.1, rng=0
)
scorer = item_spread(train, reg_bias_once=5)
print(f"{evaluate(scorer, test).rmse:.3f}")
guess = Recommender(scorer, train).predict(train.user_ids[0], train.item_ids[0])
print(f"{guess.value:.2f}, from {guess.low:.2f} to {guess.high:.2f}")
# --8<-- [end:use]

# --8<-- [start:refused]
from dotbias import DotbiasError

try:
    item_spread(train, reg_bias_once=-1)
except DotbiasError as e:
    print(e)
# --8<-- [end:refused]
