"""Which fitter, and why: from the counts, and from a comparison inside train: the same answer on every machine.

Gibbs sampling needs no settings and errs least, but its time grows with ratings × factors × sweeps; stochastic gradient
descent fits anything that fits in memory. Of clicks, EASE has one setting and no chance in it, but needs items × items;
implicit ALS takes as many factors as the limits allow. Of ratings, what the counts chose is compared with baselines on
a slice (``candidates``), and the best is fitted. This module knows counts and columns, and estimates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..checkpoint import key_of
from ..errors import DataError, SettingError
from ..features import encode
from ..files import as_path
from ..progress import Progress
from ..ratings import Ratings
from ..rng import Rng
from ..rng import key as draw_key
from ..scorer import Scorer
from ..settings import Positive, checked

SWEEPS = 900  # of a fit that stops by itself: search, warming up and at most 600 that count
NS_RATING, NS_ROW = 7.0, 100.0  # per factor and sweep, with histories, features and sessions (bench/LOG.md)
BUDGET = "1m"
FACTORS = (24, 16, 8)  # of gibbs: the most that the limits allow
ORDINAL = 7  # values that a rating takes: so few are stars, whose slices are learned; more are numbers
EASE_NS = 0.04  # per items³: the inverse; EASE_PAIR_NS for each pair of clicks of one user (bench/LOG.md)
EASE_PAIR_NS = 3.0
CLICK_NS, SQUARE_NS = 1.2, 0.1  # of implicit ALS and a pass: per click and factor; per row and squared factors
CLICK_FACTORS = (256, 128, 64, 32, 16)
CLICK_EPOCHS = 12
MOST_LABELS = 100  # distinct labels of a column worth learning from
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}


class Choice(NamedTuple):
    """A fitter and its settings.

    Attributes:
        fitter: "gibbs" or "sgd"; of clicks "ease", "implicit_als" or "popular".
        settings: what differs from its defaults.
        why: a sentence for people.
    """

    fitter: str
    settings: dict[str, Any]
    why: str


@checked
def auto(
    train: Ratings,
    *,
    budget: Positive | str = BUDGET,
    memory: Positive | str = "4GB",
    valid: Ratings | None = None,
    rng: Rng = None,
    progress: Progress = None,
    checkpoint: str | Path | None = None,
) -> Scorer:
    """Fit what :func:`choose` chooses, or what errs less on a slice of train: no setting to set.

    Args:
        train: the training ratings; side tables and times are used where they are there.
        budget: what the fit may take on one core, by an estimate: "90s", "5m", "1h", or seconds.
        memory: what it may hold, by an estimate: "500MB", "4GB", or bytes.
        valid: as in the fitter that is chosen.
        rng: the same rng gives the same bits.
        progress: as in the fitter that is chosen.
        checkpoint: as in the fitter that is chosen.

    Returns:
        A Posterior (gibbs) or Factors (sgd, als, bias); of clicks ItemWeights (ease), Factors (implicit_als) or
        Popular.

    Warns:
        StoppedWarning: after Ctrl-C.

    Raises:
        DataError: no ratings, or no finite ones.
        SettingError: a limit that is none; a checkpoint of another fit.
    """
    from ..baselines import bias, popular
    from . import als, ease, gibbs, implicit_als, sgd
    from .candidates import best

    choice = choose(train, budget=budget, memory=memory)
    fits = {"gibbs": gibbs, "sgd": sgd, "ease": ease, "implicit_als": implicit_als, "popular": popular}
    fits |= {"als": als, "bias": bias}
    path = None if checkpoint is None else as_path(checkpoint)
    if not isinstance(rng, int) and (rng is not None or path is None or not path.exists()):
        rng = draw_key(rng)  # one seed for the candidates' slices and the fit's
    common: dict[str, Any] = {"valid": valid, "rng": rng, "progress": progress, "checkpoint": checkpoint}
    errors = candidates_of(train, choice, key_of(rng, path), budget)
    if choice.fitter != "gibbs":
        name = best(errors) if errors else choice.fitter
        return fits[name](train, **common, **(choice.settings if name == choice.fitter else {}))
    scorer = gibbs(train, **common, **choice.settings)
    name = best(errors | error_of_gibbs(scorer)) if errors else "gibbs"
    return scorer if name == "gibbs" else fits[name](train, **(common | {"checkpoint": None}))


def candidates_of(train: Ratings, choice: Choice, key: int, budget: float | str) -> dict[str, float]:
    """The errors of the baselines on a slice inside train; none for clicks, or where the budget has no room for it."""
    from .candidates import baseline_errors

    if train.feedback == "clicks":
        return {}
    return baseline_errors(train, key, seconds=seconds_of(budget) / (2 if choice.fitter == "sgd" else 4))


def error_of_gibbs(scorer: Any) -> dict[str, float]:
    """The error of a Posterior on the same slice, as served: its time unknown. Of one that held out nothing, 0."""
    found = scorer.held_out
    return {"gibbs": found.get("time unknown", found.get("random", 0.0))}


def choose(train: Ratings, *, budget: float | str = BUDGET, memory: float | str = "4GB") -> Choice:
    """Gibbs with everything that is there, where an estimate says that the limits allow it; else SGD.

    Of clicks: EASE where the limits allow it; else implicit ALS, with as many factors as they allow; else the most
    popular items. BPR is never chosen: it takes more passes than implicit ALS to order worse (bench/LOG.md).

    Args:
        train: the training ratings.
        budget: as in :func:`auto`.
        memory: as in :func:`auto`.

    Raises:
        SettingError: for a limit that is none.
    """
    from .gibbs.settings import LARGEST

    most_seconds = seconds_of(budget)
    allowed = amount(memory, BYTES, "memory", "'500MB', '4GB', or bytes.")
    if train.feedback == "clicks":
        return _of_clicks(train, most_seconds, allowed)
    most_bytes = min(allowed, 2.0 * LARGEST)
    limits = f"{most_seconds:.3g} s and {most_bytes / 1e9:.2g} GB"
    costs = {k: estimate(train, k) for k in FACTORS}
    fitting = [k for k, (seconds, size) in costs.items() if seconds <= most_seconds and size <= most_bytes]
    if not fitting:
        return Choice("sgd", {}, f"sgd: gibbs would take {_cost(*costs[FACTORS[-1]])}, and the limits are {limits}.")
    settings = everything(train)
    used = [*settings["item_features"], *settings["user_features"], *(["sessions"] if settings["sessions"] else [])]
    what = f"gibbs with {fitting[0]} factors, {', '.join([*used, 'histories'])}"
    settings = {"n_factors": fitting[0], **settings}
    return Choice("gibbs", settings, f"{what}: {_cost(*costs[fitting[0]])}, within {limits}.")


def _of_clicks(train: Ratings, seconds: float, memory: float) -> Choice:
    """The choice for clicks, from how many users, items and clicks there are."""
    n_items = int((train.item_counts > 0).sum())
    needed = ease_estimate(train, n_items)
    limits = f"{seconds:.3g} s and {memory / 1e9:.2g} GB"
    if needed[0] <= seconds and needed[1] <= memory:
        why = f"ease, on {n_items:,} × {n_items:,} items: {_cost(*needed)}, within {limits}."
        return Choice("ease", {"memory": memory}, why)
    first = f"ease on {n_items:,} × {n_items:,} items would take {_cost(*needed)}, and the limits are {limits}"
    for n_factors in CLICK_FACTORS:
        found = implicit_estimate(train, n_factors)
        if found[0] <= seconds and found[1] <= memory:
            why = f"implicit_als with {n_factors} factors, {_cost(*found)}: {first}."
            return Choice("implicit_als", {"n_factors": n_factors, "n_epochs": CLICK_EPOCHS}, why)
    return Choice("popular", {}, f"popular: {first}; implicit_als with {n_factors} factors {_cost(*found)}.")


def _cost(seconds: float, size: float) -> str:
    return f"about {max(seconds, 1):.0f} s and {max(size / 1e9, 0.1):.1f} GB on one core by the counts"


def ease_estimate(train: Ratings, n_items: int) -> tuple[float, float]:
    """(seconds on one core, bytes) of EASE on so many items, from the counts alone."""
    pairs = float((train.user_counts.astype(np.float64) ** 2).sum())
    return 1e-9 * (EASE_NS * n_items**3 + EASE_PAIR_NS * pairs), 4.0 * n_items**2 + 12.0 * len(train)


def implicit_estimate(train: Ratings, n_factors: int) -> tuple[float, float]:
    """(seconds on one core, bytes) of implicit ALS, from the counts alone."""
    rows, work = train.n_users + train.n_items, CLICK_NS * len(train) * n_factors
    work += SQUARE_NS * rows * n_factors**2
    return 1e-9 * CLICK_EPOCHS * work, 4.0 * (4 * len(train) + 2 * rows * n_factors)


def everything(train: Ratings) -> dict[str, Any]:
    """The settings by which gibbs uses all that is there: usable columns of side tables, histories, sessions, stars."""
    return {
        "item_features": usable(train.item_table),
        "user_features": usable(train.user_table),
        "histories": True,
        "sessions": train.times is not None,
        "ordinal": train.values is not None and 2 <= len(np.unique(train.values)) <= ORDINAL,
    }


def estimate(train: Ratings, n_factors: int = FACTORS[0]) -> tuple[float, float]:
    """(seconds on one core, bytes) of a Gibbs fit with histories and all features, from the counts alone."""
    from .gibbs import posterior_nbytes

    ns = NS_RATING * len(train) + NS_ROW * (train.n_users + train.n_items)
    size = posterior_nbytes(train, n_factors=n_factors, histories=True, sessions=train.times is not None)
    return ns * 1e-9 * n_factors * SWEEPS, 2.0 * size  # between keep and twice as many samples are held


def seconds_of(budget: float | str) -> float:
    """A budget in seconds: ``"5m"`` -> 300.

    Raises:
        SettingError: for text that is no duration, or a number that is not above 0.
    """
    return amount(budget, SECONDS, "budget", "'90s', '5m', '1h', or seconds.")


def amount(value: float | str, units: Mapping[str, float], name: str, hint: str) -> float:
    """A number, or text of a number and a unit, in the smallest: ``amount("5m", SECONDS, …)`` -> 300.

    Raises:
        SettingError: for other text, or a number that is not above 0.
    """
    found = re.fullmatch(r"\s*([\d.]+)\s*([a-z]*)\s*", str(value).lower()) if isinstance(value, str) else None
    try:
        n = float(value) if found is None else float(found[1]) * units[found[2]]
    except (ValueError, KeyError):
        n = 0.0
    if not 0 < n < float("inf"):
        raise SettingError(f"{name} is {value!r}, which is no amount above 0.", hint=f"such as {hint}")
    return n


# Columns worth learning from ---------------------------------------------------------------------------------------


def usable(table: pl.DataFrame | None) -> tuple[str, ...]:
    """Columns of a side table that a model can learn from: numbers, and labels few enough; not ids, not titles.

    Of any other column (dates, structures, constants, nothing but holes) it says nothing.
    """
    if table is None:
        return ()
    return tuple(c for c in table.columns[1:] if c not in ("title", "name") and _teaches(table[c]))


def _teaches(column: pl.Series) -> bool:
    """Whether a column's values can be encoded, are not all the same, and repeat."""
    dtype = column.dtype
    if column.null_count() == len(column):
        return False
    if dtype.is_numeric():
        return _differs(column)
    labels = dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) or dtype == pl.List(pl.String)
    return labels and _repeats(column.drop_nulls())


def _differs(column: pl.Series) -> bool:
    """Whether numbers, encoded, are finite and not all the same."""
    try:
        with np.errstate(all="ignore"):
            weights = encode(column.to_frame(), [column.name]).weight
    except DataError:
        return False
    return bool(len(weights) and np.isfinite(weights).all() and weights.min() < weights.max())


def _repeats(known: pl.Series) -> bool:
    """Whether labels are few for so many rows, and not all rows have the same."""
    lists = known if isinstance(known.dtype, pl.List) else known.cast(pl.String).str.split("|")
    labels = lists.explode().drop_nulls()
    labels = labels.filter(labels != "")
    counts = labels.value_counts()["count"]
    few = 1 <= len(counts) <= min(MOST_LABELS, max(len(known) // 5, 2))
    return few and int(counts.to_numpy().min()) < len(known)
