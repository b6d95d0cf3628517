"""Lines of a user and then items: every pair comes in, once, and what may be two things is refused."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias.errors import DataError
from dotbias.ratings import Ratings


def pairs_of(ratings):
    return list(zip(ratings.user_ids.take(ratings.users), ratings.item_ids.take(ratings.items), strict=True))


def written(folder, content):
    (folder / "c.txt").write_text(content)
    return folder / "c.txt"


@given(st.dictionaries(st.integers(0, 50), st.lists(st.integers(0, 99), unique=True), min_size=1))
def test_every_pair_comes_in(tmp_path_factory, lists):
    if not any(lists.values()):
        return
    content = "".join(" ".join(map(str, [user, *items])) + "\n" for user, items in lists.items())
    clicks = Ratings.from_csv(written(tmp_path_factory.mktemp("lists"), content), lists=True)
    assert pairs_of(clicks) == [(user, item) for user, items in lists.items() for item in items]
    assert clicks.counts is None and clicks.feedback == "clicks"


def test_lines_of_different_lengths_are_recognised(tmp_path):
    clicks = Ratings.from_csv(written(tmp_path, "\n1  7 8\n2 7\n\n3\n"))
    assert pairs_of(clicks) == [(1, 7), (1, 8), (2, 7)]
    assert clicks.notes == (
        "c.txt was read as lines of a user and then items: these are clicks.",
        "1 lines have a user and no items: they were left out.",
    )


@pytest.mark.parametrize("content", ["to read this file\nis a mistake\n", "\x01\x0b\x01", "1 7\n2 8 x\n"])
def test_text_is_not_taken_for_lists(tmp_path, content):
    with pytest.raises(DataError):
        Ratings.from_csv(written(tmp_path, content))


def test_text_is_read_where_that_is_said(tmp_path):
    clicks = Ratings.from_csv(written(tmp_path, "ann 7 8\nbob 7\n"), lists=True)
    assert pairs_of(clicks) == [("ann", 7), ("ann", 8), ("bob", 7)]


def test_two_words_a_line_are_a_user_and_an_item(tmp_path):
    assert pairs_of(Ratings.from_csv(written(tmp_path, "1 7\n2 8\n"))) == [(1, 7), (2, 8)]


def test_as_many_words_on_each_line_may_be_columns(tmp_path):
    path = written(tmp_path, "1 7 3\n2 8 4\n")
    with pytest.raises(DataError, match="each line has 3 numbers"):
        Ratings.from_csv(path)
    assert Ratings.from_csv(path, lists=True).n_items == 4
    assert Ratings.from_csv(path, separator=" ").values.tolist() == [3, 4]


def test_other_separators(tmp_path):
    for separator in ("\t", ",", "::"):
        path = written(tmp_path, separator.join(["ann", "the one", "x"]) + "\n" + separator.join(["bob", "x"]) + "\n")
        clicks = Ratings.from_csv(path, lists=True, separator=separator)
        assert pairs_of(clicks) == [("ann", "the one"), ("ann", "x"), ("bob", "x")]


def test_duplicates_are_summed_and_refused_with_their_lines(tmp_path):
    path = written(tmp_path, "1 7 7\n\n2 8 9 8\n")
    clicks = Ratings.from_csv(path)
    assert clicks.counts.tolist() == [2, 1, 2]
    with pytest.raises(DataError, match="line 1: user 1 rates item 7 again"):
        Ratings.from_csv(path, duplicates="error")
    with pytest.raises(DataError, match=r"line 2: user 2 rates item 8 again \(first in c.txt, line 2\)"):
        Ratings.from_csv(written(tmp_path, "1 7\n2 8 9 8\n"), duplicates="error")


def test_gzip_and_like(tmp_path):
    train = Ratings.from_csv(written(tmp_path, "1 7 8\n2 7\n"))
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(b"2 8 9\n3 7\n"))
    test = Ratings.from_csv(tmp_path / "t.txt.gz", like=train)
    assert test.users.tolist() == [1, 1, 2] and test.items.tolist() == [1, 2, 0]
    assert test.cold.tolist() == [False, True, True]
