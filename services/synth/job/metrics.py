"""What synth counts."""

from __future__ import annotations

from orastream.service.metrics import Metrics

OUTCOMES = ("complete", "failed", "cancelled", "unwanted", "expired", "duplicate", "superseded", "internal")


class SynthMetrics:
    """Counters by the names that jobs use; unknown names are outcomes."""

    def __init__(self, metrics: Metrics) -> None:
        self._chunks = metrics.counter("orastream_synth_chunks", "Chunks stored")
        self._bytes = metrics.counter("orastream_synth_audio_bytes", "Audio bytes stored")
        self._audio = metrics.counter("orastream_synth_audio_seconds", "Seconds of speech made")
        self._spent = metrics.counter("orastream_synth_synthesis_seconds", "Seconds spent making speech")
        self._failures = metrics.counter("orastream_synth_engine_failures", "Attempts that the engine broke off")
        self._phrases = metrics.counter(
            "orastream_synth_phrase_lookups",
            "Sentences looked for in the phrase cache",
            ("result",),
            known=[("hit",), ("miss",)],
        )
        self._kept = metrics.counter("orastream_synth_phrase_kept_bytes", "Audio put into the phrase cache")
        self._queued = metrics.seconds(
            "orastream_synth_queue_seconds", "From the storing of a request until it was claimed here"
        )
        self._first = metrics.seconds(
            "orastream_synth_first_audio_seconds", "From the storing of a request to its first chunk on its way"
        )
        self._rtf = metrics.ratio("orastream_synth_rtf", "Seconds of synthesis for a second of speech, by utterance")
        self._outcomes = metrics.counter(
            "orastream_synth_requests", "Requests done with", ("outcome",), known=[(name,) for name in OUTCOMES]
        )

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
            case "queue_seconds":
                self._queued.observe(amount)
            case "first_audio_seconds":
                self._first.observe(amount)
            case "rtf":
                self._rtf.observe(amount)
            case "engine_failure":
                self._failures.inc()
            case "phrase_hit" | "phrase_miss":
                self._phrases.labels(result=name.removeprefix("phrase_")).inc()
            case "phrase_kept":
                self._kept.inc(amount)
            case _:
                self._outcomes.labels(outcome=name).inc()
