"""One request at a `FakeNode`: its audio, its reports and its record of what was heard. Not thread-safe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orastream.contract.audio_messages import AudioEnd, AudioMessage, AudioStart, EndError
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import Code
from orastream.contract.heard import Heard
from orastream.contract.heard_text import heard_text, plain_source
from orastream.contract.messages import Report, ReportError, Status, Transport, sayable
from orastream.contract.spoken_text import SpokenText
from orastream.contract.stored_requests import StoredRequest
from orastream.contract.text_pieces import TextPieces
from orastream.testing.fake.connection import FakeBroker
from orastream.testing.fake.outcomes import FakeOutcome
from orastream.testing.fake.tone import RATE_HZ, ToneVoice, sentences_of

ENGINE, ENGINE_VERSION = "fake", "fake-1"
G711_RATE_HZ = 8_000
MAX_OPEN_S = 600.0


@dataclass(slots=True, eq=False)
class FakeUtterance:
    """A stored request and what has become of it."""

    stored: StoredRequest
    outcome: FakeOutcome
    sender: FakeBroker
    transport: Transport
    report: Report
    begun: bool = False
    """It is its turn in the session, and it was not refused."""
    audio_ended: bool = False
    voice: ToneVoice | None = None
    pieces: TextPieces | None = None
    """Of a text stream: what has come of its text."""
    redelivered: AudioEnd | None = None
    text: str = ""
    """The text as far as it is known."""
    idle: int = 0
    """Counts the pieces, so that an old idle timer is known."""
    first_at_s: float = 0.0
    completed_at_s: float | None = None
    spoken: SpokenText = field(default_factory=SpokenText)
    _place: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """The tokens of its session and its id."""
        return self.stored.session, self.stored.token

    @property
    def final(self) -> bool:
        """Whether its report is final."""
        return self.report.final

    def begin_audio(self, put: Callable[[AudioMessage], int]) -> None:
        """Store the start of its audio with `put`, which returns the sequence."""
        request = self.stored.request
        assert request is not None
        fmt = request.format or "wav"
        rate_hz = request.sample_rate or (G711_RATE_HZ if fmt in ("mulaw", "alaw") else RATE_HZ)
        text = None if request.text_stream else request.text
        start = AudioStart(
            self.stored.sequence, fmt, rate_hz, 1, ENGINE, request.language, engine_version=ENGINE_VERSION, text=text
        )
        self.voice = ToneVoice(put(start), fmt, rate_hz, request.text_stream, request.speed)
        self.text = request.text
        if request.text_stream:
            self.pieces = TextPieces(request.text, max_chars=1 << 20, max_open_s=MAX_OPEN_S)

    def speak(self, put: Callable[[AudioMessage], int], *, ended: bool) -> None:
        """Store the audio of the sentences that are complete; with `ended` also of the last one."""
        assert self.voice is not None
        for place, sentence in list(sentences_of(self.text, self._place, ended=ended)):
            self._place = place + len(sentence)
            if sayable(sentence):
                for chunk in self.voice.speak(place, sentence):
                    self.spoken.add(chunk)
                    self.first_at_s = self.first_at_s or time.time()
                    put(chunk)

    def end_audio(self, put: Callable[[AudioMessage], int], status: Status, error: EndError | None = None) -> None:
        """Store the end of its audio, once."""
        if self.voice is None or self.audio_ended:
            return
        self.audio_ended = True
        kind = "complete" if status == "delivered" else "cancelled" if status == "cancelled" else "failed"
        put(self._end_message(kind, error))

    def _end_message(self, kind: Any, error: EndError | None) -> AudioEnd:
        assert self.voice is not None
        return AudioEnd(
            self.voice.attempt,
            kind,
            self.voice.chunks,
            self.voice.size,
            self.voice.seconds,
            error,
            rtf=0.0,
            text=self.text if self.pieces is not None else None,
        )

    # ---- what callers read

    def delivering(self) -> Report:
        """The report once it has audio."""
        self.report = self.report.with_(status="delivering", epoch=1, transport=self.transport, first_audio_ms=0.0)
        return self.report

    def finished(self, status: Status, error: ReportError | None = None) -> Report:
        """Its final report."""
        chunks, size, seconds = self._totals()
        figures: dict[str, Any] = {"status": status, "error": error, "transport": self.transport}
        if self.pieces is not None:
            figures["characters"] = len(self.text)
        if status == "delivered":
            figures |= {"total_chunks": chunks, "delivered_chunks": chunks, "bytes": size, "rtf": 0.0}
            figures |= {"audio_seconds": round(seconds, 3), "sent_seconds": round(seconds, 3), "transfer_ms": 0.0}
        self.report = self.report.with_(**figures)
        self.completed_at_s = time.time()
        return self.report

    def _totals(self) -> tuple[int, int, float]:
        if self.redelivered is not None:
            end = self.redelivered
            return end.total_chunks, end.total_bytes, end.audio_seconds
        if self.voice is None:
            return 0, 0, 0.0
        return self.voice.chunks, self.voice.size, self.voice.seconds

    @property
    def played_ms(self) -> int:
        """What the listener has heard: all of what is delivered, `FakeOutcome.heard_ms` of what a cancel has ended."""
        ms = int(self._totals()[2] * 1000)
        return ms if self.report.status == "delivered" else min(self.outcome.heard_ms, ms)

    def heard(self, cancel_seq: int | None) -> Heard | None:
        """The record of what was heard; None for a delivery that has none, as over HTTP, or without audio."""
        if self.transport != "websocket" or (self.voice is None and cancel_seq is None):
            return None
        ids = Heard(
            request_id=self.stored.request_id,
            session_id=self.stored.session_id,
            request_seq=self.stored.sequence,
            epoch=1,
            done=self.final,
            heard_by="sent",
        )
        if not self.final:
            return ids
        ms = self.voice.ms if self.voice is not None else 0
        source = plain_source(self.text, self.spoken)
        parts = heard_text(
            self.spoken, self.played_ms, audio_ms=ms, complete=self.report.status == "delivered", source=source
        )
        if self.voice is None:  # it was cancelled before its turn
            parts = parts._replace(heard="", unheard=self.text, cut=None)
        return ids.with_(
            played_ms=self.played_ms,
            heard_text=parts.heard,
            unheard_text=parts.unheard,
            cut=parts.cut,
            cancel_seq=cancel_seq,
        )

    def progress(self) -> DeliveryProgress:
        """How far its delivery is."""
        ms = int(self._totals()[2] * 1000)
        return DeliveryProgress(
            request_id=self.stored.request_id,
            session_id=self.stored.session_id,
            request_seq=self.stored.sequence,
            sent_ms=ms,
            acked_ms=ms,
            played_ms=self.played_ms,
            played_by="sent",
            total_ms=ms if self.audio_ended else None,
            done=self.final,
        )

    def as_received(self) -> dict[str, Any] | None:
        """Its entry in `received()`, with the names of the reference OraServer; None if OraServer got nothing."""
        request, (chunks, size, _) = self.stored.request, self._totals()
        if request is None or self.transport == "none" or not chunks:
            return None
        texts = [start.text for start in self.spoken.starts]
        return {
            "sessionId": self.stored.session_id,
            "phoneId": self.stored.phone_id,
            "requestId": self.stored.request_id,
            "transport": self.transport,
            "text": self.text,
            "texts": texts if self.pieces is not None else [self.text],
            "chunks": chunks,
            "repeats": 0,
            "bytes": size,
            "complete": self.report.status == "delivered",
            "engine": ENGINE,
            "language": request.language,
            "format": request.format or "wav",
            "sampleRate": self.voice.rate_hz if self.voice is not None else None,
            "ended": None if self.report.status in ("delivered", "delivering") else self.report.status,
            "firstChunkAt": self.first_at_s,
            "completedAt": self.completed_at_s,
            "connections": 1,
            "violations": [],
        }


def error_of(code: Code, message: str) -> tuple[ReportError, EndError]:
    """The same failure for the report and for the audio."""
    return ReportError.of(code, message), EndError(code, message)
