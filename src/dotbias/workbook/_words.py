"""The sheet *words*: a text as a sequence of embeddings, looked up as users and items are."""

from __future__ import annotations

import numpy as np

from ..rng import Rng, numpy_rng
from ._sheet import Block, Book, Sheet

# A rhyme by Sarah Josepha Hale, 1830; in the public domain.
TEXT = "Mary had a little lamb its fleece was white as snow and everywhere that Mary went the lamb was sure to go"
UNKNOWN = "(unknown)"
SIZE = 4  # numbers per word
TOP = 5


def write_words(book: Book, rng: Rng) -> None:
    """A vocabulary with an embedding per word (random), and a text whose words are looked up in it."""
    lead = "A text is a column of words, a word is a row of numbers. The same look-up as for users and items."
    sheet = book.sheet("words", "Words have embeddings too", lead)
    text = [word.lower() for word in TEXT.split()]
    vocabulary = [UNKNOWN, *sorted(set(text))]
    numbers = numpy_rng(rng).normal(0, 1, (len(vocabulary), SIZE)).round(2)
    table = Block("words", TOP, SIZE + 5, len(vocabulary), SIZE)
    _write_vocabulary(sheet, table, vocabulary, numbers)
    _write_text(sheet, text, vocabulary, numbers)
    sheet.widths((0, 0, 16), (1, 1, 9), (2, SIZE + 1, 8), (SIZE + 2, SIZE + 2, 3), (SIZE + 3, SIZE + 3, 14))
    sheet.widths((SIZE + 4, SIZE + 4, 8), (SIZE + 5, 2 * SIZE + 4, 8))
    sheet.finish(freeze=(TOP, 0))


def _write_vocabulary(sheet: Sheet, table: Block, vocabulary: list[str], numbers: np.ndarray) -> None:
    left = table.left - 2
    sheet.band(TOP - 2, left, SIZE + 2, "vocabulary and its embeddings")
    for column, head in enumerate(["word", "row", *map(str, range(1, SIZE + 1))], start=left):
        sheet.text(TOP - 1, column, head, "head")
    for row, word in enumerate(vocabulary):
        sheet.text(TOP + row, left, word)
        sheet.value(TOP + row, left + 1, row + 1, "centre")
    sheet.values(table, numbers, "item")
    sheet.numbers_only(table)
    sheet.book.name("vocabulary", table._replace(left=left, width=1).ref)
    sheet.book.name("word_embeddings", table.ref)


def _write_text(sheet: Sheet, text: list[str], vocabulary: list[str], numbers: np.ndarray) -> None:
    """The words, yours to change; the row each is found in (1 where it is not found), and its embedding."""
    sheet.band(TOP - 2, 0, SIZE + 2, "text: yours to change")
    for column, head in enumerate(["word", "row", *map(str, range(1, SIZE + 1))]):
        sheet.text(TOP - 1, column, head, "head")
    rows = [vocabulary.index(word) for word in text]
    for k, (word, found) in enumerate(zip(text, rows, strict=True), start=TOP):
        sheet.text(k, 0, word, "input")
        sheet.formula(k, 1, f"IFERROR(MATCH(A{k + 1},vocabulary,0),1)", found + 1, "centre")
    block = Block("words", TOP, 2, len(text), SIZE)
    sheet.formulas(block, lambda i, k: f"INDEX(word_embeddings,$B{TOP + i + 1},{k + 1})", numbers[rows], "item")
    sheet.book.name("text_words", Block("words", TOP, 0, len(text), 1).ref)
    sheet.book.name("text_rows", Block("words", TOP, 1, len(text), 1).ref)
    sheet.book.name("text_embeddings", block.ref)
