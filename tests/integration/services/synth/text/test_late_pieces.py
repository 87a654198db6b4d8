"""Pieces of text that are stored after the final report are deleted; those of a text that is still open are not."""

from __future__ import annotations

import pytest

from orastream.client.async_client import Client
from orastream.contract import stream_names, subjects
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from services.synth.text import late_pieces
from services.synth.text.late_pieces import LatePieces
from tests.support.ending import end, store_request
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

PIECE = b'{"index":7,"text":"late"}'


async def texts(js: JetStream) -> set[str]:
    """The texts of which a piece is stored."""
    stored = await js.read(stream_names.TEXTS, "tts.script.>", 0, batch=256)
    return {message.subject.removeprefix("tts.script.") for message in stored}


async def test_only_those_of_final_requests(js: JetStream) -> None:
    """Not those of an open request, nor of one that is not stored yet."""
    sweep = LatePieces(js, ReportStore(js))
    for request in ("final", "open"):
        stored = await store_request(js, request)
        if request == "final":
            await end(js, stored, "cancelled")
        else:
            await ReportStore(js).write(stored, stored.report("synthesizing"), 0)
    for subject in ("s.final", "s.open", "s.unknown"):
        await js.store(f"tts.text.{subject}", PIECE)
    await js.store(subjects.text("s", "final"), PIECE)
    assert await sweep.sweep() == 1
    assert await texts(js) == {"s.open", "s.unknown"}
    assert await sweep.sweep() == 0


async def test_a_writer_that_goes_on_after_a_cancel(
    nats_server: NatsServer, js: JetStream, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_pieces, "SWEEP_EVERY_S", 0.3)
    async with running_node(nats_server.url, "http://127.0.0.1:1", ("synth",)):
        ids = {"sessionId": "s", "phoneId": "p", "requestId": "r"}
        await client.submit({"text": "하나. ", **ids, "transport": "none", "textStream": True})
        await client.cancel("s")
        assert (await client.wait("s", "r", 20)).status == "cancelled"

        async def tidied() -> bool:
            return await js.after(stream_names.SESSIONS, subjects.session_request("s"), 0) is None

        await until(tidied, "the request is deleted, and with it its text", timeout_s=10)
        piece = await js.store(subjects.text("s", "r"), PIECE)

        async def gone() -> bool:
            return await js.get(stream_names.TEXTS, piece.sequence) is None

        await until(gone, "the late piece is deleted", timeout_s=10)
