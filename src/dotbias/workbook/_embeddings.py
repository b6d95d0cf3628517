"""The sheet *movielens_emb*: ratings as rows, and an embedding as a look-up, which is a one-hot product."""

from __future__ import annotations

import numpy as np

from ._crosstab import Crosstab, Draws
from ._factors import Places, parameter_names
from ._sheet import Block, Book, Sheet

TOP = 8  # the first rating's row
LEFT = 5  # the first column of the embeddings


def write_embeddings(book: Book, table: Crosstab, draws: Draws, at: Places) -> None:
    """The sheet *movielens_emb*: a rating per row; its embeddings come from the tables on *bias*, at ``at``."""
    lead = "Ratings as rows. MATCH finds the row number; OFFSET and INDEX fetch the embedding from the tables on bias."
    sheet = book.sheet("movielens_emb", "An embedding is a look-up", lead)
    u, i = np.nonzero(np.isfinite(table.ratings))  # (N,), (N,)
    users, items = (np.c_[np.zeros(len(f)), f] for f in (draws.users, draws.items))
    n, k1 = len(u), users.shape[1]
    e_user, e_item = Block(sheet.name, TOP, LEFT, n, k1), Block(sheet.name, TOP, LEFT + k1, n, k1)
    _write_heads(sheet, k1)
    _write_places(sheet, table, at, u, i)
    _write_fetched(sheet, at, e_user, e_item, (users[u], items[i]))
    scores = np.sum(users[u, 1:] * items[i, 1:], axis=1) + users[u, 0] + items[i, 0]
    _write_errors(sheet, e_user, e_item, scores, table.ratings[u, i])
    _write_one_hot(sheet, at, users, int(u[0]))
    last = LEFT + 2 * k1
    sheet.widths((0, 1, 10), (2, 4, 7), (LEFT, last - 1, 7), (last, last + 1, 10), (last + 2, LEFT + len(users), 7))
    sheet.finish(freeze=(TOP, 3), tall=True)


def _write_heads(sheet: Sheet, k1: int) -> None:
    names = parameter_names(k1, bias=True)
    heads = ["user", "item", "rating", "user row", "item row", *(f"user {k}" for k in names)]
    heads += [*(f"item {k}" for k in names), "prediction", "squared error"]
    for column, head in enumerate(heads):
        sheet.text(TOP - 1, column, head, "head")
    sheet.page.set_row(TOP - 1, 32)


def _write_places(sheet: Sheet, table: Crosstab, at: Places, u: np.ndarray, i: np.ndarray) -> None:
    """Ids as the data has them, the row numbers that MATCH finds, and the rating they lead to."""
    ids = (("user_ids", Block("bias", at.ratings.top, 0, at.ratings.height, 1)),)
    ids += (("item_ids", Block("bias", at.items.top - 1, at.items.left, 1, at.ratings.width)),)
    for name, block in ids:
        sheet.book.name(name, block.ref)
    for row, (user, item) in enumerate(zip(u.tolist(), i.tolist(), strict=True), start=TOP):
        sheet.value(row, 0, table.user_labels[user], "centre")
        sheet.value(row, 1, table.item_labels[item], "centre")
        found = f"INDEX(bias!{at.ratings.all},D{row + 1},E{row + 1})"
        sheet.formula(row, 2, found, float(table.ratings[user, item]), "rating")
        sheet.formula(row, 3, f"MATCH(A{row + 1},user_ids,0)", user + 1, "centre")
        sheet.formula(row, 4, f"MATCH(B{row + 1},item_ids,0)", item + 1, "centre")


def _write_fetched(
    sheet: Sheet, at: Places, e_user: Block, e_item: Block, values: tuple[np.ndarray, np.ndarray]
) -> None:
    """The embeddings (N, K1) of each rating's user, by OFFSET, and item, by INDEX."""
    corner = Block("bias", at.users.top, at.users.left, 1, 1).fixed()
    sheet.formulas(e_user, lambda row, k: f"OFFSET({corner},$D{TOP + row + 1}-1,{k})", values[0], "user")
    sheet.formulas(e_item, lambda row, k: f"INDEX(bias_items,{k + 1},$E{TOP + row + 1})", values[1], "item")


def _write_errors(sheet: Sheet, e_user: Block, e_item: Block, scores: np.ndarray, ratings: np.ndarray) -> None:
    """Predictions and squared errors (N,), and their RMSE in one cell."""
    n, last = len(scores), e_item.left + e_item.width
    score, wrong = (Block(sheet.name, TOP, last + j, n, 1) for j in (0, 1))
    given = Block(sheet.name, TOP, 2, n, 1)

    def dot(row: int, _: int) -> str:
        biases = f"+{e_user.at(row)}+{e_item.at(row)}"
        product = f"SUMPRODUCT({e_user.row(row, skip=1)},{e_item.row(row, skip=1)})"
        return f'IF({given.at(row)}="",0,{product}{biases})'

    def square(row: int, _: int) -> str:
        return f'IF({given.at(row)}="",0,({given.at(row)}-{score.at(row)})^2)'

    errors = (ratings - scores) ** 2
    sheet.formulas(score, dot, scores[:, None], "score")
    sheet.formulas(wrong, square, errors[:, None], "wrong")
    sheet.text(2, 0, "RMSE", "label")
    sheet.formula(2, 1, f"SQRT(SUM({wrong.all})/COUNT({given.all}))", float(np.sqrt(errors.mean())), "loss")
    sheet.book.name("rmse_movielens_emb", Block(sheet.name, 2, 1, 1, 1).fixed())


def _write_one_hot(sheet: Sheet, at: Places, users: np.ndarray, chosen: int) -> None:
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
    table = Block("bias", at.users.top, at.users.left, n_users, k1)
    sheet.formulas(product, lambda _, k: f"MMULT({hot.row(0)},bias!{table.column(k)})", (vector @ users)[None], "user")
    sheet.formulas(looked, lambda _, k: f"INDEX(bias_users,one_hot_user,{k + 1})", users[chosen][None], "user")
