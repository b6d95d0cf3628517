"""The sheet *learn*: settings of two runs, what each comes to beside the constant and the biases, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._descend import Epoch, Plan, Reference, Settings
from ._epochs import band, curve, dashed, rmse
from ._sheet import Block, Book, Sheet, Value

TOP = 4  # the first setting's row
SHARED, RESULTS, CURVE = TOP + 9, TOP + 15, TOP + 24
CHART, AIDS = 8, 19  # the first column of the charts, and of the numbers that only they draw
RUNS = ("a", "b")

HELP = {
    "learning_rate": "how far each step goes against the gradient",
    "momentum": "how much of the last step is taken again",
    "weight_decay": "the L2 penalty on all biases and factors",
    "biases": "off: users and items have factors only",
    "factors": "how many are used (0: biases only)",
    "initial_scale": "times the draws on the sheet split",
    "squashing": "a sigmoid around the dot product, or none",
    "padding": "how far the sigmoid ends outside the ratings' range",
}
LINES = (  # of the chart: words, column of the curve's table, colour, dash
    ("A, train", 1, "#C00000", "solid"),
    ("A, test", AIDS, "#C00000", "dash"),
    ("B, train", 4, "#0070C0", "solid"),
    ("B, test", AIDS + 1, "#0070C0", "dash"),
    ("constant, test", AIDS + 2, "#7F7F7F", "round_dot"),
    ("biases alone, test", AIDS + 3, "#548235", "round_dot"),
)


def write_learn(
    book: Book,
    plan: Plan,
    runs: Sequence[list[Epoch]],
    references: tuple[Reference, Reference],
    *,
    mean: float,
    y_range: tuple[float, float],
) -> None:
    """The sheet *learn*, for the runs A and B and what they must beat: (constant, biases alone)."""
    lead = "Gradient descent on the sheet itself, twice: change a yellow cell and both runs are computed anew."
    sheet = book.sheet("learn", "Learn", lead)
    _write_settings(sheet, plan, runs[0][0].users.shape[1] - 1)
    _write_shared(sheet, plan, mean, y_range)
    _write_results(sheet, runs, references)
    _write_curves(sheet, runs, references)
    sheet.page.insert_chart(2, CHART, _chart(book, len(runs[0]), "RMSE by epoch", LINES, 430))
    tests = [line for line in LINES if "test" in line[0]]
    sheet.page.insert_chart(CURVE - 1, CHART, _chart(book, len(runs[0]), "Test RMSE alone", tests, 430))
    sheet.scientific(Block("learn", RESULTS, 0, CURVE + len(runs[0]) - RESULTS, AIDS + 4))
    sheet.widths((0, 0, 17), (1, 6, 10.5), (7, 7, 2), (AIDS, AIDS + 3, 12))
    right = CHART + 10
    sheet.finish(freeze=(4, 0), area=Block("learn", 0, 0, CURVE + len(runs[0]), right))


def _offered(plan: Plan, k: int) -> dict[str, list[Value]]:
    """What the drop-downs offer; what is set is always among it."""

    def numbers(name: str, options: Sequence[float]) -> list[Value]:
        return sorted({*options, *(getattr(s, name) for s in (plan.a, plan.b))})

    return {
        "learning_rate": list(plan.rates),
        "momentum": numbers("momentum", [0.0, 0.3, 0.5, 0.8, 0.9]),
        "weight_decay": numbers("wd", [0.0, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0]),
        "biases": ["on", "off"],
        "factors": list(range(k + 1)),
        "initial_scale": numbers("scale", [0.01, 0.05, 0.1, 0.3, 0.5, 1.0, 2.0]),
        "squashing": ["none", "sigmoid"],
        "padding": numbers("pad", [0.0, 0.1, 0.25, 0.5, 1.0]),
    }


def chosen(s: Settings, k: int) -> dict[str, Value]:
    """A run's settings as the drop-downs show them."""
    return {
        "learning_rate": s.lr,
        "momentum": s.momentum,
        "weight_decay": s.wd,
        "biases": "on" if s.biases else "off",
        "factors": k if s.factors is None else s.factors,
        "initial_scale": s.scale,
        "squashing": "sigmoid" if s.squash else "none",
        "padding": s.pad,
    }


def _write_settings(sheet: Sheet, plan: Plan, k: int) -> None:
    for column, head in enumerate(("setting", "run A", "run B")):
        sheet.text(TOP - 1, column, head, "head")
    values = [chosen(s, k) for s in (plan.a, plan.b)]
    for row, (name, options) in enumerate(_offered(plan, k).items(), start=TOP):
        sheet.text(row, 0, name.replace("_", " "), "label")
        for column, run in enumerate(RUNS, start=1):
            source = sheet.book.choices(name, options)
            sheet.choose_from(row, column, values[column - 1][name], source, f"{name}_{run}")
        sheet.text(row, 3, HELP[name], "lead")


def _write_shared(sheet: Sheet, plan: Plan, mean: float, y_range: tuple[float, float]) -> None:
    """What both runs share; and one message where a setting is a text."""
    row = SHARED
    shares: list[float] = sorted({0.0, 0.1, 0.2, 0.3, 0.5, plan.test_share})
    sheet.text(row, 0, "test share", "label")
    sheet.choose(row, 1, plan.test_share, shares, "test_share")
    sheet.text(row, 3, "which part of the ratings is kept for testing", "lead")
    sheet.text(row + 1, 0, "global mean", "label")
    formula = "IF(COUNTIF(part,1)=0,0,SUMPRODUCT((part=1)*ratings)/COUNTIF(part,1))"
    sheet.formula(row + 1, 1, formula, mean, "input_number")
    sheet.numbers_only(Block("learn", row + 1, 1, 1, 1))
    sheet.book.name("global_mean", Block("learn", row + 1, 1, 1, 1).fixed())
    sheet.text(row + 1, 3, "of the train ratings; type 0 to do without", "lead")
    sheet.text(row + 2, 0, "ratings from, to", "label")
    sheet.named_input(row + 2, 1, y_range[0], "scale_low")
    sheet.named_input(row + 2, 2, y_range[1], "scale_high")
    sheet.text(row + 2, 3, "only the sigmoid asks", "lead")
    sheet.text(row + 3, 0, "gradient clip", "label")
    sheet.named_input(row + 3, 1, plan.clip, "gradient_clip")
    sheet.text(row + 3, 3, "no gradient beyond ± this: big numbers, no errors", "lead")
    numeric = [TOP + k for k in (0, 1, 2, 4, 5, 7)]
    counts = "+".join(f"COUNT(B{r + 1}:C{r + 1})" for r in numeric)
    words = "A setting is not a number: it counts as 0."
    sheet.formula(row + 4, 0, f'IF({counts}=12,"","{words}")', "", "warning")
    sheet.book.name("learn_message", Block("learn", row + 4, 0, 1, 1).fixed())


def verdict(test: float, constant: float) -> str:
    """What the sheet says of a test RMSE."""
    if test != test:
        return "no test ratings"
    return "beats the constant" if test < constant else "does not beat the constant"


def _write_results(sheet: Sheet, runs: Sequence[list[Epoch]], references: tuple[Reference, Reference]) -> None:
    """RMSE of the constant, the biases alone and both runs, side by side; and whether the constant is beaten."""
    heads = ("in the end", "train RMSE", "test RMSE", "lowest test", "at epoch")
    for column, head in enumerate(heads):
        sheet.text(RESULTS - 1, column, head, "head")
    guesses = {
        "constant": ("the global mean", "ratings-N(global_mean)"),
        "biases": ("biases alone", "ratings-N(global_mean)-user_biases-item_biases"),
    }
    for row, ((name, (words, errors)), reached) in enumerate(
        zip(guesses.items(), references, strict=True), start=RESULTS
    ):
        sheet.text(row, 0, words, "label")
        for column, value in enumerate(reached, start=1):
            sheet.formula(row, column, rmse(column, errors), dashed(value), "loss")
            part = ("train", "test")[column - 1]
            sheet.book.name(f"rmse_{part}_{name}", Block("learn", row, column, 1, 1).fixed())
    constant = f"C{RESULTS + 1}"
    _say(sheet, RESULTS + 1, references[1].test, constant, references[0].test)
    for k, epochs in enumerate(runs):
        _write_run(sheet, RESULTS + 2 + k, RUNS[k], epochs, 1 + 3 * k)
        _say(sheet, RESULTS + 2 + k, epochs[-1].test, constant, references[0].test)
    sheet.text(RESULTS + 4, 0, "Biases alone: the best ones, at run B's decay (sheet split).", "lead")


def _say(sheet: Sheet, row: int, test: float, constant: str, reached: float) -> None:
    mine = f"C{row + 1}"
    words = f'IF(ISNUMBER({mine}),IF({mine}<{constant},"beats","does not beat")&" the constant","no test ratings")'
    sheet.formula(row, 5, words, verdict(test, reached), "words")


def _write_run(sheet: Sheet, row: int, run: str, epochs: list[Epoch], left: int) -> None:
    n = len(epochs)
    train, test = (Block("learn", CURVE, left + j, n, 1) for j in (0, 1))
    tests = np.array([epoch.test for epoch in epochs])
    there = bool(np.isfinite(tests[0]))
    cells = (
        (train.at(n - 1), epochs[-1].train, "loss", f"rmse_train_{run}"),
        (test.at(n - 1), dashed(epochs[-1].test), "loss", f"rmse_test_{run}"),
        (f'IF(COUNT({test.all})=0,"–",MIN({test.all}))', float(tests.min()) if there else "–", "loss", f"lowest_{run}"),
        (
            f'IF(COUNT({test.all})=0,"–",MATCH(MIN({test.all}),{test.all},0)-1)',
            int(tests.argmin()) if there else "–",
            "centre",
            f"lowest_epoch_{run}",
        ),
    )
    sheet.text(row, 0, f"run {run.upper()}", "label")
    for column, (formula, value, style, name) in enumerate(cells, start=1):
        sheet.formula(row, column, formula, value, style)
        sheet.book.name(name, Block("learn", row, column, 1, 1).fixed())


def _write_curves(sheet: Sheet, runs: Sequence[list[Epoch]], references: tuple[Reference, Reference]) -> None:
    """The curves of both runs; beside them what the chart draws: no line (#N/A) where there are no test ratings."""
    n = len(runs[0])
    heads = ("epoch", *(f"{run}, {what}" for run in "AB" for what in ("train", "test", "loss")))
    for column, head in enumerate(heads):
        sheet.text(CURVE - 1, column, head, "head")
    sheet.text(CURVE - 2, AIDS, "for the charts (#N/A: no line)", "lead")
    for column, words in ((column, words) for words, column, _, _ in LINES if column >= AIDS):
        sheet.text(CURVE - 1, column, words, "head")
    for e in range(n):
        sheet.value(CURVE + e, 0, e, "centre")
    shape, k1 = runs[0][0].scores.shape, runs[0][0].users.shape[1]
    for k, run in enumerate(RUNS):
        values = curve(runs[k])
        for e in range(n):
            top = band(run, shape, k1, e).top
            for j, style in enumerate(("train", "tested", "long")):
                source = f"epochs_{run}!$B${top + 2 + j}"
                sheet.formula(CURVE + e, 1 + 3 * k + j, source, dashed(values[e, j]), style)
    _write_lines(sheet, [[epoch.test for epoch in epochs] for epochs in runs], references, n)


def _write_lines(sheet: Sheet, tests: list[list[float]], references: tuple[Reference, Reference], n: int) -> None:
    sources = [lambda e, c=c: f"{c}{CURVE + e + 1}" for c in "CF"]
    sources += [lambda e, name=name: f"rmse_test_{name}" for name in ("constant", "biases")]
    values = [*tests, *([reference.test] * n for reference in references)]
    for column, (source, numbers) in enumerate(zip(sources, values, strict=True), start=AIDS):
        for e, value in enumerate(numbers):
            cell = source(e)
            shown = "#N/A" if value != value else value
            sheet.formula(CURVE + e, column, f"IF(ISNUMBER({cell}),{cell},NA())", shown, "pale_number")
    block = Block("learn", CURVE, AIDS, n, len(sources))
    sheet.mark(block, f"ISNA({block.at()})", font_color="#FFFFFF")


def _chart(book: Book, n: int, title: str, lines: Sequence[tuple[str, int, str, str]], height: int) -> Any:
    """Lines by epoch: all of them from 0, or the test lines alone, on an axis that fits them."""
    chart = book.file.add_chart({"type": "line"})
    epochs = "=" + Block("learn", CURVE, 0, n, 1).ref
    for words, column, colour, dash in lines:
        line = {"color": colour, "width": 2.25 if dash == "solid" else 1.75, "dash_type": dash}
        values = "=" + Block("learn", CURVE, column, n, 1).ref
        chart.add_series({"name": words, "categories": epochs, "values": values, "line": line})
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_x_axis({"name": "epoch", "interval_unit": 5, "interval_tick": 5, "position_axis": "on_tick"})
    look = {"major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}}}
    whole = {"min": 0, "num_format": "[>=100000]0E+00;0.0"} if len(lines) == len(LINES) else {"num_format": "General"}
    chart.set_y_axis({"name": "RMSE", **look, **whole})
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 640, "height": height})
    return chart
