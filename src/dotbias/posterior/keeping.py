"""Newcomers that stay: rows of a Posterior, appended or made anew, by all that train holds of them.

A row is what fold-in says of it: in every sample a draw of the conditional of its own bias and factors, plus what its
history and its features say. A row without ratings is its prior's mean and what its features say, as for rows that a
fit left cold; the prior's spread is added wherever such a row is scored. The draws of two rows are independent.

The other rows, the sessions and the features stay as they are. The compressed form gets rows, too: the least squares
projection of the mean over samples of a row's products onto the compressed factors of the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..factors import ARRAYS, Factors
from ..features import cells_of
from ..objective import Side
from ..ratings import Ratings
from ..scorer import grown, told
from .newcomers import SidePosterior

if TYPE_CHECKING:
    from .samples import Posterior

_OWN = {side: (f"{side}_bias", f"{side}s", f"{side}_counts", f"{side}_side") for side in ("user", "item")}


def kept(of: Posterior, train: Ratings, side: Side, rows: np.ndarray) -> Posterior:
    """The posterior with the rows (n,) of one side folded in: see ``scorer.Keeps``."""
    known = of.n_rows
    wide = _grown(of, train)
    bias_name, factors_name, counts_name, side_name = _OWN[side]
    bias, factors, counts = (getattr(wide, name) for name in (bias_name, factors_name, counts_name))
    table = train.user_table if side == "user" else train.item_table
    for row, others, values, times in told(train, side, rows):
        features = features_of(getattr(wide, side_name), table, row)
        part = wide.fold_in_row(side, row, others, values, features, times)
        drawn = (part.drawn_bias, part.drawn_factors) if len(others) else (part.bias, part.factors)
        bias[:, row], factors[:, row] = drawn
        counts[row] = len(others)
    new: dict[Side, np.ndarray] = {
        "user": np.arange(known[0], train.n_users),
        "item": np.arange(known[1], train.n_items),
    }
    new[side] = np.union1d(new[side], rows)
    return replace(wide, kept=_compressed(of, replace(wide), train, new))


def features_of(side: SidePosterior, table: pl.DataFrame | None, row: int) -> dict[str, Any]:
    """What a side table says of a row, in the columns that the fit used."""
    columns = [name for name, _, _ in side.groups[int(side.has_history) :]]
    return cells_of(table, row, columns, {name for name, _, _ in side.scales})


def _grown(of: Posterior, train: Ratings) -> Posterior:
    """A copy of train's size; rows past the end are strangers, and in the histories of others the prior's mean."""
    out: dict[str, Any] = {}
    sizes: tuple[tuple[Side, int], ...] = ("user", train.n_users), ("item", train.n_items)
    for side, n in sizes:
        bias, factors, counts, _ = _OWN[side]
        stranger, first = of.stranger(side), len(getattr(of, counts))
        out[bias], out[factors] = grown(getattr(of, bias), n, 1), grown(getattr(of, factors), n, 1)
        out[bias][:, first:], out[factors][:, first:] = stranger.bias[:, None], stranger.factors[:, None]
        out[counts] = grown(getattr(of, counts), n)
    ids = {"user_side": train.item_ids, "item_side": train.user_ids}
    sides = {name: _wider(getattr(of, name), [f"rated={i}" for i in others]) for name, others in ids.items()}
    raised = of.selection._replace(items=grown(of.selection.items, train.n_items))
    return replace(of, **out, **sides, selection=raised, tables=train.tables, kept=None)


def _wider(side: SidePosterior, names: list[str]) -> SidePosterior:
    """A side whose history may hold rows that came later: of these, nothing is known but the prior."""
    if not side.has_history or (more := len(names) - (end := side.groups[0][2])) <= 0:
        return side
    mean = np.repeat(side.prior_mean[:, 1:2], more, 1)  # (S, more, 1 + K)
    first, *rest = side.groups
    return side._replace(
        names=(*side.names[:end], *names[end:], *side.names[end:]),
        groups=((first[0], first[1], end + more), *((name, a + more, z + more) for name, a, z in rest)),
        features=np.concatenate([side.features[:, :end], mean, side.features[:, end:]], 1),
        typical=np.insert(side.typical, [end] * more, 0),
    )


def _compressed(of: Posterior, wide: Posterior, train: Ratings, rows: Mapping[Side, np.ndarray]) -> Factors:
    """The compressed Factors, with these rows of each side made anew."""
    old = of.factors()
    tables = {name: grown(getattr(old, name), train.n_users if "user" in name else train.n_items) for name in ARRAYS}
    for side, at in rows.items():
        bias, factors = wide.effective_rows(side, at)
        tables[f"{side}_bias"][at] = bias.mean(0)
        tables[f"{side}s"][at] = of.project(side, factors)
    return replace(old, **tables, tables=train.tables)
