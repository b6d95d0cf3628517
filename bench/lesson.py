"""The course's fits at the course's own settings: where dotbias.lesson5 ends, beside where the course ended.

    python -m bench lesson [--rngs 5]

Validation MSE on the lesson's split at the end of each notebook cell, median over seeds of torch's global generator.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from dotbias.callbacks import OverfitWarning
from dotbias.lesson5 import (
    CollabFilterDataset,
    ColumnarModelData,
    F,
    fit,
    get_cv_idxs,
    nn,
    np,
    optim,
    pd,
    set_lrs,
    torch,
)

from .accuracy import machine, replace

START, END = "<!-- lesson: written by python -m bench lesson -->\n", "<!-- /lesson -->\n"
N_FACTORS, LOW, HIGH = 50, 0.5, 5.0


def get_emb(ni, nf):
    e = nn.Embedding(ni, nf)
    e.weight.data.uniform_(-0.01, 0.01)
    return e


class EmbeddingDot(nn.Module):
    def __init__(self, n_users, n_movies):
        super().__init__()
        self.u, self.m = nn.Embedding(n_users, N_FACTORS), nn.Embedding(n_movies, N_FACTORS)
        self.u.weight.data.uniform_(0, 0.05)
        self.m.weight.data.uniform_(0, 0.05)

    def forward(self, cats, conts):
        return (self.u(cats[:, 0]) * self.m(cats[:, 1])).sum(1).view(-1, 1)


class EmbeddingDotBias(nn.Module):
    def __init__(self, n_users, n_movies):
        super().__init__()
        sizes = [(n_users, N_FACTORS), (n_movies, N_FACTORS), (n_users, 1), (n_movies, 1)]
        self.u, self.m, self.ub, self.mb = (get_emb(*o) for o in sizes)

    def forward(self, cats, conts):
        users, movies = cats[:, 0], cats[:, 1]
        um = (self.u(users) * self.m(movies)).sum(1)
        res = um + self.ub(users).squeeze() + self.mb(movies).squeeze()
        return (F.sigmoid(res) * (HIGH - LOW) + LOW).view(-1, 1)


class EmbeddingNet(nn.Module):
    def __init__(self, n_users, n_movies, nh=10, p1=0.05, p2=0.5):
        super().__init__()
        self.u, self.m = get_emb(n_users, N_FACTORS), get_emb(n_movies, N_FACTORS)
        self.lin1, self.lin2 = nn.Linear(N_FACTORS * 2, nh), nn.Linear(nh, 1)
        self.drop1, self.drop2 = nn.Dropout(p1), nn.Dropout(p2)

    def forward(self, cats, conts):
        x = self.drop1(torch.cat([self.u(cats[:, 0]), self.m(cats[:, 1])], dim=1))
        x = self.drop2(F.relu(self.lin1(x)))
        return F.sigmoid(self.lin2(x)) * (HIGH - LOW + 1) + LOW - 0.5


class Lesson:
    """The lesson's data, and its fits: each returns the last validation MSE."""

    def __init__(self, folder: Path):
        ratings = pd.read_csv(folder / "ratings.csv")
        self.val_idxs = get_cv_idxs(len(ratings))
        self.cf = CollabFilterDataset.from_csv(folder, "ratings.csv", "userId", "movieId", "rating")
        ratings.userId = ratings.userId.map(self.cf.user2idx)
        ratings.movieId = ratings.movieId.map(self.cf.item2idx)
        x, y = ratings.drop(["rating", "timestamp"], axis=1), ratings["rating"].astype(np.float32)
        self.data = ColumnarModelData.from_data_frame(folder, self.val_idxs, x, y, ["userId", "movieId"], 64)

    def twice(self, kind: type, rate: float, then: float, opt_fn: Callable, **settings: float) -> float:
        """Three epochs at one rate, three at another."""
        model = kind(self.cf.n_users, self.cf.n_items).cuda()
        opt = opt_fn(model.parameters(), rate, **settings)
        fit(model, self.data, 3, opt, F.mse_loss)
        set_lrs(opt, then)
        return fit(model, self.data, 3, opt, F.mse_loss)[0]

    def learner(self, **settings: bool) -> float:
        learn = self.cf.get_learner(N_FACTORS, self.val_idxs, 64, opt_fn=optim.Adam)
        return learn.fit(1e-2, 2, wds=2e-4, cycle_len=1, cycle_mult=2, **settings)[0]


# name, the course's figure, the most that we allow (None: overfits, and should), the fit
FITS: list[tuple[str, float, float | None, Callable[[Lesson], float]]] = [
    (
        "EmbeddingDot",
        1.130,
        1.14,
        lambda x: x.twice(EmbeddingDot, 1e-1, 1e-2, optim.SGD, weight_decay=1e-5, momentum=0.9),
    ),
    (
        *("EmbeddingDotBias", 0.801, 0.803),
        lambda x: x.twice(EmbeddingDotBias, 1e-1, 1e-2, optim.SGD, weight_decay=2e-4, momentum=0.9),
    ),
    ("EmbeddingNet", 0.781, 0.80, lambda x: x.twice(EmbeddingNet, 1e-3, 1e-3, optim.Adam, weight_decay=1e-5)),
    ("learner, wds in the loss (L2)", 0.776, 0.78, lambda x: x.learner()),
    ("learner, wds decoupled", 0.890, None, lambda x: x.learner(use_wd_sched=True)),
]


def measure(lesson: Lesson, run: Callable[[Lesson], float], n: int) -> tuple[list[float], float]:
    """The fit under seeds 0 … n-1, in silence: its figures, and the median seconds."""
    figures, seconds = [], []
    for seed in range(n):
        torch.manual_seed(seed)
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", OverfitWarning)
            figures.append(run(lesson))
        seconds.append(time.perf_counter() - start)
    return figures, statistics.median(seconds)


def table(lesson: Lesson, n: int) -> list[str]:
    """The figures as markdown."""
    lines = [
        f"| cell of the notebook | course | most allowed | median of {n} | lowest | highest | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, course, most, run in FITS:
        figures, seconds = measure(lesson, run, n)
        median = statistics.median(figures)
        bound = "" if most is None else f"{most:.3f}{'' if median <= most else ' **missed**'}"
        numbers = " | ".join(f"{x:.4f}" for x in (median, min(figures), max(figures)))
        lines.append(f"| {name} | {course:.3f} | {bound} | {numbers} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rngs", type=int, default=5, help="seeds per fit")
    parser.add_argument("--write", type=Path, default=Path("RESULTS.md"))
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = table(Lesson(Path(os.environ["DOTBIAS_DATA"]) / "ml-latest-small-2016"), args.rngs)
    title = f"### The 2018 course's own cells, at its settings (validation MSE, median of {args.rngs} seeds)\n"
    replace(args.write, "\n".join([title, *lines, "\n" + machine()]), START, END)


if __name__ == "__main__":
    main()
