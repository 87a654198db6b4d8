"""A bridge's side of a connection of protocol v2, frame by frame: it can also send what no bridge sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from orastream.base.foreign_text import cleaned
from orastream.base.version import VERSION
from orastream.cli.checks.oraserver.outcomes import CheckFailed, NoAnswer
from orastream.cli.checks.oraserver.server import PHONE, ServerUnderTest
from orastream.cli.checks.oraserver.streams.client_stream import ClientStream
from orastream.cli.checks.oraserver.streams.speech import FILE_BYTES, PART_BYTES, StreamSpeech, speech_in
from orastream.cli.checks.oraserver.utterances import ENGINE, LANGUAGE
from orastream.contract.errors import Undecodable
from orastream.contract.oraserver.from_bridge import BridgeHello, CancelUtterances, OpenStream
from orastream.contract.oraserver.from_server import ServerError, ServerHello, UtterancesCleared, unpack_from_server
from orastream.contract.oraserver.wire import WireMessage, type_of
from orastream.delivery.rules.negotiation import V2
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.connection import WebSocketConnection
from orastream.delivery.websocket.link import session_headers

HELLO_S = 5.0
ANSWER_S = 10.0
"""How long `opened`, `ack` and `cleared` may take."""
NODE = "orastream-check"
OFFER = "offer"
"""The session in the headers of a connection that may become one of v1."""

T = TypeVar("T")


class FrameClient:
    """One connection on which the server has selected v2. For one event loop."""

    def __init__(self, server: ServerUnderTest, connection: WebSocketConnection) -> None:
        self.server = server
        self.received: list[WireMessage] = []
        """What has come, but for unknown types."""
        self.sent = 0
        """Binary frames that were sent."""
        self._connection = connection
        self._news = asyncio.Event()
        self._problem: str | None = None
        self._ignored: dict[str, None] = {}
        """What has come and fits to nothing, in words, in the order of its first coming."""
        self._streams: dict[int, ClientStream] = {}
        self._last_stream = 0
        connection.share(self._take, self._news.set)

    # ---- what comes

    @property
    def lost(self) -> LinkLost | None:
        """Why the connection has ended; None while it is open."""
        return self._connection.lost

    @property
    def hello(self) -> ServerHello:
        """The server's `hello`, after `greeted`."""
        first = self.received[0]
        assert isinstance(first, ServerHello), "greeted() has seen to it"
        return first

    @property
    def fatal(self) -> ServerError | None:
        """The `error` with which the server ends the connection; None if there is none."""
        return next((each for each in self.received if isinstance(each, ServerError) and each.fatal), None)

    async def wait(self, find: Callable[[], T | None], what: str, within_s: float | None = None) -> T:
        """Return what `find` returns, which is asked after each message, until it is not None. Cancel-safe.

        Raises CheckFailed if it takes longer than `within_s` (ANSWER_S), or the server sends what cannot be decoded,
        and LinkLost if the connection has ended.
        """
        limit_s = ANSWER_S if within_s is None else within_s
        try:
            async with asyncio.timeout(limit_s):
                while (found := find()) is None:
                    self._must_be_usable()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            ignored = f"; what came and was ignored: {', '.join(list(self._ignored)[:3])}" if self._ignored else ""
            raise NoAnswer(f"no {what} within {limit_s:g} s{ignored}") from None
        return found

    async def wait_until_lost(self, within_s: float | None = None) -> LinkLost:
        """Return why the connection has ended. Raises CheckFailed if it goes on for `within_s` (ANSWER_S)."""
        limit_s = ANSWER_S if within_s is None else within_s
        try:
            async with asyncio.timeout(limit_s):
                while (lost := self.lost) is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise CheckFailed(f"the connection is open {limit_s:g} s later") from None
        return lost

    async def room(self) -> None:
        """Wait until the socket takes more. Raises as `wait`."""
        await self.wait(lambda: self._connection.room or None, "room in the socket")

    def _must_be_usable(self) -> None:
        if self._problem is not None:
            raise CheckFailed(self._problem)
        if self.lost is not None and (fatal := self.fatal) is not None:
            raise CheckFailed(f"the server ended the connection: {cleaned(f'{fatal.code}: {fatal.message}')}")
        if self.lost is not None:
            raise self.lost

    def _take(self, data: bytes | None) -> None:
        try:
            message = None if data is None else unpack_from_server(data)
            if data is not None and message is None:
                self._ignored[f"a message of the unknown type `{cleaned(type_of(data))}`"] = None
        except Undecodable as exc:
            self._problem = self._problem or f"a frame of the server cannot be read: {exc.problem}"
            message = None
        if data is None:
            self._problem = self._problem or "the server has sent a text frame"
        if message is not None:
            self.received.append(message)
            number = getattr(message, "stream", None)
            stream = self._streams.get(number or 0)
            if stream is not None:
                stream.take(message)
            elif number is not None:
                self._ignored[f"`{message.TYPE}` of stream {number}, which was not opened"] = None
        self._news.set()

    # ---- what is sent

    def send(self, message: WireMessage, **more: object) -> None:
        """Send a message, with more keys if given."""
        self.send_payload(message.pack(**more))

    def send_payload(self, payload: bytes) -> None:
        """Send any binary frame."""
        self.sent += 1
        self._connection.send_binary(payload)

    def send_text(self, text: bytes) -> None:
        """Send a text frame, which v2 does not have."""
        self._connection.send_text(text)

    async def greeted(self, **more: object) -> None:
        """Wait for the server's `hello` and answer it, with more keys if given. Raises CheckFailed and LinkLost."""
        first = await self.wait(lambda: next(iter(self.received), None), "`hello`", HELLO_S)
        if not isinstance(first, ServerHello):
            raise CheckFailed(f"the first frame of the server is `{first.TYPE}`, not `hello`")
        self.server.stream_formats[:] = first.formats
        self.send(BridgeHello(2, NODE, f"check-{self.server.run}", f"orastream/{VERSION}"), **more)

    def open(
        self, spoken: StreamSpeech, *, fresh: bool = True, epoch: int = 1, attempt: int | None = None, **more: object
    ) -> ClientStream:
        """Open a stream of the utterance. `attempt` None: a higher one than all before."""
        self._last_stream += 1
        said = spoken.said
        stream = ClientStream(self, self._last_stream, spoken, fresh=fresh)
        self._streams[stream.number] = stream
        message = OpenStream(
            stream.number,
            said.session,
            said.phone,
            said.request,
            spoken.seq,
            epoch,
            next(self.server.numbers) if attempt is None else attempt,
            acked=0,
            format=said.format,
            rate=said.sample_rate_hz,
            channels=1,
            engine=ENGINE,
            language=LANGUAGE,
            fresh=fresh,
        )
        self.send(message, **more)
        return stream

    async def cancel(
        self, session: str, *, before: int | None = None, seq: int | None = None, epoch: int = 1
    ) -> UtterancesCleared:
        """Send a cancel, and return its answer. Raises CheckFailed and LinkLost."""
        since = len(self.received)
        self.send(CancelUtterances(session, epoch, before, seq))

        def answer() -> UtterancesCleared | None:
            for each in self.received[since:]:
                if isinstance(each, ServerError) and each.session == session:
                    raise CheckFailed(f"`cancel` was answered by `error` with {cleaned(each.code)}")
                if isinstance(each, UtterancesCleared) and each.session == session:
                    return each
            return None

        found = await self.wait(answer, "`cleared`")
        if (found.before, found.seq) != (before, seq):
            raise CheckFailed(
                f"`cleared` has before {found.before} and seq {found.seq}; the cancel had {before} and {seq}"
            )
        return found

    async def read_all(self, why: str) -> None:
        """Return when the server has read everything that was sent so far. It delivers an utterance for that."""
        stream = self.open(speech_in(self.server, f"{why}-{next(self.server.numbers)}", size=100))
        stream.send(0, 100)
        sent = self.sent
        await stream.wait(lambda: True if any(ack.seen >= sent for ack in stream.acks) else None, "`ack`")
        stream.end()
        await stream.delivered()

    def cut(self) -> None:
        """End the connection with a reset."""
        self._connection.abort("cut by the check")

    def close(self) -> None:
        """End the connection with a close frame."""
        self._connection.close()


async def connect(server: ServerUnderTest, offer: tuple[str, ...], *, token: str | None = None) -> WebSocketConnection:
    """Open a WebSocket as a bridge does, with this offer, and this token or that of the server. Raises LinkLost."""
    assert server.websocket_url is not None
    headers = {} if offer == (V2,) else session_headers(server.session(OFFER), PHONE)
    return await WebSocketConnection.open(
        server.websocket_url, headers | server.headers(token), _nothing, server.client_tls, subprotocols=offer
    )


@asynccontextmanager
async def frames(
    server: ServerUnderTest, *, offer: tuple[str, ...] = (V2,), **more: object
) -> AsyncIterator[FrameClient]:
    """A connection of v2 after both `hello`; closed at the end. Raises CheckFailed and LinkLost."""
    connection = await connect(server, offer)
    try:
        if connection.subprotocol != V2:
            raise CheckFailed(f"the server has not selected {V2} from the offer {', '.join(offer)}")
        client = FrameClient(server, connection)
        await client.greeted(**more)
        yield client
    finally:
        connection.close()


async def speech(
    server: ServerUnderTest, name: str, *, size: int = FILE_BYTES, request: str = "r1", part_bytes: int = PART_BYTES
) -> StreamSpeech:
    """As `speech_in`, after a connection that shows which formats the server takes, if that is not known.

    Raises CheckFailed and LinkLost.
    """
    if not server.stream_formats:
        async with frames(server):
            pass
    return speech_in(server, name, size=size, request=request, part_bytes=part_bytes)


def _nothing() -> None:
    """Who uses the connection says later whom to call."""
