"""Helpers of the console tests: a tab of a real Chromium on a real node, and user actions in it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Error, Page, expect

from tests.support.browser import ABSENT, chromium, required
from tests.support.services import ServiceProcess

LISTENER = Path(__file__).with_name("listener.js")
SHORT = "안녕하세요. 오늘은 날씨가 아주 맑습니다. 무엇을 도와드릴까요?"
LONG = "어제는 비가 왔지만 지금은 하늘이 파랗습니다. 점심에는 비빔밥이 좋습니다. " * 12
PATIENCE_MS = 30_000

MARKS = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(chromium() is None and not required(), reason=ABSENT),
]
"""The pytest marks of each module of console tests."""


@contextlib.asynccontextmanager
async def opened(
    browser: Browser, gateway: ServiceProcess, *, locale: str = "en-US", **options: Any
) -> AsyncIterator[Page]:
    """A new tab with the console open. At the end it raises AssertionError if the page had errors.

    Nothing moves by itself unless `reduced_motion` is "no-preference": a Chromium without a GPU draws with the CPU.
    """
    shown: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
    context = await browser.new_context(locale=locale, **{**shown, **options})
    try:
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.add_init_script(LISTENER.read_text())
        await visit(page, f"{gateway.url}/console")
        yield page
        assert errors == []
        assert await page.evaluate("recorded.violations") == []
    finally:
        await context.close()


async def visit(page: Page, url: str) -> None:
    """Open the URL. Retry if the browser aborts because a network address of this machine changed (a container)."""
    for last in (False, False, True):
        try:
            await page.goto(url)
            return
        except Error as exc:
            if last or "ERR_NETWORK_CHANGED" not in exc.message:
                raise


@contextlib.asynccontextmanager
async def live(browser: Browser, gateway: ServiceProcess, **options: Any) -> AsyncIterator[Page]:
    """As `opened`, and wait until the page receives the node's events."""
    async with opened(browser, gateway, **options) as page:
        await expect(page.locator("#link")).to_have_attribute("data-state", "live")
        yield page


async def ask(page: Page, text: str, *, mode: str = "none", **fields: str) -> None:
    """Fill in the form and submit it."""
    await page.fill("#text", text)
    await page.check(f"input[name=mode][value={mode}]")
    for name, value in fields.items():
        await page.fill(f"#{name}", value)
    await page.click("#submit")


def newest(page: Page) -> Any:
    """The table row of the newest utterance."""
    return page.locator("#list tbody tr").first


async def until_status(page: Page, status: str) -> None:
    await expect(newest(page).locator("td.status")).to_have_attribute("data-status", status)
