"""Does decoupled decay make the right wd more stable than L2? Both, over three rates."""

# --8<-- [start:grid]
from dotbias import Ratings, collab_learner, schedules, split, steps

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
RATES = (0.005, 0.01, 0.02)
GRID = {
    "l2": (steps.adam, (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)),
    "wd": (steps.adamw, (0.01, 0.1, 1.0, 10.0, 100.0)),
}


def attempt(rule, rate, **decay):
    """Valid MSE after three epochs."""
    learner = collab_learner(train, valid, n_factors=32, rule=rule, bs=1024, rng=0)
    return learner.fit(3, schedules.one_cycle(rate), **decay)[-1]["valid"]


found = {}
for name, (rule, decays) in GRID.items():
    print(f"{name:6}", *(f"{d:>7g}" for d in decays))
    for rate in RATES:
        found[name, rate] = [attempt(rule, rate, **{name: d}) for d in decays]
        print(f"lr {rate:<5}", *(f"{e:7.3f}" for e in found[name, rate]))
# --8<-- [end:grid]

# --8<-- [start:best]
for name, (_, decays) in GRID.items():
    best = [decays[min(range(5), key=found[name, rate].__getitem__)] for rate in RATES]
    print(f"best {name} for the three rates:", *(f"{d:g}" for d in best))
# --8<-- [end:best]
