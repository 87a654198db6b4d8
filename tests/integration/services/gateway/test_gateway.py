"""A gateway process with a real nats-server. The tests write final reports as the bridges do."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import aiohttp
import msgpack
import pytest
from yarl import URL

from orastream.contract.codec import Map
from orastream.contract.messages import ReportError, Status
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.gateway.http.outcomes import KNOWN
from tests.support.ending import end, ending_all, stored_request
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import START_S, until
from tests.support.services import ServiceProcess, Stack

pytestmark = pytest.mark.integration

BODY = {"text": "안녕하세요", "sessionId": "s1", "phoneId": "p1", "requestId": "r1"}
SYNC = BODY | {"fire_and_forget": False}


class Caller:
    """An HTTP client of one gateway."""

    def __init__(self, process: ServiceProcess, http: aiohttp.ClientSession) -> None:
        self.process = process
        self._http = http

    async def __call__(
        self, method: str, path: str, data: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Map, dict[str, str]]:
        """Send a request; returns status, body and headers. A dict is sent as JSON, and redirects are not followed."""
        payload = json.dumps(data).encode() if isinstance(data, dict) else data
        url = URL(self.process.url + path, encoded=True)
        async with self._http.request(method, url, data=payload, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.json(), dict(answer.headers)

    async def head(self, path: str) -> tuple[int, int, bytes]:
        """Send HEAD; returns status, Content-Length and body."""
        async with self._http.head(self.process.url + path) as answer:
            return answer.status, int(answer.headers["Content-Length"]), await answer.read()

    async def say(self, data: Any, path: str = "/api/convert-tts/") -> tuple[int, Map]:
        status, body, _ = await self("POST", path, data)
        return status, body


Start = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def start(stack: Stack, js: JetStream) -> AsyncIterator[Start]:
    """A function that starts a gateway with these settings and returns its `Caller`."""
    async with AsyncExitStack() as closing:
        http = await closing.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)))
        started: list[ServiceProcess] = []

        async def start(**settings: object) -> Caller:
            (process,) = await stack.start("gateway", **settings)
            started.append(process)
            return Caller(process, http)

        yield start
        for process in started:
            if process.running:
                _, exposition = await process.get("/metrics")
                series = re.findall(
                    r'^orastream_gateway_requests_total{outcome="(.+)",route="(.+)"}', exposition.decode(), re.M
                )
                assert sorted((route, outcome) for outcome, route in series) == KNOWN, (
                    "none is seen from its first time on"
                )


# ---- POST /api/convert-tts/


async def test_gateway_accepts_reports_cancels_and_counts_requests(start: Start, js: JetStream) -> None:
    """Acceptance, both paths, duplicates, reports, cancel and metrics, on one process."""
    call = await start()
    status, body, headers = await call("POST", "/api/convert-tts/", BODY)
    stored = await stored_request(js, "s1")
    assert (status, headers["Location"]) == (202, "/api/reports/s1/r1")
    assert body == {"requestId": "r1", "sessionId": "s1", "requestSeq": stored.sequence, "status": "queued"}
    assert stored.request is not None
    assert (stored.request.fire_and_forget, stored.stated_transport, stored.encoding) == (True, None, "json")

    assert await call.say(BODY, "/api/convert-tts") == (202, body)  # a duplicate, accepted without a redirect
    assert await call.say(json.dumps(BODY).encode("utf-8-sig")) == (202, body)  # with a byte order mark
    status, body = await call.say(BODY | {"requestId": None, "use_websocket": False, "supersede": True})
    superseding = (await stored_request(js, "s1", body["requestId"])).request
    assert status == 202 and superseding is not None and superseding.supersede

    assert (await call("GET", headers["Location"]))[:2] == (200, stored.report("queued").to_map())
    await ReportStore(js).write(stored, stored.report("synthesizing", transport="http"), 0)
    assert (await call("GET", "/api/reports/s1/r1/"))[1]["status"] == "synthesizing"
    final = await end(js, stored, "delivered")
    assert (await call("GET", "/api/reports/s1/r1"))[:2] == (200, final.to_map())
    status, body, _ = await call("GET", "/api/reports/s1/unknown")
    assert (status, body["error"]["code"]) == (404, "not_found")

    assert await call.process.metric("orastream_gateway_requests_total", route="convert-tts", outcome="accepted") == 4
    assert await call.process.metric("orastream_gateway_requests_total", route="reports", outcome="found") == 3
    assert await call.process.metric("orastream_gateway_requests_total", route="reports", outcome="not_found") == 1
    assert await call.process.metric("orastream_nats_connected") == 1


async def test_pages_load_no_script_of_another_site(start: Start) -> None:
    """A script of another host in a viewer page could read the key that the console keeps for this origin."""
    call = await start()
    async with aiohttp.ClientSession(call.process.url) as http:
        for path in ("/docs", "/redoc", "/docs/oauth2-redirect", "/console"):
            async with http.get(path) as answer:
                page = await answer.text()
            assert not re.search(r"""(?:src|href|action)\s*=\s*["']?(?:[a-z]+:)?//""", page), path
            assert answer.status == 404 or "default-src 'none'" in answer.headers["Content-Security-Policy"]
        async with http.get("/openapi.json") as answer:
            assert answer.status == 200


async def test_synchronous_request_is_answered_with_the_code_of_its_final_status(start: Start, js: JetStream) -> None:
    call = await start(DEFAULT_FIRE_AND_FORGET=False)
    ends: dict[Status, int] = {"delivered": 200, "cancelled": 409, "expired": 410, "failed": 502}
    for outcome, code in ends.items():
        error = ReportError.of("oraserver_refused", "OraServer answered 403") if outcome == "failed" else None
        async with ending_all(js, outcome, transport="websocket", error=error):
            status, body = await call.say(BODY | {"requestId": outcome})
        assert (status, body["status"], body["requestId"]) == (code, outcome, outcome)
        assert body["error"] == (error.model_dump() if error else None)
        assert set(body) >= {"epoch", "totalChunks", "deliveredChunks", "audioSeconds", "firstAudioMs", "reconnects"}
    assert await call.process.metric("orastream_gateway_wait_seconds_count") == 4
    assert await call.process.metric("orastream_gateway_in_flight") == 0


async def test_answer_names_the_path_of_the_report_when_the_wait_times_out(start: Start, js: JetStream) -> None:
    call = await start(GATEWAY_WAIT_SECONDS=0.2)
    status, body = await call.say(SYNC)
    assert status == 504
    assert (body["sessionId"], body["requestId"], body["error"]["code"]) == ("s1", "r1", "wait_timeout")
    assert (await call("GET", body["report"]))[1]["status"] == "queued"
    await end(js, await stored_request(js, "s1"), "delivered")
    assert (await call("GET", body["report"]))[1]["status"] == "delivered"


async def test_invalid_request_is_refused_with_the_field_and_not_stored(start: Start, js: JetStream) -> None:
    call = await start(TTS_MAX_TEXT_CHARS=10)
    cases: list[tuple[Any, str]] = [
        (b"", "payload"),
        (b"{", "payload"),
        (b"[]", "payload"),
        (b"\xff\xfe", "payload"),
        (b"[" * 100_000, "payload"),
        (b'{"text":' * 50_000, "payload"),
        (b'{"speed":NaN}', "payload"),
        (b"\x81\xa4text", "payload"),
        ({}, "text"),
        (BODY | {"text": "12345678901"}, "text"),
        (BODY | {"text": "..."}, "text"),
        (b'{"text":"\\ud800 !","sessionId":"s1","phoneId":"p1"}', "text"),
        ({"text": "hello", "phoneId": "p"}, "sessionId"),
        (BODY | {"sessionId": "x" * 257}, "sessionId"),
        (BODY | {"phoneId": 5}, "phoneId"),
        (BODY | {"requestId": "seq-1"}, "requestId"),
        (BODY | {"use_websocket": "yes"}, "use_websocket"),
        (BODY | {"fire_and_forget": 0}, "fire_and_forget"),
        (BODY | {"replyTo": "$JS.API.STREAM.DELETE.TTS_SESSIONS"}, "replyTo"),
    ]
    for data, field in cases:
        status, body = await call.say(data)
        error = body["error"]
        assert (status, error["code"], error["field"], error["retryable"]) == (422, "invalid_request", field, False)
        assert error["message"].startswith(f"{field}: ")
    assert await js.after(NAMES.sessions_stream, "tts.session.>", 0) is None
    assert (await call.say(BODY))[0] == 202  # the gateway still works


async def test_full_session_is_answered_with_503_and_retry_after(stack: Stack, js: JetStream, start: Start) -> None:
    call = await start(TTS_MAX_PENDING_PER_SESSION=64)
    answers = [await call("POST", "/api/convert-tts/", BODY | {"requestId": f"r{number}"}) for number in range(65)]
    assert [status for status, _, _ in answers] == [202] * 64 + [503]
    _, body, headers = answers[-1]
    assert (body["error"]["code"], body["error"]["retryable"]) == ("overloaded", True)
    assert int(headers["Retry-After"]) >= 1
    assert (await call.say(BODY | {"sessionId": "s2"}))[0] == 202
    assert (await call("POST", "/api/cancel/s1"))[0] == 202  # cancels do not count as requests in flight


async def test_body_size_is_limited(start: Start) -> None:
    call = await start()
    for size in ((1 << 20) + 1, 4 << 20):
        status, body = await call.say(io.BytesIO(b" " * size))
        assert (status, body["error"]["code"]) == (413, "too_large")

    async def chunked() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 15)

    status, body = await call.say(chunked())
    assert (status, body["error"]["code"]) == (413, "too_large")
    assert (await call.say(BODY | {"unknown": "x" * 1_000_000}))[0] == 202


async def test_api_requires_a_key_when_keys_are_set(start: Start) -> None:
    call = await start(GATEWAY_API_KEYS="one, two")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "wrong"}):
        status, body, received = await call("POST", "/api/convert-tts/", BODY, headers)
        assert (status, body["error"]["code"], received["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")
    assert (await call("GET", "/api/reports/s1/r1"))[0] == 401
    assert (await call("POST", "/api/cancel/s1"))[0] == 401
    assert (await call("POST", "/api/convert-tts/", BODY, {"Authorization": "Bearer one"}))[0] == 202
    assert (await call("GET", "/api/reports/s1/r1", None, {"X-API-Key": "two"}))[0] == 200
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await call.process.get(path))[0] == 200
        status, length, body = await call.head(path)
        assert (status, length > 0, body) == (200, True, b""), path


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example"},
    {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},  # DNS rebinding
]


async def test_requests_of_foreign_pages_are_refused_without_keys(start: Start, js: JetStream) -> None:
    """Without keys each operation on sessions refuses these headers, as the document says, and stores nothing."""
    call = await start()
    _, document, _ = await call("GET", "/openapi.json")
    paths = {path: list(of) for path, of in document["paths"].items() if path.startswith(("/api/", "/v1/"))}
    assert len(paths) >= 10
    for headers in FOREIGN:
        for path, methods in paths.items():
            for method in methods:
                at = path.replace("{", "").replace("}", "")
                sent = headers | {"Content-Type": "text/plain"}
                status, body, _ = await call(method.upper(), at, BODY if method == "post" else None, sent)
                assert (status, body["error"]["code"]) == (403, "forbidden"), (path, headers)
                assert "GATEWAY_HOSTS" in body["error"]["message"]
    assert await JetStream(js.broker).after(NAMES.sessions_stream, NAMES.session_events("*"), 0) is None
    assert await call.process.metric("orastream_gateway_requests_total", route="node", outcome="forbidden") == 5
    own = call.process.url
    for ours in ({"Origin": own}, {"Sec-Fetch-Site": "same-origin"}, {"Host": "gateway:8000"}, {}):
        assert (await call("GET", "/api/node", None, ours))[0] == 200, ours
    for path in ("/healthz", "/readyz", "/metrics", "/console", "/openapi.json"):
        assert (await call.process.get(path))[0] == 200


async def test_pages_are_accepted_from_named_hosts_and_with_a_key(start: Start) -> None:
    named = await start(GATEWAY_HOSTS="tts.example, app.example")
    behind = {"Host": "tts.example", "Origin": "https://app.example:8443", "Sec-Fetch-Site": "cross-site"}
    assert (await named("GET", "/api/node", None, behind))[0] == 200
    assert (await named("GET", "/api/node", None, behind | {"Host": "evil.example"}))[0] == 403
    keyed = await start(GATEWAY_API_KEYS="one")
    assert (await keyed("GET", "/api/node", None, behind | {"X-API-Key": "one"}))[0] == 200
    assert (await keyed("GET", "/api/node", None, behind))[0] == 401


async def test_pages_of_named_hosts_may_read_answers_and_errors(start: Start) -> None:
    """Preflights need no key and are not counted. A forwarded host, and the gateway's own, name no page."""
    call = await start(GATEWAY_API_KEYS="one", GATEWAY_HOSTS="app.example", GATEWAY_REQUESTS_PER_MINUTE=3)
    page = {"Origin": "https://app.example:8443", "Sec-Fetch-Site": "cross-site"}
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-api-key"}
    url = f"{call.process.url}/api/convert-tts/"
    async with aiohttp.ClientSession() as http:
        for _ in range(5):
            async with http.options(url, headers=page | asks) as answer:
                assert (answer.status, await answer.read()) == (204, b"")
                assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
                assert "X-API-Key" in answer.headers["Access-Control-Allow-Headers"]
    own = call.process.url
    for headers in ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, {"Origin": own}):
        status, body, answered = await call("OPTIONS", "/api/convert-tts/", None, headers | asks)
        assert (status, body["error"]["code"]) == (403, "forbidden")
        assert not any(name.lower().startswith("access-control") for name in answered)
    keyed = page | {"X-API-Key": "one"}
    for headers, status in ((keyed, 200), (page, 401), (keyed, 200), (keyed, 200), (keyed, 429)):
        answer_status, _, answered = await call("GET", "/api/voices", None, headers)
        assert (answer_status, answered["Access-Control-Allow-Origin"]) == (status, page["Origin"])
        assert answered["Vary"] == "Origin"
    foreign = keyed | {"Origin": "https://evil.example"}
    _, _, answered = await call("GET", "/api/node", None, foreign)
    assert answered["Vary"] == "Origin" and "Access-Control-Allow-Origin" not in answered
    assert (await call("OPTIONS", "/api/node", None, page))[0] == 405


# ---- ids in paths


async def test_path_accepts_any_id(start: Start, js: JetStream) -> None:
    call = await start()
    for number, id_ in enumerate(["a/b", "세션 하나", "..", "a.b c", "100%", "a%2Fb", "?x=1#y", "//", "x" * 256]):
        assert (await call.say(BODY | {"sessionId": id_, "requestId": id_}))[0] == 202
        path = f"{quote(id_, safe='')}/{quote(id_, safe='')}"
        status, body, _ = await call("GET", f"/api/reports/{path}")
        assert (status, body["sessionId"], body["requestId"]) == (200, id_, id_), number
        status, body, _ = await call("POST", f"/api/cancel/{quote(id_, safe='')}")
        assert (status, body["sessionId"]) == (202, id_)
    for path, status in {
        "/api/reports/a": 404,
        "/api/reports/a/b/c": 404,
        "/api/reports/a//": 422,
        "/api/reports/%ff/b": 422,
        "/api/reports/a/%00": 422,
        "/nowhere": 404,
    }.items():
        answered, body, _ = await call("GET", path)
        assert (answered, set(body)) == (status, {"error"}), path
    assert (await call("DELETE", "/api/reports/a/b"))[0] == 405


# ---- POST /api/cancel/


async def test_cancel_is_stored_with_its_request_id_and_refused_when_invalid(start: Start, js: JetStream) -> None:
    call = await start()
    for data, payload in ((None, b"{}"), (b"{}", b"{}"), ({"requestId": "r 1"}, b'{"requestId":"r 1"}')):
        status, body, _ = await call("POST", "/api/cancel/s1", data)
        assert (status, body["sessionId"]) == (202, "s1")
        stored = await js.get(NAMES.sessions_stream, body["cancelSeq"])
        assert stored is not None
        assert (stored.subject, stored.data) == (NAMES.session_cancel("s1"), payload)
    last = body["cancelSeq"]
    for wrong in (b"{", b"[]", b" ", {"requestId": 5}, {"requestId": ""}):
        status, body, _ = await call("POST", "/api/cancel/s1", wrong)
        assert (status, body["error"]["code"]) == (422, "invalid_request")
    assert (
        await js.after(NAMES.sessions_stream, "tts.session.>", last) is None
    )  # an invalid cancel must not cancel everything


# ---- operations


async def test_gateway_is_unready_without_nats_and_ready_after_its_restart(
    start: Start, nats_server: NatsServer, js: JetStream
) -> None:
    call = await start()
    nats_server.kill()
    status, body, _ = await call("GET", "/readyz")
    assert (status, body["status"]) == (503, "unready")
    assert (await call("GET", "/healthz"))[0] == 200
    response = asyncio.create_task(call.say(BODY))
    await nats_server.start()
    assert (await response)[0] == 202
    await until(call.process.ready, "the gateway is ready again")
    async with nats_server.connect() as nc:
        answer = await nc.request(NAMES.speak, json.dumps(BODY | {"requestId": "r2"}).encode(), timeout=5)
    assert json.loads(answer.data)["status"] == "queued"


async def test_gateway_names_the_setting_whose_port_is_in_use(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = stack.add("gateway", GATEWAY_PORT=taken.getsockname()[1])
        process.launch()
        assert await process.ended(START_S) == 2
    assert "GATEWAY_PORT: cannot listen" in process.text()


async def test_gateway_logs_the_port_chosen_for_port_0(stack: Stack) -> None:
    process = stack.add("gateway", GATEWAY_PORT="0")
    process.launch()

    async def logged() -> bool:
        return '"gateway_port": ' in process.text()

    await until(logged, "the port is logged", timeout_s=START_S)
    line = next(line for line in process.text().splitlines() if '"gateway_port": ' in line)
    process.url = f"http://127.0.0.1:{json.loads(line)['gateway_port']}"
    assert await process.ready()
    assert await process.stop() == 0


async def test_waiting_callers_are_answered_before_the_gateway_ends(
    start: Start, nats_server: NatsServer, js: JetStream
) -> None:
    call = await start()
    async with nats_server.connect() as nc:
        http = asyncio.create_task(call.say(SYNC))
        spoken = asyncio.create_task(
            nc.request(NAMES.speak, json.dumps(SYNC | {"sessionId": "s2"}).encode(), timeout=10)
        )

        async def both_wait() -> bool:
            return await call.process.metric("orastream_gateway_in_flight") == 2

        await until(both_wait, "both requests are in flight")
        stored = [await stored_request(js, session) for session in ("s1", "s2")]
        ending = asyncio.create_task(call.process.stop())

        async def closed() -> bool:
            return not await call.process.ready()

        await until(closed, "the gateway accepts no more requests")
        for request in stored:
            await end(js, request, "delivered")
        status, body = await http
        assert (status, body["status"]) == (200, "delivered")
        assert json.loads((await spoken).data)["status"] == "delivered"
        assert await ending == 0
    assert "Traceback" not in call.process.text()


# ---- tts.speak


async def test_speak_answers_with_the_acceptance_or_the_report(
    start: Start, nats_server: NatsServer, js: JetStream
) -> None:
    call = await start()
    async with nats_server.connect() as nc:

        async def speak(payload: bytes) -> Any:
            return await nc.request(NAMES.speak, payload, timeout=5)

        answer = await speak(json.dumps(BODY).encode())
        stored = await stored_request(js, "s1")
        assert json.loads(answer.data) == {
            "requestId": "r1",
            "sessionId": "s1",
            "requestSeq": stored.sequence,
            "status": "queued",
        }
        assert not answer.headers

        async with ending_all(js, "delivered", transport="http"):
            answer = await speak(json.dumps(SYNC | {"requestId": "r2", "supersede": True}).encode())
            assert (json.loads(answer.data)["status"], answer.headers) == ("delivered", None)
            answer = await speak(msgpack.packb(SYNC | {"requestId": "r3"}))
            assert msgpack.unpackb(answer.data)["status"] == "delivered"
        last = await js.last(NAMES.reports_stream, NAMES.report("s1", "r3"))
        assert last is not None
        assert msgpack.unpackb(last.data)["requestId"] == "r3"

        for payload, field in (
            (b"", "payload"),
            (b"[" * 100_000, "payload"),
            (b'{"text":"a","sessionId":"\\ud800","phoneId":"p"}', "sessionId"),
            (json.dumps(BODY | {"text": ""}).encode(), "text"),
        ):
            answer = await speak(payload)
            report = json.loads(answer.data)
            assert (report["status"], report["error"]["code"]) == ("failed", "invalid_request")
            assert report["error"]["message"].startswith(f"{field}: ")
            assert answer.headers["Nats-Service-Error-Code"] == "400"
            assert answer.headers["Nats-Service-Error"].startswith(f"{field}: ")
        answer = await speak(msgpack.packb({"text": 5, "sessionId": "s", "phoneId": "p"}))
        assert msgpack.unpackb(answer.data)["error"]["code"] == "invalid_request"

        for number in range(64):
            await speak(json.dumps(BODY | {"sessionId": "full", "requestId": f"r{number}"}).encode())
        answer = await speak(json.dumps(BODY | {"sessionId": "full", "requestId": "r64"}).encode())
        assert json.loads(answer.data)["error"]["code"] == "overloaded"
        assert answer.headers["Nats-Service-Error-Code"] == "503"
    metric = call.process.metric
    assert await metric("orastream_gateway_requests_total", route="tts.speak", outcome="invalid_request") == 5
    assert await metric("orastream_gateway_requests_total", route="tts.speak", outcome="overloaded") == 1


async def test_speak_answers_queued_when_the_wait_times_out(start: Start, nats_server: NatsServer) -> None:
    await start(GATEWAY_WAIT_SECONDS=0.2, DEFAULT_FIRE_AND_FORGET=False)
    async with nats_server.connect() as nc:
        answer = await nc.request(NAMES.speak, json.dumps(BODY).encode(), timeout=5)
    assert (json.loads(answer.data)["status"], json.loads(answer.data)["error"]) == ("queued", None)
    assert answer.headers["Nats-Service-Error-Code"] == "504"


async def test_slow_utterance_does_not_delay_another_request(
    start: Start, nats_server: NatsServer, js: JetStream
) -> None:
    await start()
    async with nats_server.connect() as nc:
        slow = asyncio.create_task(nc.request(NAMES.speak, json.dumps(SYNC).encode(), timeout=10))
        quick = await nc.request(NAMES.speak, json.dumps(BODY | {"sessionId": "s2"}).encode(), timeout=5)
        assert json.loads(quick.data)["status"] == "queued"
        assert not slow.done()

        async def stored() -> bool:
            return await js.after(NAMES.sessions_stream, NAMES.session_request("s1"), 0) is not None

        await until(stored, "the slow request is stored")
        await end(js, await stored_request(js, "s1"), "delivered")
        assert json.loads((await slow).data)["status"] == "delivered"


async def test_two_gateways_share_the_subject_of_speak(stack: Stack, nats_server: NatsServer, js: JetStream) -> None:
    await stack.start("gateway", replicas=2)
    async with nats_server.connect() as nc:
        infos: list[Map] = []
        both = asyncio.Event()

        async def on_info(message: Any) -> None:
            infos.append(json.loads(message.data))
            if len(infos) == 2:
                both.set()

        inbox = nc.new_inbox()
        await nc.subscribe(inbox, cb=on_info)
        await nc.publish("$SRV.INFO.tts-speak", b"", reply=inbox)
        await asyncio.wait_for(both.wait(), 5)
        assert {(info["name"], info["version"]) for info in infos} == {("tts-speak", "0.1.0")}
        assert infos[0]["endpoints"][0]["subject"] == NAMES.speak
        assert infos[0]["id"] != infos[1]["id"]
        for number in range(20):
            await nc.request(NAMES.speak, json.dumps(BODY | {"requestId": f"r{number}"}).encode(), timeout=5)
    counts = [
        await process.metric("orastream_gateway_requests_total", route="tts.speak", outcome="accepted")
        for process in stack["gateway"]
    ]
    assert sum(counts) == 20  # each request was answered by exactly one gateway
