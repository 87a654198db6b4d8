"""What the reference OraServer counts for Prometheus: every event that it keeps."""

from __future__ import annotations

from collections.abc import Callable

from orastream.service.metrics import Metrics
from services.oraserver.utterances import Begun, BrokenOffUtterance, Completed, Event, Repeated, StoredChunk


class Counts:
    """Counters of one process, from its start on; what was read back from disk is not in them."""

    def __init__(self, connections: Callable[[], int]) -> None:
        """`connections` gives the WebSocket connections that are open now."""
        metrics = Metrics()
        self._begun = metrics.tally("orastream_oraserver_utterances", "Utterances of which a first chunk came")
        self._completed = metrics.tally("orastream_oraserver_completed", "Utterances that came to their end")
        self._chunks = metrics.tally("orastream_oraserver_chunks", "Chunks stored")
        self._bytes = metrics.tally("orastream_oraserver_audio_bytes", "Audio stored, before base64")
        self._repeats = metrics.tally("orastream_oraserver_repeats", "Chunks that came again and were dropped")
        self._violations = metrics.tally("orastream_oraserver_violations", "Broken rules of the protocol")
        metrics.gauge("orastream_oraserver_connections", "WebSocket connections open now", lambda: float(connections()))
        self.render = metrics.render

    def keep(self, event: Event) -> None:
        """Count an event that was kept."""
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
            case BrokenOffUtterance():
                self._violations.value += 1
            case _:
                pass
