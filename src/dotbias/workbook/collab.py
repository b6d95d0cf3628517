"""The lesson's collaborative filtering in a workbook: dot product, biases, look-ups, and descent on the sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import SettingError
from ..ratings import Ratings
from ..rng import Rng, numpy_rng
from ._als import als, write_als
from ._crosstab import Crosstab, most_rated
from ._descend import Settings, descend, draw, limits, mean_of, parts, plan, references
from ._embeddings import write_embeddings
from ._epochs import write_epochs
from ._exercises import ExerciseMaterial, tours
from ._factors import starts, step_rate, write_factor_sheet
from ._intro import intro
from ._learn import write_learn
from ._outcome import write_outcome
from ._sheet import Book
from ._split import write_split
from ._style import COLOURS
from ._words import write_words


def collab(
    ratings: Ratings,
    *,
    path: str | Path,
    n: int = 15,
    n_factors: int = 5,
    rng: Rng = None,
    settings: Settings | None = None,
    compared: Settings | None = None,
    test_share: float = 0.2,
) -> Path:
    """Write the lesson's collaborative-filtering workbook from your own ratings.

    Args:
        ratings: explicit ratings; the n users and n items with most of them make the crosstab.
        path: the .xlsx file to write.
        n: users and items, 2 to 40; fewer where there are fewer, and the Intro says how many. The file grows with
            n² and K: 1.3 MB for 15 and 5.
        n_factors: K, 1 to 20.
        rng: draws the initial factors and which ratings are for testing.
        settings: of run A on the sheet *learn*; by default no weight decay, and a rate with which the loss falls.
        compared: of run B beside it; by default the same with weight decay.
        test_share: the share of ratings kept for testing, 0 to 0.9.

    Returns:
        The path written.

    Raises:
        SettingError: for n, n_factors, test_share or a path that make no sense.
        DataError: for implicit feedback, or too few ratings in common.
        MissingExtraError: without xlsxwriter.
    """
    if not 0 <= test_share <= 0.9:
        raise SettingError(f"test_share is {test_share!r}.", hint="a share between 0 and 0.9, such as 0.2.")
    table, generator = most_rated(ratings, n), numpy_rng(rng)
    material = prepare(table, n_factors, generator, ratings.scale(), settings, compared, test_share)
    book = Book("Collaborative filtering, every gradient in a cell")
    _intro(book, ratings, material)
    _write(book, material, generator)
    return book.save(path)


def prepare(
    table: Crosstab,
    n_factors: int,
    rng: Rng,
    y_range: tuple[float, float],
    settings: Settings | None = None,
    compared: Settings | None = None,
    test_share: float = 0.2,
) -> ExerciseMaterial:
    """All numbers of the workbook."""
    draws = draw(table.ratings.shape, n_factors, rng)
    both = plan(table.ratings, draws, y_range=y_range, test_share=test_share, a=settings, b=compared)
    part = parts(table.ratings, draws, test_share)
    how = {"mean": mean_of(table.ratings, part), "y_range": y_range, "clip": both.clip}
    a, b = (descend(table.ratings, part, draws, s, **how) for s in (both.a, both.b))
    begin = starts(draws, bias=False)
    without, with_ = (als(table.ratings, *begin, bias=bias) for bias in (False, True))
    return ExerciseMaterial(table, draws, both, y_range, step_rate(table.ratings, draws), (without, with_), (a, b))


def _write(book: Book, m: ExerciseMaterial, rng: np.random.Generator) -> None:
    """The sheets, in the order of the lesson."""
    table, both = m.table, m.plan
    part = parts(table.ratings, m.draws, both.test_share)
    mean = mean_of(table.ratings, part)
    write_factor_sheet(book, table, m.draws, m.step_rate, m.sweeps[0][-1].rmse, bias=False)
    bias = write_factor_sheet(book, table, m.draws, m.step_rate, m.sweeps[1][-1].rmse, bias=True)
    write_als(book, table, starts(m.draws, bias=False))
    write_embeddings(book, table, m.draws, bias)
    write_words(book, rng)
    split = write_split(book, table, m.draws, part, mean, both.b.wd)
    reached = references(table.ratings, part, mean=mean, wd=both.b.wd)
    write_learn(book, both, m.runs, reached, mean=mean, y_range=m.y_range)
    last = [
        write_epochs(book, name, table, split, s, limits(s, mean, m.y_range), epochs)
        for name, s, epochs in zip("ab", (both.a, both.b), m.runs, strict=True)
    ]
    write_outcome(book, table, part, m.runs, last)


def _intro(book: Book, ratings: Ratings, m: ExerciseMaterial) -> None:
    (n_users, n_items), there = m.table.ratings.shape, int(np.isfinite(m.table.ratings).sum())
    facts = (
        f"From {len(ratings):,} ratings: the {n_users} users and {n_items} items with most; "
        f"{m.draws.users.shape[1]} factors.",
        f"They share {there} ratings of {n_users * n_items} possible ones. "
        "Change a rating on dotprod, and every sheet follows.",
        "Every number that is not yellow, and not a rating or a starting point, is a formula. There are no macros.",
        "Undo (Ctrl+Z) after each exercise: the outcomes are those of one change to the file as written.",
    )
    lead = "From the table of ratings down to one gradient. Read the sheets from left to right."
    colours = {name: meaning for name, (_, meaning) in COLOURS.items()}
    intro(book, "Collaborative filtering", lead, facts=facts, tours=tours(m), colours=colours)
