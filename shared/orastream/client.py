"""The asyncio client of the node: say, cancel, follow, ask. All that an LLM server needs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from orastream import codec, streams, subjects
from orastream.assembly import Assembly
from orastream.bus import Bus
from orastream.codec import Encoding, Map
from orastream.errors import (
    InvalidRequest,
    NodeUnavailable,
    Overloaded,
    PublishRefused,
    StreamFull,
    Undecodable,
    WaitTimeout,
)
from orastream.feed import Feed
from orastream.intake import StoredRequest, read_stored
from orastream.jetstream import JetStream
from orastream.messages import DEFAULT_MAX_TEXT_CHARS, Cancel, Report, Transport, parse_request
from orastream.packets import AudioChunk, AudioEnd, AudioStart, unpack
from orastream.reports import Reports

DEFAULT_WAIT_S = 60.0
MOST_HEADER_BYTES = 1024
"""Message id (two tokens of 343 characters at most) and what belongs to it."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The node has stored the request durably; `request_seq` is its place in the order of everything asked."""

    request_id: str
    session_id: str
    request_seq: int
    duplicate: bool = False
    """The same request had been stored before; it is not spoken twice."""
    status: Literal["queued"] = "queued"

    def to_map(self) -> Map:
        """As `tts.speak` and the gateway answer it."""
        return {
            "requestId": self.request_id,
            "sessionId": self.session_id,
            "requestSeq": self.request_seq,
            "status": self.status,
        }


class Client:
    """One NATS connection to the node, for one event loop; any number of calls side by side.

    async with Client("nats://127.0.0.1:4222") as client:
        report = await client.say("안녕하세요", session_id="s1", phone_id="p1", fire_and_forget=False)
    """

    def __init__(
        self,
        url: str = "nats://127.0.0.1:4222",
        *,
        creds: Path | None = None,
        name: str = "orastream-client",
        fire_and_forget: bool = True,
        transport: Transport | None = None,
        max_text_chars: int = DEFAULT_MAX_TEXT_CHARS,
        connect_timeout_s: float | None = 5.0,
    ) -> None:
        """`fire_and_forget` and `transport` are the defaults of calls that leave them open."""
        self._bus = Bus(url, name=name, creds=creds, connect_timeout_s=connect_timeout_s)
        self._js = JetStream(self._bus)
        self._reports = Reports(self._js)
        self._fire_and_forget = fire_and_forget
        self._transport = transport
        self._max_text_chars = max_text_chars

    @classmethod
    def over(cls, bus: Bus, *, fire_and_forget: bool = True, max_text_chars: int = DEFAULT_MAX_TEXT_CHARS) -> Client:
        """A client over a connection that someone else opens and closes (the gateway's)."""
        client = cls.__new__(cls)
        client._bus, client._js = bus, JetStream(bus)
        client._reports = Reports(client._js)
        client._fire_and_forget, client._transport, client._max_text_chars = fire_and_forget, None, max_text_chars
        return client

    async def __aenter__(self) -> Self:
        await self._bus.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bus.__aexit__(kind, exc, trace)

    @property
    def bus(self) -> Bus:
        """The connection."""
        return self._bus

    # ---- asking for speech

    async def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        request_id: str | None = None,
        use_websocket: bool | None = None,
        transport: Transport | None = None,
        fire_and_forget: bool | None = None,
        wait_s: float = DEFAULT_WAIT_S,
        **options: object,
    ) -> Acceptance | Report:
        """Have a text spoken to a phone.

        Fire and forget: returns once the node has stored the request. Otherwise: returns the final report, whatever
        its status. `options` are the other fields of a request by their wire names (`voice`, `speed`, `ttlSeconds`…).

        Raises InvalidRequest (nothing was stored), Overloaded, NodeUnavailable, WaitTimeout (the report still comes).
        Cancel-safe: a request that was stored is spoken even if this call is cancelled.
        """
        fields: Map = {
            "text": text,
            "sessionId": session_id,
            "phoneId": phone_id,
            "requestId": request_id,
            "use_websocket": use_websocket,
            "transport": transport,
            "fire_and_forget": fire_and_forget,
            **options,
        }
        acceptance, waits = await self.submit(fields)
        return await self.wait(session_id, acceptance.request_id, wait_s) if waits else acceptance

    async def submit(self, fields: Map, *, encoding: Encoding = "json") -> tuple[Acceptance, bool]:
        """Check and store a request given by its wire fields; also says whether its sender wants to wait.

        Applies this client's defaults to what is absent and writes them into the request; a request without an id
        gets one, so that a repeated publish cannot be spoken twice. Its reports come in `encoding`. Raises
        InvalidRequest, Overloaded, NodeUnavailable.
        """
        request = parse_request(fields, max_text_chars=self._max_text_chars)
        body = request.to_map()
        forget = self._fire_and_forget if request.fire_and_forget is None else request.fire_and_forget
        body["fire_and_forget"] = forget
        if request.stated_transport is None and self._transport is not None:
            body["transport"] = self._transport
        request_id = request.request_id or uuid.uuid4().hex
        body["requestId"] = request_id
        session, token = subjects.token(request.session_id), subjects.token(request_id)
        parse_request(body, session=session, max_text_chars=self._max_text_chars)
        data = codec.encode(body, encoding)
        if len(data) > self._bus.max_payload - MOST_HEADER_BYTES:
            raise InvalidRequest("text", f"the request has {len(data)} bytes, more than NATS takes; split the text")
        try:
            ack = await self._js.store(subjects.request(session), data, message_id=subjects.message_id(session, token))
        except StreamFull as exc:
            raise Overloaded(f"session {request.session_id} has no room ({exc.description}); try again later") from exc
        except PublishRefused as exc:
            raise NodeUnavailable(f"the request was not stored: {exc}") from exc
        return Acceptance(request_id, request.session_id, ack.sequence, ack.duplicate), not forget

    async def wait(self, session_id: str, request_id: str, wait_s: float = DEFAULT_WAIT_S) -> Report:
        """The final report of a request, once there is one. Raises WaitTimeout after `wait_s`, NodeUnavailable."""
        session, token = subjects.token(session_id), subjects.token(request_id)
        changed = asyncio.Event()
        try:
            async with (
                asyncio.timeout(wait_s),
                Feed(self._js, streams.REPORTS, subjects.report(session, token), wake=changed.set) as feed,
            ):
                while True:
                    changed.clear()
                    while (message := feed.pop()) is not None:
                        report = _report(message.data)
                        if report is not None and report.final:
                            return report
                    await changed.wait()
        except TimeoutError:
            raise WaitTimeout(session_id, request_id, wait_s) from None

    async def cancel(self, session_id: str, request_id: str | None = None) -> int:
        """Barge-in: stop everything the session asked before this call, or one request. Gives the cancel's sequence.

        Raises InvalidRequest, Overloaded (too many cancels are waiting to be applied), NodeUnavailable.
        """
        session = subjects.token(session_id)
        if request_id is not None:
            subjects.check_id(request_id, "requestId")
        try:
            ack = await self._js.store(subjects.cancel(session), Cancel(request_id).encode())
        except StreamFull as exc:
            raise Overloaded(f"session {session_id} has no room for a cancel ({exc.description})") from exc
        except PublishRefused as exc:
            raise NodeUnavailable(f"the cancel was not stored: {exc}") from exc
        return ack.sequence

    # ---- following

    async def report(self, session_id: str, request_id: str) -> Report | None:
        """What became of a request: its last report, `queued` if it is stored without one, None if unknown."""
        session, token = subjects.token(session_id), subjects.token(request_id)
        state = await self._reports.read(session, token)
        if state is not None:
            return state.report
        queued = await self._find_queued(session, token)
        if queued is not None:
            return queued.report("queued")
        state = await self._reports.read(session, token)  # it may have been claimed and ended between the two reads
        return state.report if state else None

    async def _find_queued(self, session: str, token: str) -> StoredRequest | None:
        after = 0
        while (message := await self._js.after(streams.SESSIONS, subjects.session_request(session), after)) is not None:
            after = message.sequence
            stored = read_stored(
                message.subject, after, message.time_s, message.data, max_text_chars=self._max_text_chars
            )
            if isinstance(stored, StoredRequest) and stored.token == token:
                return stored
        return None

    async def reports(self, session_id: str | None = None, *, history: bool = False) -> AsyncIterator[Report]:
        """Reports as they are written, of one session or of all; with `history` those of the last hour first.

        Endless: leave the loop to end it.
        """
        subject = subjects.reports("*" if session_id is None else subjects.token(session_id))
        last = None if history else await self._js.last(streams.REPORTS, subject)
        changed = asyncio.Event()
        async with Feed(
            self._js, streams.REPORTS, subject, wake=changed.set, after=last.sequence if last else 0
        ) as feed:
            while True:
                changed.clear()
                while (message := feed.pop()) is not None:
                    report = _report(message.data)
                    if report is not None:
                        yield report
                await changed.wait()

    async def audio(
        self, session_id: str, request_id: str, request_seq: int
    ) -> AsyncIterator[AudioStart | AudioChunk | AudioEnd]:
        """The audio of a request, in order and without gaps, while it is made: a start, the chunks, the end.

        A later attempt gives another start; indexes go on. Ends after the end; leave the loop to end it before.
        """
        assembly = Assembly(request_seq)
        changed = asyncio.Event()
        subject = subjects.audio(subjects.token(session_id), subjects.token(request_id))
        async with Feed(self._js, streams.AUDIO, subject, wake=changed.set) as feed:
            while True:
                changed.clear()
                while (message := feed.pop()) is not None:
                    start = assembly.start
                    for chunk in assembly.receive(message.sequence, unpack(message.data)):
                        yield chunk
                    if assembly.start is not None and assembly.start is not start:
                        yield assembly.start
                    if assembly.finished is not None:
                        yield assembly.finished
                        return
                await changed.wait()


def _report(data: bytes) -> Report | None:
    try:
        return Report.decode(data)
    except (Undecodable, ValueError):
        return None
