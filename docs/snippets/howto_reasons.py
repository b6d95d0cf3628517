"""Why a prediction is what it is, and what to ask a newcomer."""

from dotbias import Ratings, Recommender, als

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
title = next(t for t in ratings.item_titles if t.startswith("GoldenEye"))

# --8<-- [start:explain]
model = Recommender(als(ratings, rng=0), ratings)
why = model.explain(1, title, n=3)

print(f"{why.served:.2f}  {why.title}")
for name, value in why.parts:
    print(f"  {value:+.2f}  {name}")
for reason in why.because:
    print(f"  {reason.share:+.2f}  gave {reason.rating:g} to {reason.title}")
print(f"  {why.others:+.2f}  all their other ratings")
print(f"  {why.rest:+.2f}  the rest")
# --8<-- [end:explain]

# --8<-- [start:newcomer]
why = model.explain(item=title, history={1: 5, 10: 4.5})
print([(reason.item_id, round(reason.share, 2)) for reason in why.because])
# --8<-- [end:newcomer]

# --8<-- [start:ask]
for question in model.to_ask({1: 5}, n=3):
    print(f"{question.gain:.1%} if known, known to {question.chance:.1%}: {question.title}")
# --8<-- [end:ask]
