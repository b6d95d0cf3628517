import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias import metrics
from dotbias.errors import DataError, SettingError

stars = st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=1, max_size=30)


@given(stars)
def test_they_are_their_formulas(pairs):
    predicted, actual = map(np.array, zip(*pairs, strict=True))
    by_hand = [(p - a) ** 2 for p, a in pairs]
    assert metrics.mse(predicted, actual) == pytest.approx(sum(by_hand) / len(pairs))
    assert metrics.rmse(predicted, actual) ** 2 == pytest.approx(metrics.mse(predicted, actual))
    assert metrics.mae(predicted, actual) == pytest.approx(sum(abs(p - a) for p, a in pairs) / len(pairs))
    assert metrics.mae(predicted, actual) <= metrics.rmse(predicted, actual) + 1e-12


def test_one_value_per_rating_in_float64():
    a, b = np.array([1, 2.5], np.float32), np.array([2, 2], np.float32)
    assert metrics.squared_error(a, b).tolist() == [1, 0.25]
    assert metrics.absolute_error(a, b).tolist() == [1, 0.5]
    assert metrics.squared_error(a, b).dtype == np.float64


def test_a_column_against_a_row_is_an_error_that_says_so():
    with pytest.raises(DataError, match=r"shape \(3, 1\) do not match ratings of shape \(3,\)") as e:
        metrics.mse(np.zeros((3, 1)), np.zeros(3))
    assert "broadcast" in str(e.value)
    with pytest.raises(DataError):
        metrics.mae(np.zeros((3, 1)), np.zeros((3, 1)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_missing_prediction_is_an_error_not_a_nan(bad):
    with pytest.raises(DataError, match=r"prediction 1 is .*; 1 of 3"):
        metrics.rmse(np.array([1, bad, 3]), np.ones(3))
    with pytest.raises(DataError, match="rating 0"):
        metrics.rmse(np.ones(3), np.array([bad, 1, 1]))


def test_nothing_to_compare():
    with pytest.raises(DataError, match="no ratings to compare"):
        metrics.rmse(np.array([]), np.array([]))


def test_names():
    assert metrics.find_metric("rmse").finish(4.0) == 2
    with pytest.raises(SettingError, match="did you mean 'rmse'"):
        metrics.find_metric("rsme")
