"""The loop: for each epoch, for each batch: predict, loss, backward, step. Everything else is a callback.

``collab_learner`` gives an unfitted Learner of the lesson's model to play with; the fitters made of it are in
``gradient``.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from . import losses, schedules, steps
from .batches import Batch, Batches, BatchSource, fingerprint
from .callbacks import Bar, Callback, Checkpoint, GapWarning, Rates, RateSweep, StopFitting, Sweep, Telling
from .errors import DivergedError, SettingError, check_positive
from .module_scorer import Examples, check_link, scorer_of, takes_times
from .negatives import ClickBatches
from .optim import Optimizer
from .progress import Progress
from .ratings import Ratings
from .rng import Rng, key
from .scorer import Scorer
from .stopping import Stop, stoppable, warn_stopped

Rate = float | schedules.Schedule
_STRIDE = 0x9E3779B97F4A7C15  # odd: epoch k's seed is key + k·stride mod 2⁶³, so epochs differ and none repeats


class Learner:
    """A model, its data, and how it learns. What callbacks may read of it: ``callbacks.Loop``.

    Args:
        model: any ``nn.Module`` called with a batch's inputs; of ratings ``model(users, items[, times])`` with rows
            (B,) -> predictions (B,).
        train: what it learns from: Ratings, or batches of your own (``batches.BatchSource``). Ratings without values
            are clicks: each comes with four items drawn among those that its user has not clicked
            (``negatives.ClickBatches``, for more or others).
        valid: what it is watched on; may steer the fit, is never learned from.
        loss: one of ``losses``, or (prediction (B,), target (B,)) -> scalar.
        step_loss: (model, batch) -> scalar, in the place of ``loss``: for losses of more than one prediction. What it
            draws from torch's global generator depends on ``rng`` and the epoch alone.
        rule: an update rule of ``steps``.
        opt: parameter groups -> a torch optimizer, in the place of ``rule``, such as
            ``partial(torch.optim.SGD, momentum=0.9)``.
        bs: ratings per batch.
        metrics: name -> function of (predictions, targets), numpy (N,), called on valid after each epoch.
        callbacks: for every fit of this learner.
        groups: model -> groups of parameters with rates of their own: lists, or torch's dicts (``{"params": …}``),
            which may hold settings of the rule. By default one group.
        device: "cpu", "cuda" …; by default CUDA where there is one.
        threads: torch's, while fitting on the CPU. Batches of ratings are too small to gain from a second one, and
            with one the bits do not depend on the machine's number.
        rng: shuffles and drops out. Epoch k's randomness depends on this and k alone.

    Attributes:
        history: a row per epoch of every fit so far: epoch, train[, valid, metrics].
        rates: of the last group, a number per batch of the last fit.
    """

    opt: torch.optim.Optimizer
    batch: Batch
    loss: torch.Tensor
    n_epochs: int
    first_epoch: int
    epoch: int
    batch_number: int
    progress: float

    def __init__(
        self,
        model: nn.Module,
        train: Ratings | BatchSource,
        valid: Ratings | BatchSource | None = None,
        *,
        loss: losses.Loss | losses.Function = losses.mse,
        step_loss: losses.StepLoss | None = None,
        rule: steps.Rule = steps.adam,
        opt: Callable[[Any], torch.optim.Optimizer] | None = None,
        bs: int = 64,
        metrics: dict[str, Callable[[np.ndarray, np.ndarray], float]] | None = None,
        callbacks: Sequence[Callback] = (),
        groups: Callable[[nn.Module], list[Any]] | None = None,
        device: str | torch.device | None = None,
        threads: int = 1,
        rng: Rng = None,
    ):
        self.threads = threads
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device)
        self.train, self.valid = train, valid
        self.batches = self._source(train, bs)
        self.ratings = self.batches.ratings if isinstance(self.batches, (Batches, ClickBatches)) else None
        self.valid_batches = None if valid is None else self._source(valid, max(bs, 8192), known=self.ratings)
        self.loss_function = check_link(losses.as_loss(loss), self.model)
        self.step_loss, self._own_step_loss = step_loss or self.loss_function.of_batch, step_loss is not None
        self.rule, self.make_opt, self.metrics = rule, opt, metrics or {}
        self.callbacks, self.groups = list(callbacks), groups or (lambda model: [list(model.parameters())])
        self.has_own_key, self.key = rng is not None, key(rng)
        self.history: list[dict[str, float]] = []
        self.rates: list[float] = []
        self.n_batches = len(self.batches)

    def _source(self, data: Ratings | BatchSource, bs: int, known: Ratings | None = None) -> BatchSource:
        if not isinstance(data, Ratings):
            return data
        how: dict[str, Any] = {"bs": bs, "device": self.device, "times": takes_times(self.model)}
        if data.feedback == "stars":
            return Batches(data, **how)
        if isinstance(self.__dict__.get("batches"), ClickBatches):  # valid is measured as train is learned from
            how |= {"negatives": self.batches.negatives, "alpha": self.batches.alpha}  # type: ignore[union-attr]
        return ClickBatches(data, known=known, **how)

    # The loop --------------------------------------------------------------------------------------------------

    def fit(
        self,
        n_epochs: int,
        lr: Rate | Sequence[Rate] | None = 1e-3,
        *,
        callbacks: Sequence[Callback] = (),
        progress: Progress = None,
        **settings: Any,
    ) -> list[dict[str, float]]:
        """Train, and return the history (rows of every fit so far).

        Args:
            n_epochs: passes over train.
            lr: a rate, a schedule, or one per group of parameters; None: those that ``opt`` sets itself.
            callbacks: for this fit, after the learner's own.
            progress: True: a bar and a row per epoch on stderr, None: where that is a terminal; a function: told of
                every epoch (``callbacks.Telling``).
            **settings: the optimizer's, for every group: of our rules ``wd`` (decoupled decay), ``l2`` (decay in the
                loss), ``beta`` …; of torch's optimizers ``weight_decay`` …

        Warns:
            StoppedWarning: after Ctrl-C, which ends the fit after the current batch.

        Raises:
            DivergedError: when the loss is no longer a finite number.
            SettingError: for a setting that the optimizer does not have, or rates that do not match the groups.
        """
        check_positive(n_epochs=n_epochs)
        self.n_epochs, self.first_epoch, self._epochs_before = n_epochs, 0, len(self.history)
        self.opt = self._optimizer(settings, keeps_rates=lr is None)
        self._rates_of = self._schedules(lr)
        rater = Rates(self._rates_of)
        every = [rater, GapWarning(), *_shown(progress), *self.callbacks, *callbacks]
        self.running_callbacks = sorted(every, key=lambda c: isinstance(c, Checkpoint))  # they see what others did
        with own_threads(self.threads), stoppable() as stop:
            try:
                self._call("before_fit")
                for self.epoch in range(self.first_epoch, n_epochs):
                    self._fit_epoch(stop)
            except StopFitting:
                pass
            finally:
                self.rates = rater.history
                self._call("after_fit")
        if stop.asked:
            warn_stopped(f"in epoch {self.epoch + 1} of {n_epochs}", stacklevel=5)
        return self.history

    def _fit_epoch(self, stop: Stop) -> None:
        self.model.train()
        self._call("before_epoch")
        seed, total, n = (self.key + len(self.history) * _STRIDE) % 2**63, 0.0, 0
        with self.randomness(seed):
            for self.batch_number, self.batch in enumerate(self.batches.shuffled(seed)):
                self.progress = (self.epoch + self.batch_number / self.n_batches) / self.n_epochs
                self._call("before_batch")
                self.loss = self.step_loss(self.model, self.batch)
                self._call("after_loss")
                total, n = total + self._finite(self.loss) * len(self.batch.values), n + len(self.batch.values)
                self.opt.zero_grad()
                self.loss.backward()
                self._call("after_backward")
                self.opt.step()
                self._call("after_batch")
                if stop.asked:
                    raise StopFitting
            row = {"epoch": len(self.history) + 1, "train": total / n}
            self.history.append({**row, **(self.validate() if self.valid is not None else {})})
        self._call("after_epoch")

    def randomness(self, seed: int) -> contextlib.AbstractContextManager[None]:
        """Where an epoch draws its order, dropout and negatives; override to draw elsewhere."""
        return own_randomness(seed, self.device)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The loss on valid, a mean over its rows, and the metrics: {"valid": …, name: …}."""
        if self.valid_batches is None:
            raise SettingError("this learner has no validation set.", hint="Learner(model, train, valid).")
        self.model.eval()
        total, n = 0.0, 0
        for batch in self.valid_batches:
            total += float(self.step_loss(self.model, batch)) * len(batch.values)
            n += len(batch.values)
        return {"valid": total / n, **self._measure()}

    def _measure(self) -> dict[str, float]:
        if not self.metrics:
            return {}
        guess, target = (x.cpu().numpy() for x in self.predict_valid())
        return {name: float(f(guess, target)) for name, f in self.metrics.items()}

    @torch.no_grad()
    def predict_valid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The model's predictions for valid, and its targets: (N,) each."""
        assert self.valid_batches is not None
        self.model.eval()
        pairs = [(self.model(*batch.inputs), batch.values) for batch in self.valid_batches]
        guess, target = zip(*pairs, strict=True)
        return torch.cat(guess), torch.cat(target)

    def _optimizer(self, settings: dict[str, Any], *, keeps_rates: bool) -> torch.optim.Optimizer:
        groups = [dict(g) if isinstance(g, dict) else {"params": g} for g in self.groups(self.model)]
        if self.make_opt is None:
            return Optimizer(groups, self.rule, lr=1.0, **settings)
        own = settings if keeps_rates else {"lr": 1.0, **settings}
        made = self.make_opt([{**g, **own} for g in groups])
        for name in settings:
            if name not in made.defaults:
                hint = f"it has {', '.join(made.defaults)}."
                raise SettingError(f"{type(made).__name__} has no setting {name!r}.", hint=hint)
        return made

    def _schedules(self, lr: Rate | Sequence[Rate] | None) -> list[schedules.Schedule] | None:
        if lr is None:
            if self.make_opt is None:
                raise SettingError("a rule has no rate of its own.", hint="fit(n_epochs, lr=0.01).")
            return None
        n = len(self.opt.param_groups)
        rates = [as_schedule(r) for r in (lr if isinstance(lr, Sequence) else [lr] * n)]
        if len(rates) != n:
            raise SettingError(f"{len(rates)} rates for {n} groups of parameters.", hint="one rate a group.")
        return rates

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

    def lr_find(
        self, start_lr: float = 1e-5, end_lr: float = 10.0, *, n_batches: int | None = None, **settings: Any
    ) -> Sweep:
        """Sweep the rate up, batch by batch, until the loss explodes; the model is put back as it was.

        Args:
            start_lr: first rate.
            end_lr: last rate.
            n_batches: how many; by default an epoch's, at least 100.
            **settings: the optimizer's.
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
        """What has been learned, as numpy: see ``module_scorer.scorer_of``.

        Raises:
            SettingError: where train is no Ratings: nobody knows then what the rows are.
        """
        if self.ratings is None:
            raise SettingError("only a fit on Ratings has a scorer.", hint="use learner.model, or train on Ratings.")
        return scorer_of(self.model, self.ratings, self.loss_function, _examples(self.batches))

    def describe_fit(self) -> dict[str, Any]:
        """What the fit under way is made of, for a checkpoint: JSON values. Model and optimizer say it themselves."""
        rates = None if self._rates_of is None else [[r(p / 16) for p in range(17)] for r in self._rates_of]
        loss = losses.name_of(self.step_loss) if self._own_step_loss else self.loss_function.name
        fit = {"n_epochs": self.n_epochs, "epochs before": self._epochs_before, "rates": rates, "loss": loss}
        bs = self.batches.bs if isinstance(self.batches, (Batches, ClickBatches)) else None
        data = {"train": _fingerprint(self.train), "valid": _fingerprint(self.valid), "bs": bs}
        return {**fit, **data, "key": self.key}


def _fingerprint(data: Ratings | BatchSource | None) -> str | None:
    if data is None:
        return None
    return data.fingerprint() if isinstance(data, Ratings) else fingerprint(data)


def _examples(batches: BatchSource) -> Examples:
    """Users, items and values of all batches, in their own order."""
    columns = zip(*((*(x.int() for x in batch.inputs[:2]), batch.values) for batch in batches), strict=True)
    return Examples(*(torch.cat(column).cpu().numpy() for column in columns))


def _shown(progress: Progress) -> list[Callback]:
    """The callback that shows a fit, if any."""
    if callable(progress):
        return [Telling(progress)]
    return [Bar()] if (sys.stderr.isatty() if progress is None else progress) else []


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
