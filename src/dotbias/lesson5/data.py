"""The course's views of a table: ``CollabFilterDataset`` (users, items, ratings), ``ColumnarModelData`` (any)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import split
from ..errors import DataError, SettingError, did_you_mean
from ..models import EmbeddingDotBias as _EmbeddingDotBias
from ..ratings import Ratings
from ..rng import Rng, numpy_rng
from .learner import CollabData, CollabFilterLearner
from .libraries import Module


def get_cv_idxs(n: int, cv_idx: int = 0, val_pct: float = 0.2, seed: int = 42) -> np.ndarray:
    """Rows to hold out of a table of n: the ``cv_idx``-th slice of ``int(val_pct * n)`` rows of a permutation.

    The course's rows exactly. It seeded numpy's global generator; here that stays as it was, so that what a notebook
    draws from it afterwards (colours, a sample to plot) differs from one run to the next unless it is seeded.
    """
    return split.lesson_rows(n, cv_idx=cv_idx, val_pct=val_pct, seed=seed)


def held_out(val_idxs: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """Row numbers -> mask (n,).

    Raises:
        DataError: for a row outside the table.
    """
    rows = np.asarray(val_idxs, np.int64)
    outside = rows[(rows < 0) | (rows >= n)]
    if outside.size:
        raise DataError(f"val_idxs holds the row {outside[0]} of a table of {n}.", hint="val_idxs = get_cv_idxs(n).")
    mask = np.zeros(n, bool)
    mask[rows] = True
    if mask.all():
        raise DataError("val_idxs holds every row; nothing is left to learn from.", hint="val_idxs = get_cv_idxs(n).")
    return mask


# Users, items, ratings -----------------------------------------------------------------------------------------


class EmbeddingDotBias(Module, _EmbeddingDotBias):
    """The library's model under the course's ``nn``: ``learn.model.cuda()`` works everywhere."""


class CollabFilterDataset:
    """Ratings with contiguous rows for ids, in order of first appearance.

    Attributes:
        users: (U,) row -> user id.
        items: (I,) row -> item id.
        n_users: U.
        n_items: I.
        user2idx: user id -> row.
        item2idx: item id -> row.
        ratings: (N,) float32, in the file's order.
        min_score: the lowest rating.
        max_score: the highest.
    """

    def __init__(self, path: str | Path, table: Ratings):
        self.path, self.table = Path(path), table
        self.users, self.items = (ids.values.to_numpy() for ids in (table.user_ids, table.item_ids))
        self.n_users, self.n_items = table.n_users, table.n_items
        self.user2idx = {id: row for row, id in enumerate(table.user_ids)}
        self.item2idx = {id: row for row, id in enumerate(table.item_ids)}
        self.ratings = table.explicit()
        self.min_score, self.max_score = float(self.ratings.min()), float(self.ratings.max())

    @classmethod
    def from_csv(
        cls, path: str | Path, csv: str, user_name: str, item_name: str, rating_name: str
    ) -> CollabFilterDataset:
        """The file ``csv`` in the folder ``path``; errors as in ``Ratings.from_csv``."""
        file = Path(path) / csv
        return cls(path, Ratings.from_csv(file, user=user_name, item=item_name, rating=rating_name, time=False))

    @classmethod
    def from_data_frame(
        cls, path: str | Path, df: Any, user_name: str, item_name: str, rating_name: str
    ) -> CollabFilterDataset:
        """A table; ``path`` is where the learner will save."""
        return cls(path, Ratings.from_frame(df, user=user_name, item=item_name, rating=rating_name, time=False))

    def __len__(self) -> int:
        return len(self.table)

    def get_data(self, val_idxs: Sequence[int] | np.ndarray, bs: int) -> CollabData:
        """The rows ``val_idxs`` held out, both parts in the file's order."""
        held = held_out(val_idxs, len(self))
        return CollabData(self.path, self.table.take(~held), self.table.take(held) if held.any() else None, bs)

    def get_learner(
        self,
        n_factors: int,
        val_idxs: Sequence[int] | np.ndarray,
        bs: int,
        opt_fn: Callable[[Any], torch.optim.Optimizer] | None = None,
        *,
        rng: Rng = None,
        **learner: Any,
    ) -> CollabFilterLearner:
        """An unfitted learner of the library's model: ±0.05 at first, no padding, no mean, dense gradients.

        Args:
            n_factors: K.
            val_idxs: rows to validate on.
            bs: ratings per batch.
            opt_fn: groups of parameters -> a torch optimizer, such as ``optim.Adam``; by default SGD, momentum 0.9.
            rng: draws and shuffles; by default from torch's global generator, so ``torch.manual_seed`` fixes a run.
            **learner: more of :class:`CollabFilterLearner`'s arguments.
        """
        g = numpy_rng(int(torch.randint(2**62, ())) if rng is None else rng)
        if self.min_score == self.max_score:
            raise DataError(f"every rating is {self.min_score:g}; there is nothing to learn.", hint="check the column.")
        y_range = self.min_score, self.max_score
        model = EmbeddingDotBias(self.n_users, self.n_items, n_factors=n_factors, y_range=y_range, rng=g)
        return CollabFilterLearner(self.get_data(val_idxs, bs), model, opt_fn=opt_fn, rng=g, **learner)


# Columns -------------------------------------------------------------------------------------------------------


class Columns(NamedTuple):
    """N rows: cats (N, C) int64, conts (N, D) float32, y (N, 1) float32. Zeros stand for columns that are not there."""

    cats: torch.Tensor
    conts: torch.Tensor
    y: torch.Tensor

    def take(self, rows: torch.Tensor) -> Columns:
        """Some of the rows."""
        return Columns(*(column[rows] for column in self))


class ColumnBatches:
    """The rows in batches ``(cats, conts, y)``, shuffled by torch's global generator if asked."""

    def __init__(self, rows: Columns, *, bs: int, shuffle: bool = False):
        if bs < 1:
            raise SettingError(f"bs is {bs}.", hint="a batch size from 1 up, such as 64.")
        self.rows, self.bs, self.shuffle = rows, int(bs), shuffle

    def __len__(self) -> int:
        return -(-len(self.rows.y) // self.bs)

    def __iter__(self) -> Iterator[Columns]:
        n = len(self.rows.y)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        return (self.rows.take(part) for part in order.split(self.bs))


class ColumnarModelData:
    """A table in batches, for ``fit`` and any ``nn.Module`` called as ``model(cats, conts)``.

    Attributes:
        path: kept for the course's sake.
        trn_dl: batches of the rows to learn from, shuffled anew each time they are gone through.
        val_dl: batches of the held-out rows in the table's order, or None.
        test_dl: batches of ``test_df``, y all zeros, or None.
        trn_y: (N, 1) float32.
        val_y: (N, 1) float32.
    """

    def __init__(
        self, path: str | Path, trn_ds: Columns, val_ds: Columns, bs: int = 64, *, test_ds: Columns | None = None
    ):
        self.path, self.trn_ds, self.val_ds, self.test_ds, self.bs = Path(path), trn_ds, val_ds, test_ds, bs
        self.trn_dl = ColumnBatches(trn_ds, bs=bs, shuffle=True)
        self.val_dl = ColumnBatches(val_ds, bs=2 * bs) if len(val_ds.y) else None
        self.test_dl = ColumnBatches(test_ds, bs=2 * bs) if test_ds else None
        self.trn_y, self.val_y = trn_ds.y.numpy(), val_ds.y.numpy()

    @classmethod
    def from_data_frame(
        cls,
        path: str | Path,
        val_idxs: Sequence[int] | np.ndarray,
        df: Any,
        y: Any,
        cat_flds: Sequence[str],
        bs: int = 64,
        test_df: Any = None,
    ) -> ColumnarModelData:
        """Hold the rows ``val_idxs`` of ``df`` out.

        Args:
            path: kept.
            val_idxs: rows, counted from 0.
            df: a pandas table.
            y: (N,) its target.
            cat_flds: columns of categories, already row numbers; all other columns are numbers (``conts``).
            bs: rows per batch (twice as many in validation).
            test_df: more rows, without target.

        Raises:
            DataError: for a column that is not there or does not hold what it should.
        """
        rows, held = columns(df, y, cat_flds), torch.from_numpy(held_out(val_idxs, len(df)))
        test_ds = None if test_df is None else columns(test_df, np.zeros(len(test_df)), cat_flds)
        return cls(path, rows.take(~held), rows.take(held), bs, test_ds=test_ds)


def columns(df: Any, y: Any, cat_flds: Sequence[str]) -> Columns:
    """A pandas table, its columns parted into categories and numbers."""
    for name in cat_flds:
        if name not in df.columns:
            raise DataError(f"there is no column {name!r} in the table.", hint=did_you_mean(name, df.columns))
    target = np.asarray(y, np.float32).reshape(-1, 1)
    if len(target) != len(df):
        raise DataError(f"y has {len(target)} values for a table of {len(df)} rows.", hint="y = df['rating'].")
    others = [name for name in df.columns if name not in set(cat_flds)]
    parts = (_block(df, list(cat_flds), np.int64), _block(df, others, np.float32), target)
    return Columns(*(torch.tensor(part) for part in parts))


def _block(df: Any, names: list[str], kind: type) -> np.ndarray:
    """Columns side by side (N, C), or one of zeros."""
    if not names:
        return np.zeros((len(df), 1), kind)
    return np.stack([_column(df[name], name, kind) for name in names], axis=1)


def _column(column: Any, name: str, kind: type) -> np.ndarray:
    values = np.asarray(column)
    hint = f"{name}2idx = {{o: i for i, o in enumerate(df.{name}.unique())}}, then df.{name}.apply(…)."
    if values.dtype.kind not in "fiub":
        raise DataError(f"the column {name!r} holds {values.dtype}, not numbers.", hint=hint)
    if not np.isfinite(values).all():
        raise DataError(f"the column {name!r} holds NaN or infinities.", hint="drop or fill these rows.")
    if kind is np.int64 and ((values < 0) | (values != values.astype(np.int64))).any():
        raise DataError(f"the categories {name!r} are no row numbers: {values.min()} is among them.", hint=hint)
    return values.astype(kind)
