"""How many factors, and how much decay? Over their whole range, in train and in valid."""

# --8<-- [start:factors]
from dotbias import Ratings, als, gibbs, sgd, split

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)


def errors(scorer):
    """Mean squared error in train and in valid."""
    parts = (train, valid)
    return [((scorer.score(p.users, p.items) - p.values) ** 2).mean() for p in parts]


SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
print("factors         no ridge            ridge")
print("            train  valid      train  valid")
curves = []
for k in SIZES:
    bare = errors(sgd(train, n_factors=k, reg=0.0, reg_once=0.0, rng=0))
    ridged = errors(sgd(train, n_factors=k, rng=0))
    curves.append((*bare, *ridged))
    print(f"{k:7}     {bare[0]:.3f}  {bare[1]:.3f}      {ridged[0]:.3f}  {ridged[1]:.3f}")
# --8<-- [end:factors]

# --8<-- [start:decay]
DECAYS = (0.0005, 0.002, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 2.0, 10.0, 50.0)
decayed = []
print("   reg  train  valid")
for reg in DECAYS:
    decayed.append(errors(als(train, n_factors=32, reg=reg, reg_once=0.0, rng=0)))
    print(f"{reg:6g}  {decayed[-1][0]:.3f}  {decayed[-1][1]:.3f}")
# --8<-- [end:decay]

# --8<-- [start:gibbs]
sampled = {}
for k in (2, 8, 32, 64):
    sampled[k] = errors(gibbs(train, n_factors=k, n_sweeps=60, keep=30, rng=0))
    print(f"gibbs, {k:2} factors  train {sampled[k][0]:.3f}  valid {sampled[k][1]:.3f}")
# --8<-- [end:gibbs]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(9, 3.6), layout="constrained")
left, right = page.subplots(1, 2, sharey=True)
for k, name in enumerate(("sgd, no ridge", "sgd, ridge")):
    for part, style in ((0, ":"), (1, "-")):
        label = f"{name}, {('train', 'valid')[part]}"
        left.plot(SIZES, [c[2 * k + part] for c in curves], style, color=f"C{k}", label=label)
left.plot(
    list(sampled), [e[1] for e in sampled.values()], "-", color="C2", label="gibbs, valid"
)
right.plot(DECAYS, [e[0] for e in decayed], ":", color="C0", label="als, train")
right.plot(DECAYS, [e[1] for e in decayed], "-", color="C0", label="als, valid")
for ax, name in ((left, "n_factors"), (right, "reg")):
    ax.set(xscale="log", xlabel=name, ylabel="mean squared error")
    ax.legend(fontsize=8)
page.savefig("sizes.png", dpi=80)
# --8<-- [end:picture]
