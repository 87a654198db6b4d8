"""The gauges of a synth: what it works on, and what waits for it."""

from __future__ import annotations

from typing import Protocol

from orastream.service.metrics import Metrics
from services.synth.engine_pool.canary import CanaryResult
from services.synth.engine_pool.pool import EnginePool
from services.synth.queue.backlog import Backlog


class Workload(Protocol):
    """The numbers of requests in each state (`services.synth.synth.Synth`)."""

    @property
    def working(self) -> int:
        """Number of requests with a job."""
        ...

    @property
    def waiting(self) -> int:
        """Number of requests that were pulled and have no job yet."""
        ...

    @property
    def wait_s(self) -> float:
        """Estimated seconds until a request stored now gets a slot of any synth."""
        ...

    @property
    def open_texts(self) -> int:
        """Number of jobs that wait for streamed text."""
        ...

    @property
    def suspended(self) -> int:
        """Number of jobs whose listener has enough audio while others speak."""
        ...


def register(metrics: Metrics, synth: Workload, pool: EnginePool, backlog: Backlog) -> None:
    """Register the gauges. Each is read when `/metrics` is asked for."""
    gauge = metrics.gauge
    gauge("orastream_synth_working", "Requests that this synth works on now", lambda: float(synth.working))
    gauge("orastream_synth_waiting", "Requests that this synth has queued and not begun", lambda: float(synth.waiting))
    gauge("orastream_synth_open_texts", "Begun requests that wait for more text", lambda: float(synth.open_texts))
    gauge(
        "orastream_synth_suspended",
        "Begun requests without a slot, because their listeners have enough audio and others need it",
        lambda: float(synth.suspended),
    )
    gauge("orastream_synth_engines", "Engine processes that can speak", lambda: float(pool.alive))
    metrics.total(
        "orastream_synth_engine_restarts",
        "Engine processes started to replace one that died, hung or no longer spoke",
        lambda: pool.restarts,
    )
    metrics.total(
        "orastream_synth_engine_replacements",
        "Engine processes started to replace one that used too much memory",
        lambda: pool.replaced,
    )
    metrics.totals(
        "orastream_synth_engine_canaries",
        "Times that an idle engine process was made to speak a few words",
        "result",
        lambda: {result.value: pool.canaries[result] for result in CanaryResult},
    )
    gauge(
        "orastream_synth_backlog_seconds",
        "Estimated seconds of speech that this synth has queued and not begun",
        lambda: synth.waiting * backlog.mean_s,
    )
    gauge(
        "orastream_estimated_wait_seconds",
        "Estimated seconds until a request stored now gets a slot of any synth; about the same value at each synth",
        lambda: synth.wait_s,
    )
    gauge(
        "orastream_stream_backlog_seconds",
        "Estimated seconds of speech that no synth has queued yet; the same value at each synth",
        lambda: backlog.seconds,
    )
    gauge(
        "orastream_audio_stream_bytes",
        "Bytes stored in the audio stream; the same value at each synth",
        lambda: backlog.audio_bytes,
    )
    gauge(
        "orastream_audio_stream_max_bytes",
        "Maximum bytes of the audio stream (TTS_AUDIO_MAX_BYTES); synths wait while it is full",
        lambda: backlog.audio_max_bytes,
    )
