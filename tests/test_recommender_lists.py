"""Lists for many: the same as alone, in any blocks, by any number of threads; the shortlist, and the dials."""

import numpy as np
import polars as pl
import pytest
import recommender_world as world
from hypothesis import given
from hypothesis import strategies as st

from dotbias import orders
from dotbias.baselines import bias, mean
from dotbias.errors import DataError, SettingError
from dotbias.factors import Factors
from dotbias.recommender import Recommender, lists
from dotbias.recommender.dials import Dials, chosen_again
from dotbias.scorer import Bilinear, Ranks, Sampled, Scorer

TRAIN = world.train()
REC = Recommender(world.factors(TRAIN), TRAIN)


def as_rows(frame, rec=REC):
    return {u: list(zip(part["item"], part["score"], strict=True)) for (u,), part in frame.group_by("user")}


@pytest.mark.parametrize("memory", [1, 100_000, 1e9])
@pytest.mark.parametrize("threads", [1, 3])
def test_everybodys_list_is_everybodys_own(memory, threads):
    for asked in ({}, {"order": "rating", "keep_seen": True}, {"diversity": 0.3, "where": "genres: Comedy"}):
        frame = REC.recommend_all(4, memory=memory, threads=threads, **asked)
        assert frame.columns == ["user", "place", "item", "score", "title"]
        alone = Recommender(REC.scorer, TRAIN)
        for user, rows in as_rows(frame).items():
            assert rows == [(r.item_id, pytest.approx(r.score)) for r in alone.recommend(user, 4, **asked)]
        assert frame["place"].to_list() == [1, 2, 3, 4] * 80 and frame["user"].unique(maintain_order=True).len() == 80


def test_some_of_them_times_and_progress():
    told = []
    frame = REC.recommend_all(2, users=iter([12, 11]), times=[5, 6], memory=1, progress=told.append)
    assert frame["user"].to_list() == [12, 12, 11, 11] and [s.values["users"] for s in told] == [1, 2]
    assert REC.recommend_all(50, users=[11]).height == len(REC.recommend(11, 50)) < 50
    assert REC.recommend_all(users=[]).height == 0 and REC.recommend([]) == {}
    assert REC.recommend_all(10**12, users=[11]).height == len(REC.recommend(11, 50))
    with pytest.raises(TypeError, match="unexpected keyword argument 'ordr'"):
        REC.recommend_all(2, ordr="liked")
    for wrong in ({"memory": 0}, {"threads": 0}, {"n": 0}, {"users": 11}):
        with pytest.raises(SettingError):
            REC.recommend_all(**wrong)


def test_a_frame_keeps_what_the_ids_are():
    frame = Recommender(bias(TRAIN), TRAIN).recommend_all(1)
    assert frame.schema["user"] == pl.Int64 and frame.schema["item"] == pl.String
    assert frame["title"][0] == REC.train.item_titles[REC.train.item_ids.row(frame["item"][0])]


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([9, 300]), st.sampled_from([4, 90, 10**6]))
def test_a_shortlist_is_a_sort(m, seed, n, different):
    """With few values and many, with candidates and without."""
    values = np.random.default_rng(seed).integers(0, different, (3, n)).astype(np.float32)
    values[0, : n // 2] = values[1, 3:] = -np.inf
    for row, found in zip(values, lists.shortlist(values, m), strict=True):
        assert len(found) == min(m, n) == len(set(found.tolist()))
        expected = sorted(range(n), key=lambda i: (-row[i], i))[:m]
        kept = [i for i in found.tolist() if row[i] > -np.inf]
        assert sorted(kept) == sorted(i for i in expected if row[i] > -np.inf)


def test_where_all_are_alike_the_first_come_first():
    frame = Recommender(mean(TRAIN), TRAIN).recommend_all(3, order="rating", keep_seen=True)
    assert set(frame["item"]) == {"a1", "a2", "a3"}


class Mean:
    """A mean of two samples, whose compressed factors are a little off."""

    offers, tables = (Scorer, Ranks, Bilinear, Sampled), None

    def __init__(self, off=0.02):
        self.parts = [world.factors(TRAIN, rng=k) for k in (1, 2)]
        noise = np.random.default_rng(0).normal(0, off, 50).astype(np.float32)
        f = self.parts
        both = [np.concatenate([getattr(x, side) for x in f], 1) / 2**0.5 for side in ("users", "items")]
        self.near = Factors(f[0].mean, f[0].user_bias, f[0].item_bias + noise, *both, f[0].objective)
        self.asked = 0

    def factors(self):
        return self.near

    def rank(self, users, items, times=None):
        self.asked += len(users)
        return np.mean([f.rank(users, items) for f in self.parts], 0)

    def rank_all(self, users, times=None):
        return np.mean([f.rank_all(users) for f in self.parts], 0)

    score, score_all = rank, rank_all


@pytest.mark.parametrize("order", orders.ORDERS)
def test_a_mean_over_samples_is_shortlisted_by_its_compressed_factors_and_settled_exactly(monkeypatch, order):
    monkeypatch.setattr(lists, "NEAR", 1)
    monkeypatch.setattr(lists, "NEAR_MARGIN", 6)
    scorer = Mean()
    rec = Recommender(scorer, TRAIN)
    exact = orders.ORDERS[order](scorer, TRAIN)
    assert exact.near is not None and exact.near.scorer is scorer.near
    exact.every(np.array([1]))  # what it makes once is made
    rec.recommend(11, 4, order=order)
    scorer.asked, agree = 0, 0
    for row in range(1, 80):
        own = exact.every(np.array([row]))[0]
        left = sorted(set(range(1, 50)) - set(TRAIN.items[TRAIN.users == row].tolist()), key=lambda i: -own[i])
        by = rec.recommend(TRAIN.user_ids[row], 4, order=order)
        agree += [r.item_id for r in by] == [f"a{i}" for i in left[:4]]
    assert agree >= 77
    assert scorer.asked == 79 * (10 + 4)  # pairs: the shortlist, and the scores of the list


def test_a_nan_in_a_block_is_an_error():
    broken = world.factors(TRAIN)
    broken.items[3] = np.nan
    with pytest.raises(DataError, match="no finite numbers"):
        Recommender(broken, TRAIN).recommend_all(2)


# The dials -------------------------------------------------------------------------------------------------------


def test_dials_at_zero_change_nothing():
    assert REC.recommend(11, 9, popularity=0, diversity=0.0) == REC.recommend(11, 9)


def test_more_or_less_popular():
    counts = TRAIN.item_counts

    def mean_count(p):
        return np.mean([counts[int(r.item_id[1:])] for u in range(11, 40) for r in REC.recommend(u, 5, popularity=p)])

    found = [mean_count(p) for p in (-1, -0.5, 0, 0.5, 1)]
    assert found == sorted(found) and found[0] < found[2] < found[4]
    most = REC.recommend(11, 5, popularity=1, keep_seen=True)
    assert sorted(counts[int(r.item_id[1:])] for r in most) == sorted(counts)[-5:]


def test_marginal_relevance_by_hand():
    rng = np.random.default_rng(0)
    vectors, best, weight = rng.normal(size=(30, 3)), rng.permutation(30)[:12], 0.6
    found = chosen_again(best, 5, Dials(0.0, weight), np.ones(30), vectors)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = {int(i): 1 - k / 11 for k, i in enumerate(best)}
    chosen: list[int] = []
    while len(chosen) < 5:
        left = [int(i) for i in best if i not in chosen]
        near = {i: max((unit[i] @ unit[j] for j in chosen), default=0.0) for i in left}
        chosen.append(max(left, key=lambda i: (1 - weight) * relevance[i] - weight * near[i]))
    assert found.tolist() == chosen


def test_diverse_lists_are_less_alike():
    unit = REC.scorer.items / np.linalg.norm(REC.scorer.items, axis=1, keepdims=True)

    def alike(d):
        found = []
        for user in range(11, 40):
            rows = [int(r.item_id[1:]) for r in REC.recommend(user, 5, diversity=d)]
            found.append((unit[rows] @ unit[rows].T)[np.triu_indices(5, 1)].mean())
        return np.mean(found)

    assert alike(0) > alike(0.3) > alike(0.9)
    assert len(REC.recommend(history={"a1": 5}, n=6, diversity=0.5, popularity=-0.2)) == 6


@pytest.mark.parametrize("wrong", [{"popularity": 1.1}, {"popularity": "x"}, {"diversity": -0.1}, {"diversity": True}])
def test_dials_have_ends(wrong):
    with pytest.raises(SettingError, match=f"{min(wrong)} is "):
        REC.recommend(11, **wrong)


def test_without_factors_no_diversity():
    from dotbias.baselines import knn

    rec = Recommender(knn(TRAIN), TRAIN)
    assert len(rec.recommend(11, 3, popularity=0.5)) == 3
    with pytest.raises(SettingError, match="does not support diversity"):
        rec.recommend(11, 3, diversity=0.5)
