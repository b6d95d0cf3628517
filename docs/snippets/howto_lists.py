"""How to say what a list holds, and for whom."""

from dotbias import Ratings, Recommender, als, fit_clicks

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
title = next(t for t in ratings.item_titles if t.startswith("GoldenEye"))

# --8<-- [start:plain]
model = Recommender(als(ratings, rng=0), ratings, clicks=fit_clicks(ratings))


def show(answer):
    """The list, what it is ordered by, and what to know of it."""
    print(answer.order)
    for item in answer:
        print(f"  {item.score:.2f}  {item.title}")
    print("note:", answer.note)


show(model.recommend(15, 3))
show(model.recommend(15, 3, order="rating"))
# --8<-- [end:plain]

# --8<-- [start:where]
show(model.recommend(15, 3, where="genres: Comedy; year: 1990-1999"))
comedies = model.filters(where="genres: Comedy", exclude=[1])  # made once
lists = model.recommend([15, 30], 3, filters=comedies)
print([len(answer) for answer in lists.values()])
# --8<-- [end:where]

# --8<-- [start:newcomer]
show(model.recommend(history={title: 5, 1: 2.0}, n=3))
print(model.predict(history={title: 5}, items=[1])[0])
# --8<-- [end:newcomer]

# --8<-- [start:refused]
from dotbias import DotbiasError

for history in ({title: 5, 10: 4}, {title.replace("E", "I"): 5}, {10: 50}):
    try:
        model.recommend(history=history)
    except DotbiasError as e:
        print(e, "\n")
# --8<-- [end:refused]

# --8<-- [start:dials]
show(model.recommend(15, 3, popularity=-0.7))
show(model.recommend(15, 3, diversity=0.5))
# --8<-- [end:dials]

# --8<-- [start:everybody]
top = model.recommend_all(10, where="genres: Comedy")
print(top.columns, top.height)
top.write_parquet("top.parquet")
# --8<-- [end:everybody]
