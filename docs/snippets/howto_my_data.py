"""How to read your own data."""

# Files that the page speaks of.
from pathlib import Path

Path("sales.csv").write_text(
    "store;product;sold;day\n"
    "Oslo;0012;3,5;2024-01-02\n"
    "Oslo;0044;1;2024-01-02\n"
    "Bergen;0012;2;2024-01-03\n"
    "Bergen;0044;7;2024-01-03\n".replace(",", ".")
)
Path("bad.csv").write_text("userId,movieId,rating\n1,10,4\n1,11,four\n")
Path("twice.csv").write_text(
    "userId,movieId,rating,timestamp\n1,10,4,100\n1,10,2,200\n2,10,5,100\n"
)

# --8<-- [start:stores]
from dotbias import Ratings

sales = Ratings.from_csv("sales.csv", user="store", item="product", rating="sold", time="day")
print(sales)
print(list(sales.user_ids), list(sales.item_ids))  # 0012 stays text: it is no number
print(sales.times[:2])  # seconds UTC
# --8<-- [end:stores]

# --8<-- [start:errors]
from dotbias import DotbiasError

attempts = {
    "a misspelt column": {"path": "sales.csv", "user": "stoer", "item": "product"},
    "text for a number": {"path": "bad.csv"},
    "a pair twice": {"path": "twice.csv"},
}
for what, arguments in attempts.items():
    try:
        Ratings.from_csv(**arguments)
    except DotbiasError as e:
        print(f"{what}: {e}\n")
# --8<-- [end:errors]

# --8<-- [start:duplicates]
last = Ratings.from_csv("twice.csv", duplicates="last")  # by time; or "mean"
print(last, last.values, last.notes)
# --8<-- [end:duplicates]

# --8<-- [start:frame]
import polars as pl

frame = pl.DataFrame({"customer": ["ann", "bob", "ann"], "sku": [7, 7, 9], "stars": [5, 3, 1]})
ratings = Ratings.from_frame(frame, user="customer", item="sku", y_range=(1, 5))
names = pl.DataFrame({"sku": [7, 9], "title": ["kettle", "toaster"]})
print(ratings.with_item_table(names, id="sku").item_titles)
# --8<-- [end:frame]

# --8<-- [start:filters]
movies = Ratings.from_csv("ratings.csv")
core = movies.k_core(5)  # the largest part in which everyone and everything has 5 ratings
print(core, *core.notes, sep="\n")
# --8<-- [end:filters]

# --8<-- [start:files]
from dotbias import split

core.to_frame().head(3000).write_csv("jan.csv")
core.to_frame().slice(3000, 500).write_csv("feb.csv")

jan = Ratings.from_csv("jan.csv")
feb = Ratings.from_csv("feb.csv", like=jan)  # jan's rows; new ids get rows at the end
print(split.predefined(jan, feb))
# --8<-- [end:files]
