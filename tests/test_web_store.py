"""What people rated is kept: the last word counts, and it is read back."""

import sqlite3
import sys
import time

import postgres_world
import pytest

from dotbias import Ratings
from dotbias.datasets import resolve
from dotbias.errors import DataError, FileError, SettingError
from dotbias.web import Store


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/ratings.db"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with postgres_world.running(tmp_path_factory.mktemp("pg")) as server:
        yield server.url


def check(store):
    store.rate("7", [("1", 4.0), ("2", None)], now=10)
    store.rate("7", [("1", 2.5), ("3", 5.0)], now=20)
    store.rate("8", [("1", 1.0)], now=30)
    assert [tuple(s) for s in store.history("7")] == [("2", None, 10), ("1", 2.5, 20), ("3", 5.0, 20)]
    store.rate("7", [("2", 3.0), ("3", None)], now=40)  # what was not seen is now rated, and the reverse
    assert {s.item_id: s.rating for s in store.history("7")} == {"1": 2.5, "2": 3.0, "3": None}
    assert store.count() == 3
    assert store.setting("key", "a") == store.setting("key", "b") == "a"
    assert store.forget("7", "3") == 1 and store.forget("7", "3") == 0


def check_read_back(url):
    ratings = Ratings.from_sql(url)
    assert sorted(zip(ratings.users, ratings.items, strict=True)) and ratings.times is not None
    frame = ratings.to_frame().sort("user", "item")
    assert frame["user"].to_list() == [7, 7, 8] and frame["item"].to_list() == [1, 2, 1]
    assert frame["rating"].to_list() == [2.5, 3.0, 1.0] and ratings.times.max() == 40


def test_the_last_word_counts_and_is_read_back(url):
    store = Store(url)
    check(store)
    check_read_back(url)
    assert store.forget("7") == 2 and store.history("7") == []
    store.close()


def test_the_same_in_postgresql(postgres):
    store = Store(postgres)
    check(store)
    check_read_back(postgres)
    store.close()


def test_sqlite_waits_for_the_disk(url):
    store = Store(url)
    with store.engine.connect() as connection:
        asked = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    assert asked == [2, "wal"]
    store.close()


def test_a_store_elsewhere_is_refused(tmp_path):
    with pytest.raises(SettingError, match="no URL"):
        Store("ratings.db")
    with pytest.raises(FileError, match="cannot be used"):
        Store(f"sqlite:///{tmp_path}/absent/ratings.db")


# Any table of a database ---------------------------------------------------------------------------------------


@pytest.fixture
def plays(tmp_path):
    with sqlite3.connect(tmp_path / "some.db") as db:
        db.execute('CREATE TABLE "my plays" (listener TEXT, track TEXT, "user score" NUMERIC, at TEXT, junk BLOB)')
        db.executemany(
            'INSERT INTO "my plays" VALUES (?, ?, ?, ?, ?)',
            [("a", "x", 3, "2020-01-01", b"1"), ("b", "y", 4.5, "2020-01-02", None)],
        )
    db.close()
    return f"sqlite:///{tmp_path}/some.db"


def test_any_table_with_named_columns(plays):
    named = {"user": "listener", "item": "track", "rating": "user score", "time": "at"}
    ratings = Ratings.from_sql(plays, **named)
    assert list(ratings.user_ids) == ["a", "b"] and ratings.explicit().tolist() == [3, 4.5]
    assert ratings.times.tolist() == [1577836800, 1577923200]
    assert len(Ratings.from_sql(plays, table="my plays", **named)) == 2


def test_what_is_wrong_with_a_database_is_said(plays, tmp_path):
    with pytest.raises(DataError, match="no column looks like the user"):
        Ratings.from_sql(plays)
    with pytest.raises(DataError, match="has no table 'playz'") as e:
        Ratings.from_sql(plays, table="playz")
    assert "my plays" in str(e.value)
    with pytest.raises(FileError, match="there is no file"):
        Ratings.from_sql(f"sqlite:///{tmp_path}/absent.db")
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "text.db").write_text("user,item,rating\n" * 50)
    with pytest.raises(FileError, match="cannot be read"):
        Ratings.from_sql(f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(SettingError, match="no URL"):
        Ratings.from_sql("nonsense://x")
    with pytest.raises(SettingError, match="no table"):
        resolve(tmp_path / "text.db", table="ratings")


def test_a_password_is_never_shown(monkeypatch):
    pytest.importorskip("psycopg")
    with pytest.raises(FileError) as e:
        Ratings.from_sql("postgresql://me:secret@127.0.0.1:1/db?connect_timeout=2")
    assert "secret" not in str(e.value)


def test_fit_reads_a_store(url, tmp_path, monkeypatch, capsys):
    from dotbias.cli import main

    store = Store(url)
    for user in range(30):
        store.rate(str(user), [(str(item), 1.0 + (user * item) % 5) for item in range(user % 7, 20)])
    store.close()
    monkeypatch.setattr(sys, "argv", ["dotbias", "fit", url, "--fitter", "bias", "-o", str(tmp_path / "model")])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert (tmp_path / "model" / "manifest.json").exists()
    assert "30 users and 20 items" in capsys.readouterr().err


# A model that changes while it is served ------------------------------------------------------------------------


def test_what_is_saved_into_the_folder_is_served_without_a_dropped_request(tmp_path):
    import threading

    import web_world

    from dotbias.web import refits

    folder = web_world.model().save(tmp_path / "model")
    web = web_world.client(tmp_path)
    done, statuses = refits.watch(web.app.state.service, folder, look=0.02), []
    stop = threading.Event()

    def ask():
        other = web_world.Client(web.app)
        while not stop.is_set():
            statuses.append(other.post("/api/recommend", {"me": True}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    for number in (2, 3):
        web_world.model().save(folder)
        for _ in range(500):
            if web.get("/api/health").json()["model"] >= number:
                break
            time.sleep(0.02)
        assert web.get("/api/health").json()["model"] == number
    stop.set()
    asking.join()
    done.set()
    assert len(statuses) > 3 and set(statuses) == {200}


def test_a_model_that_cannot_be_read_leaves_the_old_one(tmp_path, caplog):
    import web_world

    from dotbias.web import refits

    web = web_world.client(tmp_path)
    assert not refits.reload(web.app.state.service, tmp_path / "absent")
    assert web.get("/api/health").json()["model"] == 1 and "not served" in caplog.text


@pytest.mark.slow
def test_a_refit_takes_up_what_was_stored(tmp_path):
    from dotbias import planted
    from dotbias.baselines import bias
    from dotbias.recommender import Recommender
    from dotbias.web import refits

    train = planted(60, 40, n_ratings=900, n_factors=2, noise=0.4, rng=2).ratings
    settings = {"fitter": "bias", "seed": 0}
    folder = Recommender(bias(train), train, settings=settings).save(tmp_path / "model")
    store = Store(f"sqlite:///{tmp_path}/ratings.db")
    for user in range(9000, 9040):
        store.rate(str(user), [(str(train.item_ids[k]), 0.5 + (user + k) % 9 / 2) for k in range(12)])
    assert refits.refit(store, folder)
    assert len(Recommender.load(folder).train) in (len(train), len(train) + store.count())
    store.close()
