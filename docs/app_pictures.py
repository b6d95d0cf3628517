"""The pictures of docs/howto/app.md: ``python docs/app_pictures.py MODEL``, a saved model of the lesson's data.

The app is served with a store of its own, a visitor in Chromium answers a few questions, and each page is taken at the
size of a small window, with 64 colours as other pictures. Needs the extra dev, and a Chromium that is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from build import keep
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1000, "height": 640}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LOVED = {"Forrest Gump": 4, "Toy Story": 3, "Star Wars: Episode V": 4, "Pretty Woman": 1}  # title -> place of its star


@contextmanager
def served(model: str, folder: Path) -> Iterator[str]:
    """The address of the app."""
    command = [sys.executable, "-m", "dotbias", "serve", model, "--port", "0", "--json"]
    store = f"sqlite:///{folder}/ratings.db"
    child = subprocess.Popen([*command, "--store", store], stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads("".join(iter(child.stdout.readline, "}\n")) + "}")["address"]  # type: ignore[union-attr]
    finally:
        child.terminate()
        child.wait()


def settled(page: Page) -> None:
    """Wait until nothing is loading."""
    page.wait_for_selector("[aria-busy]", state="detached")
    page.wait_for_timeout(400)


def for_you(page: Page) -> None:
    page.wait_for_selector(".question")
    for title, star in LOVED.items():
        page.get_by_role("searchbox").fill(title)
        page.locator(".found .item", has_text=title).first.locator(".stars button").nth(star).click()
        settled(page)
    page.wait_for_selector("text=Because of")
    page.wait_for_timeout(3000)  # reasons come one after the other
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")


def on_the_map(page: Page) -> None:
    page.wait_for_selector("canvas[tabindex]")
    page.get_by_role("searchbox").fill("Matrix")
    page.locator(".found button").first.click()
    page.wait_for_selector("h2:has-text('Matrix')")
    for _ in range(2):
        page.get_by_role("button", name="Zoom out").click()
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 150)")


def best(page: Page) -> None:
    page.wait_for_selector("td .range")


def inside(page: Page) -> None:
    page.wait_for_selector("table.grid b:not(:empty)")
    page.locator("table.grid tbody button").nth(15).click()
    page.wait_for_selector("text=They differ by at most")
    page.evaluate("scrollTo(0, 190)")


PICTURES: dict[str, tuple[str, Callable[[Page], Any]]] = {
    "app-for-you": ("/", for_you),
    "app-map": ("/#/map", on_the_map),
    "app-best": ("/#/best", best),
    "app-inside": ("/#/inside?run=60%2Cmomentum%2C0.01%2C0.5%2C0", inside),
}


def main() -> None:
    """All four."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name, served(sys.argv[1], Path(name)) as address, sync_playwright() as p:
        page = p.chromium.launch(executable_path=chromium, args=ARGUMENTS).new_page(viewport=SIZE, base_url=address)
        page.set_default_timeout(120_000)
        for picture, (path, draw) in PICTURES.items():
            page.goto(path)
            draw(page)
            settled(page)
            page.screenshot(path=Path(name) / f"{picture}.png")
            keep(Path(name) / f"{picture}.png", rare=True)


if __name__ == "__main__":
    main()
