"""The exercises of the workbook of ratings, each carried out here, so that the Intro says what comes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._als import AlsSweep
from ._crosstab import Crosstab
from ._descend import Draws, Epoch, Plan, Settings, descend, mean_of, parts, references
from ._factors import one_step, sentence, starts
from ._intro import Exercise, Tour, number
from ._solver import MOST
from ._words import TEXT, UNKNOWN


class ExerciseMaterial(NamedTuple):
    """All that the sheets are made of."""

    table: Crosstab
    draws: Draws
    plan: Plan
    y_range: tuple[float, float]
    step_rate: float
    sweeps: tuple[list[AlsSweep], list[AlsSweep]]
    runs: tuple[list[Epoch], list[Epoch]]


def run(
    m: ExerciseMaterial,
    s: Settings,
    *,
    ratings: np.ndarray | None = None,
    mean: float | None = None,
    share: float | None = None,
) -> list[Epoch]:
    """One run with something changed: its settings, a rating, the global mean or the test share."""
    r = m.table.ratings if ratings is None else ratings
    part = parts(r, m.draws, m.plan.test_share if share is None else share)
    start = mean_of(r, part) if mean is None else mean
    return descend(r, part, m.draws, s, mean=start, y_range=m.y_range, clip=m.plan.clip)


def tours(m: ExerciseMaterial) -> list[Tour]:
    """Sheet by sheet: what it shows, what to try, what comes of it."""
    return [
        Tour(
            "dotprod",
            "Every prediction is a dot product: the row of numbers left of it times the column above it.",
            [_solver(m, bias=False), _step(m), _other_pair(m)],
        ),
        Tour(
            "bias",
            "The same with a bias for each user and item: some people rate high, some items everybody likes.",
            [_solver(m, bias=True), _bias_of_one(m)],
        ),
        Tour(
            "als",
            "The lowest RMSE without Solver: each user's factors are a regression on the items', and back, by turns.",
            [_paste(m)],
        ),
        Tour(
            "movielens_emb",
            "Ratings as rows, as a data set has them. An embedding is a row of a table, looked up.",
            [_one_hot(m)],
        ),
        Tour("words", "The same look-up for words: a text becomes a table of numbers.", _words()),
        Tour(
            "split",
            "Which ratings are kept for testing, and the biases alone, each a shrunken mean of what is left.",
            [_share(m)],
        ),
        Tour(
            "learn",
            "Gradient descent on the sheet, two runs side by side: A without weight decay, B with it; what the mean "
            "alone and the biases alone reach.",
            _learn(m),
        ),
        Tour("epochs_a", "Every epoch of run A as a band of formulas: the next band follows from it. epochs_b: run B."),
        Tour(
            "outcome",
            "Ratings above both runs' predictions, test ratings in gold; the items by two of their factors.",
            [_rating(m)],
        ),
    ]


def _solver(m: ExerciseMaterial, *, bias: bool) -> Exercise:
    name, lowest = "bias" if bias else "dotprod", m.sweeps[bias][-1].rmse
    users, items = starts(m.draws, bias=bias)
    before = one_step(m.table.ratings, users, items, m.step_rate, bias=bias).rmse
    cells = users.size + items.size
    see = f"RMSE falls from {number(before)} to about {number(lowest)}"
    see += f", with biases; without them {number(m.sweeps[0][-1].rmse)}." if bias else "."
    if cells > MOST:
        do = f"Excel's Solver takes {MOST} cells; here are {cells}. Let the sheet als find the lowest RMSE."
    else:
        do = "Data > Solver > Solve (Excel): what to change is stored. Or see the sheet als."
    return Exercise(do, see, check={f"rmse_als_{name}": lowest, f"rmse_{name}": before})


def _step(m: ExerciseMaterial) -> Exercise:
    users, items = starts(m.draws, bias=False)
    first = one_step(m.table.ratings, users, items, m.step_rate, bias=False)
    half = one_step(m.table.ratings, first.after[0], items, m.step_rate, bias=False)
    after = one_step(m.table.ratings, first.after[0], half.after[1], m.step_rate, bias=False)
    return Exercise(
        "Copy the users after one step, paste their values over the users above; then the items. Go on as you like.",
        f"RMSE {number(first.rmse)}, then {number(half.rmse)}, then {number(after.rmse)}.",
        {"dotprod_users": first.after[0], "dotprod_items": half.after[1]},
        {"rmse_dotprod": after.rmse},
    )


def _other_pair(m: ExerciseMaterial) -> Exercise:
    users, items = starts(m.draws, bias=False)
    user, item = m.table.user_labels[-1], m.table.titles[-1]
    words = sentence("dotprod", users[-1], items[:, -1], user, item, bias=False)[1]
    return Exercise(
        f"In the line 'one prediction, in words' choose user {user} and {item}.",
        f"It says: {words}.",
        {"dotprod_user": user, "dotprod_item": item},
        {"dotprod_words": words},
    )


def _bias_of_one(m: ExerciseMaterial) -> Exercise:
    users, items = starts(m.draws, bias=True)
    before = one_step(m.table.ratings, users, items, m.step_rate, bias=True).rmse
    users = users.copy()
    users[0, 0] = 1.0
    after = one_step(m.table.ratings, users, items, m.step_rate, bias=True)
    return Exercise(
        "Give the first user a bias of 1.",
        f"The whole row of predictions rises by 1; RMSE goes from {number(before)} to {number(after.rmse)}.",
        {"bias_users": users},
        {"rmse_bias": after.rmse, "bias_predictions": after.scores},
    )


def _paste(m: ExerciseMaterial) -> Exercise:
    last = m.sweeps[0][-1]
    return Exercise(
        "Paste the values of the last sweep without biases over the factors on dotprod.",
        f"RMSE there is {number(last.rmse)}: the lowest these factors find. With biases it is "
        f"{number(m.sweeps[1][-1].rmse)} here.",
        {"dotprod_users": last.users, "dotprod_items": last.items},
        {"rmse_dotprod": last.rmse},
    )


def _one_hot(m: ExerciseMaterial) -> Exercise:
    users, _ = starts(m.draws, bias=True)
    return Exercise(
        "Choose user row 2 in the yellow cell at the top.",
        "The one-hot vector times the table is that row of the table, "
        + " ".join(f"{value:.2f}" for value in users[1, :4])
        + " …: what the look-up finds without multiplying.",
        {"one_hot_user": 2},
        {"one_hot_product": users[1:2], "one_hot_looked_up": users[1:2]},
    )


def _words() -> list[Exercise]:
    text = [word.lower() for word in TEXT.split()]
    vocabulary = [UNKNOWN, *sorted(set(text))]
    exercises = []
    for word, words in (("snow", "its row and its numbers take the first row's place"), ("movie", "not in the table")):
        found = vocabulary.index(word) + 1 if word in vocabulary else 1
        rows = np.array([[found, *(vocabulary.index(w) + 1 for w in text[1:])]]).T
        typed = np.array([[word, *text[1:]]], dtype=object).T
        see = f"Row {found}: {words}." if found > 1 else f"Row 1, {UNKNOWN}: {words}."
        do = f"Type {word} over the first word."
        exercises.append(Exercise(do, see, {"text_words": typed}, {"text_rows": rows}))
    return exercises


def _share(m: ExerciseMaterial) -> Exercise:
    a = run(m, m.plan.a, share=0.0)[-1]
    return Exercise(
        "On learn, set the test share to 0.",
        f"Every rating is for training: run A's train RMSE is {number(a.train)}, and test RMSE is a dash with no line.",
        {"test_share": 0},
        {"rmse_train_a": a.train, "rmse_test_a": "–", "rmse_test_constant": "–", "lowest_a": "–"},
    )


def _learn(m: ExerciseMaterial) -> list[Exercise]:
    a, b = m.plan.a, m.plan.b
    k = m.draws.users.shape[1]
    fast = max(m.plan.rates)
    part = parts(m.table.ratings, m.draws, m.plan.test_share)
    constant = references(m.table.ratings, part, mean=mean_of(m.table.ratings, part), wd=b.wd)[0].test
    return [
        Exercise(
            "Look at the chart before you change anything.",
            f"{_course(m.runs[0], 'A')} {_course(m.runs[1], 'B')} The mean alone: {number(constant)}.",
            check={"rmse_train_a": m.runs[0][-1].train, "rmse_train_b": m.runs[1][-1].train}
            | ({"rmse_test_constant": constant} if constant == constant else {}),
        ),
        _changed(m, f"Set run A's momentum to {0.8:g}.", {"momentum_a": 0.8}, a._replace(momentum=0.8)),
        _changed(m, "Set run A's factors to 0: biases only.", {"factors_a": 0}, a._replace(factors=0)),
        _changed(m, "Set run A's biases off.", {"biases_a": "off"}, a._replace(biases=False)),
        _changed(m, f"Give run A run B's weight decay, {b.wd:g}.", {"weight_decay_a": b.wd}, a._replace(wd=b.wd)),
        _changed(m, f"Set run A's learning rate to {fast:g}.", {"learning_rate_a": fast}, a._replace(lr=fast)),
        _changed(m, "Squash run A by a sigmoid.", {"squashing_a": "sigmoid"}, a._replace(squash=True)),
        _changed(m, "Type 0 over the global mean.", {"global_mean": 0}, a, mean=0.0),
        *([] if k < 2 else [_changed(m, "Set run A's factors to 1.", {"factors_a": 1}, a._replace(factors=1))]),
    ]


def _course(epochs: list[Epoch], name: str) -> str:
    """How a run went, from its numbers."""
    tests = np.array([epoch.test for epoch in epochs])
    train = f"Run {name}: train RMSE {number(epochs[0].train)} to {number(epochs[-1].train)}"
    if not np.isfinite(tests).all():
        return train + "."
    lowest = int(tests.argmin())
    if tests[-1] > 1.01 * tests[lowest]:
        return train + f", test lowest at epoch {lowest}, {number(tests[lowest])}, then up to {number(tests[-1])}."
    return train + f", test {number(tests[0])} to {number(tests[-1])}."


def _changed(
    m: ExerciseMaterial, do: str, edits: dict[str, float | str], s: Settings, *, mean: float | None = None
) -> Exercise:
    """Run A with one thing changed."""
    before, after = m.runs[0], run(m, s, mean=mean)
    see = f"Run A ends at train RMSE {number(after[-1].train)} (before: {number(before[-1].train)})"
    check: dict[str, float | str] = {"rmse_train_a": after[-1].train}
    if np.isfinite(after[-1].test):
        see += f" and test RMSE {number(after[-1].test)} ({number(before[-1].test)})"
        check["rmse_test_a"] = after[-1].test
    if after[-1].train > after[0].train:
        see += ": higher than at the start, it diverges"
    return Exercise(do, see + ".", edits, check)


def _rating(m: ExerciseMaterial) -> Exercise:
    low, high = m.y_range
    part = parts(m.table.ratings, m.draws, m.plan.test_share)
    places = np.argwhere(part == 1) if (part == 1).any() else np.argwhere(part > 0)
    u, i = (int(k) for k in places[0])
    ratings = m.table.ratings.copy()
    ratings[u, i] = low if ratings[u, i] > (low + high) / 2 else high
    before, after = m.runs[0][-1].scores[u, i], run(m, m.plan.a, ratings=ratings)
    return Exercise(
        f"On dotprod, make user {m.table.user_labels[u]}'s rating of {m.table.titles[i]} {ratings[u, i]:g}.",
        f"Run A's prediction of it goes from {number(before)} to {number(after[-1].scores[u, i])}, and others with it.",
        {"ratings": ratings},
        {"rmse_train_a": after[-1].train, "part": part},
    )
