"""The sheets *dotprod*, *bias* and *model*: a crosstab of ratings, factors around it, predictions beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._crosstab import Crosstab
from ._sheet import Block, Book, Sheet

TOP = 6  # the first row of ratings, under frozen headings


class Places(NamedTuple):
    """Where the blocks of a factor sheet lie. Users' parameters are (U, K1), items' (K1, I), biases first if any."""

    ratings: Block
    users: Block
    items: Block
    scores: Block
    user_gradient: Block
    item_gradient: Block
    user_next: Block
    item_next: Block


def lay_out(sheet: str, shape: tuple[int, int], k1: int) -> Places:
    """Ratings, users' factors beside and items' below them; then predictions, with the gradients beside and below."""
    n_users, n_items = shape
    users = n_items + 2
    scores = users + k1 + 1
    gradient = scores + n_items + 1
    below = TOP + n_users + 2
    return Places(
        Block(sheet, TOP, 1, n_users, n_items),
        Block(sheet, TOP, users, n_users, k1),
        Block(sheet, below, 1, k1, n_items),
        Block(sheet, TOP, scores, n_users, n_items),
        Block(sheet, TOP, gradient, n_users, k1),
        Block(sheet, below, scores, k1, n_items),
        Block(sheet, below, gradient, n_users, k1),
        Block(sheet, below + k1 + 2, scores, k1, n_items),
    )


def parameter_names(k1: int, *, bias: bool) -> list[str]:
    """Headings of parameters: ``bias, 1, 2, …`` or ``1, 2, …``."""
    return (["bias"] if bias else []) + [str(k) for k in range(1, k1 + 1 - bias)]


def headings(sheet: Sheet, at: Places, table: Crosstab, names: list[str]) -> None:
    """Labels of the ratings, the predictions and the parameters around them."""
    for block, title in ((at.ratings, "ratings"), (at.scores, "predictions"), (at.users, "users")):
        sheet.band(TOP - 2, block.left, block.width, title)
    sheet.page.set_row(TOP - 1, 120)
    for j, title in enumerate(table.titles):
        sheet.text(TOP - 1, at.ratings.left + j, title, "turned")
        sheet.text(TOP - 1, at.scores.left + j, title, "turned")
    for i, label in enumerate(table.user_labels):
        sheet.value(TOP + i, 0, label, "centre")
    for k, name in enumerate(names):
        sheet.text(TOP - 1, at.users.left + k, name if name == "bias" else f"factor {name}", "turned")
        sheet.text(at.items.top + k, 0, name if name == "bias" else f"factor {name}", "label")
    sheet.text(at.items.top - 1, 0, "items", "label")
    for j, label in enumerate(table.item_labels):
        sheet.value(at.items.top - 1, at.items.left + j, label, "centre")


def score_formula(at: Places, *, bias: bool):
    """``(i, j)`` -> the dot product (plus biases) of a rating that is there, 0 elsewhere, as the lesson writes it."""

    def formula(i: int, j: int) -> str:
        dot = f"MMULT({at.users.row(i, skip=bias)},{at.items.column(j, skip=bias)})"
        biases = f"+{at.users.at(i)}+{at.items.at(0, j)}" if bias else ""
        return f'IF({at.ratings.at(i, j)}="",0,{dot}{biases})'

    return formula


def rmse_formula(ratings: str, scores: Block) -> str:
    """The root of the mean squared error over the ratings present, as the lesson writes it.

    ``ratings`` must hold truly empty cells: LibreOffice's SUMXMY2 refuses the empty text that a formula gives.
    """
    return f"SQRT(SUMXMY2({ratings},{scores.all})/COUNT({ratings}))"


def gradients(at: Places, *, bias: bool):
    """Formulas of ∂L/∂user (i, k) and ∂L/∂item (k, j) for L = ½ Σ (r - r̂)²: predicted sum less rated sum."""

    def of_user(i: int, k: int) -> str:
        if bias and k == 0:
            return f"SUM({at.scores.row(i)})-SUM({at.ratings.row(i)})"
        other = at.items.row(k)
        return f"SUMPRODUCT({at.scores.row(i)},{other})-SUMPRODUCT({at.ratings.row(i)},{other})"

    def of_item(k: int, j: int) -> str:
        if bias and k == 0:
            return f"SUM({at.scores.column(j)})-SUM({at.ratings.column(j)})"
        other = at.users.column(k)
        return f"SUMPRODUCT({at.scores.column(j)},{other})-SUMPRODUCT({at.ratings.column(j)},{other})"

    return of_user, of_item


def write_gradients(
    sheet: Sheet,
    at: Places,
    raw: tuple[np.ndarray, np.ndarray],
    *,
    params: tuple[np.ndarray, np.ndarray],
    rate: float,
    bias: bool,
) -> None:
    """Gradients beside and below the predictions, and beyond them the parameters one step later.

    Args:
        sheet: where to.
        at: its blocks.
        raw: gradients (U, K1), (K1, I).
        params: parameters (U, K1), (K1, I).
        rate: the step's learning rate, in the cell named ``step_rate``.
        bias: whether the first parameter is a bias.
    """
    of_user, of_item = gradients(at, bias=bias)
    sheet.formulas(at.user_gradient, of_user, raw[0], "gradient")
    sheet.formulas(at.item_gradient, of_item, raw[1], "gradient")
    sides = (
        (at.users, at.user_gradient, at.user_next, 0, "user"),
        (at.items, at.item_gradient, at.item_next, 1, "item"),
    )
    for old, gradient, new, side, style in sides:
        later = params[side] - rate * raw[side]
        sheet.formulas(new, lambda i, j, o=old, g=gradient: f"{o.at(i, j)}-step_rate*{g.at(i, j)}", later, style)
    sheet.band(TOP - 2, at.user_gradient.left, at.user_gradient.width, "∂L/∂user")
    below = ((at.item_gradient, "∂L/∂item"), (at.item_next, "items, one step on"), (at.user_next, "users, one step on"))
    for block, words in below:
        sheet.band(block.top - 1, block.left, block.width, words)


def colour(sheet: Sheet, at: Places) -> None:
    """Ratings and predictions shaded by value; predictions of absent ratings pale."""
    sheet.whiten(at.ratings)
    sheet.shade(at.ratings, "#F3F8FD", "#7FB2E5")
    sheet.mark(at.scores, f'{at.ratings.at()}=""', font_color="#BFBFBF", bg_color="#FFFFFF")
    sheet.shade(at.scores, "#F5F3F9", "#A999C9")


def book_names(book: Book, at: Places, prefix: str) -> None:
    """Names for the blocks: ``dotprod_users`` and so on."""
    book.name(f"{prefix}_users", at.users.ref)
    book.name(f"{prefix}_items", at.items.ref)
    book.name(f"{prefix}_predictions", at.scores.ref)
