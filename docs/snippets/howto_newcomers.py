"""How to keep newcomers, and new ratings, without a refit."""

from dotbias import Ratings, Recommender, als

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
title = next(t for t in ratings.item_titles if t.startswith("GoldenEye"))

# --8<-- [start:add]
model = Recommender(als(ratings, rng=0), ratings)
with_ann = model.add_user(900_001, {title: 5, 1: 2.0})  # items by id or by title

for item in with_ann.recommend(900_001, 3):
    print(f"{item.score:.2f}  {item.title}")
print(900_001 in model.train.user_ids, 900_001 in with_ann.train.user_ids)
# --8<-- [end:add]

# --8<-- [start:update]
import polars as pl

more = pl.DataFrame(
    {
        "user": [900_001, 900_001, 900_002, 15],
        "item": [32, 50, 50, 1],
        "rating": [4.0, 4.5, 3.0, 4.0],
    }
)
later = with_ann.update(more)
print(len(later.seen(900_001)), "ratings of 900001")
print(f"{100 * later.share_since_fit:.3f} % of the ratings came after the fit")
# --8<-- [end:update]

# --8<-- [start:kept]
later.save("my-model")
again = Recommender.load("my-model")
print(again.recommend(900_001, 3) == later.recommend(900_001, 3))
refitted = Recommender(als(again.train, rng=0), again.train)  # counts everything in
print(refitted.share_since_fit)
# --8<-- [end:kept]
