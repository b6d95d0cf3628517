"""The sheet *epochs_500*: gradient descent and momentum over 500 epochs, a row each.

An epoch of either is a linear map of (b, a), or of (b, a and their directions), and a shift: the sheet walks one epoch
from 0 and from each unit vector, reads the map off where they end, and then applies it 500 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._optimizer_sheet import dress, rmse_formula, start_name
from ._optimizers import OPTIMIZERS, START, Form, epoch_map, many_epochs
from ._sheet import Block, Book, Sheet

N = 500
TOP = 6
WALKS = 12  # the first column of the walks from 0 and the unit vectors, below the chart
WALK_TOP = TOP + 25
NAMES = ("b", "a", "direction of b", "direction of a")
KINDS = (("basic_sgd", "gradient descent", 2, 1), ("momentum", "momentum, the course's form", 4, 5))


def form_of(sheet: str) -> tuple[Form, dict[str, float]]:
    """The left form of a sheet, and its settings."""
    optimizer = next(o for o in OPTIMIZERS if o.sheet == sheet)
    return optimizer.forms[0], {name: setting.value for name, setting in optimizer.settings.items()}


def write_many_epochs(book: Book, x: np.ndarray, y: np.ndarray) -> None:
    """The sheet, with the rates and β of *basic_sgd* and *momentum* and their starts."""
    lead = "Rates and β are those of basic_sgd and momentum (left). Five epochs are steep; then the valley is long."
    sheet = book.sheet("epochs_500", "Five hundred epochs", lead)
    sheet.text(TOP - 1, 0, "epoch", "head")
    sheet.page.set_row(TOP - 1, 32)
    for epoch in range(N + 1):
        sheet.value(TOP + epoch, 0, epoch, "centre")
    left = WALKS
    for name, words, size, column in KINDS:
        ends = epoch_map(*form_of(name), x=x, y=y, size=size)
        found = _write_walks(sheet, name, words, left, size, x, y)
        _write_epochs(sheet, name, words, column, found, many_epochs(ends, (START, START), N), x, y)
        left += size * (size + 1) + 1
    sheet.page.insert_chart(2, WALKS, _chart(book))
    sheet.widths((0, 0, 8), (1, WALKS - 2, 10.5), (WALKS - 1, WALKS - 1, 2), (WALKS, left, 9))
    sheet.scientific(Block("epochs_500", TOP, 1, N + 1, left))
    sheet.finish(freeze=(TOP, 1), area=Block("epochs_500", 0, 0, TOP + 60, left - 1), wide=2)


def _write_walks(sheet: Sheet, name: str, words: str, left: int, size: int, x: np.ndarray, y: np.ndarray) -> Block:
    """One epoch from 0 and from each unit vector, point by point; returns where they end, (1, (size + 1) · size)."""
    walks = Block("epochs_500", WALK_TOP, left, len(x) + 1, size * (size + 1))
    sheet.band(WALK_TOP - 3, left, walks.width, f"{words}: one epoch from 0 and from each 1")
    values = _walk(name, size, x, y)
    rate, beta = ("sgd_rate", "0") if size == 2 else ("momentum_rate", "momentum_beta")

    def formula(t: int, c: int) -> str:
        start, k = divmod(c, size)
        if t == 0:
            return "1" if start == k + 1 else "0"
        b, a = (walks.at(t - 1, start * size + j) for j in (0, 1))
        point = f"INDEX(x,{t})"
        gradient = f"2*({a}*{point}+{b}-INDEX(y,{t}))" + (f"*{point}" if k % 2 else "")
        old = walks.at(t - 1, start * size + k)
        if size == 2:
            return f"{old}-{rate}*{gradient}"
        if k >= 2:
            return f"{beta}*{old}+(1-{beta})*{gradient}"
        return f"{old}-{rate}*{walks.at(t, start * size + k + 2)}"

    for start in range(size + 1):
        sheet.text(
            WALK_TOP - 2, left + start * size, "from 0" if start == 0 else f"{NAMES[start - 1]} = 1", "label_left"
        )
        for k in range(size):
            sheet.text(WALK_TOP - 1, left + start * size + k, NAMES[k], "head")
    sheet.formulas(walks, formula, values, "plain")
    return walks._replace(top=WALK_TOP + len(x), height=1)


def _walk(name: str, size: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n + 1, (size + 1) · size): all walks, the start first."""
    form, settings = form_of(name)
    rows = [np.r_[np.zeros((1, size)), np.eye(size)].ravel()]
    for t in range(len(x)):
        rows.append(_one(form, settings, rows[-1].reshape(-1, size), float(x[t]), float(y[t])).ravel())
    return np.array(rows)


def _one(form: Form, settings: dict[str, float], states: np.ndarray, x: float, y: float) -> np.ndarray:
    """Every state (starts, size) one point later."""
    chosen = {argument: settings[cell] for argument, cell in form.arguments.items()}
    error = states[:, 1] * x + states[:, 0] - y
    new = states.copy()
    for k, gradient in enumerate((2 * error, 2 * error * x)):
        kept = {"d": states[:, k + 2]} if states.shape[1] == 4 else {}
        new[:, k], after = form.rule(states[:, k], gradient, kept, **chosen)
        if kept:
            new[:, k + 2] = after["d"]
    return new


def _write_epochs(
    sheet: Sheet, name: str, words: str, left: int, ends: Block, values: np.ndarray, x: np.ndarray, y: np.ndarray
) -> None:
    """Columns of the state and of its RMSE, a row per epoch: new = where 0 ends + Σ old · (where its 1 ends - that)."""
    size = values.shape[1]
    block = Block("epochs_500", TOP, left, N + 1, size)
    sheet.band(TOP - 3, left, size + 1, words)
    cells = [[ends.fixed(0, start * size + k).split("!")[1] for k in range(size)] for start in range(size + 1)]

    def formula(t: int, k: int) -> str:
        if t == 0:
            return start_name(name, 0, NAMES[k]) if k < 2 else "0"
        parts = [f"{block.at(t - 1, j)}*({cells[j + 1][k]}-{cells[0][k]})" for j in range(size)]
        return "+".join([cells[0][k], *parts])

    sheet.formulas(block, formula, values, "plain")
    rmse = np.sqrt(np.mean((values[:, 1:2] * x + values[:, :1] - y) ** 2, axis=1))
    curve = block._replace(left=left + size, width=1)
    sheet.formulas(curve, lambda t, _: rmse_formula(block.at(t, 1), block.at(t, 0)), rmse[:, None], "train")
    for k, head in enumerate((*NAMES[:size], "RMSE")):
        sheet.text(TOP - 1, left + k, head, "head")
    sheet.book.name(f"rmse_500_{name}", curve.fixed(N))
    sheet.book.name(f"end_500_{name}", block._replace(top=TOP + N, height=1, width=2).ref)


def _chart(book: Book) -> Any:
    chart = book.file.add_chart({"type": "scatter", "subtype": "straight"})
    epochs = Block("epochs_500", TOP, 0, N + 1, 1).ref
    for (_, words, size, left), colour in zip(KINDS, ("#C00000", "#7030A0"), strict=True):
        curve = Block("epochs_500", TOP, left + size, N + 1, 1).ref
        look = {"line": {"color": colour, "width": 2}}
        chart.add_series({"name": words, "categories": f"={epochs}", "values": f"={curve}", **look})
    dress(chart, "RMSE over all points, 500 epochs (logarithmic)", "epoch", "RMSE", log=True)
    chart.set_size({"width": 760, "height": 420})
    return chart
