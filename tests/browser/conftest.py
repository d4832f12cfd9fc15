"""A Chromium that reports every request which it wants to make.

Fixtures
--------
``chromium``
    its path; where there is none the test is skipped and says why, in CI it fails
``browser``
    a running one, for the module
``page``
    an empty page of its own
``outside``
    the addresses off this machine that ``page`` asked for so far (a list that should stay empty)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from support.script import load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_LOCAL_SCHEMES = {"", "about", "blob", "chrome", "data", "file"}
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in this folder needs a browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium(project: Path) -> Path:
    """The Chromium that set-up found or installed."""
    finder = load(project / "scripts" / "browser.py")
    found: Path | None = finder.find()
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(finder.none_found())
    return found


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """A running Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page in a context of its own: no cookies, no storage, A4-wide."""
    context = browser.new_context(viewport={"width": 1240, "height": 900}, locale="en-GB", timezone_id="UTC")
    yield context.new_page()
    context.close()


@pytest.fixture
def outside(page: Page) -> list[str]:
    """Fills with each address that the page asks for and that is not on this machine."""
    asked: list[str] = []

    def note(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme not in _LOCAL_SCHEMES and address.hostname not in _LOCAL_HOSTS:
            asked.append(request.url)

    page.context.on("request", note)
    return asked
