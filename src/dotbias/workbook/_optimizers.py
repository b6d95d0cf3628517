"""What the sheets of the descent workbook compute: each optimizer as columns of formulas, beside the same in float64.

The model is y = a·x + b on 29 points, one point per step, five epochs: a gradient is 2·error for b and 2·error·x for a.
Formulas and numbers come from one table, ``OPTIMIZERS``; ``run`` steps through it with the rules of ``steps``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import steps

# y = 2x + 30, the course's line. Its first two points are (14, 58) and (86, 202).
X = (14, 86, 28, 51, 28, 29, 72, 62, 84, 15, 42, 62, 47, 35, 9, 38, 44, 99, 13, 21, 28, 20, 8, 64, 99, 70, 27, 17, 8)
SLOPE, INTERCEPT, START, N_EPOCHS, NUDGE = 2.0, 30.0, 1.0, 5, 0.01

RATES = {
    "sgd": [1e-5, 2e-5, 5e-5, 1e-4, 1.5e-4, 2e-4],
    "momentum": [1e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4],
    "large": [0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
}
BETAS = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999]


class Setting(NamedTuple):
    """A hyper-parameter: what the sheet says, its default, what its drop-down offers."""

    label: str
    value: float
    options: list[float]


class Form(NamedTuple):
    """One way to write an optimizer.

    Attributes:
        title: above its columns.
        rule: from ``steps``, with everything set that no cell sets.
        arguments: the rule's argument -> the name of the cell that sets it.
        columns: (heading, formula) of what is kept per parameter, before the new value. In formulas ``{p}`` is the
            parameter, ``{g}`` its gradient, ``{t}`` the step number, ``{d} {s} {r}`` the columns so headed in this
            row and ``{d0} {s0}`` in the row above; words in <…> are cells by argument.
        new: the formula of the new value.
    """

    title: str
    rule: Callable[..., tuple[Any, steps.State]]
    arguments: dict[str, str]
    columns: tuple[tuple[str, str], ...]
    new: str


class SheetOptimizer(NamedTuple):
    """One sheet: settings by cell name, and one or two forms side by side."""

    sheet: str
    title: str
    lead: str
    settings: dict[str, Setting]
    forms: tuple[Form, ...]


def annealed_adam(param: Any, grad: Any, state: steps.State, *, lr: float, **settings: float) -> tuple[Any, Any]:
    """Adam without bias correction at a rate that falls along half a cosine over all steps; the rate is kept as r."""
    rate = lr * (1 + math.cos(math.pi * state.get("t", 0) / (len(X) * N_EPOCHS))) / 2
    new, after = steps.adam(param, grad, state, lr=rate, bias_correction=False, **settings)
    return new, after | {"r": rate}


_AVERAGE = "<beta1>*{d0}+(1-<beta1>)*{g}"
_AVERAGE_OF_SQUARES = "<beta2>*{s0}+(1-<beta2>)*{g}^2"
_ANNEALED = {"lr": "annealed_rate", "beta1": "annealed_beta1", "beta2": "annealed_beta2", "eps": "annealed_eps"}
_EPS = Setting("ε, against division by 0", 1e-8, [1e-10, 1e-8, 1e-6, 1e-3])
_CORRECTED = "{p}-<lr>/(1-<beta1>^{t})*{d}/(SQRT({s}/(1-<beta2>^{t}))+<eps>)"

OPTIMIZERS = (
    SheetOptimizer(
        "basic_sgd",
        "Stochastic gradient descent",
        "One point at a time: predict, take the derivative, go a little downhill. Beside it, the derivative estimated.",
        {"sgd_rate": Setting("learning rate", 1e-4, RATES["sgd"])},
        (Form("gradient descent", steps.sgd, {"lr": "sgd_rate"}, (), "{p}-<lr>*{g}"),),
    ),
    SheetOptimizer(
        "momentum",
        "Momentum",
        "Keep going the way you went. At a rate (1-β) times as large, the classical form walks the course's path.",
        {
            "momentum_rate": Setting("rate, course's form", 1e-4, RATES["momentum"]),
            "classical_rate": Setting("rate, classical", 1e-5, RATES["momentum"]),
            "momentum_beta": Setting("β", 0.9, BETAS[:-1]),
        },
        (
            Form(
                "the course's: β·old + (1-β)·gradient",
                partial(steps.momentum, interpolate=True),
                {"lr": "momentum_rate", "beta": "momentum_beta"},
                (("d", "<beta>*{d0}+(1-<beta>)*{g}"),),
                "{p}-<lr>*{d}",
            ),
            Form(
                "classical: β·old + gradient",
                steps.momentum,
                {"lr": "classical_rate", "beta": "momentum_beta"},
                (("d", "<beta>*{d0}+{g}"),),
                "{p}-<lr>*{d}",
            ),
        ),
    ),
    SheetOptimizer(
        "adagrad",
        "Adagrad",
        "Divide each step by the root of all squared gradients so far: steep directions are walked with small steps.",
        {"adagrad_rate": Setting("learning rate", 5.0, RATES["large"]), "adagrad_eps": _EPS._replace(value=1e-10)},
        (
            Form(
                "adagrad",
                steps.adagrad,
                {"lr": "adagrad_rate", "eps": "adagrad_eps"},
                (("s", "{s0}+{g}^2"),),
                "{p}-<lr>*{g}/(SQRT({s})+<eps>)",
            ),
        ),
    ),
    SheetOptimizer(
        "rmsprop",
        "RMSProp",
        "Adagrad that forgets: a moving average of squared gradients, so that steps do not shrink for ever.",
        {
            "rmsprop_rate": Setting("learning rate", 0.5, RATES["large"]),
            "rmsprop_beta": Setting("β", 0.9, BETAS),
            "rmsprop_eps": _EPS,
        },
        (
            Form(
                "RMSProp",
                steps.rmsprop,
                {"lr": "rmsprop_rate", "beta": "rmsprop_beta", "eps": "rmsprop_eps"},
                (("s", "<beta>*{s0}+(1-<beta>)*{g}^2"),),
                "{p}-<lr>*{g}/(SQRT({s})+<eps>)",
            ),
        ),
    ),
    SheetOptimizer(
        "adam",
        "Adam",
        "Momentum divided by RMSProp. The course leaves out the bias correction: both are here.",
        {
            "adam_rate": Setting("learning rate", 1.0, RATES["large"]),
            "adam_beta1": Setting("β₁, of gradients", 0.7, BETAS),
            "adam_beta2": Setting("β₂, of squares", 0.9, BETAS),
            "adam_eps": _EPS,
        },
        tuple(
            Form(
                title,
                partial(steps.adam, bias_correction=corrected),
                {"lr": "adam_rate", "beta1": "adam_beta1", "beta2": "adam_beta2", "eps": "adam_eps"},
                (("d", _AVERAGE), ("s", _AVERAGE_OF_SQUARES)),
                new,
            )
            for title, corrected, new in (
                ("the course's: without bias correction", False, "{p}-<lr>*{d}/(SQRT({s})+<eps>)"),
                ("with bias correction", True, _CORRECTED),
            )
        ),
    ),
    SheetOptimizer(
        "adam_annealed",
        "Adam with annealed rates",
        "Left, one rate throughout; right, it falls along half a cosine to nearly 0: fast at first, calm at last.",
        {
            "annealed_rate": Setting("learning rate at first", 1.0, RATES["large"]),
            "annealed_beta1": Setting("β₁, of gradients", 0.7, BETAS),
            "annealed_beta2": Setting("β₂, of squares", 0.9, BETAS),
            "annealed_eps": _EPS,
        },
        tuple(
            Form(title, rule, _ANNEALED, (*rate, ("d", _AVERAGE), ("s", _AVERAGE_OF_SQUARES)), new)
            for title, rule, rate, new in (
                (
                    "the same rate throughout",
                    partial(steps.adam, bias_correction=False),
                    (),
                    "{p}-<lr>*{d}/(SQRT({s})+<eps>)",
                ),
                (
                    "annealed: lr/2·(1 + cos(π·step/steps))",
                    annealed_adam,
                    (("r", f"<lr>*(1+COS(PI()*({{t}}-1)/{len(X) * N_EPOCHS}))/2"),),
                    "{p}-{r}*{d}/(SQRT({s})+<eps>)",
                ),
            )
        ),
    ),
)

HEADINGS = {"d": "direction", "s": "squares", "r": "rate"}


def heading(column: str, parameter: str) -> str:
    """What stands above a kept column; the rate is the same for both parameters and stands there once."""
    return HEADINGS[column] if column == "r" else f"{HEADINGS[column]} {parameter}"


class DescentPath(NamedTuple):
    """What one form computes: T = 29 × 5 steps, P = 2 parameters (b, then a).

    Attributes:
        before: (T, P) parameters before each step.
        prediction: (T,).
        error2: (T,) squared error.
        gradient: (T, P) analytic.
        state: column -> (T, P).
        after: (T, P).
        rmse: (epochs + 1,) over all points, the start first.
    """

    before: np.ndarray
    prediction: np.ndarray
    error2: np.ndarray
    gradient: np.ndarray
    state: dict[str, np.ndarray]
    after: np.ndarray
    rmse: np.ndarray


def run(
    form: Form,
    settings: dict[str, float],
    *,
    x: np.ndarray,
    y: np.ndarray,
    start: tuple[float, float] = (START, START),
    n_epochs: int = N_EPOCHS,
) -> DescentPath:
    """The path of a form over the points, from ``start`` = (intercept b, slope a).

    Args:
        form: the optimizer.
        settings: cell name -> value.
        x: (n,) the points' x.
        y: (n,) the points' y.
        start: where b and a begin.
        n_epochs: how often all points are passed.
    """
    chosen = {argument: settings[cell] for argument, cell in form.arguments.items()}
    rule = partial(form.rule, **chosen)
    param, states, rows, rmse = list(start), [{}, {}], [], [_rmse(start, x, y)]
    for _ in range(n_epochs):
        for x_i, y_i in zip(x.tolist(), y.tolist(), strict=True):
            prediction = param[1] * x_i + param[0]
            error = prediction - y_i
            gradient = (2 * error, 2 * error * x_i)
            moved = [rule(p, g, s) for p, g, s in zip(param, gradient, states, strict=True)]
            new, states = [p for p, _ in moved], [s for _, s in moved]
            kept = {name: [s.get(name, 0.0) for s in states] for name in HEADINGS}
            rows.append((param, prediction, error**2, gradient, kept, new))
            param = new
        rmse.append(_rmse(param, x, y))
    state = {name: np.array([row[4][name] for row in rows]) for name, _ in form.columns}
    before, prediction, error2, gradient, _, after = (
        np.array([row[k] for row in rows]) if k != 4 else None for k in range(6)
    )
    return DescentPath(before, prediction, error2, gradient, state, after, np.array(rmse))  # type: ignore[arg-type]


def estimates(path: DescentPath, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finite differences at every step, as the course takes them: squared errors at + 0.01, and derivatives; (T, P)."""
    nudged, slopes = np.empty_like(path.before), np.empty_like(path.before)
    for t, (b, a) in enumerate(path.before.tolist()):
        x_t, y_t = float(x[t % len(x)]), float(y[t % len(y)])
        sides = (lambda v, a=a, x=x_t, y=y_t: (a * x + v - y) ** 2), (lambda v, b=b, x=x_t, y=y_t: (v * x + b - y) ** 2)
        for k, (f, at) in enumerate(zip(sides, (b, a), strict=True)):
            nudged[t, k] = f(at + NUDGE)
            slopes[t, k] = steps.finite_difference(f, at, h=NUDGE, central=False)
    return nudged, slopes


def _rmse(param, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.mean((param[1] * x + param[0] - y) ** 2)))


def points_used(x: np.ndarray, y: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The n points of an epoch where some are missing (NaN): those that are whole, and from the first again.

    Returns:
        x (n,), y (n,) and counts (n,): 1 the first time a point comes, 0 when it comes again.
    """
    whole = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(whole):
        return np.zeros(n), np.zeros(n), np.zeros(n)
    order = whole[np.arange(n) % len(whole)]
    return x[order], y[order], (np.arange(n) < len(whole)).astype(float)


def epoch_map(form: Form, settings: dict[str, float], *, x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """One epoch of gradient descent or momentum as a table (size + 1, size): where each of these starts ends.

    The starts are 0 and the unit vectors of (b, a) or (b, a, direction of b, direction of a). Such an epoch is a
    linear map and a shift, so that many epochs need no more rows than one each.
    """
    ends = []
    for start in np.r_[np.zeros((1, size)), np.eye(size)]:
        states = [{"d": d} for d in start[2:]] if size == 4 else [{}, {}]
        param = list(start[:2])
        for x_i, y_i in zip(x.tolist(), y.tolist(), strict=True):
            error = param[1] * x_i + param[0] - y_i
            moved = [
                form.rule(p, g, s, **{k: settings[cell] for k, cell in form.arguments.items()})
                for p, g, s in zip(param, (2 * error, 2 * error * x_i), states, strict=True)
            ]
            param, states = [p for p, _ in moved], [s for _, s in moved]
        ends.append([*param, *(s["d"] for s in states)] if size == 4 else param)
    return np.array(ends)


def many_epochs(ends: np.ndarray, start: tuple[float, float], n: int) -> np.ndarray:
    """(n + 1, size): what ``epoch_map``'s epoch makes of (b, a) time after time, directions beginning at 0."""
    shift, matrix = ends[0], (ends[1:] - ends[0]).T
    states = [np.r_[start, np.zeros(len(shift) - 2)]]
    for _ in range(n):
        states.append(matrix @ states[-1] + shift)
    return np.array(states)


def contours(x: np.ndarray, y: np.ndarray, levels: np.ndarray, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the RMSE over all points is √(level² + its minimum²): ellipses around the least-squares line.

    With H = [[1, x̄], [x̄, mean x²]] = L Lᵀ, the points b*, a* + level · L⁻ᵀ (cos, sin) have that loss.

    Returns:
        b (angles, levels) and a (angles, levels).
    """
    spread, centre = x.std(), x.mean()
    slope = np.mean((x - centre) * (y - y.mean())) / spread**2
    a = slope + levels * np.sin(angles)[:, None] / spread
    b = y.mean() - slope * centre + levels * (np.cos(angles)[:, None] - centre * np.sin(angles)[:, None] / spread)
    return b, a
