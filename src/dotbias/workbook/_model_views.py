"""Sheets that read a fitted model: one prediction taken apart, items by their bias, items on a map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..factors import Factors
from ..ratings import Ratings
from ._crosstab import Crosstab
from ._intro import Exercise, Tour, number
from ._labels import item_chart
from ._sheet import Block, Book, Sheet

MOST_RATED = 3000  # items that are ranked by their bias, and span the map, as in the course
RANKED = 15  # at either end
SHARE = 0.8  # of the sum of a prediction's terms, regardless of sign


class ModelMaterial(NamedTuple):
    """The model, the crosstab (held-out ratings laid in), train 1 / held out 2, parameters (U, K1), (I, K1), scores."""

    factors: Factors
    table: Crosstab
    part: np.ndarray
    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    rmse_train: float
    rmse_held_out: float


class ModelPlaces(NamedTuple):
    """Where the blocks of the sheet *model* lie: items' (K1, I) and users' (K1, U) parameters, biases first."""

    ratings: Block
    scores: Block
    part: Block
    items: Block
    users: Block


def deciding(terms: np.ndarray) -> np.ndarray:
    """How many of the largest terms (..., K) make SHARE of the sum of all, regardless of sign -> (...)."""
    sizes = np.sort(np.abs(terms), axis=-1)[..., ::-1]
    shares = np.cumsum(sizes, axis=-1) / np.maximum(sizes.sum(-1, keepdims=True), 1e-300)
    return np.sum(shares < SHARE, axis=-1) + 1


def tours(m: ModelMaterial) -> list[Tour]:
    """What the sheets show; every sentence about this model is computed from it."""
    tours = [
        Tour(
            "model", "Biases and factors of these users and items, and the predictions as formulas.", [_bias_of_one(m)]
        ),
        Tour("explain", "One prediction taken apart, term by term.", [_pair(m)]),
        Tour("biases", f"Of the {MOST_RATED:,} most rated items, those with the highest and the lowest bias."),
    ]
    if m.factors.n_factors:
        tours.append(Tour("map", "Items by the two directions in which their factors differ most (PCA)."))
    return tours


def _bias_of_one(m: ModelMaterial) -> Exercise:
    users = m.users.copy()
    users[0, 0] += 0.5
    z = m.factors.mean + users[:, :1] + m.items[:, 0] + users[:, 1:] @ m.items[:, 1:].T
    after = m.factors.squash(z)
    mean = float(np.mean(after[0] - m.scores[0]))
    return Exercise(
        f"Raise the bias of the first user by 0.5, to {users[0, 0]:.4f}.",
        f"Only that row of predictions moves: by {number(mean)} on average.",
        {"model_users": users.T},
        {"model_predictions": after},
    )


def _pair(m: ModelMaterial) -> Exercise:
    k = m.factors.n_factors
    u, i = len(m.users) - 1, len(m.items) - 1
    label, title = m.table.user_labels[u], m.table.titles[i]
    see = f"The prediction is {number(float(m.scores[u, i]))}."
    check: dict[str, float] = {"explained": float(m.scores[u, i])}
    if k:
        terms = m.users[:, None, 1:] * m.items[None, :, 1:]
        own = int(deciding(terms[u, i]))
        see += f" {own} of {k} factors make {SHARE:.0%} of the factors' part; over all pairs here the median is "
        see += f"{np.median(deciding(terms)):g}. "
        biases = float(np.median(np.abs(m.users[:, :1] + m.items[:, 0])))
        dots = float(np.median(np.abs(terms.sum(-1))))
        see += f"Typical size of both biases together {number(biases)}, of the dot product {number(dots)}."
        check["explain_deciding"] = own
    edits = {"explain_user": label, "explain_item": title}
    return Exercise(f"Choose the last user, {label}, and the last item, {title}.", see, edits, check)


# One prediction -------------------------------------------------------------------------------------------------


def write_explain(book: Book, m: ModelMaterial, at: ModelPlaces, link: Callable[[str], str]) -> None:
    """The sheet *explain*: one prediction as a column of terms, the user and the item chosen by id and title."""
    sheet = book.sheet(
        "explain", "One prediction, taken apart", "Each term of the sum, for the user and the item chosen."
    )
    k1 = m.users.shape[1]
    choices = (("user", m.table.user_labels[0], "user_ids", "ROW"), ("item", m.table.titles[0], "titles", "COLUMN"))
    for row, (name, value, source, place) in enumerate(choices, start=3):
        sheet.text(row, 0, name, "label")
        sheet.merged(row, 1, 3, "input")
        sheet.choose_from(row, 1, value, source, f"explain_{name}")
        before = at.ratings.top if name == "user" else at.ratings.left
        formula = f'SUMPRODUCT(({source}&""=explain_{name}&"")*({place}({source})-{before}))'
        sheet.formula(row, 4, formula, 1, "pale")
        book.name(f"explain_{name}_row", Block("explain", row, 4, 1, 1).fixed())
    for column, head in enumerate(("term", "user", "item", "adds")):
        sheet.text(6, column, head, "band_right" if column else "band")
    _write_terms(sheet, m)
    row, z = 9 + k1, float(m.factors.mean) + m.users[0, 0] + m.items[0, 0] + float(m.users[0, 1:] @ m.items[0, 1:])
    sheet.text(row, 0, "sum")
    sheet.formula(row, 3, f"SUM({Block('explain', 7, 3, k1 + 2, 1).all})", z, "score")
    sheet.text(row + 1, 0, "prediction")
    sheet.formula(row + 1, 3, link(f"D{row + 1}"), m.scores[0, 0], "result")
    book.name("explained", Block("explain", row + 1, 3, 1, 1).fixed())
    if k1 > 1:
        _write_deciding(sheet, m)
    sheet.page.insert_chart(6, 8, _terms_chart(book, k1))
    sheet.widths((0, 0, 22), (1, 3, 12), (4, 4, 12), (5, 6, 11))
    sheet.finish(freeze=(7, 1), area=Block("explain", 0, 0, max(row + 2, 34), 17), portrait=k1 > 20)


def _write_terms(sheet: Sheet, m: ModelMaterial) -> None:
    users, items = m.users[0], m.items[0]
    sheet.text(7, 0, "mean")
    sheet.formula(7, 3, "mean", float(m.factors.mean), "score")
    sheet.text(8, 0, "user's bias")
    sheet.formula(8, 1, "INDEX(model_users,1,explain_user_row)", users[0], "user")
    sheet.formula(8, 3, "B9", users[0], "score")
    sheet.text(9, 0, "item's bias")
    sheet.formula(9, 2, "INDEX(model_items,1,explain_item_row)", items[0], "item")
    sheet.formula(9, 3, "C10", items[0], "score")
    for k in range(1, len(users)):
        row = 9 + k
        sheet.text(row, 0, f"factor {k}: user × item")
        sheet.formula(row, 1, f"INDEX(model_users,{k + 1},explain_user_row)", users[k], "user")
        sheet.formula(row, 2, f"INDEX(model_items,{k + 1},explain_item_row)", items[k], "item")
        sheet.formula(row, 3, f"B{row + 1}*C{row + 1}", users[k] * items[k], "score")


def _write_deciding(sheet: Sheet, m: ModelMaterial) -> None:
    """Beside the factors their terms by size, what share the largest make, and how many make 80 %."""
    terms = m.users[0, 1:] * m.items[0, 1:]
    k = len(terms)
    sizes = np.sort(np.abs(terms))[::-1]
    own, size, share = (Block("explain", 10, column, k, 1) for column in (4, 5, 6))
    for column, head in ((4, "size"), (5, "by size"), (6, "share so far")):
        sheet.text(6, column, head, "band_right")
    sheet.formulas(own, lambda i, _: f"ABS(D{11 + i})", np.abs(terms)[:, None], "plain")
    sheet.formulas(size, lambda i, _: f"LARGE({own.all},{i + 1})", sizes[:, None], "plain")
    shares = np.cumsum(sizes) / max(sizes.sum(), 1e-300)

    def so_far(i: int, _: int) -> str:
        return f"SUM({size.column(0).split(':')[0]}:{size.at(i)})/MAX(SUM({size.all}),1E-300)"

    sheet.formulas(share, so_far, shares[:, None], "plain")
    words = f'" of {k} factors make {SHARE:.0%} of the factors\' part"'
    count = int(np.sum(shares < SHARE)) + 1
    sheet.formula(4, 5, f'COUNTIF({share.all},"<{SHARE}")+1', count, "result_whole")
    sheet.book.name("explain_deciding", Block("explain", 4, 5, 1, 1).fixed())
    sheet.text(4, 6, words.strip('"'), "words")


def _terms_chart(book: Book, k1: int) -> Any:
    chart = book.file.add_chart({"type": "bar"})
    names, values = (Block("explain", 8, column, k1 + 1, 1).ref for column in (0, 3))
    fill = {"fill": {"color": "#8064A2"}, "gap": 30, "invert_if_negative": False}
    chart.add_series({"name": "adds", "categories": f"={names}", "values": f"={values}", **fill})
    chart.set_title({"name": "What each term adds to the mean", "name_font": {"size": 12}})
    chart.set_y_axis({"reverse": True, "label_position": "low", "num_font": {"size": 8}, "interval_unit": 1})
    chart.set_x_axis({"num_format": "0.0", "major_gridlines": {"visible": True, "line": {"color": "#E5E5E5"}}})
    chart.set_legend({"none": True})
    chart.set_size({"width": 560, "height": 160 + 14 * (k1 + 1)})
    return chart


# All items ------------------------------------------------------------------------------------------------------


def _titles(ratings: Ratings, rows: np.ndarray) -> list[str]:
    titles = ratings.item_titles or [None] * ratings.n_items
    ids = ratings.item_ids.take(rows)
    return [titles[row] or str(id) for row, id in zip(rows.tolist(), ids, strict=True)]


def _popular(m: ModelMaterial, ratings: Ratings) -> np.ndarray:
    """The rows of the most rated items that the model knows."""
    counts = ratings.item_counts[: len(m.factors.items)]
    return np.argsort(-counts, kind="stable")[: min(MOST_RATED, int(np.sum(counts > 0)))]


def write_biases(book: Book, m: ModelMaterial, ratings: Ratings) -> None:
    """The sheet *biases*: the best and the worst by bias of the most rated items, and their chart."""
    lead = f"Of the {MOST_RATED:,} most rated items: what is left of its ratings, users and factors allowed for."
    sheet = book.sheet("biases", "Best and worst by bias", lead)
    rows = _popular(m, ratings)
    order = rows[np.argsort(-m.factors.item_bias[rows], kind="stable")]
    n = min(RANKED, len(order) // 2)
    shown = np.r_[order[:n], order[len(order) - n :]]
    for column, head in enumerate(("place", "item", "bias", "ratings")):
        sheet.text(3, column, head, "head")
    places = [*range(1, n + 1), *range(len(order) - n + 1, len(order) + 1)]
    for k, (place, row, title) in enumerate(zip(places, shown.tolist(), _titles(ratings, shown), strict=True), start=4):
        sheet.value(k, 0, place, "centre")
        sheet.text(k, 1, title if len(title) <= 46 else title[:45] + "…")
        sheet.value(k, 2, float(m.factors.item_bias[row]), "item")
        sheet.value(k, 3, int(ratings.item_counts[row]), "centre")
    chart = book.file.add_chart({"type": "bar"})
    names, values = (Block("biases", 4, column, len(shown), 1).ref for column in (1, 2))
    fill = {"fill": {"color": "#70AD47"}, "gap": 30, "invert_if_negative": False}
    chart.add_series({"name": "bias", "categories": f"={names}", "values": f"={values}", **fill})
    chart.set_title({"name": f"The {n} highest and the {n} lowest biases", "name_font": {"size": 12}})
    chart.set_y_axis({"reverse": True, "label_position": "low", "num_font": {"size": 8}, "interval_unit": 1})
    chart.set_x_axis({"num_format": "0.0", "major_gridlines": {"visible": True, "line": {"color": "#E5E5E5"}}})
    chart.set_legend({"none": True})
    chart.set_size({"width": 700, "height": 120 + 20 * max(len(shown), 5)})
    sheet.page.insert_chart(3, 5, chart)
    sheet.widths((0, 0, 8), (1, 1, 42), (2, 3, 10), (4, 4, 2))
    sheet.finish(freeze=(4, 0), area=Block("biases", 0, 0, max(len(shown), 10) + 8, 16))


def write_map(book: Book, m: ModelMaterial, ratings: Ratings, at: ModelPlaces) -> None:
    """The sheet *map*: the items shown, by the first two principal directions of the most rated items' factors."""
    k = m.factors.n_factors
    if not k:
        return
    lead = (
        "Factor by factor times a direction, summed. Directions: principal components of the most rated items' factors."
    )
    sheet = book.sheet("map", "Items on a map", lead)
    known = m.factors.items[_popular(m, ratings)].astype(np.float64)
    centre = known.mean(0)
    found = np.linalg.svd(known - centre, full_matrices=False)[2][:2]
    axes = np.zeros((2, k))
    axes[: len(found)] = found * np.sign(found[np.arange(len(found)), np.abs(found).argmax(1)])[:, None]
    points = Block("map", 5, 1, len(m.items), 2)
    directions = Block("map", 5, 12, k, 3)
    for column, head in enumerate(("item", "direction 1", "direction 2")):
        sheet.text(4, column, head, "head")
    for column, head in enumerate(("centre", "direction 1", "direction 2"), start=12):
        sheet.text(4, column, head, "head")
    for j, title in enumerate(m.table.titles):
        sheet.text(5 + j, 0, title)
    sheet.values(directions, np.c_[centre, axes.T], "plain")

    def place(j: int, c: int) -> str:
        own = f"model!{at.items.column(j, skip=1)}"
        return f"SUMPRODUCT({own}-{directions.column(0)},{directions.column(1 + c)})"

    values = (m.items[:, 1:] - centre) @ axes.T
    sheet.formulas(points, place, values, "item")
    book.name("map_points", points.ref)
    chart = item_chart(book, points, values, m.table.titles, title="Items by two principal directions of their factors")
    sheet.page.insert_chart(4, 16, chart)
    sheet.widths((0, 0, 38), (1, 2, 11), (3, 11, 1), (12, 14, 11), (15, 15, 2))
    sheet.finish(freeze=(5, 0), area=Block("map", 0, 0, max(5 + k, 36), 29))
