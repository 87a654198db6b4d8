"""Pages of other hosts in a real Chromium, on a real node: only those of hosts in GATEWAY_HOSTS hear audio."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.support.browser import running_browser
from tests.support.console import MARKS, PATIENCE_MS, visit
from tests.support.processes import Logs
from tests.support.scenes import running_node
from tests.support.services import ServiceProcess, Stack

pytestmark = MARKS

KEY = "a key of this test"
NAMED, FOREIGN = "app.example", "evil.example"
RESOLVED = f"--host-resolver-rules=MAP {NAMED} 127.0.0.1, MAP {FOREIGN} 127.0.0.1"

SPEAKS = """async ([base, key]) => {
  const headers = { "Content-Type": "application/json", traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` };
  if (key) headers["X-API-Key"] = key;
  const ids = { sessionId: `page-${crypto.getRandomValues(new Uint32Array(1))[0]}`, phoneId: "p", requestId: "r" };
  const body = JSON.stringify({ text: "The parcel has left.", transport: "none", ...ids });
  const said = await fetch(`${base}/api/convert-tts/`, { method: "POST", headers, body });
  if (!said.ok) return { status: said.status, error: await said.json() };
  const given = key ? { headers: { Authorization: `Bearer ${key}`, Range: "bytes=0-" } } : {};
  const answer = await fetch(`${base}/api/audio/${ids.sessionId}/r`, given);
  const audio = await new OfflineAudioContext(1, 1, 22050).decodeAudioData(await answer.arrayBuffer());
  const loudest = audio.getChannelData(0).reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return { status: said.status, format: answer.headers.get("X-Audio-Format"), loudest, seconds: audio.duration };
}"""
SPEAKS_AS_OPENAI = """async ([base, key, stream_format]) => {
  const answer = await fetch(`${base}/v1/audio/speech`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", "X-Stainless-Lang": "js" },
    body: JSON.stringify({ model: "tts-1", voice: "alloy", input: "Good day.", response_format: "wav", stream_format }),
  });
  if (stream_format === "sse") return await answer.text();
  return (await new OfflineAudioContext(1, 1, 22050).decodeAudioData(await answer.arrayBuffer())).duration;
}"""
FETCHES = """async ([url, options]) => {
  try { return (await fetch(url, options)).status; } catch (error) { return error.name; }
}"""
SENDS = """([url, body]) => fetch(url, { method: "POST", mode: "no-cors", body }).then((answer) => answer.type)"""
LISTENS_TO_EVENTS = """(url) => new Promise((resolve) => {
  const events = new EventSource(url);
  events.addEventListener("hello", (event) => { events.close(); resolve(event.data); });
  events.onerror = () => { events.close(); resolve("error"); };
})"""
READS_EVENTS = """async ([url, key]) => {
  const reader = (await fetch(url, { headers: { "X-API-Key": key } })).body.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}"""

SEEKS = """async ([base, format]) => {
  const ids = { sessionId: `seek-${format}`, phoneId: "p", requestId: "r" };
  const text = "The parcel has left. It will be there on Monday, before noon. ".repeat(format === "wav" ? 20 : 10);
  const given = { text, format, sampleRate: 24000, transport: "none", fire_and_forget: false, ...ids };
  const headers = { "Content-Type": "application/json" };
  await fetch(`${base}/api/convert-tts/`, { method: "POST", headers, body: JSON.stringify(given) });
  const audio = document.body.appendChild(document.createElement("audio"));
  audio.crossOrigin = "anonymous";
  audio.preload = "metadata";
  const until = (name) => new Promise((resolve, reject) => {
    audio.addEventListener(name, resolve, { once: true });
    audio.addEventListener("error", () => reject(new Error(`${name}: ${audio.error.message}`)), { once: true });
  });
  const known = until("loadedmetadata");
  audio.src = `${base}/api/audio/${ids.sessionId}/r`;
  await known;
  const { duration } = audio;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaElementSource(audio).connect(analyser);
  const sought = until("seeked");
  audio.currentTime = duration / 2;
  await sought;
  const at = audio.currentTime;
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  await audio.play();
  while (audio.currentTime < at + 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    analyser.getFloatTimeDomainData(samples);
    loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), loudest);
  }
  audio.pause();
  return { duration, at, loudest };
}"""


@pytest.fixture(scope="module")
def page_logs() -> Logs:
    return {}


@pytest.fixture(scope="module")
def page_node(tmp_path_factory: pytest.TempPathFactory, page_logs: Logs) -> Iterator[Stack]:
    with running_node(tmp_path_factory.mktemp("pages"), page_logs, replicas=1) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed(page_node: Stack) -> ServiceProcess:
    (gateway,) = await page_node.start("gateway", GATEWAY_HOSTS=NAMED, GATEWAY_API_KEYS=KEY)
    return gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_to_all(page_node: Stack) -> ServiceProcess:
    """A gateway without keys."""
    (gateway,) = await page_node.start("gateway", GATEWAY_HOSTS=NAMED)
    return gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site_port() -> AsyncIterator[int]:
    """The port of a web server with an empty page, for all hosts."""

    async def empty(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>a page</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", empty)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with running_browser(RESOLVED) as browser:
        yield browser


@contextlib.asynccontextmanager
async def page_of(chromium: Browser, host: str, port: int) -> AsyncIterator[Page]:
    context = await chromium.new_context()
    try:
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await visit(page, f"http://{host}:{port}/")
        yield page
    finally:
        await context.close()


async def spoken(gateway: ServiceProcess) -> float:
    """How many requests of HTTP callers the gateway has stored."""
    return await gateway.metric("orastream_gateway_requests_total", route="convert-tts", outcome="accepted")


async def test_page_of_a_named_host_hears_audio_with_a_key(
    chromium: Browser, site_port: int, keyed: ServiceProcess
) -> None:
    async with page_of(chromium, NAMED, site_port) as page:
        heard: dict[str, Any] = await page.evaluate(SPEAKS, [keyed.url, KEY])
        assert (heard["status"], heard["format"]) == (202, "wav")
        assert heard["loudest"] > 0.05 and 0.5 < heard["seconds"] < 5
        assert 0.3 < await page.evaluate(SPEAKS_AS_OPENAI, [keyed.url, KEY, "audio"]) < 5
        events = await page.evaluate(SPEAKS_AS_OPENAI, [keyed.url, KEY, "sse"])
        assert "speech.audio.delta" in events and "speech.audio.done" in events
        assert "event: hello" in await page.evaluate(READS_EVENTS, [f"{keyed.url}/api/events", KEY])
        wrong = await page.evaluate(SPEAKS, [keyed.url, "another key"])
        assert (wrong["status"], wrong["error"]["error"]["code"]) == (401, "unauthorized"), "it can read the error"
        node = f"{keyed.url}/api/node"
        for options in (
            {"headers": {"X-API-Key": KEY, "X-Forwarded-Host": "x"}},
            {"headers": {"X-API-Key": KEY}, "credentials": "include"},
            {"headers": {"X-API-Key": KEY}, "method": "DELETE"},
        ):
            assert await page.evaluate(FETCHES, [node, options]) == "TypeError", options
        assert await page.evaluate(FETCHES, [f"{keyed.url}/metrics", {}]) == "TypeError"


async def test_page_of_another_host_hears_nothing_even_with_a_key(
    chromium: Browser, site_port: int, keyed: ServiceProcess
) -> None:
    before = await spoken(keyed)
    async with page_of(chromium, FOREIGN, site_port) as page:
        for path, options in (
            ("/api/convert-tts/", {"method": "POST", "body": "{}", "headers": {"X-API-Key": KEY}}),
            ("/api/node", {"headers": {"Authorization": f"Bearer {KEY}"}}),
            ("/api/node", {"headers": {"X-Forwarded-Host": FOREIGN}}),
            ("/api/node", {}),
            ("/v1/models", {}),
        ):
            assert await page.evaluate(FETCHES, [keyed.url + path, options]) == "TypeError", path
        assert await page.evaluate(LISTENS_TO_EVENTS, f"{keyed.url}/api/events") == "error"
    assert await spoken(keyed) == before


async def test_without_keys_a_named_page_hears_audio_and_another_one_can_neither_speak_nor_read(
    chromium: Browser, site_port: int, open_to_all: ServiceProcess
) -> None:
    async with page_of(chromium, NAMED, site_port) as page:
        heard: dict[str, Any] = await page.evaluate(SPEAKS, [open_to_all.url, ""])
        assert heard["loudest"] > 0.05
        assert "heartbeatSeconds" in await page.evaluate(LISTENS_TO_EVENTS, f"{open_to_all.url}/api/events")
    before = await spoken(open_to_all)
    async with page_of(chromium, FOREIGN, site_port) as page:
        url = f"{open_to_all.url}/api/convert-tts/"
        body = '{"text":"a foreign page speaks","sessionId":"s","phoneId":"p"}'
        assert await page.evaluate(SENDS, [url, body]) == "opaque", "a browser sends this without a preflight"
        denied = await open_to_all.metric("orastream_gateway_requests_total", route="convert-tts", outcome="forbidden")
        assert denied == 1
        json = {"method": "POST", "body": body, "headers": {"Content-Type": "application/json"}}
        for path, options in (("/api/convert-tts/", json), ("/api/node", {}), ("/v1/models", {})):
            assert await page.evaluate(FETCHES, [open_to_all.url + path, options]) == "TypeError", path
        assert await page.evaluate(LISTENS_TO_EVENTS, f"{open_to_all.url}/api/events") == "error"
    assert await spoken(open_to_all) == before


@pytest.mark.parametrize(("fmt", "tolerance_s"), [("wav", 0.01), ("flac", 0.01), ("opus", 0.05), ("mp3", 0.2)])
async def test_finished_file_is_played_from_its_middle_in_an_audio_element(
    chromium: Browser, site_port: int, open_to_all: ServiceProcess, page_node: Stack, fmt: str, tolerance_s: float
) -> None:
    async with page_of(chromium, NAMED, site_port) as page:
        answers: list[tuple[int, str]] = []
        page.on("response", lambda got: answers.append((got.status, got.headers.get("content-range", ""))))
        played: dict[str, Any] = await page.evaluate(SEEKS, [open_to_all.url, fmt])
    async with page_node.client() as client:
        report = await client.report(f"seek-{fmt}", "r")
    assert report is not None and report.audio_seconds > 30
    assert played["duration"] == pytest.approx(report.audio_seconds, abs=tolerance_s)
    assert played["at"] == pytest.approx(played["duration"] / 2, abs=0.05)
    assert played["loudest"] > 0.05
    firsts = [int(said.removeprefix("bytes ").partition("-")[0]) for status, said in answers if status == 206]
    assert 0 in firsts
    if fmt == "wav":  # the others are so small that the browser has read all of them meanwhile
        assert max(firsts) > report.bytes // 4, "the browser has asked for the middle of the file"
