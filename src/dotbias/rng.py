"""One rule for randomness: ``rng`` is a seed, a numpy Generator, or None (fresh entropy).

The same rng gives the same bits. A Generator that is passed in is advanced, so passing one twice gives two draws.
This module knows nothing of what is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from .errors import SettingError

if TYPE_CHECKING:
    import torch

Rng: TypeAlias = "int | np.integer | np.random.Generator | None"


def numpy_rng(rng: Rng = None) -> np.random.Generator:
    """A numpy Generator from a seed, a Generator (returned itself) or None.

    Raises:
        SettingError: for anything else, or a negative seed.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(cast(object, rng), (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise SettingError(f"rng is {rng!r}.", hint="give a whole number from 0 up, a numpy Generator, or None.")


def key(rng: Rng = None) -> int:
    """A 63-bit key for counter-based streams (solvers), drawn from ``rng``."""
    return int(numpy_rng(rng).integers(2**63))


def stream(key: int, number: int) -> np.random.Generator:
    """The ``number``-th numpy Generator of a fit: a function of (key, number) alone, so that none need be kept.

    Counter-based (Philox; Salmon et al. 2011).
    """
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))


def torch_rng(rng: Rng = None, *, device: str = "cpu") -> torch.Generator:
    """A torch Generator on ``device``, seeded by one draw from ``rng``."""
    import torch

    generator = torch.Generator(device=device)
    generator.manual_seed(key(rng))
    return generator
