"""A headless Chromium for tests: the machine's own one, driven by Playwright.

Screenshots are kept in the folder that MIRRORTUNE_SCREENSHOTS names, otherwise in the test's temporary folder.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 300_000
"""Milliseconds that an action in the browser may take: a busy machine is slow, not broken."""


@pytest.fixture(scope="module")  # other modules look at the processes that they started
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: expected one of {', '.join(NAMES)} on PATH")
    with playwright.sync_playwright() as started:
        # A container has no namespaces for the sandbox; the pages are our own.
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page in a window of 1280 x 900 that fails its test if the console had an error or a script raised one."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("MIRRORTUNE_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
