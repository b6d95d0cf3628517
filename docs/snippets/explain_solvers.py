"""Three solvers, and what a posterior knows."""

# --8<-- [start:data]
import numpy as np

from dotbias import Ratings, als, gibbs, sgd, split
from dotbias.solvers.choice import everything

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
train, _, test = split.random(ratings, test=0.1, rng=0)


def rmse(scorer):
    """On the held-out tenth."""
    e = scorer.score(test.users, test.items, test.times) - test.values
    return round(float(np.sqrt((e**2).mean())), 3)


# --8<-- [end:data]

# --8<-- [start:ids]
for fit in (sgd, als, gibbs):
    print(f"{fit.__name__:<5} {rmse(fit(train, rng=0))}")
# --8<-- [end:ids]

# --8<-- [start:everything]
posterior = gibbs(train, rng=0, **everything(train))  # what auto fits, where it is the best
print(type(posterior).__name__, rmse(posterior))
# --8<-- [end:everything]

# --8<-- [start:sure]
few = test.take(np.arange(3))
low, high = posterior.interval(few.users, few.items, few.times, level=0.8)
stars = posterior.star_probabilities(few.users, few.items, few.times)  # (3, L)
for k in range(3):
    likeliest = posterior.stars[stars[k].argmax()]
    said = f"{low[k]:.1f} to {high[k]:.1f} with 80 %, likeliest {likeliest:g} stars"
    print(f"{said}; given: {few.values[k]:g}")
# --8<-- [end:sure]

# --8<-- [start:plain]
factors = posterior.compress()
print(factors.n_factors, "factors:", rmse(factors))
# --8<-- [end:plain]
