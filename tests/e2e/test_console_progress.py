"""The console shows how far the delivery of the selected utterance is, in a real Chromium on a real node."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from tests.support.console import LONG, MARKS, ask, live, newest, until_status
from tests.support.services import ServiceProcess

pytestmark = MARKS

WIDTHS = """() => Object.fromEntries([...document.querySelectorAll("#delivery-bar rect")]
  .map((rect) => [rect.getAttribute("class"), Number(rect.getAttribute("width"))]))"""
PLAYED = """(least) => {
  const found = document.querySelector("#delivery-words").textContent.match(/played \\W*([\\d.]+) s/);
  return found && Number(found[1]) > least;
}"""


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
async def test_bar_of_a_running_delivery_goes_on_until_it_is_cancelled(
    browser: Browser, gateway: ServiceProcess, motion: Any
) -> None:
    async with live(browser, gateway, reduced_motion=motion) as page:
        await ask(page, LONG, mode="forget", session=f"bar-{motion}")
        await page.wait_for_function(PLAYED, arg=1.0)
        await expect(page.locator("#delivery")).to_be_visible()
        await expect(page.locator("#delivery-words")).to_have_text(re.compile("^Sent .* s.*, acknowledged .* s"))
        widths = await page.evaluate(WIDTHS)
        assert 0 < widths["played"] < widths["sent"] <= 1000 and widths["acked"] <= widths["sent"]
        await page.wait_for_function(PLAYED, arg=2.0)
        moves = await page.evaluate(
            "getComputedStyle(document.querySelector('#delivery-bar .played')).transitionDuration"
        )
        assert moves == ("0s" if motion == "reduce" else "0.25s")
        found = await Axe().run(page, context="#detail")
        assert found.violations_count == 0, found.generate_report()
        await page.get_by_role("button", name=re.compile("^Cancel session")).click()
        await until_status(page, "cancelled")
        await newest(page).get_by_role("button").first.click()  # not selected any more
        await expect(page.locator("#detail")).to_be_hidden()


async def test_a_request_without_delivery_has_no_bar(browser: Browser, gateway: ServiceProcess) -> None:
    async with live(browser, gateway) as page:
        await ask(page, "Hello there.", mode="none", session="no-bar", speed="2")
        await until_status(page, "delivered")
        await expect(page.locator("#detail")).to_be_visible()
        await expect(page.locator("#delivery")).to_be_hidden()
