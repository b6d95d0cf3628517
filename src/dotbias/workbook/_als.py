"""The sheet *als*: alternating least squares in array formulas, which finds the minimum that Solver looks for.

With all items held, the best factors of one user are a linear regression of the user's ratings on the items' factors,
p = (Σ q qᵀ + ridge·1)⁻¹ Σ r q over the items rated; then the same for each item. A sweep does both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._crosstab import Crosstab
from ._sheet import Block, Book, Sheet

SWEEPS, RIDGE = 20, 0.01
CURVE = 7  # the first row of the table of RMSE
LEFT = 3  # the first column of tables and sweeps
DATA = CURVE + SWEEPS + 5  # the first row of the ratings


class AlsSweep(NamedTuple):
    """Parameters after a sweep, as the sheet has them, so that users @ items is every prediction.

    Attributes:
        users: (U, K), or with biases (U, K + 2): bias, factors, 1.
        items: (K, I), or with biases (K + 2, I): 1, factors, bias.
        rmse: over the ratings present.
    """

    users: np.ndarray
    items: np.ndarray
    rmse: float


def als(ratings: np.ndarray, users: np.ndarray, items: np.ndarray, *, bias: bool, n: int = SWEEPS) -> list[AlsSweep]:
    """n + 1 states, the start first.

    Args:
        ratings: (U, I), NaN where there is none.
        users: (U, K) starting factors.
        items: (K, I).
        bias: whether users and items have biases, which start at 0.
        n: sweeps.
    """
    there = np.isfinite(ratings).astype(float)
    r = np.nan_to_num(ratings)
    if bias:
        one_u, one_i = np.ones((len(users), 1)), np.ones((1, items.shape[1]))
        users, items = np.c_[0 * one_u, users, one_u], np.r_[one_i, items, 0 * one_i]
    states = []
    for sweep in range(n + 1):
        if sweep:
            users, items = _users(r, there, users, items, bias=bias), items
            items = _items(r, there, users, items, bias=bias)
        errors = there * (r - users @ items)
        states.append(AlsSweep(users, items, float(np.sqrt(np.sum(errors**2) / there.sum()))))
    return states


def _users(r: np.ndarray, there: np.ndarray, users: np.ndarray, items: np.ndarray, *, bias: bool) -> np.ndarray:
    design, theirs = (items[:-1], items[-1]) if bias else (items, np.zeros(items.shape[1]))
    new = np.array([_regress(design.T, t, t * (row - theirs)) for row, t in zip(r, there, strict=True)])
    return np.c_[new, users[:, -1]] if bias else new


def _items(r: np.ndarray, there: np.ndarray, users: np.ndarray, items: np.ndarray, *, bias: bool) -> np.ndarray:
    design, theirs = (users[:, 1:], users[:, 0]) if bias else (users, np.zeros(len(users)))
    new = np.array([_regress(design, t, t * (col - theirs)) for col, t in zip(r.T, there.T, strict=True)]).T
    return np.r_[items[:1], new] if bias else new


def _regress(design: np.ndarray, there: np.ndarray, target: np.ndarray) -> np.ndarray:
    square = design.T @ (design * there[:, None]) + RIDGE * np.eye(design.shape[1])
    return np.linalg.solve(square, design.T @ target)


# The sheet ------------------------------------------------------------------------------------------------------


class AlsPlaces(NamedTuple):
    """Where the data lie: ratings with 0 for none, 1 for each that is there, and the ridge on a diagonal (K1, K1)."""

    ratings: Block
    there: Block
    ridge: Block


def _data(shape: tuple[int, int], k: int) -> AlsPlaces:
    n_users, n_items = shape
    second = LEFT + n_items + 1
    return AlsPlaces(
        Block("als", DATA, LEFT, n_users, n_items),
        Block("als", DATA, second, n_users, n_items),
        Block("als", DATA, second + n_items + 1, k + 1, k + 1),
    )


def _blocks(shape: tuple[int, int], k: int, sweep: int, *, bias: bool) -> tuple[Block, Block]:
    """Users' and items' blocks of one sweep; those with biases stand right of those without."""
    n_users, n_items = shape
    extra = 2 * bias
    high = max(n_users, k + 2) + 2
    top = DATA + max(n_users, k + 1) + 3 + sweep * high + 1
    left = LEFT + bias * (k + n_items + 3)
    users = Block("als", top, left, n_users, k + extra)
    return users, Block("als", top, left + k + extra + 1, k + extra, n_items)


def write_als(book: Book, table: Crosstab, starts: tuple[np.ndarray, np.ndarray]) -> None:
    """The sheet: RMSE by sweep without and with biases, and every sweep; it begins at the factors of *dotprod*."""
    lead = "Hold one side: each row of the other is a linear regression. A sweep does users, then items."
    sheet = book.sheet("als", "Alternating least squares", lead)
    shape, k = table.ratings.shape, starts[0].shape[1]
    data = _data(shape, k)
    _write_data(sheet, table, data)
    runs = [als(table.ratings, *starts, bias=bias) for bias in (False, True)]
    for bias, states in zip((False, True), runs, strict=True):
        for sweep, state in enumerate(states):
            _write_sweep(sheet, data, state, sweep, shape, k, bias=bias)
    _write_curve(sheet, data, runs, shape, k)
    items = _blocks(shape, k, SWEEPS, bias=True)[1]
    right = items.left + items.width
    sheet.widths((0, 0, 12), (1, 2, 12), (3, right, 5.6))
    second = _blocks(shape, k, 1, bias=True)[0]
    sheet.finish(freeze=(4, 0), area=Block("als", 0, 0, second.top + second.height, right))


def _write_data(sheet: Sheet, table: Crosstab, at: AlsPlaces) -> None:
    k1 = at.ridge.width
    there = np.isfinite(table.ratings)
    heads = ((at.ratings, "ratings, 0 for none"), (at.there, "1 where there is one"), (at.ridge, "ridge"))
    for block, words in heads:
        sheet.band(DATA - 1, block.left, block.width, words)

    def rating(i: int, j: int) -> str:
        return f"N(INDEX(ratings,{i + 1},{j + 1}))"

    def given(i: int, j: int) -> str:
        return f'IF(INDEX(ratings,{i + 1},{j + 1})="",0,1)'

    sheet.formulas(at.ratings, rating, np.nan_to_num(table.ratings), "rating")
    sheet.formulas(at.there, given, there.astype(float), "whole")
    sheet.formulas(at.ridge, lambda i, j: "ridge" if i == j else "0", RIDGE * np.eye(k1), "plain")
    sheet.text(2, 0, "ridge", "head")
    sheet.named_input(3, 0, RIDGE, "ridge")
    words = "a user's factors = (Σ q qᵀ + ridge)⁻¹ · Σ rating·q over the items rated: array formulas (Ctrl+Shift+Enter)"
    sheet.text(3, 1, words, "label_left")


def _write_sweep(
    sheet: Sheet, data: AlsPlaces, state: AlsSweep, sweep: int, shape: tuple[int, int], k: int, *, bias: bool
) -> None:
    users, items = _blocks(shape, k, sweep, bias=bias)
    words = f"{'with' if bias else 'without'} biases"
    sheet.band(users.top - 1, users.left - 1, items.left + items.width - users.left + 1, f"sweep {sweep}, {words}")
    if bias:
        ones = users._replace(left=users.left + k + 1, width=1), items._replace(height=1)
        for block in ones:
            sheet.values(block, np.ones((block.height, block.width)), "whole")
    if sweep == 0:
        _write_start(sheet, users, items, state, k, bias=bias)
        return
    old = _blocks(shape, k, sweep - 1, bias=bias)[1]
    ridge = data.ridge._replace(height=k + bias, width=k + bias)
    own = users._replace(width=k + bias)
    for i in range(shape[0]):
        row = own._replace(top=own.top + i, height=1)
        design, target, there = _user_parts(data, old, i, bias=bias)
        square = f"MMULT({design}*{there},TRANSPOSE({design}))+{ridge.all}"
        formula = f"MMULT(MMULT({target},TRANSPOSE({design})),MINVERSE({square}))"
        sheet.array(row, formula, state.users[i : i + 1, : k + bias], "user")
    own = items._replace(top=items.top + bias, height=k + bias)
    for j in range(shape[1]):
        column = own._replace(left=own.left + j, width=1)
        design, target, there = _item_parts(data, users, j, bias=bias)
        square = f"MMULT(TRANSPOSE({design}),{design}*{there})+{ridge.all}"
        formula = f"MMULT(MINVERSE({square}),MMULT(TRANSPOSE({design}),{target}))"
        sheet.array(column, formula, state.items[bias:, j : j + 1], "item")


def _user_parts(data: AlsPlaces, items: Block, i: int, *, bias: bool) -> tuple[str, str, str]:
    """What a user's factors are regressed on (K1, I), the ratings less the items' biases, and which there are."""
    ratings, there = data.ratings.row(i), data.there.row(i)
    if not bias:
        return items.all, ratings, there
    design, theirs = items._replace(height=items.height - 1), items.row(items.height - 1)
    return design.all, f"{ratings}-{theirs}*{there}", there


def _item_parts(data: AlsPlaces, users: Block, j: int, *, bias: bool) -> tuple[str, str, str]:
    """The same for an item: (U, K1), and columns."""
    ratings, there = data.ratings.column(j), data.there.column(j)
    if not bias:
        return users.all, ratings, there
    design, theirs = users._replace(left=users.left + 1, width=users.width - 1), users.column(0)
    return design.all, f"{ratings}-{theirs}*{there}", there


def _write_start(sheet: Sheet, users: Block, items: Block, state: AlsSweep, k: int, *, bias: bool) -> None:
    """The factors on *dotprod* or *bias*, where the reader may have changed them."""
    name = "bias" if bias else "dotprod"
    own = users._replace(width=k + bias)
    sheet.formulas(own, lambda i, j: f"INDEX({name}_users,{i + 1},{j + 1})", state.users[:, : k + bias], "user")
    order = [*range(1, k + 1), 0] if bias else list(range(k))  # here an item's bias comes last, there first
    own = items._replace(top=items.top + bias, height=k + bias)
    sheet.formulas(own, lambda i, j: f"INDEX({name}_items,{order[i] + 1},{j + 1})", state.items[bias:], "item")


def _write_curve(sheet: Sheet, data: AlsPlaces, runs: list[list[AlsSweep]], shape: tuple[int, int], k: int) -> None:
    """RMSE by sweep of both, and its chart; the last ones have names."""
    for column, head in enumerate(("sweep", "RMSE without biases", "RMSE with biases")):
        sheet.text(CURVE - 1, column, head, "head")
    sheet.page.set_row(CURVE - 1, 32)
    for sweep in range(SWEEPS + 1):
        sheet.value(CURVE + sweep, 0, sweep, "centre")
    for bias, (name, states) in enumerate(zip(("dotprod", "bias"), runs, strict=True)):
        curve = Block("als", CURVE, 1 + bias, SWEEPS + 1, 1)

        def rmse(sweep: int, _: int, bias: int = bias) -> str:
            users, items = _blocks(shape, k, sweep, bias=bool(bias))
            errors = f"{data.ratings.all}-MMULT({users.all},{items.all})"
            return f"SQRT(SUMPRODUCT({data.there.all}*({errors})^2)/SUM({data.there.all}))"

        sheet.formulas(curve, rmse, np.array([[state.rmse] for state in states]), "train")
        sheet.book.name(f"rmse_als_{name}", curve.fixed(SWEEPS))
        users, items = _blocks(shape, k, SWEEPS, bias=bool(bias))
        sheet.book.name(f"als_{name}_users", users.ref)
        sheet.book.name(f"als_{name}_items", items.ref)
    sheet.page.insert_chart(CURVE - 2, 4, _chart(sheet.book))


def _chart(book: Book) -> Any:
    chart = book.file.add_chart({"type": "line"})
    for column, words, colour in ((1, "without biases", "#7030A0"), (2, "with biases", "#C00000")):
        sweeps, curve = (Block("als", CURVE, c, SWEEPS + 1, 1).ref for c in (0, column))
        look = {"line": {"color": colour, "width": 2.25}}
        chart.add_series({"name": words, "categories": f"={sweeps}", "values": f"={curve}", **look})
    chart.set_title({"name": "RMSE by sweep (logarithmic)", "name_font": {"size": 12}})
    chart.set_x_axis({"name": "sweep", "interval_unit": 5, "interval_tick": 5})
    grid = {"visible": True, "line": {"color": "#E5E5E5"}}
    chart.set_y_axis({"name": "RMSE", "log_base": 10, "min": 0.1, "num_format": "0.0", "major_gridlines": grid})
    chart.set_legend({"position": "top"})
    chart.set_size({"width": 620, "height": 470})
    return chart
