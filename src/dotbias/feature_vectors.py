"""A vector for each feature of a side: where newcomers stand by what is known of them, before anything is told.

    prior = Σ_f x_f w_f   over the features f that a row has

This module knows features by their names, and numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from .features import cells_of, entries


class FeatureVectors(NamedTuple):
    """The features of one side's rows, and their vectors.

    Attributes:
        names: feature -> "column=value", or "column" of numbers.
        groups: (column, first feature, one past its last).
        scales: (column, mean, standard deviation) of each column of numbers.
        vectors: (F, K) float32.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, int, int], ...]
    scales: tuple[tuple[str, float, float], ...]
    vectors: np.ndarray

    def of(self, features: Mapping[str, Any]) -> np.ndarray:
        """The prior (K,) float64 of a row of which column -> value(s) is known; columns not named say nothing.

        Raises:
            DataError: for a column or a label that the fit did not have, or a number that is none.
        """
        place, weight = entries(self.names, self.groups, self.scales, features)
        return weight @ self.vectors[place].astype(np.float64)

    def cells(self, table: pl.DataFrame | None, row: int) -> dict[str, Any]:
        """What a side table says of a row, in these columns."""
        return cells_of(table, row, [name for name, _, _ in self.groups], {name for name, _, _ in self.scales})

    def to_json(self) -> dict[str, Any]:
        """All but the vectors."""
        return {"names": list(self.names), "groups": [*map(list, self.groups)], "scales": [*map(list, self.scales)]}

    @classmethod
    def from_json(cls, state: Mapping[str, Any], vectors: np.ndarray) -> FeatureVectors:
        """Undo :meth:`to_json`."""
        groups = tuple((str(g), int(a), int(z)) for g, a, z in state["groups"])
        scales = tuple((str(c), float(mean), float(sd)) for c, mean, sd in state["scales"])
        return cls(tuple(state["names"]), groups, scales, vectors)
