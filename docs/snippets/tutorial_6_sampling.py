"""Chapter 6: from ridge to prior, one conditional by hand, averages of samples, intervals."""

# --8<-- [start:fit]
import numpy as np

from dotbias import Ratings, als, split

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
train, _, test = split.lesson(ratings)
factors = als(train, n_factors=8, rng=0)  # ridge regressions in turn: users, items, users, …
# --8<-- [end:fit]


# --8<-- [start:conditional]
def ratings_of(user):
    """(1, q) of each item that a user rated (n, 1 + K), and what (b_u, p) must explain (n,)."""
    rows = np.flatnonzero(train.users == user)
    items = train.items[rows]
    x = np.c_[np.ones(len(items)), factors.items[items]]
    return x, train.values[rows] - factors.mean - factors.item_bias[items]


def conditional(user, noise):
    """Mean (1 + K,) and covariance (1 + K, 1 + K) of (b_u, p), given the items."""
    x, y = ratings_of(user)
    ridge = factors.objective.user_reg.diagonal(factors.n_factors, len(y))
    precision = (x.T @ x + np.diag(ridge)) / noise**2  # of the ratings, plus of the prior
    covariance = np.linalg.inv(precision)
    return covariance @ x.T @ y / noise**2, covariance


counts = train.user_counts
order = np.argsort(counts, kind="stable")
few = int(order[len(order) // 10])  # nine users in ten have more ratings
many = int(order[-1])  # nobody has more
for user in (few, many):
    mean, covariance = conditional(user, noise=0.85)
    x, y = ratings_of(user)
    best = factors.objective.half_step(np.zeros(len(y)), x[:, 1:], y)
    stored = np.r_[factors.user_bias[user], factors.users[user]]
    print(f"{counts[user]} ratings: bias {mean[0]:+.2f} ± {np.sqrt(covariance[0, 0]):.2f}")
    print("  the half-step, to 12 digits:", bool(abs(mean - best).max() < 1e-12))
    print("  the row that als stored, to 4 digits:", bool(abs(mean - stored).max() < 1e-4))
# --8<-- [end:conditional]

# --8<-- [start:draw]
rng = np.random.default_rng(0)
item = int(train.item_counts.argmax())  # the most rated
for user in (few, many):
    mean, covariance = conditional(user, noise=0.85)
    draws = rng.multivariate_normal(mean, covariance, size=2000)  # (2000, 1 + K)
    z = factors.mean + factors.item_bias[item] + draws @ np.r_[1, factors.items[item]]
    print(f"{counts[user]:4} ratings: {train.item_titles[item]} {z.mean():.2f} ± {z.std():.2f}")
# --8<-- [end:draw]

# --8<-- [start:gibbs]
from dotbias import gibbs

posterior = gibbs(train, n_factors=8, histories=True, n_sweeps=60, keep=60, rng=0)
print(posterior)
print(*posterior.notes, sep="\n")
# --8<-- [end:gibbs]


# --8<-- [start:average]
def rmse(guess):
    """Root mean squared error on test, within the scale."""
    return float(np.sqrt(np.mean((np.clip(guess, *train.scale()) - test.values) ** 2)))


guesses = np.stack([s.rank(test.users, test.items) for s in posterior.draws()])  # (S, N)
singly = [rmse(g) for g in guesses]
averaged = [rmse(guesses[:n].mean(axis=0)) for n in range(1, len(guesses) + 1)]
print(f"single samples: from {min(singly):.3f} to {max(singly):.3f}")
for n in (1, 2, 4, 8, 16, 32, 60):
    print(f"average of {n:2}: {averaged[n - 1]:.3f}")

alone = np.mean((guesses - test.values) ** 2)  # MSE, over samples and ratings
together = np.mean((guesses.mean(axis=0) - test.values) ** 2)
print(f"{alone:.4f} = {together:.4f} + {guesses.var(axis=0).mean():.4f}")
# --8<-- [end:average]

# --8<-- [start:beside]
ids_only = gibbs(train, n_factors=8, n_sweeps=60, keep=60, rng=0)
for name, scorer in (("als", factors), ("gibbs", ids_only), ("gibbs, histories", posterior)):
    print(f"{name:16}  {rmse(scorer.score(test.users, test.items)):.3f}")
# --8<-- [end:beside]

# --8<-- [start:intervals]
for level in (0.5, 0.8, 0.95):
    low, high = posterior.interval(test.users, test.items, level=level)
    inside = np.mean((low <= test.values) & (test.values <= high))
    print(f"asked for {level:.0%}: {inside:.1%} inside, {np.mean(high - low):.2f} stars wide")
# --8<-- [end:intervals]

# --8<-- [start:where]
low, high = posterior.interval(test.users, test.items, level=0.8)
inside = (low <= test.values) & (test.values <= high)
variance = posterior.moments(
    test.users, test.items
).variance  # of the prediction, without noise
n_seen = train.item_counts[test.items]
groups = {
    "none": n_seen == 0,
    "1 to 49": (n_seen >= 1) & (n_seen < 50),
    "50 or more": n_seen >= 50,
}
for name, group in groups.items():
    if group.any():  # a planted world may lack one
        spread = np.sqrt(variance[group].mean())
        share = inside[group].mean()
        print(f"ratings of the item: {name:10}  ± {spread:.2f}  inside {share:.1%}")
# --8<-- [end:where]

# --8<-- [start:choose]
from dotbias.solvers.choice import choose

print(choose(train).why)
print(choose(train, budget="5s").why)
# --8<-- [end:choose]

# The picture of the averages.
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
n = np.arange(1, len(singly) + 1)
ax.plot(n, singly, ".", color="0.6", label="each sample alone")
ax.plot(n, averaged, "-", color="C0", label="average of the samples so far")
ax.set(
    xlabel="samples",
    ylabel="RMSE on test, stars",
    title="Averaging removes what samples disagree about",
)
ax.set_ylim(bottom=min(averaged) - 0.01)
ax.legend(frameon=False)
fig.savefig("samples.png", dpi=80)
