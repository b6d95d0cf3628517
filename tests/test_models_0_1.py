"""What dotbias 0.1.0 wrote still loads, and scores as it did."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dotbias import als, gibbs, sgd, storage
from dotbias.errors import SettingError

HERE = Path(__file__).parent / "models_0_1"
EXPECTED = json.loads((HERE / "expected.json").read_text())
USERS, ITEMS, TIMES = (np.array(EXPECTED["asked"][k]) for k in ("users", "items", "times"))
KINDS = tuple(EXPECTED["scores"])


def load(kind):
    if kind == "net":
        pytest.importorskip("torch")
    return storage.load(HERE / kind)


def close(scores, expected):
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_it_scores_as_it_did_at_the_times_of_ratings(kind):
    scorer = load(kind).scorer
    close(scorer.score(USERS, ITEMS, TIMES), EXPECTED["with_times"][kind])


@pytest.mark.parametrize("kind", KINDS)
def test_it_scores_as_it_did_without_times(kind):
    scorer = load(kind).scorer
    close(scorer.score(USERS, ITEMS), EXPECTED["scores"][kind])


@pytest.mark.parametrize("kind", EXPECTED["newcomer"])
def test_it_scores_a_newcomer_as_it_did(kind):
    scorer = load(kind).scorer
    part = scorer.fold_in_user(np.array([2, 5, 9]), np.array([5.0, 1.0, 3.5], np.float32))
    close(part.score(ITEMS), EXPECTED["newcomer"][kind])


@pytest.mark.parametrize("kind", KINDS)
def test_its_ratings_tables_and_settings_are_there(kind):
    stored = load(kind)
    assert len(stored.ratings) == 500 and (stored.ratings.n_users, stored.ratings.n_items) == (40, 30)
    assert stored.ratings.fingerprint() == stored.manifest["data"]["fingerprint"]
    assert stored.ratings.item_table.columns == ["item", "title", "year", "genres"]
    assert stored.ratings.user_table.columns == ["user", "age", "kind"]
    assert stored.settings == {"fitter": kind, "n_factors": 4} and stored.log == [{"epoch": 0, "loss": 1.5}]


SIDE = {"item_features": ("genres", "year"), "user_features": ("age", "kind")}


def at_hand(kind, tmp_path):
    """A copy of a checkpoint, and the ratings that it is of."""
    shutil.copy(HERE / "checkpoints" / f"{kind}.safetensors", tmp_path)
    return tmp_path / f"{kind}.safetensors", storage.load(HERE / "bias").ratings


@pytest.mark.parametrize("fitter", [als, sgd])
def test_a_checkpoint_with_ridges_in_other_units_is_refused(fitter, tmp_path):
    """Version 0.1 gave ridges on the ratings' scale: its fit is another one, and is not gone on with."""
    path, train = at_hand(fitter.__name__, tmp_path)
    with pytest.raises(SettingError, match="units: None there"):
        fitter(train, n_factors=4, n_epochs=3, rng=0, checkpoint=path, progress=False)


def test_a_checkpoint_of_gibbs_is_refused(tmp_path):
    """Its format has changed; it is left as it was."""
    path, train = at_hand("posterior", tmp_path)
    before = path.read_bytes()
    settings = {"histories": True, "days": True, **SIDE, "n_factors": 3, "n_sweeps": 8, "keep": 3, "rng": 0}
    with pytest.raises(SettingError, match="format: None there, 2 here") as caught:
        gibbs(train, **settings, checkpoint=path, progress=False)
    assert caught.value.hint is not None and "delete it" in caught.value.hint
    assert path.read_bytes() == before


def test_a_checkpoint_of_the_learner_goes_on(tmp_path):
    pytest.importorskip("torch")
    from dotbias import fit_dot_bias
    from dotbias.callbacks import Checkpoint

    shutil.copytree(HERE / "checkpoints" / "dot_bias", tmp_path / "fit")
    train = storage.load(HERE / "bias").ratings
    call = Checkpoint(tmp_path / "fit")
    scorer = fit_dot_bias(train, n_factors=4, n_epochs=2, rng=0, progress=False, callbacks=[call])
    close(scorer.score(USERS, ITEMS, TIMES), EXPECTED["checkpoints"]["dot_bias"])
