"""The sheet *outcome*: ratings above both runs' last predictions, and a chart of the items by two of their factors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._crosstab import Crosstab
from ._descend import Epoch
from ._epochs import Band
from ._labels import item_chart
from ._sheet import Block, Book, Sheet

TOP = 6  # the first row of ratings
LEFT = 2  # their first column


def write_outcome(
    book: Book, table: Crosstab, part: np.ndarray, runs: Sequence[list[Epoch]], last: Sequence[Band]
) -> None:
    """Ratings, the predictions of A and of B, train and test; right of them, items by factors of A or B."""
    lead = "After the last epoch. Gold: kept for testing, never trained on. Unrated cells have predictions, too."
    sheet = book.sheet("outcome", "Outcome", lead)
    n_users, n_items = table.ratings.shape
    tall = n_users + 2
    blocks = [Block("outcome", TOP + k * tall, LEFT, n_users, n_items) for k in range(4)]
    words = ("ratings", "predictions of run A", "predictions of run B", "train or test")
    sheet.page.set_row(TOP - 1, 100)
    for j, title in enumerate(table.titles):
        sheet.text(TOP - 1, LEFT + j, title, "turned")
    for block, heading in zip(blocks, words, strict=True):
        sheet.band(block.top - (2 if block.top == TOP else 1), 0, LEFT + n_items, heading)
        for i, label in enumerate(table.user_labels):
            sheet.value(block.top + i, LEFT - 1, label, "centre")
    _write_blocks(sheet, blocks, table, part, runs, last)
    left = LEFT + n_items + 1
    _write_points(sheet, left, table, runs, last)
    sheet.widths((0, 0, 2), (1, 1, 9), (LEFT, left - 2, 5.4), (left - 1, left - 1, 2), (left, left, 30))
    sheet.widths((left + 1, left + 2, 10))
    sheet.scientific(Block("outcome", TOP, LEFT, 4 * tall, n_items + 3))
    bottom = max(blocks[-1].top + n_users, TOP + n_items + 30)
    sheet.finish(freeze=(3, 0), area=Block("outcome", 0, 0, bottom, left + 10))


def _write_blocks(
    sheet: Sheet,
    blocks: list[Block],
    table: Crosstab,
    part: np.ndarray,
    runs: Sequence[list[Epoch]],
    last: Sequence[Band],
) -> None:
    ratings, first, second, parts = blocks

    def same(i: int, j: int) -> str:
        cell = f"INDEX(ratings,{i + 1},{j + 1})"
        return f'IF({cell}="","",{cell})'

    sheet.formulas(ratings, same, table.ratings, "rating")
    for block, epochs, at in zip((first, second), runs, last, strict=True):
        sheet.formulas(block, lambda i, j, at=at: f"{at.scores.sheet}!{at.scores.at(i, j)}", epochs[-1].scores, "score")
    sheet.formulas(parts, lambda i, j: f"INDEX(part,{i + 1},{j + 1})", part, "part")
    for block in blocks:
        sheet.mark(block, f"{parts.at()}=2", bg_color="#FFD966", bold=True)
    sheet.whiten(ratings)


def _write_points(sheet: Sheet, left: int, table: Crosstab, runs: Sequence[list[Epoch]], last: Sequence[Band]) -> None:
    """Two factors of each item, of the run chosen, and their chart."""
    k = runs[0][0].users.shape[1] - 1
    across, up = 1, min(2, k)
    sheet.text(TOP - 4, left, "on the chart: run, factor across, factor up", "label_left")
    sheet.choose(TOP - 3, left, "A", ["A", "B"], "chart_run")
    sheet.choose(TOP - 3, left + 1, across, list(range(1, k + 1)), "chart_across")
    sheet.choose(TOP - 3, left + 2, up, list(range(1, k + 1)), "chart_up")
    sheet.text(TOP - 1, left, "item", "head")
    points = Block("outcome", TOP, left + 1, len(table.titles), 2)
    for j, title in enumerate(table.titles):
        sheet.text(TOP + j, left, title)
    for column, (name, factor) in enumerate((("chart_across", across), ("chart_up", up)), start=left + 1):
        sheet.formula(TOP - 1, column, f'"factor "&{name}', f"factor {factor}", "head")

    def value(j: int, c: int) -> str:
        name = ("chart_across", "chart_up")[c]
        cells = [f"INDEX({at.items.sheet}!{at.items.column(j, skip=1)},{name})" for at in last]
        return f'IF(chart_run="B",{cells[1]},{cells[0]})'

    values = runs[0][-1].items[:, [across, up]]
    sheet.formulas(points, value, values, "item")
    sheet.book.name("chart_points", points.ref)
    chart = item_chart(sheet.book, points, values, table.titles, title="Items by two of their factors")
    sheet.page.insert_chart(TOP + len(table.titles) + 1, left, chart)
