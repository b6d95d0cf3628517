"""How to score with a model where there is no dotbias: in SQL, and by ONNX."""

from dotbias import Ratings, Recommender, als

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
door = Recommender(als(ratings, n_factors=8, rng=0), ratings)
door.save("model")

# --8<-- [start:tables]
from dotbias import export

export.write(export.tables(door.scorer, ratings), "tables", "parquet")
# --8<-- [end:tables]

# --8<-- [start:query]
TOP_TEN = """
WITH person AS (SELECT bias, [*COLUMNS('factor_.*')] AS factors
                FROM 'tables/users.parquet' WHERE id = $user),
     things AS (SELECT id, title, bias, [*COLUMNS('factor_.*')] AS factors
                FROM 'tables/items.parquet'),
     seen   AS (SELECT "movieId" FROM 'ratings.csv' WHERE "userId" = $user)
SELECT id, title,
       mean + person.bias + things.bias
            + list_dot_product(person.factors, things.factors) AS rank,
       greatest(low, least(high, rank)) AS score
FROM 'tables/model.json', person, things
WHERE id NOT IN (FROM seen)
ORDER BY rank DESC
LIMIT 10
"""
# --8<-- [end:query]

# --8<-- [start:ask]
import duckdb

for id, title, rank, score in duckdb.execute(TOP_TEN, {"user": 15}).fetchall():
    print(f"{id:>7}  {score:.3f}  {title}")
# --8<-- [end:ask]

ours = door.recommend(15, 10, order="rating")
theirs = duckdb.execute(TOP_TEN, {"user": 15}).fetchall()
assert [item.item_id for item in ours] == [row[0] for row in theirs]
assert all(
    abs(item.score - row[3]) < 1e-5 for item, row in zip(ours, theirs, strict=True)
)

# --8<-- [start:onnx]
notes = export.to_onnx(door.scorer, "model.onnx")
# --8<-- [end:onnx]

# --8<-- [start:run]
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
user = np.full(3, ratings.user_ids.row(15))  # int64 rows, in the tables' order
item = np.array([0, 1, 10**6])  # the last one is cold
score, rank = session.run(["score", "rank"], {"user": user, "item": item})
print(score)
# --8<-- [end:run]

assert np.allclose(score, door.scorer.score(user, item), atol=1e-5)
