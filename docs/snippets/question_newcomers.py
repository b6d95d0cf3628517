"""A new user: what then, without retraining? And how many ratings does it take?"""

# --8<-- [start:told]
import numpy as np
from dotbias import Ratings, als, baselines

ratings = Ratings.from_csv("ratings.csv")
rng = np.random.default_rng(0)
busy = np.flatnonzero(ratings.user_counts >= 30)
new = rng.choice(busy, len(busy) // 5, replace=False)  # they are not in train at all
train = ratings.take(~np.isin(ratings.users, new))
fits = {"als": als(train, rng=0), "biases alone": baselines.bias(train)}
TOLD = (0, 1, 2, 5, 10, 20)


def squared_errors(scorer, user):
    """The mean over ten ratings kept back, after 0, 1 … 20 others were told: (6,)."""
    mine = np.flatnonzero(ratings.users == user)
    mine = np.random.default_rng(user).permutation(mine)  # the same for both fits
    asked, told = mine[:10], mine[10:]
    items, values = ratings.items, ratings.values
    parts = [scorer.fold_in_user(items[told[:k]], values[told[:k]]) for k in TOLD]
    return [((part.score(items[asked]) - values[asked]) ** 2).mean() for part in parts]


print(f"{len(new)} new users; told", *(f"{k:6}" for k in TOLD))
errors = {}
for name, scorer in fits.items():
    errors[name] = np.array([squared_errors(scorer, user) for user in new])
    print(f"{name:12}  valid MSE ", *(f"{e:.3f} " for e in errors[name].mean(0)))
# --8<-- [end:told]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(5, 3.2), layout="constrained")
ax = page.subplots()
for name, of_users in errors.items():
    ax.plot(TOLD, of_users.mean(0), "o-", label=name)
ax.set(xlabel="ratings told", ylabel="mean squared error")
ax.legend()
page.savefig("newcomers.png", dpi=80)
# --8<-- [end:picture]
