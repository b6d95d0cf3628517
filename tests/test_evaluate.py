import dataclasses
import json
import subprocess
import sys
from functools import partial

import battery
import numpy as np
import pytest

from dotbias import metrics, split
from dotbias.baselines import bias, mean
from dotbias.errors import DataError, SettingError
from dotbias.evaluation import bootstrap, compare, cross_validate, evaluate, scored
from dotbias.factors import Factors
from dotbias.ratings import Ids
from dotbias.scorer import Scorer, Timed
from dotbias.times import NOW, UNKNOWN


def fitted():
    train, test = battery.parts()
    return bias(train), train, test


def test_headline_is_all_rows_and_warm_stands_beside_it():
    scorer, train, test = fitted()
    report = evaluate(scorer, test, train=train)
    guess = scorer.score(test.users, test.items)
    for name in ("rmse", "mse", "mae"):
        f = getattr(metrics, name)
        assert getattr(report, name) == pytest.approx(f(guess, test.values))
        assert report.warm[name] == pytest.approx(f(guess[~test.cold], test.values[~test.cold]))
        low, high = report.interval[name]
        assert low < getattr(report, name) < high
    assert report.n_test == len(test) and report.n_users == len(np.unique(test.users))
    assert (report.n_cold_users, report.n_cold_items, report.n_cold_rows) == (1, 1, test.cold.sum())


def test_a_frame_is_no_ratings():
    scorer, train, test = fitted()
    with pytest.raises(DataError, match="test is a DataFrame, not Ratings"):
        evaluate(scorer, test.to_frame())
    with pytest.raises(DataError, match="train is a DataFrame, not Ratings"):
        evaluate(scorer, test, train=train.to_frame())


@pytest.mark.parametrize("wrong", [{"like": float("nan")}, {"like": "4"}, {"n_resamples": -1}, {"n_resamples": 2.5}])
def test_settings_that_make_no_sense(wrong):
    scorer, train, test = fitted()
    with pytest.raises(SettingError, match=f"{min(wrong)} is "):
        evaluate(scorer, test, train=train, metrics=["ndcg@10"], **wrong)


def test_cold_counts_without_train_are_inferred_or_unknown():
    scorer, train, test = fitted()
    for rows in (np.isin(test.users, test.users[~test.cold]), np.isin(test.items, test.items[~test.cold])):
        told = test.take(rows)  # all these users are known: so it is the items; and the other way round
        without, given = evaluate(scorer, told).to_dict(), evaluate(scorer, told, train=train).to_dict()
        groups = without.pop("by"), given.pop("by")
        assert without == given
        assert list(groups[0]) == ["known"] and groups[0]["known"]["warm"] == groups[1]["known"]["warm"]
    both = test.take((test.users == 0) & (test.items < 5))  # nothing here tells whether user or items are cold
    report = evaluate(scorer, both)
    assert report.n_cold_users is None and report.n_cold_rows == len(both) and report.warm == {}
    report = evaluate(scorer, dataclasses.replace(test, cold=None))
    assert report.n_cold_rows is None and report.warm == {}
    assert "is not known" in repr(report)


def test_json_keys():
    scorer, train, test = fitted()
    out = json.loads(json.dumps(evaluate(scorer, test, train=train).to_dict(), allow_nan=False))
    names = {f"{m}{s}" for m in ("rmse", "mse", "mae") for s in ("", "_interval", "_warm", "_users")}
    counts = {"n_test", "n_users", "n_cold_users", "n_cold_items", "n_cold_rows"}
    assert set(out) == names | counts | {"notes", "question", "times", "reference", "by"}
    assert len(out["rmse_interval"]) == 2


def test_same_rng_same_bits_and_blocks_change_nothing(monkeypatch):
    scorer, _, test = fitted()
    first = evaluate(scorer, test, n_resamples=100, rng=3)
    assert evaluate(scorer, test, n_resamples=100, rng=3) == first
    assert evaluate(scorer, test, n_resamples=100, rng=4).interval != first.interval
    monkeypatch.setattr(scored, "BLOCK", 7)
    monkeypatch.setattr(bootstrap, "RESAMPLE_BLOCK", 300)
    blocked = evaluate(scorer, test, n_resamples=100, rng=3)
    assert blocked.rmse == pytest.approx(first.rmse, abs=1e-12)
    assert blocked.interval["mse"] == pytest.approx(first.interval["mse"], abs=1e-12)


def test_the_interval_is_that_of_a_studentised_bootstrap_over_users():
    """By the book: draw users, and the mean error, and its own standard error; t of each draw; turn round."""
    scorer, _, test = fitted()
    error = metrics.squared_error(scorer.score(test.users, test.items), test.values)
    rng, users = np.random.default_rng(0), np.unique(test.users)
    sums = np.array([(error[test.users == u].sum(), (test.users == u).sum()) for u in users])

    def mean_and_error(of):
        mean = of[:, 0].sum() / of[:, 1].sum()
        return mean, np.sqrt(((of[:, 0] - mean * of[:, 1]) ** 2).sum()) / of[:, 1].sum()

    mean, own = mean_and_error(sums)
    drawn = [mean_and_error(sums[rng.integers(len(users), size=len(users))]) for _ in range(4000)]
    t = np.percentile([(m - mean) / s for m, s in drawn], (97.5, 2.5))
    low, high = evaluate(scorer, test, n_resamples=4000).interval["mse"]
    assert (low, high) == pytest.approx(tuple(mean - t * own), abs=0.04 * (high - low))
    assert evaluate(scorer, test, n_resamples=4000).interval["rmse"] == pytest.approx((low**0.5, high**0.5))


def test_the_interval_covers_the_truth_about_19_times_in_20():
    """Users whose errors go together: means N(1, 0.5²), 8 ratings each; independent rows would be far too sure."""
    rng, hits = np.random.default_rng(0), 0
    base = battery.world(n_users=60, n_items=8, n_ratings=480)
    zero = Factors(0.0, np.zeros(60), np.zeros(8), np.zeros((60, 0)), np.zeros((8, 0)))
    for k in range(150):
        values = (rng.normal(1, 0.5, 60)[base.users] + rng.normal(0, 0.1, 480)).clip(0.01).astype(np.float32)
        low, high = evaluate(zero, dataclasses.replace(base, values=values), rng=k, n_resamples=300).interval["mae"]
        hits += low < 1.004 < high  # E max(x, 0.01) lies a little above 1
    assert 0.88 < hits / 150 < 0.99


def test_one_user_has_no_interval():
    scorer, _, test = fitted()
    report = evaluate(scorer, test.take(test.users == 3))
    assert report.interval == {} and report.to_dict()["rmse_interval"] is None and "no interval" in repr(report)


def test_what_train_holds_is_refused():
    scorer, train, _ = fitted()
    with pytest.raises(DataError, match=r"3 of 3 test ratings are in train, too: the first is user \d+, item 'a"):
        evaluate(scorer, train.take(np.arange(3)), train=train)


def test_other_id_tables_are_refused_and_grown_ones_are_not():
    scorer, train, test = fitted()
    other = dataclasses.replace(test, user_ids=Ids(range(500, 580)))
    with pytest.raises(DataError, match="number their users or items differently"):
        evaluate(scorer, other, train=train)
    grown = dataclasses.replace(test, item_ids=Ids([*train.item_ids, "new"]), item_table=None)
    assert evaluate(scorer, grown, train=train).rmse == evaluate(scorer, test, train=train).rmse


class Odd:
    """A scorer that answers what it is told to."""

    offers, tables = (Scorer,), None

    def __init__(self, answer):
        self.answer = answer

    def score(self, users, items, times=None):
        return self.answer(users, times)

    def score_all(self, users, times=None):
        raise NotImplementedError


def test_bad_scores_are_errors():
    _, _, test = fitted()
    with pytest.raises(DataError, match="is nan"):
        evaluate(Odd(lambda u, t: np.full(len(u), np.nan)), test)
    with pytest.raises(DataError, match="broadcast"):
        evaluate(Odd(lambda u, t: np.zeros((len(u), 1))), test)
    with pytest.raises(DataError, match="no ratings here"):
        evaluate(Odd(lambda u, t: np.zeros(len(u))), test.take(np.arange(0)))
    with pytest.raises(SettingError, match="needs train"):  # clicks are measured by lists
        evaluate(Odd(lambda u, t: np.zeros(len(u))), dataclasses.replace(test, values=None))
    with pytest.raises(DataError, match="rmse measures guesses of ratings, and these are clicks"):
        evaluate(Odd(lambda u, t: np.zeros(len(u))), dataclasses.replace(test, values=None), metrics=("rmse",))
    with pytest.raises(SettingError, match="did you mean"):
        evaluate(Odd(lambda u, t: np.zeros(len(u))), test, metrics=("rmsee",))


def test_times_are_passed_and_their_use_is_noted():
    _, _, test = fitted()
    seen = []
    scorer = Odd(lambda u, t: (seen.append(t), np.full(len(u), 3.0))[1])
    assert evaluate(scorer, test).notes == () and evaluate(scorer, test, times="now").times is None
    assert seen == [None, None]
    scorer.offers = (Scorer, Timed)
    told = {"given": "rating's time given", "unknown": "time unknown", "now": "now"}
    for asked, words in told.items():
        report = evaluate(scorer, test, times=asked)
        assert report.notes == (words,) and report.times == report.to_dict()["times"] == words
        assert words in repr(report)
    assert np.array_equal(seen[2], test.times) and seen[3] is None and (seen[4] == NOW).all()
    assert evaluate(scorer, dataclasses.replace(test, times=None)).notes == ("time unknown",)
    holes = np.where(np.arange(len(test)) < 7, UNKNOWN, test.times)
    told = evaluate(scorer, dataclasses.replace(test, times=holes), times="given").times
    assert told == "rating's time given, but for 7 of them"
    one = test.take(np.array([0]))
    early = dataclasses.replace(one, users=one.users * 0 + 5, times=test.times.min() - np.ones(1, np.int64))
    assert evaluate(scorer, test).notes == ("time unknown",)  # by default as served
    assert evaluate(scorer, test, train=early).notes == ("now",)
    with pytest.raises(SettingError, match="times is 'today'"):
        evaluate(scorer, test, times="today")


def test_only_the_metrics_asked_for():
    scorer, _, test = fitted()
    report = evaluate(scorer, test, metrics=("mae",))
    assert set(report.values) == {"mae"}
    with pytest.raises(SettingError, match="rmse was not asked for"):
        _ = report.rmse


def test_compare_is_paired():
    scorer, train, test = fitted()
    result = compare({"mean": mean(train), "bias": scorer, "again": mean(train)}, test, train=train)
    assert set(result.differences) == {"bias", "again"}
    d = result.differences["bias"]["rmse"]
    assert d.value == pytest.approx(result.reports["bias"].rmse - result.reports["mean"].rmse)
    assert d.low < d.value < d.high < 0
    assert result.differences["again"]["mse"] == (0, 0, 0)
    assert result.reports["bias"] == evaluate(scorer, test, train=train)
    low, high = result.reports["bias"].interval["rmse"]
    near = compare({"a": scorer, "b": bias(train, reg_bias_once=(4, 3))}, test).differences["b"]["rmse"]
    assert near.high - near.low < (high - low) / 5
    assert json.dumps(result.to_dict())
    with pytest.raises(SettingError, match="nothing to compare"):
        compare({}, test)


def test_cross_validation_pools_what_each_fold_held_out():
    ratings = battery.world()
    fit = partial(bias, reg_bias_once=(5, 3))
    result = cross_validate(fit, ratings, k=4, rng=1, n_resamples=50)
    assert len(result.folds) == 4 and sum(f.n_test for f in result.folds) == len(ratings)
    folds = list(split.folds(ratings, k=4, rng=1))
    for report, (train, _, test) in zip(result.folds, folds, strict=True):
        assert report.rmse == pytest.approx(metrics.rmse(fit(train).score(test.users, test.items), test.values))
    sizes = [f.n_test for f in result.folds]
    assert result.pooled.mse == pytest.approx(np.average([f.mse for f in result.folds], weights=sizes))
    assert result.pooled.interval["mse"][0] < result.pooled.mse < result.pooled.interval["mse"][1]
    assert json.dumps(result.to_dict())


def test_a_person_can_read_it():
    from rich.console import Console

    scorer, train, test = fitted()
    report = evaluate(scorer, test, train=train)
    console = Console(width=100)
    with console.capture() as capture:
        console.print(report)
    for text in (repr(report), capture.get()):
        assert f"{report.rmse:.4f}" in text and "that train never saw" in text and "95 % interval" in text


@pytest.mark.parametrize(
    ("cold", "words"),
    [
        ((0, 0, 0), "none of a user or an item that train never saw"),
        ((0, 1, 3), "3 of them of 1 item that train never saw"),
        ((2, 0, 3), "3 of them of 2 users that train never saw"),
        ((2, 1_000, 1_300), "1,300 of them of 2 users or 1,000 items that train never saw"),
        ((None, None, 3), "3 of them of ? users or ? items that train never saw"),
        ((None, None, None), "which of them train never saw is not known"),
    ],
)
def test_what_train_never_saw_is_said_in_words(cold, words):
    report = evaluate(*fitted()[:2])
    users, items, rows = cold
    report = dataclasses.replace(report, n_cold_users=users, n_cold_items=items, n_cold_rows=rows)
    assert report.footer()[0].endswith(f" users; {words}.")


@pytest.mark.parametrize("first", ["from dotbias import cross_validate", "import dotbias.evaluation", "import dotbias"])
def test_the_name_is_a_function_whatever_was_imported_first(first):
    code = f"{first}\nfrom dotbias import evaluate\nassert callable(evaluate)\nfrom dotbias.evaluation import compare"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reports_show_as_tables_in_notebooks():
    scorer, train, test = fitted()
    report = evaluate(scorer, test, train=train, n_resamples=20)
    html = report._repr_html_()
    assert html.startswith("<table>") and "RMSE" in html and "never saw" in html
    assert report.breakdown("rmse")._repr_html_().count("<tr>") > 2
