"""What chose the defaults of the workbook's sheet *learn*, and how often they do what the sheet says.

    python -m bench workbook [--tables 3850]

The grid of settings is judged on seeds 0-99 of the lesson's crosstab; the chosen ones are then counted once on seeds
100-199. The learning rate is tried on random tables of every size, density and scale. All by the library's own model of
the sheet's arithmetic, which tests/test_workbook.py holds against LibreOffice. Figures go to bench/workbook.md and to
docs/howto/workbook.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dotbias.ratings import Ratings
from dotbias.workbook import Settings
from dotbias.workbook import _descend as descend
from dotbias.workbook._crosstab import most_rated

HOWTO = Path(__file__).parent.parent / "docs" / "howto" / "workbook.md"
START, END = "<!-- workbook: written by python -m bench workbook -->\n", "<!-- /workbook -->\n"
CHOOSING, COUNTING = range(100), range(100, 200)
Y_RANGE, K, SHARE, CLIP = (0.5, 5.0), 5, 0.2, 1000.0
GRID = {"lr": (0.01, 0.02), "momentum": (0.3, 0.5), "scale": (0.1, 0.3, 0.5)}  # momentum 0: nothing to see of it
DECAYS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)


class Outcome(NamedTuple):
    """Of one run over many seeds: curves (seeds, epochs) of train and test RMSE, and the constant's (seeds,)."""

    train: np.ndarray
    test: np.ndarray
    constant: np.ndarray

    @property
    def smooth(self) -> float:
        """The share of seeds whose train RMSE never rises by more than 0.001."""
        return float(np.mean((np.diff(self.train, axis=1) <= 1e-3).all(1)))

    @property
    def wins(self) -> float:
        """The share of seeds that end below the constant's test RMSE."""
        return float(np.mean(self.test[:, -1] < self.constant))

    @property
    def gain(self) -> float:
        """The median by which it is beaten."""
        return float(np.median(self.constant - self.test[:, -1]))

    @property
    def overfit(self) -> float:
        """The median rise of test RMSE from its lowest to the last epoch, as a share."""
        return float(np.median(self.test[:, -1] / self.test.min(1) - 1))


def outcome(ratings: np.ndarray, s: Settings, seeds: range) -> Outcome:
    rows = []
    for seed in seeds:
        draws = descend.draw(ratings.shape, K, seed)
        part = descend.parts(ratings, draws, SHARE)
        mean = descend.mean_of(ratings, part)
        epochs = descend.descend(ratings, part, draws, s, mean=mean, y_range=Y_RANGE, clip=CLIP)
        constant = descend.references(ratings, part, mean=mean, wd=0.0)[0].test
        rows.append(([e.train for e in epochs], [e.test for e in epochs], constant))
    return Outcome(*(np.array([row[k] for row in rows]) for k in range(3)))


def choose(ratings: np.ndarray) -> tuple[list[str], Settings]:
    """The mildest overfit of at least 5 % without decay that is smooth for all seeds, so too with its best decay."""
    lines = ["| rate, momentum, scale | smooth without decay | test RMSE rises by |", "|---|---|---|"]
    tried = []
    for lr, momentum, scale in itertools.product(*GRID.values()):
        s = Settings(lr=lr, momentum=momentum, scale=scale)
        o = outcome(ratings, s, CHOOSING)
        lines.append(f"| {lr:g}, {momentum:g}, {scale:g} | {o.smooth:.0%} | {o.overfit:.1%} |")
        if o.smooth == 1 and o.overfit >= 0.05:
            tried.append((o.overfit, s))
    for _, s in sorted(tried, key=lambda pair: pair[0]):
        decayed = {wd: outcome(ratings, s._replace(wd=wd), CHOOSING) for wd in DECAYS}
        best = max(decayed, key=lambda wd: decayed[wd].gain)
        if decayed[best].smooth == 1:
            break
    else:
        raise SystemExit("no setting of the grid is smooth with its best decay")
    lines += ["", f"With rate {s.lr:g}, momentum {s.momentum:g} and scale {s.scale:g}:", ""]
    lines += ["| decay | beats the constant | by (median) |", "|---|---|---|"]
    lines += [f"| {wd:g} | {o.wins:.0%} | {o.gain:.4f} |" for wd, o in decayed.items()]
    return lines, s._replace(wd=best)


def random_table(seed: int) -> tuple[np.ndarray, int, tuple[float, float]]:
    """Ratings of 2 to 15 users and items (one in twenty: up to 40), any density, one of many scales; K; the range."""
    g = np.random.default_rng(10_000 + seed)
    most = 41 if seed % 20 == 0 else 16
    shape = tuple(g.integers(2, most, 2))
    low, high, step = [(0.5, 5, 0.5), (1, 5, 1), (0, 100, 1), (0, 1, 1), (-10, 10, 0.1), (3, 3, 1)][g.integers(6)]
    grid = np.arange(low, high + step / 2, step)
    ratings = grid[g.integers(len(grid), size=shape)].astype(float)
    if g.random() < 0.3:  # users and items of very different levels
        ratings = np.clip(ratings + g.normal(0, (high - low) / 2, (shape[0], 1)), low, high)
    ratings[g.random(shape) > g.uniform(0.2, 1.0)] = np.nan
    ratings.flat[g.choice(ratings.size, 2, replace=False)] = high
    return ratings, int(g.integers(1, 9)), (float(low), float(high))


def rises(seed: int) -> tuple[bool, bool]:
    """Whether run A's or B's loss rises anywhere on a random table by default, and whether the rate was halved."""
    ratings, k, y_range = random_table(seed)
    draws = descend.draw(ratings.shape, k, seed)
    plan = descend.plan(ratings, draws, y_range=y_range, test_share=SHARE, a=None, b=None)
    part = descend.parts(ratings, draws, SHARE)
    how = {"mean": descend.mean_of(ratings, part), "y_range": y_range, "clip": plan.clip}
    rose = False
    for s in (plan.a, plan.b):
        epochs = descend.descend(ratings, part, draws, s, **how)
        losses = np.array([epoch.loss for epoch in epochs])
        rose |= not np.isfinite(losses).all() or bool((np.diff(losses) > 1e-9 * max(losses[0], 1e-9)).any())
        rose |= epochs[-1].train > epochs[0].train + 1e-9
    spread = float(np.nanstd(ratings)) or 1.0
    first = descend._near(0.22 / (max(ratings.shape) + 2 * spread * max(ratings.shape) ** 0.5))
    return rose, plan.a.lr < first


def main() -> None:
    from .accuracy import replace  # loads torch, which the tests that import random_table do not need

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=3850)
    n = parser.parse_args().tables
    folder = Path(os.environ["DOTBIAS_DATA"]) / "ml-latest-small-2016"
    ratings = most_rated(Ratings.from_csv(folder / "ratings.csv"), 15).ratings
    lines, chosen = choose(ratings)
    default = Settings(wd=descend.DECAY)
    a, b = (outcome(ratings, s, COUNTING) for s in (default._replace(wd=0.0), default))
    found = [rises(seed) for seed in range(n)]
    text = [
        "# The defaults of the workbook's sheet learn (written by python -m bench workbook)",
        "",
        f"The lesson's 15 × 15, {np.isfinite(ratings).sum()} ratings, {K} factors, 30 epochs, {SHARE:.0%} for testing.",
        "Chosen on seeds 0-99: the decay with the largest median gain over the constant; of the settings whose train",
        "RMSE falls smoothly for every seed, with that decay and without, the mildest overfit of at least 5 % without.",
        "",
        *lines,
        "",
        f"The grid's choice: {_words(chosen)}. The sheet's default: {_words(default)}.",
        "",
        "Counted once on seeds 100-199:",
        "",
        f"- run B (decay {default.wd:g}) beats the constant in {b.wins:.0%} of seeds, by {b.gain:.4f} (median)",
        f"- run A (no decay) beats it in {a.wins:.0%}; its test RMSE rises by {a.overfit:.1%} from its lowest (median)",
        f"- train RMSE falls smoothly in {a.smooth:.0%} of seeds (A) and {b.smooth:.0%} (B)",
        "",
        f"Random tables: of {n:,}, the loss of A or B rises anywhere in {sum(rose for rose, _ in found)}; in "
        f"{sum(halved for _, halved in found)} the rate was halved at writing for it to fall.",
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(text))
    replace(HOWTO, _sentence(a, b, n, found).strip(), START, END)
    print("\n".join(text))


def _sentence(a: Outcome, b: Outcome, n: int, found: list[tuple[bool, bool]]) -> str:
    """What the how-to says of it."""
    return (
        f"On the lesson's ratings run B beat the mean alone in {b.wins * len(b.test):.0f} of {len(b.test)} draws that "
        f"had no part in choosing the settings, run A in {a.wins * len(a.test):.0f}.\nThe learning rate let the loss "
        f"fall in every epoch of both runs in {n - sum(rose for rose, _ in found):,} of {n:,} random tables.\n"
    )


def _words(s: Settings) -> str:
    return f"rate {s.lr:g}, momentum {s.momentum:g}, initial scale {s.scale:g}, decay {s.wd:g}"


if __name__ == "__main__":
    main()
