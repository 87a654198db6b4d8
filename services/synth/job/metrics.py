"""The metrics of synth's jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from orastream.service.metrics import Metrics
from services.synth.speech.phrase_cache import LookUp

OUTCOMES = ("complete", "failed", "cancelled", "unwanted", "expired", "duplicate", "superseded", "internal")


class SynthMetrics:
    """The metrics of one synth. It calls `on_spoken` with the seconds of speech that each attempt has made."""

    def __init__(self, metrics: Metrics, on_spoken: Callable[[float], None]) -> None:
        self._on_spoken = on_spoken
        self._chunks = metrics.tally("orastream_synth_chunks", "Chunks stored")
        self._bytes = metrics.tally("orastream_synth_audio_bytes", "Audio bytes stored")
        self._audio = metrics.counter("orastream_synth_audio_seconds", "Seconds of speech made")
        self._spent = metrics.counter("orastream_synth_synthesis_seconds", "Seconds spent making speech")
        self._failures = metrics.counter("orastream_synth_engine_failures", "Attempts that an engine error ended")
        self._phrases = metrics.counter(
            "orastream_synth_phrase_lookups",
            "Sentences looked up in the phrase cache",
            ("result",),
            known=[(result,) for result in get_args(LookUp)],
        )
        self._kept = metrics.counter("orastream_synth_phrase_kept_bytes", "Audio bytes stored in the phrase cache")
        self._queued = metrics.seconds(
            "orastream_synth_queue_seconds", "Seconds from storing a request until this synth claimed it"
        )
        self._first = metrics.seconds(
            "orastream_synth_first_audio_seconds", "From the storing of a request to its first chunk on its way"
        )
        self._rtf = metrics.ratio("orastream_synth_rtf", "Seconds of synthesis for a second of speech, by utterance")
        self._outcomes = metrics.counter(
            "orastream_synth_requests",
            "Requests that this synth has finished",
            ("outcome",),
            known=[(name,) for name in OUTCOMES],
        )

    def chunk_stored(self, size_bytes: int) -> None:
        """A chunk with `size_bytes` of audio was published."""
        self._chunks.value += 1
        self._bytes.value += size_bytes

    def spoken(self, audio_s: float, spent_s: float, rtf: float | None) -> None:
        """An attempt has made `audio_s` seconds of speech in `spent_s` seconds; `rtf` is their ratio, if meaningful."""
        self._audio.inc(audio_s)
        self._spent.inc(spent_s)
        if rtf is not None:
            self._rtf.observe(rtf)
        self._on_spoken(audio_s)

    def claimed(self, queued_s: float) -> None:
        """A request was claimed `queued_s` seconds after it was stored."""
        self._queued.observe(queued_s)

    def first_chunk(self, after_s: float) -> None:
        """The first chunk of a whole text was published `after_s` seconds after its request was stored."""
        self._first.observe(after_s)

    def engine_failed(self) -> None:
        """An attempt failed with an engine error."""
        self._failures.inc()

    def phrase_looked_up(self, result: LookUp) -> None:
        """A sentence was looked for in the phrase cache, or not because the cache did not answer before."""
        self._phrases.labels(result=result).inc()

    def phrase_kept(self, size_bytes: int) -> None:
        """The audio of a sentence, `size_bytes`, was put into the phrase cache."""
        self._kept.inc(size_bytes)

    def done(self, outcome: str) -> None:
        """A job has ended; `outcome` is one of OUTCOMES."""
        self._outcomes.labels(outcome=outcome).inc()
