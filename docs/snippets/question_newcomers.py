"""A new user: what then, without retraining? And how many ratings does it take?"""

# --8<-- [start:told]
import numpy as np
from dotbias import Ratings, als, baselines

ratings = Ratings.from_csv("ratings.csv")
busy = np.flatnonzero(ratings.user_counts >= 30)
folds = np.array_split(np.random.default_rng(0).permutation(busy), 5)
FITS = {"als": als, "biases alone": baselines.bias}
TOLD = (0, 1, 2, 5, 10, 20)


def squared_error(scorer, user, k):
    """The mean over ten ratings kept back, after k others were told."""
    mine = np.flatnonzero(ratings.users == user)
    mine = np.random.default_rng(user).permutation(mine)  # the same for both fits
    asked, told = mine[:10], mine[10 : 10 + k]
    part = scorer.fold_in_user(ratings.items[told], ratings.values[told])
    return ((part.score(ratings.items[asked]) - ratings.values[asked]) ** 2).mean()


errors = {name: [] for name in FITS}
for new in folds:  # these users are not in train at all
    train = ratings.take(~np.isin(ratings.users, new))
    for name, fit in FITS.items():
        scorer = fit(train, rng=0)
        errors[name] += [[squared_error(scorer, user, k) for k in TOLD] for user in new]
print(f"{len(busy)} new users; told", *(f"{k:5}" for k in TOLD))
for name, of_users in errors.items():
    print(f"{name:12}         MSE", *(f"{e:.3f}" for e in np.mean(of_users, 0)))
# --8<-- [end:told]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(5, 3.2), layout="constrained")
ax = page.subplots()
for name, of_users in errors.items():
    ax.plot(TOLD, np.mean(of_users, 0), "o-", label=name)
ax.set(xlabel="ratings told", ylabel="mean squared error")
ax.legend()
page.savefig("newcomers.png", dpi=80)
# --8<-- [end:picture]
