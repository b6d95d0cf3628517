"""The sheets *learn* and *outcome*: the descent's settings and curves, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._crosstab import Crosstab, Epoch, Settings
from ._epochs import Band, band
from ._factors import TOP
from ._sheet import Block, Book, Sheet

SETTINGS_TOP, CURVE_TOP = 4, 20  # on *learn*
CHART_TOP = 6  # the first row of the chart's table on *outcome*
LABEL = 30  # characters of a title in the chart

HELP = {
    "learning_rate": "how far each step goes along the direction",
    "momentum": "how much of the last direction is kept (0: plain gradient descent)",
    "weight_decay": "the L2 penalty on all biases and factors",
    "initial_scale": "the draws are multiplied by this at the start",
    "squashing": "none, or a sigmoid between the limits below",
    "padding": "how far those limits lie outside the ratings' range",
    "test_share": "which part of the ratings is kept for testing",
}


def write_learn(
    book: Book,
    table: Crosstab,
    settings: Settings,
    epochs: list[Epoch],
    rates: Sequence[float],
    y_range: tuple[float, float],
) -> None:
    """The sheet *learn*: drop-downs, train and test RMSE by epoch, their chart and that of the factors."""
    lead = "Gradient descent on the sheet itself: change a yellow cell and the whole descent is computed anew."
    sheet = book.sheet("learn", "Learn", lead)
    _write_settings(sheet, settings, rates, y_range)
    _write_summary(sheet, epochs)
    k1 = epochs[0].users.shape[1]
    for column, head in enumerate(("epoch", "train RMSE", "test RMSE", "loss")):
        sheet.text(CURVE_TOP - 1, column, head, "head")
    for e, epoch in enumerate(epochs):
        row, top = CURVE_TOP + e, band(table.ratings.shape, k1, e).top
        sheet.value(row, 0, e, "centre")
        for column, value in enumerate((epoch.train, epoch.test, epoch.loss), start=1):
            sheet.formula(row, column, f"epochs!$B${top + 1 + column}", value, ("", "train", "tested", "long")[column])
    sheet.page.insert_chart(3, 6, _loss_chart(book, len(epochs)))
    sheet.page.insert_chart(27, 6, factor_chart(book, len(table.titles)))
    sheet.widths((0, 0, 15), (1, 3, 12), (4, 4, 40), (5, 5, 2), (6, 16, 9))
    sheet.finish(freeze=(3, 0))


def _write_settings(sheet: Sheet, s: Settings, rates: Sequence[float], y_range: tuple[float, float]) -> None:
    offered = {
        "learning_rate": (s.lr, sorted({*rates, s.lr})),
        "momentum": (s.momentum, [0.0, 0.3, 0.5, 0.8, 0.9]),
        "weight_decay": (s.wd, [0.0, 0.01, 0.1, 0.3, 1.0, 2.0, 5.0]),
        "initial_scale": (s.scale, [0.01, 0.05, 0.1, 0.5, 1.0, 2.0]),
        "squashing": ("sigmoid" if s.squash else "none", ["none", "sigmoid"]),
        "padding": (s.pad, [0.0, 0.1, 0.25, 0.5, 1.0]),
        "test_share": (s.test_share, [0.1, 0.2, 0.3, 0.5]),
    }
    sheet.band(SETTINGS_TOP - 1, 0, 5, "settings")
    row = SETTINGS_TOP
    for name, (value, options) in offered.items():
        sheet.text(row, 0, name.replace("_", " "), "label")
        sheet.choose(row, 1, value, options, name)
        sheet.text(row, 2, HELP[name], "lead")
        row += 1
    sheet.text(row, 0, "ratings from, to", "label")
    sheet.named_input(row, 1, y_range[0], "scale_low")
    sheet.named_input(row, 2, y_range[1], "scale_high")
    sheet.text(row + 1, 0, "sigmoid from, to", "label")
    for column, (name, end, sign, formula) in enumerate(
        (("y_low", 0, -1, "scale_low-padding"), ("y_high", 1, 1, "scale_high+padding")), start=1
    ):
        sheet.formula(row + 1, column, formula, y_range[end] + sign * s.pad, "plain")
        sheet.book.name(name, Block(sheet.name, row + 1, column, 1, 1).fixed())
    sheet.text(row + 2, 0, "gradient clip", "label")
    sheet.named_input(row + 2, 1, s.clip, "gradient_clip")
    sheet.text(row + 2, 2, "gradients are held within ± this: too high a rate gives big numbers, no errors", "lead")


def _write_summary(sheet: Sheet, epochs: list[Epoch]) -> None:
    """One line: where train and test RMSE begin, end, and where the test's is lowest."""
    row, n = 15, len(epochs)
    train, test = (Block("learn", CURVE_TOP, column, n, 1) for column in (1, 2))
    for column, head in enumerate(("", "at the start", "at the end", "lowest")):
        sheet.text(row, column, head, "head")
    for r, (name, block, values) in enumerate(
        (("train", train, [e.train for e in epochs]), ("test", test, [e.test for e in epochs])), start=row + 1
    ):
        sheet.text(r, 0, f"{name} RMSE", "label")
        for column, (where, value) in enumerate(
            (
                (block.at(0), values[0]),
                (block.at(n - 1), values[-1]),
                (f"MIN({block.all})", float(np.nan_to_num(min(values)))),
            ),
            start=1,
        ):
            sheet.formula(r, column, where, value, "loss")
        sheet.book.name(f"rmse_{name}", Block("learn", r, 2, 1, 1).fixed())


def _loss_chart(book: Book, n: int):
    chart = book.file.add_chart({"type": "line"})
    for column, name, colour in ((1, "train", "#C00000"), (2, "test", "#BF9000")):
        chart.add_series(
            {
                "name": f"{name} RMSE",
                "categories": "=" + Block("learn", CURVE_TOP, 0, n, 1).ref,
                "values": "=" + Block("learn", CURVE_TOP, column, n, 1).ref,
                "line": {"color": colour, "width": 2.25},
            }
        )
    chart.set_title({"name": "Loss by epoch", "name_font": {"size": 12}})
    chart.set_x_axis({"name": "epoch", "interval_unit": 5, "interval_tick": 5, "position_axis": "on_tick"})
    grid = {"visible": True, "line": {"color": "#D9D9D9"}}
    chart.set_y_axis({"name": "RMSE", "min": 0, "num_format": "0.0", "major_gridlines": grid})
    chart.set_legend({"position": "top"})
    chart.set_size({"width": 680, "height": 430})
    return chart


def factor_chart(book: Book, n_items: int):
    """Items by two of their factors, each a series of one point so that its title is its label everywhere."""
    chart = book.file.add_chart({"type": "scatter"})
    for j in range(n_items):
        point = Block("outcome", CHART_TOP + j, 0, 1, 3)
        chart.add_series(
            {
                "name": "=" + point.fixed(0, 0),
                "categories": "=" + Block("outcome", point.top, 1, 1, 1).ref,
                "values": "=" + Block("outcome", point.top, 2, 1, 1).ref,
                "marker": {"type": "circle", "size": 7, "fill": {"color": "#70AD47"}, "border": {"color": "#375623"}},
                "data_labels": {"series_name": True, "value": False, "position": "right", "font": {"size": 8}},
            }
        )
    chart.set_title({"name": "Items by two of their factors, after the last epoch", "name_font": {"size": 12}})
    grid = {"visible": True, "line": {"color": "#E5E5E5"}}
    chart.set_x_axis(
        {"name": "=outcome!$B$" + str(CHART_TOP), "major_gridlines": grid, "num_format": "0.0", "label_position": "low"}
    )
    chart.set_y_axis(
        {"name": "=outcome!$C$" + str(CHART_TOP), "major_gridlines": grid, "num_format": "0.0", "label_position": "low"}
    )
    chart.set_legend({"none": True})
    chart.set_size({"width": 680, "height": 500})
    return chart


def write_outcome(book: Book, table: Crosstab, last: Epoch, at: Band) -> None:
    """The sheet *outcome*: items by two factors; ratings, test cells marked, and the last predictions beside them."""
    lead = "After the last epoch. Gold: ratings kept for testing, never trained on. Blank ratings are predicted too."
    sheet = book.sheet("outcome", "Outcome", lead)
    (n_users, n_items), k = table.ratings.shape, last.items.shape[1] - 1
    top = CHART_TOP
    _write_chart_table(sheet, table, last, at, k)
    left = Block("outcome", top, 5, n_users, n_items)
    right = Block("outcome", top, 6 + n_items, n_users, n_items)
    for block, words in ((left, "ratings"), (right, "predictions")):
        sheet.band(top - 2, block.left, n_items, words)
        for j, title in enumerate(table.titles):
            sheet.text(top - 1, block.left + j, title, "turned")
    sheet.page.set_row(top - 1, 120)
    for i, label in enumerate(table.user_labels):
        sheet.value(top + i, 4, label, "centre")
    ratings = Block("dotprod", TOP, 1, n_users, n_items)

    def same(i: int, j: int) -> str:
        cell = f"dotprod!{ratings.at(i, j)}"
        return f'IF({cell}="","",{cell})'

    sheet.formulas(left, same, table.ratings, "rating")
    sheet.formulas(right, lambda i, j: f"epochs!{at.scores.at(i, j)}", last.scores, "score")
    for block in (left, right):
        sheet.mark(block, f"INDEX(part,ROW()-{top},COLUMN()-{block.left})=2", bg_color="#FFD966", bold=True)
    sheet.whiten(left)
    gap = right.left - 1
    sheet.widths((0, 0, 32), (1, 2, 9), (3, 3, 2), (4, 4, 8), (5, 5 + 2 * n_items, 5.2), (gap, gap, 2))
    sheet.finish(freeze=(top, 1))


def _write_chart_table(sheet: Sheet, table: Crosstab, last: Epoch, at: Band, k: int) -> None:
    top, names = CHART_TOP, [f"factor {f}" for f in range(1, k + 1)]
    second = min(2, k)
    sheet.text(2, 0, "factors on the chart (sheet learn)", "label")
    sheet.choose(2, 1, 1, list(range(1, k + 1)), "chart_across")
    sheet.choose(2, 2, second, list(range(1, k + 1)), "chart_up")
    sheet.text(top - 1, 0, "item", "head")
    block = at.items
    for column, (name, factor) in enumerate((("chart_across", 1), ("chart_up", second)), start=1):
        sheet.formula(top - 1, column, f'"factor "&{name}', names[factor - 1], "head")
        for j in range(block.width):
            cells = f"epochs!{block.column(j, skip=1)}"
            sheet.formula(top + j, column, f"INDEX({cells},{name})", float(last.items[j, factor]), "item")
    for j, title in enumerate(table.titles):
        sheet.text(top + j, 0, title if len(title) <= LABEL else title[: LABEL - 1] + "…")
