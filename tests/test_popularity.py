"""Most popular: one list for all, of ratings and of clicks, all counted alike or decayed by time."""

import dataclasses

import battery
import numpy as np
import polars as pl
import pytest

from dotbias import Recommender, fitters
from dotbias.baselines import popular
from dotbias.errors import DataError, SettingError
from dotbias.ratings import Ratings
from dotbias.scorer import FoldsIn, offers

NOT_OF_POPULARITY = {
    battery.beats_the_mean,  # its guess is the mean
    battery.newcomers_are_taken,  # it listens to nobody
    battery.interactions_are_refused,  # clicks suit it
}


@pytest.mark.parametrize("check", [c for c in battery.CHECKS if c not in NOT_OF_POPULARITY], ids=lambda c: c.__name__)
def test_battery(check):
    check(popular)


def tiny(**columns) -> Ratings:
    table = {"user": [1, 2, 3, 1, 2, 1], "item": ["a", "a", "a", "b", "b", "c"], "rating": [1, 1, 1, 2, 2, 5]}
    return Ratings.from_frame(pl.DataFrame(table | columns))


def test_it_ranks_by_count_and_guesses_the_mean():
    scorer = popular(tiny())
    assert scorer.counts.tolist() == [3, 2, 1]
    assert scorer.rank_all(np.array([0, 2, -1])).tolist() == [[3, 2, 1]] * 3
    assert np.unique(scorer.score_all(np.array([0]))).tolist() == [2.0]
    assert scorer.rank(np.array([0, 0]), np.array([1, 99])).tolist() == [2, 0]
    assert scorer.score(np.array([0, 0]), np.array([1, 99])).tolist() == [2, 2]


def test_a_half_life_makes_new_counts_weigh_more():
    day = 86_400
    train = tiny(time=[0, 0, 0, 10 * day, 10 * day, 20 * day])
    assert popular(train, half_life=10).counts.tolist() == pytest.approx([3 / 4, 2 / 2, 1])
    assert popular(train, half_life=10).rank_all(np.array([0])).argmax() == 1
    assert popular(train, half_life=1e9).counts.tolist() == pytest.approx([3, 2, 1])
    assert popular(train).counts.tolist() == [3, 2, 1]


def test_of_clicks_it_guesses_how_many_take_an_item():
    clicks = dataclasses.replace(tiny(), values=None)
    scorer = popular(clicks)
    assert scorer.score(np.array([0, 0, 0, 0]), np.array([0, 1, 2, -1])).tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert [r.item_id for r in Recommender(scorer, clicks).recommend(3, 2)] == ["b", "c"]


def test_newcomers_get_what_everybody_gets():
    train, _ = battery.parts()
    scorer = popular(train)
    assert offers(scorer, FoldsIn)
    part = scorer.fold_in_user(train.items[:3], train.values[:3])
    assert np.array_equal(part.rank(), scorer.rank_all(np.array([5]))[0])
    assert part.score(np.array([4, 2])).tolist() == [scorer.guesses[4], scorer.guesses[2]]
    new = scorer.fold_in_item(np.array([1, 2]), np.array([5.0, 5.0]))
    assert new.score().shape == (train.n_users,) and new.rank(np.array([7])).tolist() == [2]
    ids = [r.item_id for r in Recommender(scorer, train).recommend_for({"a4": 5.0}, 3)]
    counts = train.item_counts
    assert counts[[int(i[1:]) for i in ids]].tolist() == sorted(np.delete(counts, 4), reverse=True)[:3]


def test_what_cannot_be():
    train, _ = battery.parts()
    with pytest.raises(DataError, match="no ratings here"):
        popular(train.take([]))
    with pytest.raises(SettingError, match="half_life is 7, but these ratings have no times"):
        popular(dataclasses.replace(train, times=None), half_life=7)
    with pytest.raises(SettingError, match="half_life is 0; it must be"):
        popular(train, half_life=0)


def test_it_stands_in_the_list():
    assert fitters.find("popular").fit is popular
    assert fitters.find("popular").feedback == ("stars", "clicks")
