"""Lists and errors by ranges of users are those of one machine; what they need of all ratings is exact."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_ray import joined

from dotbias import Ratings, Recommender, cluster, evaluate, planted, split
from dotbias.cluster import listing, measuring, opened
from dotbias.errors import DataError, FileError, SettingError
from dotbias.orders import like_of
from dotbias.solvers.als import als

MEMORY = 120 << 20


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """(the door, its folder, train's parts, test's parts)."""
    parts = split.random(planted(90, 60, n_ratings=2500, rng=4).ratings, test=0.2, rng=0)
    folder = tmp_path_factory.mktemp("use")
    frame = parts.train.to_frame()
    (folder / "train").mkdir()
    for k in range(3):
        frame.slice(700 * k, 700 if k < 2 else None).write_parquet(folder / "train" / f"part-{k}.parquet")
    held = parts.test.to_frame()
    new = held.head(5).with_columns(user=pl.lit(10_000, pl.Int64))
    (folder / "held").mkdir()
    held.head(200).write_parquet(folder / "held" / "a.parquet")
    pl.concat([held.slice(200), new]).write_parquet(folder / "held" / "b.parquet")
    train = Ratings.from_frame(frame)
    door = Recommender(als(train, n_factors=5, n_epochs=3, rng=0), train)
    door.save(folder / "model")
    return door, folder


def evaluate_held(door, folder):
    """By one machine."""
    frame = pl.concat([pl.read_parquet(folder / "held" / f"{name}.parquet") for name in "ab"])
    return evaluate(door.scorer, Ratings.from_frame(frame, like=door.train))


def written(lists):
    return pl.concat([pl.read_parquet(path) for path in sorted(lists.folder.glob("*.parquet"))])


@pytest.fixture
def inline(monkeypatch):
    """Tasks run here, one after another."""
    for module in (listing, measuring):
        monkeypatch.setattr(module, "joined", joined)


def test_lists_are_those_of_one_machine(model, tmp_path, inline):
    door, folder = model
    for k, asked in enumerate(({}, {"like": 3.0, "exclude": [3]}, {"order": "rating", "keep_seen": True})):
        for parts in (None, folder / "train"):
            given = {"parts": parts, "n": 7, "shards": 3, "memory": MEMORY, **asked}
            lists = cluster.recommend_all(folder / "model", tmp_path / f"{k}-{parts is None}", **given)
            alone = door.recommend_all(7, **asked)
            assert written(lists).equals(alone) and lists.rows == len(alone) and lists.users == 90


def test_a_fit_without_ratings_lists_from_the_parts(model, tmp_path, inline):
    door, folder = model
    fitted = cluster.ClusterFit(door.scorer, door.train.user_ids, door.train.item_ids, len(door.train))
    given = {"n": 4, "shards": 1, "memory": MEMORY}
    lists = cluster.recommend_all(fitted, tmp_path / "a", parts=folder / "train", **given)
    assert written(lists).drop("score").equals(door.recommend_all(4).select("user", "place", "item"))
    with pytest.raises(DataError, match="holds no ratings"):
        cluster.recommend_all(fitted, tmp_path / "b", **given)
    with pytest.raises(DataError, match=r"b.parquet: the user 10000 is not one of the model's"):
        cluster.recommend_all(fitted, tmp_path / "c", parts=folder / "held", **given)


@pytest.mark.parametrize("shards", [1, 4])
def test_errors_are_those_of_one_machine(model, shards, inline):
    door, folder = model
    alone = evaluate_held(door, folder)
    report = cluster.evaluate(folder / "model", folder / "held", shards=shards, memory=MEMORY)
    assert report.to_dict() == alone.to_dict()


@pytest.mark.slow
def test_over_ray(model, tmp_path):
    pytest.importorskip("ray")
    door, folder = model
    given = {"shards": 3, "memory": MEMORY}
    lists = cluster.recommend_all(folder / "model", tmp_path / "lists", parts=folder / "train", n=7, **given)
    assert written(lists).equals(door.recommend_all(7))
    alone = evaluate_held(door, folder)
    assert cluster.evaluate(folder / "model", folder / "held", **given).to_dict() == alone.to_dict()


def test_what_is_wrong_is_said_before_anything_starts(model, tmp_path):
    _, folder = model
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(FileError, match="not empty"):
        cluster.recommend_all(folder / "model", tmp_path / "full")
    with pytest.raises(SettingError, match="n is 0"):
        cluster.recommend_all(folder / "model", tmp_path / "new", n=0)
    with pytest.raises(TypeError, match="oder"):
        cluster.recommend_all(folder / "model", tmp_path / "new", oder="rating")
    with pytest.raises(SettingError, match="measures lists"):
        cluster.evaluate(folder / "model", folder / "held", metrics=["ndcg@10"])
    with pytest.raises(SettingError, match="model is a int"):
        cluster.evaluate(3, folder / "held")  # pyright: ignore[reportArgumentType]


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(floats, min_size=1, max_size=40))
def test_order_statistics_of_pieces_are_exact(numbers):
    values = np.array(numbers, np.float32) + np.float32(0)
    nothing = np.zeros(len(values), np.int32)
    pieces = [opened.RatedRows(nothing[k::3], nothing[k::3], values[k::3]) for k in range(3)]
    stats = listing.OrderStatistics(lambda top: listing.counted(top, *pieces), values.min(), values.max())
    ordered = np.sort(values)
    assert [stats.at(k) for k in range(len(values))] == ordered.tolist()
    for value in ordered:
        lower = ordered[ordered < value]
        assert stats.below(float(value)) == (float(lower.max()) if len(lower) else None)


def test_the_threshold_is_the_one_of_orders():
    train = planted(40, 30, n_ratings=400, rng=1).ratings
    piece = opened.RatedRows(train.users, train.items, train.values)
    stats = listing.OrderStatistics(lambda top: listing.counted(top, piece), 0.5, 5.0)
    assert stats.at(len(train) - int(np.ceil(0.4 * len(train)))) == like_of(train)


def test_the_commands(model, tmp_path, inline, call):
    door, folder = model
    code, out, _ = call("recommend", folder / "model", "--all", "--cluster", "local:2", "-n", "4", "-o", tmp_path / "x")
    assert code == 0 and "rows for 90 users" in out
    assert pl.concat(map(pl.read_parquet, sorted((tmp_path / "x").glob("*")))).equals(door.recommend_all(4))
    more = ("--parts", folder / "train", "--shards", "2", "--json", "-o", tmp_path / "y")
    code, out, _ = call("recommend", folder / "model", "--all", "--cluster", "local:2", *more)
    assert code == 0 and json.loads(out)["users"] == 90 and len(list((tmp_path / "y").iterdir())) == 2
    code, out, _ = call("evaluate", folder / "model", "--test", folder / "held", "--cluster", "local:2", "--json")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(evaluate_held(door, folder).to_dict()))
    code, out, _ = call("evaluate", folder / "model", "--test", folder / "held", "--cluster", "local:2")
    assert code == 0 and "rmse" in out.lower()
    for wrong, said in (
        (("recommend", folder / "model", "15", "--cluster", "local:2"), "--cluster goes with --all"),
        (("recommend", folder / "model", "15", "--parts", "x"), "--parts goes with --cluster"),
        (("recommend", folder / "model", "--all", "--cluster", "local:2"), "--all and -o go together"),
    ):
        code, _, err = call(*wrong)
        assert code == 2 and said in err
