"""Lists in ``evaluate``: against brute force, against what is recommended, in blocks; and what is known of a rating."""

import dataclasses
import json
import math

import battery
import numpy as np
import pytest

from dotbias import Recommender, datasets, split
from dotbias.baselines import bias, knn, popular
from dotbias.errors import DataError, SettingError
from dotbias.evaluation import ORDERS, cross_validate, evaluate, evaluate_sampled, known, places, ranked, threshold
from dotbias.factors import Factors
from dotbias.metrics import NOWHERE, Metric, find_metric
from dotbias.metrics.kinds import each
from dotbias.ratings import Ids
from dotbias.scorer import Intervals, Ranks, Scorer, Stars

LISTS = ("ndcg@10", "recall@5", "mrr", "auc", "map@10", "coverage@10", "novelty@10", "gini@5", "popularity_lift@10")


class Tied:
    """Ranks by hand: a few values, so that many are equal."""

    offers, tables = (Scorer, Ranks), None

    def __init__(self, n_items):
        self.values = np.random.default_rng(0).integers(0, 3, (200, n_items)).astype(np.float32) - 1.0
        self.values[self.values == 0] *= -1  # some zeros are negative: equal all the same

    def score(self, users, items, times=None):
        return self.values[users, items]

    def score_all(self, users, times=None):
        return self.values[users]

    rank, rank_all = score, score_all


def order_of(scorer, train, user):
    """One user's list, sorted by hand: highest rank first, then the lower row."""
    seen = set(train.items[train.users == user].tolist())
    rank = scorer.rank_all(np.array([user], np.int32))[0]
    candidates = [i for i in range(train.n_items) if train.item_counts[i] and i not in seen]
    return sorted(candidates, key=lambda i: (-rank[i], i))


@pytest.mark.parametrize("cells", [1 << 21, 60, 1])
@pytest.mark.parametrize("depth", [3, None])
def test_lists_are_sorted_catalogues_ties_by_row_in_any_blocks(monkeypatch, cells, depth):
    monkeypatch.setattr(ranked, "CELLS", cells)
    train, test = battery.parts()
    scorer, users = Tied(train.n_items), np.unique(test.users)
    name = "mrr" if depth is None else f"mrr@{depth}"
    metrics = [find_metric(name), find_metric("coverage@7")]
    depth = None if depth is None else 7
    order = ranked.every(scorer, train, "rating", 4.0)
    found = ranked.rank(order, test, ranked.Seen.of(train, test.n_users), users, metrics=metrics, like=4.0)
    relevant = {(u, i) for u, i, v in zip(test.users, test.items, test.values, strict=True) if v >= 4}
    assert len(found.owner) == len(relevant)
    orders = [order_of(scorer, train, u) for u in users]
    for g, order in enumerate(orders):
        assert found.top[g].tolist() == (order + [-1] * 7)[:7]
        assert found.n_candidates[g] == len(order)
    places = {
        (int(u), int(i)): (orders[g].index(i) if i in orders[g] else NOWHERE)
        for g, u in enumerate(users)
        for i in test.items[(test.users == u) & (test.values >= 4)]
    }
    if depth is not None:
        places = {pair: place if place == NOWHERE else min(place, depth) for pair, place in places.items()}
    for g in range(len(users)):
        own = sorted(p for (u, _), p in places.items() if u == users[g])
        assert sorted(found.place[found.owner == g].tolist()) == own


def test_the_list_is_what_is_recommended():
    train, test = battery.parts()
    for scorer in (bias(train), knn(train), popular(train)):
        users = np.unique(test.users)
        seen = ranked.Seen.of(train, test.n_users)
        for order in ORDERS:
            by = ranked.every(scorer, train, order, 4.0)
            found = ranked.rank(by, test, seen, users, metrics=[find_metric("ndcg@10")], like=4.0)
            ids = [train.user_ids[int(u)] for u in users]
            recommended = Recommender(scorer, train).recommend(ids, 10, order=order, like=4.0)
            for row, answer in zip(found.top, recommended.values(), strict=True):
                assert [f"a{i}" for i in row if i >= 0] == [r.item_id for r in answer]


def test_figures_are_means_over_users_with_something_relevant():
    train, test = battery.parts()
    scorer = bias(train)
    report = evaluate(scorer, test, train=train, metrics=("rmse", *LISTS), like=4.5, order="rating")
    recalls, mrrs = [], []
    for u in np.unique(test.users):
        relevant = test.items[(test.users == u) & (test.values >= 4.5)].tolist()
        if relevant:
            order = order_of(scorer, train, u)
            recalls.append(len(set(order[:5]) & set(relevant)) / len(relevant))
            mrrs.append(max((1 / (order.index(i) + 1) for i in relevant if i in order), default=0))
    assert report.values["recall@5"] == pytest.approx(np.mean(recalls))
    assert report.values["mrr"] == pytest.approx(np.mean(mrrs))
    assert report.counted["mrr"] == len(mrrs) < report.n_users
    for name in LISTS:
        low, high = report.interval[name]
        assert low <= report.values[name] <= high
    assert (report.order, report.like) == ("rating", 4.5)
    assert "4.5 and more" in repr(report) and "popular" in repr(report)
    assert json.dumps(report.to_dict(), allow_nan=False)


def test_popularity_stands_beside_as_the_fitter_has_it():
    train, test = battery.parts()
    beside = evaluate(bias(train), test, train=train, metrics=("rmse", *LISTS)).reference["popular"]
    own = evaluate(popular(train), test, train=train, metrics=LISTS)
    assert beside.values == own.values and beside.intervals == own.interval
    assert own.reference["popular"].values == own.values


def test_lists_alone_same_bits_and_clicks():
    train, test = battery.parts()
    scorer = bias(train)
    first = evaluate(scorer, test, train=train, metrics=LISTS)
    assert evaluate(scorer, test, train=train, metrics=LISTS) == first
    both = evaluate(scorer, test, train=train, metrics=("rmse", *LISTS))
    assert all(both.values[n] == first.values[n] and both.interval[n] == first.interval[n] for n in LISTS)
    clicks = [dataclasses.replace(r, values=None) for r in (train, test)]
    every = evaluate(scorer, clicks[1], train=clicks[0], metrics=LISTS)
    assert every.like is None and "each held-out click" in repr(every)
    low = evaluate(scorer, test, train=train, metrics=LISTS, like=-1.0, order="rating")
    assert every.values == low.values
    with pytest.raises(DataError, match=r"rmse measures guesses of ratings(.|\n)*ndcg@10, recall@20"):
        evaluate(scorer, clicks[1], train=clicks[0], metrics=("mrr", "rmse"))
    report = evaluate(scorer, clicks[1], train=clicks[0])
    assert list(report.values) == ["ndcg@10", "recall@20", "hit_rate@10"]
    assert f"{len(test):,} clicks of" in repr(report) and "the most clicked items" in repr(report)
    with pytest.raises(SettingError, match="needs train"):
        evaluate(scorer, clicks[1])
    assert list(cross_validate(popular, clicks[0], k=2, n_resamples=0).pooled.values) == list(report.values)


def test_the_default_threshold_is_reached_by_two_fifths_of_train():
    train, _ = battery.parts()
    stars = dataclasses.replace(train, values=np.rint(train.values))
    like = threshold(stars)
    assert (stars.values >= like).mean() >= 0.4 > (stars.values > like).mean()
    assert threshold(dataclasses.replace(train, values=None)) is None
    half = dataclasses.replace(train, values=np.repeat([1.0, 2.0], len(train) // 2 + 1)[: len(train)])
    assert threshold(half) == 2.0


def test_an_order_of_ones_own():
    train, test = battery.parts()

    def by_row(scorer, users):
        return np.tile(-np.arange(train.n_items, dtype=np.float32), (len(users), 1))

    report = evaluate(bias(train), test, train=train, metrics=("coverage@1", "ndcg@10"), order=by_row)
    assert report.order == "by_row" and "order: by_row" in repr(report)
    same = evaluate(bias(train), test, train=train, metrics=("ndcg@10",))
    assert same.values["ndcg@10"] != report.values["ndcg@10"]
    assert same.reference == evaluate(bias(train), test, train=train, metrics=("ndcg@10",), order=by_row).reference
    with pytest.raises(SettingError, match="no order 'likd'"):
        evaluate(bias(train), test, train=train, metrics=("ndcg@10",), order="likd")
    with pytest.raises(DataError, match=r"the order has the shape \(\d+, 3\)"):
        evaluate(bias(train), test, train=train, metrics=("ndcg@10",), order=lambda s, u: np.zeros((len(u), 3)))
    with pytest.raises(DataError, match="ranks are no finite numbers"):
        evaluate(bias(train), test, train=train, metrics=("ndcg@10",), order=lambda s, u: by_row(s, u) * np.nan)


def test_what_lists_need():
    train, test = battery.parts()
    with pytest.raises(SettingError, match="it needs train"):
        evaluate(bias(train), test, metrics=("ndcg@10",))
    with pytest.raises(SettingError, match="comes twice"):
        evaluate(bias(train), test, metrics=("rmse", "rmse"))
    with pytest.raises(SettingError, match="no metric to measure"):
        evaluate(bias(train), test, metrics=())
    with pytest.raises(SettingError, match="needs given negatives"):
        evaluate(bias(train), test, train=train, metrics=("sampled_ndcg@10",))
    with pytest.raises(SettingError, match="does not support intervals"):
        evaluate(bias(train), test, metrics=("coverage80",))
    with pytest.raises(SettingError, match="does not support probabilities of stars"):
        evaluate(bias(train), test, metrics=("rps",))
    nothing = evaluate(bias(train), test, train=train, metrics=("rmse", "ndcg@10"), like=99.0)
    assert math.isnan(nothing.values["ndcg@10"]) and "no held-out rating is 99 or more" in repr(nothing)
    assert nothing.to_dict()["ndcg@10"] is None and json.dumps(nothing.to_dict(), allow_nan=False)


def test_a_metric_of_ones_own_is_a_value():
    train, test = battery.parts()
    above = Metric("too_high", "guesses", lambda g: each((g.predicted > g.actual) * 1.0), "neither", most=1.0)
    report = evaluate(bias(train), test, metrics=(above,))
    guess = bias(train).score(test.users, test.items)
    assert report.values["too_high"] == pytest.approx((guess > test.values).mean())
    assert 0 <= report.interval["too_high"][0] < report.interval["too_high"][1] <= 1


def test_rows_past_the_end_of_trains_tables_are_never_found():
    train, test = battery.parts()
    grown = dataclasses.replace(
        test,
        item_ids=Ids([*train.item_ids, "new"]),
        item_table=None,
        items=np.where(np.arange(len(test)) % 9 == 0, 50, test.items),
    )
    scorer = bias(train)
    report = evaluate(scorer, grown, train=train, metrics=LISTS, like=1.0)
    assert report.values["recall@5"] < evaluate(scorer, test, train=train, metrics=LISTS, like=1.0).values["recall@5"]


# Stars and intervals -----------------------------------------------------------------------------------------------


class Sure:
    """Five stars of equal probability, and one interval for all."""

    offers, tables, stars = (Scorer, Stars, Intervals), None, np.array([1.0, 2, 3, 4, 5])

    def score(self, users, items, times=None):
        return np.full(len(users), 3.0, np.float32)

    def score_all(self, users, times=None):
        raise NotImplementedError

    def star_probabilities(self, users, items, times=None):
        return np.full((len(users), 5), 0.2)

    def interval(self, users, items, times=None, *, level=0.8):
        assert level == 0.8
        return np.full(len(users), 2.0, np.float32), np.full(len(users), 4.0, np.float32)


def test_stars_and_intervals_of_a_scorer_that_knows_them():
    train, test = battery.parts()
    stars = dataclasses.replace(test, values=np.rint(test.values))
    names = ("rmse", "log_loss", "rps", "pit", "coverage80", "width80")
    report = evaluate(Sure(), stars, train=train, metrics=names)
    assert report.values["log_loss"] == pytest.approx(math.log(5))
    assert report.values["width80"] == 2 and report.interval["width80"] == (2, 2)
    assert report.values["coverage80"] == pytest.approx(((stars.values >= 2) & (stars.values <= 4)).mean())
    assert report.interval["pit"][0] <= report.values["pit"] <= report.interval["pit"][1]
    assert "pit" in report.by["known"]["warm"].values
    with pytest.raises(DataError, match="are no star that the scorer knows"):
        evaluate(Sure(), test, metrics=("rps",))


# What is known -----------------------------------------------------------------------------------------------------


def test_groups_by_brute_force():
    train, test = battery.parts()
    day = 86_400
    times = np.sort(np.random.default_rng(0).integers(0, 40 * day, len(train) + len(test)))
    train = dataclasses.replace(train, times=np.random.default_rng(1).permutation(times[: len(train)]))
    test = dataclasses.replace(test, times=np.random.default_rng(2).permutation(times[-len(test) :] - 5 * day))
    scorer = bias(train)
    report = evaluate(scorer, test, train=train, metrics=("mse", "ndcg@10"))
    error = (scorer.score(test.users, test.items) - test.values) ** 2
    days = {(u, t // day) for u, t in zip(train.users.tolist(), train.times.tolist(), strict=True)}
    last = train.times.max()

    def label(k):
        u, i, t = int(test.users[k]), int(test.items[k]), int(test.times[k])
        n_u, n_i = train.user_counts[u], train.item_counts[i]

        def count(n):
            return "0" if n == 0 else "1-4" if n < 5 else "5-19" if n < 20 else "20-99" if n < 100 else "100+"

        later = t - last
        since = "before its end" if later <= 0 else "within a day" if later <= day else "within a week"
        since = since if later <= 7 * day else "within 30 days" if later <= 30 * day else "later"
        return {
            "user_ratings": count(n_u),
            "item_ratings": count(n_i),
            "known": ["warm", "cold user", "cold item", "both cold"][int(n_u == 0) + 2 * int(n_i == 0)],
            "session": "known" if (u, t // day) in days else "new",
            "since_train": since,
        }

    labels = [label(k) for k in range(len(test))]
    assert list(report.by) == list(labels[0])
    for facet, parts in report.by.items():
        of = np.array([found[facet] for found in labels])
        assert set(parts) == set(of)
        for name, part in parts.items():
            assert part.n_ratings == (of == name).sum() and part.values["mse"] == pytest.approx(
                error[of == name].mean()
            )
            assert part.n_users == len(np.unique(test.users[of == name]))
    assert {"known", "new"} == set(report.by["session"])
    assert report.warm["mse"] == report.by["known"]["warm"].values["mse"]
    assert "ndcg@10" in report.by["user_ratings"]["5-19"].values
    assert "ndcg@10" not in report.by["session"]["new"].values
    text = repr(report.breakdown("mse"))
    assert "user_ratings" in text and "since_train" in text and "95 % interval" in text


def test_lists_of_a_group_are_those_of_its_users():
    train, test = battery.parts()
    scorer = bias(train)
    report = evaluate(scorer, test, train=train, metrics=LISTS, like=4.0)
    few = np.flatnonzero((train.user_counts >= 5) & (train.user_counts < 20))
    alone = evaluate(scorer, test.take(np.isin(test.users, few)), train=train, metrics=LISTS, like=4.0)
    for name, value in alone.values.items():
        assert report.by["user_ratings"]["5-19"].values[name] == pytest.approx(value), name


def test_padded_counts():
    assert known.padded(np.array([1, 2]), 4).tolist() == [1, 2, 0, 0]
    assert known.padded(np.array([1, 2, 3]), 2).tolist() == [1, 2]


def test_the_question_is_in_the_report():
    parts = split.last_share(battery.world())
    report = evaluate(bias(parts.train), parts.test, train=parts.train, metrics=("rmse", "ndcg@10"))
    assert report.question == split.NEXT == report.to_dict()["question"]
    assert f"The split asks: {split.NEXT}" in repr(report)


def test_cross_validation_of_lists():
    result = cross_validate(bias, battery.world(), k=3, metrics=("rmse", "ndcg@10"), n_resamples=50, rng=0)
    counted = [f.counted["ndcg@10"] for f in result.folds]
    mean = np.average([f.values["ndcg@10"] for f in result.folds], weights=counted)
    assert result.pooled.values["ndcg@10"] == pytest.approx(mean)
    beside = np.average([f.reference["popular"].values["ndcg@10"] for f in result.folds], weights=counted)
    assert result.pooled.reference["popular"].values["ndcg@10"] == pytest.approx(beside)
    assert result.pooled.question == split.HOLES


# Sampled, and real data --------------------------------------------------------------------------------------------


def test_sampled_evaluation():
    rng = np.random.default_rng(0)
    scorer = Factors(0.0, np.zeros(20), np.arange(200.0), np.zeros((20, 0)), np.zeros((200, 0)))
    users, items = np.arange(20), rng.integers(100, 200, 20)
    negatives = np.stack([rng.permutation(100)[:30] for _ in users])
    negatives[:5, :12] = 199  # better than nearly all
    report = evaluate_sampled(scorer, users, items, negatives)
    places = (negatives >= items[:, None]).sum(1)
    assert report.values["sampled_hit_rate@10"] == pytest.approx((places < 10).mean())
    assert report.values["sampled_ndcg@10"] == pytest.approx(np.where(places < 10, 1 / np.log2(places + 2), 0).mean())
    assert "SAMPLED" in repr(report)
    with pytest.raises(SettingError, match="is no sampled metric"):
        evaluate_sampled(scorer, users, items, negatives, metrics=("ndcg@10",))


def test_popularity_and_ease_on_ml_100k(data):
    """The figures that are known: most popular 0.171, EASE 0.381."""
    from bench.ranking import Ease

    parts = split.random(datasets.load("ml-100k"), test=0.2, rng=0)
    report = evaluate(Ease(parts.train), parts.test, train=parts.train, metrics=("ndcg@10",), n_resamples=50)
    assert report.like == 4
    assert report.values["ndcg@10"] == pytest.approx(0.381, abs=0.003)
    assert report.reference["popular"].values["ndcg@10"] == pytest.approx(0.171, abs=0.003)


@pytest.mark.parametrize("n_items,depth", [(30, 10), (1_000, 10), (1_003, 15), (1_003, 16), (700, 1), (5, 9)])
@pytest.mark.parametrize("n_values", [2, 40, 10**6])
def test_first_items_and_places_are_those_of_a_sort(n_items, depth, n_values):
    rng = np.random.default_rng(n_items + depth)
    ranks = rng.integers(-n_values, n_values, (7, n_items)).astype(np.float32)
    ranks[ranks == 0] *= rng.choice([-1, 1], (ranks == 0).sum())
    ranks[rng.random(ranks.shape) < 0.3] = places.NONE
    ranks[3, 5:] = places.NONE  # nearly nothing to choose from
    ranks[4] = 1.0  # all alike
    order = np.lexsort((np.broadcast_to(np.arange(n_items), ranks.shape), -ranks), axis=1)
    there = np.take_along_axis(ranks, order, 1) > places.NONE
    top = places.first(ranks.copy(), depth)
    np.testing.assert_array_equal(top, np.where(there, order, -1)[:, :depth])
    owner = np.sort(rng.integers(0, 7, 60))
    items = rng.integers(0, n_items, 60)
    wanted = ranks[owner, items]
    expected = np.where(wanted > places.NONE, np.argsort(order, axis=1)[owner, items], NOWHERE)
    for few in (0, 64):  # sorted, counted
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(places, "FEW", few)
            np.testing.assert_array_equal(places.counted(ranks, owner, items, wanted), expected)
    near = np.where(expected < NOWHERE, np.minimum(expected, top.shape[1]), NOWHERE)
    np.testing.assert_array_equal(places.within(top, owner, items, wanted), near)


@pytest.mark.parametrize("cells", [1 << 21, 60, 1])
@pytest.mark.parametrize("names", [("mrr", "coverage@7"), ("mrr@3", "coverage@7"), ("auc@500",)])
def test_one_order_for_all_is_that_order_for_each(monkeypatch, cells, names):
    monkeypatch.setattr(ranked, "CELLS", cells)
    train, test = battery.parts()
    users, seen = np.unique(test.users), ranked.Seen.of(train, test.n_users)
    rank = np.random.default_rng(0).integers(-2, 3, train.n_items).astype(np.float32)
    metrics = [find_metric(n) for n in names]
    each = ranked.rank(lambda users: np.tile(rank, (len(users), 1)), test, seen, users, metrics=metrics, like=3.0)
    alike = ranked.rank(ranked.Alike.of(rank, seen), test, seen, users, metrics=metrics, like=3.0)
    for a, b in zip(each[:5], alike[:5], strict=True):
        np.testing.assert_array_equal(a, b)


def test_ranks_that_are_no_numbers_are_refused_and_the_orders_own_array_is_left_alone():
    train, test = battery.parts()
    users, seen = np.unique(test.users), ranked.Seen.of(train, test.n_users)
    own = np.random.default_rng(0).random((test.n_users, train.n_items))
    before, ask = own.copy(), {"metrics": [find_metric("mrr")], "like": 3.0}
    ranked.rank(lambda users: own[: len(users)], test, seen, users, **ask)
    np.testing.assert_array_equal(own, before)
    for bad in (np.nan, np.inf, -np.inf, 1e300):
        own[1, 2] = bad
        with pytest.raises(DataError, match="1 ranks are no finite numbers"):
            ranked.rank(lambda users: own[: len(users)], test, seen, users, **ask)
