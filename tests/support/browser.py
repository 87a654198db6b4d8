"""A real Chromium for tests of the console, driven by Playwright: found on this machine, never downloaded."""

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
    """The browser that this machine has, or None."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


def required() -> bool:
    """Whether its absence is a failure (REQUIRE_BROWSER=1) and not a reason to skip."""
    return os.environ.get("REQUIRE_BROWSER") == "1"


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """A headless Chromium with a profile of its own, ended at the end."""
    path = chromium()
    assert path is not None, ABSENT
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
