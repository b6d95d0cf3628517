"""How to recommend items that nobody, or hardly anybody, has rated."""

from dotbias import Ratings, Recommender, gibbs

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")

# --8<-- [start:fit]
fit = gibbs(ratings, n_factors=8, n_sweeps=40, item_features=["genres"], rng=0)
model = Recommender(fit, ratings)
# --8<-- [end:fit]

# --8<-- [start:features]
new = model.add_item(900_001, features={"genres": ["Comedy", "Romance"]}, title="Nobody's film")
for user in (19, 30):
    x = new.predict(user, 900_001)
    print(f"user {user}: {x.value:.2f}, from {x.low:.2f} to {x.high:.2f}; {x.path}")
# --8<-- [end:features]

# --8<-- [start:ratings]
import polars as pl

columns = {"user": [4, 8, 15], "item": [900_001] * 3, "rating": [5.0, 4.5, 5.0]}
told = new.update(pl.DataFrame(columns))
x = told.predict(30, 900_001)
print(f"user 30: {x.value:.2f}, from {x.low:.2f} to {x.high:.2f}; {x.path}")
# --8<-- [end:ratings]

# --8<-- [start:lists]
fresh = [900_001, 1, 10]
for item in new.recommend(30, 3, only=fresh, keep_unrated=True, keep_seen=True, order="rating"):
    print(f"{item.score:.2f}  {item.title}")
print(new.recommend(30, 3, only=[900_001]).note)
# --8<-- [end:lists]
