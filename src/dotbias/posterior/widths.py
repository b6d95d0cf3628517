"""How wide a prediction is, by what is known of its row: a factor on the variance that samples and noise give.

    factor = exp(x · coefficients),   x = 1, log(1 + ratings of the user), log(1 + of the item), and whether the user
                                          has none, the time is unknown, the session is new.

The samples know how sure the model is of itself. That a user with few ratings, or tomorrow's session, errs by more
than the model expects, only held-out ratings show: the coefficients come from slices of train (``gibbs``).
This module knows numbers alone.
"""

from __future__ import annotations

import numpy as np

FEATURES = ("any row", "log(1 + user's ratings)", "log(1 + item's ratings)", "new user", "time unknown", "new session")
KNOWN, UNKNOWN, NEW = 0, 1, 2  # sessions


def row_features(user_counts: np.ndarray, item_counts: np.ndarray, session: np.ndarray) -> np.ndarray:
    """What a factor hangs on: counts (…,) that broadcast, session (…,) KNOWN, UNKNOWN or NEW -> (…, 6) float64."""
    users, items, kind = np.broadcast_arrays(user_counts, item_counts, session)
    columns = np.ones(users.shape), np.log1p(users), np.log1p(items), users == 0, kind == UNKNOWN, kind == NEW
    return np.stack([np.asarray(c, np.float64) for c in columns], -1)


def factor(
    coefficients: np.ndarray, user_counts: np.ndarray, item_counts: np.ndarray, session: np.ndarray
) -> np.ndarray:
    """The factor on the variance (…,) of rows as in :func:`row_features`; coefficients (6,), or none: 1."""
    if not len(coefficients):
        return np.ones(np.broadcast(user_counts, item_counts, session).shape)
    return np.exp(row_features(user_counts, item_counts, session) @ coefficients)
