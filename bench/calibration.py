"""Do the Gibbs sampler's probabilities mean what they say? ``python -m bench calibration`` (writes RESULTS.md).

On held-out ratings, everything at hand, medians over rngs: the randomised probability integral transform of the
ordered probit's stars, u = P(below the star) + v·P(the star) with v uniform (Czado, Gneiting & Held 2009), which is
uniform if the probabilities are right, with its Kolmogorov-Smirnov distance; and the share of ratings inside the
gaussian output's 80 % interval. The picture shows the histograms of rng 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

import numpy as np

from dotbias import Posterior, Ratings, datasets, plots, split

from .accuracy import everything, machine, replace

START, END = "<!-- calibration: written by python -m bench calibration -->\n", "<!-- /calibration -->\n"
SPLITS = {
    "lesson's split": lambda: split.lesson(datasets.load("ml-latest-small-2016")),
    "ML-100K u1": lambda: datasets.split_of("ml-100k", "u1"),
    "ML-1M 90/10": lambda: split.random(datasets.load("ml-1m"), test=0.1, rng=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/calibration.png"))
    arguments = parser.parse_args()
    lines = [
        "| data | runs | PIT of stars (ordered probit): KS distance | 80 % interval (gaussian) covers |",
        "|---" * 4 + "|",
    ]
    transforms = {}
    for name, make in SPLITS.items():
        parts, n = make(), 1 if "1M" in name else 3
        found = [pit(everything(parts.train, rng=rng, ordinal=True), parts.test) for rng in range(n)]
        covered = [coverage(everything(parts.train, rng=rng), parts.test) for rng in range(n)]
        transforms[name] = found[0]
        distances = [distance(u) for u in found]
        spread = f" ({min(distances):.4f} to {max(distances):.4f})" if n > 1 else ""
        lines.append(f"| {name} | {n} | {median(distances):.4f}{spread} | {median(covered):.1%} |")
        print(lines[-1], flush=True)
    plots.calibration(transforms).savefig(arguments.picture, dpi=80)
    title = "### Calibration on held-out ratings (asked: at most 0.03, and 77 % to 83 %)\n\n"
    replace(arguments.write, title + "\n".join(lines) + "\n\n" + machine(), START, END)


def pit(posterior: Posterior, test: Ratings) -> np.ndarray:
    """The randomised transform of each held-out rating (N,)."""
    p = posterior.star_probabilities(test.users, test.items, test.times)  # (N, L)
    star = np.searchsorted(posterior.stars, test.values)
    rows = np.arange(len(star))
    below = np.cumsum(p, 1)[rows, star] - p[rows, star]
    return below + np.random.default_rng(0).random(len(star)) * p[rows, star]


def distance(u: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of u (N,) from the uniform distribution."""
    u, n = np.sort(u), len(u)
    return float(max((np.arange(1, n + 1) / n - u).max(), (u - np.arange(n) / n).max()))


def coverage(posterior: Posterior, test: Ratings, level: float = 0.8) -> float:
    """The share of ratings inside their central interval."""
    low, high = posterior.interval(test.users, test.items, test.times, level=level)
    return float(((low <= test.values) & (test.values <= high)).mean())


if __name__ == "__main__":
    main()
