"""What a validation cell means."""

# --8<-- [start:splits]
from dotbias import Ratings, baselines, evaluate, split

ratings = Ratings.from_csv("ratings.csv")
splits = {
    "random cells": split.random(ratings, test=0.2, rng=0),
    "a fifth per user": split.per_user(ratings, test=0.2, rng=0),
    "each user's last 5": split.last(ratings, n=5),
    "the last fifth by time": split.by_time(ratings, test=0.2),
}
for name, (train, _, test) in splits.items():
    report = evaluate(baselines.bias(train), test, train=train)
    cold = f"{report.n_cold_users} users, {report.n_cold_items} items"
    print(f"{name:23} RMSE {report.rmse:.3f}  cold: {cold}")
# --8<-- [end:splits]

# --8<-- [start:cold]
train, _, test = split.lesson(ratings)
report = evaluate(baselines.bias(train), test)
print(report)
# --8<-- [end:cold]

# --8<-- [start:leak]
from dotbias import DotbiasError

try:
    evaluate(baselines.bias(ratings), test, train=ratings)
except DotbiasError as e:
    print(e)
# --8<-- [end:leak]
