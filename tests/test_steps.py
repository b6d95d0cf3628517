"""The update rules: on floats, arrays and tensors alike; equal to torch's; decay in two meanings."""

import numpy as np
import pytest
import torch

from dotbias import schedules, steps

RULES = [
    ("sgd", steps.sgd, {}),
    ("momentum", steps.momentum, {}),
    ("interpolated", steps.momentum, {"interpolate": True}),
    ("adagrad", steps.adagrad, {}),
    ("rmsprop", steps.rmsprop, {}),
    ("adam", steps.adam, {}),
    ("uncorrected", steps.adam, {"bias_correction": False}),
    ("adamw", steps.adamw, {}),
    ("l2", steps.adam, {"l2": 0.1}),
    ("wd", steps.momentum, {"wd": 0.1}),
]


def run(rule, x, n=20, lr=0.1, **settings):
    """n steps down f(x) = ½ Σ k·x_k², whose gradient is k·x."""
    state, path = {}, []
    for _ in range(n):
        x, state = rule(x, x * 3.0, state, lr=lr, **settings)
        path.append(x)
    return path


@pytest.mark.parametrize(("name", "rule", "settings"), RULES, ids=[r[0] for r in RULES])
def test_floats_arrays_and_tensors_take_the_same_path(name, rule, settings):
    floats = run(rule, 0.7, **settings)
    arrays = run(rule, np.array([0.7, 0.7]), **settings)
    tensors = run(rule, torch.tensor([0.7], dtype=torch.float64), **settings)
    np.testing.assert_allclose([a[1] for a in arrays], floats, rtol=1e-14)
    np.testing.assert_allclose([float(t) for t in tensors], floats, rtol=1e-12)
    assert abs(floats[-1]) < 0.7  # downhill


def test_state_is_not_changed_in_place():
    state = {"t": 3, "d": np.ones(2), "s": np.ones(2)}
    steps.adam(np.ones(2), np.ones(2), state, lr=0.1)
    assert state["t"] == 3
    assert (state["d"] == 1).all()


def test_the_two_momenta_differ_by_the_rate_alone():
    """d is an average of gradients or their sum: beta·d + g with lr (1-beta) is the same walk."""
    summed = run(steps.momentum, 0.7, lr=0.01, beta=0.9)
    averaged = run(steps.momentum, 0.7, lr=0.1, beta=0.9, interpolate=True)
    np.testing.assert_allclose(summed, averaged, rtol=1e-12)


def test_decay_is_one_thing_for_sgd_and_two_for_adam():
    np.testing.assert_allclose(run(steps.sgd, 0.7, l2=0.1), run(steps.sgd, 0.7, wd=0.1), rtol=1e-12)
    in_loss, decoupled = run(steps.adam, 0.7, l2=0.5), run(steps.adam, 0.7, wd=0.5)
    assert abs(in_loss[-1] - decoupled[-1]) > 1e-3


def test_adam_in_the_loss_shrinks_a_steep_weight_less():
    """Why AdamW: L2 in Adam is divided by the gradient's size, so a weight with large gradients hardly decays."""

    def shrunk(size, **decay):
        x, state = 1.0, {}
        for k in range(200):  # a gradient of the given size, pulling neither way on average
            x, state = steps.adam(x, size * (-1) ** k, state, lr=0.01, **decay)
        return 1 - x

    assert shrunk(0.1, l2=0.1) > 5 * shrunk(10.0, l2=0.1)
    assert shrunk(0.1, wd=0.1) == pytest.approx(shrunk(10.0, wd=0.1), rel=0.05)


def test_first_adam_step_has_length_lr_only_with_bias_correction():
    assert steps.adam(1.0, 7.0, {}, lr=0.1)[0] == pytest.approx(0.9)
    assert steps.adam(1.0, 7.0, {}, lr=0.1, bias_correction=False)[0] == pytest.approx(1 - 0.1 * 0.1 / 0.001**0.5)


def test_finite_difference():
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    np.testing.assert_allclose(steps.finite_difference(lambda a: (a**3).sum(), x), 3 * x**2, rtol=1e-8)
    assert steps.finite_difference(lambda a: a**2, 3.0) == pytest.approx(6.0)
    one_sided = steps.finite_difference(lambda a: a**2, 3.0, h=0.01, central=False)  # the course's +0.01
    assert one_sided == pytest.approx(6.01)
    assert steps.gradient_error(lambda a: (a**2).sum(), 2 * x, x) < 1e-8
    assert steps.gradient_error(lambda a: (a**2).sum(), 3 * x, x) > 0.1


def test_schedules():
    assert schedules.constant(3)(0.4) == 3
    assert schedules.linear(1, 0)(0.25) == 0.75
    assert schedules.exponential(1e-4, 1)(0.5) == pytest.approx(1e-2)
    assert schedules.cosine(1)(0.5) == pytest.approx(0.5)
    assert [schedules.step(1.0, at=[0.5, 0.75])(p) for p in (0, 0.49, 0.5, 0.8)] == pytest.approx([1, 1, 0.1, 0.01])
    rate = schedules.one_cycle(1.0)
    assert rate(0) == pytest.approx(1 / 25)
    assert rate(0.25) == pytest.approx(1)
    assert rate(1) == pytest.approx(1e-5)


@pytest.mark.parametrize(("n", "length", "mult", "epochs"), [(3, 1, 1, 3), (3, 1, 2, 7), (2, 2, 3, 8), (1, 4, 1, 4)])
def test_restarts(n, length, mult, epochs):
    """Each cycle starts at the top and ends near zero, cycle_mult = 1 included (a classical division by zero)."""
    lengths = schedules.cycle_lengths(n, cycle_len=length, cycle_mult=mult)
    assert sum(lengths) == epochs
    rate = schedules.restarts(0.1, n_cycles=n, cycle_len=length, cycle_mult=mult)
    begin = 0
    for cycle in lengths:
        assert rate(begin / epochs + 1e-12) == pytest.approx(0.1)
        assert rate((begin + cycle / 2) / epochs) == pytest.approx(0.05)
        assert rate((begin + cycle) / epochs - 1e-9) == pytest.approx(0, abs=1e-9)
        begin += cycle
    assert rate(1.0) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("bad", [{"n_cycles": 0}, {"n_cycles": 1, "cycle_len": 0}, {"n_cycles": 1, "cycle_mult": 0}])
def test_restarts_refuse_nonsense(bad):
    with pytest.raises(ValueError, match="whole numbers from 1 up"):
        schedules.restarts(0.1, **bad)
