"""The node's asyncio client: requests speech, cancels it, watches reports, lists voices."""

# length: all calls of the public interface, each with what it gives and raises

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from orastream import traces
from orastream.broker import Broker
from orastream.client import django_settings, progress, publishing, voices, watch
from orastream.client.acceptance import Acceptance
from orastream.client.cancelling import DEFAULT_CUT_S, CutWatch, check_seconds, store_cancel
from orastream.client.client_connection import ClientConnection
from orastream.client.connection_options import CONNECT_TIMEOUT_S, NAME, access_of, broker_of
from orastream.client.loop_connections import LoopConnections
from orastream.client.options import SayOptions, UtteranceOptions, to_wire
from orastream.client.reads import Reads
from orastream.client.superseding import store_superseding
from orastream.client.text_stream import TextStream
from orastream.contract import codec, subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.caller import HEADER, UNKNOWN
from orastream.contract.codec import Encoding, Map
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import InvalidRequest, Overloaded, PublishRefused, WaitTimeout
from orastream.contract.heard import Heard
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS, Report, Transport, parse_request
from orastream.contract.names import DEFAULT_PREFIX, Names
from orastream.jetstream.api import JetStream

T = TypeVar("T")

DEFAULT_WAIT_S = 60.0
MAX_HEADER_BYTES = 1152 + traces.MAX_BYTES
"""Maximum bytes of the headers: message id, caller, trace context, header names."""


class Client:
    """One NATS connection to the node, for one event loop; calls may run concurrently.

    Calls raise RuntimeError before `async with` has opened it.

    async with Client("nats://127.0.0.1:4222") as client:
        report = await client.say("안녕하세요", session_id="s1", phone_id="p1", fire_and_forget=False)
    """

    def __init__(  # noqa: PLR0913 - options of the public interface, all with defaults, by keyword
        self,
        url: str | Broker = "nats://127.0.0.1:4222",
        *,
        prefix: str | None = None,
        creds: str | Path | None = None,
        nkey_seed: str | Path | None = None,
        ca: str | Path | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        tls_handshake_first: bool = False,
        inbox_prefix: str = subjects.INBOX,
        name: str = NAME,
        fire_and_forget: bool = True,
        transport: Transport | None = None,
        max_text_chars: int = DEFAULT_MAX_TEXT_CHARS,
        max_backlog_s: float | None = None,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
    ) -> None:
        """`prefix` is the node's TTS_PREFIX, or the name of a front door; None: `tts`, or that of the Broker.

        `fire_and_forget` and `transport` are the defaults of calls that do not set them.

        With `max_backlog_s`, a request that would wait more than so many seconds for a synth's slot is not stored, and
        raises Overloaded; this needs `async with`, and the right to subscribe to `tts.load`. None: each is stored.

        `creds` or `nkey_seed` is the user. `ca`, `cert` and `key` are PEM files for TLS (docs/guide/security.md): with
        one of them there is no connection without TLS. Set `inbox_prefix`, the prefix of the reply subjects, if this
        NATS user may not subscribe to `_INBOX.>`.

        With a Broker instead of a URL the client uses that connection, and `async with` neither opens nor closes it.
        Raises ValueError for an invalid `prefix` or `connect_timeout_s`, and for a Broker with a parameter of the
        connection: the Broker has its own.
        """
        if connect_timeout_s is not None:
            check_seconds("connect_timeout_s", connect_timeout_s)
        access = access_of(creds, nkey_seed, ca, cert, key, tls_handshake_first)
        broker = broker_of(url, access, prefix or DEFAULT_PREFIX, inbox_prefix, name, connect_timeout_s)
        self._names = Names(prefix) if prefix is not None else broker.names
        self._own = ClientConnection(
            broker,
            self._names,
            owns_broker=isinstance(url, str),
            max_text_chars=max_text_chars,
            max_backlog_s=max_backlog_s,
        )
        self._loops: LoopConnections | None = None
        self._fire_and_forget = fire_and_forget
        self._transport = transport
        self.max_text_chars = max_text_chars
        """Maximum length of a text, in characters."""

    @classmethod
    def from_django(cls) -> Self:
        """A client for async views: configured as `BlockingClient.from_django`, connected at its first call.

        Make one for the process, in any module. It has one connection for each event loop that calls it, and closes it
        when that loop ends. `async with` is not needed; it closes the connection of this loop. After a failed attempt
        calls of this loop raise NodeUnavailable at once for 1 s. Thread-safe. Raises SettingsError that names the
        invalid setting.
        """
        options: Any = django_settings.client_options()
        client = cls(**options)
        client._loops = LoopConnections(lambda: cls(**options)._own)
        return client

    async def __aenter__(self) -> Self:
        if self._loops is None:
            await self._own.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await (self._own if self._loops is None else self._loops).close()

    async def _ready(self) -> None:
        """Connect, if this client does that by itself."""
        if self._loops is not None:
            await self._loops.get()

    @property
    def _connection(self) -> ClientConnection:
        return self._own if self._loops is None else self._loops.here

    @property
    def broker(self) -> Broker:
        """The NATS connection."""
        return self._connection.broker

    @property
    def names(self) -> Names:
        """The names of the node that it calls."""
        return self._names

    @property
    def _js(self) -> JetStream:
        """JetStream over the open connection. Raises RuntimeError before `async with`: each call would wait in vain."""
        return self.reads.js

    @property
    def reads(self) -> Reads:
        """The reads of reports and audio over the open connection. Raises RuntimeError before `async with`."""
        return self._connection.reads

    # ---- asking for speech

    @overload
    async def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: Literal[False],
        wait_s: float = ...,
        **options: Unpack[SayOptions],
    ) -> Report: ...
    @overload
    async def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: Literal[True],
        wait_s: float = ...,
        **options: Unpack[SayOptions],
    ) -> Acceptance: ...
    @overload
    async def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: bool | None = ...,
        wait_s: float = ...,
        **options: Unpack[SayOptions],
    ) -> Acceptance | Report: ...
    async def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: bool | None = None,
        wait_s: float = DEFAULT_WAIT_S,
        **options: Unpack[SayOptions],
    ) -> Acceptance | Report:
        """Have a text spoken to a phone. Returns the Acceptance or the final Report.

        Fire and forget: returns once the node has stored the request. Otherwise: waits up to `wait_s` seconds for the
        final report and returns it, whatever its status. Without `fire_and_forget` the client's own decides, so for
        type checkers the result is either of both. `options` are the other fields of a request (`voice`, `speed`,
        `ttl_seconds`…), in Python or wire spelling (`ttlSeconds`); another name raises TypeError. `supersede=True`
        cancels all that the session asked before. If the session is full, it cancels first, and tries again for 3 s.

        Raises InvalidRequest (nothing was stored), Overloaded, NodeUnavailable, WaitTimeout (the report still comes).
        Cancel-safe: a stored request is spoken even if this call is cancelled. If the process uses OpenTelemetry, the
        call is a child span of the current span, and the request carries its trace context.
        """
        fields: Map = {
            "text": text,
            "sessionId": session_id,
            "phoneId": phone_id,
            "fire_and_forget": fire_and_forget,
            **to_wire("say", options, given=("text", "session_id", "phone_id", "fire_and_forget")),
        }
        request_id = options.get("request_id") or options.get("requestId")
        with traces.begin("say", kind="client", attributes=traces.identity(session_id, request_id)) as span:
            acceptance, waits = await self.submit(fields, trace=span)
            span.set(traces.identity(session_id, acceptance.request_id, acceptance.request_seq))
            if not waits:
                return acceptance
            report = await self.wait(session_id, acceptance.request_id, wait_s)
            traces.record(span, report)
            return report

    def utterance(
        self,
        *,
        session_id: str,
        phone_id: str,
        text: str = "",
        fire_and_forget: bool | None = None,
        **options: Unpack[UtteranceOptions],
    ) -> TextStream:
        """A request whose text is still being written: `async with … as u: await u.write(token)`.

        `text` is the beginning of the text. `options` are those of `say`, and `idle_seconds` (default 10): after so
        many seconds without a token, the node speaks what it has, and the request fails with `text_stalled`.
        See `TextStream`. Raises TypeError for an unknown option.
        """
        given = ("text", "session_id", "phone_id", "fire_and_forget", "text_stream")
        fields: Map = {
            "text": text,
            "sessionId": session_id,
            "phoneId": phone_id,
            "fire_and_forget": fire_and_forget,
            **to_wire("utterance", options, given=given),
        }
        return TextStream(self, fields, self.max_text_chars)

    async def submit(
        self,
        fields: Map,
        *,
        encoding: Encoding = "json",
        trace: traces.Parent = None,
        caller: str = UNKNOWN,
        account: str = UNKNOWN,
    ) -> tuple[Acceptance, bool]:
        """Check and store a request given by its wire fields. Returns its Acceptance and whether the sender waits.

        Absent fields get this client's defaults. A request without an id gets one, so that a repeated publish is not
        spoken twice. The node encodes its reports in `encoding`. `trace` is the parent span or headers; without it the
        caller's current span is the parent. `caller` is who asks, for a service that asks for others; `account` is the
        same, if it is an account of TTS_CALLERS (`contract/caller.py`).

        Raises InvalidRequest, Overloaded, NodeUnavailable.
        """
        await self._ready()
        js, request = self._js, parse_request(fields, max_text_chars=self.max_text_chars, names=self._names)
        body = request.to_map()
        forget = self._fire_and_forget if request.fire_and_forget is None else request.fire_and_forget
        body["fire_and_forget"] = forget
        if request.stated_transport is None and self._transport is not None:
            body["transport"] = self._transport
        request_id = request.request_id or uuid.uuid4().hex
        body["requestId"] = request_id
        session, token = subjects.tokens(request.session_id, request_id)
        parse_request(body, session=session, max_text_chars=self.max_text_chars, names=self._names)
        data = codec.encode(body, encoding)
        if len(data) > self.broker.max_payload - MAX_HEADER_BYTES:
            raise InvalidRequest("text", f"the request has {len(data)} bytes, more than NATS accepts; split the text")
        load_watch = self._connection.load_watch
        counted = load_watch.check()
        subject = self._names.ingest_subject(account, session) if account else self._names.request(session)
        message_id = publishing.message_id(session, token)
        about = traces.messaging("publish", "send", subject, self._names.request("{session}"))
        about |= traces.identity(request.session_id, request_id)
        with traces.begin("publish tts.request", parent=trace, kind="producer", attributes=about) as span:
            headers = {**span.carrier, HEADER: caller} if caller else span.carrier
            store = partial(js.store, subject, data, message_id=message_id, more_headers=headers)
            try:
                if request.supersede:
                    ack = await store_superseding(request.session_id, store, partial(self.cancel, request.session_id))
                else:
                    ack = await store()
            except Overloaded:
                load_watch.undo(counted)
                raise
            except PublishRefused as exc:
                load_watch.undo(counted)
                raise publishing.refusal("the request", request.session_id, exc) from exc
            span.set({"orastream.request_seq": ack.sequence, "orastream.duplicate": ack.duplicate})
        return Acceptance(request_id, request.session_id, ack.sequence, ack.duplicate), not forget

    async def wait(self, session_id: str, request_id: str, wait_s: float = DEFAULT_WAIT_S) -> Report:
        """Wait for a request's final report and return it. Raises WaitTimeout after `wait_s` s, NodeUnavailable."""
        await self._ready()
        try:
            async with asyncio.timeout(wait_s):
                return await watch.outcome(self.reads, session_id, request_id)
        except TimeoutError:
            raise WaitTimeout(session_id, request_id, wait_s) from None

    @overload
    async def cancel(
        self, session_id: str, request_id: str | None = None, *, wait: Literal[False] = False, timeout_s: float = ...
    ) -> int: ...
    @overload
    async def cancel(
        self, session_id: str, request_id: str | None = None, *, wait: Literal[True], timeout_s: float = ...
    ) -> tuple[Heard, ...]: ...
    async def cancel(
        self, session_id: str, request_id: str | None = None, *, wait: bool = False, timeout_s: float = DEFAULT_CUT_S
    ) -> int | tuple[Heard, ...]:
        """Barge-in: cancel all earlier requests of the session, or one request. Returns the cancel's sequence.

        With `wait` it returns what was heard: one record for each utterance that this cancel has cut, in the order of
        their requests. `()` if nothing was cut. After `timeout_s` seconds it returns what is known: a record with
        `done` false is not certain. A request over `http` or `none` is settled by its report, another one by its record
        (`client/cut_utterances.py`). Requests that no synth has taken are waited for, too. A caller who may not read
        JetStream sees them only by their reports: so for it a cancel of a session takes at least 0.5 s. The cancel is
        stored up to 0.25 s later than without `wait`: the client asks first which requests were cancelled before.

        Raises InvalidRequest, Overloaded (too many cancels are waiting to be applied), NodeUnavailable (its subclass
        HeardUnreadable: the cancel is stored, but what was heard cannot be read), ValueError for a bad `timeout_s`.
        Cancel-safe: the cancel may be stored.
        """
        await self._ready()
        if wait:
            return (await CutWatch(self.reads, session_id, request_id, timeout_s=timeout_s).run()).heard
        return await store_cancel(self._js, session_id, request_id)

    async def heard(self, session_id: str, request_id: str) -> Heard | None:
        """The record of what was heard of a request; None if there is none. Records are kept for an hour.

        Raises InvalidRequest, NodeUnavailable (also if this user may not read it).
        """
        await self._ready()
        return await self.reads.heard(*subjects.tokens(session_id, request_id))

    # ---- following

    async def report(self, session_id: str, request_id: str) -> Report | None:
        """The last report of a request: `queued` if it is stored and has none yet, None if the request is unknown.

        Raises InvalidRequest, NodeUnavailable.
        """
        await self._ready()
        return await self.reads.report(*subjects.tokens(session_id, request_id))

    def reports(self, session_id: str | None = None, *, history: bool = False) -> AsyncGenerator[Report, None]:
        """Yield reports of one session, or of all, as they are written; with `history` those of the last hour first.

        Endless: leave the loop to end it.
        """
        return self._following(lambda: watch.reports(self.reads, session_id, history=history))

    def progress(
        self, session_id: str, request_id: str, *, wait_s: float = DEFAULT_WAIT_S
    ) -> AsyncGenerator[DeliveryProgress, None]:
        """Yield how far a request's delivery over WebSocket is: what was sent, acknowledged and played, in ms.

        At most every 250 ms, from the first audio on; a loop that is slower skips what is not the newest. The first
        message may come 5 s late, because bridges look for watchers every 5 s. The generator ends when the final report
        is stored and the play has ended, 10 s after the last message if its end is not seen, and at the final report of
        a request that is not delivered over WebSocket. Not thread-safe; leave the loop to end it earlier.

        Raises InvalidRequest, NodeUnavailable, and WaitTimeout if neither a report nor progress comes for `wait_s`
        seconds before the final report.
        """
        return self._following(lambda: progress.follow(self.reads, session_id, request_id, wait_s=wait_s))

    async def voices(self) -> list[voices.Voice]:
        """The voices of all running synths, sorted by engine; [] when none is running. Raises NodeUnavailable."""
        await self._ready()
        return await voices.ask(self._js.broker, self._names.voices)

    def audio(
        self, session_id: str, request_id: str, request_seq: int
    ) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
        """Yield a request's audio while it is synthesised, in order and without gaps: a start, the chunks, the end.

        A new attempt yields another start; chunk indexes continue. The generator stops after the end. It waits for a
        chunk that has expired, or whose `offset` contradicts the bytes before it: wait for the report as well.

        `chunk.sentences` are the sentences that begin in a chunk, `chunk.words` the words that end in it, with times in
        milliseconds and places in the text: `text[word.first : word.end]` is spoken from `word.begin_ms` on.
        """
        return self._following(lambda: watch.audio(self.reads, session_id, request_id, request_seq))

    def _following(self, follow: Callable[[], AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
        return follow() if self._loops is None else self._followed(follow)

    async def _followed(self, follow: Callable[[], AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
        await self._ready()
        async with contextlib.aclosing(follow()) as found:
            async for one in found:
                yield one
