"""The ratings of all parts on this machine: what a saved model keeps, to know what each user has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..ids import Ids
from ..ratings import Ratings
from .parts import read
from .remote import Place

if TYPE_CHECKING:
    from . import ClusterFit


def gathered(paths: Sequence[Place], users: Ids, items: Ids) -> Ratings:
    """The parts as Ratings, part by part: 12 bytes a rating, and 8 more where there are times.

    Args:
        paths: the parts, in order.
        users: row -> id, as a fit of these parts numbers them.
        items: likewise.

    Raises:
        DataError, FileError: for a part that is gone, or names an id that the fit has not seen.
    """
    columns: list[tuple[np.ndarray, ...]] = []
    timed, starred = True, True
    for path in paths:
        source = read(path)
        timed, starred = timed and source.time is not None, source.rating is not None
        u, i = users.find(source.user), items.find(source.item)
        if len(u) and min(u.min(), i.min()) < 0:
            raise DataError(f"{path.name} has changed since the fit began.", hint="leave the parts as they are.")
        number = source.rating if starred else source.count
        values = np.ones(len(u), np.float32) if number is None else number.to_numpy().astype(np.float32)
        times = source.time.to_numpy() if source.time is not None else np.zeros(0, np.int64)
        columns.append((u, i, values, times))
    u, i, values, times = (np.concatenate(column) for column in zip(*columns, strict=True))
    once = starred or bool((values == 1).all())
    counts = None if once else values
    return Ratings(u, i, values if starred else None, times if timed else None, users, items, counts=counts)


def without(fitted: ClusterFit) -> Ratings:
    """The id tables of a fit, without a rating, on the scale that it clips to."""
    nothing = np.empty(0, np.int32)
    values = nothing.astype(np.float32) if fitted.feedback == "stars" else None
    return Ratings(nothing, nothing, values, None, fitted.user_ids, fitted.item_ids, y_range=fitted.y_range)
