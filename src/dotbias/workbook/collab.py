"""The lesson's collaborative filtering in a workbook: *dotprod*, *bias*, *movielens_emb*, and descent on the sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..ratings import Ratings
from ..rng import Rng
from . import _factors
from ._crosstab import Crosstab, Draws, Settings, descend, draw, most_rated, predict, rates
from ._embeddings import write_embeddings
from ._epochs import write_epochs
from ._factors import Places, lay_out, parameter_names
from ._intro import Tour, intro
from ._learn import write_learn, write_outcome
from ._sheet import Block, Book, Sheet
from ._style import COLOURS

N_EPOCHS = 30

TOURS = (
    Tour(
        "dotprod",
        "Every prediction is a dot product: some numbers for the user times as many for the item, summed.",
        "Run Solver: minimise the cell rmse_dotprod by changing the green and the orange cells (GRG Nonlinear). Or "
        "without Solver: copy 'users, one step on', paste its values over the users; the same for the items; repeat.",
        "Each gradient is a sum over one row or one column: errors times the other side's factor.",
    ),
    Tour(
        "bias",
        "The same with one number more per user and per item: some people rate high, some items are liked by all.",
        "Give one user a bias of 1 and see a whole row of predictions move. Run Solver here, biases included.",
        "With biases the same number of factors reaches a lower RMSE.",
    ),
    Tour(
        "movielens_emb",
        "Ratings as rows, as a data set has them: an embedding is a look-up of a row in a table.",
        "Choose another user row in the yellow cell: its one-hot vector times the table is the row that is looked up.",
        "The RMSE is that of the sheet bias: the same model, by look-up. (A rating added there has no row here.)",
    ),
    Tour(
        "learn",
        "The sheet teaches itself, by gradient descent in formulas. No Solver, no macros.",
        "Use the drop-downs: a higher learning rate; momentum 0; weight decay 0, then 5; squashing by a sigmoid.",
        "Train RMSE falls while test RMSE turns and rises: overfitting. Weight decay and the sigmoid hold it back.",
    ),
    Tour(
        "epochs",
        "Each epoch is one band: parameters and predictions, gradients and errors, directions. The next band follows.",
        "Click a gradient, then a parameter in the next band, and read their formulas.",
        "No test rating appears in any error, so none in any gradient.",
    ),
    Tour(
        "outcome",
        "Ratings beside the predictions after the last epoch, test ratings marked; items by two of their factors.",
        "Change one rating on dotprod and see which predictions move. Choose other factors for the chart.",
        "Items with close factors get similar predictions from everybody.",
    ),
)


def collab(
    ratings: Ratings,
    *,
    path: str | Path,
    n: int = 15,
    n_factors: int = 5,
    rng: Rng = None,
    settings: Settings | None = None,
) -> Path:
    """Write the lesson's collaborative-filtering workbook from your own ratings.

    Args:
        ratings: explicit ratings; the n users and n items with most of them make the crosstab.
        path: the .xlsx file to write.
        n: users and items, 2 to 40; fewer where there are fewer, and the Intro says how many. The file grows with
            n² and K: 0.8 MB for 15 and 5, 2.3 MB for 30 and 5, 6.5 MB for 40 and 20.
        n_factors: K, 1 to 20.
        rng: draws the initial factors and which ratings are for testing.
        settings: what the drop-downs are set to; by default a rate that suits the ratings' size and number.

    Returns:
        The path written.

    Raises:
        SettingError: for n, n_factors or a path that make no sense.
        DataError: for implicit feedback, or too few ratings in common.
        MissingExtraError: without xlsxwriter.
    """
    table = most_rated(ratings, n)
    draws = draw(table, n_factors, rng)
    y_range = ratings.scale()
    highest = float(np.nanmax(np.abs(table.ratings)))
    rate, offered = rates(max(table.ratings.shape), highest, n_factors)
    settings = settings or default_settings(table, rate, y_range)
    epochs = descend(table.ratings, draws, settings, n_epochs=N_EPOCHS, y_range=y_range)
    book = Book("Collaborative filtering, every gradient in a cell")
    _intro(book, ratings, table, n_factors)
    first = write_dotprod(book, table, draws, rate / 4, [r / 4 for r in offered])
    second = write_bias(book, table, draws, first, rate / 4)
    write_embeddings(book, table, draws, second)
    write_learn(book, table, settings, epochs, offered, y_range)
    at = write_epochs(book, table, draws, settings, epochs)
    write_outcome(book, table, epochs[-1], at)
    return book.save(path)


def default_settings(table: Crosstab, rate: float, y_range: tuple[float, float]) -> Settings:
    """What the drop-downs start at, for ratings of this number and range."""
    widest = max(table.ratings.shape) * 10 * max(abs(y_range[0]), abs(y_range[1]))
    return Settings(lr=rate, clip=float(10.0 ** np.ceil(np.log10(max(widest, 1.0)))))


def _intro(book: Book, ratings: Ratings, table: Crosstab, n_factors: int) -> None:
    n_users, n_items = table.ratings.shape
    facts = (
        f"From {len(ratings):,} ratings: the {n_users} users and {n_items} items with most; {n_factors} factors.",
        f"They share {np.isfinite(table.ratings).sum()} ratings of {n_users * n_items} possible ones. "
        "Change a rating on dotprod, and every sheet follows.",
        "Every number that is not yellow, and not a rating or a starting point, is a formula. There are no macros.",
    )
    lead = "From the table of ratings down to one gradient. Read the sheets from left to right."
    colours = {name: meaning for name, (_, meaning) in COLOURS.items()}
    intro(book, "Collaborative filtering", lead, facts=facts, tours=TOURS, colours=colours)


def write_dotprod(book: Book, table: Crosstab, draws: Draws, rate: float, offered: list[float]) -> Places:
    """The sheet *dotprod*: the master copy of the ratings, factors without biases."""
    lead = "A prediction is a dot product. L = ½ Σ (rating - prediction)² over the ratings present."
    sheet = book.sheet("dotprod", "Dot product", lead)
    at = lay_out("dotprod", table.ratings.shape, draws.users.shape[1])
    _write_factor_sheet(sheet, at, table, (draws.users, draws.items.T), rate, bias=False)
    sheet.values(at.ratings, table.ratings, "rating")
    allowed = {"validate": "decimal", "criteria": "between", "minimum": -1e6, "maximum": 1e6, "ignore_blank": True}
    top, left = at.ratings.top, at.ratings.left
    message = {"error_message": "A rating is a number, or an empty cell."}
    sheet.page.data_validation(top, left, top + at.ratings.height - 1, left + at.ratings.width - 1, allowed | message)
    sheet.text(2, at.scores.left + 3, "learning rate of one step")
    sheet.choose(2, at.scores.left, rate, offered, "step_rate")
    book.name("ratings", at.ratings.ref)
    return at


def write_bias(book: Book, table: Crosstab, draws: Draws, first: Places, rate: float) -> Places:
    """The sheet *bias*: dotprod's ratings and starting factors, and biases that begin at 0."""
    lead = "The same factors, and a bias for each user and item, 0 to begin with. The ratings are those of dotprod."
    sheet = book.sheet("bias", "Dot product and biases", lead)
    users, items = (np.c_[np.zeros(len(f)), f] for f in (draws.users, draws.items))
    at = lay_out("bias", table.ratings.shape, users.shape[1])
    _write_factor_sheet(sheet, at, table, (users, items.T), rate, bias=True)

    def same(i: int, j: int) -> str:
        cell = f"dotprod!{first.ratings.at(i, j)}"
        return f'IF({cell}="","",{cell})'

    sheet.formulas(at.ratings, same, table.ratings, "rating")
    return at


def _write_factor_sheet(
    sheet: Sheet, at: Places, table: Crosstab, params: tuple[np.ndarray, np.ndarray], rate: float, *, bias: bool
) -> None:
    """Everything on *dotprod* or *bias* but the ratings; params (U, K1) and (K1, I)."""
    users, items = params
    scores = predict(users, items.T) if bias else users @ items  # (U, I)
    there = np.isfinite(table.ratings)
    error = np.where(there, scores - np.nan_to_num(table.ratings), 0.0)
    by_user, by_item = error @ items.T, users.T @ error
    if bias:
        by_user[:, 0], by_item[0] = error.sum(1), error.sum(0)
    _factors.headings(sheet, at, table, parameter_names(len(items), bias=bias))
    sheet.values(at.users, users, "user")
    sheet.values(at.items, items, "item")
    sheet.formulas(at.scores, _factors.score_formula(at, bias=bias), np.where(there, scores, 0.0), "score")
    _factors.write_gradients(sheet, at, (by_user, by_item), params=params, rate=rate, bias=bias)
    rmse = float(np.sqrt(np.sum(error**2) / there.sum()))
    sheet.text(2, 0, "RMSE", "label")
    sheet.formula(3, 0, _factors.rmse_formula("ratings", at.scores), rmse, "loss")
    sheet.book.name(f"rmse_{at.ratings.sheet}", Block(at.ratings.sheet, 3, 0, 1, 1).fixed())
    _factors.book_names(sheet.book, at, at.ratings.sheet)
    _factors.colour(sheet, at)
    gaps = [(block.left - 1, block.left - 1, 1.5) for block in (at.users, at.scores, at.user_gradient)]
    sheet.widths(
        (0, 0, 9), (1, at.scores.left - 1, 5.2), (at.scores.left, at.user_gradient.left + len(items) - 1, 6), *gaps
    )
    sheet.finish(freeze=(_factors.TOP, 1))
