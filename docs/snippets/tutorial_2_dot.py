"""Chapter 2: the dot product, embeddings as look-ups, biases, the range."""

# --8<-- [start:dot]
import torch

from dotbias import DotProduct

a = torch.tensor([[1.0, 2], [3, 4]])
b = torch.tensor([[2.0, 2], [10, 10]])
print(a * b)
print(DotProduct()(a, b))
# --8<-- [end:dot]

# --8<-- [start:data]
from dotbias import Ratings, split

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv").with_item_table("movies.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)
# --8<-- [end:data]

# --8<-- [start:lookup]
from torch.nn.functional import one_hot

from dotbias import EmbeddingDot

model = EmbeddingDot(train.n_users, train.n_items, n_factors=50, rng=0)
users = torch.tensor([0, 2, 2])
by_product = one_hot(users, train.n_users).float() @ model.u.weight  # (3, U) @ (U, K)
by_look_up = model.u(users)  # (3, K)
print(torch.equal(by_product, by_look_up))
# --8<-- [end:lookup]

# --8<-- [start:squeeze]
dot = torch.zeros(64)  # (B,)
bias = torch.nn.Embedding(train.n_users, 1)(torch.zeros(64, dtype=torch.long))  # (B, 1)
print((dot + bias).shape, (dot + bias.squeeze(1)).shape)
# --8<-- [end:squeeze]

# --8<-- [start:shapes]
from dotbias import DotbiasError, losses

prediction, target = torch.zeros(64), torch.ones(64, 1)
print((prediction - target).shape)  # torch says nothing
try:
    losses.mse(prediction, target)
except DotbiasError as e:
    print(e)
# --8<-- [end:shapes]

# --8<-- [start:inits]
for init in ("dot", "hand", "library", "he"):
    drawn = EmbeddingDot(train.n_users, train.n_items, n_factors=50, init=init, rng=0)
    rows, items = (torch.arange(min(train.n_users, train.n_items)) for _ in range(2))
    first = drawn(rows, items)
    print(f"{init:7} first predictions {first.mean():7.4f} ± {first.std():.4f}")
# --8<-- [end:inits]

# --8<-- [start:range]
from dotbias.models import Range

z = torch.tensor([-8.0, -2, 0, 2, 8])
print(Range((0.5, 5.0))(z))
print(Range((0.5, 5.0), padding=0.5)(z))
# --8<-- [end:range]

# --8<-- [start:compare]
from dotbias import EmbeddingDotBias, Learner, schedules

size = {"n_factors": 50, "sparse": True, "rng": 0}
n = train.n_users, train.n_items
low, high = train.scale()
mean = float(train.values.mean())
models = {
    "dot product": EmbeddingDot(*n, **size),
    "… around the mean": EmbeddingDot(*n, mean=mean, **size),
    "and biases": EmbeddingDotBias(*n, mean=mean, **size),
    "and the range": EmbeddingDotBias(*n, y_range=(low, high), **size),
    "and its padding": EmbeddingDotBias(*n, y_range=(low, high), padding=0.25, **size),
}
for name, model in models.items():
    learner = Learner(model, train, valid, bs=256, rng=0)
    history = learner.fit(4, schedules.one_cycle(0.01), l2=5e-4)
    print(f"{name:17}  train {history[-1]['train']:.3f}  valid {history[-1]['valid']:.3f}")
# --8<-- [end:compare]

# --8<-- [start:k]
from dotbias import collab_learner

for start in (0.0, 1.0):
    learner = collab_learner(train, valid, padding=start, learn_padding=True, bs=256, rng=0)
    history = learner.fit(4, schedules.one_cycle(0.01), l2=5e-4)
    k = float(learner.model.range.padding.detach())
    print(f"k: {start} -> {k:.2f}  valid {history[-1]['valid']:.3f}")
# --8<-- [end:k]

# The picture of the range.
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

z = torch.linspace(-6, 6, 200)
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for padding, style in ((0.0, "C0-"), (0.25, "C1-"), (0.5, "C2-")):
    ax.plot(z, Range((0.5, 5.0), padding=padding)(z), style, label=f"padding {padding:g}")
ax.axhspan(0.5, 5, color="0.93", zorder=0)
ax.set(
    xlabel="z: mean + biases + dot product",
    ylabel="predicted rating, stars",
    title="Range: 0.5 to 5 stars (grey)",
)
ax.legend(frameon=False)
fig.savefig("range.png", dpi=110)
