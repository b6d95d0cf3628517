"""Comparison: the same for all, paired, corrected for many, and nothing of test in train."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest

from dotbias import evaluation, fit_clicks, planted, split
from dotbias.baselines import bias, knn, mean
from dotbias.errors import DataError, SettingError
from dotbias.experiments import FromFunction, compare
from dotbias.experiments.cost import costing
from dotbias.experiments.results import Calibration, holm
from dotbias.fitters import find, of
from dotbias.metrics import Guesses
from dotbias.solvers import sgd

SMALL = partial(sgd, n_factors=3, n_epochs=4)


@pytest.fixture(scope="module")
def ratings():
    return planted(80, 60, n_ratings=2_000, n_factors=2, noise=0.4, rng=3).ratings


@pytest.fixture(scope="module")
def parts(ratings):
    return split.random(ratings, test=0.25, rng=1)


def errors(result):
    return {row.name: dict(row.report.values) for row in result.rows}


def test_a_second_run_is_identical(parts):
    fitters = {"mean": "mean", "bias": "bias", "sgd": SMALL, "knn": "knn"}
    first, second = (compare(fitters, parts, n_resamples=50, rng=4) for _ in range(2))
    assert errors(first) == errors(second)
    assert [row.difference for row in first.rows] == [row.difference for row in second.rows]
    assert repr(first).split("\n")[5] == repr(second).split("\n")[5]


def test_it_is_what_evaluation_says_of_the_same_fits(parts):
    result = compare(["mean", "bias"], parts, reference="mean", n_resamples=200, rng=0)
    train, _, test = parts
    scorers = {"mean": mean(train), "bias": bias(train)}
    asked = {"metrics": evaluation.SHOWN, "clicks": fit_clicks(train), "n_resamples": 200}
    expected = evaluation.compare(scorers, test, train=train, **asked)
    for name in scorers:
        assert result[name].report.values == expected.reports[name].values
    gap, theirs = result["bias"].difference["rmse"], expected.differences["bias"]["rmse"]
    assert gap.value == theirs.value
    assert gap.low == pytest.approx(theirs.low, rel=0.3) and result["mean"].difference == {}


def test_rows_stand_in_the_order_of_the_first_measure(parts):
    by_error = compare(["mean", "bias", "knn"], parts, n_resamples=0)
    values = [row.report.rmse for row in by_error.rows]
    assert values == sorted(values) and by_error.reference == "bias"
    by_list = compare(["mean", "bias", "knn"], parts, metrics=("ndcg@10",), n_resamples=0)
    lists = [row.report.values["ndcg@10"] for row in by_list.rows]
    assert lists == sorted(lists, reverse=True)


def test_folds_are_pooled(ratings):
    result = compare(["mean", "bias"], split.folds(ratings, k=4, rng=1), n_resamples=0)
    report = evaluation.cross_validate(bias, ratings, k=4, rng=1, n_resamples=0).pooled
    assert result.n_splits == 4 and result["bias"].report.n_test == len(ratings)
    assert result["bias"].report.rmse == pytest.approx(report.rmse, abs=1e-12)


def test_another_library_joins_in_one_line(parts):
    seen = []

    def theirs(train):
        seen.append(train)
        fitted = bias(train)
        return lambda users, items: fitted.score(users, items)

    result = compare({"bias": "bias", "theirs": theirs, "knn": knn}, parts, n_resamples=20)
    assert result["theirs"].report.values == result["bias"].report.values
    assert result["theirs"].difference["rmse"] == (0, 0, 0) and result["theirs"].p_values["rmse"] == 1
    assert seen == [parts.train]
    with pytest.raises(SettingError, match=r"returned 1 guesses for 500 pairs"):
        compare({"one": lambda train: lambda users, items: 3.0}, parts)
    with pytest.raises(SettingError, match="does not say what it offers"):
        compare({"none": lambda train: 3.0}, parts)


def test_a_function_gets_the_seed_if_it_takes_one(parts):
    got = {}

    def random(train, rng):
        got["rng"] = rng
        draw = np.random.default_rng(rng)
        return lambda users, items: draw.uniform(1, 5, len(users))

    compare({"random": random}, parts, n_resamples=0, rng=17)
    assert got == {"rng": 17}


def test_leaks_are_refused(ratings, parts):
    leaky = dataclasses.replace(parts, train=ratings)
    with pytest.raises(DataError, match=r"500 of 500 test ratings are in train"):
        compare(["mean"], leaky)
    with pytest.raises(DataError, match="test ratings are in train"):
        compare(["mean"], dataclasses.replace(parts, valid=parts.test))
    with pytest.raises(DataError, match="no test part"):
        compare(["mean"], split.random(ratings, test=None, valid=0.1))


def test_a_train_that_knows_the_future_is_refused(ratings):
    honest = split.by_time(ratings)
    assert compare(["mean"], honest, n_resamples=0).times == "now"
    late = split.random(ratings, test=0.2, rng=0)
    with pytest.raises(DataError, match="train knows the future"):
        compare(["mean"], dataclasses.replace(late, question=split.TOMORROW))
    assert compare(["mean"], split.last(ratings), n_resamples=0).times == "now"
    with pytest.raises(DataError, match="later than their user's held-out ones"):
        compare(["mean"], dataclasses.replace(late, question=split.NEXT))


def test_nothing_is_fitted_before_everything_is_checked(parts):
    def never(train):
        raise AssertionError

    wrong = (
        ({"never": never, "x": "sdg"}, {}, "no fitter 'sdg'"),
        ({"never": never}, {"reference": "bias"}, "reference 'bias' is not compared"),
        ({"never": never}, {"settings": {"sgd": {}}}, "settings are for 'sgd'"),
        ({"never": never, "sgd": "sgd"}, {"settings": {"sgd": {"lrr": 1}}}, "no setting 'lrr'"),
        ({"never": never, "ease": "ease"}, {}, "ease takes clicks"),
        ([], {}, "nothing to compare"),
        (["mean", "mean"], {}, "mean comes twice"),
        ([never], {}, "no name"),
        ("mean", {}, "a list of them"),
    )
    for fitters, more, message in wrong:
        with pytest.raises((SettingError, DataError), match=message):
            compare(fitters, parts, **more)
    with pytest.raises(SettingError, match="no splits"):
        compare(["mean"], [])


def test_details_change_no_figure(parts):
    fitters = {"sgd": "sgd", "gibbs": "gibbs"}
    settings = {"sgd": {"n_factors": 3, "n_epochs": 3}, "gibbs": {"n_factors": 2, "n_sweeps": 8, "keep": 4}}
    plain = compare(fitters, parts, settings=settings, n_resamples=0)
    detailed = compare(fitters, parts, settings=settings, n_resamples=0, details=True)
    assert errors(plain) == errors(detailed)
    assert "valid" in detailed["sgd"].log[-1] and "valid" not in plain["sgd"].log[-1]
    assert detailed["sgd"].calibration.counts.sum() == len(parts.test)
    assert 0.5 < detailed["gibbs"].held < 1 and detailed["sgd"].held is None


def test_calibration_is_sums_by_bin():
    guesses = Guesses(np.array([0.9, 1.2, 1.4, 4.9, 7.0]), np.array([1.0, 2.0, 1.0, 5.0, 4.0]))
    found = Calibration.of(guesses, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert list(found.counts) == [3, 0, 0, 2]
    assert np.allclose(found.points(1), [(3.5 / 3, 4 / 3, 3), (5.95, 4.5, 2)])
    both = found + found
    assert list(both.counts) == [6, 0, 0, 4] and len(both.points(5)) == 1
    assert both.points(5)[0][:2] == found.points(3)[0][:2]


def test_holm_by_hand():
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(p) == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    odd = holm({"a": float("nan"), "b": 0.02})
    assert odd["b"] == 0.02 and np.isnan(odd["a"])
    assert holm({}) == {}


def test_p_is_below_a_twentieth_where_the_interval_leaves_zero_out(parts):
    """The same bootstrap read twice: of several rows some differ for sure, some do not."""
    noise = {f"noise {k}": partial(_noisy, scale=s) for k, s in enumerate((0.0, 0.001, 0.02, 0.05, 0.2, 0.5))}
    train, _, test = parts
    scorers = {"bias": bias(train)} | {name: fit(train) for name, fit in noise.items()}
    found = evaluation.compare(scorers, test, metrics=("rmse",), n_resamples=999)
    sure = []
    for name, gap in found.differences.items():
        p = found.p_values[name]["rmse"]
        outside = not gap["rmse"].low <= 0 <= gap["rmse"].high
        sure.append(outside)
        assert (p < 0.05) == outside or abs(p - 0.05) < 0.005, (name, p, gap)
        assert 2 / 1000 <= p <= 1
    assert any(sure) and not all(sure)


def _noisy(train, scale):
    """Bias, with noise on every guess."""
    fitted, shift = bias(train), np.random.default_rng(9).normal(0, scale, 10_000)
    return FromFunction(lambda u, i: fitted.score(u, i) + shift[(u * 101 + i) % 10_000], train)


def test_where_nothing_differs_p_is_spread_evenly():
    """Two rows of equal worth, 200 times: about a twentieth of the p-values is below a twentieth."""
    from dotbias.evaluation.bootstrap import p_value, resample
    from dotbias.metrics import find_metric

    rng, metric, p = np.random.default_rng(0), find_metric("mse"), []
    users = np.arange(40)
    for _ in range(200):
        n = rng.integers(1, 30, 40).astype(float)
        sums = [n * rng.gamma(4, 0.25, 40) for _ in range(2)]
        means = [s.sum() / n.sum() for s in sums]
        x = np.stack([sums[0] - means[0] * n, n, sums[1] - means[1] * n, n], 1)
        draws = resample([(users, [x])], 40, 199, rng)[0][0]
        p.append(p_value((means[0], metric), (means[1], metric), x, draws))
    assert 0.01 < np.mean(np.array(p) < 0.05) < 0.11
    assert 0.35 < np.mean(p) < 0.65


def test_costs_are_of_the_call():
    def work():
        return np.ones(4_000_000).sum()

    result, cost = costing(work)
    assert result == 4_000_000 and cost.seconds > 0 and cost.processor > 0
    assert cost.memory is None or 25e6 < cost.memory < 60e6


def test_it_prints_and_is_json(parts):
    result = compare(["mean", "bias"], parts, n_resamples=50)
    text = repr(result)
    assert "less bias" in text and "p (Holm)" in text and "reference" in text
    kept = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [row["name"] for row in kept["rows"]] == ["bias", "mean"]
    assert kept["rows"][1]["rmse_difference"][0] > 0 and kept["rows"][1]["rmse_p"] < 0.05
    odd = compare({"<script>": mean, "bias": bias}, parts, n_resamples=0)
    assert "<script>" not in odd._repr_html_() and "&lt;script&gt;" in odd._repr_html_()
    with pytest.raises(SettingError, match="'knn' was not compared"):
        _ = result["knn"]


def test_a_fitter_is_known_by_its_function():
    assert of(bias) is find("bias") and of(SMALL) is find("sgd") and of(lambda train: None) is None
