"""A fit by shards has the bits of one machine, whatever the workers, the shards, and who dies."""

import os
import signal
import sys
from functools import partial

import numpy as np
import polars as pl
import pytest

from dotbias import Ratings, cluster, planted
from dotbias.cluster import alternating
from dotbias.errors import DataError, FileError, MissingExtraError, SettingError
from dotbias.factors import ARRAYS
from dotbias.solvers import _sgd_blocks
from dotbias.solvers.als import als
from dotbias.solvers.implicit_als import implicit_als
from dotbias.solvers.sgd import sgd

SETTINGS = {"n_factors": 6, "n_epochs": 3, "rng": 0}
MEMORY = 120 << 20
SIZES = (700, 100, 700)  # of the parts


def write_parts(folder, frame):
    """Parts of unequal length, and beside the folder the file that they are put one after another."""
    folder.mkdir()
    for k, n in enumerate(SIZES):
        frame.slice(sum(SIZES[:k]), n).write_parquet(folder / f"part-{k}.parquet")
    frame.write_parquet(folder.parent / f"{folder.name}.parquet")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    frame = planted(70, 45, n_ratings=sum(SIZES), rng=2).ratings.to_frame()
    return write_parts(tmp_path_factory.mktemp("stars") / "parts", frame)


@pytest.fixture(scope="module")
def counts(parts):
    """The same pairs as clicks with counts."""
    pairs = pl.read_parquet(parts.parent / "parts.parquet").select("user", "item")
    often = np.random.default_rng(0).integers(1, 9, len(pairs)).astype(float)
    return write_parts(parts.parent / "counts", pairs.with_columns(pl.Series("count", often)))


def whole(parts):
    return Ratings.from_parquet(parts.parent / f"{parts.name}.parquet")


@pytest.fixture(scope="module")
def two():
    """Two workers, joined by this program: tests share them."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=MEMORY, address="local", log_to_driver=False)
    yield partial(cluster.fit, address="joined")
    ray.shutdown()


def same_bits(fitted, train, scorer):
    assert fitted.user_ids == train.user_ids and fitted.item_ids == train.item_ids and fitted.n_ratings == len(train)
    assert fitted.scorer.tables == train.tables and fitted.scorer.objective == scorer.objective
    for name in ARRAYS:
        assert np.array_equal(getattr(fitted.scorer, name), getattr(scorer, name)), name


@pytest.fixture(scope="module")
def alone(parts):
    train = whole(parts)
    return train, als(train, **SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 3, 8])
def test_als_has_the_bits_of_one_machine(two, parts, alone, shards):
    steps = []
    same_bits(two("als", parts, shards=shards, progress=steps.append, **SETTINGS), *alone)
    U, I, W = 70, 45, 8
    given = 4 * (W + 1) * (U + I)  # each side's factors and biases go out once a pass
    assert [s.number for s in steps] == [1, 2, 3]
    assert steps[0].values["bytes"] == 2 * given + 8 * (U + I)  # and come back, with the squared errors


CLICKS = {
    "counts": {},
    "exact": {"cg_steps": 0, "count_power": 1.0, "reg_power": 0.5},
    "once": {"count_power": 0.0, "unseen": 0.1, "reg": 0.2},
}


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("how", CLICKS)
def test_implicit_als_has_the_bits_of_one_machine(two, counts, how, shards):
    train, settings = whole(counts), {**SETTINGS, **CLICKS[how]}
    assert train.counts is not None
    same_bits(two("implicit_als", counts, shards=shards, **settings), train, implicit_als(train, **settings))


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("link", ["identity", "sigmoid"])
def test_sgd_has_the_bits_of_one_machine(two, parts, monkeypatch, link, shards):
    monkeypatch.setattr(_sgd_blocks, "FULL", 60)  # 5 blocks a side, of so few ratings
    train, settings = whole(parts), {**SETTINGS, "link": link, "lr": 0.1}
    assert _sgd_blocks.blocks_a_side(len(train), 70, 45, 16) == 5
    same_bits(two("sgd", parts, shards=shards, **settings), train, sgd(train, **settings))


@pytest.mark.slow
def test_a_worker_killed_in_mid_sweep_changes_nothing(two, parts, alone, tmp_path, monkeypatch):
    mark, half = str(tmp_path / "killed"), alternating.half

    def dies_once(shard, other, once, each):
        if other[0].shape[0] == 70 and other[1].any() and not os.path.exists(mark):  # noqa: PTH110
            open(mark, "w").close()  # noqa: PTH123
            os.kill(os.getpid(), signal.SIGKILL)
        return half(shard, other, once, each)

    monkeypatch.setattr(alternating, "half", dies_once)
    same_bits(two(als, parts, shards=4, **SETTINGS), *alone)
    assert os.path.exists(mark)  # noqa: PTH110


@pytest.mark.slow
@pytest.mark.parametrize("fitter", [als, sgd])
def test_a_fit_goes_on_from_its_checkpoint_with_other_shards(two, parts, fitter, tmp_path):
    path, train = tmp_path / "c", whole(parts)

    def killed(step):
        if step.number == 2:
            raise RuntimeError("the driver dies")

    with pytest.raises(RuntimeError, match="dies"):
        two(fitter, parts, shards=2, checkpoint=path, progress=killed, **SETTINGS)
    steps = []
    fitted = two(fitter, parts, shards=5, checkpoint=path, progress=steps.append, **SETTINGS)
    assert [s.number for s in steps] == [3]
    same_bits(fitted, train, fitter(train, **SETTINGS))


@pytest.mark.slow
def test_bad_parts_are_named(two, tmp_path):
    good = pl.DataFrame({"user": [1, 2], "item": [3, 4], "rating": [1.0, 2.0]})
    bad = {
        "another": (good.rename({"rating": "x"}), "b.parquet"),
        "clicks": (good.drop("rating"), "b.parquet holds no ratings; this fitter takes ratings"),
        "text": (good.with_columns(pl.col("user").cast(pl.String)), "b.parquet: the user ids are String"),
        "twice": (good, "2 ratings are of a pair that came before"),
    }
    for name, (frame, message) in bad.items():
        (tmp_path / name).mkdir()
        good.write_parquet(tmp_path / name / "a.parquet")
        frame.write_parquet(tmp_path / name / "b.parquet")
        with pytest.raises(DataError, match=message):
            two("als", tmp_path / name, **SETTINGS)
    with pytest.raises(DataError, match=r"a\.parquet holds ratings; this fitter takes clicks"):
        two("implicit_als", tmp_path / "twice", **SETTINGS)


def test_what_is_wrong_is_said_before_anything_starts(parts, tmp_path):
    with pytest.raises(SettingError, match="bpr cannot be fitted by shards") as e:
        cluster.fit("bpr", parts)
    assert "als" in e.value.hint
    with pytest.raises(SettingError, match="shards is 0"):
        cluster.fit("als", parts, shards=0)
    with pytest.raises(SettingError, match="no setting 'n_factor'"):
        cluster.fit("als", parts, n_factor=3)
    with pytest.raises(FileError, match="is no folder"):
        cluster.fit("als", tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no \*.parquet"):
        cluster.fit("als", tmp_path)
    with pytest.raises(SettingError, match="address is 'local:0'"):
        cluster.fit("als", parts, address="local:0")


def test_without_ray_the_extra_is_named(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"\[cluster\]"):
        cluster.fit("als", parts)
