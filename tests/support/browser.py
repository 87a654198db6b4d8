"""A real Chromium for console tests, driven by Playwright. It must be installed; nothing is downloaded."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
ABSENT = f"no Chromium on PATH ({', '.join(NAMES)}); on Debian and Ubuntu: apt install chromium"


def chromium() -> Path | None:
    """The path of the installed browser, or None."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


def required() -> bool:
    """Whether a missing browser fails the test (REQUIRE_BROWSER=1) instead of skipping it."""
    return os.environ.get("REQUIRE_BROWSER") == "1"


@contextlib.asynccontextmanager
async def running_browser(*flags: str) -> AsyncIterator[Browser]:
    """A headless Chromium with a new profile, started with more `flags`; it is closed when the context ends."""
    path = chromium()
    assert path is not None, ABSENT
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, headless=True, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()
