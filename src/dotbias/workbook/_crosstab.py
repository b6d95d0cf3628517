"""The numbers behind the sheets: the crosstab of the most rated, and gradient descent on it, in float64.

The loss is L = ½ Σ_train (r - r̂)² + ½·wd·(‖biases‖² + ‖factors‖²), summed and halved, so that a gradient is a plain
sum of errors times factors. ``steps.momentum`` makes the updates. This module knows no sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .. import steps
from ..errors import DataError, SettingError
from ..objective import sigmoid
from ..ratings import Ratings
from ..rng import Rng, numpy_rng

LONGEST = 80  # characters of a title or id in a cell


class Crosstab(NamedTuple):
    """The ratings between the users and the items with most ratings.

    Attributes:
        users: (U,) rows into the ratings' users, by ascending id.
        items: (I,) rows into the ratings' items, by ascending id.
        ratings: (U, I) float64, NaN where there is none.
        user_labels: (U,) what a sheet calls a user; unique to MATCH, which ignores case and knows wildcards.
        item_labels: (I,) what a sheet calls an item.
        titles: (I,) what people call an item; unique.
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    user_labels: Sequence[int | str]
    item_labels: Sequence[int | str]
    titles: list[str]


def most_rated(ratings: Ratings, n: int) -> Crosstab:
    """The crosstab of the n users and n items with most ratings, counted over all ratings (ties: the lower row).

    Raises:
        SettingError: if n is not between 2 and 40.
        DataError: without values, or where these users and items share fewer than two ratings.
    """
    if not 2 <= n <= 40:
        raise SettingError(f"n is {n!r}; a crosstab has 2 to 40 users and items.", hint="try n=15, the lesson's.")
    values = ratings.explicit()
    users = _by_id(np.argsort(-ratings.user_counts, kind="stable")[:n], ratings.user_ids.take)
    items = _by_id(np.argsort(-ratings.item_counts, kind="stable")[:n], ratings.item_ids.take)
    place_u, place_i = np.full(ratings.n_users, -1), np.full(ratings.n_items, -1)
    place_u[users], place_i[items] = np.arange(len(users)), np.arange(len(items))
    u, i = place_u[ratings.users], place_i[ratings.items]
    inside = (u >= 0) & (i >= 0)
    if inside.sum() < 2:
        what = f"the {len(users)} users and {len(items)} items with most ratings share {inside.sum()} ratings."
        raise DataError(what, hint="a larger n reaches more of them.")
    table = np.full((len(users), len(items)), np.nan)
    table[u[inside], i[inside]] = values[inside]
    titles = ratings.item_titles or [None] * ratings.n_items
    item_ids = ratings.item_ids.take(items)
    return Crosstab(
        users,
        items,
        table,
        _labels(ratings.user_ids.take(users)),
        _labels(item_ids),
        _unique([titles[row] or str(id) for row, id in zip(items, item_ids, strict=True)]),
    )


def _by_id(rows: np.ndarray, ids_of: Callable[[np.ndarray], list]) -> np.ndarray:
    """Rows in ascending order of their ids, as a crosstab has them."""
    ids = ids_of(rows)
    return rows[sorted(range(len(rows)), key=lambda k: ids[k])]


def _labels(ids: list) -> Sequence[int | str]:
    """Whole numbers that a sheet holds exactly (15 digits), or texts."""
    if all(isinstance(id, int) and abs(id) < 10**15 for id in ids):
        return ids
    texts = [str(id) for id in ids]
    return _unique(texts, always=any(set(text) & set("*?~") for text in texts))


def _unique(texts: list[str], *, always: bool = False) -> list[str]:
    """Texts that fit a cell, numbered where two would look the same to a sheet (which ignores case)."""
    cut = [text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in texts]
    if not always and len({text.casefold() for text in cut}) == len(cut):
        return cut
    wild = str.maketrans("*?~", "···") if always else {}
    return [f"{k}: {text.translate(wild)}" for k, text in enumerate(cut, start=1)]


class Settings(NamedTuple):
    """The drop-downs of the sheet *learn*.

    Attributes:
        lr: learning rate.
        momentum: classical; 0 for plain gradient descent.
        wd: weight decay in the loss (L2), on biases and factors.
        scale: initial factors are uniform in [0, scale); biases begin at 0.
        squash: whether predictions pass through a sigmoid between ``y_range`` widened by ``pad``.
        pad: how far the sigmoid's asymptotes lie outside the ratings' range.
        test_share: the share of ratings kept for testing.
        clip: gradients of the squared error are held within ± this, so that a rate too high ends in big numbers
            and not in error cells.
    """

    lr: float = 0.02
    momentum: float = 0.8
    wd: float = 0.1
    scale: float = 1.0
    squash: bool = False
    pad: float = 0.5
    test_share: float = 0.2
    clip: float = 1000.0


class Draws(NamedTuple):
    """What chance decides: factors' starting points (U, K) and (I, K), and which rating is for testing (U, I)."""

    users: np.ndarray
    items: np.ndarray
    part: np.ndarray


def draw(table: Crosstab, n_factors: int, rng: Rng) -> Draws:
    """Uniform numbers in [0, 1): factors with two decimals, as a person would type them; parts with three."""
    if not 1 <= n_factors <= 20:
        raise SettingError(f"n_factors is {n_factors!r}; a sheet has room for 1 to 20.", hint="try n_factors=5.")
    generator, (n_users, n_items) = numpy_rng(rng), table.ratings.shape
    users, items = generator.random((n_users, n_factors)), generator.random((n_items, n_factors))
    return Draws(users.round(2), items.round(2), generator.random((n_users, n_items)).round(3))


def parts(ratings: np.ndarray, draws: Draws, test_share: float) -> np.ndarray:
    """(U, I): 1 train, 2 test, 0 where there is no rating."""
    return np.where(np.isnan(ratings), 0, np.where(draws.part < test_share, 2, 1))


class Epoch(NamedTuple):
    """All of one epoch, before its update. Parameters have the bias first; K1 = 1 + K.

    Attributes:
        users: (U, K1); items: (I, K1).
        scores: (U, I) predictions.
        push: (U, I) error r - r̂ times the squashing's slope for train cells, 0 elsewhere.
        user_gradient: (U, K1); item_gradient: (I, K1): of the whole loss.
        user_step: (U, K1); item_step: (I, K1): the running direction, momentum included.
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
    user_step: np.ndarray
    item_step: np.ndarray
    train: float
    test: float
    loss: float


def predict(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Dot product plus biases, (U, K1) and (I, K1) -> (U, I)."""
    return users[:, 1:] @ items[:, 1:].T + users[:, :1] + items[:, 0]


def descend(
    ratings: np.ndarray, draws: Draws, settings: Settings, *, n_epochs: int, y_range: tuple[float, float]
) -> list[Epoch]:
    """Full-batch gradient descent on the train cells: n_epochs + 1 states, the starting one first.

    Args:
        ratings: (U, I) float64, NaN where there is none.
        draws: the starting points.
        settings: the drop-downs.
        n_epochs: updates made.
        y_range: the ratings' lowest and highest; only the squashing uses it.
    """
    part = parts(ratings, draws, settings.test_share)
    r, s = np.nan_to_num(ratings), settings
    low, high = y_range[0] - s.pad, y_range[1] + s.pad
    params = [np.c_[np.zeros(len(f)), s.scale * f] for f in (draws.users, draws.items)]
    states: list[steps.State] = [{}, {}]
    epochs = []
    for _ in range(n_epochs + 1):
        p, q = params
        z = predict(p, q)
        scores = low + (high - low) * sigmoid(z) if s.squash else z
        slope = (scores - low) * (high - scores) / (high - low) if s.squash else 1.0
        push = np.where(part == 1, (r - scores) * slope, 0.0)
        raw = (-np.c_[push.sum(1), push @ q[:, 1:]], -np.c_[push.sum(0), push.T @ p[:, 1:]])
        gradients = [np.clip(g, -s.clip, s.clip) for g in raw]
        moved = [
            steps.momentum(x, g, state, lr=s.lr, beta=s.momentum, l2=s.wd)
            for x, g, state in zip(params, gradients, states, strict=True)
        ]
        params, states = [x for x, _ in moved], [state for _, state in moved]
        decayed_p, decayed_q = (g + s.wd * x for g, x in zip(gradients, (p, q), strict=True))
        train, test = (_rmse(r - scores, part == k) for k in (1, 2))
        squares = float(np.sum((r - scores)[part == 1] ** 2))
        loss = 0.5 * squares + 0.5 * s.wd * float(np.sum(p**2) + np.sum(q**2))
        epochs.append(
            Epoch(p, q, scores, push, decayed_p, decayed_q, states[0]["d"], states[1]["d"], train, test, loss)
        )
    return epochs


def _rmse(errors: np.ndarray, where: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors[where] ** 2))) if where.any() else float("nan")


def rates(n: int, highest: float, n_factors: int) -> tuple[float, list[float]]:
    """The learning rate that suits n × n ratings up to ``highest``, and those around it worth trying.

    The loss's steepest curvature is about n·(1 + ‖factors‖²), and ‖factors‖² about the rating they must multiply to,
    or what they start with, K/3. The lesson's 15 × 15 on a scale to 5 learns well at 0.02 and diverges at 0.05.
    Values are rounded to 1, 2, 5 · 10^k.
    """
    default = 1.8 / (n * (1 + max(highest, n_factors / 3)))
    ladder = [m * 10.0**k for k in range(-12, 9) for m in (1, 2, 5)]
    at = int(np.argmin([abs(np.log(rung / default)) for rung in ladder]))
    return float(f"{ladder[at]:.3g}"), [float(f"{rung:.3g}") for rung in ladder[at - 4 : at + 3]]
