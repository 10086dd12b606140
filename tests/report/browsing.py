"""A real browser, off the network, for pages that lie on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",  # tests may run as root, where Chromium's own does not
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
]


@dataclass
class View:
    """An open page, and what it complained of or asked for."""

    page: sync_api.Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    got: list[str] = field(default_factory=list)

    def open(self, file: Path) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda line: self.complaints.append(line.text) if line.type == "error" else None,
        )
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfinished", lambda request: self.got.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")
        charts = "document.querySelectorAll('.chart').length"
        self.page.wait_for_function(f"Object.keys(Bokeh.index).length >= {charts}")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    path = os.environ.get("BATCHFIM_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), "")
    if not path:
        pytest.skip("needs Chromium (apt-get install chromium, or set BATCHFIM_CHROMIUM)")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def view(request: pytest.FixtureRequest, browser: sync_api.Browser) -> Iterator[View]:
    context = browser.new_context(color_scheme=request.param, offline=True)
    yield View(context.new_page())
    context.close()
