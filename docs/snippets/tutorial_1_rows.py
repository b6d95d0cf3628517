"""Chapter 1: the data; ratings become rows; the split; baselines."""

# --8<-- [start:data]
import shutil
from pathlib import Path

from dotbias import datasets, planted
from dotbias.errors import DownloadError

source = "the ratings.csv that was in this folder"
if not Path("ratings.csv").exists():
    lesson = "ml-latest-small-2016"  # no longer published
    source = lesson if datasets.where(lesson) else "ml-latest-small"
    try:
        folder = datasets.find(source)  # $DOTBIAS_DATA, the cache, or the publisher
        shutil.copy(folder / "movies.csv", "movies.csv")
        shutil.copy(folder / "ratings.csv", "ratings.csv")
    except DownloadError:
        source = "a planted world: made-up users, films and ratings"
        world = planted(600, 1_500, n_ratings=60_000, n_factors=8, noise=0.7, rng=0).ratings
        world.item_table.write_csv("movies.csv")
        world.to_frame().write_csv("ratings.csv")
print("data:", source)
# --8<-- [end:data]

# --8<-- [start:read]
from dotbias import Ratings

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
print(ratings)
# --8<-- [end:read]

# --8<-- [start:rows]
row = ratings.item_ids.row(10)  # the item whose id is 10 …
print(row, ratings.item_ids[row], ratings.item_titles[row])  # … stands in this row
print(ratings.users[:5], ratings.items[:5], ratings.values[:5])
# --8<-- [end:rows]

# --8<-- [start:crosstab]
filled = len(ratings) / (ratings.n_users * ratings.n_items)
print(f"{ratings.n_users:,} × {ratings.n_items:,} cells, {filled:.1%} of them filled")
# --8<-- [end:crosstab]

# --8<-- [start:picture]
from dotbias import plots

plots.crosstab(ratings, n=15, data="ml-latest-small").savefig("crosstab.png", dpi=80)
# --8<-- [end:picture]

# --8<-- [start:split]
from dotbias import split

parts = split.lesson(ratings)  # the course's own 20 %: get_cv_idxs, bit for bit
print(parts)
print(parts.cold()["test"])
train, _, test = parts
# --8<-- [end:split]

# --8<-- [start:cell]
user = test.users[0]
print("held out:", test.user_ids[user], test.item_titles[test.items[0]], test.values[0])
n_train, n_test = train.user_counts[user], test.user_counts[user]
print(f"of the same user, train has {n_train} ratings, test {n_test}")
# --8<-- [end:cell]

# --8<-- [start:baselines]
from dotbias import baselines, evaluate

for fit in (baselines.mean, baselines.bias, baselines.knn):
    report = evaluate(fit(train), test)
    low, high = report.interval["rmse"]
    rmse = f"RMSE {report.rmse:.3f} ({low:.3f} to {high:.3f})"
    print(f"{fit.__name__:5} {rmse}  MSE {report.mse:.3f}")
# --8<-- [end:baselines]
