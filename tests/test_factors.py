import numpy as np
import pytest

from dotbias.errors import DataError
from dotbias.factors import Factors, gather
from dotbias.objective import Objective, Ridge, sigmoid
from dotbias.scorer import Bilinear, FoldsIn, Intervals, Ranks, offers


def factors(k=3, *, n_users=5, n_items=7, rng=0, **options):
    rng = np.random.default_rng(rng)
    return Factors(
        options.pop("mean", 3.2),
        rng.normal(0, 0.3, n_users),
        rng.normal(0, 0.3, n_items),
        rng.normal(0, 0.5, (n_users, k)),
        rng.normal(0, 0.5, (n_items, k)),
        Objective(**options),
    )


def test_the_formula_and_the_two_ways_to_ask():
    f = factors()
    assert all(offers(f, what) for what in (Ranks, FoldsIn, Bilinear)) and not offers(f, Intervals)
    assert f.factors() is f
    u, i = np.array([0, 4, 4]), np.array([6, 0, 3])
    by_hand = [f.mean + f.user_bias[a] + f.item_bias[b] + f.users[a] @ f.items[b] for a, b in zip(u, i, strict=True)]
    np.testing.assert_allclose(f.score(u, i), by_hand, rtol=1e-6)
    np.testing.assert_allclose(f.score_all(u)[[0, 1, 2], i], f.score(u, i), rtol=1e-6)
    assert f.score(u, i).dtype == f.score_all(u).dtype == np.float32


def test_numpy_scalars_keep_float32():
    f = factors(mean=np.float64(3.2), y_range=(np.float64(1), np.float64(5)))
    assert f.score(np.array([0]), np.array([0])).dtype == np.float32
    assert type(f.mean) is float and type(f.objective.y_range[0]) is float


def test_no_factors_at_all():
    f = factors(0)
    assert f.n_factors == 0
    np.testing.assert_allclose(f.score_all(np.arange(5)), f.mean + f.user_bias[:, None] + f.item_bias, rtol=1e-6)
    assert f.fold_in_user(np.array([1, 2]), np.array([4.0, 5.0])).factors.shape == (0,)


@pytest.mark.parametrize("row", [-1, -7, 5, 999])
def test_cold_rows_have_zero_parts(row):
    f = factors()
    i = np.arange(7)
    np.testing.assert_allclose(f.score(np.full(7, row), i), f.mean + f.item_bias, rtol=1e-6)
    np.testing.assert_allclose(f.score_all(np.array([row]))[0], f.mean + f.item_bias, rtol=1e-6)
    assert f.score(np.array([row]), np.array([-1]))[0] == np.float32(f.mean)
    bias, vectors = gather(np.array([row]), np.empty(0, np.float32), np.empty((0, 2), np.float32))
    assert not bias.any() and vectors.shape == (1, 2)


def test_links():
    clipped = factors(y_range=(3, 3.5))
    assert np.all((clipped.score_all(np.arange(5)) >= 3) & (clipped.score_all(np.arange(5)) <= 3.5))
    squashed, plain = factors(link="sigmoid", y_range=(0, 5.5), mean=0.3), factors(mean=0.3)
    np.testing.assert_allclose(
        squashed.score_all(np.arange(5)), 5.5 * sigmoid(plain.score_all(np.arange(5))), rtol=1e-6
    )


def test_ranks_what_the_clip_makes_equal():
    f, user = factors(y_range=(1, 1.5)), np.array([0])
    assert len(np.unique(f.score_all(user))) == 1 and len(np.unique(f.rank_all(user))) == 7
    s = factors(link="sigmoid", y_range=(0, 5), mean=0.0)
    users = np.arange(5)
    assert np.array_equal(s.score_all(users).argsort(1), s.rank_all(users).argsort(1))


def als(values, mask, k, reg, *, link="identity", y_range=(-np.inf, np.inf), n_sweeps=6):
    """Plain ALS of half-steps; the users' half comes last, so it is a fixed point of theirs."""
    rng = np.random.default_rng(0)
    n_users, n_items = values.shape
    users, items = np.zeros((n_users, 1 + k)), rng.normal(0, 0.3, (n_items, 1 + k)).astype(np.float32)
    objective = Objective(link=link, y_range=y_range, user_reg=reg)
    for _ in range(n_sweeps):
        for mine, other, v, m in ((items, users, values.T, mask.T), (users, items, values, mask))[0 if _ else 1 :]:
            for r in range(len(mine)):
                at = m[r]
                mine[r] = objective.half_step(other[at, 0], other[at, 1:], v[r, at])
    return users, items


@pytest.mark.parametrize("reg", [Ridge(0.3, 0.4), Ridge(0, 0, 0.3, 0.4), Ridge(0.5, 1, 0.05, 0.1)])
@pytest.mark.parametrize(("link", "y_range"), [("identity", (-np.inf, np.inf)), ("sigmoid", (0.0, 5.5))])
def test_fold_in_of_a_known_user_is_the_stored_row(link, y_range, reg):
    rng = np.random.default_rng(1)
    values, mask = rng.uniform(1, 5, (12, 9)), rng.random((12, 9)) < 0.6
    mask[:, 0] = True
    users, items = als(values, mask, 2, reg, link=link, y_range=y_range)
    f = Factors(0.0, users[:, 0], items[:, 0], users[:, 1:], items[:, 1:], Objective("squared", link, y_range, reg))
    for u in range(12):
        rows = np.flatnonzero(mask[u])
        part = f.fold_in_user(rows, values[u, rows])
        np.testing.assert_allclose(np.r_[part.bias, part.factors], users[u], atol=2e-4)
        np.testing.assert_allclose(part.score(), f.score_all(np.array([u]))[0], atol=5e-4)
        np.testing.assert_allclose(part.score(rows), f.score(np.full(len(rows), u), rows), atol=5e-4)


def test_items_fold_in_like_users_of_the_transpose_and_by_their_own_ridge():
    f = factors(item_reg=Ridge(0.5, 2.0))
    flipped = Factors(f.mean, f.item_bias, f.user_bias, f.items, f.users, Objective(user_reg=Ridge(0.5, 2.0)))
    rows, values = np.array([0, 2, 3]), np.array([4.0, 1.0, 5.0])
    a, b = f.fold_in_item(rows, values), flipped.fold_in_user(rows, values)
    assert a.bias == b.bias and np.array_equal(a.factors, b.factors)
    np.testing.assert_array_equal(a.score(rows), b.score(rows))
    other = factors(user_reg=Ridge(9, 9), item_reg=Ridge(0.5, 2.0)).fold_in_item(rows, values)
    assert other.bias == a.bias


def test_nobody_folds_in_to_zero_and_shapes_are_checked():
    f = factors()
    part = f.fold_in_user(np.array([], int), np.array([]))
    assert part.bias == 0 and not part.factors.any()
    with pytest.raises(DataError, match=r"both must be \(n,\)"):
        f.fold_in_user(np.array([1, 2]), np.array([[4.0], [5.0]]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"link": "sigmoid", "y_range": (0.25, 5.75), "mean": 0.1 + 0.2},
        {"user_reg": Ridge(1.5, np.inf, 0.25), "item_reg": Ridge(np.inf, 2.0), "y_range": (-np.inf, 5)},
    ],
)
def test_state_goes_through_json_to_the_bit(options):
    import json

    f = factors(**options)
    kind, arrays, settings = f.state()
    g = Factors.from_state(arrays, json.loads(json.dumps(settings, allow_nan=False)))
    assert kind == "factors"
    assert (f.mean, f.objective) == (g.mean, g.objective)
    users = np.arange(5)
    assert f.score_all(users).tobytes() == g.score_all(users).tobytes()


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="do not fit"):
        Factors(0.0, np.zeros(2), np.zeros(3), np.zeros((2, 4)), np.zeros((3, 5)))
