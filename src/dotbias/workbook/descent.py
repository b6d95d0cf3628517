"""Optimizers on a straight line in a workbook: every step of SGD, momentum, Adagrad, RMSProp, Adam; and AdamW."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ._decay import write_decay
from ._descent_exercises import tours
from ._intro import intro
from ._many_epochs import write_many_epochs
from ._optimizer_sheet import ANGLES, LEVELS, N, dress, start_name, write_optimizer
from ._optimizers import INTERCEPT, N_EPOCHS, OPTIMIZERS, SLOPE, START, DescentPath, X, contours
from ._sheet import Block, Book, Sheet


def descent(path: str | Path) -> Path:
    """Write the workbook of optimizers: y = a·x + b on 29 points, one point per step, five epochs.

    Every optimizer's learning rate, β and start are cells to change; each sheet draws the RMSE by epoch and the path
    over contour lines of the loss. Gradient descent and momentum go on for 500 epochs on a sheet of their own, and
    AdamW has noisy data where decay helps. The numbers are those of ``steps``.

    Args:
        path: the .xlsx file to write.

    Returns:
        The path written.

    Raises:
        SettingError: if the path cannot be written to.
        MissingExtraError: without xlsxwriter.
    """
    book = Book("Gradient descent, every step in a row")
    facts = (
        "The points lie on y = 2·x + 30. Each sheet starts from a = b = 1 and sees a point per row: 29 an epoch.",
        "Every number that is not yellow is a formula. There are no macros: five epochs are five times 29 rows.",
        "Five epochs more: copy the cells beside 'continue from here', and paste their values over the start.",
        "Undo (Ctrl+Z) after each exercise: the outcomes are those of one change to the file as written.",
    )
    lead = "What an optimizer does, from one derivative to AdamW. Read the sheets from left to right."
    colours = {
        "item": "the intercept b",
        "user": "the slope a",
        "score": "the prediction a·x + b",
        "wrong": "an error: how wrong one prediction is, or (RMSE) all of them",
        "gradient": "a derivative, or what an optimizer keeps of derivatives",
        "input": "yours to change: a number or a drop-down",
    }
    intro(book, "Gradient descent", lead, facts=facts, tours=tours(), colours=colours)
    x, y = np.array(X, float), SLOPE * np.array(X, float) + INTERCEPT
    _write_data(book, x, y)
    paths = {optimizer.sheet: write_optimizer(book, optimizer, x, y) for optimizer in OPTIMIZERS}
    write_decay(book)
    write_many_epochs(book, x, y)
    _write_compare(book, paths)
    _write_contours(book, x, y)
    return book.save(path)


def _write_data(book: Book, x: np.ndarray, y: np.ndarray) -> None:
    sheet = book.sheet("data", "The points", "y = a·x + b, exactly; the descent must find a and b.")
    cells = (("true slope a", SLOPE, "true_slope"), ("true intercept b", INTERCEPT, "true_intercept"))
    cells += (("start of a", START, "start_a"), ("start of b", START, "start_b"))
    for row, (label, value, name) in enumerate(cells, start=3):
        sheet.text(row, 8, label, "label")
        sheet.named_input(row, 9, value, name)
    xs, ys = Block("data", 4, 0, N, 1), Block("data", 4, 1, N, 1)
    for column, head in enumerate(("x", "y", "whole?", "x used", "y used", "counts")):
        sheet.text(3, column, head, "head")
    sheet.values(xs, x[:, None], "input")
    sheet.numbers_only(xs)
    line = 'IF(ISNUMBER({x}),true_slope*{x}+true_intercept,"")'
    sheet.formulas(ys, lambda i, _: line.format(x=xs.at(i)), y[:, None], "score")
    sheet.book.name("data_x", xs.ref)
    sheet.book.name("data_y", ys.ref)
    _write_used(sheet, xs, ys, x, y)
    chart = book.file.add_chart({"type": "scatter"})
    marker = {"type": "circle", "size": 6, "fill": {"color": "#8064A2"}, "border": {"none": True}}
    used = [Block("data", 4, 3 + k, N, 1).ref for k in (0, 1)]
    chart.add_series({"name": "points", "categories": f"={used[0]}", "values": f"={used[1]}", "marker": marker})
    dress(chart, "29 points on a line", "x", "y", legend=False)
    chart.set_size({"width": 520, "height": 360})
    sheet.page.insert_chart(9, 7, chart)
    sheet.widths((0, 5, 9), (6, 7, 3), (8, 8, 18), (9, 16, 9))
    sheet.finish(freeze=(4, 0), area=Block("data", 0, 0, N + 6, 16))


def _write_used(sheet: Sheet, xs: Block, ys: Block, x: np.ndarray, y: np.ndarray) -> None:
    """The points that the sheets use: the whole ones, and from the first again, so that an epoch has its 29 steps."""
    whole = Block("data", 4, 2, N, 1)
    number = 'IF(COUNT({x},{y})=2,{k},"")'
    sheet.formulas(
        whole, lambda i, _: number.format(x=xs.at(i), y=ys.at(i), k=i + 1), np.arange(1.0, N + 1)[:, None], "whole"
    )

    def used(k: int, j: int) -> str:
        order = f"SMALL({whole.all},MOD({k},COUNT({whole.all}))+1)"
        if j == 2:
            return f"IF({k}<COUNT({whole.all}),1,0)"
        return f"IFERROR(INDEX({(xs, ys)[j].all},{order}),0)"

    block = Block("data", 4, 3, N, 3)
    sheet.formulas(block, used, np.c_[x, y, np.ones(N)], "whole")
    for j, name in enumerate(("x", "y", "counts")):
        sheet.book.name(name, block._replace(left=block.left + j, width=1).ref)
    sheet.text(N + 4, 0, "A point without x or y is left out; the others come round again.", "lead")


def _write_contours(book: Book, x: np.ndarray, y: np.ndarray) -> None:
    """Ellipses of equal RMSE, in closed form from the points."""
    sheet = book.sheet(
        "contours", "Contour lines", "Where the RMSE exceeds its minimum by so much (√(RMSE² - minimum²))."
    )
    levels = np.array(LEVELS)
    b, a = contours(x, y, levels, np.radians(ANGLES))
    slope, n = np.polyfit(x, y, 1).round(12), len(ANGLES)
    count = "MAX(1,SUM(counts))"
    figures = (
        ("mean of x", f"SUMPRODUCT(counts*x)/{count}", x.mean(), "mean_x"),
        ("spread of x", f"SQRT(MAX(1E-12,SUMPRODUCT(counts*(x-mean_x)^2)/{count}))", x.std(), "spread_x"),
        ("best a", f"SUMPRODUCT(counts*(x-mean_x)*y)/{count}/spread_x^2", slope[0], "best_a"),
        ("best b", f"SUMPRODUCT(counts*y)/{count}-best_a*mean_x", slope[1], "best_b"),
    )
    for k, (label, formula, value, name) in enumerate(figures):
        sheet.text(2, 2 * k, label, "label")
        sheet.formula(2, 1 + 2 * k, formula, float(value), "score")
        book.name(name, Block("contours", 2, 1 + 2 * k, 1, 1).fixed())
    sheet.text(3, 0, "level", "label")
    sheet.text(4, 0, "angle", "head")
    for row, angle in enumerate(ANGLES.tolist(), start=5):
        sheet.value(row, 0, angle, "plain")
    for k, level in enumerate(LEVELS):
        sheet.named_input(3, 1 + 2 * k, level, f"level_{k + 1}")
        at = Block("contours", 5, 1 + 2 * k, n, 2)
        sheet.text(4, 1 + 2 * k, "b", "head")
        sheet.text(4, 2 + 2 * k, "a", "head")
        _write_ellipse(sheet, at, f"N(level_{k + 1})", np.c_[b[:, k], a[:, k]])
    sheet.widths((0, 0, 11), (1, 12, 11))
    sheet.finish(freeze=(5, 1))


def _write_ellipse(sheet: Sheet, at: Block, level: str, values: np.ndarray) -> None:
    def formula(i: int, j: int) -> str:
        angle = f"RADIANS($A{at.top + i + 1})"
        if j:
            return f"best_a+{level}*SIN({angle})/spread_x"
        return f"best_b+{level}*(COS({angle})-mean_x*SIN({angle})/spread_x)"

    sheet.formulas(at, formula, values, "plain")


def _write_compare(book: Book, paths: dict[str, list[tuple[str, DescentPath, Block, Block]]]) -> None:
    """All forms' RMSE and intercept by epoch, side by side, on every sheet's own settings."""
    lead = "After each epoch, with every sheet's own settings: RMSE over all points, and the intercept (30 is right)."
    sheet = book.sheet("compare", "Compare", lead)
    forms = [(name, k, *form) for name, several in paths.items() for k, form in enumerate(several)]
    for part, (words, log) in enumerate((("RMSE", True), ("intercept b", False))):
        top = 5 + part * (N_EPOCHS + 5)
        sheet.text(top - 1, 0, "epoch", "head")
        sheet.page.set_row(top - 1, 62)
        for epoch in range(N_EPOCHS + 1):
            sheet.value(top + epoch, 0, epoch, "centre")
        chart = book.file.add_chart({"type": "line"})
        for column, (name, k, title, path, rmse, ends) in enumerate(forms, start=1):
            sheet.text(top - 2, column, name.replace("_", " "), "band")
            sheet.text(top - 1, column, title, "head")
            _write_column(sheet, chart, (top, column), path, (rmse, ends)[part], name, title, k, b=bool(part))
        title = "RMSE by epoch (logarithmic)" if log else "Intercept b by epoch"
        dress(chart, title, "epoch", words, log=log)
        chart.set_legend({"position": "bottom", "font": {"size": 8}})
        chart.set_size({"width": 760, "height": 400})
        sheet.page.insert_chart(5 + 2 * (N_EPOCHS + 5), 8 * part, chart)
    sheet.widths((0, 0, 8), (1, len(forms), 14))
    sheet.finish(freeze=(3, 1))


def _write_column(
    sheet: Sheet,
    chart: Any,
    at: tuple[int, int],
    path: DescentPath,
    where: Block,
    name: str,
    title: str,
    number: int,
    *,
    b: bool,
) -> None:
    """One form's RMSE or intercept by epoch, as a column and a line of the chart."""
    block = Block("compare", *at, N_EPOCHS + 1, 1)
    values = path.rmse if not b else np.r_[START, path.after[N - 1 :: N, 0]]

    def formula(i: int, _: int) -> str:
        if not b:
            return f"{name}!{where.at(i)}"
        return f"{name}!{where.at(N * i - 1)}" if i else start_name(name, number, "b")

    sheet.formulas(block, formula, values[:, None], "item" if b else "train")
    epochs = Block("compare", at[0], 0, N_EPOCHS + 1, 1).ref
    words = f"{name.replace('_', ' ')}: {title}"
    chart.add_series({"name": words, "categories": f"={epochs}", "values": f"={block.ref}"})
