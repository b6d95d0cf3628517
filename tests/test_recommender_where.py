"""Filters by the item table, by id, and as one value."""

import numpy as np
import polars as pl
import pytest
import recommender_world as world
from hypothesis import given
from hypothesis import strategies as st

from dotbias.errors import DataError, DotbiasError, SettingError
from dotbias.recommender import Recommender
from dotbias.recommender.where import chosen

TRAIN = world.train()
REC = Recommender(world.factors(TRAIN), TRAIN)
ROWS = np.arange(50)
GENRES = np.array([set(world.GENRES[i % 4].split("|")) for i in ROWS])
YEARS = np.array([int(t[-5:-1]) for t in TRAIN.item_titles])


def holds(*labels):
    return np.array([bool(set(labels) & g) for g in GENRES])


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ("genres: Comedy", holds("Comedy")),
        ("Genres: comedy , film-noir", holds("Comedy", "Film-Noir")),
        ("genres: Comedy; year: 1960-1969", holds("Comedy") & (YEARS >= 1960) & (YEARS <= 1969)),
        ("year: 1990", YEARS == 1990),
        ("year: 1960..1962, 1970", ((YEARS >= 1960) & (YEARS <= 1962)) | (YEARS == 1970)),
        ("year: 1990..", YEARS >= 1990),
        ("year: ..1960", YEARS <= 1960),
        ("year: 1990-", YEARS >= 1990),
        ("minutes: 83", ROWS == 99),  # the one of 83 minutes is not known to be
        ("cast: b1", ROWS % 2 == 1),
        ("title: heat (1995)", ROWS == 7),
        ({"genres": "Drama"}, holds("Drama")),
        ({"genres": ["Drama", "Comedy"], "year": (1960, None)}, holds("Drama", "Comedy") & (YEARS >= 1960)),
        ({"minutes": (None, 84.5)}, (ROWS <= 4) & (ROWS != 3)),
        (pl.col("year") > 1990, YEARS > 1990),
        (pl.col("minutes").is_null(), ROWS == 3),
    ],
)
def test_what_fits(where, fits):
    assert np.array_equal(chosen(TRAIN, where), fits)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("genre: Comedy", "no column 'genre'.*\n.*did you mean 'genres'"),
        ("genres: Comdey", "no item has genres 'Comdey'.*\n.*did you mean 'Comedy'"),
        ("genres", "names no column and value"),
        ("", "where is empty"),
        ("year: old", "year holds numbers, and 'old' is none"),
        ("year: -", "year holds numbers"),
        ("year: ..", "year holds numbers"),
        ({"genres": (1, 2)}, "genres holds text, and has no range"),
        ({"year": ("a", 2)}, "is no range"),
        ({"year": (1, 2, 3)}, "is no range"),
        (pl.col("yaer") > 1, "cannot be computed"),
        (pl.col("year").max(), "no true or false for each item"),
        (5, "where is a int"),
    ],
)
def test_what_makes_no_sense(where, says):
    with pytest.raises(DotbiasError, match=says):
        chosen(TRAIN, where)


def test_without_a_table():
    import dataclasses

    with pytest.raises(DataError, match="there is no item table"):
        chosen(dataclasses.replace(TRAIN, item_table=None), "genres: Comedy")


@given(st.text(max_size=40) | st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers(), max_size=3))
def test_any_text_is_answered_or_refused(where):
    try:
        assert chosen(TRAIN, where).shape == (50,)
    except DotbiasError as e:
        assert e.what


def test_lists_hold_what_fits_and_are_in_the_same_order():
    plain = [r.item_id for r in REC.recommend(11, 50)]
    comedies = [r.item_id for r in REC.recommend(11, 50, where="genres: Comedy")]
    assert comedies == [i for i in plain if holds("Comedy")[int(i[1:])]] and 0 < len(comedies) < len(plain)


def test_made_once_for_any_number_of_lists():
    made = REC.filters(where="genres: Comedy", exclude=["a2"], keep_seen=True)
    for user in (11, 12):
        said = REC.recommend(user, 4, where="genres: Comedy", exclude=["a2"], keep_seen=True)
        assert REC.recommend(user, 4, filters=made) == said
    history = {"a2": 5}
    assert REC.recommend(history=history, filters=made) == REC.recommend(
        history=history, where="genres: Comedy", exclude=["a2"], keep_seen=True
    )
    with pytest.raises(SettingError, match="there are filters, and others beside them"):
        REC.recommend(11, filters=made, keep_seen=True)
    for wrong in ("genres: Comedy", made._replace(allowed=made.allowed[:9])):
        with pytest.raises(SettingError, match="no filters of this model"):
            REC.recommend(11, filters=wrong)


def test_a_short_list_says_what_was_asked():
    short = REC.recommend(11, 40, where="genres: Film-Noir", only=["a3", "a7", "a11", "a4"])
    assert short.note.startswith(f"{len(short)} of the 40 asked for: of 50 items, 3 could be chosen (rated in train, ")
    assert "in only=, as where= says, not in exclude=)" in short.note
