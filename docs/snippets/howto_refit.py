"""A scheduled refit."""

from dotbias import Ratings, Recommender, als

ratings = Ratings.from_csv("ratings.csv")
old, new = (
    ratings.take(ratings.times < 1_300_000_000),
    ratings.take(ratings.times >= 1_300_000_000),
)
if not len(old) or not len(new):  # a world whose times are others
    old, new = (
        ratings.take(range(0, len(ratings) // 2)),
        ratings.take(range(len(ratings) // 2, len(ratings))),
    )

# --8<-- [start:save]
settings = {"fitter": "als", "n_factors": 16, "seed": 0}
Recommender(als(old, n_factors=16, rng=0), old, settings=settings).save("model")
# --8<-- [end:save]
new.to_frame().write_csv("new.csv")

# --8<-- [start:refit]
from dotbias import storage
from dotbias.experiments import refit

arrived = Ratings.from_csv("new.csv", like=storage.load("model").ratings)
found = refit("model", arrived)
print(found.replaced, found.why)
print(f"{found.metric} on {found.n_slice} ratings: old {found.old:.3f}, new {found.new:.3f}")
# --8<-- [end:refit]
