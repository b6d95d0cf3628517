"""Files in: what is recognised, and what is refused, where and with which hint."""

import gzip
import io
import os
from pathlib import Path

import polars as pl
import pytest
import strategies as mine
from hypothesis import given
from hypothesis import strategies as st

from dotbias import readers, split
from dotbias.errors import DataError, SettingError
from dotbias.ratings import Ratings
from dotbias.times import UNKNOWN


def file(folder: Path, content: str | bytes, name: str = "r.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, **reading) -> DataError:
    with pytest.raises(DataError) as e:
        Ratings.from_csv(path, **reading)
    return e.value


def back(ratings: Ratings) -> list[tuple]:
    return ratings.to_frame().rows()


HEAD = "userId,movieId,rating,timestamp\n"


# Read what people have ---------------------------------------------------------------------------------------------


@given(
    mine.frames(),
    st.sampled_from(["::", "\t", ",", "|", ";", "~"]),
    st.sampled_from(["utf-8", "latin-1", "utf-8-sig", "utf-16"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_files_round_trip(tmp_path_factory, frame, separator, encoding, packed, header, end):
    rows = [list(map(str, row)) for row in frame.rows()]
    names = [{"user": "userId", "item": "movieId"}.get(c, c) for c in frame.columns]
    lines = [separator.join(row) for row in ([names] if header else []) + rows]
    raw = "".join(line + end for line in lines).encode(encoding)
    path = file(tmp_path_factory.mktemp("f"), gzip.compress(raw) if packed else raw)
    said = {"separator": separator if separator == "~" or len(names) < 4 else None}
    ratings = Ratings.from_csv(path, **said)
    assert back(ratings) == frame.with_columns(pl.col("rating").cast(pl.Float32)).rows()


@given(mine.frames())
def test_parquet_round_trip(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("f") / "r.parquet"
    frame.write_parquet(path)
    assert back(Ratings.from_parquet(path)) == frame.with_columns(pl.col("rating").cast(pl.Float32)).rows()


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1), min_size=1, unique=True))
def test_quoted_ids_of_any_text_round_trip(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("f") / "r.csv"
    ids = [f"x{i}" for i in ids]
    pl.DataFrame({"user": ids, "item": ids, "rating": 1.0}).write_csv(path, quote_style="always")
    assert list(Ratings.from_csv(path, separator=",").user_ids) == ids


@pytest.mark.parametrize(
    ("content", "reading", "rows"),
    [
        ("a b\tc\t3\t9\nd\te\t4\t8\n", {}, [("a b", "c", 3, 9), ("d", "e", 4, 8)]),  # u.data, without a header
        ("User-ID;ISBN;Book-Rating\n7;007;3\n", {}, [(7, "007", 3)]),  # 007 is no number
        ("reviewerID,asin,overall,unixReviewTime\nA1,B2,5.0,10\n", {}, [("A1", "B2", 5, 10)]),
        ("u,x,i,n\n1,-,2,3\n", {"user": "u", "item": "i", "rating": "n"}, [(1, 2, 3)]),
        ("u,x,i,n\n1,-,2,3\n", {"user": 0, "item": 2, "rating": 3}, [(1, 2, 3)]),
        ("userId,movieId\n1,2\n", {"rating": False}, [(1, 2)]),
        ("userId,movieId,rating,timestamp\n1,2,3,x\n", {"time": False}, [(1, 2, 3)]),
        ("userId,movieId,rating,timestamp\n1,2,3,9.7\n", {}, [(1, 2, 3, 9)]),
        ("user,item,rating,date\n1,2,3,1970-01-02\n", {}, [(1, 2, 3, 86400)]),
        ("user,item,rating,date\n1,2,3,1970-01-01T02:00:00+02:00\n", {}, [(1, 2, 3, 0)]),
        ("user,item,rating,date\n1,2,3,1970-01-01 00:00:01\n1,3,3,1970-01-01 00:00:02.5\n", {}, None),
        ("1, 2, 3.5\n4, 5, 1\n", {}, [(1, 2, 3.5), (4, 5, 1)]),  # spaces, noted
        ("ann,bob,5\n", {"header": False}, [("ann", "bob", 5)]),
        ("user,item,rating\n1,2,3", {}, [(1, 2, 3)]),  # no line end at the end
        ("user,item,rating\n\n1,2,3\n\n\n4,5,6\n\n", {}, [(1, 2, 3), (4, 5, 6)]),  # blank lines
        ("\n\n1,2,3\n\n4,5,6\n", {}, [(1, 2, 3), (4, 5, 6)]),
        ("\ufeffuser,item,rating\r\n1,2,3\r\n\r\n4,5,6\r\n", {}, [(1, 2, 3), (4, 5, 6)]),
        ('"user","item","rating"\n1,"a,b",3\n2,"say ""hi""",4\n3,"two\nlines",5\n', {}, None),
        ("user,item,rating,note,note\n1,2,3,,x\n4,5,6,y,\n", {}, [(1, 2, 3), (4, 5, 6)]),
    ],
)
def test_recognised(tmp_path, content, reading, rows):
    ratings = Ratings.from_csv(file(tmp_path, content), **reading)
    if rows is not None:
        assert back(ratings) == rows
    if ", 2," in content:
        assert "spaces around user numbers" in " ".join(ratings.notes) or "spaces around item" in " ".join(
            ratings.notes
        )


def test_quoted_fields(tmp_path):
    ratings = Ratings.from_csv(file(tmp_path, 'user,item,rating\n1,"a,b",3\n2,"say ""hi""",4\n3,"two\nlines",5\n'))
    assert list(ratings.item_ids) == ["a,b", 'say "hi"', "two\nlines"]


def test_latin_1_is_noted(tmp_path):
    ratings = Ratings.from_csv(file(tmp_path, "user,item,rating\n1,Amélie,3\n".encode("latin-1")))
    assert list(ratings.item_ids) == ["Amélie"]
    assert ratings.notes == ("r.csv is not UTF-8; read as Latin-1.",)


def test_a_million_rows(data):  # in under a second: bench.speed measures it
    ratings = Ratings.from_csv(data / "ml-1m" / "ratings.csv")
    assert repr(ratings) == "Ratings(1,000,209 ratings of 6,040 users and 3,706 items, from 1 to 5)"


# Refuse the rest, saying where -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reading", "what", "hint"),
    [
        # columns
        (
            "userId,film,rating\n1,2,3\n",
            {},
            "no column looks like the item; its columns are 'userId', 'film'",
            "item=…",
        ),
        ("userId,movieId,raitng\n1,2,3\n", {}, "no column looks like the rating", "did you mean rating='raitng'?"),
        ("userId,movieId,rating\n1,2,3\n", {"item": "moveId"}, "no column 'moveId' (item)", "did you mean 'movieId'?"),
        ("userId,movieId,rating\n1,2,3\n", {"user": 7}, "has 3 columns, none at position 7 (user)", "count from 0"),
        (
            "userId,rating\n1,2\n",
            {"user": 0, "item": "userId"},
            "column 'userId' cannot be user and item at once",
            "another",
        ),
        ("a b c\n1 2 3\n", {}, "no column looks like the user", "separator="),
        ("1 2 3\n1 3 3\n", {}, "each line has 3 numbers between spaces", "separator=' ' for columns"),
        (
            "user,item,rating,plays\n1,2,3,4\n",
            {"rating": 2, "count": 3},
            "ratings and counts at once",
            "one of the two",
        ),
        (
            "user,item,shown\n1,2,3\n",
            {},
            "no column looks like the rating",
            "rating=False or count=… if these are clicks",
        ),
        ("user,item,plays\n1,2,3\n1,3,-1\n", {}, "line 3: plays is negative", "rating='plays'"),
        ("user,item,plays\n1,2,0\n", {}, "every plays is 0", "from 0 up"),
        ("1\n2\n", {"lists": True}, "no line has a user and an item", "user item item …"),
        ("ann,bob\n", {}, "no column looks like the user", "header=False"),
        # cells
        (HEAD + "1,2,3,4\n1,3,good,4\n", {}, "r.csv, line 3: rating is not a number: 'good'", "3.5"),
        (HEAD + "1,2,3,4\n1,3,,4\n1,4,,4\n", {}, "line 3: rating is missing: None (2 such rows", "3.5"),
        (HEAD + "1,2,nan,4\n", {}, "line 2: rating is not finite: nan", "drop"),
        (HEAD + "1,2,3,4\n1,3,-inf,4\n", {}, "line 3: rating is not finite: -inf", "drop"),
        (HEAD + "1,2,3,4\n1,3,1e39,4\n", {}, "line 3: rating is too large: 1e+39", "drop"),
        ("user;item;rating\n1;2;3,5\n", {}, "line 2: rating is not a number: '3,5'", "with a point"),
        (HEAD + "1,2,3,4\n,3,3,4\n", {}, "line 3: the user is missing: None", "needs a user and an item"),
        (HEAD + '1,"",3,4\n', {}, "line 2: the item is missing: ''", "needs a user"),
        (HEAD + "1,2,3,4\n1,3,3,noon\n", {}, "line 3: timestamp is no time: 'noon'", "time=False"),
        (HEAD + "1,2,3,03/04/2020\n", {}, "line 2: timestamp is no time: '03/04/2020'", "ISO 8601"),
        (HEAD + "1,2,3,4\n1,3,9,4\n", {"y_range": (1, 5)}, "line 3: the rating lies outside 1 to 5: 9.0", "y_range"),
        (
            HEAD + "1,2,3,4\n1,3,5,4\n1,2,4,4\n",
            {},
            "r.csv, line 4: user 1 rates item 2 again (first in r.csv, line 2)",
            "",
        ),
        # lines
        (HEAD + "1,2,3,4\n1,3,3\n", {}, "r.csv, line 3: 3 fields where 4 are expected: ['1', '3', '3']", "separator="),
        (HEAD + "1,2,3,4\n1,3,3,4,5\n", {}, "r.csv, line 3: 5 fields where 4 are expected", "quote"),
        ("1::2::3\n1::2\n", {}, "r.csv, line 2: 2 fields where 3 are expected", ""),
        (HEAD + '1,"x,3,4\n1,2,3,4\n', {}, "r.csv, line 2: a stray quotation mark", "double the marks"),
        (HEAD + '1,2,3,4\n1,7" single,3,4\n', {}, "r.csv, line 3: a stray quotation mark", "double the marks"),
        ("", {}, "r.csv is empty", "a rating a line"),
        ("\n \n", {}, "r.csv is empty", "a rating a line"),
        (HEAD, {}, "r.csv holds no ratings", "a rating a line"),
        ("a\x00b,c,d\n", {}, "r.csv is not text", "binary"),
        ("user,item,rating\r1,2,3\r", {}, "r.csv ends its lines with CR alone", "LF"),
        (b"PK\x03\x04abc", {}, "r.csv is a zip archive, not text", "unpack"),
        (b"PAR1abc", {}, "r.csv is a Parquet file, not text", "from_parquet"),
        ("user,item,rating\n1,é,3\n".encode("latin-1"), {"encoding": "utf-8"}, "cannot be read as utf-8", "latin-1"),
        ("user,item,rating\n", {"encoding": "klingon"}, "cannot be read as klingon", "latin-1"),
        (gzip.compress(HEAD.encode() * 99)[:-30], {}, "r.csv is a gzip file cut short or damaged", "fetch it again"),
        (gzip.compress(b"x" * 99)[:-8] + b"12345678", {}, "r.csv is a gzip file cut short or damaged", "fetch"),
        (
            gzip.compress(gzip.compress(HEAD.encode())),
            {},
            "r.csv is a gzip file that holds another gzip file",
            "unpack",
        ),
        (gzip.compress(b"PK\x03\x04abc"), {}, "r.csv is a gzip file that holds a zip archive", "unpack"),
        ("user,item,rating\n1,2,3\n1,3,4\r2,3,4\r", {}, "r.csv, line 3: a line that ends with CR alone", "LF"),
        ("user,item,rating\r\n1,2,3\r2,3,4\r\n", {}, "r.csv, line 2: a line that ends with CR alone", "LF"),
        ("user,item,rating," + "x" * 140_000 + "\n1,2,3,4\n", {}, "140,017 characters, too many", "line ends"),
        ("u," * 600_000, {}, "the first line of r.csv is longer than 1,048,576 bytes", "line ends"),
        ("# my ratings\nuser,item,rating\n1,2,3\n", {}, "is a comment: '# my ratings'", "begin with '#'"),
        ("# mine, 2021\n# more\n\nuser,item,rating\n1,2,3\n", {}, "is a comment", "begin with '#'"),
        ("sep=;\nuser;item;rating\n1;2;3\n", {}, "is 'sep=;': it names a separator", "say separator=';'"),
        ('"SEP=|"\nuser|item|rating\n1|2|3\n', {}, "it names a separator", "say separator='|'"),
        # ids
        ("user,item,rating\n1,1,3\n2\0,2,4\n", {}, "r.csv, line 3: the user holds a NUL or a byte order", "damaged"),
        (
            "user,item,rating\n1,1,3\n\ufeff2,2,4\n",
            {},
            "r.csv, line 3: the user holds a NUL or a byte order",
            "several",
        ),
        ("user,item,rating\n1,a,3\n2,b\ufeff,4\n", {}, "r.csv, line 3: the item holds a NUL or a byte", "several"),
        # columns: all that are missing at once
        ("a,b,c\n1,2,3\n", {}, "looks like the user, the item or the rating", "user=…, item=…, rating=…"),
        ("user,ratingg,c\n1,2,3\n", {}, "looks like the item or the rating", "item=…, rating='ratingg'"),
    ],
    ids=lambda value: "bytes" if isinstance(value, bytes) else None,  # gzip notes the time: xdist wants fixed names
)
def test_refused(tmp_path, content, reading, what, hint):
    error = refusal(file(tmp_path, content), **reading)
    assert what in error.what
    assert hint in (error.hint or "")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["u,i,r", "1,2,3", "1,3,x"], 3),
        (["u,i,r", "", "1,2,3", "", "", "1,3,x", "1,4,y"], 6),
        (["", "u,i,r", "1,2,3", "1,3,x"], 4),
        (["u,i,r", '1,"two', 'lines",3', '1,"three', "more", 'lines",3', "1,3,x"], 7),
        (["u,i,r", '1,"two', 'lines",x', "1,3,3"], 2),
        (["u,i,r", '1,"two', 'lines",3', "", "1,2"], 5),  # a short line
        (["u,i,r", '1,"two', 'lines",3', "", "1,2,3,4"], 5),  # a long one
    ],
)
def test_line_numbers(tmp_path, lines, line, end, mark, packed):
    raw = (mark + end.join(lines) + end).encode()
    error = refusal(file(tmp_path, gzip.compress(raw) if packed else raw), user="u", item="i", rating="r")
    assert f"r.csv, line {line}: " in error.what


def test_a_file_without_header_counts_from_its_first_line(tmp_path):
    assert "r.csv, line 2: rating is not a number: 'x'" in refusal(file(tmp_path, "1,2,3\n1,3,x\n")).what


def test_a_file_whose_name_is_not_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    try:
        path = file(tmp_path, "user,item,rating\n1,2,3\n", name + ".csv")
    except OSError:
        pytest.skip("this system has no such names")
    table = pl.DataFrame({"user": [1], "item": [2], "rating": [3]})
    table.write_parquet(stored := io.BytesIO())
    file(tmp_path, stored.getvalue(), f"{name}.parquet")
    assert back(Ratings.from_csv(path)) == back(Ratings.from_parquet(tmp_path / f"{name}.parquet")) == [(1, 2, 3.0)]


def test_an_absent_file_and_a_folder(tmp_path):
    file(tmp_path, HEAD, "ratings.csv")
    error = refusal(tmp_path / "rating.csv")
    assert f"there is no file {tmp_path}/rating.csv" in error.what
    assert error.hint == "did you mean 'ratings.csv'?"
    assert "is a folder, not a file" in refusal(tmp_path).what
    assert "there is no file" in refusal(tmp_path / "no" / "where.csv").what


@pytest.mark.parametrize("separator", ["", "\n", '"'])
def test_separators_that_cannot_be(tmp_path, separator):
    with pytest.raises(SettingError, match="separator is"):
        Ratings.from_csv(file(tmp_path, HEAD + "1,2,3,4\n"), separator=separator)


def test_settings_that_cannot_be(tmp_path):
    with pytest.raises(SettingError, match="y_range is"):
        Ratings.from_csv(file(tmp_path, HEAD + "1,2,3,4\n"), y_range=(5, 1))


def test_one_rating_is_read(tmp_path):
    assert len(Ratings.from_csv(file(tmp_path, HEAD + "1,2,3,4\n"))) == 1


def test_42_beside_42(tmp_path):
    mixed = pl.DataFrame({"user": pl.Series([42, "42"], dtype=pl.Object), "item": [1, 2], "rating": [1, 2]})
    with pytest.raises(DataError, match="column 'user' mixes numbers and text: 42 beside '42'") as e:
        Ratings.from_frame(mixed)
    assert "astype(str)" in e.value.hint
    text = file(tmp_path, 'user,item,rating\n42,1,1\n"42",2,2\n')  # in a text file all cells are text: one id
    assert list(Ratings.from_csv(text).user_ids) == [42]


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"user": [1], "item": [1], "rating": [None]}, "the frame, row 0: rating is missing"),
        ({"user": [1, None], "item": [1, 1], "rating": [1, 2]}, "the frame, row 1: the user is missing"),
        ({"user": [1.5], "item": [1], "rating": [1]}, "column 'user', .*|ids such as 1.5 are not whole numbers"),
        ({"user": [1], "item": [1], "rating": [[1]]}, r"rating holds List\(Int64\), not numbers"),
        ({"user": [1], "item": [1], "rating": [1], "time": [True]}, "time holds Boolean, not times"),
        ({"user": [[1]], "item": [1], "rating": [1]}, "cannot be an id"),
        ({"user": [], "item": [], "rating": []}, "the frame holds no ratings"),
    ],
)
def test_frames_refused(columns, what):
    with pytest.raises(DataError, match=what):
        Ratings.from_frame(pl.DataFrame(columns))


def test_pandas_missing_values():
    import pandas as pd

    for missing in (None, float("nan"), pd.NA, pd.NaT):
        frame = pd.DataFrame({"user": pd.Series(["a", missing], dtype=object), "item": [1, 2], "rating": [1, 2]})
        with pytest.raises(DataError, match="the frame, row 1: the user is missing"):
            Ratings.from_frame(frame)


@pytest.mark.parametrize("thing", [[1, 2], {"user": [1]}, pl.DataFrame({"user": [1]}).lazy(), None])
def test_what_is_no_table(thing):
    with pytest.raises(DataError, match="is no table known here"):
        Ratings.from_frame(thing)


def test_no_parquet(tmp_path):
    with pytest.raises(DataError, match=r"x.parquet is no readable Parquet file"):
        Ratings.from_parquet(file(tmp_path, "not at all", "x.parquet"))
    whole = io.BytesIO()
    pl.DataFrame({"user": [1], "item": [2], "rating": [3]}).write_parquet(whole)
    with pytest.raises(DataError, match=r"x.parquet is no readable Parquet file"):
        Ratings.from_parquet(file(tmp_path, whole.getvalue()[:-20], "x.parquet"))


def test_tables_from_text_keep_what_they_are_told_to(tmp_path):
    path = file(tmp_path, "1::02460::x\n2::1::y\n", "users.dat")
    table = readers.read_table(path, names=["id", "zip", "name"], separator="::", text=lambda _: ["zip"])
    assert table.rows() == [(1, "02460", "x"), (2, "1", "y")]


def test_a_header_that_names_a_column_twice_is_noted(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("user,item,rating,rating\n1,2,3,5\n2,2,4,1\n")
    ratings = Ratings.from_csv(path)
    assert ratings.values.tolist() == [3, 4]
    assert any("names 'rating' more than once; the first one counts" in note for note in ratings.notes)


# A time column that nobody named, and dates among seconds -------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cell", "seen"),
    [
        ("Datum", "4.3.2021", True),
        ("ratedDate", "x", True),
        ("CREATED_on", "x", True),
        ("whatever", "2021-03-04", True),
        ("whatever", "2021-03-04T10:00:00", True),
        ("whatever", "1614834367", True),
        ("whatever", "12", False),
        ("candidate", "x", False),
        ("holiday", "x", False),
    ],
)
def test_a_column_that_looks_like_times_is_not_left_out_silently(tmp_path, name, cell, seen):
    path = file(tmp_path, f"user,item,rating,{name}\n1,2,3,{cell}\n1,3,4,{cell}\n")
    assert any(f"column {name!r} looks like times" in note for note in Ratings.from_csv(path).notes) == seen
    assert not Ratings.from_csv(path, time=False).notes
    if not cell.startswith(("4.", "x")):
        assert Ratings.from_csv(path, time=name).times is not None and not Ratings.from_csv(path, time=name).notes
    named = seen and name != "whatever"  # of frames and Parquet files names alone are looked at
    frame = pl.DataFrame({"user": [1], "item": [2], "rating": [3.0], name: [cell]})
    frame.write_parquet(tmp_path / "r.parquet")
    assert bool(Ratings.from_frame(frame).notes) == bool(Ratings.from_parquet(tmp_path / "r.parquet").notes) == named


@pytest.mark.parametrize(
    ("times", "readings"),
    [
        ([1614834367, 20210304, 1614834399], ("2021-03-04, a date written YYYYMMDD", "1970-08-22, seconds since 1970")),
        ([20210304, 20210305, 1614834399], ("(2 such rows in all)", "2021-03-04", "1970-08-22")),
        ([1614834367, 2021, 1614834399], ("2021-01-01, a date written YYYY,", "1970-01-01")),
        ([1614834367.5, 20210304.0, 1614834399.0], ("2021-03-04", "1970-08-22")),
        ([1614834367000, 20210304120000, 1614834399000], ("2021-03-04", "2610-06-10, milliseconds")),
        ([15_000_000, 20210304, 7], None),  # seconds since anything: they go through such numbers
        ([1614834367, 20210399, 1614834399], None),  # no date
        ([0, 0, 1614834399], None),
    ],
)
def test_a_date_among_seconds_is_refused_with_both_readings(tmp_path, times, readings):
    path = file(tmp_path, "user,item,rating,time\n" + "".join(f"{k},1,3,{t}\n" for k, t in enumerate(times)))
    if readings is None:
        assert Ratings.from_csv(path).times.tolist() == times
        return
    error = refusal(path)
    assert all(reading in error.what for reading in readings) and "time=False" in error.hint
    frame = pl.DataFrame({"user": [1, 2, 3], "item": [1, 1, 1], "rating": [1.0, 2.0, 3.0], "time": times})
    with pytest.raises(DataError, match="since 1970"):
        Ratings.from_frame(frame)


def test_marks_that_nobody_sees_in_ids_of_a_frame_are_counted():
    frame = pl.DataFrame({"user": ["a\0", "b", "\ufeffc"], "item": [1, 2, 3], "rating": [1.0, 2.0, 3.0]})
    assert any(note.startswith("2 user ids hold a NUL") for note in Ratings.from_frame(frame).notes)


# Clicks ------------------------------------------------------------------------------------------------------------


def written(folder, content):
    (folder / "c.csv").write_text(content)
    return folder / "c.csv"


@pytest.mark.parametrize(
    ("content", "reading", "counts", "note"),
    [
        ("user,item,time\n1,2,99\n1,3,99\n", {}, None, "that a pair is there is all"),
        ("1,2\n1,3\n", {}, None, "that a pair is there is all"),
        ("user,item,plays\n1,2,7\n1,3,2.5\n", {}, [7, 2.5], "column 'plays' says how often"),
        ("user,item,Quantity,time\n1,2,7,5\n1,3,1,5\n", {}, [7, 1], "column 'Quantity' says how often"),
        ("user,item,plays\n1,2,1\n1,3,1\n", {}, None, "column 'plays' says how often"),  # once each
        ("user,item,shown\n1,2,4\n1,3,1\n", {"count": "shown"}, [4, 1], "column 'shown' says how often"),
        ("user,item,rating,plays\n1,2,3,4\n1,3,3,9\n", {"rating": False}, [4, 9], "column 'plays' says how often"),
        ("user,item,rating,plays\n1,2,3,4\n1,3,3,9\n", {"rating": False, "count": False}, None, "is all"),
        ("1,2,7\n1,3,5\n", {"count": 2}, [7, 5], "column 'count' says how often"),
    ],
)
def test_clicks_are_recognised_and_said(tmp_path, content, reading, counts, note):
    clicks = Ratings.from_csv(written(tmp_path, content), **reading)
    assert clicks.feedback == "clicks"
    assert (None if clicks.counts is None else clicks.counts.tolist()) == counts
    assert note in clicks.notes[0]


def test_ratings_beside_counts_are_ratings(tmp_path):
    ratings = Ratings.from_csv(written(tmp_path, "user,item,plays,rating\n1,2,7,3\n1,3,9,4\n"))
    assert ratings.values.tolist() == [3, 4] and ratings.counts is None and ratings.notes == ()


def test_ratings_that_may_be_clicks_are_noted(tmp_path):
    equal = Ratings.from_csv(written(tmp_path, "user,item,rating\n1,2,1\n1,3,1\n"))
    assert equal.feedback == "stars"
    assert equal.notes == ("every rating is 1: if these are clicks, leave the column out (rating=False, --no-rating).",)
    many = Ratings.from_csv(written(tmp_path, "user,item,value\n1,2,1\n1,3,5217\n"))
    assert many.notes == ("value goes from 1 to 5217: if it counts clicks or plays, name it so (count=, --count).",)


def test_a_count_of_nothing_is_left_out_and_noted(tmp_path):
    path = written(tmp_path, "user,item,plays\n1,2,0\n1,3,4\n2,2,0\n2,3,x\n")
    with pytest.raises(DataError, match="line 5: plays is not a number"):
        Ratings.from_csv(path)
    path.write_text("user,item,plays\n1,2,0\n1,3,4\n2,2,0\n2,3,1\n2,3,2\n")
    with pytest.raises(DataError, match="line 6: user 2 rates item 3 again"):  # places are those of the file
        Ratings.from_csv(path, duplicates="error")
    clicks = Ratings.from_csv(path)
    assert clicks.to_frame().rows() == [(1, 3, 4.0), (2, 3, 3.0)]
    assert clicks.notes[1] == "2 rows with a plays of 0 were left out: nothing happened."


def test_lists_have_no_columns(tmp_path):
    with pytest.raises(SettingError, match="no columns and no header"):
        Ratings.from_csv(written(tmp_path, "1 2\n"), lists=True, user=0)


def test_clicks_of_parquet_and_frames(tmp_path):
    frame = pl.DataFrame({"user": ["a", "b"], "item": [1, 2], "plays": [3, 1]})
    frame.write_parquet(tmp_path / "c.parquet")
    for clicks in (Ratings.from_frame(frame), Ratings.from_parquet(tmp_path / "c.parquet")):
        assert clicks.counts.tolist() == [3, 1]
    assert Ratings.from_frame(frame, count=False, rating=False).counts is None


# Times that are missing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", "null", " ", "NaT"])
def test_a_rating_without_a_time_is_counted_and_unknown(tmp_path, nothing):
    path = file(tmp_path, f"user,item,rating,time\n1,2,3,1614834367\n1,3,4,{nothing}\n2,3,4,1614920767\n")
    ratings = Ratings.from_csv(path)
    assert ratings.times.tolist() == [1614834367, UNKNOWN, 1614920767]
    assert any("1 of 3 ratings have no time" in note for note in ratings.notes)
    assert ratings.to_frame()["time"].to_list() == [1614834367, None, 1614920767]
    assert Ratings.from_frame(ratings.to_frame()).times.tolist() == ratings.times.tolist()
    assert "2021-03-04 to 2021-03-05" in ratings._repr_html_()
    with pytest.raises(DataError, match="1 of 3 ratings have no time"):
        split.by_time(ratings, test=0.4)


def test_a_column_without_any_time_is_refused(tmp_path):
    path = file(tmp_path, "user,item,rating,time\n1,2,3,\n1,3,4,\n")
    with pytest.raises(DataError, match="is no time"):
        Ratings.from_csv(path)
