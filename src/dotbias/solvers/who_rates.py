"""Who rates what: a scorer of clicks that is fitted beside a model of ratings.

A rating says two things: that this user chose this item, and how they liked it. A model of ratings learns the second.
Lists ordered by both (``orders``) take the first from here: EASE or implicit ALS on who rated what, without the values.
Items with few ratings are left to their popularity: their weights would be chance, and cost memory.
"""

from __future__ import annotations

from ..ratings import Ratings
from ..rng import Rng
from ..scorer import Ranks
from ..settings import Positive, checked
from .choice import BYTES, amount, ease_estimate, implicit_estimate, seconds_of
from .ease import ease
from .implicit_als import implicit_als

LEAST = 5  # ratings that an item needs for weights of its own
FACTORS = (64, 32, 16)  # of implicit ALS: the most that the limits allow


@checked
def fit_clicks(
    train: Ratings, *, budget: Positive | str = "15s", memory: Positive | str = "64MB", rng: Rng = None
) -> Ranks | None:
    """Fit who rates what, for lists: ``Recommender(scorer, train, clicks=fit_clicks(train))``.

    EASE on the items with at least five ratings where the limits allow its square matrix; else implicit ALS with as
    many factors as they allow. EASE orders a little better (bench/LOG.md).

    Args:
        train: the ratings; their values are not looked at.
        budget: what the fit may take on one core, by an estimate: "15s", "5m", or seconds.
        memory: what the weights may take: "64MB", or bytes.
        rng: the same rng gives the same bits.

    Returns:
        ItemWeights (ease) or Factors (implicit_als); None where the limits allow neither, or there is nothing to learn.

    Raises:
        SettingError: for a limit that is none.
    """
    seconds, most = seconds_of(budget), amount(memory, BYTES, "memory", "'64MB', or bytes.")
    clicks = train.as_clicks()
    n_items = int((clicks.item_counts >= LEAST).sum())
    if n_items < 2:
        return None
    if 4.0 * n_items**2 <= most and ease_estimate(clicks, n_items)[0] <= seconds:
        return ease(clicks, n_items=n_items)
    for n_factors in FACTORS:
        size = 4.0 * n_factors * (clicks.n_users + clicks.n_items)
        if size <= most and implicit_estimate(clicks, n_factors)[0] <= seconds:
            return implicit_als(clicks, n_factors=n_factors, rng=rng, progress=False)
    return None
