"""`replyTo` is at least once: a request is deleted only when the server has processed the report to its caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from orastream.broker import Broker
from orastream.contract import codec
from orastream.contract.errors import NodeUnavailable
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from tests.support.ending import stored_request
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


class LossyProxy:
    """A TCP proxy to a nats-server. While `loses` is true, it drops what the client sends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.loses = False
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[LossyProxy]:
        async with serving(self._serve) as port:
            self.url = f"nats://127.0.0.1:{port}"
            yield self

    def break_connections(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, back]
        with contextlib.closing(back):
            await asyncio.gather(self._pump(reader, back, lossy=True), self._pump(there, writer, lossy=False))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, lossy: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 16):
                if not (lossy and self.loses):
                    sink.write(data)


@pytest.mark.parametrize("breaks", [True, False])
async def test_a_report_that_is_lost_on_the_way_is_sent_again(
    nats_server: NatsServer, js: JetStream, breaks: bool
) -> None:
    """The bytes are lost, and the connection breaks, or stays without an answer. The request is still stored then."""
    got: list[bytes] = []
    inbox = js.broker.new_inbox()
    await js.broker.subscribe(inbox, lambda _subject, _reply, data, _headers: got.append(data))
    body = {"text": "a", "sessionId": "s", "phoneId": "p", "requestId": "r", "replyTo": inbox}
    await js.store(NAMES.request("s"), codec.encode(body, "json"))
    stored = await stored_request(js, "s", "r")
    async with (
        LossyProxy(nats_server.port).serving() as proxy,
        Broker(proxy.url, name="bridge", connect_timeout_s=5) as broker,
    ):
        reports = ReportStore(JetStream(broker))
        final = (await reports.write(stored, stored.report("cancelled"), 0)).state.report
        proxy.loses = True
        closing = asyncio.create_task(reports.close(stored, final))
        await asyncio.sleep(0.2)
        if breaks:
            proxy.loses = False
            proxy.break_connections()
        with pytest.raises(NodeUnavailable):
            await closing
        assert await js.get(NAMES.sessions_stream, stored.sequence) is not None and got == []
        proxy.loses = False
        proxy.break_connections()
        await broker.wait_connected(10)
        async with asyncio.timeout(10):
            while True:  # as the owner does: `TidyFailed`, and again a second later
                with contextlib.suppress(NodeUnavailable):
                    await reports.close(stored, final)
                    break
                await asyncio.sleep(0.1)

    async def answered() -> bool:
        return bool(got)

    await until(answered, "the report at replyTo", timeout_s=5)
    assert Report.decode(got[0]).status == "cancelled"
    assert await js.get(NAMES.sessions_stream, stored.sequence) is None
