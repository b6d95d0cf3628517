"""A model of the lesson as a classifier of clicks: no range, a loss of log-odds, and negatives drawn for each click.

It minimises, where a click has n negatives,

    Σ_clicks (ℓ(1) + Σ_negatives ℓ(0))  +  Σ_rows (reg·c + reg_once)·‖row‖²,      c the row's number of clicks

with ℓ the cross entropy (or, pair by pair, -ln σ of the difference), for embeddings and biases alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from . import losses, schedules
from .callbacks import Callback, Checkpoint, KeepBest
from .learner import Learner
from .models import EmbeddingDot, EmbeddingDotBias, EmbeddingNet
from .negatives import ClickBatches
from .progress import Progress
from .ratings import Ratings
from .rng import Rng, numpy_rng
from .scorer import Scorer
from .settings import Count, NotNegative, Positive, Share, checked

MOST_BATCHES = 500  # of an epoch
SPARSE = 4  # rows for each pair of a batch, from which on the others are left alone
LOSSES = {"bce": losses.bce, "bpr": losses.bpr}


@checked
def classifier(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: Count = 1,
    keep_best: bool = False,
    model: Literal["dot", "dot_bias", "net"] = "dot_bias",
    loss: Literal["bce", "bpr"] = "bce",
    negatives: Count = 4,
    alpha: NotNegative = 0.0,
    n_factors: Count = 64,
    hidden: Sequence[Count] = (64, 32),
    dropout: Share = 0.0,
    n_epochs: Count = 20,
    lr: Positive = 0.01,
    reg: NotNegative = 0.0,
    reg_once: NotNegative = 2.5,
    bs: Count | None = None,
) -> Scorer:
    """Fit a model of the lesson to clicks, by Adam and one cycle.

    Args:
        train: clicks. How often a pair was clicked does not matter.
        valid: watched; it chooses nothing unless ``keep_best``.
        rng: draws, shuffles.
        progress: as in ``gradient.fit_dot_bias``.
        checkpoint: as in ``gradient.fit_dot_bias``.
        checkpoint_every: in epochs.
        keep_best: return the epoch that was best on valid, not the last.
        model: the dot product, the dot product with biases, or the neural net.
        loss: "bce", the cross entropy of each pair, or "bpr", that of a click ranked above its negative.
        negatives: items drawn for each click, in each epoch anew.
        alpha: they are drawn in proportion to their number of clicks to this power; 0: all alike.
        n_factors: K.
        hidden: sizes of the net's hidden layers.
        dropout: of the net, on the embeddings and after each hidden layer.
        n_epochs: passes over train.
        lr: peak of the one-cycle schedule.
        reg: ridge on a row, for each of its clicks.
        reg_once: ridge on a row, once.
        bs: clicks per batch; None: 256, or more where an epoch would have over MOST_BATCHES.

    Returns:
        Factors with a sigmoid link, or a ModuleScorer of the net. A score is the probability of a click where there is
        one among 1 + negatives; a newcomer is folded in by that objective, the pairs that were not clicked taken alike.

    Raises:
        DataError: no clicks, or ratings with values.
        SettingError: a setting that makes no sense, ``keep_best`` without valid, a checkpoint of another fit.
        DivergedError: if the loss is no longer a finite number.
    """
    g = numpy_rng(rng)
    bs = max(256, -(-len(train) // MOST_BATCHES)) if bs is None else bs
    sparse = train.n_users + train.n_items > SPARSE * bs * (1 + negatives)
    net = _model(model, train, n_factors, hidden, dropout, sparse, g)
    batches = ClickBatches(train, bs=bs, negatives=negatives, alpha=alpha)
    ridges = {"pairs": negatives + (loss == "bce"), "reg": reg, "reg_once": reg_once}
    learner = Learner(
        net,
        batches,
        valid,
        loss=LOSSES[loss],
        groups=lambda _: ridge_groups(net, batches, **ridges),
        device="cpu",
        rng=None if rng is None else g,
    )
    callbacks: list[Callback] = [KeepBest()] if keep_best else []
    callbacks += [] if checkpoint is None else [Checkpoint(checkpoint, every=checkpoint_every)]
    learner.fit(n_epochs, schedules.one_cycle(lr), callbacks=callbacks, progress=progress)
    return learner.scorer()


def _model(
    name: str,
    train: Ratings,
    n_factors: int,
    hidden: Sequence[int],
    dropout: float,
    sparse: bool,
    rng: np.random.Generator,
) -> EmbeddingDot | EmbeddingDotBias | EmbeddingNet:
    """The model without a range: what it gives are log-odds."""
    sizes: dict[str, Any] = {"n_users": train.n_users, "n_items": train.n_items, "n_factors": n_factors}
    sizes |= {"init": "library", "sparse": sparse, "rng": rng}
    if name == "net":
        return EmbeddingNet(**sizes, hidden=hidden, dropout=dropout, hidden_dropout=dropout)
    return EmbeddingDot(**sizes) if name == "dot" else EmbeddingDotBias(**sizes)


def ridge_groups(
    model: EmbeddingDot | EmbeddingDotBias | EmbeddingNet,
    batches: ClickBatches,
    *,
    pairs: float,
    reg: float,
    reg_once: float,
) -> list[dict[str, Any]]:
    """A group per embedding, with an ``l2`` per row, and one without for the rest: see this module for the objective.

    The loss is a mean over a batch's pairs (so many to a click). A row decays once in each batch, or, of a sparse
    embedding, in each in which it comes, however often: so a ridge of R on the sum is an l2 of
    2 R / (pairs in a batch · batches in which it decays), as expected.
    """
    clicks, n = batches.ratings, len(batches)
    share = batches.unclicked.shares() * batches.negatives * len(clicks)
    visits = {"u": clicks.user_counts, "i": clicks.item_counts + share}
    groups: list[dict[str, Any]] = []
    for name, counts in (("u", clicks.user_counts), ("i", clicks.item_counts)):
        expected = n * -np.expm1(-visits[name] / n) if getattr(model, name).sparse else np.full(len(counts), float(n))
        ridge = 2 * (reg * counts + reg_once) / (batches.bs * pairs * np.maximum(expected, 1e-9))
        l2 = torch.from_numpy(np.where(expected > 0, ridge, 0).astype(np.float32))[:, None]
        biased = [getattr(model, f"{name}b").weight] if isinstance(model, EmbeddingDotBias) else []
        groups.append({"params": [getattr(model, name).weight, *biased], "l2": l2})
    known = {id(p) for group in groups for p in group["params"]}
    rest = [p for p in model.parameters() if id(p) not in known]
    return groups + ([{"params": rest}] if rest else [])
