"""What may happen around the loop: eight moments, each a no-op method to override.

    before_fit, before_epoch, before_batch, after_loss, after_backward, after_batch, after_epoch, after_fit

Every method gets the learner (what it shows is :class:`~dotbias.callbacks.moments.Loop`), and may read and change what
it likes: ``learner.opt``, ``learner.loss``, ``learner.history`` … To end a fit early, raise :class:`StopFitting`.
"""

from .checkpoint import Checkpoint
from .log import Log, Telling
from .moments import MOMENTS, Callback, Loop, StopFitting
from .rates import Rates, RateSweep, Sweep
from .stats import ActivationStats, GradientStats, Stats
from .valid import EarlyStop, GapWarning, KeepBest, OverfitWarning
from .watch import Bar, RunningLoss

__all__ = [
    "MOMENTS",
    "ActivationStats",
    "Bar",
    "Callback",
    "Checkpoint",
    "EarlyStop",
    "GapWarning",
    "GradientStats",
    "KeepBest",
    "Log",
    "Loop",
    "OverfitWarning",
    "RateSweep",
    "Rates",
    "RunningLoss",
    "Stats",
    "StopFitting",
    "Sweep",
    "Telling",
]
