"""A peer as the library's ``compare`` takes it: a function of train that returns a function of pairs.

    compare({"sgd": "sgd", "Surprise SVD": joined(row)}, splits)

The peer fits in its own process and environment. It gets train's arrays, then the rows of the pairs to guess, and never
a held-out rating, nor when it was given.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dotbias import Ratings

from . import Row, arrays_of, called

Guess = Callable[[np.ndarray, np.ndarray], np.ndarray]


def joined(row: Row, threads: int = 2) -> Callable[..., Guess]:
    """A row of ``bench peers`` as a fit: (train, rng=) -> guesses of user rows (B,) and item rows (B,)."""

    def fit(train: Ratings, rng: int) -> Guess:
        return Peer(row, train, rng, threads).guess

    return fit


class Peer:
    """A fitted peer: its process, which ends with it."""

    def __init__(self, row: Row, train: Ratings, rng: int, threads: int):
        self.name, self.folder, self.files = row.name, Path(tempfile.mkdtemp()), itertools.count()
        path = self.folder / "train.npz"
        np.savez(path, **arrays_of(train))
        command, environment = called(row, path, rng, threads)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([*command, "guess"], env=environment, stderr=subprocess.DEVNULL, **pipes)
        weakref.finalize(self, _end, self.process, self.folder)
        self._heard("fitted")

    def guess(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Of user rows (B,) and item rows (B,), on the ratings' scale (B,)."""
        path = self.folder / f"{next(self.files)}.npz"
        np.savez(path, users=users, items=items)
        assert self.process.stdin is not None
        print(path, file=self.process.stdin, flush=True)
        self._heard("guessed")
        return np.load(f"{path}.npy")

    def _heard(self, word: str) -> None:
        """Wait until the process says so; what else it prints is its own."""
        assert self.process.stdout is not None
        if not any(line.strip() == word for line in self.process.stdout):
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}; run it alone: bench peers --only")


def _end(process: subprocess.Popen, folder: Path) -> None:
    process.kill()
    process.communicate()  # closes its pipes
    shutil.rmtree(folder)
