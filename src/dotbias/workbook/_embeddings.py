"""The sheet *movielens_emb*: ratings as rows, and an embedding as a look-up, which is a one-hot product."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._crosstab import Crosstab
from ._descend import Draws
from ._factors import FactorPlaces as Factors
from ._factors import parameter_names, starts
from ._sheet import Block, Book, Sheet

TOP = 8  # the first rating's row
LEFT = 6  # the first column of the embeddings


class EmbeddingPlaces(NamedTuple):
    """Fetched embeddings (N, K1) and the tables that they come from, (U, K1) and (I, K1)."""

    fetched_users: Block
    fetched_items: Block
    users: Block
    items: Block


def write_embeddings(book: Book, table: Crosstab, draws: Draws, bias: Factors) -> None:
    """The sheet *movielens_emb*: a rating per row; right of them the tables of embeddings, those of *bias*."""
    lead = "Ratings as rows. MATCH finds a row number; OFFSET and INDEX fetch that row of the tables on the right."
    sheet = book.sheet("movielens_emb", "An embedding is a look-up", lead)
    u, i = np.nonzero(np.isfinite(table.ratings))  # (N,), (N,)
    users, items = starts(draws, bias=True)
    items = items.T
    n, k1, right = len(u), users.shape[1], LEFT + 2 * users.shape[1] + 4
    at = EmbeddingPlaces(
        Block(sheet.name, TOP, LEFT, n, k1),
        Block(sheet.name, TOP, LEFT + k1, n, k1),
        Block(sheet.name, TOP, right, len(users), k1),
        Block(sheet.name, TOP, right + k1 + 3, len(items), k1),
    )
    _write_heads(sheet, at, k1)
    _write_tables(sheet, at, table, users, items)
    _write_places(sheet, at, table, bias, u, i)
    _write_fetched(sheet, at, users[u], items[i])
    _write_errors(sheet, at, np.sum(users[u, 1:] * items[i, 1:], axis=1) + users[u, 0] + items[i, 0], table, u, i)
    _write_one_hot(sheet, at, users, int(u[0]))
    last = at.items.left + k1
    sheet.widths(
        (0, 1, 9), (2, 2, 26), (3, 5, 7), (LEFT, LEFT + 2 * k1 - 1, 6.5), (LEFT + 2 * k1, LEFT + 2 * k1 + 1, 10)
    )
    sheet.widths((right - 2, right - 2, 2), (right - 1, right - 1, 9), (right, right + k1 - 1, 6.5))
    sheet.widths((right + k1, right + k1, 2), (right + k1 + 1, right + k1 + 1, 9), (right + k1 + 2, right + k1 + 2, 34))
    sheet.widths((at.items.left, last, 6.5))
    sheet.page.repeat_rows(TOP - 1)
    sheet.finish(freeze=(TOP, 3), pages=2, area=Block(sheet.name, 0, 0, TOP + max(n, len(items)), last))


def _write_heads(sheet: Sheet, at: EmbeddingPlaces, k1: int) -> None:
    names = parameter_names(k1, bias=True)
    heads = ["user", "item", "title", "rating", "user row", "item row", *(f"user {k}" for k in names)]
    heads += [*(f"item {k}" for k in names), "prediction", "squared error"]
    for column, head in enumerate(heads):
        sheet.text(TOP - 1, column, head, "head")
    for block, labels, words in (
        (at.users, ["user"], "table of users"),
        (at.items, ["item", "title"], "table of items"),
    ):
        left = block.left - len(labels)
        sheet.band(TOP - 2, left, block.width + len(labels), words)
        for column, head in enumerate([*labels, *names], start=left):
            sheet.text(TOP - 1, column, head, "head")
    sheet.page.set_row(TOP - 1, 32)


def _write_tables(sheet: Sheet, at: EmbeddingPlaces, table: Crosstab, users: np.ndarray, items: np.ndarray) -> None:
    """The embeddings themselves, a row each: the parameters on *bias*, where they can be changed."""
    for i, user in enumerate(table.user_labels):
        sheet.value(TOP + i, at.users.left - 1, user, "centre")
    for j, (item, title) in enumerate(zip(table.item_labels, table.titles, strict=True)):
        sheet.value(TOP + j, at.items.left - 2, item, "centre")
        sheet.text(TOP + j, at.items.left - 1, title)
    sheet.formulas(at.users, lambda i, k: f"INDEX(bias_users,{i + 1},{k + 1})", users, "user")
    sheet.formulas(at.items, lambda j, k: f"INDEX(bias_items,{k + 1},{j + 1})", items, "item")
    ids = (("emb_user_ids", at.users._replace(left=at.users.left - 1, width=1)),)
    ids += (("emb_item_ids", at.items._replace(left=at.items.left - 2, width=1)),)
    ids += (("emb_titles", at.items._replace(left=at.items.left - 1, width=1)),)
    for name, block in (*ids, ("emb_users", at.users), ("emb_items", at.items)):
        sheet.book.name(name, block.ref)


def _write_places(
    sheet: Sheet, at: EmbeddingPlaces, table: Crosstab, bias: Factors, u: np.ndarray, i: np.ndarray
) -> None:
    """Ids as the data has them, the row numbers that MATCH finds, and the title and rating they lead to."""
    for row, (user, item) in enumerate(zip(u.tolist(), i.tolist(), strict=True), start=TOP):
        sheet.value(row, 0, table.user_labels[user], "centre")
        sheet.value(row, 1, table.item_labels[item], "centre")
        sheet.formula(row, 2, f"INDEX(emb_titles,F{row + 1})", table.titles[item], "label_left")
        found = f"INDEX(bias!{bias.ratings.all},E{row + 1},F{row + 1})"
        sheet.formula(row, 3, found, float(table.ratings[user, item]), "rating")
        sheet.formula(row, 4, f"MATCH(A{row + 1},emb_user_ids,0)", user + 1, "centre")
        sheet.formula(row, 5, f"MATCH(B{row + 1},emb_item_ids,0)", item + 1, "centre")


def _write_fetched(sheet: Sheet, at: EmbeddingPlaces, users: np.ndarray, items: np.ndarray) -> None:
    """The embeddings (N, K1) of each rating's user, by OFFSET, and item, by INDEX."""
    corner = f"${at.users.at()[: -len(str(TOP + 1))]}${TOP + 1}"
    sheet.formulas(at.fetched_users, lambda r, k: f"OFFSET({corner},$E{TOP + r + 1}-1,{k})", users, "user")
    sheet.formulas(at.fetched_items, lambda r, k: f"INDEX(emb_items,$F{TOP + r + 1},{k + 1})", items, "item")


def _write_errors(
    sheet: Sheet, at: EmbeddingPlaces, scores: np.ndarray, table: Crosstab, u: np.ndarray, i: np.ndarray
) -> None:
    """Predictions and squared errors (N,), and their RMSE in one cell."""
    e_user, e_item, n = at.fetched_users, at.fetched_items, len(scores)
    score, wrong = (Block(sheet.name, TOP, e_item.left + e_item.width + j, n, 1) for j in (0, 1))
    given = Block(sheet.name, TOP, 3, n, 1)

    def dot(row: int, _: int) -> str:
        biases = f"+{e_user.at(row)}+{e_item.at(row)}"
        product = f"SUMPRODUCT({e_user.row(row, skip=1)},{e_item.row(row, skip=1)})"
        return f'IF({given.at(row)}="",0,{product}{biases})'

    def square(row: int, _: int) -> str:
        return f'IF({given.at(row)}="",0,({given.at(row)}-{score.at(row)})^2)'

    errors = (table.ratings[u, i] - scores) ** 2
    sheet.formulas(score, dot, scores[:, None], "score")
    sheet.formulas(wrong, square, errors[:, None], "wrong")
    sheet.text(2, 0, "RMSE", "label")
    sheet.formula(2, 1, f"SQRT(SUM({wrong.all})/COUNT({given.all}))", float(np.sqrt(errors.mean())), "loss")
    sheet.book.name("rmse_movielens_emb", Block(sheet.name, 2, 1, 1, 1).fixed())


def _write_one_hot(sheet: Sheet, at: EmbeddingPlaces, users: np.ndarray, chosen: int) -> None:
    """Above the rows: one user's one-hot vector times the table of users is the row that was looked up."""
    n_users, k1 = users.shape
    left = LEFT
    sheet.text(2, left - 2, "user row", "label")
    sheet.choose(2, left - 1, chosen + 1, list(range(1, n_users + 1)), "one_hot_user")
    hot, product, looked = (Block(sheet.name, row, left, 1, width) for row, width in ((3, n_users), (4, k1), (5, k1)))
    vector = (np.arange(n_users) == chosen).astype(float)
    for row, words in ((3, "one-hot vector"), (4, "times the table"), (5, "looked up")):
        sheet.text(row, left - 1, words, "label")
    sheet.formulas(hot, lambda _, j: f"IF(one_hot_user={j + 1},1,0)", vector[None], "one_hot")
    sheet.formulas(product, lambda _, k: f"MMULT({hot.row(0)},{at.users.column(k)})", (vector @ users)[None], "user")
    sheet.formulas(looked, lambda _, k: f"INDEX(emb_users,one_hot_user,{k + 1})", users[chosen][None], "user")
    sheet.book.name("one_hot_product", product.ref)
    sheet.book.name("one_hot_looked_up", looked.ref)
