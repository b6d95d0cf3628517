"""The course's views of a table, and which rows it holds out."""

import numpy as np
import pandas
import pytest
import torch

from dotbias.errors import DataError
from dotbias.lesson5 import CollabFilterDataset, ColumnarModelData, get_cv_idxs, pd


def test_get_cv_idxs_is_the_courses_and_leaves_numpys_generator_alone():
    np.random.seed(42)
    shuffled = np.random.permutation(101)
    np.random.seed(5)
    assert (get_cv_idxs(101) == shuffled[:20]).all()
    assert (get_cv_idxs(101, cv_idx=2, val_pct=0.1) == shuffled[20:30]).all()
    after = np.random.rand()
    np.random.seed(5)
    assert np.random.rand() == after


def test_rows_are_numbered_by_first_appearance(cf, folder):
    table = pd.read_csv(folder / "ratings.csv")
    assert list(cf.users) == list(table.userId.unique()) and list(cf.items) == list(table.movieId.unique())
    assert cf.n_users == len(cf.users) == len(cf.user2idx) and cf.n_items == len(cf.items)
    assert cf.item2idx[table.movieId[0]] == 0 and cf.users[cf.user2idx[table.userId[100]]] == table.userId[100]
    assert cf.ratings.dtype == np.float32 and (cf.ratings == table.rating).all() and len(cf) == len(table)
    assert (cf.min_score, cf.max_score) == (table.rating.min(), table.rating.max())
    same = CollabFilterDataset.from_data_frame(folder, table, "userId", "movieId", "rating")
    assert same.item2idx == cf.item2idx


def test_a_misnamed_column_is_an_error_that_suggests(folder):
    with pytest.raises(DataError, match="did you mean 'movieId'"):
        CollabFilterDataset.from_csv(folder, "ratings.csv", "userId", "movieid_", "rating")
    table = pandas.read_csv(folder / "ratings.csv")
    with pytest.raises(DataError, match="did you mean 'movieId'"):
        ColumnarModelData.from_data_frame(folder, [0], table, table.rating, ["userId", "movie_id"])


def test_held_out_rows_are_in_the_files_order(cf, learn):
    rows = np.sort(get_cv_idxs(len(cf)))
    assert (learn.data.val_y == cf.ratings[rows]).all() and len(learn.data.trn_y) == len(cf) - len(rows)
    with pytest.raises(DataError, match="the row 3000 of a table of 3000"):
        cf.get_data([3000], 64)
    with pytest.raises(DataError, match="every row"):
        cf.get_data(np.arange(3000), 64)


def test_columnar_batches(cf, columnar):
    cats, conts, y = next(iter(columnar.trn_dl))
    assert cats.dtype == torch.int64 and cats.shape == (64, 2)
    assert conts.dtype == torch.float32 and conts.shape == (64, 1) and not conts.any()
    assert y.dtype == torch.float32 and y.shape == (64, 1)
    assert sum(len(b.y) for b in columnar.trn_dl) == 2400 and len(columnar.trn_dl) == 38
    assert (torch.cat([b.y for b in columnar.val_dl]).numpy() == columnar.val_y).all() and columnar.val_y.shape == (
        600,
        1,
    )
    torch.manual_seed(1)
    first = [b.y for b in columnar.trn_dl]
    torch.manual_seed(1)
    assert all(torch.equal(a, b.y) for a, b in zip(first, columnar.trn_dl, strict=True))


def test_other_columns_are_numbers_and_tests_have_no_target(folder):
    df = pandas.DataFrame({"a": [0, 1, 2, 3], "n": [0.5, 1.5, 2.5, 3.5], "b": [3, 2, 1, 0]})
    data = ColumnarModelData.from_data_frame(folder, [1], df, np.ones(4), ["b", "a"], 2, test_df=df)
    assert data.val_ds.cats.tolist() == [[2, 1]] and data.val_ds.conts.tolist() == [[1.5]]
    assert [len(b.y) for b in data.test_dl] == [4]
    only = ColumnarModelData.from_data_frame(folder, [], df[["n"]], np.ones(4), [], 2)
    assert only.trn_ds.cats.shape == (4, 1) and only.val_dl is None
    for bad, what in (("x", "not numbers"), (np.nan, "NaN"), (-1, "no row numbers"), (0.5, "no row numbers")):
        with pytest.raises(DataError, match=what):
            ColumnarModelData.from_data_frame(folder, [0], pandas.DataFrame({"a": [bad, 1]}), [1, 2], ["a"])
    with pytest.raises(DataError, match="y has 3 values for a table of 4 rows"):
        ColumnarModelData.from_data_frame(folder, [0], df, [1, 2, 3], ["a"])
