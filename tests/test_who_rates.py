"""A scorer of who rates what beside a model of ratings: chosen by cost, kept with the model, told of newcomers."""

import json

import numpy as np
import pytest

from dotbias import Recommender, fit_clicks, storage
from dotbias.baselines import bias
from dotbias.datasets import planted
from dotbias.errors import ModelFileError, SettingError
from dotbias.factors import Factors
from dotbias.item_weights import ItemWeights
from dotbias.solvers import als
from dotbias.storage.manifest import sealed

TRAIN = planted(200, 60, n_ratings=4000, rng=3).ratings


def test_ease_where_it_is_affordable_else_implicit_als_else_nothing():
    found = fit_clicks(TRAIN)
    assert isinstance(found, ItemWeights)
    assert np.array_equal(found.rows, np.flatnonzero(TRAIN.item_counts >= 5))
    assert isinstance(fit_clicks(TRAIN, memory=len(found.rows) ** 2 * 4), ItemWeights)
    assert fit_clicks(TRAIN, memory=100) is None and fit_clicks(TRAIN, budget=1e-9) is None
    assert fit_clicks(TRAIN.take(np.arange(3))) is None
    with pytest.raises(SettingError, match="memory"):
        fit_clicks(TRAIN, memory="much")


def test_implicit_als_has_the_same_bits():
    wide = planted(200, 900, n_ratings=20_000, rng=3).ratings
    a, b = (fit_clicks(wide, memory=4.0 * 64 * 1100, rng=0) for _ in range(2))
    assert isinstance(a, Factors) and a.users.shape[1] == 64
    assert np.array_equal(a.users, b.users)
    assert fit_clicks(wide, memory=4.0 * 32 * 1100, rng=0).users.shape[1] == 32


@pytest.mark.parametrize("fit", [als, bias])
def test_it_is_kept_with_the_model(tmp_path, fit):
    rec = Recommender(fit(TRAIN), TRAIN, clicks=fit_clicks(TRAIN))
    again = Recommender.load(rec.save(tmp_path / "model"))
    users = list(TRAIN.user_ids)[:20]
    history = {TRAIN.item_ids[3]: 5.0, TRAIN.item_ids[9]: 1.0}
    assert again.recommend(users) == rec.recommend(users)
    assert again.recommend(history=history) == rec.recommend(history=history)
    assert again.recommend(users) != Recommender(rec.scorer, TRAIN).recommend(users)
    plain = Recommender(rec.scorer, TRAIN).save(tmp_path / "model")
    assert storage.load(plain).clicks is None


def test_a_model_with_half_a_second_scorer_is_refused(tmp_path):
    folder = Recommender(bias(TRAIN), TRAIN, clicks=fit_clicks(TRAIN)).save(tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("seal")
    for damage in (
        {**manifest, "clicks": None},
        {k: v for k, v in manifest.items() if k != "clicks"},
        {**manifest, "clicks": {"kind": "no such", "scorer": {}}},
        {**manifest, "clicks": {"kind": "item_weights"}},
    ):
        (folder / "manifest.json").write_bytes(sealed(json.dumps(damage, indent=1).encode()))
        with pytest.raises(ModelFileError, match=r"clicks|loader"):
            storage.load(folder)
