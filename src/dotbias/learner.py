"""The loop, and the fitters made of it.

``Learner.fit`` is the whole of training: for each epoch, for each batch: predict, loss, backward, step. Everything else
is a callback. ``collab_learner`` gives an unfitted Learner of the lesson's model to play with; ``fit_dot``,
``fit_dot_bias`` and ``fit_net`` are fitters, Ratings in and Scorer out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from . import losses, schedules, steps
from .batches import Batch, Batches
from .callbacks import Callback, GapWarning, Progress, Rates, RateSweep, StopFitting, Sweep
from .errors import DataError, DivergedError, SettingError, check_not_negative, check_positive
from .factors import Factors, implied_ridge
from .features import encode
from .models import EmbeddingDot, EmbeddingDotBias, EmbeddingNet
from .module_scorer import ModuleScorer, takes_times
from .objective import Objective
from .optim import Optimizer
from .ratings import Ratings
from .rng import Rng, key, numpy_rng
from .scorer import Scorer
from .settings import checked

Metric = Callable[[np.ndarray, np.ndarray], float]
Rate = float | schedules.Schedule
MOST_BATCHES = 500  # of an epoch, where a fitter chooses the batch size
_STRIDE = 0x9E3779B97F4A7C15  # odd: epoch k's seed is key + k·stride mod 2⁶³, so epochs differ and none repeats


class Learner:
    """A model, its data, and how it learns.

    Args:
        model: any ``nn.Module`` called as ``model(users, items[, times])`` with rows (B,) -> predictions (B,).
        train: what it learns from.
        valid: what it is watched on; may steer the fit, is never learned from.
        loss: (prediction (B,), target (B,)) -> scalar.
        rule: an update rule of ``steps``.
        bs: ratings per batch.
        metrics: name -> function of (predictions, targets), numpy (N,), called on valid after each epoch.
        callbacks: for every fit of this learner.
        groups: model -> groups of parameters with rates of their own: lists, or torch's dicts (``{"params": …}``),
            which may hold settings of the rule. By default one group.
        device: "cpu", "cuda" …; by default CUDA where there is one.
        threads: torch's, while fitting on the CPU. Batches of ratings are too small to gain from a second one, and
            with one the bits do not depend on the machine's number.
        rng: shuffles and drops out. Epoch k's randomness depends on this and k alone.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Ratings,
        valid: Ratings | None = None,
        *,
        loss: losses.Loss = losses.mse,
        rule: steps.Rule = steps.adam,
        bs: int = 64,
        metrics: dict[str, Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        groups: Callable[[nn.Module], list[Any]] | None = None,
        device: str | None = None,
        threads: int = 1,
        rng: Rng = None,
    ):
        self.threads = threads
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device)
        self.train, self.valid = train, valid
        self.batches = Batches(train, bs=bs, device=self.device)
        self.valid_batches = None if valid is None else Batches(valid, bs=max(bs, 8192), device=self.device)
        self.loss_function, self.rule, self.metrics = loss, rule, metrics or {}
        self.callbacks, self.groups = list(callbacks), groups or (lambda model: [list(model.parameters())])
        self.has_own_key, self.key = rng is not None, key(rng)
        self.history: list[dict[str, float]] = []  # a row per epoch: epoch, train[, valid, metrics]
        self.rates: list[float] = []  # of the last group, a number per batch of the last fit
        self.n_batches, self._takes_times = len(self.batches), takes_times(model)

    # The loop --------------------------------------------------------------------------------------------------

    def fit(
        self,
        n_epochs: int,
        lr: Rate | Sequence[Rate] = 1e-3,
        *,
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
        **settings: Any,
    ) -> list[dict[str, float]]:
        """Train, and return the history (rows of every fit so far).

        Args:
            n_epochs: passes over train.
            lr: a rate, a schedule, or one per group of parameters.
            callbacks: for this fit, after the learner's own.
            progress: a bar and a row per epoch on stderr; by default where that is a terminal.
            **settings: the rule's: ``wd`` (decoupled decay), ``l2`` (decay in the loss), ``beta`` …

        Raises:
            DivergedError: when the loss is no longer a finite number.
        """
        check_positive(n_epochs=n_epochs)
        self.n_epochs, self.first_epoch, self.settings = n_epochs, 0, settings
        groups = [g if isinstance(g, dict) else {"params": g} for g in self.groups(self.model)]
        rates = [as_schedule(r) for r in (lr if isinstance(lr, Sequence) else [lr] * len(groups))]
        if len(rates) != len(groups):
            raise SettingError(f"{len(rates)} rates for {len(groups)} groups of parameters.", hint="one rate a group.")
        self.opt = Optimizer(groups, self.rule, lr=1.0, **settings)
        shown = sys.stderr.isatty() if progress is None else progress
        rater, gap = Rates(rates), GapWarning()
        self.running_callbacks = [rater, *self.callbacks, *callbacks, gap, *([Progress()] if shown else [])]
        with own_threads(self.threads):
            try:
                self._call("before_fit")
                for self.epoch in range(self.first_epoch, n_epochs):
                    self._fit_epoch()
            except StopFitting:
                pass
            finally:
                self.rates = rater.history
                self._call("after_fit")
        return self.history

    def _fit_epoch(self) -> None:
        self.model.train()
        self._call("before_epoch")
        seed, total = (self.key + len(self.history) * _STRIDE) % 2**63, 0.0
        with own_randomness(seed, self.device):
            for self.batch_number, self.batch in enumerate(self.batches.shuffled(seed)):
                self.progress = (self.epoch + self.batch_number / self.n_batches) / self.n_epochs
                self._call("before_batch")
                self.prediction = self.predict_batch(self.batch)
                self.loss = self.loss_function(self.prediction, self.batch.values)
                self._call("after_loss")
                total += self._finite(self.loss) * len(self.batch.values)
                self.loss.backward()
                self._call("after_backward")
                self.opt.step()
                self.opt.zero_grad()
                self._call("after_batch")
        row = {"epoch": len(self.history) + 1, "train": total / len(self.train)}
        self.history.append({**row, **(self.validate() if self.valid is not None else {})})
        self._call("after_epoch")

    def predict_batch(self, batch: Batch) -> torch.Tensor:
        """The model's predictions (B,) for a batch, with its times where the model takes them."""
        return self.model(batch.users, batch.items, *((batch.times,) if self._takes_times else ()))

    def _call(self, moment: str) -> None:
        for callback in self.running_callbacks:
            getattr(callback, moment)(self)

    def _finite(self, loss: torch.Tensor) -> float:
        value = float(loss.detach())
        if not math.isfinite(value):
            rate = self.opt.param_groups[-1]["lr"]
            raise DivergedError(
                f"the loss is {value} in epoch {self.epoch + 1}, batch {self.batch_number + 1}, at lr {rate:.3g}.",
                hint=f"lower the rate (lr={rate / 10:.1g}); lr_find shows where the loss explodes.",
            )
        return value

    # After it, and beside it -----------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The loss on valid, a mean over its rows, and the metrics: {"valid": …, name: …}."""
        if self.valid_batches is None:
            raise SettingError("this learner has no validation set.", hint="Learner(model, train, valid).")
        self.model.eval()
        predictions, total = [], 0.0
        for batch in self.valid_batches:
            predictions.append(self.predict_batch(batch))
            total += float(self.loss_function(predictions[-1], batch.values)) * len(batch.values)
        n, target = len(self.valid_batches.values), self.valid_batches.values.cpu().numpy()
        guess = torch.cat(predictions).cpu().numpy() if self.metrics else target
        return {"valid": total / n, **{name: float(f(guess, target)) for name, f in self.metrics.items()}}

    def lr_find(
        self, start_lr: float = 1e-5, end_lr: float = 10.0, *, n_batches: int | None = None, **settings: Any
    ) -> Sweep:
        """Sweep the rate up, batch by batch, until the loss explodes; the model is put back as it was.

        Args:
            start_lr: first rate.
            end_lr: last rate.
            n_batches: how many; by default an epoch's, at least 100.
            **settings: the rule's.
        """
        check_positive(start_lr=start_lr, end_lr=end_lr)
        n = n_batches or max(self.n_batches, 100)
        n_epochs = math.ceil(n / self.n_batches)
        kept, log, watch = {k: v.clone() for k, v in self.model.state_dict().items()}, list(self.history), RateSweep(n)
        sweep = schedules.exponential(start_lr, end_lr)
        own, self.callbacks = self.callbacks, []
        valid, self.valid = self.valid, None
        try:
            self.fit(
                n_epochs, lambda p: sweep(min(p * n_epochs * self.n_batches / n, 1.0)), callbacks=[watch], **settings
            )
        except DivergedError:
            pass
        finally:
            self.model.load_state_dict(kept)
            self.history[:], self.callbacks, self.valid = log, own, valid
        return watch.result(self.rates)

    def scorer(self) -> Scorer:
        """What has been learned, as numpy: Factors where the model is bilinear, else a ModuleScorer.

        Rows that train never rated have zero bias and factors.
        """
        users, items = self.train.user_counts > 0, self.train.item_counts > 0
        if not hasattr(self.model, "factors"):
            mean = float(self.train.explicit().mean(dtype=np.float64))
            return ModuleScorer(self.model, users, items, y_range=self._y_range(), mean=mean, tables=self.train.tables)
        bilinear: Any = self.model
        raw: Factors = bilinear.factors(self._y_range())
        if self.loss_function is losses.bce:  # its predictions are log-odds
            raw = dataclasses.replace(raw, objective=Objective("logistic", "sigmoid", (0.0, 1.0)))
        blank = Factors(
            raw.mean,
            raw.user_bias * users,
            raw.item_bias * items,
            raw.users * users[:, None],
            raw.items * items[:, None],
            raw.objective,
            self.train.tables,
        )
        return implied_ridge(blank, self.train.users, self.train.items, self.train.explicit())

    def _y_range(self) -> tuple[float, float]:
        return (-np.inf, np.inf) if self.loss_function is losses.bce else self.train.scale()

    def describe_fit(self) -> dict[str, Any]:
        """What makes two fits one and the same, for a checkpoint: JSON values."""
        rule = getattr(self.rule, "__name__", str(self.rule))
        shapes = {n: list(p.shape) for n, p in self.model.named_parameters()}
        settings = {k: v for k, v in self.settings.items() if isinstance(v, (int, float, str, bool))}
        fit = {"n_epochs": self.n_epochs, "bs": self.batches.bs, "rule": rule, **settings, "shapes": shapes}
        return {**fit, "train": self.train.fingerprint(), "key": self.key}


def as_schedule(lr: Rate) -> schedules.Schedule:
    """A number as a constant schedule.

    Raises:
        SettingError: for a rate that is not above 0.
    """
    if callable(lr):
        return lr
    check_positive(lr=lr)
    return schedules.constant(lr)


@contextlib.contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generators seeded within, and put back after: dropout then depends on ``seed`` alone."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def own_threads(n: int) -> Iterator[None]:
    """Torch's number of threads set within, and put back after."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Fitters -------------------------------------------------------------------------------------------------------


def collab_learner(
    train: Ratings,
    valid: Ratings | None = None,
    *,
    n_factors: int = 50,
    padding: float = 0.25,
    learn_padding: bool = False,
    init: str = "library",
    rule: steps.Rule = steps.adam,
    bs: int = 64,
    rng: Rng = None,
    **learner: Any,
) -> Learner:
    """An unfitted Learner of EmbeddingDotBias, its range and mean taken from train.

    Args:
        train: what it will learn from.
        valid: what it will be watched on.
        n_factors: K.
        padding: by how much the sigmoid's range exceeds the ratings', at both ends, in rating units.
        learn_padding: whether the padding is learned.
        init: how the embeddings are drawn: one of ``models.INITS``.
        rule: an update rule of ``steps``.
        bs: ratings per batch.
        rng: draws, shuffles.
        **learner: more of :class:`Learner`'s arguments.
    """
    g = numpy_rng(rng)
    model = EmbeddingDotBias(
        train.n_users,
        train.n_items,
        n_factors=n_factors,
        y_range=_open_range(train, padding),
        padding=padding,
        learn_padding=learn_padding,
        mean=_inner_mean(train, padding),
        init=init,
        sparse=True,
        rng=g,
    )
    return Learner(model, train, valid, rule=rule, bs=bs, rng=g, **learner)


@checked
def fit_dot_bias(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    n_factors: int = 50,
    n_epochs: int = 10,
    lr: float = 0.02,
    reg: float = 0.005,
    reg_once: float = 0.3,
    reg_bias: float = 0.15,
    padding: float = 0.25,
    bs: int | None = None,
    rng: Rng = None,
    progress: bool | None = None,
    **fit: Any,
) -> Factors:
    """Fit the lesson's model by Adam and one cycle, with settings that suit most tables of ratings.

    The defaults were chosen once by ``bench/defaults.py``, by cross-validation inside the train parts of the lesson's
    split and of ML-1M; a call searches nothing. It minimises, with e in units of the rating range,

        Σ e² + Σ_rows (reg·n + reg_once)·‖factors‖² + reg_bias·bias²        n: the row's ratings

    where decay acts when a row is visited (see ``optim``).

    Args:
        train: what it learns from.
        valid: watched, and not learned from; pass ``callbacks=[EarlyStop()]`` for it to end the fit.
        n_factors: K.
        n_epochs: passes over train.
        lr: peak of the one-cycle schedule.
        reg: ridge on a row's factors, for each of its ratings.
        reg_once: ridge on a row's factors, once.
        reg_bias: ridge on a row's bias, once.
        padding: of the sigmoid's range, in rating units.
        bs: ratings per batch; None: 512, or more where an epoch would have over MOST_BATCHES.
        rng: draws, shuffles.
        progress: a bar; by default where stderr is a terminal.
        **fit: more of :meth:`Learner.fit`'s arguments.

    Returns:
        Factors with a sigmoid link, whose ``reg`` is the ridge that the fit amounted to (``factors.implied_ridge``).
    """

    bs = batch_size(len(train)) if bs is None else bs

    def groups(model: Any) -> list[dict[str, Any]]:
        return ridge_groups(model, train, bs=bs, reg=reg, reg_once=reg_once, reg_bias=reg_bias)

    learner = collab_learner(train, valid, n_factors=n_factors, padding=padding, bs=bs, rng=rng, groups=groups)
    learner.fit(n_epochs, schedules.one_cycle(lr), progress=progress, **fit)
    return _factors_of(learner)


@checked
def fit_dot(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    n_factors: int = 50,
    n_epochs: int = 10,
    lr: float = 0.02,
    reg: float = 0.005,
    reg_once: float = 0.3,
    bs: int | None = None,
    rng: Rng = None,
    progress: bool | None = None,
    **fit: Any,
) -> Factors:
    """Fit the dot product around the mean rating, without biases or range. Arguments as ``fit_dot_bias``."""
    g = numpy_rng(rng)
    bs = batch_size(len(train)) if bs is None else bs
    mean = float(train.explicit().mean(dtype=np.float64))
    model = EmbeddingDot(
        train.n_users, train.n_items, n_factors=n_factors, mean=mean, init="library", sparse=True, rng=g
    )

    def groups(model: Any) -> list[dict[str, Any]]:
        return ridge_groups(model, train, bs=bs, reg=reg, reg_once=reg_once, reg_bias=0.0)

    learner = Learner(model, train, valid, bs=bs, groups=groups, rng=g)
    learner.fit(n_epochs, schedules.one_cycle(lr), progress=progress, **fit)
    return _factors_of(learner)


def batch_size(n_ratings: int) -> int:
    """512, or what makes MOST_BATCHES an epoch: with more, smaller steps Adam is slower and errs more (ML-1M)."""
    return max(512, math.ceil(n_ratings / MOST_BATCHES))


def ridge_groups(
    model: EmbeddingDot | EmbeddingDotBias, train: Ratings, *, bs: int, reg: float, reg_once: float, reg_bias: float
) -> list[dict[str, Any]]:
    """A group per embedding, with an ``l2`` per row: see ``fit_dot_bias`` for the objective.

    The loss is a mean over bs ratings and a row is visited once per rating, so a ridge of c·n + k on the summed squared
    error is an l2 of (2/bs)·(c + k/n) per visit.
    """
    check_not_negative(reg=reg, reg_once=reg_once, reg_bias=reg_bias)
    low, high = train.scale()
    scale = 2 / bs * ((high - low) ** 2 or 1.0)

    def l2(counts: np.ndarray, per_rating: float, once: float) -> torch.Tensor:
        per_visit = scale * (per_rating + once / np.maximum(counts, 1))
        return torch.from_numpy(per_visit.astype(np.float32))[:, None].to(model.u.weight.device)

    users, items = train.user_counts, train.item_counts
    groups = [(model.u, l2(users, reg, reg_once)), (model.i, l2(items, reg, reg_once))]
    if isinstance(model, EmbeddingDotBias):
        groups += [(model.ub, l2(users, 0.0, reg_bias)), (model.ib, l2(items, 0.0, reg_bias))]
    rest = list(model.range.parameters()) if isinstance(model, EmbeddingDotBias) else []
    return [{"params": [e.weight], "l2": ridge} for e, ridge in groups] + ([{"params": rest}] if rest else [])


def _factors_of(learner: Learner) -> Factors:
    scorer = learner.scorer()
    assert isinstance(scorer, Factors)
    return scorer


@checked
def fit_net(
    train: Ratings,
    *,
    valid: Ratings | None = None,
    n_factors: int | tuple[int, int] = 50,
    hidden: Sequence[int] = (10,),
    dropout: float | Sequence[float] = 0.05,
    hidden_dropout: float | Sequence[float] = 0.5,
    user_features: Sequence[str] = (),
    item_features: Sequence[str] = (),
    feature_size: int = 8,
    times: bool = False,
    n_epochs: int = 10,
    lr: float = 5e-3,
    wd: float = 1.0,
    padding: float = 0.5,
    bs: int | None = None,
    rng: Rng = None,
    progress: bool | None = None,
    **fit: Any,
) -> ModuleScorer:
    """Fit the lesson's neural net, with side features and time as inputs if asked.

    Args:
        train: what it learns from.
        valid: watched, and not learned from.
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
        padding: of the sigmoid's range, in rating units.
        bs: ratings per batch; None: as in ``fit_dot_bias``.
        rng: draws, shuffles, drops out.
        progress: a bar; by default where stderr is a terminal.
        **fit: more of :meth:`Learner.fit`'s arguments.
    """
    g = numpy_rng(rng)
    model = EmbeddingNet(
        train.n_users,
        train.n_items,
        n_factors=n_factors,
        hidden=hidden,
        dropout=dropout,
        hidden_dropout=hidden_dropout,
        y_range=_open_range(train, padding),
        padding=padding,
        user_features=encode(train.user_table, user_features) if user_features else None,
        item_features=encode(train.item_table, item_features) if item_features else None,
        feature_size=feature_size,
        times=_time_scale(train) if times else None,
        sparse=True,
        rng=g,
    )
    learner = Learner(model, train, valid, rule=steps.adamw, bs=batch_size(len(train)) if bs is None else bs, rng=g)
    learner.fit(n_epochs, schedules.one_cycle(lr), wd=wd, progress=progress, **fit)
    scorer = learner.scorer()
    assert isinstance(scorer, ModuleScorer)
    return scorer


def _open_range(train: Ratings, padding: float) -> tuple[float, float]:
    """The scale of train, which a sigmoid can only use if it has some width."""
    low, high = train.scale()
    if high - low + 2 * padding <= 0:
        raise DataError(f"every rating in train is {low:g}; there is nothing to learn.", hint="declare y_range=(…, …).")
    return low, high


def _inner_mean(train: Ratings, padding: float) -> float:
    """z such that the padded range's sigmoid of z is the mean rating."""
    low, high = _open_range(train, padding)
    share = (float(train.explicit().mean(dtype=np.float64)) - low + padding) / (high - low + 2 * padding)
    share = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(share / (1 - share))


def _time_scale(train: Ratings) -> tuple[float, float]:
    if train.times is None:
        raise DataError("these ratings have no times.", hint="name a time column, or leave times=False.")
    return float(train.times.mean()), float(train.times.std()) or 1.0
