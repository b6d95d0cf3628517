"""Which fitter, and why: from the counts alone, so that the answer is the same on every machine.

Gibbs sampling needs no settings and errs least, but its time grows with ratings × factors × sweeps; stochastic gradient
descent fits anything that fits in memory. This module knows counts and columns, and estimates; it measures nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from ..ratings import Ratings
from ..rng import Rng
from ..scorer import Scorer

SECONDS, BYTES = 60.0, 4e9  # what a fit may cost by the estimate below
SWEEPS = 900  # of a fit that stops by itself: search, warming up and at most 600 that count
NS_RATING, NS_ROW = 7.0, 100.0  # per factor and sweep, with histories, features and days (bench/LOG.md)
N_FACTORS = 16
MOST_LABELS = 100  # distinct labels of a column worth learning from


class Choice(NamedTuple):
    """A fitter and its settings.

    Attributes:
        fitter: "gibbs" or "sgd".
        settings: what differs from its defaults.
        why: a sentence for people.
    """

    fitter: str
    settings: dict[str, Any]
    why: str


def choose(ratings: Ratings) -> Choice:
    """Gibbs with whatever features are there, where an estimate affords it (60 s, 4 GB); else SGD."""
    item_features, user_features = usable(ratings.item_table), usable(ratings.user_table)
    settings = {
        "n_factors": N_FACTORS,
        "histories": True,
        "days": ratings.times is not None,
        "item_features": item_features,
        "user_features": user_features,
    }
    seconds, size = estimate(ratings)
    used = ", ".join([*item_features, *user_features, *(["the day"] if settings["days"] else []), "histories"])
    cost = f"about {max(seconds, 1):.0f} s and {max(size / 1e9, 0.1):.1f} GB on one core by the counts"
    limits = f"{SECONDS:.0f} s and {BYTES / 1e9:.0f} GB"
    if seconds <= SECONDS and size <= BYTES:
        return Choice("gibbs", settings, f"gibbs, with {used}: {cost}, within {limits}.")
    return Choice("sgd", {}, f"sgd: gibbs would take {cost}, and the limits are {limits}.")


def auto(ratings: Ratings, *, rng: Rng = None) -> Scorer:
    """Fit what :func:`choose` chooses: the least error that a minute affords, without a setting to set.

    Args:
        ratings: the training ratings; side tables and times are used where they are there.
        rng: the same rng gives the same bits.

    Returns:
        A Posterior (gibbs) or Factors (sgd).
    """
    from . import gibbs, sgd

    choice = choose(ratings)
    return {"gibbs": gibbs, "sgd": sgd}[choice.fitter](ratings, rng=rng, **choice.settings)


def estimate(ratings: Ratings) -> tuple[float, float]:
    """(seconds on one core, bytes) of a Gibbs fit with histories and all features, from the counts alone."""
    from .gibbs import posterior_nbytes

    ns = NS_RATING * len(ratings) + NS_ROW * (ratings.n_users + ratings.n_items)
    size = posterior_nbytes(ratings, n_factors=N_FACTORS, histories=True, days=ratings.times is not None)
    return ns * 1e-9 * N_FACTORS * SWEEPS, 2.0 * size  # between keep and twice as many samples are held


def usable(table: pl.DataFrame | None) -> tuple[str, ...]:
    """Columns of a side table that a model can learn from: numbers, and text of few labels; not ids, not titles."""
    if table is None:
        return ()
    return tuple(c for c in table.columns[1:] if c not in ("title", "name") and _teaches(table[c]))


def _teaches(column: pl.Series) -> bool:
    """Whether a column's values repeat: labels few enough, or numbers that differ."""
    known = column.drop_nulls()
    if not len(known) or known.n_unique() < 2:
        return False
    if known.dtype.is_numeric():
        return True
    if known.dtype not in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) and not isinstance(known.dtype, pl.List):
        return False
    labels = known.explode() if isinstance(known.dtype, pl.List) else known.cast(pl.String).str.split("|").explode()
    return labels.n_unique() <= min(MOST_LABELS, max(len(known) // 5, 2))
