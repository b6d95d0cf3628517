"""Does decoupled decay make the right wd more stable than L2? Both, over three rates."""

import warnings

from dotbias.callbacks.valid import OverfitWarning

warnings.simplefilter(
    "ignore", OverfitWarning
)  # fits with too little decay are a part of the answer

# --8<-- [start:grid]
from dotbias import Ratings, collab_learner, schedules, split, steps

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
RATES = (0.01, 0.02, 0.04)
GRID = {
    "l2": (steps.adam, (3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)),
    "wd": (steps.adamw, (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)),
}


def attempt(rule, rate, **decay):
    """Valid MSE at the end of 12 epochs, one cycle of the rate."""
    learner = collab_learner(train, valid, n_factors=32, rule=rule, bs=2048, rng=0)
    return learner.fit(12, schedules.one_cycle(rate), **decay)[-1]["valid"]


found = {}
for name, (rule, decays) in GRID.items():
    print(f"{name:8}", *(f"{d:>7g}" for d in decays))
    for rate in RATES:
        found[name, rate] = [attempt(rule, rate, **{name: d}) for d in decays]
        print(f"lr {rate:<5}", *(f"{e:7.3f}" for e in found[name, rate]))
# --8<-- [end:grid]

# --8<-- [start:best]
for name, (_, decays) in GRID.items():
    best = [min(range(6), key=found[name, rate].__getitem__) for rate in RATES]
    print(f"best {name} for the three rates:", *(f"{decays[k]:g}" for k in best))
    lost = [found[name, r][best[1]] - min(found[name, r]) for r in RATES]
    print("the middle rate's, at all three, loses", *(f"{x:.3f}" for x in lost))
# --8<-- [end:best]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(8, 3.4), layout="constrained")
for ax, (name, (rule, decays)) in zip(
    page.subplots(1, 2, sharey=True), GRID.items(), strict=True
):
    for rate in RATES:
        ax.plot(decays, found[name, rate], "o-", label=f"lr {rate:g}")
    ax.set(xscale="log", xlabel=name, title=rule.__name__, ylim=(0.77, 1.0))
    ax.legend(fontsize=8)
page.axes[0].set(ylabel="MSE in valid")
page.savefig("decay.png", dpi=80)
# --8<-- [end:picture]
