"""The sheets *epochs_a* and *epochs_b*: gradient descent as bands of formulas, an epoch each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._crosstab import Crosstab
from ._descend import EDGE, Epoch, Limits, Settings
from ._factors import lay_out as factor_places
from ._factors import parameter_names
from ._sheet import Block, Book, Sheet, column_letters
from ._split import SplitPlaces as Split

HEAD = 5  # rows above the first band
FIRST = 3  # the first column of settings, and of the blocks
NAMES = ("rate", "momentum", "decay", "biases", "factors", "scale", "sigmoid", "low", "high", "offset")


def setting(name: str) -> str:
    """The cell of *epochs_a* or *epochs_b* that holds a setting as a number."""
    return f"${column_letters(FIRST + NAMES.index(name))}$4"


class Band(NamedTuple):
    """Where one epoch's blocks lie: users (U, K1), items (K1, I), tables (U, I)."""

    top: int
    users: Block
    items: Block
    scores: Block
    user_gradient: Block
    item_gradient: Block
    push: Block


def band(run: str, shape: tuple[int, int], k1: int, epoch: int) -> Band:
    """The band of an epoch on *epochs_a* or *epochs_b*."""
    n_users, n_items = shape
    top = HEAD + epoch * (n_users + k1 + 2)
    low, second = top + 1 + k1, FIRST + k1 + n_items + 1

    def block(row: int, column: int, height: int, width: int) -> Block:
        return Block(f"epochs_{run}", row, column, height, width)

    return Band(
        top,
        block(low, FIRST, n_users, k1),
        block(top + 1, FIRST + k1, k1, n_items),
        block(low, FIRST + k1, n_users, n_items),
        block(low, second, n_users, k1),
        block(top + 1, second + k1, k1, n_items),
        block(low, second + k1, n_users, n_items),
    )


def write_epochs(
    book: Book, run: str, table: Crosstab, split: Split, s: Settings, ends: Limits, epochs: list[Epoch]
) -> Band:
    """The sheet of one run: its settings as numbers, then a band per epoch. Returns the last band's place."""
    lead = "Each band is one epoch: parameters and predictions on the left, gradients and errors on the right."
    sheet = book.sheet(f"epochs_{run}", f"Epochs of run {run.upper()}", lead)
    shape, k1 = table.ratings.shape, epochs[0].users.shape[1]
    places = [band(run, shape, k1, e) for e in range(len(epochs))]
    _write_settings(sheet, run, s, ends, k1 - 1)
    _write_titles(sheet, places[0], table)
    for e, (epoch, at) in enumerate(zip(epochs, places, strict=True)):
        _write_labels(sheet, at, table, k1, e)
        _write_parameters(sheet, places[: e + 1], split, epoch)
        _write_scores(sheet, at, epoch)
        _write_figures(sheet, at, epoch)
        if e < len(epochs) - 1:
            _write_gradients(sheet, at, split, epoch)
    right = places[0].push.left + shape[1]
    sheet.widths((0, 0, 12), (1, 2, 9), (3, right, 6.3))
    gap = places[0].user_gradient.left - 1
    sheet.widths((gap, gap, 2))
    sheet.scientific(Block(sheet.name, HEAD, 0, places[-1].top + len(table.ratings) + k1 + 1, right))
    sheet.page.repeat_columns(0, 2)
    sheet.finish(freeze=(HEAD, 3), area=Block(sheet.name, 0, 0, places[min(2, len(places) - 1)].top, right), wide=2)
    return places[-1]


def _write_settings(sheet: Sheet, run: str, s: Settings, ends: Limits, k: int) -> None:
    """The choices on *learn* as numbers; a text typed there counts as 0."""
    low, high = setting("low"), setting("high")
    share = f"MEDIAN({EDGE},(N(global_mean)-{low})/({high}-{low}),{1 - EDGE})"
    cells = (
        ("learning rate", f"N(learning_rate_{run})", s.lr),
        ("momentum", f"N(momentum_{run})", s.momentum),
        ("weight decay", f"N(weight_decay_{run})", s.wd),
        ("biases (1: on)", f'IF(biases_{run}="on",1,0)', int(s.biases)),
        ("factors used", f"N(factors_{run})", k if s.factors is None else s.factors),
        ("initial scale", f"N(initial_scale_{run})", s.scale),
        ("sigmoid (1: on)", f'IF(squashing_{run}="sigmoid",1,0)', int(s.squash)),
        ("sigmoid from", f"N(scale_low)-N(padding_{run})", ends.low),
        ("sigmoid to", f"MAX(N(scale_high)+N(padding_{run}),{low}+0.01)", ends.high),
        ("added to all", f"IF({setting('sigmoid')}=1,LN({share}/(1-{share})),N(global_mean))", ends.offset),
    )
    for column, (words, formula, value) in enumerate(cells, start=FIRST):
        sheet.text(2, column, words, "head_small")
        sheet.formula(3, column, formula, value, "used")
    sheet.page.set_row(2, 36)


def _write_titles(sheet: Sheet, at: Band, table: Crosstab) -> None:
    sheet.page.set_row(HEAD - 1, 100)
    for block in (at.scores, at.push):
        for j, title in enumerate(table.titles):
            sheet.text(HEAD - 1, block.left + j, title, "turned")


def _write_labels(sheet: Sheet, at: Band, table: Crosstab, k1: int, epoch: int) -> None:
    sheet.band(at.top, 0, at.push.left + at.push.width, "epoch")
    sheet.value(at.top, 1, epoch, "band")
    for k, name in enumerate(parameter_names(k1, bias=True)):
        sheet.text(at.items.top + k, 2, name if name == "bias" else f"factor {name}", "label")
    for i, label in enumerate(table.user_labels):
        sheet.value(at.users.top + i, 2, label, "centre")


def _write_parameters(sheet: Sheet, places: list[Band], split: Split, epoch: Epoch) -> None:
    """Epoch 0: the draws times the initial scale. Later: a gradient step, and the last step again, times momentum."""
    at = places[-1]
    if len(places) == 1:
        _write_start(sheet, at, split, epoch)
        return
    last, earlier = places[-2], places[-3] if len(places) > 2 else None
    sides = (
        (at.users, last.users, last.user_gradient, earlier and earlier.users, epoch.users, "user"),
        (at.items, last.items, last.item_gradient, earlier and earlier.items, epoch.items.T, "item"),
    )
    for new, old, gradient, older, values, style in sides:

        def formula(i: int, j: int, old: Block = old, gradient: Block = gradient, older: Block | None = older) -> str:
            x = old.at(i, j)
            again = f"+{setting('momentum')}*({x}-{older.at(i, j)})" if older else ""
            return f"{x}{again}-{setting('rate')}*{gradient.at(i, j)}"

        sheet.formulas(new, formula, values, style)


def _write_start(sheet: Sheet, at: Band, split: Split, epoch: Epoch) -> None:
    def start(k: int, draw: str) -> str:
        return f"IF({k}<={setting('factors')},{setting('scale')}*split!{draw},0)" if k else "0"

    sheet.formulas(at.users, lambda i, k: start(k, split.users.at(i, k - 1) if k else ""), epoch.users, "user")
    sheet.formulas(at.items, lambda k, j: start(k, split.items.at(k - 1, j) if k else ""), epoch.items.T, "item")


def _write_scores(sheet: Sheet, at: Band, epoch: Epoch) -> None:
    users = [(at.users.row(i, skip=1), f"${at.users.at(i)}") for i in range(at.users.height)]
    items = [(at.items.column(j, skip=1), at.items.at(0, j)) for j in range(at.items.width)]
    low, high = setting("low"), setting("high")

    def formula(i: int, j: int) -> str:
        (p, user_bias), (q, item_bias) = users[i], items[j]
        z = f"{setting('offset')}+MMULT({p},{q})+{user_bias}+{item_bias}"
        return f"IF({setting('sigmoid')}=1,{low}+({high}-{low})*(1+TANH(({z})/2))/2,{z})"

    sheet.formulas(at.scores, formula, epoch.scores, "score")


def _write_figures(sheet: Sheet, at: Band, epoch: Epoch) -> None:
    """Train RMSE, test RMSE (a dash without test ratings) and loss, below the band's name."""
    squares = f"(ratings-{at.scores.all})^2"
    penalty = f"SUMSQ({at.users.all})+SUMSQ({at.items.all})"
    lines = (
        ("train RMSE", rmse(1, f"ratings-{at.scores.all}"), dashed(epoch.train)),
        ("test RMSE", rmse(2, f"ratings-{at.scores.all}"), dashed(epoch.test)),
        ("loss", f"SUMPRODUCT((part=1)*{squares})/2+{setting('decay')}*({penalty})/2", epoch.loss),
    )
    for row, (name, formula, value) in enumerate(lines, start=at.top + 1):
        sheet.text(row, 0, name, "label")
        sheet.formula(row, 1, formula, value, "loss")


def rmse(part: int, errors: str) -> str:
    """The RMSE of the train (1) or test (2) cells; a dash where there are none."""
    return f'IF(COUNTIF(part,{part})=0,"–",SQRT(SUMPRODUCT((part={part})*({errors})^2)/COUNTIF(part,{part})))'


def dashed(value: float) -> float | str:
    """A number as a cell shows it: NaN is a dash."""
    return "–" if value != value else value


def _write_gradients(sheet: Sheet, at: Band, split: Split, epoch: Epoch) -> None:
    """Errors of train cells, and the gradients of the loss that are sums of them."""
    ratings = factor_places("dotprod", (at.scores.height, at.scores.width), at.users.width - 1).ratings
    low, high, decay, biases = (setting(name) for name in ("low", "high", "decay", "biases"))

    def push(i: int, j: int) -> str:
        r = at.scores.at(i, j)
        slope = f"IF({setting('sigmoid')}=1,({r}-{low})*({high}-{r})/({high}-{low}),1)"
        return f"IF(split!{split.part.at(i, j)}=1,(dotprod!{ratings.at(i, j)}-{r})*{slope},0)"

    def clipped(parameter: str, total: str, k: int) -> str:
        whole = f"{decay}*{parameter}+MEDIAN(-gradient_clip,-{total},gradient_clip)"
        return whole if k else f"{biases}*({whole})"

    def by_user(i: int, k: int) -> str:
        pushes = at.push.row(i)
        total = f"SUMPRODUCT({pushes},{at.items.row(k)})" if k else f"SUM({pushes})"
        return clipped(at.users.at(i, k), total, k)

    def by_item(k: int, j: int) -> str:
        pushes = at.push.column(j)
        total = f"SUMPRODUCT({pushes},{at.users.column(k)})" if k else f"SUM({pushes})"
        return clipped(at.items.at(k, j), total, k)

    sheet.formulas(at.push, push, epoch.push, "plain")
    sheet.formulas(at.user_gradient, by_user, epoch.user_gradient, "gradient")
    sheet.formulas(at.item_gradient, by_item, epoch.item_gradient.T, "gradient")


def curve(epochs: list[Epoch]) -> np.ndarray:
    """(epochs, 3): train RMSE, test RMSE, loss."""
    return np.array([[epoch.train, epoch.test, epoch.loss] for epoch in epochs])
