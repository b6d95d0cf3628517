"""Why L2 in Adam is not weight decay, in numbers."""

# --8<-- [start:same]
from dotbias import steps

g, p = 0.3, 2.0
by_l2 = steps.sgd(p, g, {}, lr=0.1, l2=0.01)[0]
by_wd = steps.sgd(p, g, {}, lr=0.1, wd=0.01)[0]
print(by_l2, by_wd)  # p - lr·(g + l2·p) = (1 - lr·l2)·p - lr·g
# --8<-- [end:same]

# --8<-- [start:two]
# 2,000 gradients that say nothing: their sum is 0.
NOISE = [3.0, -1.0, 2.0, -4.0, 1.0, -2.0, 4.0, -3.0] * 250


def pull(rule, size, **decay):
    """How far a decay pulls a parameter that begins at 1, in 2,000 gradients of a size."""
    ends = []
    for settings in (decay, dict.fromkeys(decay, 0.0)):
        p, state = 1.0, {}
        for g in NOISE:
            p, state = rule(p, size * g, state, lr=0.001, **settings)
        ends.append(p)
    return ends[0] - ends[1]


print("gradients of size    0.01        1      100")
for name, rule, decay in (
    ("SGD, L2", steps.sgd, {"l2": 0.1}),
    ("SGD, decoupled", steps.sgd, {"wd": 0.1}),
    ("Adam, L2", steps.adam, {"l2": 0.1}),
    ("Adam, decoupled", steps.adamw, {"wd": 0.1}),
):
    print(f"{name:16}", *(f"{pull(rule, size, **decay):8.3f}" for size in (0.01, 1.0, 100.0)))
# --8<-- [end:two]

# --8<-- [start:fit]
from dotbias import Ratings, collab_learner, schedules, split

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
rate = schedules.restarts(0.01, n_cycles=2, cycle_len=1, cycle_mult=2)
for name, rule, settings in (
    ("L2 in the loss", steps.adam, {"l2": 2e-4}),
    ("decoupled     ", steps.adamw, {"wd": 2e-4}),
):
    learner = collab_learner(train, valid, rule=rule, bs=64, rng=0)
    end = learner.fit(3, rate, **settings)[-1]
    print(f"{name}  wd 2e-4  train {end['train']:.3f}  valid {end['valid']:.3f}")
# --8<-- [end:fit]
