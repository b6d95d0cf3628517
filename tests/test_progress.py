"""Telling of a fit: one kind of step, shown as a line, kept as a row."""

import pytest

from dotbias.progress import Step, telling


def test_a_step_is_a_row_and_a_line():
    step = Step("epoch", 3, 10, {"train": 0.8123456, "valid": 0.9, "lr": [0.1, 0.2]})
    assert step.row() == {"epoch": 3, "train": 0.8123456, "valid": 0.9, "lr": [0.1, 0.2]}
    assert str(step) == "epoch 3/10  train 0.8123  valid 0.9"
    assert str(Step("sweep", 3, None, {"phase": "search"})) == "sweep 3  phase search"


def test_a_function_is_told_every_step():
    told = []
    with telling(told.append, 2) as tell:
        tell(Step("pass", 1, 2, {}))
        tell(Step("pass", 2, 2, {}))
    assert [s.number for s in told] == [1, 2]


@pytest.mark.parametrize("progress, shown", [(True, "pass 1/2  train 0.5\n"), (False, ""), (None, "")])
def test_lines_where_there_is_no_terminal(capsys, progress, shown):
    with telling(progress, 2) as tell:
        tell(Step("pass", 1, 2, {"train": 0.5}))
    assert capsys.readouterr().err == shown


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for n_steps in (2, None):
        with telling(None, n_steps) as tell:
            tell(Step("pass", 1, n_steps, {"train": 0.5}))
