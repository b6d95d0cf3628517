"""What dotbias 0.1.0 wrote still loads, and scores as it did."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dotbias import als, gibbs, sgd, storage
from dotbias.errors import ModelFileError

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
    # the expected star of a newcomer counts the newcomer's own spread since: 0.01 of a star
    atol = 0.02 if kind == "posterior_ordinal" else 1e-4
    np.testing.assert_allclose(part.score(ITEMS), EXPECTED["newcomer"][kind], atol=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_its_ratings_tables_and_settings_are_there(kind):
    stored = load(kind)
    assert len(stored.ratings) == 500 and (stored.ratings.n_users, stored.ratings.n_items) == (40, 30)
    assert stored.ratings.fingerprint() == stored.manifest["data"]["fingerprint"]
    assert stored.ratings.item_table.columns == ["item", "title", "year", "genres"]
    assert stored.ratings.user_table.columns == ["user", "age", "kind"]
    assert stored.settings == {"fitter": kind, "n_factors": 4} and stored.log == [{"epoch": 0, "loss": 1.5}]


SIDE = {"item_features": ("genres", "year"), "user_features": ("age", "kind")}
FITS = {
    "als": lambda r, path: als(r, n_factors=4, n_epochs=3, rng=0, checkpoint=path, progress=False),
    "sgd": lambda r, path: sgd(r, n_factors=4, n_epochs=3, rng=0, checkpoint=path, progress=False),
    "posterior": lambda r, path: gibbs(
        r,
        histories=True,
        sessions=True,
        **SIDE,
        n_factors=3,
        n_sweeps=8,
        keep=3,
        rng=0,
        checkpoint=path,
        progress=False,
    ),
}


@pytest.mark.parametrize("kind", FITS)
def test_a_checkpoint_is_refused_and_says_why(kind, tmp_path):
    """Nothing in it shows whether its bytes are whole; it is left as it was."""
    path = tmp_path / "fit.safetensors"
    shutil.copy(HERE / "checkpoints" / f"{kind}.safetensors", path)
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"written by dotbias 0\.1(.|\n)*delete it to start afresh"):
        FITS[kind](storage.load(HERE / "bias").ratings, path)
    assert path.read_bytes() == before
