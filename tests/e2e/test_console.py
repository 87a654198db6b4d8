"""The console in a real Chromium, on a real node: user actions, and the samples that reach the audio output."""

from __future__ import annotations

import io
import itertools
import re
import wave
from array import array
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Route, expect

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.heard import Heard
from tests.support.console import LONG, MARKS, SHORT, ask, live, newest, opened, until_status, visit
from tests.support.scenes import reference
from tests.support.services import ServiceProcess, Stack

KEY = "a key 열쇠"

pytestmark = MARKS


COLLECT_MARKED = """() => {
  window.marked = [];
  const mark = document.querySelector("#caption mark");
  new MutationObserver(() => mark.textContent && marked.push(mark.textContent)).observe(mark, { childList: true });
}"""
HEARD_AT = """async ([path, times]) => {
  const { cuesOf, heardAt } = await import("/console/captions.js");
  const cues = cuesOf(await (await fetch(`/api/audio/${path}?captions=vtt`)).text());
  return times.map((ms) => heardAt(cues, ms));
}"""
CLOCK = timedelta(seconds=2)
"""The page derives the server's clock from the arrival of events, so it may be late by the way of one."""
LISTENS = 4
"""How often the test listens again after its listener may have missed a part."""


def samples_of(wav: bytes) -> list[int]:
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (22_050, 2, 1)
        return array("h", file.readframes(file.getnframes())).tolist()


@dataclass
class Played:
    """What the page scheduled for the audio output, and what came out of it."""

    scheduled: list[dict[str, Any]]
    rendered: list[int]
    speech: str
    timeline: str
    missed: bool
    """The test's listener may have missed a part of `rendered`: the page was busy."""


async def play(browser: Browser, gateway: ServiceProcess, count: int) -> Played:
    """Speak SHORT, which has `count` samples, in a new tab, and wait until it has been played."""
    async with live(browser, gateway) as page:
        await ask(page, SHORT, mode="sync")
        await until_status(page, "delivered")
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")
        # The recorder's last block comes late and ends with silence.
        await page.wait_for_function(
            "(count) => recorded.missed || (recorded.samples.length >= count"
            " && recorded.samples.slice(-8000).every((sample) => sample === 0))",
            arg=count,
        )
        assert await page.evaluate("recorded.statusAtFirst") in ("queued", "synthesizing", "delivering")
        return Played(
            await page.evaluate("recorded.scheduled"),
            await page.evaluate("recorded.samples"),
            await newest(page).locator("td.number").nth(2).inner_text(),
            await page.inner_text("#fall"),
            await page.evaluate("recorded.missed"),
        )


async def test_all_samples_of_an_utterance_are_played_without_a_gap(browser: Browser, gateway: ServiceProcess) -> None:
    """Every sample of the engine reaches the audio output without a gap, the first ones before synthesis ends."""
    made = samples_of(await reference(SHORT))
    for _ in range(LISTENS):
        played = await play(browser, gateway, len(made))
        if not played.missed:
            break
    assert not played.missed, f"the listener was late {LISTENS} times: the machine is too busy for this test"
    scheduled, rendered, speech, timeline = played.scheduled, played.rendered, played.speech, played.timeline

    assert [round(sample) for piece in scheduled for sample in piece["samples"]] == made
    assert abs(float(speech.removesuffix(" s")) - len(made) / 22_050) < 0.01
    if "ran dry" in timeline:  # a busy machine may cause pauses, but no lost samples
        assert sum(map(bool, rendered)) == pytest.approx(sum(map(bool, made)), rel=0.02)
    else:
        ends = [piece["frame"] + len(piece["samples"]) for piece in scheduled]
        assert [round(piece["frame"] - end, 3) for piece, end in zip(scheduled[1:], ends, strict=False)] == [0.0] * (
            len(scheduled) - 1
        )
        first = next(index for index, sample in enumerate(made) if sample)
        last = max(index for index, sample in enumerate(made) if sample)
        assert rendered[: last + 1 - first] == made[first : last + 1]
    for step in ("Call", "Waiting", "Synthesis", "Delivery", "Played here", "First audio", "End"):
        assert step in timeline


@pytest.mark.parametrize(("mode", "via"), [("none", "here"), ("forget", "WebSocket"), ("http", "HTTP")])
async def test_request_in_each_mode_is_delivered_and_played(
    browser: Browser, gateway: ServiceProcess, client: Client, mode: str, via: str
) -> None:
    async with live(browser, gateway) as page:
        await ask(page, "The parcel has left.", mode=mode, session=f"modes-{mode}", speed="2")
        await until_status(page, "delivered")
        await expect(newest(page).locator("td.via")).to_have_text(via)
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")
        name = await page.inner_text("#detail-name")
        await page.wait_for_function("() => recorded.samples.some(Boolean)")
    report = await client.report(*name.split(" / "))
    assert report is not None
    assert report.transport == {"none": "none", "forget": "websocket", "http": "http"}[mode]


async def test_requests_of_other_clients_can_be_played(
    browser: Browser, gateway: ServiceProcess, client: Client
) -> None:
    """Requests of an LLM server appear by themselves and can be played while their audio is stored; mute works."""
    async with live(browser, gateway, reduced_motion="no-preference") as page:
        accepted_request = await client.say("Somebody else speaks.", session_id="세션 1/2", phone_id="p", speed=2.0)
        assert isinstance(accepted_request, Acceptance)
        await until_status(page, "delivered")
        await expect(newest(page).locator(".session")).to_have_text("세션 1/2")
        await page.click("#mute")
        await newest(page).get_by_role("button", name=re.compile("^Listen")).click()
        await expect(page.locator("#stop")).to_be_enabled()
        await expect(page.locator("#stop")).to_be_disabled()
        assert await page.evaluate("recorded.scheduled.length") > 0
        assert await page.evaluate("recorded.samples.length") == 0
        for fmt, rate in (
            ("opus", 22_050),
            ("mulaw", 8_000),
            ("alaw", 8_000),
        ):  # decoded as a whole; by a table while it streams
            await client.say("네.", session_id=fmt, phone_id="p", fire_and_forget=False, format=fmt)
            row = page.locator("#list tr", has=page.get_by_text(fmt, exact=True))
            await row.get_by_role("button", name=re.compile("^Listen")).click()
            await page.wait_for_function(f"() => recorded.rates.includes({rate})")
            await expect(page.locator("#stop")).to_be_disabled()
            await expect(page.locator("#alert")).to_be_hidden()
            await page.evaluate("recorded.rates = []")


@pytest.mark.parametrize(("locale", "zone"), [("en-US", "Asia/Seoul"), ("ko-KR", "America/New_York")])
async def test_each_request_has_the_time_of_day_where_the_browser_is(
    browser: Browser, gateway: ServiceProcess, client: Client, locale: str, zone: str
) -> None:
    """Also in a page that is opened after it. The time is that at which the node stored the request."""
    before = datetime.now(ZoneInfo(zone)).replace(microsecond=0)
    accepted = await client.say("What time is it?", session_id="clock", phone_id="p", transport="none", speed=2.0)
    assert isinstance(accepted, Acceptance)
    await client.wait("clock", accepted.request_id, 30)
    after = datetime.now(ZoneInfo(zone))
    async with live(browser, gateway, locale=locale, timezone_id=zone) as page:
        cell = page.locator("#list tbody tr", has_text=accepted.request_id).locator("td.at time")
        await expect(cell).to_have_text(re.compile(r"\d\d:\d\d:\d\d$"))
        stored = datetime.fromisoformat(await cell.get_attribute("datetime") or "")
        assert before - CLOCK <= stored <= after + CLOCK
        shown = stored.astimezone(ZoneInfo(zone)).strftime("%H:%M:%S")
        assert (await cell.inner_text()).endswith(shown)
        day_ms = 86_400_000
        other_day = "(ms) => import('/console/i18n.js').then(({timeOfDay}) => timeOfDay(ms[0], ms[1]))"
        said = await page.evaluate(other_day, [stored.timestamp() * 1000, stored.timestamp() * 1000 + day_ms])
        assert said.endswith(shown) and said != shown  # with its date
        for no_time in (None, 1e300):  # JSON has no NaN; 1e300 is beyond what a date can be
            assert await page.evaluate(other_day, [no_time, 0]) == "–"


async def test_the_word_that_is_heard_is_marked(browser: Browser, gateway: ServiceProcess, client: Client) -> None:
    """As soon as the audio is made; the words as they are written, at the times that are stored with the audio."""
    text = "안녕하세요. 오늘 손님 3명이 10시에 오셨습니다. 무엇을 <도와> 드릴까요? Good & well."
    async with live(browser, gateway) as page:
        await page.evaluate(COLLECT_MARKED)
        await ask(page, text, session="words")
        await expect(page.locator("#caption")).to_be_visible()
        await until_status(page, "delivered")
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")
        await expect(page.locator("#caption")).to_be_hidden()
        marked = await page.evaluate("marked")
        session, request = (await page.inner_text("#detail-name")).split(" / ")
        report = await client.report(session, request)
        assert report is not None
        messages = [message async for message in client.audio(session, request, report.request_seq)]
        words = [word for message in messages if isinstance(message, AudioChunk) for word in message.words]
        times = [(word.begin_ms + word.end_ms) / 2 for word in words]
        heard = await page.evaluate(HEARD_AT, [f"{session}/{request}", times])
    assert len(words) > 8
    for word, shown in zip(words, heard, strict=True):
        assert text[word.first : word.end] in shown["word"], "another word is marked"
        assert "".join(shown.values()) in text
    written = [shown["word"] for shown in heard]
    order = iter(written)
    assert all(word in order for word in marked), (marked, written)
    assert len(marked) >= 4 and marked[-1] == written[-1], "the engine takes a quarter of the time that is heard"


async def test_cancel_stops_the_playback_of_its_requests(
    browser: Browser, gateway: ServiceProcess, client: Client
) -> None:
    """Cancel one of two requests, then the session: playback of both stops, and their status is cancelled."""
    async with live(browser, gateway) as page:
        await ask(page, LONG, mode="forget", session="cancels")
        await expect(page.locator("#playing")).to_contain_text(" of ")
        await ask(page, LONG, mode="forget")
        row = page.locator("#sessions tbody tr")
        await expect(row).to_have_count(1)
        await expect(row.locator("td.number").first).to_have_text("1")
        await newest(page).get_by_role("button", name=re.compile("^Cancel")).click()
        await until_status(page, "cancelled")
        await expect(page.locator("#playing")).to_contain_text(" of ")
        await row.get_by_role("button", name="Cancel session cancels").click()
        await expect(page.locator("#list td[data-status=cancelled]")).to_have_count(2)
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")
        await expect(page.locator("#sessions")).to_be_hidden()
        await expect(page.locator("#list .cut del:visible")).to_have_count(2)  # by the records of ws_bridge
        await expect(page.locator("#cut-how")).to_have_text(re.compile("before the barge-in"))
        request = (await page.inner_text("#detail-name")).split(" / ")[1]
    report = await client.report("cancels", request)
    assert report is not None and report.status == "cancelled"


async def test_what_was_heard_before_a_barge_in_is_shown(
    browser: Browser, gateway: ServiceProcess, client: Client
) -> None:
    """The test stores the record, as a bridge does, and looks at it by an event and after the page was opened again."""
    heard = "하나 <b>둘</b> " + "셋 " * 30 + "넷"
    async with live(browser, gateway) as page:
        accepted = await client.say("하나 둘", session_id="barge-in", phone_id="p", transport="websocket")
        assert isinstance(accepted, Acceptance)
        await until_status(page, "delivered")
        row = newest(page)
        await expect(row.locator(".cut")).to_be_hidden()
        subject = client.names.put_heard(*subjects.tokens("barge-in", accepted.request_id))
        begun = Heard(
            request_id=accepted.request_id,
            session_id="barge-in",
            request_seq=accepted.request_seq,
            epoch=2**53,  # no bridge replaces it
            done=False,
            heard_by="sent",
        )
        await client.reads.js.store(subject, begun.encode("json"))
        cancel = row.get_by_role("button", name=f"Cancel {accepted.request_id}")
        await expect(cancel).to_be_visible()  # it is delivered, and plays
        name = page.locator("#list th button", has_text=f"barge-in / {accepted.request_id}")
        record = begun.with_(
            done=True,
            played_ms=400,
            heard_text=heard,
            unheard_text="다섯.‮",
            cancel_seq=accepted.request_seq + 1,
        )
        await client.reads.js.store(subject, record.encode("json"))
        await expect(cancel).to_be_hidden()
        await expect(row.locator(".cut del")).to_have_text("다섯.\\u202e")
        await expect(row.locator(".cut > bdi")).to_have_text(re.compile("^….*셋 넷$"))
        await expect(row.locator(".cut del")).to_have_css("text-decoration-line", "line-through")
        for _ in range(2):
            await name.click()
            await expect(page.locator("#cut > bdi")).to_have_text(heard)
            await expect(page.locator("#cut del")).to_have_text("다섯.\\u202e")
            await expect(page.locator("#cut-how")).to_have_text(
                "400 ms heard before the barge-in, estimated from what was sent"
            )
            await visit(page, page.url)
        await name.click()
        await expect(page.locator("#cut del")).to_be_visible()
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


async def test_errors_are_shown(browser: Browser, gateway: ServiceProcess) -> None:
    async with live(browser, gateway) as page:
        await ask(page, "...")
        await expect(page.locator("#alert")).to_contain_text("text: has nothing to say")
        await expect(page.locator("#alert")).to_contain_text("invalid_request, HTTP 422")
        await until_status(page, "refused")
        await ask(page, "Hello", mode="forget", voice="nobody")
        await until_status(page, "failed")
        await expect(page.locator("#alert")).to_contain_text("voice")
        await expect(page.locator("#fall")).to_contain_text("invalid_request")


async def test_voices_are_suggested(browser: Browser, gateway: ServiceProcess) -> None:
    async with live(browser, gateway) as page:
        await expect(page.locator("#voices option[value=ko]")).to_have_attribute("label", re.compile("espeak"))
        await expect(page.locator("#engines option")).to_have_attribute("value", "espeak")


async def test_page_asks_for_the_key_and_sends_it_in_a_header(browser: Browser, console_node: Stack) -> None:
    """The page loads without a key. Every call has the key in a header, and only this tab stores it."""
    (guarded,) = await console_node.start("gateway", GATEWAY_API_KEYS=KEY)
    async with opened(browser, guarded) as page:
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        dialog = page.locator("#key-dialog")
        await expect(dialog).to_be_visible()
        await expect(page.locator("#key-input")).to_be_focused()
        await page.fill("#key-input", "wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#key-error")).to_have_text("The gateway does not know this key.")
        await page.fill("#key-input", KEY)
        await page.keyboard.press("Enter")
        await expect(page.locator("#link")).to_have_attribute("data-state", "live")
        await expect(dialog).to_be_hidden()
        await ask(page, "네, 알겠습니다.", speed="2")
        await until_status(page, "delivered")
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")
        await page.wait_for_function("() => recorded.samples.some(Boolean)")
        assert await page.evaluate(
            "[sessionStorage.getItem('orastream.key'), localStorage.length, document.cookie]"
        ) == [
            KEY,
            0,
            "",
        ]
        assert any("/api/events" in url for url in urls) and any("/api/audio/" in url for url in urls)
        assert not [url for url in urls if "key" in url.lower() and "/console/" not in url]
        await page.click("#key-open")
        await page.click("#key-forget")
        await expect(dialog).to_be_visible()
        assert await page.evaluate("sessionStorage.getItem('orastream.key')") is None


async def test_page_repeats_aborted_requests(browser: Browser, gateway: ServiceProcess, client: Client) -> None:
    """A browser aborts its requests when a network address changes, for example when a container starts."""
    broken: list[str] = []

    async def once(route: Route) -> None:
        path = route.request.url.removeprefix(f"{gateway.url}/").split("?")[0]
        if path.startswith("console/icon") or path in ("console", *broken):
            await route.continue_()
        else:
            broken.append(path)
            await route.abort("connectionreset")

    async with opened(browser, gateway) as page:
        await page.route("**", once)
        await visit(page, page.url)
        await expect(page.locator("#link")).to_have_attribute("data-state", "live")
        assert await page.evaluate("sessionStorage.getItem('orastream.loads')") is None
        await ask(page, "Once.", mode="sync", session="broken")
        await until_status(page, "delivered")
        await expect(page.locator("#playing")).to_have_text("Nothing is playing")
        await page.wait_for_function("() => recorded.samples.some(Boolean)")
        await expect(page.locator("#alert")).to_be_hidden()
        await expect(page.locator("#list tbody tr", has_text="broken")).to_have_count(1)
    assert {"console/style.css", "console/main.js", "console/waterfall.js"} <= set(broken)
    assert {"api/events", "api/node", "api/voices", "api/convert-tts/"} <= set(broken)
    assert any(path.startswith("api/audio/broken/") for path in broken)


async def test_request_that_ended_before_the_events_began_is_not_shown_as_live(
    browser: Browser, gateway: ServiceProcess, client: Client
) -> None:
    """A poll may be one second older than the events, or from another gateway, and say the request is in work."""
    accepted = await client.say(LONG, session_id="between", phone_id="p", fire_and_forget=True)
    assert isinstance(accepted, Acceptance)
    async with opened(browser, gateway) as page:
        while True:
            look = await (await page.request.get(f"{gateway.url}/api/node")).json()
            if any(line["report"]["sessionId"] == "between" for line in look["lines"]):
                break
        await client.cancel("between")
        report = await client.report("between", accepted.request_id)
        while report is None or not report.final:
            report = await client.report("between", accepted.request_id)
        looks = itertools.count()

        async def late(route: Route) -> None:
            await (
                route.fulfill(json=look) if next(looks) else route.abort()
            )  # the events have begun before the second poll

        await page.route("**/api/node", late)
        await visit(page, page.url)
        await expect(page.locator("#list tr", has_text="between").locator("td.status")).to_have_text("cancelled")
        await expect(page.locator("#sessions")).to_be_hidden()


async def test_page_continues_after_a_restart_of_the_gateway(
    browser: Browser, console_node: Stack, client: Client
) -> None:
    """A lost connection is shown and opened again. The page then shows missed events, and playback continues."""
    (process,) = await console_node.start("gateway")
    text = f"{SHORT} " * 3
    made = samples_of(await reference(text))
    async with live(browser, process) as page:
        await ask(page, text, session="comes-back")
        await page.wait_for_function("() => recorded.scheduled.length")
        process.kill()
        assert await page.evaluate("recorded.scheduled.reduce((sum, piece) => sum + piece.samples.length, 0)") < len(
            made
        )
        await expect(page.locator("#link")).to_have_attribute("data-state", "lost")
        await ask(page, "Nobody is there.")
        await expect(page.locator("#alert")).to_have_text("The gateway does not answer")
        await client.say("Meanwhile.", session_id="meanwhile", phone_id="p", fire_and_forget=False)
        await process.start()
        await expect(page.locator("#link")).to_have_attribute("data-state", "live")
        await expect(page.locator("#list tr", has_text="meanwhile").locator("td.status")).to_have_text("delivered")
        await page.wait_for_function(
            "(count) => recorded.scheduled.reduce((sum, piece) => sum + piece.samples.length, 0) >= count",
            arg=len(made),
        )
        scheduled = await page.evaluate("recorded.scheduled")
        assert [round(sample) for piece in scheduled for sample in piece["samples"]] == made


async def test_page_is_shown_in_korean_and_english(browser: Browser, gateway: ServiceProcess) -> None:
    async with live(browser, gateway, locale="ko-KR") as page:
        await expect(page.locator("html")).to_have_attribute("lang", "ko")
        await expect(page.locator("#speak-title")).to_have_text("말하기")
        await expect(page.locator("#link")).to_have_text("실시간")
        left = await page.evaluate(
            "[...document.querySelectorAll('[data-t]')].filter((e) => e.textContent === e.dataset.t).length"
        )
        assert left == 0
        await page.select_option("#language", "en")
        await expect(page.locator("#speak-title")).to_have_text("Speak")
        await visit(page, page.url)
        await expect(page.locator("#speak-title")).to_have_text("Speak")
        keys = await page.evaluate(
            "import('/console/strings.js').then(({STRINGS: {en, ko}}) => [Object.keys(en), Object.keys(ko)])"
        )
        assert keys[0] == keys[1]
        places = await page.evaluate(
            """import('/console/strings.js').then(({STRINGS: {en, ko}}) => Object.keys(en).filter((key) =>
            String(en[key].match(/\\{\\w+\\}/g)?.sort()) !== String(ko[key].match(/\\{\\w+\\}/g)?.sort())))"""
        )
        assert places == []


async def test_page_can_be_used_with_the_keyboard_alone(browser: Browser, gateway: ServiceProcess) -> None:
    async with live(browser, gateway) as page:
        focus = "document.activeElement.id || document.activeElement.className || document.activeElement.value"
        for expected in ("skip", "language", "key-open", "text"):
            await page.keyboard.press("Tab")
            assert await page.evaluate(focus) == expected
        await page.keyboard.type("By keyboard. " * 30)
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#playing")).to_contain_text(" of ")
        for _ in range(30):
            await page.keyboard.press("Tab")
            if str(await page.evaluate("document.activeElement.ariaLabel")).startswith("Cancel r-"):
                break
        await page.keyboard.press("Enter")
        await until_status(page, "cancelled")
        await expect(page.locator("#status")).to_contain_text("was cancelled")  # announced to screen readers


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_has_no_accessibility_problem(browser: Browser, gateway: ServiceProcess, scheme: Any) -> None:
    """axe finds no problem in a page with all of its elements visible."""
    async with live(browser, gateway, color_scheme=scheme) as page:
        await ask(page, "Hello", mode="forget", voice="nobody")
        await until_status(page, "failed")
        await ask(page, LONG, mode="forget", voice="")
        await expect(page.locator("#playing")).to_contain_text(" of ")
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        await page.click("#key-open")
        found = await Axe().run(page, context="#key-dialog")
        assert found.violations_count == 0, found.generate_report()
        await page.click("#key-close")
        await page.get_by_role("button", name=re.compile("^Cancel session")).click()
        await expect(page.locator("#sessions")).to_be_hidden()


async def test_page_fits_a_narrow_screen(browser: Browser, gateway: ServiceProcess) -> None:
    async with live(browser, gateway) as page:
        await page.set_viewport_size({"width": 340, "height": 700})
        await ask(page, "Hello", speed="2")
        await until_status(page, "delivered")
        assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
