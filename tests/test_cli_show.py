"""What a person sees: data as they are, no control character obeyed, tables that fit, every encoding."""

import io
import json
import os
import subprocess
import sys
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbias import Ratings, Recommender
from dotbias.baselines import bias
from dotbias.cli._options import as_option
from dotbias.cli._show import Column, Page, count, fit_widths, shortened, visible

TRAPS = ["[/]", "[red]x[/red]", "\x1b[31mred\x1b[0m", "two\nlines", "\u202eevil", ":smile:", "日本語の題名"]
TRAPS += ["Léon", "a\tb"]
HEADS = [Column("item"), Column("score", right=True), Column("title", cut=True)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model whose users, items and titles would be obeyed by a careless terminal."""
    folder = tmp_path_factory.mktemp("odd") / "m[red]"
    n = len(TRAPS)
    users, items = np.repeat([f"u{t}" for t in TRAPS], n), np.tile([f"i{t}" for t in TRAPS], n)
    keep = np.arange(n * n) % 4 > 0
    frame = pl.DataFrame({"user": users, "item": items, "rating": (np.arange(n * n) % 5 + 1.0)}).filter(keep)
    titles = pl.DataFrame({"item": [f"i{t}" for t in TRAPS], "title": TRAPS})
    ratings = Ratings.from_frame(frame).with_item_table(titles)
    Recommender(bias(ratings), ratings).save(folder)
    frame.write_parquet(folder.parent / "odd.parquet")
    return folder


def dotbias(*arguments, encoding="utf-8", **more):
    """(exit code, stdout, stderr) as bytes, of a process whose outputs have an encoding."""
    done = subprocess.run(
        [sys.executable, "-m", "dotbias", *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": encoding, **more}, capture_output=True, check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_data_are_shown_as_they_are_in_every_encoding(model, encoding):
    code, out, err = dotbias("recommend", model, "u[/]", "--keep-seen", "-n", 20, encoding=encoding)
    assert code == 0, err
    text = out.decode(encoding)
    for seen in ("[/]", "[red]x[/red]", "\\x1b[31mred\\x1b[0m", "two\\nlines", ":smile:", "a\\tb", "\\u202eevil"):
        assert seen in text
    assert "\x1b" not in text and text.count("\n") == 2 + len(TRAPS)
    assert ("日本語の題名" in text) == (encoding == "utf-8") and ("Léon" in text) == (encoding != "ascii")
    code, out, err = dotbias("recommend", model, "u\x1b[31mred\x1b[0m", "--json", encoding=encoding)
    assert code == 0, err
    assert json.loads(out.decode(encoding))[0]["title"] in TRAPS


@pytest.mark.parametrize("command", ["similar", "recommend"])
def test_errors_show_what_they_name(model, command):
    code, _, err = dotbias(command, model, "no\x1b[31m[/]")
    assert code in (2, 3) and b"\x1b" not in err and b"[/]" in err


def test_every_command_takes_odd_paths_and_ids(model, tmp_path):
    for arguments in (
        ["data", "show", model.parent / "odd.parquet"],
        ["export", model, "-o", tmp_path / "[bold]t"],
        ["data", "show", tmp_path / "[/]"],
        ["recommend", tmp_path / "[/]\x1b", "1"],
        ["fit", model.parent / "odd.parquet", "--fitter", "bias", "-o", tmp_path / "[/]m"],
        ["recommend", tmp_path / "[/]m", "u:smile:"],
    ):
        code, out, err = dotbias(*arguments, encoding="ascii")
        assert code in (0, 2, 3, 4), err
        assert b"\x1b" not in out + err


def test_odd_titles_are_drawn(model, tmp_path):
    code, out, err = dotbias("plot", model, "-o", tmp_path / "p$x$")
    assert code == 0 and b"fault" not in err and b"Warning" not in err
    text = out.decode()
    assert text.count("letters that the pictures' font lacks") == 1
    assert (tmp_path / "p$x$" / "crosstab.png").stat().st_size > 10_000


@pytest.mark.skipif(os.name != "posix", reason="POSIX shells")
@pytest.mark.parametrize("where", [">&-", "2>&-", "| head -1", "> /dev/full"])
def test_outputs_that_are_closed_cut_short_or_full(where):
    done = subprocess.run(
        f"{sys.executable} -m dotbias data list {where}", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr and "fault of dotbias" not in done.stderr
    assert (done.returncode == 4) == (where == "> /dev/full")


# Pieces --------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_what_is_visible_holds_no_control(text):
    shown = visible(text)
    shown.encode()  # no lone surrogates
    assert all(c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    assert visible(shown) == shown
    if text.isprintable():
        assert shown == text


def lines(monkeypatch, rows, heads=HEADS, *, width=None, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    Page(width=width).table(heads, rows)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding).split("\n")[:-1]


@pytest.mark.parametrize("width", [40, 80, 200, None])
def test_numbers_are_never_cut_and_titles_give_way(monkeypatch, width):
    monkeypatch.delenv("COLUMNS", raising=False)
    title = "The Lord of the Rings: The Return of the King, extended and restored " * 2
    rows = [(123_456, "4.123456", title), (7, "3.5", "日本語" * 30), (8, "1.25", None)]
    shown = lines(monkeypatch, rows, width=width)
    assert len(shown) == 4
    assert all(number in line for number, line in zip(("4.123456", "3.5", "1.25"), shown[1:], strict=True))
    if width is None or width == 200:
        assert title.strip() in shown[1]
    else:
        assert all(len(line) <= width for line in shown) and "…" in shown[1]
        assert max(map(len, shown)) > width - 3


def test_what_does_not_fit_becomes_blocks(monkeypatch):
    heads = ["name", Column("ratings", right=True), "about", "where"]
    rows = [("ml-100k", "100,000", "MovieLens 100K, 1998, with five splits", "/a/long/folder/of/data/ml-100k")]
    shown = lines(monkeypatch, rows, heads, width=40)
    assert shown[:3] == ["ml-100k", "  ratings 100,000", "  about MovieLens 100K, 1998, with five"]
    assert "/a/long/folder/of/data/ml-100k" in shown[-1]
    assert "  ratings 100,000  about MovieLens 100K, 1998, with five splits" in lines(
        monkeypatch, rows, heads, width=70
    )


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("0", None), ("x", None), ("", None), (None, None)])
def test_columns_says_how_wide_a_pipe_is(monkeypatch, columns, width):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert Page().width == width


def test_dots_are_plain_where_the_encoding_has_no_ellipsis(monkeypatch):
    shown = lines(monkeypatch, [(1, "2.5", "x" * 50)], width=40, encoding="latin-1")
    assert shown[1].endswith("x...")


@given(st.lists(st.integers(1, 60), min_size=3, max_size=3), st.integers(10, 200))
def test_widths_fit_or_are_refused(widths, width):
    widths = [max(w, len(c.name)) for w, c in zip(widths, HEADS, strict=True)]
    fitted = fit_widths(HEADS, widths, width)
    if fitted is not None:
        assert sum(fitted) + 4 <= width and fitted[:2] == widths[:2] and fitted[2] >= min(12, widths[2])
    else:
        assert widths[0] + widths[1] + min(12, widths[2]) + 4 > width


def test_small_words():
    assert (count(1, "user"), count(2, "user"), count(1_000, "item")) == ("1 user", "2 users", "1,000 items")
    assert shortened("日本語の題名", 7) == "日本語…" and shortened("abc", 3) == "abc"
    hints = {
        ("time", "False"): "--no-time",
        ("rating", "'stars'"): "--rating stars",
        ("y_range", "(1, 5)"): "--scale 1:5",
        ("item_table", ""): "--items",
        ("header", "False"): "--no-header",
        ("lr", "0.1"): "lr=0.1",
        ("duplicates", "'last'"): "--duplicates last",
    }
    for (name, value), option in hints.items():
        assert as_option(name, value) == option
