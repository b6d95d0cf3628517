import json
import os
import subprocess
import sys
from dataclasses import replace

import battery
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias import orders
from dotbias.baselines import bias, knn, mean
from dotbias.errors import DataError, SettingError, UnknownIdError
from dotbias.factors import Factors
from dotbias.interpret import top
from dotbias.objective import Objective, Ridge
from dotbias.orders import threshold
from dotbias.recommender import Prediction, Recommender
from dotbias.scorer import Intervals, Ranks, Scorer, Timed
from dotbias.times import NOW, UNKNOWN

TRAIN, TEST = battery.parts()


def factors(k=4, rng=0, **options):
    rng = np.random.default_rng(rng)
    base = bias(TRAIN)
    tables = rng.normal(0, 0.3, (80, k)), rng.normal(0, 0.3, (50, k))
    reg = Ridge(3, 5)
    objective = Objective(**{"y_range": (1, 5), "user_reg": reg, "item_reg": reg} | options)
    return Factors(base.mean, base.user_bias, base.item_bias, *tables, objective, TRAIN.tables)


@pytest.fixture(scope="module")
def rec():
    return Recommender(factors(), TRAIN)


def brute(rec, user_id, n, allowed):
    """Score every allowed item, sort by score before the clip, then by row."""
    user = rec.train.user_ids.row(user_id)
    raw = rec.scorer.rank_all(np.array([user]))[0]
    return [rec.train.item_ids[i] for i in sorted(allowed, key=lambda i: (-raw[i], i))[:n]]


# Recommending --------------------------------------------------------------------------------------------------


def test_the_best_unseen_rated_items_best_first(rec):
    rated = set(np.unique(TRAIN.items).tolist())
    for user_id in (11, 30, 10):
        seen = {rec.train.item_ids.row(i) for i in rec.seen(user_id)}
        assert [r.item_id for r in rec.recommend(user_id, 7, order="rating")] == brute(rec, user_id, 7, rated - seen)
        kept = rec.recommend(user_id, 7, order="rating", keep_seen=True, keep_unrated=True)
        assert [r.item_id for r in kept] == brute(rec, user_id, 7, range(50))
    first = rec.recommend(11)[0]
    assert first.title == f"Item {first.item_id[1:]}" and len(rec.recommend(11)) == 10


def test_the_score_is_what_predict_says(rec):
    for r in rec.recommend(11, 20):
        assert rec.predict(11, r.item_id).value == r.score
    scores = [r.score for r in rec.recommend(11, 30, order="rating")]
    assert scores == sorted(scores, reverse=True)


def test_one_user_or_many_is_the_same_to_the_bit(rec):
    users = list(TRAIN.user_ids)
    many = Recommender(rec.scorer, TRAIN).recommend(users, 6)
    assert list(many) == users
    assert all(Recommender(rec.scorer, TRAIN).recommend(u, 6) == many[u] for u in users[::7])
    assert rec.recommend(np.array([11, 12]), 3) == rec.recommend([11, 12], 3)


def test_the_answer_does_not_depend_on_blas_threads(tmp_path):
    path = Recommender(factors(32), TRAIN).save(tmp_path / "m")
    code = "import sys; from dotbias import Recommender as R; print(R.load(sys.argv[1]).recommend(list(range(11, 40))))"
    outs = {
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "OPENBLAS_NUM_THREADS": n},
            capture_output=True,
            check=True,
        ).stdout
        for n in "12"
    }
    assert len(outs) == 1


def test_clipped_scores_still_rank():
    rec = Recommender(factors(y_range=(1, 2)), TRAIN)
    answer = rec.recommend(11, 10, order="rating")
    assert {r.score for r in answer} == {2.0}
    wide = Recommender(factors(y_range=(-99, 99)), TRAIN)
    assert [r.item_id for r in answer] == [r.item_id for r in wide.recommend(11, 10, order="rating")]


def test_equal_scores_go_by_row():
    rec = Recommender(mean(TRAIN), TRAIN)
    ids = [r.item_id for r in rec.recommend(11, 50, order="rating", keep_seen=True)]
    assert ids == [f"a{i}" for i in range(1, 50)]


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 45), st.data())
def test_top_is_a_sort(values, n, more):
    candidates = np.array(
        sorted(more.draw(st.sets(st.integers(0, max(len(values) - 1, 0)), max_size=len(values)))), int
    )
    v = np.array(values, np.float32)
    expected = sorted(candidates.tolist(), key=lambda i: (-v[i], i))[:n]
    assert top(v, candidates, n).tolist() == expected


def test_filters_by_id(rec):
    best = [r.item_id for r in rec.recommend(11, 5)]
    assert [r.item_id for r in rec.recommend(11, 3, exclude=best[:2])] == best[2:]
    assert [r.item_id for r in rec.recommend(11, 2, only=best[::2])] == best[::2][:2]
    assert [r.item_id for r in rec.recommend(11, 1, only=best, exclude=best[:1])] == best[1:2]


def test_shorter_than_asked_is_said(rec):
    full = rec.recommend(11, 5)
    assert full.note is None
    short = rec.recommend(11, 5, only=[r.item_id for r in full[:3]])
    assert len(short) == 3 and short.note.startswith("3 of the 5 asked for: of 50 items, 3 could be chosen")
    everything = rec.recommend(11, 50)
    assert len(everything) == 49 - len(rec.seen(11)) and f"{len(rec.seen(11))} of them are seen" in everything.note
    assert rec.recommend(11, 5, only=[]) == []
    assert rec.recommend(11, 1, only=["a0"]) == [] and len(rec.recommend(11, 1, only=["a0"], keep_unrated=True)) == 1


def test_a_frame_is_no_ratings(rec):
    with pytest.raises(DataError, match="train is a DataFrame, not Ratings"):
        Recommender(rec.scorer, rec.train.to_frame())


def test_unknown_ids_name_a_near_miss(rec):
    for call in (
        lambda: rec.recommend("11"),
        lambda: rec.recommend([11, "11"]),
        lambda: rec.predict("11", "a1"),
        lambda: rec.seen("11"),
    ):
        with pytest.raises(UnknownIdError, match="did you mean 11"):
            call()
    for call in (
        lambda: rec.recommend(11, exclude=["A1"]),
        lambda: rec.recommend(11, only=["A1"]),
        lambda: rec.predict(11, "A1"),
        lambda: rec.similar_items("A1"),
        lambda: rec.recommend_for({"A1": 5}),
    ):
        with pytest.raises(UnknownIdError, match="did you mean 'a1'"):
            call()


def test_arguments_that_make_no_sense(rec):
    with pytest.raises(SettingError, match="n is 0"):
        rec.recommend(11, 0)
    with pytest.raises(SettingError, match=r"a list: \['a1'\]"):
        rec.recommend(11, exclude="a1")
    with pytest.raises(SettingError, match="2 users and 1 items: it takes two lists of the same length"):
        rec.predict([11, 12], ["a1"])


def test_liked_is_the_default_and_states_its_threshold(rec):
    liked = rec.recommend(11, 10)
    assert liked == rec.recommend(11, 10, order="liked", like=threshold(TRAIN)) != rec.recommend(11, 10, order="rating")
    assert liked.order == f"how likely they rate it, and give it {threshold(TRAIN):g} or more"
    best = orders.liked(rec.scorer, TRAIN).every(np.array([1]))[0]
    left = sorted(set(range(1, 50)) - set(TRAIN.items[TRAIN.users == 1].tolist()), key=lambda i: -best[i])
    assert [r.item_id for r in liked] == [f"a{i}" for i in left[:10]]
    assert rec.recommend(11, 10, order="rating").order == "the predicted rating"
    history = rec.recommend_for({"a1": 5, "a2": 1.0})
    assert history != rec.recommend_for({"a1": 5, "a2": 1.0}, order="rating") and history.order == liked.order
    with pytest.raises(SettingError, match="no order 'best'"):
        rec.recommend(11, order="best")
    for wrong in ("4", float("nan"), True):
        with pytest.raises(SettingError, match="like is "):
            rec.recommend(11, like=wrong)
    with pytest.raises(SettingError, match="like is 6; no rating is above 5"):
        rec.recommend(11, like=6)


class Clock(Factors):
    """Guesses the more the later; unknown is 1 star, now is 5."""

    offers = (*Factors.offers, Timed)

    def rank(self, users, items, times=None):
        when = np.ones(len(users)) if times is None else np.where(times == NOW, 5, np.minimum(times, 4))
        return (when + np.asarray(items) / 1000).astype(np.float32)

    def rank_all(self, users, times=None):
        items = np.arange(50)
        return np.stack(
            [self.rank(np.full(50, u), items, None if times is None else times[[k]]) for k, u in enumerate(users)]
        )

    def score(self, users, items, times=None):
        return self.rank(users, items, times)


def test_recommendations_are_for_now_and_predictions_for_no_time():
    rec = Recommender(Clock(**factors().__dict__), TRAIN)
    assert rec.predict(11, "a0").value == 1 and rec.predict(11, "a0", times="now").value == 5
    found = rec.predict([11, 12], ["a0", "a0"], times=[2, UNKNOWN])
    assert found[0].value == 2 and len(found) == 2
    assert rec.predict([11, 12], ["a0", "a0"], times=3)[1].value == 3
    first = rec.recommend(11, 1)[0]
    assert first.score == rec.predict(11, first.item_id, times="now").value > 5
    assert 1 < rec.recommend(11, 1, times="unknown")[0].score < 2
    many = rec.recommend([11, 12], 1, times=[2, 3])
    assert [int(a[0].score) for a in many.values()] == [2, 3]
    for wrong in ("today", [1, 2, 3], 1.5, {}):
        with pytest.raises(SettingError):
            rec.recommend(11, times=wrong)


# Predicting ----------------------------------------------------------------------------------------------------


def test_paths_say_how(rec):
    assert rec.predict(11, "a1") == Prediction(
        float(rec.scorer.score(np.array([1]), np.array([1]))[0]), None, None, "fitted"
    )
    asked = rec.predict([11, 10, 11, 10], ["a1", "a1", "a0", "a0"])
    assert [p.path for p in asked] == ["fitted", "cold user", "cold item", "mean"]
    assert asked[0] == rec.predict(11, "a1") and rec.predict([], []) == []


def test_an_interval_is_passed_on():
    class Sure(Factors):
        offers = (*Factors.offers, Intervals)

        def interval(self, users, items):
            s = self.score(users, items)
            return s - 1, s + 1

    sure = Sure(**factors().__dict__)
    p = Recommender(sure, TRAIN).predict(11, "a1")
    assert p.low == p.value - 1 and p.high == p.value + 1 and type(p.low) is float


def test_native_types_that_json_takes(rec):
    answers = (rec.recommend(11), rec.recommend([11, 12]), rec.predict(11, "a1"), rec.similar_items("a1"), rec.seen(11))
    assert all(json.loads(json.dumps(a)) for a in answers)
    r = rec.recommend(11)[0]
    assert [type(x) for x in r] == [str, float, str]
    assert type(next(iter(rec.recommend(np.array([11]))))) is int


def test_a_nan_is_an_error_not_a_rank():
    broken = factors()
    broken.items[3] = np.nan
    rec = Recommender(broken, TRAIN)
    with pytest.raises(DataError, match="no finite numbers"):
        rec.recommend(11)
    with pytest.raises(DataError, match="no finite numbers"):
        rec.predict(11, "a3")


# Seen, alike, newcomers ----------------------------------------------------------------------------------------


def test_seen_is_what_train_holds(rec):
    for r in (rec, Recommender(rec.scorer, replace(TRAIN, values=None))):
        for again in range(2):  # before and after the index is made
            at = TRAIN.users == 1
            expected = [f"a{i}" for i in TRAIN.items[at]]
            assert list(r.seen(11)) == expected and r.seen(10) == {}
            assert list(r.seen(11).values()) == (TRAIN.values[at].tolist() if r is rec else [None] * at.sum())
            r.recommend([11, 12], 1)
            assert again in (0, 1)


@pytest.mark.parametrize("measure", ["cosine", "dot", "euclidean"])
def test_similar_items_by_brute_force(rec, measure):
    q, c = rec.scorer.items.astype(np.float64), TRAIN.item_counts
    near = {
        "cosine": lambda a, b: q[a] @ q[b] / np.linalg.norm(q[a]) / np.linalg.norm(q[b]) * c[b] / (c[b] + 10),
        "dot": lambda a, b: q[a] @ q[b],
        "euclidean": lambda a, b: -np.linalg.norm(q[a] - q[b]),
    }[measure]
    expected = sorted(set(range(1, 50)) - {7}, key=lambda j: -near(7, j))[:6]
    answer = rec.similar_items("a7", 6, measure=measure)
    assert [s.item_id for s in answer] == [f"a{j}" for j in expected]
    assert [abs(s.similarity) for s in answer] == pytest.approx([abs(near(7, j)) for j in expected], abs=1e-5)
    assert len(rec.similar_items("a7", 99)) == 48 and "no more items" in rec.similar_items("a7", 99).note


def test_similar_users_by_brute_force(rec):
    p, c = rec.scorer.users.astype(np.float64), TRAIN.user_counts
    cosine = p @ p[7] / np.linalg.norm(p, axis=1) / np.linalg.norm(p[7]) * c / (c + 10)
    expected = sorted(set(np.flatnonzero(c > 0).tolist()) - {7}, key=lambda u: -cosine[u])[:5]
    answer = rec.similar_users(17, 5)
    assert [s.user_id for s in answer] == [u + 10 for u in expected]
    assert [s.similarity for s in answer] == pytest.approx([cosine[u] for u in expected], abs=1e-5)
    assert answer.note is None and "no more users" in rec.similar_users(17, 99).note
    with pytest.raises(UnknownIdError):
        rec.similar_users("17")
    with pytest.raises(DataError, match="has no factors"):
        rec.similar_users(10)


def test_no_likeness_without_factors(rec):
    for scorer in (bias(TRAIN), knn(TRAIN)):
        with pytest.raises(SettingError, match=r"no factors|does not support"):
            Recommender(scorer, TRAIN).similar_items("a1")
    with pytest.raises(SettingError, match="did you mean 'cosine'"):
        rec.similar_items("a1", measure="cosin")
    cold = factors()
    cold.items[0] = 0
    with pytest.raises(DataError, match="has no factors"):
        Recommender(cold, TRAIN).similar_items("a0")


def test_newcomers_by_their_history(rec):
    history = {"a1": 5, "a2": 1.0, "a9": 4.5}
    answer = rec.recommend_for(history, 5, order="rating")
    assert not {r.item_id for r in answer} & {*history, "a0"} and len(answer) == 5
    part = rec.scorer.fold_in_user(np.array([1, 2, 9]), np.array([5, 1, 4.5]))
    scores = part.score()
    candidates = sorted(set(range(1, 50)) - {1, 2, 9}, key=lambda i: -scores[i])
    assert [r.item_id for r in answer] == [f"a{i}" for i in candidates[:5]]
    assert [r.item_id for r in rec.recommend_for({}, 3, order="rating")] == [
        r.item_id for r in Recommender(bias(TRAIN), TRAIN).recommend(10, 3, order="rating")
    ]
    assert rec.recommend_for(history, 1, keep_seen=True, only=["a1"])[0].item_id == "a1"


def test_a_scorer_without_newcomers_says_so():
    class Plain:
        offers, tables = (Scorer, Ranks), None

        def score(self, users, items, times=None):
            return np.asarray(items, np.float32)

        def score_all(self, users, times=None):
            return np.tile(np.arange(50, dtype=np.float32), (len(users), 1))

        rank, rank_all = score, score_all

    rec = Recommender(Plain(), TRAIN)
    found = rec.recommend(11, 50, order="rating", keep_seen=True)
    assert [r.item_id for r in found][:2] == ["a49", "a48"]
    with pytest.raises(SettingError, match="a Plain does not support fold-in"):
        rec.recommend_for({"a1": 5})


def test_save_and_load_keep_everything(tmp_path):
    rec = Recommender(factors(), TRAIN, settings={"n_factors": 4}, metrics={"rmse": 0.9}, log=[{"epoch": 0}])
    back = Recommender.load(rec.save(tmp_path / "m"))
    assert (back.settings, back.metrics, back.log) == ({"n_factors": 4}, {"rmse": 0.9}, [{"epoch": 0}])
    assert back.recommend([11, 12]) == rec.recommend([11, 12]) and back.similar_items("a3") == rec.similar_items("a3")
    assert "Factors" in repr(back)


# What is refused, and how it looks -------------------------------------------------------------------------------


def test_histories_that_make_no_sense_are_refused(rec):
    item = TRAIN.item_ids[0]
    low, high = TRAIN.scale()
    for value in (99, high + 0.01, low - 1):
        with pytest.raises(DataError, match=rf"item '{item}' is .*; the scale is from {low:g} to {high:g}"):
            rec.recommend_for({item: value})
    for value in (float("nan"), float("inf"), "5", None, True):
        with pytest.raises(DataError, match=f"the history's rating of item '{item}' is"):
            rec.recommend_for({item: value})
    assert rec.recommend_for({}, 3).note == "the history is empty: this is what anybody would get."
    with pytest.raises(SettingError, match="the history is a list"):
        rec.recommend_for([(item, 4.0)])
    assert len(rec.recommend_for({item: np.float32(high)}, 3)) == 3


@pytest.mark.parametrize("n", [True, 2.5, 0, -1, "3", None, float("nan")])
def test_n_is_a_count(rec, n):
    for ask in (
        lambda: rec.recommend(11, n),
        lambda: rec.recommend_for({TRAIN.item_ids[0]: 4.0}, n),
        lambda: rec.similar_items(TRAIN.item_ids[0], n),
    ):
        with pytest.raises(SettingError, match=r"n is .*; it must be a whole number, 1 or more"):
            ask()


def test_iterators_are_taken_once(rec):
    ids = list(TRAIN.user_ids)[:3]
    assert rec.recommend(iter(ids), 2) == rec.recommend(ids, 2) != {}
    items = list(TRAIN.item_ids)[:3]
    assert rec.predict(iter(ids), iter(items)) == rec.predict(ids, items)
    assert rec.recommend(11, 2, only=iter(items)) == rec.recommend(11, 2, only=items)


def test_what_is_no_id_says_so(rec):
    for ask in (
        lambda: rec.recommend([11, [12]]),
        lambda: rec.recommend([(1, [2])]),
        lambda: rec.similar_items([1]),
        lambda: rec.similar_items({}),
        lambda: rec.recommend(11, exclude=[{}]),
        lambda: rec.recommend(11, exclude=None),
        lambda: rec.recommend(11, only="abc"),
        lambda: rec.recommend(object()),
        lambda: rec.predict([11], {}),
        lambda: rec.predict([11, [12]], "a1"),
    ):
        with pytest.raises(SettingError):
            ask()
    with pytest.raises(UnknownIdError):
        rec.find_item(10**9)


def test_notebooks_show_a_table_with_every_value_escaped(rec):
    answer = rec.recommend(11, 3)
    shown = answer._repr_html_()
    assert shown.count("<tr>") == 4 and "item id" in shown and answer[0].title in shown
    answer[0] = answer[0]._replace(title="<script>alert(1)</script>")
    answer.note = "a <note>"
    shown = answer._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "<p>a &lt;note&gt;</p>" in shown
    assert "47 more" not in rec.recommend(11, 40)._repr_html_()
    assert type(answer)()._repr_html_() == "<p>none.</p>"
    from dotbias.interpret import item_biases, nearest_items
    from dotbias.interpret.listing import to_html

    for listing in (nearest_items(rec.scorer, TRAIN, item_id=TRAIN.item_ids[1]), item_biases(rec.scorer, TRAIN)):
        assert listing._repr_html_().startswith("<table>")
    assert "… 51 more." in to_html([answer[1]] * 101)
