"""What a chain sees: standardised ratings, and each side's rows with their features, laid out for the kernels.

Unchanging: a chain reads it and never writes. This module knows arrays and features, no chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...features import Features, history_weight


class ProblemSide(NamedTuple):
    """One side's part: its ratings in its own order, and its rows' features both ways.

    Attributes:
        starts: (R + 1,) where each row's ratings begin.
        order: (N,) its ratings, as positions in the problem's columns.
        near, far: (N,) int32, in that order: the rows of the other side, and of items also the session (far = near
            where there is none).
        entry, index, weight: features by row, as in Features.
        held_out_weight: (E,) the weights for a pair outside the ratings: its history grows by the pair itself.
        first, rows, row_weight: the same entries by feature.
        group: (F,) int32 which group a feature is of, from 0.
        groups: (name, first feature, one past its last), the history first where there is one.
        has_history: whether the first group is the history.
        typical: (F,) float32: each feature's average weight over the rows that have ratings.
        centred: (1 + groups,) whether the prior's mean is 0: of own rows, then of each group.
    """

    starts: np.ndarray
    order: np.ndarray
    near: np.ndarray
    far: np.ndarray
    entry: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    held_out_weight: np.ndarray
    first: np.ndarray
    rows: np.ndarray
    row_weight: np.ndarray
    group: np.ndarray
    groups: tuple[tuple[str, int, int], ...]
    has_history: bool
    typical: np.ndarray
    centred: tuple[bool, ...]

    @property
    def n_rows(self) -> int:
        """R."""
        return len(self.starts) - 1


class Problem(NamedTuple):
    """Ratings as a chain sees them: standardised, sorted by user.

    Attributes:
        values: (N,) float32 standardised; ``levels`` (N,) int32 which star, for ordinal output.
        columns: users, items, sessions (N,) int32 each (sessions empty if unused).
        sides: users, items[, sessions].
        summed: (user biases (U,), factors (U, K), (I, K)) -> Σ bias + user · item over each item's raters (I,), where
            the ratings lie elsewhere; None: they are here.
    """

    values: np.ndarray
    levels: np.ndarray
    columns: tuple[np.ndarray, np.ndarray, np.ndarray]
    sides: tuple[ProblemSide, ...]
    summed: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None


def problem(
    values: np.ndarray,
    levels: np.ndarray,
    columns: Sequence[np.ndarray],
    n_rows: Sequence[int],
    histories: Sequence[Features | None],
    tables: Sequence[Features | None],
) -> Problem:
    """Lay out a problem.

    Args:
        values: (N,) standardised ratings.
        levels: (N,) which star each is; empty where values are many.
        columns: users, items, sessions (N,); sessions empty if unused.
        n_rows: (U, I, D), D = 0 for no sessions.
        histories, tables: features of users and of items, None where unused.
    """
    by_user = np.argsort(columns[0], kind="stable")
    users, items, sessions = (c[by_user].astype(np.int32) if len(c) else np.zeros(0, np.int32) for c in columns)
    sides = [
        _side(users, items, sessions, n_rows[0], histories[0], tables[0]),
        _side(items, users, sessions, n_rows[1], histories[1], tables[1]),
    ]
    if n_rows[2]:
        sides.append(_side(sessions, items, items, n_rows[2], None, None)._replace(centred=(True,)))
    levels = levels[by_user].astype(np.int32) if len(levels) else np.zeros(0, np.int32)
    return Problem(values[by_user].astype(np.float32), levels, (users, items, sessions), tuple(sides))


def elsewhere(
    counts: Sequence[np.ndarray], summed: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> Problem:
    """A problem whose ratings lie elsewhere: of users and items, without features, with so many ratings (R,) each."""
    none = np.zeros(0, np.int32)
    sides = (_side(none, none, none, len(n), None, None)._replace(starts=_starts(n)) for n in counts)
    return Problem(np.zeros(0, np.float32), none, (none, none, none), tuple(sides), summed)


def rows_of(rows: np.ndarray, others: np.ndarray, n_rows: int) -> ProblemSide:
    """One side's rows, without features, with their ratings (n,) of the other side's rows."""
    return _side(rows, others, others, n_rows, None, None)


class _Entries(NamedTuple):
    """Feature entries (E,) of a side in any order, and its features' groups."""

    row: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    n_features: int
    groups: list[tuple[str, int, int]]


def _side(
    rows: np.ndarray, near: np.ndarray, far: np.ndarray, n_rows: int, history: Features | None, table: Features | None
) -> ProblemSide:
    """Lay out one side. rows, near, far: (N,); ``history`` and ``table`` have ``n_rows`` rows."""
    order = np.argsort(rows, kind="stable")
    count = np.bincount(rows, minlength=n_rows)
    has_history = history is not None and history.n_features > 0
    row, index, weight, n_features, groups = _stacked([b for b in (history, table) if b is not None and b.n_features])
    in_history = index < (history.n_features if history is not None else 0)
    grown = history_weight(count + 1.0)[row]
    held_out = np.where(in_history, grown, weight).astype(np.float32)
    typical = np.bincount(index, np.where(count[row] > 0, weight, 0.0), n_features)
    by_row, by_feature = np.lexsort((index, row)), np.lexsort((row, index))
    return ProblemSide(
        starts=_starts(count),
        order=order,
        near=near[order].astype(np.int32),
        far=far[order].astype(np.int32) if len(far) else near[order].astype(np.int32),
        entry=_starts(np.bincount(row, minlength=n_rows)),
        index=index[by_row].astype(np.int32),
        weight=weight[by_row],
        held_out_weight=held_out[by_row],
        first=_starts(np.bincount(index, minlength=n_features)),
        rows=row[by_feature].astype(np.int64),
        row_weight=weight[by_feature],
        group=np.repeat(np.arange(len(groups)), [z - a for _, a, z in groups]).astype(np.int32),
        groups=tuple(groups),
        has_history=has_history,
        typical=(typical / max(int((count > 0).sum()), 1)).astype(np.float32),
        centred=(False, *(has_history and g == 0 for g in range(len(groups)))),
    )


def _stacked(blocks: list[Features]) -> _Entries:
    """Blocks of features of the same rows side by side; groups without a feature are left out."""
    offsets = np.cumsum([0, *(b.n_features for b in blocks)])
    rows = [np.repeat(np.arange(len(b.starts) - 1), np.diff(b.starts)) for b in blocks]
    groups = [(g, a + int(o), z + int(o)) for b, o in zip(blocks, offsets, strict=False) for g, a, z in b.groups]
    return _Entries(
        np.concatenate([np.zeros(0, np.int64), *rows]),
        np.concatenate([np.zeros(0, np.int64), *(b.index + o for b, o in zip(blocks, offsets, strict=False))]),
        np.concatenate([np.zeros(0, np.float32), *(b.weight for b in blocks)]).astype(np.float32),
        int(offsets[-1]),
        [g for g in groups if g[2] > g[1]],
    )


def _starts(count: np.ndarray) -> np.ndarray:
    return np.r_[0, np.cumsum(count)].astype(np.int64)
