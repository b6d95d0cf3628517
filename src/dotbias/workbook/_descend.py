"""Gradient descent on a crosstab, and what it must beat: the constant and the biases alone, in float64.

A prediction is r̂ = mean + b_u + b_i + p·q, or that through a sigmoid. The loss is L = ½ Σ_train (r - r̂)² +
½·wd·(‖biases‖² + ‖factors‖²), summed and halved, so that a gradient is a plain sum of errors times factors. This module
computes what the sheets compute, operation by operation, and knows no sheet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import SettingError
from ..objective import sigmoid
from ..rng import Rng, numpy_rng

N_EPOCHS = 30
ROUNDS = 10  # of alternating between users' and items' biases
EDGE = 0.001  # how near to its limits a sigmoid starts, as a share of their distance


class Settings(NamedTuple):
    """The drop-downs of one run on the sheet *learn*.

    Attributes:
        lr: learning rate.
        momentum: classical; 0 for plain gradient descent.
        wd: weight decay in the loss (L2), on biases and factors.
        biases: whether users and items have biases.
        factors: how many of the sheet's factors are used; None for all.
        scale: initial factors are uniform in [0, scale); biases begin at 0.
        squash: whether predictions pass through a sigmoid between the ratings' range widened by ``pad``.
        pad: how far the sigmoid's asymptotes lie outside the ratings' range.
    """

    lr: float = 0.01
    momentum: float = 0.3
    wd: float = 0.0
    biases: bool = True
    factors: int | None = None
    scale: float = 0.3
    squash: bool = False
    pad: float = 0.5


class Draws(NamedTuple):
    """What chance decides: factors' starting points (U, K) and (I, K), and which rating is for testing (U, I)."""

    users: np.ndarray
    items: np.ndarray
    part: np.ndarray


def draw(shape: tuple[int, int], n_factors: int, rng: Rng) -> Draws:
    """Uniform numbers in [0, 1): factors with two decimals, as a person would type them; parts with three."""
    if not 1 <= n_factors <= 20:
        raise SettingError(f"n_factors is {n_factors!r}; a sheet has room for 1 to 20.", hint="try n_factors=5.")
    generator, (n_users, n_items) = numpy_rng(rng), shape
    users, items = generator.random((n_users, n_factors)), generator.random((n_items, n_factors))
    return Draws(users.round(2), items.round(2), generator.random(shape).round(3))


def parts(ratings: np.ndarray, draws: Draws, test_share: float) -> np.ndarray:
    """(U, I): 1 train, 2 test, 0 where there is no rating."""
    return np.where(np.isnan(ratings), 0, np.where(draws.part < test_share, 2, 1))


def mean_of(ratings: np.ndarray, part: np.ndarray) -> float:
    """The mean of the train ratings; 0 where there are none."""
    return float(ratings[part == 1].mean()) if (part == 1).any() else 0.0


def rmse_of(errors: np.ndarray, where: np.ndarray) -> float:
    """Root mean squared error of the cells ``where``; NaN if there are none."""
    return float(np.sqrt(np.mean(errors[where] ** 2))) if where.any() else float("nan")


class Epoch(NamedTuple):
    """All of one epoch, before its update. Parameters have the bias first; K1 = 1 + K.

    Attributes:
        users: (U, K1); items: (I, K1).
        scores: (U, I) predictions.
        push: (U, I) error r - r̂ times the squashing's slope for train cells, 0 elsewhere.
        user_gradient: (U, K1); item_gradient: (I, K1): of the whole loss.
        train: RMSE of the train cells.
        test: RMSE of the test cells (NaN where there are none).
        loss: what is minimised.
    """

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    push: np.ndarray
    user_gradient: np.ndarray
    item_gradient: np.ndarray
    train: float
    test: float
    loss: float


class Limits(NamedTuple):
    """Where the sigmoid ends, and what is added to every dot product so that the start predicts the mean."""

    low: float
    high: float
    offset: float


def limits(s: Settings, mean: float, y_range: tuple[float, float]) -> Limits:
    """The sigmoid's asymptotes (at least 0.01 apart) and the offset: the mean, or its place on the sigmoid."""
    low = y_range[0] - s.pad
    high = max(y_range[1] + s.pad, low + 0.01)
    if not s.squash:
        return Limits(low, high, mean)
    share = float(np.clip((mean - low) / (high - low), EDGE, 1 - EDGE))
    return Limits(low, high, float(np.log(share / (1 - share))))


def predict(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Dot product plus biases, (U, K1) and (I, K1) -> (U, I)."""
    return users[:, 1:] @ items[:, 1:].T + users[:, :1] + items[:, 0]


def descend(
    ratings: np.ndarray,
    part: np.ndarray,
    draws: Draws,
    s: Settings,
    *,
    mean: float,
    y_range: tuple[float, float],
    clip: float,
    n_epochs: int = N_EPOCHS,
) -> list[Epoch]:
    """Full-batch gradient descent on the train cells: n_epochs + 1 states, the starting one first.

    With classical momentum a step is the last step times the momentum, less the learning rate times the gradient.

    Args:
        ratings: (U, I) float64, NaN where there is none.
        part: (U, I) as ``parts`` gives them.
        draws: the starting points.
        s: the drop-downs.
        mean: what predictions start from.
        y_range: the ratings' lowest and highest; only the sigmoid uses it.
        clip: gradients of the squared error are held within ± this.
        n_epochs: updates made.
    """
    r, ends = np.nan_to_num(ratings), limits(s, mean, y_range)
    used = np.arange(1, draws.users.shape[1] + 1) <= (np.inf if s.factors is None else s.factors)
    learns = np.r_[float(s.biases), np.ones(len(used))]  # (K1,)
    params = [np.c_[np.zeros(len(f)), s.scale * f * used] for f in (draws.users, draws.items)]
    before, epochs = params, []
    for _ in range(n_epochs + 1):
        p, q = params
        scores, push = _scores(r, part, ends, predict(p, q), squash=s.squash)
        raw = (-np.c_[push.sum(1), push @ q[:, 1:]], -np.c_[push.sum(0), push.T @ p[:, 1:]])
        gradients = [(s.wd * x + np.clip(g, -clip, clip)) * learns for g, x in zip(raw, params, strict=True)]
        errors = r - scores
        squares = float(np.sum(errors[part == 1] ** 2))
        loss = 0.5 * squares + 0.5 * s.wd * float(np.sum(p**2) + np.sum(q**2))
        train, test = (rmse_of(errors, part == k) for k in (1, 2))
        epochs.append(Epoch(p, q, scores, push, gradients[0], gradients[1], train, test, loss))
        moved = [x + s.momentum * (x - old) - s.lr * g for x, old, g in zip(params, before, gradients, strict=True)]
        before, params = params, moved
    return epochs


def _scores(
    r: np.ndarray, part: np.ndarray, ends: Limits, z: np.ndarray, *, squash: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (U, I), and the errors of train cells times the slope of the squashing (U, I)."""
    z = ends.offset + z
    width = ends.high - ends.low
    scores = ends.low + width * sigmoid(z) if squash else z
    slope = (scores - ends.low) * (ends.high - scores) / width if squash else 1.0
    return scores, np.where(part == 1, (r - scores) * slope, 0.0)


# What must be beaten --------------------------------------------------------------------------------------------


class Biases(NamedTuple):
    """Users' and items' biases by round, (rounds, U) and (rounds, I); the items' begin at 0."""

    users: np.ndarray
    items: np.ndarray


def biases_alone(ratings: np.ndarray, part: np.ndarray, *, mean: float, wd: float, rounds: int = ROUNDS) -> Biases:
    """The biases that minimise ½ Σ_train (r - mean - b_u - b_i)² + ½·wd·‖b‖², by turns: users', then items'.

    Each turn is a mean of what is left, shrunk: sum / (count + wd).
    """
    train = (part == 1).astype(float)
    left = np.where(part == 1, np.nan_to_num(ratings) - mean, 0.0)
    users, items = [np.zeros(len(left))], [np.zeros(left.shape[1])]
    for _ in range(rounds):
        users.append(_shrunk(left.sum(1) - train @ items[-1], train.sum(1), wd))
        items.append(_shrunk(left.sum(0) - train.T @ users[-1], train.sum(0), wd))
    return Biases(np.array(users), np.array(items))


def _shrunk(sums: np.ndarray, counts: np.ndarray, wd: float) -> np.ndarray:
    return np.divide(sums, counts + wd, out=np.zeros_like(sums), where=counts + wd > 0)


class Reference(NamedTuple):
    """RMSE of train and of test cells (NaN where there are none)."""

    train: float
    test: float


def references(ratings: np.ndarray, part: np.ndarray, *, mean: float, wd: float) -> tuple[Reference, Reference]:
    """What the constant reaches, and what the biases alone reach."""
    r, by_turns = np.nan_to_num(ratings), biases_alone(ratings, part, mean=mean, wd=wd)
    guesses = np.full(r.shape, mean), mean + by_turns.users[-1][:, None] + by_turns.items[-1]
    constant, biases = (Reference(*(rmse_of(r - guess, part == k) for k in (1, 2))) for guess in guesses)
    return constant, biases


# Defaults -------------------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """What the sheet *learn* begins with: two runs, what they share, and the rates its drop-downs offer."""

    a: Settings
    b: Settings
    test_share: float
    clip: float
    rates: list[float]


DECAY = 15.0  # of run B, by default; bench/workbook.py tells what chose it


def plan(
    ratings: np.ndarray,
    draws: Draws,
    *,
    y_range: tuple[float, float],
    test_share: float,
    a: Settings | None,
    b: Settings | None,
) -> Plan:
    """Settings given stay as they are; by default A has no decay, B has it, and the rate makes the loss fall.

    The rate begins near what suits the table's size and spread and is halved until no epoch of A or B raises its loss.
    """
    part = parts(ratings, draws, test_share)
    mean = mean_of(ratings, part)
    spread = float(np.nanstd(ratings)) or 1.0
    n = max(ratings.shape)
    clip = 1000.0 * max(1.0, float(np.ceil(n * spread**1.5 / 15)))
    rate = _near(0.22 / (n + 2 * spread * n**0.5))
    runs = (a or Settings(), b or Settings(wd=DECAY))
    while any(
        not _falls(descend(ratings, part, draws, s._replace(lr=rate), mean=mean, y_range=y_range, clip=clip))
        for s in runs
    ):
        rate /= 2
    chosen = [s if given else s._replace(lr=rate) for s, given in zip(runs, (a, b), strict=True)]
    offered = {rate, *(s.lr for s in chosen), *(_near(rate * 2.0**k) for k in range(-3, 5))}
    return Plan(chosen[0], chosen[1], test_share, clip, sorted(offered))


def _falls(epochs: list[Epoch]) -> bool:
    """Whether no epoch raises the loss, and train RMSE ends no higher than it began."""
    losses = np.array([epoch.loss for epoch in epochs])
    smooth = bool(np.all(np.diff(losses) <= 1e-9 * max(losses[0], 1e-9)))
    return smooth and not epochs[-1].train > epochs[0].train + 1e-9  # NaN, where all are test ratings, falls


def _near(value: float) -> float:
    """1, 2 or 5 · 10^k, whichever is nearest in ratio."""
    steps = [m * 10.0**k for k in range(-12, 9) for m in (1, 2, 5)]
    return float(f"{min(steps, key=lambda step: abs(np.log(step / value))):.3g}")
