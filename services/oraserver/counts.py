"""The Prometheus metrics of the reference OraServer, counted from the events that it stores."""

from __future__ import annotations

from collections.abc import Callable

from orastream.service.metrics import Metrics
from services.oraserver.utterances import Begun, Completed, Event, Repeated, RuleBroken, StoredChunk
from services.oraserver.v2 import events as v2


class Counts:
    """Counters of one process, from 0 at its start: events read from disk are not counted."""

    def __init__(self, connections: Callable[[], int]) -> None:
        """`connections` returns the number of open WebSocket connections."""
        metrics = Metrics()
        self._begun = metrics.tally("orastream_oraserver_utterances", "Utterances whose first chunk was received")
        self._completed = metrics.tally("orastream_oraserver_completed", "Utterances received completely")
        self._chunks = metrics.tally("orastream_oraserver_chunks", "Chunks stored")
        self._bytes = metrics.tally("orastream_oraserver_audio_bytes", "Audio stored, before base64")
        self._repeats = metrics.tally("orastream_oraserver_repeats", "Repeated chunks, which were dropped")
        self._violations = metrics.tally("orastream_oraserver_violations", "Violations of the protocol's rules")
        metrics.gauge("orastream_oraserver_connections", "WebSocket connections open now", lambda: float(connections()))
        self.render = metrics.render

    def keep(self, event: Event) -> None:
        """Count an event that was stored."""
        match event:
            case Begun():
                self._begun.value += 1
            case StoredChunk():
                self._chunks.value += 1
                self._bytes.value += event.size
            case Repeated():
                self._repeats.value += 1
            case Completed():
                self._completed.value += 1
            case RuleBroken():
                self._violations.value += 1
            case _:
                pass

    def keep_stream(self, event: v2.StreamEvent) -> None:
        """Count an event of protocol v2 that was stored; a chunk is a frame of audio with new bytes."""
        match event:
            case v2.UtteranceBegun():
                self._begun.value += 1
            case v2.BytesStored():
                self._chunks.value += 1
                self._bytes.value += event.size
            case v2.BytesRepeated(stored=stored) if stored:
                self._repeats.value += 1
            case v2.PlayEnded(complete=True):
                self._completed.value += 1
            case v2.StreamRuleBroken():
                self._violations.value += 1
            case _:
                pass
