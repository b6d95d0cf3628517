"""One optimizer's sheet: settings, RMSE by epoch, its path over contour lines, and every step as a row of formulas."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ._optimizers import (
    N_EPOCHS,
    NUDGE,
    OPTIMIZERS,
    START,
    DescentPath,
    Form,
    SheetOptimizer,
    X,
    estimates,
    heading,
    run,
)
from ._sheet import Block, Book, Sheet

TOP = 6  # the first step's row
LEFT = 9  # the first column of the steps; charts lie before it
N = len(X)
T = N * N_EPOCHS
LEVELS, ANGLES = (2.0, 5.0, 10.0, 20.0, 30.0), np.arange(0, 361, 7.5)  # of the contour lines
BLUES = ("#08519C", "#3182BD", "#6BAED6", "#9ECAE1", "#C6DBEF")
REDS = ("#C00000", "#7030A0")


def write_optimizer(
    book: Book, optimizer: SheetOptimizer, x: np.ndarray, y: np.ndarray
) -> list[tuple[str, DescentPath, Block, Block]]:
    """One optimizer's sheet. Returns (title, path, where its RMSE by epoch and its new b stand) of each form."""
    sheet = book.sheet(optimizer.sheet, optimizer.title, optimizer.lead)
    _write_settings(sheet, optimizer)
    settings = {name: setting.value for name, setting in optimizer.settings.items()}
    _write_points(sheet, x, y)
    left, done, columns = LEFT + 3, [], []
    for k, form in enumerate(optimizer.forms):
        path = run(form, settings, x=x, y=y)
        first = left
        left = _write_form(
            sheet, form, path, left, k, nudges=estimates(path, x, y) if optimizer.sheet == "basic_sgd" else None
        )
        columns.append((form.title, first, left - 2))
        where = _write_rmse(sheet, form, path, k, left - 2)
        start = Block(sheet.name, TOP, left - 2, T, 1)  # new b
        done.append((form.title, path, where, start))
        _write_end(sheet, path, k, left - 2)
        left += 1
    sheet.page.insert_chart(TOP + 11, 0, _rmse_chart(book, sheet.name, done))
    sheet.page.insert_chart(TOP + 27, 0, _path_chart(book, sheet.name, columns))
    sheet.page.set_row(2, 32)
    sheet.page.set_row(TOP - 1, 32)
    sheet.widths((0, 7, 11), (8, 8, 2), (LEFT, LEFT + 2, 6), (LEFT + 3, left, 12))
    sheet.widths(*[(first - 1, first - 1, 2) for _, first, _ in columns[1:]])
    steps = Block(sheet.name, TOP, LEFT, T, left - LEFT - 1)
    sheet.mark(steps, f"MOD(${steps.at()},{N})=0", bottom=1, bottom_color="#1F3864")
    sheet.scientific(steps._replace(top=TOP, left=1, width=left))
    sheet.finish(freeze=(TOP, 0), area=Block(sheet.name, 0, 0, TOP + 2 * N, left - 1), wide=len(optimizer.forms))
    return done


def side(optimizer: SheetOptimizer, k: int) -> str:
    """What a form is called where it stands beside another: left, right, or nothing."""
    return ("left", "right")[k] if len(optimizer.forms) > 1 else ""


def start_name(sheet: str, k: int, p: str) -> str:
    """The name of the cell from which form k starts, as a number."""
    return f"{sheet}_start_{p}{k + 1}"


def _write_settings(sheet: Sheet, optimizer: SheetOptimizer) -> None:
    """Drop-downs, and where each form starts; below each the number that is used (0 for a text)."""
    for column, (name, setting) in enumerate(optimizer.settings.items()):
        sheet.text(2, column, setting.label, "head")
        sheet.choose(3, column, setting.value, setting.options, f"{name}_choice")
        sheet.used(4, column, setting.value, name)
    left = len(optimizer.settings)
    for k in range(len(optimizer.forms)):
        for j, p in enumerate("ba"):
            column = left + 2 * k + j
            sheet.text(2, column, f"start of {p} {side(optimizer, k)}".strip(), "head")
            sheet.formula(3, column, f"start_{p}", START, "input")
            sheet.numbers_only(Block(sheet.name, 3, column, 1, 1))
            sheet.used(4, column, START, start_name(sheet.name, k, p))
        sheet.book.name(f"{sheet.name}_start{k + 1}", Block(sheet.name, 3, left + 2 * k, 1, 2).ref)


def _write_end(sheet: Sheet, path: DescentPath, k: int, new_b: int) -> None:
    """Where the last step ends, to be copied and pasted as values over the start: five epochs more."""
    row = TOP + N_EPOCHS + 2
    optimizer = next(o for o in OPTIMIZERS if o.sheet == sheet.name)
    left = max(len(optimizer.settings), 3) + 2 * k
    if k == 0:
        sheet.text(row, 0, "continue from here:", "words")
        sheet.text(row + 1, 0, "copy b, a; paste their values over the start", "lead")
    for j in range(2):
        sheet.text(row - 1, left + j, f"{'ba'[j]} {side(optimizer, k)}".strip(), "head")
        end = Block(sheet.name, TOP + T - 1, new_b + j, 1, 1).at()
        sheet.formula(row, left + j, end, float(path.after[-1, j]), ("item", "user")[j])
    sheet.book.name(f"{sheet.name}_end{k + 1}", Block(sheet.name, row, left, 1, 2).ref)


def _write_points(sheet: Sheet, x: np.ndarray, y: np.ndarray) -> None:
    """Step number, x and y of each row; a line under each epoch."""
    for column, head in enumerate(("step", "x", "y"), start=LEFT):
        sheet.text(TOP - 1, column, head, "head")
    data = Block("data", 4, 3, N, 2)  # the points used
    for t in range(T):
        sheet.value(TOP + t, LEFT, t + 1, "centre")
    for k, values in enumerate((x, y)):
        block = Block(sheet.name, TOP, LEFT + 1 + k, T, 1)
        sheet.formulas(
            block, lambda t, _, k=k: f"data!{data.at(t % N, k)}", np.tile(values, N_EPOCHS)[:, None], "whole"
        )


def _write_form(
    sheet: Sheet, form: Form, path: DescentPath, left: int, number: int, *, nudges: tuple[np.ndarray, np.ndarray] | None
) -> int:
    """The columns of one form from ``left`` on: b, a, prediction, error², derivatives, state, new b, new a.

    Returns:
        The column after the last.
    """
    name = sheet.name
    x, y = Block(name, TOP, LEFT + 1, T, 1), Block(name, TOP, LEFT + 2, T, 1)
    heads = ["b", "a", "prediction", "error²"]
    if nudges:
        heads += ["error² at b+0.01", "≈ de/db", "error² at a+0.01", "≈ de/da"]
    kept = dict.fromkeys(heading(s, p) for s, _ in form.columns for p in "ba")
    heads += ["de/db", "de/da", *kept, "new b", "new a"]
    sheet.band(TOP - 2, left, len(heads), form.title)
    for k, head in enumerate(heads):
        sheet.text(TOP - 1, left + k, head, "head")
    at = {head: Block(name, TOP, left + k, T, 1) for k, head in enumerate(heads)}
    for k, p in enumerate("ba"):
        new = at[f"new {p}"]
        sheet.formulas(
            at[p],
            lambda t, _, p=p, n=new: n.at(t - 1) if t else start_name(name, number, p),
            path.before[:, k : k + 1],
            "user" if p == "a" else "item",
        )
    guess, de_db = at["prediction"], at["de/db"]
    sheet.formulas(guess, lambda t, _: f"{at['a'].at(t)}*{x.at(t)}+{at['b'].at(t)}", path.prediction[:, None], "score")
    sheet.formulas(at["error²"], lambda t, _: f"({guess.at(t)}-{y.at(t)})^2", path.error2[:, None], "wrong")
    if nudges:
        _write_estimates(sheet, at, x, y, nudges)
    sheet.formulas(de_db, lambda t, _: f"2*({guess.at(t)}-{y.at(t)})", path.gradient[:, :1], "gradient")
    sheet.formulas(at["de/da"], lambda t, _: f"{de_db.at(t)}*{x.at(t)}", path.gradient[:, 1:], "gradient")
    for k, p in enumerate("ba"):
        _write_parameter(sheet, form, path, at, p, k)
    return left + len(heads)


def _write_estimates(
    sheet: Sheet, at: dict[str, Block], x: Block, y: Block, nudges: tuple[np.ndarray, np.ndarray]
) -> None:
    """The course's finite differences: the squared error a little further along, and the slope to it."""
    lines = (
        ("b", lambda t: f"{at['a'].at(t)}*{x.at(t)}+({at['b'].at(t)}+{NUDGE})"),
        ("a", lambda t: f"({at['a'].at(t)}+{NUDGE})*{x.at(t)}+{at['b'].at(t)}"),
    )
    for k, (p, line) in enumerate(lines):
        moved, slope = at[f"error² at {p}+0.01"], at[f"≈ de/d{p}"]
        values = [nudge[:, k : k + 1] for nudge in nudges]
        sheet.formulas(moved, lambda t, _, line=line: f"({line(t)}-{y.at(t)})^2", values[0], "wrong")
        sheet.formulas(slope, lambda t, _, m=moved: f"({m.at(t)}-{at['error²'].at(t)})/{NUDGE}", values[1], "gradient")


def _write_parameter(sheet: Sheet, form: Form, path: DescentPath, at: dict[str, Block], p: str, k: int) -> None:
    """The kept columns and the new value of one parameter, from the form's templates."""
    kept = {name: at[heading(name, p)] for name, _ in form.columns}

    def cell(template: str, t: int) -> str:
        words = {"p": at[p].at(t), "g": at[f"de/d{p}"].at(t), "t": Block("", TOP, LEFT, T, 1).at(t)}
        words |= {name: block.at(t) for name, block in kept.items()}
        words |= {f"{name}0": block.at(t - 1) if t else "0" for name, block in kept.items()}
        return _named(template, form).format(**words)

    for name, template in form.columns:
        if name == "r" and p == "a":
            continue  # one rate for both
        sheet.formulas(kept[name], lambda t, _, f=template: cell(f, t), path.state[name][:, k : k + 1], "gradient")
    style = "user" if p == "a" else "item"
    sheet.formulas(at[f"new {p}"], lambda t, _: cell(form.new, t), path.after[:, k : k + 1], style)


def _named(template: str, form: Form) -> str:
    """``<lr>`` -> the name of the cell that sets it."""
    return re.sub(r"<(\w+)>", lambda match: form.arguments[match[1]], template)


def _write_rmse(sheet: Sheet, form: Form, path: DescentPath, k: int, new_b: int) -> Block:
    """RMSE over all points at the start and after each epoch, with the a and b reached; its block (epochs + 1, 1)."""
    left, name = 1 + k, sheet.name
    if k == 0:
        sheet.text(TOP - 1, 0, "epoch", "head")
        for epoch in range(N_EPOCHS + 1):
            sheet.value(TOP + epoch, 0, epoch, "centre")
    sheet.text(TOP - 1, left, "RMSE" if len(_forms(name)) == 1 else f"RMSE {('left', 'right')[k]}", "head")
    for epoch, rmse in enumerate(path.rmse.tolist()):
        row = TOP + N * epoch - 1
        cells = (Block(name, row, new_b + j, 1, 1).at() for j in (0, 1))
        b, a = cells if epoch else (start_name(name, k, p) for p in "ba")
        sheet.formula(TOP + epoch, left, rmse_formula(a, b), rmse, "train")
    sheet.book.name(f"{name}_rmse{k + 1}", Block(name, TOP + N_EPOCHS, left, 1, 1).fixed())
    return Block(name, TOP, left, N_EPOCHS + 1, 1)


def rmse_formula(a: str, b: str) -> str:
    """RMSE over all points of the line a·x + b; a point that comes twice in an epoch counts once."""
    return f"SQRT(SUMPRODUCT(counts*({a}*x+{b}-y)^2)/MAX(1,SUM(counts)))"


def _forms(sheet: str) -> tuple[Form, ...]:
    return next(optimizer.forms for optimizer in OPTIMIZERS if optimizer.sheet == sheet)


def dress(chart: Any, title: str, across: str, up: str, *, legend: bool = True, log: bool = False) -> None:
    grid = {"visible": True, "line": {"color": "#E5E5E5"}}
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_x_axis({"name": across, "label_position": "low", "major_gridlines": {"visible": False} if log else grid})
    chart.set_y_axis({"name": up, "label_position": "low", "major_gridlines": grid} | ({"log_base": 10} if log else {}))
    chart.set_legend({"position": "bottom"} if legend else {"none": True})


def _rmse_chart(book: Book, sheet: str, forms: list[tuple[str, DescentPath, Block, Block]]) -> Any:
    chart = book.file.add_chart({"type": "line"})
    for (title, _, where, _), colour in zip(forms, REDS, strict=False):
        epochs = Block(sheet, TOP, 0, N_EPOCHS + 1, 1).ref
        look = {
            "line": {"color": colour, "width": 2.25},
            "marker": {"type": "circle", "size": 5, "fill": {"color": colour}},
        }
        chart.add_series({"name": title, "categories": f"={epochs}", "values": f"={where.ref}", **look})
    dress(chart, "RMSE over all points, by epoch", "epoch", "RMSE")
    chart.set_size({"width": 660, "height": 330})
    return chart


def _path_chart(book: Book, sheet: str, forms: list[tuple[str, int, int]]) -> Any:
    """The way of (b, a) over contour lines of the loss."""
    chart = book.file.add_chart({"type": "scatter", "subtype": "straight"})
    n = len(ANGLES)
    for k, colour in enumerate(BLUES):
        b, a = (Block("contours", 5, 1 + 2 * k + j, n, 1).ref for j in (0, 1))
        name = f"=contours!{Block('', 3, 1 + 2 * k, 1, 1).all.split(':')[0]}"
        chart.add_series(
            {"name": name, "categories": f"={b}", "values": f"={a}", "line": {"color": colour, "width": 1}}
        )
    for (title, first, last), colour in zip(forms, REDS, strict=False):
        b, a = (Block(sheet, TOP, first + j, T, 1).ref for j in (0, 1))
        look = {
            "line": {"color": colour, "width": 1.25},
            "marker": {"type": "circle", "size": 3, "fill": {"color": colour}, "border": {"color": colour}},
        }
        chart.add_series({"name": title, "categories": f"={b}", "values": f"={a}", **look})
        end = [Block(sheet, TOP + T - 1, last + j, 1, 1).ref for j in (0, 1)]
        diamond = {"type": "diamond", "size": 10, "fill": {"color": colour}, "border": {"color": "#000000"}}
        chart.add_series(
            {
                "name": "end",
                "categories": f"={end[0]}",
                "values": f"={end[1]}",
                "marker": diamond,
                "line": {"none": True},
            }
        )
    best = [Block("contours", 2, column, 1, 1).ref for column in (7, 5)]  # b, a
    cross = {"type": "x", "size": 9, "border": {"color": "#000000", "width": 2}}
    chart.add_series(
        {
            "name": "minimum",
            "categories": f"={best[0]}",
            "values": f"={best[1]}",
            "marker": cross,
            "line": {"none": True},
        }
    )
    dress(chart, "The path over contour lines of the loss", "intercept b", "slope a")
    hide = [*range(len(BLUES)), *range(len(BLUES) + 1, len(BLUES) + 2 * len(forms), 2)]
    chart.set_legend({"position": "bottom", "delete_series": hide})
    chart.set_size({"width": 660, "height": 480})
    return chart
