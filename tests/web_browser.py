"""A person with a browser, for the tests of the page: Chromium, driven by Playwright, its faults collected."""

import shutil
from contextlib import contextmanager

import pytest

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"desktop": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 800}}


@contextmanager
def chromium():
    """The browser; the test is skipped where there is none."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def visit(browser, address, size="desktop", **more):
    """A page of a fresh visitor, and the list of its faults: errors of scripts, of the console, failed requests."""
    context = browser.new_context(viewport=SIZES[size], base_url=address, **more)
    page, faults = context.new_page(), []
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on(
        "requestfailed", lambda r: None if "ABORTED" in (r.failure or "") else faults.append(f"{r.url} {r.failure}")
    )
    page.on("request", lambda r: None if r.url.startswith((address, "blob:")) else faults.append(f"elsewhere: {r.url}"))
    yield page, faults
    context.close()
