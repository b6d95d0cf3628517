"""Train and valid drift apart: how far may they?"""

# --8<-- [start:gaps]
from dotbias import Ratings, als, split

whole, _, test = split.lesson(Ratings.from_csv("ratings.csv"))
train, valid, _ = split.random(whole, test=None, valid=0.1, rng=0)


def errors(scorer):
    """Mean squared error in train and in valid."""
    parts = (train, valid)
    return [((scorer.score(p.users, p.items) - p.values) ** 2).mean() for p in parts]


REGS, SIZES = (0.05, 0.1, 0.15, 0.2, 0.5), (2, 8, 32, 96)
found = {
    (reg, k): errors(als(train, n_factors=k, reg=reg, reg_once=0.0, rng=0))
    for reg in REGS
    for k in SIZES
}
print("gap between train and valid / MSE in valid")
print("reg    ", *(f"{k:>4} factors " for k in SIZES))
for reg in REGS:
    cells = [(found[reg, k][1] - found[reg, k][0], found[reg, k][1]) for k in SIZES]
    print(f"{reg:<7}", *(f"{gap:.2f} / {valid_mse:.3f}" for gap, valid_mse in cells))
best = min(found, key=lambda key: found[key][1])
print(f"best in valid: reg {best[0]}, {best[1]} factors")
# --8<-- [end:gaps]

# --8<-- [start:picture]
from matplotlib.figure import Figure

page = Figure(figsize=(5.4, 3.4), layout="constrained")
ax = page.subplots()
for reg in REGS:
    gaps = [found[reg, k][1] - found[reg, k][0] for k in SIZES]
    ax.plot(gaps, [found[reg, k][1] for k in SIZES], "o-", label=f"reg {reg}")
ax.set(xlabel="gap: valid less train", ylabel="MSE in valid")
ax.legend(fontsize=8)
page.savefig("drift.png", dpi=80)
# --8<-- [end:picture]
