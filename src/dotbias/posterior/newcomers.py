"""What a posterior learns of a newcomer: in every sample, the conditional mean of the newcomer's bias and factors.

Given history and features, own bias and factors are a ridge regression on the other side's, as in the sampler itself
(Salakhutdinov & Mnih 2008, eq. 11-13), with the sample's noise and its prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from ..errors import DataError, did_you_mean
from ..features import history_weight
from .sessions import SessionPosterior


class SidePosterior(NamedTuple):
    """What newcomers of one side need, per sample: features' weights and the prior of own factors, bias first.

    Attributes:
        names: feature -> "column=value", or "column" of numbers; the history's first.
        groups: (column, first feature, one past its last).
        scales: (column, mean, standard deviation) of each column of numbers.
        features: (S, F, 1 + K) bias and factors of every feature.
        prior_mean: (S, 1 + G, 1 + K) of the own group, then of each feature group.
        prior_precision: the same shape.
        has_history: whether the first group is the history: what the row rated, or who rated it.
        shrink: of the history's weights, as in ``features.history_weight``.
        typical: (F,) each feature's average weight over the rows of train that have ratings.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, int, int], ...]
    scales: tuple[tuple[str, float, float], ...]
    features: np.ndarray
    prior_mean: np.ndarray
    prior_precision: np.ndarray
    has_history: bool
    shrink: float
    typical: np.ndarray


class PosteriorPart(NamedTuple):
    """A newcomer, in every sample.

    Attributes:
        bias, factors: (S,) and (S, K) at the mean of their conditional, the columns of histories last.
        drawn_bias, drawn_factors: a draw of the same, for the spread.
        n_told: ratings told.
    """

    bias: np.ndarray
    factors: np.ndarray
    drawn_bias: np.ndarray
    drawn_factors: np.ndarray
    n_told: int


class Own(NamedTuple):
    """The prior of a newcomer's own bias and factors in every sample: mean and precision (S, 1 + K) float64."""

    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def of(cls, side: SidePosterior) -> Own:
        """Of a side's own group."""
        return cls(side.prior_mean[:, 0].astype(np.float64), side.prior_precision[:, 0].astype(np.float64))


def with_session(own: Own, sessions: SessionPosterior) -> Own:
    """The prior of a new user in a session, which is new, too: of the sum of both."""
    if not sessions.effects.shape[1]:
        return own
    return Own(own.mean, 1 / (1 / own.precision + 1 / sessions.precision))


class Given(NamedTuple):
    """The rest of the model, per sample: mean (S,), noise (S,), and bias (S, n), factors (S, n, K) of n rated rows."""

    mean: np.ndarray
    noise: np.ndarray
    bias: np.ndarray
    factors: np.ndarray


def fold_in(
    rows: np.ndarray,
    values: np.ndarray,
    features: Mapping[str, Any] | None,
    side: SidePosterior,
    prior: Own,
    given: Given,
    columns: Sequence[tuple[bool, SidePosterior]],
) -> PosteriorPart:
    """A newcomer who is connected with the other side's ``rows`` (n,) by ratings ``values`` (n,).

    Args:
        rows: (n,) rows of the other side, within its tables.
        values: (n,) ratings.
        features: column -> value(s).
        side: the newcomer's.
        prior: of the newcomer's own bias and factors.
        given: the rest of the model.
        columns: a pair for each history in the model: whether it is the newcomer's own, and its side.

    Returns:
        What the history and the features say, plus the mean of the own part's conditional, in every sample.
    """
    n = len(rows)
    if np.shape(values) != (n,):
        raise DataError(f"{n} rows and values of shape {np.shape(values)}: both must be (n,).")
    S, K = len(given.mean), side.prior_mean.shape[2] - 1
    place, weight = feature_rows(side, features or {})
    known = np.einsum("sfk,f->sk", side.features[:, place], weight)  # (S, 1 + K)
    known = known + not_told(side, features or {}, n)
    history = side.features[:, rows].sum(1) if side.has_history and n else np.zeros((S, 1 + K))
    told = known + history * history_weight(max(n, 1), side.shrink)
    mean, drawn = _own(np.asarray(values, np.float64), told, prior, given)
    known = known + history * history_weight(n + 1, side.shrink)  # as for any held-out pair, it grows by the pair
    parts: list[np.ndarray] = []
    for x in (mean + known, drawn + known):
        extra = [_history_column(x, n, own=mine, side=s) for mine, s in columns]
        parts += [x[:, 0], np.concatenate([x[:, 1:], *extra], 1)]
    return PosteriorPart(*parts, n_told=n)


def not_told(side: SidePosterior, features: Mapping[str, Any], n: int) -> np.ndarray:
    """What is expected (S, 1 + K) of columns that were not given, and of a history of which n ratings are told.

    That of the average row of train; of the history, the share shrink/(n + shrink) that the told part leaves open.
    """
    weight = side.typical.astype(np.float64)
    for g, (column, first, last) in enumerate(side.groups):
        if g == 0 and side.has_history:
            weight[first:last] *= side.shrink / max(n + side.shrink, 1e-9)
        elif column in features:
            weight[first:last] = 0.0
    return np.einsum("sfk,f->sk", side.features, weight)


def _own(values: np.ndarray, known: np.ndarray, prior: Own, given: Given) -> tuple[np.ndarray, np.ndarray]:
    """Mean and a draw of the conditional of own bias and factors, (S, 1 + K) each; ``known``: features and history."""
    mean, lam = prior
    z = np.random.default_rng(0).standard_normal(mean.shape)  # the same for every newcomer
    if not len(values):
        return mean, mean + z / np.sqrt(lam)
    bias, q = given.bias, given.factors
    a = np.concatenate([np.ones((*bias.shape, 1)), q[:, :, : known.shape[1] - 1]], 2)  # (S, n, 1 + K)
    e = values - given.mean[:, None] - bias - np.einsum("snk,sk->sn", a, known)
    alpha = (1 / given.noise.astype(np.float64) ** 2)[:, None]
    P = alpha[:, :, None] * np.einsum("snk,snl->skl", a, a) + lam[:, :, None] * np.eye(lam.shape[1])
    right: np.ndarray = lam * mean + alpha * np.einsum("snk,sn->sk", a, e)
    half = cast("np.ndarray", np.linalg.cholesky(P))  # P = half halfᵀ, so half⁻ᵀ z has the covariance P⁻¹
    own = cast("np.ndarray", np.linalg.solve(P, right[:, :, None]))[:, :, 0]
    step = cast("np.ndarray", np.linalg.solve(half.transpose(0, 2, 1), z[:, :, None]))
    return own, own + step[:, :, 0]


def _history_column(x: np.ndarray, n: int, *, own: bool, side: SidePosterior) -> np.ndarray:
    """A newcomer's entry in a history's column (S, 1): its weight in its own; in the other what its prior says."""
    if own:
        return np.full((len(x), 1), history_weight(n + 1, side.shrink))
    mean = side.prior_mean[:, 1]  # (S, 1 + K) of the history's group
    return mean[:, :1] + np.einsum("sk,sk->s", mean[:, 1:], x[:, 1:])[:, None]


def feature_rows(side: SidePosterior, features: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Which features column -> value(s) name (n,), and their weights (n,), as ``features.encode`` gives them.

    A number is standardised; m labels of a column weigh 1/√m each.

    Raises:
        DataError: for a column or a label that the fit did not have, or a number that is none.
    """
    place = {name: f for f, name in enumerate(side.names)}
    scales = {column: (mean, spread) for column, mean, spread in side.scales}
    columns = [g for g, _, _ in side.groups[int(side.has_history) :]]
    found: list[int] = []
    weight: list[float] = []
    for column, value in features.items():
        if column not in columns:
            raise DataError(f"the fit used no feature column {column!r}.", hint=did_you_mean(column, columns))
        if column in scales:
            mean, spread = scales[column]
            found.append(place[column])
            weight.append((_number(column, value) - mean) / spread)
            continue
        for label in _labels(value):
            name = f"{column}={label}"
            if name not in place:
                known = [x.split("=", 1)[1] for x in side.names if x.startswith(f"{column}=")]
                raise DataError(f"column {column!r} has no value {label!r}.", hint=did_you_mean(label, known))
            found.append(place[name])
        m = len(found) - len(weight)
        weight += [m**-0.5] * m
    return np.array(found, np.int64), np.array(weight)


def _number(column: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise DataError(f"column {column!r} holds numbers; {value!r} is none.", hint="leave out what is not known.")
    return number


def _labels(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        return [v for v in value.split("|") if v]
    return list(cast("Sequence[Any]", value)) if isinstance(value, Sequence) else [value]
