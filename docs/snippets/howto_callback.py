"""How to write a callback."""

# --8<-- [start:data]
from dotbias import Ratings, collab_learner, split

train, valid, _ = split.random(Ratings.from_csv("ratings.csv"), valid=0.1, test=None, rng=0)
# --8<-- [end:data]

# --8<-- [start:clip]
from torch.nn.utils import clip_grad_norm_

from dotbias.callbacks import Callback


class Clip(Callback):
    """Shortens long gradients before the step."""

    def __init__(self, longest):
        self.longest, self.n_clipped = longest, 0

    def after_backward(self, learner):
        """The gradients are there."""
        dense = [
            p for p in learner.model.parameters() if p.grad is not None and not p.grad.is_sparse
        ]
        self.n_clipped += int(clip_grad_norm_(dense, self.longest) > self.longest)


# --8<-- [end:clip]


# --8<-- [start:budget]
import time

from dotbias.callbacks import StopFitting


class Budget(Callback):
    """Ends the fit after so many seconds, in good order."""

    def __init__(self, seconds):
        self.seconds = seconds

    def before_fit(self, learner):
        """The clock starts."""
        self.end = time.monotonic() + self.seconds

    def after_epoch(self, learner):
        """``learner.history[-1]`` is the epoch's row."""
        if time.monotonic() > self.end:
            raise StopFitting


# --8<-- [end:budget]


# --8<-- [start:use]
from dotbias import EmbeddingDotBias, Learner

model = EmbeddingDotBias(
    train.n_users, train.n_items, n_factors=10, y_range=train.scale(), rng=0
)
clip = Clip(longest=0.01)
learner = Learner(model, train, valid, bs=256, callbacks=[clip], rng=0)
learner.fit(100, 0.01, callbacks=[Budget(seconds=0)])
print(f"{len(learner.history)} epoch of the 100; clipped in some batch: {clip.n_clipped > 0}")
# --8<-- [end:use]

# --8<-- [start:stats]
from dotbias.callbacks import ActivationStats, GradientStats

gradients, activations = GradientStats(), ActivationStats()
learner = collab_learner(train, valid, bs=256, callbacks=[gradients, activations], rng=0)
learner.fit(2, 0.01)
for name, seen in gradients.history[-1].items():
    print(f"{name:9} gradient {seen.mean:+.1e} ± {seen.std:.1e}")
for name, seen in activations.history[-1].items():
    print(f"{name:9} output   {seen.mean:+.3f} ± {seen.std:.3f}")
# --8<-- [end:stats]
