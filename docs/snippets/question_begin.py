"""How large to begin? The course's three scales, and He's, to the end of the fit."""

# --8<-- [start:scales]
from dotbias import EmbeddingDotBias, Learner, Ratings, schedules, split, steps

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
wide = {"y_range": train.scale(), "padding": 0.5, "sparse": True}
INITS = {"dot": "0 to 0.05", "hand": "±0.01", "library": "±0.05", "he": "He's rule"}


def attempt(init, wd):
    """The log of ten epochs."""
    model = EmbeddingDotBias(
        train.n_users, train.n_items, n_factors=50, init=init, rng=0, **wide
    )
    learner = Learner(model, train, valid, rule=steps.adamw, bs=512, rng=0)
    return [row["valid"] for row in learner.fit(10, schedules.one_cycle(0.01), wd=wd)]


runs = {(init, wd): attempt(init, wd) for wd in (0.0, 2.0) for init in INITS}
for (init, wd), run in runs.items():
    first, best, last = run[0], min(run), run[-1]
    print(
        f"wd {wd}  {INITS[init]:10} MSE in valid: first epoch {first:.3f}, "
        f"best {best:.3f}, last {last:.3f}"
    )
# --8<-- [end:scales]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(8, 3.2), layout="constrained")
for ax, wd in zip(page.subplots(1, 2, sharey=True), (0.0, 2.0), strict=True):
    for init, words in INITS.items():
        ax.plot(range(1, 11), runs[init, wd], label=words)
    ax.set(title=f"wd {wd}", xlabel="epoch", ylim=(0.75, 1.2))
ax.legend(fontsize=8)
page.axes[0].set(ylabel="MSE in valid")
page.savefig("begin.png", dpi=80)
# --8<-- [end:picture]
