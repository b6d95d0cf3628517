"""What a posterior learns of a newcomer: in every sample, the conditional mean of the newcomer's bias and factors.

Given history and features, own bias and factors are a ridge regression on the other side's, as in the sampler itself
(Salakhutdinov & Mnih 2008, eq. 11-13), with the sample's noise and its prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ..errors import DataError
from ..factors import FactorsPart
from ..features import entries, history_weight
from ..objective import Side
from ..scorer import Intervals, Likes, Sampled
from .sessions import SessionPosterior

if TYPE_CHECKING:
    from .samples import Posterior


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
    seed: int | tuple[int, int] = 0,
    averages: np.ndarray | None = None,
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
        seed: of the draws: rows that are scored together need draws that know nothing of each other.
        averages: :func:`group_averages` of the newcomer's side, where they were made before.

    Returns:
        What the history and the features say, plus the mean of the own part's conditional, in every sample.
    """
    n = len(rows)
    if np.shape(values) != (n,):
        raise DataError(f"{n} rows and values of shape {np.shape(values)}: both must be (n,).")
    S, K = len(given.mean), side.prior_mean.shape[2] - 1
    place, weight = entries(side.names, side.groups[int(side.has_history) :], side.scales, features or {})
    known = np.einsum("sfk,f->sk", side.features[:, place], weight)  # (S, 1 + K)
    known = known + not_told(side, features or {}, n, averages)
    history = side.features[:, rows].sum(1) if side.has_history and n else np.zeros((S, 1 + K))
    told = known + history * history_weight(max(n, 1), side.shrink)
    mean, drawn = _own(np.asarray(values, np.float64), told, prior, given, seed)
    known = known + history * history_weight(n + 1, side.shrink)  # as for any held-out pair, it grows by the pair
    parts: list[np.ndarray] = []
    for x in (mean + known, drawn + known):
        extra = [_history_column(x, n, own=mine, side=s) for mine, s in columns]
        parts += [x[:, 0], np.concatenate([x[:, 1:], *extra], 1)]
    return PosteriorPart(*parts, n_told=n)


def group_averages(side: SidePosterior) -> np.ndarray:
    """What each group of features says of the average row of train: (G, S, 1 + K) float64."""
    groups = [(side.features[:, a:z], side.typical[a:z].astype(np.float64)) for _, a, z in side.groups]
    found = [np.einsum("sfk,f->sk", features, typical) for features, typical in groups]
    return np.stack(found) if found else np.zeros((0, len(side.features), side.features.shape[2]))


def not_told(
    side: SidePosterior, features: Mapping[str, Any], n: int, averages: np.ndarray | None = None
) -> np.ndarray:
    """What is expected (S, 1 + K) of columns that were not given, and of a history of which n ratings are told.

    That of the average row of train; of the history, the share shrink/(n + shrink) that the told part leaves open.
    """
    averages = group_averages(side) if averages is None else averages
    share = np.array([float(column not in features) for column, _, _ in side.groups])
    if side.has_history:
        share[0] = side.shrink / max(n + side.shrink, 1e-9)
    return np.einsum("g,gsk->sk", share, averages)


def _own(
    values: np.ndarray, known: np.ndarray, prior: Own, given: Given, seed: int | tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and a draw of the conditional of own bias and factors, (S, 1 + K) each; ``known``: features and history.

    The draws' deviations sum to 0 over the samples, so that their mean is hardly less exact than the means' own.
    """
    mean, lam = prior
    z = np.random.default_rng(seed).standard_normal(mean.shape)
    z = (z - z.mean(0)) * (len(z) / max(len(z) - 1, 1)) ** 0.5  # centred, with the spread that they had
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


@dataclass(frozen=True, eq=False)
class Newcomer:
    """A user or an item that was folded into a Posterior.

    Attributes:
        of: the posterior.
        side: "user" or "item".
        part: the newcomer's bias and factors, in every sample.
    """

    of: Posterior
    side: Side
    part: PosteriorPart

    offers = (Intervals, Likes, Sampled)

    def near(self) -> FactorsPart:
        """The same newcomer in the posterior's compressed factors."""
        factors = self.of.project(self.side, self.part.factors[:, None].astype(np.float32))[0]
        return FactorsPart(self.of.factors(), self.side, float(self.part.bias.mean()), factors)

    def score(self, others: np.ndarray | None = None) -> np.ndarray:
        """Guesses for rows of the other side (n,), all by default -> (n,) float32."""
        return self.of.centre(self.of.part_moments(self.side, self.part, others))

    def rank(self, others: np.ndarray | None = None) -> np.ndarray:
        """The mean of f, unclipped and without the pair's own places in histories (n,) float32."""
        return self.of.part_moments(self.side, self.part, others, own=False).mean.astype(np.float32)

    def interval(self, others: np.ndarray | None = None, *, level: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
        """Where each rating lies with probability ``level``: (low, high), (n,) float32 each."""
        return self.of.central(self.of.part_moments(self.side, self.part, others), level)

    def p_like(self, like: float, others: np.ndarray | None = None) -> np.ndarray:
        """P(rating >= like), if it is rated, without the pair's own places in histories (n,) float64."""
        return self.of.reaches(self.of.part_moments(self.side, self.part, others, own=False), like)
