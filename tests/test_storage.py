import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import battery
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load as from_safetensors

from dotbias import factors, storage
from dotbias.baselines import bias, knn, mean
from dotbias.errors import MissingExtraError, ModelFileError, SettingError
from dotbias.factors import Factors
from dotbias.objective import Objective
from dotbias.ratings import Ids
from dotbias.scorer import Ranks, Scorer, State, Stored
from dotbias.storage import manifest, model

TRAIN, TEST = battery.parts()
OLD, NEW = mean(TRAIN), bias(TRAIN)


def scores(scorer):
    return scorer.score(TEST.users, TEST.items).tobytes()


def reseal(folder, change):
    """Change a manifest as somebody who knows the format would."""
    path = folder / "manifest.json"
    content = json.loads(path.read_bytes())
    change(content)
    del content["seal"]
    path.write_bytes(manifest.to_json(content))


@pytest.fixture
def folder(tmp_path):
    return storage.save(tmp_path / "model", OLD, TRAIN)


# Whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [mean, bias, knn])
def test_there_and_back_to_the_bit(tmp_path, fit):
    scorer, log = fit(TRAIN), [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 1.25, "lr": 0.1}]
    settings = {"reg": np.float32(0.5), "sizes": np.array([1, 2]), "path": Path("x"), "wd": None, "name": "é"}
    folder = storage.save(tmp_path / "m", scorer, TRAIN, settings=settings, metrics={"rmse": np.float64(0.9)}, log=log)
    assert storage.is_model(folder) and not storage.is_model(tmp_path)
    stored = storage.load(folder)
    assert scores(stored.scorer) == scores(scorer) and type(stored.scorer) is type(scorer)
    assert stored.settings == {"reg": 0.5, "sizes": [1, 2], "path": "x", "wd": None, "name": "é"}
    assert stored.metrics == {"rmse": 0.9} and stored.log == log
    assert stored.ratings.fingerprint() == TRAIN.fingerprint() == stored.manifest["data"]["fingerprint"]
    assert stored.ratings.item_titles == TRAIN.item_titles and stored.ratings.y_range == TRAIN.y_range
    assert stored.manifest["created"].endswith("+00:00") and stored.manifest["kind"] == scorer.state().kind


def test_ratings_of_every_kind(tmp_path):
    kinds = (
        replace(TRAIN, times=None, y_range=None, item_table=None),
        replace(TRAIN, values=None),
        replace(TRAIN, values=None, counts=np.arange(len(TRAIN)) / 2),
        replace(TEST, notes=("a", "b")),
        TRAIN.with_user_table(pl.DataFrame({"user": [11, 12], "tags": [["a", "b"], None], "age": [3, None]})),
        replace(TRAIN.take(np.arange(0))),
    )
    for k, ratings in enumerate(kinds):
        back = storage.load(storage.save(tmp_path / str(k), OLD, ratings)).ratings
        assert back.fingerprint() == ratings.fingerprint()
        assert back.y_range == ratings.y_range and back.notes == ratings.notes
        for column in ("users", "items", "values", "times", "counts", "cold"):
            a, b = getattr(ratings, column), getattr(back, column)
            assert (a is None) == (b is None)
            assert a is None or (a.dtype == b.dtype and np.array_equal(a, b))
        for table in ("user_table", "item_table"):
            a, b = getattr(ratings, table), getattr(back, table)
            assert (a is None) == (b is None) and (a is None or a.equals(b))


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip), unique=True, min_size=1, max_size=8)
)
def test_ids_of_any_text(ids):
    table = model._to_parquet(Ids(ids).values.alias("id").to_frame(), "ids")
    assert list(Ids(pl.read_parquet(table)["id"])) == ids


def test_saving_over_a_model_replaces_it_and_clears_up(folder):
    (folder / "README.md").write_text("mine")
    (folder / "blobs" / "mine.tmp").write_text("mine, too")
    (folder / ".manifest.json.mine.tmp").write_text("mine, too")
    (folder / "blobs" / f".{'0' * 64}.parquet.{'a' * 32}.tmp").write_bytes(b"left by a killed saving")
    storage.save(folder, NEW, TRAIN)
    assert scores(storage.load(folder).scorer) == scores(NEW)
    named = {Path(b["file"]).name for b in storage.load(folder).manifest["blobs"].values()}
    assert {p.name for p in (folder / "blobs").iterdir()} == named | {".lock", "mine.tmp"}
    left = {p.name for p in folder.iterdir()}
    assert left == {"README.md", ".manifest.json.mine.tmp", "blobs", "manifest.json"}


def test_a_damaged_model_is_mended_by_saving_again(folder):
    for path in (folder / "blobs").glob("*.parquet"):
        path.write_bytes(b"")
    storage.save(folder, OLD, TRAIN)
    assert scores(storage.load(folder).scorer) == scores(OLD)


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ModelFileError, match=r"holds other files and no model: thesis\.tex"):
        storage.save(tmp_path, OLD, TRAIN)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(ModelFileError, match="no model"):
        storage.save(tmp_path / "app", OLD, TRAIN)
    (tmp_path / "registry" / "blobs").mkdir(parents=True)
    (tmp_path / "registry" / "index").write_text("")
    with pytest.raises(ModelFileError, match="no model"):
        storage.save(tmp_path / "registry", OLD, TRAIN)
    with pytest.raises(ModelFileError, match="is a file"):
        storage.save(tmp_path / "thesis.tex", OLD, TRAIN)
    with pytest.raises(ModelFileError, match="no model can lie in it"):
        storage.save(tmp_path / "thesis.tex" / "model", OLD, TRAIN)


def test_what_cannot_be_stored_says_so(tmp_path):
    class Other:
        offers, tables = (Scorer, Ranks), None

        def score(self, users, items, times=None): ...

        def score_all(self, users, times=None): ...

    with pytest.raises(SettingError, match="a Other does not support being stored"):
        storage.save(tmp_path / "m", Other(), TRAIN)
    Other.offers = (Scorer, Stored)
    Other.state = lambda self: State("factor", {}, {})
    with pytest.raises(SettingError, match="did you mean 'factors'"):
        storage.save(tmp_path / "m", Other(), TRAIN)
    for bad in ({"f": print}, {"lr": float("nan")}):
        with pytest.raises(SettingError, match="cannot be stored"):
            storage.save(tmp_path / "m", OLD, TRAIN, settings=bad)
    odd = replace(TRAIN, item_table=pl.DataFrame({"x": pl.Series([object()] * TRAIN.n_items, dtype=pl.Object)}))
    with pytest.raises(SettingError, match="item_table cannot be stored"):
        storage.save(tmp_path / "m", OLD, odd)
    assert not (tmp_path / "m").exists()


# Damaged -------------------------------------------------------------------------------------------------------


def test_a_manifest_cut_at_any_byte_is_refused(folder):
    path = folder / "manifest.json"
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(ModelFileError) as e:
            storage.load(folder)
        assert e.value.hint


def test_a_manifest_with_any_byte_changed_is_refused(folder):
    path = folder / "manifest.json"
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :])
        with pytest.raises(ModelFileError):
            storage.load(folder)


def test_every_blob_altered_cut_or_missing_is_refused(folder):
    rng = np.random.default_rng(0)
    for path in [p for p in (folder / "blobs").iterdir() if p.name != ".lock"]:
        whole = path.read_bytes()
        for n in rng.integers(len(whole), size=10):
            path.write_bytes(whole[:n] + bytes([whole[n] ^ 0x80]) + whole[n + 1 :])
            with pytest.raises(ModelFileError, match="was altered"):
                storage.load(folder)
        for bad in (whole[:-1], whole + b"\0", b""):
            path.write_bytes(bad)
            with pytest.raises(ModelFileError, match="bytes, not the"):
                storage.load(folder)
        path.unlink()
        with pytest.raises(ModelFileError, match="is missing"):
            storage.load(folder)
        path.mkdir()
        with pytest.raises(ModelFileError, match="no plain file"):
            storage.load(folder)
        path.rmdir()
        path.symlink_to("/etc/passwd")
        with pytest.raises(ModelFileError, match="no plain file"):
            storage.load(folder)
        path.unlink()
        path.write_bytes(whole)
    assert scores(storage.load(folder).scorer) == scores(OLD)


HASH = "0" * 64
HOSTILE = (
    "../../etc/passwd",
    "/etc/passwd",
    f"blobs/../../{HASH}.parquet",
    f"blobs/{HASH}.pkl",
    f"blobs\\{HASH}.parquet",
    7,
    None,
)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("role", ["weights", "user_ids"])
def test_hostile_paths_are_refused(folder, role, name):
    reseal(folder, lambda m: m["blobs"][role].update(file=name))
    with pytest.raises(ModelFileError, match="no blob of this folder"):
        storage.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["blobs"]["weights"].update(sha256="../../x"),
        lambda m: m["blobs"]["weights"].update(size="9"),
        lambda m: m["blobs"].update(user_ids="x"),
        lambda m: m["blobs"].pop("interactions"),
        lambda m: m["blobs"].update(extra=m["blobs"]["weights"]),
        lambda m: m.update(kind="os:system"),
        lambda m: m.update(kind=["factors"]),
        lambda m: m.pop("scorer"),
        lambda m: m.update(data=[]),
    ],
)
def test_manifests_that_save_never_writes_are_refused(folder, change):
    reseal(folder, change)
    with pytest.raises(ModelFileError, match="do not trust"):
        storage.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["scorer"].pop("mean"),
        lambda m: m["scorer"].update(link="tanh"),
        lambda m: m["data"].pop("y_range"),
        lambda m: m["blobs"].update(weights=m["blobs"]["weights"], user_ids=m["blobs"]["interactions"]),
        lambda m: m["blobs"].update(user_ids=m["blobs"]["item_ids"]),
    ],
)
def test_what_is_whole_but_makes_no_sense_is_refused(folder, change):
    reseal(folder, change)
    with pytest.raises(ModelFileError, match="cannot be understood"):
        storage.load(folder)


def test_a_newer_format_says_upgrade(folder):
    reseal(folder, lambda m: m.update(format=3, dotbias="9.0"))
    with pytest.raises(ModelFileError, match=r"format 3, written by dotbias 9\.0(.|\n)*pip install --upgrade"):
        storage.load(folder)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"null", b'{"format": true, "dotbias": ""}', b"\xff\xfe", b"[" * 100_000]
)
def test_other_files_are_no_manifest(folder, text):
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(ModelFileError):
        storage.load(folder)


def test_no_model_there(folder):
    with pytest.raises(ModelFileError, match="there is no model"):
        storage.load(folder.parent / "nothing")
    with pytest.raises(ModelFileError, match="did you mean 'model'"):
        storage.load(folder.parent / "modle")
    with pytest.raises(ModelFileError, match=r"holds no model \(manifest\.json is missing\)"):
        storage.load(folder.parent)


@pytest.mark.parametrize("place", [".", "/"])
def test_no_model_in_a_folder_without_a_name(folder, monkeypatch, place):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ModelFileError, match="holds no model"):
        storage.load(place)


def test_a_net_without_torch_names_the_extra(folder, monkeypatch):
    reseal(folder, lambda m: m.update(kind="net"))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[torch\]"):
        storage.load(folder)


# Interrupted ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing after this touches the disk."""


def count_down(monkeypatch, n, error):
    """Every change of the disk from the n-th on raises; returns the list of calls made."""
    calls = []

    def watch(owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            calls.append(name)
            if len(calls) > n:
                raise error
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for name in ("mkdir", "open", "replace", "unlink"):
        watch(Path, name)
    watch(os, "fsync")
    return calls


def test_killed_at_any_step_the_old_or_the_new_model_loads(tmp_path, monkeypatch):
    seen, n = set(), 0
    while True:
        folder = storage.save(tmp_path / str(n), OLD, TRAIN)
        with monkeypatch.context() as m:
            count_down(m, n, Killed())
            try:
                storage.save(folder, NEW, replace(TRAIN, notes=("again",)))
                finished = True
            except Killed:
                finished = False
        stored = storage.load(folder)
        seen.add(stored.ratings.notes)
        assert scores(stored.scorer) == scores(NEW if stored.ratings.notes else OLD)
        storage.save(folder, NEW, TRAIN)  # and what is left is no hindrance
        assert not list(folder.rglob("*.tmp"))
        if finished:
            break
        n += 1
    assert seen == {(), ("again",)} and n > 10


def test_a_full_disk_is_said_and_leaves_the_old_model(tmp_path, monkeypatch):
    folder = storage.save(tmp_path / "m", OLD, TRAIN)
    for n in range(2, 12):
        with monkeypatch.context() as m:
            count_down(m, n, OSError(28, "No space left on device"))
            with pytest.raises(ModelFileError, match="No space left"):
                storage.save(folder, NEW, TRAIN)
        assert scores(storage.load(folder).scorer) == scores(OLD)


def test_a_reader_whose_model_is_replaced_reads_the_new_one(folder, monkeypatch):
    real, calls = model._load, []

    def replaced_meanwhile(place, content):
        calls.append(content)
        if len(calls) == 1:
            storage.save(folder, NEW, TRAIN)
        return real(place, content)

    monkeypatch.setattr(model, "_load", replaced_meanwhile)
    assert scores(storage.load(folder).scorer) == scores(NEW)
    assert len(calls) == 2


# Elsewhere -----------------------------------------------------------------------------------------------------


def test_serving_loads_neither_torch_nor_numba_nor_scipy(tmp_path):
    rng = np.random.default_rng(0)
    u, i = rng.normal(size=(2, 80, 4)).astype(np.float32)
    scorer = Factors(3.0, u[:, 0], i[: TRAIN.n_items, 0], u, i[: TRAIN.n_items], Objective(y_range=(1, 5)))
    folder = storage.save(tmp_path / "m", scorer, TRAIN)
    code = (
        "import sys; from dotbias import Recommender as R; r = R.load(sys.argv[1]); assert len(r.recommend(11)) == 10;"
        "assert len(r.similar_items('a3')) == 10; r.predict(11, 'a3');"
        "print(*{'torch', 'numba', 'scipy', 'pandas', 'sklearn', 'matplotlib', 'rich'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


def test_pickle_is_nowhere():
    for path in Path(factors.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert "import pickle" not in text and "allow_pickle=True" not in text


def test_arrays_of_every_shape_and_layout():
    arrays = {"scalar": np.array(1.5), "empty": np.empty((0, 3), np.float32), "f": np.asfortranarray(np.eye(3)[:2])}
    blob = model._encode(State("factors", arrays, {}), None, TRAIN, None)["weights"][1]
    back = from_safetensors(blob)
    assert all(back[k].shape == a.shape and np.array_equal(back[k], a) for k, a in arrays.items())
