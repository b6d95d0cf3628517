"""The report: whole, offline, and nothing in a name is obeyed."""

import re
import xml.etree.ElementTree as ET

import pytest
from test_cli import files, run  # noqa: F401  fixtures

from dotbias import planted, split
from dotbias.experiments import compare
from dotbias.report import page, sections, svg

BAD = '"><script>alert(1)</script>&'
SETTINGS = {BAD: {"n_factors": 3, "n_epochs": 3}}


@pytest.fixture(scope="module")
def result():
    parts = split.random(planted(80, 60, n_ratings=2_000, n_factors=2, noise=0.4, rng=3).ratings, test=0.2, rng=0)
    return compare({"bias": "bias", BAD: "sgd"}, parts, settings=SETTINGS, details=True, n_resamples=50)


def test_every_section_is_there_and_every_figure(result):
    html = page(result, data="planted", split="random:0.2")
    for heading in ("Every figure", "How sure", "Error against time", "Do the guesses", "By what is known", "learned"):
        assert heading in html, heading
    for row in result.rows:
        assert f"{row.report.rmse:.4f}" in html
    assert html.count("<svg") >= 6 and "RMSE by user ratings" in html


def test_nothing_is_asked_from_elsewhere_and_no_name_is_obeyed(result):
    html = page(result, data=BAD, split=BAD)
    assert "<script" not in html and "javascript" not in html
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import|https?:""", html)
    assert "default-src 'none'" in html and "prefers-color-scheme:dark" in html
    for picture in re.findall(r"<svg.*?</svg>", html):
        ET.fromstring(picture)  # every quote and bracket of a name is escaped


def test_without_details_it_leaves_out_what_it_cannot_draw():
    parts = split.random(planted(40, 30, n_ratings=500, rng=3).ratings, test=0.2, rng=0)
    html = page(compare(["mean", "bias"], parts, n_resamples=0))
    assert "Do the guesses" not in html and "learned" not in html and "How sure" in html


def test_ticks_are_round_and_within():
    for low, high in ((0.58, 0.91), (-3.0, 7.0), (1e-6, 2e-6), (0.0, 1e7)):
        ticks = svg.Axis(low, high, 0, 100).ticks()
        assert 2 <= len(ticks) <= 9 and low <= ticks[0] and ticks[-1] <= high * (1 + 1e-9)
    assert svg.Axis(0.01, 20, 0, 100, log=True).ticks() == [0.01, 0.1, 1.0, 10.0]
    assert svg.Axis(3, 60, 0, 100, log=True).ticks() == [5, 10, 20, 50]
    assert svg.Axis(1, 100, 0, 100, log=True).at(10) == 50


def test_compare_writes_it(run, files):  # noqa: F811
    asked = ("compare", "all.csv", "--fitters", "mean,bias", "--split", "random:0.2", "--report")
    code, _, err = run(*asked, "out/report.html")
    assert code == 0 and "wrote out/report.html" in err
    assert "2 ways to fit all.csv" in (files / "out" / "report.html").read_text()
    (files / "file").write_text("")
    code, _, err = run(*asked, "file/report.html")
    assert code == 4 and "fitting" not in err


def test_names_beside_dots_lie_on_no_dot_and_no_other_name():
    dots = [(100.0, 200.0), (103.0, 202.0), (106.0, 199.0), (640.0, 200.0), (150.0, 205.0)]
    taken = [(a - 6, a + 6, b) for a, b in dots]
    for k, at in enumerate(dots):
        sections._label(f"fitter {k}", at, taken)
    names = taken[len(dots) :]
    for k, (a, b, y) in enumerate(names):
        for c, d, other in taken[: len(dots)] + names[:k]:
            assert b <= c or d <= a or abs(y - other) >= 12
