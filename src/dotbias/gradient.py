"""The fitters by gradient: a Learner of one of the lesson's models, with settings that suit most tables of ratings.

They minimise, where e is an error, s the standard deviation of train's ratings (1 if all are equal) and n a row's
number of ratings,

    Σ (e/s)² + Σ_rows (reg·n + reg_once)·‖factors‖² + (reg_bias·n + reg_bias_once)·bias²

so that no setting depends on the ratings' scale. Decay acts when a row is visited (see ``optim``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import losses, schedules, steps
from .callbacks import Callback, Checkpoint, KeepBest
from .errors import DataError, check_not_negative
from .factors import Factors
from .features import encode
from .learner import Learner
from .models import EmbeddingDot, EmbeddingDotBias, EmbeddingNet
from .module_scorer import ModuleScorer
from .progress import Progress
from .ratings import Ratings
from .rng import Rng, numpy_rng
from .settings import Count, NotNegative, Positive, Share, checked
from .times import filled

MOST_BATCHES = 500  # of an epoch, where a fitter chooses the batch size
EPS = 1e-8  # Adam's, in units of standardised ratings


def collab_learner(
    train: Ratings,
    valid: Ratings | None = None,
    *,
    n_factors: Count = 64,
    padding: NotNegative = 0.25,
    learn_padding: bool = False,
    init: str = "library",
    rule: steps.Rule = steps.adam,
    bs: int = 64,
    rng: Rng = None,
    **learner: Any,
) -> Learner:
    """An unfitted Learner of EmbeddingDotBias, its range and mean taken from train; of clicks, a classifier.

    Args:
        train: what it will learn from. Clicks are learned without a range, by ``losses.bce``.
        valid: what it will be watched on.
        n_factors: K.
        padding: by how much the sigmoid's range exceeds the ratings', at both ends, in standard deviations of train's
            ratings.
        learn_padding: whether the padding is learned.
        init: how the embeddings are drawn: one of ``models.INITS``.
        rule: an update rule of ``steps``.
        bs: ratings per batch.
        rng: draws, shuffles.
        **learner: more of :class:`~dotbias.learner.Learner`'s arguments.

    Raises:
        DataError: if all ratings are equal and the padding is 0: a sigmoid then has no range.
    """
    g = numpy_rng(rng)
    if train.feedback == "clicks":
        model = EmbeddingDotBias(train.n_users, train.n_items, n_factors=n_factors, init=init, sparse=True, rng=g)
        learner = {"loss": losses.bce, **learner}
        return Learner(model, train, valid, rule=rule, bs=bs, rng=None if rng is None else g, **learner)
    width = padding * spread(train)
    model = EmbeddingDotBias(
        train.n_users,
        train.n_items,
        n_factors=n_factors,
        y_range=train.scale(),
        padding=width,
        learn_padding=learn_padding,
        mean=_inner_mean(train, width),
        init=init,
        sparse=True,
        rng=g,
    )
    return Learner(model, train, valid, rule=rule, bs=bs, rng=None if rng is None else g, **learner)


@checked
def fit_dot_bias(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
    keep_best: bool = False,
    n_factors: Count = 64,
    n_epochs: Count = 10,
    lr: Positive = 0.02,
    reg: NotNegative = 0.064,
    reg_once: NotNegative = 4.0,
    reg_bias: NotNegative = 0.0,
    reg_bias_once: NotNegative = 2.0,
    padding: NotNegative = 0.25,
    bs: Count | None = None,
) -> Factors:
    """Fit the lesson's model, biases and a dot product squashed into the rating range, by Adam and one cycle.

    The defaults were chosen once by ``bench/defaults.py``, by cross-validation inside the train parts of the lesson's
    split and of ML-1M; a call searches nothing.

    Args:
        train: what it learns from.
        valid: watched; it chooses nothing unless ``keep_best``.
        rng: draws, shuffles.
        progress: True: a bar and a row per epoch on stderr, None: where that is a terminal; a function: told of every
            epoch, with its losses, rates and histograms (``callbacks.Telling``).
        checkpoint: file written after every ``checkpoint_every`` epochs; if it is there, the fit goes on from it, to
            the same bits. It must be the same fit: ratings, settings, rng.
        checkpoint_every: in epochs.
        keep_best: return the epoch that was best on valid, not the last.
        n_factors: K.
        n_epochs: passes over train.
        lr: peak of the one-cycle schedule.
        reg: ridge on a row's factors, for each of its ratings.
        reg_once: ridge on a row's factors, once.
        reg_bias: ridge on a row's bias, for each of its ratings.
        reg_bias_once: ridge on a row's bias, once.
        padding: by how much the sigmoid's range exceeds the ratings', at both ends, in standard deviations.
        bs: ratings per batch; None: 256, or more where an epoch would have over MOST_BATCHES.

    Returns:
        Factors with a sigmoid link, whose ridges are those that the fit amounted to (``factors.implied_ridge``). If
        all ratings are equal: that rating, for every pair.

    Raises:
        DataError: no ratings.
        SettingError: a setting that makes no sense, ``keep_best`` without valid, a checkpoint of another fit.
        DivergedError: if the loss is no longer a finite number.
    """
    if spread(train, or_else=0.0) == 0:
        return _constant(train)
    bs = batch_size(len(train)) if bs is None else bs
    ridges = {"reg": reg, "reg_once": reg_once, "reg_bias": reg_bias, "reg_bias_once": reg_bias_once}
    learner = collab_learner(
        train,
        valid,
        n_factors=n_factors,
        padding=padding,
        bs=bs,
        rng=rng,
        groups=lambda model: ridge_groups(model, train, bs=bs, **ridges),
    )
    callbacks = _callbacks(checkpoint, checkpoint_every, keep_best=keep_best)
    eps = EPS * spread(train) ** 2
    learner.fit(n_epochs, schedules.one_cycle(lr), callbacks=callbacks, progress=progress, eps=eps)
    return _factors_of(learner)


@checked
def fit_dot(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
    keep_best: bool = False,
    n_factors: Count = 64,
    n_epochs: Count = 10,
    lr: Positive = 0.02,
    reg: NotNegative = 0.064,
    reg_once: NotNegative = 4.0,
    bs: Count | None = None,
) -> Factors:
    """Fit the dot product around the mean rating, without biases or range. Arguments as ``fit_dot_bias``."""
    if spread(train, or_else=0.0) == 0:
        return _constant(train)
    g, s = numpy_rng(rng), spread(train)
    bs = batch_size(len(train)) if bs is None else bs
    sizes = {"n_users": train.n_users, "n_items": train.n_items, "n_factors": n_factors}
    mean = float(train.explicit().mean(dtype=np.float64))
    model = EmbeddingDot(**sizes, mean=mean, spread=s, init="library", sparse=True, rng=g)

    def groups(model: Any) -> list[dict[str, Any]]:
        return ridge_groups(model, train, bs=bs, reg=reg, reg_once=reg_once)

    learner = Learner(model, train, valid, bs=bs, groups=groups, rng=None if rng is None else g)
    callbacks = _callbacks(checkpoint, checkpoint_every, keep_best=keep_best)
    learner.fit(n_epochs, schedules.one_cycle(lr), callbacks=callbacks, progress=progress, eps=EPS * s**2)
    return _factors_of(learner)


@checked
def fit_net(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
    keep_best: bool = False,
    n_factors: Count | tuple[Count, Count] = 64,
    hidden: Sequence[Count] = (10,),
    dropout: Share | Sequence[Share] = 0.05,
    hidden_dropout: Share | Sequence[Share] = 0.5,
    user_features: Sequence[str] = (),
    item_features: Sequence[str] = (),
    feature_size: Count = 8,
    times: bool = False,
    n_epochs: Count = 10,
    lr: Positive = 5e-3,
    wd: NotNegative = 1.0,
    padding: NotNegative = 0.5,
    bs: Count | None = None,
) -> ModuleScorer:
    """Fit the lesson's neural net, with side features and time as inputs if asked. Other arguments as ``fit_dot_bias``.

    Args:
        train: what it learns from.
        valid: watched; it chooses nothing unless ``keep_best``.
        rng: draws, shuffles, drops out.
        progress: as in ``fit_dot_bias``.
        checkpoint: as in ``fit_dot_bias``.
        checkpoint_every: in epochs.
        keep_best: return the epoch that was best on valid, not the last.
        n_factors: embedding size, or (user size, item size).
        hidden: sizes of the hidden layers.
        dropout: on the embeddings: one, or (user, item, side features).
        hidden_dropout: after each hidden layer: one, or one each.
        user_features: columns of the user table to use as inputs.
        item_features: columns of the item table, such as ``("genres",)``.
        feature_size: size of the embedding of each side's features.
        times: whether the time of the rating is an input.
        n_epochs: passes over train.
        lr: peak of a one-cycle schedule.
        wd: decoupled weight decay.
        padding: of the sigmoid's range, in standard deviations of the ratings.
        bs: ratings per batch; None: 512, or more where an epoch would have over MOST_BATCHES.
    """
    g, s = numpy_rng(rng), spread(train)
    model = EmbeddingNet(
        train.n_users,
        train.n_items,
        n_factors=n_factors,
        hidden=hidden,
        dropout=dropout,
        hidden_dropout=hidden_dropout,
        y_range=train.scale(),
        padding=padding * spread(train, or_else=0.0),  # of equal ratings none: that rating is then all it can say
        user_features=encode(train.user_table, user_features) if user_features else None,
        item_features=encode(train.item_table, item_features) if item_features else None,
        feature_size=feature_size,
        times=_time_scale(train) if times else None,
        sparse=True,
        rng=g,
    )
    bs = batch_size(len(train), at_least=512) if bs is None else bs
    learner = Learner(model, train, valid, rule=steps.adamw, bs=bs, rng=None if rng is None else g)
    callbacks = _callbacks(checkpoint, checkpoint_every, keep_best=keep_best)
    learner.fit(n_epochs, schedules.one_cycle(lr), callbacks=callbacks, progress=progress, wd=wd, eps=EPS * s**2)
    scorer = learner.scorer()
    assert isinstance(scorer, ModuleScorer)
    return scorer


# What they share -----------------------------------------------------------------------------------------------


def batch_size(n_ratings: int, *, at_least: int = 256) -> int:
    """What makes MOST_BATCHES an epoch: with more, smaller steps Adam is slower and errs more (ML-1M)."""
    return max(at_least, math.ceil(n_ratings / MOST_BATCHES))


def spread(train: Ratings, *, or_else: float = 1.0) -> float:
    """The standard deviation of train's ratings; ``or_else`` where all are equal."""
    values = train.explicit()
    return or_else if values.min() == values.max() else float(values.std(dtype=np.float64))


def ridge_groups(
    model: EmbeddingDot | EmbeddingDotBias,
    train: Ratings,
    *,
    bs: int,
    reg: float,
    reg_once: float,
    reg_bias: NotNegative = 0.0,
    reg_bias_once: NotNegative = 0.0,
) -> list[dict[str, Any]]:
    """A group per embedding, with an ``l2`` per row: see this module for the objective.

    The loss is a mean of e² over bs ratings and a row is visited once per rating, so a ridge of c·n + k on the summed
    (e/s)² is an l2 of (2 s²/bs)·(c + k/n) per visit.
    """
    check_not_negative(reg=reg, reg_once=reg_once, reg_bias=reg_bias, reg_bias_once=reg_bias_once)
    scale = 2 / bs * spread(train) ** 2

    def l2(counts: np.ndarray, each: float, once: float) -> torch.Tensor:
        per_visit = scale * (each + once / np.maximum(counts, 1))
        return torch.from_numpy(per_visit.astype(np.float32))[:, None].to(model.u.weight.device)

    users, items = train.user_counts, train.item_counts
    groups = [(model.u, l2(users, reg, reg_once)), (model.i, l2(items, reg, reg_once))]
    rest: list[Any] = []
    if isinstance(model, EmbeddingDotBias):
        groups += [(model.ub, l2(users, reg_bias, reg_bias_once)), (model.ib, l2(items, reg_bias, reg_bias_once))]
        rest = list(model.range.parameters())
    return [{"params": [e.weight], "l2": ridge} for e, ridge in groups] + ([{"params": rest}] if rest else [])


def _callbacks(checkpoint: str | Path | None, every: int, *, keep_best: bool) -> list[Callback]:
    keeping: list[Callback] = [KeepBest()] if keep_best else []
    return keeping if checkpoint is None else [*keeping, Checkpoint(checkpoint, every=every)]


def _factors_of(learner: Learner) -> Factors:
    scorer = learner.scorer()
    assert isinstance(scorer, Factors)
    return scorer


def _constant(train: Ratings) -> Factors:
    """What equal ratings teach: the one rating, for every pair."""
    biases = np.zeros(train.n_users, np.float32), np.zeros(train.n_items, np.float32)
    factors = biases[0][:, None], biases[1][:, None]
    return Factors(float(train.explicit()[0]), *biases, *factors, tables=train.tables)


def _inner_mean(train: Ratings, padding: float) -> float:
    """z such that the padded range's sigmoid of z is the mean rating."""
    low, high = train.scale()
    width = high - low + 2 * padding
    if width <= 0:
        raise DataError(f"every rating in train is {low:g}; a sigmoid has no range.", hint="padding=0.25, say.")
    share = (float(train.explicit().mean(dtype=np.float64)) - low + padding) / width
    share = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(share / (1 - share))


def _time_scale(train: Ratings) -> tuple[float, float]:
    if train.times is None:
        raise DataError("these ratings have no times.", hint="name a time column, or leave times=False.")
    known = filled(train.times)
    return float(known.mean()), float(known.std()) or 1.0
