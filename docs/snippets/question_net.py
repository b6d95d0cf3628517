"""Is EmbeddingNet with restarts better than the dot product?"""

import warnings

from dotbias.callbacks.valid import OverfitWarning

warnings.simplefilter(
    "ignore", OverfitWarning
)  # fits with too little decay are a part of the answer

# --8<-- [start:net]
from dotbias import EmbeddingDot, EmbeddingDotBias, EmbeddingNet, Learner, Ratings
from dotbias import schedules, split, steps

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
RATES = {
    "one cycle": schedules.one_cycle(0.03),
    "restarts": schedules.restarts(0.03, n_cycles=4, cycle_len=1, cycle_mult=2),
}
wide = {"y_range": train.scale(), "padding": 0.5}
KINDS = (
    (EmbeddingDot, {"mean": float(train.values.mean())}),
    (EmbeddingDotBias, wide),
    (EmbeddingNet, wide),
)


def attempt(kind, more, rate, wd, seed):
    """Valid MSE after each of 1 + 2 + 4 + 8 epochs."""
    model = kind(train.n_users, train.n_items, n_factors=32, sparse=True, rng=seed, **more)
    learner = Learner(model, train, valid, rule=steps.adamw, bs=2048, rng=seed)
    return [row["valid"] for row in learner.fit(15, rate, wd=wd)]


curves = {}
for kind, more in KINDS:
    for wd in (0.3, 1.0):
        cells = []
        for how, rate in RATES.items():
            runs = [attempt(kind, more, rate, wd, seed) for seed in (0, 1, 2)]
            runs.sort(key=lambda run: run[-1])
            curves[kind.__name__, wd, how] = runs[1]
            low, middle, high = (run[-1] for run in runs)
            cells.append(f"{how} {middle:.3f} ({low:.3f} to {high:.3f})")
        print(f"{kind.__name__:16}  wd {wd}  {'  '.join(cells)}")
# --8<-- [end:net]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(9, 3.4), layout="constrained")
for ax, (kind, _) in zip(page.subplots(1, 3, sharey=True), KINDS, strict=True):
    for k, wd in enumerate((0.3, 1.0)):
        for how, style in (("one cycle", ":"), ("restarts", "-")):
            run = curves[kind.__name__, wd, how]
            ax.plot(range(1, 16), run, style, color=f"C{k}", label=f"wd {wd}, {how}")
    ax.set(title=kind.__name__, xlabel="epoch", ylim=(0.76, 1.0))
ax.legend(fontsize=7)
page.axes[0].set(ylabel="MSE in valid")
page.savefig("net.png", dpi=80)
# --8<-- [end:picture]
