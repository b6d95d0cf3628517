"""The sheet *split*: what chance decides, which ratings are for testing, and what the biases alone would guess."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._crosstab import Crosstab
from ._descend import ROUNDS, Draws, biases_alone
from ._sheet import Block, Book, Sheet

TOP = 6  # the first row of the upper blocks


class SplitPlaces(NamedTuple):
    """Where things lie: chance and parts (U, I), draws (U, K) and (K, I), what is left (U, I), biases by round."""

    chance: Block
    part: Block
    users: Block
    items: Block
    left: Block
    user_biases: Block
    item_biases: Block


def lay_out(shape: tuple[int, int], k: int) -> SplitPlaces:
    """Above: chance, parts and the users' draws; below, the items' draws and the biases."""
    n_users, n_items = shape
    second = n_items + 3
    items, left = TOP + n_users + 3, TOP + n_users + k + 7
    return SplitPlaces(
        Block("split", TOP, 1, n_users, n_items),
        Block("split", TOP, second, n_users, n_items),
        Block("split", TOP, second + n_items + 2, n_users, k),
        Block("split", items, 1, k, n_items),
        Block("split", left, 1, n_users, n_items),
        Block("split", left, second, n_users, ROUNDS + 1),
        Block("split", left + n_users + 2, 1, ROUNDS + 1, n_items),
    )


def write_split(book: Book, table: Crosstab, draws: Draws, part: np.ndarray, mean: float, wd: float) -> SplitPlaces:
    """The sheet; ``mean`` is what the biases are added to, ``wd`` their decay (run B's)."""
    lead = "A rating is for testing where its random number is below the test share. Test ratings teach nothing."
    sheet = book.sheet("split", "Train, test, and biases alone", lead)
    at = lay_out(table.ratings.shape, draws.users.shape[1])
    _write_chance(sheet, at, table, draws)
    _write_part(sheet, at, part)
    _write_biases(sheet, at, table, part, mean, wd)
    right = at.users.left + max(at.users.width, 1)
    sheet.widths((0, 0, 15), (1, right, 5.6))
    bottom = at.item_biases.top + at.item_biases.height
    sheet.finish(freeze=(3, 1), area=Block("split", 0, 0, bottom, max(right, at.user_biases.left + ROUNDS + 1)))
    return at


def _write_chance(sheet: Sheet, at: SplitPlaces, table: Crosstab, draws: Draws) -> None:
    heads = ((at.chance, "a random number for each rating"), (at.part, "train or test"))
    for block, words in (*heads, (at.users, "draws of users"), (at.items, "draws of items")):
        sheet.band(block.top - 2, block.left, block.width, words)
    for block in (at.chance, at.part):
        for j, item in enumerate(table.item_labels):
            sheet.value(TOP - 1, block.left + j, item, "centre")
        for i, user in enumerate(table.user_labels):
            sheet.value(TOP + i, block.left - 1, user, "centre")
    for block, values, style in (
        (at.chance, draws.part, "plain"),
        (at.users, draws.users, "user"),
        (at.items, draws.items.T, "item"),
    ):
        sheet.values(block, values, style)
        sheet.numbers_only(block)


def _write_part(sheet: Sheet, at: SplitPlaces, part: np.ndarray) -> None:
    def formula(i: int, j: int) -> str:
        return f'IF(INDEX(ratings,{i + 1},{j + 1})="",0,IF({at.chance.at(i, j)}<N(test_share),2,1))'

    sheet.formulas(at.part, formula, part, "part")
    sheet.mark(at.part, f"{at.part.at()}=2", bg_color="#FFD966", bold=True)
    sheet.book.name("part", at.part.ref)


def _write_biases(sheet: Sheet, at: SplitPlaces, table: Crosstab, part: np.ndarray, mean: float, wd: float) -> None:
    """What the mean leaves of the train ratings; the users' biases that follow from it, and the items', by turns."""
    rounds = biases_alone(table.ratings, part, mean=mean, wd=wd)
    left = np.where(part == 1, np.nan_to_num(table.ratings) - mean, 0.0)
    heads = (
        (at.left, "train ratings less the mean"),
        (at.user_biases, "users' biases by round: sum of what is left / (count + weight decay of run B)"),
        (at.item_biases, "items' biases by round: the same, down each column"),
    )
    for block, words in heads:
        sheet.band(block.top - 1, block.left, block.width, words)

    def rest(i: int, j: int) -> str:
        return f"IF({at.part.at(i, j)}=1,INDEX(ratings,{i + 1},{j + 1})-N(global_mean),0)"

    sheet.formulas(at.left, rest, left, "rating")
    decay = "N(weight_decay_b)"

    def of_user(i: int, t: int) -> str:
        if t == 0:
            return "0"
        mine = f"({at.part.row(i)}=1)"
        total = f"SUM({at.left.row(i)})-SUMPRODUCT({mine}*{at.item_biases.row(t - 1)})"
        return _ratio(total, f"COUNTIF({at.part.row(i)},1)", decay)

    def of_item(t: int, j: int) -> str:
        if t == 0:
            return "0"
        its = f"({at.part.column(j)}=1)"
        total = f"SUM({at.left.column(j)})-SUMPRODUCT({its}*{at.user_biases.column(t)})"
        return _ratio(total, f"COUNTIF({at.part.column(j)},1)", decay)

    sheet.formulas(at.user_biases, of_user, rounds.users.T, "user")
    sheet.formulas(at.item_biases, of_item, rounds.items, "item")
    sheet.book.name("user_biases", at.user_biases._replace(left=at.user_biases.left + ROUNDS, width=1).ref)
    sheet.book.name("item_biases", at.item_biases._replace(top=at.item_biases.top + ROUNDS, height=1).ref)


def _ratio(total: str, count: str, decay: str) -> str:
    return f"IF({count}+{decay}=0,0,({total})/({count}+{decay}))"
