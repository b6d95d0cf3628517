"""Why a Posterior predicts what it does, and what one more rating would teach it: means over its samples.

In a sample, a user's bias and factors are the sum of their own, their history's, their features' and the session's; an
item's likewise. What an item's features say is met by the whole user, what is left of the item by each of the user's.
A rating's share has two parts: that of the user's own bias and factors, whose conditional mean is a ridge regression,
and that of the item's place in the history. What the samples drew beyond that mean is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ..features import entries, history_weight
from ..scorer import Account, Case
from ..shares import gains as gains_of
from ..shares import moments
from .newcomers import Own, SidePosterior, not_told, with_session

if TYPE_CHECKING:
    from .samples import Posterior

ASKED = 12  # samples that say what a rating would teach, evenly spread
HOW = "each rating's share of the user's ridge solve and of their history, the mean over samples"
Named = list[tuple[str, np.ndarray]]  # what has a bias and factors (S, 1 + K)


class Pair(NamedTuple):
    """A user and an item in every sample, (S, 1 + K) each, bias first.

    Attributes:
        users: by name, what the user's is the sum of; their own first.
        items: by name, what the item's is the sum of; its own first.
        own: (S,) what the pair itself adds by its places in histories.
    """

    users: Named
    items: Named
    own: np.ndarray


def explain(posterior: Posterior, case: Case) -> Account:
    """The parts of one prediction, the mean over samples, and what each of the user's ratings adds to it."""
    pair = _pair(posterior, case)
    user, whole = (_sum(named) for named in (pair.users, pair.items))
    (_, item), *labels = pair.items
    across = _with_one(item)  # (S, 1 + K)
    (_, own), *others = pair.users
    parts = [("mean", posterior.mean), ("user bias", own[:, 0]), ("item bias", item[:, 0])]
    parts += [("factors", np.einsum("sk,sk->s", own[:, 1:], item[:, 1:]))]
    parts += [(name, np.einsum("sk,sk->s", x, across)) for name, x in others]
    parts += [(name, x[:, 0] + np.einsum("sk,sk->s", user[:, 1:], x[:, 1:])) for name, x in labels]
    if posterior.user_side.has_history or posterior.item_side.has_history:
        parts.append(("this rating, in the histories", pair.own))
    parts.append(("people choose what they like", _raised(posterior, case)))
    means = tuple((name, float(np.mean(x, dtype=np.float64))) for name, x in parts)
    anybody = posterior.mean + whole[:, 0]
    personal = sum(x for _, x in means) - float(np.mean(anybody, dtype=np.float64))
    return Account(means, personal, _shares(posterior, case, whole), HOW)


def _raised(posterior: Posterior, case: Case) -> np.ndarray:
    """By how much f is raised for a user of whom little is known (1,): see ``selection``."""
    item = np.array([case.item])
    if case.user is None:
        part = posterior.fold_in_user(case.items, case.values, case.user_features).part
        return posterior.raised(posterior.part_moments("user", part, item).variance, np.array([len(case.items)]), item)
    who = np.array([case.user])
    count = posterior.user_counts[who] if 0 <= case.user < len(posterior.user_counts) else np.zeros(1)
    return posterior.raised(posterior.moments(who, item, case.times).variance, count, item)


def _sum(named: Named) -> np.ndarray:
    """What has these parts, (S, 1 + K) float64."""
    return np.stack([x for _, x in named]).sum(0, dtype=np.float64)


def _pair(posterior: Posterior, case: Case) -> Pair:
    """Both sides in their parts."""
    k, user_side, item_side = posterior.n_own, posterior.user_side, posterior.item_side
    row = np.array([case.item])
    bi, q = (x[:, 0] for x in posterior.item_rows(row))
    users: Named = []
    if case.user is None:
        part = posterior.fold_in_user(case.items, case.values, case.user_features).part
        bu, p = part.bias, part.factors
        if len(user_side.groups):
            users.append(("what was not told", not_told(user_side, case.user_features, len(case.items))))
    else:
        who = np.array([case.user])
        bu, p = (x[:, 0] for x in posterior.user_rows(who, case.times))
        if posterior.sessions.effects.shape[1]:
            stored = posterior.user_bias[:, case.user], posterior.users[:, case.user]
            users.append(("session", np.c_[bu - stored[0], (p - stored[1])[:, :k]]))
    if user_side.has_history:
        weight = history_weight(len(case.items) + 1, user_side.shrink)
        users.append(("history", user_side.features[:, case.items].sum(1, dtype=np.float64) * weight))
    users += _features(user_side, case.user_features)
    items = _features(item_side, case.item_features)
    whole = np.c_[bu, p[:, :k]], np.c_[bi, q[:, :k]]
    first = [w - _sum(named) if named else w for w, named in zip(whole, (users, items), strict=True)]
    own = np.einsum("sk,sk->s", p[:, k:], q[:, k:])
    return Pair([("own", first[0]), *users], [("own", first[1]), *items], own)


def _features(side: SidePosterior, table: Mapping[str, Any]) -> Named:
    """What each label of a row of the side table adds, of the columns that the fit used."""
    groups = side.groups[int(side.has_history) :]
    told = {c: v for c, v in table.items() if c in {g for g, _, _ in groups}}
    places, weights = entries(side.names, groups, side.scales, told)
    return [(side.names[f], w * side.features[:, f]) for f, w in zip(places.tolist(), weights.tolist(), strict=True)]


def _shares(posterior: Posterior, case: Case, item: np.ndarray) -> np.ndarray:
    """(n,) what each rating adds, the mean over samples; ``item`` (S, 1 + K) the whole item, bias first."""
    side, n = posterior.user_side, len(case.items)
    out: np.ndarray = np.zeros(n)
    if not n:
        return out
    prior = with_session(Own.of(side), posterior.sessions)
    known = _sum([("", not_told(side, case.user_features, n)), *_features(side, case.user_features)])
    across = _with_one(item)
    for s in range(posterior.n_samples):
        a, bias = _items_of(posterior, s, case.items)
        told = known[s]
        if side.has_history:
            rated = side.features[s, case.items].astype(np.float64)  # (n, 1 + K)
            told = told + rated.sum(0) * history_weight(n, side.shrink)
            out += rated @ across[s] * history_weight(n + 1, side.shrink)
        alpha = 1 / float(posterior.fit_noise[s]) ** 2
        e = case.values - posterior.mean[s] - bias - a @ told
        precision = alpha * a.T @ a + np.diag(prior.precision[s])
        out += alpha * e * (a @ cast("np.ndarray", np.linalg.solve(precision, across[s])))
    return out / posterior.n_samples


def gains(
    posterior: Posterior, told: tuple[np.ndarray, np.ndarray], items: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """What share of the variance of all scores a rating of each item would take away (m,), the mean over samples."""
    prior = with_session(Own.of(posterior.user_side), posterior.sessions)
    samples = np.unique(np.linspace(0, posterior.n_samples - 1, min(ASKED, posterior.n_samples)).astype(int))
    total = np.zeros(len(items))
    for s in samples.tolist():
        noise = float(posterior.fit_noise[s]) ** 2
        a, asked = _items_of(posterior, s, told[0])[0], _items_of(posterior, s, items)[0]
        covariance = np.linalg.inv(a.T @ a + noise * np.diag(prior.precision[s]))
        every = moments(posterior.items[s, :, : posterior.n_own], weights)
        total += gains_of(covariance, asked, every, np.ones(len(items)))
    return total / len(samples)


def _items_of(posterior: Posterior, s: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 and factors (n, 1 + K) of item rows in a sample, and their biases (n,)."""
    q = posterior.items[s, rows, : posterior.n_own].astype(np.float64)
    return np.c_[np.ones(len(q)), q], posterior.item_bias[s, rows].astype(np.float64)


def _with_one(x: np.ndarray) -> np.ndarray:
    """The same (S, 1 + K) with 1 in the place of the bias."""
    return np.c_[np.ones(len(x)), x[:, 1:]].astype(np.float64)
