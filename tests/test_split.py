"""Splits: the parts are the whole, each has its meaning, and cold ratings are counted."""

import itertools

import numpy as np
import polars as pl
import pytest
import strategies as mine
from hypothesis import assume, given
from hypothesis import strategies as st

from dotbias import split
from dotbias.errors import DataError, SettingError
from dotbias.ratings import Ratings
from dotbias.split import Cold, Split


def check(parts: Split, whole: Ratings) -> None:
    """A partition of the whole, in its order, on its id tables; cold masks by brute force."""
    pairs = [part.pairs().tolist() for part in parts if part is not None]
    assert sorted(itertools.chain(*pairs)) == sorted(whole.pairs().tolist())
    position = {pair: k for k, pair in enumerate(whole.pairs().tolist())}
    for part in (p for p in parts if p is not None):
        assert len(part)
        assert part.user_ids is whole.user_ids
        assert [position[p] for p in part.pairs().tolist()] == sorted(position[p] for p in part.pairs().tolist())
    users, items = set(parts.train.users.tolist()), set(parts.train.items.tolist())
    for name in ("valid", "test"):
        part = getattr(parts, name)
        if part is None:
            assert name not in parts.cold()
            continue
        cold = [u not in users or i not in items for u, i in zip(part.users, part.items, strict=True)]
        assert part.cold.tolist() == cold
        new = len(set(part.users.tolist()) - users), len(set(part.items.tolist()) - items)
        assert parts.cold()[name] == Cold(*new, sum(cold))
    assert parts.train.cold is None


fractions = st.tuples(st.none() | st.floats(0.05, 0.45), st.none() | st.floats(0.05, 0.45)).filter(any)


@given(mine.ratings(min_size=10), fractions, st.integers(0, 9))
def test_random(ratings, asked, seed):
    valid, test = asked
    sizes = [0 if f is None else int(f * len(ratings) + 0.5) for f in asked]
    assume(all(s or f is None for s, f in zip(sizes, asked, strict=True)) and sum(sizes) < len(ratings))
    parts = split.random(ratings, test=test, valid=valid, rng=seed)
    check(parts, ratings)
    assert [0 if p is None else len(p) for p in (parts.valid, parts.test)] == sizes
    again = split.random(ratings, test=test, valid=valid, rng=seed)
    assert again.train.fingerprint() == parts.train.fingerprint()


@given(mine.ratings(min_size=10), fractions)
def test_per_user(ratings, asked):
    valid, test = asked
    try:
        parts = split.per_user(ratings, test=test, valid=valid, rng=0)
    except DataError:
        return
    check(parts, ratings)
    assert (parts.train.user_counts[ratings.user_counts > 0] >= 1).all()
    for user, n in enumerate(ratings.user_counts):
        n_test = min(int((test or 0) * n + 0.5), max(n - 1, 0))
        assert (0 if parts.test is None else parts.test.user_counts[user]) == n_test
        n_valid = min(int((valid or 0) * n + 0.5), max(n - 1, 0) - n_test)
        assert (0 if parts.valid is None else parts.valid.user_counts[user]) == n_valid


@given(mine.ratings(min_size=4), st.integers(1, 3), st.none() | st.integers(1, 2))
def test_last_against_brute_force(ratings, n, valid):
    try:
        parts = split.last(ratings, n=n, valid=valid)
    except DataError:
        return
    check(parts, ratings)
    times = np.zeros(len(ratings), int) if ratings.times is None else ratings.times
    held = {"test": set(), "valid": set()}
    for user in range(ratings.n_users):
        own = sorted(np.flatnonzero(ratings.users == user), key=lambda k: (times[k], k))
        latest = own[1:][::-1]  # one stays in train
        held["test"] |= set(ratings.pairs()[latest[:n]].tolist())
        held["valid"] |= set(ratings.pairs()[latest[n : n + (valid or 0)]].tolist())
    assert set(parts.test.pairs().tolist()) == held["test"]
    assert (set() if parts.valid is None else set(parts.valid.pairs().tolist())) == held["valid"]


@given(mine.ratings(min_size=4), fractions)
def test_last_share_against_brute_force(ratings, asked):
    valid, test = asked
    try:
        parts = split.last_share(ratings, test=test, valid=valid)
    except DataError:
        return
    check(parts, ratings)
    times = np.zeros(len(ratings), int) if ratings.times is None else ratings.times
    held = {"test": set(), "valid": set()}
    for user in range(ratings.n_users):
        own = sorted(np.flatnonzero(ratings.users == user), key=lambda k: (times[k], k))  # ties: file order
        latest = own[1:][::-1]  # one stays in train
        n_test, n_valid = (int((f or 0) * len(own) + 0.5) for f in (test, valid))
        held["test"] |= set(ratings.pairs()[latest[:n_test]].tolist())
        held["valid"] |= set(ratings.pairs()[latest[n_test : n_test + n_valid]].tolist())
    for name in held:
        part = getattr(parts, name)
        assert (set() if part is None else set(part.pairs().tolist())) == held[name]


@pytest.mark.parametrize("divide", [split.lesson, split.random, split.per_user, split.by_time, split.last_share])
def test_a_frame_is_no_ratings_and_text_no_fraction(divide, world):
    with pytest.raises(DataError, match="ratings is a DataFrame, not Ratings"):
        divide(world.ratings.to_frame())
    for fraction in ("0.2", [0.2]):
        with pytest.raises(SettingError, match="cannot be held out"):
            divide(world.ratings, **{"fraction" if divide is split.lesson else "test": fraction})


@pytest.mark.parametrize("seed", [-1, 2**32, 2.5, "x", None])
def test_seeds_that_the_legacy_generator_has_not(world, seed):
    with pytest.raises(SettingError, match="seed is"):
        split.lesson(world.ratings, seed=seed)


def test_each_split_says_which_question_it_answers(world):
    ratings = world.ratings
    asked = {
        split.HOLES: [split.lesson(ratings), split.random(ratings, rng=0), split.per_user(ratings, rng=0)],
        split.NEXT: [split.last(ratings), split.last_share(ratings, valid=0.1)],
        split.TOMORROW: [split.by_time(ratings)],
    }
    asked[split.HOLES] += split.folds(ratings, 2, rng=0)
    for question, made in asked.items():
        for parts in made:
            assert parts.question == parts.test.question == question and question in repr(parts)
            assert parts.train.question is None
    assert split.last_share(ratings, valid=0.1).valid.question == split.NEXT
    inner = split.random(split.last_share(ratings).train, rng=0)
    assert inner.question == inner.test.question == split.HOLES
    assert split.random(split.by_time(ratings).test, rng=0).train.question is None
    for cut in (split.lesson, split.random, split.per_user, split.folds, split.last, split.last_share, split.by_time):
        assert "question:" in cut.__doc__


@given(mine.ratings(min_size=10, times=True), fractions)
def test_by_time_parts_follow_each_other(ratings, asked):
    valid, test = asked
    try:
        parts = split.by_time(ratings, test=test, valid=valid)
    except DataError:
        return
    check(parts, ratings)
    spans = [(p.times.min(), p.times.max()) for p in parts if p is not None]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    if test is not None:
        assert len(parts.test) >= int(test * len(ratings) + 0.5)


@given(mine.ratings(min_size=5), st.integers(2, 5))
def test_folds(ratings, k):
    k = min(k, len(ratings))
    made = list(split.folds(ratings, k, rng=3))
    assert len(made) == k
    for parts in made:
        check(parts, ratings)
    assert sorted(itertools.chain(*(p.test.pairs().tolist() for p in made))) == sorted(ratings.pairs().tolist())
    assert max(len(p.test) for p in made) - min(len(p.test) for p in made) <= 1


def test_folds_draw_when_called(world):
    rng = np.random.default_rng(0)
    first, second = split.folds(world.ratings, 3, rng=rng), split.folds(world.ratings, 3, rng=rng)
    a, b = next(second).test.fingerprint(), next(first).test.fingerprint()
    assert b == next(split.folds(world.ratings, 3, rng=0)).test.fingerprint() != a


# The lesson --------------------------------------------------------------------------------------------------------


def get_cv_idxs(n, cv_idx=0, val_pct=0.2, seed=42):
    """As the course has it."""
    np.random.seed(seed)
    n_val = int(val_pct * n)
    idx_start = cv_idx * n_val
    return np.random.permutation(n)[idx_start : idx_start + n_val]


@pytest.mark.parametrize("n", [10, 999, 100_004])
@pytest.mark.parametrize("cv_idx", [0, 1, 4])
def test_lesson_rows_are_the_courses(n, cv_idx):
    state = np.random.get_state()
    try:
        expected = get_cv_idxs(n, cv_idx, 0.2, 7)
    finally:
        np.random.set_state(state)
    before = np.random.get_state()[1].tolist()
    assert split.lesson_rows(n, cv_idx=cv_idx, seed=7).tolist() == expected.tolist()
    assert np.random.get_state()[1].tolist() == before


def test_the_lessons_split(data):
    ratings = Ratings.from_csv(data / "ml-latest-small-2016" / "ratings.csv")
    parts = split.lesson(ratings)
    check(parts, ratings)
    assert parts.valid is None
    assert parts.cold() == {"test": Cold(users=0, items=667, rows=742)}
    assert repr(parts) == f"Split(train 80,004, test 20,000; test: 742 cold rows)\nIt asks: {split.HOLES}"
    held = np.sort(split.lesson_rows(len(ratings)))
    assert parts.test.pairs().tolist() == ratings.pairs()[held].tolist()
    train, valid, test = split.lesson(ratings, 0.1, seed=43)
    assert (len(train), valid, len(test)) == (90_004, None, 10_000)


# Predefined --------------------------------------------------------------------------------------------------------


def three() -> list[Ratings]:
    frames = [
        {"user": ["a", "a", "b"], "item": [1, 2, 1], "rating": [1, 2, 3]},
        {"user": ["a", "z"], "item": [9, 1], "rating": [4, 5]},
        {"user": ["b", "y"], "item": [9, 2], "rating": [4, 5]},
    ]
    return [Ratings.from_frame(pl.DataFrame(f)) for f in frames]


def test_predefined_brings_parts_onto_one_table():
    train, test, valid = three()
    parts = split.predefined(train, test, valid=valid)
    assert list(parts.train.user_ids) == ["a", "b", "y", "z"]
    assert list(parts.test.item_ids) == [1, 2, 9]
    for before, after in ((train, parts.train), (test, parts.test), (valid, parts.valid)):
        assert after.to_frame().equals(before.to_frame())
    assert parts.cold() == {"valid": Cold(1, 1, 2), "test": Cold(1, 1, 2)}
    assert split.predefined(train, None, valid=valid).test is None
    assert parts.question is None
    assert split.predefined(train, test, question=split.NEXT).test.question == split.NEXT


def test_predefined_after_like_and_with_tables():
    train, test, _ = three()
    titles = pl.DataFrame({"item": [1, 2, 9], "title": ["one", "two", "nine"]})
    train = train.with_item_table(titles)
    test = Ratings.from_frame(test.to_frame(), like=train)
    assert split.predefined(train, test).test.item_titles == ["one", "two", None]
    test = three()[1].with_item_table(titles)
    parts = split.predefined(train, test)
    assert parts.train.item_titles == ["one", "two", "nine"]
    assert parts.train.item_table.equals(parts.test.item_table)
    ids_only = pl.DataFrame({"item": [1, 2]})
    assert split.predefined(three()[0].with_item_table(ids_only), test).train.item_table.shape == (3, 1)


def test_predefined_refuses():
    train, test, _ = three()
    frame = pl.DataFrame({"user": ["b", "b"], "item": [2, 1], "rating": [1, 1]})
    with pytest.raises(DataError, match="1 ratings of test are in train, too; the first is user 'b', item 1"):
        split.predefined(train, Ratings.from_frame(frame))
    with pytest.raises(DataError, match="ratings of test are in valid, too"):
        split.predefined(train, test, valid=test)
    with pytest.raises(DataError, match="the item ids of train and test are Int64 and String"):
        split.predefined(train, Ratings.from_frame(frame.with_columns(pl.col("item").cast(pl.String))))
    with pytest.raises(DataError, match="one has ratings and the other has none"):
        split.predefined(train, Ratings.from_frame(frame, rating=False))
    with pytest.raises(DataError, match="the test part is empty"):
        split.predefined(train, test.take([]))
    with pytest.raises(SettingError, match="there is no held-out part"):
        split.predefined(train, None)


# Refused -----------------------------------------------------------------------------------------------------------

one = Ratings.from_frame(pl.DataFrame({"user": [1], "item": [1], "rating": [3], "time": [0]}))


@pytest.mark.parametrize(
    "cut",
    [
        split.lesson,
        lambda r: split.random(r, test=0.5),
        lambda r: split.per_user(r, test=0.5),
        split.last,
        split.last_share,
        split.by_time,
        lambda r: split.by_time(r, test=0.5),
    ],
)
def test_one_rating_cannot_be_split(cut):
    with pytest.raises(DataError, match="of 1 rating, this split leaves none for"):
        cut(one)


@pytest.mark.parametrize(
    ("cut", "what"),
    [
        (lambda r: split.random(r, test=0), "0 cannot be held out"),
        (lambda r: split.random(r, test=1.0), "1.0 cannot be held out"),
        (lambda r: split.random(r, test=0.6, valid=0.5), "0.6, 0.5 cannot be held out"),
        (lambda r: split.random(r, test=None), "nothing cannot be held out"),
        (lambda r: split.per_user(r, test=-1), "-1 cannot be held out"),
        (lambda r: split.lesson(r, float("nan")), "nan cannot be held out"),
        (lambda r: split.last_share(r, test=1.0), "1.0 cannot be held out"),
        (lambda r: split.last(r, n=0), "n is 0"),
        (lambda r: split.last(r, valid=1.5), "valid is 1.5"),
        (lambda r: split.folds(r, 1), "k is 1, for 3,000 ratings"),
        (lambda r: split.folds(r, 3001), "k is 3001"),
        (lambda r: split.folds(r, 2.5), "k is 2.5"),
    ],
)
def test_settings_refused(world, cut, what):
    with pytest.raises(SettingError, match=what):
        cut(world.ratings)


def test_by_time_needs_times(world):
    import dataclasses

    with pytest.raises(DataError, match="these ratings have no times"):
        split.by_time(dataclasses.replace(world.ratings, times=None))


def test_parts_on_different_tables_are_refused():
    with pytest.raises(DataError, match="train and test have different id tables"):
        Split(three()[0], test=one)
