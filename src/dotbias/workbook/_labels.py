"""A scatter of items with their titles as labels, each placed where it lies over no other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._sheet import Block, Book, column_letters

WIDTH, HEIGHT = 760, 560  # of the chart, in pixels
PLOT = (60.0, 50.0, 680.0, 450.0)  # left, top, width and height of what lies between the axes, roughly
SHORT = 24  # characters of a title in a label
SIZE = 5.0, 13.0  # width of a character and height of a line, in pixels, at 8 points

Box = tuple[float, float, float, float]  # left, top, right, bottom


def short(title: str) -> str:
    """A title cut to a label."""
    return title if len(title) <= SHORT else title[: SHORT - 1].rstrip(" ,(") + "…"


def positions(points: np.ndarray, labels: list[str]) -> list[tuple[str, bool]]:
    """For each point (N, 2): on which side its label stands, and whether it can be shown without lying over another.

    One after another from the edges inwards, each takes the first of right, left, above, below that is free of labels
    and points.
    """
    pixels = _pixels(points)
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in pixels]
    placed: dict[int, tuple[str, bool]] = {}
    middle = pixels.mean(0)
    for k in np.argsort(-np.abs(pixels - middle).sum(1)).tolist():
        others = [box for j, box in enumerate(taken) if j != k]
        boxes = {side: _box(pixels[k], labels[k], side) for side in ("right", "left", "above", "below")}
        free = [side for side, box in boxes.items() if _inside(box) and not any(_overlap(box, o) for o in others)]
        placed[k] = (free[0], True) if free else ("right", False)
        if free:
            taken.append(boxes[free[0]])
    return [placed[k] for k in range(len(labels))]


def _pixels(points: np.ndarray) -> np.ndarray:
    """Where points lie on the chart, in pixels from its corner."""
    low, high = bounds(points).T
    left, top, width, height = PLOT
    share = (points - low) / (high - low)
    return np.c_[left + share[:, 0] * width, top + (1 - share[:, 1]) * height]


def bounds(points: np.ndarray) -> np.ndarray:
    """(2, 2): the axes' lowest and highest values, with room at the ends."""
    low, high = points.min(0), points.max(0)
    room = 0.15 * np.maximum(high - low, 1e-3)
    return np.c_[low - room, high + room]


def _box(at: np.ndarray, label: str, side: str) -> Box:
    (x, y), wide, high = at, SIZE[0] * len(label) + 6, SIZE[1]
    if side in ("right", "left"):
        left = x + 6 if side == "right" else x - 6 - wide
        return left, y - high / 2, left + wide, y + high / 2
    top = y - 6 - high if side == "above" else y + 6
    return x - wide / 2, top, x + wide / 2, top + high


def _inside(box: Box) -> bool:
    return box[0] >= 0 and box[1] >= PLOT[1] - 14 and box[2] <= WIDTH and box[3] <= PLOT[1] + PLOT[3] + 14


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def item_chart(book: Book, points: Block, values: np.ndarray, titles: list[str], *, title: str) -> Any:
    """A scatter of ``points`` (N, 2), each a series of one so that its title is its label in every program.

    The names of the axes are the cells above the points. A title that would lie over another stays without a label
    (its point is in the table).
    """
    chart = book.file.add_chart({"type": "scatter"})
    labels = [short(name) for name in titles]
    for j, (side, shown) in enumerate(positions(values, labels)):
        label = {"series_name": True, "value": False, "position": side, "font": {"size": 8}}
        x, y = (Block(points.sheet, points.top + j, points.left + c, 1, 1).ref for c in (0, 1))
        marker = {"type": "circle", "size": 7, "fill": {"color": "#70AD47"}, "border": {"color": "#375623"}}
        series = {"name": labels[j], "categories": f"={x}", "values": f"={y}", "marker": marker}
        chart.add_series(series | ({"data_labels": label} if shown else {}))
    chart.set_title({"name": title, "name_font": {"size": 12}})
    grid = {"visible": True, "line": {"color": "#E5E5E5"}}
    for c, axis in enumerate((chart.set_x_axis, chart.set_y_axis)):
        heading = f"={points.sheet}!${column_letters(points.left + c)}${points.top}"
        look = {"major_gridlines": grid, "num_format": "0.0", "label_position": "low"}
        axis({"name": heading, **look})
    chart.set_legend({"none": True})
    chart.set_size({"width": WIDTH, "height": HEIGHT})
    return chart
