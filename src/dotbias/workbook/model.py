"""A fitted model's own numbers in a workbook, so that the sheet's predictions are the model's."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import DataError
from ..factors import Factors
from ..ratings import Ratings
from ._crosstab import Crosstab, most_rated
from ._factors import TOP, parameter_names
from ._intro import Tour, intro
from ._sheet import Block, Book, Sheet
from ._style import COLOURS

TOURS = (
    Tour(
        "model",
        "The model's biases and factors of these users and items, and its predictions as formulas of them.",
        "Change a factor or a bias, and see which predictions move. Type a rating where there is none.",
        "A prediction is: mean + user's bias + item's bias + dot product, then squashed or clipped into the range.",
    ),
    Tour(
        "explain",
        "One prediction taken apart, term by term.",
        "Choose a user and an item in the yellow cells.",
        "Few of the factors decide; the biases often matter more than all of them.",
    ),
)


class HasFactors(Protocol):
    """A scorer that is bilinear, or (a posterior) nearly so."""

    def factors(self) -> Factors:
        """Its Factors."""
        ...

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Its scores of pairs of rows (B,), (B,) -> (B,)."""
        ...


def of_model(model: HasFactors, ratings: Ratings, *, path: str | Path, n: int = 15) -> Path:
    """Write a fitted model's embeddings of the most rated users and items, with predictions as living formulas.

    Args:
        model: Factors, or any scorer that has them; its rows are those of ``ratings``. Where its scores are not quite
            those of its Factors (a posterior's), the Intro says how far they lie apart.
        ratings: the n users and n items with most of them are shown, beside the model's predictions.
        path: the .xlsx file to write.
        n: users and items, 2 to 40.

    Returns:
        The path written.

    Raises:
        SettingError: for an n or a path that makes no sense.
        DataError: for implicit feedback, too few ratings, or a model of fewer users or items than these ratings name.
        MissingExtraError: without xlsxwriter.
    """
    factors, table = model.factors(), most_rated(ratings, n)
    if table.users.max() >= len(factors.users) or table.items.max() >= len(factors.items):
        shape = f"{len(factors.users)} users and {len(factors.items)} items"
        what = f"the model knows {shape}; the ratings name rows beyond them."
        raise DataError(what, hint="give the ratings that the model was fitted on.")
    book = Book("A model's own numbers")
    n_users, n_items = table.ratings.shape
    facts = (
        f"{factors.n_factors} factors; {n_users} of {len(factors.users):,} users and {n_items} of "
        f"{len(factors.items):,} items, those with most of the {len(ratings):,} ratings.",
        _agreement(model, factors, table),
    )
    colours = {name: COLOURS[name][1] for name in ("rating", "score", "item", "user", "loss", "input")}
    lead = "Real embeddings of a fitted model. Read from left to right."
    intro(book, "A model, opened", lead, facts=facts, tours=TOURS, colours=colours)
    at = _write_model(book, factors, table)
    _write_explain(book, factors, table, at)
    return book.save(path)


def _agreement(model: HasFactors, factors: Factors, table: Crosstab) -> str:
    """How near the sheet's predictions are to the model's own, in words."""
    n_users, n_items = table.ratings.shape
    own = model.score(np.repeat(table.users, n_items), np.tile(table.items, n_users)).reshape(n_users, n_items)
    gap = float(np.abs(own - _scores(factors, table)[2]).max())
    if gap <= 1e-5 * max(1.0, float(np.abs(own).max())):
        return "Every prediction here is a formula, and is the model's own (which computes in 32 bits)."
    return (
        "Every prediction here is a formula. The model is more than one dot product: these are the nearest factors, "
        f"and predictions differ from its own by {gap:.2g} at most."
    )


class Places(NamedTuple):
    """Where the blocks of the sheet *model* lie: items' (K1, I) and users' (K1, U) parameters, biases first."""

    ratings: Block
    scores: Block
    items: Block
    users: Block


def _lay_out(shape: tuple[int, int], k1: int) -> Places:
    """Ratings, predictions beside them; below, side by side, a column of parameters for each item and each user."""
    n_users, n_items = shape
    scores, below = n_items + 2, TOP + n_users + 3
    return Places(
        Block("model", TOP, 1, n_users, n_items),
        Block("model", TOP, scores, n_users, n_items),
        Block("model", below, 1, k1, n_items),
        Block("model", below, scores, k1, n_users),
    )


def _headings(sheet: Sheet, at: Places, table: Crosstab, names: list[str]) -> None:
    """Labels of ratings, predictions and the parameters below them."""
    for block, words in ((at.ratings, "ratings"), (at.scores, "predictions")):
        sheet.band(TOP - 2, block.left, block.width, words)
        for j, title in enumerate(table.titles):
            sheet.text(TOP - 1, block.left + j, title, "turned")
    sheet.page.set_row(TOP - 1, 120)
    for i, label in enumerate(table.user_labels):
        sheet.value(TOP + i, 0, label, "centre")
    for block, words, labels in ((at.items, "items", table.item_labels), (at.users, "users", table.user_labels)):
        sheet.band(block.top - 2, block.left, block.width, words)
        for j, label in enumerate(labels):
            sheet.value(block.top - 1, block.left + j, label, "centre")
    for k, name in enumerate(names):
        sheet.text(at.items.top + k, 0, name if name == "bias" else f"factor {name}", "label")


def _scores(factors: Factors, table: Crosstab) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users' (U, K1) and items' (I, K1) parameters and the predictions (U, I), all float64."""
    users = np.c_[factors.user_bias[table.users], factors.users[table.users]].astype(np.float64)
    items = np.c_[factors.item_bias[table.items], factors.items[table.items]].astype(np.float64)
    z = factors.mean + users[:, :1] + items[:, 0] + users[:, 1:] @ items[:, 1:].T
    return users, items, factors.squash(z)


def link_formula(factors: Factors, z: str) -> str:
    """The model's link around the formula ``z``."""
    if factors.objective.link == "sigmoid":
        return f"y_low+(y_high-y_low)*(1+TANH(({z})/2))/2"
    low, high = (bool(np.isfinite(end)) for end in factors.objective.y_range)
    clipped = f"MIN({z},y_high)" if high else z
    return f"MAX({clipped},y_low)" if low else clipped


def _write_model(book: Book, factors: Factors, table: Crosstab) -> Places:
    """The sheet *model*."""
    how = "squashed by a sigmoid" if factors.objective.link == "sigmoid" else "clipped"
    lead = f"prediction = mean + user's bias + item's bias + dot product, {how} into the range."
    sheet = book.sheet("model", "A fitted model", lead)
    users, items, scores = _scores(factors, table)
    at = _lay_out(table.ratings.shape, users.shape[1])
    _headings(sheet, at, table, parameter_names(users.shape[1], bias=True))
    _write_scalars(sheet, factors)
    sheet.values(at.ratings, table.ratings, "rating")
    sheet.values(at.users, users.T, "user")
    sheet.values(at.items, items.T, "item")

    def formula(i: int, j: int) -> str:
        biases = f"mean+{at.users.at(0, i)}+{at.items.at(0, j)}"
        dot = f"SUMPRODUCT({at.users.column(i, skip=1)},{at.items.column(j, skip=1)})" if factors.n_factors else "0"
        return link_formula(factors, f"{biases}+{dot}")

    sheet.formulas(at.scores, formula, scores, "score")
    there = np.isfinite(table.ratings)
    error = np.where(there, np.nan_to_num(table.ratings) - scores, 0.0)
    given = f'({at.ratings.all}<>"")'
    total = f"SUMPRODUCT({given}*({at.ratings.all}-{at.scores.all})^2)"
    sheet.text(2, 0, "RMSE", "label")
    sheet.formula(
        3, 0, f"SQRT({total}/COUNT({at.ratings.all}))", float(np.sqrt(np.sum(error**2) / there.sum())), "loss"
    )
    book.name("rmse_model", Block("model", 3, 0, 1, 1).fixed())
    for name, block in (("users", at.users), ("items", at.items), ("predictions", at.scores)):
        book.name(f"model_{name}", block.ref)
    sheet.whiten(at.ratings)
    sheet.shade(at.ratings, "#F3F8FD", "#7FB2E5")
    sheet.shade(at.scores, "#F5F3F9", "#A999C9")
    gap, last = at.scores.left - 1, at.scores.left + max(table.ratings.shape) - 1
    sheet.widths((0, 0, 10), (1, last, 5.6), (gap, gap, 1.5))
    sheet.finish(freeze=(TOP, 1))
    return at


def _write_scalars(sheet: Sheet, factors: Factors) -> None:
    """The mean and the range, with names."""
    cells = [("mean", float(factors.mean))]
    cells += [
        (name, end)
        for name, end in zip(("y_low", "y_high"), map(float, factors.objective.y_range), strict=True)
        if np.isfinite(end)
    ]
    for k, (name, value) in enumerate(cells):
        sheet.text(2, 4 + 3 * k, name.replace("y_", "range, "), "label")
        sheet.named_input(2, 5 + 3 * k, value, name)


def _write_explain(book: Book, factors: Factors, table: Crosstab, at: Places) -> None:
    """The sheet *explain*: one prediction as a column of terms."""
    sheet = book.sheet(
        "explain", "One prediction, taken apart", "Each term of the sum, for the user and the item chosen."
    )
    users, items, scores = _scores(factors, table)
    n_users, n_items = table.ratings.shape
    for row, (name, count) in enumerate((("user", n_users), ("item", n_items)), start=3):
        sheet.text(row, 0, f"{name} (1 to {count})", "label")
        sheet.choose(row, 1, 1, list(range(1, count + 1)), f"explain_{name}")
    label = Block("model", TOP, 0, n_users, 1)
    sheet.formula(3, 2, f"INDEX({label.ref},explain_user)", table.user_labels[0], "label_left")
    title = Block("model", TOP - 1, at.ratings.left, 1, n_items)
    sheet.formula(4, 2, f"INDEX({title.ref},explain_item)", table.titles[0], "label_left")
    for column, head in enumerate(("term", "user", "item", "adds")):
        sheet.text(6, column, head, "band_right" if column else "band")
    k1 = users.shape[1]
    terms = Block("explain", 7, 3, k1 + 2, 1)
    sheet.text(7, 0, "mean")
    sheet.formula(7, 3, "mean", float(factors.mean), "score")
    sheet.text(8, 0, "user's bias")
    sheet.formula(8, 1, "INDEX(model_users,1,explain_user)", users[0, 0], "user")
    sheet.formula(8, 3, "B9", users[0, 0], "score")
    sheet.text(9, 0, "item's bias")
    sheet.formula(9, 2, "INDEX(model_items,1,explain_item)", items[0, 0], "item")
    sheet.formula(9, 3, "C10", items[0, 0], "score")
    for k in range(1, k1):
        row = 9 + k
        sheet.text(row, 0, f"factor {k}: user × item")
        sheet.formula(row, 1, f"INDEX(model_users,{k + 1},explain_user)", users[0, k], "user")
        sheet.formula(row, 2, f"INDEX(model_items,{k + 1},explain_item)", items[0, k], "item")
        sheet.formula(row, 3, f"B{row + 1}*C{row + 1}", users[0, k] * items[0, k], "score")
    row, z = 9 + k1, float(factors.mean) + users[0, 0] + items[0, 0] + float(users[0, 1:] @ items[0, 1:])
    sheet.text(row, 0, "sum")
    sheet.formula(row, 3, f"SUM({terms.all})", z, "score")
    sheet.text(row + 1, 0, "prediction")
    sheet.formula(row + 1, 3, link_formula(factors, f"D{row + 1}"), scores[0, 0], "result")
    book.name("explained", Block("explain", row + 1, 3, 1, 1).fixed())
    sheet.widths((0, 0, 26), (1, 3, 12))
    sheet.finish(freeze=(7, 1), portrait=True)
