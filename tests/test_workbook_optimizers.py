"""The numbers of the workbook of optimizers: every offered choice, contour lines, 500 epochs, noisy inputs."""

import numpy as np
import pytest

from dotbias.workbook import _decay, _many_epochs, _optimizers

X = np.array(_optimizers.X, float)
Y = 2 * X + 30
BY_SHEET = {optimizer.sheet: optimizer for optimizer in _optimizers.OPTIMIZERS}


def settings_of(sheet):
    return {name: setting.value for name, setting in BY_SHEET[sheet].settings.items()}


def test_every_choice_stays_finite():
    for optimizer in _optimizers.OPTIMIZERS:
        base = settings_of(optimizer.sheet)
        for name, setting in optimizer.settings.items():
            assert setting.value in setting.options
            for value in setting.options:
                for form in optimizer.forms:
                    path = _optimizers.run(form, base | {name: value}, x=X, y=Y)
                    assert np.isfinite(path.rmse).all(), (name, value)


def test_classical_momentum_walks_the_courses_path_at_a_tenth_of_the_rate():
    course, classical = (
        _optimizers.run(form, settings_of("momentum"), x=X, y=Y) for form in BY_SHEET["momentum"].forms
    )
    np.testing.assert_allclose(course.after, classical.after, rtol=1e-9)


def test_adam_as_the_course_has_it():
    """Its file's β are 0.7 and 0.9, the rate 1, no bias correction; and it races where gradient descent crawls."""
    assert settings_of("adam")["adam_beta2"] == 0.9
    (b, a), (slow, _) = (
        _optimizers.run(BY_SHEET[s].forms[0], settings_of(s), x=X, y=Y).after[-1] for s in ("adam", "basic_sgd")
    )
    assert 20 < b < 32 and 1.5 < a < 2.6 and slow < 2


def test_the_annealed_rate_falls_to_nearly_nothing():
    constant, annealed = (
        _optimizers.run(form, settings_of("adam_annealed"), x=X, y=Y) for form in BY_SHEET["adam_annealed"].forms
    )
    rates = annealed.state["r"][:, 0]
    assert rates[0] == 1.0 and (np.diff(rates) < 0).all() and rates[-1] < 0.001
    assert annealed.rmse[-1] < 0.5 * constant.rmse[-1]


def test_contours_are_where_the_loss_says():
    y = Y + np.sin(X)
    levels, angles = np.array([2.0, 10.0]), np.linspace(0, 6, 9)
    b, a = _optimizers.contours(X, y, levels, angles)
    best = np.polyfit(X, y, 1)
    least = np.mean((best[0] * X + best[1] - y) ** 2)
    mse = np.mean((a[..., None] * X + b[..., None] - y) ** 2, axis=-1)  # (angles, levels)
    np.testing.assert_allclose(mse, np.tile(levels**2 + least, (9, 1)), rtol=1e-9)


@pytest.mark.parametrize(("sheet", "size"), [("basic_sgd", 2), ("momentum", 4)])
def test_500_epochs_by_their_map_are_500_epochs(sheet, size):
    form, settings = _many_epochs.form_of(sheet)
    states = _optimizers.many_epochs(
        _optimizers.epoch_map(form, settings, x=X, y=Y, size=size), (1.0, 1.0), _many_epochs.N
    )
    path = _optimizers.run(form, settings, x=X, y=Y, n_epochs=_many_epochs.N)
    np.testing.assert_allclose(states[1:, :2], path.after[28::29], rtol=1e-8)


def test_500_epochs_leave_the_dead_end():
    form, settings = _many_epochs.form_of("basic_sgd")
    rmse = _optimizers.run(form, settings, x=X, y=Y, n_epochs=500).rmse
    assert rmse[5] == pytest.approx(16.9, abs=0.05) and rmse[500] == pytest.approx(6.4, abs=0.05)


def test_points_that_are_missing_are_left_out():
    x, y = np.array([1.0, np.nan, 3.0, 4.0]), np.array([5.0, 6.0, np.nan, 8.0])
    used = _optimizers.points_used(x, y, 4)
    np.testing.assert_array_equal(used, [[1, 4, 1, 4], [5, 8, 5, 8], [1, 1, 0, 0]])
    np.testing.assert_array_equal(_optimizers.points_used(x * np.nan, y, 4), np.zeros((3, 4)))


def test_decay_helps_on_the_noisy_inputs_as_on_most_draws_of_them():
    """The sheet's data are the first draw; of a hundred draws, most show the same."""
    settings = {name: setting.value for name, setting in _decay.SETTINGS.items()}
    tests = np.array(
        [[_decay.run(_decay.noisy_inputs(rng), settings, form).rmse[-1, 1] for form in range(3)] for rng in range(100)]
    )
    assert (tests[:, 1:] < tests[:, :1]).mean(0).min() > 0.85
    assert (tests[0, 1:] < 0.7 * tests[0, 0]).all()
    train = [_decay.run(_decay.noisy_inputs(), settings, form).rmse[-1, 0] for form in range(3)]
    assert train[0] < min(train[1:])


def test_without_decay_both_forms_are_adam():
    settings = {name: setting.value for name, setting in _decay.SETTINGS.items()}
    settings |= {"adamw_decay": 0.0, "adamw_l2": 0.0}
    plain, adamw, l2 = (_decay.run(_decay.noisy_inputs(), settings, form).weights for form in range(3))
    np.testing.assert_allclose(adamw, plain, rtol=1e-12)
    np.testing.assert_allclose(l2, plain, rtol=1e-12)
