"""Data sets: found, fetched (from a server of our own on 127.0.0.1), read; planted worlds against their own truth."""

import dataclasses
import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias import datasets
from dotbias.datasets import downloads, entries, planted, titles
from dotbias.errors import DataError, DownloadError, SettingError

# Planted worlds ----------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.floats(0.01, 1),
    st.sampled_from([0.0, 1.5]),
    st.integers(0, 3),
    st.booleans(),
)
def test_any_shape_has_distinct_pairs_and_its_count(n_users, n_items, density, mnar, k, times):
    n = max(1, int(density * n_users * n_items))
    world = planted(n_users, n_items, n_ratings=n, n_factors=k, mnar=mnar, times=times, rng=1)
    ratings = world.ratings
    assert len(ratings) == n == len(np.unique(ratings.pairs()))
    assert (ratings.n_users, ratings.n_items) == (n_users, n_items)
    assert n < n_users or ratings.user_counts.min() >= 1
    assert (ratings.times is None) != times
    assert (np.diff(ratings.users) >= 0).all()
    if times:
        assert (np.diff(ratings.times)[np.diff(ratings.users) == 0] >= 0).all()


def test_same_rng_same_bits():
    a, b, c = (planted(80, 60, n_ratings=900, mnar=1, drift=0.2, rng=seed) for seed in (3, 3, 4))
    assert a.ratings.fingerprint() == b.ratings.fingerprint() != c.ratings.fingerprint()
    assert a.ratings.item_table.equals(b.ratings.item_table)
    for field in dataclasses.fields(a):
        if isinstance(getattr(a, field.name), np.ndarray):
            assert (getattr(a, field.name) == getattr(b, field.name)).all()


def test_the_truth_makes_the_ratings():
    world = planted(200, 150, n_ratings=9_000, n_factors=3, noise=0.3, y_range=None, step=None, drift=0.3, rng=0)
    ratings = world.ratings
    assert np.allclose(world.score(ratings.users, ratings.items, ratings.times), world.expected, atol=1e-5)
    every = world.score_all(np.arange(200))
    assert np.allclose(every[ratings.users, ratings.items], world.score(ratings.users, ratings.items), atol=1e-5)
    timed = world.score_all(ratings.users[:50], ratings.times[:50])
    assert np.allclose(timed[np.arange(50), ratings.items[:50]], world.expected[:50], atol=1e-5)
    noise = ratings.values - world.expected
    assert np.std(noise) == pytest.approx(0.3, rel=0.03)
    assert abs(np.mean(noise)) < 0.02
    assert world.floor == pytest.approx(np.sqrt(np.mean(noise**2)))
    assert every.std() == pytest.approx(0.8, rel=1e-4)  # signal_sd, exactly
    assert every.mean() == pytest.approx(3.5, abs=1e-4)
    assert world.user_bias.std() == pytest.approx(0.4, rel=1e-4)  # sqrt(bias_share / 2) * signal_sd
    assert (world.users @ world.items.T).std() == pytest.approx(0.8 * np.sqrt(0.5), rel=1e-4)
    assert world.user_drift.std() == pytest.approx(0.3, rel=1e-4)


def test_the_scale_is_kept(world):
    values = np.unique(world.ratings.values)
    assert set(values.tolist()) <= {k / 2 for k in range(1, 11)}
    assert len(values) > 5
    assert world.ratings.y_range == (0.5, 5.0)
    whole = planted(50, 40, n_ratings=500, y_range=(1, 5), step=1, rng=0).ratings
    assert set(np.unique(whole.values).tolist()) <= {1, 2, 3, 4, 5}


def test_popularity_is_skewed_as_in_real_data():
    ratings = planted(2_000, 1_000, n_ratings=60_000, rng=0).ratings
    top = np.sort(ratings.item_counts)[::-1].cumsum() / len(ratings)
    assert 0.4 < top[99] < 0.75  # the top tenth of the items; 0.64 in ml-1m's thousand most rated ones, about
    active = np.sort(ratings.user_counts)[::-1].cumsum() / len(ratings)
    assert 0.3 < active[199] < 0.6


def test_mnar_people_rate_what_they_like():
    at_random, by_liking = (planted(500, 300, n_ratings=9_000, mnar=m, rng=0) for m in (0.0, 1.5))
    assert abs(at_random.expected.mean() - 3.5) < 0.15
    assert by_liking.expected.mean() - at_random.expected.mean() > 0.25


def test_genres_fix_their_share_of_the_factors():
    world = planted(50, 3_000, n_ratings=5_000, n_factors=5, genre_share=0.7, rng=0)
    table = world.ratings.item_table
    assert table.columns == ["item", "title", "year", "genres"]
    labels = sorted({g for genres in table["genres"] for g in genres.split("|")})
    flags = np.array([[g in genres.split("|") for g in labels] for genres in table["genres"]], float)
    mixed = (flags / flags.sum(1, keepdims=True)) @ world.genre_factors
    assert 1 - (world.items - mixed).var() / world.items.var() == pytest.approx(0.7, abs=0.02)


@given(st.integers(1, 9_000), st.integers(0, 3))
def test_titles_are_distinct(n, seed):
    made, genres, flags = titles.make(n, np.random.default_rng(seed))
    assert len(set(made)) == n == len(genres) == len(flags)
    assert not any(title[0] in "=+-@" for title in made)
    assert 1 <= flags.sum(1).min() <= flags.sum(1).max() <= 3


def test_odd_titles_only_if_asked():
    made = planted(20, 30, n_ratings=90, odd_titles=True, rng=0).ratings.item_titles
    assert {title[0] for title in made[:5]} == set("=+-@")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"n_ratings": 401}, "401 ratings do not fit 400 pairs"),
        ({"noise": -1}, "noise is -1"),
        ({"n_ratings": 0}, "n_ratings is 0"),
        ({"bias_share": 1.5}, "bias_share is 1.5"),
        ({"y_range": (5, 1)}, "y_range is"),
        ({"step": 0}, "step is 0"),
        ({"rng": "x"}, "rng is 'x'"),
    ],
)
def test_planted_refuses(settings, what):
    with pytest.raises(SettingError, match=what):
        planted(20, 20, **{"n_ratings": 50, **settings})


def test_a_million_in_little_memory():  # bench.speed measures 25 M in seconds and GB
    import tracemalloc

    tracemalloc.start()
    planted(16_000, 6_000, n_ratings=1_000_000, n_factors=16, rng=0)
    assert tracemalloc.get_traced_memory()[1] < 0.2e9
    tracemalloc.stop()


# Local data --------------------------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No data here: an empty cache, no DOTBIAS_DATA. -> the cache's folder."""
    monkeypatch.delenv("DOTBIAS_DATA", raising=False)
    monkeypatch.delenv("DOTBIAS_OFFLINE", raising=False)
    monkeypatch.setenv("DOTBIAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("name", "users", "n_titles"),
    [
        ("ml-latest-small-2016", None, 9066),
        ("ml-100k", ["userId", "age", "gender", "occupation", "zip"], 1682),
        ("ml-1m", ["userId", "gender", "age", "occupation", "zip"], 3706),
    ],
)
def test_load(data, name, users, n_titles):
    ratings = datasets.load(name)
    known = datasets.entry(name)
    assert (len(ratings), ratings.n_users, ratings.n_items) == (known.n_ratings, known.n_users, known.n_items)
    assert ratings.scale() == known.y_range
    assert (None if ratings.user_table is None else ratings.user_table.columns) == users
    assert sum(t is not None for t in ratings.item_titles) == n_titles
    table = ratings.item_table
    assert {"title", "year", "genres"} <= set(table.columns)
    assert "Comedy" in table["genres"].drop_nulls().str.split("|").explode().to_list()
    assert not set(table["genres"].drop_nulls()) & {"", "unknown", "(no genres listed)"}
    toy = table.filter(pl.col("title") == "Toy Story (1995)").to_dicts()[0]
    assert toy["year"] == 1995
    assert set(toy["genres"].split("|")) >= {"Animation", "Comedy"}


def test_ml_100ks_details(data):
    ratings = datasets.load("ml-100k")
    users = ratings.user_table.row(ratings.user_ids.row(1), named=True)
    assert users == {"userId": 1, "age": 24, "gender": "M", "occupation": "technician", "zip": "85711"}
    item = ratings.item_table.row(ratings.item_ids.row(1373), named=True)
    assert (item["title"], item["genres"], str(item["date"])) == ("Good Morning (1971)", None, "1971-02-04")
    assert "Misérables, Les (1995)" in ratings.item_titles
    ml_1m = datasets.load("ml-1m")
    row = ml_1m.user_table.row(ml_1m.user_ids.row(4), named=True)
    assert (row["zip"], row["occupation"]) == ("02460", "executive/managerial")


@pytest.mark.parametrize("which", ["u1", "u2", "u3", "u4", "u5"])
def test_predefined_splits(data, which):
    train, valid, test = datasets.split_of("ml-100k", which)
    assert (len(train), valid, len(test)) == (80_000, None, 20_000)
    assert train.n_users == 943
    assert train.item_titles is not None
    assert train.y_range == (1, 5)


def test_no_such_split(data):
    with pytest.raises(DataError, match=r"ml-100k has no split 'u6'.\nHint: known here: u1, u2"):
        datasets.split_of("ml-100k", "u6")
    with pytest.raises(DataError, match="ml-1m has no split 'u1'"):
        datasets.split_of("ml-1m", "u1")
    with pytest.raises(DataError, match=r"there is no file .*ua.base"):
        datasets.split_of("ml-100k", "ua")


def test_resolve(data, tmp_path, nowhere):
    ratings = planted(9, 8, n_ratings=30, rng=0).ratings
    ratings.to_frame().write_csv(tmp_path / "mine.csv")
    ratings.to_frame().write_parquet(tmp_path / "mine.parquet")
    for name in ("mine.csv", "mine.parquet"):
        assert datasets.resolve(str(tmp_path / name)).to_frame().equals(ratings.to_frame())
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(DataError, match="mine holds no ratings"):
        datasets.resolve(folder)
    ratings.to_frame().write_csv(folder / "ratings.csv")
    ratings.item_table.write_csv(folder / "items.csv")
    assert set(datasets.resolve(folder).item_titles) <= set(ratings.item_titles)
    assert datasets.resolve(folder, y_range=(0, 6)).y_range == (0, 6)
    assert len(datasets.resolve(data / "ml-100k")) == 100_000
    with pytest.raises(DataError, match=r"'ml-100' is no data set.*\nHint: did you mean 'ml-100k'"):
        datasets.resolve("ml-100")
    with pytest.raises(DataError, match=r"Hint: did you mean 'mine.csv'"):
        datasets.resolve(tmp_path / "mien.csv")
    with pytest.raises(SettingError, match="user cannot be set for ml-1m"):
        datasets.resolve("ml-1m", user="u")


def test_published_formats(tmp_path, nowhere, monkeypatch):
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "ratings.dat").write_text("1::10::5::978300760\n1::20::3::978300761\n2::10::4::978300762\n")
    (folder / "movies.dat").write_bytes('10::Amélie (2001)::Comedy|Romance\n20::Odd"One (1999)::\n'.encode("latin-1"))
    ratings = datasets.read_folder(folder)
    assert ratings.item_titles == ["Amélie (2001)", 'Odd"One (1999)']
    assert ratings.item_table["genres"].to_list() == ["Comedy|Romance", None]
    assert ratings.times.tolist() == [978300760, 978300761, 978300762]
    with pytest.raises(DataError, match="has 3 ratings of 2 users; ml-1m has 1,000,209 of 6,040"):
        datasets.load("ml-1m", folder=tmp_path)


def test_the_catalogue(nowhere, tmp_path, monkeypatch):
    names = [s.entry.name for s in datasets.catalogue()]
    assert names == [
        *("ml-latest-small", "ml-latest-small-2016", "ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m"),
        *("gowalla", "ncf-ml-1m"),
    ]
    assert all(s.folder is None and str(s).startswith("not here") for s in datasets.catalogue())
    for place in (nowhere / "ml-1m", tmp_path / "own" / "ml-1m"):
        place.mkdir(parents=True)
        (place / "ratings.csv").write_text("x")
        monkeypatch.setenv("DOTBIAS_DATA", str(tmp_path / "own"))
        assert datasets.where("ml-1m") == place  # the local folder goes before the cache
        assert f"here: {place}" in [str(s) for s in datasets.catalogue()]
    with pytest.raises(DataError, match=r"no data set 'ml1m' .*\nHint: did you mean 'ml-1m'"):
        datasets.entry("ml1m")


def test_gowalla(data):
    if not (data / "gowalla").is_dir():
        pytest.skip("no gowalla")
    parts = datasets.split_of("gowalla", "own")
    assert (len(parts.train), len(parts.test)) == (810_128, 217_242)
    assert (parts.train.n_users, parts.train.n_items) == (29_858, 40_981)
    assert parts.train.feedback == "clicks" and parts.train.counts is None
    assert len(datasets.resolve(data / "gowalla")) == 810_128 + 217_242


def test_the_candidates_of_ncf(data):
    if not (data / "ncf-ml-1m").is_dir():
        pytest.skip("no ncf-ml-1m")
    parts, candidates = datasets.split_of("ncf-ml-1m", "own"), datasets.candidates_of("ncf-ml-1m")
    assert (len(parts.train), len(parts.test)) == (994_169, 6_040)
    assert candidates.negatives.shape == (6_040, 99)
    assert np.array_equal(candidates.users, parts.test.users) and np.array_equal(candidates.items, parts.test.items)
    beside = np.repeat(candidates.users, 99).astype(np.int64) * parts.train.n_items + candidates.negatives.ravel()
    assert not np.isin(beside, parts.train.pairs()).any()
    with pytest.raises(DataError, match="gowalla has no candidates"):
        datasets.candidates_of("gowalla")


def test_offline_says_what_to_do(nowhere, monkeypatch, tmp_path):
    with pytest.raises(DownloadError) as e:
        datasets.load("ml-100k", offline=True)
    assert e.value.what == "ml-100k is not on this machine, and downloads are off."
    assert f"put its folder at $DOTBIAS_DATA/ml-100k or {nowhere / 'ml-100k'}; it is at https://" in e.value.hint
    monkeypatch.setenv("DOTBIAS_OFFLINE", "1")
    with pytest.raises(DownloadError, match="downloads are off"):
        datasets.load("ml-100k")
    with pytest.raises(DownloadError, match="ml-latest-small-2016 is not here, and cannot be fetched"):
        datasets.load("ml-latest-small-2016")
    with pytest.raises(DownloadError, match="cannot be fetched"):
        datasets.fetch("ml-latest-small-2016")
    with pytest.raises(DownloadError, match=f"{tmp_path} holds no ml-1m"):
        datasets.find("ml-1m", folder=tmp_path)


# Downloads ---------------------------------------------------------------------------------------------------------


def zipped(members: dict[str, str]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in members.items():
            z.writestr(name, content)
    return raw.getvalue()


RATINGS = "userId,movieId,rating,timestamp\n" + "".join(f"{k},{k % 7},3,{k}\n" for k in range(5_000))
GOOD = zipped({"toy/ratings.csv": RATINGS, "toy/movies.csv": "movieId,title,genres\n1,One (1999),Drama\n"})
MD5 = hashlib.md5(GOOD).hexdigest()


class Server:
    """Paths and what they answer: bytes, a status, or (bytes promised, bytes sent). Keeps what was asked."""

    def __init__(self):
        server = self
        self.answers: dict[str, object] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.ranges = True

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append((self.path, self.headers["Range"]))
                server.answer(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def answer(self, handler):
        answer = self.answers.get(handler.path, 404)
        if isinstance(answer, int):
            handler.send_error(answer)
            return
        whole, sent = answer if isinstance(answer, tuple) else (answer, None)
        wanted = handler.headers["Range"]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(whole):
            handler.send_error(416)
            return
        handler.send_response(206 if wanted and self.ranges else 200)
        handler.send_header("Content-Length", str(len(whole) - start))
        handler.end_headers()
        handler.wfile.write(whole[start:sent])

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(nowhere, monkeypatch):
    """A server, and a catalogue of one set, "toy", that it publishes."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    toy = entries.Entry(
        *("toy", "a toy", 5_000, 5_000, 7, (0.5, 5.0), MD5), f"{server.url}/toy.zip", (f"{server.url}/mirror.zip",)
    )
    monkeypatch.setitem(entries.CATALOGUE, "toy", toy)
    yield server
    server.close()


def without_md5(monkeypatch):
    monkeypatch.setitem(entries.CATALOGUE, "toy", dataclasses.replace(entries.CATALOGUE["toy"], md5=None))


def left_behind(cache) -> list[str]:
    return sorted(p.name for p in cache.iterdir())


def test_fetch_once(server, nowhere):
    server.answers["/toy.zip"] = GOOD
    seen = []
    ratings = datasets.load("toy", progress=lambda done, total: seen.append((done, total)))
    assert len(ratings) == 5_000
    assert ratings.item_titles[ratings.item_ids.row(1)] == "One (1999)"
    assert seen[0][0] == 0
    assert seen[-1] == (len(GOOD), len(GOOD))
    assert left_behind(nowhere) == ["toy"]
    datasets.load("toy")
    assert server.asked == [("/toy.zip", None)]


def test_the_bar(server, capsys):
    server.answers["/toy.zip"] = GOOD
    datasets.fetch("toy", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "toy.zip" in captured.err


def test_a_broken_download_resumes(server, nowhere):
    server.answers["/toy.zip"] = server.answers["/mirror.zip"] = (GOOD, 5_000)
    with pytest.raises(DownloadError) as e:
        datasets.fetch("toy")
    assert f"toy.zip: the connection broke after 5,000 of {len(GOOD):,} bytes" in e.value.what
    assert "mirror.zip" in e.value.what
    assert "it resumes" in e.value.hint
    assert left_behind(nowhere) == ["toy.zip.part"]
    server.answers["/toy.zip"] = GOOD
    assert len(datasets.load("toy")) == 5_000
    assert server.asked[-1] == ("/toy.zip", "bytes=5000-")
    assert left_behind(nowhere) == ["toy"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    "part", [b"of another file" * 9, GOOD, GOOD + b"more", GOOD[:100]], ids=["other", "whole", "more", "begun"]
)
def test_whatever_lies_there_ends_well(server, nowhere, part, ranges):
    server.answers["/toy.zip"], server.ranges = GOOD, ranges
    nowhere.mkdir()
    (nowhere / "toy.zip.part").write_bytes(part)
    assert len(datasets.load("toy")) == 5_000


def test_a_wrong_hash_is_refused(server, nowhere):
    server.answers["/toy.zip"] = server.answers["/mirror.zip"] = GOOD[:-1] + b"x"
    with pytest.raises(DownloadError, match=f"its MD5 is [0-9a-f]{{32}}, not {MD5}; it was thrown away"):
        datasets.fetch("toy")
    assert left_behind(nowhere) == []


def test_server_errors_then_the_mirror(server, nowhere):
    server.answers["/toy.zip"] = 500
    with pytest.raises(DownloadError) as e:
        datasets.fetch("toy")
    assert "toy.zip: the server answers 500 Internal Server Error." in e.value.what
    assert "mirror.zip: the server answers 404 Not Found." in e.value.what
    assert "put its folder at $DOTBIAS_DATA/toy" in e.value.hint
    server.answers["/mirror.zip"] = GOOD
    assert len(datasets.load("toy")) == 5_000


def test_no_server(server, monkeypatch):
    server.close()
    with pytest.raises(DownloadError, match=r"toy.zip: .*refused"):
        datasets.fetch("toy")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (GOOD[:-200], "toy.zip cannot be unpacked"),
        (GOOD[:3000] + b"\0" * 50 + GOOD[3050:], "toy.zip cannot be unpacked"),
        (b"<html>please log in</html>", "toy.zip cannot be unpacked: File is not a zip file"),
        (zipped({"toy/ratings.csv": "x", "../../evil.csv": "x"}), "'../../evil.csv', which leads out of its folder"),
        (zipped({"ratings.csv": "x", "/etc/evil": "x"}), "'/etc/evil', which leads out"),
        (zipped({"ratings.csv": "x", "..\\evil": "x"}), "which leads out"),
        (zipped({"readme.txt": "x"}), "holds no ratings.csv"),
    ],
    ids=["cut", "damaged", "page", "upwards", "absolute", "backslash", "other"],
)
def test_bad_zips_leave_nothing(server, nowhere, monkeypatch, content, what):
    without_md5(monkeypatch)
    server.answers["/toy.zip"] = content
    with pytest.raises(DownloadError) as e:
        datasets.fetch("toy")
    assert what in e.value.what
    assert left_behind(nowhere) == []
    assert not (nowhere.parent / "evil.csv").exists()


def test_a_zip_that_swells_is_refused(server, monkeypatch):
    monkeypatch.setattr(downloads, "LIMIT", 1000)
    server.answers["/toy.zip"] = server.answers["/mirror.zip"] = GOOD
    with pytest.raises(DownloadError, match="unpacks to more than"):
        datasets.fetch("toy")


@pytest.mark.parametrize("line", [f"{MD5}  toy.zip\n", f"MD5 (toy.zip) = {MD5}\n"], ids=["gnu", "bsd"])
def test_the_publishers_md5_counts_where_none_is_known(server, monkeypatch, line):
    without_md5(monkeypatch)
    server.answers.update({"/toy.zip": GOOD, "/toy.zip.md5": line.encode()})
    assert len(datasets.load("toy")) == 5_000


def test_the_publishers_md5_refuses(server, nowhere, monkeypatch):
    without_md5(monkeypatch)
    server.answers.update({"/toy.zip": GOOD, "/toy.zip.md5": b"0" * 32})
    with pytest.raises(DownloadError, match=f"not {'0' * 32}"):
        datasets.fetch("toy")


def test_another_edition_is_refused_by_its_counts(server, monkeypatch):
    without_md5(monkeypatch)
    server.answers["/toy.zip"] = zipped({"ratings.csv": "userId,movieId,rating\n1,2,3\n"})
    with pytest.raises(DataError, match="has 1 ratings of 1 users; toy has 5,000 of 5,000") as e:
        datasets.load("toy")
    assert "another edition" in e.value.hint


def test_ratings_import_no_downloader():
    """Reading a file must not pay for downloads: datasets is a room of its own."""
    import subprocess
    import sys

    code = (
        "import sys, dotbias.ratings, dotbias.split; print([m for m in ('rich', 'ssl', 'torch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# Where the disk says no --------------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_made_is_said(server, nowhere):
    nowhere.write_text("a file where the cache should be")
    server.answers["/toy.zip"] = GOOD
    with pytest.raises(DownloadError, match=r"cache cannot be written: File exists") as e:
        datasets.fetch("toy")
    assert "DOTBIAS_CACHE" in e.value.hint


def test_a_full_disk_while_downloading_is_said(server, nowhere, monkeypatch):
    server.answers["/toy.zip"] = server.answers["/mirror.zip"] = GOOD
    monkeypatch.setattr(downloads, "_md5", lambda path: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DownloadError, match="No space left on device"):
        datasets.fetch("toy")


def test_reading_settings_that_a_file_has_no_use_for(tmp_path):
    planted(9, 8, n_ratings=30, rng=0).ratings.to_frame().write_parquet(tmp_path / "r.parquet")
    with pytest.raises(SettingError, match=r"separator cannot be set for r\.parquet"):
        datasets.resolve(tmp_path / "r.parquet", separator=";")
    assert len(datasets.resolve(tmp_path / "r.parquet", separator=None, header=None)) == 30


def test_side_tables_of_ones_own_replace_the_folders(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating\n1,007,4\n2,8,5\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n007,1984,Drama\n8,Heat (1995),(no genres listed)\n")
    ratings = datasets.read_folder(tmp_path)
    assert ratings.item_titles == ["1984", "Heat (1995)"]
    assert ratings.item_table["year"].to_list() == [None, 1995]
    assert ratings.item_table["genres"].to_list() == ["Drama", None]
    (tmp_path / "own.csv").write_text("movieId,title\n8,Hitze\n")
    assert datasets.read_folder(tmp_path, item_table=tmp_path / "own.csv").item_titles == [None, "Hitze"]
