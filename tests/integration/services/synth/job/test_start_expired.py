"""A `start` that leaves the stream before its synth has read it back: the process stood still for long."""

from __future__ import annotations

import pytest

from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioStart
from orastream.jetstream.api import JetStream
from services.synth.job import job
from services.synth.job.attempt import Attempt, AudioExpired, open_attempt
from services.synth.job.audio_reader import AudioReader
from tests.support.ending import store_request
from tests.support.inprocess import running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

START = AudioStart(1, "pcm16", 16_000, 1, "choir", "en-US")


def expiring(monkeypatch: pytest.MonkeyPatch, js: JetStream, times: int) -> None:
    """Remove the audio before a stored `start` is read back, that many times."""
    read, left = AudioReader.read, times

    async def late(reader: AudioReader, until: int | None = None) -> None:
        nonlocal left
        if until is not None and left > 0:
            left -= 1
            await js.purge(NAMES.audio_stream, NAMES.audio("*", "*"))
        await read(reader, until)

    monkeypatch.setattr(AudioReader, "read", late)


async def test_it_is_no_attempt(js: JetStream, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = await store_request(js)
    expiring(monkeypatch, js, 1)
    with pytest.raises(AudioExpired):
        await open_attempt(js, stored, START, 600)


@pytest.mark.parametrize("times", [2, 3])
async def test_the_request_is_begun_again_or_ends_as_documented(
    nats_server: NatsServer, js: JetStream, client: Client, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Twice: it is delivered. Three times: `audio_expired`."""

    def none(*_: object) -> Attempt | None:
        return None  # so that the job opens an attempt of its own, as after a takeover

    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)):
        monkeypatch.setattr(job, "first_attempt", none)
        expiring(monkeypatch, js, times)
        await client.say("안녕하세요.", session_id="s", phone_id="p", request_id="r", transport="none")
        report = await client.wait("s", "r", 20)
    if times < 3:
        assert report.status == "delivered", report
    else:
        assert report.error is not None and report.error.code == "audio_expired", report
