"""The sheet *adamw*: eight noisy inputs of which two matter, twelve points to learn from, thirty to test on.

Here weight decay helps: without it the model learns the noise. Adam three times, all points in every step: without
decay, with the decay of the parameter (AdamW), and with the decay in the gradient (L2).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import steps
from ._optimizers import BETAS, RATES, Setting
from ._sheet import Block, Book, Sheet

N_INPUTS, N_TRAIN, N_TEST, N_STEPS = 8, 12, 30, 100
TOP = 8 + 2 * (N_INPUTS + 3)  # the first step's row
LEFT = 7  # the first column of the steps
SETTINGS = {
    "adamw_rate": Setting("learning rate", 0.1, RATES["large"]),
    "adamw_beta1": Setting("β₁, of gradients", 0.9, BETAS),
    "adamw_beta2": Setting("β₂, of squares", 0.999, BETAS),
    "adamw_eps": Setting("ε, against division by 0", 1e-8, [1e-10, 1e-8, 1e-6, 1e-3]),
    "adamw_decay": Setting("decay in AdamW", 1.0, [0.0, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0]),
    "adamw_l2": Setting("decay in L2", 1.0, [0.0, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0]),
}
FORMS = (  # title, the decay's argument and its cell, colour
    ("without decay", "", "", "#7F7F7F"),
    ("AdamW: decay of the parameter", "wd", "adamw_decay", "#C00000"),
    ("Adam with L2: decay in the gradient", "l2", "adamw_l2", "#7030A0"),
)


class Data(NamedTuple):
    """Inputs (P, n) and targets (n,) of train and test."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def noisy_inputs(rng: int = 0) -> Data:
    """y is the sum of the first two inputs and noise of spread 1.5; one decimal, drawn once."""
    generator = np.random.default_rng(rng)
    x = generator.normal(0, 1, (N_TRAIN + N_TEST, N_INPUTS)).round(1)
    y = (x[:, 0] + x[:, 1] + generator.normal(0, 1.5, len(x))).round(1)
    return Data(x[:N_TRAIN].T, y[:N_TRAIN], x[N_TRAIN:].T, y[N_TRAIN:])


class DecayPath(NamedTuple):
    """By step, the start first: weights, gradients, directions, squares (T + 1, P); RMSE of train and test (T + 1, 2).

    Row t's gradient and averages are those that lead from its weights to the next row's.
    """

    weights: np.ndarray
    gradient: np.ndarray
    direction: np.ndarray
    squares: np.ndarray
    rmse: np.ndarray


def run(data: Data, settings: dict[str, float], form: int) -> DecayPath:
    """Adam with bias correction from 0, on all train points at once; a gradient is that of the mean squared error."""
    argument, cell = FORMS[form][1:3]
    decay = {argument: settings[cell]} if argument else {}
    names = (("lr", "adamw_rate"), ("beta1", "adamw_beta1"), ("beta2", "adamw_beta2"), ("eps", "adamw_eps"))
    rule = partial(steps.adam, **{name: settings[cell] for name, cell in names}, **decay)
    w, state, rows, rmse = np.zeros(N_INPUTS), {}, [], []
    for _ in range(N_STEPS + 1):
        errors = w @ data.train_x - data.train_y, w @ data.test_x - data.test_y
        gradient = 2 * data.train_x @ errors[0] / N_TRAIN
        rmse.append([float(np.sqrt(np.mean(e**2))) for e in errors])
        new, state = rule(w, gradient, state)
        rows.append((w, gradient, state["d"], state["s"]))
        w = new
    weights, gradient, direction, squares = (np.array([row[k] for row in rows]) for k in range(4))
    return DecayPath(weights, gradient, direction, squares, np.array(rmse))


def write_decay(book: Book) -> None:
    """The sheet *adamw*."""
    lead = "Two of eight inputs matter; twelve points cannot tell the others' noise from truth. Decay helps on test."
    sheet = book.sheet("adamw", "AdamW", lead)
    data = noisy_inputs()
    for column, (name, setting) in enumerate(SETTINGS.items()):
        sheet.text(2, column, setting.label, "head")
        sheet.choose(3, column, setting.value, setting.options, f"{name}_choice")
        sheet.used(4, column, setting.value, name)
    _write_data(sheet, data)
    settings = {name: setting.value for name, setting in SETTINGS.items()}
    paths = [run(data, settings, form) for form in range(len(FORMS))]
    _write_steps(sheet, paths)
    _write_curves(sheet, paths)
    right = LEFT + len(FORMS) * (4 * N_INPUTS + 1)
    sheet.page.insert_chart(5, 0, _chart(book))
    sheet.page.set_row(2, 32)
    sheet.widths((0, 6, 11), (LEFT, right, 6.3))
    sheet.scientific(Block("adamw", TOP, 1, N_STEPS + 1, right))
    sheet.finish(freeze=(5, 0), area=Block("adamw", 0, 0, TOP + 30, LEFT + N_TEST))


def _write_data(sheet: Sheet, data: Data) -> None:
    """A column for each point: its inputs, and y below them."""
    parts = (("train", data.train_x, data.train_y), ("test", data.test_x, data.test_y))
    for k, (name, x, y) in enumerate(parts):
        top = 6 + k * (N_INPUTS + 3)
        inputs = Block("adamw", top, LEFT, N_INPUTS, len(y))
        target = inputs._replace(top=top + N_INPUTS, height=1)
        sheet.band(top - 1, LEFT - 1, N_TRAIN + 1, f"{name}: a column is a point" + (" (30 of them)" if k else ""))
        sheet.values(inputs, x, "input_small")
        sheet.values(target, y[None], "input_small")
        for j in range(N_INPUTS):
            sheet.text(top + j, LEFT - 1, f"input {j + 1}", "label")
        sheet.text(top + N_INPUTS, LEFT - 1, "y", "label")
        for block, letter in ((inputs, "x"), (target, "y")):
            sheet.numbers_only(block)
            sheet.book.name(f"{name}_{letter}", block.ref)


def _blocks(form: int) -> dict[str, Block]:
    left = LEFT + form * (4 * N_INPUTS + 1)
    names = ("weights", "gradient", "direction", "squares")
    return {n: Block("adamw", TOP, left + k * N_INPUTS, N_STEPS + 1, N_INPUTS) for k, n in enumerate(names)}


def _write_steps(sheet: Sheet, paths: list[DecayPath]) -> None:
    for form, path in enumerate(paths):
        title, argument, cell, _ = FORMS[form]
        at = _blocks(form)
        sheet.band(TOP - 3, at["weights"].left, 4 * N_INPUTS, title)
        for words, block in at.items():
            sheet.text(TOP - 2, block.left, words, "label_left")
            for j in range(N_INPUTS):
                sheet.text(TOP - 1, block.left + j, str(j + 1), "head")
        formulas = _formulas(at, argument, cell)
        styles = {"weights": "item", "gradient": "gradient", "direction": "gradient", "squares": "gradient"}
        for name, block in at.items():
            sheet.formulas(block, formulas[name], getattr(path, name), styles[name])


def _formulas(at: dict[str, Block], argument: str, cell: str) -> dict[str, Any]:
    """Formulas by block; row t's averages include the decay in the gradient, if it is there."""
    w, g, d, s = (at[name] for name in ("weights", "gradient", "direction", "squares"))

    def gradient(t: int, j: int) -> str:
        return f"2*SUMPRODUCT(MMULT({w.row(t)},train_x)-train_y,INDEX(train_x,{j + 1},0))/COUNT(train_y)"

    def whole(t: int, j: int) -> str:
        return f"({g.at(t, j)}+{cell}*{w.at(t, j)})" if argument == "l2" else g.at(t, j)

    def direction(t: int, j: int) -> str:
        return f"adamw_beta1*{d.at(t - 1, j) if t else 0}+(1-adamw_beta1)*{whole(t, j)}"

    def squares(t: int, j: int) -> str:
        return f"adamw_beta2*{s.at(t - 1, j) if t else 0}+(1-adamw_beta2)*{whole(t, j)}^2"

    def weights(t: int, j: int) -> str:
        if t == 0:
            return "0"
        old = w.at(t - 1, j)
        shrunk = f"{old}*(1-adamw_rate*{cell})" if argument == "wd" else old
        root = f"SQRT({s.at(t - 1, j)}/(1-adamw_beta2^{t}))"
        return f"{shrunk}-adamw_rate/(1-adamw_beta1^{t})*{d.at(t - 1, j)}/({root}+adamw_eps)"

    return {"weights": weights, "gradient": gradient, "direction": direction, "squares": squares}


def _write_curves(sheet: Sheet, paths: list[DecayPath]) -> None:
    """Train and test RMSE by step of each form; the last ones have names."""
    sheet.text(TOP - 1, 0, "step", "head")
    sheet.page.set_row(TOP - 1, 45)
    for t in range(N_STEPS + 1):
        sheet.value(TOP + t, 0, t, "centre")
    for form, path in enumerate(paths):
        w = _blocks(form)["weights"]
        for k, part in enumerate(("train", "test")):
            column = 1 + 2 * form + k
            sheet.text(TOP - 1, column, f"{part}, {('no decay', 'AdamW', 'L2')[form]}", "head")
            curve = Block("adamw", TOP, column, N_STEPS + 1, 1)

            def rmse(t: int, _: int, w: Block = w, part: str = part) -> str:
                return f"SQRT(SUMXMY2(MMULT({w.row(t)},{part}_x),{part}_y)/COUNT({part}_y))"

            sheet.formulas(curve, rmse, path.rmse[:, k : k + 1], ("train", "tested")[k])
            sheet.book.name(f"adamw_{part}{form + 1}", curve.fixed(N_STEPS))


def _chart(book: Book) -> Any:
    chart = book.file.add_chart({"type": "line"})
    steps_ref = Block("adamw", TOP, 0, N_STEPS + 1, 1).ref
    for form, (_, _, _, colour) in enumerate(FORMS):
        for k, (part, dash) in enumerate((("train", "solid"), ("test", "dash"))):
            values = Block("adamw", TOP, 1 + 2 * form + k, N_STEPS + 1, 1).ref
            name = f"{('no decay', 'AdamW', 'L2')[form]}, {part}"
            look = {"line": {"color": colour, "width": 2, "dash_type": dash}}
            chart.add_series({"name": name, "categories": f"={steps_ref}", "values": f"={values}", **look})
    chart.set_title({"name": "RMSE by step", "name_font": {"size": 12}})
    chart.set_x_axis({"name": "step", "interval_unit": 20, "interval_tick": 20})
    grid = {"visible": True, "line": {"color": "#E5E5E5"}}
    chart.set_y_axis({"name": "RMSE", "min": 0, "num_format": "0.0", "major_gridlines": grid})
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 480, "height": 410})
    return chart
