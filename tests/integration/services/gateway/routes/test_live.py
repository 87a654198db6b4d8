"""The gateway's live routes: audio, events, the state of the node, and the console's page."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart, EndStatus
from orastream.contract.codec import Map
from orastream.contract.messages import Report, ReportError
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from tests.support.ending import end, stored_request
from tests.support.heard import a_record, put_record
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.services import ServiceProcess, Stack

pytestmark = pytest.mark.integration

PIECES = [b"RIFF first", b" second", b" third"]


class SentRequest:
    """One request, sent through the gateway. The test writes its audio and reports as synth and the bridges do."""

    def __init__(self, js: JetStream, session: str, request: str, sequence: int) -> None:
        self.session, self.request, self.sequence = session, request, sequence
        self.path = f"/api/audio/{session}/{request}"
        self._js = js
        self.attempt = 0

    async def put(self, message: AudioMessage) -> int:
        return (await self._js.store(NAMES.put_audio(self.session, self.request), message.pack())).sequence

    async def starts(self, fmt: str = "wav") -> None:
        self.attempt = await self.put(AudioStart(self.sequence, fmt, 22_050, 1, "espeak", "ko-KR"))

    async def chunk(self, index: int, **fields: Any) -> None:
        await self.put(AudioChunk(self.attempt, index, 100 * index, 0, PIECES[index], **fields))

    async def ends(self, status: EndStatus = "complete", chunks: int = len(PIECES)) -> None:
        await self.put(AudioEnd(self.attempt, status, chunks, sum(map(len, PIECES)), 0.3))

    async def final(self, status: Any, **fields: Any) -> None:
        await end(self._js, await stored_request(self._js, self.session, self.request), status, **fields)


async def say(http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream, request: str = "r1") -> SentRequest:
    body = {"text": "안녕하세요", "sessionId": "s1", "phoneId": "p1", "requestId": request}
    async with http.post(f"{gateway.url}/api/convert-tts/", json=body) as answer:
        assert answer.status == 202
        return SentRequest(js, "s1", request, (await answer.json())["requestSeq"])


async def error_of(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.get(URL(url, encoded=True)) as answer:
        return answer.status, (await answer.json())["error"]["code"]


# ---- GET /api/audio/


async def test_audio_is_sent_in_order_while_synth_makes_it(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    response = asyncio.create_task(http.get(gateway.url + sent.path))
    await sent.starts()
    await sent.chunk(0)
    async with await response as answer:
        assert answer.status == 200
        assert (answer.headers["Content-Type"], answer.headers["X-Audio-Format"]) == ("audio/wav", "wav")
        assert (answer.headers["X-Sample-Rate"], answer.headers["X-Request-Seq"]) == ("22050", str(sent.sequence))
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.content.readexactly(len(PIECES[0])) == PIECES[0]
        await sent.chunk(2)  # chunks may be stored in another order than their indexes
        await sent.ends()
        await sent.chunk(1)
        assert await answer.content.read() == PIECES[1] + PIECES[2]
    await sent.final("delivered")
    async with http.get(gateway.url + sent.path) as answer:  # read again after its end
        assert await answer.read() == b"".join(PIECES)


async def test_a_text_with_nothing_to_say_has_no_file(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    response = asyncio.create_task(http.get(gateway.url + sent.path))
    await sent.starts()
    await sent.ends(chunks=0)
    for final in (False, True):
        async with await response as answer:
            assert (answer.status, await answer.read()) == (204, b"")
            assert (answer.headers["X-Audio-Format"], answer.headers["Cache-Control"]) == ("wav", "no-store")
        if not final:
            await sent.final("delivered")
            response = asyncio.create_task(http.get(gateway.url + sent.path))
    async with http.get(gateway.url + sent.path, params={"captions": "vtt"}) as answer:
        assert answer.status == 200 and "no sentences" in await answer.text()
    assert await gateway.metric("orastream_gateway_in_flight") == 0


async def test_audio_is_refused_with_the_reason_when_there_is_none(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    refused = ReportError.of("engine_error", "the engine is out of breath")
    for request, status, error, expected in (
        ("gone", "delivered", None, (410, "audio_expired")),
        ("cancelled", "cancelled", None, (409, "cancelled")),
        ("failed", "failed", refused, (502, "engine_error")),
    ):
        sent = await say(http, gateway, js, request)
        await sent.final(status, error=error)
        assert await error_of(http, gateway.url + sent.path) == expected
        # The same when it is requested before the end is stored.
        early = await say(http, gateway, js, f"{request}-2")
        response = asyncio.create_task(error_of(http, gateway.url + early.path))
        if status != "delivered":
            await early.final(status, error=error)
            assert await response == expected
        else:
            response.cancel()
    assert await error_of(http, gateway.url + "/api/audio/s1/unknown") == (404, "not_found")
    assert await error_of(http, gateway.url + "/api/audio/s1/%00") == (422, "invalid_request")
    assert await error_of(http, gateway.url + "/api/audio/s1") == (404, "not_found")


async def test_audio_ends_at_a_cancel_and_is_aborted_at_a_failure(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    """A cancelled answer ends where it was cut. A failed one breaks off, also when its report was stored first."""
    sent = await say(http, gateway, js, "cut")
    await sent.starts()
    await sent.chunk(0)
    async with http.get(gateway.url + sent.path) as answer:
        await sent.ends("cancelled", 1)
        assert await answer.read() == PIECES[0]

    sent = await say(http, gateway, js, "broken")
    await sent.starts("opus")
    await sent.chunk(0)
    async with http.get(gateway.url + sent.path) as answer:
        assert answer.headers["Content-Type"] == "audio/ogg"
        await sent.final("failed", error=ReportError.of("synth_stalled", "no sign of synthesis"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert "Traceback" not in gateway.text()


async def test_reader_that_closes_its_connection_cancels_nothing(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    sent = await say(http, gateway, js)
    await sent.starts()
    await sent.chunk(0)
    async with http.get(gateway.url + sent.path) as answer:
        await answer.content.readexactly(4)
        answer.close()
    for _ in range(2):  # after two round trips the gateway has noticed the closed connection
        assert await gateway.ready()
    assert await js.last(NAMES.sessions_stream, NAMES.session_cancel("s1")) is None


# ---- GET /api/events


class Events:
    """A reader of events, which returns name, id and value of each."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.last_id = ""

    async def next(self) -> tuple[str, Map]:
        name, data = "", ""
        while True:
            line = (await self.answer.content.readuntil(b"\n")).decode().rstrip("\n")
            if line.startswith(":"):
                return "alive", {}
            if not line and name:
                return name, json.loads(data)
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value
            elif field == "id":
                self.last_id = value

    async def report(self) -> tuple[str, str]:
        """Request id and status of the next report."""
        while (named := await self.next())[0] != "report":
            pass
        assert named[1]["storedAt"] > 1_700_000_000
        return named[1]["report"]["requestId"], named[1]["report"]["status"]


@contextlib.asynccontextmanager
async def following(
    http: aiohttp.ClientSession, gateway: ServiceProcess, query: str = "", after: str = ""
) -> AsyncIterator[Events]:
    headers = {"Last-Event-ID": after} if after else {}
    async with http.get(f"{gateway.url}/api/events{query}", headers=headers) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        yield Events(answer)


async def test_events_show_reports_and_requests_of_a_session(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    before = await say(http, gateway, js, "before")
    await before.final("delivered")
    async with following(http, gateway) as events, following(http, gateway, "?session=other") as others:
        name, hello = await events.next()
        place = (await js.last(NAMES.reports_stream, NAMES.reports("*"))).sequence  # type: ignore[union-attr]
        assert (name, hello) == ("hello", {"resumed": False, "heartbeatSeconds": 5.0, "reports": place})
        sent = await say(http, gateway, js)
        assert await events.report() == ("r1", "queued")
        stored = await stored_request(js, "s1", "r1")
        await ReportStore(js).write(stored, stored.report("synthesizing", transport="http"), 0)
        assert await events.report() == ("r1", "synthesizing")
        await sent.final("delivered")
        assert await events.report() == ("r1", "delivered")
        assert await others.next() == ("hello", hello)
        assert await others.next() == ("alive", {})  # a comment, and no event of another session


async def test_reader_that_reconnects_gets_the_missed_events(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    async with following(http, gateway) as events:
        first = await say(http, gateway, js, "r1")
        assert await events.report() == ("r1", "queued")
        await first.final("delivered")  # the request is deleted, so the stream's last sequence has no message
        assert await events.report() == ("r1", "delivered")
        last = events.last_id
    missed = await say(http, gateway, js, "r2")
    await missed.final("cancelled")
    async with following(http, gateway, after=last) as events:
        assert (await events.next())[1]["resumed"] is True
        got = {await events.report()}
        while ("r2", "cancelled") not in got:
            got.add(await events.report())
    for wrong in ("x", "1", "999999-0"):  # not a resume point, or one of another server
        async with following(http, gateway, after=wrong) as events:
            assert (await events.next())[1]["resumed"] is False


async def test_events_show_what_was_heard_in_a_session(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    await put_record(js, a_record("s1", "before", 1))
    async with following(http, gateway) as events, following(http, gateway, "?session=other") as others:
        assert (await events.next())[0] == "hello"
        cut = a_record("s1", "r1", 1, cancel_seq=9, cut="words")
        await put_record(js, a_record("s1", "r1", 1, done=False))
        name, value = await events.next()
        assert (name, value["heard"]["done"], value["heard"]["heardText"]) == ("heard", False, None)
        await js.store(NAMES.put_heard("s1", "broken"), b"no record")
        await put_record(js, cut)
        name, value = await events.next()
        assert (name, value["heard"]) == ("heard", cut.to_map()) and value["storedAt"] > 1_700_000_000
        assert (await others.next())[0] == "hello"
        assert await others.next() == ("alive", {})


async def test_reader_with_an_id_of_an_older_gateway_resumes_its_reports(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    """That id has two sequences. What was heard before the reader came back does not follow."""
    async with following(http, gateway) as events:
        await events.next()
        await say(http, gateway, js, "r1")
        assert await events.report() == ("r1", "queued")
        older = "-".join(events.last_id.split("-")[:2])
        assert len(events.last_id.split("-")) == 3
    await put_record(js, a_record("s1", "missed", 1))
    await say(http, gateway, js, "r2")
    async with following(http, gateway, after=older) as events:
        assert (await events.next())[1]["resumed"] is True
        while await events.report() != ("r2", "queued"):
            pass  # r1 may come again
        await put_record(js, a_record("s1", "live", 1))
        name, value = await events.next()
        assert (name, value["heard"]["requestId"]) == ("heard", "live")
    for wrong in (f"{older}-7", f"{older}-", f"{older}-0-0"):
        async with following(http, gateway, after=wrong) as events:
            assert (await events.next())[1]["resumed"] is False


async def test_reader_that_breaks_off_within_many_events_gets_the_rest(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    async with following(http, gateway) as events:
        await events.next()
        last = events.last_id
    wanted = {("heard", f"r{number}") for number in range(20)} | {("report", f"r{number}") for number in range(20)}
    for number in range(20):
        report = Report(request_id=f"r{number}", session_id="s1", request_seq=1, status="delivering")
        await js.store(NAMES.put_report("s1", f"r{number}"), report.encode("json"))
        await put_record(js, a_record("s1", f"r{number}", 1))
    got: set[tuple[str, str]] = set()
    for _ in range(100):  # each time only two events are read
        async with following(http, gateway, after=last) as events:
            assert (await events.next())[1]["resumed"] is True
            for _ in range(2 if len(got) % 3 else 30):
                name, value = await events.next()
                assert name != "alive", f"lost: {wanted - got}"
                got.add((name, value[name]["requestId"]))
                if got == wanted:
                    return
            last = events.last_id
    raise AssertionError("the reader does not get on")


async def test_events_continue_after_a_restart_of_nats(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream, nats_server: NatsServer
) -> None:
    async with following(http, gateway) as events:
        await events.next()
        nats_server.kill()
        assert await events.next() == ("state", {"available": False})
        assert await events.next() == ("alive", {})  # a comment while there is no event
        await nats_server.start()
        assert await events.next() == ("state", {"available": True})
        await js.broker.wait_connected(10)
        await say(http, gateway, js)
        assert await events.report() == ("r1", "queued")


async def test_number_of_readers_is_limited_and_readers_do_not_delay_the_shutdown(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    async with contextlib.AsyncExitStack() as open_:
        many = await open_.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        readers = [await open_.enter_async_context(following(many, gateway)) for _ in range(64)]
        for reader in readers:
            assert (await reader.next())[0] == "hello"
        assert await error_of(http, gateway.url + "/api/events") == (503, "overloaded")
        assert await gateway.stop() == 0
        assert [await reader.answer.content.read() for reader in readers] == [b""] * 64
    assert "Traceback" not in gateway.text()


# ---- GET /api/node


async def test_node_route_shows_the_state_of_the_node(
    http: aiohttp.ClientSession, gateway: ServiceProcess, js: JetStream
) -> None:
    async def look() -> Map:
        async with http.get(gateway.url + "/api/node") as answer:
            assert answer.status == 200
            node: Map = await answer.json()
            return node

    empty = await look()
    assert empty["requests"] == {"waiting": 0, "inWork": 0, "stored": 0, "oldestStoredAt": None}
    assert (empty["lines"], empty["complete"], empty["reports"]) == ([], True, 0)
    assert empty["bridges"] == {"ws_bridge": 0, "http_bridge": 0}
    assert empty["synth"] == {"asksForWork": False}
    assert empty["limits"] == {"textChars": 5_000}

    done, waits = await say(http, gateway, js, "done"), await say(http, gateway, js, "waits")
    await done.final("delivered")
    await js.store(NAMES.heartbeat_key("ws_bridge-0123456789ab"), b"{}")
    assert await look() == empty  # cached for a second
    node = empty
    while node == empty:
        await asyncio.sleep(0.1)
        node = await look()
    # The final request is deleted, so it is not delivered to a synth.
    assert (node["requests"]["waiting"], node["requests"]["stored"], node["complete"]) == (1, 1, True)
    assert node["audio"]["maxBytes"] == 256 << 20
    assert node["bridges"]["ws_bridge"] == 1
    assert node["reports"] == (await js.last(NAMES.reports_stream, NAMES.reports("*"))).sequence  # type: ignore[union-attr]
    first, second = node["lines"]
    assert (first["report"]["requestId"], first["report"]["status"]) == ("done", "delivered")
    assert (second["report"]["requestId"], second["report"]["status"]) == ("waits", "queued")
    assert second["requestedAt"] == second["storedAt"] == node["requests"]["oldestStoredAt"]
    assert second["report"]["requestSeq"] == waits.sequence


async def test_node_route_answers_503_without_nats(
    http: aiohttp.ClientSession, gateway: ServiceProcess, nats_server: NatsServer
) -> None:
    nats_server.kill()
    assert await error_of(http, gateway.url + "/api/node") == (503, "unavailable")


# ---- keys, and the page


async def test_keys_protect_the_api_and_not_the_page(stack: Stack, js: JetStream, http: aiohttp.ClientSession) -> None:
    (guarded,) = await stack.start("gateway", GATEWAY_API_KEYS="one")
    for path in ("/api/node", "/api/events", "/api/audio/s1/r1"):
        assert await error_of(http, guarded.url + path) == (401, "unauthorized")
        assert await error_of(http, f"{guarded.url}{path}?key=one&Authorization=Bearer%20one") == (401, "unauthorized")
    async with http.get(f"{guarded.url}/api/node", headers={"Authorization": "Bearer one"}) as answer:
        assert answer.status == 200
    for path, kind in {
        "/console": "text/html",
        "/console/main.js": "text/javascript",
        "/console/style.css": "text/css",
        "/console/icon.svg": "image/svg+xml",
    }.items():
        async with http.get(guarded.url + path) as answer:
            assert (answer.status, answer.content_type) == (200, kind)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            etag = answer.headers["ETag"]
        async with http.get(guarded.url + path, headers={"If-None-Match": etag}) as answer:
            assert answer.status == (304 if path != "/console" else 200)
            assert answer.headers["Content-Security-Policy"] == policy
    async with http.get(f"{guarded.url}/console/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, "../console")
    for path in ("/console/nothing.js", "/console/../app.py", "/console/%2e%2e/app.py", "/console/..%2fapp.py"):
        assert (await error_of(http, guarded.url + path))[0] == 404


async def test_openapi_documents_the_live_routes(http: aiohttp.ClientSession, gateway: ServiceProcess) -> None:
    async with http.get(f"{gateway.url}/openapi.json") as answer:
        paths = (await answer.json())["paths"]
    audio = paths["/api/audio/{sessionId}/{requestId}"]["get"]
    assert set(audio["responses"]) >= {"200", "401", "404", "410"}
    assert {"text/vtt", "application/x-subrip"} <= set(audio["responses"]["200"]["content"])
    assert [parameter["name"] for parameter in audio["parameters"]] == ["sessionId", "requestId", "captions", "Range"]
    assert {parameter["name"] for parameter in paths["/api/events"]["get"]["parameters"]} == {
        "session",
        "Last-Event-ID",
    }
    assert "text/event-stream" in paths["/api/events"]["get"]["responses"]["200"]["content"]
    assert paths["/api/node"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert not [path for path in paths if "console" in path]
