"""Newcomers: what they tell, by id or by title; and what is refused."""

import dataclasses

import numpy as np
import pytest
import recommender_world as world
from hypothesis import given
from hypothesis import strategies as st

from dotbias.baselines import bias, popular
from dotbias.errors import DataError, DotbiasError, SettingError, UnknownIdError
from dotbias.ratings import Ids
from dotbias.recommender import Recommender
from dotbias.recommender.histories import Titles, read

TRAIN = world.train()
REC = Recommender(world.factors(TRAIN), TRAIN)
TITLES = Titles(TRAIN.item_titles)


def test_items_by_id_or_title():
    told = {"a1": 5, "Item 2 (1952)": 4, "item 3": 3.5, " HEAT (1995) ": 2}
    known = read(told, TRAIN, TITLES)
    assert known.rows.tolist() == [1, 2, 3, 7] and known.values.tolist() == [5, 4, 3.5, 2]
    assert known.rows.dtype == np.int32 and known.values.dtype == np.float32
    by_id = {"a1": 5, "a2": 4, "a3": 3.5, "a7": 2}
    assert REC.recommend(history=told) == REC.recommend(history=by_id) == REC.recommend_for(by_id)
    assert REC.recommend_for(by_id, 3, order="rating") == REC.recommend(n=3, history=by_id, order="rating")


def test_an_id_goes_before_a_title_and_text_may_be_a_number():
    """The film 1984 has another id than 1984."""
    numbers = dataclasses.replace(TRAIN, item_ids=Ids([1984, *range(1, 50)]), item_table=None)
    titles = Titles(["a"] * 48 + ["1984", "1949"])
    known = read({"1984": 5, "1949": 4, 3: 2, np.int64(4): 1}, numbers, titles)
    assert known.rows.tolist() == [0, 49, 3, 4]


@pytest.mark.parametrize(
    ("history", "error", "says"),
    [
        ({"heat": 4}, DataError, r"several items have the title 'heat': a7 Heat \(1995\), a8 Heat \(1986\)"),
        ({"Twin (1990)": 4}, DataError, "several items have the title 'Twin"),
        ({"Item 22 (1972)": 4, "a22": 4}, DataError, "names item 'a22' twice: as 'Item 22 .1972.' and as 'a22'"),
        ({"Itm 22 (1972)": 4}, UnknownIdError, r"did you mean 'Item 22 \(1972\)'"),
        ({"A1": 4}, UnknownIdError, "did you mean 'a1'"),
        ({1: 4}, UnknownIdError, "did you mean 'a1'|ids here are text"),
        ({None: 4}, SettingError, "which is no id"),
        ({(1, 2): 4}, SettingError, "which is no id"),
        ({"a1": 9}, DataError, "the history's rating of item 'a1' is 9; the scale is from 1 to 5"),
        ({"a1": float("nan")}, DataError, "give a number"),
        ({"a1": "5"}, DataError, "give a number"),
        ({f"a{i}": 3 for i in range(100_000)}, DataError, "has 100,000 entries, and train knows 50 items"),
        ([("a1", 4)], SettingError, "the history is a list"),
        ("a1", SettingError, "the history is a str"),
    ],
)
def test_hostile_histories(history, error, says):
    for ask in (lambda: REC.recommend(history=history), lambda: REC.predict(history=history, items="a2")):
        with pytest.raises(error, match=says):
            ask()


@given(
    st.dictionaries(st.text(max_size=6) | st.integers() | st.sampled_from(TRAIN.item_titles), st.floats(), max_size=9)
)
def test_any_history_is_answered_or_refused(history):
    try:
        assert len(REC.recommend(history=history)) == 10
    except DotbiasError as e:
        assert e.what


def test_none_told_is_what_anybody_would_get():
    answer = REC.recommend(history={}, n=3)
    assert answer.note == "the history is empty: this is what anybody would get."
    cold = Recommender(bias(TRAIN), TRAIN)
    assert [r.item_id for r in cold.recommend(history={}, n=3)] == [r.item_id for r in cold.recommend(10, 3)]


def test_either_users_or_a_history():
    for ask in (REC.recommend, lambda *users, **more: REC.predict(*(users or [None]), "a1", **more)):
        with pytest.raises(SettingError, match="neither users nor a history"):
            ask()
        with pytest.raises(SettingError, match="there are users and a history"):
            ask(11, history={"a1": 4})


def test_of_clicks_items_alone_will_do():
    clicks = dataclasses.replace(TRAIN, values=None)
    rec = Recommender(popular(clicks), clicks)
    assert rec.recommend(history=["a1", "item 2"]) == rec.recommend(history={"a1": 1.0, "a2": 1.0})
    assert not {"a1", "a2"} & {r.item_id for r in rec.recommend(history=["a1", "a2"], n=50)}


# What newcomers are predicted to give ----------------------------------------------------------------------------


def test_predictions_for_a_newcomer():
    history = {"a1": 5, "Item 2 (1952)": 1.0}
    part = REC.scorer.fold_in_user(np.array([1, 2]), np.array([5, 1.0]))
    found = REC.predict(history=history, items=["a3", "a0"])
    assert [p.value for p in found] == part.score(np.array([3, 0])).tolist()
    assert [p.path for p in found] == ["folded in", "folded in, cold item"]
    assert REC.predict(history=history, items="a3") == found[:1]
    assert (
        {r.item_id: r.score for r in REC.recommend(history=history)}["a3"] == found[0].value
        if any(r.item_id == "a3" for r in REC.recommend(history=history))
        else True
    )


def test_ids_that_train_does_not_name():
    with pytest.raises(UnknownIdError):
        REC.predict(999, "a1")
    asked = REC.predict([999, 11, 999, 10], ["a1", "zz", "zz", "a1"], unknown="baseline")
    assert [p.path for p in asked] == ["cold user", "cold item", "mean", "cold user"]
    plain = Recommender(bias(TRAIN), TRAIN)
    assert plain.predict(999, "a1", unknown="baseline") == plain.predict(10, "a1")  # no rating either way
    assert REC.predict(history={"a1": 5}, items="zz", unknown="baseline")[0].path == "folded in, cold item"
    with pytest.raises(SettingError, match="unknown is 'guess'"):
        REC.predict(11, "a1", unknown="guess")


def test_one_of_them_is_paired_with_each():
    assert REC.predict(11, ["a1", "a2"]) == REC.predict([11, 11], ["a1", "a2"])
    assert REC.predict([11, 12], "a1") == REC.predict([11, 12], ["a1", "a1"])


def test_a_whole_title_is_found_among_longer_ones():
    for text in ("Item 1", "item 1 (1951)", "a1"):  # Item 11 … Item 19 have it as a part
        assert REC.find_item(text) == "a1"
    for text in ("Heat", "Twin", "tem"):
        with pytest.raises(DataError, match=f"titles contain '{text}'"):
            REC.find_item(text)
