"""Data larger than memory: columns on disk."""

# --8<-- [start:disk]
import dataclasses

import numpy as np
from dotbias import Ratings, sgd

ratings = Ratings.from_csv("ratings.csv")
COLUMNS = ("users", "items", "values")
for name in COLUMNS:
    np.save(f"{name}.npy", getattr(ratings, name))
on_disk = dataclasses.replace(
    ratings, times=None, **{name: np.load(f"{name}.npy", mmap_mode="r") for name in COLUMNS}
)
here, there = sgd(ratings, rng=0), sgd(on_disk, rng=0)
print("mapped from disk:", isinstance(on_disk.values.base, np.memmap))
print("the same bits:", here.users.tobytes() == there.users.tobytes())
# --8<-- [end:disk]
