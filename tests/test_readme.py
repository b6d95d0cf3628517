"""README's commands and snippets, run as they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dotbias import planted

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(mark: str) -> list[str]:
    """Indented lines after <!-- mark -->, without their comments."""
    text = README.split(f"<!-- {mark} -->")[1]
    lines = [line for line in text.split("\n\n")[0].split("\n") if line.startswith("    ")]
    return [line.split("#")[0].strip() for line in lines]


def test_the_python_example(tmp_path):
    planted(60, 40, n_ratings=1_200, rng=5).ratings.to_frame().write_csv(tmp_path / "ratings.csv")
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "RMSE" in done.stdout
    assert "Recommendation(" in done.stdout


@pytest.mark.data
def test_the_commands(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DOTBIAS_DATA", str(data))
    commands = blocks("commands")
    assert len(commands) >= 6
    for command in commands:
        assert command.startswith("dotbias ")
        arguments = shlex.split(command)[1:] + ["--help"] * (" serve " in command)  # which would not end
        done = subprocess.run(
            [sys.executable, "-m", "dotbias", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)


def test_the_two_commands_are_the_makefiles():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    assert re.search(r"^demo:.*\n\t\$\(BIN\)/dotbias demo$", makefile, re.M)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_figures_and_output_were_written_by_a_script():
    """Both blocks are filled, and hold what bench/readme.py writes from a real run and from RESULTS.md."""
    for mark in ("demo", "results"):
        inside = README.split(f"<!-- {mark} -->")[1].split(f"<!-- /{mark} -->")[0]
        assert len(inside.strip()) > 100, mark
    results = (ROOT / "RESULTS.md").read_text()
    for row in re.findall(r"^\| .*$", README.split("<!-- results -->")[1].split("<!-- /results -->")[0], re.M):
        assert row in results, row
