"""Chapter 3: gradients (by hand, too), update rules, the loop, the rate, decay, overfitting."""

# --8<-- [start:line]
import numpy as np

from dotbias import steps

rng = np.random.default_rng(0)
x = rng.uniform(0, 10, 29)
y = 2 * x + 30  # the answer: a = 2, b = 30


def loss(p):
    """Mean squared error of the line p = (a, b)."""
    return float(np.mean((p[0] * x + p[1] - y) ** 2))


def gradient(p):
    """Its derivative, by the chain rule."""
    error = p[0] * x + p[1] - y
    return np.array([2 * np.mean(error * x), 2 * np.mean(error)])


start = np.array([1.0, 1.0])
print("by calculus          ", gradient(start))
print("the course's, by 0.01", steps.finite_difference(loss, start, h=0.01, central=False))
print("both sides, by 1e-5  ", steps.finite_difference(loss, start))
# --8<-- [end:line]

# --8<-- [start:by_hand]
r = 5.0  # one rating
mean, b_u, b_i = 3.5, -0.2, 0.4
p, q = np.array([0.3, -0.1, 0.2]), np.array([0.5, 0.4, -0.3])
ridge = 0.1


def rating_loss(p):
    """Squared error of the rating, and the ridge on p."""
    return float((r - mean - b_u - b_i - p @ q) ** 2 + ridge * p @ p)


def rating_gradient(p):
    """-2 e q + 2 ridge p."""
    e = r - mean - b_u - b_i - p @ q
    return -2 * e * q + 2 * ridge * p


print("by hand           ", rating_gradient(p))
print("finite difference ", steps.finite_difference(rating_loss, p))
stepped = p - 0.1 * rating_gradient(p)
print(f"loss {rating_loss(p):.4f}, after a step {rating_loss(stepped):.4f}")
# --8<-- [end:by_hand]

# --8<-- [start:by_hand_range]
low, high = 0.25, 5.25


def sigmoid(z):
    """From any number to one between 0 and 1."""
    return 1 / (1 + np.exp(-z))


def squashed_loss(p):
    """The same with a range; it takes the place of the mean."""
    f = low + (high - low) * sigmoid(b_u + b_i + p @ q)
    return float((r - f) ** 2 + ridge * p @ p)


def squashed_gradient(p):
    """-2 e slope q + 2 ridge p."""
    s = sigmoid(b_u + b_i + p @ q)
    e = r - (low + (high - low) * s)
    slope = (high - low) * s * (1 - s)
    return -2 * e * slope * q + 2 * ridge * p


print("by hand           ", squashed_gradient(p))
print("finite difference ", steps.finite_difference(squashed_loss, p))
stepped = p - 0.1 * squashed_gradient(p)
print(f"loss {squashed_loss(p):.4f}, after a step {squashed_loss(stepped):.4f}")
# --8<-- [end:by_hand_range]


# --8<-- [start:rules]
def walk(rule, n=100, **settings):
    """The way from the start in n steps."""
    p, state, way = start, {}, [start]
    for _ in range(n):
        p, state = rule(p, gradient(p), state, **settings)
        way.append(p)
    return np.array(way)


ways = {
    "SGD": walk(steps.sgd, lr=0.02),
    "momentum": walk(steps.momentum, lr=0.02, beta=0.8),
    "RMSProp": walk(steps.rmsprop, lr=0.5, beta=0.9),
    "Adam": walk(steps.adam, lr=1.0),
}
for name, way in ways.items():
    losses_along = [f"{loss(way[k]):8.3f}" for k in (0, 10, 30, 100)]
    print(f"{name:9}", *losses_along)
# --8<-- [end:rules]

# The picture of the ways.
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
a, b = np.meshgrid(np.linspace(-2, 9.5, 80), np.linspace(-4, 40, 80))
heights = np.mean((a[..., None] * x + b[..., None] - y) ** 2, axis=-1)
ax.contour(a, b, heights, levels=np.geomspace(1, 3000, 14), colors="0.8", linewidths=0.8)
for name, way in ways.items():
    ax.plot(*way.T, ".-", markersize=3, linewidth=1, label=name)
ax.plot(2, 30, "k+", markersize=12)
ax.set(xlabel="a", ylabel="b", title="100 steps of each rule towards a = 2, b = 30 (+)")
ax.legend(frameon=False, loc="upper right")
fig.savefig("rules.png", dpi=80)

# --8<-- [start:loop]
from dotbias import EmbeddingDotBias, Ratings, losses, split
from dotbias.batches import Batches
from dotbias.optim import Optimizer

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)

model = EmbeddingDotBias(train.n_users, train.n_items, y_range=train.scale(), rng=0)
opt = Optimizer(model.parameters(), steps.momentum, lr=0.1)
seen = []
for batch in Batches(train, bs=512).shuffled(0):
    batch_loss = losses.mse(model(batch.users, batch.items), batch.values)  # forward
    batch_loss.backward()  # every gradient, by the chain rule
    opt.step()  # the rule, on every parameter
    opt.zero_grad()
    seen.append(float(batch_loss.detach()))
print(f"first batch {seen[0]:.2f}, last batch {seen[-1]:.2f}")
# --8<-- [end:loop]

# --8<-- [start:lr_find]
from dotbias import collab_learner, plots

learner = collab_learner(train, valid, bs=256, rng=0)
sweep = learner.lr_find(1e-4, 1.0, n_batches=200)
print(f"suggestion: lr = {sweep.suggestion:.3g}")
plots.lr_sweep(sweep, data="ml-latest-small").savefig("sweep.png", dpi=80)
# --8<-- [end:lr_find]

# --8<-- [start:restarts]
from dotbias import schedules

rate = schedules.restarts(0.01, n_cycles=3, cycle_len=1, cycle_mult=2)  # 1 + 2 + 4 epochs
print(schedules.cycle_lengths(3, cycle_len=1, cycle_mult=2), rate(0.0), round(rate(0.5), 4))
# --8<-- [end:restarts]

# --8<-- [start:overfit]
history = learner.fit(7, rate)
for row in history:
    print(f"epoch {row['epoch']}  train {row['train']:.3f}  valid {row['valid']:.3f}")
# --8<-- [end:overfit]
rates = list(learner.rates)

# --8<-- [start:decay]
fits = {"none": history}
for l2 in (2e-4, 1e-3, 3e-3):
    learner = collab_learner(train, valid, bs=256, rng=0)
    fits[f"{l2:g}"] = learner.fit(7, rate, l2=l2)
for name, rows in fits.items():
    print(f"L2 {name:6}  train {rows[-1]['train']:.3f}  valid {rows[-1]['valid']:.3f}")
# --8<-- [end:decay]

# --8<-- [start:early]
from dotbias.callbacks import EarlyStop

learner = collab_learner(train, valid, bs=256, rng=0)
learner.fit(7, 0.005, callbacks=[EarlyStop(patience=1)])
print(
    f"{len(learner.history)} epochs; valid of what is kept: {learner.validate()['valid']:.3f}"
)
# --8<-- [end:early]

fig, (two, three) = plt.subplots(1, 2, figsize=(8.5, 3.3), layout="constrained")
two.plot(np.arange(len(rates)) / len(rates) * 7, rates)
two.set(xlabel="epoch", ylabel="learning rate", title="Restarts: 1 + 2 + 4 epochs")
for k, (name, rows) in enumerate(fits.items()):
    epochs = [row["epoch"] for row in rows]
    three.plot(epochs, [row["train"] for row in rows], f"C{k}--", linewidth=1)
    three.plot(epochs, [row["valid"] for row in rows], f"C{k}-", label=name)
three.set(xlabel="epoch", ylabel="MSE, stars²", title="Train (dashed) and valid, by L2")
three.legend(frameon=False, ncols=2)
fig.savefig("loop.png", dpi=80)
