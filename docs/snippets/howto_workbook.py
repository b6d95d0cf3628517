"""How to open everything up in a spreadsheet."""

# --8<-- [start:collab]
from dotbias import Ratings, workbook

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
workbook.collab(ratings, path="book.xlsx", n=15, n_factors=5, rng=42)
# --8<-- [end:collab]

# --8<-- [start:settings]
run_a = workbook.Settings(lr=0.02, wd=2.0, squash=True)
run_b = workbook.Settings(lr=0.02, wd=2.0, biases=False)
workbook.collab(ratings, path="squashed.xlsx", settings=run_a, compared=run_b, test_share=0.3)
# --8<-- [end:settings]

# --8<-- [start:of_model]
from dotbias import fit_dot_bias, split

parts = split.lesson(ratings)
factors = fit_dot_bias(parts.train, n_factors=5, n_epochs=2, rng=0)
workbook.of_model(factors, parts.train, path="model.xlsx", held_out=parts.test)
# --8<-- [end:of_model]

# --8<-- [start:descent]
workbook.descent("descent.xlsx")
# --8<-- [end:descent]

from pathlib import Path

assert all(
    Path(f"{name}.xlsx").stat().st_size > 10_000
    for name in ("book", "squashed", "model", "descent")
)
