"""Ids and Ratings: nothing is lost on the way in, operations against brute force."""

import datetime
import uuid
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import strategies as mine
from hypothesis import given
from hypothesis import strategies as st

from dotbias.errors import DataError, SettingError, UnknownIdError
from dotbias.ratings import Ids, Ratings, cold_rows


def rows_of(ratings: Ratings) -> list[tuple]:
    """(user id, item id, value, time) of every rating, in order."""
    columns = [ratings.user_ids.take(ratings.users), ratings.item_ids.take(ratings.items)]
    columns += [[None] * len(ratings) if c is None else c.tolist() for c in (ratings.values, ratings.times)]
    return list(zip(*columns, strict=True))


def small() -> Ratings:
    frame = pl.DataFrame({"user": ["a", "a", "b", "c", "c"], "item": [1, 2, 2, 3, 1], "rating": [1.0, 2, 3, 4, 5]})
    return Ratings.from_frame(frame)


# Ids ---------------------------------------------------------------------------------------------------------------


@given(mine.id_lists(min_size=0))
def test_ids_round_trip(labels):
    ids = Ids(labels)
    assert list(ids) == labels
    assert len(ids) == len(labels)
    assert ids.rows(labels).tolist() == list(range(len(labels)))
    assert [ids[row] for row in range(len(labels))] == labels
    assert ids.take(np.arange(len(labels))) == labels
    assert all(label in ids for label in labels)


@given(mine.id_lists(), st.data())
def test_extend_keeps_rows_and_appends_what_is_new(labels, data):
    more = data.draw(st.lists(mine.whole_ids if isinstance(labels[0], int) else mine.text_ids))
    ids = Ids(labels).extend(pl.Series(more, dtype=Ids(labels).values.dtype))
    assert list(ids) == list(dict.fromkeys(labels + more))


@given(mine.id_lists(), st.data())
def test_find_is_row_or_minus_one(labels, data):
    column = data.draw(st.lists(mine.whole_ids if isinstance(labels[0], int) else mine.text_ids)) + labels[:2]
    found = Ids(labels).find(pl.Series(column))
    assert found.tolist() == [labels.index(c) if c in labels else -1 for c in column]
    assert found.dtype == np.int32
    assert found.flags.writeable  # or torch.from_numpy warns


def test_ids_are_native_and_take_numpys():
    ids = Ids(np.array([7, 9]))
    assert type(ids[0]) is int
    assert ids.row(np.int64(9)) == 1
    assert type(Ids(["a"])[0]) is str
    assert Ids(["a"]).row(np.str_("a")) == 0


@pytest.mark.parametrize(
    "labels",
    [
        [datetime.date(2026, 11, 21), datetime.date(2026, 11, 22)],
        [uuid.UUID(int=1), uuid.UUID(int=2)],
        [True, False],
        [2**63, 2**64],
        [2**80],
    ],
)
def test_ids_of_any_type_are_known_by_their_text(labels):
    assert len(Ids(labels)) == len(labels)
    assert all(isinstance(label, str) for label in Ids(labels))
    if isinstance(labels[0], bool):
        assert Ids(labels).rows([True, False]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([42, "42"], "mixes numbers and text: 42 beside '42'"),
        (["a", "b", "a"], "the id 'a' comes twice"),
        ([1.5, 2.0], "1.5 are not whole"),
        ([1.0, float("inf")], "inf are not whole"),
        ([1.0, 1e300], "1e\\+300 are not whole"),
        ([1.0, float("nan")], "row 1: the id is missing"),
        (["a", None], "row 1: the id is missing"),
        (["a", ""], "row 1: the id is missing"),
    ],
)
def test_ids_refuse(labels, complaint):
    with pytest.raises(DataError, match=complaint):
        Ids(labels)


@pytest.mark.parametrize(
    ("labels", "asked", "hint"),
    [
        ([42, 43], "42", "ids here are whole numbers; did you mean 42?"),
        (["42", "x"], 42, "ids here are text; did you mean '42'?"),
        (["Toy Story", "Heat"], "toy storey", "did you mean 'Toy Story'?"),
        ([1, 2], "²", "ids here are whole numbers"),
        ([5], "--5", "ids here are whole numbers"),
        ([1], "9" * 5000, "ids here are whole numbers"),
    ],
)
def test_an_unknown_id_has_a_near_miss(labels, asked, hint):
    with pytest.raises(UnknownIdError) as e:
        Ids(labels).row(asked)
    assert hint in e.value.hint
    assert repr(asked) in e.value.what
    assert asked not in Ids(labels)


@pytest.mark.parametrize(("text", "id"), [("196", 196), (" 196 ", 196), ("-5", -5), ("1_9_6", "1_9_6"), ("١٢", "١٢")])
def test_typed_text_is_a_number_only_where_it_is_written_as_one(text, id):
    assert Ids([196, -5]).typed(text) == id


@pytest.mark.parametrize("row", [-1, 2])
def test_no_row_outside_the_table(row):
    with pytest.raises(IndexError, match=f"row {row} "):
        Ids(["a", "b"])[row]
    with pytest.raises(IndexError, match=f"row {row} "):
        Ids(["a", "b"]).take(np.array([0, row]))


# Frames ------------------------------------------------------------------------------------------------------------


@given(mine.frames())
def test_frames_round_trip(frame):
    ratings = Ratings.from_frame(frame)
    assert ratings.to_frame().equals(frame.with_columns(pl.col("rating").cast(pl.Float32)))
    assert list(ratings.user_ids) == list(dict.fromkeys(frame["user"].to_list()))  # numbered by first appearance


@given(mine.frames())
def test_pandas_polars_and_pyarrow_are_one(frame):
    expected = rows_of(Ratings.from_frame(frame))
    columns = frame.to_dict(as_series=False)
    objects = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    for other in (pd.DataFrame(columns), objects, pa.table(columns)):
        assert rows_of(Ratings.from_frame(other)) == expected


def test_pandas_types():
    frame = pd.DataFrame(
        {
            "userId": pd.Categorical(["x", "y", "x"]),
            "movieId": pd.Series([1, 2, 3], dtype="Int64"),
            "rating": pd.Series([1, 2, 3], dtype="int8"),
            "timestamp": pd.to_datetime(["2026-11-21T00:00:01", "1970-01-01T00:00:00", "1970-01-02T00:00:00"]),
        }
    )
    assert rows_of(Ratings.from_frame(frame)) == [("x", 1, 1, 1795219201), ("y", 2, 2, 0), ("x", 3, 3, 86400)]
    for unit in ("s", "ms", "us", "ns"):
        coarse = frame.assign(timestamp=frame["timestamp"].astype(f"datetime64[{unit}]"))
        assert rows_of(Ratings.from_frame(coarse))[0][3] == 1795219201
    zoned = frame.assign(timestamp=frame["timestamp"].dt.tz_localize("Europe/Paris"))
    assert rows_of(Ratings.from_frame(zoned))[1][3] == -3600


def test_pandas_without_pyarrow():
    import subprocess
    import sys

    code = """
import sys
sys.modules["pyarrow"] = None
import pandas as pd
from dotbias.ratings import Ratings
frame = pd.DataFrame({"user": ["a", "b"], "item": [1, 2], "rating": [3.0, 4.5]})
frame["time"] = pd.to_datetime(["1970", "1971"])
ratings = Ratings.from_frame(frame).with_item_table(pd.DataFrame({"item": [2], "title": ["Ran"]}))
print(ratings.to_frame().rows(), ratings.item_titles)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[('a', 1, 3.0, 0), ('b', 2, 4.5, 31536000)] [None, 'Ran']"


def test_any_two_columns_and_a_number():
    frame = pl.DataFrame({"store": ["s1", "s2"], "sku": [10, 10], "units": [3, 4]})
    ratings = Ratings.from_frame(frame, user="store", item="sku", rating="units")
    assert rows_of(ratings) == [("s1", 10, 3, None), ("s2", 10, 4, None)]
    assert rows_of(Ratings.from_frame(frame, user=0, item=1, rating=2)) == rows_of(ratings)


def test_text_ids_of_a_frame_stay_text():
    ratings = Ratings.from_frame(pl.DataFrame({"user": ["1", "01"], "item": ["7", "8"], "rating": [1, 2]}))
    assert list(ratings.user_ids) == ["1", "01"]


def test_implicit():
    ratings = Ratings.from_frame(pl.DataFrame({"user": [1, 2], "item": [1, 1], "rating": [3, 4]}), rating=False)
    assert ratings.values is None
    assert "2 clicks" in repr(ratings)
    with pytest.raises(DataError, match="clicks, without ratings"):
        ratings.explicit()


def test_counts_belong_to_clicks():
    stars = small()
    clicks = replace(stars, values=None, counts=[1, 2, 3, 4, 0.5])
    assert (stars.feedback, clicks.feedback) == ("stars", "clicks")
    assert clicks.counts.dtype == np.float32
    assert clicks.take(clicks.users == 2).counts.tolist() == [4, 0.5]
    assert clicks.to_frame()["count"].to_list() == [1, 2, 3, 4, 0.5]
    assert clicks.to_csr().sum() == 10.5
    assert len({r.fingerprint() for r in (stars, clicks, replace(clicks, counts=None))}) == 3
    with pytest.raises(DataError, match="values and counts"):
        replace(stars, counts=np.ones(5))
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="negative or not finite"):
            replace(clicks, counts=[1, 2, bad, 4, 5])
    with pytest.raises(DataError, match="counts has the shape"):
        replace(clicks, counts=[1, 2])


def test_clicks_are_summed_and_say_so():
    frame = pl.DataFrame({"user": [1, 1, 2, 1], "item": [1, 1, 1, 1], "time": [9, 8, 7, 6]})
    clicks = Ratings.from_frame(frame, rating=False)
    assert rows_of(clicks) == [(1, 1, None, 9), (2, 1, None, 7)]
    assert clicks.counts.tolist() == [3, 1]
    assert clicks.notes == (
        "there are no ratings: these are clicks, and that a pair is there is all that is known.",
        "pairs that come more than once: 2 rows too many; kept the sum of each pair; counts go from 1 to 3.",
    )
    assert Ratings.from_frame(frame, rating=False, duplicates="last").counts is None
    with pytest.raises(DataError, match="row 1: user 1 rates item 1 again"):
        Ratings.from_frame(frame, rating=False, duplicates="error")
    with pytest.raises(SettingError, match="ratings have no sum"):
        Ratings.from_frame(frame.with_columns(rating=1.0), duplicates="sum")


def test_joined():
    train = small()
    test = Ratings.from_frame(pl.DataFrame({"user": ["z"], "item": [1], "rating": [9.0]}), like=train)
    both = train.joined(test)
    assert rows_of(both) == rows_of(train) + rows_of(test) and both.n_users == 4 and both.cold is None
    clicks = train.as_clicks()
    assert clicks.joined(replace(test.as_clicks(), counts=[3])).counts.tolist() == [1, 1, 1, 1, 1, 3]
    with pytest.raises(DataError, match="one has values"):
        train.joined(test.as_clicks())


def test_like_numbers_as_before_and_masks_the_cold():
    train = small()
    frame = pl.DataFrame({"user": ["b", "z"], "item": [9, 1], "rating": [1.0, 2.0]})
    test = Ratings.from_frame(frame, like=train)
    assert list(test.user_ids) == ["a", "b", "c", "z"]
    assert test.users.tolist() == [1, 3]
    assert test.cold.tolist() == [True, True]
    with pytest.raises(DataError, match="user ids are whole numbers, where the ratings they join have text"):
        Ratings.from_frame(frame.with_columns(user=pl.Series([1, 2])), like=train)


# Duplicates --------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 5), st.integers(0, 3)), min_size=1))
def test_duplicates_against_brute_force(rows):
    frame = pl.DataFrame(rows, schema=["user", "item", "rating", "time"], orient="row")
    by_pair: dict = {}
    for k, (u, i, r, t) in enumerate(rows):
        by_pair.setdefault((u, i), []).append((t, k, r))
    last = {pair: max(seen)[2] for pair, seen in by_pair.items()}
    mean = {pair: np.mean([r for _, _, r in seen]) for pair, seen in by_pair.items()}
    for policy, expected in (("last", last), ("mean", mean)):
        ratings = Ratings.from_frame(frame, duplicates=policy)
        found = {(u, i): v for u, i, v, _ in rows_of(ratings)}
        assert found == pytest.approx(expected)
        assert len(ratings) == len(by_pair)
        extra = len(rows) - len(by_pair)
        assert ("rated more than once" in "".join(ratings.notes)) == (extra > 0)
        assert not extra or f"{extra:,} ratings" in ratings.notes[-1]
    if len(by_pair) < len(rows):
        with pytest.raises(DataError, match=r"rates item .* again"):
            Ratings.from_frame(frame)


def test_a_duplicate_is_named_with_both_places():
    frame = pl.DataFrame({"user": [1, 2, 1], "item": [5, 5, 5], "rating": [1, 2, 3]})
    with pytest.raises(DataError) as e:
        Ratings.from_frame(frame)
    assert "the frame, row 2: user 1 rates item 5 again (first in the frame, row 0); repeated" in e.value.what
    assert "duplicates='last'" in e.value.hint
    with pytest.raises(SettingError, match="duplicates is 'first'"):
        Ratings.from_frame(frame, duplicates="first")


# Operations --------------------------------------------------------------------------------------------------------


@given(mine.ratings(), st.data())
def test_take_by_mask_and_by_position(ratings, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(ratings), max_size=len(ratings))))
    part = ratings.take(mask)
    assert rows_of(part) == [row for row, kept in zip(rows_of(ratings), mask, strict=True) if kept]
    assert part.user_ids is ratings.user_ids
    assert rows_of(ratings.take(np.flatnonzero(mask))) == rows_of(part)
    assert len(ratings.take([])) == 0


@given(mine.ratings(), st.integers(1, 4))
def test_k_core_against_brute_force(ratings, k):
    rows = rows_of(ratings)
    while True:
        users, items = Counter(r[0] for r in rows), Counter(r[1] for r in rows)
        kept = [r for r in rows if users[r[0]] >= k and items[r[1]] >= k]
        if len(kept) == len(rows):
            break
        rows = kept
    if not rows:
        with pytest.raises(DataError, match=f"the {k}-core: of {len(ratings)} ratings, none is left"):
            ratings.k_core(k)
        return
    core = ratings.k_core(k)
    assert rows_of(core) == rows
    assert core.n_users == len({r[0] for r in rows})
    assert core.n_items == len({r[1] for r in rows})
    assert f"{len(rows)} of {len(ratings)} ratings remain" in core.notes[-1]


@given(mine.ratings(), st.integers(1, 3), st.integers(1, 3))
def test_drop_rare_against_brute_force(ratings, users, items):
    rows = rows_of(ratings)
    per_user, per_item = Counter(r[0] for r in rows), Counter(r[1] for r in rows)
    expected = [r for r in rows if per_user[r[0]] >= users and per_item[r[1]] >= items]
    if expected:
        assert rows_of(ratings.drop_rare(users=users, items=items)) == expected
    else:
        with pytest.raises(DataError, match="none is left"):
            ratings.drop_rare(users=users, items=items)


@given(mine.ratings(), st.integers(1, 5))
def test_binarize(ratings, threshold):
    expected = [(u, i, None, t) for u, i, v, t in rows_of(ratings) if v >= threshold]
    if not expected:
        with pytest.raises(DataError, match=f"no rating is {threshold} or more"):
            ratings.binarize(threshold)
        return
    positive = ratings.binarize(threshold)
    assert rows_of(positive) == expected
    assert f"{len(expected):,} of {len(ratings):,}" in positive.notes[-1]


@given(mine.ratings())
def test_csr_round_trip(ratings):
    matrix = ratings.to_csr()
    assert matrix.shape == (ratings.n_users, ratings.n_items)
    dense = np.zeros(matrix.shape, np.float32)
    dense[ratings.users, ratings.items] = ratings.values
    assert (matrix.toarray() == dense).all()
    back = Ratings.from_sparse(matrix)
    assert (back.n_users, back.n_items) == matrix.shape
    assert (back.to_csr() != matrix).nnz == 0
    assert back.user_ids.take([0]) == [0]
    implicit = Ratings.from_sparse(sp.coo_array(matrix), implicit=True)
    assert implicit.values is None
    assert (implicit.to_csr().toarray() == (dense > 0)).all()


def test_sparse_keeps_zeros_and_refuses_others():
    zeros = sp.csr_matrix((np.array([0.0, 2.0]), ([0, 1], [1, 0])), shape=(3, 2))
    assert Ratings.from_sparse(zeros).values.tolist() == [0, 2]
    with pytest.raises(DataError, match="ndarray is no sparse matrix"):
        Ratings.from_sparse(np.eye(2))
    with pytest.raises(DataError, match="row 1: rating is not finite"):
        Ratings.from_sparse(sp.csr_matrix(np.array([[1.0, np.nan]])))


def test_counts_scale_pairs_and_fingerprint():
    ratings = small()
    assert ratings.user_counts.tolist() == [2, 1, 2]
    assert ratings.item_counts.tolist() == [2, 2, 1]
    assert ratings.scale() == (1, 5)
    assert ratings.pairs().tolist() == [0, 1, 4, 8, 6]
    assert ratings.fingerprint() == small().fingerprint()
    assert ratings.fingerprint() != ratings.take(np.arange(4)).fingerprint()
    text = Ratings.from_frame(ratings.to_frame().with_columns(pl.col("item").cast(pl.String)))
    assert text.fingerprint() != ratings.fingerprint()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"values": [1.0]}, "values has the shape"),
        ({"users": [0, 1, 2, 0, 3]}, "users holds rows from 0 to 3, but there are 3 ids"),
        ({"items": [0, 1, 2, 0, -1]}, "items holds rows from -1"),
        ({"item_table": pl.DataFrame({"title": ["x"]})}, "item_table has 1 rows for 3 ids"),
    ],
)
def test_columns_must_fit(change, complaint):
    import dataclasses

    with pytest.raises(DataError, match=complaint):
        dataclasses.replace(small(), **change)


# Side tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["polars", "pandas", "pyarrow", "csv", "parquet"])
def test_side_tables_attach_by_id(kind, tmp_path):
    columns = {"movieId": [3, 1, 77], "title": ["Heat", "Ran", "Unseen"], "zip": ["02460", "1", "2"]}
    table = pl.DataFrame(columns)
    if kind == "csv":
        table.write_csv(tmp_path / "t.csv")
    elif kind == "parquet":
        table.write_parquet(tmp_path / "t.parquet")
    given_ = {"pandas": pd.DataFrame(columns), "pyarrow": pa.table(columns), "polars": table}
    ratings = small().with_item_table(given_.get(kind, tmp_path / f"t.{kind}"))
    assert ratings.item_titles == ["Ran", None, "Heat"]
    assert ratings.notes[-1] == "item table: 2 of 3 items described; 1 rows of other items left out."
    assert ratings.drop_rare(items=2).item_titles == ["Ran", None]


def test_side_table_from_text_joins_text_ids(tmp_path):
    (tmp_path / "t.csv").write_text("id,age\na,30\nc,40\n")
    assert small().with_user_table(tmp_path / "t.csv").user_table["age"].to_list() == [30, None, 40]
    numbers = Ratings.from_frame(pl.DataFrame({"user": ["1", "x"], "item": [1, 2], "rating": [1, 1]}))
    (tmp_path / "n.csv").write_text("id,age\n1,30\n2,40\n")
    assert numbers.with_user_table(tmp_path / "n.csv").user_table["age"].to_list() == [30, None]


@pytest.mark.parametrize(
    ("columns", "id", "complaint"),
    [
        ({"item": [1, 1]}, None, "the item table names 1 twice"),
        ({"item": ["1", "2"]}, None, "the item table's ids are String"),
        ({"item": [8, 9]}, None, "no row of the item table, by its column 'item'"),
        ({"item": [1, 2]}, "itm", "the item table has no column 'itm'.\nHint: did you mean 'item'"),
    ],
)
def test_side_tables_refuse(columns, id, complaint):
    with pytest.raises(DataError, match=complaint):
        small().with_item_table(pl.DataFrame(columns), id=id)


# Id tables and cold rows -------------------------------------------------------------------------------------------


@given(mine.id_lists(), mine.id_lists())
def test_digests_are_equal_where_the_ids_are(a, b):
    assert (Ids(a).digest() == Ids(b).digest()) == (a == b)
    for n in range(len(a) + 1):
        assert Ids(a).digest(n) == Ids(a[:n]).digest()


@pytest.mark.parametrize(
    ("a", "b"),
    [(["ab", "c"], ["a", "bc"]), (["a", "b"], ["a\x1fb"]), ([1, 2], ["1", "2"]), ([1, 2], [2, 1]), (["é"], ["è"])],
)
def test_digests_of_look_alikes_differ(a, b):
    assert Ids(a).digest() != Ids(b).digest()


def test_a_digest_asked_again_costs_nothing(monkeypatch):
    import dotbias.ids as module

    ids, real, calls = Ids(range(10)), module._digest, []
    monkeypatch.setattr(module, "_digest", lambda values: calls.append(len(values)) or real(values))
    for _ in range(3):
        ids.digest(), ids.digest(4)
    assert calls == [10, 4]
    with pytest.raises(IndexError, match="there are 10 ids, not 11"):
        ids.digest(11)


def test_ratings_extend_the_tables_that_theirs_begin_with():
    train = small()
    more = Ratings.from_frame(pl.DataFrame({"user": ["z", "a"], "item": [9, 1], "rating": [1.0, 2.0]}), like=train)
    assert train.extends(train.tables) and more.extends(train.tables) and not train.extends(more.tables)
    assert train.take(np.arange(2)).extends(train.tables)  # the id tables stay whole
    backwards = Ratings.from_frame(train.to_frame()[::-1])
    assert (backwards.n_users, backwards.n_items) == (train.n_users, train.n_items)
    assert not backwards.extends(train.tables)
    other_items = Ratings.from_frame(train.to_frame().with_columns(pl.col("item") + 1))
    assert other_items.tables.users == train.tables.users and not other_items.extends(train.tables)


@given(mine.ratings(), st.data())
def test_cold_rows_against_brute_force(ratings, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(ratings), max_size=len(ratings))))
    train, part = ratings.take(mask), ratings.take(~mask)
    users, items = set(train.users.tolist()), set(train.items.tolist())
    expected = [u not in users or i not in items for u, i in zip(part.users, part.items, strict=True)]
    assert cold_rows(train, part).tolist() == expected


def test_rows_past_the_tables_of_train_are_cold():
    train = small()
    frame = pl.DataFrame({"user": ["a", "z", "a"], "item": [1, 1, 9], "rating": [1.0, 2.0, 3.0]})
    assert cold_rows(train, Ratings.from_frame(frame, like=train)).tolist() == [False, True, True]


# What people have in their tables ----------------------------------------------------------------------------------


def one_each(users, items=(1, 2, 3), rating=3.0):
    n = len(users)
    return pl.DataFrame(
        {
            "user": users,
            "item": [items[k % len(items)] for k in range(n)],
            "rating": [rating + (k == 0) for k in range(n)],
        }
    )


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        ([1984, 300, 2012], ["1984", "300", "2012"]),
        ([1984.0, 300.0, None], ["1984", "300", None]),
        ([1.5, 2.0, 3.0], ["1.5", "2.0", "3.0"]),
        ([float("nan"), 300.0, 2012.0], [None, "300", "2012"]),
        ([True, False, None], ["true", "false", None]),
        ([datetime.date(2001, 1, 1)] * 3, ["2001-01-01"] * 3),
        ([["a", "b"], [], None], ["['a', 'b']", "[]", None]),
    ],
)
def test_titles_are_text_whatever_they_hold(titles, expected):
    ratings = Ratings.from_frame(one_each(["a", "b", "c"]))
    table = {"item": [1, 2, 3], "title": titles}
    assert ratings.with_item_table(pl.DataFrame(table)).item_titles == expected
    if not isinstance(titles[0], list):
        found = ratings.with_item_table(pd.DataFrame(table)).item_titles
        assert [None if x is None else x.lower() for x in found] == expected or titles[0] is True
    assert ratings.with_item_table(pl.DataFrame({"item": [1], "year": [2]})).item_titles is None


def test_titles_of_a_file_keep_their_zeros(tmp_path):
    (tmp_path / "t.csv").write_text("item,title\n1,007\n2,1984\n3,\n")
    ratings = Ratings.from_frame(one_each(["a", "b", "c"])).with_item_table(tmp_path / "t.csv")
    assert ratings.item_titles == ["007", "1984", None]


def test_nan_in_a_side_column_is_a_missing_value():
    from dotbias.features import encode

    train = Ratings.from_frame(one_each(["a", "b", "c"]))
    table = pd.DataFrame({"user": ["a", "b", "c"], "age": [20.0, float("nan"), 40.0], "zip": ["x", None, float("nan")]})
    train = train.with_user_table(table)
    assert train.user_table["age"].to_list() == [20.0, None, 40.0]
    features = encode(train.user_table, ["age", "zip"])
    assert features.starts.tolist() == [0, 2, 2, 3] and np.isfinite(features.weight).all()
    raw = encode(pl.DataFrame({"age": [20.0, float("nan"), 40.0]}), ["age"])
    assert raw.starts.tolist() == [0, 1, 1, 2] and raw.weight.tolist() == [-1, 1]


def test_words_for_missing_among_the_numbers_of_a_file(tmp_path):
    (tmp_path / "u.csv").write_text("user,age,country\na,20,NA\nb,NA,NL\nc,NaN,\n")
    ratings = Ratings.from_frame(one_each(["a", "b", "c"])).with_user_table(tmp_path / "u.csv")
    assert ratings.user_table["age"].to_list() == [20.0, None, None]
    assert ratings.user_table["country"].to_list() == ["NA", "NL", None]  # it may be Namibia
    assert "user table, 'age': 2 cells such as 'NA' are missing values." in ratings.notes


def test_columns_named_by_numbers():
    frame = pd.DataFrame([["a", 1, 3.0], ["b", 2, 4.0]])
    assert rows_of(Ratings.from_frame(frame, user=0, item=1, rating=2)) == [("a", 1, 3, None), ("b", 2, 4, None)]
    named = frame.rename(columns={0: 10, 1: 20, 2: 30})
    assert rows_of(Ratings.from_frame(named, user=10, item=20, rating=30))[0] == ("a", 1, 3, None)
    crossed = frame.rename(columns={0: 1, 1: 0})
    with pytest.raises(DataError, match="0 may be the column at position 0, '1', or the one named '0'"):
        Ratings.from_frame(crossed, user=0, item=1, rating=2)
    assert rows_of(Ratings.from_frame(crossed, user="1", item="0", rating="2"))[0] == ("a", 1, 3, None)
    with pytest.raises(DataError, match="print alike"):
        Ratings.from_frame(frame.rename(columns={0: "1"}), user=0, item=1, rating=2)
    users = pd.DataFrame({0: ["a", "b"], 1: [7, 8]})
    attached = Ratings.from_frame(frame, user=0, item=1, rating=2).with_user_table(users)
    assert attached.user_table.columns == ["0", "1"] and attached.user_table["1"].to_list() == [7, 8]


def test_ids_that_look_alike_are_noted(tmp_path):
    notes = Ratings.from_frame(one_each(["ann", " ann", "bob", "1", "1.0"])).notes
    assert notes == (
        "2 user ids differ from another one only in spaces or a '.0', such as 'ann' beside ' ann': "
        "they count as different users.",
    )
    (tmp_path / "r.csv").write_text("user,item,rating\n1.0,7,3\n2.0, 8,3\n1,8,4\n")
    ratings = Ratings.from_csv(tmp_path / "r.csv")
    assert list(ratings.user_ids) == [1, 2] and list(ratings.item_ids) == [7, 8]
    assert ratings.notes == (
        "user ids such as '1.0' were read as whole numbers: 2 cells.",
        "spaces around item numbers were taken off: 1 cells.",
    )
    (tmp_path / "t.csv").write_text("user,age\n1.0,30\n2.0,40\n")
    assert ratings.with_user_table(tmp_path / "t.csv").user_table["age"].to_list() == [30, 40]


@pytest.mark.parametrize("word", ["NULL", "NA", "nan", "None", "N/A"])
def test_ids_that_spell_a_missing_value_are_noted(word, tmp_path):
    note = f"2 ratings have the user {word!r}: it counts as a user, not as a missing id."
    ratings = Ratings.from_frame(one_each([word, "bob", word]))
    assert ratings.n_users == 2 and note in ratings.notes
    (tmp_path / "r.csv").write_text(f"user,item,rating\n{word},7,3\nbob,8,3\n{word},8,3\n")
    assert note in Ratings.from_csv(tmp_path / "r.csv").notes


# Shown -------------------------------------------------------------------------------------------------------------


@given(mine.ratings(min_size=0))
def test_repr_is_one_line(ratings):
    for r in (
        ratings,
        ratings.take([]),
        ratings.with_item_table(pl.DataFrame({"item": ["item 0"], "title": ["a\nb"]})),
    ):
        assert repr(r).count("\n") == 0 and f"{len(r)} rating" in repr(r)
        assert r._repr_html_().startswith(f"<p>{len(r)} rating")


def test_html_is_escaped():
    frame = pl.DataFrame({"user": ["<script>alert(1)</script>"], "item": ["&"], "rating": [1.0], "time": [86_400]})
    ratings = Ratings.from_frame(frame).with_item_table(pl.DataFrame({"item": ["&"], "title": ["<b>"]}))
    shown = ratings._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "<td>&amp;</td>" in shown and "&lt;b&gt;" in shown
    assert "1 rating of 1 user and 1 item" in shown and "rated from 1970-01-02" in shown


# Arguments ---------------------------------------------------------------------------------------------------------


def test_side_tables_come_with_the_ratings(tmp_path):
    (tmp_path / "r.csv").write_text("a;7;4\nb;8;2\n")
    (tmp_path / "i.csv").write_text("sku;title\n7;kettle\n8;toaster\n")
    pl.DataFrame({"who": ["a"], "age": [30]}).write_parquet(tmp_path / "u.parquet")
    from dotbias.datasets import resolve

    for read in (Ratings.from_csv, resolve):
        ratings = read(
            tmp_path / "r.csv",
            separator=";",
            header=False,
            time=False,
            y_range=(1, 5),
            item_table=tmp_path / "i.csv",
            user_table=tmp_path / "u.parquet",
        )
        assert ratings.item_titles == ["kettle", "toaster"] and ratings.user_table["age"].to_list() == [30, None]
        assert ratings.y_range == (1, 5) and ratings.times is None


def test_hints_speak_the_callers_language(tmp_path):
    (tmp_path / "r.csv").write_text("user,item,rating\n1,1,3\n1,1,4\n")
    with pytest.raises(DataError) as e:
        Ratings.from_csv(tmp_path / "r.csv")
    assert e.value.hint == "choose what counts: duplicates='last' or duplicates='mean'."
    assert str(e.value).endswith(e.value.hint)
    spoken = e.value.hint_as(lambda name, value: f"--{name} {value}")
    assert spoken == "choose what counts: --duplicates 'last' or --duplicates 'mean'."


@pytest.mark.parametrize(
    "y_range", [5, "ab", (1,), (1, 2, 3), (None, 5), (float("nan"), 5), (1, float("inf")), (5, 1), ()]
)
def test_scales_that_make_no_sense(y_range):
    import dataclasses

    for make in (
        lambda: Ratings.from_frame(one_each(["a"]), y_range=y_range),
        lambda: dataclasses.replace(small(), y_range=y_range),
    ):
        with pytest.raises(SettingError, match="y_range is"):
            make()


@pytest.mark.parametrize(
    "change",
    [
        {"users": [0.5, 0, 1, 2, 2]},
        {"users": np.array([2**32, 0, 1, 2, 2])},  # as int32 it would be 0
        {"times": [1.5, 2, 3, 4, 5]},
        {"times": np.full(5, 2**63, np.uint64)},
        {"values": ["1", "2", "3", "4", "5"]},
        {"values": [1e300, 1, 2, 3, 4]},  # as float32 it would be infinite
        {"cold": [0, 1, 0, 1, 0]},
        {"user_ids": ["a", "b", "c"]},
        {"item_table": {"title": [1, 2, 3]}},
    ],
)
def test_columns_are_never_bent_into_shape(change):
    import dataclasses

    with pytest.raises(DataError):
        dataclasses.replace(small(), **change)


def test_an_item_table_without_titles_is_noted():
    ratings = Ratings.from_frame(pl.DataFrame({"user": [1, 2], "item": [1, 1], "rating": [3.0, 4.0]}))
    with_table = ratings.with_item_table(pl.DataFrame({"item": [1], "Titel": ["Heat"]}))
    assert any("no column is called title or name" in note for note in with_table.notes)
