"""The format of a request that names none: chosen once, and kept by each later attempt of any synth."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.messages import parse_request
from orastream.jetstream.api import JetStream
from services.synth.job import format_choice
from services.synth.job.format_choice import FormatChoice
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NOWHERE = "http://127.0.0.1:1"
TEXT = "안녕하세요, 반갑습니다. 오늘은 날씨가 맑습니다. 내일 또 만나요."
REQUEST = parse_request({"text": TEXT, "sessionId": "s", "phoneId": "p"})

Parts = tuple[list[AudioStart], list[AudioChunk], AudioEnd]


async def say(client: Client, request: str, **options: Any) -> Acceptance:
    accepted = await client.say(
        TEXT, session_id="s", phone_id="p", request_id=request, transport="websocket", sample_rate=24_000, **options
    )
    assert isinstance(accepted, Acceptance)
    return accepted


async def audio_of(client: Client, accepted: Acceptance) -> Parts:
    """The stored starts, chunks and end of a request."""
    messages = [m async for m in client.audio(accepted.session_id, accepted.request_id, accepted.request_seq)]
    starts = [message for message in messages if isinstance(message, AudioStart)]
    chunks = [message for message in messages if isinstance(message, AudioChunk)]
    end = messages[-1]
    assert isinstance(end, AudioEnd) and end.status == "complete", end
    return starts, chunks, end


def file(chunks: list[AudioChunk]) -> bytes:
    return b"".join(chunk.audio for chunk in chunks)


@pytest.mark.parametrize(("begun_with", "setting"), [("opus", "wav"), ("opus", "auto"), ("wav", "opus")])
async def test_another_synth_with_another_setting_keeps_the_format(
    nats_server: NatsServer, js: JetStream, client: Client, begun_with: str, setting: str
) -> None:
    """The sample rate is the same in both formats, so that the head start of the second synth differs in the format
    alone. No bridge lives: `auto` alone would choose wav.
    """
    async with running_node(nats_server.url, NOWHERE, ("synth",), delivery_format=begun_with):
        (start,), whole, _ = await audio_of(client, await say(client, "whole"))
    assert start.format == begun_with
    requests: list[Acceptance] = []
    for stored in (0, 1, len(whole) - 1):
        accepted = await say(client, f"r{stored}")
        subject = NAMES.put_audio("s", subjects.token(accepted.request_id))
        ours = replace(start, request_seq=accepted.request_seq)
        attempt = (await js.store(subject, ours.pack())).sequence
        for chunk in whole[:stored]:
            await js.store(subject, replace(chunk, attempt=attempt).pack())
        requests.append(accepted)
    async with running_node(nats_server.url, NOWHERE, ("synth",), delivery_format=setting):
        for accepted in requests:
            starts, chunks, _ = await audio_of(client, accepted)
            assert [each.format for each in starts] == [begun_with] * 2
            assert file(chunks) == file(whole), accepted.request_id


async def test_a_stored_format_that_this_synth_does_not_know_ends_the_request(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    accepted = await say(client, "r")
    start = AudioStart(accepted.request_seq, "holo", 24_000, 1, "espeak", "ko-KR")
    await js.store(NAMES.put_audio("s", "r"), start.pack())
    async with running_node(nats_server.url, NOWHERE, ("synth",)):
        *_, end = [message async for message in client.audio("s", "r", accepted.request_seq)]
    assert isinstance(end, AudioEnd) and end.status == "failed" and end.error is not None
    assert end.error.code == "engine_error" and "does not know holo" in end.error.message


async def test_choice_reads_the_heartbeats_of_ws_bridges(js: JetStream, monkeypatch: pytest.MonkeyPatch) -> None:
    async def beat(bridge: str, record: BridgeRecord) -> None:
        await js.store(NAMES.heartbeat_key(bridge), record.encode())

    async def chosen(choice: FormatChoice) -> set[str]:
        return set(await asyncio.gather(*(choice.of(REQUEST, "websocket", deterministic=True) for _ in range(8))))

    monkeypatch.setattr(format_choice, "KNOWN_S", 1e9)
    takes, kept = BridgeRecord("v2", frozenset({"opus", "wav"})), FormatChoice(js, "auto")
    assert await chosen(FormatChoice(js, "auto")) == {"wav"}, "no bridge lives"
    await beat("http_bridge-1", BridgeRecord())
    await beat("ws_bridge-1", takes)
    assert await chosen(kept) == {"opus"}
    await beat("ws_bridge-2", BridgeRecord())
    assert await chosen(FormatChoice(js, "auto")) == {"wav"}
    assert await chosen(kept) == {"opus"}, "an answer is used again for KNOWN_S"
    monkeypatch.setattr(format_choice, "KNOWN_S", 0.0)
    assert await chosen(kept) == {"wav"}


async def test_choice_is_wav_while_no_heartbeat_can_be_read(js: JetStream) -> None:
    """One read for all that ask at once. A request must not wait, or fail, for what only saves bytes."""
    await js.api(f"STREAM.DELETE.{NAMES.heartbeats_stream}")
    choice, began = FormatChoice(js, "auto"), asyncio.get_running_loop().time()
    asked = (choice.of(REQUEST, "websocket", deterministic=True) for _ in range(8))
    assert set(await asyncio.gather(*asked)) == {"wav"}
    assert asyncio.get_running_loop().time() - began < 5
