"""Parts from anywhere, and what is said of bad ones: which, and how many rows."""

import pickle

import numpy as np
import polars as pl
import pytest
from inline_ray import joined

from dotbias import Ratings, cluster, planted
from dotbias.cluster import parts as reading
from dotbias.cluster.remote import Remote, as_place
from dotbias.errors import DataError, FileError, SettingError
from dotbias.factors import ARRAYS
from dotbias.solvers.als import als

fsspec = pytest.importorskip("fsspec")
SETTINGS = {"n_factors": 4, "n_epochs": 2, "rng": 0}
FRAME = planted(40, 30, n_ratings=500, rng=3).ratings.to_frame()


@pytest.fixture
def inline(monkeypatch):
    """Tasks run here, one after another."""
    monkeypatch.setattr(cluster, "joined", joined)


@pytest.fixture
def bucket():
    """memory://bucket/parts with two parts and a file beside them."""
    store = fsspec.filesystem("memory")
    for k, frame in enumerate((FRAME.head(300), FRAME.slice(300))):
        with store.open(f"/bucket/parts/part-{k}.parquet", "wb") as f:
            frame.write_parquet(f)
    store.pipe_file("/bucket/parts/_SUCCESS", b"")
    yield store
    store.rm("/bucket", recursive=True)


def bad(folder, **frames):
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return folder


def test_parts_of_a_store_are_those_of_a_folder(bucket, tmp_path, inline):
    alone = als(Ratings.from_frame(FRAME), **SETTINGS)
    bad(tmp_path, a=FRAME.head(300), b=FRAME.slice(300))
    for place in ("memory://bucket/parts", "memory://bucket/parts/", f"file://{tmp_path}", tmp_path):
        fitted = cluster.fit("als", place, shards=3, **SETTINGS)
        assert all(np.array_equal(getattr(fitted.scorer, a), getattr(alone, a)) for a in ARRAYS)
    assert [p.name for p in reading.find_parts("memory://bucket/parts")] == ["part-0.parquet", "part-1.parquet"]


def test_places_are_named_as_they_were_given():
    assert as_place("s3://b/x") == Remote("s3://b/x") and str(Remote("s3://b/x") / "y") == "s3://b/x/y"
    assert str(as_place("file:///tmp/x")) == "/tmp/x" and str(as_place("x/y")) == "x/y"


def test_what_a_store_does_not_hold_is_named(bucket, inline):
    with pytest.raises(DataError, match=r"memory://bucket/none holds no \*.parquet"):
        cluster.fit("als", "memory://bucket/none", **SETTINGS)
    with pytest.raises(SettingError, match=r"nowhere://x cannot be opened"):
        cluster.fit("als", "nowhere://x", **SETTINGS)
    bucket.pipe_file("/bucket/parts/part-2.parquet", b"PAR1 no")
    with pytest.raises(DataError, match=r"part-2.parquet is no readable Parquet"):
        cluster.fit("als", "memory://bucket/parts", **SETTINGS)


def test_bad_rows_are_counted_by_part(tmp_path, inline):
    holes = FRAME.head(50).with_columns(rating=pl.when(pl.int_range(50) < 7).then(None).otherwise(pl.col("rating")))
    other = FRAME.head(50).rename({"rating": "x"})
    folder = bad(tmp_path, a=FRAME.slice(50), b=holes)
    with pytest.raises(DataError, match=r"b.parquet, row 0: rating is missing: None \(7 such rows in all\)"):
        cluster.fit("als", folder, **SETTINGS)
    bad(folder, c=other, d=holes.tail(45))
    with pytest.raises(DataError) as raised:
        cluster.fit("als", folder, **SETTINGS)
    said = raised.value.what.split("\n")
    assert said[0] == "3 of 4 parts cannot be used:" and len(said) == 4
    assert "b.parquet, row 0" in said[1] and "7 such rows" in said[1]
    assert "c.parquet: no column looks like the rating" in said[2]
    assert "d.parquet, row 0" in said[3] and "2 such rows" in said[3]


def test_many_bad_parts_are_not_all_named():
    wrong = [DataError(f"p{k}.parquet is bad.") for k in range(25)]
    names = [Remote(f"s3://b/p{k}.parquet") for k in range(25)]
    with pytest.raises(DataError, match=r"25 of 25 parts(.|\n)*p19.parquet(.|\n)*and 5 more") as raised:
        reading.all_good(names, wrong)
    assert "p20" not in raised.value.what


def test_errors_travel_whole():
    error = pickle.loads(pickle.dumps(DataError("a is bad.", hint="mend it.")))
    assert (error.what, error.hint) == ("a is bad.", "mend it.")


def test_ids_of_mixed_types_and_parts_that_vanish_or_change_are_named(tmp_path, inline, monkeypatch):
    text = FRAME.slice(300).with_columns(pl.col("user").cast(pl.String))
    with pytest.raises(DataError, match=r"b.parquet: the user ids are String, those of a.parquet Int64"):
        cluster.fit("als", bad(tmp_path / "mixed", a=FRAME.head(300), b=text), **SETTINGS)
    whole = reading.check_alike
    for name, do, kind, message in (
        ("gone", lambda p: p.unlink(), FileError, r"b.parquet is not there"),
        ("changed", lambda p: FRAME.slice(301).write_parquet(p), DataError, r"b.parquet has changed since"),
    ):
        folder = bad(tmp_path / name, a=FRAME.head(300), b=FRAME.slice(300))

        def then(*arguments, do=do, folder=folder):
            whole(*arguments)
            do(folder / "b.parquet")

        monkeypatch.setattr("dotbias.cluster.shards.check_alike", then)
        with pytest.raises(kind, match=message):
            cluster.fit("als", folder, **SETTINGS)


def test_a_store_that_refuses_is_named(monkeypatch, inline):
    class Refusing:
        def ls(self, path, detail):
            raise PermissionError("Access Denied")

    monkeypatch.setattr("dotbias.cluster.remote.file_system", lambda place: (Refusing(), "b"))
    with pytest.raises(FileError, match=r"s3://b cannot be listed: Access Denied"):
        cluster.fit("als", "s3://b", **SETTINGS)
