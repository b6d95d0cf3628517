"""Optimizers on a straight line in a workbook: every step of basic SGD, momentum, Adagrad, RMSProp, Adam and AdamW."""

from __future__ import annotations

from pathlib import Path as File

import numpy as np

from ._intro import Tour, intro
from ._optimizer_sheet import ANGLES, LEVELS, N, dress, write_optimizer
from ._optimizers import INTERCEPT, N_EPOCHS, OPTIMIZERS, SLOPE, START, X, contours
from ._sheet import Block, Book, Sheet

NOTICE = {
    "basic_sgd": (
        "Raise the learning rate to 0.0002, then lower it to 0.00001. Type another start for b and a.",
        "The estimate by finite differences is near the derivative. The slope is learned at once, the intercept not.",
    ),
    "momentum": (
        "Set β to 0.98. Then give both forms the rate 0.0001.",
        "The gradient changes its sign from point to point; the direction much less.",
    ),
    "adagrad": (
        "Compare rates of 1, 5 and 10.",
        "Intercept and slope move equally fast; but the squares only grow, and the steps only shrink.",
    ),
    "rmsprop": (
        "Set β to 0.99, then 0.5.",
        "It does not come to rest: near the minimum the steps stay as long as the rate.",
    ),
    "adam": (
        "Set β₂ to 0.999, the usual value.",
        "Without the correction the first steps are too long: √(1-β₂) is much smaller than 1-β₁.",
    ),
    "adamw": (
        "Set the decay to 0 (both forms are one), then to 0.1.",
        "The same number decays a lot in AdamW, and hardly at all in L2: there the gradient's size divides it.",
    ),
}


def descent(path: str | File) -> File:
    """Write the workbook of optimizers: y = a·x + b on 29 points, one point per step, five epochs.

    Every optimizer's learning rate, β and the start are cells to change; each sheet draws the RMSE by epoch and the
    path over contour lines of the loss. The numbers are those of ``steps``.

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
    )
    tours = [
        Tour(
            "data",
            "The 29 points and the line they lie on; where the descent starts.",
            "Change the slope, or one y.",
            "All sheets start anew, and the contour lines move to the new minimum.",
        ),
        *(Tour(o.sheet, o.lead, *NOTICE[o.sheet]) for o in OPTIMIZERS),
        Tour(
            "compare",
            "All optimizers' RMSE, epoch by epoch.",
            "Tune each one's learning rate on its own sheet.",
            "A fair comparison tunes every rate: the default of one method is no good for another.",
        ),
        Tour(
            "contours",
            "Ellipses of equal loss, from the points alone.",
            "Change the levels.",
            "The valley is long and narrow because x is far from 0: its mean is larger than its spread.",
        ),
    ]
    lead = "What an optimizer does, from one derivative to AdamW. Read the sheets from left to right."
    colours = {
        "item": "the intercept b",
        "user": "the slope a",
        "score": "the prediction a·x + b",
        "wrong": "an error: how wrong one prediction is, or (RMSE) all of them",
        "gradient": "a derivative, or what an optimizer keeps of derivatives",
        "input": "yours to change: a number or a drop-down",
    }
    intro(book, "Gradient descent", lead, facts=facts, tours=tours, colours=colours)
    x, y = np.array(X, float), SLOPE * np.array(X, float) + INTERCEPT
    _write_data(book, x, y)
    paths = {optimizer.sheet: write_optimizer(book, optimizer, x, y) for optimizer in OPTIMIZERS}
    _write_compare(book, paths)
    _write_contours(book, x, y)
    return book.save(path)


def _write_data(book: Book, x: np.ndarray, y: np.ndarray) -> None:
    sheet = book.sheet("data", "The points", "y = a·x + b, exactly; the descent must find a and b.")
    cells = (("true slope a", SLOPE, "true_slope"), ("true intercept b", INTERCEPT, "true_intercept"))
    cells += (("start of a", START, "start_a"), ("start of b", START, "start_b"))
    for row, (label, value, name) in enumerate(cells, start=3):
        sheet.text(row, 3, label, "label")
        sheet.named_input(row, 4, value, name)
    xs, ys = Block("data", 4, 0, N, 1), Block("data", 4, 1, N, 1)
    sheet.text(3, 0, "x", "head")
    sheet.text(3, 1, "y", "head")
    sheet.values(xs, x[:, None], "input")
    sheet.formulas(ys, lambda i, _: f"true_slope*{xs.at(i)}+true_intercept", y[:, None], "score")
    book.name("x", xs.ref)
    book.name("y", ys.ref)
    chart = book.file.add_chart({"type": "scatter"})
    marker = {"type": "circle", "size": 6, "fill": {"color": "#8064A2"}, "border": {"none": True}}
    chart.add_series({"name": "points", "categories": f"={xs.ref}", "values": f"={ys.ref}", "marker": marker})
    dress(chart, "29 points on a line", "x", "y", legend=False)
    chart.set_size({"width": 560, "height": 360})
    sheet.page.insert_chart(9, 3, chart)
    sheet.widths((0, 1, 9), (2, 2, 3), (3, 3, 18), (4, 12, 9))
    sheet.finish(freeze=(4, 0))


def _write_contours(book: Book, x: np.ndarray, y: np.ndarray) -> None:
    """Ellipses of equal RMSE, in closed form from the points."""
    sheet = book.sheet(
        "contours", "Contour lines", "Where the RMSE exceeds its minimum by so much (√(RMSE² - minimum²))."
    )
    levels = np.array(LEVELS)
    b, a = contours(x, y, levels, np.radians(ANGLES))
    slope, n = np.polyfit(x, y, 1).round(12), len(ANGLES)
    figures = (
        ("best b", "INTERCEPT(y,x)", slope[1], "best_b"),
        ("best a", "SLOPE(y,x)", slope[0], "best_a"),
        ("mean of x", "AVERAGE(x)", x.mean(), "mean_x"),
        ("spread of x", "STDEVP(x)", x.std(), "spread_x"),
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
        sheet.value(3, 1 + 2 * k, level, "input")
        at = Block("contours", 5, 1 + 2 * k, n, 2)
        level_cell = Block("", 3, 1 + 2 * k, 1, 1).all.split(":")[0]
        sheet.text(4, 1 + 2 * k, "b", "head")
        sheet.text(4, 2 + 2 * k, "a", "head")
        _write_ellipse(sheet, at, level_cell, np.c_[b[:, k], a[:, k]])
    sheet.widths((0, 0, 11), (1, 12, 11))
    sheet.finish(freeze=(5, 1))


def _write_ellipse(sheet: Sheet, at: Block, level: str, values: np.ndarray) -> None:
    def formula(i: int, j: int) -> str:
        angle = f"RADIANS($A{at.top + i + 1})"
        if j:
            return f"best_a+{level}*SIN({angle})/spread_x"
        return f"best_b+{level}*(COS({angle})-mean_x*SIN({angle})/spread_x)"

    sheet.formulas(at, formula, values, "plain")


def _write_compare(book: Book, paths: dict[str, list[tuple[str, np.ndarray, Block]]]) -> None:
    """All forms' RMSE by epoch, side by side."""
    sheet = book.sheet("compare", "Compare", "RMSE over all 29 points after each epoch, on every sheet's own settings.")
    sheet.text(4, 0, "epoch", "head")
    for epoch in range(N_EPOCHS + 1):
        sheet.value(5 + epoch, 0, epoch, "centre")
    chart = book.file.add_chart({"type": "line"})
    forms = [(name, *form) for name, several in paths.items() for form in several]
    for column, (name, title, rmse, where) in enumerate(forms, start=1):
        sheet.text(3, column, name.replace("_", " "), "band")
        sheet.text(4, column, title, "head")
        block = Block("compare", 5, column, N_EPOCHS + 1, 1)
        sheet.formulas(block, lambda i, _, s=name, w=where: f"{s}!{w.at(i)}", rmse[:, None], "train")
        categories = Block("compare", 5, 0, N_EPOCHS + 1, 1).ref
        chart.add_series(
            {"name": f"{name.replace('_', ' ')}: {title}", "categories": f"={categories}", "values": f"={block.ref}"}
        )
    dress(chart, "RMSE by epoch (logarithmic)", "epoch", "RMSE", log=True)
    chart.set_legend({"position": "right"})
    chart.set_size({"width": 1000, "height": 420})
    sheet.page.insert_chart(13, 0, chart)
    sheet.page.set_row(4, 62)
    sheet.widths((0, 0, 8), (1, len(forms), 14))
    sheet.finish(freeze=(5, 1))
