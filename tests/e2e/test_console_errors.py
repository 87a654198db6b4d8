"""The console's error messages: in the user's language, and removed when the error is over."""

from __future__ import annotations

import re

from playwright.async_api import Browser, Route, expect

from orastream.client.async_client import Client
from tests.support.console import MARKS, ask, live, newest, until_status
from tests.support.services import ServiceProcess, Stack

pytestmark = MARKS


async def test_page_shows_that_the_node_is_not_available(
    browser: Browser, gateway: ServiceProcess, console_node: Stack
) -> None:
    """The gateway works, but JetStream does not: the page shows it, and shows when it is over."""
    async with live(browser, gateway) as page:
        await page.route("**/api/node", lambda route: route.abort())  # only the events show it
        link = page.locator("#link")
        console_node.nats_server.kill()
        try:
            await expect(link).to_have_attribute("data-state", "node")
            await expect(link).to_have_text("The node is not available")
            await expect(page.locator("#status")).to_have_text("The node is not available")
            colours = await page.evaluate(
                "['var(--bad)', 'var(--good)'].map((colour) => { const e = document.createElement('i');"
                "e.style.color = colour; document.body.append(e); return getComputedStyle(e).color; })"
            )
            dot = await link.evaluate("(link) => getComputedStyle(link, '::before').backgroundColor")
            assert (dot == colours[0], dot == colours[1]) == (True, False)
            await page.select_option("#language", "ko")
            await expect(link).to_have_text("노드를 사용할 수 없음")
            await page.select_option("#language", "en")
        finally:
            await console_node.nats_server.start()
        await expect(link).to_have_attribute("data-state", "live")


async def test_page_opened_without_a_node_shows_that_it_is_not_available(
    browser: Browser, gateway: ServiceProcess
) -> None:
    """Polls find a node that does not answer although NATS is connected. Here polls and events are refused."""
    refusal = '{"error": {"code": "unavailable", "message": "the node does not answer", "retryable": true}}'

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, content_type="application/json", body=refusal)

    async with live(browser, gateway) as page:
        link = page.locator("#link")
        await page.route("**/api/node", refuse)
        await expect(link).to_have_attribute("data-state", "node")
        await page.unroute("**/api/node")
        await expect(link).to_have_attribute("data-state", "live")
        await page.route("**/api/events", refuse)
        await page.reload()
        await expect(link).to_have_attribute("data-state", "node")
        await page.unroute("**/api/events")
        await expect(link).to_have_attribute("data-state", "live")
        await ask(page, "Back.", speed="2")
        await until_status(page, "delivered")


async def test_error_is_removed_when_it_is_over(browser: Browser, gateway: ServiceProcess) -> None:
    """A connection error goes when the connection is back; an utterance's error when it is delivered after all."""

    async def lose(route: Route) -> None:
        await route.abort("connectionreset")

    async def store_and_lose(route: Route) -> None:
        await route.fetch()
        await route.abort("connectionreset")

    async with live(browser, gateway) as page:
        alert = page.locator("#alert")
        await page.route("**/api/convert-tts/", lose)
        await ask(page, "Never stored.")
        await expect(alert).to_have_text("The gateway does not answer")
        await page.route("**/api/events", lose)
        await page.click("#key-open")
        await page.click("#key-forget")  # it reconnects, and no gateway answers
        await expect(page.locator("#link")).to_have_attribute("data-state", "lost")
        await expect(alert).to_have_text("The gateway does not answer")
        await page.unroute("**/api/events")
        await expect(page.locator("#link")).to_have_attribute("data-state", "live")
        await expect(alert).to_be_hidden()

        await page.route("**/api/convert-tts/", store_and_lose)
        await ask(page, "Stored, and the answer is lost. " * 12)
        await expect(alert).to_have_text("The gateway does not answer")
        await until_status(page, "delivered")
        await expect(alert).to_be_hidden()


async def test_error_can_be_closed_with_the_keyboard(browser: Browser, gateway: ServiceProcess) -> None:
    """By keyboard; the focus moves to the text field."""
    async with live(browser, gateway) as page:
        await ask(page, "...")
        await expect(page.get_by_role("alert")).to_contain_text("invalid_request")
        await page.get_by_role("button", name="Close the error").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#alert-box")).to_be_hidden()
        assert await page.evaluate("document.activeElement.id") == "text"


async def test_errors_are_shown_in_korean(browser: Browser, gateway: ServiceProcess) -> None:
    """The message is in the user's language, also after a change; the server's text is shown as the detail."""
    async with live(browser, gateway, locale="ko-KR") as page:
        alert = page.locator("#alert")
        await ask(page, "...")
        await expect(alert).to_contain_text("요청이 올바르지 않습니다")
        await expect(alert.locator("[lang=en]")).to_have_text(
            "text: has nothing to say; send at least one letter or digit (invalid_request, HTTP 422)"
        )
        await expect(newest(page).locator("td.status")).to_have_attribute("title", re.compile("^요청이 올바르지"))
        await page.select_option("#language", "en")
        await expect(alert).to_contain_text("The node cannot speak this request")
        await page.select_option("#language", "ko")
        await ask(page, "안녕하세요", mode="forget", voice="nobody")
        await until_status(page, "failed")
        await expect(alert).to_contain_text("요청이 올바르지 않습니다")
        await expect(alert.locator("[lang=en]")).to_contain_text("voice")
        await expect(page.locator("#fall")).to_contain_text("요청이 올바르지 않습니다")


async def test_page_counts_the_characters_of_the_text(browser: Browser, gateway: ServiceProcess) -> None:
    """Counted as the node does, next to its limit; screen readers are told when the limit is exceeded."""
    async with live(browser, gateway) as page:
        text, count = page.locator("#text"), page.locator("#text-count")
        await expect(count).to_have_text("0 of 5,000 characters")
        await text.fill("네 \U0001f600")
        await expect(count).to_have_text("3 of 5,000 characters")
        await expect(text).to_have_accessible_description(re.compile("3 of 5,000 characters"))
        await text.fill("가" * 5_002)
        await expect(count).to_have_text("5,002 of 5,000 characters: 2 too many")
        await expect(text).to_have_attribute("aria-invalid", "true")
        await expect(page.locator("#status")).to_contain_text("2 too many")
        await page.click("#submit")
        await expect(page.locator("#alert")).to_contain_text("has 5002 characters")
        await text.fill("네")
        await expect(text).to_have_attribute("aria-invalid", "false")
        await page.select_option("#language", "ko")
        await expect(count).to_have_text("최대 5,000자 중 1자")


_LEFT_TO_RIGHT = """(element) => {
  const nodes = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const letters = [];
  for (let node; (node = nodes.nextNode()); ) {
    for (let at = 0; at < node.length; at++) {
      if (!/[0-9a-z/]/.test(node.data[at])) continue;
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      letters.push([range.getBoundingClientRect().left, node.data[at]]);
    }
  }
  return letters.sort(([a], [b]) => a - b).map(([, letter]) => letter).join("");
}"""
"""The letters of an element as they stand on the screen, from left to right."""


async def test_bidi_controls_in_ids_do_not_reorder_the_page(
    browser: Browser, gateway: ServiceProcess, client: Client
) -> None:
    """Neither in the row nor in titles and messages, also when the id tries to end its isolate."""
    session, request = "ab\u202ecd", "ef\u2069\u202egh"
    async with live(browser, gateway) as page:
        await client.say(
            "Hello", session_id=session, request_id=request, phone_id="p", voice="nobody", transport="none"
        )
        name = page.locator("#list tr", has_text="u202ecd").locator("button.link-like")
        shown = "abu202ecd/efu2069u202egh"
        assert await name.evaluate(_LEFT_TO_RIGHT) == shown
        await name.click()
        await expect(page.locator("#detail-name")).not_to_be_empty()
        assert await page.locator("#detail-name").evaluate(_LEFT_TO_RIGHT) == shown
        for text in (
            await name.get_attribute("title"),
            await page.inner_text("#list"),
            await page.inner_text("#detail"),
        ):
            assert text is not None and "\u202e" not in text and "\u2069\u202e" not in text
        await client.say("Hello", session_id="שלום", request_id="ab", phone_id="p", voice="nobody", transport="none")
        other = page.locator("#list tr", has_text="שלום").locator("button.link-like")
        assert await other.evaluate(_LEFT_TO_RIGHT) == "/ab"


async def test_foreign_texts_are_isolated(browser: Browser, gateway: ServiceProcess) -> None:
    """`foreign.js` and `t`: plain ids stay as they are."""
    async with live(browser, gateway) as page:
        for text, plain, title in [
            ("r-1/세션", "r-1/세션", "r-1/세션"),
            ("a\u202eb", "a\\u202eb", "a\\u202eb"),
            ("a\u2069b\u2068", "a\\u2069b\\u2068", "a\\u2069b\\u2068"),
            ("\u2068שלום\u2069", "\u2068שלום\u2069", "\u2068\u2068שלום\u2069\u2069"),
            ("שלום", "שלום", "\u2068שלום\u2069"),
            ("\u009b2J\u061c", "\\u009b2J\\u061c", "\\u009b2J\\u061c"),
        ]:
            found = await page.evaluate(
                "(text) => import('/console/foreign.js').then((of) => [of.visible(text), of.isolated(text)])",
                text,
            )
            assert found == [plain, title]
