"""Randomness and bits."""

# --8<-- [start:data]
from dotbias import Ratings, split

train, valid, _ = split.random(Ratings.from_csv("ratings.csv"), valid=0.1, test=None, rng=0)
# --8<-- [end:data]

# --8<-- [start:bits]
from dotbias import fit_dot_bias

one = fit_dot_bias(train, n_factors=5, n_epochs=2, rng=7)
two = fit_dot_bias(train, n_factors=5, n_epochs=2, rng=7)
print((one.users == two.users).all(), (one.item_bias == two.item_bias).all())
# --8<-- [end:bits]

# --8<-- [start:seeds]
import numpy as np

errors = []
for rng in range(5):
    scorer = fit_dot_bias(train, n_factors=5, n_epochs=2, rng=rng)
    errors.append(float(np.mean((scorer.score(valid.users, valid.items) - valid.values) ** 2)))
print(f"MSE: median {np.median(errors):.4f}, from {min(errors):.4f} to {max(errors):.4f}")
# --8<-- [end:seeds]

# --8<-- [start:resume]
from dotbias import collab_learner
from dotbias.callbacks import Callback, Checkpoint, StopFitting


class PowerCut(Callback):
    """Ends the fit after its first epoch."""

    def after_epoch(self, learner):
        """Off."""
        raise StopFitting


def learner():
    """The same one every time."""
    return collab_learner(train, valid, n_factors=5, bs=256, rng=7)


unbroken = learner()
unbroken.fit(3, 0.01)
learner().fit(3, 0.01, callbacks=[Checkpoint("fit.safetensors"), PowerCut()])
resumed = learner()
resumed.fit(3, 0.01, callbacks=[Checkpoint("fit.safetensors")])
print(
    unbroken.history == resumed.history,
    (unbroken.model.u.weight == resumed.model.u.weight).all().item(),
)
# --8<-- [end:resume]
