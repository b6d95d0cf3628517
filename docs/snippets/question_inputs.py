"""Genres and the time stamp as inputs: do they help?"""

# --8<-- [start:inputs]
from dotbias import Ratings, gibbs, split

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
whole, _, test = split.lesson(ratings)
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
rare = train.item_counts[valid.items] < 5
INPUTS = {
    "who and what alone": {},
    "and genres": {"item_features": ("genres",)},
    "and what else each rated": {"histories": True},
    "and when, in sessions": {"sessions": True},
    "and all of these": {"item_features": ("genres",), "histories": True, "sessions": True},
}


def errors(scorer):
    """MSE in valid: all, those of rarely rated films, and all with their times told."""
    unknown = (scorer.score(valid.users, valid.items) - valid.values) ** 2
    given = (scorer.score(valid.users, valid.items, valid.times) - valid.values) ** 2
    return unknown.mean(), unknown[rare].mean(), given.mean()


found = {}
print("                           all    rare   all, time given")
for name, more in INPUTS.items():
    found[name] = errors(gibbs(train, n_sweeps=100, keep=50, rng=0, **more))
    print(f"{name:24}  ", "  ".join(f"{e:.3f}" for e in found[name]))
# --8<-- [end:inputs]

# --8<-- [start:picture]
import numpy as np
from matplotlib.figure import Figure

page = Figure(figsize=(7, 2.8), layout="constrained")
ax, at = page.subplots(), np.arange(len(found))
for k, label in enumerate(("time unknown", "time given")):
    shown = [errors[2 * k] for errors in found.values()]
    ax.plot(shown, at, "os"[k], label=label)
ax.set(yticks=at, yticklabels=list(found), xlabel="mean squared error in valid")
ax.invert_yaxis()
ax.legend()
page.savefig("inputs.png", dpi=80)
# --8<-- [end:picture]
