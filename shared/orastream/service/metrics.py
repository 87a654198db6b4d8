"""Prometheus metrics of the services. The only file that imports prometheus_client (extra `service`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from orastream.contract.messages import FINAL, Report, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_RATIO = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 5)
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class FastCounter(Collector):
    """A counter without a lock; add to `value` from one thread only."""

    def __init__(self, name: str, help_: str) -> None:
        self._name, self._help = name, help_
        self.value = 0.0

    def collect(self) -> Iterable[Metric]:
        """The counter's current value."""
        yield CounterMetricFamily(self._name, self._help, value=self.value)


class Total(Collector):
    """A counter that is kept elsewhere; `read` returns its value at each scrape."""

    def __init__(self, name: str, help_: str, read: Callable[[], float]) -> None:
        self._name, self._help, self._read = name, help_, read

    def collect(self) -> Iterable[Metric]:
        """The counter's current value."""
        yield CounterMetricFamily(self._name, self._help, value=self._read())


class Totals(Collector):
    """A counter with one label that is kept elsewhere; `read` returns the value of each label value at each scrape."""

    def __init__(self, name: str, help_: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        self._name, self._help, self._label, self._read = name, help_, label, read

    def collect(self) -> Iterable[Metric]:
        """The counter's current values."""
        family = CounterMetricFamily(self._name, self._help, labels=[self._label])
        for value, count in self._read().items():
            family.add_metric([value], count)
        yield family


class Metrics:
    """The registry of one process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # avoids an unused second series for each metric
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def counter(
        self, name: str, help_: str, labels: tuple[str, ...] = (), known: Iterable[tuple[str, ...]] = ()
    ) -> Counter:
        """A counter; `name` without `_total`.

        The series of the label values in `known` exist from the start, at 0. `rate()` does not count the first value of
        a new series, so the first failures of a process would not be counted.
        """
        counter = Counter(name, help_, labels, registry=self.registry)
        for values in known:
            counter.labels(*values)
        return counter

    def tally(self, name: str, help_: str) -> FastCounter:
        """A counter without a lock, for the hot path of one thread; `name` without `_total`."""
        tally = FastCounter(name, help_)
        self.registry.register(tally)
        return tally

    def total(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Register a counter that is kept elsewhere and only grows; `name` without `_total`."""
        self.registry.register(Total(name, help_, read))

    def totals(self, name: str, help_: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """As `total`, with one label; `read` returns a count for each known value of the label, 0 too."""
        self.registry.register(Totals(name, help_, label, read))

    def gauge(self, name: str, help_: str, read: Callable[[], float]) -> Gauge:
        """A gauge; `read` returns its value at each scrape."""
        gauge = Gauge(name, help_, registry=self.registry)
        gauge.set_function(read)
        return gauge

    def seconds(self, name: str, help_: str) -> Histogram:
        """A histogram of seconds; `name` ends in `_seconds`."""
        return Histogram(name, help_, buckets=_SECONDS, registry=self.registry)

    def ratio(self, name: str, help_: str) -> Histogram:
        """A histogram of a ratio that should be below 1."""
        return Histogram(name, help_, buckets=_RATIO, registry=self.registry)

    def render(self) -> bytes:
        """The exposition text of /metrics."""
        return generate_latest(self.registry)


class DeliveryMetrics:
    """What both bridges count."""

    def __init__(self, metrics: Metrics, kind: str, used: Callable[[Report], None]) -> None:
        """`used` is called with each final report that this process has stored."""
        self.used = used
        prefix = f"orastream_{kind}"
        self._chunks = metrics.tally(f"{prefix}_chunks", "Chunks written to OraServer, repeats included")
        self._bytes = metrics.tally(f"{prefix}_audio_bytes", "Audio bytes written to OraServer, before base64")
        self._reconnects = metrics.counter(f"{prefix}_link_losses", "Links to OraServer that broke or did not open")
        self._repeated = metrics.counter(
            f"{prefix}_retransmitted_chunks", "Chunks written again after a lost link, counted when a delivery ends"
        )
        self._takeovers = metrics.counter(f"{prefix}_takeovers", "Sessions taken over from a bridge that had died")
        self._outcomes = metrics.counter(
            f"{prefix}_requests",
            "Requests ended by this bridge",
            ("outcome",),
            known=[(status,) for status in sorted(FINAL)],
        )
        self.first_audio = metrics.seconds(
            f"{prefix}_first_audio_seconds", "From storing the request to its first chunk written to OraServer"
        )
        self.underruns = metrics.counter(
            f"{prefix}_underruns", "Times that a listener who plays in real time had no audio, in delivered utterances"
        )
        self.underrun_s = metrics.counter(f"{prefix}_underrun_seconds", "Seconds in which these listeners had no audio")
        self.transfer = metrics.seconds(
            f"{prefix}_transfer_seconds", "Seconds from the first write to the last confirmation"
        )
        self.cancel = metrics.seconds(
            f"{prefix}_cancel_seconds", "Seconds from storing a cancel to the final report of a request that it ended"
        )

    def chunk_written(self, size_bytes: int) -> None:
        """A chunk was written to OraServer."""
        self._chunks.value += 1
        self._bytes.value += size_bytes

    def link_lost(self) -> None:
        """A link to OraServer broke, or could not be opened."""
        self._reconnects.inc()

    def retransmitted(self, chunks: int) -> None:
        """A delivery is over in which that many chunks were written again."""
        self._repeated.inc(chunks)

    def taken_over(self) -> None:
        """A session was taken from an owner that had died."""
        self._takeovers.inc()

    def ended(self, status: Status) -> None:
        """A final report was written by this bridge."""
        self._outcomes.labels(outcome=status).inc()
