"""A fit by shards has the bits of one machine, whatever the workers, the shards, and who dies."""

import os
import shutil
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dotbias
from dotbias import Ratings, cluster, planted
from dotbias.cluster import alternating, joining, sampling, shards
from dotbias.cluster.job import Job
from dotbias.cluster.shards import Shards
from dotbias.errors import ClusterError, DataError, FileError, MissingExtraError, SettingError
from dotbias.factors import ARRAYS
from dotbias.fitters import find
from dotbias.solvers import _sgd_blocks
from dotbias.solvers.als import als
from dotbias.solvers.gibbs import fit, gibbs, run
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
    frame = planted(70, 45, n_ratings=sum(SIZES), rng=2).ratings.to_frame().sample(fraction=1, shuffle=True, seed=0)
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


def workers():
    """The process ids of this program's Ray workers."""
    stats = [path.read_text().rsplit(")", 1) for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    named = {int(head.split()[0]): (head.split("(", 1)[1], int(tail.split()[1])) for head, tail in stats}
    raylets = {pid for pid, (_, parent) in named.items() if parent == os.getpid()}
    agents = "ray::Dashboard", "ray::Runtime"  # of the machine; it ends with them
    works = [pid for pid, (name, _) in named.items() if name.startswith("ray::") and not name.startswith(agents)]
    return [pid for pid in works if named[pid][1] in raylets]


@pytest.mark.slow
def test_workers_killed_at_random_moments_change_nothing(two, parts):
    """Of sgd, too, whose rows go from task to task within a pass."""
    train, settings, rng = whole(parts), {**SETTINGS, "n_epochs": 20}, np.random.default_rng(1)
    over, killed = threading.Event(), []

    def kill():
        while not over.wait(rng.uniform(0.4, 1.2)) and len(killed) < 8:
            for pid in rng.permutation(workers())[:1].tolist():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        found = [(two(fitter, parts, shards=3, **settings), fitter) for fitter in (als, sgd)]
    finally:
        over.set()
        thread.join()
    assert killed
    for fitted, fitter in found:
        same_bits(fitted, train, fitter(train, **settings))


@pytest.mark.slow
@pytest.mark.parametrize(("shards", "noise"), [(1, 0.5), (3, "sampled"), (3, "auto")])
def test_gibbs_has_the_bits_of_one_machine(two, parts, monkeypatch, shards, noise):
    for module, name, n in (
        (run, "POINT", 8),
        (fit, "POINT", 8),
        (run, "SETTLE", 10),
        (run, "WARM", 2),
        (run, "COLD", 3),
    ):
        monkeypatch.setattr(module, name, n)
    train, settings = whole(parts), {"n_factors": 9, "n_sweeps": 3, "keep": 2, "noise": noise, "rng": 0}
    alone, fitted = gibbs(train, **settings), two("gibbs", parts, shards=shards, **settings)
    assert fitted.scorer.tables == alone.tables and fitted.scorer.notes == alone.notes
    assert np.array_equal(fitted.scorer.trace.values, alone.trace.values)
    assert fitted.scorer.noise == alone.noise
    here, there = (scorer.state().arrays for scorer in (alone, fitted.scorer))
    assert [name for name in here if not np.array_equal(here[name], there[name])] == []


@pytest.mark.slow
def test_gibbs_goes_on_from_its_checkpoint(two, parts, tmp_path):
    settings = {"n_factors": 3, "n_sweeps": 2, "noise": 0.5, "rng": 0}

    def killed(step):
        if step.number == 61:
            raise RuntimeError("the driver dies")

    with pytest.raises(RuntimeError, match="dies"):
        two("gibbs", parts, shards=2, checkpoint=tmp_path / "c", checkpoint_every=20, progress=killed, **settings)
    steps = []
    fitted = two("gibbs", parts, shards=1, checkpoint=tmp_path / "c", progress=steps.append, **settings)
    assert steps[0].number == 61 and steps[0].values["bytes"] > 0
    assert np.array_equal(fitted.scorer.users, gibbs(whole(parts), **settings).users)


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


@pytest.mark.slow
def test_a_part_that_goes_or_changes_is_named(two, parts, tmp_path, monkeypatch):
    for name, spoil in {
        "gone": Path.unlink,
        "changed": lambda path: shutil.copy(path.parent / "part-0.parquet", path),
    }.items():
        folder, deal = shutil.copytree(parts, tmp_path / name), Shards.sides

        def spoiled(self, *given, folder=folder, spoil=spoil, deal=deal):
            spoil(folder / "part-1.parquet")
            return deal(self, *given)

        monkeypatch.setattr(Shards, "sides", spoiled)
        error = FileError if name == "gone" else DataError
        with pytest.raises(error, match=r"part-1\.parquet (is not there|has changed since the fit began)"):
            two("als", folder, **SETTINGS)
        monkeypatch.undo()


@pytest.mark.slow
def test_what_the_cluster_cannot_do_is_said(two, parts, monkeypatch):
    import ray

    def dies(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(alternating, "half", dies)
        patch.setattr(shards, "RETRIES", 0)
        with pytest.raises(ClusterError, match="worker dying each time"):
            two("als", parts, **SETTINGS)

    def full(_):
        raise ray.exceptions.ObjectStoreFullError("full")

    with monkeypatch.context() as patch:
        patch.setattr(ray, "put", full)
        with pytest.raises(ClusterError, match="object store is full"):
            two("als", parts, **SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(dotbias, "__version__", "0.0.7")
        with pytest.raises(ClusterError, match=r"the worker [0-9.]+ has dotbias 0\.1\.0; this program has 0\.0\.7"):
            two("als", parts, **SETTINGS)
    with pytest.raises(ClusterError, match="has no dotbias"):
        joining.check_version("192.0.2.1", None)


@pytest.mark.parametrize(
    "settings",
    [{"histories": True}, {"sessions": True}, {"ordinal": True}, {"item_features": ("genres",)}, {"chains": 2}],
)
def test_what_gibbs_by_shards_lacks_is_refused(settings):
    def begin():
        raise AssertionError("nothing is read")

    job = Job(begin, 0, print, None, 1)
    with pytest.raises(SettingError, match=f"{next(iter(settings))} is .*a fit by shards"):
        sampling.fit_gibbs(job, **{**find("gibbs").defaults(), **settings})


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
