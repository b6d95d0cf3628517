"""A fit by shards has the bits of one machine, whatever the workers, the shards, and who dies."""

import os
import signal
import sys

import numpy as np
import polars as pl
import pytest

from dotbias import Ratings, cluster, planted
from dotbias.cluster import alternating
from dotbias.errors import DataError, FileError, MissingExtraError, SettingError
from dotbias.factors import ARRAYS
from dotbias.solvers.als import als

SETTINGS = {"n_factors": 6, "n_epochs": 3, "rng": 0}
MEMORY = 120 << 20


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Three parts of unequal length, and the file that they are put one after another."""
    folder = tmp_path_factory.mktemp("parts")
    frame = planted(70, 45, n_ratings=1500, rng=2).ratings.to_frame()
    for k, (first, n) in enumerate(((0, 700), (700, 100), (800, 700))):
        frame.slice(first, n).write_parquet(folder / f"part-{k}.parquet")
    frame.write_parquet(folder.parent / "whole.parquet")
    return folder


@pytest.fixture(scope="module")
def alone(parts):
    train = Ratings.from_parquet(parts.parent / "whole.parquet")
    return train, als(train, **SETTINGS)


def same_bits(fitted, alone):
    train, scorer = alone
    assert fitted.user_ids == train.user_ids and fitted.item_ids == train.item_ids and fitted.n_ratings == len(train)
    assert fitted.scorer.tables == train.tables and fitted.scorer.objective == scorer.objective
    for name in ARRAYS:
        assert np.array_equal(getattr(fitted.scorer, name), getattr(scorer, name)), name


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "shards"), [(1, 1), (2, 3), (2, 8)])
def test_the_bits_are_those_of_one_machine(parts, alone, workers, shards):
    pytest.importorskip("ray")
    steps = []
    fitted = cluster.fit(
        "als", parts, address=f"local:{workers}", shards=shards, memory=MEMORY, progress=steps.append, **SETTINGS
    )
    same_bits(fitted, alone)
    U, I, W = 70, 45, 8
    given = 4 * (W + 1) * (U + I)  # each side's factors and biases go out once a pass
    assert [s.number for s in steps] == [1, 2, 3]
    assert steps[0].values["bytes"] == 2 * given + 8 * (U + I)  # and come back, with the squared errors


@pytest.mark.slow
def test_a_worker_killed_in_mid_sweep_changes_nothing(parts, alone, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    mark, half = str(tmp_path / "killed"), alternating.half

    def dies_once(shard, other, once, each):
        if other[0].shape[0] == 70 and other[1].any() and not os.path.exists(mark):  # noqa: PTH110
            open(mark, "w").close()  # noqa: PTH123
            os.kill(os.getpid(), signal.SIGKILL)
        return half(shard, other, once, each)

    monkeypatch.setattr(alternating, "half", dies_once)
    same_bits(cluster.fit(als, parts, shards=4, memory=MEMORY, **SETTINGS), alone)
    assert os.path.exists(mark)  # noqa: PTH110


@pytest.mark.slow
def test_a_fit_goes_on_from_its_checkpoint_with_other_shards(parts, alone, tmp_path):
    pytest.importorskip("ray")
    path = tmp_path / "c"
    cluster.fit("als", parts, shards=2, memory=MEMORY, checkpoint=path, **{**SETTINGS, "n_epochs": 2})
    same_bits(cluster.fit("als", parts, shards=5, memory=MEMORY, checkpoint=path, **SETTINGS), alone)


@pytest.mark.slow
def test_bad_parts_are_named(tmp_path):
    pytest.importorskip("ray")
    good = pl.DataFrame({"user": [1, 2], "item": [3, 4], "rating": [1.0, 2.0]})
    bad = {
        "another": (good.rename({"rating": "x"}), "b.parquet"),
        "text": (good.with_columns(pl.col("user").cast(pl.String)), "b.parquet: the user ids are String"),
        "twice": (good, "2 ratings are of a pair that came before"),
    }
    for name, (frame, message) in bad.items():
        (tmp_path / name).mkdir()
        good.write_parquet(tmp_path / name / "a.parquet")
        frame.write_parquet(tmp_path / name / "b.parquet")
        with pytest.raises(DataError, match=message):
            cluster.fit("als", tmp_path / name, memory=MEMORY, **SETTINGS)


def test_what_is_wrong_is_said_before_anything_starts(parts, tmp_path):
    with pytest.raises(SettingError, match="gibbs cannot be fitted by shards"):
        cluster.fit("gibbs", parts)
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


def test_no_cluster_at_the_address(parts):
    pytest.importorskip("ray")
    with pytest.raises(SettingError, match=r"there is no cluster at 127.0.0.1:9"):
        cluster.fit("als", parts, address="127.0.0.1:9")


def test_without_ray_the_extra_is_named(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"\[cluster\]"):
        cluster.fit("als", parts)
