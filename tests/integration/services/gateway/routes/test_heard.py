"""What was heard over HTTP: the record of a request, and a cancel that waits. The tests write records as bridges do."""

from __future__ import annotations

import asyncio
import signal

import aiohttp
import pytest
from yarl import URL

from orastream.contract.codec import Map
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.heard import a_record, at_each_cancel, put_record, put_report
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SOON_S = 15.0
"""Deadline of what takes milliseconds; less than the waits of the tests."""
KEY = {"Authorization": "Bearer key-1"}


class Caller:
    """Sends requests to one gateway."""

    def __init__(self, http: aiohttp.ClientSession, gateway: ServiceProcess) -> None:
        self._http = http
        self.gateway = gateway

    async def __call__(self, method: str, path: str, body: Map | None = None) -> tuple[int, Map]:
        """Return status and body. The path is sent as it is."""
        url = URL(self.gateway.url + path, encoded=True)
        async with asyncio.timeout(SOON_S), self._http.request(method, url, json=body) as answer:
            return answer.status, await answer.json()


@pytest.fixture
def call(http: aiohttp.ClientSession, gateway: ServiceProcess) -> Caller:
    return Caller(http, gateway)


async def test_the_record_of_a_request(js: JetStream, call: Caller) -> None:
    status, body = await call("GET", "/api/heard/s/r")
    assert (status, body["error"]["code"]) == (404, "not_found")
    record = a_record("방 1/2", "요청.1", 7, cancel_seq=9)
    await put_record(js, record)
    path = f"/api/heard/{'/'.join(URL.build(path=part).raw_path.replace('/', '%2F') for part in ('방 1/2', '요청.1'))}"
    assert await call("GET", path) == (200, record.to_map())
    for wrong, expected in {"a": 404, "a/b/c": 404, "a//": 422, "a/%00": 422}.items():
        assert (await call("GET", f"/api/heard/{wrong}"))[0] == expected, wrong


@pytest.mark.parametrize("wait", ["wait", "wait=true", "wait=25", "wait=29.5"])
async def test_a_cancel_answers_with_what_was_heard(js: JetStream, call: Caller, wait: str) -> None:
    for seq, request in ((1, "b"), (2, "a")):
        await put_report(js, "s", request, seq, "delivering")
        await put_record(js, a_record("s", request, seq, done=False))

    async def answer(cancel: int) -> None:
        for seq, request in ((2, "a"), (1, "b")):
            await put_report(js, "s", request, seq, "cancelled")
            await put_record(js, a_record("s", request, seq, cancel_seq=cancel))

    async with at_each_cancel(js, answer):
        status, body = await call("POST", f"/api/cancel/s?{wait}")
    cancel = await js.last(NAMES.sessions_stream, NAMES.session_cancel("s"))
    assert status == 200 and cancel is not None
    assert body == {
        "sessionId": "s",
        "cancelSeq": cancel.sequence,
        "heard": [
            a_record("s", request, seq, cancel_seq=cancel.sequence).to_map() for seq, request in ((1, "b"), (2, "a"))
        ],
    }
    assert (await call("POST", f"/api/cancel/s?{wait}"))[1]["heard"] == [], "nothing plays any more"
    assert await call.gateway.metric("orastream_gateway_requests_total", route="cancel", outcome="found") == 2


async def test_only_the_named_request_and_only_for_its_time(js: JetStream, call: Caller) -> None:
    for seq, request in ((1, "r 1"), (2, "x")):
        await put_report(js, "s", request, seq, "delivering")
    status, body = await call("POST", "/api/cancel/s?wait=0.2", {"requestId": "r 1"})
    assert (status, [(one["requestId"], one["done"]) for one in body["heard"]]) == (200, [("r 1", False)])


@pytest.mark.parametrize("wait", ["wait=31", "wait=-1", "wait=nan", "wait=yes", "wait=1e999"])
async def test_a_wrong_wait_cancels_nothing(js: JetStream, call: Caller, wait: str) -> None:
    status, body = await call("POST", f"/api/cancel/s?{wait}")
    assert (status, body["error"]["field"]) == (422, "wait")
    assert await js.last(NAMES.sessions_stream, NAMES.session_cancel("s")) is None


async def test_without_wait_it_answers_as_before(js: JetStream, call: Caller) -> None:
    await put_report(js, "s", "r", 1, "delivering")
    for query in ("", "?wait=false", "?other=1"):
        status, body = await call("POST", f"/api/cancel/s{query}")
        assert (status, set(body)) == (202, {"sessionId", "cancelSeq"})


async def test_a_stored_cancel_is_never_answered_with_an_error(js: JetStream, call: Caller) -> None:
    """A caller who got one would cancel again, and with it what the session asks in the meantime."""
    await js.api(f"STREAM.DELETE.{NAMES.heard_stream}")
    status, body = await call("POST", "/api/cancel/s?wait=0")
    cancel = await js.last(NAMES.sessions_stream, NAMES.session_cancel("s"))
    assert cancel is not None
    assert (status, body) == (202, {"sessionId": "s", "cancelSeq": cancel.sequence})
    await StreamKeeper(js, StreamLimits(audio_max_bytes=256 << 20)).ensure()
    assert (await call("POST", "/api/cancel/s?wait"))[0] == 200


async def test_a_gateway_that_ends_answers_with_what_is_known(js: JetStream, call: Caller) -> None:
    await put_report(js, "s", "r", 1, "delivering")
    waiting = asyncio.create_task(call("POST", "/api/cancel/s?wait=30"))

    async def in_flight() -> bool:
        stored = await js.last(NAMES.sessions_stream, NAMES.session_cancel("s"))
        return stored is not None and await call.gateway.metric("orastream_gateway_in_flight") == 1

    await until(in_flight, "the cancel waits")
    call.gateway.signal(signal.SIGTERM)
    status, body = await waiting
    assert body["cancelSeq"]
    if status != 202:  # that is: it ended before it had read what is stored
        assert (status, [one["done"] for one in body["heard"]]) == (200, [False])


async def test_a_key_is_needed(stack: Stack, js: JetStream, http: aiohttp.ClientSession) -> None:
    (gateway,) = await stack.start("gateway", GATEWAY_API_KEYS="key-1")
    await put_record(js, a_record("s", "r", 1))
    url = f"{gateway.url}/api/heard/s/r"
    async with http.get(url) as refused, http.get(url, headers=KEY) as answer:
        assert (refused.status, answer.status) == (401, 200)
        assert "하나" not in await refused.text() and "하나" in await answer.text()
