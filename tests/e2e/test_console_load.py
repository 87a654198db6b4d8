"""The console under load: many and long utterances, with the browser's limit of six connections."""

from __future__ import annotations

import asyncio
import time

from playwright.async_api import Browser, Route, expect

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from tests.support.console import LONG, MARKS, ask, live
from tests.support.services import ServiceProcess, Stack

pytestmark = MARKS


async def test_cancel_is_sent_while_five_utterances_wait(
    browser: Browser, gateway: ServiceProcess, console_node: Stack, client: Client
) -> None:
    """A browser opens at most six connections to a host: five waiting and playing utterances must not take all."""
    async with live(browser, gateway) as page:
        for _ in range(5):
            await ask(page, LONG, mode="sync", session="awaited")
        rows = page.locator("#list tbody tr", has_text="awaited")
        await expect(rows).to_have_count(5)
        await expect(page.locator("#playing")).to_contain_text(" of ")
        began = time.monotonic()
        await page.get_by_role("button", name="Cancel session awaited").click()
        await expect(rows.locator("td[data-status=cancelled]")).to_have_count(5)
        assert time.monotonic() - began < 5
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")
        names = await page.locator("#list tbody th button").evaluate_all("(all) => all.map(({title}) => title)")
    requests = [name.split(" / ")[1] for name in names if name.startswith("awaited / ")]
    for request in requests:  # a request that was never sent has no report
        report = await client.report("awaited", request)
        assert report is None or report.status == "cancelled"
    last_report = await client.say(
        "After it.", session_id="awaited", phone_id="console", fire_and_forget=False, speed=2.0
    )
    assert isinstance(last_report, Report) and last_report.status == "delivered"
    received = await console_node.received("awaited")
    assert sum(bool(utterance["complete"]) for utterance in received["utterances"]) == 1


async def test_queued_request_is_not_sent_after_its_session_is_cancelled(
    browser: Browser, gateway: ServiceProcess, client: Client
) -> None:
    """Only one speak call runs at a time. It arrives after the cancel and is cancelled; the next one is not sent."""
    held = asyncio.Event()
    sent: list[str] = []

    async def hold(route: Route) -> None:
        sent.append(str(route.request.post_data_json["requestId"]))
        await held.wait()
        await route.continue_()

    async with live(browser, gateway) as page:
        await page.route("**/api/convert-tts/", hold)
        for _ in range(2):
            await ask(page, LONG, mode="forget", session="late")
        rows = page.locator("#list tbody tr", has_text="late /")
        await expect(rows).to_have_count(2)
        async with page.expect_response("**/api/cancel/late"):
            await page.get_by_role("button", name="Cancel session late").click()
        held.set()
        await expect(rows.locator("td[data-status=cancelled]")).to_have_count(2)
        await expect(page.locator("#sessions")).to_be_hidden()
    assert len(sent) == 1
    report = await client.report("late", sent[0])
    assert report is not None and report.status == "cancelled"


async def test_audio_is_scheduled_at_most_ten_seconds_ahead(
    browser: Browser, gateway: ServiceProcess, client: Client
) -> None:
    """The browser buffers only the next part of long speech; the gateway keeps the rest. Two tracks are read."""
    audio_urls: set[str] = set()
    async with live(browser, gateway) as page:
        page.on("request", lambda request: audio_urls.add(request.url) if "/api/audio/" in request.url else None)
        for request in ("r1", "r2", "r3"):
            await client.say(LONG, session_id="ahead", phone_id="p", request_id=request, transport="none", speed=2.0)
        for request in ("r1", "r2", "r3"):
            await client.wait("ahead", request, 60)
            await page.get_by_role("button", name=f"Listen to {request}").click()
        await page.wait_for_function("() => recorded.ahead > 9")
        await page.wait_for_timeout(3_000)  # time for audio that must not come
        assert await page.evaluate("recorded.ahead") < 12
        playing = await page.inner_text("#playing")  # it still shows the whole length
        assert float(playing.split(" of ")[1].split(" s")[0]) > 25
        captions = {url for url in audio_urls if url.endswith("?captions=vtt")}  # of the track that sounds
        assert (len(audio_urls - captions), len(captions)) == (2, 1)
        await page.click("#stop")
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")


async def test_only_rows_in_view_are_drawn(browser: Browser, gateway: ServiceProcess, client: Client) -> None:
    """Rows in view are drawn twice a second, so hundreds of live utterances cost little CPU time."""
    async with live(browser, gateway) as page:
        for number in range(60):
            await client.say(LONG, session_id="drawn", phone_id="p", request_id=f"d{number}", transport="none")
        rows = page.locator("#list tbody tr", has_text="drawn")
        await expect(rows).to_have_count(60)
        await page.wait_for_timeout(1_000)
        drawn = await page.evaluate(
            """async () => {
                const drawn = new Map();
                const watch = new MutationObserver((all) => {
                    for (const line of new Set(all.map(({target}) => target.closest?.("tr")))) {
                        if (line) drawn.set(line, (drawn.get(line) ?? 0) + 1);
                    }
                });
                watch.observe(document.querySelector("#list tbody"), {childList: true, subtree: true});
                await new Promise((done) => setTimeout(done, 4000));
                return [...drawn.values()].sort((a, b) => b - a);
            }"""
        )
        await client.cancel("drawn")
        await expect(rows.locator("td[data-status=cancelled]")).to_have_count(60)
    # Rows in view change with each step, the row in work more often; the others only when their times change.
    assert sum(times > 4 for times in drawn) < 40
    assert drawn[2] <= 14
