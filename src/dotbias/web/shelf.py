"""The items of a model as people look for them: by the beginning of a word, typos forgiven; genres and years.

Words are found by the prefix edit distance: the least number of insertions, deletions, exchanges and swaps of two
neighbouring letters (optimal string alignment) that turns what was typed into the beginning of a word. It is computed
for all words at once, a row of the dynamic program per letter typed.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..recommender import Recommender
from ..recommender.answers import Id

LONGEST = 16  # letters of a word that are compared
FORGIVEN = (0, 0, 0, 1, 1, 1, 1, 1, 2)  # typos by letters typed; 2 from eight on
_WORD = re.compile(r"\w+")
_YEAR = re.compile(r"\((\d{4})\)\s*$")


class Shown(NamedTuple):
    """One item.

    Attributes:
        item_id: its own id.
        title: where the item table has one.
        genres: labels, where the item table has a column ``genres``.
        year: from a column ``year``, or the end of the title.
        count: its ratings in train.
    """

    item_id: Id
    title: str | None
    genres: list[str]
    year: int | None
    count: int


class Shelf:
    """The items of a model.

    Args:
        model: whose item table, titles and counts are read.
    """

    def __init__(self, model: Recommender):
        self.record, self.table = model.record, model.train.item_table
        self.ids = model.train.item_ids

    def entry(self, row: int) -> Shown:
        """One item by its row."""
        record = self.record
        at = record.item_ids[row], record.item_titles[row], self.genres[row], self.years[row]
        return Shown(*at, int(record.item_counts[row]))

    @cached_property
    def genres(self) -> list[list[str]]:
        """Each item's genres."""
        if self.table is None or "genres" not in self.table.columns:
            return [[] for _ in self.record.item_ids]
        return [_labels(cell) for cell in self.table["genres"].to_list()]

    @cached_property
    def all_genres(self) -> list[str]:
        """Every genre, in the order of the alphabet."""
        return sorted({label for labels in self.genres for label in labels})

    @cached_property
    def years(self) -> list[int | None]:
        """Each item's year."""
        if self.table is not None and "year" in self.table.columns and self.table["year"].dtype.is_integer():
            return self.table["year"].to_list()
        found = [_YEAR.search(title or "") for title in self.record.item_titles]
        return [int(year[1]) if year else None for year in found]

    def find(self, text: str, n: int = 10) -> list[Shown]:
        """The n items that match best: all words typed begin words of the title; the most rated first.

        Where fewer are found so, typos are forgiven: one in words of three to seven letters, two in longer ones. An id
        goes before all titles. With no text: the most rated items.
        """
        rows = [] if (typed := self.ids.typed(text.strip())) not in self.ids else [self.ids.row(typed)]
        for typos in (False, True):
            if len(rows) < n:
                rows = list(dict.fromkeys([*rows, *self._matching(text, typos)]))
        return [self.entry(row) for row in rows[:n]]

    def _matching(self, text: str, typos: bool) -> list[int]:
        """Item rows, best first: fewest typos, then titles that begin so, then the most rated."""
        cost, plain = np.zeros(len(self.record.item_ids)), plain_text(text)
        for word in _WORD.findall(plain):
            cost += self._cost(word, FORGIVEN[min(len(word), 8)] if typos else 0)
        found = np.flatnonzero(np.isfinite(cost))
        begins = np.array([not self._names[row].startswith(plain) for row in found.tolist()], bool)
        return found[np.lexsort((found, -self.record.item_counts[found], begins, cost[found]))].tolist()

    def _cost(self, word: str, typos: int) -> np.ndarray:
        """The typos (I,) in the nearest word of each title; infinite where there are more than so many."""
        words, codes, owners, starts = self._index
        cost = np.full(len(self.record.item_ids), np.inf)
        if typos:
            distance = prefix_distances(word, codes)
            near = np.flatnonzero(distance <= typos)
        else:
            near = np.arange(bisect_left(words, word), bisect_left(words, word + chr(0x10FFFF)))
            distance = np.zeros(len(words), np.int64)
        for k in near.tolist():
            rows = owners[starts[k] : starts[k + 1]]
            cost[rows] = np.minimum(cost[rows], distance[k])
        return cost

    @cached_property
    def _names(self) -> list[str]:
        return [plain_text(title or "") for title in self.record.item_titles]

    @cached_property
    def _index(self) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
        """(words in order, their letters (V, LONGEST), rows of the titles that have them, where each word's begin)."""
        where: dict[str, list[int]] = {}
        for row, name in enumerate(self._names):
            for word in dict.fromkeys(_WORD.findall(name)):
                where.setdefault(word, []).append(row)
        words = sorted(where)
        codes = np.zeros((len(words), LONGEST), np.int32)
        for k, word in enumerate(words):
            codes[k, : len(word)] = [ord(c) for c in word[:LONGEST]]
        owners = np.array([row for word in words for row in where[word]], np.int64)
        return words, codes, owners, np.r_[0, np.cumsum([len(where[word]) for word in words], dtype=np.int64)]


def plain_text(text: str) -> str:
    """Small letters without accents: ``Amélie`` -> ``amelie``."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).strip()


def prefix_distances(word: str, codes: np.ndarray) -> np.ndarray:
    """The edits (V,) that turn ``word`` into the beginning of each word of ``codes`` (V, L), zero past their ends."""
    length = (codes > 0).sum(1)  # (V,)
    rows = [np.broadcast_to(np.arange(codes.shape[1] + 1), (len(codes), codes.shape[1] + 1))]  # (V, L + 1)
    typed = [ord(c) for c in word[:LONGEST]]
    for i, letter in enumerate(typed, start=1):
        row = np.empty((len(codes), codes.shape[1] + 1), np.int64)
        row[:, 0] = i
        for j in range(1, codes.shape[1] + 1):
            row[:, j] = np.minimum(rows[-1][:, j] + 1, row[:, j - 1] + 1)
            row[:, j] = np.minimum(row[:, j], rows[-1][:, j - 1] + (codes[:, j - 1] != letter))
            if i > 1 and j > 1:
                swapped = (codes[:, j - 2] == letter) & (codes[:, j - 1] == typed[i - 2])
                row[:, j] = np.where(swapped, np.minimum(row[:, j], rows[-2][:, j - 2] + 1), row[:, j])
        rows.append(row)
    past = np.arange(codes.shape[1] + 1) > length[:, None]
    return np.where(past, len(typed) + codes.shape[1], rows[-1]).min(1)


def _labels(cell: object) -> list[str]:
    if isinstance(cell, str):
        return [label for label in cell.split("|") if label]
    return [str(label) for label in cell] if isinstance(cell, list) else []
