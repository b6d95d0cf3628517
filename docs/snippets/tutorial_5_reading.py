"""Chapter 5: reading the model; recommending, saving, the workbook."""

# --8<-- [start:fit]
from dotbias import Ratings, evaluate, fit_dot_bias, plots, split

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
train, _, test = split.lesson(ratings)
scorer = fit_dot_bias(train, rng=0)
rmse = evaluate(scorer, test).rmse
print(f"RMSE {rmse:.3f}")
guess = scorer.score(test.users, test.items)
plots.predictions(guess, test.values, data="ml-latest-small").savefig("predicted.png", dpi=80)
# --8<-- [end:fit]

# --8<-- [start:biases]
from dotbias import interpret

ranked = interpret.item_biases(scorer, train, min_ratings=20, noise=rmse)


def show(rows):
    """A line for each."""
    for b in rows:
        stars = f"{b.stars:.2f} ({b.low:.2f} to {b.high:.2f})"
        print(f"{b.bias:+.2f}  {stars}  {b.count:3}  {b.title}")


show(ranked[:5])
show(ranked[-5:])
plots.bias_ranking(ranked, n=8, data="ml-latest-small").savefig("biases.png", dpi=80)
# --8<-- [end:biases]

# --8<-- [start:few]
by_mean = sorted(interpret.item_biases(scorer, train, level=None), key=lambda b: -b.mean)
for b in by_mean[:3]:
    print(f"mean {b.mean:.1f} of {b.count}; the average user: {b.stars:.2f}; {b.title}")
# --8<-- [end:few]

# --8<-- [start:pca]
parts = interpret.components(scorer, train, n=2, most_rated=500)
print(parts.reading, [f"{share:.0%}" for share in parts.shares])
for component in (1, 2):
    high, low = parts.ends(component, 3)
    print(f"{component} high:", *high, sep="\n   ")
    print(f"{component} low:", *low, sep="\n   ")
plots.item_map(parts, n_labels=40, data="ml-latest-small").savefig("map.png", dpi=80)
# --8<-- [end:pca]

# --8<-- [start:transposed]
course = interpret.course_components(scorer, train, n=2, most_rated=500)
print(course.reading, [f"{share:.0%}" for share in course.shares])
high, low = course.ends(1, 3)
print("1 high:", *high, sep="\n   ")
print("1 low:", *low, sep="\n   ")
# --8<-- [end:transposed]

# --8<-- [start:shifted]
from dataclasses import replace

import numpy as np

c = np.linspace(
    -1, 1, scorer.n_factors
)  # added to every item, and taken from every user's bias:
same = replace(scorer, items=scorer.items + c, user_bias=scorer.user_bias - scorer.users @ c)
gap = np.abs(same.score(test.users, test.items) - scorer.score(test.users, test.items)).max()
print(f"predictions differ by at most {gap:.0e}")
for reading in (interpret.components, interpret.course_components):
    high, _ = reading(same, train, n=2, most_rated=500).ends(1, 3)
    print(f"{reading.__name__}, 1 high:", *high, sep="\n   ")
# --8<-- [end:shifted]

# --8<-- [start:nearest]
for near in interpret.nearest_items(scorer, train, item_id=10, n=8):  # 10 is GoldenEye
    print(f"{near.similarity:.2f}  {near.count:3}  {near.title}")
# --8<-- [end:nearest]

# --8<-- [start:explain]
why = interpret.explain(scorer, train, user_id=15, item_id=10)
for term in [*why.terms[:3], *why.strongest(4)]:
    print(f"{term.value:+.3f}  {term.name}")
print(
    f"{why.inner:+.3f}  the sum of all {len(why.terms)} terms; squashed: {why.score:.2f} stars"
)
# --8<-- [end:explain]

# --8<-- [start:recommend]
from dotbias import Recommender

final = Recommender(
    fit_dot_bias(ratings, rng=0), ratings
)  # every rating, now that the error is known
for item in final.recommend(15, 5):
    print(f"{item.score:.2f}  {item.title}")
print(final.predict(15, 10))
# --8<-- [end:recommend]

# --8<-- [start:save]
folder = final.save("my-model")
again = Recommender.load(folder)  # needs no torch
print(again.recommend(15, 5) == final.recommend(15, 5))
# --8<-- [end:save]

# --8<-- [start:newcomer]
for item in again.recommend_for({10: 5.0, 1: 2.0}, 3):  # likes item 10, dislikes item 1
    print(f"{item.score:.2f}  {item.title}")
# --8<-- [end:newcomer]

# --8<-- [start:workbook]
from dotbias import workbook

workbook.collab(ratings, path="book.xlsx", n=15, n_factors=5, rng=42)
workbook.of_model(final.scorer, ratings, path="model.xlsx")
# --8<-- [end:workbook]
