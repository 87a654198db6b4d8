"""A check whose answer does not come names the messages that came and fit to nothing."""

from __future__ import annotations

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve

from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams import frame_client
from orastream.cli.checks.oraserver.streams.negotiation_checks import hello
from orastream.contract.oraserver.from_server import ServerHello, StreamOpened
from orastream.tls import ORASERVER, ClientTls, TlsFiles

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (msgpack.packb({"t": "Opened", "s": 1}), "a message of the unknown type `Opened`"),
        (StreamOpened(99, 0, 4_096).pack(), "`opened` of stream 99, which was not opened"),
    ],
)
async def test_what_was_ignored_is_named(answer: bytes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_client, "ANSWER_S", 0.5)

    async def handle(connection: ServerConnection) -> None:
        await connection.send(ServerHello(2, 65_536, 1, ("wav",), 0).pack())
        async for frame in connection:
            if isinstance(frame, bytes) and msgpack.unpackb(frame)["t"] == "open":
                await connection.send(answer)

    async with serve(handle, "127.0.0.1", 0, subprotocols=["orastream.v2"]) as listening:  # type: ignore[list-item]
        port = next(iter(listening.sockets)).getsockname()[1]
        result = await hello.run(ServerUnderTest(f"ws://127.0.0.1:{port}/ws", None, ClientTls(TlsFiles(ORASERVER))))
    assert result.outcome.level == "broken"
    assert says in result.outcome.happened, result.outcome
