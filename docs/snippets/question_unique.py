"""Are the embeddings unique? Two fits that differ in their seed alone."""

# --8<-- [start:two]
import numpy as np
from dotbias import Ratings, als, split

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
first, second = (als(whole, n_factors=16, rng=seed) for seed in (0, 1))
most = np.argsort(-whole.item_counts)[:200]  # the 200 most rated films


def alike(a, b):
    """The correlation of two arrays of numbers."""
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


guesses = [f.score(test.users, test.items) for f in (first, second)]
for name, guess in zip(("first", "second"), guesses, strict=True):
    print(f"{name:6} fit: MSE {((guess - test.values) ** 2).mean():.3f}")
print(f"guesses          {alike(*guesses):.3f}")
print(f"item biases      {alike(first.item_bias[most], second.item_bias[most]):.3f}")
print(f"item embeddings  {alike(first.items[most], second.items[most]):.3f}")
# --8<-- [end:two]

# --8<-- [start:turned]
u, _, v = np.linalg.svd(second.items[most].T @ first.items[most])
turned = second.items @ (u @ v)  # the rotation that brings the second fit nearest to the first
print(f"item embeddings, turned  {alike(first.items[most], turned[most]):.3f}")
# --8<-- [end:turned]

# --8<-- [start:nearest]


def nearest(items, n=10):
    """The n nearest by cosine of each of the 200 films, among them: (200, n)."""
    x = items[most] / np.linalg.norm(items[most], axis=1, keepdims=True)
    return np.argsort(-(x @ x.T), axis=1)[:, 1 : n + 1]


pairs = zip(nearest(first.items), nearest(second.items), strict=True)
shared = np.mean([len(set(a) & set(b)) for a, b in pairs])
print(f"of the 10 nearest films, {shared:.1f} are the same in both fits")
# --8<-- [end:nearest]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(8, 2.9), layout="constrained")
pairs = (
    ("item biases", first.item_bias, second.item_bias),
    ("embeddings", first.items, second.items),
    ("embeddings, turned", first.items, turned),
)
for ax, (name, a, b) in zip(page.subplots(1, 3), pairs, strict=True):
    ax.plot(a[most].ravel(), b[most].ravel(), ".", markersize=2)
    ax.set(title=name, xlabel="first seed", ylabel="second seed", aspect="equal")
page.savefig("unique.png", dpi=80)
# --8<-- [end:picture]
