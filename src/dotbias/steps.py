"""The optimizers' arithmetic: pure update rules on floats, numpy arrays or torch tensors alike.

Every rule is ``rule(param, grad, state, *, lr, …) -> (new param, new state)``; ``state`` starts as ``{}``, is never
changed in place, and holds the moving averages by name and the step count ``t``. ``optim`` runs these rules on models,
``workbook`` writes the same ones into cells. This module knows no model and no schedule.

Weight decay, two meanings kept apart (Loshchilov & Hutter 2019): ``l2`` adds ``l2 · param`` to the gradient, as
½·l2·‖param‖² in the loss would; ``wd`` (decoupled) shrinks the parameter itself by the factor 1 - lr·wd. For plain SGD
the two are one; for Adam they are not, since the gradient is then divided by its own size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

X = Any  # float, numpy array or torch tensor: the rules only use + - * / and **
State = dict[str, Any]


class Rule(Protocol):
    """What ``optim`` and ``workbook`` call."""

    def __call__(self, param: Any, grad: Any, state: State, *, lr: float) -> tuple[Any, State]:
        """One step."""
        ...


def sgd(param: X, grad: X, state: State, *, lr: float, l2: float = 0.0, wd: float = 0.0) -> tuple[X, State]:
    """Stochastic gradient descent: p - lr·g."""
    param, grad = _decay(param, grad, lr, l2, wd)
    return param - lr * grad, {}


def momentum(
    param: X,
    grad: X,
    state: State,
    *,
    lr: float,
    beta: float = 0.9,
    interpolate: bool = False,
    l2: float = 0.0,
    wd: float = 0.0,
) -> tuple[X, State]:
    """SGD along a running direction d.

    Classical (Polyak 1964; torch's): d ← beta·d + g. The course's, with ``interpolate``: d ← beta·d + (1-beta)·g, an
    average of gradients, so that the same lr takes steps 1-beta times as long. Both start from d = 0.
    """
    param, grad = _decay(param, grad, lr, l2, wd)
    d = beta * state.get("d", 0.0) + (1 - beta if interpolate else 1.0) * grad
    return param - lr * d, {"d": d}


def adagrad(
    param: X, grad: X, state: State, *, lr: float, eps: float = 1e-10, l2: float = 0.0, wd: float = 0.0
) -> tuple[X, State]:
    """Divide by the root of the sum of squared gradients (Duchi, Hazan & Singer 2011)."""
    param, grad = _decay(param, grad, lr, l2, wd)
    s = state.get("s", 0.0) + grad * grad
    return param - lr * grad / (s**0.5 + eps), {"s": s}


def rmsprop(
    param: X,
    grad: X,
    state: State,
    *,
    lr: float,
    beta: float = 0.99,
    eps: float = 1e-8,
    l2: float = 0.0,
    wd: float = 0.0,
) -> tuple[X, State]:
    """Divide by the root of the moving average of squared gradients (Hinton 2012, lecture 6e)."""
    param, grad = _decay(param, grad, lr, l2, wd)
    s = beta * state.get("s", 0.0) + (1 - beta) * (grad * grad)
    return param - lr * grad / (s**0.5 + eps), {"s": s}


def adam(
    param: X,
    grad: X,
    state: State,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    bias_correction: bool = True,
    l2: float = 0.0,
    wd: float = 0.0,
) -> tuple[X, State]:
    """Momentum over RMSProp (Kingma & Ba 2015, algorithm 1).

    Both averages start at zero, so early ones are too small by 1 - beta^t; ``bias_correction`` divides that out. The
    course's spreadsheet leaves it out.
    """
    param, grad = _decay(param, grad, lr, l2, wd)
    t = state.get("t", 0) + 1
    d = beta1 * state.get("d", 0.0) + (1 - beta1) * grad
    s = beta2 * state.get("s", 0.0) + (1 - beta2) * (grad * grad)
    c1, c2 = (1 - beta1**t, 1 - beta2**t) if bias_correction else (1.0, 1.0)
    return param - (lr / c1) * d / ((s / c2) ** 0.5 + eps), {"t": t, "d": d, "s": s}


def adamw(param: X, grad: X, state: State, *, lr: float, wd: float = 0.01, **settings: Any) -> tuple[X, State]:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2): ``adam`` with ``wd`` for its decay."""
    return adam(param, grad, state, lr=lr, wd=wd, **settings)


RULES: dict[str, Rule] = {
    "sgd": sgd,
    "momentum": momentum,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}


def _decay(param: X, grad: X, lr: float, l2: float, wd: float) -> tuple[X, X]:
    """Decay in the loss (into the gradient), or decoupled (into the parameter)."""
    if not _is_zero(l2):
        grad = grad + l2 * param
    if not _is_zero(wd):
        param = param * (1 - lr * wd)
    return param, grad


def _is_zero(setting: Any) -> bool:
    """Whether a setting is the number 0 (a setting may also be an array: one number per row)."""
    return isinstance(setting, (int, float)) and setting == 0


def finite_difference(f: Callable[[Any], float], x: Any, *, h: float = 1e-5, central: bool = True) -> Any:
    """The gradient of ``f`` at ``x`` by moving one number at a time.

    Args:
        f: scalar function of something like ``x``.
        x: a float, or a numpy array of any shape (float64 for accuracy).
        h: how far to move.
        central: (f(x+h) - f(x-h)) / 2h, with error of order h²; else the course's (f(x+h) - f(x)) / h, of order h.

    Returns:
        The gradient, shaped as ``x``.
    """
    if np.ndim(x) == 0:
        return (f(x + h) - f(x - h)) / (2 * h) if central else (f(x + h) - f(x)) / h
    x = np.array(x, np.float64)
    gradient = np.empty_like(x)
    for k in np.ndindex(x.shape):
        old = x[k]

        def along(value: float, k: tuple[int, ...] = k) -> float:
            x[k] = value
            return f(x)

        gradient[k] = finite_difference(along, old, h=h, central=central)
        x[k] = old
    return gradient


def gradient_error(f: Callable[[Any], float], gradient: Any, x: Any, *, h: float = 1e-5) -> float:
    """How far a gradient at ``x`` is from the finite difference: max |difference| / max(1, max |gradient|)."""
    numeric = finite_difference(f, x, h=h)
    return float(np.max(np.abs(numeric - gradient)) / max(1.0, float(np.max(np.abs(numeric)))))
