"""A fitted model's own numbers in a workbook, so that the sheet's predictions are the model's."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..factors import Factors
from ..ratings import Ratings
from ..scorer import Bilinear
from ._crosstab import Crosstab, most_rated
from ._factors import parameter_names
from ._intro import intro, number
from ._model_views import ModelMaterial, ModelPlaces, tours, write_biases, write_explain, write_map
from ._sheet import Block, Book, Sheet
from ._style import COLOURS

TOP = 8  # the first row of ratings


class Link(NamedTuple):
    """How a sum becomes a prediction: "identity" (clipped to low, high) or "sigmoid" (between them)."""

    kind: str
    low: float
    high: float


def link_of(factors: Factors) -> Link:
    """The one place that asks the model for it."""
    return Link(factors.objective.link, *factors.objective.y_range)


def of_model(
    model: Bilinear, ratings: Ratings, *, path: str | Path, n: int = 15, held_out: Ratings | float | None = None
) -> Path:
    """Write a fitted model's embeddings of the most rated users and items, with predictions as living formulas.

    Args:
        model: Factors, or any scorer that has them; its rows are those of ``ratings``. Where its scores are not quite
            those of its Factors (a posterior's), the Intro says how far they lie apart.
        ratings: what it was fitted on; the n users and n items with most of them are shown, beside its predictions.
        path: the .xlsx file to write.
        n: users and items, 2 to 40.
        held_out: ratings kept out of the fit, with the same rows: shown in gold and with an error of their own. Or the
            RMSE that was measured on such ratings, to be said beside the train error.

    Returns:
        The path written.

    Raises:
        SettingError: for an n or a path that makes no sense.
        DataError: for implicit feedback, too few ratings, a model of fewer users or items than these ratings name, or
            held-out ratings of other users and items.
        MissingExtraError: without xlsxwriter.
    """
    factors, table = model.factors(), most_rated(ratings, n)
    if table.users.max() >= len(factors.users) or table.items.max() >= len(factors.items):
        shape = f"{len(factors.users)} users and {len(factors.items)} items"
        what = f"the model knows {shape}; the ratings name rows beyond them."
        raise DataError(what, hint="give the ratings that the model was fitted on.")
    material = _material(factors, ratings, table, held_out)
    book = Book("A model's own numbers")
    _intro(book, material, model, ratings)
    at = _write_model(book, material)
    write_explain(book, material, at, lambda z: link_formula(link_of(factors), z))
    write_biases(book, material, ratings)
    write_map(book, material, ratings, at)
    return book.save(path)


def _material(factors: Factors, ratings: Ratings, table: Crosstab, held_out: Ratings | float | None) -> ModelMaterial:
    """The crosstab with held-out ratings laid into it, and the errors."""
    cells, part = table.ratings.copy(), np.where(np.isfinite(table.ratings), 1, 0)
    outside: float = float("nan")
    if isinstance(held_out, Ratings):
        if (held_out.n_users, held_out.n_items) != (ratings.n_users, ratings.n_items):
            what = f"the held-out ratings have {held_out.n_users} users and {held_out.n_items} items, not the train's."
            raise DataError(what, hint="split one Ratings: its parts keep the same rows.")
        _lay_in(cells, part, table, held_out)
        outside = _rmse(factors, held_out)
    elif held_out is not None:
        outside = float(held_out)
    users, items, scores = scores_of(factors, table)
    return ModelMaterial(
        factors, table._replace(ratings=cells), part, users, items, scores, _rmse(factors, ratings), outside
    )


def _lay_in(cells: np.ndarray, part: np.ndarray, table: Crosstab, held_out: Ratings) -> None:
    """Write held-out ratings of these users and items into the crosstab."""
    place_u, place_i = np.full(held_out.n_users, -1), np.full(held_out.n_items, -1)
    place_u[table.users], place_i[table.items] = np.arange(len(table.users)), np.arange(len(table.items))
    u, i, values = place_u[held_out.users], place_i[held_out.items], held_out.explicit()
    inside = (u >= 0) & (i >= 0)
    cells[u[inside], i[inside]], part[u[inside], i[inside]] = values[inside], 2


def _rmse(factors: Factors, ratings: Ratings) -> float:
    if not len(ratings):
        return float("nan")
    errors = factors.score(ratings.users, ratings.items).astype(np.float64) - ratings.explicit()
    return float(np.sqrt(np.mean(errors**2)))


def scores_of(factors: Factors, table: Crosstab) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users' (U, K1) and items' (I, K1) parameters and the predictions (U, I), all float64."""
    users = np.c_[factors.user_bias[table.users], factors.users[table.users]].astype(np.float64)
    items = np.c_[factors.item_bias[table.items], factors.items[table.items]].astype(np.float64)
    z = factors.mean + users[:, :1] + items[:, 0] + users[:, 1:] @ items[:, 1:].T
    return users, items, factors.squash(z)


def _intro(book: Book, m: ModelMaterial, model: Bilinear, ratings: Ratings) -> None:
    (n_users, n_items), factors = m.table.ratings.shape, m.factors
    outside = "unknown: none were given" if m.rmse_held_out != m.rmse_held_out else number(m.rmse_held_out)
    facts = (
        f"{factors.n_factors} factors; {n_users} of {len(factors.users):,} users and {n_items} of "
        f"{len(factors.items):,} items, those with most of the {len(ratings):,} ratings.",
        f"RMSE of all ratings it was fitted on: {number(m.rmse_train)}. Of held-out ratings: {outside}. "
        "Only the second says how well it predicts.",
        _agreement(model, m),
    )
    names = ("rating", "score", "item", "user", "loss", "input", "test")
    colours = {name: COLOURS[name][1] for name in names}
    lead = "Real embeddings of a fitted model. Read from left to right."
    intro(book, "A model, opened", lead, facts=facts, tours=tours(m), colours=colours)


def _agreement(model: Bilinear, m: ModelMaterial) -> str:
    """How near the sheet's predictions are to the model's own, in words."""
    n_users, n_items = m.table.ratings.shape
    pairs = np.repeat(m.table.users, n_items), np.tile(m.table.items, n_users)
    own = model.score(*pairs).reshape(n_users, n_items)
    gap = float(np.abs(own - m.scores).max())
    if gap <= 1e-5 * max(1.0, float(np.abs(own).max())):
        return "Every prediction here is a formula, and is the model's own (which computes in 32 bits)."
    return (
        "Every prediction here is a formula. The model is more than one dot product: these are the nearest factors, "
        f"and predictions differ from its own by {gap:.2g} at most."
    )


def link_formula(link: Link, z: str) -> str:
    """The model's link around the formula ``z``."""
    if link.kind == "sigmoid":
        return f"y_low+(y_high-y_low)*(1+TANH(({z})/2))/2"
    clipped = f"MIN({z},y_high)" if np.isfinite(link.high) else z
    return f"MAX({clipped},y_low)" if np.isfinite(link.low) else clipped


def _lay_out(shape: tuple[int, int], k1: int) -> ModelPlaces:
    """Ratings, predictions, train or held out; below, a column of parameters for each item and each user."""
    n_users, n_items = shape
    scores, below = n_items + 2, TOP + n_users + 3
    return ModelPlaces(
        Block("model", TOP, 1, n_users, n_items),
        Block("model", TOP, scores, n_users, n_items),
        Block("model", TOP, scores + max(n_items, n_users) + 1, n_users, n_items),
        Block("model", below, 1, k1, n_items),
        Block("model", below, scores, k1, n_users),
    )


def _headings(sheet: Sheet, at: ModelPlaces, table: Crosstab, names: list[str]) -> None:
    """Labels of ratings, predictions and the parameters below them."""
    for block, words in ((at.ratings, "ratings"), (at.scores, "predictions"), (at.part, "train or held out")):
        sheet.band(TOP - 2, block.left, block.width, words)
        for j, title in enumerate(table.titles):
            sheet.text(TOP - 1, block.left + j, title, "turned")
    sheet.page.set_row(TOP - 1, 110)
    for i, label in enumerate(table.user_labels):
        sheet.value(TOP + i, 0, label, "centre")
    for block, words, labels in ((at.items, "items", table.item_labels), (at.users, "users", table.user_labels)):
        sheet.band(block.top - 2, block.left, block.width, words)
        for j, label in enumerate(labels):
            sheet.value(block.top - 1, block.left + j, label, "centre")
    for k, name in enumerate(names):
        sheet.text(at.items.top + k, 0, name if name == "bias" else f"factor {name}", "label")
    sheet.book.name("titles", at.ratings._replace(top=TOP - 1, height=1).ref)
    sheet.book.name("user_ids", at.ratings._replace(left=0, width=1).ref)


def _write_model(book: Book, m: ModelMaterial) -> ModelPlaces:
    """The sheet *model*."""
    link = link_of(m.factors)
    how = "squashed by a sigmoid" if link.kind == "sigmoid" else "clipped"
    lead = f"prediction = mean + user's bias + item's bias + dot product, {how} into the range."
    sheet = book.sheet("model", "A fitted model", lead)
    at = _lay_out(m.table.ratings.shape, m.users.shape[1])
    _headings(sheet, at, m.table, parameter_names(m.users.shape[1], bias=True))
    _write_scalars(sheet, m.factors)
    sheet.values(at.ratings, m.table.ratings, "rating")
    sheet.values(at.part, m.part.astype(float), "part")
    sheet.values(at.users, m.users.T, "user")
    sheet.values(at.items, m.items.T, "item")
    for block in (at.ratings, at.part, at.users, at.items):
        sheet.numbers_only(block)

    def formula(i: int, j: int) -> str:
        biases = f"mean+{at.users.at(0, i)}+{at.items.at(0, j)}"
        dot = f"SUMPRODUCT({at.users.column(i, skip=1)},{at.items.column(j, skip=1)})" if m.factors.n_factors else "0"
        return link_formula(link, f"{biases}+{dot}")

    sheet.formulas(at.scores, formula, m.scores, "score")
    _write_errors(sheet, at, m)
    for name, block in (("users", at.users), ("items", at.items), ("predictions", at.scores)):
        book.name(f"model_{name}", block.ref)
    for block in (at.ratings, at.scores):
        sheet.mark(block, f"{at.part.at()}=2", bg_color="#FFD966", bold=True)
    sheet.whiten(at.ratings)
    sheet.widths((0, 0, 10), (1, at.part.left + at.part.width, 5.6))
    for block in (at.scores, at.part):
        sheet.widths((block.left - 1, block.left - 1, 1.5))
    right = max(at.part.left, at.users.left + at.users.width) - 1
    sheet.finish(freeze=(TOP, 1), pages=2, area=Block("model", 0, 0, at.items.top + at.items.height, right))
    return at


def _write_errors(sheet: Sheet, at: ModelPlaces, m: ModelMaterial) -> None:
    """The RMSE of the train cells and of the held-out cells shown; and those of all ratings, as numbers."""
    errors = np.nan_to_num(m.table.ratings) - m.scores
    for row, words in ((3, "of the cells shown"), (4, "of all ratings")):
        sheet.merged(row, 1, 3, "label_left")
        sheet.text(row, 1, words, "label_left")
    for k, (part, words) in enumerate(((1, "train RMSE"), (2, "held-out RMSE")), start=1):
        column = 4 * k
        sheet.merged(2, column, 3, "head")
        sheet.text(2, column, words, "head")
        for row in (3, 4):
            sheet.merged(row, column, 3, "loss")
        there = m.part == part
        value = float(np.sqrt(np.mean(errors[there] ** 2))) if there.any() else "–"
        squares = f"SUMPRODUCT(({at.part.all}={part})*({at.ratings.all}-{at.scores.all})^2)"
        count = f"COUNTIF({at.part.all},{part})"
        sheet.formula(3, column, f'IF({count}=0,"–",SQRT({squares}/{count}))', value, "loss")
        sheet.book.name(("rmse_train", "rmse_held_out")[k - 1], Block("model", 3, column, 1, 1).fixed())
        whole = (m.rmse_train, m.rmse_held_out)[k - 1]
        sheet.value(4, column, "–" if whole != whole else whole, "loss")


def _write_scalars(sheet: Sheet, factors: Factors) -> None:
    """The mean and the range, with names."""
    link = link_of(factors)
    cells = [("mean", float(factors.mean))]
    cells += [(name, end) for name, end in (("y_low", link.low), ("y_high", link.high)) if np.isfinite(end)]
    for k, (name, value) in enumerate(cells):
        column = 12 + 3 * k
        sheet.merged(2, column, 2, "head")
        sheet.merged(3, column, 2, "input_number")
        sheet.text(2, column, {"y_low": "from", "y_high": "to"}.get(name, name), "head")
        sheet.named_input(3, column, value, name, "input_number")
