"""Is EmbeddingNet with restarts better than the dot product?"""

# --8<-- [start:net]
from dotbias import EmbeddingDot, EmbeddingDotBias, EmbeddingNet, Learner, Ratings
from dotbias import schedules, split, steps

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
RATES = {
    "one cycle": schedules.one_cycle(0.01),
    "restarts": schedules.restarts(0.01, n_cycles=2, cycle_len=1, cycle_mult=2),
}


def attempt(kind, rate, seed, wd, **more):
    """Valid MSE after three epochs."""
    model = kind(train.n_users, train.n_items, n_factors=32, rng=seed, **more)
    learner = Learner(model, train, valid, rule=steps.adamw, bs=256, rng=seed)
    return learner.fit(3, rate, wd=wd)[-1]["valid"]


wide = {"y_range": train.scale(), "padding": 0.5}
for name, kind, wd, more in (
    ("EmbeddingDot", EmbeddingDot, 1.0, {}),
    ("EmbeddingNet", EmbeddingNet, 1.0, wide),
    ("EmbeddingDotBias", EmbeddingDotBias, 1.0, wide),
):
    for how, rate in RATES.items():
        found = sorted(attempt(kind, rate, seed, wd, **more) for seed in (0, 1, 2))
        print(f"{name:16}  {how:9}  valid {found[1]:.3f} ({found[0]:.3f} to {found[2]:.3f})")
# --8<-- [end:net]
