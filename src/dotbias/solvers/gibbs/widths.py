"""From slices that a fit held out: how wide its predictions are, and how much of a session carries over.

Three kinds of rows are held out of train: ratings at random; all ratings of some users, who so are new; the last
ratings of others, as if asked for tomorrow. Guesses for them come from a posterior of the rest. What is fitted:

    noise          with N(mean, (variance + noise²) · factor), factor as in ``posterior.widths``
    carry          by which a user's last session helps to guess a new one best
    star noise,    under which the held-out stars are likeliest
    moves          of the cutpoints between stars

The last two are fitted on users who were seen: a few new ones with many ratings would set the level of all.

This module knows scores and values, no chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...posterior import Posterior, slices
from ...posterior.samples import Moments
from ...posterior.widths import FEATURES
from ...ratings import Ratings
from ...times import NOW

CARRIES = (0.0, 0.25, 0.5, 0.75, 1.0)
CARRY = 0.5  # where there is no slice to choose it on
LEVEL = 0.8  # at which intervals cover what they say
RIDGE = 5.0  # on the coefficients of a width, in ratings
FEWEST = 30  # rows of a kind that say something of it


class Parts(NamedTuple):
    """The slices: each a part of train, perhaps empty.

    Attributes:
        random: ratings at random.
        last: the last ratings of some users.
        new: all ratings of others.
    """

    random: Ratings
    last: Ratings
    new: Ratings


class Stated(NamedTuple):
    """How predictions are stated, on the ratings' scale.

    Attributes:
        noise: standard deviation.
        widths: (6,) coefficients, or none.
        carry: 0 to 1.
        star_noise: standard deviation of f + noise before cutpoints slice it.
        moves: (L - 1,) of the cutpoints, as :func:`moved` takes them; none where values are many.
        kinds: (kind, mean squared error) of the guesses on each slice.
    """

    noise: float | None
    widths: np.ndarray
    carry: float
    star_noise: float | None
    moves: np.ndarray
    kinds: list[tuple[str, float]]


class Rows(NamedTuple):
    """Held-out rows as they are guessed: mean, variance and features (n, 6) of each, and its value."""

    mean: np.ndarray
    variance: np.ndarray
    x: np.ndarray
    y: np.ndarray


def state(of_rest: Posterior, parts: Parts, edges: np.ndarray) -> Stated:
    """What the slices say of a posterior of the rest; edges (L - 1,) between stars, none where values are many."""
    carry = _carry(of_rest, parts.last)
    of_rest = of_rest.carrying(carry)
    kinds = _kinds(of_rest, parts)
    noise, widths = fit_widths(_together(kinds.values()))
    if not len(edges):
        return Stated(noise, widths, carry, None, edges, _errors(kinds, lambda r: np.clip(r.mean, *of_rest.y_range)))
    seen = _together(rows for name, rows in kinds.items() if name != "new")
    stars = star_noise(seen, of_rest.stars, widths, edges, noise)
    stated = replace(of_rest, noise=noise, widths=widths, star_noise=stars[0], cutpoints=moved(edges, stars[1]))
    errors = _errors(kinds, lambda r: stated.centre(Moments(r.mean, r.variance, np.exp(r.x @ widths))))
    return Stated(noise, widths, carry, *stars, errors)


def _together(kinds: Iterable[Rows]) -> Rows:
    return Rows(*(np.concatenate(column) for column in zip(*kinds, strict=True)))


def _errors(kinds: Mapping[str, Rows], guess: Callable[[Rows], np.ndarray]) -> list[tuple[str, float]]:
    """The mean squared error of each kind's guesses, as they are served."""
    return [(name, float(np.mean((r.y - guess(r)) ** 2))) for name, r in kinds.items()]


def _carry(posterior: Posterior, last: Ratings) -> float:
    """The share of the last session with which tomorrow's ratings are guessed best."""
    if not posterior.sessions.effects.shape[1] or len(last) < FEWEST:
        return CARRY
    now, y = np.full(len(last), NOW), last.explicit()
    scores = [posterior.carrying(c).score(last.users, last.items, now) for c in CARRIES]
    return CARRIES[int(np.argmin([np.mean((s - y) ** 2) for s in scores]))]


def _kinds(posterior: Posterior, parts: Parts) -> dict[str, Rows]:
    """The rows of each kind, by name: random ones twice where times are used, since their time may be known or not."""
    timed = bool(posterior.sessions.effects.shape[1])

    def rows(part: Ratings, times: np.ndarray | None) -> Rows:
        found = posterior.moments(part.users, part.items, times)
        return Rows(found.mean, found.variance, posterior.row_features(part.users, part.items, times), part.explicit())

    now = {name: np.full(len(part), NOW) if timed else None for name, part in parts._asdict().items()}
    kinds = {"time unknown": rows(parts.random, None)} if timed else {}
    kinds["time given" if timed else "random"] = rows(parts.random, parts.random.times)
    return kinds | {
        name: rows(getattr(parts, name), now[name]) for name in ("last", "new") if len(getattr(parts, name))
    }


def fit_widths(rows: Rows) -> tuple[float, np.ndarray]:
    """Noise, and the coefficients (6,) of the factor on variance + noise².

    Their likelihood under a normal error, with a ridge on the coefficients, says how rows compare; then all are scaled
    so that central intervals cover ``LEVEL``: by coverage, since errors have heavier tails than a normal.
    """
    from scipy.optimize import minimize
    from scipy.special import ndtri

    squares, middle = (rows.y - rows.mean) ** 2, rows.x[:, 1:].mean(0)  # the noise is that of a row in the middle
    x = rows.x[:, 1:] - middle
    first = 0.5 * np.log(max(float(np.mean(squares) - np.mean(rows.variance)), 0.1 * float(np.mean(squares)), 1e-12))

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        noise2 = np.exp(2 * p[0])
        log_v = np.log(rows.variance + noise2) + x @ p[1:]
        ratio = squares * np.exp(-log_v)
        slope = 0.5 * (1 - ratio)  # of the loss by log v
        value = 0.5 * float((log_v + ratio).sum()) + 0.5 * RIDGE * float(p[1:] @ p[1:])
        by_noise = float((slope * 2 * noise2 / (rows.variance + noise2)).sum())
        return value / len(x), np.r_[by_noise, slope @ x + RIDGE * p[1:]] / len(x)

    p = minimize(loss, np.r_[first, np.zeros(len(FEATURES) - 1)], jac=True, method="L-BFGS-B").x
    noise = float(np.exp(p[0]))
    sd = np.sqrt((rows.variance + noise**2) * np.exp(x @ p[1:]))
    reach = float(np.quantile(np.sqrt(squares) / sd, LEVEL)) / ndtri((1 + LEVEL) / 2)
    return noise, np.r_[2 * np.log(max(reach, 1e-6)) - middle @ p[1:], p[1:]]


def moved(edges: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Cutpoints (L - 1,) that rise: the first edge plus the first move, each gap times the exponential of its own.

    Relative to the edges, because those of an ordinal chain are its own, on the scale of its f.
    """
    gaps = np.maximum(np.diff(edges), 1e-3) * np.exp(moves[1:])
    return np.cumsum(np.r_[edges[0] + moves[0], gaps])


def star_noise(
    rows: Rows, stars: np.ndarray, widths: np.ndarray, edges: np.ndarray, noise: float
) -> tuple[float, np.ndarray]:
    """Noise, and moves (L - 1,) of the edges, under which held-out stars are likeliest; ``noise``: a first guess.

    Which star a rating is, its value says, never the edges: these are on the scale of f, where a star's own value may
    lie in another's slice. Stars (L,) that are not among the rows are counted as half a rating, so that every cutpoint
    stays finite.
    """
    from scipy.optimize import minimize

    L, levels, scale = len(stars), np.searchsorted(stars, rows.y), np.exp(rows.x @ widths)
    missing = np.setdiff1d(np.arange(L), levels)
    weight = np.r_[np.ones(len(levels)), np.full(len(missing), 0.5)]

    def loss(x: np.ndarray) -> float:
        p = slices(rows.mean, (rows.variance + np.exp(2 * x[0])) * scale, moved(edges, x[1:]))
        chance = np.r_[p[np.arange(len(levels)), levels], p.mean(0)[missing]]
        return float(-(weight * np.log(np.maximum(chance, 1e-12))).sum() / len(weight))

    x = minimize(loss, np.r_[np.log(noise), np.zeros(len(edges))], method="L-BFGS-B").x
    return float(np.exp(x[0])), x[1:]
