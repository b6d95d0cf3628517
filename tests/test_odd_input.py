"""Odd files and hostile arguments, drawn by hypothesis: a DotbiasError or the right answer; no other error, no hang."""

import contextlib
import csv
import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import csv_files, odd_values

from dotbias import datasets, evaluate, split, storage
from dotbias.baselines import bias
from dotbias.errors import DataError, DotbiasError, SettingError
from dotbias.factors import Factors
from dotbias.interpret import nearest_items, nearest_users
from dotbias.ratings import Ids, Ratings
from dotbias.recommender import Recommender


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


def whole(ratings):
    """What must hold of any ratings that were read."""
    assert len(ratings) and np.isfinite(ratings.values).all()
    assert ratings.users.max() < ratings.n_users and ratings.items.max() < ratings.n_items
    assert len(set(ratings.user_ids)) == ratings.n_users and None not in list(ratings.user_ids)
    assert repr(ratings).count("\n") == 0 and ratings._repr_html_()
    assert all(isinstance(note, str) for note in ratings.notes)


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda b: b"user,item,rating\n1,2,3\n" + b))
def test_any_bytes(folder, content):
    path = folder / "bytes.csv"
    path.write_bytes(content)
    with contextlib.suppress(DotbiasError):
        whole(Ratings.from_csv(path))


@settings(max_examples=200)
@given(csv_files())
def test_odd_csv_files(folder, file):
    """Separators, quotes, marks, encodings, line ends, headers: read as Python's csv reads them, or refused."""
    content, said, rows = file
    path = folder / "odd.csv"
    path.write_bytes(content)
    try:
        ratings = Ratings.from_csv(path, user=0, item=1, rating=2, time=False, **said)
    except DotbiasError as e:
        assert e.hint or e.what
        return
    whole(ratings)
    if rows is not None:
        frame = ratings.to_frame()
        assert [str(u) for u in frame["user"]] == [u for u, _, _ in rows]
        assert [str(i) for i in frame["item"]] == [i for _, i, _ in rows]
        assert frame["rating"].to_list() == [float(r) for _, _, r in rows]


@pytest.mark.parametrize(
    "header",
    [
        "😀,🎬,⭐",
        "user,user,user",
        ",,",
        '"a\nb",c,d',
        "x" * 200_000 + ",b,c",
        '"unclosed,b,c',
        "\ufeffuser,item,rating",
    ],
    ids=["emoji", "thrice", "empty", "two lines", "huge", "unclosed", "mark"],
)
def test_odd_headers(folder, header):
    path = folder / "head.csv"
    path.write_text(f"{header}\n1,2,3.5\n2,2,4\n", encoding="utf-8")
    try:
        ratings = Ratings.from_csv(path, user=0, item=1, rating=2, header=True)
    except DotbiasError:
        assert header.startswith(('"', "x" * 9))
        return
    assert ratings.values.tolist() == [3.5, 4.0]


@pytest.mark.parametrize("n", [131_071, 131_073, 3_000_000])
def test_huge_fields(folder, n):
    path = folder / "huge.csv"
    path.write_text(f"user,item,rating\n1,{'x' * n},3\n2,b,4\n")
    ratings = Ratings.from_csv(path)
    assert len(ratings.item_ids[0]) == n
    path.write_text(f"user,item,rating\n1,{'x' * n},3\n2,b,four\n")
    with pytest.raises(DotbiasError):
        Ratings.from_csv(path)


FRAME = pl.DataFrame({"user": [1, 2, 2], "item": ["a", "a", "b"], "rating": [1.0, 2.0, 3.0], "time": [1, 2, 3]})
TRAIN = Ratings.from_frame(FRAME)


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(
            ["user", "item", "rating", "time", "duplicates", "y_range", "like", "user_table", "item_table"]
        ),
        odd_values(),
        min_size=1,
        max_size=3,
    )
)
def test_hostile_arguments_of_readers(folder, arguments):
    path = folder / "good.csv"
    FRAME.write_csv(path)
    for read, source in ((Ratings.from_csv, path), (Ratings.from_frame, FRAME), (datasets.resolve, path)):
        with contextlib.suppress(DotbiasError):
            assert len(read(source, **arguments)) == 3


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(["separator", "header", "encoding"]), odd_values(), min_size=1, max_size=3),
)
def test_hostile_ways_to_read_text(folder, arguments):
    path = folder / "good.csv"
    FRAME.write_csv(path)
    with contextlib.suppress(DotbiasError):
        whole(Ratings.from_csv(path, user=0, item=0, rating=0, time=False, **arguments))


@settings(max_examples=150)
@given(odd_values())
def test_hostile_things_for_tables_and_paths(value):
    for call in (
        Ratings.from_csv,
        Ratings.from_parquet,
        Ratings.from_frame,
        Ratings.from_sparse,
        TRAIN.with_item_table,
        TRAIN.with_user_table,
        lambda x: TRAIN.with_item_table(FRAME, id=x),
        datasets.resolve,
        datasets.read_folder,
        storage.load,
        storage.is_model,
        Ids,
        TRAIN.k_core,
        TRAIN.binarize,
    ):
        with contextlib.suppress(DotbiasError):
            call(value)


@settings(max_examples=100)
@given(st.lists(odd_values(), min_size=1, max_size=5), st.lists(odd_values(), min_size=1, max_size=5))
def test_hostile_cells(users, values):
    n = min(len(users), len(values))
    columns = {"user": users[:n], "item": list(range(n)), "rating": values[:n]}
    for make in (lambda: pd.DataFrame(columns), lambda: pl.DataFrame(columns, strict=False)):
        try:
            frame = make()
        except Exception:  # no frame: not ours
            continue
        with contextlib.suppress(DotbiasError):
            whole(Ratings.from_frame(frame, time=False))


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(["users", "items", "values", "times", "user_ids", "item_ids", "user_table", "y_range", "cold"]),
        odd_values(),
        min_size=1,
        max_size=2,
    )
)
def test_hostile_columns_of_ratings(change):
    import dataclasses

    with contextlib.suppress(DotbiasError):
        repr(dataclasses.replace(TRAIN, **change))


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=1, max_size=6, unique_by=lambda r: r[0]))
def test_side_tables_of_any_text(folder, rows):
    """What csv writes into a side table is found again, or refused; never another cell."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["item", "title"], *rows])
    path = folder / "side.csv"
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
    ids = [i for i, _ in rows if i.strip()]
    if not ids or any("\0" in x for row in rows for x in row):
        return
    frame = pl.DataFrame({"user": [1] * len(ids), "item": ids, "rating": [3.0] * len(ids)})
    try:
        titles = Ratings.from_frame(frame).with_item_table(path).item_titles
    except DotbiasError:
        return
    expected = dict(rows)
    for item, title in zip(ids, titles, strict=True):
        assert title is None or title in (expected[item], expected[item].removeprefix("'"))


# Calls with hostile arguments ----------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
PAIRS = RNG.choice(60, 40, replace=False)
WORLD = Ratings.from_frame(pl.DataFrame({"user": PAIRS // 10, "item": PAIRS % 10, "rating": PAIRS % 5 + 1.0}))
PARTS = split.random(WORLD, test=0.2, rng=0)
HALF = PARTS.train
PLAIN = bias(HALF)
REC = Recommender(
    Factors(3.0, PLAIN.user_bias, PLAIN.item_bias, RNG.random((WORLD.n_users, 2)), RNG.random((WORLD.n_items, 2)),
            tables=HALF.tables), HALF,
)  # fmt: skip
USER, ITEM = HALF.user_ids[0], HALF.item_ids[0]
CALLS = {
    "shrink": lambda x, _: REC.similar_items(ITEM, 3, shrink=x),
    "n": lambda x, _: REC.similar_items(ITEM, x),
    "nearest": lambda x, _: nearest_items(REC.scorer, HALF, item_id=ITEM, shrink=x),
    "nearest n": lambda x, _: nearest_users(REC.scorer, HALF, user_id=USER, n=x),
    "similar": lambda x, _: REC.similar_items(x),
    "keep_seen": lambda x, _: REC.recommend(USER, 3, keep_seen=x),
    "keep_unrated": lambda x, _: REC.recommend(USER, 3, keep_unrated=x),
    "rating of a history": lambda x, _: REC.recommend_for({ITEM: x}),
    "find_item": lambda x, _: REC.find_item(x),
    "seen": lambda x, _: REC.seen(x),
    "settings": lambda x, _: Recommender(REC.scorer, HALF, settings=x),
    "metrics kept": lambda x, _: Recommender(REC.scorer, HALF, metrics=x),
    "log": lambda x, _: Recommender(REC.scorer, HALF, log=x),
    "settings saved": lambda x, to: storage.save(to, REC.scorer, HALF, settings=x),
    "metrics saved": lambda x, to: storage.save(to, REC.scorer, HALF, metrics=x),
    "log saved": lambda x, to: storage.save(to, REC.scorer, HALF, log=x),
    "metrics": lambda x, _: evaluate(REC.scorer, PARTS.test, train=HALF, metrics=x, n_resamples=0),
    "a metric": lambda x, _: evaluate(REC.scorer, PARTS.test, train=HALF, metrics=[x], n_resamples=0),
    "order": lambda x, _: evaluate(REC.scorer, PARTS.test, train=HALF, order=x, n_resamples=0),
    "like": lambda x, _: evaluate(REC.scorer, PARTS.test, train=HALF, like=x, n_resamples=0),
    "take": lambda x, _: WORLD.take(x),
    "train": lambda x, _: split.predefined(x, PARTS.test),
    "test": lambda x, _: split.predefined(HALF, x),
    "valid": lambda x, _: split.predefined(HALF, PARTS.test, valid=x),
    "question": lambda x, _: split.predefined(HALF, PARTS.test, question=x),
}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=40)
@given(odd_values())
def test_hostile_arguments_of_calls(folder, name, value):
    if name == "order" and callable(value):
        return  # the caller's own function: its errors are its own
    with contextlib.suppress(DotbiasError):
        CALLS[name](value, folder / "model")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("shrink", ["3", [], True, float("nan"), -1, 10**400]),
        ("keep_seen", ["3", float("nan"), None, [1]]),
        ("keep_unrated", ["3", float("nan"), None, [1]]),
        ("rating of a history", [10**30, 10**400, "3", None, True, 6]),
        ("find_item", ["", " "]),
        ("seen", [[1], {}, None]),
        ("settings", [True, "3", 1, [1]]),
        ("metrics kept", [True, "3", 1, [1]]),
        ("log", [True, "3", [1], {1: 2}]),
        ("settings saved", ["3", True]),
        ("log saved", [True, [1]]),
        ("metrics", [[1], b"x", 1, "rmse", {}]),
        ("order", [[1], None, {}, b"x", "zzz"]),
        ("take", ["3", None, 0.5, 3, [0.5], [10**9], [[1]], slice(0, 3), [10**30], [True]]),
        ("train", [5, None, "x"]),
        ("test", [5, "x"]),
        ("valid", [5, "x"]),
        ("question", [3, b"x"]),
    ],
)
def test_arguments_that_are_refused(tmp_path, name, values):
    for value in values:
        with pytest.raises((SettingError, DataError, KeyError)) as e:
            CALLS[name](value, tmp_path / "model")
        assert isinstance(e.value, DotbiasError) and e.value.hint, value


def test_arguments_that_are_taken():
    assert len(REC.similar_items(ITEM, 3, shrink=10**30)) == 3
    assert WORLD.take([-1, 0]).users.tolist() == [WORLD.users[-1], WORLD.users[0]]
    assert len(WORLD.take(range(3))) == 3 and not len(WORLD.take([]))


def test_a_rating_is_on_the_scale_that_float32_rounded():
    frame = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [0.1, 4.7, 3.3]})
    train = Ratings.from_frame(frame)
    assert train.scale()[1] < 4.7
    assert Recommender(bias(train), train).recommend_for({1: 4.7})
