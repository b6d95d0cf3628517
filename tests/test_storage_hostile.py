"""Folders and models that somebody prepared: no link followed, nothing of others touched, nothing believed."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import battery
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from dotbias import storage
from dotbias.baselines import bias, knn, mean
from dotbias.errors import DotbiasError, ModelFileError, SettingError
from dotbias.storage import arrays as declared
from dotbias.storage import disk, manifest

TRAIN, TEST = battery.parts()
OLD, NEW = mean(TRAIN), bias(TRAIN)
MODELS = Path(__file__).parent / "models_0_1"
SHORT = "has the shape|do not fit|are not those|goes from|size mismatch"
KINDS = ("als", "dot_bias", "bias", "posterior", "posterior_ordinal", "knn", "net")
posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def scores(scorer):
    return scorer.score(TEST.users, TEST.items).tobytes()


@pytest.fixture
def folder(tmp_path):
    return storage.save(tmp_path / "model", OLD, TRAIN)


def reseal(folder, change):
    """Change a manifest as somebody who knows the format would."""
    path = folder / "manifest.json"
    content = json.loads(path.read_bytes())
    del content["seal"]
    change(content)
    path.write_bytes(manifest.sealed(json.dumps(content, indent=1).encode()))


def put(folder, role, content):
    """Another blob in a role's place, named and sealed as it should be."""
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    file = f"blobs/{digest}.{'safetensors' if role == 'weights' else 'parquet'}"
    (folder / file).write_bytes(content)
    reseal(folder, lambda m: m["blobs"].update({role: {"file": file, "sha256": digest, "size": len(content)}}))


def blob(folder, role):
    return (folder / json.loads((folder / "manifest.json").read_bytes())["blobs"][role]["file"]).read_bytes()


def parquet(frame):
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd")
    return content.getvalue()


def copy_of(kind, tmp_path):
    if kind == "net":
        pytest.importorskip("torch")
    place = tmp_path / kind
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(MODELS / kind, place))


# Saving into a prepared folder -------------------------------------------------------------------------------------


@posix
def test_a_lock_that_is_a_link_is_not_followed(folder, tmp_path):
    target = tmp_path / "precious"
    target.write_text("years of work")
    (folder / "blobs" / ".lock").unlink()
    (folder / "blobs" / ".lock").symlink_to(target)
    with pytest.raises(ModelFileError, match="cannot be written"):
        storage.save(folder, NEW, TRAIN)
    assert target.read_text() == "years of work" and scores(storage.load(folder).scorer) == scores(OLD)


@posix
@pytest.mark.parametrize("name", ["blobs/.lock", "manifest.json"])
def test_a_pipe_is_no_hang(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelFileError):
        storage.save(folder, NEW, TRAIN)
    if name == "manifest.json":
        with pytest.raises(ModelFileError, match="cannot be read"):
            storage.load(folder)
        with pytest.raises(ModelFileError, match="holds other files"):
            storage.check_writable(folder)


@posix
def test_a_lock_that_is_held_is_waited_for_and_not_for_ever(folder, monkeypatch):
    import fcntl

    monkeypatch.setattr(disk, "PATIENCE", 0.1)
    with (folder / "blobs" / ".lock").open("wb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        with pytest.raises(ModelFileError, match="another process has been saving"):
            storage.save(folder, NEW, TRAIN)
    storage.save(folder, NEW, TRAIN)
    assert scores(storage.load(folder).scorer) == scores(NEW)


@posix
def test_blobs_elsewhere_are_not_touched(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (folder / "blobs").rename(elsewhere)
    (folder / "blobs").symlink_to(elsewhere)
    before = {p.name: p.read_bytes() for p in elsewhere.iterdir()}
    with pytest.raises(ModelFileError, match="no plain folder"):
        storage.save(folder, NEW, TRAIN)
    assert {p.name: p.read_bytes() for p in elsewhere.iterdir()} == before


FOREIGN = (
    '{"name": "a web page", "dotbias": "no"}',
    '{"format": 1, "for": "dotbias"}',
    '{"format": "1", "dotbias": "0.1.0", "kind": "factors"}',
    "",
    "[]",
)


@pytest.mark.parametrize("text", FOREIGN)
def test_a_foreign_manifest_is_left_alone(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    for ask in (storage.check_writable, lambda f: storage.save(f, OLD, TRAIN)):
        with pytest.raises(ModelFileError, match="holds other files and no model"):
            ask(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("cut", [80, 200, 1000])
def test_a_cut_manifest_of_ours_is_mended_by_saving_again(folder, cut):
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:cut])
    storage.save(folder, NEW, TRAIN)
    assert scores(storage.load(folder).scorer) == scores(NEW)


# Before a fit ------------------------------------------------------------------------------------------------------


def test_asking_first_leaves_nothing_behind(tmp_path, folder):
    before = sorted(tmp_path.rglob("*"))
    for place in (tmp_path / "new", tmp_path / "a" / "b" / "c", folder):
        storage.check_writable(place, nbytes=1000)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("place", ["file", "file/model", "others", "x" * 300, "a\0b", None, 3])
def test_what_would_fail_is_said_before(tmp_path, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("others").mkdir()
    Path("others/thesis.tex").write_text("")
    for ask in (storage.check_writable, lambda f: storage.save(f, OLD, TRAIN)):
        with pytest.raises((ModelFileError, SettingError)):
            ask(place)


@posix
def test_where_nobody_may_write():
    with pytest.raises(ModelFileError, match="no model can be saved there"):
        storage.check_writable("/proc/model")


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_where_we_may_not_write(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o555)
    with pytest.raises(ModelFileError, match="Permission denied"):
        storage.check_writable(tmp_path / "closed" / "model")


def test_no_room(tmp_path, folder, monkeypatch):
    with pytest.raises(ModelFileError, match=r"has room for [\d,.]+ MB; the model takes about 1,000,000,000,000\.0 MB"):
        storage.check_writable(tmp_path / "m", nbytes=10**18)
    monkeypatch.setattr(shutil, "disk_usage", lambda p: type("Usage", (), {"free": 100}))
    with pytest.raises(ModelFileError, match="has room for"):
        storage.save(folder, NEW, TRAIN)
    assert scores(storage.load(folder).scorer) == scores(OLD)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_file_that_grows_too_large_leaves_the_old_model(folder):
    code = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[2]); import battery; from dotbias import storage;"
        "from dotbias.baselines import bias; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); train, _ = battery.parts();"
        "storage.save(sys.argv[1], bias(train), train)"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, str(folder), here], capture_output=True, text=True, timeout=60)
    assert "ModelFileError: the model cannot be written to" in done.stderr and "File too large" in done.stderr
    assert scores(storage.load(folder).scorer) == scores(OLD) and not list(folder.rglob("*.tmp"))


# Sealed, and hostile -----------------------------------------------------------------------------------------------


def refused(folder, what):
    with pytest.raises(ModelFileError, match=what) as e:
        storage.load(folder)
    assert e.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_every_array_must_be_there_and_be_as_declared(kind, tmp_path):
    names = from_safetensors(blob(copy_of(kind, tmp_path), "weights"))
    for name, array in names.items():
        changes = [
            ({k: a for k, a in names.items() if k != name}, "missing|cannot be understood"),
            (names | {"extra": array}, "has no array 'extra'"),
            (names | {name: array.astype(np.int16)}, "holds int16, not"),
            (names | {name: array.astype(np.float16)}, "holds float16, not"),
            (names | {name: array[None]}, "has the shape"),
        ]
        if array.ndim and array.size:
            changes.append(
                (names | {name: array[:-1]}, "has the shape|do not fit|are not those|goes from|size mismatch")
            )
        if array.size and array.dtype.kind == "f":
            changes.append((names | {name: np.full_like(array, np.nan)}, "holds NaN"))
            changes.append((names | {name: np.full_like(array, np.inf)}, "holds NaN or infinities"))
        for changed, what in changes:
            folder = copy_of(kind, tmp_path)
            put(folder, "weights", to_safetensors({k: np.asarray(a, order="C") for k, a in changed.items()}))
            refused(folder, what)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("neighbours", -1, "names rows outside the 30"),
        ("neighbours", 30, "names rows outside the 30"),
        ("items", -5, "names rows outside the 30"),
        ("starts", 400, "does not rise"),
    ],
)
def test_rows_of_neighbours_do_not_wrap(tmp_path, name, value, what):
    folder = copy_of("knn", tmp_path)
    arrays = {k: a.copy() for k, a in from_safetensors(blob(folder, "weights")).items()}
    arrays[name].flat[3] = value
    put(folder, "weights", to_safetensors(arrays))
    refused(folder, what)


@pytest.mark.parametrize(
    ("role", "change", "what"),
    [
        ("user_ids", lambda t: t.head(39), "user_ids has 39 rows, not 40"),
        ("item_ids", lambda t: pl.concat([t, t.head(1) + 1000]), "item_ids has 31 rows, not 30"),
        ("item_ids", lambda t: t.with_columns(pl.lit(7, pl.Int64).alias("id")), "the id 7 comes twice"),
        ("item_ids", lambda t: t.with_columns(pl.lit(None, pl.Int64).alias("id")), "the id is missing"),
        ("item_ids", lambda t: t.cast(pl.Float64), "item_ids has the columns"),
        ("item_ids", lambda t: t.rename({"id": "ids"}), "item_ids has the columns"),
        ("interactions", lambda t: t.cast({"user": pl.Int64}), "interactions has the columns"),
        ("interactions", lambda t: t.cast({"value": pl.String}), "interactions has the columns"),
        ("interactions", lambda t: t.with_columns(item=pl.lit(30, pl.Int32)), "items holds rows from 30 to 30"),
        ("interactions", lambda t: t.with_columns(item=pl.lit(-1, pl.Int32)), "items holds rows from -1"),
        ("interactions", lambda t: t.with_columns(value=pl.lit(float("nan"), pl.Float32)), "NaN"),
        ("interactions", lambda t: t.with_columns(value=pl.lit(None, pl.Float32)), "empty cells"),
        ("interactions", lambda t: t.drop("item"), "interactions has the columns"),
        ("interactions", lambda t: t.with_columns(more=1), "interactions has the columns"),
        ("interactions", lambda t: t.head(499), "interactions has 499 rows, not 500"),
        ("user_table", lambda t: t.head(3), "user_table has 3 rows, not 40"),
        ("log", lambda t: pl.select(pl.int_range(2_000_000).alias("epoch")), "no training log is that long"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, role, change, what):
    folder = copy_of("als", tmp_path)
    put(folder, role, parquet(change(pl.read_parquet(io.BytesIO(blob(folder, role))))))
    refused(folder, re.escape(what))


@pytest.mark.parametrize(
    ("kind", "change", "what"),
    [
        ("als", lambda m: m["scorer"].update(y_range=["1", "5"]), "the setting y_range"),
        ("als", lambda m: m["scorer"].update(y_range=[5, 1]), "the setting y_range"),
        ("als", lambda m: m["scorer"].update(mean="3"), "the setting mean"),
        ("als", lambda m: m["scorer"].update(mean=None), "the setting mean"),
        ("als", lambda m: m["scorer"].update(reg=[1, 2]), "the setting reg"),
        ("als", lambda m: m["scorer"]["reg"].update(bias=-1), "the setting reg"),
        ("als", lambda m: m["data"].update(y_range=["a", "b"]), "y_range is"),
        ("als", lambda m: m["data"].update(notes="x"), "the notes are"),
        ("als", lambda m: m["data"].update(n_users=-1), "n_users is -1"),
        ("als", lambda m: m["data"].update(n_users=41), "has the shape"),
        ("als", lambda m: m["data"].update(n_users=True), "n_users is True"),
        ("als", lambda m: m.update(created=7), "created is 7"),
        ("knn", lambda m: m["scorer"]["base"].update(y_range="ab"), "the setting base"),
        ("posterior", lambda m: m["scorer"].update(ordinal="yes"), "the setting ordinal"),
        ("posterior", lambda m: m["scorer"]["user_side"].update(has_bag=False), "do not fit"),
        ("posterior", lambda m: m["scorer"]["user_side"].update(groups=[["x", 0, 9]]), "do not fit"),
        ("posterior", lambda m: m["scorer"]["item_side"]["names"].pop(), "do not fit"),
        ("posterior", lambda m: m["scorer"].update(user_side=[]), "the setting user_side"),
        ("net", lambda m: m["scorer"]["config"].update(hidden=[10**9]), "are not those of its arrays"),
        ("net", lambda m: m["scorer"]["config"].update(n_factors=10**9), "are not those of its arrays"),
        ("net", lambda m: m["scorer"]["config"].update(feature_size=10**9), "are not those of its arrays"),
        ("net", lambda m: m["scorer"]["config"].update(times=[0, 0]), "the net's times"),
        ("net", lambda m: m["scorer"].update(y_range=[None, 5]), "the setting y_range"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, kind, change, what):
    folder = copy_of(kind, tmp_path)
    reseal(folder, change)
    refused(folder, what)


def test_numbers_that_json_does_not_know(folder):
    path = folder / "manifest.json"
    text = path.read_text().replace('"mean": 0', '"mean": 0')
    text = re.sub(r'"mean": [-0-9.e]+', '"mean": NaN', text)
    path.write_bytes(manifest.sealed(re.sub(r',\n "seal": "[0-9a-f]*"', "", text).encode()))
    refused(folder, "NaN is no number of JSON")


ONES = pl.select(pl.repeat(1, 1_000_000, dtype=pl.Int32).alias("user"))
SWELLING = {
    "interactions": ONES.with_columns(item=pl.lit(1, pl.Int32)),
    "user_table": pl.DataFrame({"user": range(40), "text": ["x" * 1_000_000] * 40}),
    "log": ONES,
}


@pytest.mark.parametrize("role", SWELLING)
def test_a_small_blob_that_swells_is_refused_unread(tmp_path, role, monkeypatch):
    folder, content = copy_of("als", tmp_path), parquet(SWELLING[role])
    assert len(content) < 20_000
    put(folder, role, content)
    reseal(folder, lambda m: m["data"].update(n_ratings=1_000_000 if role == "interactions" else 500))
    monkeypatch.setenv("DOTBIAS_MAX_BYTES", "1000000")
    with pytest.raises(ModelFileError, match=rf"{role} would take 0\.0 GB of memory") as e:
        storage.load(folder)
    assert "DOTBIAS_MAX_BYTES=" in e.value.hint


def test_a_posterior_with_fewer_rows_is_not_saved_either(tmp_path):
    from dotbias.ratings import Ids

    more = replace(TRAIN, user_ids=Ids(range(10, 10 + TRAIN.n_users + 1)), user_table=None)
    with pytest.raises(SettingError, match="cannot be stored with these ratings: the array user_bias has the shape"):
        storage.save(tmp_path / "m", NEW, more)
    assert not (tmp_path / "m").exists()


def test_what_fits_declares_is_what_they_keep():
    for scorer in (NEW, knn(TRAIN)):
        state = scorer.state()
        storage.check_arrays(state.kind, state.arrays, state.settings, TRAIN.n_users, TRAIN.n_items)
        assert set(state.arrays) == set(declared.ARRAYS[state.kind])
    storage.check_arrays("of somebody else", {}, {}, 1, 1)


def test_one_line_declares_one_more_array(monkeypatch):
    state = NEW.state()
    more = dict(state.arrays, pull=np.zeros((TRAIN.n_users, 3), np.float32))
    with pytest.raises(ModelFileError, match="a factors model has no array 'pull'"):
        storage.check_arrays("factors", more, state.settings, TRAIN.n_users, TRAIN.n_items)
    line = {"pull": storage.Array("U R", optional=True)}
    monkeypatch.setitem(declared.ARRAYS, "factors", declared.ARRAYS["factors"] | line)
    storage.check_arrays("factors", more, state.settings, TRAIN.n_users, TRAIN.n_items)
    storage.check_arrays("factors", state.arrays, state.settings, TRAIN.n_users, TRAIN.n_items)


# Anything at all ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    place = tmp_path_factory.mktemp("bases")
    return [Path(shutil.copytree(MODELS / kind, place / kind)) for kind in ("als", "posterior", "knn")]


@settings(max_examples=60)
@given(st.data())
def test_bits_flipped_anywhere_are_seen(bases, data):
    folder = data.draw(st.sampled_from(bases))
    path = data.draw(st.sampled_from(sorted(p for p in folder.rglob("*") if p.is_file())))
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytes(whole[:at]) + bytes([whole[at] ^ (1 << data.draw(st.integers(0, 7)))]) + bytes(whole[at + 1 :])
    path.write_bytes(changed)
    try:
        with pytest.raises(ModelFileError):
            storage.load(folder)
    finally:
        path.write_bytes(whole)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**30, -1, 2**31, 2**63]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.lists(st.integers(-2, 2), max_size=3),
)


def places(value, path=()):
    """Every place within a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, x in inner:
        yield (*path, key)
        yield from places(x, (*path, key))


@settings(max_examples=150)
@given(st.data())
def test_resealed_manifests_load_or_are_refused(bases, data):
    """Whatever field is changed: a ModelFileError, or a model that scores finite numbers within its own range."""
    folder = data.draw(st.sampled_from(bases))
    path = folder / "manifest.json"
    whole = path.read_bytes()

    def change(content):
        where = data.draw(st.sampled_from([p for p in places(content) if p[0] not in ("settings", "metrics")]))
        holder = content
        for key in where[:-1]:
            holder = holder[key]
        if data.draw(st.booleans()) and isinstance(holder, dict):
            del holder[where[-1]]
        else:
            holder[where[-1]] = data.draw(ODD)

    try:
        reseal(folder, change)
        stored = storage.load(folder)
        rows = np.array([0, 1, 39])
        assert np.isfinite(stored.scorer.score(rows, rows % 30)).all()
        assert repr(stored.ratings) and stored.ratings.notes is not None
    except DotbiasError as e:
        assert isinstance(e, ModelFileError)
    finally:
        path.write_bytes(whole)


@settings(max_examples=80)
@given(st.data())
def test_resealed_blobs_load_or_are_refused(tmp_path_factory, data):
    """Bytes changed within a blob that is then sealed again."""
    kind = data.draw(st.sampled_from(["als", "posterior", "knn"]))
    folder = copy_of(kind, tmp_path_factory.mktemp("m"))
    role = data.draw(st.sampled_from(["weights", "user_ids", "interactions", "item_table", "log"]))
    content = bytearray(blob(folder, role))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1) if data.draw(st.booleans()) else st.integers(0, 40))
        content[at] = data.draw(st.integers(0, 255))
    put(folder, role, bytes(content))
    try:
        stored = storage.load(folder)
        with np.errstate(over="ignore", invalid="ignore"):  # weights of 1e38: the Recommender refuses what comes out
            assert stored.scorer.score(np.array([0, 39]), np.array([0, 29])).shape == (2,)
    except ModelFileError:
        pass
