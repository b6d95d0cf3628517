"""The exercises of the workbook of optimizers, each carried out here, so that the Intro says what comes of it."""

from __future__ import annotations

import numpy as np

from ._decay import SETTINGS as DECAY
from ._decay import noisy_inputs
from ._decay import run as run_decay
from ._intro import Exercise, Tour, number
from ._many_epochs import N, form_of
from ._optimizers import (
    INTERCEPT,
    OPTIMIZERS,
    SLOPE,
    START,
    DescentPath,
    SheetOptimizer,
    X,
    epoch_map,
    many_epochs,
    points_used,
    run,
)

BY_SHEET = {optimizer.sheet: optimizer for optimizer in OPTIMIZERS}
POINTS = np.array(X, float), SLOPE * np.array(X, float) + INTERCEPT
SIDES = ("left", "right")


def tours() -> list[Tour]:
    """Sheet by sheet: what it shows, what to try, what comes of it."""
    own = {
        "basic_sgd": [
            *(_set("basic_sgd", "the learning rate", "sgd_rate", value) for value in (2e-4, 1e-5)),
            _continue("basic_sgd"),
        ],
        "momentum": [
            _set("momentum", "β", "momentum_beta", 0.98),
            _set("momentum", "the classical form's rate", "classical_rate", 1e-4),
        ],
        "adagrad": [_set("adagrad", "the learning rate", "adagrad_rate", value) for value in (1.0, 10.0)],
        "rmsprop": [_set("rmsprop", "β", "rmsprop_beta", value) for value in (0.99, 0.5)],
        "adam": [
            _race(),
            _set("adam", "β₂", "adam_beta2", 0.999),
            _set("adam", "the learning rate", "adam_rate", 0.5),
        ],
        "adam_annealed": [_annealed(), _set("adam_annealed", "the first rate", "annealed_rate", 2.0)],
    }
    return [
        Tour("data", "The 29 points, the line they lie on, and where the descent starts.", [_slope(), _cleared()]),
        *(Tour(o.sheet, o.lead, own[o.sheet]) for o in OPTIMIZERS),
        Tour(
            "adamw",
            "Weight decay where it helps: eight noisy inputs, twelve points to learn from, thirty to test on.",
            [_decays(), _decay_set("adamw_decay", 2, 0.0), _decay_set("adamw_decay", 2, 5.0)],
        ),
        Tour(
            "epochs_500",
            "What the course's Run button shows after a hundred clicks: gradient descent and momentum, 500 epochs.",
            [_many(), _many_beta()],
        ),
        Tour("compare", "RMSE and intercept of every optimizer, epoch by epoch. A fair comparison tunes every rate."),
        Tour("contours", "Ellipses of equal loss, from the points alone: the valley is long, since x is far from 0."),
    ]


def _defaults(optimizer: SheetOptimizer) -> dict[str, float]:
    return {name: setting.value for name, setting in optimizer.settings.items()}


def _paths(
    sheet: str,
    settings: dict[str, float] | None = None,
    *,
    points: tuple[np.ndarray, np.ndarray] = POINTS,
    start: tuple[float, float] = (START, START),
) -> list[DescentPath]:
    optimizer = BY_SHEET[sheet]
    chosen = _defaults(optimizer) | (settings or {})
    return [run(form, chosen, x=points[0], y=points[1], start=start) for form in optimizer.forms]


def _ends(
    sheet: str, before: list[DescentPath], after: list[DescentPath], forms: list[int]
) -> tuple[str, dict[str, float]]:
    """What each form's last RMSE was and is, in words and by name."""
    words, check = [], {}
    for k in forms:
        old, new = float(before[k].rmse[-1]), float(after[k].rmse[-1])
        side = f" {SIDES[k]}" if len(BY_SHEET[sheet].forms) > 1 else ""
        verdict = "diverges" if new > after[k].rmse[0] else "worse" if new > old else "better"
        words.append(f"RMSE after five epochs{side}: {number(new)} instead of {number(old)}, {verdict}")
        check[f"{sheet}_rmse{k + 1}"] = new
    return "; ".join(words) + ".", check


def _set(sheet: str, words: str, cell: str, value: float) -> Exercise:
    """One drop-down changed; told for the forms that it sets."""
    forms = [k for k, form in enumerate(BY_SHEET[sheet].forms) if cell in form.arguments.values()]
    see, check = _ends(sheet, _paths(sheet), _paths(sheet, {cell: value}), forms)
    return Exercise(f"Set {words} to {value:g}.", see, {f"{cell}_choice": value}, check)


def _continue(sheet: str) -> Exercise:
    first = _paths(sheet)[0]
    b, a = first.after[-1].tolist()
    then = _paths(sheet, start=(b, a))[0]
    return Exercise(
        "Copy b and a beside 'continue from here', paste their values over the start; again for five epochs more.",
        f"b goes on from {number(b)} to {number(then.after[-1, 0])} on its way to 30; RMSE from "
        f"{number(first.rmse[-1])} to {number(then.rmse[-1])}. The sheet epochs_500 shows where that leads.",
        {f"{sheet}_start1": np.array([[b, a]])},
        {f"{sheet}_rmse1": float(then.rmse[-1]), f"{sheet}_end1": then.after[-1:]},
    )


def _slope() -> Exercise:
    points = POINTS[0], 3 * POINTS[0] + INTERCEPT
    path = _paths("basic_sgd", points=points)[0]
    return Exercise(
        "Set the true slope to 3.",
        f"Every sheet starts anew: gradient descent ends at a = {number(path.after[-1, 1])}, "
        f"b = {number(path.after[-1, 0])}.",
        {"true_slope": 3},
        {"basic_sgd_end1": path.after[-1:]},
    )


def _cleared() -> Exercise:
    x = POINTS[0].copy()
    x[5] = np.nan
    used = points_used(x, SLOPE * x + INTERCEPT, len(x))
    path = _paths("basic_sgd", points=used[:2])[0]
    typed = x.astype(object)[:, None]
    typed[5, 0] = None
    return Exercise(
        "Clear the sixth x.",
        f"That point is left out, the first comes twice: gradient descent ends at b = {number(path.after[-1, 0])}.",
        {"data_x": typed},
        {"basic_sgd_end1": path.after[-1:], "x": used[0][:, None], "counts": used[2][:, None]},
    )


def _race() -> Exercise:
    paths, sgd = _paths("adam"), _paths("basic_sgd")[0]
    b, a = paths[0].after[-1].tolist()
    return Exercise(
        "Compare where b and a end with basic_sgd (sheet compare, second chart).",
        f"Left, b is {number(b)} and a {number(a)} after five epochs (30 and 2 are right); gradient descent has b = "
        f"{number(sgd.after[-1, 0])}. But at this rate Adam does not come to rest: RMSE {number(paths[0].rmse[-1])}.",
        check={"adam_end1": paths[0].after[-1:], "adam_rmse1": float(paths[0].rmse[-1])},
    )


def _annealed() -> Exercise:
    left, right = (float(path.rmse[-1]) for path in _paths("adam_annealed"))
    return Exercise(
        "Look where both forms end.",
        f"RMSE {number(left)} with one rate, {number(right)} with the annealed one: the same start, a calm end.",
        check={"adam_annealed_rmse1": left, "adam_annealed_rmse2": right},
    )


def _decay_rmse(changed: dict[str, float], form: int) -> tuple[float, float]:
    settings = {name: setting.value for name, setting in DECAY.items()} | changed
    train, test = run_decay(noisy_inputs(), settings, form).rmse[-1].tolist()
    return train, test


def _decays() -> Exercise:
    names = ("Without decay", "AdamW", "L2 in the gradient")
    rows = [_decay_rmse({}, form) for form in range(3)]
    words = [f"{n}: train {number(train)}, test {number(test)}" for n, (train, test) in zip(names, rows, strict=True)]
    check = {f"adamw_{part}{k + 1}": row[j] for k, row in enumerate(rows) for j, part in enumerate(("train", "test"))}
    return Exercise(
        "Compare train and test RMSE at the end.", ". ".join(words) + ". The noise alone is 1.5.", {}, check
    )


def _decay_set(cell: str, form: int, value: float) -> Exercise:
    (_, before), (train, test) = _decay_rmse({}, form - 1), _decay_rmse({cell: value}, form - 1)
    see = f"AdamW: train {number(train)}, test {number(test)} instead of {number(before)}"
    if value == 0:
        see += ", as without decay"
    elif test > before:
        see += ", too much: the inputs that matter shrink as well"
    check = {f"adamw_train{form}": train, f"adamw_test{form}": test}
    return Exercise(f"Set the decay in AdamW to {value:g}.", see + ".", {f"{cell}_choice": value}, check)


def _rmse_500(sheet: str, size: int, changed: dict[str, float] | None = None) -> tuple[float, np.ndarray]:
    """The last RMSE, and (b, a) after each epoch."""
    form, settings = form_of(sheet)
    ends = epoch_map(form, settings | (changed or {}), x=POINTS[0], y=POINTS[1], size=size)
    states = many_epochs(ends, (START, START), N)
    b, a = states[-1, :2]
    return float(np.sqrt(np.mean((a * POINTS[0] + b - POINTS[1]) ** 2))), states[:, :2]


def _many() -> Exercise:
    (sgd, path), (momentum, _) = _rmse_500("basic_sgd", 2), _rmse_500("momentum", 4)
    five = float(_paths("basic_sgd")[0].rmse[-1])
    return Exercise(
        "Look at the chart and at the last row.",
        f"Gradient descent: RMSE {number(five)} after 5 epochs, {number(sgd)} after {N}, with b = "
        f"{number(path[-1, 0])}. Momentum at the same rate: {number(momentum)}.",
        check={"rmse_500_basic_sgd": sgd, "rmse_500_momentum": momentum, "end_500_basic_sgd": path[-1:]},
    )


def _many_beta() -> Exercise:
    before, after = _rmse_500("momentum", 4)[0], _rmse_500("momentum", 4, {"momentum_beta": 0.98})[0]
    word = "Better in the long run" if after < before else "Not better in the long run either"
    return Exercise(
        "On momentum, set β to 0.98: worse after five epochs. Then look here.",
        f"{word}: RMSE {number(after)} instead of {number(before)} after {N}.",
        {"momentum_beta_choice": 0.98},
        {"rmse_500_momentum": after},
    )
