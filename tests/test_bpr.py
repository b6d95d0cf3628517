from functools import partial

import clicks_battery
import numpy as np
import pytest

from dotbias.errors import SettingError
from dotbias.evaluation import evaluate
from dotbias.ratings import Ids, Ratings
from dotbias.schedules import constant
from dotbias.solvers import _bpr_kernels as kernels
from dotbias.solvers.bpr import PairDescent, bpr

quick = partial(bpr, n_factors=6, n_epochs=250, reg=0.02)


@pytest.mark.parametrize("check", clicks_battery.CHECKS, ids=lambda c: c.__name__)
def test_battery(check):
    check(quick)


def descent(train, **settings):
    given = {"n_factors": 5, "reg": (0.02, 0.01), "schedule": constant(0.1), "n_epochs": 4, "key": 7} | settings
    return PairDescent(train, **given)


def test_clicks_lie_in_blocks_each_once_and_users_know_their_items():
    train, _ = clicks_battery.parts()
    fit = descent(train)
    u, i, starts = fit.clicks
    B = fit.side
    rows = set(zip(fit.user_at[train.users].tolist(), fit.item_at[train.items].tolist(), strict=True))
    assert set(zip(u.tolist(), i.tolist(), strict=True)) == rows and len(u) == len(train)
    for block in range(2 * B * B):
        at = slice(starts[block], starts[block + 1])
        low, high = fit.item_starts[block % (2 * B)], fit.item_starts[block % (2 * B) + 1]
        assert np.all((i[at] >= low) & (i[at] < high))
    for user in range(train.n_users):
        at = fit.user_at[user]
        mine = fit.seen[fit.seen_starts[at] : fit.seen_starts[at + 1]]
        assert mine.tolist() == sorted(fit.item_at[train.items[train.users == user]].tolist())
    assert fit.item_starts[-1] == (train.item_counts > 0).sum()  # items without clicks are never drawn


def test_a_pass_is_the_plain_loop():
    """Every draw again in numpy: not clicked, from the paired block, and the step of the paper."""
    train, _ = clicks_battery.parts(n_users=20, clicks=6)
    fit = descent(train)
    P, Q, bias = fit.P.astype(float).copy(), fit.Q.astype(float).copy(), fit.bias.astype(float).copy()
    (u, i, starts), B = fit.clicks, fit.side
    strata, pairs, key = np.arange(B)[::-1].copy(), np.random.default_rng(3).permutation(2 * B), np.uint64(99)
    told, lr, (reg, reg_bias) = np.zeros((2 * B * B, 2), np.int64), 0.1, fit.reg
    drawn = []
    for s in strata:
        for a in range(B):
            for half in range(2):
                k = 2 * ((a + s) % B)
                own, other = pairs[k + half], pairs[k + 1 - half]
                low, size = fit.item_starts[other], fit.item_starts[other + 1] - fit.item_starts[other]
                block = a * 2 * B + own
                for r in range(starts[block], starts[block + 1]):
                    mine = fit.seen[fit.seen_starts[u[r]] : fit.seen_starts[u[r] + 1]]
                    j = next((j for j in draws(key, r, low, size) if j not in mine), None) if size else None
                    if j is None:
                        continue
                    drawn.append((u[r], j))
                    p, q, n = P[u[r]].copy(), Q[i[r]].copy(), Q[j].copy()
                    g = 1 / (1 + np.exp(bias[i[r]] - bias[j] + p @ (q - n)))
                    P[u[r]] += lr * (g * (q - n) - reg * p)
                    Q[i[r]] += lr * (g * p - reg * q)
                    Q[j] += lr * (-g * p - reg * n)
                    bias[i[r]] += lr * (g - reg_bias * bias[i[r]])
                    bias[j] += lr * (-g - reg_bias * bias[j])
    rates = np.full(B, lr, np.float32)
    given = fit.clicks, fit.item_starts, fit.seen_starts, fit.seen, strata, pairs, key, rates, reg, reg_bias
    kernels.learn_pass(*given, fit.P, fit.Q, fit.bias, told)
    assert told[:, 1].sum() == len(drawn) > 0.9 * len(train)
    for ours, plain in ((fit.P, P), (fit.Q, Q), (fit.bias, bias)):
        np.testing.assert_allclose(ours, plain, atol=1e-5)


def draws(key, r, low, size):
    """The items that click number r is held against, in the order of trying."""
    golden, mask = 0x9E3779B97F4A7C15, 2**64 - 1

    def scramble(x):
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    stream = scramble((int(key) + int(r) * golden) & mask)
    for t in range(kernels.TRIES):
        yield int(low) + ((scramble((stream + t * golden) & mask) >> 32) * int(size) >> 32)


def test_over_the_passes_all_items_meet():
    """Item blocks are paired anew in every pass."""
    train, _ = clicks_battery.parts()
    fit = descent(train)
    first, again = fit.Q.copy(), []
    for number in range(4):
        fit.step(number)
        again.append(fit.Q.copy())
    assert (again[0] != first)[fit.item_at[train.item_counts > 0], :5].any(1).mean() > 0.9
    assert not again[-1][fit.item_at[0]].any()  # but for what nobody clicked


def test_pairs_come_into_order():
    train, test = clicks_battery.parts()
    steps = []
    fit = quick(train, valid=test, rng=0, progress=steps.append)
    assert steps[-1].values["train"] < 0.7 * steps[0].values["train"] and steps[0].values["train"] == pytest.approx(
        0.5, abs=0.15
    )
    report = evaluate(fit, test, train=train, metrics=("ndcg@10",), n_resamples=0)
    assert report.values["ndcg@10"] == pytest.approx(steps[-1].values["valid"], rel=0.02)


def test_one_item_only():
    clicks = Ratings(np.arange(5), np.zeros(5, int), None, None, Ids(range(5)), Ids(["a"]))
    assert np.isfinite(quick(clicks, rng=0).rank_all(np.arange(5))).all()


@pytest.mark.parametrize(
    "wrong",
    [{"n_factors": 0}, {"lr": 0}, {"reg": -1}, {"reg_bias": float("nan")}, {"keep_best": True}, {"rng": "seven"}],
    ids=str,
)
def test_bad_settings_are_refused(wrong):
    train, _ = clicks_battery.parts()
    with pytest.raises(SettingError, match=next(iter(wrong))) as e:
        bpr(train, **wrong)
    assert e.value.hint
