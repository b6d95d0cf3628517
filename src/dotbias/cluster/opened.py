"""A fitted model on a cluster: what it is, and ratings dealt out to it by ranges of user rows.

Range k of S holds the user rows from ``cuts[k]`` to ``cuts[k + 1]``, so that what ranges give, one after another, is in
the order of rows. Ratings keep the order of the parts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataError, SettingError
from ..files import as_path
from ..ids import Ids
from ..ratings import Ratings
from .parts import read
from .remote import Place
from .shards import RETRIES, explained

if TYPE_CHECKING:
    from ..recommender import Recommender
    from . import ClusterFit


class Opened(NamedTuple):
    """A fitted model.

    Attributes:
        scorer: what predicts.
        train: its id tables and side tables; its ratings, where the model holds them.
        clicks: a second scorer, of who rated what, or None.
    """

    scorer: Any
    train: Ratings
    clicks: Any


class RatedRows(NamedTuple):
    """Ratings: rows of users, rows of items, values or None, (n,) each."""

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray | None


def opened(model: ClusterFit | Recommender | str | Path) -> Opened:
    """A model, by what it is or by the folder it was saved in.

    Raises:
        ModelFileError: for a folder that holds no model.
        SettingError: for anything else.
    """
    if isinstance(model, (str, Path)):
        from .. import storage

        stored = storage.load(as_path(model))
        return Opened(stored.scorer, stored.ratings, stored.clicks)
    if hasattr(model, "user_ids"):
        fitted: Any = model
        return Opened(fitted.scorer, ids_only(fitted.user_ids, fitted.item_ids), None)
    if hasattr(model, "clicks"):
        door: Any = model
        return Opened(door.scorer, door.train, door.clicks)
    raise SettingError(
        f"model is a {type(model).__name__}.", hint="a folder, a Recommender, or what cluster.fit gives."
    )


def ids_only(users: Ids, items: Ids, item_table: Any = None) -> Ratings:
    """Id tables without ratings."""
    nothing = np.empty(0, np.int32)
    return Ratings(nothing, nothing, nothing.astype(np.float32), None, users, items, item_table=item_table)


def cuts_of(n_users: int, shards: int) -> np.ndarray:
    """Where ranges of user rows begin, and the last ends: (S + 1,)."""
    return np.linspace(0, n_users, min(shards, max(n_users, 1)) + 1).astype(np.int64)


# Tasks -------------------------------------------------------------------------------------------------------------


def distinct(path: Place) -> tuple[Any, Any, int, bool]:
    """A part's distinct users and items as they appear, how many ratings it has, and whether they have values."""
    source = read(path)
    users, items = (ids.unique(maintain_order=True) for ids in (source.user, source.item))
    return users, items, len(source.user), source.rating is not None


def dealt(path: Place, users: Any, items: Any, cuts: np.ndarray) -> Any:
    """A part's ratings by range of user rows: RatedRows for each.

    Raises:
        DataError: for an id that is not in the tables.
    """
    source = read(path)
    u, i = (
        _rows(of, ids, role, path) for of, ids, role in ((users, source.user, "user"), (items, source.item, "item"))
    )
    values = None if source.rating is None else source.rating.to_numpy().astype(np.float32)
    pieces = cut(RatedRows(u, i, values), cuts)
    return pieces if len(pieces) > 1 else pieces[0]


def cut(rated: RatedRows, cuts: np.ndarray) -> list[RatedRows]:
    """Ratings by range of user rows."""
    of = np.searchsorted(cuts, rated.users, side="right") - 1
    at = (np.flatnonzero(of == k) for k in range(len(cuts) - 1))
    return [RatedRows(rated.users[x], rated.items[x], None if rated.values is None else rated.values[x]) for x in at]


def merged(pieces: tuple[RatedRows, ...]) -> RatedRows:
    """Pieces, one after another."""
    users, items = (np.concatenate([getattr(p, name) for p in pieces]) for name in ("users", "items"))
    values = [p.values for p in pieces]
    return RatedRows(users, items, None if values[0] is None else np.concatenate(values))  # type: ignore[arg-type]


def _rows(known: Any, ids: Any, role: str, path: Place) -> np.ndarray:
    if known.dtype != ids.dtype:
        what = f"{path.name}: the {role} ids are {ids.dtype}, the model's {known.dtype}."
        raise DataError(what, hint="make both the same type; 42 and '42' are two different ids.")
    rows = Ids(known).find(ids)
    if (rows < 0).any():
        what = f"{path.name}: the {role} {ids[int((rows < 0).argmax())]!r} is not one of the model's."
        raise DataError(what, hint="give the parts that the model was fitted on.")
    return rows


def task(ray: Any, function: Any, **options: Any) -> Any:
    """A function as a task: made again if its worker dies."""
    return ray.remote(max_retries=RETRIES, num_cpus=1, **options)(function)


def got(ray: Any, refs: Any) -> Any:
    """Results; a task's error as the error that it raised.

    Raises:
        ClusterError: where the cluster fails.
    """
    try:
        return ray.get(refs)
    except ray.exceptions.RayError as e:
        raise explained(ray, e) from e
