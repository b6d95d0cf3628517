"""``to_onnx``: what onnxruntime answers from the file is what the scorer answers."""

import json
import sys
import warnings
from dataclasses import replace

import battery
import numpy as np
import pytest
from test_export import model, run  # noqa: F401

from dotbias import Recommender, planted
from dotbias.baselines import bias, knn
from dotbias.errors import MissingExtraError, SettingError
from dotbias.export import graphs, to_onnx
from dotbias.factors import Factors
from dotbias.objective import Objective
from dotbias.solvers.gibbs import gibbs
from dotbias.times import NOW, UNKNOWN

TRAIN, _ = battery.parts()


def session(path):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def answers(path, users, items, times=None):
    feed = {"user": users, "item": items} | ({} if times is None else {"time": times})
    return session(path).run(["score", "rank"], feed)


def pairs(n_users, n_items, n=10_000):
    """Rows from one before the first to three past the end."""
    rng = np.random.default_rng(1)
    return rng.integers(-1, n_users + 3, n), rng.integers(-1, n_items + 3, n)


def agrees(scorer, path, users, items, times=None):
    score, rank = answers(path, users, items, times)
    assert score.dtype == rank.dtype == np.float32 and score.shape == users.shape
    np.testing.assert_allclose(score, scorer.score(users, items, times), rtol=0, atol=1e-5)
    np.testing.assert_allclose(rank, scorer.rank(users, items, times), rtol=0, atol=1e-5)


@pytest.mark.parametrize("link", ["sigmoid", "identity"])
def test_factors_answer_as_ours_cold_rows_too(tmp_path, link):
    scorer = model(link)
    assert to_onnx(scorer, tmp_path / "m.onnx") == ()
    users, items = pairs(80, 50)
    agrees(scorer, tmp_path / "m.onnx", users, items)
    cold = answers(tmp_path / "m.onnx", np.array([-1, 99]), np.array([-7, 50]))[1]
    np.testing.assert_allclose(cold, scorer.mean, rtol=1e-6)


def test_the_clip_is_in_the_score_and_not_in_the_rank(tmp_path):
    scorer = replace(model("identity"), objective=Objective("squared", "identity", (0.1, 0.3)))
    to_onnx(scorer, tmp_path / "m.onnx")
    users, items = pairs(80, 50)
    agrees(scorer, tmp_path / "m.onnx", users, items)
    score, rank = answers(tmp_path / "m.onnx", users, items)
    assert score.min() == np.float32(0.1) and score.max() == np.float32(0.3) and rank.max() > 1


@pytest.mark.parametrize("y_range", [(-np.inf, np.inf), (0.5, np.inf), (-np.inf, 0.5)])
def test_a_range_may_be_open(tmp_path, y_range):
    scorer = replace(model("identity"), objective=Objective("squared", "identity", y_range))
    to_onnx(scorer, tmp_path / "m.onnx")
    agrees(scorer, tmp_path / "m.onnx", *pairs(80, 50))


def test_biases_alone(tmp_path):
    scorer = bias(TRAIN)
    to_onnx(scorer, tmp_path / "m.onnx")
    agrees(scorer, tmp_path / "m.onnx", *pairs(TRAIN.n_users, TRAIN.n_items))


@pytest.mark.parametrize("hidden", [(), (10,), (8, 6)])
@pytest.mark.parametrize("times", [False, True])
def test_the_net_answers_as_ours_cold_rows_and_times_too(tmp_path, hidden, times):
    pytest.importorskip("torch")
    from dotbias.gradient import fit_net

    train = planted(60, 40, n_ratings=900, rng=3).ratings
    train = train.take(train.users != 5)  # a user nobody saw
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scorer = fit_net(train, hidden=hidden, times=times, item_features=("genres",), n_epochs=2, n_factors=6, rng=0)
    to_onnx(scorer, tmp_path / "m.onnx")
    users, items = pairs(60, 40)
    users[:9] = 5
    when = None
    if times:
        when = np.random.default_rng(2).choice(train.times, len(users))
        when[::7], when[3::7] = UNKNOWN, NOW
    agrees(scorer, tmp_path / "m.onnx", users, items, when)


def test_a_posterior_exports_its_compressed_factors_and_says_so(run, tmp_path):  # noqa: F811
    scorer = gibbs(TRAIN, n_factors=3, n_sweeps=12, keep=6, rng=0)
    (note,) = to_onnx(scorer, tmp_path / "m.onnx")
    assert "compressed factors of the Posterior" in note
    agrees(scorer.factors(), tmp_path / "m.onnx", *pairs(TRAIN.n_users, TRAIN.n_items))
    Recommender(scorer, TRAIN).save("m")
    code, out, err = run("export", "m", "--onnx", "p.onnx")
    assert code == 0 and out == "p.onnx\n" and "compressed factors" in err


def test_the_command_writes_the_graph_alone_or_beside_tables(run, tmp_path):  # noqa: F811
    Recommender(model(), TRAIN).save("m")
    code, out, err = run("export", "m", "--onnx", "a/m.onnx", "--json")
    assert code == 0 and json.loads(out) == {"written": ["a/m.onnx"]} and not err
    assert not (tmp_path / "export").exists()
    code, out, _ = run("export", "m", "--onnx", "m.onnx", "-o", "t", "--format", "parquet")
    assert code == 0 and out.split() == ["t/users.parquet", "t/items.parquet", "t/model.json", "m.onnx"]
    agrees(model(), tmp_path / "m.onnx", *pairs(80, 50))


def test_what_cannot_be_exported_says_what_can(run):  # noqa: F811
    Recommender(knn(TRAIN), TRAIN).save("m")
    code, _, err = run("export", "m", "--onnx", "m.onnx")
    assert code == 2 and "Knn does not support ONNX" in err and "or a net" in err.replace("\n", " ")
    code, _, err = run("export", "m", "--onnx", ".")
    assert code == 4 and "is a folder" in err


def test_a_model_too_large_for_the_format_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(graphs, "MOST", 1000)
    with pytest.raises(SettingError, match="2 GB at most"):
        to_onnx(model(), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_without_onnx_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"\[onnx\]"):
        to_onnx(model(), tmp_path / "m.onnx")


def test_a_large_random_model_keeps_the_last_digits(tmp_path):
    rng = np.random.default_rng(4)
    p, q = rng.normal(0, 0.3, (3000, 64)), rng.normal(0, 0.3, (2000, 64))
    f = Factors(3.5, rng.normal(0, 0.5, 3000), rng.normal(0, 0.5, 2000), p, q, Objective("squared", "identity", (1, 5)))
    to_onnx(f, tmp_path / "m.onnx")
    agrees(f, tmp_path / "m.onnx", *pairs(3000, 2000))
