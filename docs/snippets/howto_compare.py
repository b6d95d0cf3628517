"""Compare fitters, another library's model among them."""

# --8<-- [start:compare]
from functools import partial

from dotbias import Ratings, als, compare, split

ratings = Ratings.from_csv("ratings.csv")


def theirs(train):
    """Any function of train that returns a function of user rows and item rows."""
    means = train.explicit().mean()
    return lambda users, items: means + 0.0 * users


result = compare(
    {
        "bias": "bias",
        "als": "als",
        "als, 8 factors": partial(als, n_factors=8),
        "theirs": theirs,
    },
    split.lesson(ratings),
    metrics=("rmse", "mae"),
    rng=0,
)
for row in result.rows:
    gap = row.difference.get("rmse")
    beside = "the reference" if gap is None else f"{gap.low:+.3f} to {gap.high:+.3f}"
    print(f"{row.name:15}  RMSE {row.report.rmse:.3f}  beside bias: {beside}")
# --8<-- [end:compare]
