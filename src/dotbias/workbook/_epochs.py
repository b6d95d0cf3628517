"""The sheet *epochs*: gradient descent as bands of formulas, an epoch each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._crosstab import Crosstab, Draws, Epoch, Settings, parts
from ._factors import TOP, parameter_names
from ._sheet import Block, Book, Sheet

HEAD = 5  # rows of the sheet *epochs* above the first band


class Band(NamedTuple):
    """Where one epoch's blocks lie on *epochs*: users (U, K1), items (K1, I), scores and push (U, I)."""

    top: int
    users: Block
    items: Block
    scores: Block
    user_gradient: Block
    item_gradient: Block
    push: Block
    user_step: Block
    item_step: Block


def band(shape: tuple[int, int], k1: int, epoch: int) -> Band:
    """The band of an epoch; -1 is the band of draws."""
    n_users, n_items = shape
    top = HEAD + (epoch + 1) * (n_users + k1 + 2)
    panel1, low = 3, top + 1 + k1
    panel2 = panel1 + k1 + n_items + 1
    panel3 = panel2 + k1 + n_items + 1

    def block(row: int, column: int, height: int, width: int) -> Block:
        return Block("epochs", row, column, height, width)

    return Band(
        top,
        block(low, panel1, n_users, k1),
        block(top + 1, panel1 + k1, k1, n_items),
        block(low, panel1 + k1, n_users, n_items),
        block(low, panel2, n_users, k1),
        block(top + 1, panel2 + k1, k1, n_items),
        block(low, panel2 + k1, n_users, n_items),
        block(low, panel3, n_users, k1),
        block(top + 1, panel3, k1, n_items),
    )


def write_epochs(book: Book, table: Crosstab, draws: Draws, settings: Settings, epochs: list[Epoch]) -> Band:
    """The sheet *epochs*: the draws, then a band per epoch. Returns the last band's place."""
    lead = "Each band is one epoch: r̂ = p·q + biases (left), errors and gradients (middle), directions (right)."
    sheet = book.sheet("epochs", "Epochs", lead)
    shape, k1 = table.ratings.shape, epochs[0].users.shape[1]
    places = [band(shape, k1, e) for e in range(-1, len(epochs))]
    _write_headings(sheet, places[0], table, k1)
    _write_draws(sheet, places[0], table, draws, settings)
    for e, (epoch, before, at) in enumerate(zip(epochs, places[:-1], places[1:], strict=True)):
        _write_labels(sheet, at, table, k1, e)
        _write_parameters(sheet, at, before, epoch, first=e == 0)
        _write_scores(sheet, at, epoch)
        _write_figures(sheet, at, epoch)
        if e < len(epochs) - 1:
            _write_gradients(sheet, at, epoch)
            _write_directions(sheet, at, before, epoch, first=e == 0)
    sheet.widths((0, 0, 12), (1, 1, 9), (2, 2, 9), (3, places[0].item_step.left + shape[1], 6))
    for block in (places[0].user_gradient, places[0].item_step):
        sheet.widths((block.left - 1, block.left - 1, 2))
    sheet.finish(freeze=(HEAD, 3), tall=True)
    _paginate(sheet, places)
    return places[-1]


def _paginate(sheet: Sheet, places: list[Band]) -> None:
    """Print the parameters on one page and gradients and directions on the next, as many whole bands as fit."""
    first = places[0]
    inches = (30 + 6.7 * (first.users.width + first.scores.width + first.item_step.width)) * 7 / 96
    scale = max(10, int(min(100, 100 * 0.66 * 10.9 / inches)))  # A4 holds 10.9 inches; fonts differ by a third
    rows = int((7.2 * 96 * 100 / scale - 250) / 20)  # and 7.2 inches down, less the repeated headings
    each = max(rows // (places[1].top - first.top), 1)
    sheet.page.set_print_scale(scale)
    sheet.page.repeat_columns(0, 2)
    sheet.page.set_v_pagebreaks([first.user_gradient.left])
    sheet.page.set_h_pagebreaks([place.top for place in places[each::each]])


def _write_headings(sheet: Sheet, at: Band, table: Crosstab, k1: int) -> None:
    sheet.page.set_row(HEAD - 1, 120)
    for block in (at.scores, at.push, at.item_step):
        for j, title in enumerate(table.titles):
            sheet.text(HEAD - 1, block.left + j, title, "turned")
    for block in (at.users, at.user_gradient):
        for k, name in enumerate(parameter_names(k1, bias=True)):
            sheet.text(HEAD - 1, block.left + k, name if name == "bias" else f"factor {name}", "turned")
    for block, words in (
        (at.users, "parameters and predictions"),
        (at.user_gradient, "gradients and errors"),
        (at.item_step, "directions (items above, users below)"),
    ):
        sheet.text(HEAD - 2, block.left, words, "label_left")


def _write_labels(sheet: Sheet, at: Band, table: Crosstab, k1: int, epoch: int) -> None:
    sheet.band(at.top, 0, at.item_step.left + max(at.item_step.width, k1), "draws" if epoch < 0 else "epoch")
    if epoch >= 0:
        sheet.value(at.top, 1, epoch, "band")
    for k, name in enumerate(parameter_names(k1, bias=True)):
        sheet.text(at.items.top + k, 2, name if name == "bias" else f"factor {name}", "label")
    for i, label in enumerate(table.user_labels):
        sheet.value(at.users.top + i, 2, label, "centre")


def _write_draws(sheet: Sheet, at: Band, table: Crosstab, draws: Draws, settings: Settings) -> None:
    """Chance, as constants, and which rating is for training and which for testing."""
    k1 = draws.users.shape[1] + 1
    _write_labels(sheet, at, table, k1, -1)
    users, items = (np.c_[np.zeros(len(f)), f] for f in (draws.users, draws.items))
    sheet.values(at.users, users, "user")
    sheet.values(at.items, items.T, "item")
    sheet.values(at.push, draws.part, "plain")
    sheet.text(at.push.top - 1, at.push.left, "where this is below test_share, the rating is for testing")
    ratings = Block("dotprod", TOP, 1, *table.ratings.shape)

    def part(i: int, j: int) -> str:
        return f'IF(dotprod!{ratings.at(i, j)}="",0,IF({at.push.at(i, j)}<test_share,2,1))'

    sheet.formulas(at.scores, part, parts(table.ratings, draws, settings.test_share), "part")
    sheet.mark(at.scores, f"{at.scores.at()}=2", bg_color="#FFD966", bold=True)
    sheet.book.name("part", at.scores.ref)


def _write_parameters(sheet: Sheet, at: Band, before: Band, epoch: Epoch, *, first: bool) -> None:
    """Epoch 0: the draws times the initial scale. Later: one step from the band above."""
    sides = (
        (at.users, before.users, before.user_step, epoch.users, "user"),
        (at.items, before.items, before.item_step, epoch.items.T, "item"),
    )
    for new, old, step, values, style in sides:

        def formula(i: int, j: int, old: Block = old, step: Block = step) -> str:
            return f"initial_scale*{old.at(i, j)}" if first else f"{old.at(i, j)}-learning_rate*{step.at(i, j)}"

        sheet.formulas(new, formula, values, style)


def _write_scores(sheet: Sheet, at: Band, epoch: Epoch) -> None:
    users = [(at.users.row(i, skip=1), f"${at.users.at(i)}") for i in range(at.users.height)]
    items = [(at.items.column(j, skip=1), at.items.at(0, j)) for j in range(at.items.width)]

    def formula(i: int, j: int) -> str:
        (p, user_bias), (q, item_bias) = users[i], items[j]
        z = f"MMULT({p},{q})+{user_bias}+{item_bias}"
        return f'IF(squashing="sigmoid",y_low+(y_high-y_low)*(1+TANH(({z})/2))/2,{z})'

    sheet.formulas(at.scores, formula, epoch.scores, "score")


def _write_figures(sheet: Sheet, at: Band, epoch: Epoch) -> None:
    """Train RMSE, test RMSE and loss, below the band's name."""
    squares = f"(ratings-{at.scores.all})^2"
    penalty = f"SUMSQ({at.users.all})+SUMSQ({at.items.all})"
    lines = (
        ("train RMSE", f"SQRT(SUMPRODUCT((part=1)*{squares})/COUNTIF(part,1))", epoch.train),
        ("test RMSE", f'IF(COUNTIF(part,2)=0,"",SQRT(SUMPRODUCT((part=2)*{squares})/COUNTIF(part,2)))', epoch.test),
        ("loss", f"SUMPRODUCT((part=1)*{squares})/2+weight_decay*({penalty})/2", epoch.loss),
    )
    for row, (name, formula, value) in enumerate(lines, start=at.top + 1):
        sheet.text(row, 0, name, "label")
        sheet.formula(row, 1, formula, value, "loss")


def _write_gradients(sheet: Sheet, at: Band, epoch: Epoch) -> None:
    """Errors of train cells, and the gradients of the loss that are sums of them."""
    part, ratings = (
        band((at.scores.height, at.scores.width), at.users.width, -1).scores,
        Block("dotprod", TOP, 1, at.scores.height, at.scores.width),
    )

    def push(i: int, j: int) -> str:
        r = at.scores.at(i, j)
        slope = f'IF(squashing="sigmoid",({r}-y_low)*(y_high-{r})/(y_high-y_low),1)'
        return f"IF({part.at(i, j)}=1,(dotprod!{ratings.at(i, j)}-{r})*{slope},0)"

    def clipped(parameter: str, total: str) -> str:
        return f"weight_decay*{parameter}+MEDIAN(-gradient_clip,-{total},gradient_clip)"

    def by_user(i: int, k: int) -> str:
        pushes = at.push.row(i)
        total = f"SUMPRODUCT({pushes},{at.items.row(k)})" if k else f"SUM({pushes})"
        return clipped(at.users.at(i, k), total)

    def by_item(k: int, j: int) -> str:
        pushes = at.push.column(j)
        total = f"SUMPRODUCT({pushes},{at.users.column(k)})" if k else f"SUM({pushes})"
        return clipped(at.items.at(k, j), total)

    sheet.formulas(at.push, push, epoch.push, "plain")
    sheet.formulas(at.user_gradient, by_user, epoch.user_gradient, "gradient")
    sheet.formulas(at.item_gradient, by_item, epoch.item_gradient.T, "gradient")


def _write_directions(sheet: Sheet, at: Band, before: Band, epoch: Epoch, *, first: bool) -> None:
    """Momentum: the gradient, plus part of the last direction."""
    sides = (
        (at.user_step, before.user_step, at.user_gradient, epoch.user_step, "gradient"),
        (at.item_step, before.item_step, at.item_gradient, epoch.item_step.T, "gradient"),
    )
    for new, old, gradient, values, style in sides:

        def formula(i: int, j: int, old: Block = old, gradient: Block = gradient) -> str:
            return gradient.at(i, j) if first else f"momentum*{old.at(i, j)}+{gradient.at(i, j)}"

        sheet.formulas(new, formula, values, style)
