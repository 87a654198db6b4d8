"""What a `FakeNode` does with requests, cancels and pieces of text: the rules of a node, without its time.

Requests of a session come to an end in their order; sessions do not wait for each other. Not thread-safe: `FakeNode`
holds its lock during each call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from orastream.client.voices import Voice
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioEnd, AudioMessage, EndError, unpack
from orastream.contract.errors import Code
from orastream.contract.messages import Report, ReportError, SpeakRequest, Status, Transport
from orastream.contract.names import Names
from orastream.contract.stored_requests import StoredCancel, StoredRequest, read_message
from orastream.contract.superseding import Supersedes, as_cancel, supersedes
from orastream.contract.text_pieces import STALLED
from orastream.jetstream.api import Stored
from orastream.testing.fake.connection import FakeBroker
from orastream.testing.fake.outcomes import FakeOutcome
from orastream.testing.fake.streams import MemoryStream
from orastream.testing.fake.tone import FORMATS
from orastream.testing.fake.utterance import ENGINE, FakeUtterance, error_of

Put = Callable[[MemoryStream, str, bytes], Stored]
"""Stores a message and passes it to live readers."""
Later = Callable[[FakeBroker, float, Callable[[], None], Callable[[], bool]], None]
"""Calls something after so many seconds; see `Timers.add`."""


class NodeStreams:
    """The streams of a node."""

    def __init__(self, names: Names) -> None:
        self.sessions = MemoryStream(names.sessions_stream)
        self.texts = MemoryStream(names.texts_stream)
        self.audio = MemoryStream(names.audio_stream)
        self.reports = MemoryStream(names.reports_stream, one_each=True)
        self.heard = MemoryStream(names.heard_stream, one_each=True)


class FakeSpeech:
    """The requests of one `FakeNode`."""

    def __init__(  # noqa: PLR0913 - the parts of a node
        self,
        names: Names,
        streams: NodeStreams,
        put: Put,
        later: Later,
        voices: Sequence[Voice],
        max_text_chars: int,
    ) -> None:
        self._names = names
        self._streams = streams
        self._put = put
        self._call_later = later
        self._voices = voices
        self._max_text_chars = max_text_chars
        self.utterances: list[FakeUtterance] = []
        """All, in the order of their requests."""
        self._open: dict[str, list[FakeUtterance]] = {}
        self._known: dict[tuple[str, str], FakeUtterance] = {}
        self.on_progress: Callable[[FakeUtterance], None] = lambda _utterance: None
        self.on_final: Callable[[FakeUtterance], None] = lambda _utterance: None

    def waiting(self, session: str) -> list[FakeUtterance]:
        """The requests of a session that are not final, in order."""
        return list(self._open.get(session, ()))

    # ---- what callers store

    def request(self, message: Stored, outcome: FakeOutcome, sender: FakeBroker, transport: Transport) -> None:
        """A request was stored."""
        stored = read_message(message, self._names, max_text_chars=self._max_text_chars)
        assert isinstance(stored, StoredRequest)
        if (stored.session, stored.token) in self._known:  # its id has a request already: it is not spoken
            self._streams.sessions.delete(message.sequence)
            return
        given = stored.stated_transport or transport
        utterance = FakeUtterance(stored, outcome, sender, given, stored.report("queued"))
        utterance.text = stored.request.text if stored.request is not None else ""
        self.utterances.append(utterance)
        self._open.setdefault(stored.session, []).append(utterance)
        self._known[utterance.key] = utterance
        if supersedes(stored, None, first=True, engine=ENGINE) is Supersedes.YES:
            self._cut(as_cancel(stored))
        expire = partial(self._expire, utterance)
        self._call_later(sender, stored.ttl_s, expire, lambda: not (utterance.begun or utterance.final))
        self._advance_soon(utterance)

    def cancel(self, message: Stored) -> None:
        """A cancel was stored."""
        cancel = read_message(message, self._names, max_text_chars=self._max_text_chars)
        assert isinstance(cancel, StoredCancel)
        self._cut(cancel)
        self._streams.sessions.delete(message.sequence)

    def piece(self, session: str, token: str, message: Stored) -> None:
        """A piece of a text was stored. One that comes before its turn is read then."""
        for utterance in self.waiting(session):
            if utterance.key == (session, token) and utterance.pieces is not None:
                self._receive(utterance, message)

    def release(self, session_id: str | None) -> None:
        """End what its outcome holds."""
        for utterance in list(self.utterances):
            held = utterance.outcome.held and not utterance.final
            if not held or session_id not in (None, utterance.stored.session_id):
                continue
            utterance.outcome = replace(utterance.outcome, held=False)
            if utterance.audio_ended or utterance.redelivered is not None:
                self._conclude(utterance)

    # ---- one request

    def _advance_soon(self, utterance: FakeUtterance) -> None:
        session = utterance.stored.session
        self._call_later(utterance.sender, 0.0, lambda: self._advance(session), lambda: True)

    def _advance(self, session: str) -> None:
        """Begin the first request of the session that is not final; the next one once it is."""
        while (waiting := self.waiting(session)) and not waiting[0].begun:
            self._begin(waiting[0])

    def _begin(self, utterance: FakeUtterance) -> None:
        utterance.begun = True
        request, problem = utterance.stored.request, utterance.stored.problem
        if request is None:
            self._fail(utterance, "invalid_request", str(problem))
        elif (refused := self._refused(request)) is not None:
            self._fail(utterance, *refused)
        elif utterance.outcome.status in ("expired", "cancelled"):
            expired = ReportError.of("expired", "not claimed within ttlSeconds: the test has asked for it")
            self._finish(
                utterance, utterance.outcome.status, expired if utterance.outcome.status == "expired" else None
            )
        elif request.redeliver_of is not None:
            self._redeliver(utterance, request.redeliver_of)
        else:
            self._report(utterance.stored, utterance.report.with_(status="synthesizing"), utterance)
            utterance.begin_audio(partial(self._audio, utterance))
            if utterance.pieces is None:
                utterance.speak(partial(self._audio, utterance), ended=True)
                self._audio_made(utterance, None)
            else:
                self._await_piece(utterance)
                for message in self._streams.texts.after(self._names.script(*utterance.key), 0):
                    self._receive(utterance, message)

    def _refused(self, request: SpeakRequest) -> tuple[Code, str] | None:
        if request.redeliver_of is None and not request.spoken_with(ENGINE):
            return "invalid_request", f"engine: this node speaks with {ENGINE!r}; leave it out"
        if request.voice is not None and request.voice not in [voice.name for voice in self._voices]:
            names = ", ".join(voice.name for voice in self._voices)
            return (
                "invalid_request",
                f"voice: FakeNode has no {request.voice!r}; it has {names}, or what `voices` names",
            )
        if request.redeliver_of is None and (request.format or "wav") not in FORMATS:
            return "engine_error", f"format: FakeNode makes {', '.join(FORMATS)}, not {request.format}; use a LocalNode"
        return None

    def _redeliver(self, utterance: FakeUtterance, request_id: str) -> None:
        _, token = subjects.tokens(utterance.stored.session_id, request_id)
        last = self._streams.audio.last(self._names.audio(utterance.stored.session, token))
        end = unpack(last.data) if last is not None else None
        if not isinstance(end, AudioEnd) or end.status != "complete":
            self._fail(utterance, "audio_expired", f"the audio of {request_id} is not stored; ask for the text again")
            return
        before = self._known[utterance.stored.session, token]
        utterance.redelivered, utterance.text, utterance.spoken = end, before.text, before.spoken
        utterance.first_at_s = time.time()
        self._deliver(utterance)

    def _receive(self, utterance: FakeUtterance, message: Stored) -> None:
        pieces = utterance.pieces
        if pieces is None or pieces.ended or utterance.final:
            return
        pieces.receive(message.data, message.time_s)
        utterance.text = pieces.text
        utterance.speak(partial(self._audio, utterance), ended=pieces.ended)
        if pieces.ended:
            self._audio_made(utterance, pieces.problem)
        else:
            self._await_piece(utterance)

    def _await_piece(self, utterance: FakeUtterance) -> None:
        utterance.idle += 1
        count, request = utterance.idle, utterance.stored.request
        assert request is not None

        def stall(utterance: FakeUtterance) -> None:
            if utterance.idle == count and utterance.pieces is not None and not utterance.pieces.ended:
                self._put(self._streams.texts, self._names.script(*utterance.key), STALLED)
                utterance.pieces.stall()
                utterance.speak(partial(self._audio, utterance), ended=True)
                self._audio_made(utterance, utterance.pieces.problem)

        self._later(utterance, request.idle_seconds, stall)

    def _audio_made(self, utterance: FakeUtterance, problem: EndError | None) -> None:
        """All its audio is stored: deliver it, or fail."""
        outcome = utterance.outcome
        if problem is not None:  # of its text: it ends what is held, too
            utterance.outcome = FakeOutcome("failed", problem.code, problem.message, outcome.delay_s)
        elif outcome.status == "failed":
            problem = EndError(outcome.code, outcome.message)
        status: Status = "delivered" if problem is None else "failed"
        utterance.end_audio(partial(self._audio, utterance), status, problem)
        self._deliver(utterance)

    def _deliver(self, utterance: FakeUtterance) -> None:
        has_audio = utterance.redelivered is not None or (utterance.voice is not None and utterance.voice.chunks > 0)
        if has_audio and utterance.transport != "none":
            self._report(utterance.stored, utterance.delivering(), utterance)
            self._heard(utterance, None)
            self.on_progress(utterance)
        if not utterance.outcome.held:
            self._later(utterance, utterance.outcome.delay_s, self._conclude)

    def _conclude(self, utterance: FakeUtterance) -> None:
        if utterance.outcome.status == "failed":
            self._fail(utterance, utterance.outcome.code, utterance.outcome.message)
        else:
            self._finish(utterance, utterance.outcome.status)

    # ---- how it ends

    def _expire(self, utterance: FakeUtterance) -> None:
        why = f"not claimed within ttlSeconds ({utterance.stored.ttl_s:g}): an earlier request of the session is held"
        self._finish(utterance, "expired", ReportError.of("expired", why))

    def _cut(self, cancel: StoredCancel) -> None:
        for utterance in self.waiting(cancel.session):
            if cancel.covers(utterance.stored.sequence, utterance.stored.token):
                self._finish(utterance, "cancelled", cancel_seq=cancel.sequence)

    def _fail(self, utterance: FakeUtterance, code: Code, message: str) -> None:
        error, _ = error_of(code, message)
        self._finish(utterance, "failed", error)

    def _finish(
        self, utterance: FakeUtterance, status: Status, error: ReportError | None = None, cancel_seq: int | None = None
    ) -> None:
        if utterance.final:
            return
        end = EndError(error.code, error.message) if error is not None else None
        utterance.end_audio(partial(self._audio, utterance), status, end)
        self._open[utterance.stored.session].remove(utterance)
        self._report(utterance.stored, utterance.finished(status, error), utterance)
        self._heard(utterance, cancel_seq)
        self._streams.sessions.delete(utterance.stored.sequence)
        self.on_progress(utterance)
        self.on_final(utterance)
        self._advance_soon(utterance)

    # ---- storing

    def _report(self, stored: StoredRequest, report: Report, utterance: FakeUtterance) -> None:
        utterance.report = report
        self._put(self._streams.reports, self._names.report(*utterance.key), report.encode(stored.encoding))

    def _heard(self, utterance: FakeUtterance, cancel_seq: int | None) -> None:
        record = utterance.heard(cancel_seq)
        if record is not None:
            self._put(self._streams.heard, self._names.heard(*utterance.key), record.encode(utterance.stored.encoding))

    def _audio(self, utterance: FakeUtterance, message: AudioMessage) -> int:
        return self._put(self._streams.audio, self._names.audio(*utterance.key), message.pack()).sequence

    def _later(self, utterance: FakeUtterance, delay_s: float, call: Callable[[FakeUtterance], None]) -> None:
        self._call_later(utterance.sender, delay_s, lambda: call(utterance), lambda: not utterance.final)
