"""How far guesses lie from ratings: one value per rating, and their summaries.

``mse`` is the mean over ratings, without a ½; ``rmse`` its root; ``mae`` the mean absolute error; ``r2`` the share of
the ratings' variance that is explained. A missing prediction (NaN) is an error, never a NaN in a mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .kinds import Guesses, Metric, Values, each


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


def r2(predicted: np.ndarray, actual: np.ndarray) -> float:
    """1 - Σ(predicted - actual)² / Σ(actual - their mean)²: 1 is perfect, 0 is no better than the test's own mean.

    NaN where all ratings are equal.
    """
    error = squared_error(predicted, actual)
    _mean(error)
    return ERRORS["r2"].of(Guesses(predicted, actual))


def _squared(given: Guesses) -> Values:
    return each(squared_error(*given))


def _absolute(given: Guesses) -> Values:
    return each(absolute_error(*given))


def _explained(given: Guesses) -> Values:
    """Squared errors; each rating weighs its squared distance from the mean."""
    actual = np.asarray(given.actual, np.float64)
    return Values(squared_error(*given), (actual - actual.mean()) ** 2 if len(actual) else actual)


def _one_minus(x: Any) -> Any:
    return 1 - x


ERRORS = {
    m.name: m
    for m in (
        Metric("rmse", "guesses", _squared, "low", np.sqrt, about="root of the mean squared error, in stars"),
        Metric("mse", "guesses", _squared, "low", about="mean squared error, without a ½"),
        Metric("mae", "guesses", _absolute, "low", about="mean absolute error, in stars"),
        Metric("r2", "guesses", _explained, "high", _one_minus, about="share of the variance explained", joint=True),
    )
}


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
