"""The waist: any fitter in, everything after out."""

# --8<-- [start:data]
import numpy as np

from dotbias import Ratings, split

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
train, _, test = split.random(ratings, test=0.1, rng=0)
# --8<-- [end:data]

# --8<-- [start:factors]
from functools import partial

from dotbias import Factors, evaluate, fit_dot_bias

fit = partial(fit_dot_bias, n_factors=10, n_epochs=3)  # the whole configuration system
scorer = fit(train, rng=0)
assert isinstance(scorer, Factors)

u, i = np.array([0]), np.array([5])
z = scorer.mean + scorer.user_bias[u] + scorer.item_bias[i]
z = z + (scorer.users[u] * scorer.items[i]).sum(1)
print(scorer.squash(z), scorer.score(u, i))
# --8<-- [end:factors]


# --8<-- [start:own]
from dotbias.scorer import Ranks, Scorer


class MeanRating:
    """A scorer says what it offers. At least: guess and rank, in numpy, on rows."""

    offers = (Scorer, Ranks)

    def __init__(self, train):
        self.tables = train.tables
        sums = np.bincount(train.items, train.values, train.n_items)
        means = (sums + 5 * train.values.mean()) / (train.item_counts + 5)
        self.means = means.astype(np.float32)

    def score(self, users, items, times=None):
        """Pairs of rows (B,), (B,) -> (B,)."""
        return self.means[items]

    def score_all(self, users, times=None):
        """User rows (B,) -> (B, I)."""
        return np.tile(self.means, (len(users), 1))

    rank, rank_all = score, score_all


from dotbias import Recommender

print(evaluate(MeanRating(train), test))
for item in Recommender(MeanRating(train), train).recommend(15, 3):
    print(f"{item.score:.2f}  {item.title}")
# --8<-- [end:own]

# --8<-- [start:fold_in]
user = int(train.user_counts.argmax())
mine = train.users == user
part = scorer.fold_in_user(train.items[mine], train.values[mine])
print("fitted:   bias", round(float(scorer.user_bias[user]), 2))
print("folded in: bias", round(part.bias, 2))
# --8<-- [end:fold_in]
