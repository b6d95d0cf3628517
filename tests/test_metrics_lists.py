"""Metrics of lists: by their definitions, by scikit-learn's where those are the same, and by hand at the edges."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias.errors import DataError, SettingError
from dotbias.metrics import LISTS, METRICS, NOWHERE, Catalogue, Lists, find_metric, sampled_lists
from dotbias.metrics.lists import auc, average_precision, hit_rate, ndcg, precision, recall, reciprocal_rank


def lists_of(orders, relevant, gains=None, n_items=12):
    """Lists from each user's ranked items, and the relevant ones."""
    width = max((len(o) for o in orders), default=0)
    top = np.array([[*o, *([-1] * (width - len(o)))] for o in orders], int).reshape(len(orders), width)
    owner = [g for g, items in enumerate(relevant) for _ in items]
    place = [o.index(i) if i in o else NOWHERE for o, items in zip(orders, relevant, strict=True) for i in items]
    gain = np.ones(len(owner)) if gains is None else np.array(list(itertools.chain(*gains)), float)
    n = np.array([len(o) for o in orders], int)
    return Lists(top, n, np.array(owner, int), np.array(place, int), gain)


@st.composite
def worlds(draw):
    """(orders, relevant, gains): up to 5 users, lists of up to 9 items of 12, relevant items in and outside them."""
    orders, relevant, gains = [], [], []
    for _ in range(draw(st.integers(1, 5))):
        shuffled = draw(st.permutations(range(12)))
        orders.append(list(shuffled[: draw(st.integers(0, 9))]))
        relevant.append(draw(st.lists(st.integers(0, 11), unique=True, max_size=6)))
        gains.append([draw(st.integers(1, 5)) for _ in relevant[-1]])
    return orders, relevant, gains


def brute(name, k, order, relevant, gains):
    """One user's value, by the definition."""
    if not relevant:
        return math.nan
    first = order if k is None else order[:k]
    hits = [i in relevant for i in first]
    gain = dict(zip(relevant, gains, strict=True))
    turned = {"ndcg": lambda r: 1, "ndcg_linear": lambda r: r, "ndcg_exp": lambda r: 2**r - 1}
    if name == "recall":
        return sum(hits) / len(relevant)
    if name == "precision":
        return sum(hits) / (max(len(order), 1) if k is None else k)
    if name == "hit_rate":
        return float(any(hits))
    if name in turned:
        of = turned[name]
        best = sorted((of(g) for g in gains), reverse=True)[: len(gains) if k is None else k]
        ideal = sum(g / math.log2(p + 2) for p, g in enumerate(best))
        return sum(of(gain[i]) / math.log2(p + 2) for p, i in enumerate(first) if i in gain) / ideal
    if name == "map":
        at_hits = [sum(hits[: p + 1]) / (p + 1) for p, hit in enumerate(hits) if hit]
        return sum(at_hits) / (len(relevant) if k is None else min(len(relevant), k))
    if name == "mrr":
        return next((1 / (p + 1) for p, hit in enumerate(hits) if hit), 0.0)
    raise AssertionError(name)


@given(worlds(), st.sampled_from(sorted(set(LISTS) - {"auc"})), st.sampled_from([1, 2, 3, 5, None]))
def test_they_are_their_definitions(world, name, k):
    orders, relevant, gains = world
    expected = [brute(name, k, *user) for user in zip(orders, relevant, gains, strict=True)]
    metric = LISTS[name](k)
    found = metric.values(lists_of(orders, relevant, gains))
    np.testing.assert_array_equal(found.counts, [float(x == x) for x in expected])
    np.testing.assert_allclose(found.values, np.nan_to_num(expected), atol=1e-12)
    mean = np.nanmean(expected) if any(x == x for x in expected) else math.nan
    assert metric.of(lists_of(orders, relevant, gains)) == pytest.approx(mean, nan_ok=True)


@given(worlds(), st.sampled_from([1, 2, 4, None]))
def test_auc_is_the_share_of_pairs_in_order_what_lies_below_k_in_any_order(world, k):
    orders, relevant, _ = world

    def user(order, items):
        """Mean over pairs; a relevant item that is not ranked loses, two items below k are even."""
        others = [i for i in order if i not in items]
        if not items or not others:
            return math.nan
        place = {i: min(p, len(order) if k is None else k) for p, i in enumerate(order)}
        won = [place[i] < place[j] if place[i] != place[j] else 0.5 for i in items if i in place for j in others]
        return sum(won) / (len(items) * len(others))

    expected = [user(o, items) for o, items in zip(orders, relevant, strict=True)]
    found = auc(k).values(lists_of(orders, relevant))
    np.testing.assert_array_equal(found.counts, [float(x == x) for x in expected])
    np.testing.assert_allclose(found.values, np.nan_to_num(expected), atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_they_are_scikit_learns_where_definitions_agree(seed, k):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores, stars = rng.permutation(12).astype(float), rng.integers(1, 6, 12)
    relevant = np.flatnonzero(rng.random(12) < 0.4)
    if not 0 < len(relevant) < 12:
        return
    truth = np.zeros(12)
    truth[relevant] = 1
    x = lists_of([np.argsort(-scores).tolist()], [relevant.tolist()], [stars[relevant].tolist()])
    assert ndcg(k).of(x) == pytest.approx(sklearn.ndcg_score(truth[None], scores[None], k=k))
    assert ndcg(k, gain="linear").of(x) == pytest.approx(sklearn.ndcg_score((truth * stars)[None], scores[None], k=k))
    graded = truth * (2.0**stars - 1)
    assert ndcg(k, gain="exp").of(x) == pytest.approx(sklearn.ndcg_score(graded[None], scores[None], k=k))
    assert average_precision(None).of(x) == pytest.approx(sklearn.average_precision_score(truth, scores))
    assert auc().of(x) == pytest.approx(sklearn.roc_auc_score(truth, scores))
    one = lists_of([np.argsort(-scores).tolist()], [[int(relevant[0])]])
    assert reciprocal_rank(None).of(one) == pytest.approx(
        sklearn.label_ranking_average_precision_score(np.eye(12)[[relevant[0]]], scores[None])
    )
    first = np.zeros(12)
    first[np.argsort(-scores)[:k]] = 1
    assert recall(k).of(x) == pytest.approx(sklearn.recall_score(truth, first))
    assert precision(k).of(x) == pytest.approx(sklearn.precision_score(truth, first))


def test_empty_lists_and_nobody():
    empty = lists_of([[], []], [[3], []])
    for metric in (
        recall(5),
        precision(5),
        precision(None),
        hit_rate(5),
        ndcg(5),
        average_precision(5),
        reciprocal_rank(5),
    ):
        assert metric.of(empty) == 0  # nothing found; the user without relevant items does not count
        assert metric.values(empty).counts.tolist() == [1, 0]
    assert math.isnan(auc().of(empty))  # there is no pair
    nobody = lists_of([[1, 2]], [[]])
    assert all(math.isnan(LISTS[name](5).of(nobody)) for name in LISTS)


def test_a_relevant_item_that_was_no_candidate_counts_against_the_list():
    x = lists_of([[1, 2, 3]], [[1, 9]])
    assert recall(3).of(x) == 0.5 and auc().of(x) == 0.5 and average_precision(3).of(x) == 0.5


def test_part_of_the_users():
    orders, relevant = [[1, 2, 3], [3, 2, 1], [2, 1]], [[1], [], [1, 2]]
    x = lists_of(orders, relevant)._replace(catalogue=Catalogue(np.ones(12), 3, np.arange(3.0), lambda i: i))
    which = np.array([True, False, True])
    part = x.take(which)
    for name in LISTS:
        whole = LISTS[name](2).values(x)
        found = LISTS[name](2).values(part)
        assert found.values.tolist() == whole.values[which].tolist()
        assert found.counts.tolist() == whole.counts[which].tolist()
    assert part.catalogue.history_popularity.tolist() == [0, 2]


# Beyond accuracy ---------------------------------------------------------------------------------------------------


def shown(seed=0, n_users=9, n_items=14, k=4):
    """Lists of random lengths, and the train that they are measured by, dense (U, I)."""
    rng = np.random.default_rng(seed)
    rated = rng.random((30, n_items)) < 0.05 + rng.random(n_items) * 0.5
    rated[:, 0] = False  # nobody rated it: no list shows it
    top = np.full((n_users, k), -1)
    for g in range(n_users):
        n = rng.integers(0, k + 1)
        top[g, :n] = rng.choice(np.flatnonzero(rated.any(0)), n, replace=False)

    def raters(items):
        packed = np.packbits(rated[:, items].T, axis=1, bitorder="little")
        return np.pad(packed, ((0, 0), (0, 8 - packed.shape[1]))).view(np.uint64)

    history = np.array([rated[:, rated[g]].sum(0).mean() if rated[g].any() else np.nan for g in range(n_users)])
    catalogue = Catalogue(rated.sum(0), 30, history, raters)
    none = np.zeros(0, int)
    return Lists(top, (top >= 0).sum(1), none, none, none.astype(float), catalogue), rated


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("k", [2, 4, 10])
def test_beyond_accuracy_by_definition(seed, k):
    x, rated = shown(seed)
    counts, lists = rated.sum(0), [[int(i) for i in row[:k] if i >= 0] for row in x.top]
    there, every = [s for s in lists if s], list(itertools.chain(*lists))
    rows = np.flatnonzero(counts)
    times = sorted(every.count(i) for i in rows)
    pairs = list(itertools.product(times, times))
    gini = sum(abs(a - b) for a, b in pairs) / (2 * len(times) * sum(times))  # mean absolute difference, halved

    def distance(i, j):
        return 1 - (rated[:, i] & rated[:, j]).sum() / math.sqrt(max(counts[i] * counts[j], 1))

    within = [np.mean([distance(i, j) for i, j in itertools.combinations(s, 2)]) for s in lists if len(s) > 1]
    lift = [(np.mean(counts[s]), x.catalogue.history_popularity[g]) for g, s in enumerate(lists) if s]
    lift = [(a, b) for a, b in lift if b == b]
    expected = {
        "coverage": len(set(every)) / len(rows),
        "gini": gini,
        "novelty": np.mean([np.mean([-math.log2(max(counts[i], 1) / 30) for i in s]) for s in there]),
        "diversity": np.mean(within) if within else math.nan,
        "popularity_lift": sum(a for a, _ in lift) / sum(b for _, b in lift) - 1,
        "few_ratings": np.mean([counts[i] < 5 for i in every]),
    }
    for name, value in expected.items():
        assert find_metric(f"{name}@{k}").of(x) == pytest.approx(value, nan_ok=True), name


def test_coverage_spreads_as_its_jackknife_does():
    x, _ = shown(3)
    x = x.take((x.top >= 0).any(1))
    metric, n = find_metric("coverage@4"), len(x.top)
    without = np.array([metric.of(x.take(np.arange(n) != g)) for g in range(n)])
    assert np.var(metric.values(x).values) == pytest.approx((n - 1) ** 2 * np.var(without))


def test_empty_lists_say_nothing_beyond_accuracy():
    x, _ = shown()
    nobody = x.take(np.zeros(len(x.top), bool))
    for name in ("coverage", "gini", "novelty", "diversity", "popularity_lift", "few_ratings"):
        assert math.isnan(find_metric(f"{name}@3").of(nobody))
    with pytest.raises(SettingError, match="novelty@3 needs to know train"):
        find_metric("novelty@3").of(x._replace(catalogue=None))


# Sampled -----------------------------------------------------------------------------------------------------------


def test_sampled_metrics_by_definition_and_by_name():
    rng = np.random.default_rng(0)
    positive, negatives = rng.normal(size=50), rng.normal(size=(50, 99))
    x = sampled_lists(positive, negatives)
    places = [sorted([p, *n], reverse=True).index(p) for p, n in zip(positive, negatives, strict=True)]
    expected = np.mean([1 / math.log2(p + 2) if p < 10 else 0 for p in places])
    assert find_metric("sampled_ndcg@10").of(x) == pytest.approx(expected)
    assert find_metric("sampled_hit_rate@5").of(x) == pytest.approx(np.mean([p < 5 for p in places]))
    assert {"sampled_ndcg@10", "sampled_hit_rate@10"} <= set(METRICS)
    constant = sampled_lists(np.zeros(3), np.zeros((3, 99)))
    assert find_metric("sampled_hit_rate@10").of(constant) == 0  # ties stand before the held-out item
    with pytest.raises(DataError, match="no finite number"):
        sampled_lists(np.array([np.nan]), np.zeros((1, 9)))
    with pytest.raises(DataError, match=r"\(G,\) and \(G, n\)"):
        sampled_lists(np.zeros(3), np.zeros((2, 9)))


def test_names_and_which_way_is_better():
    assert find_metric("ndcg@7").depth == 7 and find_metric("mrr").depth is None
    assert find_metric("recall@10") is METRICS["recall@10"]
    assert find_metric(recall(3)).name == "recall@3"
    for wrong in ("ndcg@0", "ndcg@x", "coverage", "ndgc@10"):
        with pytest.raises(SettingError, match="there is no metric"):
            find_metric(wrong)
    assert {METRICS[n].better for n in ("rmse", "rps", "gini@10")} == {"low"}
    assert {LISTS[n](10).better for n in LISTS} == {"high"} == {METRICS["r2"].better}
