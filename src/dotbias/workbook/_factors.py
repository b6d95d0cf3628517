"""The sheets *dotprod* and *bias*, in the course's picture: a user's row and an item's column meet in their prediction.

Three such pictures lie below the ratings: the predictions; the errors, between the gradients that are sums of them; and
the predictions after one step of gradient descent. The loss is L = ½ Σ (r - r̂)² over the ratings present.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._crosstab import Crosstab
from ._descend import Draws, predict
from ._sheet import Block, Book, Sheet
from ._solver import solver_note, write_solver

TOP = 9  # the first row of ratings
NARROW, WIDE = 5.6, 20.0  # columns of numbers, and the first one


class Meeting(NamedTuple):
    """Users' parameters (U, K1) left of a table (U, I), items' (K1, I) above it; biases first if any."""

    users: Block
    items: Block
    table: Block


class FactorPlaces(NamedTuple):
    """Where the blocks of a factor sheet lie."""

    ratings: Block
    now: Meeting
    gradient: Meeting
    after: Meeting


def lay_out(sheet: str, shape: tuple[int, int], k1: int) -> FactorPlaces:
    """Ratings above three meetings, all in the same columns."""
    (n_users, n_items), left = shape, 2 + max(k1, 4)
    tall = n_users + k1 + 3

    def meeting(top: int) -> Meeting:
        users = Block(sheet, top + k1, left - 1 - k1, n_users, k1)
        return Meeting(users, Block(sheet, top, left, k1, n_items), Block(sheet, top + k1, left, n_users, n_items))

    first = TOP + n_users + 3
    ratings = Block(sheet, TOP, left, n_users, n_items)
    return FactorPlaces(ratings, meeting(first), meeting(first + tall), meeting(first + 2 * tall))


def parameter_names(k1: int, *, bias: bool) -> list[str]:
    """Headings of parameters: ``bias, 1, 2, …`` or ``1, 2, …``."""
    return (["bias"] if bias else []) + [str(k) for k in range(1, k1 + 1 - bias)]


# The numbers ----------------------------------------------------------------------------------------------------


class FactorStep(NamedTuple):
    """One step of gradient descent on all ratings; parameters and gradients (U, K1), (K1, I), tables (U, I)."""

    scores: np.ndarray
    rmse: float
    errors: np.ndarray
    gradients: tuple[np.ndarray, np.ndarray]
    after: tuple[np.ndarray, np.ndarray]
    scores_after: np.ndarray
    rmse_after: float


def one_step(ratings: np.ndarray, users: np.ndarray, items: np.ndarray, rate: float, *, bias: bool) -> FactorStep:
    """What the sheet computes: predictions (0 where there is no rating), gradients, and the same a step later."""
    there = np.isfinite(ratings)

    def wrong(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        scores = np.where(there, predict(p, q.T) if bias else p @ q, 0.0)
        errors = np.where(there, scores - np.nan_to_num(ratings), 0.0)
        return scores, errors, float(np.sqrt(np.sum(errors**2) / there.sum()))

    scores, errors, rmse = wrong(users, items)
    by_user, by_item = errors @ items.T, users.T @ errors
    if bias:
        by_user[:, 0], by_item[0] = errors.sum(1), errors.sum(0)
    after = users - rate * by_user, items - rate * by_item
    scores_after, _, rmse_after = wrong(*after)
    return FactorStep(scores, rmse, errors, (by_user, by_item), after, scores_after, rmse_after)


def starts(draws: Draws, *, bias: bool) -> tuple[np.ndarray, np.ndarray]:
    """The sheet's starting parameters, (U, K1) and (K1, I); biases are 0."""
    users, items = draws.users, draws.items
    if bias:
        users, items = (np.c_[np.zeros(len(f)), f] for f in (users, items))
    return users, items.T


def step_rate(ratings: np.ndarray, draws: Draws) -> float:
    """A learning rate whose one step lowers the RMSE on both sheets: halved from 0.04 until it does."""
    rate = 0.04
    for bias in (False, True):
        users, items = starts(draws, bias=bias)
        while True:
            step = one_step(ratings, users, items, rate, bias=bias)
            if step.rmse_after <= step.rmse:
                break
            rate /= 2
    return rate


# The sheets -----------------------------------------------------------------------------------------------------


def write_factor_sheet(
    book: Book, table: Crosstab, draws: Draws, rate: float, minimum: float, *, bias: bool
) -> FactorPlaces:
    """*dotprod*, which holds the ratings, or *bias*, which repeats them; ``minimum`` is what *als* reaches."""
    name = "bias" if bias else "dotprod"
    title = "Dot product and biases" if bias else "Dot product"
    lead = "Each prediction: the user's row on its left times the item's column above it"
    lead += ", plus both biases." if bias else "."
    sheet = book.sheet(name, title, lead)
    users, items = starts(draws, bias=bias)
    at = lay_out(name, table.ratings.shape, users.shape[1])
    step = one_step(table.ratings, users, items, rate, bias=bias)
    _headings(sheet, at, table, bias=bias)
    _write_ratings(sheet, at, table, bias=bias)
    _write_now(sheet, at, (users, items), step, bias=bias)
    _write_gradients(sheet, at, step, bias=bias)
    _write_after(sheet, at, step, bias=bias)
    _write_figures(sheet, at, step, rate, minimum, first=not bias)
    _write_words(sheet, at, table, (users, items), bias=bias)
    for words, block in (("users", at.now.users), ("items", at.now.items), ("predictions", at.now.table)):
        book.name(f"{name}_{words}", block.ref)
    for words, block in (("users", at.after.users), ("items", at.after.items)):
        book.name(f"{name}_{words}_after", block.ref)
    write_solver(sheet, f"rmse_{name}", [at.now.users, at.now.items])
    sheet.text(6, 0, solver_note(name, users.size + items.size), "lead")
    _finish(sheet, at)
    return at


def _headings(sheet: Sheet, at: FactorPlaces, table: Crosstab, *, bias: bool) -> None:
    sheet.band(TOP - 2, 0, at.ratings.left + at.ratings.width, "ratings" if bias else "ratings: yours to change")
    sheet.page.set_row(TOP - 1, 110)
    for j, title in enumerate(table.titles):
        sheet.text(TOP - 1, at.ratings.left + j, title, "turned")
    for i, label in enumerate(table.user_labels):
        sheet.value(TOP + i, at.ratings.left - 1, label, "centre")
    names = parameter_names(at.now.users.width, bias=bias)
    pictures = (
        (at.now, "predictions", "of a row on the left and a column above"),
        (at.gradient, "errors and gradients", "∂L/∂user: errors of its row times the items'; ∂L/∂item: of its column"),
        (at.after, "after one step", "parameter less learning rate × gradient"),
    )
    for place, words, what in pictures:
        sheet.band(place.items.top - 2, 0, place.items.left + place.items.width, f"{words}: {what}")
        _labels(sheet, place, table, names)


def _labels(sheet: Sheet, place: Meeting, table: Crosstab, names: list[str]) -> None:
    """Ids above the items and beside the users; names of the parameters."""
    label = place.items.left - 1
    for j, item in enumerate(table.item_labels):
        sheet.value(place.items.top - 1, place.items.left + j, item, "centre")
    for i, user in enumerate(table.user_labels):
        sheet.value(place.users.top + i, label, user, "centre")
    for k, name in enumerate(names):
        sheet.text(place.items.top + k, label, name if name == "bias" else f"factor {name}", "label")
        sheet.text(place.users.top - 1, place.users.left + k, name, "head")


def _write_ratings(sheet: Sheet, at: FactorPlaces, table: Crosstab, *, bias: bool) -> None:
    if not bias:
        sheet.values(at.ratings, table.ratings, "rating")
        sheet.numbers_only(at.ratings, "A rating is a number, or an empty cell.")
        sheet.book.name("ratings", at.ratings.ref)
        titles = at.ratings._replace(top=TOP - 1, height=1)
        sheet.book.name("titles", titles.ref)
        sheet.book.name("user_ids", at.ratings._replace(left=at.ratings.left - 1, width=1).ref)
    else:
        first = lay_out("dotprod", table.ratings.shape, at.now.users.width - 1).ratings

        def same(i: int, j: int) -> str:
            cell = f"dotprod!{first.at(i, j)}"
            return f'IF({cell}="","",{cell})'

        sheet.formulas(at.ratings, same, table.ratings, "rating")
    sheet.whiten(at.ratings)
    sheet.shade(at.ratings, "#F3F8FD", "#7FB2E5")


def score_formula(ratings: Block, place: Meeting, *, bias: bool) -> Callable[[int, int], str]:
    """``(i, j)`` -> the dot product (plus biases) of a rating that is there, 0 elsewhere, as the lesson writes it."""

    def formula(i: int, j: int) -> str:
        dot = f"MMULT({place.users.row(i, skip=bias)},{place.items.column(j, skip=bias)})"
        biases = f"+{place.users.at(i)}+{place.items.at(0, j)}" if bias else ""
        return f'IF({ratings.at(i, j)}="",0,{dot}{biases})'

    return formula


def rmse_formula(scores: Block) -> str:
    """The root of the mean squared error over the ratings present, as the lesson writes it.

    Of *dotprod*'s ratings, on both sheets: LibreOffice's SUMXMY2 refuses the empty text that a formula gives.
    """
    return f"SQRT(SUMXMY2(ratings,{scores.all})/COUNT(ratings))"


def _write_scores(sheet: Sheet, at: FactorPlaces, place: Meeting, scores: np.ndarray, *, bias: bool) -> None:
    sheet.formulas(place.table, score_formula(at.ratings, place, bias=bias), scores, "score")
    sheet.mark(place.table, f'{at.ratings.at()}=""', font_color="#BFBFBF", bg_color="#FFFFFF")
    sheet.shade(place.table, "#F5F3F9", "#A999C9")


def _write_now(
    sheet: Sheet, at: FactorPlaces, params: tuple[np.ndarray, np.ndarray], step: FactorStep, *, bias: bool
) -> None:
    for block, values, style in ((at.now.users, params[0], "user"), (at.now.items, params[1], "item")):
        sheet.values(block, values, style)
        sheet.numbers_only(block)
    _write_scores(sheet, at, at.now, step.scores, bias=bias)


def _write_gradients(sheet: Sheet, at: FactorPlaces, step: FactorStep, *, bias: bool) -> None:
    errors, now = at.gradient.table, at.now

    def error(i: int, j: int) -> str:
        rating = at.ratings.at(i, j)
        return f'IF({rating}="",0,{now.table.at(i, j)}-{rating})'

    def of_user(i: int, k: int) -> str:
        own = errors.row(i)
        return f"SUM({own})" if bias and k == 0 else f"SUMPRODUCT({own},{now.items.row(k)})"

    def of_item(k: int, j: int) -> str:
        own = errors.column(j)
        return f"SUM({own})" if bias and k == 0 else f"SUMPRODUCT({own},{now.users.column(k)})"

    sheet.formulas(errors, error, step.errors, "wrong")
    sheet.formulas(at.gradient.users, of_user, step.gradients[0], "gradient")
    sheet.formulas(at.gradient.items, of_item, step.gradients[1], "gradient")


def _write_after(sheet: Sheet, at: FactorPlaces, step: FactorStep, *, bias: bool) -> None:
    sides = (
        (at.after.users, at.now.users, at.gradient.users, step.after[0], "user"),
        (at.after.items, at.now.items, at.gradient.items, step.after[1], "item"),
    )
    for new, old, gradient, values, style in sides:
        sheet.formulas(new, lambda i, j, o=old, g=gradient: f"{o.at(i, j)}-step_rate*{g.at(i, j)}", values, style)
    _write_scores(sheet, at, at.after, step.scores_after, bias=bias)


def _write_figures(
    sheet: Sheet, at: FactorPlaces, step: FactorStep, rate: float, minimum: float, *, first: bool
) -> None:
    """RMSE, RMSE after the step, the step's rate, and how low the RMSE can be, in one line."""
    name, wide = sheet.name, at.ratings.left - 2
    sheet.text(2, 0, "RMSE", "head")
    sheet.formula(3, 0, rmse_formula(at.now.table), step.rmse, "loss")
    sheet.book.name(f"rmse_{name}", Block(name, 3, 0, 1, 1).fixed())
    for row in (2, 3):
        for column, width in ((1, wide), (wide + 1, 5), (wide + 6, 6)):
            sheet.merged(row, column, width, "head" if row == 2 else "loss")
    sheet.text(2, 1, "RMSE after this step", "head")
    sheet.formula(3, 1, rmse_formula(at.after.table), step.rmse_after, "loss")
    sheet.book.name(f"rmse_{name}_after", Block(name, 3, 1, 1, 1).fixed())
    sheet.text(2, wide + 1, "rate of the step", "head")
    if first:
        sheet.choose(3, wide + 1, rate, sorted(rate * 2.0**k for k in range(-4, 4)), "step_rate")
    else:
        sheet.formula(3, wide + 1, "step_rate", rate, "result")
    sheet.text(2, wide + 6, "lowest RMSE (sheet als)", "head")
    sheet.formula(3, wide + 6, f"rmse_als_{name}", minimum, "loss")


def _write_words(
    sheet: Sheet, at: FactorPlaces, table: Crosstab, params: tuple[np.ndarray, np.ndarray], *, bias: bool
) -> None:
    """One prediction spelled out, for the user and the item chosen; at first the first rating there is."""
    name, (u, i) = sheet.name, (int(k) for k in np.argwhere(np.isfinite(table.ratings))[0])
    left = at.ratings.left
    sheet.text(4, 0, "one prediction, in words:", "label_left")
    sheet.merged(4, 1, left - 2, "input")
    sheet.choose_from(4, 1, table.user_labels[u], "user_ids", f"{name}_user")
    sheet.merged(4, left, 7, "input")
    sheet.choose_from(4, left, table.titles[i], "titles", f"{name}_item")
    places = (("u", f'SUMPRODUCT((user_ids&""={name}_user&"")*(ROW(user_ids)-{TOP}))', u + 1),)
    places += (("i", f'SUMPRODUCT((titles&""={name}_item&"")*(COLUMN(titles)-{left}))', i + 1),)
    for k, (letter, formula, value) in enumerate(places):
        sheet.formula(4, left + 7 + k, formula, value, "pale")
        sheet.book.name(f"{name}_row_{letter}", Block(name, 4, left + 7 + k, 1, 1).fixed())
    formula, words = sentence(name, params[0][u], params[1][:, i], table.user_labels[u], table.titles[i], bias=bias)
    sheet.formula(5, 0, formula, words, "words")
    sheet.book.name(f"{name}_words", Block(name, 5, 0, 1, 1).fixed())


def sentence(name: str, p: np.ndarray, q: np.ndarray, user: int | str, item: str, *, bias: bool) -> tuple[str, str]:
    """The formula that says ``0.71·0.19 + … = 0.91``, and what it says."""
    mine = [f"INDEX({name}_users,{name}_row_u,{k + 1})" for k in range(len(p))]
    its = [f"INDEX({name}_items,{k + 1},{name}_row_i)" for k in range(len(q))]
    products = list(zip(mine, its, strict=True))[bias:]
    terms = [f'ROUND({a},2)&"·"&ROUND({b},2)' for a, b in products]
    total = "+".join(f"{a}*{b}" for a, b in products)
    value = float(p[bias:] @ q[bias:])
    said = [f"{rounded(a)}·{rounded(b)}" for a, b in zip(p[bias:], q[bias:], strict=True)]
    if bias:
        terms += [f"ROUND({mine[0]},2)", f"ROUND({its[0]},2)"]
        total, value = f"{total}+{mine[0]}+{its[0]}", value + float(p[0] + q[0])
        said += [rounded(p[0]), rounded(q[0])]
    formula = f'"user "&{name}_user&" and "&{name}_item&": "&' + '&" + "&'.join(terms) + f'&" = "&ROUND({total},2)'
    return formula, f"user {user} and {item}: " + " + ".join(said) + f" = {rounded(value)}"


def rounded(value: float) -> str:
    """Two decimals, as a sheet joins a rounded number to a text."""
    return f"{np.floor(abs(value) * 100 + 0.5) / 100 * np.sign(value) + 0.0:.10g}"


def _finish(sheet: Sheet, at: FactorPlaces) -> None:
    left = at.ratings.left
    sheet.widths((0, 0, WIDE), (1, left - 2, NARROW), (left - 1, left - 1, 8), (left, left + at.ratings.width, NARROW))
    sheet.page.set_h_pagebreaks([at.gradient.items.top - 2])
    bottom, right = at.after.table.top + at.after.table.height, left + max(at.ratings.width, 11)
    sheet.scientific(Block(sheet.name, 3, 0, bottom - 3, left + at.ratings.width))
    sheet.finish(freeze=(4, 0), pages=2, portrait=True, area=Block(sheet.name, 0, 0, bottom, right))
