"""How far guesses lie from ratings: pure array functions, one value per rating, and their summaries.

Conventions: ``mse`` is the mean over ratings, without a ½; ``rmse`` its root; ``mae`` the mean absolute error. A
missing prediction (NaN) is an error, never a NaN in a mean. This module knows arrays, neither users nor models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .errors import DataError, SettingError, did_you_mean


def squared_error(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """(predicted - actual)², one per rating: (B,), (B,) -> (B,) float64.

    Raises:
        DataError: where the shapes differ or a prediction is not a finite number.
    """
    return difference(predicted, actual) ** 2


def absolute_error(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """|predicted - actual|, one per rating: (B,), (B,) -> (B,) float64. Errors as in :func:`squared_error`."""
    return np.abs(difference(predicted, actual))


def mse(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Mean squared error, in squared stars."""
    return float(_mean(squared_error(predicted, actual)))


def rmse(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Root of the mean squared error, in stars."""
    return float(np.sqrt(_mean(squared_error(predicted, actual))))


def mae(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Mean absolute error, in stars."""
    return float(_mean(absolute_error(predicted, actual)))


class Metric(NamedTuple):
    """A metric that is a function of a mean over ratings, so that sums per user are all a bootstrap needs.

    Attributes:
        error: (predicted (B,), actual (B,)) -> one value per rating (B,).
        finish: from the mean of those to the metric; never decreasing.
    """

    error: Callable[[np.ndarray, np.ndarray], np.ndarray]
    finish: Callable[[Any], Any]


METRICS = {
    "rmse": Metric(squared_error, np.sqrt),
    "mse": Metric(squared_error, np.positive),
    "mae": Metric(absolute_error, np.positive),
}


def find_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        SettingError: for a name that is none, with the near miss.
    """
    if name not in METRICS:
        raise SettingError(f"there is no metric {name!r}.", hint=did_you_mean(name, METRICS))
    return METRICS[name]


def difference(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Predicted minus actual in float64 (B,), after the checks that every metric makes."""
    predicted, actual = np.asarray(predicted), np.asarray(actual)
    if predicted.shape != actual.shape or predicted.ndim != 1:
        raise DataError(
            f"predictions of shape {predicted.shape} do not match ratings of shape {actual.shape}.",
            hint="both must be (B,): (B, 1) against (B,) would broadcast to (B, B); use .reshape(-1) on the column.",
        )
    for name, values in (("prediction", predicted), ("rating", actual)):
        bad = ~np.isfinite(values)
        if bad.any():
            i = int(bad.argmax())
            raise DataError(
                f"{name} {i} is {values[i]}; {int(bad.sum()):,} of {len(values):,} are no finite numbers.",
                hint="a missing score is an error: score every pair, cold ones by the mean.",
            )
    return predicted.astype(np.float64) - actual.astype(np.float64)


def _mean(errors: np.ndarray) -> np.floating:
    if not len(errors):
        raise DataError("there are no ratings to compare.", hint="is the held-out part empty?")
    return errors.mean()
