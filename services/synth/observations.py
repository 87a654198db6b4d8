"""What synth counts."""

from __future__ import annotations

from orastream.metrics import Metrics


class Observations:
    """Counters by the names that jobs use; unknown names are outcomes."""

    def __init__(self, metrics: Metrics) -> None:
        self._chunks = metrics.counter("orastream_synth_chunks", "Chunks stored")
        self._bytes = metrics.counter("orastream_synth_audio_bytes", "Audio bytes stored")
        self._audio = metrics.counter("orastream_synth_audio_seconds", "Seconds of speech made")
        self._spent = metrics.counter("orastream_synth_synthesis_seconds", "Seconds spent making speech")
        self._failures = metrics.counter("orastream_synth_engine_failures", "Attempts that the engine broke off")
        self._outcomes = metrics.counter("orastream_synth_requests", "Requests done with", ("outcome",))

    def observe(self, name: str, amount: float) -> None:
        """Count one event."""
        match name:
            case "chunk":
                self._chunks.inc()
                self._bytes.inc(amount)
            case "audio_seconds":
                self._audio.inc(amount)
            case "synthesis_seconds":
                self._spent.inc(amount)
            case "engine_failure":
                self._failures.inc()
            case _:
                self._outcomes.labels(outcome=name).inc()
