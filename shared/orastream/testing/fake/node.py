"""`FakeNode`: a node in memory for unit tests, with the real clients and scripted outcomes."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Unpack

from orastream.broker import Headers
from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.client.voices import Voice, encode_answers
from orastream.contract import codec
from orastream.contract.errors import Code, InvalidRequest
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS, Report, Transport
from orastream.contract.names import DEFAULT_PREFIX, Names
from orastream.jetstream.api import API, Stored
from orastream.testing.fake.clients import FakeBlockingClient, FakeClient
from orastream.testing.fake.connection import FakeBroker
from orastream.testing.fake.outcomes import ASKED, Delayed, FakeOutcome, Script, Which
from orastream.testing.fake.questions import Questions
from orastream.testing.fake.speech import FakeSpeech, NodeStreams
from orastream.testing.fake.streams import MemoryStream, ack, header_block, place_headers, refusal
from orastream.testing.fake.timers import Timers
from orastream.testing.fake.tone import RATE_HZ
from orastream.testing.fake.utterance import ENGINE, ENGINE_VERSION, FakeUtterance

VOICES = tuple(Voice(name, name, RATE_HZ, ENGINE, ENGINE_VERSION) for name in ("ko-KR", "en-US"))
MAX_PENDING = 64
"""Requests of a session that are not final."""
_CONNECTION = frozenset(
    "creds nkey_seed ca cert key tls_handshake_first inbox_prefix name connect_timeout_s prefix".split()
)
_FULL, _FULL_SESSION, _AWAY = (
    (10077, "maximum bytes exceeded"),
    (10077, "maximum messages per subject exceeded"),
    (10000, "FakeNode.unavailable: the test has asked for it"),
)


class FakeNode:
    """A node in this process, for unit tests: `async with FakeNode().client() as client: await client.say(…)`.

    `client()` and `blocking_client()` give the real clients over a connection in memory, so a call is checked, waits
    and fails as with a real node. Each request is delivered at once, in the order of its session, with audio whose
    length depends on the text alone (60 ms a character); `fail`, `expire`, `cancel_next`, `delay`, `hold`, `refuse` and
    `unavailable` change what becomes of the next one. Thread-safe. It needs no `close`.

    What it does not have: a playing time (a held request is cut where the test says), an engine (voices are names, SSML
    and readings make no difference to the sound), formats with a codec, and loads for `max_backlog_s`.
    """

    def __init__(
        self,
        *,
        prefix: str = DEFAULT_PREFIX,
        voices: Sequence[Voice] = VOICES,
        transport: Transport = "websocket",
        max_text_chars: int = DEFAULT_MAX_TEXT_CHARS,
    ) -> None:
        """`transport` is that of requests that name none; `voices` are those that requests may name."""
        self.names = Names(prefix)
        self._voices = tuple(voices)
        self._transport = transport
        self._lock = threading.RLock()
        self._timers = Timers(self._lock)
        self._script = Script()
        self._streams = NodeStreams(self.names)
        later = self._timers.add
        self._speech = FakeSpeech(self.names, self._streams, self._store, later, self._voices, max_text_chars)
        self._speech.on_progress, self._speech.on_final = self._send_progress, self._send_final
        self._questions = Questions(self.names, self._streams, self._speech)
        self._brokers: list[FakeBroker] = []

    # ---- clients

    def client(self, url: str = "", **options: Any) -> Client:
        """A `Client` of this node; `async with` opens it. `options` are those of `Client`.

        `url` and options of a connection are ignored, so it can stand in place of the class:
        `monkeypatch.setattr("myapp.Client", fake.client)`.
        """
        return FakeClient(self, self.names.prefix, _without_connection(options))

    def blocking_client(self, url: str = "", **options: Any) -> BlockingClient:
        """A `BlockingClient` of this node; see `client`. Close it, or use it in `with`."""
        return FakeBlockingClient(self, self.names.prefix, _without_connection(options))

    # ---- the script

    def next(self, outcome: FakeOutcome, *, session_id: str | None = None, times: int = 1) -> None:
        """The next `times` requests (of this session, or of any) have this outcome. Raises ValueError."""
        with self._turn():
            self._script.add(outcome, session_id=session_id, times=times)

    def fail(self, code: Code = "engine_error", message: str = ASKED, **more: Unpack[Delayed]) -> None:
        """The next request fails with this code. `more`: `delay_s`, and `session_id` and `times` as for `next`."""
        self._add(dict(more), status="failed", code=code, message=message)

    def expire(self, **more: Unpack[Delayed]) -> None:
        """The next request expires, as if no synth had taken it within its `ttl_seconds`."""
        self._add(dict(more), status="expired")

    def cancel_next(self, **more: Unpack[Delayed]) -> None:
        """The next request ends as cancelled, as if another process had cancelled it."""
        self._add(dict(more), status="cancelled")

    def delay(self, seconds: float, **more: Unpack[Which]) -> None:
        """The final report of the next request comes so many seconds after its audio."""
        self._add(dict(more), delay_s=seconds)

    def hold(self, *, heard_ms: int = 0, **more: Unpack[Delayed]) -> None:
        """The next request stays `delivering` until `release` or a cancel, which cuts it after `heard_ms` ms."""
        self._add(dict(more), held=True, heard_ms=heard_ms)

    def refuse(self, **more: Unpack[Which]) -> None:
        """The next request is not stored: the call raises Overloaded."""
        self._add(dict(more), refused="overloaded")

    def unavailable(self, **more: Unpack[Which]) -> None:
        """The next request is not stored: the call raises NodeUnavailable."""
        self._add(dict(more), refused="unavailable")

    def release(self, session_id: str | None = None) -> None:
        """Deliver what is held, of this session or of all."""
        with self._turn():
            self._speech.release(session_id)

    # ---- what came of it

    def received(self, session_id: str | None = None) -> list[dict[str, Any]]:
        """What OraServer would have received, as `orastream_node.received()`: text, requestId, complete, …"""
        with self._turn():
            found = [u.as_received() for u in self._speech.utterances if session_id in (None, u.stored.session_id)]
        return [entry for entry in found if entry is not None]

    def reports(self, session_id: str | None = None) -> list[Report]:
        """The last report of each request, in the order of the requests."""
        with self._turn():
            return [u.report for u in self._speech.utterances if session_id in (None, u.stored.session_id)]

    def requests(self, session_id: str | None = None) -> list[dict[str, Any]]:
        """The fields of each stored request as on the wire, in their order; of a text stream the text so far."""
        with self._turn():
            found = [u for u in self._speech.utterances if session_id in (None, u.stored.session_id)]
            return [{**(u.stored.request.to_map() if u.stored.request else {}), "text": u.text} for u in found]

    # ---- the exchange of its connections

    def attach(self, broker: FakeBroker) -> None:
        """A connection is open."""
        with self._turn():
            self._brokers.append(broker)

    def detach(self, broker: FakeBroker) -> None:
        """A connection is closed."""
        with self._turn():
            self._closed(broker)

    def subscribed(self, sender: FakeBroker, subject: str) -> None:
        """A client has subscribed: one that watches a delivery gets its progress."""
        with self._turn():
            for utterance in self._speech.utterances:
                if utterance.begun and subject == self.names.progress(*utterance.key):
                    sender.deliver(subject, utterance.progress().encode("json"))

    def publish(self, sender: FakeBroker, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        """A client publishes a message."""
        with self._turn():
            words = subject.removeprefix(f"{self.names.prefix}.").split(".")
            match words:
                case ["request", session]:
                    answer = self._request(sender, session, data, headers)
                case ["cancel", session]:
                    answer = self._cancel(session, data, headers)
                case ["text", session, token]:
                    answer = self._piece(session, token, data, headers)
                case _ if self._asked(sender, subject, words, reply, data):
                    return
                case _:
                    sender.deliver(reply, b"", header_block({}, "503"))
                    return
            sender.deliver(reply, answer)

    def _request(self, sender: FakeBroker, session: str, data: bytes, headers: Headers) -> bytes:
        stream = self._streams.sessions
        if (known := stream.repeated(headers.get("Nats-Msg-Id"))) is not None:
            return ack(stream.name, known, duplicate=True)
        if len(self._speech.waiting(session)) >= MAX_PENDING:
            return refusal(*_FULL_SESSION)
        outcome = self._script.take(_session_id(data))
        if outcome.refused is not None:
            return refusal(*(_FULL if outcome.refused == "overloaded" else _AWAY))
        stored = stream.add(self.names.session_request(session), data, headers)
        self._speech.request(stored, outcome, sender, self._transport)
        return ack(stream.name, stored.sequence)

    def _cancel(self, session: str, data: bytes, headers: Headers) -> bytes:
        stream = self._streams.sessions
        if (known := stream.repeated(headers.get("Nats-Msg-Id"))) is not None:
            return ack(stream.name, known, duplicate=True)
        stored = stream.add(self.names.session_cancel(session), data, headers)
        self._speech.cancel(stored)
        return ack(stream.name, stored.sequence)

    def _piece(self, session: str, token: str, data: bytes, headers: Headers) -> bytes:
        stream = self._streams.texts
        if (known := stream.repeated(headers.get("Nats-Msg-Id"))) is not None:
            return ack(stream.name, known, duplicate=True)
        stored = stream.add(self.names.script(session, token), data, headers)
        self._speech.piece(session, token, stored)
        return ack(stream.name, stored.sequence)

    def _asked(self, sender: FakeBroker, subject: str, words: list[str], reply: str, data: bytes) -> bool:
        """Answer a question. Returns whether it is one that this node answers."""
        sessions = self._streams.sessions
        if subject == self.names.voices:
            answers = encode_answers(self._voices)
            for answer in [*answers, b""]:
                sender.deliver(reply, answer)
        elif subject == f"{API}.STREAM.MSG.GET.{sessions.name}":
            sender.deliver(reply, sessions.answer(json.loads(data)))
        elif subject == f"{API}.DIRECT.GET.{sessions.name}":
            query = json.loads(data)
            before = query["seq"] - 1
            for message in sessions.after(query.get("next_by_subj", ">"), before):
                sender.deliver(reply, message.data, place_headers(message, before))
                before = message.sequence
            sender.deliver(reply, b"", header_block({}, "404"))
        else:
            return self._questions.answer(sender, words, reply, data)
        return True

    # ---- the wiring of its parts

    def _store(self, stream: MemoryStream, subject: str, data: bytes) -> Stored:
        stored = stream.add(subject, data)
        self._questions.stored(stream, stored)
        return stored

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock; then do what is due and has no event loop."""
        with self._lock:
            for broker in [broker for broker in self._brokers if not broker.alive]:
                self._closed(broker)  # its event loop was closed before the client
            yield
            self._timers.settle()

    def _closed(self, broker: FakeBroker) -> None:
        self._brokers = [other for other in self._brokers if other is not broker]
        self._questions.detach(broker)
        self._timers.closed(broker)

    def _send_progress(self, utterance: FakeUtterance) -> None:
        self._broadcast(self.names.progress(*utterance.key), utterance.progress().encode("json"))

    def _send_final(self, utterance: FakeUtterance) -> None:
        if utterance.stored.reply_to is not None:
            self._broadcast(utterance.stored.reply_to, utterance.report.encode(utterance.stored.encoding))

    def _broadcast(self, subject: str, data: bytes) -> None:
        for broker in self._brokers:
            broker.deliver(subject, data)

    def _add(self, more: dict[str, Any], **fields: Any) -> None:
        chosen = {name: more.pop(name) for name in ("session_id", "times") if name in more}
        self.next(FakeOutcome(**fields, **more), **chosen)


def _session_id(data: bytes) -> str | None:
    try:
        value = codec.decode(data).get("sessionId")
    except InvalidRequest:
        return None
    return value if isinstance(value, str) else None


def _without_connection(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _CONNECTION}
