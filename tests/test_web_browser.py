"""A real browser: it rates ten items, sees the list change and the interval narrow, comes back and is still known.

Pictures are written to the folder $DOTBIAS_SCREENSHOTS, else to the run's temporary one.
"""

import os
import re
from pathlib import Path

import polars as pl
import pytest
from test_web_serve import serving
from web_browser import SIZES, chromium, visit

from dotbias.datasets import planted
from dotbias.recommender import Recommender
from dotbias.solvers.gibbs import gibbs

pytestmark = pytest.mark.slow
PAGES = {"for-you": ".recommended", "map": "canvas", "best": "td .range", "inside": "table.grid b:not(:empty)"}
QUIET = "[aria-busy]"
HOSTILE = {  # title -> what finds it
    "<img src=x onerror=alert(1)> (1999)": "onerror",
    "=HYPERLINK(1)": "hyper",
    "\u202egnp.exe (2001)": "gnp",
    "\u05e9\u05dc\u05d5\u05dd (2003)": "\u05e9\u05dc\u05d5\u05dd",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server of a small world with hostile titles, fitted by gibbs, so that there are intervals."""
    train = planted(150, 100, n_ratings=4_000, n_factors=3, noise=0.4, rng=3).ratings
    table = train.item_table
    titles = [*HOSTILE, *table["title"].to_list()[len(HOSTILE) :]]
    train = train.with_item_table(table.with_columns(title=pl.Series(titles)))
    scorer = gibbs(train, n_factors=6, n_sweeps=60, keep=40, noise=0.5, rng=0, progress=False)
    folder = Recommender(scorer, train, settings={"fitter": "gibbs"}).save(tmp_path_factory.mktemp("b") / "model")
    with serving(folder) as (said, _):
        yield said["address"]


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = Path(os.environ.get("DOTBIAS_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def listed(page):
    return [item.get_attribute("data-item") for item in page.locator(".recommended").all()]


def rate_the_first(page, star):
    """Answer the first question, and wait until the page has followed."""
    first = page.locator(".question").first.get_attribute("data-item")
    page.locator(".question").first.locator(".stars button").nth(star).click()
    page.wait_for_selector(f'.question[data-item="{first}"]', state="detached")
    page.wait_for_selector(QUIET, state="detached")
    return first


def width(page):
    return float(page.locator("#width").get_attribute("data-width"))


def test_ten_stars_change_the_list_and_narrow_the_interval_and_are_still_known(browser, address):
    with visit(browser, address) as (page, faults):
        page.goto("/")
        page.wait_for_selector(".recommended")
        page.wait_for_selector(QUIET, state="detached")
        before, wide = listed(page), width(page)
        rated = [rate_the_first(page, (4, 0, 3)[k % 3]) for k in range(10)]
        after, narrow = listed(page), width(page)
        assert len(set(rated)) == 10 and not set(rated) & set(after)
        assert after != before and narrow < 0.9 * wide
        page.wait_for_selector("text=Because of")
        page.reload()
        page.wait_for_selector("text=10 rated, 0 not seen")
        assert listed(page) == after
        page.get_by_text("10 rated").click()
        page.get_by_role("button", name=re.compile("Take back")).first.click()
        page.wait_for_selector("text=9 rated, 0 not seen")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_text("9 rated").click()
        page.get_by_role("button", name="Delete all").click()
        page.wait_for_selector("text=Nothing yet")
        assert faults == []


def test_not_seen_and_a_title_that_is_typed(browser, address):
    with visit(browser, address) as (page, faults):
        page.goto("/")
        page.wait_for_selector(".question")
        page.locator(".question .notseen").first.click()
        page.wait_for_selector("text=0 rated, 1 not seen")
        page.get_by_role("searchbox").fill("onerror")
        page.wait_for_selector(".found .stars")
        assert "<img src=x onerror=alert(1)>" in page.locator(".found").inner_text()
        page.locator(".found .stars button").nth(4).click()
        page.wait_for_selector("text=1 rated, 1 not seen")
        assert faults == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_title_is_text_and_turns_nothing_around(browser, address, hostile):
    with visit(browser, address) as (page, faults):
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.goto("/")
        page.wait_for_selector(".question")
        page.get_by_role("searchbox").fill(HOSTILE[hostile])
        found = page.locator(".found .title", has_text=hostile)
        found.wait_for()
        assert found.evaluate("n => [n.tagName, n.children.length, getComputedStyle(n).unicodeBidi]") == [
            "BDI",
            0,
            "isolate",
        ]
        assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_opens_without_a_fault_and_fits(browser, address, pictures, size, scheme):
    with visit(browser, address, size, color_scheme=scheme) as (page, faults):
        page.goto("/")
        page.wait_for_selector(".question")
        rate_the_first(page, 4)
        for name, sign in PAGES.items():
            page.goto(f"/#/{name}")
            page.wait_for_selector(sign)
            page.wait_for_selector(QUIET, state="detached")
            page.screenshot(path=pictures / f"{name}-{size}-{scheme}.png", full_page=True)
            over = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0, f"{name} is {over} pixels too wide"
        page.goto("/docs")
        page.wait_for_selector("section code")
        assert faults == []


def test_links_can_be_shared_and_back_works(browser, address):
    with visit(browser, address) as (page, faults):
        page.goto("/#/inside?n=6&run=7%2Cadam%2C0.02%2C0.9%2C0.1")
        page.wait_for_selector("text=Step 7.")
        page.get_by_role("link", name="Map").click()
        page.wait_for_selector("canvas[tabindex]")
        page.go_back()
        page.wait_for_selector("text=Step 7.")
        assert "adam" in page.url and faults == []


def test_inside_steps_runs_resets_and_takes_a_cell_apart(browser, address):
    with visit(browser, address) as (page, faults):
        page.goto("/#/inside")
        page.wait_for_selector("text=Step 0.")
        page.get_by_role("button", name="Step").click()
        page.wait_for_selector("text=Step 1.")
        page.get_by_role("button", name="Run").click()
        page.wait_for_selector("text=/Step [1-9][0-9]+[.]/")
        page.get_by_role("button", name="Pause").click()
        page.locator("table.grid tbody button").nth(5).click()
        page.wait_for_selector("text=They differ by at most")
        page.get_by_role("button", name="Reset").click()
        page.wait_for_selector("text=Step 0.")
        assert faults == []


def test_the_keyboard_is_enough(browser, address):
    with visit(browser, address) as (page, faults):
        page.goto("/")
        page.wait_for_selector(".question")
        page.wait_for_selector(QUIET, state="detached")
        page.locator(".question .stars button").first.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=1 rated, 0 not seen")
        page.goto("/#/map")
        page.wait_for_selector("canvas[tabindex]")
        page.locator("canvas").focus()
        for key in ("+", "ArrowLeft", "ArrowUp", "-", "0"):
            page.keyboard.press(key)
        assert faults == []


def test_a_server_that_is_gone_is_said(browser, address):
    with visit(browser, address) as (page, _):
        page.goto("/")
        page.wait_for_selector(".question")
        page.wait_for_selector(QUIET, state="detached")
        page.context.set_offline(True)
        page.locator(".question .stars button").first.click()
        page.wait_for_selector("text=The server cannot be reached.")
        page.context.set_offline(False)


LUMINANCE = """(selectors) => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const found = rgb(getComputedStyle(n).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255];
  };
  const texts = (n) => [...n.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
  return [...document.querySelectorAll(selectors)].filter((n) => n.offsetParent && texts(n)).map((n) => {
    const [a, b] = [light(rgb(getComputedStyle(n).color)), light(ground(n))];
    const name = n.tagName + '.' + n.className + ': ' + n.textContent.slice(0, 30);
    return [name, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_as_wcag_asks(browser, address, scheme):
    """Contrast of at least 4.5 (AA) for every text on every page; stars, which are signs, 3."""
    with visit(browser, address, color_scheme=scheme) as (page, faults):
        for name, sign in PAGES.items():
            page.goto(f"/#/{name}")
            page.wait_for_selector(sign)
            page.wait_for_selector(QUIET, state="detached")
            found = page.evaluate(LUMINANCE, "body *")
            assert len(found) > 10
            poor = [(text, round(c, 2)) for text, c in found if c < (3 if "★" in text else 4.5)]
            assert not poor, f"{name}: {poor[:5]}"
        assert faults == []


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_axe_finds_nothing_serious(browser, address, size, scheme):
    """Of axe-core's rules, on every page as a person who has rated something sees it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python").Axe()

    def grave(name):
        found = axe.run(page).response["violations"]
        nodes = [(v["id"], n["target"]) for v in found for n in v["nodes"] if v["impact"] in ("serious", "critical")]
        assert not nodes, f"{name}: {nodes[:5]}"

    with visit(browser, address, size, color_scheme=scheme) as (page, faults):
        page.goto("/")
        page.wait_for_selector(".question")
        rate_the_first(page, 4)
        for name, sign in PAGES.items():
            page.goto(f"/#/{name}")
            page.wait_for_selector(sign)
            page.wait_for_selector(QUIET, state="detached")
            for fold in page.locator("details:not([open]) > summary").all()[:2]:
                fold.click()
            if name in ("for-you", "map"):
                page.get_by_role("searchbox").fill("item")
                page.wait_for_selector(".found li")
            if name == "inside":
                page.locator("table.grid tbody button").first.click()
                page.wait_for_selector("text=They differ by at most")
            grave(name)
        page.goto("/docs")
        page.wait_for_selector("section code")
        grave("docs")
        assert faults == []
