"""Paths are paths; pipes are read once, whole, and never for ever; what unpacks too far is refused; clear errors."""

import base64
import contextlib
import gzip
import io
import os
import subprocess
import sys
import threading
import zlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias import files
from dotbias.datasets import resolve
from dotbias.errors import DataError, DotbiasError, FileError, SettingError
from dotbias.ratings import Ratings
from dotbias.readers import parquet

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX pipes and permissions")
CSV = "user,item,rating\n1,2,3.5\n2,2,4\n"


def frame_of(values):
    return pl.DataFrame({"user": range(len(values)), "item": 1, "rating": values})


# A path is a path --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ratings[2]", "rat*", "?", "a{b,c}", "**", "~x", "-x", "é ü", "a=1"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_path_is_no_pattern(tmp_path, monkeypatch, name, suffix):
    def put(stem, values):
        frame, path = frame_of(values), tmp_path / f"{stem}{suffix}"
        frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
        return path

    for other in ("ratings2", "rats", "x", "ab", "ac"):
        put(other, [1.0, 1.0, 1.0])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        resolve(f"./{name}{suffix}")  # nothing of this name: no neighbour is taken for it
    put("mine", [5.0]).rename(tmp_path / f"{name}{suffix}")
    for path in (tmp_path / f"{name}{suffix}", f"./{name}{suffix}"):
        assert resolve(path).values.tolist() == [5.0]
    train = Ratings.from_frame(frame_of([1.0, 2.0]))
    assert train.with_user_table(tmp_path / f"{name}{suffix}").user_table["rating"].to_list() == [5.0, None]


def test_a_pattern_in_a_folders_name(tmp_path):
    for name, value in (("a[1]", 5.0), ("a1", 1.0)):
        (tmp_path / name).mkdir()
        frame_of([value]).write_csv(tmp_path / name / "ratings.csv")
        frame_of([value]).write_parquet(tmp_path / name / "r.parquet")
    assert resolve(tmp_path / "a[1]").values.tolist() == [5.0]
    assert resolve(tmp_path / "a[1]" / "r.parquet").values.tolist() == [5.0]


@pytest.mark.parametrize("path", [None, 7, b"r.csv", "", "a\0b", ["r.csv"], 1.5])
def test_what_is_no_path(path):
    for read in (Ratings.from_csv, Ratings.from_parquet, resolve):
        with pytest.raises(SettingError, match="is no path"):
            read(path)


@pytest.mark.parametrize(
    "path", ["x" * 5000, "~nobody-of-that-name/x.csv", "nowhere/ratings.csv", "/proc/self/mem", "/dev"]
)
def test_odd_paths_are_clear_errors(path):
    for read in (Ratings.from_csv, Ratings.from_parquet, resolve):
        with pytest.raises(DotbiasError):
            read(path)


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path):
    (tmp_path / "r.csv").write_text(CSV)
    (tmp_path / "r.csv").chmod(0)
    with pytest.raises(FileError, match="Permission denied"):
        Ratings.from_csv(tmp_path / "r.csv")


# Pipes -------------------------------------------------------------------------------------------------------------


def run(code, stdin=b"", **options):
    done = subprocess.run([sys.executable, "-c", code], input=stdin, capture_output=True, timeout=60, **options)
    assert not done.returncode, done.stderr.decode()
    return done.stdout.decode().strip()


SHOW = "from dotbias.datasets import resolve; import sys; print(resolve(PATH).values.tolist())"


@posix
@pytest.mark.parametrize("path", ["-", "/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("content", [CSV.encode(), gzip.compress(CSV.encode())], ids=["text", "gzip"])
def test_standard_input(path, content):
    assert run(SHOW.replace("PATH", repr(path)), content) == "[3.5, 4.0]"


@posix
def test_standard_input_from_a_file(tmp_path):
    (tmp_path / "r.csv").write_text(CSV)
    for path in ("-", "/dev/stdin"):
        with (tmp_path / "r.csv").open("rb") as f:
            code = SHOW.replace("PATH", repr(path))
            out = subprocess.run([sys.executable, "-c", code], stdin=f, capture_output=True, timeout=60).stdout
        assert out.decode().strip() == "[3.5, 4.0]"


def fed(path, content):
    """A thread that writes to a named pipe."""

    def feed():
        with path.open("wb") as pipe:
            pipe.write(content)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    return thread


@posix
@pytest.mark.parametrize("n", [1, 200_000])  # the second is many times what a pipe holds
def test_a_named_pipe(tmp_path, n):
    os.mkfifo(tmp_path / "pipe.csv")
    rows = "".join(f"{k},1,3\n" for k in range(n))
    thread = fed(tmp_path / "pipe.csv", f"user,item,rating\n{rows}".encode())
    assert len(Ratings.from_csv(tmp_path / "pipe.csv")) == n
    thread.join()


@posix
def test_a_named_pipe_of_parquet(tmp_path):
    os.mkfifo(tmp_path / "p.parquet")
    content = io.BytesIO()
    frame_of([2.0, 3.0]).write_parquet(content)
    fed(tmp_path / "p.parquet", content.getvalue())
    assert Ratings.from_parquet(tmp_path / "p.parquet").values.tolist() == [2.0, 3.0]


@posix
def test_a_pipe_that_nobody_writes_to_is_no_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WAIT", 0.1)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FileError, match="nobody has written to this pipe"):
        Ratings.from_csv(tmp_path / "pipe.csv")
    fed(tmp_path / "pipe.csv", b"")
    with pytest.raises(DotbiasError):
        Ratings.from_csv(tmp_path / "pipe.csv")


@posix
def test_process_substitution():
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$0" <(sleep 0.2; printf "{CSV}")', SHOW.replace("PATH", "sys.argv[1]")],
        capture_output=True,
        timeout=60,
    )
    assert done.stdout.decode().strip() == "[3.5, 4.0]", done.stderr.decode()


# What unpacks too far ----------------------------------------------------------------------------------------------


def test_the_limit(monkeypatch):
    monkeypatch.delenv("DOTBIAS_MAX_BYTES", raising=False)
    assert files.max_bytes() == 2 << 30
    monkeypatch.setenv("DOTBIAS_MAX_BYTES", "5_000")
    assert files.max_bytes() == 5000
    for wrong in ("many", "-1", "0", "1e9"):
        monkeypatch.setenv("DOTBIAS_MAX_BYTES", wrong)
        with pytest.raises(SettingError, match="DOTBIAS_MAX_BYTES"):
            files.max_bytes()


def test_a_gzip_file_that_swells_is_refused_early(tmp_path, monkeypatch):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = (CSV.splitlines()[1] + "\n").encode() * 200_000
    packed = b"".join([packer.compress(block) for _ in range(30)]) + packer.flush()
    (tmp_path / "r.csv.gz").write_bytes(packed)
    monkeypatch.setenv("DOTBIAS_MAX_BYTES", str(10_000_000))
    assert len(packed) < 300_000 and len(block) * 30 > 40_000_000
    read, real = [], gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, n=-1: read.append(n) or real(self, n))
    with pytest.raises(FileError, match=r"more than 0\.0 GB") as e:
        Ratings.from_csv(tmp_path / "r.csv.gz")
    assert "DOTBIAS_MAX_BYTES" in e.value.hint and sum(read) < 20_000_000


@posix
def test_an_endless_stream_is_refused(monkeypatch):
    monkeypatch.setenv("DOTBIAS_MAX_BYTES", str(10_000_000))
    with pytest.raises(FileError, match="more than"):
        Ratings.from_csv("/dev/zero")


def packed(frame, **options):
    content = io.BytesIO()
    frame.write_parquet(content, **options)
    return content.getvalue()


def test_a_parquet_file_that_swells_is_refused_unread(tmp_path, monkeypatch):
    n = 3_000_000
    content = packed(pl.DataFrame({"user": np.arange(n) // n, "item": np.zeros(n, np.int64), "rating": np.ones(n)}))
    (tmp_path / "r.parquet").write_bytes(content)
    assert len(content) < 100_000
    monkeypatch.setenv("DOTBIAS_MAX_BYTES", str(50_000_000))
    monkeypatch.setattr(pl, "read_parquet", lambda *a, **k: pytest.fail("it was decoded"))
    for read in (Ratings.from_parquet, resolve):
        with pytest.raises(FileError, match=r"r\.parquet would take 0\.1 GB of memory; the limit is 0\.1 GB"):
            read(tmp_path / "r.parquet")


@given(
    st.integers(0, 300),
    st.sampled_from(["zstd", "snappy", "lz4", "uncompressed", "gzip"]),
    st.sampled_from([None, 7, 100]),
    st.booleans(),
)
def test_sizes_from_headers_bound_what_is_decoded(n, compression, group, statistics):
    frame = pl.DataFrame(
        {
            "a": np.arange(n, dtype=np.int64) % 3,
            "b": np.arange(n, dtype=np.float32),
            "c": [f"text {k % 5}" for k in range(n)],
            "d": [[k, k] if k % 3 else None for k in range(n)],
            "e": [None if k % 2 else True for k in range(n)],
        },
        schema_overrides={"d": pl.List(pl.Int64), "e": pl.Boolean},
    )
    content = packed(frame, compression=compression, row_group_size=group, statistics=statistics)
    size = parquet.size_of(content, "x")
    numbers = frame.select("a", "b").estimated_size()
    assert size.rows == n and size.nbytes >= numbers
    assert parquet.read(content, "x").equals(frame)


@pytest.mark.parametrize(
    "options", [{}, {"data_page_version": "2.0"}, {"use_dictionary": False}, {"compression": "none"}]
)
def test_what_pyarrow_writes_is_understood(options):
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(5000)), "b": [f"x{k}" for k in range(5000)]}), content, **options)
    assert parquet.size_of(content.getvalue(), "x").rows == 5000


ABORTS = base64.b64decode(  # three ratings, two bytes of a page changed: polars 2.1 asks for 2^61 bytes, and aborts
    b"UEFSMRUEFTAVOkwVBhUAAAAotS/9IBilAABgAQACAAMAAAAAAAAAAgBg4AFgARUAFRQVJiwVBhUQFQYVBhw2ACgIAwAAAAAAAAAY"
    b"CAEAAAAAAAAAAAAAKLUv/SAKUQAAAgAAAAYBAgMkABUEGTUABhAZGAR1c2VyFQwWBhawARa0ASZcJggcNgAoCAMAAAAAAAAAGAgB"
    b"AAAAAAAAAAAAFQQVHhUwTBUGFQAAACi1L/0gD3kAAAEAAABhAQAAAGIBAAAAYxUAFRQVJiwVERUQFQYVBhw2ACgBYxgBYQAAACi1"
    b"L/0gClEAAAIAAAAGAQIDJAAVDBk1AAYQGRgEaXRlbRUMFgYWggEWpgEmiAMmvgIcNgAoAWMYAWEAABUAFTwVRiwVBhUAFQYVBhw2"
    b"ACgIAAAAAAAACEAYCAAAAAAAAPA/AAAAKLUv/SAe1QAAmAIAAAAGAQDwPwBAAAAAAAAACEACAGDGBYwVChklAAYZGAZyYXRpbmcV"
    b"DBYGFo4BFpgBErYEPDYAKAgAAAAAAAAIQBgIAAAAAAAA8D8AABkRAhkYCAEAAAAAAAAAGRgIAwAAAAAAAAAVABkWAAAZEQIZGAFh"
    b"GRgBYxUAGRYAABkRAhkYCAAAAAAAAPA/GRgIAAAAAAAACEAVABkWAAAZHBZcFXgWAAAAGRwWiAMVXBYAAAAZHBa2BBWYARYAAAAV"
    b"AhlMSARyb290FQYAFQQlAhgEdXNlcgAVDCUCGARpdGVtJQBMHAAAABUKJQIYBnJhdGluZwAWBhkcGTwmqAIcFQQZNQAGEBkYBHVz"
    b"ZXIVDBYGFrABFswBJlwmCBw2ACgIAwAAAAAAAAAYCAEAAAAAAAAAAAAW1gcVFBa4BhU+ACauBBwVDBk1AAYQGRgEaXRlbRUMFgYW"
    b"ggEWpgEmiAMmvgIcNgAoAWMYAWEAABbqBxUWFvYGFSIAJs4FHBUKGSUABhkYBnJhdGluZxUMFgYWjgEWmAEmtgQ8NgAoCAAAAAAA"
    b"AAhAGAgAAAAAAADwPwAAFoAIFRgWmAcVPgAWwAMWBiYIFooEFAAAGRwYDEFSUk9XOnNjaGVtYRi0Ai8vLy8vOTBBQUFBRUFBQUE4"
    b"di8vL3hRQUFBQUVBQUVBQUFBS0FBc0FDQUFLQUFRQStQLy8vd3dBQUFBSUFBZ0FBQUFFQUFNQUFBQm9BQUFBT0FBQUFBUUFBQUNR"
    b"Ly8vL0lBQUFBQkFBQUFBSUFBQUFBUU1BQUFBQUFBRDYvLy8vQWdBR0FBWUFCQUFHQUFBQWNtRjBhVzVuQUFEQS8vLy9IQUFBQUJB"
    b"QUFBQUlBQUFBQVJRQUFBQUFBQUQ4Ly8vL0JBQUVBQVFBQUFCcGRHVnRBQUFBQU96Ly8vODRBQUFBSUFBQUFCZ0FBQUFCQWdBQUVB"
    b"QVNBQVFBRUFBUkFBZ0FBQUFNQUFBQUFBRDAvLy8vUUFBQUFBRUFBQUFJQUFrQUJBQUlBQVFBQUFCMWMyVnlBQT09ABhOUG9sYXJz"
    b"IChweXRob24pIHZlcnNpb24gMi4xLjAgKGJ1aWxkIDdmOTAyYmQzZmZkMjdmZjgyZDE0Mjc4YTA5YTI5NWZmMmY3YWVkOTIpGTwc"
    b"AAAcAAAcAAAArQIAAFBBUjE="
)


def test_parquet_that_ends_a_process_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(ABORTS)
    for source in (ABORTS, tmp_path / "x.parquet"):
        with pytest.raises(DataError, match="reading it ends the process") as e:
            parquet.read(source, "x.parquet")
        assert e.value.hint


@given(st.data())
def test_damaged_parquet_is_a_clear_error(data):
    """Its footer, or its end: within a page, polars aborts the process on some lengths, which nothing can catch."""
    content = bytearray(packed(pl.DataFrame({"user": [1, 2, 3], "item": ["a", "b", "c"], "rating": [1.0, 2.0, 3.0]})))
    for _ in range(data.draw(st.integers(1, 3))):
        footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little") % len(content)
        content[data.draw(st.integers(max(footer, 0), len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    with contextlib.suppress(DotbiasError):
        parquet.read(content, "x", sealed=True)


# Writing -----------------------------------------------------------------------------------------------------------


def test_writing_where_it_cannot_be_is_a_clear_error(tmp_path):
    for path in (tmp_path / "no" / "where", tmp_path / ("x" * 300), tmp_path):
        with pytest.raises(FileError, match="cannot be written"):
            files.write(path, b"x")
    assert not list(tmp_path.rglob("*.tmp"))
