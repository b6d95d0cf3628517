"""S samples of biases and factors, and what they say of a pair: a guess, its spread, its stars.

For sample s, with a row's features and history already folded into its bias and factors,

    f_s(u, i) = mean_s + user_bias_s[u] + item_bias_s[i] + users_s[u] · items_s[i],

where the fit used times, u is the user in the session of the rating (see ``sessions``). The rating is f + noise; with
ordered-probit output, noise and cutpoints slice f into stars. The histories hold the scored pair itself, as they do for
every training rating: "what would they give, if they rated it?", hence one more column of factors for each history;
``rank`` leaves these out: what the pair would add says nothing of whether it will be. For the same reason f is raised
for users of whom little is known (see ``selection``): who rates an item likes it more than others would.

A row without ratings has its prior's mean and what its features say; the prior's spread is added to the variance. The
rating's variance, that of f and the noise's together, is multiplied by a factor of the row (see ``widths``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, SettingError
from ..factors import Factors
from ..ids import Tables
from ..objective import Objective, Side
from ..ratings import Ratings
from ..scorer import (
    Account,
    Asks,
    Bilinear,
    Case,
    Explains,
    FoldsIn,
    Intervals,
    Keeps,
    Likes,
    Noted,
    Ranks,
    Sampled,
    Scorer,
    Stars,
    State,
    Stored,
    Timed,
)
from ..trace import Trace
from .compress import compressed, onto
from .gather import all_or, counted, gathered
from .keeping import kept as keep
from .newcomers import Given, Newcomer, Own, PosteriorPart, SidePosterior, fold_in, group_averages, with_session
from .reasons import explain, gains
from .selection import Selection, left_open
from .sessions import SessionPosterior
from .stars import central_stars, slices
from .stored import SAMPLED, fields_from, state_of
from .widths import NEW, factor, row_features

BLOCK = 1 << 22  # floats gathered at a time


class Moments(NamedTuple):
    """What is known of f, and of the rating around it, each (…,) float64.

    Attributes:
        mean: of f.
        variance: of f.
        width: the factor on the rating's variance, that of f and the noise's together.
    """

    mean: np.ndarray
    variance: np.ndarray
    width: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """S samples of biases and factors of U users and I items.

    Attributes:
        mean: (S,) float32.
        user_bias: (S, U) float32; ``item_bias`` (S, I).
        users: (S, U, K) float32, the columns of histories last; ``items`` (S, I, K).
        user_counts: (U,) int32 ratings of each user in train; ``item_counts`` (I,).
        sessions: of each user: effects in every sample; none where times are not used.
        noise: standard deviation of a rating around f, as gaussian predictions state it.
        star_noise: the same for stars: of f + noise, before ``cutpoints`` slice it.
        fit_noise: (S,) the same, as each sample was drawn with (tempered: see ``gibbs``).
        stars: (L,) the values that ratings take, rising, where star probabilities are known; else empty.
        cutpoints: (L - 1,) where f + noise passes from one star to the next.
        ordinal: whether scores are expected stars (True) or the mean of f, clipped to ``y_range``.
        y_range: (low, high).
        user_side, item_side: for newcomers.
        trace: what was traced along the chains; None once loaded from disk.
        widths: (6,) coefficients of the factor on the variance, as in ``posterior.widths``; none: 1.
        selection: how much more those who rate an item like it, as in ``posterior.selection``.
        held_out: kind of row -> mean squared error of guesses on slices of train, while these were held out.
        notes: how the fit went, for people.
        tables: fingerprint of the id tables whose rows these are; None where nobody said.
        kept: the compressed Factors, where they were made before and kept on disk.
    """

    mean: np.ndarray
    user_bias: np.ndarray
    item_bias: np.ndarray
    users: np.ndarray
    items: np.ndarray
    user_counts: np.ndarray
    item_counts: np.ndarray
    sessions: SessionPosterior
    noise: float
    star_noise: float
    fit_noise: np.ndarray
    stars: np.ndarray
    cutpoints: np.ndarray
    ordinal: bool
    y_range: tuple[float, float]
    user_side: SidePosterior
    item_side: SidePosterior
    trace: Trace | None = None
    widths: np.ndarray = field(default_factory=lambda: np.zeros(0))
    selection: Selection = field(default_factory=Selection)
    held_out: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[str, ...] = field(default=())
    tables: Tables | None = None
    kept: Factors | None = None

    def __repr__(self) -> str:
        S, U, K = self.users.shape
        output = "ordered probit" if self.ordinal else "gaussian"
        return f"Posterior({S} samples, {U:,} users, {self.items.shape[1]:,} items, {K} factors, {output})"

    @property
    def offers(self) -> tuple[type, ...]:
        """See ``scorer``; stars where ratings are a few distinct values, times where sessions are used."""
        always = (Scorer, Ranks, Noted, Likes, Intervals, Bilinear, Sampled, FoldsIn, Keeps, Explains, Asks, Stored)
        return (*always, *((Stars,) if len(self.stars) else ()), *((Timed,) if self.sessions.effects.shape[1] else ()))

    @property
    def n_samples(self) -> int:
        """S."""
        return len(self.mean)

    @property
    def nbytes(self) -> int:
        """Memory that the samples take, in bytes."""
        return sum(a.nbytes for a in self.state().arrays.values())

    # Scoring ---------------------------------------------------------------------------------------------------

    def score(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The posterior's guess for pairs of rows (B,), (B,), optionally at times (B,) -> (B,) float32."""
        return self.centre(self.moments(users, items, times))

    def score_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The guess of every item for each user row (B,) -> (B, I) float32."""
        return self.centre(self._moments_all(users, times))

    def rank(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The mean of f, unclipped and without the pair's own places in histories, (B,), (B,) -> (B,) float32."""
        f = self._in_blocks(lambda at, t: self.samples(users[at], items[at], t, own=False).mean(0)[None], users, times)
        return f[0].astype(np.float32)

    def rank_all(self, users: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each user row (B,) -> (B, I) float32."""
        return self._moments_all(users, times, own=False).mean.astype(np.float32)

    def moments(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None, *, own: bool = True
    ) -> Moments:
        """Mean and variance of f, unclipped and without noise, and the width, (B,) each; ``own``: see :meth:`samples`.

        The variance is that over the samples, and what is not in them: of sessions that are not known, of rows
        without ratings.
        """
        users, items = np.atleast_1d(users), np.atleast_1d(items)

        def both(at: slice, t: np.ndarray | None) -> np.ndarray:
            f = self.samples(users[at], items[at], t, own=own)
            return np.stack([f.mean(0), f.var(0) + self._spread(users[at], items[at], t)])

        mean, variance = self._in_blocks(both, users, times)
        width = np.exp(self.row_features(users, items, times) @ self.widths) if len(self.widths) else np.ones(len(mean))
        more = self.raised(variance, counted(self.user_counts, users), items) if own else 0.0
        return Moments(mean + more, variance, width)

    def row_features(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        """What the width of each pair hangs on (B, 6) float64."""
        counts = counted(self.user_counts, users), counted(self.item_counts, items)
        return row_features(*counts, self.sessions.kinds(users, times))

    def _in_blocks(
        self, of: Callable[[slice, np.ndarray | None], np.ndarray], users: np.ndarray, times: np.ndarray | None
    ) -> np.ndarray:
        """Numbers (M, B) of pairs, made of blocks of them that a sample's floats fit."""
        B = len(users)
        size = max(1, BLOCK // (self.n_samples * (self.users.shape[2] + 1)))
        blocks = [slice(a, a + size) for a in range(0, max(B, 1), size)]
        return np.concatenate([of(at, None if times is None else np.atleast_1d(times)[at]) for at in blocks], 1)

    def samples(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None, *, own: bool = True
    ) -> np.ndarray:
        """f of every sample for pairs of rows (B,) -> (S, B) float64; ``own``: with the pair in its own histories."""
        (bu, p), (bi, q) = self.user_rows(users, times), self.item_rows(items)
        k = p.shape[2] if own else self.n_own
        f = self.mean[:, None] + bu + bi + np.einsum("sbk,sbk->sb", p[:, :, :k], q[:, :, :k])
        return f.astype(np.float64)

    def _moments_all(
        self, users: np.ndarray, times: np.ndarray | None, *, own: bool = True, spread: bool = False
    ) -> Moments:
        """Of every item for each user row, (B, I) each; the variance only for ordinal output, or if asked for."""
        users, n_items = np.asarray(users), self.item_bias.shape[1]
        size = max(1, BLOCK // max(n_items, 1))
        blocks = [slice(a, a + size) for a in range(0, len(users), size)]
        wanted = spread or self.ordinal or (own and self.selection.strength != 0)
        parts = [self._moments_rows(users[at], None if times is None else times[at], own, wanted) for at in blocks]
        if not parts:
            return Moments(*np.zeros((3, 0, n_items)))
        return Moments(*(np.concatenate(x) for x in zip(*parts, strict=True)))

    def _moments_rows(self, users: np.ndarray, times: np.ndarray | None, own: bool, spread: bool) -> Moments:
        bu, p = self.user_rows(users, times)
        k = p.shape[2] if own else self.n_own
        total, squares = np.zeros((2, len(users), self.item_bias.shape[1]))
        for s in range(self.n_samples):
            f = p[s, :, :k] @ self.items[s, :, :k].T + (self.mean[s] + bu[s])[:, None] + self.item_bias[s]
            total += f
            if spread:
                squares += np.square(f, dtype=np.float64)
        mean = total / self.n_samples
        if not spread:
            return Moments(mean, squares, squares)
        more = self._spread(users, None, times)[:, None] + np.where(self.item_counts == 0, self._cold_spread[1], 0)
        kinds = self.sessions.kinds(users, times)[:, None]
        counts = counted(self.user_counts, users)[:, None]
        variance = np.maximum(squares / self.n_samples - mean**2, 0) + more
        width = factor(self.widths, counts, self.item_counts, kinds)
        return Moments(mean + (self.raised(variance, counts) if own else 0.0), variance, width)

    def raised(self, variance: np.ndarray, counts: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        """What is added to f of rated pairs (…,), of users with so many ratings and all items, or these."""
        precision, noise = self.user_side.prior_precision[:, 0, 0], self.fit_noise
        strength, more = self.selection
        of_items = counted(more, all_or(items, self.item_bias.shape[1]))
        return (strength * variance + of_items) * left_open(counts, float(precision.mean()), float(noise.mean()))

    def centre(self, m: Moments) -> np.ndarray:
        """The guess for f of those moments (…,) -> (…,) float32: the mean, clipped, or the expected star."""
        if self.ordinal:
            return (self._slices(m) @ self.stars).astype(np.float32)
        return np.clip(m.mean, *self.y_range).astype(np.float32)

    def user_rows(self, users: np.ndarray, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Each user in the session of each rating, rows (B,), times (B,): bias (S, B) and factors (S, B, K).

        Times None: unknown, so that they are users over all their sessions.
        """
        users = np.asarray(users)
        bias, factors = gathered(users, self.user_bias, self.users, self._stranger_user)
        known = (users >= 0) & (users < self.user_bias.shape[1])
        if not self.sessions.effects.shape[1] or not known.any():
            return bias, factors
        if known.all():
            known = slice(None)
        effect = self.sessions.of(users[known], times if times is None else np.atleast_1d(times)[known])
        k = effect.shape[2] - 1
        bias[:, known] += effect[:, :, 0]
        if self.sessions.everyones:  # version 0.1 multiplied the day's factors by the user's, too
            bias[:, known] += np.einsum("sbk,sbk->sb", effect[:, :, 1:], factors[:, known, :k])
        factors[:, known, :k] += effect[:, :, 1:]
        return bias, factors

    def item_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each item: bias (S, B) and factors (S, B, K), not to be written to."""
        if len(rows) == self.item_bias.shape[1] and np.array_equal(rows, np.arange(len(rows))):
            return self.item_bias, self.items  # all of them: as they are, not copied
        return gathered(rows, self.item_bias, self.items, self._stranger_item)

    @property
    def n_own(self) -> int:
        """How many factors there are before the columns of histories."""
        return self.users.shape[2] - self.user_side.has_history - self.item_side.has_history

    def _spread(self, users: np.ndarray, items: np.ndarray | None, times: np.ndarray | None) -> np.ndarray:
        """The variance of f that the samples do not show (B,) float64: of sessions, and of rows without ratings."""
        out = np.where(counted(self.user_counts, users) == 0, self._cold_spread[0], 0.0)
        if items is not None:
            out = out + np.where(counted(self.item_counts, items) == 0, self._cold_spread[1], 0.0)
        if self.sessions.effects.shape[1]:
            out = out + self.sessions.spread(users, times, self._squares[1])
        return out

    @cached_property
    def _squares(self) -> tuple[np.ndarray, np.ndarray]:
        """1, and the mean square of each factor in each sample: of users, of items, (S, 1 + K) float64 each."""
        k, one = self.n_own, np.ones((self.n_samples, 1))
        means = [np.square(x[:, :, :k], dtype=np.float64).mean(1) for x in (self.users, self.items)]
        return np.concatenate([one, means[0]], 1), np.concatenate([one, means[1]], 1)

    @cached_property
    def _cold_spread(self) -> tuple[float, float]:
        """The variance of f from the own bias and factors of a user, of an item, without ratings."""
        users, items = self._squares
        pairs = (self.user_side, items), (self.item_side, users)
        found = [float((other / side.prior_precision[:, 0]).sum(1).mean()) for side, other in pairs]
        return found[0], found[1]

    @cached_property
    def _stranger_user(self) -> PosteriorPart:
        return self._fold_in("user", np.zeros(0, np.int64), np.zeros(0))

    @cached_property
    def _stranger_item(self) -> PosteriorPart:
        return self._fold_in("item", np.zeros(0, np.int64), np.zeros(0))

    # Uncertainty -----------------------------------------------------------------------------------------------

    def sd(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Standard deviation of the rating itself: posterior spread of f and noise -> (B,) float32."""
        m = self.moments(users, items, times)
        if self.ordinal:
            p = self._slices(m)
            return np.sqrt(np.maximum(p @ self.stars**2 - (p @ self.stars) ** 2, 0)).astype(np.float32)
        return np.sqrt((m.variance + self.noise**2) * m.width).astype(np.float32)

    def interval(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None, *, level: float = 0.8
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the rating lies with probability ``level``: (low, high), (B,) float32 each, cut to the scale.

        Gaussian output: the central interval of N(mean, sd²). Ordinal output: quantiles of the stars, which, being
        few, cover at least ``level``.
        """
        return self.central(self.moments(users, items, times), level)

    def central(self, m: Moments, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The central interval of ratings whose f has those moments (B,): (low, high), (B,) float32 each."""
        if not 0 < level < 1:
            raise SettingError(f"level is {level!r}.", hint="a probability between 0 and 1, such as 0.8.")
        if self.ordinal:
            return central_stars(self._slices(m), self.stars, level)
        from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs]

        reach = ndtri((1 + level) / 2) * np.sqrt((m.variance + self.noise**2) * m.width)
        low, high = (np.clip(m.mean + sign * reach, *self.y_range).astype(np.float32) for sign in (-1, 1))
        return low, high

    def star_probabilities(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """The probability of each of ``stars`` -> (B, L) float64, rows summing to 1.

        Raises:
            DataError: where ratings are not a few distinct values.
        """
        if not len(self.stars):
            raise DataError("this posterior does not support stars.", hint="fit with ordinal=True, or noise='auto'.")
        return self._slices(self.moments(users, items, times))

    def _slices(self, m: Moments) -> np.ndarray:
        return slices(m.mean, (m.variance + self.star_noise**2) * m.width, self.cutpoints)

    def p_like(self, users: np.ndarray, items: np.ndarray, like: float, times: np.ndarray | None = None) -> np.ndarray:
        """P(rating >= like), if it is rated, of pairs (B,), (B,) without their own places in histories (B,) float64."""
        return self.reaches(self.moments(users, items, times, own=False), like)

    def p_like_all(self, users: np.ndarray, like: float, times: np.ndarray | None = None) -> np.ndarray:
        """The same for every item and each of the user rows (B,), without the pair's own places in histories (B, I)."""
        return self.reaches(self._moments_all(users, times, own=False, spread=True), like)

    def reaches(self, m: Moments, like: float) -> np.ndarray:
        """P(rating >= like) of ratings whose f has those moments (…,): by stars where these are known."""
        from scipy.special import ndtr  # pyright: ignore[reportMissingTypeStubs]

        if len(self.stars):
            cut = np.r_[-np.inf, self.cutpoints, np.inf][np.searchsorted(self.stars, like)]
            return ndtr((m.mean - cut) / np.sqrt((m.variance + self.star_noise**2) * m.width))
        return ndtr((m.mean - like) / np.sqrt((m.variance + self.noise**2) * m.width))

    # Newcomers -------------------------------------------------------------------------------------------------

    def fold_in_user(
        self, items: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> Newcomer:
        """A new user who gave ``values`` (n,) to the item rows ``items`` (n,); ``features``: column -> value(s).

        In every sample: what the history and the features say, plus the mean of the own bias' and factors'
        conditional. With neither ratings nor features: the prior's mean.

        Raises:
            DataError: for shapes that differ, or features that the fit did not have.
        """
        return Newcomer(self, "user", self._fold_in("user", items, values, features))

    def fold_in_item(
        self, users: np.ndarray, values: np.ndarray, features: Mapping[str, Any] | None = None
    ) -> Newcomer:
        """A new item to which the user rows ``users`` (n,) gave ``values`` (n,); ``features``: column -> value(s)."""
        return Newcomer(self, "item", self._fold_in("item", users, values, features))

    def keeping(self, train: Ratings, side: Side, rows: np.ndarray) -> Posterior:
        """With the rows (n,) of one side folded in by all their ratings in train: see ``scorer.Keeps``."""
        return keep(self, train, side, rows)

    def fold_in_row(
        self,
        side: Side,
        row: int,
        others: np.ndarray,
        values: np.ndarray,
        features: Mapping[str, Any],
        times: np.ndarray | None,
    ) -> PosteriorPart:
        """A row that stays, rated at ``times`` (n,): its draws are its own, and sessions that are known stay known."""
        return self._fold_in(side, others, values, features, row, times)

    def _fold_in(
        self,
        side: Side,
        rows: np.ndarray,
        values: np.ndarray,
        features: Mapping[str, Any] | None = None,
        row: int | None = None,
        times: np.ndarray | None = None,
    ) -> PosteriorPart:
        rows = np.asarray(rows, np.int64)
        if side == "user":
            own, given = self.user_side, gathered(rows, self.item_bias, self.items)
            prior = Own.of(own)
            if row is not None and self._has_sessions(row):
                given = given[0] + self._session_part(row, given[1], times), given[1]
            else:
                prior = with_session(prior, self.sessions)
        else:
            own, given = self.item_side, self.user_rows(rows, times)
            prior = Own.of(own)
        seed = 0 if row is None else (1 + (side == "item"), row)
        histories = [(side == name, s) for name, s in (("user", self.user_side), ("item", self.item_side))]
        columns = [(mine, s) for mine, s in histories if s.has_history]
        return fold_in(
            rows,
            values,
            features,
            own,
            prior,
            Given(self.mean, self.fit_noise, *given),
            columns,
            seed,
            self._averages[side],
        )

    @cached_property
    def _averages(self) -> dict[Side, np.ndarray]:
        """Of each side, what its groups of features say of the average row."""
        return {"user": group_averages(self.user_side), "item": group_averages(self.item_side)}

    def _has_sessions(self, user: int) -> bool:
        return bool(self.sessions.sessions.last(np.array([user]))[0] >= 0)

    def _session_part(self, user: int, items: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        """What a user's sessions, as they are, have in f with items of factors (S, n, K), at times (n,): (S, n)."""
        effect = self.sessions.of(np.repeat(user, items.shape[1]), times)
        return effect[:, :, 0] + np.einsum("snk,snk->sn", effect[:, :, 1:], items[:, :, : effect.shape[2] - 1])

    @property
    def n_rows(self) -> tuple[int, int]:
        """U and I."""
        return self.user_bias.shape[1], self.item_bias.shape[1]

    def stranger(self, side: Side) -> PosteriorPart:
        """A newcomer of whom nothing is told."""
        return self._stranger_user if side == "user" else self._stranger_item

    def effective_rows(self, side: Side, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bias (S, n) and factors (S, n, K) of rows of one side; of users, as they are over all their sessions."""
        return self.user_rows(rows) if side == "user" else self.item_rows(rows)

    def project(self, side: Side, factors: np.ndarray) -> np.ndarray:
        """Rows' factors in every sample (S, n, K) -> compressed (n, R): least squares on the other side's products."""
        onto = self._projections[0 if side == "user" else 1]
        return np.einsum("snk,skr->nr", factors, onto, optimize=True)

    @cached_property
    def _projections(self) -> tuple[np.ndarray, np.ndarray]:
        """(S, K, R) float32 for users and for items: Q_sᵀ B (BᵀB)⁺ / S, B the other side's compressed factors."""
        near = self.factors()
        users = self.user_rows(np.arange(len(self.user_bias[0])))[1]
        return onto(self.items, near.items), onto(users, near.users)

    def part_moments(self, side: Side, part: PosteriorPart, others: np.ndarray | None, *, own: bool = True) -> Moments:
        """Mean and variance of f between a newcomer and rows of the other side, and the width, (n,) each.

        The variance is that of draws of the newcomer; the mean is without their sampling error.
        """
        if side == "user":
            rows = all_or(others, self.item_bias.shape[1])
            (bias, factors), cold = self.item_rows(rows), np.where(counted(self.item_counts, rows) == 0, 1.0, 0.0)
        else:
            rows = all_or(others, self.user_bias.shape[1])
            bias, factors = self.user_rows(rows)
            cold = self._spread(rows, None, None)
        k = factors.shape[2] if own else self.n_own
        mean, drawn = (
            (self.mean + b)[:, None] + bias + np.einsum("sk,snk->sn", x[:, :k], factors[:, :, :k])
            for b, x in ((part.bias, part.factors), (part.drawn_bias, part.drawn_factors))
        )
        told, of_others = np.full(len(rows), part.n_told), self.item_counts if side == "user" else self.user_counts
        counts = [told, counted(of_others, rows)]
        if side == "item":
            counts.reverse()
        new = side == "user" and bool(self.sessions.effects.shape[1])
        kinds = np.full(len(rows), NEW) if new else self.sessions.kinds(rows, None)
        width = factor(self.widths, counts[0], counts[1], kinds)
        variance = drawn.var(0) + (cold * self._cold_spread[1] if side == "user" else cold)
        more = self.raised(variance, counts[0], rows if side == "user" else np.array([-1])) if own else 0.0
        return Moments(mean.mean(0) + more, variance, width)

    # Reasons ---------------------------------------------------------------------------------------------------

    def explain(self, case: Case) -> Account:
        """The parts of one prediction, and what each of the user's ratings adds to it: means over the samples."""
        return explain(self, case)

    def gains(
        self, told: tuple[np.ndarray, np.ndarray], items: np.ndarray, weights: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """The expected share of the variance of all scores that a rating of each item would take away (m,).

        Args:
            told: item rows (n,) and their ratings (n,).
            items: (m,) item rows that may be asked for.
            weights: (I,) how much it matters to know what the user would give each item.
            noise: not used: each sample has its own.
        """
        return gains(self, told, items, weights)

    # Smaller, and on disk --------------------------------------------------------------------------------------

    def factors(self) -> Factors:
        """Plain Factors that score nearly alike: :meth:`compress` to twice a sample's factors; made once and kept."""
        return self._compressed

    @cached_property
    def _compressed(self) -> Factors:
        return self.kept or self.compress()

    def squash(self, z: np.ndarray) -> np.ndarray:
        """From the scale of f to the ratings': clipped, or the expected star under the noise alone."""
        if self.ordinal:
            return self._slices(Moments(z, np.zeros(np.shape(z)), np.ones(np.shape(z)))) @ self.stars
        return np.clip(z, *self.y_range)

    def draws(self) -> Iterator[Factors]:
        """Each sample as Factors; of the users, as they are over all their sessions."""
        objective = Objective(y_range=self.y_range)
        user_bias, users = self.user_rows(np.arange(len(self.user_bias[0])))
        for s in range(self.n_samples):
            parts = user_bias[s], self.item_bias[s], users[s], self.items[s]
            yield Factors(float(self.mean[s]), *parts, objective, self.tables)

    def compress(self, n_factors: int | None = None) -> Factors:
        """Plain Factors: the mean biases, and the best ``n_factors``-dimensional approximation of the mean of P·Q.

        Users are as they are over all their sessions; uncertainty and features are left behind. By default as many
        factors as a sample has, twice.
        """
        return compressed(self, n_factors)

    def carrying(self, carry: float) -> Posterior:
        """The same with another share of the last session in a new one."""
        return replace(self, sessions=self.sessions._replace(carry=carry))

    def thin(self, keep: int) -> Posterior:
        """Thin to ``keep`` samples, evenly spread: smaller, a little less exact."""
        at = np.unique(np.linspace(0, self.n_samples - 1, min(keep, self.n_samples)).round().astype(int))
        sides = {
            name: side._replace(
                features=side.features[at], prior_mean=side.prior_mean[at], prior_precision=side.prior_precision[at]
            )
            for name, side in (("user_side", self.user_side), ("item_side", self.item_side))
        }
        return replace(
            self,
            **{name: getattr(self, name)[at] for name in SAMPLED},
            **sides,
            sessions=self.sessions.thin(at),
            kept=None,
        )

    def state(self) -> State:
        """What ``storage`` keeps: everything but the trace; the compressed Factors, too."""
        return state_of(self)

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], tables: Tables | None = None
    ) -> Posterior:
        """The Posterior whose :meth:`state` this is, to the bit; its trace is gone. Also of version 0.1."""
        return cls(**fields_from(arrays, settings, tables))
