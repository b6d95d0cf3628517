"""How to open everything up in a spreadsheet."""

# --8<-- [start:collab]
from dotbias import Ratings, workbook

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
workbook.collab(ratings, path="book.xlsx", n=15, n_factors=5, rng=42)
# --8<-- [end:collab]

# --8<-- [start:settings]
settings = workbook.Settings(lr=0.02, wd=2.0, squash=True)
workbook.collab(ratings, path="squashed.xlsx", settings=settings)
# --8<-- [end:settings]

# --8<-- [start:of_model]
from dotbias import fit_dot_bias

factors = fit_dot_bias(ratings, n_factors=5, n_epochs=2, rng=0)
workbook.of_model(factors, ratings, path="model.xlsx")  # Factors, or a scorer that has them
# --8<-- [end:of_model]

# --8<-- [start:descent]
workbook.descent("descent.xlsx")
# --8<-- [end:descent]

from pathlib import Path

assert all(
    Path(f"{name}.xlsx").stat().st_size > 10_000
    for name in ("book", "squashed", "model", "descent")
)
